//! `owner identity`: the key that machines pin.

use super::StoreArgument;
use crate::cli::Failure;
use crate::cli::files::{self, Access};
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Shows the public key that the store's bundles are signed with, for machines to pin
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreArgument,
    /// Also writes it to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The key.
#[derive(Debug, Serialize)]
pub struct Identity {
    owner: String,
}

/// Reads and writes.
pub fn run(arguments: &Arguments) -> Result<Identity, Failure> {
    let owner = arguments.store.open()?.owner_key()?.to_string();
    if let Some(path) = &arguments.out {
        files::write(path, format!("{owner}\n").as_bytes(), Access::Default)?;
    }
    Ok(Identity { owner })
}

impl Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.owner)
    }
}
