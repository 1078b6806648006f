//! The command line.

use crate::Failure;
use bellerophon::compile::Preset;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::tfhe::Kernel;
use clap::Parser;
use clap::error::ErrorKind;
use std::path::PathBuf;

/// Runs the whole LeNet5 on encrypted digits, with exact ReLU and max-pool.
#[derive(Debug, Parser)]
#[command(name = "lenet5_hybrid")]
pub struct Arguments {
    /// Folder with the MNIST test images (IDX files, gzipped or not); default: the digits that ship
    /// with the project
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The first image to run
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub first: usize,
    /// How many images to run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub count: usize,
    /// fast (accuracy kept), balanced, or precise (agreement with the plain model first)
    #[arg(long, default_value = "balanced")]
    pub preset: Preset,
    /// Bits of security; 128 is what the published TFHE noise curves cover
    #[arg(long, value_name = "BITS", default_value = "128", value_parser = security_level)]
    pub security: SecurityLevel,
    /// Rests on standard assumptions only: no partial and no shared secret (slower)
    #[arg(long)]
    pub conservative: bool,
    /// Blind rotation: fused (the widest of fused-avx512, fused-avx2 and fused-scalar that this
    /// processor has) or tfhe, the crate's, with one key bit a step; default: the fastest
    #[arg(long)]
    pub kernel: Option<Kernel>,
    /// Worker threads; default: all cores
    #[arg(long, value_name = "T")]
    pub threads: Option<usize>,
    /// Makes keys and noise reproducible, and therefore not secret
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Writes everything shown to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Another trained network of the same input, as ONNX; its ranges are taken from the images run
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
        "192" | "256" => Err(format!("no TFHE noise curve is published for {bits} bits: use 128")),
        _ => Err("use 128".to_owned()),
    }
}
