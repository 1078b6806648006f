//! The network and the images that a study is of.

use super::store::digest;
use super::{Options, StudyError};
use crate::compile::fold::fold_batch_normalization;
use crate::data::{Samples, Split};
use crate::model::{Graph, Operator, onnx};
use ndarray::ArrayD;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder or file of a data set: its test images, and its training images for ranges.
    Data(PathBuf),
    /// The folder of the digits that ship with the project, for both.
    ShippedDigits(PathBuf),
}

/// A network, the images to compare on, and those to take ranges from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The model's file.
    pub model: PathBuf,
    /// The network.
    pub graph: Graph,
    /// Whether the images are the digits that ship with the project.
    pub shipped: bool,
    /// The images, in the shape that the network reads.
    pub images: Vec<ArrayD<f64>>,
    /// The class of each.
    pub labels: Vec<u16>,
    /// Images that exact programs are calibrated with.
    pub calibration: Vec<ArrayD<f64>>,
    /// The number of those, the first ones, that ranges of polynomials are taken from.
    count: usize,
    /// SHA-256 of the model's file, the images with labels, and those of `calibration`.
    pub digests: [String; 3],
    /// The plain network's results.
    pub(super) plain: Vec<Vec<f64>>,
    /// The plain network without batch normalization.
    pub(super) folded: Graph,
}

/// Exact programs are calibrated with so many times the samples: how often a comparison goes wrong
/// depends on rare images.
const CALIBRATION: usize = 10;

impl Inputs {
    /// Reads everything, and runs the plain network.
    ///
    /// # Errors
    /// [`StudyError::Onnx`], [`StudyError::Data`], [`StudyError::NoLabels`], and
    /// [`StudyError::NoActivations`].
    pub fn open(model: &Path, source: &Source, options: &Options) -> Result<Self, StudyError> {
        let graph = onnx::import(model)?;
        check(&graph)?;
        let bytes = std::fs::read(model);
        let bytes = bytes.map_err(|source| StudyError::Read { path: model.to_owned(), source })?;
        let (path, [test, train]) = match source {
            Source::Data(path) => (path, [Split::Test, Split::Train]),
            Source::ShippedDigits(path) => (path, [Split::Digits, Split::Digits]),
        };
        let shape = graph.input_shape();
        let open = |split, most: usize| -> Result<Samples, StudyError> {
            let samples = Samples::open(path, split)?;
            let count = most.min(samples.len());
            Ok(samples.take(0, count)?)
        };
        let test = open(test, options.images)?;
        let labels = test.labels().ok_or(StudyError::NoLabels)?;
        let labels = labels.iter().map(|&label| u16::try_from(label).unwrap_or(u16::MAX)).collect();
        let images: Vec<ArrayD<f64>> = test.fitted(shape)?.iter().collect();
        let calibration = options.samples.saturating_mul(CALIBRATION);
        let calibration: Vec<_> = open(train, calibration)?.fitted(shape)?.iter().collect();
        let count = options.samples.min(calibration.len());
        Self::new(model, &bytes, graph, (images, labels), (calibration, count), source)
    }

    fn new(
        model: &Path,
        bytes: &[u8],
        graph: Graph,
        (images, labels): (Vec<ArrayD<f64>>, Vec<u16>),
        (calibration, count): (Vec<ArrayD<f64>>, usize),
        source: &Source,
    ) -> Result<Self, StudyError> {
        let plain = images.par_iter().map(|image| Ok(graph.evaluate(image)?.into_iter().collect()));
        let plain = plain.collect::<Result<_, StudyError>>()?;
        let digests = [digest(bytes), digest_of(&images, &labels), digest_of(&calibration, &[])];
        let folded = fold_batch_normalization(&graph)?;
        let (model, shipped) = (model.to_owned(), matches!(source, Source::ShippedDigits(_)));
        Ok(Self {
            model,
            graph,
            shipped,
            images,
            labels,
            calibration,
            count,
            digests,
            plain,
            folded,
        })
    }

    /// The file of a network that was trained otherwise: `lenet5_square.onnx` beside `lenet5.onnx`.
    #[must_use]
    pub fn relative(&self, suffix: &str) -> PathBuf {
        let stem = self.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.model.with_file_name(format!("{stem}{suffix}.onnx"))
    }

    /// Images that ranges of polynomials are taken from.
    #[must_use]
    pub fn samples(&self) -> &[ArrayD<f64>] {
        &self.calibration[..self.count]
    }

    /// The plain network's results for each image.
    #[must_use]
    pub fn plain(&self) -> &[Vec<f64>] {
        &self.plain
    }
}

fn check(graph: &Graph) -> Result<(), StudyError> {
    let compares = |operator: &Operator| {
        matches!(
            operator,
            Operator::Activation(_) | Operator::ParametricRelu(_) | Operator::MaxPool(_)
        )
    };
    match graph.nodes().iter().any(|node| compares(node.operator())) {
        true => Ok(()),
        false => Err(StudyError::NoActivations),
    }
}

fn digest_of(images: &[ArrayD<f64>], labels: &[u16]) -> String {
    let mut hash = Sha256::new();
    for image in images {
        image.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
