//! Simulated noise against the formulas, and encrypted noise against simulated noise.

use super::statistics::{critical_distance, distance};
use super::*;
use crate::report::noise::{
    NoiseSums, Phases, clear_phases, simulated_phases, stage_noise, traced_phases,
};
use crate::run::simulated::{NoiseModel, simulate};
use bellerophon_bridge as bridge;

fn root_mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), v| (sum + v * v, count + 1));
    (sum / f64::from(count)).sqrt()
}

#[track_caller]
fn assert_ratio(found: f64, expected: f64, tolerance: f64) {
    assert!(expected > 0.0);
    let ratio = found / expected;
    assert!((ratio - 1.0).abs() <= tolerance, "{found} is {ratio} times {expected}");
}

/// The squared weights of the first output ciphertext of a linear map.
fn squared_weights(map: &LinearMap) -> f64 {
    let weights = map.outputs[0].terms.iter().flat_map(|term| &term.weights);
    weights.map(|(_, weight)| (*weight as f64).powi(2)).sum()
}

fn linear(step: &Step) -> &LinearMap {
    match &step.operation {
        Operation::Linear(map) => map,
        other => panic!("{other:?} is not linear"),
    }
}

#[test]
fn linear_layers_carry_fresh_noise_through_their_weights() {
    let graph =
        tiny::chain(Shape::Vector(12), vec![Operator::Dense(tiny::dense(5, 12, 1))]).unwrap();
    let settings = tiny::settings(9);
    let parameters = tiny::parameters(&settings);
    let program = tiny::lowered(&tiny::model(&graph, 16).unwrap(), &settings).unwrap();
    let noise = NoiseModel::new(&parameters).unwrap();
    let image: Vec<f64> = tiny::image(graph.input_shape(), 3).into_iter().collect();
    let exact = clear::evaluate(&program, &image).unwrap();
    let errors = (0..400).flat_map(|seed| {
        let found = simulate(&program, &noise, &image, seed).unwrap();
        found.into_iter().zip(exact.clone()).map(|(a, b)| a - b).collect::<Vec<_>>()
    });
    let found = root_mean_square(errors) * program.output_amplitude();
    let variance = bridge::noise::fresh(&parameters) * squared_weights(linear(&program.steps[0]));
    assert_ratio(found, variance.sqrt(), 0.07); // 2000 values
}

#[test]
fn tables_scale_the_noise_before_them_and_add_their_own() {
    let mut first = tiny::dense(6, 8, 1);
    first.bias.fill(12.0); // far on the side where ReLU is the identity
    let layers =
        vec![Operator::Dense(first), Operator::RELU, Operator::Dense(tiny::dense(4, 6, 2))];
    let graph = tiny::chain(Shape::Vector(8), layers).unwrap();
    let settings = tiny::settings(9);
    let parameters = tiny::parameters(&settings);
    let program = tiny::lowered(&tiny::model(&graph, 16).unwrap(), &settings).unwrap();
    let [first, to_lwe, look_up, pack, ..] = program.steps.as_slice() else { unreachable!() };
    let Operation::ToLwe { key, .. } = &to_lwe.operation else { unreachable!() };
    let Operation::Lut { tables, .. } = &look_up.operation else { unreachable!() };
    let [(6, table)] = tables.as_slice() else { panic!("{tables:?}") };
    let Operation::ToCkks { placements, zeroed: true, .. } = &pack.operation else {
        panic!("{pack:?}")
    };
    let target = |placement: &Placement| placement.place.coefficient;
    let targets: Vec<usize> = placements.iter().map(target).collect();
    let packing = bridge::noise::to_ckks(&parameters, 9); // every merge of a ring of 512
    let before = bridge::noise::fresh(&parameters) * squared_weights(linear(first))
        + bridge::noise::table_input(&parameters, *key).unwrap();
    let variance = before * (table.output / table.input).powi(2)
        + bridge::noise::table_output(&parameters, *key).unwrap()
        + packing;

    let noise = NoiseModel::new(&parameters).unwrap();
    let image: Vec<f64> = tiny::image(graph.input_shape(), 3).into_iter().collect();
    let exact = clear_phases(&program, &image).unwrap();
    let (mut values, mut zeros) = (Vec::new(), Vec::new());
    for seed in 0..400 {
        let run = simulated_phases(&program, &noise, &image, seed).unwrap();
        for (index, (a, b)) in run[3][0].iter().zip(&exact[3][0]).enumerate() {
            if targets.contains(&index) { &mut values } else { &mut zeros }.push(a - b);
        }
    }
    assert_ratio(root_mean_square(values.into_iter()), variance.sqrt(), 0.07); // 2400 values
    assert_ratio(root_mean_square(zeros.into_iter()), packing.sqrt(), 0.02);
}

#[test]
fn encrypted_runs_have_the_noise_of_simulated_ones_at_every_stage() {
    let world = &*tiny::WORLD;
    let noise = NoiseModel::new(&world.parameters).unwrap();
    let (mut encrypted, mut simulated) = (NoiseSums::default(), NoiseSums::default());
    for seed in 0..32 {
        let image = world.image(seed);
        let clear = clear_phases(&world.program, &image).unwrap();
        let evaluation =
            world.server.evaluate(&world.encrypted_image(seed), true, &|_| ()).unwrap();
        let trace = evaluation.trace.unwrap();
        let opened = world.client.open_trace(&world.program, &trace).unwrap();
        encrypted.add(&traced_phases(&world.program, opened), &clear);
        for draw in 0..16 {
            let run = simulated_phases(&world.program, &noise, &image, 16 * seed + draw);
            simulated.add(&run.unwrap(), &clear);
        }
    }
    // every step that makes ciphertexts as a stage of its own
    let mut program = world.program.clone();
    for (index, step) in program.steps.iter_mut().enumerate() {
        step.stage = format!("{index}: {}", step.stage);
    }
    let stages = stage_noise(&program, &simulated, &encrypted);
    // the convolution; in two poolings differences, packing, sums, maxima; packing and product twice
    assert_eq!(stages.len(), 1 + 2 * 4 + 2 * 2);
    for stage in stages {
        // the modulus switch sees one small secret of 48 bits, whose weight varies by a seventh
        assert!(stage.values >= 32 * 4);
        let sampling = 4.0 / (2.0 * stage.values as f64).sqrt();
        assert_ratio(stage.measured, stage.predicted, 0.15 + sampling);
    }
}

/// The differences from the clear run in every ciphertext that a step made.
fn differences(run: &Phases, clear: &Phases, step: usize) -> Vec<f64> {
    let pairs = run[step].iter().flatten().zip(clear[step].iter().flatten());
    let values = pairs.filter(|(_, exact)| !exact.is_nan()).map(|(noisy, exact)| noisy - exact);
    values.map(|difference| difference - difference.round()).collect()
}

/// Packed results of ReLU, behind a convolution and a max-pool.
#[test]
fn encrypted_noise_is_distributed_as_simulated_noise_is() {
    let world = &*tiny::WORLD;
    let noise = NoiseModel::new(&world.parameters).unwrap();
    let looked_up = |step: &Step| matches!(&step.operation, Operation::Lut { key: 0, .. });
    let step = world.program.steps.iter().position(looked_up).unwrap() + 1;
    let Operation::ToCkks { placements, .. } = &world.program.steps[step].operation else {
        panic!("{:?}", world.program.steps[step])
    };
    let values = |phases: &Phases, clear: &Phases| -> Vec<f64> {
        let all = differences(phases, clear, step);
        placements.iter().map(|placement| all[placement.place.coefficient]).collect()
    };
    let (mut encrypted, mut simulated) = (Vec::new(), Vec::new());
    for seed in 200..248 {
        let image = world.image(seed);
        let clear = clear_phases(&world.program, &image).unwrap();
        let input = world.encrypted_image(seed);
        let trace = world.server.evaluate(&input, true, &|_| ()).unwrap().trace.unwrap();
        let opened = world.client.open_trace(&world.program, &trace).unwrap();
        encrypted.extend(values(&traced_phases(&world.program, opened), &clear));
        for draw in 0..8 {
            let run = simulated_phases(&world.program, &noise, &image, 8 * seed + draw).unwrap();
            simulated.extend(values(&run, &clear));
        }
    }
    assert_eq!(encrypted.len(), 48 * 18);
    let critical = critical_distance(encrypted.len(), simulated.len(), 0.01);
    let found = distance(&encrypted, &simulated);
    assert!(found <= critical, "{found}, at most {critical} of one distribution");
    // a fifth of a deviation on the mean or half as much noise again would have shown
    let deviation = root_mean_square(simulated.iter().copied());
    let moved: Vec<f64> = encrypted.iter().map(|value| value + 0.2 * deviation).collect();
    assert!(distance(&moved, &simulated) > critical);
    let wider: Vec<f64> = encrypted.iter().map(|value| value * 1.5).collect();
    assert!(distance(&wider, &simulated) > critical);
}

#[test]
fn decrypted_outputs_are_the_networks_within_the_noise() {
    let world = &*tiny::WORLD;
    let noise = NoiseModel::new(&world.parameters).unwrap();
    for seed in 100..104 {
        let image = world.image(seed);
        let exact = clear::evaluate(&world.program, &image).unwrap();
        let errors = (0..64).flat_map(|draw| {
            let found = simulate(&world.program, &noise, &image, draw).unwrap();
            found.into_iter().zip(exact.clone()).map(|(a, b)| a - b).collect::<Vec<_>>()
        });
        let bound = 6.0 * root_mean_square(errors);
        let evaluation =
            world.server.evaluate(&world.encrypted_image(seed), false, &|_| ()).unwrap();
        assert!(evaluation.trace.is_none());
        assert_eq!(evaluation.durations.len(), world.program.steps.len());
        let found = world.client.decrypt(&world.program, &evaluation.output).unwrap();
        let input = tiny::image(world.graph.input_shape(), seed);
        let plain = world.graph.evaluate(&input).unwrap();
        for ((found, exact), plain) in found.iter().zip(&exact).zip(&plain) {
            assert!((found - exact).abs() <= bound, "{found}, {exact} +- {bound}");
            assert!((exact - plain).abs() < 0.05, "weights of 8 bits: {exact} for {plain}");
        }
        assert!(bound < 3.0, "a bound of {bound} says little");
    }
}

#[test]
fn a_seed_fixes_a_simulated_run() {
    let world = &*tiny::WORLD;
    let noise = NoiseModel::new(&world.parameters).unwrap();
    let run = |seed| simulate(&world.program, &noise, &world.image(0), seed).unwrap();
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_dead_channel_and_a_constant_pool_run_encrypted() {
    use crate::client::Client;
    use crate::server::Server;
    let mut first = tiny::convolution(2, 1, 3, 5);
    first.weights.index_axis_mut(ndarray::Axis(0), 1).fill(0.0);
    first.bias[1] = 0.75;
    let layers = vec![
        Operator::Convolution(first),
        tiny::halving(),
        Operator::RELU,
        Operator::Flatten,
        Operator::Dense(tiny::dense(3, 8, 6)),
    ];
    let graph = tiny::chain(Shape::image(1, 6, 6), layers).unwrap();
    let settings = tiny::settings(9);
    let parameters = tiny::parameters(&settings);
    let program = tiny::lowered(&tiny::model(&graph, 32).unwrap(), &settings).unwrap();
    let mut rng = tiny::rng(4);
    let client = Client::new(parameters.clone(), &mut rng).unwrap();
    let keys = client.publish_keys(&mut rng).unwrap().bytes;
    let server = Server::new(&parameters, program.clone(), &keys).unwrap();
    let image = tiny::image(graph.input_shape(), 1);
    let values: Vec<f64> = image.iter().copied().collect();
    let input = client.encrypt(&program, &values, &mut rng).unwrap();
    let evaluation = server.evaluate(&input, false, &|_| ()).unwrap();
    let found = client.decrypt(&program, &evaluation.output).unwrap();
    for (found, plain) in found.iter().zip(&graph.evaluate(&image).unwrap()) {
        assert!((found - plain).abs() < 0.5, "{found} for {plain}");
    }
}
