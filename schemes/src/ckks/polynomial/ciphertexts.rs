//! The arithmetic of ciphertexts.

use super::walk::Arithmetic;
use crate::ckks::{Ciphertext, CkksError, EvaluationKeys, Evaluator, Scale, c64};
use crate::math::{MathError, Ntt, Poly, RnsPoly};
use crate::packing::Slots;
use rayon::prelude::*;

pub(super) struct Ciphertexts<'a> {
    evaluator: &'a Evaluator,
    keys: &'a EvaluationKeys,
}

impl<'a> Ciphertexts<'a> {
    pub fn new(evaluator: &'a Evaluator, keys: &'a EvaluationKeys) -> Self {
        Self { evaluator, keys }
    }

    /// A coefficient as the integer that ciphertexts are multiplied by.
    fn integer(&self, coefficient: f64, scale: &Scale, level: usize) -> Result<i128, CkksError> {
        let integer = (coefficient * scale.finite()?).round();
        let bits = (self.evaluator.parameters().log2_modulus(level) - 1.0).min(126.0);
        if integer.abs() < bits.exp2() {
            return Ok(integer as i128);
        }
        Err(CkksError::ValueRange { index: 0, log2_scale: scale.log2(), level })
    }
}

/// The sum of polynomials times integers, modulo the primes up to `level`.
fn weighted_sum(terms: &[(&RnsPoly<Ntt>, i128)], level: usize) -> Result<RnsPoly<Ntt>, MathError> {
    let limb = |index: usize| {
        let limbs = terms.iter().map(|(poly, weight)| (&poly.limbs()[index], weight));
        let ring = terms[0].0.limbs()[index].ring();
        let q = ring.modulus().value();
        let residue = |weight: &i128| weight.rem_euclid(i128::from(q)) as u64;
        let (sources, factors): (Vec<_>, Vec<_>) =
            limbs.map(|(limb, weight)| (limb.values(), ring.factor(residue(weight)))).unzip();
        let mut sum = Poly::zero(ring);
        ring.convert(sum.values_mut(), &sources, &factors, q < 1 << 50);
        sum
    };
    RnsPoly::from_limbs((0..=level).into_par_iter().map(limb).collect())
}

impl Arithmetic for Ciphertexts<'_> {
    type Value = Ciphertext<Slots>;

    fn level(&self, value: &Self::Value) -> usize {
        value.level()
    }

    fn scale(&self, value: &Self::Value) -> Scale {
        value.scale().clone()
    }

    fn prime(&self, level: usize) -> Result<Scale, CkksError> {
        Ok(Scale::of_modulus(self.evaluator.parameters().modulus(level)?))
    }

    fn combine(
        &self,
        terms: &[(&Self::Value, f64)],
        level: usize,
        scale: &Scale,
    ) -> Result<Self::Value, CkksError> {
        let Some(key) = terms.first().map(|(value, _)| value.key()) else { return Err(NOTHING) };
        let mut weights = Vec::new();
        for &(value, coefficient) in terms {
            value.key().check(key)?;
            weights.push(self.integer(coefficient, &scale.over(value.scale()), level)?);
        }
        let part = |of: fn(&Ciphertext<Slots>) -> &RnsPoly<Ntt>| {
            let polys = terms.iter().map(|(value, _)| of(value));
            weighted_sum(&polys.zip(weights.iter().copied()).collect::<Vec<_>>(), level)
        };
        let parts = [part(Ciphertext::c0)?, part(Ciphertext::c1)?];
        Ok(Ciphertext::new(parts, scale.clone(), key))
    }

    fn multiply(
        &self,
        products: Vec<(Self::Value, Self::Value)>,
        rest: Option<Self::Value>,
    ) -> Result<Self::Value, CkksError> {
        let tensors = products.iter().map(|(left, right)| self.evaluator.tensor(left, right));
        let sum = tensors.reduce(|sum, product| {
            let mut sum = sum?;
            self.evaluator.add_product_assign(&mut sum, &product?)?;
            Ok(sum)
        });
        let Some(sum) = sum else {
            let mut rest = rest.ok_or(NOTHING)?;
            self.evaluator.rescale_assign(&mut rest)?;
            return Ok(rest);
        };
        let mut sum = sum?;
        if let Some(rest) = rest {
            self.evaluator.add_to_product_assign(&mut sum, &rest)?;
        }
        self.evaluator.relinearize_rescale(sum, self.keys)
    }

    fn shift(&self, mut value: Self::Value, constant: f64) -> Result<Self::Value, CkksError> {
        if constant != 0.0 {
            self.evaluator.add_scalar_assign(&mut value, real(constant))?;
        }
        Ok(value)
    }
}

const NOTHING: CkksError =
    CkksError::Parameter { what: "the number of terms", value: 0, allowed: "at least 1" };

fn real(re: f64) -> c64 {
    c64 { re, im: 0.0 }
}
