//! Polynomial against exact activations, through the library: what `bellerophon study` does.
//!
//! ```text
//! cargo run --example activation_study                          # the shipped digits, a few minutes
//! cargo run --example activation_study -- MNIST_DIR report/     # MNIST, into a folder of that name
//! ```

use bellerophon::report::study::{Machine, Report};
use bellerophon::study::statistics::Share;
use bellerophon::study::{self, Event, Inputs, Options, Source, Store};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A message for the user, on one line.
type Failure = Box<dyn std::error::Error>;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.to_string().replace('\n', " "));
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let data = arguments.next();
    let folder = arguments.next().unwrap_or_else(|| PathBuf::from("activation_study"));
    let source = match &data {
        Some(data) => Source::Data(data.clone()),
        None => Source::ShippedDigits(Path::new(MODELS).join("digits")),
    };

    // the short version: 1,000 images, two of them encrypted with exact activations
    let options = Options::quick();
    let inputs = Inputs::open(&Path::new(MODELS).join("lenet5.onnx"), &source, &options)?;
    // finished cells are kept here: an interrupted study goes on where it stopped
    let store = Store::open(&folder)?;
    let study = study::run(&inputs, &options, &store, &|event| match event {
        Event::Planned { cells, total, done } => {
            println!("{cells} cells, about {} minutes", (total - done) / 60_000 + 1);
        }
        Event::Cell { row, encrypted: false } => println!("{}", row.name()),
        Event::Cell { row, .. } => println!("{}, encrypted", row.name()),
        _ => {}
    })?;

    println!("\n{:<58} {:>10}", "method", "accuracy");
    for finding in &study.findings {
        let classes = finding.cell.simulated.as_ref().unwrap_or(&finding.cell.clear);
        let accuracy = Share::same(classes, &inputs.labels);
        println!("{:<58} {:>8.2} %", finding.row.name(), accuracy.percent());
    }
    let report = Report {
        study: &study,
        inputs: &inputs,
        command: "cargo run --example activation_study".to_owned(),
        machine: Machine::here(&options.costs),
        data: data.map_or_else(|| "shipped digits".to_owned(), |data| data.display().to_string()),
    };
    let page = report.write(&store)?;
    println!("\nreport: {}", folder.join(page).display());
    Ok(())
}
