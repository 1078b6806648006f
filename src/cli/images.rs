//! Images from the command line.

use super::Failure;
use bellerophon::compile::{Model, Program};
use bellerophon::data::{Fitted, Samples, Split};
use bellerophon::model::Shape;
use clap::{Args, ValueEnum};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    Train,
    Test,
    /// The digits that ship with the project
    Digits,
}

impl From<Part> for Split {
    fn from(part: Part) -> Self {
        match part {
            Part::Train => Self::Train,
            Part::Test => Self::Test,
            Part::Digits => Self::Digits,
        }
    }
}

/// The images to work on.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Images: a .npy, .npz, IDX, PNG or CIFAR-10 file, or a folder of such
    #[arg(long, value_name = "DATA")]
    pub data: PathBuf,
    /// The first image
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub first: usize,
    /// Which part of a data set that has several
    #[arg(long, value_enum, default_value_t = Part::Test)]
    pub split: Part,
    /// The plain model, to compare with
    #[arg(long, value_name = "MODEL")]
    pub model: Option<PathBuf>,
}

impl Arguments {
    /// Reads `count` images, in the shape that the program reads.
    pub fn open(
        &self,
        program: &Program,
        count: usize,
    ) -> Result<(Images, Option<Model>), Failure> {
        let model = self.model.as_ref().map(Model::from_onnx).transpose()?;
        if let Some(model) = &model {
            check_model(model, program)?;
        }
        let samples = Samples::open(&self.data, self.split.into())?.take(self.first, count)?;
        let shape = match &model {
            Some(model) => model.graph().input_shape(),
            None => input_shape(program, samples.shape())?,
        };
        Ok((Images::new(samples, shape)?, model))
    }
}

/// Images of the shape that a network reads.
pub struct Images {
    samples: Samples,
    shape: Shape,
}

impl Images {
    pub fn new(samples: Samples, shape: Shape) -> Result<Self, Failure> {
        samples.fitted(shape)?;
        Ok(Self { samples, shape })
    }

    /// As many images of `path` as there are, but `most`; or exactly `count`.
    pub fn open(
        path: &Path,
        part: Part,
        count: Option<usize>,
        most: usize,
        shape: Shape,
    ) -> Result<Self, Failure> {
        let samples = Samples::open(path, part.into())?;
        let count = count.unwrap_or(most.min(samples.len()));
        Self::new(samples.take(0, count)?, shape)
    }

    pub fn fitted(&self) -> Result<Fitted<'_>, Failure> {
        Ok(self.samples.fitted(self.shape)?)
    }

    pub fn get(&self, index: usize) -> Result<ArrayD<f64>, Failure> {
        Ok(self.fitted()?.get(index)?)
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn label(&self, index: usize) -> Option<usize> {
        self.samples.labels().and_then(|labels| labels.get(index)).copied()
    }

    /// The bits of each value, where it is a pixel.
    pub fn pixel_bits(&self) -> Option<u32> {
        self.samples.pixel_bits()
    }
}

/// Refuses a model of another input or output than the program's.
fn check_model(model: &Model, program: &Program) -> Result<(), Failure> {
    let (input, output) = (model.graph().input_shape(), model.graph().output_shape());
    let found = [input.elements(), output.elements()];
    let expected = [program.input_elements, program.output.len()];
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "the model reads {} values and gives {}, the program {} and {}: it is of another model",
        found[0], found[1], expected[0], expected[1]
    )
    .into())
}

/// The shape that images of shape `found` must have for a program, which only knows how many values
/// it reads: the same number, or a larger square.
pub fn input_shape(program: &Program, found: Shape) -> Result<Shape, Failure> {
    shape_of(program.input_elements, found)
}

/// As [`input_shape`], for so many values.
pub fn shape_of(elements: usize, found: Shape) -> Result<Shape, Failure> {
    if found.elements() == elements {
        return Ok(found);
    }
    let channels = found.channels();
    let side = (elements / channels.max(1)).isqrt();
    let square = Shape::image(channels, side, side);
    match (found, square.elements() == elements) {
        (Shape::Image { height, width, .. }, true) if height.max(width) <= side => Ok(square),
        _ => Err(format!(
            "the images are of shape {found}, which does not fit the {elements} values that the \
             program reads: give images of the model's shape"
        )
        .into()),
    }
}
