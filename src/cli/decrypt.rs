//! `decrypt`: the results of a program.

use super::simulate::{clipped_warning, is_clipped};
use super::statistics::largest;
use super::{Failure, files, output};
use bellerophon::message::MESSAGE_LIMIT;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Decrypts the results of a program
#[derive(Debug, Args)]
pub struct Arguments {
    /// The program file
    #[arg(long, value_name = "PROGRAM")]
    program: PathBuf,
    /// The secrets, from keygen
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// The encrypted results, from eval
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

/// The results. They carry noise that depends on the secret: who passes them on should round them
/// first.
#[derive(Debug, Serialize)]
pub struct Results {
    pub prediction: usize,
    pub values: Vec<f64>,
}

/// Reads and decrypts.
pub fn run(arguments: &Arguments) -> Result<Results, Failure> {
    let (program, parameters) = files::program(&arguments.program)?;
    let message = files::read(&arguments.input, "encrypted output", MESSAGE_LIMIT)?;
    let client = files::client(&arguments.secret, &parameters)?;
    let values = client.decrypt(&program, &message);
    let values = values.map_err(|error| format!("{}: {error}", arguments.input.display()))?;
    if is_clipped(&program, &values) {
        output::warn(&clipped_warning(1));
    }
    Ok(Results { prediction: largest(&values), values })
}

impl Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = output::Table::new(&["result", "value"]);
        for (index, value) in self.values.iter().enumerate() {
            table.push(vec![index.to_string(), format!("{value:.4}")]);
        }
        write!(f, "{table}prediction {}", self.prediction)
    }
}
