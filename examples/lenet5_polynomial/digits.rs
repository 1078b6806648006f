//! The images, and the network with its replacements.

use crate::Failure;
use crate::arguments::Arguments;
use bellerophon::data::{LabelledImages, Split};
use bellerophon::model::{Graph, Shape, onnx};
use bellerophon::polynomial::{Activation, PolynomialNetwork, Replacement};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
const SIZE: usize = 32;
/// Images from which ranges are taken, at most.
const SAMPLES: usize = 1000;

/// The images to run, as 8-bit pixels and as the network reads them.
pub struct Digits {
    pub source: &'static str,
    pub pictures: LabelledImages,
    pub inputs: Vec<ArrayD<f64>>,
    /// Where ranges are taken from.
    pub samples: Vec<ArrayD<f64>>,
}

/// Reads the images that the command line asks for.
pub fn digits(arguments: &Arguments) -> Result<Digits, Failure> {
    let shipped = Path::new(MODELS).join("digits");
    let (source, folder, split, calibration) = match &arguments.data {
        Some(folder) => ("MNIST test images", folder, Split::Test, Split::Train),
        None => ("the project's own digits", &shipped, Split::Digits, Split::Digits),
    };
    let pictures = LabelledImages::load(folder, split)?.slice(arguments.first, arguments.count)?;
    let inputs = pictures.padded(SIZE)?;
    let all = LabelledImages::load(folder, calibration)?;
    let samples = all.slice(0, all.len().min(SAMPLES))?.padded(SIZE)?;
    Ok(Digits { source, pictures, inputs, samples })
}

/// The network as trained, and with its replacements.
pub struct Network {
    pub name: String,
    pub parameters: usize,
    pub graph: Graph,
    pub polynomial: PolynomialNetwork,
}

/// The network that the command line names, or the shipped one trained for the activation: the exact
/// LeNet5 for those that approximate ReLU.
pub fn network(arguments: &Arguments, samples: &[ArrayD<f64>]) -> Result<Network, Failure> {
    let shipped = match arguments.activation {
        Activation::Square | Activation::Trained => "lenet5_square.onnx",
        Activation::Square2x => "lenet5_square2x.onnx",
        _ => "lenet5.onnx",
    };
    let path = arguments.model.clone().unwrap_or_else(|| PathBuf::from(MODELS).join(shipped));
    let graph = onnx::import(&path)?;
    onnx::expect_input_shape(&graph, Shape::image(1, SIZE, SIZE))?;
    let replacement = Replacement {
        activation: arguments.activation,
        pooling: arguments.pool,
        margin: arguments.margin,
    };
    let polynomial = PolynomialNetwork::new(&graph, &replacement, samples)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Network { name, parameters: graph.parameter_count(), graph, polynomial })
}
