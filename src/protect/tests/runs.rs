//! What a protected run computes, with how much noise, and what its model reveals.

use super::*;
use crate::compile::program::{LinearOutput, Term};
use crate::compile::{LinearMap, Operation, Step};
use crate::model::{Operator, Shape};
use crate::report::noise::{NoiseSums, clear_phases, simulated_phases, stage_noise, traced_phases};
use std::convert::Infallible;

#[test]
fn a_protected_model_gives_what_its_program_gives() {
    let deployed = &*DEPLOYED;
    for seed in 0..4 {
        deployed.assert_agrees(&WORLD.image(seed), "tiny network");
    }
    // the owner's own inputs, under the secret key
    let (image, mut rng) = (WORLD.image(5), tiny::rng(5));
    let input = deployed.client.encrypt(&deployed.program, &image, &mut rng).unwrap();
    let architecture = deployed.model.architecture();
    assert_eq!(deployed.client.encrypt(&architecture, &image, &mut tiny::rng(5)).unwrap(), input);
    let output = deployed.server.evaluate(&input, false, &|_| ()).unwrap().output;
    let found = deployed.client.decrypt(&architecture, &output).unwrap();
    let exact = clear::evaluate(&deployed.program, &image).unwrap();
    assert!(found.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 0.5), "{found:?} {exact:?}");
    // a server of the plain program takes inputs under the public key as well
    let (parameters, program) = (&deployed.parameters, deployed.program.clone());
    let plain = Server::new(parameters, program, &deployed.keys).unwrap();
    let output = plain.evaluate(&deployed.encrypted(&image, 1), false, &|_| ()).unwrap().output;
    let found = deployed.client.decrypt(&deployed.program, &output).unwrap();
    assert!(found.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 0.5), "{found:?} {exact:?}");
}

#[test]
fn models_come_back_from_the_wire_and_from_memory() {
    let deployed = &*DEPLOYED;
    let bytes = deployed.model.to_bytes().unwrap();
    let again = ProtectedModel::from_bytes(&bytes, &deployed.parameters).unwrap();
    assert_eq!(again, deployed.model);
    assert_eq!(again.key(), deployed.server.keys().ring_key());
    let [weights, biases] = again.ciphertexts();
    let layers = deployed.program.steps.iter().filter_map(|step| match &step.operation {
        Operation::Linear(map) => Some(map),
        _ => None,
    });
    let outputs = layers.flat_map(|map| &map.outputs);
    assert_eq!(biases, outputs.clone().count());
    assert_eq!(weights, outputs.map(|output| output.terms.len()).sum::<usize>());
    // four rows of two polynomials of 512 words, and two polynomials
    assert_eq!(deployed.server.model_bytes(), 512 * 8 * (8 * weights + 2 * biases));
    // four bodies of 50 bits for each, and one
    let bodies = 512 * 50 / 8 * (4 * weights + biases);
    assert!(bytes.len() > bodies && bytes.len() < bodies * 11 / 10 + 100_000, "{}", bytes.len());
}

#[test]
fn protected_runs_have_the_noise_of_simulated_ones_at_every_stage() {
    let deployed = &*DEPLOYED;
    let noise = NoiseModel::new(&deployed.parameters).unwrap().protected().with_public_inputs();
    let mut program = deployed.program.clone();
    for (index, step) in program.steps.iter_mut().enumerate() {
        step.stage = format!("{index}: {}", step.stage);
    }
    let (mut encrypted, mut simulated) = (NoiseSums::default(), NoiseSums::default());
    for seed in 0..32 {
        let image = WORLD.image(seed);
        let clear = clear_phases(&program, &image).unwrap();
        let trace = deployed.evaluate(&image, seed).trace.unwrap();
        let opened = deployed.client.open_trace(&deployed.program, &trace).unwrap();
        encrypted.add(&traced_phases(&program, opened), &clear);
        for draw in 0..16 {
            let run = simulated_phases(&program, &noise, &image, 16 * seed + draw);
            simulated.add(&run.unwrap(), &clear);
        }
    }
    let stages = stage_noise(&program, &simulated, &encrypted);
    assert_eq!(stages.len(), 1 + 2 * 4 + 2 * 2);
    for stage in stages {
        let ratio = stage.measured / stage.predicted;
        println!("{:<30} {ratio:.3} of 2^{:.2}", stage.stage, stage.predicted.log2());
        // the modulus switch sees one small secret of 48 bits, whose weight varies by a seventh
        let tolerance = 0.15 + 4.0 / (2.0 * stage.values as f64).sqrt();
        assert!((ratio - 1.0).abs() <= tolerance, "{stage:?}: {ratio}");
    }
}

/// One layer, so that nothing but the input's noise and the encryption's is left.
#[test]
fn the_noise_of_encrypted_weights_is_predicted() {
    let layers = vec![Operator::Dense(tiny::dense(40, 12, 1))];
    let graph = tiny::chain(Shape::Vector(12), layers).unwrap();
    let settings = tiny::settings(9);
    let parameters = tiny::parameters(&settings);
    let program = tiny::lowered(&tiny::model(&graph, 16).unwrap(), &settings).unwrap();
    let image: Vec<f64> = tiny::image(graph.input_shape(), 3).into_iter().collect();
    let clear = clear_phases(&program, &image).unwrap();
    let (mut measured, mut simulated) = (NoiseSums::default(), NoiseSums::default());
    let noise = NoiseModel::new(&parameters).unwrap().protected().with_public_inputs();
    for owner in 0..10 {
        // one set of keys, many encryptions of the weights
        let mut deployed = Deployed::new(&parameters, program.clone(), owner);
        for seed in 0..10 {
            let model = deployed.client.protect(&program, &mut tiny::rng(100 + seed)).unwrap();
            deployed.server = Server::protected(&parameters, &model, &deployed.keys, None).unwrap();
            let trace = deployed.evaluate(&image, seed).trace.unwrap();
            let opened = deployed.client.open_trace(&program, &trace).unwrap();
            measured.add(&traced_phases(&program, opened), &clear);
            let run = simulated_phases(&program, &noise, &image, 10 * owner + seed).unwrap();
            simulated.add(&run, &clear);
        }
    }
    let [stage] = stage_noise(&program, &simulated, &measured).try_into().unwrap();
    let Operation::Linear(map) = &program.steps[0].operation else { panic!() };
    let variances = map.outputs.iter().map(|output| {
        let weights = output.terms.iter().flat_map(|term| &term.weights);
        let squares: f64 = weights.map(|(_, weight)| (*weight as f64).powi(2)).sum();
        let values = output.coefficients.len() as f64;
        let added = super::super::noise(&parameters, output);
        values * (bridge::noise::fresh_public(&parameters) * squares + added)
    });
    let predicted = (variances.sum::<f64>() / 40.0).sqrt();
    let plain = {
        let noise = NoiseModel::new(&parameters).unwrap();
        let mut sums = NoiseSums::default();
        for seed in 0..50 {
            sums.add(&simulated_phases(&program, &noise, &image, seed).unwrap(), &clear);
        }
        stage_noise(&program, &sums, &sums)[0].predicted
    };
    assert!(predicted > 2.0 * plain, "{predicted} would not show beside {plain}");
    for found in [stage.measured, stage.predicted] {
        let ratio = found / predicted;
        println!("encrypted weights: {ratio:.3} of 2^{:.2}", predicted.log2());
        assert!((ratio - 1.0).abs() < 0.1, "{found} for {predicted}");
    }
}

/// The program with other weights and biases of the same shape.
fn with_other_parameters(program: &Program) -> Program {
    let other = |_: &Step, map: &LinearMap| {
        map.try_map(
            |term: &Term| {
                let weight = |(place, weight): (usize, &(usize, i64))| {
                    (weight.0, if place % 3 == 0 { 0 } else { -weight.1 })
                };
                Ok(term.weights.iter().enumerate().map(weight).collect())
            },
            |output: &LinearOutput| Ok(output.biases.iter().map(|bias| 0.1 - bias).collect()),
        )
    };
    program.try_map::<_, Infallible>(other).unwrap()
}

/// Nothing but ciphertexts depends on the parameters, not even a length.
#[test]
fn a_model_reveals_its_architecture_alone() {
    let deployed = &*DEPLOYED;
    let other = with_other_parameters(&deployed.program);
    assert_ne!(other, deployed.program);
    let model = deployed.client.protect(&other, &mut tiny::rng(3)).unwrap();
    assert_eq!(model.architecture(), deployed.model.architecture());
    let [one, two] = [&model, &deployed.model].map(|model| model.to_bytes().unwrap());
    assert_eq!(one.len(), two.len());
    // two encryptions of one program share no ciphertext
    let again = deployed.client.protect(&deployed.program, &mut tiny::rng(4)).unwrap();
    assert_ne!(again.to_bytes().unwrap(), two);
}

/// Which products there are is a matter of shapes: a pruned network has as many as any.
#[test]
fn zero_weights_do_not_show_in_the_architecture() {
    let structure = |zero: bool| {
        let mut first = tiny::convolution(2, 3, 3, 1);
        let mut last = tiny::dense(4, 2 * 144, 2);
        if zero {
            first.weights.slice_mut(ndarray::s![1, 0..2, .., ..]).fill(0.0);
            last.weights.slice_mut(ndarray::s![2, ..]).fill(0.0);
        }
        let layers = vec![
            Operator::Convolution(first),
            Operator::RELU,
            Operator::Flatten,
            Operator::Dense(last),
        ];
        let graph = tiny::chain(Shape::image(3, 14, 14), layers).unwrap();
        let program = tiny::compiled(&graph, &tiny::settings(9)).unwrap();
        let mut terms = Vec::new();
        for step in &program.steps {
            if let Operation::Linear(map) = &step.operation {
                for output in &map.outputs {
                    let read = output.terms.iter().map(|term| (term.register, term.ciphertext));
                    terms.push((read.collect::<Vec<_>>(), output.coefficients.clone()));
                }
            }
        }
        terms
    };
    let dense = structure(false);
    assert!(dense.iter().any(|(read, _)| read.len() > 1));
    assert_eq!(structure(true), dense);
}

/// The bytes on the wire are a contract: a change needs a new format version.
#[test]
fn known_answers() {
    use crate::compile::{Place, Placement, Register};
    use sha2::{Digest, Sha256};
    let place = |coefficient| Place { ciphertext: 0, coefficient };
    let term = Term { register: 0, ciphertext: 0, weights: vec![(0, 3), (1020, -5)] };
    let output =
        LinearOutput { terms: vec![term], coefficients: vec![0, 4], biases: vec![0.25; 2] };
    let step = Step {
        stage: "layer".to_owned(),
        operation: Operation::Linear(LinearMap { outputs: vec![output] }),
        inputs: vec![Register(0)],
        output: Register(1),
        amplitude: 0.125,
    };
    let program = Program {
        parameters: WORLD.parameters.literal().clone(),
        slots: None,
        input_elements: 1,
        input: vec![Placement { element: 0, place: place(4) }],
        input_amplitude: 0.015625,
        steps: vec![step],
        output: vec![place(0), place(4)],
    };
    let mut rng = tiny::rng(2026);
    let client = Client::new(WORLD.parameters.clone(), &mut rng).unwrap();
    let bytes = client.protect(&program, &mut rng).unwrap().to_bytes().unwrap();
    let layout = program.input_layout().to_bytes().unwrap();
    let public = client.publish_encryption_key(&mut rng).unwrap();
    let found = [&bytes, &layout, &public].map(|bytes| {
        let digest: String =
            Sha256::digest(bytes)[..8].iter().map(|b| format!("{b:02x}")).collect();
        (bytes.len(), digest)
    });
    let expected =
        [(16725, "4db33970ef17b652"), (96, "a0a1fdd5dc4dc159"), (3308, "a113363181b87b33")];
    assert_eq!(found, expected.map(|(length, digest)| (length, digest.to_owned())));
}
