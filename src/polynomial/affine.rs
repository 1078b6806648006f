//! Convolution, dense layer and batch normalization as one thing: an affine map, weight by weight.

use super::PolynomialError;
use crate::model::{Convolution, Operator, Shape};

/// A layer that computes `y[i] = bias[i] + sum_j w[i][j] x[j]` on the elements of tensors, numbered
/// channel by channel, row by row.
#[derive(Clone, Copy, Debug)]
pub struct AffineMap<'a> {
    operator: &'a Operator,
    from: Shape,
    to: Shape,
    /// Whether weights that are zero count.
    zeros: bool,
}

impl<'a> AffineMap<'a> {
    /// The layer as an affine map, if it is one that the slots can compute.
    #[must_use]
    pub fn new(operator: &'a Operator, from: Shape, to: Shape) -> Option<Self> {
        let affine = matches!(
            operator,
            Operator::Convolution(_) | Operator::Dense(_) | Operator::BatchNormalization(_)
        );
        affine.then_some(Self { operator, from, to, zeros: false })
    }

    /// The same map, which also visits weights that are zero: where weights are secret, so is which
    /// of them are zero.
    #[must_use]
    pub fn with_zeros(self) -> Self {
        Self { zeros: true, ..self }
    }

    /// The shape of its output.
    #[must_use]
    pub fn output(&self) -> Shape {
        self.to
    }

    /// Distances between neighbouring outputs, in rows and columns of the input.
    #[must_use]
    pub fn strides(&self) -> [usize; 2] {
        match self.operator {
            Operator::Convolution(layer) => layer.strides,
            _ => [1, 1],
        }
    }

    /// Whether it maps every element on its own place.
    #[must_use]
    pub fn is_diagonal(&self) -> bool {
        matches!(self.operator, Operator::BatchNormalization(_))
    }

    /// The bias of each output.
    #[must_use]
    pub fn biases(&self) -> Vec<f64> {
        let per_channel = match self.operator {
            Operator::Convolution(layer) => &layer.bias,
            Operator::Dense(layer) => &layer.bias,
            Operator::BatchNormalization(layer) => &layer.shift,
            _ => return vec![0.0; self.to.elements()],
        };
        let size = map_size(self.to);
        per_channel.iter().flat_map(|&bias| std::iter::repeat_n(bias, size)).collect()
    }

    /// Calls `visit(i, j, w)` for each weight that is not zero, or [with zeros](Self::with_zeros) for
    /// each.
    pub fn for_each_weight(&self, mut visit: impl FnMut(usize, usize, f64)) {
        match self.operator {
            Operator::Convolution(layer) => self.visit_convolution(layer, &mut visit),
            Operator::Dense(layer) => {
                for ((i, j), &w) in layer.weights.indexed_iter().filter(|(_, w)| self.counts(**w)) {
                    visit(i, j, w);
                }
            }
            Operator::BatchNormalization(layer) => {
                let size = map_size(self.to);
                for i in 0..self.to.elements() {
                    visit(i, i, layer.scale[i / size]);
                }
            }
            _ => {}
        }
    }

    fn counts(&self, weight: f64) -> bool {
        self.zeros || weight != 0.0
    }

    fn visit_convolution(&self, layer: &Convolution, visit: &mut impl FnMut(usize, usize, f64)) {
        let (height, width) = sides(self.from);
        let (rows, columns) = sides(self.to);
        let [top, left, ..] = layer.pads;
        let (outputs, inputs, ..) = layer.weights.dim();
        for ((k, c, a, b), &w) in layer.weights.indexed_iter().filter(|(_, w)| self.counts(**w)) {
            let c = k / (outputs / layer.groups) * inputs + c;
            for row in 0..rows {
                let y = (row * layer.strides[0] + a * layer.dilations[0]).checked_sub(top);
                let Some(y) = y.filter(|y| *y < height) else { continue };
                for column in 0..columns {
                    let x = (column * layer.strides[1] + b * layer.dilations[1]).checked_sub(left);
                    if let Some(x) = x.filter(|x| *x < width) {
                        let output = (k * rows + row) * columns + column;
                        visit(output, (c * height + y) * width + x, w);
                    }
                }
            }
        }
    }
}

/// Rows and columns of the maps of a shape; a vector has maps of one element.
fn sides(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Image { height, width, .. } => (height, width),
        Shape::Vector(_) => (1, 1),
    }
}

fn map_size(shape: Shape) -> usize {
    let (height, width) = sides(shape);
    height * width
}

/// Channels, rows and columns; a vector has as many channels as elements.
pub(super) fn extents(shape: Shape) -> (usize, usize, usize) {
    let (height, width) = sides(shape);
    (shape.channels(), height, width)
}

/// What of a graph cannot be run in slots.
pub(super) fn unsupported(layer: &str, reason: impl Into<String>) -> PolynomialError {
    PolynomialError::Unsupported { layer: layer.to_owned(), reason: reason.into() }
}
