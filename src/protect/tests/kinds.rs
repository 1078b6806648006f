//! Kinds of layers and the shipped networks, protected.

use super::*;
use crate::compile::{Form, Model, Normalization, Operation, Settings, Slopes};
use crate::model::{
    Activation, BatchNormalization, Graph, MaxPool, MeanPool, Operator, Shape, onnx,
};
use ndarray::Array1;

fn deploy(graph: &Graph, settings: &Settings) -> Deployed {
    let parameters = tiny::parameters(settings);
    Deployed::new(&parameters, tiny::compiled(graph, settings).unwrap(), 21)
}

fn agrees(graph: &Graph, name: &str) {
    let deployed = deploy(graph, &tiny::settings(9));
    let image: Vec<f64> = tiny::image(graph.input_shape(), 1).into_iter().collect();
    deployed.assert_agrees(&image, name);
}

#[test]
fn every_activation_runs_protected() {
    for activation in [
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Elu { alpha: 1.0 },
        Activation::Softplus,
        Activation::Sigmoid,
        Activation::Tanh,
    ] {
        let layers = vec![
            Operator::Dense(tiny::dense(6, 12, 1)),
            Operator::Activation(activation),
            Operator::Dense(tiny::dense(4, 6, 2)),
        ];
        agrees(&tiny::chain(Shape::Vector(12), layers).unwrap(), &format!("{activation:?}"));
    }
}

fn mean(include_padding: bool) -> Operator {
    Operator::MeanPool(MeanPool { kernel: [2, 2], strides: [2, 2], pads: [0; 4], include_padding })
}

#[test]
fn pools_run_protected() {
    let max = Operator::MaxPool(MaxPool::new([3, 2], [2, 2]));
    for (name, pool) in [("mean-pool", mean(true)), ("max-pool", max)] {
        let layers = vec![
            Operator::Convolution(tiny::convolution(2, 1, 3, 1)),
            Operator::RELU,
            pool,
            Operator::Flatten,
        ];
        let mut graph = tiny::chain(Shape::image(1, 8, 8), layers).unwrap();
        let inputs = graph.output_shape().elements();
        let last = graph.output();
        graph.push("last", Operator::Dense(tiny::dense(3, inputs, 2)), vec![last]).unwrap();
        agrees(&graph, name);
    }
}

#[test]
fn residual_blocks_run_protected() {
    let mut graph = Graph::new("input", Shape::image(1, 6, 6)).unwrap();
    let input = graph.input();
    let padded = |outputs, inputs, seed| {
        let layer = tiny::convolution(outputs, inputs, 3, seed);
        Operator::Convolution(crate::model::Convolution { pads: [1; 4], ..layer })
    };
    let first = graph.push("first", padded(2, 1, 1), vec![input]).unwrap();
    let start = graph.push("relu0", Operator::RELU, vec![first]).unwrap();
    let second = graph.push("second", padded(2, 2, 2), vec![start]).unwrap();
    let inner = graph.push("relu1", Operator::RELU, vec![second]).unwrap();
    let third = graph.push("third", padded(2, 2, 3), vec![inner]).unwrap();
    let sum = graph.push("sum", Operator::Sum, vec![third, start]).unwrap();
    graph.push("relu2", Operator::RELU, vec![sum]).unwrap();
    agrees(&graph, "residual block");
}

/// Convolution, batch normalization, ReLU, pool, dense; with the normalization folded or its own.
#[test]
fn batch_normalization_runs_as_an_encrypted_layer_of_its_own() {
    let normalization = BatchNormalization {
        scale: Array1::from_vec(vec![1.5, -0.75]),
        shift: Array1::from_vec(vec![0.25, 0.5]),
    };
    let layers = vec![
        Operator::Convolution(tiny::convolution(2, 1, 3, 1)),
        Operator::BatchNormalization(normalization),
        Operator::RELU,
        tiny::halving(),
        Operator::Flatten,
        Operator::Dense(tiny::dense(4, 18, 2)),
    ];
    let graph = tiny::chain(Shape::image(1, 8, 8), layers).unwrap();
    let settings = tiny::settings(9);
    let image = tiny::image(graph.input_shape(), 1);
    let values: Vec<f64> = image.iter().copied().collect();
    let plain = graph.evaluate(&image).unwrap();
    let mut layers = Vec::new();
    for normalization in [Normalization::Folded, Normalization::Own] {
        let form = Form { normalization, ..Form::default() };
        let model = Model::with_form(graph.clone(), form).unwrap();
        let images = (0..16).map(|seed| tiny::image(graph.input_shape(), seed));
        let model = model.calibrate(images).unwrap();
        let program = tiny::lowered(&model, &settings).unwrap();
        let linear = |step: &&crate::compile::Step| matches!(step.operation, Operation::Linear(_));
        layers.push(program.steps.iter().filter(linear).count());
        let deployed = Deployed::new(&tiny::parameters(&settings), program, 5);
        deployed.assert_agrees(&values, &format!("{normalization:?}"));
        let found = clear::evaluate(&deployed.program, &values).unwrap();
        assert!(found.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 0.1), "{found:?} {plain}");
    }
    assert_eq!(layers, [2, 3]);
}

/// The shipped networks at their real size, under keys that are small and not secure; slopes that
/// were learned are kept in weights.
#[test]
fn shipped_networks_run_protected() {
    let settings = tiny::settings(11);
    let parameters = tiny::parameters(&settings);
    for (name, form) in [
        ("mlp", Form::default()),
        ("lenet5", Form::default()),
        ("lenet5_leaky", Form::default()),
        ("odd1", Form { slopes: Slopes::Weights, ..Form::default() }),
        ("odd2", Form { slopes: Slopes::Weights, ..Form::default() }),
        ("odd3", Form { slopes: Slopes::Weights, ..Form::default() }),
    ] {
        let path = format!("{}/models/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
        let graph = onnx::import(path).unwrap();
        let images = (0..4).map(|seed| tiny::image(graph.input_shape(), seed));
        let model = Model::with_form(graph.clone(), form).unwrap().calibrate(images).unwrap();
        let program = tiny::lowered(&model, &settings).unwrap();
        let image: Vec<f64> = tiny::image(graph.input_shape(), 1).into_iter().collect();
        Deployed::new(&parameters, program, 21).assert_agrees(&image, name);
    }
}
