//! The search behind the presets: agreement of LeNet5 with the plain model over the MNIST test
//! images, under the noise model, against predicted seconds, for a grid of settings.
//!
//! ```text
//! cargo run --example lenet5_search -- --data MNIST_DIR              the presets
//! cargo run --example lenet5_search -- --data MNIST_DIR --grid       the grid, best first
//! cargo run --example lenet5_search -- --data MNIST_DIR --calibrate  renew the shipped ranges
//! ```
//!
//! Seconds are predicted from one measured batch for each shape of bootstrapping key, scaled by the
//! LWE dimension; `cargo bench --bench lenet5` measures whole runs.

mod cost;
mod grid;

use bellerophon::compile::{self, Preset, Settings};
use bellerophon::data::{LabelledImages, Split};
use bellerophon::model::{self, Calibration, Graph, onnx};
use bellerophon::run::simulated::{NoiseModel, simulate};
use bellerophon_bridge as bridge;
use bellerophon_schemes::security::SecurityLevel;
use clap::Parser;
use cost::Costs;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Agreement against predicted seconds, for the presets or a grid of settings.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder with the MNIST images (IDX files, gzipped or not)
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Searches the grid instead of showing the presets
    #[arg(long)]
    grid: bool,
    /// First writes the ranges of the training images to models/lenet5.calibration.json
    #[arg(long)]
    calibrate: bool,
    /// How many test images to simulate
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let graph = compile::simplify(&onnx::import(models.join("lenet5.onnx"))?)?;
    let path = models.join("lenet5.calibration.json");
    if arguments.calibrate {
        let train = LabelledImages::load(&arguments.data, Split::Train)?;
        let calibration = model::calibrate(&graph, train.padded(32)?)?;
        std::fs::write(&path, serde_json::to_string_pretty(&calibration)? + "\n")?;
    }
    let calibration: Calibration = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let test = TestSet::load(&graph, &arguments.data, arguments.count)?;
    println!("plain accuracy {:.2} % of {} images", test.accuracy(&test.plain), test.plain.len());
    println!("| settings | s, 1 thread | input noise | output noise | agreement % | accuracy % |");
    println!("|---|---|---|---|---|---|");
    let mut costs = Costs::default();
    let candidates = if arguments.grid { grid::candidates() } else { presets() };
    for (name, settings) in candidates {
        println!("{}", row(&name, &settings, &graph, &calibration, &test, &mut costs)?);
    }
    Ok(())
}

fn presets() -> Vec<(String, Settings)> {
    Preset::ALL.iter().map(|preset| (preset.to_string(), preset.settings())).collect()
}

/// The test images and what the plain model says of them.
struct TestSet {
    images: Vec<Vec<f64>>,
    labels: Vec<u8>,
    plain: Vec<usize>,
}

impl TestSet {
    fn load(graph: &Graph, folder: &Path, count: usize) -> Result<Self, Failure> {
        let test = LabelledImages::load(folder, Split::Test)?.slice(0, count)?;
        let inputs = test.padded(32)?;
        let plain = inputs
            .par_iter()
            .map(|input| Ok(largest(&graph.evaluate(input)?.iter().copied().collect::<Vec<_>>())))
            .collect::<Result<_, Failure>>()?;
        let images = inputs.into_iter().map(|input| input.iter().copied().collect()).collect();
        Ok(Self { images, labels: test.labels().to_vec(), plain })
    }

    fn accuracy(&self, predictions: &[usize]) -> f64 {
        let labels = self.labels.iter().map(|&label| usize::from(label));
        percentage(predictions.iter().copied().zip(labels))
    }

    fn agreement(&self, predictions: &[usize]) -> f64 {
        percentage(predictions.iter().copied().zip(self.plain.iter().copied()))
    }
}

fn percentage(pairs: impl ExactSizeIterator<Item = (usize, usize)>) -> f64 {
    let count = pairs.len() as f64;
    100.0 * pairs.filter(|(a, b)| a == b).count() as f64 / count
}

fn largest(values: &[f64]) -> usize {
    let indices = 0..values.len();
    indices.max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

fn row(
    name: &str,
    settings: &Settings,
    graph: &Graph,
    calibration: &Calibration,
    test: &TestSet,
    costs: &mut Costs,
) -> Result<String, Failure> {
    let level = SecurityLevel::Bits128;
    let parameters = bridge::Parameters::new(settings.parameters.clone(), level)?;
    let program = compile::compile(graph, calibration, settings)?;
    let noise = NoiseModel::new(&parameters)?;
    let predictions = test
        .images
        .par_iter()
        .enumerate()
        .map(|(seed, image)| Ok(largest(&simulate(&program, &noise, image, seed as u64)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let both = |std: &dyn Fn(usize) -> f64| {
        let log = |key| format!("2^{:.2}", std(key).log2());
        format!("{}, {}", log(settings.pool_key), log(settings.activation_key))
    };
    Ok(format!(
        "| {name} | {:.1} | {} | {} | {:.2} | {:.2} |",
        costs.seconds(&program, &parameters)?,
        both(&|key| noise.table_input(key)),
        both(&|key| noise.table_output(key)),
        test.agreement(&predictions),
        test.accuracy(&predictions)
    ))
}
