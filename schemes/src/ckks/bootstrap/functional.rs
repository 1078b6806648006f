//! Functional bootstrapping: from a ciphertext with phases in its coefficients to one with a
//! polynomial of each (Alexandru, Kim, Polyakov, ePrint 2024/1623, there for functions of integers;
//! from and to coefficients as in Pegasus, Lu et al., ePrint 2020/1606).
//!
//! Bootstrapping removes the integer part of the phase by a sine, which it takes for its argument. Here
//! the sine is kept as it is, and a polynomial of it gives any function of the phase that has one
//! ([`PhasePolynomial`]):
//!
//! 1. **raise** and **coefficients to slots** ([`FunctionalBootstrapper::to_slots`]): slots then hold
//!    `x_i + I_i` with the phases `x_i` in turns, integers `I_i`, and half of the coefficients in each of
//!    two ciphertexts;
//! 2. **sine** ([`FunctionalBootstrapper::sine`]): `sin(2 pi x_i)` by the exponential, without regard to
//!    how large `x_i` is;
//! 3. **polynomial** ([`FunctionalBootstrapper::evaluate`]): `g(sin 2 pi x_i) = f(x_i)`;
//! 4. **slots to coefficients** ([`FunctionalBootstrapper::to_coefficients`]): back at level 0.
//!
//! # Error
//!
//! The same budget as that of [`Bootstrapper`](super::Bootstrapper), but its end: an error of the sine
//! is one of `g'(s)` times as much in the result, in turns of `q_0`
//! ([`FunctionalPlan::variance`]). All primes are below `2^50`, where the kernels are fastest: the sine
//! has about 24 bits.
//!
//! With fewer slots than `N/2`, the error is smaller: what is independent in the copies of a slot averages
//! out, what comes of rounded matrices does not.

mod plan;

pub use plan::FunctionalPlan;

use super::phase_polynomial::PhasePolynomial;
use super::{BootstrapLiteral, ModularReductionLiteral, joined_slots, raise, real_coefficients};
use crate::ckks::dft::FactoredTransform;
use crate::ckks::evaluator::check_levels;
use crate::ckks::{
    Ciphertext, CkksError, Encoder, EvaluationKeys, Evaluator, ParametersLiteral, Scale,
};
use crate::packing::{Coeffs, Slots};

/// Bits of `q_0`, of the primes of the exponential and of those before it.
const BITS: u32 = 50;
/// Bits of the primes of the last step.
const LAST_BITS: u32 = 45;

impl BootstrapLiteral {
    /// For functional bootstrapping of `2^(log_slots + 1)` coefficients in a ring of dimension
    /// `2^log_dimension`: three levels for each transform, and the sine itself as the modular
    /// reduction.
    #[must_use]
    pub fn functional(log_dimension: u32, log_slots: u32) -> Self {
        let literal = Self::new(log_dimension, log_slots);
        let modular_reduction =
            ModularReductionLiteral { harmonics: 1, ..literal.modular_reduction };
        Self { modular_reduction, ..literal }
    }

    /// The bits of a chain of primes below `2^50` for functional bootstrapping that leaves `depth`
    /// levels to the polynomial: `q_0`, the levels of the last step, those of the polynomial (as
    /// large as the prime of the last squaring), and those of the modular reduction and the first
    /// step.
    #[must_use]
    pub fn functional_bits(&self, depth: usize) -> Vec<u32> {
        let first: Vec<u32> = self.first_levels(BITS, BITS).collect();
        let polynomial = first.first().copied().unwrap_or(BITS);
        let mut bits = vec![BITS];
        bits.extend(std::iter::repeat_n(LAST_BITS, self.slots_to_coefficients));
        bits.extend(std::iter::repeat_n(polynomial, depth));
        bits.extend(first);
        bits
    }

    /// A parameter set of 128 bits at `N = 2^16` for polynomials of up to degree 31 of the sine, for
    /// `2^(log_slots + 1)` coefficients: all where `log_slots` is 15.
    #[must_use]
    pub fn functional_deep(log_slots: u32) -> (ParametersLiteral, Self) {
        let literal = Self::functional(16, log_slots);
        let modulus_bits = literal.functional_bits(5);
        let special_bits = vec![47; 9];
        (ParametersLiteral { log_dimension: 16, modulus_bits, special_bits, digits: 3 }, literal)
    }
}

/// The precomputed matrices and polynomials of functional bootstrapping; the function is chosen at
/// each evaluation.
#[derive(Debug, Clone)]
pub struct FunctionalBootstrapper {
    plan: FunctionalPlan,
    first: FactoredTransform,
    last: FactoredTransform,
}

impl FunctionalBootstrapper {
    /// Encodes the matrices of `plan`.
    ///
    /// # Errors
    /// [`CkksError::ValueRange`] where the primes are too small for them.
    pub fn new(plan: &FunctionalPlan, encoder: &Encoder) -> Result<Self, CkksError> {
        let parameters = plan.parameters();
        let matrices = plan.matrices(encoder);
        let first = matrices.to_coefficients(plan.bound())?;
        let (last, level) = (matrices.slot_factors(1.0), plan.levels().last);
        let last = FactoredTransform::new(encoder, parameters, &last, level, &Scale::one())?;
        Ok(Self { plan: plan.clone(), first, last })
    }

    /// What it was made of.
    #[must_use]
    pub fn plan(&self) -> &FunctionalPlan {
        &self.plan
    }

    /// Bytes of the encoded matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.first.bytes() + self.last.bytes()
    }

    /// The polynomial of the phase (in turns of `q_0`) of every coefficient, in turns of `q_0` at
    /// level 0: the scale of the result is `q_0`. Levels above 0 of the operand are not used, nor is
    /// its scale.
    ///
    /// # Errors
    /// [`CkksError::Level`] for a polynomial of more than
    /// [`FunctionalPlan::polynomial_depth`] levels; [`CkksError::MissingGaloisKey`],
    /// [`CkksError::MissingRelinearizationKey`], [`CkksError::Key`] for keys of another secret.
    pub fn bootstrap(
        &self,
        evaluator: &Evaluator,
        ciphertext: &Ciphertext<Coeffs>,
        polynomial: &PhasePolynomial,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Coeffs>, CkksError> {
        let value = |part: &Ciphertext<Slots>| {
            let sine = self.sine(evaluator, part, keys)?;
            self.evaluate(evaluator, &sine, polynomial, keys)
        };
        let parts = self.to_slots(evaluator, ciphertext, keys)?;
        let values = parts.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        self.to_coefficients(evaluator, &values, keys)
    }

    /// First step: the phases with their integer parts, over the bound of these, in the order of
    /// [`coefficient_order`](crate::ckks::dft::coefficient_order); the lower half of the coefficients and
    /// the upper one, in two ciphertexts where they fill the ring and else one after the other in one.
    ///
    /// # Errors
    /// As [`FunctionalBootstrapper::bootstrap`].
    pub fn to_slots(
        &self,
        evaluator: &Evaluator,
        ciphertext: &Ciphertext<Coeffs>,
        keys: &EvaluationKeys,
    ) -> Result<Vec<Ciphertext<Slots>>, CkksError> {
        let slots = self.plan.slots();
        let raised = raise(evaluator, ciphertext, (self.plan.levels().reduction, slots), keys)?;
        real_coefficients(evaluator, (&self.first, slots), &raised, keys)
    }

    /// Second step, of one of the ciphertexts: the sines of the phases.
    ///
    /// # Errors
    /// As [`FunctionalBootstrapper::bootstrap`]; [`CkksError::LevelMismatch`] at another level.
    pub fn sine(
        &self,
        evaluator: &Evaluator,
        part: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        check_levels(self.plan.levels().reduction, part.level())?;
        let mut sum = self.plan.reduction().apply(evaluator, part, keys)?;
        // -i z + conj(-i z) = 2 Im z
        evaluator.mul_i_assign(&mut sum);
        evaluator.negate_assign(&mut sum);
        let conjugate = evaluator.conjugate(&sum, keys)?;
        evaluator.add_assign(&mut sum, &conjugate)?;
        Ok(sum.with_scale(self.plan.sine_scale()?))
    }

    /// Third step, of one of the ciphertexts: the polynomial of the phases, in turns at the scale `q_0`.
    ///
    /// # Errors
    /// As [`FunctionalBootstrapper::bootstrap`].
    pub fn evaluate(
        &self,
        evaluator: &Evaluator,
        sine: &Ciphertext<Slots>,
        polynomial: &PhasePolynomial,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.plan.check_depth(polynomial)?;
        let turn = self.plan.turn()?;
        let mut value = polynomial.circuit().evaluate(evaluator, sine, &turn, keys)?;
        evaluator.drop_level_assign(&mut value, self.plan.levels().last)?;
        Ok(value)
    }

    /// Fourth step: all back into the coefficients.
    ///
    /// # Errors
    /// As [`FunctionalBootstrapper::bootstrap`]; [`CkksError::LevelMismatch`] at another level,
    /// [`CkksError::Parameter`] for another number of ciphertexts.
    pub fn to_coefficients(
        &self,
        evaluator: &Evaluator,
        values: &[Ciphertext<Slots>],
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Coeffs>, CkksError> {
        let slots = self.plan.slots();
        let full = slots == evaluator.parameters().slots();
        let joined = match (values, full) {
            ([value], false) => value.clone(),
            ([lower, upper], true) => {
                let mut joined = upper.clone();
                evaluator.mul_i_assign(&mut joined);
                evaluator.add_assign(&mut joined, lower)?;
                joined
            }
            _ => {
                let (what, value) = ("the number of ciphertexts", values.len());
                let allowed = "as many as the first step made";
                return Err(CkksError::Parameter { what, value, allowed });
            }
        };
        Ok(joined_slots(evaluator, (&self.last, slots), &joined, keys)?.repacked())
    }
}

#[cfg(test)]
mod tests;
