//! Bootstrapping: from no level left to a high level, at the same scale (Cheon, Han, Kim, Kim, Song,
//! ePrint 2018/153).
//!
//! A ciphertext at level 0 has the phase `m` modulo `q_0`. Read modulo the whole chain, its phase is
//! `m + q_0 I` with small integers in the coefficients of `I`. Four steps remove `q_0 I`:
//!
//! 1. **raise** to the highest level ([`Bootstrapper::raise`]);
//! 2. **coefficients to slots** ([`Bootstrapper::to_coefficients`]): every slot then holds
//!    `m_i / q_0 + I_i`;
//! 3. **modular reduction** ([`Bootstrapper::reduce`]): `x mod 1` for `x` near integers;
//! 4. **slots to coefficients** ([`Bootstrapper::to_slots`]).
//!
//! # The integer part
//!
//! Secrets are dense, uniform in {-1, 0, 1}: a coefficient of `I` is a sum of `N` independent uniform
//! variables in (-1/2, 1/2) times secret coefficients, of variance `(2N/3 + 1)/12`. Uniform variables
//! are strictly sub-Gaussian, so `P(|I_i| > t sigma) <= 2 exp(-t^2/2)`; with `N` of them and a failure
//! probability of `2^-40`, `t = sqrt(2 ln(2^41 N))` and the bound is `K = ceil(t sigma) + 1`
//! ([`integer_bound`]): 65 at `N = 2^10`, 538 at `N = 2^16`.
//!
//! # The modular reduction
//!
//! `exp(2 pi i x / 2^r)` is interpolated at Chebyshev nodes and squared `r` times; the imaginary part of
//! `z = exp(2 pi i x)` is `sin(2 pi x)`. The usual choice is the cosine with the double-angle formula
//! `2 y^2 - 1` (Han and Ki, ePrint 2019/688); it is the real part of the same thing at the same depth, but
//! it forgets the sign of the angle, so that where the cosine is near 1 an error is multiplied with up
//! to 4 by each doubling instead of 2. With integer parts as large as a dense secret makes them, this
//! decides the precision. Simulated in doubles at `K = 537` and `N = 2^16`, with the powers, blocks and
//! squarings of the circuit each given an independent error of standard deviation 1 (in units small
//! against the value), the error of `sin(2 pi x)` over `2^17` values:
//!
//! | method | degree | squarings | levels | interpolation | standard deviation | largest |
//! |---|---|---|---|---|---|---|
//! | double angle | 62 | 7 | 13 | 2^-46.5 | 2^17.3 | 2^22.4 |
//! | exponential | 62 | 7 | 13 | 2^-46.3 | 2^13.3 | 2^16.2 |
//! | exponential | 46 | 8 | 14 | 2^-47.1 | 2^12.7 | 2^15.4 |
//! | exponential | 31 | 9 | 14 | 2^-48.1 | 2^11.9 | 2^14.2 |
//!
//! An error of the input alone gives `2 pi K = 2^11.7`, which is the floor, so the last line is taken:
//! five levels for degree 31, `r = ceil(log2(2 pi K / 7))`. `x mod 1` itself is a sine series (Jutla and
//! Manohar, ePrint 2021/572): with two terms, `(8 sin t - sin 2t) / 6 = t - t^5/30 + ...`, one more level
//! takes the place of an arcsine.
//!
//! # Error
//!
//! Let `S` be the prime where the reduction begins and `D` the scale of the message. A rounding is an
//! error of `N / sqrt(18)` in a slot. In `sin(2 pi x)` it counts as about `2^10 N / S` at `N = 2^16`, the
//! levels of the polynomial being the greater part, and `sqrt(N) q_0 / (2 pi D)` times
//! that in the slots of the result. [`Bootstrapper::standard_error`] adds up all of it. Beside it, a
//! message with a coefficient `c D` is wrong by `(2 pi c D / q_0)^4 c / 30` there: `2^-22.3` where all
//! slots are 1 and `q_0 / D = 2^7`, as in the shipped sets; coefficients of independent slots are about
//! `1 / sqrt(N)` of that.
//!
//! | set, `2^15` slots | levels left | keys | matrices | error, predicted | measured | worst slot |
//! |---|---|---|---|---|---|---|
//! | [`BootstrapLiteral::deep`] | 6 of 39 bits | 48, 9.6 GB | 3.8 GB | 2^-22.37 | 2^-22.37 | 2^-20.68 |
//! | [`BootstrapLiteral::compact`] | 2 of 39 bits | 48, 6.0 GB | 3.5 GB | 2^-22.56 | 2^-22.55 | 2^-20.75 |
//!
//! Complex slots uniform in a square of diagonal 2. `examples/ckks_bootstrap.rs` prints this, with times.

mod error;
pub mod functional;
mod matrices;
mod modular_reduction;
mod phase_polynomial;

pub use functional::{FunctionalBootstrapper, FunctionalPlan};
use matrices::{Matrices, sparse_steps};
use modular_reduction::ModularReduction;
pub use modular_reduction::ModularReductionLiteral;
pub use phase_polynomial::PhasePolynomial;

use super::dft::{self, FactoredTransform};
use super::evaluator::check_levels;
use super::{
    Ciphertext, CkksError, Encoder, EvaluationKeys, Evaluator, KeyRequirements, Parameters,
    ParametersLiteral, Scale,
};
use crate::math::{Ntt, Poly, RnsPoly};
use crate::packing::{Packing, Slots};
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;

/// `-log2` of the probability that an integer part exceeds the bound in one bootstrapping.
const FAILURE_BITS: f64 = 40.0;

/// What a user chooses of a bootstrapping; unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapLiteral {
    /// `log2` of the number of slots that the messages repeat (sparse packing), up to
    /// `log2(N/2)`. Below that, one modular reduction does instead of two.
    pub log_slots: u32,
    /// Levels of the step from coefficients to slots.
    pub coefficients_to_slots: usize,
    /// Levels of the step back.
    pub slots_to_coefficients: usize,
    /// The modular reduction.
    pub modular_reduction: ModularReductionLiteral,
}

impl BootstrapLiteral {
    /// Three levels for each transform and the default modular reduction, for `2^log_slots` slots of
    /// a ring of dimension `2^log_dimension`.
    #[must_use]
    pub fn new(log_dimension: u32, log_slots: u32) -> Self {
        let bound = integer_bound(f64::from(log_dimension).exp2());
        Self {
            log_slots,
            coefficients_to_slots: 3,
            slots_to_coefficients: 3,
            modular_reduction: ModularReductionLiteral::for_bound(bound),
        }
    }

    /// A parameter set of 128 bits at `N = 2^16` with all `2^15` slots, for messages at the scale
    /// `2^39` and of about 1 at most: bootstrapping takes 21 levels and leaves 6 of 39 bits. Its keys
    /// take 9.6 GB.
    #[must_use]
    pub fn deep() -> (ParametersLiteral, Self) {
        Self::shipped(6, 5, 6)
    }

    /// As [`BootstrapLiteral::deep`], with larger digits in the key switches: 2 levels left, keys of
    /// 6 GB, and little more than half of the time.
    #[must_use]
    pub fn compact() -> (ParametersLiteral, Self) {
        Self::shipped(2, 7, 4)
    }

    fn shipped(residual: usize, special: usize, digits: usize) -> (ParametersLiteral, Self) {
        let literal = Self::new(16, 15);
        let modulus_bits = literal.modulus_bits(46, &vec![39; residual], [37, 61, 59]);
        let special_bits = vec![61; special];
        (ParametersLiteral { log_dimension: 16, modulus_bits, special_bits, digits }, literal)
    }

    /// The bits of a chain of primes for this bootstrapping: `q_0` of `base` bits, the levels left to
    /// the user after bootstrapping as in `residual`, then the levels of the bootstrapping from the
    /// last one: those of the two transforms with primes of their own sizes, and between them those of
    /// the modular reduction with primes of `reduction` bits that lose a bit with each product of the
    /// exponential, as the errors made there are amplified half as much.
    #[must_use]
    pub fn modulus_bits(
        &self,
        base: u32,
        residual: &[u32],
        [to_slots, reduction, to_coefficients]: [u32; 3],
    ) -> Vec<u32> {
        let repeat = |bits: u32, count: usize| vec![bits; count];
        let mut bits = vec![base];
        bits.extend_from_slice(residual);
        bits.extend(repeat(to_slots, self.slots_to_coefficients));
        bits.extend(self.first_levels(reduction, to_coefficients));
        bits
    }

    /// The bits of the primes of the modular reduction and of the step from coefficients to slots.
    fn first_levels(&self, reduction: u32, to_coefficients: u32) -> impl Iterator<Item = u32> {
        let products = self.modular_reduction.products();
        let exponential = self.modular_reduction.depth() - products;
        let products = (0..products as u32).rev();
        products
            .map(move |index| reduction.saturating_sub(index))
            .chain(std::iter::repeat_n(reduction, exponential))
            .chain(std::iter::repeat_n(to_coefficients, self.coefficients_to_slots))
    }
}

/// The bound `K` that no coefficient of the integer part reaches, but with probability `2^-40` for a
/// whole bootstrapping: `ceil(sigma sqrt(2 ln(2^41 N))) + 1`, `sigma^2 = (2N/3 + 1)/12`.
#[must_use]
pub fn integer_bound(dimension: f64) -> f64 {
    let tail = 2.0 * ((FAILURE_BITS + 1.0) * LN_2 + dimension.ln());
    (integer_variance(dimension) * tail).sqrt().ceil() + 1.0
}

/// The variance of a coefficient of the integer part.
fn integer_variance(dimension: f64) -> f64 {
    (2.0 * dimension / 3.0 + 1.0) / 12.0
}

/// The precomputed matrices and polynomials of one bootstrapping.
#[derive(Debug, Clone)]
pub struct Bootstrapper {
    parameters: Parameters,
    slots: usize,
    to_coefficients: FactoredTransform,
    reduction: ModularReduction,
    to_slots: FactoredTransform,
    requirements: KeyRequirements,
}

impl Bootstrapper {
    /// Prepares bootstrapping to the highest level of `parameters`, less [`Bootstrapper::depth`].
    ///
    /// # Errors
    /// [`CkksError::Parameter`] for an impossible literal, [`CkksError::Level`] where the chain is too
    /// short.
    pub fn new(
        parameters: &Parameters,
        encoder: &Encoder,
        literal: &BootstrapLiteral,
    ) -> Result<Self, CkksError> {
        let slots = check(parameters, literal)?;
        let bound = integer_bound(parameters.dimension() as f64);
        let reduction = ModularReduction::new(&literal.modular_reduction, bound)?;
        let top = parameters.max_level();
        let depth = literal.coefficients_to_slots + reduction.depth();
        let needed = depth + literal.slots_to_coefficients;
        if top < needed {
            return Err(CkksError::Level { operation: "bootstrapping", needed, found: top });
        }
        let reduced = top - literal.coefficients_to_slots;
        let plan = Matrices { parameters, encoder, literal, slots };
        let to_coefficients = plan.to_coefficients(bound)?;
        let to_slots = plan.to_slots(&reduction, reduced)?;
        let requirements = to_coefficients
            .requirements(parameters)
            .union(to_slots.requirements(parameters))
            .union(reduction.requirements(reduced))
            .union(KeyRequirements::relinearization(reduced))
            .union(KeyRequirements::conjugation(parameters, reduced + 1))
            .union(plan.sparse_requirements());
        let parameters = parameters.clone();
        Ok(Self { parameters, slots, to_coefficients, reduction, to_slots, requirements })
    }

    /// Levels between the highest and that of a bootstrapped ciphertext.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.to_coefficients.depth() + self.reduction.depth() + self.to_slots.depth()
    }

    /// The level of a bootstrapped ciphertext.
    #[must_use]
    pub fn output_level(&self) -> usize {
        self.parameters.max_level() - self.depth()
    }

    /// The level at which the modular reduction begins.
    fn reduction_level(&self) -> usize {
        self.parameters.max_level() - self.to_coefficients.depth()
    }

    fn is_sparse(&self) -> bool {
        self.slots < self.parameters.slots()
    }

    /// The keys it uses.
    #[must_use]
    pub fn requirements(&self) -> KeyRequirements {
        self.requirements.clone()
    }

    /// The number of slots that messages repeat.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Bytes of the encoded matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.to_coefficients.bytes() + self.to_slots.bytes()
    }

    /// The same slots at [`Bootstrapper::output_level`] and at the same scale. What levels the operand
    /// has left are not used. The slots times the scale must be far below `q_0`, and repeat as the
    /// literal says; the error is stated at the head of this module.
    ///
    /// # Errors
    /// [`CkksError::InvalidScale`] where the operand's scale is above `q_0 / 2`;
    /// [`CkksError::MissingGaloisKey`], [`CkksError::MissingRelinearizationKey`], [`CkksError::Key`] for
    /// keys of another secret.
    pub fn bootstrap(
        &self,
        evaluator: &Evaluator,
        ciphertext: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let scale = ciphertext.scale().clone();
        let raised = self.raise(evaluator, ciphertext, keys)?;
        let coefficients = self.to_coefficients(evaluator, &raised, keys)?;
        let reduced = self.reduce(evaluator, &coefficients, keys)?;
        Ok(self.to_slots(evaluator, &reduced, keys)?.with_scale(scale))
    }

    /// First step: the residues modulo `q_0`, centred, modulo all primes. With fewer slots than `N/2`,
    /// the sum over the rotations by multiples of their number clears all coefficients but those of
    /// the subring, as the integer part lies outside.
    ///
    /// # Errors
    /// As [`Bootstrapper::bootstrap`].
    pub fn raise(
        &self,
        evaluator: &Evaluator,
        ciphertext: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let base = Scale::of_modulus(self.parameters.modulus(0)?);
        if ciphertext.scale().log2() > base.log2() - 1.0 {
            return Err(CkksError::InvalidScale { scale: ciphertext.scale().value() });
        }
        raise(evaluator, ciphertext, (self.reduction_level(), self.slots), keys)
    }

    /// Second step: the coefficients over `q_0`, lower and upper halves in two ciphertexts, or one
    /// after the other in one ciphertext where there are fewer slots than `N/2`; divided by the bound
    /// of the integer part.
    ///
    /// # Errors
    /// As [`Bootstrapper::bootstrap`].
    pub fn to_coefficients(
        &self,
        evaluator: &Evaluator,
        raised: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Vec<Ciphertext<Slots>>, CkksError> {
        real_coefficients(evaluator, (&self.to_coefficients, self.slots), raised, keys)
    }

    /// Third step: [`Bootstrapper::to_coefficients`]' result modulo 1, times a constant; the upper half
    /// of the coefficients becomes the imaginary part where there were two ciphertexts.
    ///
    /// # Errors
    /// As [`Bootstrapper::bootstrap`]; [`CkksError::LevelMismatch`] for operands at another level.
    pub fn reduce(
        &self,
        evaluator: &Evaluator,
        coefficients: &[Ciphertext<Slots>],
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        // u - conj(u) = 2 i Im u; one conjugation serves both halves
        let reduce = |part: &Ciphertext<Slots>| {
            check_levels(self.reduction_level(), part.level())?;
            self.reduction.apply(evaluator, part, keys)
        };
        let [first, rest @ ..] = coefficients else {
            let (what, allowed) = ("the number of ciphertexts", "1 or 2");
            return Err(CkksError::Parameter { what, value: coefficients.len(), allowed });
        };
        let mut sum = reduce(first)?;
        evaluator.mul_i_assign(&mut sum);
        evaluator.negate_assign(&mut sum);
        let mut difference = sum.clone();
        for part in rest {
            let upper = reduce(part)?;
            evaluator.add_assign(&mut sum, &upper)?;
            evaluator.sub_assign(&mut difference, &upper)?;
        }
        evaluator.add_assign(&mut sum, &evaluator.conjugate(&difference, keys)?)?;
        Ok(sum)
    }

    /// Fourth step: the slots, over `q_0`: the scale is `q_0` exactly.
    ///
    /// # Errors
    /// As [`Bootstrapper::bootstrap`].
    pub fn to_slots(
        &self,
        evaluator: &Evaluator,
        reduced: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        joined_slots(evaluator, (&self.to_slots, self.slots), reduced, keys)
    }
}

/// The residues modulo `q_0`, centred, modulo all primes; read as coefficients over `q_0` at the scale
/// that a modular reduction at `level` wants, and times the number of times that `slots` are repeated.
fn raise<P: Packing>(
    evaluator: &Evaluator,
    ciphertext: &Ciphertext<P>,
    (level, slots): (usize, usize),
    keys: &EvaluationKeys,
) -> Result<Ciphertext<Slots>, CkksError> {
    let parameters = evaluator.parameters();
    let [c0, c1] = [ciphertext.c0(), ciphertext.c1()].map(|part| lift(parameters, part));
    let bits = matrices::raised_bits(parameters, level)?;
    let scale = matrices::raised_scale(parameters, level)?;
    let mut raised = Ciphertext::from_parts(c0?, c1?, scale, ciphertext.key())?;
    evaluator.mul_integer_assign(&mut raised, 1 << bits);
    for steps in sparse_steps(slots, parameters.slots()) {
        let rotated = evaluator.rotate(&raised, steps, keys)?;
        evaluator.add_assign(&mut raised, &rotated)?;
    }
    Ok(raised)
}

/// Twice the real parts of what the matrices make of a raised ciphertext, and twice the imaginary
/// parts in a second ciphertext where the `slots` fill the ring.
fn real_coefficients(
    evaluator: &Evaluator,
    (matrices, slots): (&FactoredTransform, usize),
    raised: &Ciphertext<Slots>,
    keys: &EvaluationKeys,
) -> Result<Vec<Ciphertext<Slots>>, CkksError> {
    let complex = matrices.apply_unrescaled(evaluator, raised, keys)?;
    if slots == evaluator.parameters().slots() {
        return Ok(dft::real_and_imaginary(evaluator, complex, keys)?.into());
    }
    let mut real = evaluator.conjugate(&complex, keys)?;
    evaluator.add_assign(&mut real, &complex)?;
    evaluator.rescale_assign(&mut real)?;
    Ok(vec![real])
}

/// What the matrices make of complex coefficients, or of real ones in two halves where the `slots` do
/// not fill the ring.
fn joined_slots(
    evaluator: &Evaluator,
    (matrices, slots): (&FactoredTransform, usize),
    coefficients: &Ciphertext<Slots>,
    keys: &EvaluationKeys,
) -> Result<Ciphertext<Slots>, CkksError> {
    let mut result = matrices.apply(evaluator, coefficients, keys)?;
    if slots < evaluator.parameters().slots() {
        let halves = evaluator.rotate(&result, slots as i64, keys)?;
        evaluator.add_assign(&mut result, &halves)?;
    }
    Ok(result)
}

fn lift(parameters: &Parameters, part: &RnsPoly<Ntt>) -> Result<RnsPoly<Ntt>, CkksError> {
    let limb: Option<&Poly<_>> = part.limbs().first();
    let centred = limb.map_or_else(Vec::new, |limb| limb.clone().into_coeff().to_signed());
    Ok(RnsPoly::from_signed(parameters.rings(), &centred)?.into_ntt())
}

/// The number of slots.
fn check(parameters: &Parameters, literal: &BootstrapLiteral) -> Result<usize, CkksError> {
    let most = parameters.slots().ilog2();
    if !(1..=most).contains(&literal.log_slots) {
        let (what, allowed) = ("log_slots", "1 to log2(N/2)");
        return Err(CkksError::Parameter { what, value: literal.log_slots as usize, allowed });
    }
    let slots = 1 << literal.log_slots;
    dft::check_groups(literal.coefficients_to_slots, slots)?;
    dft::check_groups(literal.slots_to_coefficients, slots)?;
    Ok(slots)
}

#[cfg(test)]
mod tests;
