//! The whole LeNet5 on encrypted digits, with exact ReLU and max-pool.
//!
//! ```text
//! cargo run --example lenet5_hybrid
//! cargo run --example lenet5_hybrid -- --data MNIST_DIR --count 20 --preset precise --json out.json
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
