//! A network whose activations are polynomials and whose poolings are means or sums, as a chain of
//! stages, in the clear.

use super::PolynomialError;
use super::affine::unsupported;
use super::choice::{Activation, Approximation, Pooling};
use super::maximum::Comparison;
use crate::compile::fold::fold_batch_normalization;
use crate::model::{Graph, GraphError, MaxPool, MeanPool, Node, Operator, Range, Shape};
use bellerophon_schemes::math::approximation::{Activation as Function, Basis, Polynomial};
use ndarray::ArrayD;
use rayon::prelude::*;

/// What a stage computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Convolution, dense layer or batch normalization.
    Affine,
    /// Means of windows, each multiplied by the factor.
    Pool {
        /// Window and step.
        pool: MeanPool,
        /// 1 for means, the window's size for sums.
        factor: f64,
    },
    /// The largest value of each window.
    Maximum {
        /// Window and step.
        pool: MaxPool,
        /// How two values are compared; exactly where there is none.
        comparison: Option<Comparison>,
    },
    /// A change of shape that moves nothing.
    Flatten,
    /// A polynomial of each value.
    Activation(Approximation),
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    name: String,
    kind: Kind,
    /// The layer alone, except for activations, which it leaves out.
    layer: Graph,
    range: Range,
}

impl Stage {
    /// The layer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it computes.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The shape it reads.
    #[must_use]
    pub fn input(&self) -> Shape {
        self.layer.input_shape()
    }

    /// The shape it makes.
    #[must_use]
    pub fn output(&self) -> Shape {
        self.layer.output_shape()
    }

    /// The layer's weights, for [`Kind::Affine`].
    #[must_use]
    pub fn operator(&self) -> Option<&Operator> {
        self.layer.nodes().get(1).map(Node::operator)
    }

    /// The range of its values over the samples.
    #[must_use]
    pub fn range(&self) -> Range {
        self.range
    }

    /// The layer's result for one value, in the clear.
    ///
    /// # Errors
    /// [`GraphError::InputShape`] for a value of another shape.
    pub fn evaluate(&self, input: &ArrayD<f64>) -> Result<ArrayD<f64>, GraphError> {
        match &self.kind {
            Kind::Activation(approximation) => Ok(input.mapv(|x| approximation.evaluate(x))),
            Kind::Pool { factor, .. } => Ok(self.layer.evaluate(input)? * *factor),
            Kind::Maximum { pool, comparison: Some(comparison) } => {
                Ok(comparison.pool(pool, input, self.output()))
            }
            Kind::Affine | Kind::Flatten | Kind::Maximum { .. } => self.layer.evaluate(input),
        }
    }
}

/// What takes the place of the layers that arithmetic cannot compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replacement {
    /// In the place of ReLU.
    pub activation: Activation,
    /// In the place of max-pool.
    pub pooling: Pooling,
    /// The range seen before an activation is widened by this factor about its middle.
    pub margin: f64,
}

impl Replacement {
    /// Refuses a margin that is none, and ranges from no samples.
    pub(super) fn check(&self, samples: &[ArrayD<f64>]) -> Result<(), PolynomialError> {
        let margin = self.margin;
        if samples.is_empty() {
            return Err(PolynomialError::NoSamples);
        }
        if !(1.0..=10.0).contains(&margin) {
            return Err(PolynomialError::Margin { margin });
        }
        Ok(())
    }
}

/// A network of polynomials.
#[derive(Clone, Debug, PartialEq)]
pub struct PolynomialNetwork {
    input: Shape,
    stages: Vec<Stage>,
}

impl PolynomialNetwork {
    /// Folds batch normalization, then replaces layer by layer, in order: each activation's range is
    /// what the samples reach in the network as replaced so far.
    ///
    /// # Errors
    /// [`PolynomialError::NoSamples`], [`PolynomialError::NotFinite`] for values that are not,
    /// [`PolynomialError::Unsupported`] for a layer that does not come right behind the one before
    /// it, [`PolynomialError::NotTrained`] where the network was trained with another polynomial
    /// than asked for, and those of [`Activation::approximate`].
    pub fn new(
        graph: &Graph,
        replacement: &Replacement,
        samples: &[ArrayD<f64>],
    ) -> Result<Self, PolynomialError> {
        replacement.check(samples)?;
        let graph = fold_batch_normalization(graph)?;
        let mut values = samples.to_vec();
        let mut range = checked_range(graph.node(graph.input())?.name(), &values)?;
        let mut network = Self { input: graph.input_shape(), stages: Vec::new() };
        for node in chain(&graph)? {
            let stage = replaced(node, network.output_shape(), replacement, range)?;
            let stage = compared(stage, replacement, network.stages.last(), range)?;
            let next = values.par_iter().map(|value| stage.evaluate(value));
            values = next.collect::<Result<_, _>>()?;
            range = checked_range(&stage.name, &values)?;
            network.stages.push(Stage { range, ..stage });
        }
        Ok(network)
    }

    /// The shape of the image it reads.
    #[must_use]
    pub fn input_shape(&self) -> Shape {
        self.input
    }

    /// The shape of its result.
    #[must_use]
    pub fn output_shape(&self) -> Shape {
        self.stages.last().map_or(self.input, Stage::output)
    }

    /// Its layers.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The result for one image, in the clear.
    ///
    /// # Errors
    /// [`GraphError::InputShape`] for an image of another shape.
    pub fn evaluate(&self, image: &ArrayD<f64>) -> Result<ArrayD<f64>, GraphError> {
        let expected = self.input.dimensions();
        if image.shape() != expected {
            let found = image.shape().to_vec();
            return Err(GraphError::InputShape { expected: self.input, found });
        }
        self.stages.iter().try_fold(image.clone(), |value, stage| stage.evaluate(&value))
    }
}

/// The nodes from input to output, each of which must read the one before it.
fn chain(graph: &Graph) -> Result<Vec<&Node>, PolynomialError> {
    let mut nodes = Vec::new();
    let mut at = graph.output();
    while at != graph.input() {
        let node = graph.node(at)?;
        nodes.push(node);
        let &[input] = node.inputs() else {
            return Err(unsupported(node.name(), "it reads several values: only chains are run"));
        };
        at = input;
    }
    nodes.reverse();
    Ok(nodes)
}

fn checked_range(name: &str, values: &[ArrayD<f64>]) -> Result<Range, PolynomialError> {
    let all = values.iter().flatten();
    if !all.clone().all(|value| value.is_finite()) {
        return Err(PolynomialError::NotFinite { layer: name.to_owned() });
    }
    let widen = |range: Range, &value: &f64| range.merge(Range { min: value, max: value });
    Ok(all.fold(Range::EMPTY, widen))
}

fn replaced(
    node: &Node,
    input: Shape,
    replacement: &Replacement,
    range: Range,
) -> Result<Stage, PolynomialError> {
    let (kind, operator) = match node.operator() {
        Operator::Activation(Function::Relu) => {
            let interval = widened(range, replacement.margin);
            (Kind::Activation(replacement.activation.approximate(interval)?), None)
        }
        Operator::Polynomial(trained) => {
            let coefficients = trained.coefficients.clone();
            if !replacement.activation.allows_trained(&coefficients) {
                return Err(PolynomialError::NotTrained { found: "a polynomial" });
            }
            let interval = widened(range, replacement.margin);
            let polynomial = Polynomial::new(Basis::Monomial, interval, coefficients)?;
            (Kind::Activation(Approximation::Polynomial(polynomial)), None)
        }
        Operator::MaxPool(pool) => replaced_pool(node, pool, replacement.pooling)?,
        Operator::MeanPool(pool) => {
            let pool = unpadded(node, *pool)?;
            (Kind::Pool { pool, factor: 1.0 }, Some(Operator::MeanPool(pool)))
        }
        Operator::Flatten => (Kind::Flatten, Some(Operator::Flatten)),
        operator @ (Operator::Convolution(_)
        | Operator::Dense(_)
        | Operator::BatchNormalization(_)) => (Kind::Affine, Some(operator.clone())),
        operator => {
            return Err(unsupported(
                node.name(),
                format!("{} is not run in slots", operator.name()),
            ));
        }
    };
    let mut layer = Graph::new(node.name(), input)?;
    if let Some(operator) = operator {
        layer.push(node.name(), operator, vec![layer.input()])?;
    }
    Ok(Stage { name: node.name().to_owned(), kind, layer, range: Range::EMPTY })
}

/// What takes the place of a max-pool; how values are compared is not known yet.
fn replaced_pool(
    node: &Node,
    pool: &MaxPool,
    pooling: Pooling,
) -> Result<(Kind, Option<Operator>), PolynomialError> {
    let factor = match pooling {
        Pooling::Mean => 1.0,
        Pooling::Sum => (pool.kernel[0] * pool.kernel[1]) as f64,
        Pooling::Max | Pooling::Minimax(_) => {
            let kind = Kind::Maximum { pool: *pool, comparison: None };
            return Ok((kind, Some(Operator::MaxPool(*pool))));
        }
    };
    let mean = MeanPool { pads: pool.pads, ..MeanPool::new(pool.kernel, pool.strides) };
    let pool = unpadded(node, mean)?;
    Ok((Kind::Pool { pool, factor }, Some(Operator::MeanPool(pool))))
}

/// The stage with the comparison that its maximum is asked for.
fn compared(
    stage: Stage,
    replacement: &Replacement,
    before: Option<&Stage>,
    range: Range,
) -> Result<Stage, PolynomialError> {
    let (Kind::Maximum { pool, .. }, Pooling::Minimax(bits)) = (&stage.kind, replacement.pooling)
    else {
        return Ok(stage);
    };
    let bound = super::lower::magnitude(before, range)?;
    let comparison = Some(Comparison::new(bits, bound, pool, &stage.name)?);
    Ok(Stage { kind: Kind::Maximum { pool: *pool, comparison }, ..stage })
}

pub(super) fn unpadded(node: &Node, pool: MeanPool) -> Result<MeanPool, PolynomialError> {
    match pool.pads {
        [0, 0, 0, 0] => Ok(pool),
        _ => Err(unsupported(node.name(), "a pooling with padding is not run in slots")),
    }
}

/// The range, wider by `margin` about its middle, and never empty.
fn widened(range: Range, margin: f64) -> [f64; 2] {
    let middle = f64::midpoint(range.min, range.max);
    let half = ((range.max - range.min) / 2.0 * margin).max(1e-9 * (1.0 + middle.abs()));
    [middle - half, middle + half]
}
