//! `compile`: from a model to a program file.

use super::forecast::Forecast;
use super::{Failure, files, selection};
use bellerophon_schemes::wire;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Compiles a model and writes the program
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: selection::Arguments,
    /// The program file to write
    #[arg(long, value_name = "PROGRAM")]
    out: PathBuf,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    pub program: PathBuf,
    pub bytes: usize,
    pub steps: usize,
    pub agreement: f64,
    pub deviation: f64,
    pub forecast: Forecast,
}

/// Compiles and writes.
pub fn run(arguments: &Arguments) -> Result<Written, Failure> {
    files::check_target(&arguments.out, files::Access::Default)?;
    let (model, options) = arguments.selection.prepare()?;
    let compiled = selection::compile(&model, &options)?;
    let bytes = wire::to_bytes(&compiled.program)?;
    files::write(&arguments.out, &bytes, files::Access::Default)?;
    Ok(Written {
        program: arguments.out.clone(),
        bytes: bytes.len(),
        steps: compiled.program.steps.len(),
        agreement: compiled.agreement,
        deviation: compiled.deviation,
        forecast: Forecast::new(&compiled.program, &compiled.parameters),
    })
}

impl Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.program.display();
        writeln!(f, "wrote {path}: {} steps, {} bytes", self.steps, self.bytes)?;
        writeln!(f, "forecast: {}", self.forecast)?;
        writeln!(
            f,
            "predicted agreement with the plain model {:.3} %, standard deviation of a result {:.4}",
            100.0 * self.agreement,
            self.deviation
        )
    }
}
