//! The error that encryption brings into each stage and into the result, predicted.
//!
//! Errors are taken as independent of the values and of each other, and small, so that variances
//! add: what a stage's activation reads is off by the noise of the samples under its weights, by the
//! rounding of those weights, by the comparisons of its max-pools and by the way down to its table.
//! How much of that arrives at the result was measured in calibration.

use super::affine::Term;
use super::amplitude::{Amplitudes, window};
use super::calibrate::{Calibration, StageCalibration};
use super::stage::Stage;
use super::{CompileError, Settings};
use bellerophon_bridge::{self as bridge, BridgeError};

/// Variances of the operations, in turns squared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Variances {
    /// A fresh encryption.
    pub fresh: f64,
    /// A packed sample of an activation: its table and the packing.
    pub activation_output: f64,
    /// The way down to an activation's table.
    pub activation_input: f64,
    /// A packed sample of a comparison.
    pub pool_output: f64,
    /// The way down to a comparison's table.
    pub pool_input: f64,
}

impl Variances {
    /// Under `parameters`, with these keys.
    ///
    /// # Errors
    /// [`BridgeError::MissingBootstrapKey`].
    pub fn new(
        parameters: &bridge::Parameters,
        pool_key: usize,
        activation_key: usize,
    ) -> Result<Self, BridgeError> {
        let levels = parameters.ring().dimension().ilog2();
        let packing = bridge::noise::to_ckks(parameters, levels);
        let input = |key| bridge::noise::table_input(parameters, key);
        let output = |key| bridge::noise::table_output(parameters, key).map(|v| v + packing);
        Ok(Self {
            fresh: bridge::noise::fresh(parameters),
            activation_output: output(activation_key)?,
            activation_input: input(activation_key)?,
            pool_output: output(pool_key)?,
            pool_input: input(pool_key)?,
        })
    }
}

/// What one variance of [`Variances`] becomes in the units of a stage, squared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Gains {
    fresh: f64,
    activation_output: f64,
    activation_input: f64,
    pool_output: f64,
    pool_input: f64,
    /// Rounding of the weights, which no noise changes.
    rounding: f64,
}

impl Gains {
    fn variance(&self, variances: &Variances) -> f64 {
        self.fresh * variances.fresh
            + self.activation_output * variances.activation_output
            + self.activation_input * variances.activation_input
            + self.pool_output * variances.pool_output
            + self.pool_input * variances.pool_input
            + self.rounding
    }

    fn add(&mut self, other: &Self, factor: f64) {
        self.fresh += factor * other.fresh;
        self.activation_output += factor * other.activation_output;
        self.activation_input += factor * other.activation_input;
        self.pool_output += factor * other.pool_output;
        self.pool_input += factor * other.pool_input;
        self.rounding += factor * other.rounding;
    }
}

/// The error of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageError {
    /// Standard deviation of what the activation reads, in the network's units.
    pub deviation: f64,
    /// The same as a part of the range that was calibrated.
    pub relative: f64,
    /// The part of the variance that comes from rounded weights.
    pub rounding: f64,
    /// The probability that a value of an image is outside the table's window.
    pub overflow: f64,
    /// The width of the table's window over that of the calibrated range.
    pub margin: f64,
}

/// How the errors of a network depend on the noise of the operations, for given amplitudes.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorModel {
    stages: Vec<(Gains, f64, f64)>,
    margin: Gains,
    output: Gains,
    margins: Vec<f64>,
}

impl ErrorModel {
    /// # Errors
    /// [`CompileError::Calibration`] for a calibration of another network.
    pub fn new(
        stages: &[Stage],
        calibration: &Calibration,
        amplitudes: &Amplitudes,
        settings: &Settings,
    ) -> Result<Self, CompileError> {
        calibration.check(stages)?;
        let mut model = Self {
            stages: Vec::new(),
            margin: Gains::default(),
            output: Gains::default(),
            margins: calibration.margins.clone(),
        };
        for (index, (stage, seen)) in stages.iter().zip(&calibration.stages).enumerate() {
            let gains = stage_gains(index, stage, seen, calibration, amplitudes, settings);
            model.margin.add(&gains, seen.margin_gain);
            model.output.add(&gains, seen.output_gain);
            let (overflow, margin) = overflow(stage, seen, amplitudes.linear[index]);
            model.stages.push((gains, overflow, margin));
        }
        Ok(model)
    }

    /// The error of each stage.
    #[must_use]
    pub fn stages(&self, variances: &Variances, calibration: &Calibration) -> Vec<StageError> {
        let error = |((gains, overflow, margin), seen): (&(Gains, f64, f64), &StageCalibration)| {
            let variance = gains.variance(variances);
            StageError {
                deviation: variance.sqrt(),
                relative: variance.sqrt() / (seen.reading.max - seen.reading.min),
                rounding: gains.rounding / variance,
                overflow: *overflow,
                margin: *margin,
            }
        };
        self.stages.iter().zip(&calibration.stages).map(error).collect()
    }

    /// The standard deviations of the difference between the two largest results (in images where
    /// it is small) and of a result, in the network's units.
    #[must_use]
    pub fn deviations(&self, variances: &Variances) -> [f64; 2] {
        [&self.margin, &self.output].map(|gains| gains.variance(variances).sqrt())
    }

    /// The part of images whose largest result stays the largest: for each margin that was seen, the
    /// probability that a normal error of the difference does not exceed it.
    #[must_use]
    pub fn agreement(&self, variances: &Variances) -> f64 {
        let [deviation, _] = self.deviations(variances);
        let stays = self.margins.iter().map(|margin| normal_below(margin / deviation));
        stays.sum::<f64>() / self.margins.len().max(1) as f64
    }
}

fn stage_gains(
    index: usize,
    stage: &Stage,
    seen: &StageCalibration,
    calibration: &Calibration,
    amplitudes: &Amplitudes,
    settings: &Settings,
) -> Gains {
    let mut gains = Gains::default();
    let outputs = stage.affine.dims[0] as f64;
    for term in &stage.affine.terms {
        let amplitude = amplitudes.values[term.source];
        let scale = amplitudes.linear[index] / amplitude;
        let (norm, error) = weight_sums(term, scale);
        let noise = norm / (outputs * amplitude * amplitude);
        match term.source {
            0 => gains.fresh += noise,
            _ => gains.activation_output += noise,
        }
        gains.rounding += error / outputs * calibration.power(term.source);
    }
    let mut amplitude = amplitudes.linear[index];
    for difference in seen.pools.iter().flatten() {
        let table = amplitude * multiplier(*difference, amplitude, settings) as f64;
        // the maximum is half of the sum and the difference
        gains.pool_input += 0.25 / (table * table);
        gains.pool_output += 0.25 / (amplitude * amplitude);
        amplitude *= 2.0;
    }
    if stage.activation.as_ref().is_some_and(|activation| !activation.slots) {
        gains.activation_input += 1.0 / (amplitude * amplitude);
    }
    gains
}

/// Sums over all weights of `integer^2 / scale^2` and of the squared rounding errors.
fn weight_sums(term: &Term, scale: f64) -> (f64, f64) {
    term.kernel.weights.iter().fold((0.0, 0.0), |(norm, error), weight| {
        let rounded = (weight * scale).round() / scale;
        (norm + rounded * rounded, error + (rounded - weight).powi(2))
    })
}

/// How much a comparison may enlarge differences: nothing is gained where they are this small.
const LARGEST_MULTIPLIER: f64 = 1024.0;

/// What a difference is multiplied by before its table: as many turns as the largest can fill.
pub(super) fn multiplier(largest: f64, amplitude: f64, settings: &Settings) -> i64 {
    let fill = 0.5 / (largest * settings.pool_margin * amplitude);
    fill.clamp(1.0, LARGEST_MULTIPLIER) as i64
}

/// The probability that an image's values leave the window, and the window's width relative to the
/// calibrated range.
fn overflow(stage: &Stage, seen: &StageCalibration, linear: f64) -> (f64, f64) {
    let comparisons: usize = seen.pools.iter().map(Vec::len).sum();
    let amplitude = linear * 2f64.powi(comparisons as i32);
    let width = seen.reading.max - seen.reading.min;
    let (low, high, width) = match &stage.activation {
        Some(activation) if activation.slots => {
            let end = super::amplitude::SLOTS_WIDTH / amplitude;
            (-end, end, 2.0 * seen.reading.magnitude())
        }
        Some(_) => {
            let margin = 0.5 / (amplitude * super::amplitude::width(seen.expected()));
            let [low, high] = window(seen.expected(), margin);
            (low, high, width)
        }
        None => (-0.5 / amplitude, 0.5 / amplitude, 2.0 * seen.reading.magnitude()),
    };
    let beyond = seen.highest.beyond(high) + seen.lowest.beyond(-low);
    (beyond.min(1.0), (high - low) / width.max(f64::MIN_POSITIVE))
}

/// The probability that a standard normal variable is below `x` (Abramowitz and Stegun, 7.1.26; to
/// 2e-7).
fn normal_below(x: f64) -> f64 {
    if x.is_nan() {
        return 1.0; // no error and no margin
    }
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let polynomial = series.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    let tail = 0.5 * polynomial * (-z * z).exp();
    if x >= 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_probabilities() {
        for (x, expected) in [(0.0, 0.5), (1.0, 0.841_344_746), (-2.0, 0.022_750_132), (5.0, 1.0)] {
            assert!((normal_below(x) - expected).abs() < 1e-6, "{x}");
        }
    }
}
