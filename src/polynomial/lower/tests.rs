//! Programs in f64 against the networks they come from.

use super::*;
use crate::model::strategies::{convolutions, dense_layers};
use crate::model::{self, Graph, MaxPool, MeanPool};
use crate::polynomial::choice::{Activation, Pooling};
use crate::polynomial::clear;
use crate::polynomial::network::Replacement;
use crate::polynomial::program::LinearMap;
use crate::tiny;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::{Conformant, from_bytes, to_bytes};
use proptest::prelude::*;

fn replacement(activation: Activation, pooling: Pooling) -> Replacement {
    Replacement { activation, pooling, margin: 1.1 }
}

fn replaced(graph: &Graph, activation: &str, pooling: Pooling) -> PolynomialNetwork {
    let samples: Vec<_> = (0..6).map(|seed| tiny::image(graph.input_shape(), seed)).collect();
    let replacement = replacement(activation.parse().unwrap(), pooling);
    PolynomialNetwork::new(graph, &replacement, &samples).unwrap()
}

fn compiled(network: &PolynomialNetwork) -> Program {
    let samples = [tiny::image(network.input_shape(), 0)];
    compile(network, &Settings::default(), &samples).unwrap()
}

/// The largest difference relative to the largest result.
fn difference(network: &PolynomialNetwork, program: &Program, seed: u64) -> f64 {
    let image = tiny::image(network.input_shape(), seed);
    let expected: Vec<f64> = network.evaluate(&image).unwrap().into_iter().collect();
    let values: Vec<f64> = image.into_iter().collect();
    let found = clear::evaluate(program, &values).unwrap();
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().fold(1e-9_f64, |size, value| size.max(value.abs()));
    let largest = |most: f64, (a, b): (&f64, &f64)| most.max((a - b).abs());
    found.iter().zip(&expected).fold(0.0, largest) / size
}

fn convolutional() -> Graph {
    let operators = vec![
        Operator::Convolution(tiny::convolution(3, 1, 3, 1)),
        Operator::RELU,
        tiny::halving(),
        Operator::Convolution(tiny::convolution(5, 3, 2, 2)),
        Operator::RELU,
        Operator::MaxPool(MaxPool::new([3, 2], [1, 2])),
        Operator::Flatten,
        Operator::Dense(tiny::dense(7, 20, 3)),
        Operator::RELU,
        Operator::Dense(tiny::dense(4, 7, 4)),
    ];
    tiny::chain(Shape::image(1, 12, 12), operators).unwrap()
}

#[test]
fn every_choice_computes_its_network() {
    let graph = convolutional();
    for activation in [
        "square",
        "square2x",
        "chebyshev:2",
        "chebyshev:5",
        "least-squares:3",
        "derivative:4",
        "taylor:4",
        "taylor:1",
        "minimax:4",
    ] {
        for pooling in [Pooling::Mean, Pooling::Sum] {
            let network = replaced(&graph, activation, pooling);
            let program = compiled(&network);
            for seed in [0, 77] {
                let found = difference(&network, &program, seed);
                assert!(found < 1e-9, "{activation} {pooling}: {found}");
            }
            program.conforms(&()).unwrap();
        }
    }
}

#[test]
fn quadratics_take_one_level() {
    let graph = convolutional();
    for activation in ["square", "square2x", "least-squares:2", "taylor:2"] {
        let program = compiled(&replaced(&graph, activation, Pooling::Mean));
        assert_eq!(program.steps[0].level, 7, "{activation}"); // four layers, three squares
        assert_eq!(program.output_level(), 0);
        let squares = program.steps.iter().filter(|step| step.operation == Operation::Square);
        assert_eq!(squares.count(), 3);
    }
}

#[test]
fn layers_in_any_order_are_computed() {
    let normalization = Operator::BatchNormalization(BatchNormalization {
        scale: ndarray::array![0.5, -2.0],
        shift: ndarray::array![1.0, 3.0],
    });
    let pool = Operator::MeanPool(MeanPool::new([2, 3], [2, 1]));
    let orders = [
        vec![Operator::RELU],
        vec![pool.clone(), Operator::RELU, normalization.clone()],
        vec![normalization.clone(), pool.clone(), Operator::RELU, Operator::RELU, pool.clone()],
        vec![Operator::Flatten],
        vec![pool.clone(), pool, Operator::Flatten, Operator::Dense(tiny::dense(3, 8, 5))],
    ];
    for (index, operators) in orders.into_iter().enumerate() {
        let graph = tiny::chain(Shape::image(2, 8, 6), operators).unwrap();
        for activation in ["square2x", "chebyshev:3"] {
            let network = replaced(&graph, activation, Pooling::Sum);
            let found = difference(&network, &compiled(&network), 9);
            assert!(found < 1e-9, "order {index}, {activation}: {found}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_networks_are_computed(
        (convolution, second) in convolutions(2).prop_flat_map(|first| {
            let second = convolutions(first.bias.len());
            (Just(first), second)
        }),
        coefficients in proptest::collection::vec(-2.0..2.0_f64, 1..6),
        dense in any::<u64>(),
    ) {
        let trained = model::Polynomial { coefficients };
        let operators = vec![
            Operator::Convolution(convolution),
            Operator::Polynomial(trained.clone()),
            tiny::halving(),
            Operator::Convolution(second),
            Operator::Polynomial(trained),
            Operator::Flatten,
        ];
        let Some(mut graph) = tiny::chain(Shape::image(2, 11, 9), operators) else { return Ok(()) };
        let flat = graph.output();
        let inputs = graph.output_shape().elements();
        graph.push("dense", Operator::Dense(tiny::dense(3, inputs, dense)), vec![flat]).unwrap();
        let samples: Vec<_> = (0..6).map(|seed| tiny::image(graph.input_shape(), seed)).collect();
        let replacement = replacement(Activation::Trained, Pooling::Mean);
        let network = PolynomialNetwork::new(&graph, &replacement, &samples);
        let Ok(network) = network else { return Ok(()) }; // a power that overflows
        let Ok(program) = compile(&network, &Settings::default(), &[]) else { return Ok(()) };
        prop_assert!(difference(&network, &program, dense % 100) < 1e-8);
    }

    #[test]
    fn random_dense_layers_are_computed(
        first in dense_layers(20), seed in 0..100_u64,
    ) {
        let outputs = first.bias.len();
        let operators = vec![
            Operator::Dense(first),
            Operator::RELU,
            Operator::Dense(tiny::dense(9, outputs, seed)),
        ];
        let graph = tiny::chain(Shape::Vector(20), operators).unwrap();
        let network = replaced(&graph, "chebyshev:3", Pooling::Mean);
        prop_assert!(difference(&network, &compiled(&network), seed) < 1e-9);
    }
}

#[test]
fn the_smallest_secure_ring_is_taken() {
    let program = compiled(&replaced(&convolutional(), "square", Pooling::Mean));
    let bits: u32 =
        program.parameters.modulus_bits.iter().chain(&program.parameters.special_bits).sum();
    assert_eq!(program.parameters.log_dimension, 14);
    assert!(bits > 214 && bits <= 430, "{bits}"); // 214 bits would do with 8192
}

#[test]
fn depth_beyond_every_ring_is_refused() {
    let network = replaced(&convolutional(), "chebyshev:3", Pooling::Mean);
    let settings = Settings { log_dimension: Some(13), ..Settings::default() };
    let error = compile(&network, &settings, &[]).unwrap_err();
    assert!(
        matches!(
            error,
            PolynomialError::NothingFits { levels: 10, log_dimension: 13, security: 128 }
        ),
        "{error}"
    );
    let settings = Settings { security: SecurityLevel::Bits256, ..Settings::default() };
    let deep = replaced(&convolutional(), "minimax:9", Pooling::Mean);
    let error = compile(&deep, &settings, &[]).unwrap_err();
    assert!(matches!(error, PolynomialError::NothingFits { security: 256, .. }), "{error}");
}

#[test]
fn programs_survive_the_wire_and_bad_ones_are_refused() {
    let graph =
        tiny::chain(Shape::Vector(6), vec![Operator::Dense(tiny::dense(3, 6, 1)), Operator::RELU]);
    let program = compiled(&replaced(&graph.unwrap(), "chebyshev:3", Pooling::Mean));
    let bytes = to_bytes(&program).unwrap();
    assert_eq!(from_bytes::<Program, _>(&bytes, 1 << 24, &()).unwrap(), program);
    let linear = |program: &mut Program, change: &dyn Fn(&mut LinearMap)| {
        let Operation::Linear(map) = &mut program.steps[0].operation else { panic!() };
        change(map);
    };
    let changes: [&dyn Fn(&mut Program); 6] = [
        &|program| program.input[0].slot = 1 << 20,
        &|program| program.output[0].ciphertext = 1,
        &|program| program.period = 3,
        &|program| program.parameters.log_dimension = 40,
        &|program| linear(program, &|map| map.outputs[0].biases.truncate(7)),
        &|program| linear(program, &|map| map.outputs[0].terms.push(Default::default())),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut bad = program.clone();
        change(&mut bad);
        assert!(bad.conforms(&()).is_err(), "change {index}");
    }
}
