//! `owner`: what the owner of a model does, where the secrets are.

mod decrypt;
mod deploy;
mod identity;
mod journal;
mod keygen;
mod list;
mod passphrase;
mod plan;
mod protect;

use super::{Failure, output};
use bellerophon::store::Store;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Protects models, deploys them, and opens their results; works on a store of protected models
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(plan::Arguments),
    Keygen(keygen::Arguments),
    Protect(protect::Arguments),
    Deploy(deploy::Arguments),
    Decrypt(decrypt::Arguments),
    Identity(identity::Arguments),
    List(list::Arguments),
    Journal(journal::Arguments),
    Passphrase(passphrase::Arguments),
}

/// The store to work on.
#[derive(Debug, Args)]
struct StoreArgument {
    /// The file of the store
    #[arg(long, value_name = "STORE")]
    store: PathBuf,
}

impl StoreArgument {
    fn open(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.store)?)
    }
}

/// Runs what is asked for.
pub fn run(arguments: &Arguments, json: bool) -> Result<(), Failure> {
    match &arguments.command {
        Command::Plan(arguments) => output::emit(json, &plan::run(arguments)?),
        Command::Keygen(arguments) => output::emit(json, &keygen::run(arguments)?),
        Command::Protect(arguments) => output::emit(json, &protect::run(arguments)?),
        Command::Deploy(arguments) => output::emit(json, &deploy::run(arguments)?),
        Command::Decrypt(arguments) => output::emit(json, &decrypt::run(arguments)?),
        Command::Identity(arguments) => output::emit(json, &identity::run(arguments)?),
        Command::List(arguments) => output::emit(json, &list::run(arguments)?),
        Command::Journal(arguments) => output::emit(json, &journal::run(arguments)?),
        Command::Passphrase(arguments) => output::emit(json, &passphrase::run(arguments)?),
    }
}
