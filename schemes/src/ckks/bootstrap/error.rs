//! The standard deviation of a bootstrapping's error, to first order.

use super::matrices::{raised_scale, sparse_steps, variable_scale};
use super::modular_reduction::ModularReduction;
use super::{Bootstrapper, integer_variance};
use crate::ckks::dft::FactoredNorms;
use crate::ckks::{CkksError, Parameters, Scale, noise};
use std::f64::consts::PI;

/// Points at which the error of the exponential is averaged over the integer part.
const SAMPLES: i32 = 33;
/// Standard deviations of the integer part that they span.
const SPAN: f64 = 4.0;

impl Bootstrapper {
    /// The predicted standard deviation of the (complex) error of a slot, for slots of this mean
    /// square at this scale; without what the sine series leaves.
    ///
    /// # Errors
    /// [`CkksError::InvalidScale`] where a scale leaves the range of `f64`.
    pub fn standard_error(&self, scale: &Scale, mean_square: f64) -> Result<f64, CkksError> {
        let parameters = &self.parameters;
        let n = parameters.dimension() as f64;
        let matrices = (self.to_coefficients.norms(), self.slots);
        let [independent, equal] =
            coefficient_variances(parameters, matrices, self.reduction_level())?;
        let coefficients = independent + equal;
        let reduced_level = self.reduction_level() - self.reduction.depth();
        let reduced_scale = self.reduction.scale(parameters, self.reduction_level())?.finite()?;
        let per_slot = reduced_scale * reduced_scale / n;
        let error =
            4.0 * self.reduction.variance(parameters, self.reduction_level(), coefficients)?;
        let switch = noise::key_switch(parameters, reduced_level);
        let halves = if self.is_sparse() { 1.0 } else { 2.0 };
        let variance = halves * error * per_slot + switch;
        // the message over q_0, times what the reduction multiplies it with
        let base = Scale::of_modulus(parameters.modulus(0)?);
        let factor = 2.0 * self.reduction.slope() * scale.over(&base).finite()?;
        let power = halves * mean_square / (2 * self.slots) as f64 * factor * factor * per_slot;
        let (mut variance, _) = self.to_slots.norms().noise(parameters, (variance, power));
        if self.is_sparse() {
            variance = 2.0 * variance + noise::key_switch(parameters, self.output_level());
        }
        Ok((n * variance).sqrt() / scale.finite()?)
    }
}

/// The variances of the real error of the operand of a modular reduction at `level`, whose values are
/// the coefficients over `q_0` and the bound, after these matrices for so many slots: of what is
/// independent in all slots, and of what repeats as the slots do, since rounded matrices and the
/// integer parts make it.
pub(super) fn coefficient_variances(
    parameters: &Parameters,
    (matrices, slots): (&FactoredNorms, usize),
    level: usize,
) -> Result<[f64; 2], CkksError> {
    let n = parameters.dimension() as f64;
    let copies = (parameters.slots() / slots) as f64;
    let raised = raised_scale(parameters, level)?.finite()?;
    let power = integer_variance(n) * raised * raised * copies;
    let switch = noise::key_switch(parameters, parameters.max_level());
    let traced = sparse_steps(slots, parameters.slots()).fold(0.0, |v, _| 2.0 * v + switch);
    let (independent, _) = matrices.noise_unrescaled(parameters, (traced, 0.0));
    let (variance, _) = matrices.noise_unrescaled(parameters, (traced, power));
    // twice the real part of one error, and the real parts of the conjugation's and the rescaling's
    let product = 2.0 * independent + noise::key_switch(parameters, level + 1) / 2.0;
    let rescaled = (-2.0 * parameters.modulus(level + 1)?.log2()).exp2();
    let real = product * rescaled + noise::rounding(parameters) / 2.0;
    let scale = variable_scale(parameters, level)?.finite()?;
    let equal = 2.0 * (variance - independent) * rescaled;
    Ok([real, equal].map(|variance| n * variance / (scale * scale)))
}

impl ModularReduction {
    /// The variance of the imaginary part of the result, from the real error of an operand at `level`.
    ///
    /// Errors of the exponential count by their part along the circle, which each squaring doubles.
    pub(super) fn variance(
        &self,
        parameters: &Parameters,
        level: usize,
        operand: f64,
    ) -> Result<f64, CkksError> {
        let n = parameters.dimension() as f64;
        let angle = self.angle();
        let mut variance =
            angle * angle * operand + self.exponential_variance(parameters, level)?;
        let mut scale = self.target(parameters, level)?;
        let levels: Vec<usize> = self.products(level).collect();
        for (index, &level) in levels.iter().enumerate() {
            let prime = Scale::of_modulus(parameters.modulus(level)?);
            scale = scale.times(&scale).over(&prime);
            let switch = noise::key_switch(parameters, level);
            let own = n * noise::rescale(parameters, level, switch) / scale.finite()?.powi(2) / 2.0;
            // the derivative of the second harmonic is 6, that of a squaring 2
            let derivative = if index < self.squarings() { 2.0 } else { 6.0 };
            variance = derivative * derivative * variance + own;
        }
        Ok(variance)
    }

    /// The mean, over a Gaussian integer part, of the variance along the circle that the evaluation of
    /// cosine and sine adds.
    fn exponential_variance(
        &self,
        parameters: &Parameters,
        level: usize,
    ) -> Result<f64, CkksError> {
        let target = self.target(parameters, level)?;
        let scale = variable_scale(parameters, level)?;
        let deviation = integer_variance(parameters.dimension() as f64).sqrt();
        let unit = deviation * 2.0 * PI / self.angle() / (self.squarings() as f64).exp2();
        let (mut sum, mut weights) = (0.0, 0.0);
        for index in 0..SAMPLES {
            let t = SPAN * (2.0 * f64::from(index) / f64::from(SAMPLES - 1) - 1.0);
            let weight = (-t * t / 2.0).exp();
            for circuit in self.circuits() {
                let operand = (level, &scale);
                let error = circuit.standard_error(parameters, operand, &target, 0.0, t * unit)?;
                sum += weight * error * error / 2.0;
            }
            weights += weight;
        }
        Ok(sum / weights)
    }
}
