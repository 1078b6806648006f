//! `encrypt`: one image for a program.

use super::images::{Images, Part, input_shape};
use super::{Failure, files};
use bellerophon::data::Samples;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Encrypts an image for a program
#[derive(Debug, Args)]
pub struct Arguments {
    /// The program file
    #[arg(long, value_name = "PROGRAM")]
    program: PathBuf,
    /// The secrets, from keygen
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// Images: a .npy, .npz, IDX, PNG or CIFAR-10 file, or a folder of such
    #[arg(long, value_name = "DATA")]
    image: PathBuf,
    /// Which of the images
    #[arg(long, value_name = "I", default_value_t = 0)]
    index: usize,
    /// Which part of a data set that has several
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    pub out: PathBuf,
    pub bytes: usize,
    pub label: Option<usize>,
}

/// Encrypts and writes.
pub fn run(arguments: &Arguments) -> Result<Written, Failure> {
    files::check_target(&arguments.out, files::Access::Default)?;
    let (program, parameters) = files::program(&arguments.program)?;
    let samples = Samples::open(&arguments.image, arguments.split.into())?;
    let samples = samples.take(arguments.index, 1)?;
    let shape = input_shape(&program, samples.shape())?;
    let images = Images::new(samples, shape)?;
    let values: Vec<f64> = images.get(0)?.into_iter().collect();
    let client = files::client(&arguments.secret, &parameters)?;
    // never from a seed: two encryptions with the same randomness tell their difference
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let message = client.encrypt(&program, &values, &mut rng)?;
    files::write(&arguments.out, &message, files::Access::Default)?;
    Ok(Written { out: arguments.out.clone(), bytes: message.len(), label: images.label(0) })
}

impl Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wrote {}: {} bytes", self.out.display(), self.bytes)
    }
}
