//! A small network under small insecure parameters, for tests: keys take milliseconds, and so do
//! encrypted runs.

use crate::client::Client;
use crate::compile::{Calibration, CompileError, Model, Program, Settings, lower};
use crate::model::{Convolution, Dense, Graph, MaxPool, Operator, Shape};
use crate::server::Server;
use bellerophon_bridge::{self as bridge, Assumptions, BootstrapLiteral, ParametersLiteral};
use bellerophon_schemes::wire::{HEADER_BYTES, WireError};
use ndarray::{Array1, Array2, Array4, ArrayD, IxDyn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::LazyLock;

pub(crate) const SIZE: usize = 8;

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn settings(log_dimension: u32) -> Settings {
    let size = 1 << log_dimension;
    let key = |glwe_dimension| BootstrapLiteral {
        glwe_dimension,
        polynomial_size: size / glwe_dimension,
        base_log: 15,
        levels: 2,
        grouping_factor: glwe_dimension,
    };
    Settings {
        parameters: ParametersLiteral {
            assumptions: Assumptions::Compact,
            log_dimension,
            modulus_bits: 50,
            lwe_dimension: 48,
            down_gadget: (5, 4),
            up_gadget: (10, 5),
            bootstraps: vec![key(1), key((size / 256).min(2))],
        },
        pool_key: 1,
        activation_key: 0,
        weight_bits: 8,
        first_weight_bits: 12,
        shared_bits: 2,
        pool_margin: 1.1,
        activation_margin: 1.2,
    }
}

pub(crate) fn parameters(settings: &Settings) -> bridge::Parameters {
    bridge::Parameters::insecure_unchecked(settings.parameters.clone(), -28.0, -47.0).unwrap()
}

fn uniform(rng: &mut ChaCha20Rng) -> f64 {
    rng.random_range(-1.0..1.0)
}

pub(crate) fn convolution(outputs: usize, inputs: usize, size: usize, seed: u64) -> Convolution {
    let mut rng = rng(seed);
    let weights = Array4::from_shape_simple_fn((outputs, inputs, size, size), || uniform(&mut rng));
    Convolution::new(weights, Array1::from_shape_simple_fn(outputs, || uniform(&mut rng)))
}

pub(crate) fn dense(outputs: usize, inputs: usize, seed: u64) -> Dense {
    let mut rng = rng(seed);
    let weights = Array2::from_shape_simple_fn((outputs, inputs), || uniform(&mut rng));
    Dense { weights, bias: Array1::from_shape_simple_fn(outputs, || uniform(&mut rng)) }
}

pub(crate) fn halving() -> Operator {
    Operator::MaxPool(MaxPool::new([2, 2], [2, 2]))
}

/// One layer behind the other, named by their operators and numbers.
pub(crate) fn chain(shape: Shape, operators: Vec<Operator>) -> Option<Graph> {
    let mut graph = Graph::new("input", shape).ok()?;
    for (index, operator) in operators.into_iter().enumerate() {
        let last = graph.output();
        graph.push(format!("{}{index}", operator.name()), operator, vec![last]).ok()?;
    }
    Some(graph)
}

pub(crate) fn image(shape: Shape, seed: u64) -> ArrayD<f64> {
    let mut rng = rng(seed);
    ArrayD::from_shape_simple_fn(IxDyn(&shape.dimensions()), || rng.random_range(0.0..1.0))
}

/// A convolution, a max-pool, two dense layers.
pub(crate) fn graph() -> Graph {
    let operators = vec![
        Operator::Convolution(convolution(2, 1, 3, 1)),
        Operator::RELU,
        halving(),
        Operator::Flatten,
        Operator::Dense(dense(6, 18, 2)),
        Operator::RELU,
        Operator::Dense(dense(4, 6, 3)),
    ];
    chain(Shape::image(1, SIZE, SIZE), operators).unwrap()
}

/// The network with the ranges of `count` random images: those of [`image`] from seed 0 on.
pub(crate) fn model(graph: &Graph, count: u64) -> Result<Model, CompileError> {
    let images = (0..count).map(|seed| image(graph.input_shape(), seed));
    Model::from_graph(graph.clone())?.calibrate(images)
}

pub(crate) fn calibration(model: &Model) -> &Calibration {
    model.calibration().unwrap()
}

/// The program under settings that need not be secure.
pub(crate) fn lowered(model: &Model, settings: &Settings) -> Result<Program, CompileError> {
    lower::lower(model.stages(), calibration(model), settings)
}

/// The program of a network whose ranges are those of four random images.
pub(crate) fn compiled(graph: &Graph, settings: &Settings) -> Result<Program, CompileError> {
    lowered(&model(graph, 4)?, settings)
}

/// The network, compiled; a client; a server with its keys.
pub(crate) struct World {
    pub(crate) graph: Graph,
    pub(crate) model: Model,
    pub(crate) parameters: bridge::Parameters,
    pub(crate) program: Program,
    pub(crate) client: Client,
    pub(crate) keys: Vec<u8>,
    pub(crate) server: Server,
}

impl World {
    pub(crate) fn new(log_dimension: u32, seed: u64) -> Self {
        let (graph, settings) = (graph(), settings(log_dimension));
        let model = model(&graph, 64).unwrap();
        let program = lowered(&model, &settings).unwrap();
        let parameters = parameters(&settings);
        let mut rng = rng(seed);
        let client = Client::new(parameters.clone(), &mut rng).unwrap();
        let keys = client.publish_keys(&mut rng).unwrap().bytes;
        let server = Server::new(&parameters, program.clone(), &keys).unwrap();
        Self { graph, model, parameters, program, client, keys, server }
    }

    pub(crate) fn encrypted_image(&self, seed: u64) -> Vec<u8> {
        let image: Vec<f64> = self.image(seed);
        self.client.encrypt(&self.program, &image, &mut rng(seed + 1000)).unwrap()
    }

    pub(crate) fn image(&self, seed: u64) -> Vec<f64> {
        image(self.graph.input_shape(), seed).into_iter().collect()
    }
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| World::new(9, 1));
/// The same parameters, other secrets.
pub(crate) static STRANGER: LazyLock<World> = LazyLock::new(|| World::new(9, 2));
/// Another ring.
pub(crate) static ELSEWHERE: LazyLock<World> = LazyLock::new(|| World::new(10, 3));

type Expected = fn(&WireError) -> bool;

/// Damaged copies of a message, each with the error that it must give.
pub(crate) fn damaged(bytes: &[u8]) -> Vec<(Vec<u8>, Expected)> {
    let altered = |at: usize| {
        let mut copy = bytes.to_vec();
        copy[at] ^= 0x40;
        copy
    };
    let truncated: Expected = |error| matches!(error, WireError::Truncated { .. });
    let checksum: Expected = |error| matches!(error, WireError::Checksum { .. });
    vec![
        (Vec::new(), truncated),
        (bytes[..HEADER_BYTES - 1].to_vec(), truncated),
        (bytes[..HEADER_BYTES].to_vec(), truncated),
        (bytes[..bytes.len() - 1].to_vec(), truncated),
        ([bytes, &[0]].concat(), |error| matches!(error, WireError::Trailing { extra: 1, .. })),
        (altered(0), |error| matches!(error, WireError::Magic { .. })),
        (altered(4), |error| matches!(error, WireError::Version { .. })),
        (altered(6), |error| matches!(error, WireError::Kind { .. })),
        (altered(15), |error| matches!(error, WireError::TooLong { .. })),
        (altered(20), checksum),
        (altered(HEADER_BYTES), checksum),
        (altered(bytes.len() - 1), checksum),
    ]
}

/// Feeds damaged copies of `bytes` to a reader, which must refuse each in one line.
pub(crate) fn refuses_damage<E: std::error::Error>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<(), E>,
    wire: impl Fn(&E) -> Option<&WireError>,
) {
    read(bytes).unwrap();
    for (index, (copy, expected)) in damaged(bytes).into_iter().enumerate() {
        let error = read(&copy).unwrap_err();
        assert!(wire(&error).is_some_and(expected), "case {index}: {error:?}");
        assert!(!error.to_string().contains('\n') && error.to_string().len() > 10, "{error}");
    }
}
