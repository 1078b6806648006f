//! Every layer against its definition.

use super::super::strategies::{
    activations, convolutions, dense_layers, images, max_pools, mean_pools, normalizations, pads,
    parametric_relus, polynomials, values,
};
use super::*;
use crate::model::operator::Convolution;
use ndarray::{Array1, Array3, Axis, Ix1, Ix3};
use proptest::prelude::*;

fn single(shape: Shape, operator: Operator) -> Result<Graph, GraphError> {
    let mut graph = Graph::new("input", shape)?;
    graph.push("layer", operator, vec![graph.input()])?;
    Ok(graph)
}

fn close(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * (1.0 + b.abs());
    a.shape() == b.shape() && a.iter().zip(b).all(near)
}

/// One output of a convolution by its definition; zero outside the image.
fn tap_sum(layer: &Convolution, image: &Array3<f64>, at: (usize, usize, usize)) -> f64 {
    let mut sum = layer.bias[at.0];
    let (outputs, inputs, ..) = layer.weights.dim();
    let first = at.0 * layer.groups / outputs * inputs;
    for ((channel, row, column), weight) in layer.weights.index_axis(Axis(0), at.0).indexed_iter() {
        let channel = first + channel;
        let y = (at.1 * layer.strides[0] + row * layer.dilations[0]) as i64 - layer.pads[0] as i64;
        let x =
            (at.2 * layer.strides[1] + column * layer.dilations[1]) as i64 - layer.pads[1] as i64;
        if let (Ok(y), Ok(x)) = (usize::try_from(y), usize::try_from(x)) {
            sum += weight * image.get((channel, y, x)).copied().unwrap_or(0.0);
        }
    }
    sum
}

fn convolve(layer: &Convolution, image: &Array3<f64>) -> ArrayD<f64> {
    let (_, height, width) = image.dim();
    let (outputs, _, rows, columns) = layer.weights.dim();
    // Counts positions one by one, where the graph divides.
    let count = |length: usize, kernel: usize, axis: usize| {
        let last = (kernel - 1) * layer.dilations[axis];
        let padded = length + layer.pads[axis] + layer.pads[axis + 2];
        (0..padded).filter(|i| i * layer.strides[axis] + last < padded).count()
    };
    let shape = (outputs, count(height, rows, 0), count(width, columns, 1));
    Array3::from_shape_fn(shape, |at| tap_sum(layer, image, at)).into_dyn()
}

/// Checks a pooling on each window's values that lie in the image.
fn pool_is(
    image: &ArrayD<f64>,
    graph: Result<Graph, GraphError>,
    (kernel, strides, pads): ([usize; 2], [usize; 2], [usize; 4]),
    reduce: impl Fn(&[f64]) -> f64,
) {
    let size = [image.shape()[1], image.shape()[2]];
    let padded = [size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3]];
    assert_eq!(graph.is_ok(), kernel[0] <= padded[0] && kernel[1] <= padded[1]);
    let Ok(graph) = graph else { return };
    let found = graph.evaluate(image).unwrap();
    for (at, &value) in found.clone().into_dimensionality::<Ix3>().unwrap().indexed_iter() {
        let mut values = Vec::new();
        for row in 0..kernel[0] {
            for column in 0..kernel[1] {
                let y = (at.1 * strides[0] + row).wrapping_sub(pads[0]);
                let x = (at.2 * strides[1] + column).wrapping_sub(pads[1]);
                values.extend(image.get(&[at.0, y, x][..]));
            }
        }
        let expected = reduce(&values);
        assert!((value - expected).abs() <= 1e-12, "{value} is not {expected}");
    }
    for axis in 0..2 {
        let next = found.shape()[axis + 1] * strides[axis] + kernel[axis];
        assert!(next > padded[axis], "a further window would fit");
    }
}

fn image_and<T: std::fmt::Debug, S: Strategy<Value = T>>(
    layer: impl Fn(Shape) -> S,
) -> impl Strategy<Value = (ArrayD<f64>, Shape, T)> {
    images().prop_flat_map(move |shape| (values(shape), Just(shape), layer(shape)))
}

proptest! {
    #[test]
    fn convolution_is_its_definition(
        (image, shape, layer) in image_and(|shape| convolutions(shape.channels()))
    ) {
        match single(shape, Operator::Convolution(layer.clone())) {
            Ok(graph) => {
                let image3 = image.clone().into_dimensionality::<Ix3>().unwrap();
                let expected = convolve(&layer, &image3);
                prop_assert!(close(&graph.evaluate(&image).unwrap(), &expected));
            }
            Err(error) => {
                let [top, left, bottom, right] = layer.pads;
                let (_, _, rows, columns) = layer.weights.dim();
                let size = shape.dimensions();
                let reach = [(rows - 1) * layer.dilations[0], (columns - 1) * layer.dilations[1]];
                prop_assert!(reach[0] >= size[1] + top + bottom || reach[1] >= size[2] + left + right);
                prop_assert!(matches!(error, GraphError::Window { .. }), "{error}");
            }
        }
    }

    #[test]
    fn max_pool_is_its_definition((image, shape, layer) in image_and(|_| max_pools())) {
        let graph = single(shape, Operator::MaxPool(layer));
        pool_is(&image, graph, (layer.kernel, layer.strides, layer.pads), |values| {
            values.iter().copied().fold(f64::MIN, f64::max)
        });
    }

    #[test]
    fn mean_pool_is_its_definition((image, shape, layer) in image_and(|_| mean_pools())) {
        let area = (layer.kernel[0] * layer.kernel[1]) as f64;
        let graph = single(shape, Operator::MeanPool(layer));
        pool_is(&image, graph, (layer.kernel, layer.strides, layer.pads), |values| {
            let count = if layer.include_padding { area } else { values.len() as f64 };
            values.iter().sum::<f64>() / count
        });
    }

    #[test]
    fn activations_act_on_each_element(
        (image, shape, function) in image_and(|_| activations())
    ) {
        let graph = single(shape, Operator::Activation(function)).unwrap();
        let found = graph.evaluate(&image).unwrap();
        prop_assert_eq!(found, image.mapv(|x| function.evaluate(x)));
    }

    #[test]
    fn parametric_relu_has_a_slope_per_channel(
        (image, shape, layer) in image_and(|shape| parametric_relus(shape.channels()))
    ) {
        let graph = single(shape, Operator::ParametricRelu(layer.clone())).unwrap();
        let found = graph.evaluate(&image).unwrap().into_dimensionality::<Ix3>().unwrap();
        for ((at, &value), &x) in found.indexed_iter().zip(&image) {
            prop_assert_eq!(value, if x > 0.0 { x } else { layer.slopes[at.0] * x });
        }
    }

    #[test]
    fn pad_surrounds_by_zeros((image, shape, pads) in image_and(|_| pads(4))) {
        let [top, left, bottom, right] = pads;
        let found = single(shape, Operator::Pad(pads)).unwrap().evaluate(&image).unwrap();
        let size = shape.dimensions();
        let expected = [size[0], size[1] + top + bottom, size[2] + left + right];
        prop_assert_eq!(found.shape(), &expected);
        for (at, &value) in found.into_dimensionality::<Ix3>().unwrap().indexed_iter() {
            let place = [at.0, at.1.wrapping_sub(top), at.2.wrapping_sub(left)];
            prop_assert_eq!(value, image.get(&place[..]).copied().unwrap_or(0.0));
        }
    }

    /// A sum of a value with what a layer makes of it; then the layer's value is replaced.
    #[test]
    fn sums_and_replaced_values(
        (image, shape, layer) in image_and(|shape| normalizations(shape.channels())),
        scale in -2.0..2.0_f64,
    ) {
        let mut graph = single(shape, Operator::BatchNormalization(layer)).unwrap();
        let (input, normalized) = (graph.input(), graph.output());
        let sum = graph.push("sum", Operator::Sum, vec![input, normalized, input]).unwrap();
        let output = graph.push("relu", Operator::RELU, vec![sum]).unwrap();
        let side = graph.push("side", Operator::Flatten, vec![normalized]).unwrap();
        graph.set_output(output).unwrap();
        let values = graph.values(&image).unwrap();
        for (at, x) in image.iter().enumerate() {
            prop_assert!((values[sum.index()][at] - values[1][at] - 2.0 * x).abs() < 1e-12);
        }
        let found: Vec<f64> = graph.evaluate(&image).unwrap().into_iter().collect();
        prop_assert_eq!(&found, &values[output.index()]);
        let other: Vec<f64> = values[1].iter().map(|x| scale * x).collect();
        let expected = image.iter().zip(&other).map(|(x, y)| (x + y + x).max(0.0));
        let expected: Vec<f64> = expected.collect();
        prop_assert_eq!(graph.evaluate_with(&values, normalized, other.clone()), expected);
        // What the output does not depend on changes nothing; the output itself is what it is.
        prop_assert_eq!(graph.evaluate_with(&values, side, other.clone()), found);
        prop_assert_eq!(graph.evaluate_with(&values, output, other.clone()), other);
    }

    #[test]
    fn polynomial_is_its_definition((image, shape, layer) in image_and(|_| polynomials())) {
        let found = single(shape, Operator::Polynomial(layer.clone())).unwrap();
        let found = found.evaluate(&image).unwrap();
        prop_assert_eq!(found.shape(), image.shape());
        for (value, x) in found.iter().zip(&image) {
            let terms = layer.coefficients.iter().enumerate();
            let terms: Vec<f64> = terms.map(|(power, c)| c * x.powi(power as i32)).collect();
            let size: f64 = terms.iter().map(|term| term.abs()).sum();
            prop_assert!((value - terms.iter().sum::<f64>()).abs() <= 1e-13 * (1.0 + size));
        }
    }

    #[test]
    fn batch_normalization_is_affine_per_channel(
        (image, shape, layer) in image_and(|shape| normalizations(shape.channels()))
    ) {
        let graph = single(shape, Operator::BatchNormalization(layer.clone())).unwrap();
        let found = graph.evaluate(&image).unwrap();
        for (at, &value) in found.into_dimensionality::<Ix3>().unwrap().indexed_iter() {
            let expected = layer.scale[at.0] * image[[at.0, at.1, at.2]] + layer.shift[at.0];
            prop_assert!((value - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn relu_keeps_positive_values((image, shape, ()) in image_and(|_| Just(()))) {
        let found = single(shape, Operator::RELU).unwrap().evaluate(&image).unwrap();
        for (value, x) in found.iter().zip(&image) {
            prop_assert_eq!(*value, if *x > 0.0 { *x } else { 0.0 });
        }
    }

    #[test]
    fn flatten_then_dense_is_a_matrix_product(
        (image, shape, layer) in image_and(|shape| dense_layers(shape.elements()))
    ) {
        let mut graph = single(shape, Operator::Flatten).unwrap();
        let flat = graph.output();
        graph.push("dense", Operator::Dense(layer.clone()), vec![flat]).unwrap();
        let x: Array1<f64> = image.iter().copied().collect();
        let expected = (layer.weights.dot(&x) + &layer.bias).into_dyn();
        let all = graph.evaluate_all(&image).unwrap();
        prop_assert!(close(&all[graph.output().index()], &expected));
        prop_assert_eq!(&all[flat.index()], &x.into_dyn());
        prop_assert_eq!(&all[0], &image);
    }
}

#[test]
fn any_node_can_be_the_output() {
    let mut graph = single(Shape::Vector(2), Operator::RELU).unwrap();
    let layer = BatchNormalization {
        scale: Array1::from_vec(vec![2.0, 3.0]),
        shift: Array1::from_vec(vec![1.0, 1.0]),
    };
    let relu = graph.output();
    graph.push("norm", Operator::BatchNormalization(layer), vec![relu]).unwrap();
    let input = Array1::from_vec(vec![-1.0, 5.0]).into_dyn();
    let output = |graph: &Graph| {
        let value = graph.evaluate(&input).unwrap();
        value.into_dimensionality::<Ix1>().unwrap().to_vec()
    };
    assert_eq!(output(&graph), [1.0, 16.0]);
    graph.set_output(relu).unwrap();
    assert_eq!(output(&graph), [0.0, 5.0]);
}

#[test]
fn transposed_input_is_read_in_logical_order() {
    let shape = Shape::image(1, 2, 3);
    let image = Array3::from_shape_fn((3, 2, 1), |(w, h, _)| (10 * h + w) as f64);
    let graph = single(shape, Operator::Flatten).unwrap();
    let flat = graph.evaluate(&image.reversed_axes().into_dyn()).unwrap();
    let flat: Vec<f64> = flat.into_iter().collect();
    assert_eq!(flat, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
}

#[test]
fn another_input_shape_is_refused() {
    let graph = single(Shape::image(1, 4, 4), Operator::RELU).unwrap();
    let error = graph.evaluate(&ArrayD::zeros(IxDyn(&[1, 4, 5]))).unwrap_err();
    let message = "the graph reads an input of shape 1x4x4, but got 1x4x5";
    assert_eq!(error.to_string(), message);
}
