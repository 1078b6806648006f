//! How many turns stand for one unit of each value.
//!
//! Integer weights of `S` per unit multiply an amplitude by `S`; only tables shrink it. So a linear
//! result takes the largest amplitude at which all that follows it fits the torus, and each table
//! gives its result with `1/S` of that, `S` being what the weights of the next layer need.

use super::affine::Term;
use super::calibrate::{Calibration, StageCalibration};
use super::quantize::weight_scale;
use super::stage::Stage;
use super::{CompileError, Settings};
use crate::model::Range;

/// What a table's result may fill at most, in turns, where half a turn would be a wrong answer.
const MOST_OUTPUT: f64 = 0.45;

/// The largest phase, in turns, whose polynomial is evaluated in slots: the sine must not turn
/// back, and polynomials of the sine of low degree must do.
pub(super) const SLOTS_WIDTH: f64 = 0.16;

/// Weights whose grid has a step of `1/FLEXIBLE` units or more can be multiplied by small integers
/// without loss: those of residual sums.
const FLEXIBLE: f64 = 4.0;

/// The amplitude of every value and of every linear form, in turns per unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Amplitudes {
    /// Of the input, then of each stage's result.
    pub values: Vec<f64>,
    /// Of each stage's linear form.
    pub linear: Vec<f64>,
}

/// Where a value is read: the stage, and how its weights may be scaled.
struct Reading {
    stage: usize,
    /// Integers per unit that the weights need.
    scale: f64,
    /// Whether every integer multiple of `scale` serves as well.
    flexible: bool,
    /// Integers per unit at which any amplitude does, of weights that are flexible.
    full: f64,
}

/// Chooses all amplitudes.
///
/// # Errors
/// [`CompileError::Setting`] for ranges that are not finite.
pub fn amplitudes(
    stages: &[Stage],
    calibration: &Calibration,
    settings: &Settings,
) -> Result<Amplitudes, CompileError> {
    let limits: Vec<f64> = stages
        .iter()
        .zip(&calibration.stages)
        .map(|(stage, seen)| checked(limit(stage, seen, settings), seen))
        .collect::<Result<_, _>>()?;
    let mut linear: Vec<Option<f64>> = vec![None; stages.len()];
    let mut values = Vec::with_capacity(stages.len() + 1);
    for value in 0..=stages.len() {
        let readings = readings(stages, value, settings);
        let stage = value.checked_sub(1);
        let most = stage.map_or(f64::INFINITY, |index| {
            MOST_OUTPUT / largest_output(&stages[index], &calibration.stages[index], limits[index])
        });
        let amplitude = choose(&readings, &limits, &linear, most, settings.shared_bits);
        for reading in &readings {
            let chosen = &mut linear[reading.stage];
            if chosen.is_none() {
                let most = limits[reading.stage];
                let step = amplitude * reading.scale;
                *chosen = Some(match reading.flexible {
                    true => (most / step).floor().max(1.0) * step,
                    false => most,
                });
            }
        }
        values.push(amplitude);
    }
    let linear = linear.into_iter().zip(limits).map(|(chosen, limit)| chosen.unwrap_or(limit));
    Ok(Amplitudes { values, linear: linear.collect() })
}

fn readings(stages: &[Stage], value: usize, settings: &Settings) -> Vec<Reading> {
    let bits = if value == 0 { settings.first_weight_bits } else { settings.weight_bits };
    let reading = |(stage, term): (usize, &Term)| {
        let scale = weight_scale(term.kernel.weights.iter(), bits);
        let largest = term.kernel.weights.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
        let whole = weight_scale(term.kernel.weights.iter(), 4);
        let flexible = (whole * largest).round() <= FLEXIBLE && whole <= FLEXIBLE && largest > 0.0;
        let full = f64::from(bits - 1).exp2() / largest.max(f64::MIN_POSITIVE);
        Reading { stage, scale: if flexible { whole } else { scale }, flexible, full }
    };
    let terms = stages
        .iter()
        .enumerate()
        .flat_map(|(i, stage)| stage.affine.terms.iter().map(move |term| (i, term)));
    terms.filter(|(_, term)| term.source == value).map(reading).collect()
}

/// The amplitude of a value: what its readers need, between them where they differ.
fn choose(
    readings: &[Reading],
    limits: &[f64],
    linear: &[Option<f64>],
    most: f64,
    shared_bits: u32,
) -> f64 {
    let at = |reading: &Reading| linear[reading.stage].unwrap_or(limits[reading.stage]);
    let decided = |reading: &&Reading| reading.flexible && linear[reading.stage].is_some();
    // one residual sum can be met by a whole multiple of its amplitude, several cannot
    let several = readings.iter().filter(decided).count() > 1;
    let (mut low, mut high, mut bound) = (f64::INFINITY, 0f64, most);
    for reading in readings {
        if reading.flexible {
            bound = bound.min(at(reading) / reading.scale);
        }
        if !reading.flexible || several {
            let scale = if reading.flexible { reading.full } else { reading.scale };
            (low, high) = (low.min(at(reading) / scale), high.max(at(reading) / scale));
        }
    }
    // between them, but no reader loses more bits of its weights than it may
    let most = low * f64::from(shared_bits).exp2();
    let between = if high > 0.0 { (low * high).sqrt().min(most) } else { f64::INFINITY };
    let amplitude = between.min(bound);
    let amplitude = if amplitude.is_finite() { amplitude } else { 1.0 };
    readings.iter().find(decided).map_or(amplitude, |reading| {
        let whole = at(reading) / reading.scale;
        whole / (whole / amplitude).ceil().max(1.0)
    })
}

/// The largest amplitude of the linear form at which everything up to the table's input fits.
fn limit(stage: &Stage, seen: &StageCalibration, settings: &Settings) -> f64 {
    let (turns, width) = match &stage.activation {
        Some(activation) if activation.slots => {
            (SLOTS_WIDTH, seen.expected().magnitude().max(1e-9))
        }
        Some(_) => (0.5, width(seen.expected())),
        None => (0.5, seen.expected().magnitude()),
    };
    let end = turns / (width * settings.activation_margin * gain(seen));
    let differences = seen.pools.iter().flatten().enumerate();
    differences.fold(end, |amplitude, (index, difference)| {
        let doubled = 2f64.powi(index as i32);
        amplitude.min(0.5 / (difference * settings.pool_margin * doubled))
    })
}

/// What the pools multiply the amplitude by: each comparison computes `2 max(a, b)`.
fn gain(seen: &StageCalibration) -> f64 {
    let comparisons: usize = seen.pools.iter().map(Vec::len).sum();
    2f64.powi(comparisons as i32)
}

/// The width of a range that a table must hold; one without width gets that of its magnitude.
#[must_use]
pub(super) fn width(range: Range) -> f64 {
    let width = range.max - range.min;
    if width > 1e-9 * range.magnitude() { width } else { range.magnitude().max(1e-9) }
}

/// The first and last value that the table of a stage is made for.
#[must_use]
pub(super) fn window(range: Range, margin: f64) -> [f64; 2] {
    let spare = width(range) * margin - (range.max - range.min);
    [range.min - spare / 2.0, range.max + spare / 2.0]
}

/// The largest magnitude of the stage's result over its table's window: half a turn at the
/// amplitude, which may be down to half of `limit`. For a polynomial in slots over all phases that it
/// holds for, since coefficients that nothing reads come near them too.
fn largest_output(stage: &Stage, seen: &StageCalibration, limit: f64) -> f64 {
    let turn = 1.0 / (limit * gain(seen));
    let slots = stage.activation.as_ref().is_some_and(|activation| activation.slots);
    let [low, high] = match slots {
        true => [-SLOTS_WIDTH * turn, SLOTS_WIDTH * turn],
        false => window(seen.expected(), turn / width(seen.expected())),
    };
    largest(stage, low, high)
}

/// The largest magnitude of the stage's result for what its activation reads from `low` to `high`.
pub(super) fn largest(stage: &Stage, low: f64, high: f64) -> f64 {
    let functions = stage.activation.iter().flat_map(|activation| &activation.functions);
    let value = |x: f64| functions.clone().fold(0.0, |most: f64, f| most.max(f.evaluate(x).abs()));
    const STEPS: u32 = 64;
    let points = (0..=STEPS).map(|i| low + (high - low) * f64::from(i) / f64::from(STEPS));
    points.fold(1e-12, |most, x| most.max(value(x)))
}

fn checked(amplitude: f64, seen: &StageCalibration) -> Result<f64, CompileError> {
    if amplitude.is_finite() && amplitude > 0.0 {
        return Ok(amplitude);
    }
    let (name, allowed) = ("range of a layer", "finite values");
    Err(CompileError::Setting { name, value: seen.linear.magnitude(), allowed })
}
