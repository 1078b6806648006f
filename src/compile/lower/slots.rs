//! Polynomials of activations, in slots.

use super::Lowering;
use crate::compile::amplitude;
use crate::compile::calibrate::StageCalibration;
use crate::compile::program::{self, Function, Operation, PhaseFunction};
use crate::compile::stage::{Activation, Stage};
use crate::compile::{CompileError, unsupported};
use bellerophon_schemes::math::approximation::Polynomial;

/// How far, in turns, a polynomial in slots may be off: less than a table's noise.
const SLOTS_TOLERANCE: f64 = 1.0 / (1 << 21) as f64;
/// What the values of a polynomial in slots must reach, in turns: five bits more than that.
const LEAST_REACH: f64 = 32.0 * SLOTS_TOLERANCE;
/// The noise of a polynomial in slots, in turns: measured 2^-27.7 where all slots are full.
const SLOTS_DEVIATION: f64 = 1.0 / (1 << 27) as f64;
/// `log2` of the slots: all of them at most.
const MOST_LOG_SLOTS: u32 = 15;

/// The largest value behind an activation, over the range that calibration has seen.
pub(super) fn reach(stage: &Stage, seen: &StageCalibration) -> f64 {
    let range = seen.expected();
    amplitude::largest(stage, range.min, range.max)
}

fn too_steep(activation: &Activation, degree: usize) -> CompileError {
    let reason = format!(
        "a polynomial of lower degree, or exact: outside the range of {} this one grows so fast that \
         too little is left of the torus for its values inside",
        activation.name
    );
    CompileError::Scheme { found: format!("a polynomial of degree {degree}"), reason }
}

impl Lowering<'_> {
    /// A polynomial of every coefficient, then the samples of those that hold values.
    pub(super) fn in_slots(
        &mut self,
        index: usize,
        activation: &Activation,
        reach: f64,
    ) -> Result<(), CompileError> {
        let [Function::Polynomial(coefficients)] = activation.functions.as_slice() else {
            return Err(unsupported(&activation.name, "only polynomials run in slots"));
        };
        let (input, output) = (self.amplitude, self.amplitudes.values[index + 1]);
        if reach * output < LEAST_REACH {
            return Err(too_steep(activation, coefficients.len() - 1));
        }
        // from units to units, to from turns to turns
        let scaled = coefficients
            .iter()
            .enumerate()
            .map(|(power, coefficient)| coefficient * output / input.powi(power as i32));
        let polynomial = Polynomial::monomial(scaled.collect())
            .map_err(|error| unsupported(&activation.name, error.to_string()))?;
        let function = PhaseFunction {
            polynomial,
            width: amplitude::SLOTS_WIDTH,
            tolerance: SLOTS_TOLERANCE,
            deviation: SLOTS_DEVIATION,
        };
        self.amplitude = output;
        let name = &activation.name;
        let values = self.push(name, Operation::Slots(function), vec![self.register]);
        let places = self.places.all();
        // two coefficients to a slot
        let count = program::ciphertexts(&places).next_power_of_two() * self.dimension / 2;
        let needed = count.ilog2().min(MOST_LOG_SLOTS);
        self.log_slots = Some(self.log_slots.unwrap_or(0).max(needed));
        let samples = self.push(name, Operation::Extract { places }, vec![values]);
        self.samples.push(Some(samples));
        Ok(())
    }
}
