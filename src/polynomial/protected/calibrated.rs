//! The network whose parameters are to be protected, in the clear: its layers in order, each
//! activation replaced by a polynomial on a range that the samples show.

use crate::model::{Graph, GraphError, MeanPool, Node, Operator, Shape};
use crate::polynomial::affine::unsupported;
use crate::polynomial::choice::{Approximation, Pooling};
use crate::polynomial::network::unpadded;
use crate::polynomial::{PolynomialError, Replacement};
use bellerophon_schemes::math::approximation::{Basis, Polynomial};
use ndarray::ArrayD;
use rayon::prelude::*;

/// What a layer computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing: the input.
    Input,
    /// Convolution, dense layer or batch normalization.
    Affine,
    /// Means of windows, each multiplied by the factor.
    Pool {
        /// Window and step.
        pool: MeanPool,
        /// 1 for means, the window's size for sums.
        factor: f64,
    },
    /// A change of shape that moves nothing.
    Flatten,
    /// A polynomial of each value.
    Activation(Approximation),
    /// The sum of all it reads.
    Sum,
}

/// One layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// What it computes.
    pub kind: Kind,
    /// The layers it reads, by number.
    pub inputs: Vec<usize>,
    /// The shape of its result.
    pub shape: Shape,
    /// The largest magnitude of its values over the samples.
    pub largest: f64,
    /// By itself, for those of one input that the graph evaluates.
    alone: Option<Graph>,
}

impl Layer {
    /// The largest magnitude of its values over the samples, rounded up to a power of two: all that
    /// an architecture may show of it.
    pub fn bound(&self) -> f64 {
        power_of_two(self.largest)
    }

    /// Its weights, for [`Kind::Affine`].
    pub fn operator(&self) -> Option<&Operator> {
        let alone = self.alone.as_ref()?;
        alone.nodes().get(1).map(Node::operator)
    }

    fn evaluate(&self, inputs: &[&ArrayD<f64>]) -> Result<ArrayD<f64>, GraphError> {
        let found =
            || GraphError::InputCount { operator: "layer", expected: 1, found: inputs.len() };
        let (first, rest) = inputs.split_first().ok_or_else(found)?;
        let value = match &self.alone {
            Some(alone) => alone.evaluate(first)?,
            None => (*first).clone(),
        };
        Ok(match &self.kind {
            Kind::Activation(approximation) => value.mapv(|x| approximation.evaluate(x)),
            Kind::Pool { factor, .. } => value * *factor,
            Kind::Sum => rest.iter().fold(value, |sum, other| sum + *other),
            Kind::Input | Kind::Affine | Kind::Flatten => value,
        })
    }
}

/// The layers in order, the input first and the result last.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// The layers.
    pub layers: Vec<Layer>,
}

impl Calibrated {
    /// Replaces layer by layer, in order: an activation's range is what the samples reach in the
    /// network as replaced so far, made symmetric and rounded up to a power of two.
    ///
    /// # Errors
    /// Those of [`crate::polynomial::PolynomialNetwork::new`], except that sums are supported.
    pub fn new(
        graph: &Graph,
        replacement: &Replacement,
        samples: &[ArrayD<f64>],
    ) -> Result<Self, PolynomialError> {
        replacement.check(samples)?;
        let (mut layers, mut values): (Vec<Layer>, Vec<Vec<ArrayD<f64>>>) = Default::default();
        let mut places = vec![None; graph.nodes().len()];
        let needed = needed(graph);
        for (id, node) in graph.iter().filter(|(id, _)| needed[id.index()]) {
            let inputs: Vec<usize> =
                node.inputs().iter().filter_map(|input| places[input.index()]).collect();
            let largest = inputs.first().map_or(1.0, |&input| layers[input].largest);
            let mut layer = replaced(node, graph, &inputs, replacement, largest)?;
            let made = (0..samples.len()).into_par_iter().map(|sample| {
                let read: Vec<&ArrayD<f64>> =
                    inputs.iter().map(|&input| &values[input][sample]).collect();
                if read.is_empty() { Ok(samples[sample].clone()) } else { layer.evaluate(&read) }
            });
            let made: Vec<ArrayD<f64>> = made.collect::<Result<_, _>>()?;
            layer.largest = checked_largest(&layer.name, &made)?;
            places[id.index()] = Some(layers.len());
            layers.push(layer);
            values.push(made);
        }
        Ok(Self { layers })
    }

    /// The shape of the input.
    pub fn input_shape(&self) -> Shape {
        self.layers.first().map_or(Shape::Vector(0), |layer| layer.shape)
    }

    /// For every layer, the layers that read it.
    pub fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![Vec::new(); self.layers.len()];
        for (index, layer) in self.layers.iter().enumerate() {
            layer.inputs.iter().for_each(|&input| readers[input].push(index));
        }
        readers
    }

    /// The result for one input, in the clear.
    ///
    /// # Errors
    /// [`GraphError::InputShape`] for an input of another shape.
    pub fn evaluate(&self, input: &ArrayD<f64>) -> Result<ArrayD<f64>, GraphError> {
        let expected = self.input_shape();
        if input.shape() != expected.dimensions() {
            return Err(GraphError::InputShape { expected, found: input.shape().to_vec() });
        }
        let mut values: Vec<ArrayD<f64>> = vec![input.clone()];
        for layer in self.layers.iter().skip(1) {
            let read: Vec<&ArrayD<f64>> = layer.inputs.iter().map(|&k| &values[k]).collect();
            values.push(layer.evaluate(&read)?);
        }
        Ok(values.pop().unwrap_or_else(|| input.clone()))
    }
}

/// The nodes that the result depends on, and the input.
fn needed(graph: &Graph) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes().len()];
    needed[graph.input().index()] = true;
    needed[graph.output().index()] = true;
    for (id, node) in graph.iter().rev() {
        if needed[id.index()] {
            node.inputs().iter().for_each(|input| needed[input.index()] = true);
        }
    }
    needed
}

fn checked_largest(name: &str, values: &[ArrayD<f64>]) -> Result<f64, PolynomialError> {
    let largest = values.iter().flatten().fold(0.0, |most: f64, value| most.max(value.abs()));
    if !values.iter().flatten().all(|value| value.is_finite()) {
        return Err(PolynomialError::NotFinite { layer: name.to_owned() });
    }
    Ok(largest)
}

/// The next power of two, and 1 for zero.
fn power_of_two(value: f64) -> f64 {
    if value > 0.0 { value.log2().ceil().exp2() } else { 1.0 }
}

/// The layer that stands for a node that reads values of magnitude up to `largest`.
fn replaced(
    node: &Node,
    graph: &Graph,
    inputs: &[usize],
    replacement: &Replacement,
    largest: f64,
) -> Result<Layer, PolynomialError> {
    let bound = power_of_two(largest * replacement.margin);
    let interval = [-bound, bound];
    let operator = node.operator();
    let (kind, alone) = match operator {
        Operator::Input => (Kind::Input, None),
        Operator::Sum => (Kind::Sum, None),
        Operator::Activation(function) => {
            let chosen = replacement.activation.approximate_function(*function, interval)?;
            (Kind::Activation(chosen), None)
        }
        Operator::Polynomial(trained) => {
            if !replacement.activation.allows_trained(&trained.coefficients) {
                return Err(PolynomialError::NotTrained { found: "a polynomial" });
            }
            let coefficients = trained.coefficients.clone();
            let polynomial = Polynomial::new(Basis::Monomial, interval, coefficients)?;
            (Kind::Activation(Approximation::Polynomial(polynomial)), None)
        }
        Operator::MaxPool(pool) => {
            let pads = pool.pads;
            let pool =
                unpadded(node, MeanPool { pads, ..MeanPool::new(pool.kernel, pool.strides) })?;
            let factor = match replacement.pooling {
                Pooling::Mean => 1.0,
                Pooling::Sum => (pool.kernel[0] * pool.kernel[1]) as f64,
                Pooling::Minimax(_) | Pooling::Max => {
                    let reason = "with encrypted weights in slots, max-pools become means or sums";
                    return Err(unsupported(node.name(), reason.to_owned()));
                }
            };
            (Kind::Pool { pool, factor }, Some(Operator::MeanPool(pool)))
        }
        Operator::MeanPool(pool) => {
            let pool = unpadded(node, *pool)?;
            (Kind::Pool { pool, factor: 1.0 }, Some(Operator::MeanPool(pool)))
        }
        Operator::Flatten => (Kind::Flatten, Some(Operator::Flatten)),
        Operator::Convolution(_) | Operator::Dense(_) | Operator::BatchNormalization(_) => {
            (Kind::Affine, Some(operator.clone()))
        }
        other => {
            let reason = format!("{} is not run in slots", other.name());
            return Err(unsupported(node.name(), reason));
        }
    };
    let alone = alone.map(|operator| alone_in_graph(node, graph, operator)).transpose()?;
    let (name, shape) = (node.name().to_owned(), node.shape());
    Ok(Layer { name, kind, inputs: inputs.to_vec(), shape, largest: 1.0, alone })
}

/// A graph of one layer.
fn alone_in_graph(node: &Node, graph: &Graph, operator: Operator) -> Result<Graph, GraphError> {
    let mut shape = graph.input_shape();
    if let Some(&input) = node.inputs().first() {
        shape = graph.node(input)?.shape();
    }
    let mut alone = Graph::new(node.name(), shape)?;
    alone.push(node.name(), operator, vec![alone.input()])?;
    Ok(alone)
}
