//! Client and server, encrypted, in a small ring.

use super::*;
use crate::model::{Graph, Operator, Shape};
use crate::polynomial::choice::Pooling;
use crate::polynomial::clear;
use crate::polynomial::client::{Client, ClientError};
use crate::polynomial::cost::Sizes;
use crate::polynomial::lower::{compile, lower};
use crate::polynomial::network::{PolynomialNetwork, Replacement};
use crate::polynomial::parameters::{Choice, Settings, levels};
use crate::polynomial::predict::predict;
use crate::polynomial::simulated::{NoiseModel, simulate};
use crate::tiny;
use bellerophon_schemes::ckks::ParametersLiteral;
use std::cell::RefCell;
use std::sync::LazyLock;

const LOG_DIMENSION: u32 = 10;

fn choice(levels: usize, log_scale: u32) -> Choice {
    let chain = std::iter::once(log_scale + 8).chain(std::iter::repeat_n(log_scale, levels));
    Choice {
        literal: ParametersLiteral {
            log_dimension: LOG_DIMENSION,
            modulus_bits: chain.collect(),
            special_bits: vec![log_scale + 6; 2],
            digits: (levels + 1).div_ceil(2),
        },
        log_scale,
        sizes: Sizes { dimension: 1 << LOG_DIMENSION, limbs: levels + 1, special: 2, per_digit: 2 },
    }
}

fn graph() -> Graph {
    let operators = vec![
        Operator::Convolution(tiny::convolution(2, 1, 3, 1)),
        Operator::RELU,
        tiny::halving(),
        Operator::Flatten,
        Operator::Dense(tiny::dense(6, 18, 2)),
        Operator::RELU,
        Operator::Dense(tiny::dense(4, 6, 3)),
    ];
    tiny::chain(Shape::image(1, 8, 8), operators).unwrap()
}

struct World {
    network: PolynomialNetwork,
    parameters: Parameters,
    program: Program,
    client: Client,
    keys: Vec<u8>,
    server: Server,
}

impl World {
    fn new(activation: &str, depth: usize, seed: u64) -> Self {
        Self::pooled(activation, Pooling::Mean, depth, seed)
    }

    fn pooled(activation: &str, pooling: Pooling, depth: usize, seed: u64) -> Self {
        let graph = graph();
        let activation = activation.parse().unwrap();
        let replacement = Replacement { activation, pooling, margin: 1.2 };
        let samples: Vec<_> = (0..16).map(|seed| tiny::image(graph.input_shape(), seed)).collect();
        let network = PolynomialNetwork::new(&graph, &replacement, &samples).unwrap();
        let program = lower(&network, &choice(depth, 40)).unwrap();
        let used: usize = program.steps.iter().map(|step| levels(&step.operation)).sum();
        assert_eq!(used, depth, "levels of {activation}");
        let parameters = Parameters::insecure_unchecked(program.parameters.clone()).unwrap();
        let mut rng = tiny::rng(seed);
        let client = Client::new(parameters.clone(), &mut rng).unwrap();
        let keys = client.publish_keys(&program, &mut rng).unwrap();
        let server = Server::new(&parameters, program.clone(), &keys).unwrap();
        Self { network, parameters, program, client, keys, server }
    }

    /// A network with exact max-pools, which no program in slots has.
    fn exact() -> PolynomialNetwork {
        let (activation, pooling) = ("square".parse().unwrap(), Pooling::Max);
        let replacement = Replacement { activation, pooling, margin: 1.2 };
        let samples = [tiny::image(Shape::image(1, 8, 8), 0)];
        PolynomialNetwork::new(&graph(), &replacement, &samples).unwrap()
    }

    fn encrypted(&self, seed: u64) -> Vec<u8> {
        let image: Vec<f64> = tiny::image(Shape::image(1, 8, 8), seed).into_iter().collect();
        self.client.encrypt(&self.program, &image, &mut tiny::rng(seed)).unwrap()
    }

    /// The largest difference from the plain network, relative to its largest result.
    fn difference(&self, seed: u64) -> f64 {
        let evaluation = self.server.evaluate(&self.encrypted(seed), &|_| ()).unwrap();
        let found = self.client.decrypt(&self.program, &evaluation.results).unwrap();
        let image = tiny::image(Shape::image(1, 8, 8), seed);
        let expected: Vec<f64> = self.network.evaluate(&image).unwrap().into_iter().collect();
        assert_eq!(found.len(), expected.len());
        let size = expected.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
        let pairs = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        pairs.fold(0.0, f64::max) / size
    }
}

static WORLD: LazyLock<World> = LazyLock::new(|| World::new("square", 5, 1));
/// The same parameters, another secret.
static STRANGER: LazyLock<World> = LazyLock::new(|| World::new("square", 5, 2));

#[test]
fn encrypted_results_are_the_plain_ones() {
    for seed in 0..3 {
        let difference = WORLD.difference(seed);
        assert!(difference < 2f64.powi(-18), "2^{}", difference.log2());
    }
}

#[test]
fn polynomials_of_any_degree_run_encrypted() {
    for (activation, depth) in [("square2x", 5), ("chebyshev:7", 9), ("least-squares:4", 9)] {
        let difference = World::new(activation, depth, 3).difference(5);
        assert!(difference < 2f64.powi(-16), "{activation}: 2^{}", difference.log2());
    }
}

#[test]
fn composite_signs_run_encrypted() {
    let sign = bellerophon_schemes::math::approximation::composite_sign_for(3).unwrap();
    let depth = 3 + 2 * (sign.depth() as usize + 1);
    let difference = World::new("minimax:3", depth, 4).difference(6);
    assert!(difference < 2f64.powi(-14), "2^{}", difference.log2());
}

#[test]
fn max_pools_by_composite_signs_run_encrypted() {
    let sign = bellerophon_schemes::math::approximation::composite_sign_for(3).unwrap();
    let depth = 5 + 2 * (sign.depth() as usize + 1);
    let world = World::pooled("square", Pooling::Minimax(3), depth, 4);
    let difference = world.difference(6);
    assert!(difference < 2f64.powi(-13), "2^{}", difference.log2());
    let exact = compile(&World::exact(), &Settings::default(), &[]).unwrap_err();
    assert!(exact.to_string().contains("minimax:BITS"), "{exact}");
}

#[test]
fn the_server_names_each_layer_and_times_each_step() {
    let stages = RefCell::new(Vec::new());
    let watch = |stage: &str| stages.borrow_mut().push(stage.to_owned());
    let evaluation = WORLD.server.evaluate(&WORLD.encrypted(1), &watch).unwrap();
    let expected: Vec<String> = WORLD.program.steps.iter().map(|step| step.stage.clone()).collect();
    assert_eq!(*stages.borrow(), expected);
    assert_eq!(evaluation.durations.len(), expected.len());
    assert!(WORLD.server.key_count() > 5 && WORLD.server.key_bytes() > 1 << 20);
    assert!(WORLD.server.plaintext_bytes() > 1 << 16);
}

#[test]
fn memory_is_as_predicted() {
    let (world, server) = (&*WORLD, &WORLD.server);
    let prediction = predict(&world.program, &world.parameters).unwrap();
    assert_eq!(prediction.keys, server.key_count());
    assert_eq!(prediction.seconds.len(), world.program.steps.len());
    assert!(prediction.seconds.iter().all(|seconds| *seconds > 0.0));
    assert_eq!(prediction.key_bytes, server.key_bytes() as f64);
    let plaintexts = server.plaintext_bytes() as f64;
    let biases = 0.1 * plaintexts;
    assert!((plaintexts - prediction.plaintext_bytes).abs() < biases);
}

fn wire_error(error: &ServerError) -> Option<&WireError> {
    match error {
        ServerError::Wire(error) => Some(error),
        _ => None,
    }
}

#[test]
fn damaged_messages_are_refused() {
    let world = &*WORLD;
    let evaluate = |bytes: &[u8]| world.server.evaluate(bytes, &|_| ()).map(drop);
    tiny::refuses_damage(&world.encrypted(1), evaluate, wire_error);
    let read =
        |bytes: &[u8]| Server::new(&world.parameters, world.program.clone(), bytes).map(drop);
    tiny::refuses_damage(&world.keys, read, wire_error);
    let results = world.server.evaluate(&world.encrypted(1), &|_| ()).unwrap().results;
    let open = |bytes: &[u8]| world.client.decrypt(&world.program, bytes).map(drop);
    tiny::refuses_damage(&results, open, |error| match error {
        ClientError::Wire(error) => Some(error),
        _ => None,
    });
}

#[test]
fn another_clients_messages_are_refused() {
    let error = WORLD.server.evaluate(&STRANGER.encrypted(1), &|_| ()).unwrap_err();
    let ServerError::Step(error) = error else { panic!("{error:?}") };
    assert!(matches!(error.source, CkksError::Key(_)), "{error:?}");
    let results = WORLD.server.evaluate(&WORLD.encrypted(1), &|_| ()).unwrap().results;
    let error = STRANGER.client.decrypt(&WORLD.program, &results).unwrap_err();
    assert!(matches!(error, ClientError::Ckks(CkksError::Key(_))), "{error:?}");
}

#[test]
fn programs_that_do_not_fit_are_refused() {
    let world = &*WORLD;
    let refused = |program: Program| {
        let error = Server::new(&world.parameters, program, &world.keys).unwrap_err();
        assert!(matches!(error, ServerError::Program { .. }), "{error:?}");
    };
    let mut other = world.program.clone();
    other.parameters.digits = 1;
    let mut bad = world.program.clone();
    bad.output[0].slot = 1 << 20;
    let mut rng = tiny::rng(1);
    for program in [other, bad] {
        refused(program.clone());
        let errors = [
            world.client.publish_keys(&program, &mut rng).unwrap_err(),
            world.client.encrypt(&program, &[0.5; 64], &mut rng).unwrap_err(),
            world.client.decrypt(&program, &[]).unwrap_err(),
        ];
        let program = |error: &ClientError| matches!(error, ClientError::Program { .. });
        assert!(errors.iter().all(program), "{errors:?}");
    }
}

#[test]
fn missing_keys_and_other_images_are_refused() {
    let world = &*WORLD;
    let mut shorter = world.program.clone();
    shorter.steps.truncate(1);
    let keys = world.client.publish_keys(&shorter, &mut tiny::rng(9)).unwrap();
    let server = Server::new(&world.parameters, world.program.clone(), &keys).unwrap();
    let error = server.evaluate(&world.encrypted(1), &|_| ()).unwrap_err();
    let ServerError::Step(error) = error else { panic!("{error:?}") };
    assert!(error.index >= 1, "{error:?}");
    let error = world.client.encrypt(&world.program, &[0.5; 63], &mut tiny::rng(1));
    assert_eq!(error, Err(ClientError::InputSize { expected: 64, found: 63 }));
    let error = world.client.encrypt(&world.program, &[f64::NAN; 64], &mut tiny::rng(1));
    assert!(matches!(error, Err(ClientError::Ckks(_))), "{error:?}");
}

#[test]
fn a_seed_fixes_keys_and_results() {
    let again = World::new("square", 5, 1);
    assert_eq!(again.keys, WORLD.keys);
    let input = WORLD.encrypted(1);
    let results = |world: &World| world.server.evaluate(&input, &|_| ()).unwrap().results;
    assert_eq!(results(&again), results(&WORLD));
}

/// Squared errors of encrypted and of simulated runs of one world, over many images.
fn squared_errors(world: &World) -> [Vec<f64>; 2] {
    let model = NoiseModel::new(&world.program, &world.parameters).unwrap();
    let (mut encrypted, mut simulated) = (Vec::new(), Vec::new());
    for seed in 0..12 {
        let image: Vec<f64> = tiny::image(Shape::image(1, 8, 8), seed).into_iter().collect();
        let exact = clear::evaluate(&world.program, &image).unwrap();
        let squares = |found: &[f64]| {
            let pairs = found.iter().zip(&exact).map(|(a, b)| (a - b).powi(2));
            pairs.collect::<Vec<f64>>()
        };
        let evaluation = world.server.evaluate(&world.encrypted(seed), &|_| ()).unwrap();
        let found = world.client.decrypt(&world.program, &evaluation.results).unwrap();
        encrypted.extend(squares(&found));
        for draw in 0..8 {
            let run = simulate(&world.program, &model, &image, 8 * seed + draw).unwrap();
            simulated.extend(squares(&run));
        }
    }
    [encrypted, simulated]
}

/// Part of the noise is the same in all runs under one set of keys (it comes from the keys), so that
/// single sets are off by up to a third: six are taken together.
#[test]
fn noise_is_as_simulated() {
    let composite = bellerophon_schemes::math::approximation::composite_sign_for(3).unwrap();
    let minimax = 3 + 2 * (composite.depth() as usize + 1);
    for (activation, depth) in [("square", 5), ("chebyshev:5", 9), ("minimax:3", minimax)] {
        let mut sums = [0.0; 2];
        for seed in 11..17 {
            let errors = squared_errors(&World::new(activation, depth, seed));
            let means = errors.map(|v| v.iter().sum::<f64>() / v.len() as f64);
            sums = [sums[0] + means[0], sums[1] + means[1]];
        }
        let ratio = (sums[0] / sums[1]).sqrt();
        println!("{activation}: {ratio:.3}");
        assert!((0.8..1.25).contains(&ratio), "{activation}: {ratio}");
    }
}
