//! The whole network, encrypted, against its plain run; and 10,000 images in simulation.

use crate::network::{Network, digits, largest, mnist};
use bellerophon::client::Client;
use bellerophon::compile::{Compiled, Operation, Place, Preset, Program, Register, Step};
use bellerophon::data::LabelledImages;
use bellerophon::report::StageNoise;
use bellerophon::report::noise::{
    NoiseSums, Phases, clear_phases, simulated_phases, stage_noise, traced_phases,
};
use bellerophon::run::simulated::{NoiseModel, simulate};
use bellerophon::run::{Clear, Simulated, execute};
use bellerophon::server::{Evaluation, Server, ServerError};
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// Simulated runs per image from which noise is predicted.
const SIMULATIONS: u64 = 32;

/// Noise since the input, and the noise that each stage adds, over the images of a session.
#[derive(Default)]
struct Noise {
    images: usize,
    simulated: NoiseSums,
    encrypted: NoiseSums,
    /// The noise of each single simulated run, stage by stage.
    runs: Vec<Vec<StageNoise>>,
    /// By stage.
    added: Vec<Added>,
}

/// Squared differences from the noiseless stage on the values that it did read.
#[derive(Clone, Default)]
struct Added {
    measured: Vec<f64>,
    predicted: Vec<f64>,
}

type Evaluate = dyn Fn(&[u8]) -> Result<Evaluation, ServerError>;

/// Client and server, and what their runs have shown so far.
struct Session {
    network: Network,
    program: Program,
    model: NoiseModel,
    client: Client,
    evaluate: Box<Evaluate>,
    rng: ChaCha20Rng,
    noise: Noise,
}

impl Session {
    /// A server that holds the weights in the clear, or one that holds them encrypted.
    fn new(preset: Preset, protected: bool) -> Self {
        let network = Network::load();
        let Compiled { program, parameters, .. } = network.compiled(preset);
        let mut rng = ChaCha20Rng::seed_from_u64(2026);
        let client = Client::new(parameters.clone(), &mut rng).unwrap();
        let keys = client.publish_keys(&mut rng).unwrap().bytes;
        let model = NoiseModel::new(&parameters).unwrap();
        let (model, evaluate): (_, Box<Evaluate>) = if protected {
            let encrypted = client.protect(&program, &mut rng).unwrap();
            println!("{} bytes on the wire", encrypted.to_bytes().unwrap().len());
            let server = Server::protected(&parameters, &encrypted, &keys, None).unwrap();
            (model.protected(), Box::new(move |input| server.evaluate(input, true, &|_| ())))
        } else {
            let server = Server::new(&parameters, program.clone(), &keys).unwrap();
            (model, Box::new(move |input| server.evaluate(input, true, &|_| ())))
        };
        Self { network, program, model, client, evaluate, rng, noise: Noise::default() }
    }

    /// Encrypted and plain predictions of one image.
    fn run(&mut self, index: u64, image: &ArrayD<f64>) -> (usize, usize) {
        let values: Vec<f64> = image.iter().copied().collect();
        let input = self.client.encrypt(&self.program, &values, &mut self.rng).unwrap();
        let evaluation = (self.evaluate)(&input).unwrap();
        let logits = self.client.decrypt(&self.program, &evaluation.output).unwrap();
        assert_eq!(logits.len(), 10);
        let trace = self.client.open_trace(&self.program, &evaluation.trace.unwrap()).unwrap();
        let phases = traced_phases(&self.program, trace);
        self.compare(index, &values, &phases);
        self.compare_stages(index, &phases);
        self.noise.images += 1;
        (largest(&logits), largest(&self.network.logits(image)))
    }

    /// The whole run, with simulated runs of the same image.
    fn compare(&mut self, index: u64, image: &[f64], phases: &Phases) {
        let clear = clear_phases(&self.program, image).unwrap();
        self.noise.encrypted.add(phases, &clear);
        for draw in 0..SIMULATIONS {
            let seed = index * SIMULATIONS + draw;
            let run = simulated_phases(&self.program, &self.model, image, seed).unwrap();
            self.noise.simulated.add(&run, &clear);
            let mut alone = NoiseSums::default();
            alone.add(&run, &clear);
            self.noise.runs.push(stage_noise(&self.program, &alone, &alone));
        }
    }

    /// Each stage on its own, from the values that it read under encryption.
    fn compare_stages(&mut self, index: u64, phases: &Phases) {
        let mut start = 0;
        let stages = self.program.steps.chunk_by(|a, b| a.stage == b.stage);
        for (number, steps) in stages.enumerate() {
            self.noise.added.resize(self.noise.added.len().max(number + 1), Added::default());
            let alone = stage_alone(&self.program, steps);
            if let Some(source) = steps[0].inputs[0].0.checked_sub(1) {
                let (input, output) = (&phases[source], &phases[start + steps.len() - 1]);
                let places = places(steps);
                let clear = Clear::new(1 << self.program.parameters.log_dimension);
                let exact = execute(&clear, &alone, input.clone(), &mut ()).unwrap();
                let added = &mut self.noise.added[number];
                added.measured.extend(squares(output, &exact, &places));
                for draw in 0..SIMULATIONS {
                    let simulated = Simulated::new(&self.model, index * SIMULATIONS + draw);
                    let run = execute(&simulated, &alone, input.clone(), &mut ()).unwrap();
                    added.predicted.extend(squares(&run, &exact, &places));
                }
            }
            start += steps.len();
        }
    }

    /// The noise that a stage adds is drawn anew for every value, so a measured standard deviation
    /// errs by `1 / sqrt(2 n)`; four of those are allowed beside the tenth.
    fn check_added_noise(&self) {
        let stages = self.program.steps.chunk_by(|a, b| a.stage == b.stage);
        for (steps, added) in stages.zip(&self.noise.added).skip(1) {
            let values = added.measured.len();
            let (measured, predicted) = (root_mean(&added.measured), root_mean(&added.predicted));
            println!(
                "{:<24} adds 2^{:.2} by prediction, 2^{:.2} by measurement, {values} values",
                steps[0].stage,
                predicted.log2(),
                measured.log2()
            );
            if predicted == 0.0 {
                // arithmetic is exact but for the rounding of biases and of the decoded values
                assert!(steps.len() == 1 && measured < 2f64.powi(-40), "{}", steps[0].stage);
                continue;
            }
            let tolerance = 0.1 + 4.0 / (2.0 * values as f64).sqrt();
            let ratio = measured / predicted;
            assert!((ratio - 1.0).abs() <= tolerance, "{}: {ratio}", steps[0].stage);
        }
    }

    /// Noise since the input is far from independent between values (a layer's outputs share its
    /// inputs), so how far one run may be off the mean is taken from the simulated runs.
    fn check_noise_since_the_input(&self) {
        let stages = stage_noise(&self.program, &self.noise.simulated, &self.noise.encrypted);
        assert_eq!(stages.len(), 13);
        for (number, stage) in stages.iter().enumerate() {
            let runs = self.noise.runs.iter().map(|run| run[number].predicted.powi(2));
            let runs: Vec<f64> = runs.collect();
            let mean = runs.iter().sum::<f64>() / runs.len() as f64;
            let variance = runs.iter().map(|run| (run / mean - 1.0).powi(2)).sum::<f64>();
            let spread = (variance / (runs.len() - 1) as f64).sqrt() / 2.0; // of a root
            let tolerance = 0.1 + 4.0 * spread / (self.noise.images as f64).sqrt();
            let ratio = stage.measured / stage.predicted;
            println!(
                "{:<24} has 2^{:.2} by prediction, 2^{:.2} by measurement, ratio {ratio:.3}",
                stage.stage,
                stage.predicted.log2(),
                stage.measured.log2()
            );
            assert!((ratio - 1.0).abs() <= tolerance, "{stage:?}: {ratio} +- {tolerance}");
        }
    }
}

/// The steps of one stage as a program that reads the stage's input.
fn stage_alone(program: &Program, steps: &[Step]) -> Program {
    let (source, first) = (steps[0].inputs[0], steps[0].output.0);
    let moved = |register: Register| match register == source {
        true => Register(0),
        false => Register(register.0 + 1 - first),
    };
    let step = |step: &Step| Step {
        inputs: step.inputs.iter().map(|&register| moved(register)).collect(),
        output: moved(step.output),
        ..step.clone()
    };
    Program { steps: steps.iter().map(step).collect(), ..program.clone() }
}

/// Where a stage puts its values.
fn places(steps: &[Step]) -> Vec<Place> {
    let packed = steps.iter().find_map(|step| match &step.operation {
        Operation::ToCkks { placements, .. } => {
            Some(placements.iter().map(|placement| placement.place).collect())
        }
        _ => None,
    });
    let summed = steps.iter().find_map(|step| match &step.operation {
        Operation::Linear(map) | Operation::Combine(map) => {
            let outputs = map.outputs.iter().enumerate();
            let places = outputs.flat_map(|(ciphertext, output)| {
                let place = move |&coefficient| Place { ciphertext, coefficient };
                output.coefficients.iter().map(place)
            });
            Some(places.collect())
        }
        _ => None,
    });
    packed.or(summed).unwrap()
}

/// Squared distances on the torus.
fn squares(run: &[Vec<f64>], exact: &[Vec<f64>], places: &[Place]) -> Vec<f64> {
    let (run, exact) = (Clear::gather(run, places).unwrap(), Clear::gather(exact, places).unwrap());
    let differences = run.iter().zip(&exact).map(|(a, b)| a - b);
    differences.map(|difference| (difference - difference.round()).powi(2)).collect()
}

fn root_mean(squares: &[f64]) -> f64 {
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

#[test]
fn an_encrypted_digit_is_read_as_the_plain_network_reads_it() {
    let mut session = Session::new(Preset::Fast, false);
    let (encrypted, plain) = session.run(0, &digits().padded(32).unwrap()[0]);
    assert_eq!(encrypted, plain);
    session.check_added_noise();
    session.check_noise_since_the_input();
}

fn first_agree(count: usize, preset: Preset, protected: bool, test: &str) {
    let Some(images) = mnist(test) else { return };
    let images = images.slice(0, count).unwrap().padded(32).unwrap();
    let mut session = Session::new(preset, protected);
    for (index, image) in images.iter().enumerate() {
        let (encrypted, plain) = session.run(index as u64, image);
        println!("image {index}: encrypted {encrypted}, plain {plain}");
        assert_eq!(encrypted, plain, "image {index}");
    }
    session.check_added_noise();
    session.check_noise_since_the_input();
}

#[test]
#[ignore = "twenty encrypted images take minutes; needs BELLEROPHON_DATA"]
fn twenty_images_agree_in_balanced() {
    first_agree(20, Preset::Balanced, false, "twenty_images_agree_in_balanced");
}

#[test]
#[ignore = "twenty encrypted images take minutes; needs BELLEROPHON_DATA"]
fn twenty_images_agree_in_precise() {
    first_agree(20, Preset::Precise, false, "twenty_images_agree_in_precise");
}

#[test]
#[ignore = "ten encrypted images take minutes; needs BELLEROPHON_DATA"]
fn ten_images_agree_with_encrypted_weights() {
    first_agree(10, Preset::Balanced, true, "ten_images_agree_with_encrypted_weights");
}

fn right(predictions: &[usize], data: &LabelledImages) -> usize {
    let pairs = predictions.iter().zip(data.labels());
    pairs.filter(|(prediction, label)| **prediction == usize::from(**label)).count()
}

/// At least `agreement` of 10,000 simulated predictions are the plain network's, and as many are
/// right, give or take ten.
fn simulated_agreement(preset: Preset, agreement: usize, test: &str) {
    let Some(data) = mnist(test) else { return };
    let (network, images) = (Network::load(), data.padded(32).unwrap());
    assert_eq!(images.len(), 10_000);
    let plain: Vec<usize> =
        images.par_iter().map(|image| largest(&network.logits(image))).collect();
    let Compiled { program, parameters, .. } = network.compiled(preset);
    let noise = NoiseModel::new(&parameters).unwrap();
    let simulated: Vec<usize> = images
        .par_iter()
        .enumerate()
        .map(|(index, image)| {
            let values: Vec<f64> = image.iter().copied().collect();
            largest(&simulate(&program, &noise, &values, index as u64).unwrap())
        })
        .collect();
    let agree = plain.iter().zip(&simulated).filter(|(a, b)| a == b).count();
    let (plain, simulated) = (right(&plain, &data), right(&simulated, &data));
    println!("{preset}: {agree} of 10000 agree, {simulated} right, {plain} right in plain");
    assert!(plain >= 9900, "{plain} right in plain");
    assert!(agree >= agreement, "{preset}: {agree} agree");
    assert!(plain.abs_diff(simulated) <= 10, "{preset}: {simulated} right, {plain} in plain");
}

#[test]
fn fast_agrees_in_simulation() {
    simulated_agreement(Preset::Fast, 9970, "fast_agrees_in_simulation");
}

#[test]
fn balanced_agrees_in_simulation() {
    simulated_agreement(Preset::Balanced, 9985, "balanced_agrees_in_simulation");
}

#[test]
fn precise_agrees_in_simulation() {
    simulated_agreement(Preset::Precise, 9995, "precise_agrees_in_simulation");
}
