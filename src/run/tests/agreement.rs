//! The clear program computes what the network computes.

use super::*;
use crate::compile::Settings;
use ndarray::ArrayD;
use proptest::prelude::*;

/// What a random network is made from.
#[derive(Clone, Debug)]
struct Plan {
    channels: usize,
    size: usize,
    kernel: usize,
    strides: [usize; 2],
    outputs: usize,
    pools: usize,
    second: Option<(usize, usize, [usize; 2], bool)>,
    hidden: Option<usize>,
    classes: usize,
    seed: u64,
}

fn plans() -> impl Strategy<Value = Plan> {
    let strides = || [1_usize..3, 1_usize..3];
    let first = (1_usize..5, 6_usize..13, prop_oneof![Just(3_usize), Just(5)], strides());
    let second = (1_usize..4, 2_usize..4, strides(), any::<bool>());
    let rest = (prop::option::of(second), prop::option::of(2_usize..8), 1_usize..6, any::<u64>());
    (first, 1_usize..4, 0_usize..3, rest).prop_map(|(first, outputs, pools, rest)| {
        let (channels, size, kernel, strides) = first;
        let (second, hidden, classes, seed) = rest;
        Plan { channels, size, kernel, strides, outputs, pools, second, hidden, classes, seed }
    })
}

impl Plan {
    /// `None` where a window does not fit.
    fn graph(&self) -> Option<Graph> {
        let shape = Shape::image(self.channels, self.size, self.size);
        let mut first = tiny::convolution(self.outputs, self.channels, self.kernel, self.seed);
        first.strides = self.strides;
        let mut layers = vec![Operator::Convolution(first), Operator::RELU];
        layers.extend((0..self.pools).map(|_| tiny::halving()));
        if let Some((outputs, kernel, strides, pool)) = self.second {
            let mut layer = tiny::convolution(outputs, self.outputs, kernel, self.seed ^ 1);
            layer.strides = strides;
            layers.extend([Operator::Convolution(layer), Operator::RELU]);
            layers.extend(pool.then(tiny::halving));
        }
        layers.push(Operator::Flatten);
        let mut length = tiny::chain(shape, layers.clone())?.output_shape().elements();
        if length == 1 {
            return None; // refused, see the tests of the compiler
        }
        if let Some(hidden) = self.hidden {
            layers.extend([
                Operator::Dense(tiny::dense(hidden, length, self.seed ^ 2)),
                Operator::RELU,
            ]);
            length = hidden;
        }
        layers.push(Operator::Dense(tiny::dense(self.classes, length, self.seed ^ 3)));
        tiny::chain(shape, layers)
    }
}

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

fn agrees(graph: &Graph, settings: &Settings, images: &[ArrayD<f64>]) {
    let simplified = simplify(graph).unwrap();
    let calibration = crate::model::calibrate(&simplified, images.iter().cloned()).unwrap();
    let program = compile(&simplified, &calibration, settings).unwrap();
    let ranges = simplified.iter().filter_map(|(id, _)| calibration.range(id));
    let largest = ranges.map(|range| range.magnitude()).fold(1.0, f64::max);
    for image in images {
        let values: Vec<f64> = image.iter().copied().collect();
        let clear = Clear::new(clear::dimension(&program));
        let phases = values.iter().map(|value| value * program.input_amplitude);
        let input = clear.encrypt(phases, &program).unwrap();
        execute(&clear, &program, input, &mut NoJunk).unwrap();
        let found = clear::evaluate(&program, &values).unwrap();
        let expected = graph.evaluate(image).unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let close = (found - expected).abs() <= 1e-4 * largest;
            assert!(close, "{found} where the plain network has {expected}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn clear_program_is_the_network(
        (plan, graph) in plans().prop_filter_map("windows fit", |plan| {
            let graph = plan.graph()?;
            Some((plan, graph))
        }),
        log_dimension in prop_oneof![Just(9_u32), Just(11)],
    ) {
        let image = |seed| tiny::image(graph.input_shape(), plan.seed.wrapping_add(seed));
        agrees(&graph, &fine(log_dimension), &[image(0), image(1), image(2)]);
    }

    #[test]
    fn dense_networks_are_the_network(
        lengths in prop::collection::vec(2_usize..40, 1..4),
        classes in 1_usize..40,
        seed: u64,
    ) {
        let mut layers = Vec::new();
        for (index, pair) in lengths.windows(2).enumerate() {
            layers.push(Operator::Dense(tiny::dense(pair[1], pair[0], seed ^ index as u64)));
            layers.push(Operator::RELU);
        }
        layers.push(Operator::Dense(tiny::dense(classes, lengths[lengths.len() - 1], !seed)));
        let graph = tiny::chain(Shape::Vector(lengths[0]), layers).unwrap();
        let images = [seed, !seed].map(|seed| tiny::image(graph.input_shape(), seed));
        agrees(&graph, &fine(9), &images);
    }
}

#[test]
fn an_image_that_is_flattened_first_is_read_in_order() {
    let layers = vec![Operator::Flatten, Operator::Dense(tiny::dense(5, 36, 1))];
    let graph = tiny::chain(Shape::image(1, 6, 6), layers).unwrap();
    agrees(&graph, &fine(9), &[tiny::image(graph.input_shape(), 1)]);
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
    let (image, calibration) = (tiny::image(graph.input_shape(), 1), tiny::calibration(&graph, 8));
    let values: Vec<f64> = image.iter().copied().collect();
    let expected = graph.evaluate(&image).unwrap();
    for bits in [4, 8, 16] {
        let settings = Settings { first_weight_bits: bits, ..tiny::settings(9) };
        let program = compile(&graph, &calibration, &settings).unwrap();
        let Operation::Linear(map) = &program.steps[0].operation else { unreachable!() };
        let weights = map.outputs.iter().flat_map(|o| &o.terms).flat_map(|t| &t.weights);
        let largest = weights.map(|(_, weight)| weight.abs()).max().unwrap();
        assert_eq!(largest, (1 << (bits - 1)) - 1);
        let found = clear::evaluate(&program, &values).unwrap();
        let errors = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let error = errors.fold(0.0, f64::max);
        let bound = 8.0 * 0.5 / map.scale; // eight inputs below 1, each weight off by half a unit
        assert!(error <= bound && error > bound * 1e-3, "{bits} bits: {error}");
    }
}
