//! The images, and the network with its ranges.

use crate::Failure;
use crate::arguments::Arguments;
use bellerophon::compile;
use bellerophon::data::{LabelledImages, Split};
use bellerophon::model::{self, Calibration, Graph, Shape, onnx};
use ndarray::ArrayD;
use std::path::Path;

const MODEL: &[u8] = include_bytes!("../../models/lenet5.onnx");
const CALIBRATION: &str = include_str!("../../models/lenet5.calibration.json");
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits");
const SIZE: usize = 32;

/// The images to run, as 8-bit pixels and as the network reads them.
pub struct Digits {
    pub source: String,
    pub pictures: LabelledImages,
    pub inputs: Vec<ArrayD<f64>>,
}

/// Reads the images that the command line asks for.
pub fn digits(arguments: &Arguments) -> Result<Digits, Failure> {
    let (folder, split) = match &arguments.data {
        Some(folder) => (folder.as_path(), Split::Test),
        None => (Path::new(DIGITS), Split::Digits),
    };
    let all = LabelledImages::load(folder, split)?;
    let pictures = all.slice(arguments.first, arguments.count)?;
    let inputs = pictures.padded(SIZE)?;
    let source = match &arguments.data {
        Some(_) => "MNIST test images".to_owned(),
        None => "the project's own digits".to_owned(),
    };
    Ok(Digits { source, pictures, inputs })
}

/// A network ready to compile.
pub struct Network {
    pub parameters: usize,
    pub graph: Graph,
    pub calibration: Calibration,
}

/// The shipped LeNet5 with the ranges of the MNIST training images, or the network that the command
/// line names with those of the images at hand.
pub fn network(arguments: &Arguments, images: &[ArrayD<f64>]) -> Result<Network, Failure> {
    let imported = match &arguments.model {
        None => onnx::import_bytes(MODEL)?,
        Some(path) => onnx::import(path)?,
    };
    onnx::expect_input_shape(&imported, Shape::image(1, SIZE, SIZE))?;
    let graph = compile::simplify(&imported)?;
    let calibration = match &arguments.model {
        None => serde_json::from_str(CALIBRATION)?,
        Some(_) => model::calibrate(&graph, images.iter().cloned())?,
    };
    Ok(Network { parameters: imported.parameter_count(), graph, calibration })
}
