//! Each layer in the clear, in f64: the plain model that encrypted runs are
//! compared with.

use ndarray::{ArrayD, IxDyn};

use super::graph::{Graph, GraphError, Node, Shape};
use super::operator::{
    BatchNormalization, Convolution, Dense, MaxPool, MeanPool, Operator, Polynomial,
};

impl Graph {
    /// The graph's output for one input (C x H x W, or a vector).
    ///
    /// # Errors
    /// [`GraphError::InputShape`] if the array has another shape than the
    /// graph's input.
    pub fn evaluate(&self, input: &ArrayD<f64>) -> Result<ArrayD<f64>, GraphError> {
        let output = self.output();
        let mut values = self.values(input)?;
        let value = std::mem::take(&mut values[output.index()]);
        array(self.output_shape(), value)
    }

    /// Every node's value for one input, by node index.
    ///
    /// # Errors
    /// As [`Graph::evaluate`].
    pub fn evaluate_all(&self, input: &ArrayD<f64>) -> Result<Vec<ArrayD<f64>>, GraphError> {
        let values = self.values(input)?;
        let pairs = self.nodes().iter().zip(values);
        pairs.map(|(node, value)| array(node.shape(), value)).collect()
    }

    /// Every node's value as a flat list in row-major order, by node index.
    pub(crate) fn values(&self, input: &ArrayD<f64>) -> Result<Vec<Vec<f64>>, GraphError> {
        let expected = self.input_shape();
        if input.shape() != expected.dimensions() {
            return Err(GraphError::InputShape { expected, found: input.shape().to_vec() });
        }
        let mut values = vec![input.iter().copied().collect()];
        for node in self.nodes().iter().skip(1) {
            let value = self.evaluate_node(node, &values);
            values.push(value);
        }
        Ok(values)
    }

    fn evaluate_node(&self, node: &Node, values: &[Vec<f64>]) -> Vec<f64> {
        // Every pushed node has exactly one input, an earlier node.
        let source = node.inputs()[0].index();
        let input = &values[source];
        let (from, to) = (self.nodes()[source].shape(), node.shape());
        match node.operator() {
            Operator::Input | Operator::Flatten => input.clone(),
            Operator::Convolution(layer) => layer.evaluate(input, from, to),
            Operator::BatchNormalization(layer) => layer.evaluate(input),
            Operator::Activation(function) => input.iter().map(|&x| function.evaluate(x)).collect(),
            Operator::MaxPool(layer) => layer.evaluate(input, from, to),
            Operator::MeanPool(layer) => layer.evaluate(input, from, to),
            Operator::Polynomial(layer) => input.iter().map(|&x| layer.evaluate(x)).collect(),
            Operator::Dense(layer) => layer.evaluate(input),
        }
    }
}

fn array(shape: Shape, value: Vec<f64>) -> Result<ArrayD<f64>, GraphError> {
    let found = vec![value.len()];
    let mismatch = |_| GraphError::InputShape { expected: shape, found };
    ArrayD::from_shape_vec(IxDyn(&shape.dimensions()), value).map_err(mismatch)
}

/// Rows and columns of the maps of a value.
fn map_size(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Image { height, width, .. } => (height, width),
        Shape::Vector(length) => (1, length),
    }
}

impl Convolution {
    fn evaluate(&self, input: &[f64], from: Shape, to: Shape) -> Vec<f64> {
        let (from, to) = (map_size(from), map_size(to));
        let mut output = Vec::with_capacity(self.bias.len() * to.0 * to.1);
        for (bias, kernels) in self.bias.iter().zip(self.weights.outer_iter()) {
            let mut map = vec![*bias; to.0 * to.1];
            for (kernel, channel) in kernels.outer_iter().zip(input.chunks(from.0 * from.1)) {
                for ((row, column), &weight) in kernel.indexed_iter() {
                    self.add_tap(weight, (row, column), channel, from, &mut map, to);
                }
            }
            output.extend(map);
        }
        output
    }

    /// Adds `weight` times the input under one kernel tap to every output it reaches.
    fn add_tap(
        &self,
        weight: f64,
        tap: (usize, usize),
        channel: &[f64],
        from: (usize, usize),
        map: &mut [f64],
        to: (usize, usize),
    ) {
        let [top, left, _, _] = self.pads;
        let down = Tap::new(tap.0 * self.dilations[0], self.strides[0], top, from.0, to.0);
        let across = Tap::new(tap.1 * self.dilations[1], self.strides[1], left, from.1, to.1);
        for row in down.first..down.end {
            let source = &channel[down.source(row) * from.1..][..from.1];
            let target = &mut map[row * to.1..][..to.1];
            across.add(weight, source, target);
        }
    }
}

/// The outputs along one axis that one kernel tap reaches inside the unpadded map.
struct Tap {
    first: usize,
    end: usize,
    offset: usize,
    stride: usize,
    pad: usize,
}

impl Tap {
    /// `length` inputs and `outputs` outputs along the axis.
    fn new(offset: usize, stride: usize, pad: usize, length: usize, outputs: usize) -> Self {
        let end = (length + pad).saturating_sub(offset).div_ceil(stride);
        Self {
            first: pad.saturating_sub(offset).div_ceil(stride).min(outputs),
            end: end.min(outputs),
            offset,
            stride,
            pad,
        }
    }

    /// The input under this tap for one output from `first..end`.
    fn source(&self, output: usize) -> usize {
        output * self.stride + self.offset - self.pad
    }

    fn add(&self, weight: f64, source: &[f64], target: &mut [f64]) {
        if self.first >= self.end {
            return;
        }
        let inputs = source[self.source(self.first)..].iter().step_by(self.stride);
        let outputs = target[self.first..self.end].iter_mut();
        outputs.zip(inputs).for_each(|(sum, x)| *sum += weight * x);
    }
}

impl BatchNormalization {
    fn evaluate(&self, input: &[f64]) -> Vec<f64> {
        let map = input.len() / self.scale.len();
        let channels = input.chunks(map).zip(&self.scale).zip(&self.shift);
        channels
            .flat_map(|((values, scale), shift)| values.iter().map(move |x| scale * x + shift))
            .collect()
    }
}

/// The windows of a pooling.
struct Windows {
    kernel: [usize; 2],
    strides: [usize; 2],
}

impl Windows {
    /// Reduces each window, starting from `start`, window by window and map by map.
    fn fold(
        &self,
        (input, from, to): (&[f64], Shape, Shape),
        start: f64,
        reduce: impl Fn(f64, f64) -> f64,
    ) -> Vec<f64> {
        let ((from_rows, from_columns), (rows, columns)) = (map_size(from), map_size(to));
        let mut output = Vec::with_capacity(to.elements());
        for map in input.chunks(from_rows * from_columns) {
            for row in 0..rows {
                for column in 0..columns {
                    let corner = (row * self.strides[0], column * self.strides[1]);
                    let window = self.values(map, from_columns, corner);
                    output.push(window.fold(start, &reduce));
                }
            }
        }
        output
    }

    fn values<'a>(
        &self,
        map: &'a [f64],
        width: usize,
        corner: (usize, usize),
    ) -> impl Iterator<Item = f64> + 'a {
        let [rows, columns] = self.kernel;
        let starts = (corner.0..corner.0 + rows).map(move |row| row * width + corner.1);
        starts.flat_map(move |start| map[start..][..columns].iter().copied())
    }
}

impl MaxPool {
    fn evaluate(&self, input: &[f64], from: Shape, to: Shape) -> Vec<f64> {
        let windows = Windows { kernel: self.kernel, strides: self.strides };
        windows.fold((input, from, to), f64::NEG_INFINITY, f64::max)
    }
}

impl MeanPool {
    fn evaluate(&self, input: &[f64], from: Shape, to: Shape) -> Vec<f64> {
        let windows = Windows { kernel: self.kernel, strides: self.strides };
        let count = (self.kernel[0] * self.kernel[1]) as f64;
        let mut sums = windows.fold((input, from, to), 0.0, |sum, x| sum + x);
        sums.iter_mut().for_each(|sum| *sum /= count);
        sums
    }
}

impl Polynomial {
    /// The value at `x`, by Horner's rule.
    pub fn evaluate(&self, x: f64) -> f64 {
        self.coefficients.iter().rev().fold(0.0, |value, c| value * x + c)
    }
}

impl Dense {
    fn evaluate(&self, input: &[f64]) -> Vec<f64> {
        let rows = self.weights.outer_iter().zip(&self.bias);
        rows.map(|(row, bias)| row.iter().zip(input).map(|(w, x)| w * x).sum::<f64>() + bias)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::strategies::{
        convolutions, dense_layers, images, max_pools, mean_pools, normalizations, polynomials,
        values,
    };
    use super::*;
    use ndarray::{Array1, Array3, Array4, Axis, Ix1, Ix3};
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
        for ((channel, row, column), weight) in
            layer.weights.index_axis(Axis(0), at.0).indexed_iter()
        {
            let y =
                (at.1 * layer.strides[0] + row * layer.dilations[0]) as i64 - layer.pads[0] as i64;
            let x = (at.2 * layer.strides[1] + column * layer.dilations[1]) as i64
                - layer.pads[1] as i64;
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
            let size = shape.dimensions();
            let fits = layer.kernel[0] <= size[1] && layer.kernel[1] <= size[2];
            let graph = single(shape, Operator::MaxPool(layer));
            prop_assert_eq!(graph.is_ok(), fits);
            if let Ok(graph) = graph {
                let found = graph.evaluate(&image).unwrap();
                for (at, &value) in found.clone().into_dimensionality::<Ix3>().unwrap().indexed_iter() {
                    let mut largest = f64::MIN;
                    for row in 0..layer.kernel[0] {
                        for column in 0..layer.kernel[1] {
                            let y = at.1 * layer.strides[0] + row;
                            let x = at.2 * layer.strides[1] + column;
                            largest = largest.max(image[[at.0, y, x]]);
                        }
                    }
                    prop_assert_eq!(value, largest);
                }
                for axis in 0..2 {
                    let next = found.shape()[axis + 1] * layer.strides[axis] + layer.kernel[axis];
                    prop_assert!(next > size[axis + 1], "a further window would fit");
                }
            }
        }

        #[test]
        fn mean_pool_is_its_definition((image, shape, layer) in image_and(|_| mean_pools())) {
            let size = shape.dimensions();
            let fits = layer.kernel[0] <= size[1] && layer.kernel[1] <= size[2];
            let graph = single(shape, Operator::MeanPool(layer));
            prop_assert_eq!(graph.is_ok(), fits);
            if let Ok(graph) = graph {
                // The mean is a convolution of each map with equal weights.
                let weight = 1.0 / (layer.kernel[0] * layer.kernel[1]) as f64;
                let weights = Array4::from_elem((1, 1, layer.kernel[0], layer.kernel[1]), weight);
                let mut equal = Convolution::new(weights, Array1::zeros(1));
                equal.strides = layer.strides;
                let found = graph.evaluate(&image).unwrap();
                for (channel, map) in image.outer_iter().enumerate() {
                    let map = map.insert_axis(Axis(0)).to_owned().into_dimensionality::<Ix3>();
                    let expected = convolve(&equal, &map.unwrap());
                    let found = found.index_axis(Axis(0), channel).insert_axis(Axis(0));
                    prop_assert!(close(&found.to_owned(), &expected));
                }
            }
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
}
