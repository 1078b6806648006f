//! `owner deploy`: a signed bundle of what is public.

use super::StoreArgument;
use crate::cli::files::{self, Access};
use crate::cli::output::{self, bytes};
use crate::cli::{Failure, passphrase};
use bellerophon::agents::DeploymentAgent;
use bellerophon::model_id::ModelId;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::io::BufWriter;
use std::path::PathBuf;

/// Writes the signed bundle of a protected model, for machines that run it and encrypt for it
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreArgument,
    /// The model: name@version
    #[arg(long, value_name = "MODEL")]
    model: ModelId,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: passphrase::Arguments,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Deployed {
    model: ModelId,
    out: PathBuf,
    bytes: u64,
    sha256: String,
    owner: String,
}

/// Signs, records and writes.
pub fn run(arguments: &Arguments) -> Result<Deployed, Failure> {
    let Arguments { model, out, .. } = arguments;
    files::check_target(out, Access::Default)?;
    let mut store = arguments.store.open()?;
    store.key(model)?;
    let passphrase = arguments.passphrase.read(false)?;
    let owner = store.owner_key()?.to_string();
    let mut agent = DeploymentAgent::new(&mut store, &passphrase)?;
    let spinner = output::spinner("writing the bundle");
    let written = files::write_with(out, Access::Default, |file| {
        let mut buffered = BufWriter::with_capacity(1 << 20, file);
        let written = agent.write(model, &mut buffered)?;
        buffered.into_inner().map_err(|error| error.to_string())?;
        // a bundle that is not recorded is not handed on
        agent.record(&written)?;
        Ok(written)
    });
    spinner.finish_and_clear();
    let written = written?;
    Ok(Deployed {
        model: model.clone(),
        out: out.clone(),
        bytes: out.metadata()?.len(),
        sha256: written.name(),
        owner,
    })
}

impl Display for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, out, sha256, owner, .. } = self;
        writeln!(f, "wrote {}: {model}, {}", out.display(), bytes(self.bytes as f64))?;
        write!(f, "  bundle {sha256}\n  signed by {owner}")
    }
}
