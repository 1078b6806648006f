//! `study`: polynomial against exact activations, with one command.

use super::output::{self, Table};
use super::{Failure, costs};
use bellerophon::data::mnist;
use bellerophon::report::study::{Machine, Report};
use bellerophon::study::statistics::Share;
use bellerophon::study::{self, Event, Group, Inputs, Options, Source, Store, Study};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The digits that ship with the project.
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits");

/// Compares every way of replacing activations and max-pools with exact ones, and writes a report
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network, as ONNX; networks trained with polynomials are looked for beside it, as
    /// NAME_square.onnx and NAME_square2x.onnx
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Images with labels, such as a folder of MNIST or CIFAR-10: test images to compare on, training
    /// images for ranges; default: the digits that ship with the project
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// The folder of the report; an unfinished study in it goes on where it stopped
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The short version: five minutes
    #[arg(long)]
    quick: bool,
    /// How many images to compare on, at most; default: 10000, 1000 with --quick
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    images: Option<u32>,
    /// How many images to run encrypted with exact activations; in CKKS alone, five times as many;
    /// default: 10, 2 with --quick
    #[arg(long, value_name = "N")]
    encrypted: Option<usize>,
    /// Also runs a program encrypted that mixes exact max-pools with polynomials: 14 GB of memory
    #[arg(long, conflicts_with = "quick")]
    mixes: bool,
    /// Some rows only: their names in the report's files or how those begin, as
    /// exact,chebyshev-7,square-mean
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    rows: Vec<String>,
    /// How many images ranges are taken from, at most; ten times as many calibrate exact programs;
    /// default: 1000, 200 with --quick
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Noise and keys are drawn from this: the keys of a study are not secret
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct Summary {
    report: PathBuf,
    groups: Vec<GroupSummary>,
}

/// The rows of one group.
#[derive(Debug, Serialize)]
struct GroupSummary {
    group: Group,
    rows: usize,
    /// Percent right, of the worst and of the best row.
    worst: f64,
    best: f64,
    /// Rows that cannot run encrypted.
    without_program: usize,
}

impl Arguments {
    fn options(&self) -> Options {
        let defaults = if self.quick { Options::quick() } else { Options::default() };
        let [hybrid, slots] = defaults.encrypted;
        Options {
            images: self.images.map_or(defaults.images, |images| images as usize),
            encrypted: self.encrypted.map_or([hybrid, slots], |count| [count, 5 * count]),
            samples: self.samples.map_or(defaults.samples, |samples| samples as usize),
            rows: self.rows.clone(),
            mixes: self.mixes,
            seed: self.seed,
            costs: costs(),
            ..defaults
        }
    }

    fn source(&self) -> Source {
        match &self.data {
            Some(path) => Source::Data(path.clone()),
            None => Source::ShippedDigits(PathBuf::from(DIGITS)),
        }
    }

    /// The command that makes the same study, wherever its report goes.
    fn command(&self) -> String {
        let mut command = format!("bellerophon study --model {}", self.model.display());
        if let Some(data) = &self.data {
            command += &format!(" --data {}", data.display());
        }
        command += " --out report/";
        for (flag, given) in [("--quick", self.quick), ("--mixes", self.mixes)] {
            if given {
                command += &format!(" {flag}");
            }
        }
        for (flag, count) in [("--images", self.images), ("--samples", self.samples)] {
            if let Some(count) = count {
                command += &format!(" {flag} {count}");
            }
        }
        if !self.rows.is_empty() {
            command += &format!(" --rows {}", self.rows.join(","));
        }
        if let Some(encrypted) = self.encrypted {
            command += &format!(" --encrypted {encrypted}");
        }
        match self.seed {
            0 => command,
            seed => format!("{command} --seed {seed}"),
        }
    }
}

/// The name of a data set.
fn data_name(path: Option<&Path>) -> String {
    let Some(path) = path else { return "shipped digits".to_owned() };
    if mnist::is_original(path) {
        return "MNIST".to_owned();
    }
    if path.join("test_batch.bin").is_file() {
        return "CIFAR-10".to_owned();
    }
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs the study and writes its report.
pub fn run(arguments: &Arguments) -> Result<Summary, Failure> {
    let options = arguments.options();
    options.selected()?;
    let spinner = output::spinner("reading images, running the plain network");
    let inputs = Inputs::open(&arguments.model, &arguments.source(), &options);
    spinner.finish_and_clear();
    let inputs = inputs?;
    if inputs.shipped {
        output::warn("without --data the study is of the digits that ship with the project");
    }
    let store = Store::open(&arguments.out)?;
    let bar = ProgressBar::new(1);
    let study = study::run(&inputs, &options, &store, &|event| show(&bar, event));
    bar.finish_and_clear();
    let study = study?;
    let report = Report {
        study: &study,
        inputs: &inputs,
        command: arguments.command(),
        machine: Machine::here(&options.costs),
        data: data_name(arguments.data.as_deref()),
    };
    let page = report.write(&store)?;
    Ok(Summary { report: arguments.out.join(page), groups: summary(&study, &inputs) })
}

/// Says what it costs before it starts, then how far it is.
fn show(bar: &ProgressBar, event: Event<'_>) {
    match event {
        Event::Planned { total, done, cells } => {
            let minutes = (total - done) as f64 / 60_000.0;
            eprintln!(
                "{cells} cells to compute, about {minutes:.0} minutes; each is kept as soon as it is \
                 finished, and Ctrl-C loses only the one that runs"
            );
            bar.set_length(total.max(1));
            bar.set_position(done);
            bar.reset_eta();
            let template = "  {bar:32} {percent:>3} %  {elapsed} (about {eta} left)  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Event::Cell { row, encrypted } => {
            let how = if encrypted { "encrypted: " } else { "" };
            bar.set_message(format!("{how}{}", row.name()));
        }
        Event::Advanced(milliseconds) => bar.inc(milliseconds),
        _ => {}
    }
}

fn summary(study: &Study, inputs: &Inputs) -> Vec<GroupSummary> {
    let mut groups: Vec<GroupSummary> = Vec::new();
    for finding in &study.findings {
        let group = finding.row.group();
        let classes = finding.cell.simulated.as_ref().unwrap_or(&finding.cell.clear);
        let percent = Share::same(classes, &inputs.labels).percent();
        let missing = usize::from(finding.cell.refusal.is_some());
        match groups.last_mut().filter(|last| last.group == group) {
            Some(last) => {
                last.rows += 1;
                last.without_program += missing;
                if !classes.is_empty() {
                    last.worst = last.worst.min(percent);
                    last.best = last.best.max(percent);
                }
            }
            None => groups.push(GroupSummary {
                group,
                rows: 1,
                worst: percent,
                best: percent,
                without_program: missing,
            }),
        }
    }
    groups
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = ["rows", "how many", "right, worst %", "best %", "without a program"];
        let mut table = Table::new(&headings);
        for group in &self.groups {
            table.push(vec![
                group.group.name().to_owned(),
                group.rows.to_string(),
                format!("{:.2}", group.worst),
                format!("{:.2}", group.best),
                group.without_program.to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        writeln!(f, "report  {}", self.report.display())
    }
}
