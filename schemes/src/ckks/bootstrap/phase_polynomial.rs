//! Polynomials of a phase, as polynomials of its sine.

use crate::ckks::CkksError;
use crate::ckks::polynomial::PolynomialCircuit;
use crate::math::approximation::{self, ApproximationError, Polynomial};
use std::f64::consts::PI;

/// Points at which errors and bounds are found.
const SAMPLES: usize = 1025;
/// The largest value, in turns, that a phase outside the width may lead to. Values do not spill over
/// from one coefficient to others, but the rounding of the matrices that follow grows with them.
const LARGEST: f64 = 16.0;

/// A polynomial `f` of a phase `x` in turns, prepared for functional bootstrapping: a polynomial `g`
/// of its sine, `g(sin 2 pi x) = f(x)` to within [`PhasePolynomial::error`] for `|x| <= width`.
///
/// `f(arcsin(s) / 2 pi)` has its singularities at `s = -1` and `s = 1`, so its interpolants at the
/// Chebyshev nodes of `[-S, S]`, `S = sin(2 pi width)`, converge like `rho^-degree` there,
/// `rho = (1 + cos(2 pi width)) / S`, and stay bounded on `[-1, 1]`: the ellipse of convergence
/// contains it. Six more degrees gain `6 log2 rho` bits: 2.8 at a width of 1/5, 4.8 at 1/6, 7.6 at 1/8.
#[derive(Debug, Clone, PartialEq)]
pub struct PhasePolynomial {
    sine: Polynomial,
    circuit: PolynomialCircuit,
    width: f64,
    error: f64,
    largest: f64,
}

impl PhasePolynomial {
    /// The polynomial of least degree in the sine that is within `tolerance` (turns) of `function`
    /// for phases of at most `width` turns, below 1/4, and takes at most `depth` levels.
    ///
    /// # Errors
    /// [`CkksError::Approximation`] for a width outside `(0, 1/4)`, [`CkksError::PhaseError`] where
    /// the degree or the bound of 16 turns for all other phases does not allow the tolerance.
    pub fn new(
        function: &Polynomial,
        width: f64,
        tolerance: f64,
        depth: usize,
    ) -> Result<Self, CkksError> {
        if !(width > 0.0 && width < 0.25) {
            return Err(ApproximationError::Interval { lower: -width, upper: width }.into());
        }
        let degree = (1 << depth.min(MOST_LEVELS)) - 1;
        let mut reached = f64::INFINITY;
        for degree in 0..=degree {
            let found = Self::of_degree(function, width, degree)?;
            if found.largest <= LARGEST && found.error <= tolerance {
                return Ok(found);
            }
            if found.largest <= LARGEST {
                reached = reached.min(found.error);
            }
        }
        Err(CkksError::PhaseError { width, degree, reached, tolerance })
    }

    fn of_degree(function: &Polynomial, width: f64, degree: usize) -> Result<Self, CkksError> {
        let end = (2.0 * PI * width).sin();
        let of_sine = |s: f64| function.evaluate(s.asin() / (2.0 * PI));
        let inner = approximation::interpolate(of_sine, [-end, end], degree)?;
        // the same polynomial in the basis of [-1, 1], whose members stay bounded for all phases
        let sine = approximation::interpolate(|s| inner.evaluate(s), [-1.0, 1.0], degree)?;
        let error = samples(width)
            .map(|x| (sine.evaluate((2.0 * PI * x).sin()) - function.evaluate(x)).abs())
            .fold(0.0, f64::max);
        let largest = samples(1.0).map(|s| sine.evaluate(s).abs()).fold(0.0, f64::max);
        let circuit = PolynomialCircuit::new(&sine);
        Ok(Self { sine, circuit, width, error, largest })
    }

    /// The largest phase, in turns, for which it is meant.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.width
    }

    /// The largest distance, in turns, from the polynomial of the phase within the width.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.error
    }

    /// The largest value, in turns, for any phase.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// The degree in the sine.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.sine.degree()
    }

    /// Levels that an evaluation takes.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.circuit.depth()
    }

    /// What is computed of a phase, in turns.
    #[must_use]
    pub fn evaluate(&self, phase: f64) -> f64 {
        self.sine.evaluate((2.0 * PI * phase).sin())
    }

    /// The derivative of [`PhasePolynomial::evaluate`], by which errors of the phase are multiplied.
    #[must_use]
    pub fn slope(&self, phase: f64) -> f64 {
        (self.evaluate(phase + STEP) - self.evaluate(phase - STEP)) / (2.0 * STEP)
    }

    pub(super) fn circuit(&self) -> &PolynomialCircuit {
        &self.circuit
    }
}

/// The most levels that are thought of.
const MOST_LEVELS: usize = 8;
/// The step of the difference that stands for a derivative.
const STEP: f64 = 1e-5;

/// Points evenly spaced from `-end` to `end`.
fn samples(end: f64) -> impl Iterator<Item = f64> {
    (0..SAMPLES).map(move |i| end * (2.0 * i as f64 / (SAMPLES - 1) as f64 - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::approximation::interpolate;
    use proptest::prelude::*;

    fn relu(width: f64, degree: usize) -> Polynomial {
        interpolate(|x: f64| x.max(0.0) / 4.0, [-width, width], degree).unwrap()
    }

    #[test]
    fn tolerances_are_kept_at_the_least_degree() {
        for (width, degrees) in [(0.2, [11, 21]), (1.0 / 6.0, [8, 14]), (0.125, [7, 11])] {
            let function = relu(width, 7);
            for (tolerance, expected) in
                [(2f64.powi(-12), degrees[0]), (2f64.powi(-18), degrees[1])]
            {
                let found = PhasePolynomial::new(&function, width, tolerance, 5).unwrap();
                assert!(found.error() <= tolerance && found.largest() < 1.0);
                assert!(found.degree().abs_diff(expected) <= 2);
                let less =
                    PhasePolynomial::of_degree(&function, width, found.degree() - 1).unwrap();
                assert!(less.error() > tolerance);
            }
        }
    }

    proptest! {
        #[test]
        fn values_and_slopes_are_those_of_the_polynomial(
            coefficients in prop::collection::vec(-0.05f64..0.05, 1..6),
            width in 0.12f64..0.2,
            share in -1.0f64..1.0,
        ) {
            let function = Polynomial::chebyshev([-width, width], coefficients).unwrap();
            let found = PhasePolynomial::new(&function, width, 1e-4, 5).unwrap();
            let x = 0.99 * share * width;
            prop_assert!((found.evaluate(x) - function.evaluate(x)).abs() <= 1.01e-4);
            let slope = (function.evaluate(x + 1e-5) - function.evaluate(x - 1e-5)) / 2e-5;
            prop_assert!((found.slope(x) - slope).abs() < 0.05);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let function = relu(0.2, 7);
        for width in [0.0, 0.25, -0.1, f64::NAN] {
            let error = PhasePolynomial::new(&function, width, 0.1, 5).unwrap_err();
            assert!(matches!(error, CkksError::Approximation(_)));
        }
        let error = PhasePolynomial::new(&function, 0.2, 1e-9, 4).unwrap_err();
        assert!(
            matches!(error, CkksError::PhaseError { degree: 15, reached, .. } if reached < 1e-4)
        );
        // far beyond its interval, the polynomial is too large everywhere
        let steep =
            Polynomial::chebyshev([-0.01, 0.01], vec![0.0; 8].into_iter().chain([1.0]).collect());
        let error = PhasePolynomial::new(&steep.unwrap(), 0.2, 1e-3, 5).unwrap_err();
        assert!(
            matches!(error, CkksError::PhaseError { reached, .. } if reached.is_infinite() || reached > 1.0)
        );
    }
}
