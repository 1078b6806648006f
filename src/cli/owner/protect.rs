//! `owner protect`: a trained network, encrypted.

use super::StoreArgument;
use crate::cli::output::{self, bytes};
use crate::cli::{Failure, files, passphrase};
use bellerophon::agents::ProtectionAgent;
use bellerophon::model_id::ModelId;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Instant;

/// Encrypts the weights and biases of a compiled model under its keys, and stores them
#[derive(Debug, Args)]
pub struct Arguments {
    /// The compiled model: a program from compile, or a network from owner plan
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    #[command(flatten)]
    store: StoreArgument,
    /// The model whose keys are used: name@version
    #[arg(long, value_name = "MODEL")]
    model: ModelId,
    #[command(flatten)]
    passphrase: passphrase::Arguments,
}

/// What was stored.
#[derive(Debug, Serialize)]
pub struct Stored {
    model: ModelId,
    bytes: usize,
    encrypted_weight_polynomials: usize,
    encrypted_biases: usize,
    seconds: f64,
}

/// Encrypts and stores.
pub fn run(arguments: &Arguments) -> Result<Stored, Failure> {
    let plain = files::plain_model(&arguments.program)?;
    let mut store = arguments.store.open()?;
    store.key(&arguments.model)?;
    let passphrase = arguments.passphrase.read(false)?;
    let model = arguments.model.clone();
    let mut agent = ProtectionAgent::open(&mut store, model.clone(), &plain, &passphrase)?;
    let spinner = output::spinner("encrypting weights and biases");
    let begun = Instant::now();
    let protected = agent.protect(&mut ChaCha20Rng::from_rng(&mut rand::rng()));
    spinner.finish_and_clear();
    let protected = protected?;
    let [weights, biases] = protected.ciphertexts;
    Ok(Stored {
        model,
        bytes: protected.bytes,
        encrypted_weight_polynomials: weights,
        encrypted_biases: biases,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

impl Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, encrypted_weight_polynomials, encrypted_biases, seconds, .. } = self;
        write!(
            f,
            "stored {model}: {encrypted_weight_polynomials} weight polynomials and \
             {encrypted_biases} biases, encrypted, {} in {seconds:.1} s",
            bytes(self.bytes as f64)
        )
    }
}
