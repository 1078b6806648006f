//! Polynomials of a ciphertext's slots, by Paterson and Stockmeyer's method, in powers of the variable
//! or in Chebyshev polynomials.
//!
//! Three steps: a plan of divisions and powers without levels or scales (`plan`), a walk along it that
//! fixes every level and scale (`walk`), and the arithmetic that the walk is done in: ciphertexts
//! (`ciphertexts`) or, to predict the error, numbers with their derivatives (`noise`).
//!
//! Scales are exact and chosen from the result backwards (Bossuat, Mouchet, Troncoso-Pastoriza and
//! Hubaux, ePrint 2020/1203, section 5): each block is told the scale to come out at and gives its
//! coefficients the scales that lead there, so no level is spent on bringing summands together.

mod ciphertexts;
mod noise;
mod plan;
mod walk;

#[cfg(test)]
pub(super) mod tests;

use ciphertexts::Ciphertexts;
use noise::Estimate;
use plan::Plan;
use walk::{Arithmetic, Walk};

use super::{Ciphertext, CkksError, EvaluationKeys, Evaluator, KeyRequirements, Parameters, Scale};
use crate::math::approximation::{Basis, Polynomial};
use crate::packing::Slots;

/// How the input becomes the variable `t = (2x - a - b)/(b - a)` of a Chebyshev series on `[a, b]`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Variable {
    /// It is the variable already.
    Same,
    /// By a product with `2/(b - a)`, which costs a level and keeps the scale.
    Rescaled { slope: f64, offset: f64 },
    /// By another reading of the same integers: the scale grows by `(b - a)/2`, no level is spent.
    Reread { half_width: f64, offset: f64 },
}

/// The evaluation of one real polynomial in every slot; `d` is its degree.
///
/// It takes `ceil(log2(d + 1))` levels ([`PolynomialCircuit::depth`]) and about
/// `sqrt(2 d) + log2 d` products of ciphertexts ([`PolynomialCircuit::multiplications`]); odd and even
/// polynomials take fewer. A constant takes no level.
///
/// The powers of the variable keep about the scale of the input where the primes are not smaller than
/// that: it is a prime's excess over the scale that is made up for, by whole factors, which lose
/// nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct PolynomialCircuit {
    plan: Plan,
    variable: Variable,
}

impl PolynomialCircuit {
    /// For an input in the polynomial's interval. In the Chebyshev basis an interval other than
    /// `[-1, 1]` costs one level more.
    #[must_use]
    pub fn new(polynomial: &Polynomial) -> Self {
        let (half_width, offset) = mapping(polynomial);
        let unit = half_width == 1.0 && offset == 0.0;
        let rescaled = Variable::Rescaled { slope: 1.0 / half_width, offset };
        Self::with_variable(polynomial, if unit { Variable::Same } else { rescaled })
    }

    /// For an input that has been mapped from the polynomial's interval `[a, b]` to `[-1, 1]` already,
    /// for example by a factor in the layer before. In powers of `x`, the same as
    /// [`PolynomialCircuit::new`].
    #[must_use]
    pub fn folded(polynomial: &Polynomial) -> Self {
        Self::with_variable(polynomial, Variable::Same)
    }

    /// For an input in the polynomial's interval `[a, b]`, at no extra level: `x` at the scale `S` is
    /// read as `2x/(b - a)` at the scale `S (b - a)/2`. That scale should be at most about the primes
    /// of the levels used: beyond, it grows with every squaring.
    #[must_use]
    pub fn reread(polynomial: &Polynomial) -> Self {
        let (half_width, offset) = mapping(polynomial);
        Self::with_variable(polynomial, Variable::Reread { half_width, offset })
    }

    fn with_variable(polynomial: &Polynomial, variable: Variable) -> Self {
        let plan = Plan::new(polynomial.basis(), polynomial.coefficients());
        let constant = plan.root.depth == 0;
        Self { plan, variable: if constant { Variable::Same } else { variable } }
    }

    /// Levels that an evaluation takes.
    #[must_use]
    pub fn depth(&self) -> usize {
        let mapped = matches!(self.variable, Variable::Rescaled { .. });
        self.plan.root.depth + usize::from(mapped)
    }

    /// Products of two ciphertexts in an evaluation.
    #[must_use]
    pub fn multiplications(&self) -> usize {
        self.plan.multiplications()
    }

    /// Relinearizations in an evaluation: fewer than the products, as products of one sum share one.
    #[must_use]
    pub fn relinearizations(&self) -> usize {
        self.plan.relinearizations()
    }

    /// The keys to evaluate it on a ciphertext at `level`.
    #[must_use]
    pub fn requirements(&self, level: usize) -> KeyRequirements {
        if self.multiplications() == 0 {
            return KeyRequirements::default();
        }
        let mapped = self.depth() - self.plan.root.depth;
        KeyRequirements::relinearization(level.saturating_sub(mapped))
    }

    /// The polynomial of every slot, [`PolynomialCircuit::depth`] levels below the operand, at exactly
    /// the scale `target`.
    ///
    /// The error of a slot is, to first order, the operand's error times the derivative there, plus
    /// the error of each rescaling and relinearization times the derivative with respect to what was
    /// rescaled: [`PolynomialCircuit::standard_error`].
    ///
    /// # Errors
    /// [`CkksError::Level`] where the levels do not suffice,
    /// [`CkksError::MissingRelinearizationKey`], [`CkksError::Key`] for a key of another secret,
    /// [`CkksError::InvalidScale`] where a scale leaves the range of `f64`.
    pub fn evaluate(
        &self,
        evaluator: &Evaluator,
        operand: &Ciphertext<Slots>,
        target: &Scale,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.walk(&Ciphertexts::new(evaluator, keys), operand, target)
    }

    /// The predicted standard deviation of the (complex) error of a slot that holds `x`, when the
    /// operand is at `level` and `scale` with the standard deviation `operand_error` per slot.
    ///
    /// # Errors
    /// [`CkksError::Level`], [`CkksError::InvalidScale`] as [`PolynomialCircuit::evaluate`].
    pub fn standard_error(
        &self,
        parameters: &Parameters,
        (level, scale): (usize, &Scale),
        target: &Scale,
        operand_error: f64,
        x: f64,
    ) -> Result<f64, CkksError> {
        let estimate = Estimate::new(parameters);
        let operand = estimate.operand(level, scale, operand_error, x);
        let result = self.walk(&estimate, &operand, target)?;
        Ok(estimate.standard_error(&result))
    }

    fn walk<A: Arithmetic>(
        &self,
        arithmetic: &A,
        operand: &A::Value,
        target: &Scale,
    ) -> Result<A::Value, CkksError> {
        let found = arithmetic.level(operand);
        if found < self.depth() {
            let operation = "evaluating a polynomial";
            return Err(CkksError::Level { operation, needed: self.depth(), found });
        }
        let variable = self.map(arithmetic, operand)?;
        Walk::new(arithmetic, &self.plan, variable)?.evaluate(&self.plan.root, target)
    }

    fn map<A: Arithmetic>(&self, arithmetic: &A, x: &A::Value) -> Result<A::Value, CkksError> {
        let (level, scale) = (arithmetic.level(x), arithmetic.scale(x));
        let (variable, offset) = match self.variable {
            Variable::Same => return Ok(x.clone()),
            Variable::Reread { half_width, offset } => {
                let wide = scale.times(&Scale::new(half_width)?);
                (arithmetic.combine(&[(x, half_width.recip())], level, &wide)?, offset)
            }
            Variable::Rescaled { slope, offset } => {
                let product = scale.times(&arithmetic.prime(level)?);
                let mapped = arithmetic.combine(&[(x, slope)], level, &product)?;
                (arithmetic.multiply(Vec::new(), Some(mapped))?, offset)
            }
        };
        arithmetic.shift(variable, offset)
    }
}

/// `h` and `o` such that the variable is `x/h + o`.
fn mapping(polynomial: &Polynomial) -> (f64, f64) {
    if polynomial.basis() == Basis::Monomial {
        return (1.0, 0.0);
    }
    let [lower, upper] = polynomial.interval();
    (upper / 2.0 - lower / 2.0, polynomial.variable(0.0))
}
