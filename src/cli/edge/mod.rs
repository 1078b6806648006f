//! `edge`: what machines do that are not trusted with a model.

mod acquire;
mod feed;
mod serve;
mod token;

use super::{Failure, files, output};
use bellerophon::bundle::{Bundle, OwnerKey};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Runs protected models on encrypted images, and encrypts images for them; holds no secret key
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Arguments>),
    Acquire(Box<acquire::Arguments>),
    Token(token::Arguments),
}

/// The owner whose bundles are accepted.
#[derive(Debug, Args)]
struct OwnerArgument {
    /// The owner's public key, ed25519:..., or a file that holds it; bundles of others are refused
    #[arg(long, value_name = "KEY")]
    owner: String,
}

impl OwnerArgument {
    fn key(&self) -> Result<OwnerKey, Failure> {
        if let Ok(key) = self.owner.parse::<OwnerKey>() {
            return Ok(key);
        }
        let path = Path::new(&self.owner);
        let bytes = files::read(path, "owner key", 256)?;
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        text.parse::<OwnerKey>().map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn bundle(&self, path: &Path) -> Result<Bundle, Failure> {
        let bundle = Bundle::open(path, &self.key()?);
        bundle.map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

/// Runs what is asked for.
pub fn run(arguments: &Arguments, json: bool) -> Result<(), Failure> {
    match &arguments.command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Acquire(arguments) => output::emit(json, &acquire::run(arguments)?),
        Command::Token(arguments) => output::emit(json, &token::run(arguments)?),
    }
}

/// A certificate and its key, which come together.
fn certificate(
    chain: Option<&PathBuf>,
    key: Option<&PathBuf>,
) -> Option<bellerophon::service::tls::Certificate> {
    let (chain, key) = (chain?.clone(), key?.clone());
    Some(bellerophon::service::tls::Certificate { chain, key })
}
