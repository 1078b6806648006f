//! The command line program: from a trained model to encrypted runs, one subcommand for each step.
//!
//! Exit code 0 is success, 1 what `diff` says of two programs that differ, 2 an error, which is one
//! line on stderr.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
