//! The layers a graph can hold, and the shape each makes of its input.

use bellerophon_schemes::math::approximation::Activation;
use ndarray::{Array1, Array2, Array4};

use super::graph::{GraphError, Shape};

/// A two-dimensional convolution (cross-correlation, as in ONNX `Conv`) with bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Kernel, `[output channel, input channel / groups, row, column]`.
    pub weights: Array4<f64>,
    /// One value per output channel.
    pub bias: Array1<f64>,
    /// Step between outputs, `[rows, columns]`.
    pub strides: [usize; 2],
    /// Zeros added around each map, `[top, left, bottom, right]`.
    pub pads: [usize; 4],
    /// Distance between kernel taps, `[rows, columns]`.
    pub dilations: [usize; 2],
    /// Input and output channels are split evenly into this many groups, in order, and each group of
    /// outputs reads its group of inputs only.
    pub groups: usize,
}

impl Convolution {
    /// A convolution with stride 1, no padding, no dilation, one group.
    pub fn new(weights: Array4<f64>, bias: Array1<f64>) -> Self {
        Self { weights, bias, strides: [1, 1], pads: [0; 4], dilations: [1, 1], groups: 1 }
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, GraphError> {
        let (channels, height, width) = image_of(input, "Convolution")?;
        let (outputs, inputs, rows, columns) = self.weights.dim();
        if outputs.checked_rem(self.groups) != Some(0) {
            return Err(GraphError::Groups { groups: self.groups, outputs });
        }
        let inputs = inputs.saturating_mul(self.groups);
        if inputs != channels {
            return Err(mismatch("Convolution", "input channels", inputs, channels));
        }
        if self.bias.len() != outputs {
            return Err(mismatch("Convolution", "bias values", outputs, self.bias.len()));
        }
        let (height, width) = padded((channels, height, width), self.pads)?;
        let height = window_count(height, rows, self.strides[0], self.dilations[0])?;
        let width = window_count(width, columns, self.strides[1], self.dilations[1])?;
        Ok(Shape::image(outputs, height, width))
    }
}

/// An affine map per channel, `y = scale[c]·x + shift[c]`: what batch
/// normalization is once training has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormalization {
    /// gamma / sqrt(var + eps), one per channel.
    pub scale: Array1<f64>,
    /// beta - mean·scale, one per channel.
    pub shift: Array1<f64>,
}

impl BatchNormalization {
    fn output_shape(&self, input: Shape) -> Result<Shape, GraphError> {
        let channels = input.channels();
        if self.scale.len() != channels {
            let found = self.scale.len();
            return Err(mismatch("BatchNormalization", "scales", channels, found));
        }
        if self.shift.len() != channels {
            let found = self.shift.len();
            return Err(mismatch("BatchNormalization", "shifts", channels, found));
        }
        Ok(input)
    }
}

/// `x` above zero, `slopes[c]·x` below, with a trained slope for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ParametricRelu {
    /// The slope below zero, one per channel.
    pub slopes: Array1<f64>,
}

impl ParametricRelu {
    fn output_shape(&self, input: Shape) -> Result<Shape, GraphError> {
        let (expected, found) = (input.channels(), self.slopes.len());
        if expected == found {
            Ok(input)
        } else {
            Err(mismatch("ParametricRelu", "slopes", expected, found))
        }
    }
}

/// The largest value of each window, per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Window size, `[rows, columns]`.
    pub kernel: [usize; 2],
    /// Step between windows, `[rows, columns]`.
    pub strides: [usize; 2],
    /// Rows and columns of minus infinity around each map, `[top, left, bottom, right]`: less than
    /// the kernel, so that each window holds a value.
    pub pads: [usize; 4],
}

impl MaxPool {
    /// A max-pool without padding.
    pub fn new(kernel: [usize; 2], strides: [usize; 2]) -> Self {
        Self { kernel, strides, pads: [0; 4] }
    }
}

/// The mean of each window, per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanPool {
    /// Window size, `[rows, columns]`.
    pub kernel: [usize; 2],
    /// Step between windows, `[rows, columns]`.
    pub strides: [usize; 2],
    /// Rows and columns of zeros around each map, `[top, left, bottom, right]`: less than the
    /// kernel, so that each window holds a value.
    pub pads: [usize; 4],
    /// Whether the mean counts the zeros of the padding.
    pub include_padding: bool,
}

impl MeanPool {
    /// A mean-pool without padding.
    pub fn new(kernel: [usize; 2], strides: [usize; 2]) -> Self {
        Self { kernel, strides, pads: [0; 4], include_padding: false }
    }
}

/// The shape that a pooling makes.
fn pooled_shape(
    input: Shape,
    operator: &'static str,
    (kernel, strides, pads): ([usize; 2], [usize; 2], [usize; 4]),
) -> Result<Shape, GraphError> {
    let image = image_of(input, operator)?;
    let (height, width) = padded(image, pads)?;
    let height = window_count(height, kernel[0], strides[0], 1)?;
    let width = window_count(width, kernel[1], strides[1], 1)?;
    if (0..4).any(|side| pads[side] >= kernel[side % 2]) {
        return Err(GraphError::PoolPads { operator, pads, kernel });
    }
    Ok(Shape::image(image.0, height, width))
}

/// Zeros around an image.
fn padded_shape(input: Shape, pads: [usize; 4]) -> Result<Shape, GraphError> {
    let image = image_of(input, "Pad")?;
    let (height, width) = padded(image, pads)?;
    Ok(Shape::image(image.0, height, width))
}

/// The shape of a sum: that of all its inputs.
fn sum_shape(inputs: &[Shape]) -> Result<Shape, GraphError> {
    let &[first, _, ..] = inputs else {
        return Err(GraphError::SumInputs { found: inputs.len() });
    };
    match inputs.iter().find(|&&other| other != first) {
        Some(&other) => Err(GraphError::SumShapes { first, other }),
        None => Ok(first),
    }
}

/// A polynomial of each element, `y = c[0] + c[1]·x + c[2]·x² + ...`.
#[derive(Clone, Debug, PartialEq)]
pub struct Polynomial {
    /// Coefficients by ascending power of x: at least one, at most [`MAX_DEGREE`] + 1, finite.
    pub coefficients: Vec<f64>,
}

/// The highest power of x in a [`Polynomial`].
pub const MAX_DEGREE: usize = 63;

const MOST_COEFFICIENTS: usize = MAX_DEGREE + 1;

impl Polynomial {
    /// x².
    pub fn square() -> Self {
        Self { coefficients: vec![0.0, 0.0, 1.0] }
    }

    /// The number of coefficients less one (the highest may be zero).
    pub fn degree(&self) -> usize {
        self.coefficients.len().saturating_sub(1)
    }

    pub(super) fn check(&self) -> Result<(), GraphError> {
        match self.coefficients.len() {
            1..=MOST_COEFFICIENTS => Ok(()),
            found => Err(GraphError::CoefficientCount { found }),
        }
    }
}

/// A fully connected layer, `y = weights·x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// `[output, input]`.
    pub weights: Array2<f64>,
    /// One value per output.
    pub bias: Array1<f64>,
}

impl Dense {
    fn output_shape(&self, input: Shape) -> Result<Shape, GraphError> {
        let Shape::Vector(length) = input else {
            return Err(GraphError::ShapeKind {
                operator: "Dense",
                expected: "a vector (put a Flatten before it)",
                found: input,
            });
        };
        let (outputs, inputs) = self.weights.dim();
        if inputs != length {
            return Err(mismatch("Dense", "inputs", inputs, length));
        }
        if self.bias.len() != outputs {
            return Err(mismatch("Dense", "bias values", outputs, self.bias.len()));
        }
        Ok(Shape::Vector(outputs))
    }
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operator {
    /// The image; only the first node of a graph, made by [`Graph::new`](super::graph::Graph::new).
    Input,
    /// See [`Convolution`].
    Convolution(Convolution),
    /// See [`BatchNormalization`].
    BatchNormalization(BatchNormalization),
    /// A function of each element.
    Activation(Activation),
    /// See [`ParametricRelu`].
    ParametricRelu(ParametricRelu),
    /// See [`MaxPool`].
    MaxPool(MaxPool),
    /// See [`MeanPool`].
    MeanPool(MeanPool),
    /// See [`Polynomial`].
    Polynomial(Polynomial),
    /// Rows and columns of zeros around each map of an image, `[top, left, bottom, right]`.
    Pad([usize; 4]),
    /// C x H x W to a vector, channel by channel, row by row.
    Flatten,
    /// See [`Dense`].
    Dense(Dense),
    /// The sum, element by element, of two or more values of one shape.
    Sum,
}

impl Operator {
    /// max(x, 0), element by element.
    pub const RELU: Self = Self::Activation(Activation::Relu);

    /// The operator's name, as used in messages: of a function of each element, its name in ONNX.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Convolution(_) => "Convolution",
            Self::BatchNormalization(_) => "BatchNormalization",
            Self::Activation(function) => function.name(),
            Self::ParametricRelu(_) => "ParametricRelu",
            Self::MaxPool(_) => "MaxPool",
            Self::MeanPool(_) => "MeanPool",
            Self::Polynomial(_) => "Polynomial",
            Self::Pad(_) => "Pad",
            Self::Flatten => "Flatten",
            Self::Dense(_) => "Dense",
            Self::Sum => "Sum",
        }
    }

    /// The number of trained values: weights and biases, slopes, and scale and shift
    /// of a batch normalization (its running mean and variance are not trained,
    /// nor are the coefficients of a polynomial).
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Convolution(layer) => layer.weights.len() + layer.bias.len(),
            Self::BatchNormalization(layer) => layer.scale.len() + layer.shift.len(),
            Self::ParametricRelu(layer) => layer.slopes.len(),
            Self::Dense(layer) => layer.weights.len() + layer.bias.len(),
            Self::Input
            | Self::Activation(_)
            | Self::MaxPool(_)
            | Self::MeanPool(_)
            | Self::Polynomial(_)
            | Self::Pad(_)
            | Self::Flatten
            | Self::Sum => 0,
        }
    }

    pub(super) fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, GraphError> {
        if matches!(self, Self::Sum) {
            return sum_shape(inputs);
        }
        let &[input] = inputs else {
            let (operator, found) = (self.name(), inputs.len());
            return Err(GraphError::InputCount { operator, expected: 1, found });
        };
        match self {
            Self::Input => Err(GraphError::SecondInput),
            Self::Convolution(layer) => layer.output_shape(input),
            Self::BatchNormalization(layer) => layer.output_shape(input),
            Self::ParametricRelu(layer) => layer.output_shape(input),
            Self::MaxPool(MaxPool { kernel, strides, pads })
            | Self::MeanPool(MeanPool { kernel, strides, pads, .. }) => {
                pooled_shape(input, self.name(), (*kernel, *strides, *pads))
            }
            Self::Polynomial(layer) => layer.check().map(|()| input),
            Self::Pad(pads) => padded_shape(input, *pads),
            Self::Flatten => Ok(Shape::Vector(input.elements())),
            Self::Dense(layer) => layer.output_shape(input),
            Self::Activation(_) | Self::Sum => Ok(input),
        }
    }

    pub(super) fn is_finite(&self) -> bool {
        let finite = |value: &f64| value.is_finite();
        match self {
            Self::Convolution(layer) => {
                layer.weights.iter().all(finite) && layer.bias.iter().all(finite)
            }
            Self::BatchNormalization(layer) => {
                layer.scale.iter().all(finite) && layer.shift.iter().all(finite)
            }
            Self::Activation(function) => function.is_finite(),
            Self::ParametricRelu(layer) => layer.slopes.iter().all(finite),
            Self::Dense(layer) => layer.weights.iter().all(finite) && layer.bias.iter().all(finite),
            Self::Polynomial(layer) => layer.coefficients.iter().all(finite),
            Self::Input
            | Self::MaxPool(_)
            | Self::MeanPool(_)
            | Self::Pad(_)
            | Self::Flatten
            | Self::Sum => true,
        }
    }
}

fn image_of(shape: Shape, operator: &'static str) -> Result<(usize, usize, usize), GraphError> {
    match shape {
        Shape::Image { channels, height, width } => Ok((channels, height, width)),
        Shape::Vector(_) => Err(GraphError::ShapeKind {
            operator,
            expected: "an image (channels x height x width)",
            found: shape,
        }),
    }
}

fn mismatch(
    operator: &'static str,
    what: &'static str,
    expected: usize,
    found: usize,
) -> GraphError {
    GraphError::Mismatch { operator, what, expected, found }
}

/// Rows and columns of the maps with `[top, left, bottom, right]` more.
fn padded(
    (channels, height, width): (usize, usize, usize),
    [top, left, bottom, right]: [usize; 4],
) -> Result<(usize, usize), GraphError> {
    let height = height.saturating_add(top).saturating_add(bottom);
    let width = width.saturating_add(left).saturating_add(right);
    // A padded image larger than any value may be is refused before it is allocated.
    Shape::image(channels, height, width).check().map(|_| (height, width))
}

/// The number of windows along one axis of a padded map.
fn window_count(
    length: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
) -> Result<usize, GraphError> {
    let error = GraphError::Window { kernel, stride, dilation, length };
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(error);
    }
    let extent = (kernel - 1).saturating_mul(dilation).saturating_add(1);
    match length.checked_sub(extent) {
        Some(free) => Ok(free / stride + 1),
        None => Err(error),
    }
}
