//! Sign, ReLU and maximum of slots, by composite minimax polynomials.
//!
//! E. Lee, J.-W. Lee, J.-S. No and Y.-S. Kim, "Minimax Approximation of Sign Function by Composite
//! Polynomial for Homomorphic Comparison", ePrint 2020/834. ReLU and maximum follow from the sign by
//! one more product: `relu(x) = x (1 + sign x)/2` and `max(a, b) = b + relu(a - b)`.

use super::polynomial::PolynomialCircuit;
use super::{Ciphertext, CkksError, EvaluationKeys, Evaluator, KeyRequirements, Scale, c64};
use crate::math::approximation::{Basis, CompositeSign, Polynomial};
use crate::packing::Slots;

/// The sign of slots of magnitude at most a radius, with ReLU and maximum.
#[derive(Debug, Clone, PartialEq)]
pub struct CompositeSignCircuit {
    composite: CompositeSign,
    radius: f64,
    /// All components but the last; the first takes values up to the radius.
    inner: Vec<PolynomialCircuit>,
    /// The last component, `s`.
    sign: PolynomialCircuit,
    /// `(1 + s)/2`.
    step: PolynomialCircuit,
}

impl CompositeSignCircuit {
    /// For values in `[-radius, radius]`; a radius other than 1 costs one level more.
    ///
    /// # Errors
    /// [`CkksError::Approximation`] where the radius is not positive and finite.
    pub fn new(composite: &CompositeSign, radius: f64) -> Result<Self, CkksError> {
        Self::with_first(composite, radius, PolynomialCircuit::new)
    }

    /// For values in `[-radius, radius]` at no extra level, by another reading of their scale:
    /// [`PolynomialCircuit::reread`].
    ///
    /// # Errors
    /// As [`CompositeSignCircuit::new`].
    pub fn reread(composite: &CompositeSign, radius: f64) -> Result<Self, CkksError> {
        Self::with_first(composite, radius, PolynomialCircuit::reread)
    }

    fn with_first(
        composite: &CompositeSign,
        radius: f64,
        first: fn(&Polynomial) -> PolynomialCircuit,
    ) -> Result<Self, CkksError> {
        let mut components = composite.polynomials().to_vec();
        if let Some(component) = components.first_mut() {
            *component = stretched(component, radius)?;
        }
        let last = components.pop().ok_or(CkksError::Parameter {
            what: "the number of components",
            value: 0,
            allowed: "at least 1",
        })?;
        let circuit = |index: usize, polynomial: &Polynomial| {
            if index == 0 { first(polynomial) } else { PolynomialCircuit::new(polynomial) }
        };
        let count = components.len();
        let step = last.affine(0.5, 0.5)?;
        Ok(Self {
            composite: composite.clone(),
            radius,
            inner: components.iter().enumerate().map(|(i, p)| circuit(i, p)).collect(),
            sign: circuit(count, &last),
            step: circuit(count, &step),
        })
    }

    /// Levels that [`CompositeSignCircuit::sign`] takes; [`CompositeSignCircuit::relu`] and
    /// [`CompositeSignCircuit::max`] take one more.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.inner.iter().map(PolynomialCircuit::depth).sum::<usize>() + self.sign.depth()
    }

    /// Products of ciphertexts in a sign; ReLU and maximum take one more.
    #[must_use]
    pub fn multiplications(&self) -> usize {
        let inner = self.inner.iter().map(PolynomialCircuit::multiplications);
        inner.sum::<usize>() + self.sign.multiplications()
    }

    /// Below this magnitude the sign is not approximated: the composition's epsilon times the radius.
    #[must_use]
    pub fn gap(&self) -> f64 {
        self.composite.epsilon() * self.radius
    }

    /// The largest error of the sign of values from the gap to the radius, without the noise.
    #[must_use]
    pub fn sign_error(&self) -> f64 {
        self.composite.error()
    }

    /// The largest error of ReLU of values up to the radius, without the noise.
    #[must_use]
    pub fn relu_error(&self) -> f64 {
        self.composite.relu_error() * self.radius
    }

    /// The largest error of the maximum of values up to the radius, without the noise.
    #[must_use]
    pub fn max_error(&self) -> f64 {
        2.0 * self.relu_error()
    }

    /// The keys for operands at `level`.
    #[must_use]
    pub fn requirements(&self, level: usize) -> KeyRequirements {
        let first = self.inner.first().unwrap_or(&self.sign);
        let last = KeyRequirements::relinearization(level.saturating_sub(self.depth()));
        first.requirements(level).union(last)
    }

    /// The sign, as a number near -1 or 1, of every slot: [`CompositeSignCircuit::depth`] levels down,
    /// at exactly the scale `target`. Between minus and plus [`CompositeSignCircuit::gap`] the values
    /// lie anywhere in between. The noise of the operand is multiplied by the slope, which is large
    /// within the gap and small beyond.
    ///
    /// # Errors
    /// As [`PolynomialCircuit::evaluate`]; a slot beyond the radius is no error, it gives nonsense.
    pub fn sign(
        &self,
        evaluator: &Evaluator,
        operand: &Ciphertext<Slots>,
        target: &Scale,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        check_depth("the sign of a ciphertext", self.depth(), operand)?;
        self.compose(&self.sign, evaluator, operand, target, keys)
    }

    /// `x (1 + sign(x))/2` in every slot, to [`CompositeSignCircuit::relu_error`]:
    /// `depth() + 1` levels down, at exactly the scale `target`.
    ///
    /// # Errors
    /// As [`CompositeSignCircuit::sign`].
    pub fn relu(
        &self,
        evaluator: &Evaluator,
        operand: &Ciphertext<Slots>,
        target: &Scale,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.select(evaluator, [operand, operand], None, target, keys)
    }

    /// The larger of two slots, both of magnitude up to the radius, to
    /// [`CompositeSignCircuit::max_error`]: `depth() + 1` levels down, at exactly the scale `target`.
    ///
    /// # Errors
    /// As [`CompositeSignCircuit::sign`]; [`CkksError::LevelMismatch`], [`CkksError::ScaleMismatch`]
    /// and [`CkksError::Key`] where the operands differ in level, scale or secret.
    pub fn max(
        &self,
        evaluator: &Evaluator,
        left: &Ciphertext<Slots>,
        right: &Ciphertext<Slots>,
        target: &Scale,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let difference = evaluator.sub(left, right)?;
        let half = left.scale().times(&Scale::power_of_two(1));
        let halved = difference.clone().with_scale(half);
        self.select(evaluator, [&halved, &difference], Some(right), target, keys)
    }

    /// `factor * (1 + sign(selector))/2 + rest`, the operands at one level.
    fn select(
        &self,
        evaluator: &Evaluator,
        [selector, factor]: [&Ciphertext<Slots>; 2],
        rest: Option<&Ciphertext<Slots>>,
        target: &Scale,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        check_depth("ReLU or maximum of a ciphertext", self.depth() + 1, selector)?;
        let level = selector.level() - self.depth();
        let total = target.times(&Scale::of_modulus(evaluator.parameters().modulus(level)?));
        let room = total.over(factor.scale());
        let step = self.compose(&self.step, evaluator, selector, &room, keys)?;
        let mut factor = factor.clone();
        evaluator.drop_level_assign(&mut factor, level)?;
        let mut product = evaluator.tensor(&step, &factor)?;
        if let Some(rest) = rest {
            let mut rest = rest.clone();
            evaluator.drop_level_assign(&mut rest, level)?;
            let raised = total.over(rest.scale());
            evaluator.mul_scalar_assign(&mut rest, c64 { re: 1.0, im: 0.0 }, &raised)?;
            evaluator.add_to_product_assign(&mut product, &rest)?;
        }
        evaluator.relinearize_rescale(product, keys)
    }

    /// The components in turn, at the operand's scale between them.
    fn compose(
        &self,
        last: &PolynomialCircuit,
        evaluator: &Evaluator,
        operand: &Ciphertext<Slots>,
        target: &Scale,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let mut value = None;
        for component in &self.inner {
            let input = value.as_ref().unwrap_or(operand);
            value = Some(component.evaluate(evaluator, input, operand.scale(), keys)?);
        }
        last.evaluate(evaluator, value.as_ref().unwrap_or(operand), target, keys)
    }
}

fn check_depth(
    operation: &'static str,
    needed: usize,
    operand: &Ciphertext<Slots>,
) -> Result<(), CkksError> {
    let found = operand.level();
    if found < needed { Err(CkksError::Level { operation, needed, found }) } else { Ok(()) }
}

/// The polynomial of `x / radius`.
fn stretched(polynomial: &Polynomial, radius: f64) -> Result<Polynomial, CkksError> {
    let coefficients = polynomial.coefficients().to_vec();
    let interval = polynomial.interval().map(|end| end * radius);
    let coefficients = match polynomial.basis() {
        Basis::Chebyshev => coefficients,
        Basis::Monomial => {
            let powers = std::iter::successors(Some(1.0), |power| Some(power * radius));
            coefficients.iter().zip(powers).map(|(c, power)| c / power).collect()
        }
    };
    Ok(Polynomial::new(polynomial.basis(), interval, coefficients)?)
}

#[cfg(test)]
mod tests;
