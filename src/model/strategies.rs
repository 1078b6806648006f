//! Random layers and images for property tests.

use ndarray::{Array1, Array2, Array4, ArrayD, IxDyn};
use proptest::collection::vec;
use proptest::prelude::*;

use super::graph::Shape;
use super::operator::{
    BatchNormalization, Convolution, Dense, MAX_DEGREE, MaxPool, MeanPool, Polynomial,
};

pub(crate) fn images() -> impl Strategy<Value = Shape> {
    (1_usize..4, 1_usize..10, 1_usize..10).prop_map(|(c, h, w)| Shape::image(c, h, w))
}

pub(crate) fn values(shape: Shape) -> impl Strategy<Value = ArrayD<f64>> {
    let values = vec(-2.0..2.0_f64, shape.elements());
    values.prop_map(move |v| ArrayD::from_shape_vec(IxDyn(&shape.dimensions()), v).unwrap())
}

fn vector(length: usize) -> impl Strategy<Value = Array1<f64>> {
    vec(-1.0..1.0_f64, length).prop_map(Array1::from_vec)
}

pub(crate) fn convolutions(inputs: usize) -> impl Strategy<Value = Convolution> {
    let sizes = (1_usize..4, 1_usize..4, 1_usize..4);
    let steps = [1_usize..4, 1_usize..4];
    let pads = [0_usize..4, 0_usize..4, 0_usize..4, 0_usize..4];
    let kernel = sizes.prop_flat_map(move |(outputs, rows, columns)| {
        let count = outputs * inputs * rows * columns;
        let weights = vec(-1.0..1.0_f64, count);
        let shape = (outputs, inputs, rows, columns);
        let weights = weights.prop_map(move |w| Array4::from_shape_vec(shape, w).unwrap());
        (weights, vector(outputs))
    });
    let rest = (steps.clone(), pads, steps);
    (kernel, rest).prop_map(|((weights, bias), (strides, pads, dilations))| Convolution {
        weights,
        bias,
        strides,
        pads,
        dilations,
    })
}

pub(crate) fn normalizations(channels: usize) -> impl Strategy<Value = BatchNormalization> {
    let pair = (vector(channels), vector(channels));
    pair.prop_map(|(scale, shift)| BatchNormalization { scale, shift })
}

pub(crate) fn dense_layers(inputs: usize) -> impl Strategy<Value = Dense> {
    (1_usize..6).prop_flat_map(move |outputs| {
        let weights = vec(-1.0..1.0_f64, outputs * inputs);
        let matrix = move |w| Array2::from_shape_vec((outputs, inputs), w).unwrap();
        let pair = (weights.prop_map(matrix), vector(outputs));
        pair.prop_map(|(weights, bias)| Dense { weights, bias })
    })
}

pub(crate) fn max_pools() -> impl Strategy<Value = MaxPool> {
    let sizes = ([1_usize..4, 1_usize..4], [1_usize..4, 1_usize..4]);
    sizes.prop_map(|(kernel, strides)| MaxPool { kernel, strides })
}

pub(crate) fn mean_pools() -> impl Strategy<Value = MeanPool> {
    max_pools().prop_map(|MaxPool { kernel, strides }| MeanPool { kernel, strides })
}

pub(crate) fn polynomials() -> impl Strategy<Value = Polynomial> {
    vec(-2.0..2.0_f64, 1..=MAX_DEGREE + 1).prop_map(|coefficients| Polynomial { coefficients })
}
