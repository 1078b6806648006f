//! The command line: what is asked for, and where it is answered.

mod bench;
mod compile;
mod completions;
mod data;
mod decrypt;
mod diff;
mod edge;
mod encrypt;
mod eval;
mod files;
mod forecast;
mod images;
mod inspect;
mod keygen;
mod man;
mod output;
mod owner;
mod passphrase;
mod plan;
mod run;
mod selection;
mod show;
mod simulate;
mod stages;
mod statistics;
mod study;
mod tune;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

pub use tune::costs;

/// A message for the user, on one line.
pub type Failure = Box<dyn std::error::Error>;

/// Compiles trained CNNs to programs that run on encrypted images.
#[derive(Debug, Parser)]
#[command(name = "bellerophon", version, propagate_version = true)]
pub struct Arguments {
    /// Prints one JSON document on stdout, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    /// Worker threads; default: all cores
    #[arg(long, global = true, value_name = "T")]
    threads: Option<usize>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Plan(plan::Arguments),
    Compile(compile::Arguments),
    Show(show::Arguments),
    Diff(diff::Arguments),
    Simulate(simulate::Arguments),
    Run(run::Arguments),
    Keygen(keygen::Arguments),
    Encrypt(encrypt::Arguments),
    Eval(eval::Arguments),
    Decrypt(decrypt::Arguments),
    Tune(tune::Arguments),
    Owner(owner::Arguments),
    Edge(edge::Arguments),
    Bench(bench::Arguments),
    Study(study::Arguments),
    Data(data::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match read().and_then(run) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {}", one_line(&failure.to_string()));
            ExitCode::from(2)
        }
    }
}

/// Prints help and ends where it is asked for.
fn read() -> Result<Arguments, Failure> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                return Err("no command is given; see bellerophon --help".into());
            }
            _ => return Err(first_line(&error.to_string()).into()),
        },
    };
    match arguments.threads {
        Some(0) => Err("--threads 0: use at least 1 thread".into()),
        _ => Ok(arguments),
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let json = arguments.json;
    match arguments.command {
        Command::Inspect(arguments) => output::emit(json, &inspect::run(&arguments)?),
        Command::Plan(arguments) => output::emit(json, &plan::run(&arguments)?),
        Command::Compile(arguments) => output::emit(json, &compile::run(&arguments)?),
        Command::Show(arguments) => output::emit(json, &show::run(&arguments)?),
        Command::Simulate(arguments) => output::emit(json, &simulate::run(&arguments)?),
        Command::Run(arguments) => output::emit(json, &run::run(&arguments)?),
        Command::Keygen(arguments) => output::emit(json, &keygen::run(&arguments)?),
        Command::Encrypt(arguments) => output::emit(json, &encrypt::run(&arguments)?),
        Command::Eval(arguments) => output::emit(json, &eval::run(&arguments)?),
        Command::Decrypt(arguments) => output::emit(json, &decrypt::run(&arguments)?),
        Command::Study(arguments) => output::emit(json, &study::run(&arguments)?),
        Command::Data(arguments) => output::emit(json, &data::run(&arguments)?),
        Command::Tune(arguments) => output::emit(json, &tune::run(&arguments)?),
        Command::Owner(arguments) => owner::run(&arguments, json),
        Command::Edge(arguments) => edge::run(&arguments, json),
        Command::Bench(bench) => output::emit(json, &bench::run(&bench, arguments.threads)?),
        Command::Completions(arguments) => output::emit(json, &completions::run(&arguments)),
        Command::Man(arguments) => output::emit(json, &man::run(&arguments)?),
        Command::Diff(arguments) => {
            let difference = diff::run(&arguments)?;
            output::emit(json, &difference)?;
            return Ok(ExitCode::from(u8::from(!difference.same)));
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Clap's message without its usage lines.
fn first_line(message: &str) -> String {
    let text = message.split("\n\nUsage").next().unwrap_or(message);
    let text = text.split("\n\nFor more").next().unwrap_or(text);
    one_line(text).trim_start_matches("error: ").to_owned()
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn usage_is_left_out_of_messages() {
        let message = "error: a value is\n  needed\n\nUsage: bellerophon\n\nFor more, try --help";
        assert_eq!(first_line(message), "a value is needed");
    }
}
