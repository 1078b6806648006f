//! `edge token`: lets another client in.

use crate::cli::Failure;
use crate::cli::files::{self, Access};
use bellerophon::service::auth::{Tokens, new_token};
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// The largest file of tokens, in bytes.
pub const TOKENS_LIMIT: u64 = 1 << 20;

/// Makes a token for a client of edge serve, and adds its digest to the file of tokens
#[derive(Debug, Args)]
pub struct Arguments {
    /// The client's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The file of tokens, for edge serve --tokens; made where there is none
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// The file for the token itself, for edge acquire --token-file; never replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What was made; never the token.
#[derive(Debug, Serialize)]
pub struct Made {
    client: String,
    out: PathBuf,
}

/// Makes and writes both.
pub fn run(arguments: &Arguments) -> Result<Made, Failure> {
    let Arguments { name, tokens: path, out } = arguments;
    files::check_target(out, Access::Owner)?;
    files::check_target(path, Access::Default)?;
    let known = match path.exists() {
        true => files::read(path, "token", TOKENS_LIMIT)?,
        false => Default::default(),
    };
    let mut text = String::from_utf8(known.to_vec())
        .map_err(|_| format!("{} is no file of tokens", path.display()))?;
    if Tokens::parse(&text)?.has(name) {
        return Err(format!("{name} has a token in {} already", path.display()).into());
    }
    let (token, line) = new_token(name, &mut ChaCha20Rng::from_rng(&mut rand::rng()))?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&line);
    text.push('\n');
    files::write(out, token.as_bytes(), Access::Owner)?;
    files::write(path, text.as_bytes(), Access::Default).inspect_err(|_| {
        let _ = std::fs::remove_file(out);
    })?;
    Ok(Made { client: name.clone(), out: out.clone() })
}

impl Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrote the token of {} to {}", self.client, self.out.display())
    }
}
