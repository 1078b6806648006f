//! The images, and the network with its ranges.

use crate::Failure;
use crate::arguments::Arguments;
use bellerophon::compile::Model;
use bellerophon::data::{LabelledImages, Split};
use bellerophon::model::{Shape, onnx};
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

/// The shipped LeNet5 with the ranges of the MNIST training images, or the network that the command
/// line names with those of the images at hand.
pub fn network(arguments: &Arguments, images: &[ArrayD<f64>]) -> Result<Model, Failure> {
    let graph = match &arguments.model {
        None => onnx::import_bytes(MODEL)?,
        Some(path) => onnx::import(path)?,
    };
    onnx::expect_input_shape(&graph, Shape::image(1, SIZE, SIZE))?;
    let model = Model::from_graph(graph)?;
    Ok(match &arguments.model {
        None => model.with_calibration(serde_json::from_str(CALIBRATION)?)?,
        Some(_) => model.calibrate(images.iter().cloned())?,
    })
}
