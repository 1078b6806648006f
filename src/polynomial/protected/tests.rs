//! Owner and edge, encrypted, in a small ring.

mod costs;
mod networks;
mod noise;
mod refusals;
mod wire;

use super::*;
use crate::model::{Graph, Operator, Shape};
use crate::polynomial::cost::Sizes;
use crate::polynomial::parameters::Choice;
use crate::polynomial::{Pooling, Replacement};
use crate::tiny;
use bellerophon_schemes::ckks::{Parameters, ParametersLiteral};
use bellerophon_schemes::wire::to_bytes;
use ndarray::ArrayD;
use rand_chacha::ChaCha20Rng;
use std::sync::LazyLock;

const LOG_DIMENSION: u32 = 9;

fn choice(levels: usize, log_scale: u32) -> Choice {
    let chain = std::iter::once(log_scale + 8).chain(std::iter::repeat_n(log_scale, levels));
    Choice {
        literal: ParametersLiteral {
            log_dimension: LOG_DIMENSION,
            modulus_bits: chain.collect(),
            special_bits: vec![(log_scale + 9).min(50); 2],
            digits: (levels + 1).div_ceil(2),
        },
        log_scale,
        sizes: Sizes { dimension: 1 << LOG_DIMENSION, limbs: levels + 1, special: 2, per_digit: 2 },
    }
}

fn replacement(activation: &str) -> Replacement {
    let activation = activation.parse().unwrap();
    Replacement { activation, pooling: Pooling::Mean, margin: 1.2 }
}

/// Dense, activation, dense.
fn classifier() -> Graph {
    let operators = vec![
        Operator::Dense(tiny::dense(12, 70, 2)),
        Operator::RELU,
        Operator::Dense(tiny::dense(5, 12, 3)),
    ];
    tiny::chain(Shape::Vector(70), operators).unwrap()
}

fn values(shape: Shape, seed: u64) -> Vec<f64> {
    tiny::image(shape, seed).into_iter().collect()
}

/// An owner with a network, and an edge that runs it.
struct World {
    plan: Plan,
    parameters: Parameters,
    owner: Owner,
    network: ProtectedNetwork,
    bytes: Vec<u8>,
    keys: PublishedKeys,
    edge: Edge,
    encryptor: InputEncryptor,
}

fn edge(parameters: &Parameters, network: &[u8], keys: &[u8]) -> Result<Edge, EdgeError> {
    Edge::new(parameters, ProtectedNetwork::from_bytes(network, parameters)?, keys)
}

fn plan(graph: &Graph, replacement: &Replacement) -> Plan {
    let samples: Vec<ArrayD<f64>> =
        (0..16).map(|seed| tiny::image(graph.input_shape(), seed)).collect();
    Plan::insecure(graph, replacement, &samples, |levels| choice(levels, 36)).unwrap()
}

impl World {
    fn new(graph: &Graph, replacement: &Replacement, seed: u64) -> Self {
        Self::of(plan(graph, replacement), &mut tiny::rng(seed))
    }

    fn of(plan: Plan, rng: &mut ChaCha20Rng) -> Self {
        let literal = plan.architecture().parameters.clone();
        let parameters = Parameters::insecure_unchecked(literal).unwrap();
        let owner = Owner::new(&parameters, rng).unwrap();
        let network = owner.protect(plan.plain(), rng, &|| ()).unwrap();
        let keys = owner.publish_keys(plan.architecture(), rng).unwrap();
        let bytes = to_bytes(&network).unwrap();
        let edge = edge(&parameters, &bytes, &keys.evaluation).unwrap();
        let encryptor =
            InputEncryptor::new(&parameters, plan.architecture(), &keys.public).unwrap();
        Self { plan, parameters, owner, network, bytes, keys, edge, encryptor }
    }

    fn encrypted(&self, seed: u64) -> Vec<u8> {
        let values = values(self.plan.input_shape(), seed);
        self.encryptor.encrypt(&values, &mut tiny::rng(seed)).unwrap()
    }

    fn open(&self, evaluation: &Evaluation) -> Vec<f64> {
        self.owner.decrypt(self.plan.architecture(), &evaluation.result).unwrap()
    }

    /// The results for one input, encrypted and in the clear.
    fn results(&self, seed: u64) -> [Vec<f64>; 2] {
        let values = values(self.plan.input_shape(), seed);
        let encrypted = self.edge.evaluate(&self.encrypted(seed), &|_| ()).unwrap();
        let clear = self.edge.evaluate_clear(&values, &|_| ()).unwrap();
        [encrypted, clear].map(|evaluation| self.open(&evaluation))
    }

    /// The largest difference from the plain network, relative to its largest result.
    fn difference(&self, seed: u64) -> f64 {
        let input = tiny::image(self.plan.input_shape(), seed);
        let expected = self.plan.evaluate(&input).unwrap();
        let size = expected.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
        let results = self.results(seed);
        let pairs = results.iter().flat_map(|found| {
            assert_eq!(found.len(), expected.len());
            found.iter().zip(&expected).map(|(a, b)| (a - b).abs())
        });
        pairs.fold(0.0, f64::max) / size
    }
}

static WORLD: LazyLock<World> =
    LazyLock::new(|| World::new(&classifier(), &replacement("square2x"), 1));
/// The same network, another secret.
static STRANGER: LazyLock<World> =
    LazyLock::new(|| World::new(&classifier(), &replacement("square2x"), 2));
