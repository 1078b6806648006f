//! `man`: manual pages.

use super::{Arguments as Whole, Failure};
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use serde::Serialize;
use std::fmt::{self, Display};

/// Prints the manual page of the program or of one of its commands (roff)
#[derive(Debug, Args)]
pub struct Arguments {
    /// The command, as it is called: eval, or owner keygen; default: the program itself
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// The page.
#[derive(Debug, Serialize)]
pub struct Page {
    pub name: String,
    pub roff: String,
}

/// Makes the page.
pub fn run(arguments: &Arguments) -> Result<Page, Failure> {
    let mut whole = Whole::command();
    whole.build();
    let mut command: Command = whole;
    for name in &arguments.command {
        let found = command.find_subcommand(name).cloned();
        command =
            found.ok_or_else(|| format!("there is no command {name}; see bellerophon --help"))?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut roff = Vec::new();
    Man::new(command).render(&mut roff)?;
    Ok(Page { name, roff: String::from_utf8_lossy(&roff).into_owned() })
}

impl Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.roff)
    }
}
