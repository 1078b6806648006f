//! Linear layers in one form: sums of convolutions of earlier values, plus a bias for each element.
//!
//! Everything linear is a convolution here: batch normalization and identity are 1x1 and depthwise,
//! mean-pool is depthwise, and a dense layer is a convolution whose kernel covers its whole input (a
//! vector being an image of 1x1 maps). Convolutions one behind the other become one, so that nothing
//! between two activations needs a bootstrapping. Biases are what the layers make of zeros, which
//! also holds where padding meets them.

use super::CompileError;
use crate::model::{BatchNormalization, Convolution, Graph, MeanPool, Operator, Shape};
use ndarray::{Array1, Array4, ArrayD, Axis, IxDyn};

/// Two convolutions become one only while the product has at most this many weights.
const MOST_WEIGHTS: usize = 1 << 23;

/// A convolution (its bias aside) of one earlier value.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The number of the value: 0 for the input, `i + 1` for the result of stage `i`.
    pub source: usize,
    /// The weights; the bias is not used.
    pub kernel: Convolution,
    /// Channels, rows and columns of the value as the kernel reads it.
    pub from: [usize; 3],
}

/// A sum of convolutions.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// What is summed.
    pub terms: Vec<Term>,
    /// Added to each element.
    pub bias: Vec<f64>,
    /// Channels, rows and columns.
    pub dims: [usize; 3],
    /// The shape in the graph: `dims`, or the same elements as a vector.
    pub shape: Shape,
}

/// Channels, rows and columns of a shape; a vector is an image of 1x1 maps.
#[must_use]
pub fn dims(shape: Shape) -> [usize; 3] {
    match shape {
        Shape::Image { channels, height, width } => [channels, height, width],
        Shape::Vector(length) => [length, 1, 1],
    }
}

impl Affine {
    /// The value itself.
    #[must_use]
    pub fn identity(source: usize, shape: Shape) -> Self {
        let from = dims(shape);
        let kernel = diagonal(vec![1.0; from[0]]);
        let bias = vec![0.0; from.iter().product()];
        Self { terms: vec![Term { source, kernel, from }], bias, dims: from, shape }
    }

    /// Whether it is an earlier value, unchanged.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        let one = |term: &Term| term.kernel == diagonal(vec![1.0; term.from[0]]);
        self.terms.len() == 1 && self.terms.iter().all(one) && self.bias.iter().all(|&b| b == 0.0)
    }

    /// The layer applied to this value, where the result still is a sum of convolutions.
    ///
    /// # Errors
    /// [`CompileError::Graph`] for a layer that does not fit, which a checked graph rules out.
    pub fn then(&self, operator: &Operator, shape: Shape) -> Result<Option<Self>, CompileError> {
        if matches!(operator, Operator::Flatten) {
            return Ok(Some(Self { shape, ..self.clone() }));
        }
        let Some((kernel, reading)) = kernel(operator, self.dims) else { return Ok(None) };
        let Some(this) = self.read_as(reading) else { return Ok(None) };
        let next = |term: &Term| {
            let kernel = compose(&term.kernel, &kernel)?;
            Some(Term { kernel, ..term.clone() })
        };
        let Some(terms) = this.terms.iter().map(next).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let bias = evaluate(operator, self.shape, &self.bias)?;
        let dims = match shape {
            Shape::Image { channels, height, width } => [channels, height, width],
            Shape::Vector(_) if kernel_is_diagonal(&kernel) => this.dims,
            Shape::Vector(length) => [length, 1, 1],
        };
        Ok(Some(Self { terms, bias, dims, shape }))
    }

    /// The same elements as other channels, rows and columns: only a plain value can be read so.
    fn read_as(&self, dims: [usize; 3]) -> Option<Self> {
        if self.dims == dims {
            return Some(self.clone());
        }
        let mut this = Self::identity(self.terms.first()?.source, self.shape);
        if !self.is_identity() {
            return None;
        }
        this.dims = dims;
        this.terms[0].from = dims;
        this.terms[0].kernel = diagonal(vec![1.0; dims[0]]);
        Some(this)
    }

    /// The sum of several values of one shape.
    #[must_use]
    pub fn sum(parts: &[Self]) -> Option<Self> {
        // only a plain value can be read in other dimensions
        let fixed = parts.iter().find(|part| !part.is_identity()).or(parts.first())?;
        let mut parts = parts.iter().map(|part| part.read_as(fixed.dims));
        let mut sum = parts.next()??;
        for part in parts {
            let part = part?;
            sum.terms.extend(part.terms);
            sum.bias.iter_mut().zip(part.bias).for_each(|(sum, bias)| *sum += bias);
        }
        Some(sum)
    }
}

/// A factor for each channel.
fn diagonal(factors: Vec<f64>) -> Convolution {
    let channels = factors.len();
    let weights = Array1::from_vec(factors).insert_axis(Axis(1));
    let weights = weights.insert_axis(Axis(2)).insert_axis(Axis(3));
    let kernel = Convolution::new(weights, Array1::zeros(channels));
    Convolution { groups: channels, ..kernel }
}

fn kernel_is_diagonal(kernel: &Convolution) -> bool {
    let (outputs, inputs, rows, columns) = kernel.weights.dim();
    let plain = kernel.pads == [0; 4] && kernel.strides == [1, 1];
    (inputs, rows, columns) == (1, 1, 1) && outputs == kernel.groups && plain
}

/// A linear operator as a convolution, and the dimensions in which it reads its input.
fn kernel(operator: &Operator, input: [usize; 3]) -> Option<(Convolution, [usize; 3])> {
    let elements: usize = input.iter().product();
    match operator {
        Operator::Convolution(layer) => Some((layer.clone(), input)),
        Operator::BatchNormalization(BatchNormalization { scale, .. }) => {
            let reading = if scale.len() == input[0] { input } else { [elements, 1, 1] };
            Some((diagonal(scale.to_vec()), reading))
        }
        Operator::Pad(pads) => {
            let kernel = diagonal(vec![1.0; input[0]]);
            Some((Convolution { pads: *pads, ..kernel }, input))
        }
        Operator::MeanPool(pool) => mean(pool, input[0]).map(|kernel| (kernel, input)),
        Operator::Dense(layer) => {
            let [channels, rows, columns] = input;
            let shape = (layer.weights.nrows(), channels, rows, columns);
            let weights = layer.weights.as_standard_layout().into_owned();
            let weights: Array4<f64> = weights.into_shape_with_order(shape).ok()?;
            let bias = Array1::zeros(shape.0);
            Some((Convolution::new(weights, bias), input))
        }
        _ => None,
    }
}

/// Mean-pool as a depthwise convolution; with padding that does not count it is none.
fn mean(pool: &MeanPool, channels: usize) -> Option<Convolution> {
    if pool.pads != [0; 4] && !pool.include_padding {
        return None;
    }
    let [rows, columns] = pool.kernel;
    let weight = 1.0 / (rows * columns) as f64;
    let weights = Array4::from_elem((channels, 1, rows, columns), weight);
    let kernel = Convolution::new(weights, Array1::zeros(channels));
    Some(Convolution { strides: pool.strides, pads: pool.pads, groups: channels, ..kernel })
}

/// What the operator makes of one value.
fn evaluate(operator: &Operator, shape: Shape, value: &[f64]) -> Result<Vec<f64>, CompileError> {
    let mut graph = Graph::new("value", shape)?;
    let input = graph.input();
    graph.push("layer", operator.clone(), vec![input])?;
    let array = ArrayD::from_shape_vec(IxDyn(&shape.dimensions()), value.to_vec());
    let array = array.unwrap_or_else(|_| ArrayD::zeros(IxDyn(&shape.dimensions())));
    Ok(graph.evaluate(&array)?.into_iter().collect())
}

/// `second` behind `first` as one convolution, where there is one.
fn compose(first: &Convolution, second: &Convolution) -> Option<Convolution> {
    if kernel_is_diagonal(second) {
        let mut kernel = first.clone();
        let outputs = kernel.weights.axis_iter_mut(Axis(0));
        outputs.zip(&second.weights).for_each(|(mut output, factor)| output *= *factor);
        return Some(kernel);
    }
    if kernel_is_diagonal(first) {
        return Some(scaled_inputs(second, first));
    }
    let (_, _, rows, columns) = first.weights.dim();
    let pointwise = (rows, columns) == (1, 1) && first.strides == [1, 1];
    if !pointwise && second.pads != [0; 4] {
        return None; // the padding would have to be of zeros behind the first
    }
    convolved(first, second)
}

/// A convolution of inputs that are multiplied by a factor for each channel first.
fn scaled_inputs(layer: &Convolution, factors: &Convolution) -> Convolution {
    let mut kernel = layer.clone();
    let (outputs, inputs, _, _) = kernel.weights.dim();
    let per_group = (outputs / layer.groups).max(1);
    for (output, mut weights) in kernel.weights.axis_iter_mut(Axis(0)).enumerate() {
        let first = output / per_group * inputs;
        for (input, mut weights) in weights.axis_iter_mut(Axis(0)).enumerate() {
            weights *= factors.weights[[first + input, 0, 0, 0]];
        }
    }
    kernel
}

/// For each output channel, the input channels it reads.
#[must_use]
pub fn input_channels(layer: &Convolution, output: usize) -> std::ops::Range<usize> {
    let (outputs, inputs, _, _) = layer.weights.dim();
    let group = output / (outputs / layer.groups.max(1)).max(1);
    group * inputs..(group + 1) * inputs
}

fn convolved(first: &Convolution, second: &Convolution) -> Option<Convolution> {
    let (middle, per_group, rows, columns) = first.weights.dim();
    let (outputs, _, next_rows, next_columns) = second.weights.dim();
    let extent = |axis: usize, taps: usize, next: usize| {
        (taps - 1) * first.dilations[axis]
            + (next - 1) * second.dilations[axis] * first.strides[axis]
            + 1
    };
    let size = (extent(0, rows, next_rows), extent(1, columns, next_columns));
    let inputs = per_group * first.groups;
    if outputs * inputs * size.0 * size.1 > MOST_WEIGHTS || middle == 0 {
        return None;
    }
    let mut weights = Array4::zeros((outputs, inputs, size.0, size.1));
    for output in 0..outputs {
        for (between, channel) in input_channels(second, output).enumerate() {
            let sources = input_channels(first, channel);
            for ((a, b), &outer) in
                second.weights.slice(ndarray::s![output, between, .., ..]).indexed_iter()
            {
                let offset = [
                    a * second.dilations[0] * first.strides[0],
                    b * second.dilations[1] * first.strides[1],
                ];
                let inner = first.weights.index_axis(Axis(0), channel);
                for ((source, row, column), &weight) in inner.indexed_iter() {
                    let at = [
                        output,
                        sources.start + source,
                        offset[0] + row * first.dilations[0],
                        offset[1] + column * first.dilations[1],
                    ];
                    weights[at] += outer * weight;
                }
            }
        }
    }
    let mut pads = first.pads;
    pads.iter_mut().zip(second.pads).for_each(|(pad, next)| *pad += next);
    Some(Convolution {
        strides: [first.strides[0] * second.strides[0], first.strides[1] * second.strides[1]],
        pads,
        ..Convolution::new(weights, Array1::zeros(outputs))
    })
}
