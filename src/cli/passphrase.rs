//! The passphrase of a store: from a file, the environment, or the terminal; never an argument,
//! which other processes can see.

use super::{Failure, output};
use bellerophon::store::seal::Passphrase;
use clap::Args;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const VARIABLE: &str = "BELLEROPHON_PASSPHRASE";
/// The longest file, in bytes.
const LIMIT: u64 = 4096;

/// Where the passphrase comes from.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A file whose first line is the passphrase; without, it is taken from BELLEROPHON_PASSPHRASE,
    /// or asked for
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Arguments {
    /// Reads it; one that makes a store is asked for twice.
    pub fn read(&self, makes_store: bool) -> Result<Passphrase, Failure> {
        let text = match (&self.passphrase_file, std::env::var(VARIABLE)) {
            (Some(path), _) => from_file(path)?,
            (None, Ok(text)) => Zeroizing::new(text),
            (None, Err(_)) => ask(makes_store)?,
        };
        Ok(Passphrase::new(text)?)
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let shown = path.display();
    let error = |error| format!("cannot read the passphrase file {shown}: {error}");
    let file = std::fs::File::open(path).map_err(error)?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&file.metadata().map_err(error)?) & 0o077 != 0 {
        output::warn(&format!("{shown} can be read by others: chmod 600 it"));
    }
    let mut text = Zeroizing::new(String::with_capacity(LIMIT as usize));
    file.take(LIMIT).read_to_string(&mut text).map_err(error)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or("").to_owned()))
}

fn ask(twice: bool) -> Result<Zeroizing<String>, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "no passphrase: name a file with --passphrase-file, or set {VARIABLE}"
        )
        .into());
    }
    let prompt = |text: &str| -> Result<Zeroizing<String>, Failure> {
        let typed = rpassword::prompt_password(text);
        Ok(Zeroizing::new(typed.map_err(|error| format!("cannot read a passphrase: {error}"))?))
    };
    let text = prompt("passphrase of the store: ")?;
    if twice && *prompt("once more: ")? != *text {
        return Err("the two passphrases differ: nothing was made".into());
    }
    Ok(text)
}
