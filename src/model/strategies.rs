//! Random layers and images for property tests.

use ndarray::{Array1, Array2, Array4, ArrayD, IxDyn};
use proptest::collection::vec;
use proptest::prelude::*;

use super::Activation;
use super::graph::Shape;
use super::operator::{
    BatchNormalization, Convolution, Dense, MAX_DEGREE, MaxPool, MeanPool, ParametricRelu,
    Polynomial,
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

/// With any number of groups that the channels can be split into.
pub(crate) fn convolutions(inputs: usize) -> impl Strategy<Value = Convolution> {
    let groups: Vec<usize> = (1..=inputs).filter(|groups| inputs.is_multiple_of(*groups)).collect();
    let sizes = (prop::sample::select(groups), 1_usize..4, 1_usize..4, 1_usize..4);
    let steps = [1_usize..4, 1_usize..4];
    let kernel = sizes.prop_flat_map(move |(groups, outputs, rows, columns)| {
        let shape = (outputs * groups, inputs / groups, rows, columns);
        let weights = vec(-1.0..1.0_f64, shape.0 * shape.1 * rows * columns);
        let weights = weights.prop_map(move |w| Array4::from_shape_vec(shape, w).unwrap());
        (Just(groups), weights, vector(shape.0))
    });
    let rest = (steps.clone(), pads(4), steps);
    (kernel, rest).prop_map(|((groups, weights, bias), (strides, pads, dilations))| Convolution {
        weights,
        bias,
        strides,
        pads,
        dilations,
        groups,
    })
}

pub(crate) fn pads(below: usize) -> impl Strategy<Value = [usize; 4]> {
    [0..below, 0..below, 0..below, 0..below]
}

pub(crate) fn parametric_relus(channels: usize) -> impl Strategy<Value = ParametricRelu> {
    vector(channels).prop_map(|slopes| ParametricRelu { slopes })
}

pub(crate) fn activations() -> impl Strategy<Value = Activation> {
    let value = || 0.1..2.0_f64;
    prop_oneof![
        Just(Activation::Relu),
        Just(Activation::Softplus),
        Just(Activation::Sigmoid),
        Just(Activation::Tanh),
        value().prop_map(|slope| Activation::LeakyRelu { slope }),
        value().prop_map(|alpha| Activation::Elu { alpha }),
        (value(), value()).prop_map(|(alpha, gamma)| Activation::Selu { alpha, gamma }),
        (value(), value()).prop_map(|(alpha, beta)| Activation::HardSigmoid { alpha, beta }),
        (value(), value()).prop_map(|(min, max)| Activation::Clip { min: -min, max }),
    ]
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

/// Pads are below the kernel, as they must be.
pub(crate) fn max_pools() -> impl Strategy<Value = MaxPool> {
    let sizes = ([1_usize..4, 1_usize..4], [1_usize..4, 1_usize..4], pads(4));
    sizes.prop_map(|(kernel, strides, mut pads)| {
        (0..4).for_each(|side| pads[side] %= kernel[side % 2]);
        MaxPool { kernel, strides, pads }
    })
}

pub(crate) fn mean_pools() -> impl Strategy<Value = MeanPool> {
    (max_pools(), any::<bool>()).prop_map(|(pool, include_padding)| MeanPool {
        kernel: pool.kernel,
        strides: pool.strides,
        pads: pool.pads,
        include_padding,
    })
}

pub(crate) fn polynomials() -> impl Strategy<Value = Polynomial> {
    vec(-2.0..2.0_f64, 1..=MAX_DEGREE + 1).prop_map(|coefficients| Polynomial { coefficients })
}
