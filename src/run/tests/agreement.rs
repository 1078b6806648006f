//! The clear program computes what the network computes.

use super::networks::plans;
use super::*;
use crate::compile::{CompileError, Model, Settings};
use crate::model::{Activation, Convolution, MaxPool, NodeId};
use bellerophon_schemes::tfhe::LookupTable;
use ndarray::ArrayD;
use proptest::prelude::*;
use std::collections::HashSet;

/// Almost no rounding of weights.
fn fine(log_dimension: u32) -> Settings {
    Settings { weight_bits: 24, first_weight_bits: 24, ..tiny::settings(log_dimension) }
}

/// Fails at the first junk value that a table is asked to read.
struct NoJunk;

impl Observer<Clear> for NoJunk {
    fn begin(&mut self, _: usize, _: &Step) {}

    fn end(&mut self, index: usize, step: &Step, value: &Value<Clear>) {
        if let Value::Switched(phases) | Value::Samples(phases) = value {
            let finite = phases.iter().all(|phase| phase.is_finite());
            assert!(finite, "step {index} ({}) reads junk", step.stage);
        }
    }
}

/// What the encrypted backend asks of a program and the clear one does not.
fn well_formed(program: &Program) {
    let dimension = clear::dimension(program);
    let unique = |places: Vec<Place>, stage: &str| {
        let count = places.len();
        let inside = places.iter().all(|place| place.coefficient < dimension);
        let found: HashSet<Place> = places.into_iter().collect();
        assert!(inside && found.len() == count, "{stage}: two values in one place");
    };
    unique(program.input.iter().map(|placement| placement.place).collect(), "input");
    for step in &program.steps {
        match &step.operation {
            Operation::ToCkks { placements, ciphertexts, .. } => {
                unique(placements.iter().map(|placement| placement.place).collect(), &step.stage);
                let ciphertext = |p: &Placement| p.place.ciphertext;
                let mut order: Vec<usize> = placements.iter().map(ciphertext).collect();
                assert!(order.is_sorted(), "{}: placements are not sorted", step.stage);
                assert!(order.pop().is_none_or(|last| last < *ciphertexts), "{}", step.stage);
            }
            Operation::Lut { tables, .. } => {
                for (_, table) in tables {
                    let made = LookupTable::new(dimension, table.start, |x| table.inside_window(x));
                    assert!(made.is_ok(), "{}: {made:?} for {table:?}", step.stage);
                }
            }
            _ => {}
        }
    }
}

/// Compiles for images and runs on them.
fn agrees(graph: &Graph, settings: &Settings, images: &[ArrayD<f64>]) {
    let model = Model::from_graph(graph.clone()).unwrap();
    let model = model.calibrate(images.iter().cloned()).unwrap();
    let program = match tiny::lowered(&model, settings) {
        Err(CompileError::Setting { name: "range of a layer", .. }) => {
            // what is zero on every image has no scale
            let zero = |image| graph.evaluate(image).unwrap().iter().all(|&value| value == 0.0);
            return assert!(images.iter().all(zero));
        }
        program => program.unwrap(),
    };
    well_formed(&program);
    let stages = &tiny::calibration(&model).stages;
    let ranges = stages.iter().flat_map(|stage| [stage.linear, stage.result]);
    let largest = ranges.map(|range| range.magnitude()).fold(1.0, f64::max);
    for image in images {
        let values: Vec<f64> = image.iter().copied().collect();
        let clear = Clear::new(clear::dimension(&program));
        let input = clear.encrypt(&values, &program).unwrap();
        execute(&clear, &program, input, &mut NoJunk).unwrap();
        let found = clear::evaluate(&program, &values).unwrap();
        let expected = graph.evaluate(image).unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let close = (found - expected).abs() <= 1e-4 * largest;
            assert!(close, "{found} where the plain network has {expected}, of {largest}");
        }
    }
}

fn images(graph: &Graph, seed: u64) -> Vec<ArrayD<f64>> {
    (0..3).map(|i| tiny::image(graph.input_shape(), seed.wrapping_add(i))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn clear_program_is_the_network(
        plan in plans(12),
        log_dimension in prop_oneof![Just(9_u32), Just(11)],
    ) {
        let graph = plan.graph();
        agrees(&graph, &fine(log_dimension), &images(&graph, plan.seed));
    }

    /// Maps larger than the ring, which are cut into tiles of rows.
    #[test]
    fn tiles_are_the_network(plan in plans(40)) {
        let graph = plan.graph();
        agrees(&graph, &fine(9), &images(&graph, plan.seed));
    }

    #[test]
    fn dense_networks_are_the_network(
        lengths in prop::collection::vec(1_usize..40, 1..4),
        classes in 1_usize..40,
        long in prop::option::of(500_usize..1600),
        seed: u64,
    ) {
        let lengths: Vec<usize> = lengths.into_iter().chain(long).collect();
        let mut layers = Vec::new();
        for (index, pair) in lengths.windows(2).enumerate() {
            layers.push(Operator::Dense(tiny::dense(pair[1], pair[0], seed ^ index as u64)));
            layers.push(Operator::RELU);
        }
        layers.push(Operator::Dense(tiny::dense(classes, lengths[lengths.len() - 1], !seed)));
        let graph = tiny::chain(Shape::Vector(lengths[0]), layers).unwrap();
        agrees(&graph, &fine(9), &images(&graph, seed));
    }
}

#[test]
fn an_image_that_is_flattened_first_is_read_in_order() {
    let layers = vec![Operator::Flatten, Operator::Dense(tiny::dense(5, 36, 1))];
    let graph = tiny::chain(Shape::image(1, 6, 6), layers).unwrap();
    agrees(&graph, &fine(9), &[tiny::image(graph.input_shape(), 1)]);
}

/// The padding of a max-pool must lose against every value of every image, though it is one number
/// and the images' ranges lie far apart.
#[test]
fn padding_of_a_max_pool_is_below_all_images() {
    let pool = MaxPool { kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
    let operators = vec![Operator::MaxPool(pool)];
    let graph = tiny::chain(Shape::image(1, 6, 6), operators).unwrap();
    let image = tiny::image(graph.input_shape(), 1);
    let images = [&image * 0.01 - 20.0, &image * 0.01, &image * 0.01 + 30.0];
    agrees(&graph, &fine(9), &images);
}

/// Windows that overlap share rows with the next tile before they are pooled.
#[test]
fn overlapping_pools_cross_tiles() {
    let pool = MaxPool::new([3, 3], [2, 2]);
    let first = Operator::Convolution(tiny::convolution(2, 1, 3, 1));
    let operators = vec![first, Operator::RELU, Operator::MaxPool(pool)];
    let graph = tiny::chain(Shape::image(1, 41, 37), operators).unwrap();
    agrees(&graph, &fine(9), &images(&graph, 5));
}

/// A max-pool's result has a narrow range where its differences are wide: the table's window is
/// wider than the range by far.
#[test]
fn a_window_much_wider_than_the_range_keeps_its_table_within_the_torus() {
    let pool = MaxPool::new([2, 2], [2, 2]);
    for function in [Activation::Relu, Activation::Elu { alpha: 1.0 }, Activation::Softplus] {
        let operators = vec![Operator::MaxPool(pool), Operator::Activation(function)];
        let graph = tiny::chain(Shape::image(1, 4, 4), operators).unwrap();
        let image = |seed: u64| {
            let mut image = tiny::image(graph.input_shape(), seed) * 0.01 - 30.0;
            let largest = image.iter_mut().step_by(2);
            largest.enumerate().filter(|(at, _)| at / 2 % 2 == 0).for_each(|(_, v)| *v += 30.5);
            image
        };
        agrees(&graph, &fine(9), &[image(1), image(2)]);
    }
}

/// Phases of a strided map that hold nothing but padding, and tiles of nothing but padding.
#[test]
fn ciphertexts_of_padding_alone_are_zero() {
    let wide = Convolution { pads: [40, 0, 40, 0], ..tiny::convolution(1, 1, 3, 1) };
    let operators = vec![Operator::RELU, Operator::Convolution(wide)];
    let graph = tiny::chain(Shape::image(1, 6, 30), operators).unwrap();
    agrees(&graph, &fine(9), &images(&graph, 1));
}

/// Each value of a dense block is read by several sums, whose amplitudes are chosen before its own.
#[test]
fn sums_of_sums_are_exact() {
    let mut graph = Graph::new("image", Shape::image(2, 6, 6)).unwrap();
    let input = graph.input();
    let mut layer = |operator: Operator, inputs: &[NodeId]| {
        let name = format!("layer{}", graph.nodes().len());
        graph.push(name, operator, inputs.to_vec()).unwrap()
    };
    let same = |seed| {
        let layer = tiny::convolution(2, 2, 3, seed);
        Operator::Convolution(Convolution { pads: [1; 4], ..layer })
    };
    let mut values = vec![layer(same(0), &[input])];
    values[0] = layer(Operator::RELU, &values[..1]);
    for seed in 1..4 {
        let next = layer(same(seed), &values[values.len() - 1..]);
        let sum = layer(Operator::Sum, &[&values[..], &[next]].concat());
        values.push(layer(Operator::RELU, &[sum]));
    }
    agrees(&graph, &fine(9), &images(&graph, 1));
}

#[test]
fn a_channel_without_weights_is_its_bias() {
    let mut first = tiny::convolution(2, 1, 3, 5);
    first.weights.index_axis_mut(ndarray::Axis(0), 1).fill(0.0);
    let layers = vec![
        Operator::Convolution(first),
        Operator::RELU,
        tiny::halving(),
        Operator::Flatten,
        Operator::Dense(tiny::dense(3, 18, 6)),
    ];
    let graph = tiny::chain(Shape::image(1, 8, 8), layers).unwrap();
    agrees(&graph, &fine(9), &[tiny::image(graph.input_shape(), 1)]);
}

#[test]
fn coarse_weights_are_rounded_to_their_bits() {
    let graph = tiny::chain(Shape::Vector(8), vec![Operator::Dense(tiny::dense(4, 8, 9))]).unwrap();
    let (image, model) = (tiny::image(graph.input_shape(), 1), tiny::model(&graph, 8).unwrap());
    let values: Vec<f64> = image.iter().copied().collect();
    let expected = graph.evaluate(&image).unwrap();
    for bits in [4, 8, 16] {
        let settings = Settings { first_weight_bits: bits, ..tiny::settings(9) };
        let program = tiny::lowered(&model, &settings).unwrap();
        let Operation::Linear(map) = &program.steps[0].operation else { unreachable!() };
        let weights = map.outputs.iter().flat_map(|o| &o.terms).flat_map(|t| &t.weights);
        let largest = weights.map(|(_, weight)| weight.abs()).max().unwrap();
        assert_eq!(largest, (1 << (bits - 1)) - 1);
        let found = clear::evaluate(&program, &values).unwrap();
        let errors = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let error = errors.fold(0.0, f64::max);
        let scale = program.steps[0].amplitude / program.input_amplitude;
        let bound = 8.0 * 0.5 / scale; // eight inputs below 1, each weight off by half a unit
        assert!(error <= bound && error > bound * 1e-3, "{bits} bits: {error}");
    }
}
