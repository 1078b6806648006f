//! Real polynomials in powers of `x` or in Chebyshev polynomials of an interval.

use serde::{Deserialize, Serialize};

use super::ApproximationError;

/// Bits that [`Polynomial::to_monomial`] may lose to cancellation: half of a double.
const LOST_BITS: f64 = 26.0;

/// The functions that the coefficients of a [`Polynomial`] multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Basis {
    /// Powers `x^k`.
    Monomial,
    /// Chebyshev polynomials of the first kind `T_k(t)`, where `t = (2x - a - b)/(b - a)` maps the
    /// interval `[a, b]` to `[-1, 1]`.
    Chebyshev,
}

/// Which terms of a [`Polynomial`] are absent, so that an evaluator may skip them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Parity {
    /// Every coefficient of odd index is zero.
    Even,
    /// Every coefficient of even index is zero.
    Odd,
    /// Neither.
    None,
}

/// `sum_k c_k x^k` or `sum_k c_k T_k(t)`, `t = (2x - a - b)/(b - a)`, with real `c_k`.
///
/// Invariants: the interval is finite and ascending, the coefficients are finite, there is at least
/// one, and the last is not zero unless it is the only one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Polynomial {
    basis: Basis,
    interval: [f64; 2],
    coefficients: Vec<f64>,
}

/// The fields of a [`Polynomial`] as they arrive, before they are checked.
#[derive(Deserialize)]
struct Unchecked {
    basis: Basis,
    interval: [f64; 2],
    coefficients: Vec<f64>,
}

impl TryFrom<Unchecked> for Polynomial {
    type Error = ApproximationError;

    fn try_from(fields: Unchecked) -> Result<Self, ApproximationError> {
        Self::new(fields.basis, fields.interval, fields.coefficients)
    }
}

impl Polynomial {
    /// The polynomial with these coefficients, lowest degree first; zeros at the end are dropped.
    ///
    /// The interval is where the polynomial stands for something else; in the Chebyshev basis it
    /// also fixes the variable.
    ///
    /// # Errors
    /// [`ApproximationError::Interval`], [`ApproximationError::NoCoefficients`],
    /// [`ApproximationError::CoefficientNotFinite`].
    pub fn new(
        basis: Basis,
        interval: [f64; 2],
        mut coefficients: Vec<f64>,
    ) -> Result<Self, ApproximationError> {
        check_interval(interval)?;
        if coefficients.is_empty() {
            return Err(ApproximationError::NoCoefficients);
        }
        if let Some(index) = coefficients.iter().position(|c| !c.is_finite()) {
            return Err(ApproximationError::CoefficientNotFinite { index });
        }
        let degree = coefficients.iter().rposition(|&c| c != 0.0).unwrap_or(0);
        coefficients.truncate(degree + 1);
        Ok(Self { basis, interval, coefficients })
    }

    /// `sum_k c_k x^k`, with `[-1, 1]` as its interval.
    ///
    /// # Errors
    /// [`ApproximationError::NoCoefficients`], [`ApproximationError::CoefficientNotFinite`].
    pub fn monomial(coefficients: Vec<f64>) -> Result<Self, ApproximationError> {
        Self::new(Basis::Monomial, [-1.0, 1.0], coefficients)
    }

    /// `sum_k c_k T_k(t)`, `t = (2x - a - b)/(b - a)`, for the interval `[a, b]`.
    ///
    /// # Errors
    /// As [`Polynomial::new`].
    pub fn chebyshev(
        interval: [f64; 2],
        coefficients: Vec<f64>,
    ) -> Result<Self, ApproximationError> {
        Self::new(Basis::Chebyshev, interval, coefficients)
    }

    /// What the coefficients multiply.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// The interval `[a, b]` on which the polynomial is meant to be used.
    pub fn interval(&self) -> [f64; 2] {
        self.interval
    }

    /// The coefficients, lowest degree first: `degree() + 1` of them.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// The degree; 0 for the zero polynomial as well.
    pub fn degree(&self) -> usize {
        self.coefficients.len() - 1
    }

    /// Which coefficients are exactly zero. In the Chebyshev basis this is the parity in `t`, which
    /// is the one in `x` when the interval is symmetric. The zero polynomial counts as even.
    pub fn parity(&self) -> Parity {
        let absent =
            |first: usize| self.coefficients.iter().skip(first).step_by(2).all(|&c| c == 0.0);
        match (absent(0), absent(1)) {
            (_, true) => Parity::Even,
            (true, false) => Parity::Odd,
            (false, false) => Parity::None,
        }
    }

    /// The basis variable: `x` itself, or `t = (2x - a - b)/(b - a)`.
    pub fn variable(&self, x: f64) -> f64 {
        match self.basis {
            Basis::Monomial => x,
            Basis::Chebyshev => to_unit(self.interval, x),
        }
    }

    /// The value at `x`, by Horner's rule or by Clenshaw's recurrence (C. W. Clenshaw, "A note on
    /// the summation of Chebyshev series", 1955), which works on the coefficients as they are and
    /// so loses nothing to cancellation on the interval.
    pub fn evaluate(&self, x: f64) -> f64 {
        let variable = self.variable(x);
        match self.basis {
            Basis::Monomial => {
                self.coefficients.iter().rev().fold(0.0, |sum: f64, &c| sum.mul_add(variable, c))
            }
            Basis::Chebyshev => clenshaw(&self.coefficients, variable),
        }
    }

    /// The antiderivative that is zero where the basis variable is: at `x = 0` in powers of `x`, in
    /// the middle of the interval in the Chebyshev basis. Basis and interval stay.
    ///
    /// In the Chebyshev basis `2 ∫T_k = T_{k+1}/(k+1) - T_{k-1}/(k-1)` (Mason and Handscomb,
    /// "Chebyshev Polynomials", 2.4.4).
    ///
    /// # Errors
    /// [`ApproximationError::CoefficientNotFinite`] on overflow.
    pub fn integrate(&self) -> Result<Self, ApproximationError> {
        let integral = match self.basis {
            Basis::Monomial => integrate_monomial(&self.coefficients),
            Basis::Chebyshev => {
                let half_width = (self.interval[1] - self.interval[0]) / 2.0;
                integrate_chebyshev(&self.coefficients, half_width)
            }
        };
        Self::new(self.basis, self.interval, integral)
    }

    /// `constant + factor * p`, in the same basis and on the same interval.
    ///
    /// # Errors
    /// [`ApproximationError::CoefficientNotFinite`] on overflow.
    pub fn affine(&self, factor: f64, constant: f64) -> Result<Self, ApproximationError> {
        let mut image: Vec<f64> = self.coefficients.iter().map(|c| factor * c).collect();
        image[0] += constant;
        Self::new(self.basis, self.interval, image)
    }

    /// The same polynomial in powers of `x`.
    ///
    /// # Errors
    /// [`ApproximationError::IllConditioned`] if the powers cancel each other on the interval to
    /// the loss of more than 26 bits, which on `[-1, 1]` happens at about degree 20;
    /// [`ApproximationError::CoefficientNotFinite`] if they overflow.
    pub fn to_monomial(&self) -> Result<Self, ApproximationError> {
        if self.basis == Basis::Monomial {
            return Ok(self.clone());
        }
        let powers = expand_chebyshev(&self.coefficients, self.interval);
        let bound = self.interval[0].abs().max(self.interval[1].abs());
        let sum = powers.iter().rev().fold(0.0, |sum, c| sum * bound + c.abs());
        let size: f64 = self.coefficients.iter().map(|c| c.abs()).sum();
        let lost_bits = if size == 0.0 { 0.0 } else { (sum / size).log2() };
        if lost_bits > LOST_BITS {
            let degree = self.degree();
            return Err(ApproximationError::IllConditioned {
                degree,
                lost_bits,
                limit_bits: LOST_BITS,
            });
        }
        Self::new(Basis::Monomial, self.interval, powers)
    }

    /// The largest `|f(x) - p(x)|` over `samples` points evenly spaced on `interval`, its ends
    /// among them (at least these two points are taken).
    pub fn worst_error(&self, f: impl Fn(f64) -> f64, interval: [f64; 2], samples: usize) -> f64 {
        let steps = samples.max(2) - 1;
        let point = |i: usize| {
            let share = i as f64 / steps as f64;
            interval[0] * (1.0 - share) + interval[1] * share
        };
        (0..=steps).map(|i| (f(point(i)) - self.evaluate(point(i))).abs()).fold(0.0, f64::max)
    }
}

/// Refuses what is not a finite interval of positive length.
pub(super) fn check_interval(interval: [f64; 2]) -> Result<(), ApproximationError> {
    let [lower, upper] = interval;
    if lower.is_finite() && upper.is_finite() && lower < upper && (upper - lower).is_finite() {
        Ok(())
    } else {
        Err(ApproximationError::Interval { lower, upper })
    }
}

/// `[a, b] -> [-1, 1]`.
pub(super) fn to_unit([lower, upper]: [f64; 2], x: f64) -> f64 {
    ((x - lower) + (x - upper)) / (upper - lower)
}

/// `[-1, 1] -> [a, b]`, odd about the middle to the last bit when the interval is symmetric.
pub(super) fn from_unit([lower, upper]: [f64; 2], t: f64) -> f64 {
    lower.midpoint(upper) + (upper - lower) / 2.0 * t
}

/// `sum_k c_k T_k(t)`.
pub(super) fn clenshaw(coefficients: &[f64], t: f64) -> f64 {
    let Some((first, rest)) = coefficients.split_first() else {
        return 0.0;
    };
    let (next, after) = rest.iter().rev().fold((0.0, 0.0), |(next, after): (f64, f64), &c| {
        ((2.0 * t).mul_add(next, c - after), next)
    });
    t.mul_add(next, first - after)
}

fn integrate_monomial(coefficients: &[f64]) -> Vec<f64> {
    let raised = coefficients.iter().enumerate().map(|(k, c)| c / (k + 1) as f64);
    std::iter::once(0.0).chain(raised).collect()
}

fn integrate_chebyshev(coefficients: &[f64], half_width: f64) -> Vec<f64> {
    let at = |k: usize| coefficients.get(k).copied().unwrap_or(0.0);
    let mut integral = vec![0.0; coefficients.len() + 1];
    for (k, slot) in integral.iter_mut().enumerate().skip(1) {
        // T_0 counts twice: its integral is T_1, not T_1/2.
        let below = if k == 1 { 2.0 * at(0) } else { at(k - 1) };
        *slot = half_width * (below - at(k + 1)) / (2 * k) as f64;
    }
    integral[0] = -clenshaw(&integral, 0.0);
    integral
}

/// Clenshaw's recurrence with polynomials in `x` in the place of numbers.
fn expand_chebyshev(coefficients: &[f64], [lower, upper]: [f64; 2]) -> Vec<f64> {
    let slope = 2.0 / (upper - lower);
    let offset = -(lower + upper) / (upper - lower);
    let degree = coefficients.len() - 1;
    let times_t = |p: &[f64], k: usize| {
        let below = if k == 0 { 0.0 } else { p[k - 1] };
        slope.mul_add(below, offset * p[k])
    };
    let (mut next, mut after) = (vec![0.0; degree + 1], vec![0.0; degree + 1]);
    for &c in coefficients.iter().skip(1).rev() {
        let mut sum: Vec<f64> = (0..=degree).map(|k| 2.0 * times_t(&next, k) - after[k]).collect();
        sum[0] += c;
        after = std::mem::replace(&mut next, sum);
    }
    let mut powers: Vec<f64> = (0..=degree).map(|k| times_t(&next, k) - after[k]).collect();
    powers[0] += coefficients[0];
    powers
}
