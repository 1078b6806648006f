//! Slots modulo 1, by the exponential function.

use crate::ckks::polynomial::PolynomialCircuit;
use crate::ckks::{
    Ciphertext, CkksError, EvaluationKeys, Evaluator, KeyRequirements, Parameters, Scale, c64,
};
use crate::math::approximation::{self, Polynomial};
use crate::packing::Slots;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How slots are reduced modulo 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModularReductionLiteral {
    /// The degree up to which `exp(2 pi i x / 2^squarings)` is interpolated at Chebyshev nodes.
    pub degree: usize,
    /// How often the exponential is squared.
    pub squarings: u32,
    /// Terms of the sine series that stands for `x mod 1`, 1 or 2: for `t = 2 pi x` it is wrong by
    /// `t^3 / 6` with one and by `t^5 / 30` with two, at the price of one level.
    pub harmonics: usize,
}

impl ModularReductionLiteral {
    /// Degree 31 and as many squarings as an integer part up to `bound` then needs for an
    /// interpolation error below `2^-50`, two harmonics.
    #[must_use]
    pub fn for_bound(bound: f64) -> Self {
        let squarings = (2.0 * PI * bound / LARGEST_ANGLE).log2().ceil().max(0.0);
        Self { degree: DEGREE, squarings: squarings as u32, harmonics: 2 }
    }

    /// The levels it takes.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.exponential_depth() + self.products()
    }

    /// Products of the exponential with itself.
    pub(super) fn products(&self) -> usize {
        (self.squarings as usize + self.harmonics).saturating_sub(1)
    }

    fn exponential_depth(&self) -> usize {
        self.degree.saturating_add(1).next_power_of_two().trailing_zeros() as usize
    }
}

/// As high as five levels allow.
const DEGREE: usize = 31;
/// The Chebyshev coefficients of `exp(i a x)` are Bessel functions: at `a = 7` the 32nd is `2^-53`.
const LARGEST_ANGLE: f64 = 7.0;

/// From slots `x / bound` to a sine series of `2 pi x`, still complex: the imaginary part of `z`, or of
/// `8 z - z^2`, where `z = exp(2 pi i x)`.
#[derive(Debug, Clone)]
pub(super) struct ModularReduction {
    cosine: PolynomialCircuit,
    sine: PolynomialCircuit,
    /// `2 pi` times the bound over `2^squarings`.
    angle: f64,
    literal: ModularReductionLiteral,
}

impl ModularReduction {
    pub(super) fn new(literal: &ModularReductionLiteral, bound: f64) -> Result<Self, CkksError> {
        if !(1..=2).contains(&literal.harmonics) {
            let (what, value) = ("the number of harmonics", literal.harmonics);
            return Err(CkksError::Parameter { what, value, allowed: "1 or 2" });
        }
        let angle = 2.0 * PI * bound / f64::from(literal.squarings).exp2();
        let [cosine, sine] = exponential(literal.degree, angle)?;
        Ok(Self {
            cosine: PolynomialCircuit::new(&cosine),
            sine: PolynomialCircuit::new(&sine),
            angle,
            literal: literal.clone(),
        })
    }

    pub(super) fn depth(&self) -> usize {
        self.literal.depth()
    }

    /// The two polynomials, cosine and sine of [`ModularReduction::angle`] times the operand.
    pub(super) fn circuits(&self) -> [&PolynomialCircuit; 2] {
        [&self.cosine, &self.sine]
    }

    /// The angle of the exponential where the operand is 1.
    pub(super) fn angle(&self) -> f64 {
        self.angle
    }

    pub(super) fn squarings(&self) -> usize {
        self.literal.squarings as usize
    }

    /// What multiplies `x` for small `x` in the imaginary part.
    pub(super) fn slope(&self) -> f64 {
        2.0 * PI * if self.literal.harmonics == 1 { 1.0 } else { 6.0 }
    }

    pub(super) fn requirements(&self, level: usize) -> KeyRequirements {
        self.cosine.requirements(level).union(self.sine.requirements(level))
    }

    /// The exact scale of the result of an operand at `level`.
    pub(super) fn scale(&self, parameters: &Parameters, level: usize) -> Result<Scale, CkksError> {
        let target = self.target(parameters, level)?;
        self.products(level).try_fold(target, |scale, level| {
            Ok(scale.times(&scale).over(&Scale::of_modulus(parameters.modulus(level)?)))
        })
    }

    /// The levels of the squarings and of the second harmonic, for an operand at `level`.
    pub(super) fn products(&self, level: usize) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let first = level - self.literal.exponential_depth();
        let last = level - self.depth();
        (last + 1..=first).rev()
    }

    /// The scale of the exponential from which the last product comes out near the scale of its
    /// prime, wherever the primes fall from level to level: `S_(j+1) = S_j^2 / q_j`, backwards.
    pub(super) fn target(&self, parameters: &Parameters, level: usize) -> Result<Scale, CkksError> {
        let log2 = |level| Ok::<_, CkksError>(parameters.modulus(level)?.log2());
        let last = log2(level - self.depth() + 1)?;
        let scale = self
            .products(level)
            .rev()
            .try_fold(last, |scale, level| Ok::<_, CkksError>((scale + log2(level)?) / 2.0))?;
        Scale::new(scale.exp2())
    }

    /// [`ModularReduction::depth`] levels below the operand.
    pub(super) fn apply(
        &self,
        evaluator: &Evaluator,
        operand: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let mut value = self.exponential(evaluator, operand, keys)?;
        for _ in 0..self.squarings() {
            value = evaluator.square_rescale(&value, keys)?;
        }
        if self.literal.harmonics == 1 {
            Ok(value)
        } else {
            second_harmonic(evaluator, &value, keys)
        }
    }

    /// `exp(2 pi i x / 2^squarings)`.
    fn exponential(
        &self,
        evaluator: &Evaluator,
        operand: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let level = operand.level() - self.literal.exponential_depth();
        let target = self.target(evaluator.parameters(), operand.level())?;
        let mut value = self.sine.evaluate(evaluator, operand, &target, keys)?;
        evaluator.mul_i_assign(&mut value);
        let mut cosine = self.cosine.evaluate(evaluator, operand, &target, keys)?;
        evaluator.drop_level_assign(&mut value, level)?;
        evaluator.drop_level_assign(&mut cosine, level)?;
        evaluator.add_assign(&mut value, &cosine)?;
        Ok(value)
    }
}

/// `8 z - z^2`: in `8 sin t - sin 2t` the cubic terms cancel.
fn second_harmonic(
    evaluator: &Evaluator,
    z: &Ciphertext<Slots>,
    keys: &EvaluationKeys,
) -> Result<Ciphertext<Slots>, CkksError> {
    let first = evaluator.mul_scalar(z, c64 { re: 8.0, im: 0.0 }, z.scale())?;
    let mut negative = z.clone();
    evaluator.negate_assign(&mut negative);
    let mut product = evaluator.tensor(z, &negative)?;
    evaluator.add_to_product_assign(&mut product, &first)?;
    evaluator.relinearize_rescale(product, keys)
}

/// Cosine and sine of `angle x` on `[-1, 1]`.
fn exponential(degree: usize, angle: f64) -> Result<[Polynomial; 2], CkksError> {
    let interpolate =
        |f: fn(f64) -> f64| approximation::interpolate(|x| f(angle * x), [-1.0, 1.0], degree);
    Ok([interpolate(f64::cos)?, interpolate(f64::sin)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x mod 1` as the circuit computes it, in doubles.
    fn reduced(literal: &ModularReductionLiteral, bound: f64, x: f64) -> f64 {
        let angle = 2.0 * PI * bound / f64::from(literal.squarings).exp2();
        let [cosine, sine] =
            exponential(literal.degree, angle).unwrap().map(|p| p.evaluate(x / bound));
        let z = (0..literal.squarings).fold(c64::new(cosine, sine), |z, _| z * z);
        let (value, slope) = match literal.harmonics {
            1 => (z, 1.0),
            _ => (z * 8.0 - z * z, 6.0),
        };
        value.im / (2.0 * PI * slope)
    }

    #[test]
    fn defaults_reduce_modulo_one() {
        for bound in [17.0, 65.0, 538.0] {
            let literal = ModularReductionLiteral::for_bound(bound);
            let amplification = f64::from(literal.squarings).exp2();
            for whole in -(bound as i32) + 1..bound as i32 {
                for part in [-0.01, -1e-4, 0.0, 0.003] {
                    let error = (reduced(&literal, bound, f64::from(whole) + part) - part).abs();
                    let series = (2.0 * PI * part.abs()).powi(5) / 30.0 / (2.0 * PI);
                    assert!(
                        error < 1.1 * series + amplification * 1e-14,
                        "{whole} {part} {error:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn errors_of_the_sine_series_are_as_stated() {
        let two = ModularReductionLiteral::for_bound(10.0);
        let one = ModularReductionLiteral { harmonics: 1, ..two.clone() };
        for part in [0.01, 0.03] {
            let t: f64 = 2.0 * PI * part;
            let error = |literal| (reduced(literal, 10.0, part) - part).abs() * 2.0 * PI;
            assert!((error(&one) / (t.powi(3) / 6.0) - 1.0).abs() < 0.01);
            assert!((error(&two) / (t.powi(5) / 30.0) - 1.0).abs() < 0.05);
        }
    }

    #[test]
    fn other_numbers_of_harmonics_are_refused() {
        for harmonics in [0, 3] {
            let literal =
                ModularReductionLiteral { harmonics, ..ModularReductionLiteral::for_bound(10.0) };
            let error = ModularReduction::new(&literal, 10.0).unwrap_err();
            assert!(matches!(error, CkksError::Parameter { value, .. } if value == harmonics));
        }
    }
}
