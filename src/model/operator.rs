//! The layers a graph can hold, and the shape each makes of its input.

use bellerophon_schemes::math::approximation::Activation;
use ndarray::{Array1, Array2, Array4};

use super::graph::{GraphError, Shape};

/// A two-dimensional convolution (cross-correlation, as in ONNX `Conv`) with bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Kernel, `[output channel, input channel, row, column]`.
    pub weights: Array4<f64>,
    /// One value per output channel.
    pub bias: Array1<f64>,
    /// Step between outputs, `[rows, columns]`.
    pub strides: [usize; 2],
    /// Zeros added around each map, `[top, left, bottom, right]`.
    pub pads: [usize; 4],
    /// Distance between kernel taps, `[rows, columns]`.
    pub dilations: [usize; 2],
}

impl Convolution {
    /// A convolution with stride 1, no padding, no dilation.
    pub fn new(weights: Array4<f64>, bias: Array1<f64>) -> Self {
        Self { weights, bias, strides: [1, 1], pads: [0; 4], dilations: [1, 1] }
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, GraphError> {
        let (channels, height, width) = image_of(input, "Convolution")?;
        let (outputs, inputs, rows, columns) = self.weights.dim();
        if inputs != channels {
            return Err(mismatch("Convolution", "input channels", inputs, channels));
        }
        if self.bias.len() != outputs {
            return Err(mismatch("Convolution", "bias values", outputs, self.bias.len()));
        }
        let [top, left, bottom, right] = self.pads;
        let padded_height = padded(height, top, bottom)?;
        let padded_width = padded(width, left, right)?;
        let height = window_count(padded_height, rows, self.strides[0], self.dilations[0])?;
        let width = window_count(padded_width, columns, self.strides[1], self.dilations[1])?;
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

/// The largest value of each window, per channel, without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Window size, `[rows, columns]`.
    pub kernel: [usize; 2],
    /// Step between windows, `[rows, columns]`.
    pub strides: [usize; 2],
}

/// The mean of each window, per channel, without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanPool {
    /// Window size, `[rows, columns]`.
    pub kernel: [usize; 2],
    /// Step between windows, `[rows, columns]`.
    pub strides: [usize; 2],
}

/// The shape that a pooling without padding makes.
fn pooled_shape(
    input: Shape,
    operator: &'static str,
    kernel: [usize; 2],
    strides: [usize; 2],
) -> Result<Shape, GraphError> {
    let (channels, height, width) = image_of(input, operator)?;
    let height = window_count(height, kernel[0], strides[0], 1)?;
    let width = window_count(width, kernel[1], strides[1], 1)?;
    Ok(Shape::image(channels, height, width))
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
    /// See [`MaxPool`].
    MaxPool(MaxPool),
    /// See [`MeanPool`].
    MeanPool(MeanPool),
    /// See [`Polynomial`].
    Polynomial(Polynomial),
    /// C x H x W to a vector, channel by channel, row by row.
    Flatten,
    /// See [`Dense`].
    Dense(Dense),
}

impl Operator {
    /// max(x, 0), element by element.
    pub const RELU: Self = Self::Activation(Activation::Relu);

    /// The operator's name, as used in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Convolution(_) => "Convolution",
            Self::BatchNormalization(_) => "BatchNormalization",
            Self::Activation(function) => function.name(),
            Self::MaxPool(_) => "MaxPool",
            Self::MeanPool(_) => "MeanPool",
            Self::Polynomial(_) => "Polynomial",
            Self::Flatten => "Flatten",
            Self::Dense(_) => "Dense",
        }
    }

    /// The number of trained values: weights and biases, and scale and shift
    /// of a batch normalization (its running mean and variance are not trained,
    /// nor are the coefficients of a polynomial).
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Convolution(layer) => layer.weights.len() + layer.bias.len(),
            Self::BatchNormalization(layer) => layer.scale.len() + layer.shift.len(),
            Self::Dense(layer) => layer.weights.len() + layer.bias.len(),
            Self::Input
            | Self::Activation(_)
            | Self::MaxPool(_)
            | Self::MeanPool(_)
            | Self::Polynomial(_)
            | Self::Flatten => 0,
        }
    }

    pub(super) fn output_shape(&self, input: Shape) -> Result<Shape, GraphError> {
        match self {
            Self::Input => Err(GraphError::SecondInput),
            Self::Convolution(layer) => layer.output_shape(input),
            Self::BatchNormalization(layer) => layer.output_shape(input),
            Self::Activation(_) => Ok(input),
            Self::MaxPool(MaxPool { kernel, strides })
            | Self::MeanPool(MeanPool { kernel, strides }) => {
                pooled_shape(input, self.name(), *kernel, *strides)
            }
            Self::Polynomial(layer) => layer.check().map(|()| input),
            Self::Flatten => Ok(Shape::Vector(input.elements())),
            Self::Dense(layer) => layer.output_shape(input),
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
            Self::Dense(layer) => layer.weights.iter().all(finite) && layer.bias.iter().all(finite),
            Self::Polynomial(layer) => layer.coefficients.iter().all(finite),
            Self::Input
            | Self::Activation(_)
            | Self::MaxPool(_)
            | Self::MeanPool(_)
            | Self::Flatten => true,
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

fn padded(length: usize, before: usize, after: usize) -> Result<usize, GraphError> {
    let total = length.saturating_add(before).saturating_add(after);
    // A padded map longer than any value may be is refused before it is allocated.
    Shape::Vector(total).check().map(|_| total)
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
