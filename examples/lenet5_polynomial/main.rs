//! LeNet5 on encrypted digits, all in CKKS: polynomials in the place of its activations, means or
//! sums in the place of its max-pools.
//!
//! ```text
//! cargo run --example lenet5_polynomial
//! cargo run --example lenet5_polynomial -- --activation chebyshev:7 --pool mean --count 5
//! ```
//!
//! The client makes keys and encrypts; the server, built from the published evaluation keys, runs
//! the compiled program on the encrypted image; the client opens ten logits. What passes between
//! the two are serialized bytes.

mod arguments;
mod digits;
#[path = "../shared/report.rs"]
mod report;
mod result;
mod run;
mod show;

use arguments::Arguments;
use std::process::ExitCode;

/// A message for the user, on one line.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let outcome = Arguments::read().and_then(|arguments| run::run(&arguments));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.to_string().replace('\n', " "));
            ExitCode::from(2)
        }
    }
}
