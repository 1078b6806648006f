//! LeNet5 without encryption: compiling it, and its plain, clear and simulated evaluation of one
//! image, named `operation/logN=…/logQ=…`.

use bellerophon::compile::{Compiled, Model, Options};
use bellerophon::data::{LabelledImages, Split};
use bellerophon::model::onnx;
use bellerophon::run::clear;
use bellerophon::run::simulated::{NoiseModel, simulate};
use criterion::Criterion;
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const MODEL: &[u8] = include_bytes!("../models/lenet5.onnx");
const CALIBRATION: &str = include_str!("../models/lenet5.calibration.json");
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits");

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(10)
        .configure_from_args();
    let model = Model::from_graph(onnx::import_bytes(MODEL)?)?;
    let model = model.with_calibration(serde_json::from_str(CALIBRATION)?)?;
    let options = Options::default();
    let Compiled { program, parameters, settings, .. } = model.compile(&options)?;
    let noise = NoiseModel::new(&parameters)?;
    let graph = model.graph();
    let image = LabelledImages::load(Path::new(DIGITS), Split::Digits)?.slice(0, 1)?.padded(32)?;
    let image = image.first().ok_or("the project's digits are missing")?;
    let values: Vec<f64> = image.iter().copied().collect();

    let literal = &settings.parameters;
    let ring = format!("logN={}/logQ={}/lenet5", literal.log_dimension, literal.modulus_bits);
    criterion.bench_function(&format!("import/{ring}"), |bencher| {
        bencher.iter(|| onnx::import_bytes(black_box(MODEL)));
    });
    criterion.bench_function(&format!("compile/{ring}"), |bencher| {
        bencher.iter(|| black_box(&model).compile_with(&settings, &options));
    });
    criterion.bench_function(&format!("select/{ring}"), |bencher| {
        bencher.iter(|| black_box(&model).candidates(&options));
    });
    graph.evaluate(image)?; // what is timed below succeeds
    criterion.bench_function(&format!("plain/{ring}"), |bencher| {
        bencher.iter(|| graph.evaluate(black_box(image)));
    });
    clear::evaluate(&program, &values)?;
    criterion.bench_function(&format!("clear/{ring}"), |bencher| {
        bencher.iter(|| clear::evaluate(&program, black_box(&values)));
    });
    simulate(&program, &noise, &values, 1)?;
    criterion.bench_function(&format!("simulated/{ring}"), |bencher| {
        bencher.iter(|| simulate(&program, &noise, black_box(&values), 1));
    });
    criterion.final_summary();
    Ok(())
}
