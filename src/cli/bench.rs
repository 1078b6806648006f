//! `bench`: the evaluation of protected networks.

use super::selection::{ckks_security_level, percentage};
use super::{Failure, output};
use bellerophon::polynomial::protected::Settings;
use bellerophon::report::protected::{
    Accuracy, Count, Dataset, Evaluation, EvaluationError, Job, Method, Part, Reading, evaluate,
    perform, read_images,
};
use bellerophon_schemes::security::SecurityLevel;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Measures protected networks
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    Protected(Protected),
    ProtectedAccuracy(ProtectedAccuracy),
}

/// The size of a CNN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Size {
    Cifar10,
    Mnist,
}

/// What is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PartName {
    /// The last dense layer
    LastLayer,
    /// Both dense layers, nothing between them
    NoActivation,
    /// Both, with x^2 + 2x between them
    Square2x,
    /// Both, with ReLU, exact
    Relu,
    /// Feature extraction too, every activation exact: minutes
    WholeNetwork,
}

impl From<PartName> for Part {
    fn from(part: PartName) -> Self {
        match part {
            PartName::LastLayer => Self::LastLayer,
            PartName::NoActivation => Self::NoActivation,
            PartName::Square2x => Self::Square2x,
            PartName::Relu => Self::Relu,
            PartName::WholeNetwork => Self::WholeNetwork,
        }
    }
}

/// Times, sizes and memory of classifiers with encrypted weights: tables 2 to 5 of the paper that
/// proposed them
#[derive(Debug, Args)]
struct Protected {
    /// A trained CNN, as often as there are; random weights of the same shape where there is none
    #[arg(long, value_name = "ONNX")]
    model: Vec<PathBuf>,
    /// CIFAR-10 images, whose features are the inputs; random features without
    #[arg(long, value_name = "DATA")]
    cifar10: Option<PathBuf>,
    /// MNIST images, likewise
    #[arg(long, value_name = "DATA")]
    mnist: Option<PathBuf>,
    /// The size of the CNN; both if not given
    #[arg(long, value_enum)]
    size: Option<Size>,
    /// What is encrypted, as often as there are; all but the whole network if not given
    #[arg(long, value_enum)]
    part: Vec<PartName>,
    /// Bits of precision that results must have, predicted
    #[arg(long, value_name = "BITS", default_value_t = Settings::default().precision)]
    precision: f64,
    /// Of rows with exact activations: selects for this percentage of images with the plain model's
    /// prediction; default: the balanced preset, which a whole CNN of CIFAR-10 cannot reach
    #[arg(long, value_name = "PERCENT", value_parser = percentage)]
    agreement: Option<f64>,
    /// How often each step is done
    #[arg(long, value_name = "N", default_value_t = 5)]
    repeats: u32,
    /// One role's part of a row, by itself: what the other processes are started with
    #[arg(long, hide = true, value_name = "JSON")]
    job: Option<String>,
}

/// Accuracy of a CNN whose classifier is protected, on test images: in the clear, simulated, encrypted
#[derive(Debug, Args)]
struct ProtectedAccuracy {
    /// A trained CNN, as often as there are
    #[arg(long, value_name = "ONNX", required = true)]
    model: Vec<PathBuf>,
    /// Test images, and training images for ranges
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// Images in the clear and simulated
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: usize,
    /// Images that are encrypted; with exact activations each takes some seconds
    #[arg(long, value_name = "N", default_value_t = 100)]
    encrypted: usize,
    /// Bits of security: 128, 192 or 256
    #[arg(long, value_name = "BITS", default_value = "128", value_parser = ckks_security_level)]
    security: SecurityLevel,
}

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Measured {
    Figures(Box<bellerophon::report::protected::Figures>),
    Evaluation(Box<Evaluation>),
    Accuracy(Vec<Accuracy>),
}

/// Measures.
pub fn run(arguments: &Arguments, threads: Option<usize>) -> Result<Measured, Failure> {
    match &arguments.bench {
        Bench::Protected(Protected { job: Some(job), .. }) => {
            let job: Job = serde_json::from_str(job)?;
            Ok(Measured::Figures(Box::new(perform(&job)?)))
        }
        Bench::Protected(arguments) => {
            Ok(Measured::Evaluation(Box::new(protected(arguments, threads)?)))
        }
        Bench::ProtectedAccuracy(arguments) => Ok(Measured::Accuracy(accuracy(arguments)?)),
    }
}

fn protected(arguments: &Protected, threads: Option<usize>) -> Result<Evaluation, Failure> {
    let datasets = match arguments.size {
        Some(Size::Cifar10) => vec![Dataset::Cifar10],
        Some(Size::Mnist) => vec![Dataset::Mnist],
        None => Dataset::ALL.to_vec(),
    };
    let parts = match arguments.part.is_empty() {
        true => Part::CLASSIFIERS.to_vec(),
        false => arguments.part.iter().map(|&part| part.into()).collect(),
    };
    let method = Method {
        models: arguments.model.clone(),
        data: [arguments.cifar10.clone(), arguments.mnist.clone()],
        datasets,
        parts,
        precision: arguments.precision,
        agreement: arguments.agreement.map(|percent| percent / 100.0),
        repeats: arguments.repeats.max(1),
    };
    let folder = tempfile::tempdir()?;
    let program = std::env::current_exe()?;
    let launch = |job: &Job| {
        let mut command = Command::new(&program);
        command.args(["--json", "bench", "protected", "--job"]).arg(serde_json::to_string(job)?);
        threads.map(|threads| command.args(["--threads", &threads.to_string()]));
        launch(command, job)
    };
    let spinner = output::spinner("");
    let begin = |index: usize, count: usize, name: &str| {
        spinner.set_message(format!("{} of {count}: {name}", index + 1));
    };
    let evaluation = evaluate(method, folder.path(), &launch, &begin);
    spinner.finish_and_clear();
    Ok(evaluation?)
}

/// What the process printed.
fn launch(mut command: Command, job: &Job) -> Result<String, EvaluationError> {
    let role = job.role.name();
    let failed = |reason: String| EvaluationError::Process { role, reason };
    let finished = command.stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if !finished.status.success() {
        return Err(failed(String::from_utf8_lossy(&finished.stderr).trim().to_owned()));
    }
    String::from_utf8(finished.stdout).map_err(|error| failed(error.to_string()))
}

fn accuracy(arguments: &ProtectedAccuracy) -> Result<Vec<Accuracy>, Failure> {
    let settings = Settings { security: arguments.security, ..Settings::default() };
    let count = Count { images: arguments.count, encrypted: arguments.encrypted };
    let spinner = output::spinner("");
    let read = |model: &PathBuf| {
        spinner.set_message(model.display().to_string());
        let done = |images: usize| spinner.inc(images as u64);
        read_images(model, &arguments.data, count, &settings, &done)
    };
    let found = arguments.model.iter().map(read).collect::<Result<_, _>>();
    spinner.finish_and_clear();
    Ok(found?)
}

impl Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Figures(figures) => write!(f, "{figures:?}"),
            Self::Evaluation(evaluation) => evaluation.fmt(f),
            Self::Accuracy(models) => {
                writeln!(
                    f,
                    "| CNN | classifier | plain % | simulated %, agreeing % | encrypted %, agreeing % |"
                )?;
                writeln!(f, "|---|---|---|---|---|")?;
                models.iter().try_for_each(|model| write_accuracy(model, f))
            }
        }
    }
}

fn write_accuracy(model: &Accuracy, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    let reading = |reading: &Option<Reading>| match reading {
        None => "-".to_owned(),
        Some(Reading { images, correct, agreeing }) => {
            let [correct, agreeing] = [correct, agreeing].map(|part| percent(*part, *images));
            format!("{correct:.2}, {agreeing:.2} ({images} images)")
        }
    };
    writeln!(
        f,
        "| {} | {} | {:.2} ({} images) | {} | {} |",
        model.dataset.name(),
        model.part.name(),
        percent(model.plain.correct, model.plain.images),
        model.plain.images,
        reading(&model.simulated),
        reading(&model.encrypted),
    )
}
