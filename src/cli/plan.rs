//! `plan`: what a model would cost, and how well it would do.

use super::forecast::{Forecast, Parameters};
use super::output::{self, Table};
use super::stages::{self, Planned};
use super::{Failure, selection};
use bellerophon::compile::Compiled;
use bellerophon::compile::parameters::Candidate;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};

/// Lines of the trade-off curve that are printed as text.
const CURVE_LINES: usize = 40;

/// Says what a model would cost under encryption, stage by stage
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: selection::Arguments,
    /// Shows the curve of all parameters that no others beat: seconds against agreement
    #[arg(long)]
    curve: bool,
}

/// The plan.
#[derive(Debug, Serialize)]
pub struct Plan {
    pub model: String,
    pub target: String,
    pub input_bits: u32,
    pub calibration_images: Option<usize>,
    pub stages: Vec<Planned>,
    pub forecast: Forecast,
    pub parameters: Parameters,
    pub weight_bits: [u32; 2],
    /// The part of images that keep the plain model's prediction.
    pub agreement: f64,
    /// The standard deviation of a result, in the network's units.
    pub deviation: f64,
    /// The probability that any stage's values leave its window, summed.
    pub overflow_probability: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Vec<Point>>,
}

/// A point of the trade-off curve.
#[derive(Debug, Serialize)]
pub struct Point {
    /// Of all bootstrappings.
    pub seconds: f64,
    pub agreement: f64,
    pub deviation: f64,
    pub key_bytes: f64,
    pub lwe_dimension: usize,
    pub weight_bits: u32,
    pub keys: Vec<bellerophon_bridge::BootstrapLiteral>,
}

/// Makes the plan.
pub fn run(arguments: &Arguments) -> Result<Plan, Failure> {
    let (model, options) = arguments.selection.prepare()?;
    let compiled = selection::compile(&model, &options)?;
    let curve = match arguments.curve {
        true => Some(model.candidates(&options)?.iter().map(Point::new).collect()),
        false => None,
    };
    let calibration = model.calibration();
    let stages = stages::planned(&compiled, calibration);
    let plan = Plan {
        target: options.target.to_string(),
        input_bits: options.input_bits,
        calibration_images: calibration.map(|calibration| calibration.samples),
        ..Plan::new(arguments.selection.model.display().to_string(), &compiled, stages)
    };
    Ok(Plan { curve, ..plan })
}

impl Plan {
    fn new(model: String, compiled: &Compiled, stages: Vec<Planned>) -> Self {
        Self {
            model,
            target: String::new(),
            input_bits: 0,
            calibration_images: None,
            overflow_probability: stages.iter().map(|stage| stage.overflow_probability).sum(),
            stages,
            forecast: Forecast::new(&compiled.program, &compiled.parameters),
            parameters: Parameters::new(&compiled.parameters),
            weight_bits: [compiled.settings.first_weight_bits, compiled.settings.weight_bits],
            agreement: compiled.agreement,
            deviation: compiled.deviation,
            curve: None,
        }
    }
}

impl Point {
    fn new(candidate: &Candidate) -> Self {
        let parameters = &candidate.settings.parameters;
        Self {
            seconds: candidate.seconds,
            agreement: candidate.agreement,
            deviation: candidate.deviation,
            key_bytes: candidate.key_bytes,
            lwe_dimension: parameters.lwe_dimension,
            weight_bits: candidate.settings.weight_bits,
            keys: parameters.bootstraps.clone(),
        }
    }

    fn keys(&self) -> String {
        let key = |key: &bellerophon_bridge::BootstrapLiteral| {
            let shape = format!("{}x{}", key.glwe_dimension, key.polynomial_size);
            format!("{shape} 2^{}*{} /{}", key.base_log, key.levels, key.grouping_factor)
        };
        self.keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }
}

fn curve_table(curve: &[Point]) -> Table {
    let mut table =
        Table::new(&["keys", "n", "weight bits", "memory", "deviation", "agreement", "seconds"]);
    let step = curve.len().div_ceil(CURVE_LINES).max(1);
    for point in curve.iter().step_by(step) {
        table.push(vec![
            point.keys(),
            point.lwe_dimension.to_string(),
            point.weight_bits.to_string(),
            output::bytes(point.key_bytes),
            format!("{:.4}", point.deviation),
            format!("{:.3} %", 100.0 * point.agreement),
            format!("{:.3}", point.seconds),
        ]);
    }
    table
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, for {}", self.model, self.target)?;
        match self.calibration_images {
            Some(images) => writeln!(f, "calibrated with {images} images")?,
            None => writeln!(f, "calibrated with noise, for want of images")?,
        }
        writeln!(f, "\n{}", stages::table(&self.stages))?;
        writeln!(f, "forecast    {}", self.forecast)?;
        write!(f, "{}", self.parameters)?;
        let [first, rest] = self.weight_bits;
        writeln!(f, "weights     {first} bits in the first layer, {rest} in the others")?;
        writeln!(
            f,
            "result      agrees on {:.3} % of images, standard deviation {:.4}, some stage overflows \
             on {:.1e} of images",
            100.0 * self.agreement,
            self.deviation,
            self.overflow_probability
        )?;
        match &self.curve {
            Some(curve) => {
                write!(f, "\n{} points (bootstrapping alone)\n{}", curve.len(), curve_table(curve))
            }
            None => Ok(()),
        }
    }
}
