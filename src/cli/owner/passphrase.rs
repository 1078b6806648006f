//! `owner passphrase`: another one.

use super::StoreArgument;
use crate::cli::{Failure, passphrase};
use bellerophon::store::seal::Cost;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::fmt::{self, Display};

/// Seals all secrets of a store under another passphrase; copies made before keep the old one
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreArgument,
    #[command(flatten)]
    passphrase: passphrase::Arguments,
    #[command(flatten)]
    new: passphrase::NewArguments,
}

/// How many models' secrets were sealed.
#[derive(Debug, Serialize)]
pub struct Sealed {
    models: usize,
}

/// Opens and seals.
pub fn run(arguments: &Arguments) -> Result<Sealed, Failure> {
    let mut store = arguments.store.open()?;
    let old = arguments.passphrase.read(false)?;
    store.signing_key(&old)?;
    let new = arguments.new.read()?;
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    store.change_passphrase(&old, &new, Cost::default(), &mut rng)?;
    Ok(Sealed { models: store.models()?.len() })
}

impl Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed the signing key and the secrets of {} models anew", self.models)
    }
}
