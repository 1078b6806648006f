//! The search behind the presets: agreement of LeNet5 with the plain model over the MNIST test
//! images, under the noise model, against predicted seconds.
//!
//! ```text
//! cargo run --example lenet5_search -- --data MNIST_DIR              the presets
//! cargo run --example lenet5_search -- --data MNIST_DIR --curve 20   the trade-off, fastest first
//! cargo run --example lenet5_search -- --data MNIST_DIR --calibrate  renew the shipped ranges
//! ```
//!
//! Seconds are predicted by the shipped cost model; `cargo bench --bench lenet5` measures whole runs.

use bellerophon::compile::{Model, Options, Preset, Settings};
use bellerophon::data::{LabelledImages, Split};
use bellerophon::run::simulated::{NoiseModel, simulate};
use clap::Parser;
use ndarray::ArrayD;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Rows and columns that LeNet5 reads.
const SIZE: usize = 32;

/// Agreement against predicted seconds, for the presets or along the trade-off.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder with the MNIST images (IDX files, gzipped or not)
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Shows this many points of the trade-off between time and agreement instead of the presets
    #[arg(long, value_name = "POINTS")]
    curve: Option<usize>,
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
    let path = models.join("lenet5.calibration.json");
    if arguments.calibrate {
        calibrate(&models, &path, &arguments.data)?;
    }
    let calibration = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let model = Model::from_onnx(models.join("lenet5.onnx"))?.with_calibration(calibration)?;
    let test = TestSet::load(&model, &arguments.data, arguments.count)?;
    println!("plain accuracy {:.2} % of {} images", test.accuracy(&test.plain), test.plain.len());
    println!("| settings | n | weights | s | agreement %, predicted | simulated | accuracy % |");
    println!("|---|---|---|---|---|---|---|");
    let settings = match arguments.curve {
        Some(points) => curve(&model, points)?,
        None => presets(&model)?,
    };
    for (name, settings) in settings {
        println!("{}", row(&name, &settings, &model, &test)?);
    }
    Ok(())
}

fn calibrate(models: &Path, path: &Path, data: &Path) -> Result<(), Failure> {
    let train = LabelledImages::load(data, Split::Train)?;
    let model = Model::from_onnx(models.join("lenet5.onnx"))?.calibrate(train.padded(SIZE)?)?;
    let text = serde_json::to_string_pretty(&model.calibration())?;
    Ok(std::fs::write(path, text + "\n")?)
}

/// What is selected for each preset's target, beside the set that was found by hand.
fn presets(model: &Model) -> Result<Vec<(String, Settings)>, Failure> {
    let mut all = Vec::new();
    for preset in Preset::ALL {
        let options = Options { target: preset.target(), ..Options::default() };
        all.push((format!("{preset}"), model.compile(&options)?.settings));
        all.push((format!("{preset}, by hand"), preset.settings()));
    }
    Ok(all)
}

/// Settings that no other beats in both time and error, evenly spaced along the list.
fn curve(model: &Model, points: usize) -> Result<Vec<(String, Settings)>, Failure> {
    let candidates = model.candidates(&Options::default())?;
    let step = candidates.len().div_ceil(points.max(1)).max(1);
    let point = |(index, candidate): (usize, bellerophon::compile::parameters::Candidate)| {
        (format!("{index}"), candidate.settings)
    };
    Ok(candidates.into_iter().enumerate().step_by(step).map(point).collect())
}

/// The test images and what the plain model says of them.
struct TestSet {
    images: Vec<Vec<f64>>,
    labels: Vec<u8>,
    plain: Vec<usize>,
}

impl TestSet {
    fn load(model: &Model, folder: &Path, count: usize) -> Result<Self, Failure> {
        let test = LabelledImages::load(folder, Split::Test)?.slice(0, count)?;
        let inputs = test.padded(SIZE)?;
        let values = |array: ArrayD<f64>| array.into_iter().collect::<Vec<f64>>();
        let plain = inputs
            .par_iter()
            .map(|input| Ok(largest(&values(model.graph().evaluate(input)?))))
            .collect::<Result<_, Failure>>()?;
        let images = inputs.into_iter().map(values).collect();
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

fn row(name: &str, settings: &Settings, model: &Model, test: &TestSet) -> Result<String, Failure> {
    let compiled = model.compile_with(settings, &Options::default())?;
    let noise = NoiseModel::new(&compiled.parameters)?;
    let predictions = test
        .images
        .par_iter()
        .enumerate()
        .map(|(seed, image)| Ok(largest(&simulate(&compiled.program, &noise, image, seed as u64)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(format!(
        "| {name} | {} | {} bits | {:.1} | {:.2} | {:.2} | {:.2} |",
        settings.parameters.lwe_dimension,
        settings.weight_bits,
        compiled.seconds.iter().sum::<f64>(),
        100.0 * compiled.agreement,
        test.agreement(&predictions),
        test.accuracy(&predictions)
    ))
}
