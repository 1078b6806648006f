//! The whole network, encrypted, against its plain run; and 10,000 images in simulation.

use crate::network::{Network, digits, largest, mnist, parameters};
use bellerophon::client::Client;
use bellerophon::compile::{Preset, Program};
use bellerophon::data::LabelledImages;
use bellerophon::report::StageNoise;
use bellerophon::report::noise::{
    NoiseSums, clear_phases, simulated_phases, stage_noise, traced_phases,
};
use bellerophon::run::simulated::{NoiseModel, simulate};
use bellerophon::server::Server;
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// Simulated runs per image from which noise is predicted.
const SIMULATIONS: u64 = 8;

/// Client and server, and what their runs have shown so far.
struct Session {
    network: Network,
    program: Program,
    noise: NoiseModel,
    client: Client,
    server: Server,
    rng: ChaCha20Rng,
    simulated: NoiseSums,
    encrypted: NoiseSums,
}

impl Session {
    fn new(preset: Preset) -> Self {
        let (network, parameters) = (Network::load(), parameters(preset));
        let program = network.program(preset);
        let mut rng = ChaCha20Rng::seed_from_u64(2026);
        let client = Client::new(parameters.clone(), &mut rng).unwrap();
        let keys = client.publish_keys(&mut rng).unwrap().bytes;
        let server = Server::new(&parameters, program.clone(), &keys).unwrap();
        let noise = NoiseModel::new(&parameters).unwrap();
        let (simulated, encrypted) = Default::default();
        Self { network, program, noise, client, server, rng, simulated, encrypted }
    }

    /// Encrypted and plain predictions of one image.
    fn run(&mut self, index: u64, image: &ArrayD<f64>) -> (usize, usize) {
        let values: Vec<f64> = image.iter().copied().collect();
        let input = self.client.encrypt(&self.program, &values, &mut self.rng).unwrap();
        let evaluation = self.server.evaluate(&input, true, &|_| ()).unwrap();
        let logits = self.client.decrypt(&self.program, &evaluation.output).unwrap();
        assert_eq!(logits.len(), 10);
        let trace = self.client.open_trace(&self.program, &evaluation.trace.unwrap()).unwrap();
        let clear = clear_phases(&self.program, &values).unwrap();
        self.encrypted.add(&traced_phases(&self.program, trace), &clear);
        for draw in 0..SIMULATIONS {
            let seed = index * SIMULATIONS + draw;
            let run = simulated_phases(&self.program, &self.noise, &values, seed).unwrap();
            self.simulated.add(&run, &clear);
        }
        (largest(&logits), largest(&self.network.logits(image)))
    }

    fn stages(&self) -> Vec<StageNoise> {
        stage_noise(&self.program, &self.simulated, &self.encrypted)
    }

    /// Measured noise is predicted noise within a tenth, plus four standard deviations of a standard
    /// deviation that is estimated from as many values as there are: `1 / sqrt(2 n)` each.
    fn check_noise(&self) {
        let stages = self.stages();
        assert_eq!(stages.len(), 13);
        for stage in &stages {
            let ratio = stage.measured / stage.predicted;
            println!(
                "{:<24} 2^{:.2} predicted, 2^{:.2} measured, ratio {ratio:.3}, {} values",
                stage.stage,
                stage.predicted.log2(),
                stage.measured.log2(),
                stage.values
            );
        }
        for stage in stages {
            let tolerance = 0.1 + 4.0 / (2.0 * stage.values as f64).sqrt();
            let ratio = stage.measured / stage.predicted;
            assert!((ratio - 1.0).abs() <= tolerance, "{stage:?}: {ratio} +- {tolerance}");
        }
    }
}

#[test]
fn an_encrypted_digit_is_read_as_the_plain_network_reads_it() {
    let mut session = Session::new(Preset::Fast);
    let (encrypted, plain) = session.run(0, &digits().padded(32).unwrap()[0]);
    assert_eq!(encrypted, plain);
    session.check_noise();
}

fn first_twenty_agree(preset: Preset, test: &str) {
    let Some(images) = mnist(test) else { return };
    let images = images.slice(0, 20).unwrap().padded(32).unwrap();
    let mut session = Session::new(preset);
    for (index, image) in images.iter().enumerate() {
        let (encrypted, plain) = session.run(index as u64, image);
        println!("image {index}: encrypted {encrypted}, plain {plain}");
        assert_eq!(encrypted, plain, "image {index}");
    }
    session.check_noise();
}

#[test]
#[ignore = "twenty encrypted images take ten minutes; needs BELLEROPHON_DATA"]
fn twenty_images_agree_in_balanced() {
    first_twenty_agree(Preset::Balanced, "twenty_images_agree_in_balanced");
}

#[test]
#[ignore = "twenty encrypted images take twenty minutes; needs BELLEROPHON_DATA"]
fn twenty_images_agree_in_precise() {
    first_twenty_agree(Preset::Precise, "twenty_images_agree_in_precise");
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
    let program = network.program(preset);
    let noise = NoiseModel::new(&parameters(preset)).unwrap();
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
