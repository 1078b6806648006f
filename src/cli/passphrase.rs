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
        read(self.passphrase_file.as_deref(), VARIABLE, "passphrase of the store: ", makes_store)
    }
}

/// Where a passphrase comes from that is to replace another.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// A file whose first line is the new passphrase; without, it is taken from
    /// BELLEROPHON_NEW_PASSPHRASE, or asked for
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

impl NewArguments {
    /// Reads it.
    pub fn read(&self) -> Result<Passphrase, Failure> {
        let file = self.new_passphrase_file.as_deref();
        read(file, "BELLEROPHON_NEW_PASSPHRASE", "new passphrase: ", true)
    }
}

fn read(
    file: Option<&Path>,
    variable: &str,
    prompt: &str,
    twice: bool,
) -> Result<Passphrase, Failure> {
    let text = match (file, std::env::var(variable)) {
        (Some(path), _) => from_file(path)?,
        (None, Ok(text)) => Zeroizing::new(text),
        (None, Err(_)) => ask(prompt, variable, twice)?,
    };
    Ok(Passphrase::new(text)?)
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

fn ask(text: &str, variable: &str, twice: bool) -> Result<Zeroizing<String>, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(format!("no passphrase: name a file (see --help), or set {variable}").into());
    }
    let prompt = |text: &str| -> Result<Zeroizing<String>, Failure> {
        let typed = rpassword::prompt_password(text);
        Ok(Zeroizing::new(typed.map_err(|error| format!("cannot read a passphrase: {error}"))?))
    };
    let typed = prompt(text)?;
    if twice && *prompt("once more: ")? != *typed {
        return Err("the two passphrases differ: nothing was done".into());
    }
    Ok(typed)
}
