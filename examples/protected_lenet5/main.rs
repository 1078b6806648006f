//! A protected LeNet5 from the trained network to the decrypted digit, with two processes.
//!
//! ```text
//! cargo run --example protected_lenet5
//! cargo run --example protected_lenet5 -- --count 3
//! ```
//!
//! The owner's process makes keys, encrypts the network's weights and biases, signs a bundle, and
//! starts the other process with it: the edge. The edge verifies the bundle, serves the model on
//! loopback, encrypts digits with the public key, submits them to the service as a client with a token
//! does, and writes the encrypted results. The owner's process opens them and compares each with the
//! plain network. All that passes between the two are files; the edge never holds a secret.

mod edge;
mod owner;

use bellerophon::compile::Preset;
use bellerophon::data::{LabelledImages, Split};
use bellerophon_schemes::security::SecurityLevel;
use clap::{Parser, Subcommand};
use ndarray::ArrayD;
use std::process::ExitCode;

/// A message for the user, on one line.
type Failure = Box<dyn std::error::Error>;

/// The level of security of every key.
const LEVEL: SecurityLevel = SecurityLevel::Bits128;
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits");
/// Rows and columns that LeNet5 reads.
const SIZE: usize = 32;

/// Protects LeNet5, deploys it to a process that is not trusted, and opens what that computes
#[derive(Debug, Parser)]
#[command(name = "protected_lenet5")]
struct Arguments {
    /// How many of the shipped digits
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=60))]
    count: u16,
    /// fast (accuracy kept), balanced, or precise (agreement with the plain model first)
    #[arg(long, default_value = "balanced")]
    preset: Preset,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The process that is not trusted; started by the owner's
    #[command(hide = true)]
    Edge(edge::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.role {
        None => owner::run(arguments.count, arguments.preset),
        Some(Role::Edge(edge)) => edge::run(edge),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.to_string().replace('\n', " "));
            ExitCode::from(2)
        }
    }
}

/// The first digits that ship with the project, with their labels, as the network reads them.
fn digits(count: usize) -> Result<(Vec<u8>, Vec<ArrayD<f64>>), Failure> {
    let digits = LabelledImages::load(DIGITS, Split::Digits)?.slice(0, count)?;
    Ok((digits.labels().to_vec(), digits.padded(SIZE)?))
}
