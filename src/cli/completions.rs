//! `completions`: a script for a shell.

use super::Arguments as Whole;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use serde::Serialize;
use std::fmt::{self, Display};

/// Prints a script that completes commands and flags in a shell
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// The script.
#[derive(Debug, Serialize)]
pub struct Script {
    pub shell: String,
    pub script: String,
}

/// Makes the script.
pub fn run(arguments: &Arguments) -> Script {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Whole::command(), "bellerophon", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Script { shell: arguments.shell.to_string(), script }
}

impl Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.script)
    }
}
