//! The matrices of a bootstrapping, and the scales between them.

use super::BootstrapLiteral;
use super::modular_reduction::ModularReduction;
use crate::ckks::dft::{self, FactoredTransform};
use crate::ckks::linear_transform::Diagonals;
use crate::ckks::{CkksError, Encoder, KeyRequirements, Parameters, Scale, c64};

/// Bits of the plaintext matrices that the raised ciphertext leaves to them: its scale stays this far
/// below the one that the modular reduction wants, which still keeps the noise of the first key
/// switches below that of the last.
const MATRIX_BITS: f64 = 9.0;

/// The variable's scale over the prime of its level: `2 T_a T_b` is a product at half the scale, so the
/// Chebyshev polynomials stay at twice their primes by themselves.
const VARIABLE_BITS: i32 = 1;

/// What the matrices are computed from.
pub(super) struct Matrices<'a> {
    pub parameters: &'a Parameters,
    pub encoder: &'a Encoder,
    pub literal: &'a BootstrapLiteral,
    pub slots: usize,
}

impl Matrices<'_> {
    fn is_sparse(&self) -> bool {
        self.slots < self.parameters.slots()
    }

    /// Slots to `1/(2 K)` of the complex coefficients, or, where they are sparse, of the lower half
    /// and `-i` times the upper one; adding the conjugate undoes the 2.
    pub fn to_coefficients(&self, bound: f64) -> Result<FactoredTransform, CkksError> {
        let (factors, gain) = self.coefficient_factors(bound)?;
        let top = self.parameters.max_level();
        FactoredTransform::new(self.encoder, self.parameters, &factors, top, &gain)
    }

    /// The maps of [`Matrices::to_coefficients`], and what they multiply the scale with.
    pub fn coefficient_factors(&self, bound: f64) -> Result<(Vec<Diagonals>, Scale), CkksError> {
        let groups = self.literal.coefficients_to_slots;
        let copies = (self.parameters.slots() / self.slots) as f64;
        let factor = 1.0 / (2.0 * bound * copies);
        let mut factors = dft::interpolation_factors(self.slots, groups, factor);
        if let (Some(last), true) = (factors.last_mut(), self.is_sparse()) {
            for values in last.values_mut() {
                let upper: Vec<c64> = values.iter().map(|v| v * c64::new(0.0, -1.0)).collect();
                values.extend(upper);
            }
        }
        let top = self.parameters.max_level();
        let raised = raised_scale(self.parameters, top - groups)?;
        let gain = variable_scale(self.parameters, top - groups)?.over(&raised);
        Ok((factors, gain))
    }

    /// From the result of the reduction, at the level that an operand at `level` leads to, to the
    /// slots over `q_0`.
    pub fn to_slots(
        &self,
        reduction: &ModularReduction,
        level: usize,
    ) -> Result<FactoredTransform, CkksError> {
        let factors = self.slot_factors(1.0 / (2.0 * reduction.slope()));
        let base = Scale::of_modulus(self.parameters.modulus(0)?);
        let gain = base.over(&reduction.scale(self.parameters, level)?);
        let level = level - reduction.depth();
        FactoredTransform::new(self.encoder, self.parameters, &factors, level, &gain)
    }

    /// The maps from complex coefficients, or from real ones in two halves where they are sparse, to
    /// `factor` times the slots.
    pub fn slot_factors(&self, factor: f64) -> Vec<Diagonals> {
        let groups = self.literal.slots_to_coefficients;
        let mut factors = dft::evaluation_factors(self.slots, groups, factor);
        if let (Some(first), true) = (factors.first_mut(), self.is_sparse()) {
            *first = joining_halves(first, self.slots);
        }
        factors
    }

    pub fn sparse_requirements(&self) -> KeyRequirements {
        let top = self.parameters.max_level();
        let steps = sparse_steps(self.slots, self.parameters.slots());
        KeyRequirements::rotations(self.parameters, steps, top)
    }
}

/// The map before which the upper half of `2n` slots is multiplied with `i`: `n` more slots of the
/// result, added to it, make the map of `lower + i upper`.
fn joining_halves(matrix: &Diagonals, slots: usize) -> Diagonals {
    let join = |rotation: usize, values: &[c64]| {
        let entries = (0..2 * slots).map(|j| {
            let upper = (j + rotation) % (2 * slots) >= slots;
            values[j % slots] * if upper { c64::new(0.0, 1.0) } else { c64::new(1.0, 0.0) }
        });
        entries.collect()
    };
    matrix.iter().map(|(&rotation, values)| (rotation, join(rotation, values))).collect()
}

/// Rotations whose sums repeat `slots` values over all; the first one also joins the halves.
pub(super) fn sparse_steps(slots: usize, all: usize) -> impl Iterator<Item = i64> {
    (slots.ilog2()..all.ilog2()).map(|log| 1 << log)
}

/// The scale of the operand of a modular reduction at `level`.
pub(super) fn variable_scale(parameters: &Parameters, level: usize) -> Result<Scale, CkksError> {
    let prime = Scale::of_modulus(parameters.modulus(level)?);
    Ok(prime.times(&Scale::power_of_two(VARIABLE_BITS)))
}

/// Bits by which a raised ciphertext is multiplied, exactly, so that its scale is near that of a
/// modular reduction at `level`.
pub(super) fn raised_bits(parameters: &Parameters, level: usize) -> Result<u32, CkksError> {
    let reduction = parameters.modulus(level)?.log2();
    let base = parameters.modulus(0)?.log2();
    Ok((reduction - base - MATRIX_BITS).round().max(0.0) as u32)
}

/// The scale of a raised ciphertext, read as coefficients over `q_0`.
pub(super) fn raised_scale(parameters: &Parameters, level: usize) -> Result<Scale, CkksError> {
    let base = Scale::of_modulus(parameters.modulus(0)?);
    Ok(base.times(&Scale::power_of_two(raised_bits(parameters, level)? as i32)))
}
