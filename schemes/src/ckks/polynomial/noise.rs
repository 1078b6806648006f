//! The error of a walk, to first order.

use std::cell::RefCell;

use super::walk::Arithmetic;
use crate::ckks::{CkksError, Parameters, Scale, noise};

/// A slot's value with its derivatives with respect to every error made so far.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    level: usize,
    scale: Scale,
    pub value: f64,
    derivatives: Vec<f64>,
}

/// Numbers in the place of ciphertexts: each error that those would make is a source of known
/// variance, and the variance of a result is that of the sources weighted by squared derivatives.
pub(super) struct Estimate<'a> {
    parameters: &'a Parameters,
    variances: RefCell<Vec<f64>>,
}

impl<'a> Estimate<'a> {
    pub fn new(parameters: &'a Parameters) -> Self {
        Self { parameters, variances: RefCell::default() }
    }

    /// What stands for a ciphertext whose slot holds `value` with this standard deviation.
    pub fn operand(&self, level: usize, scale: &Scale, error: f64, value: f64) -> Traced {
        let operand = Traced { level, scale: scale.clone(), value, derivatives: Vec::new() };
        self.with_source(operand, error * error)
    }

    /// The standard deviation of the error of the (complex) slot.
    pub fn standard_error(&self, value: &Traced) -> f64 {
        let variances = self.variances.borrow();
        let weighted = value.derivatives.iter().zip(variances.iter()).map(|(d, v)| d * d * v);
        weighted.sum::<f64>().sqrt()
    }

    fn with_source(&self, mut value: Traced, variance: f64) -> Traced {
        let mut variances = self.variances.borrow_mut();
        value.derivatives.resize(variances.len(), 0.0);
        value.derivatives.push(1.0);
        variances.push(variance);
        value
    }

    /// Variance per slot of a variance per coefficient, at this scale.
    fn per_slot(&self, variance: f64, scale: &Scale) -> f64 {
        self.parameters.dimension() as f64 * variance / scale.value().powi(2)
    }
}

impl Traced {
    fn add(&mut self, other: &Self, factor: f64) {
        self.value += factor * other.value;
        let known = self.derivatives.len().max(other.derivatives.len());
        self.derivatives.resize(known, 0.0);
        for (sum, d) in self.derivatives.iter_mut().zip(&other.derivatives) {
            *sum += factor * d;
        }
    }

    fn zero(level: usize, scale: Scale) -> Self {
        Self { level, scale, value: 0.0, derivatives: Vec::new() }
    }

    /// Adds `left * right`, with the derivatives of a product.
    fn add_product(&mut self, left: &Self, right: &Self) {
        self.add(left, right.value);
        self.add(right, left.value);
        self.value -= left.value * right.value;
    }
}

impl Arithmetic for Estimate<'_> {
    type Value = Traced;

    fn level(&self, value: &Traced) -> usize {
        value.level
    }

    fn scale(&self, value: &Traced) -> Scale {
        value.scale.clone()
    }

    fn prime(&self, level: usize) -> Result<Scale, CkksError> {
        Ok(Scale::of_modulus(self.parameters.modulus(level)?))
    }

    fn combine(
        &self,
        terms: &[(&Traced, f64)],
        level: usize,
        scale: &Scale,
    ) -> Result<Traced, CkksError> {
        let mut sum = Traced::zero(level, scale.clone());
        let mut variance = 0.0;
        for &(value, coefficient) in terms {
            let factor = scale.over(&value.scale).finite()?;
            variance += (rounding(coefficient, factor) * value.value).powi(2);
            sum.add(value, coefficient);
        }
        Ok(self.with_source(sum, variance))
    }

    fn multiply(
        &self,
        products: Vec<(Traced, Traced)>,
        rest: Option<Traced>,
    ) -> Result<Traced, CkksError> {
        let factors =
            products.first().map(|(left, right)| (left.level, left.scale.times(&right.scale)));
        let operands =
            factors.or_else(|| rest.as_ref().map(|rest| (rest.level, rest.scale.clone())));
        let (level, scale) = operands.unwrap_or_default();
        let mut sum = Traced::zero(level, scale.clone());
        for (left, right) in &products {
            scale.check_same(&left.scale.times(&right.scale))?;
            sum.add_product(left, right);
        }
        if let Some(rest) = &rest {
            scale.check_same(&rest.scale)?;
            sum.add(rest, 1.0);
        }
        let switching =
            if products.is_empty() { 0.0 } else { noise::key_switch(self.parameters, level) };
        let variance = noise::rescale(self.parameters, level, switching);
        sum.scale = scale.over(&self.prime(level)?);
        sum.level = level.saturating_sub(1);
        let rescaled = self.per_slot(variance, &sum.scale);
        Ok(self.with_source(sum, rescaled))
    }

    fn shift(&self, mut value: Traced, constant: f64) -> Result<Traced, CkksError> {
        let error = rounding(constant, value.scale.finite()?);
        value.value += constant;
        Ok(self.with_source(value, error * error))
    }
}

/// The error of a number that is encoded at a scale.
fn rounding(number: f64, scale: f64) -> f64 {
    let encoded = number * scale;
    (encoded.round() - encoded) / scale
}
