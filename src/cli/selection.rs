//! The model, what it is calibrated with, and what parameters are selected for.

use super::images::{Images, Part};
use super::{Failure, costs, files, output};
use bellerophon::compile::{Calibration, Compiled, Model, Options, Preset, Schemes, Target};
use bellerophon_bridge::Assumptions;
use bellerophon_schemes::security::SecurityLevel;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Images that are calibrated with where no count is given.
const IMAGES: usize = 1000;
/// Bits of a value that is no pixel.
const FLOAT_BITS: u32 = 16;
/// The largest calibration file accepted, in bytes.
const CALIBRATION_LIMIT: u64 = 256 << 20;

/// What `plan` and `compile` have in common.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network, as ONNX
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Images to take ranges from (.npy, .npz, IDX, PNG or CIFAR-10, file or folder), or a
    /// calibration that was saved (.json); without, noise stands in for images, which is poor
    #[arg(long, value_name = "DATA")]
    calibration: Option<PathBuf>,
    /// How many images to calibrate with; default: 1000, or all if there are fewer
    #[arg(long, value_name = "N", requires = "calibration")]
    count: Option<usize>,
    /// Which part of a data set that has several
    #[arg(long, value_enum, default_value_t = Part::Train)]
    split: Part,
    /// Saves the calibration to this file
    #[arg(long, value_name = "FILE", requires = "calibration")]
    save_calibration: Option<PathBuf>,
    /// Bits of security: 128; 192 and 256 need noise curves that are not published yet
    #[arg(long, value_name = "BITS", default_value = "128", value_parser = security_level)]
    security: SecurityLevel,
    /// fast (accuracy kept), balanced (the default), or precise (agreement with the plain model first)
    #[arg(long, conflicts_with_all = ["agreement", "max_error"])]
    preset: Option<Preset>,
    /// Selects for this percentage of images with the plain model's prediction
    #[arg(long, value_name = "PERCENT", conflicts_with = "max_error", value_parser = percentage)]
    agreement: Option<f64>,
    /// Selects for four standard deviations of a result of at most this, in the model's units
    #[arg(long, value_name = "X", value_parser = positive)]
    max_error: Option<f64>,
    /// How activations are evaluated, by their names or those of the layers before them:
    /// conv1=exact,fc1=chebyshev:7 or all=least-squares:5; default: all exact, by tables
    #[arg(long, value_name = "LIST", requires = "calibration")]
    activation: Option<Schemes>,
    /// Rests on standard assumptions only: no partial and no shared secret (slower)
    #[arg(long)]
    conservative: bool,
    /// Bits of a value of the input; default: 8 for pixels, 16 for floats
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(1..=20))]
    input_bits: Option<u32>,
}

/// A calibration as it is saved.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_bits: Option<u32>,
    #[serde(flatten)]
    calibration: Calibration,
}

impl Arguments {
    /// Reads the model and calibrates it.
    pub fn prepare(&self) -> Result<(Model, Options), Failure> {
        if let Some(path) = &self.save_calibration {
            files::check_target(path, files::Access::Default)?;
        }
        let model = Model::from_onnx(&self.model)?;
        let (model, bits) = match &self.calibration {
            None => {
                output::warn("without --calibration, images of noise stand in: ranges are a guess");
                (model, None)
            }
            Some(path) if path.extension().is_some_and(|extension| extension == "json") => {
                if self.activation.is_some() {
                    return Err(
                        "--activation needs images: a saved calibration is of exact ones".into()
                    );
                }
                saved(model, path)?
            }
            Some(path) => self.calibrated(model, path)?,
        };
        let options = self.options(bits)?;
        self.save(&model, options.input_bits)?;
        Ok((model, options))
    }

    fn calibrated(&self, model: Model, path: &Path) -> Result<(Model, Option<u32>), Failure> {
        let shape = model.graph().input_shape();
        let images = Images::open(path, self.split, self.count, IMAGES, shape)?;
        let bits = images.pixel_bits().unwrap_or(FLOAT_BITS);
        let bar = output::bar(images.len(), "images");
        let fitted = images.fitted()?;
        let samples = fitted.iter().inspect(|_| bar.inc(1));
        let model = match &self.activation {
            None => model.calibrate(samples),
            Some(schemes) => model.with_schemes(schemes, &samples.collect::<Vec<_>>()),
        };
        bar.finish_and_clear();
        let model = model?;
        Ok((model, Some(bits)))
    }

    fn options(&self, bits: Option<u32>) -> Result<Options, Failure> {
        let assumptions = match self.conservative {
            true => Assumptions::Conservative,
            false => Assumptions::Compact,
        };
        let defaults = Options::default();
        Ok(Options {
            security: self.security,
            assumptions,
            target: self.target(),
            input_bits: self.input_bits.or(bits).unwrap_or(defaults.input_bits),
            costs: costs(),
            ..defaults
        })
    }

    fn target(&self) -> Target {
        match (self.agreement, self.max_error) {
            (Some(percent), _) => Target::Agreement(percent / 100.0),
            (_, Some(error)) => Target::MaxError(error),
            _ => self.preset.unwrap_or(Preset::Balanced).target(),
        }
    }

    fn save(&self, model: &Model, input_bits: u32) -> Result<(), Failure> {
        let (Some(path), Some(calibration)) = (&self.save_calibration, model.calibration()) else {
            return Ok(());
        };
        let saved = Saved { input_bits: Some(input_bits), calibration: calibration.clone() };
        let text = serde_json::to_string_pretty(&saved)? + "\n";
        files::write(path, text.as_bytes(), files::Access::Default)
    }
}

/// Selects parameters and compiles, with a spinner.
pub fn compile(model: &Model, options: &Options) -> Result<Compiled, Failure> {
    let spinner = output::spinner("selecting parameters");
    let compiled = model.compile(options);
    spinner.finish_and_clear();
    Ok(compiled?)
}

fn saved(model: Model, path: &Path) -> Result<(Model, Option<u32>), Failure> {
    let bytes = files::read(path, "calibration", CALIBRATION_LIMIT)?;
    let saved: Saved = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{} is no saved calibration: {error}", path.display()))?;
    Ok((model.with_calibration(saved.calibration)?, saved.input_bits))
}

fn security_level(bits: &str) -> Result<SecurityLevel, String> {
    match bits {
        "128" => Ok(SecurityLevel::Bits128),
        "192" | "256" => Err(format!("no TFHE noise curve is published for {bits} bits: use 128")),
        _ => Err("use 128".to_owned()),
    }
}

/// A level of CKKS, which has curves for all.
pub fn ckks_security_level(bits: &str) -> Result<SecurityLevel, String> {
    match bits {
        "128" => Ok(SecurityLevel::Bits128),
        "192" => Ok(SecurityLevel::Bits192),
        "256" => Ok(SecurityLevel::Bits256),
        _ => Err("use 128, 192 or 256".to_owned()),
    }
}

/// A percentage above 0.
pub fn percentage(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match percent > 0.0 && percent <= 100.0 {
        true => Ok(percent),
        false => Err("use a percentage above 0 and at most 100".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match value > 0.0 && value.is_finite() {
        true => Ok(value),
        false => Err("use a finite number above 0".to_owned()),
    }
}
