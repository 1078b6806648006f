//! `data`: data sets from their mirrors.

use super::{Failure, output};
use bellerophon::data::mnist::{self, Event};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Downloads a data set
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    set: Set,
}

#[derive(Debug, Subcommand)]
enum Set {
    Mnist(Mnist),
}

/// The four files of MNIST, 12 MB: resumed where it was interrupted, checked by SHA-256
#[derive(Debug, Args)]
struct Mnist {
    /// The folder they go to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where to look first; can be given several times
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// Looks nowhere but at the given mirrors
    #[arg(long, requires = "mirror")]
    only: bool,
}

/// What is there now.
#[derive(Debug, Serialize)]
pub struct Downloaded {
    folder: PathBuf,
    files: Vec<String>,
}

/// Downloads.
pub fn run(arguments: &Arguments) -> Result<Downloaded, Failure> {
    let Set::Mnist(arguments) = &arguments.set;
    let mut mirrors = arguments.mirror.clone();
    if !arguments.only {
        mirrors.extend(mnist::MIRRORS.map(str::to_owned));
    }
    let files = mnist::files();
    let total: u64 = files.iter().map(|file| file.bytes).sum();
    let bar = output::bytes_bar(total);
    let watch = |event: Event<'_>| match event {
        Event::Present(file) => bar.inc(file.bytes),
        Event::Asked { file, from, .. } => {
            bar.set_message(file.name.clone());
            if from > 0 {
                output::warn(&format!("{}: {from} bytes are there, going on", file.name));
            }
        }
        Event::Arrived(bytes) => bar.inc(bytes),
        Event::Failed(reason) => output::warn(reason),
        _ => {}
    };
    let done = mnist::download(&files, &mirrors, &arguments.out, &watch);
    bar.finish_and_clear();
    done?;
    let files = files.into_iter().map(|file| file.name).collect();
    Ok(Downloaded { folder: arguments.out.clone(), files })
}

impl Display for Downloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "{}", self.folder.join(file).display())?;
        }
        Ok(())
    }
}
