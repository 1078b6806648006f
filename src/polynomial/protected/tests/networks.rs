//! Every kind of layer, with its weights encrypted, against the plain network.

use super::*;
use crate::model::{BatchNormalization, MeanPool};
use crate::polynomial::protected::architecture::{InputLayout, Operation};
use ndarray::Array1;

fn normalization(channels: usize) -> Operator {
    Operator::BatchNormalization(BatchNormalization {
        scale: Array1::from_shape_fn(channels, |c| 0.5 + 0.25 * c as f64),
        shift: Array1::from_shape_fn(channels, |c| 0.3 - 0.2 * c as f64),
    })
}

/// Convolution, batch normalization as a layer of its own, activation, pooling, dense.
fn convolutional() -> Graph {
    let operators = vec![
        Operator::Convolution(tiny::convolution(2, 1, 3, 1)),
        normalization(2),
        Operator::RELU,
        tiny::halving(),
        Operator::Flatten,
        Operator::Dense(tiny::dense(4, 18, 2)),
    ];
    tiny::chain(Shape::image(1, 8, 8), operators).unwrap()
}

/// `x + conv(act(conv(x)))` behind a convolution, and a projected shortcut behind that.
fn residual() -> Graph {
    let padded = |outputs, inputs, seed| {
        let mut layer = tiny::convolution(outputs, inputs, 3, seed);
        layer.pads = [1; 4];
        Operator::Convolution(layer)
    };
    let mut graph = Graph::new("image", Shape::image(1, 6, 6)).unwrap();
    let mut push = |name: &str, operator, inputs| graph.push(name, operator, inputs).unwrap();
    let input = push("stem", padded(2, 1, 1), vec![graph_input()]);
    let start = push("relu1", Operator::RELU, vec![input]);
    let first = push("conv1", padded(2, 2, 2), vec![start]);
    let bent = push("relu2", Operator::RELU, vec![first]);
    let second = push("conv2", padded(2, 2, 3), vec![bent]);
    let sum = push("sum", Operator::Sum, vec![start, second]);
    let shortcut =
        push("shortcut", Operator::Convolution(tiny::convolution(3, 2, 1, 4)), vec![sum]);
    let other = push("conv3", padded(3, 2, 5), vec![sum]);
    let sum = push("sum2", Operator::Sum, vec![shortcut, other]);
    let bent = push("relu3", Operator::RELU, vec![sum]);
    let pool = push("pool", Operator::MeanPool(MeanPool::new([2, 2], [2, 2])), vec![bent]);
    let flat = push("flatten", Operator::Flatten, vec![pool]);
    push("dense", Operator::Dense(tiny::dense(4, 27, 6)), vec![flat]);
    graph
}

fn graph_input() -> crate::model::NodeId {
    Graph::new("image", Shape::image(1, 6, 6)).unwrap().input()
}

#[track_caller]
fn agrees(graph: &Graph, replacement: &Replacement, bits: i32) -> World {
    let world = World::new(graph, replacement, 3);
    for seed in 20..22 {
        let difference = world.difference(seed);
        assert!(difference < 2f64.powi(-bits), "2^{:.1}", difference.log2());
    }
    world
}

#[test]
fn classifiers_agree_with_the_plain_ones() {
    for activation in ["square2x", "square", "chebyshev:5", "least-squares:3"] {
        let world = agrees(&classifier(), &replacement(activation), 12);
        assert!(matches!(world.plan.architecture().layout, InputLayout::Tiled(_)));
    }
    let linear =
        vec![Operator::Dense(tiny::dense(12, 70, 2)), Operator::Dense(tiny::dense(5, 12, 3))];
    let linear = tiny::chain(Shape::Vector(70), linear).unwrap();
    let world = agrees(&linear, &replacement("square"), 14);
    assert_eq!(world.parameters.max_level(), 2);
    let last = tiny::chain(Shape::Vector(70), vec![Operator::Dense(tiny::dense(5, 70, 4))]);
    assert_eq!(agrees(&last.unwrap(), &replacement("square"), 16).parameters.max_level(), 1);
}

#[test]
fn composite_signs_agree_with_the_plain_ones() {
    agrees(&classifier(), &replacement("minimax:3"), 10);
}

#[test]
fn convolutions_poolings_and_batch_normalizations_agree_with_the_plain_ones() {
    let world = agrees(&convolutional(), &replacement("square2x"), 12);
    let stages: Vec<&str> =
        world.plan.architecture().linear().map(|(step, _)| step.stage.as_str()).collect();
    assert_eq!(stages, ["Convolution0", "BatchNormalization1", "Dense5"]);
    agrees(&convolutional(), &Replacement { pooling: Pooling::Sum, ..replacement("square") }, 12);
}

#[test]
fn residual_sums_agree_with_the_plain_ones() {
    let world = agrees(&residual(), &replacement("square2x"), 10);
    let steps = &world.plan.architecture().steps;
    let sums = steps.iter().filter(|step| matches!(step.operation, Operation::Add(_)));
    assert_eq!(sums.count(), 2);
}

#[test]
fn each_step_is_named_and_timed() {
    let stages = std::cell::RefCell::new(Vec::new());
    let watch = |stage: &str| stages.borrow_mut().push(stage.to_owned());
    let evaluation = WORLD.edge.evaluate(&WORLD.encrypted(1), &watch).unwrap();
    assert_eq!(*stages.borrow(), ["Dense0", "Relu1", "Dense2"]);
    assert_eq!(evaluation.durations.len(), 3);
}

/// What is shown depends on shapes and kinds of layers, and on powers of two.
#[test]
fn architectures_do_not_show_which_weights_are_zero() {
    let with = |seed, zeros: bool| {
        let mut first = tiny::dense(12, 70, seed);
        let mut second = tiny::dense(5, 12, seed + 1);
        if zeros {
            first.weights.row_mut(3).fill(0.0);
            second.weights.column_mut(7).fill(0.0);
        }
        let operators = vec![Operator::Dense(first), Operator::RELU, Operator::Dense(second)];
        let graph = tiny::chain(Shape::Vector(70), operators).unwrap();
        let mut architecture = plan(&graph, &replacement("square2x")).architecture().clone();
        architecture.factor = 1.0; // a power of two
        architecture
    };
    assert_eq!(with(2, false), with(2, true));
    assert_eq!(with(2, false), with(50, false));
    let factor = WORLD.plan.architecture().factor;
    assert_eq!(factor.log2().fract(), 0.0, "{factor}");
}
