//! Each layer in the clear, in f64: the plain model that encrypted runs are
//! compared with.

use std::ops::Range;

use ndarray::{ArrayD, ArrayView1, IxDyn};

use super::graph::{Graph, GraphError, Node, NodeId, Shape};
use super::operator::{
    BatchNormalization, Dense, MaxPool, MeanPool, Operator, ParametricRelu, Polynomial,
};

mod convolution;

impl Graph {
    /// The graph's output for one input (C x H x W, or a vector).
    ///
    /// # Errors
    /// [`GraphError::InputShape`] if the array has another shape than the
    /// graph's input.
    pub fn evaluate(&self, input: &ArrayD<f64>) -> Result<ArrayD<f64>, GraphError> {
        let output = self.output();
        let mut values = self.values_of(&self.needed(), input)?;
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

    /// Every node's value as a flat list in row-major order (channel by channel, row by row), by
    /// node index.
    ///
    /// # Errors
    /// As [`Graph::evaluate`].
    pub fn values(&self, input: &ArrayD<f64>) -> Result<Vec<Vec<f64>>, GraphError> {
        self.values_of(&vec![true; self.nodes().len()], input)
    }

    /// As [`Graph::values`], each value changed by `alter` before later nodes read it.
    pub(crate) fn values_with(
        &self,
        input: &ArrayD<f64>,
        alter: &mut dyn FnMut(NodeId, &mut Vec<f64>),
    ) -> Result<Vec<Vec<f64>>, GraphError> {
        let expected = self.input_shape();
        if input.shape() != expected.dimensions() {
            return Err(GraphError::InputShape { expected, found: input.shape().to_vec() });
        }
        let mut values: Vec<Vec<f64>> = vec![input.iter().copied().collect()];
        for (id, node) in self.iter().skip(1) {
            let mut value = self.evaluate_node(node, |id| &values[id.index()]);
            alter(id, &mut value);
            values.push(value);
        }
        Ok(values)
    }

    /// The output's value once the value of one node is replaced, given every node's value as
    /// [`Graph::values`] returns them: only what depends on that node is computed again.
    pub(crate) fn evaluate_with(
        &self,
        values: &[Vec<f64>],
        replaced: NodeId,
        value: Vec<f64>,
    ) -> Vec<f64> {
        let needed = self.needed();
        let mut changed: Vec<Option<Vec<f64>>> = vec![None; self.nodes().len()];
        changed[replaced.index()] = Some(value);
        for (id, node) in self.iter().skip(replaced.index() + 1) {
            let depends = node.inputs().iter().any(|input| changed[input.index()].is_some());
            if depends && needed[id.index()] {
                let at = |id: NodeId| changed[id.index()].as_ref().unwrap_or(&values[id.index()]);
                changed[id.index()] = Some(self.evaluate_node(node, at));
            }
        }
        let output = self.output().index();
        changed[output].take().unwrap_or_else(|| values[output].clone())
    }

    /// Whether the output depends on each node.
    fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.nodes().len()];
        needed[self.output().index()] = true;
        for (id, node) in self.iter().rev().filter(|(_, node)| !node.inputs().is_empty()) {
            if needed[id.index()] {
                node.inputs().iter().for_each(|input| needed[input.index()] = true);
            }
        }
        needed
    }

    /// The values of these nodes, which with a node must hold its inputs; nothing for the others.
    fn values_of(&self, needed: &[bool], input: &ArrayD<f64>) -> Result<Vec<Vec<f64>>, GraphError> {
        let expected = self.input_shape();
        if input.shape() != expected.dimensions() {
            return Err(GraphError::InputShape { expected, found: input.shape().to_vec() });
        }
        let mut values: Vec<Vec<f64>> = vec![input.iter().copied().collect()];
        for (id, node) in self.iter().skip(1) {
            let value = match needed[id.index()] {
                true => self.evaluate_node(node, |id| &values[id.index()]),
                false => Vec::new(),
            };
            values.push(value);
        }
        Ok(values)
    }

    /// A node's value from those of earlier nodes. Every pushed node has an input.
    fn evaluate_node<'a>(&self, node: &Node, at: impl Fn(NodeId) -> &'a Vec<f64>) -> Vec<f64> {
        let source = node.inputs()[0];
        let input = at(source);
        let (from, to) = (self.nodes()[source.index()].shape(), node.shape());
        match node.operator() {
            Operator::Input | Operator::Flatten => input.clone(),
            Operator::Convolution(layer) => layer.evaluate(input, from, to),
            Operator::BatchNormalization(layer) => layer.evaluate(input),
            Operator::Activation(function) => input.iter().map(|&x| function.evaluate(x)).collect(),
            Operator::ParametricRelu(layer) => layer.evaluate(input),
            Operator::MaxPool(layer) => layer.evaluate(input, from, to),
            Operator::MeanPool(layer) => layer.evaluate(input, from, to),
            Operator::Polynomial(layer) => input.iter().map(|&x| layer.evaluate(x)).collect(),
            Operator::Pad([top, left, ..]) => pad(input, from, to, (*top, *left)),
            Operator::Dense(layer) => layer.evaluate(input),
            Operator::Sum => sum(node.inputs().iter().map(|&id| at(id)), input.len()),
        }
    }
}

fn sum<'a>(values: impl Iterator<Item = &'a Vec<f64>>, length: usize) -> Vec<f64> {
    values.fold(vec![0.0; length], |mut sum, value| {
        sum.iter_mut().zip(value).for_each(|(sum, x)| *sum += x);
        sum
    })
}

/// Each map in the middle of zeros, its first element at `corner`.
fn pad(input: &[f64], from: Shape, to: Shape, corner: (usize, usize)) -> Vec<f64> {
    let ((rows, columns), (to_rows, to_columns)) = (map_size(from), map_size(to));
    let mut output = vec![0.0; to.elements()];
    let maps = input.chunks(rows * columns).zip(output.chunks_mut(to_rows * to_columns));
    for (map, padded) in maps {
        let lines = padded.chunks_mut(to_columns).skip(corner.0);
        for (row, line) in map.chunks(columns).zip(lines) {
            line[corner.1..][..columns].copy_from_slice(row);
        }
    }
    output
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

impl BatchNormalization {
    fn evaluate(&self, input: &[f64]) -> Vec<f64> {
        let map = input.len() / self.scale.len();
        let channels = input.chunks(map).zip(&self.scale).zip(&self.shift);
        channels
            .flat_map(|((values, scale), shift)| values.iter().map(move |x| scale * x + shift))
            .collect()
    }
}

impl ParametricRelu {
    fn evaluate(&self, input: &[f64]) -> Vec<f64> {
        let map = input.len() / self.slopes.len();
        let channels = input.chunks(map).zip(&self.slopes);
        channels
            .flat_map(|(values, slope)| values.iter().map(move |x| x.max(0.0) + slope * x.min(0.0)))
            .collect()
    }
}

/// The windows of a pooling along one axis.
struct Windows {
    kernel: usize,
    stride: usize,
    pad: usize,
    length: usize,
}

impl Windows {
    /// What of one window lies in the unpadded map.
    fn range(&self, output: usize) -> Range<usize> {
        let start = output * self.stride;
        start.saturating_sub(self.pad)..(start + self.kernel - self.pad).min(self.length)
    }
}

/// Reduces the values of each window, which start from `start`, map by map; `finish` gets the number
/// of values too.
fn pool(
    (input, from, to): (&[f64], Shape, Shape),
    [down, across]: [Windows; 2],
    (start, reduce): (f64, impl Fn(f64, f64) -> f64),
    finish: impl Fn(f64, usize) -> f64,
) -> Vec<f64> {
    let ((height, width), (rows, columns)) = (map_size(from), map_size(to));
    let mut output = Vec::with_capacity(to.elements());
    for map in input.chunks(height * width) {
        for row in 0..rows {
            let lines = down.range(row);
            for column in 0..columns {
                let places = across.range(column);
                let values = lines.clone().flat_map(|line| &map[line * width..][places.clone()]);
                let value = values.fold(start, |value, &x| reduce(value, x));
                output.push(finish(value, lines.len() * places.len()));
            }
        }
    }
    output
}

fn windows(from: Shape, kernel: [usize; 2], strides: [usize; 2], pads: [usize; 4]) -> [Windows; 2] {
    let (height, width) = map_size(from);
    let axis = |axis: usize, length: usize| Windows {
        kernel: kernel[axis],
        stride: strides[axis],
        pad: pads[axis],
        length,
    };
    [axis(0, height), axis(1, width)]
}

impl MaxPool {
    fn evaluate(&self, input: &[f64], from: Shape, to: Shape) -> Vec<f64> {
        let windows = windows(from, self.kernel, self.strides, self.pads);
        pool((input, from, to), windows, (f64::NEG_INFINITY, f64::max), |largest, _| largest)
    }
}

impl MeanPool {
    fn evaluate(&self, input: &[f64], from: Shape, to: Shape) -> Vec<f64> {
        let windows = windows(from, self.kernel, self.strides, self.pads);
        let area = self.kernel[0] * self.kernel[1];
        let mean =
            |sum: f64, count: usize| sum / if self.include_padding { area } else { count } as f64;
        pool((input, from, to), windows, (0.0, |sum, x| sum + x), mean)
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
        (self.weights.dot(&ArrayView1::from(input)) + &self.bias).to_vec()
    }
}

#[cfg(test)]
mod tests;
