//! `eval`: a program on an encrypted image, with evaluation keys alone.

use super::run::evaluate;
use super::{Failure, files, output};
use bellerophon::compile::Program;
use bellerophon::message::{KEY_LIMIT, MESSAGE_LIMIT, SLOT_KEY_LIMIT};
use bellerophon::server::Server;
use bellerophon_bridge as bridge;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Instant;

/// Evaluates a program on an encrypted image; needs no secret
#[derive(Debug, Args)]
pub struct Arguments {
    /// The program file
    #[arg(long, value_name = "PROGRAM")]
    program: PathBuf,
    /// The evaluation keys, from keygen
    #[arg(long, value_name = "EVALUATION")]
    keys: PathBuf,
    /// The keys of polynomials in slots, from keygen; for programs that have such
    #[arg(long, value_name = "FILE")]
    slots: Option<PathBuf>,
    /// The encrypted image, from encrypt
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    pub out: PathBuf,
    pub bytes: usize,
    pub bootstrappings: usize,
    pub seconds: f64,
    pub peak_memory_bytes: Option<u64>,
}

/// Evaluates and writes.
pub fn run(arguments: &Arguments) -> Result<Written, Failure> {
    files::check_target(&arguments.out, files::Access::Default)?;
    let (program, parameters) = files::program(&arguments.program)?;
    files::check_slots(&program, arguments.slots.as_deref())?;
    let input = files::read(&arguments.input, "encrypted input", MESSAGE_LIMIT)?;
    let spinner = output::spinner("reading keys");
    let server = server(arguments, &program, &parameters);
    spinner.finish_and_clear();
    let server = server?;
    let begun = Instant::now();
    let evaluation = evaluate(&server, &program, &input)
        .map_err(|error| format!("{}: {error}", arguments.input.display()))?;
    let seconds = begun.elapsed().as_secs_f64();
    files::write(&arguments.out, &evaluation.output, files::Access::Default)?;
    Ok(Written {
        out: arguments.out.clone(),
        bytes: evaluation.output.len(),
        bootstrappings: program.bootstraps(),
        seconds,
        peak_memory_bytes: output::peak_memory(),
    })
}

/// A server with the keys of the command line.
fn server(
    arguments: &Arguments,
    program: &Program,
    parameters: &bridge::Parameters,
) -> Result<Server, Failure> {
    let path = &arguments.keys;
    let keys = files::read(path, "evaluation key", KEY_LIMIT)?;
    let server = Server::new(parameters, program.clone(), &keys);
    let server = server.map_err(|error| format!("{}: {error}", path.display()))?;
    drop(keys);
    let Some(path) = &arguments.slots else { return Ok(server) };
    let keys = files::read(path, "slot key", SLOT_KEY_LIMIT)?;
    let server = server.with_slot_keys(files::LEVEL, &keys);
    Ok(server.map_err(|error| format!("{}: {error}", path.display()))?)
}

impl Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, bootstrappings, seconds, .. } = self;
        let out = self.out.display();
        writeln!(f, "wrote {out}: {bytes} bytes, {bootstrappings} bootstrappings in {seconds:.2} s")
    }
}
