//! The command line.

use crate::Failure;
use bellerophon::polynomial::{Activation, Pooling};
use bellerophon_schemes::security::SecurityLevel;
use clap::Parser;
use clap::error::ErrorKind;
use std::path::PathBuf;

/// Runs LeNet5 with polynomial activations on encrypted digits, all in CKKS.
#[derive(Debug, Parser)]
#[command(name = "lenet5_polynomial")]
pub struct Arguments {
    /// Folder with the MNIST images (IDX files, gzipped or not): runs test images, takes ranges from
    /// training images; default: the digits that ship with the project, for both
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The first image to run
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub first: usize,
    /// How many images to run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub count: usize,
    /// square or square2x (x^2, x^2 + 2x; the networks trained with them), or in the place of the
    /// exact network's ReLU: least-squares:D, chebyshev:D, taylor:D, derivative:D of degree D,
    /// minimax:B (a composite sign to B bits); trained: whatever the network given has
    #[arg(long, default_value = "square")]
    pub activation: Activation,
    /// mean or sum, in the place of max-pool; a network trained with means keeps them
    #[arg(long, default_value = "mean")]
    pub pool: Pooling,
    /// Ranges seen before activations are widened by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1.2)]
    pub margin: f64,
    /// Bits of security: 128, 192 or 256
    #[arg(long, value_name = "BITS", default_value = "128", value_parser = security_level)]
    pub security: SecurityLevel,
    /// log2 of the ring dimension, 13 to 16; default: the smallest that fits
    #[arg(long, value_name = "LOG")]
    pub log_dimension: Option<u32>,
    /// Worker threads; default: all cores
    #[arg(long, value_name = "T")]
    pub threads: Option<usize>,
    /// Makes keys and noise reproducible, and therefore not secret
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Writes everything shown to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Another trained network of the same input, as ONNX
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line; prints help and ends where it is asked for.
    pub fn read() -> Result<Self, Failure> {
        let arguments = match Self::try_parse() {
            Ok(arguments) => arguments,
            Err(error) if error.kind() == ErrorKind::DisplayHelp => error.exit(),
            Err(error) => return Err(first_line(&error.to_string()).into()),
        };
        if arguments.threads == Some(0) {
            return Err("--threads 0: use at least 1 thread".into());
        }
        Ok(arguments)
    }
}

/// Clap's message without its usage lines.
fn first_line(message: &str) -> String {
    let text = message.split("\n\nUsage").next().unwrap_or(message);
    let text = text.split("\n\nFor more").next().unwrap_or(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

fn security_level(bits: &str) -> Result<SecurityLevel, String> {
    match bits {
        "128" => Ok(SecurityLevel::Bits128),
        "192" => Ok(SecurityLevel::Bits192),
        "256" => Ok(SecurityLevel::Bits256),
        _ => Err("use 128, 192 or 256".to_owned()),
    }
}
