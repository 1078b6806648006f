//! The classifiers that the paper encrypts: what of a CNN comes behind its feature extractor.

use super::EvaluationError;
use crate::data::{Samples, Split};
use crate::model::{Convolution, Dense, Graph, MaxPool, Node, Operator, Shape, onnx};
use crate::polynomial::{Activation, Pooling, Replacement};
use ndarray::{Array1, Array2, Array4, ArrayD, IxDyn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Hidden units and classes of the Keras CNN.
const HIDDEN: usize = 512;
const CLASSES: usize = 10;

/// A data set, which gives the CNN its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataset {
    /// 32 x 32 x 3.
    Cifar10,
    /// 28 x 28 x 1.
    Mnist,
}

impl Dataset {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cifar10, Self::Mnist];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cifar10 => "CIFAR-10",
            Self::Mnist => "MNIST",
        }
    }

    /// Values that the feature extractor makes of an image.
    #[must_use]
    pub fn features(self) -> usize {
        match self {
            Self::Cifar10 => 2304,
            Self::Mnist => 1600,
        }
    }
}

/// What of the classifier is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The last dense layer.
    LastLayer,
    /// Both dense layers, nothing between them.
    NoActivation,
    /// Both, with `x^2 + 2x` between them.
    Square2x,
    /// Both, with ReLU between them, which is exact.
    Relu,
    /// The whole CNN, its feature extractor included, every ReLU and max-pool exact.
    WholeNetwork,
}

impl Part {
    /// Those that take seconds: all but the whole network.
    pub const CLASSIFIERS: [Self; 4] =
        [Self::LastLayer, Self::NoActivation, Self::Square2x, Self::Relu];

    /// Whether its activations are exact, on the path of coefficients ([`crate::protect`]) and at 128
    /// bits alone; the others are polynomials in slots.
    #[must_use]
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Relu | Self::WholeNetwork)
    }

    /// What a table calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LastLayer => "last layer",
            Self::NoActivation => "full classifier, no activation",
            Self::Square2x => "full classifier, x^2 + 2x",
            Self::Relu => "full classifier, exact ReLU",
            Self::WholeNetwork => "whole network, exact",
        }
    }
}

/// Where weights and inputs come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// A trained CNN; random weights of the same shape where there is none.
    pub model: Option<PathBuf>,
    /// Images, whose features are computed in the clear; random features where there are none.
    pub data: Option<PathBuf>,
}

/// A classifier with inputs.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// The layers that are encrypted.
    pub graph: Graph,
    /// Inputs of it.
    pub inputs: Vec<ArrayD<f64>>,
}

impl Classifier {
    /// The part of the CNN, and `count` inputs.
    ///
    /// # Errors
    /// [`EvaluationError`] where the model or the images cannot be read or do not fit.
    pub fn new(
        dataset: Dataset,
        part: Part,
        source: &Source,
        count: usize,
    ) -> Result<Self, EvaluationError> {
        match &source.model {
            Some(path) => Self::trained(path, part, source.data.as_deref(), count),
            None if part == Part::WholeNetwork => Self::random_network(dataset, count),
            None => Self::random(dataset, part, count),
        }
    }

    /// Random weights of the size that suits ReLU, and half-normal inputs, as behind one.
    fn random(dataset: Dataset, part: Part, count: usize) -> Result<Self, EvaluationError> {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let mut dense = |outputs: usize, inputs: usize, spread: f64| {
            let deviation = spread * (2.0 / inputs as f64).sqrt();
            let weights = Array2::from_shape_simple_fn((outputs, inputs), || {
                let normal: f64 = StandardNormal.sample(&mut rng);
                normal * deviation
            });
            let bias = Array1::from_shape_simple_fn(outputs, || rng.random_range(-0.1..0.1));
            Operator::Dense(Dense { weights, bias })
        };
        let features = dataset.features();
        let (size, operators) = match part {
            Part::LastLayer => (HIDDEN, vec![dense(CLASSES, HIDDEN, 1.0)]),
            Part::NoActivation => {
                (features, vec![dense(HIDDEN, features, 1.0), dense(CLASSES, HIDDEN, 1.0)])
            }
            Part::Square2x | Part::Relu | Part::WholeNetwork => {
                let first = dense(HIDDEN, features, if part == Part::Square2x { 0.2 } else { 1.0 });
                (features, vec![first, Operator::RELU, dense(CLASSES, HIDDEN, 1.0)])
            }
        };
        let graph = chain("features", Shape::Vector(size), operators)?;
        Ok(Self { inputs: random_inputs(size, count), graph })
    }

    /// The whole CNN with random weights, and images of uniform noise.
    fn random_network(dataset: Dataset, count: usize) -> Result<Self, EvaluationError> {
        let mut rng = ChaCha20Rng::seed_from_u64(13);
        let (channels, side) = match dataset {
            Dataset::Cifar10 => (3, 32),
            Dataset::Mnist => (1, 28),
        };
        let mut convolution = |outputs: usize, inputs: usize, pads| {
            let deviation = (2.0 / (9 * inputs) as f64).sqrt();
            let weights = Array4::from_shape_simple_fn((outputs, inputs, 3, 3), || {
                let normal: f64 = StandardNormal.sample(&mut rng);
                normal * deviation
            });
            let plain = Convolution::new(weights, Array1::zeros(outputs));
            Operator::Convolution(Convolution { pads: [pads; 4], ..plain })
        };
        let halving = || Operator::MaxPool(MaxPool::new([2, 2], [2, 2]));
        let mut operators = vec![convolution(32, channels, 1), Operator::RELU];
        operators.extend([convolution(32, 32, 0), Operator::RELU, halving()]);
        operators.extend([convolution(64, 32, 1), Operator::RELU]);
        operators.extend([convolution(64, 64, 0), Operator::RELU, halving(), Operator::Flatten]);
        let classifier = Self::random(dataset, Part::Relu, 0)?.graph;
        operators.extend(classifier.nodes().iter().skip(1).map(|node| node.operator().clone()));
        let shape = Shape::image(channels, side, side);
        let graph = chain("image", shape, operators)?;
        let mut image = || {
            let dimensions = IxDyn(&shape.dimensions());
            ArrayD::from_shape_simple_fn(dimensions, || rng.random_range(0.0..1.0))
        };
        Ok(Self { inputs: (0..count).map(|_| image()).collect(), graph })
    }

    fn trained(
        path: &Path,
        part: Part,
        data: Option<&Path>,
        count: usize,
    ) -> Result<Self, EvaluationError> {
        let graph = onnx::import(path)?;
        let (dataset, start, _) = classified(&graph, path)?;
        let cut = match part {
            Part::WholeNetwork => 0,
            Part::LastLayer => graph.nodes().len() - 2,
            _ => start,
        };
        let classifier = if cut == 0 { graph.clone() } else { behind(&graph, cut)? };
        let inputs = match data {
            None if cut == 0 => Self::random_network(dataset, count)?.inputs,
            None => random_inputs(classifier.input_shape().elements(), count),
            Some(data) => {
                let samples = Samples::open(data, Split::Test)?.take(0, count)?;
                let extractor = up_to(&graph, cut)?;
                let images = samples.fitted(graph.input_shape())?;
                let features = images.par_iter().map(|image| Ok(extractor.evaluate(&image)?));
                features.collect::<Result<_, EvaluationError>>()?
            }
        };
        Ok(Self { graph: classifier, inputs })
    }

    /// The data set and the part that the classifier of a trained CNN is for.
    ///
    /// # Errors
    /// [`EvaluationError::Classifier`] for a model of another kind.
    pub fn kind(path: &Path) -> Result<(Dataset, Part), EvaluationError> {
        let (dataset, _, part) = classified(&onnx::import(path)?, path)?;
        Ok((dataset, part))
    }

    /// What takes the place of activations in a classifier: what it was trained with, or `x^2 + 2x`.
    #[must_use]
    pub fn replacement(classifier: &Graph) -> Replacement {
        let mut operators = classifier.nodes().iter().map(Node::operator);
        let trained = operators.any(|operator| matches!(operator, Operator::Polynomial(_)));
        let activation = if trained { Activation::Trained } else { Activation::Square2x };
        Replacement { activation, pooling: Pooling::Mean, margin: 1.5 }
    }
}

/// One layer behind the other.
fn chain(name: &str, shape: Shape, operators: Vec<Operator>) -> Result<Graph, EvaluationError> {
    let mut graph = Graph::new(name, shape)?;
    for (index, operator) in operators.into_iter().enumerate() {
        let last = graph.output();
        graph.push(format!("{}{index}", operator.name()), operator, vec![last])?;
    }
    Ok(graph)
}

fn random_inputs(size: usize, count: usize) -> Vec<ArrayD<f64>> {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let mut input = || {
        ArrayD::from_shape_simple_fn(IxDyn(&[size]), || {
            let normal: f64 = StandardNormal.sample(&mut rng);
            normal.max(0.0)
        })
    };
    (0..count).map(|_| input()).collect()
}

/// The data set that a CNN is for, the node that makes its features, and the part that its
/// activation makes of its classifier.
pub(super) fn classified(
    graph: &Graph,
    path: &Path,
) -> Result<(Dataset, usize, Part), EvaluationError> {
    let refused = || EvaluationError::Classifier { path: path.display().to_string() };
    let operators: Vec<&Operator> = graph.nodes().iter().map(Node::operator).collect();
    let start = operators.iter().rposition(|operator| matches!(operator, Operator::Flatten));
    let start = start.ok_or_else(refused)?;
    let features = graph.nodes()[start].shape().elements();
    let dataset = Dataset::ALL.into_iter().find(|set| set.features() == features);
    let part = match operators[start + 1..] {
        [Operator::Dense(_), Operator::Dense(_)] => Part::NoActivation,
        [Operator::Dense(_), Operator::Polynomial(_), Operator::Dense(_)] => Part::Square2x,
        [Operator::Dense(_), Operator::Activation(_), Operator::Dense(_)] => Part::Relu,
        _ => return Err(refused()),
    };
    Ok((dataset.ok_or_else(refused)?, start, part))
}

/// The nodes behind node `cut` as a graph of its own, which reads that node's value as a vector.
pub(super) fn behind(graph: &Graph, cut: usize) -> Result<Graph, EvaluationError> {
    let mut behind = Graph::new("features", Shape::Vector(graph.nodes()[cut].shape().elements()))?;
    for node in &graph.nodes()[cut + 1..] {
        let last = behind.output();
        behind.push(node.name(), node.operator().clone(), vec![last])?;
    }
    Ok(behind)
}

/// The same graph, node `cut` its output.
pub(super) fn up_to(graph: &Graph, cut: usize) -> Result<Graph, EvaluationError> {
    let mut extractor = graph.clone();
    if let Some((id, _)) = graph.iter().nth(cut) {
        extractor.set_output(id)?;
    }
    Ok(extractor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_classifiers_have_the_papers_shapes() {
        for (dataset, part, input, parameters) in [
            (Dataset::Cifar10, Part::LastLayer, 512, 5_130),
            (Dataset::Cifar10, Part::NoActivation, 2304, 1_185_290),
            (Dataset::Mnist, Part::Square2x, 1600, 824_842),
            (Dataset::Mnist, Part::Relu, 1600, 824_842),
        ] {
            let classifier = Classifier::new(dataset, part, &Source::default(), 2).unwrap();
            assert_eq!(classifier.graph.input_shape(), Shape::Vector(input));
            assert_eq!(classifier.graph.parameter_count(), parameters);
            assert_eq!(classifier.inputs.len(), 2);
        }
        let whole = Part::WholeNetwork;
        let network = Classifier::new(Dataset::Cifar10, whole, &Source::default(), 1).unwrap();
        assert_eq!(network.graph.parameter_count(), 1_250_858);
        assert_eq!(network.inputs[0].shape(), [3, 32, 32]);
    }
}
