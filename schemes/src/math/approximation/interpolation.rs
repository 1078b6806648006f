//! Interpolation at the Chebyshev nodes.

use std::f64::consts::PI;

use super::polynomial::{check_interval, from_unit};
use super::{ApproximationError, Polynomial};

/// The highest degree that [`interpolate`] and [`super::least_squares`] go to.
pub const MAX_DEGREE: usize = 2047;

/// The polynomial of this degree that meets `f` at the `degree + 1` Chebyshev nodes
/// `cos((2j+1)π/(2(degree+1)))` of the interval, in the Chebyshev basis.
///
/// Its error is within a factor `2 + 2 ln(degree + 1)/π` of the best that the degree allows
/// (Trefethen, "Approximation Theory and Approximation Practice", theorem 15.2). The coefficients
/// are the discrete cosine sums `c_k = (2 - [k = 0])/n sum_j f(x_j) cos(k θ_j)` (ibid., chapter 3),
/// taken over the even and odd parts of `f` apart, so that a function odd or even about the middle
/// yields a polynomial that is so exactly. Coefficients below the rounding error of the samples are
/// set to zero.
///
/// # Errors
/// [`ApproximationError::Interval`], [`ApproximationError::Degree`] above [`MAX_DEGREE`],
/// [`ApproximationError::FunctionNotFinite`].
pub fn interpolate(
    f: impl Fn(f64) -> f64,
    interval: [f64; 2],
    degree: usize,
) -> Result<Polynomial, ApproximationError> {
    check_interval(interval)?;
    check_degree(degree, 0)?;
    let nodes = degree + 1;
    let samples = (0..nodes)
        .map(|j| finite(&f, from_unit(interval, node(nodes, j))))
        .collect::<Result<Vec<f64>, _>>()?;
    Polynomial::chebyshev(interval, cosine_sums(&samples))
}

/// Refuses degrees outside `lowest ..= MAX_DEGREE`.
pub(super) fn check_degree(degree: usize, lowest: usize) -> Result<(), ApproximationError> {
    if (lowest..=MAX_DEGREE).contains(&degree) {
        Ok(())
    } else {
        Err(ApproximationError::Degree { degree, lowest, highest: MAX_DEGREE })
    }
}

/// `f(x)`, if it is a number.
pub(super) fn finite(f: &impl Fn(f64) -> f64, x: f64) -> Result<f64, ApproximationError> {
    let value = f(x);
    if value.is_finite() { Ok(value) } else { Err(ApproximationError::FunctionNotFinite { x }) }
}

/// Sets what is below the rounding error of values as large as `largest` to zero.
pub(super) fn clear_rounding(coefficients: &mut [f64], largest: f64) {
    for c in coefficients.iter_mut().filter(|c| c.abs() <= 4.0 * f64::EPSILON * largest) {
        *c = 0.0;
    }
}

/// `cos((2j+1)π/(2n))` as a sine, which makes nodes `j` and `n-1-j` exact opposites.
pub(super) fn node(nodes: usize, j: usize) -> f64 {
    let numerator = nodes as f64 - 1.0 - 2.0 * j as f64;
    (PI * numerator / (2.0 * nodes as f64)).sin()
}

/// Chebyshev coefficients of the interpolant through samples at the nodes.
pub(super) fn cosine_sums(samples: &[f64]) -> Vec<f64> {
    let nodes = samples.len();
    let largest = samples.iter().fold(0.0, |most: f64, s| most.max(s.abs()));
    let part = |sign: f64| -> Vec<f64> {
        let mirrored = samples.iter().rev();
        samples.iter().zip(mirrored).map(|(a, b)| (a + sign * b) / 2.0).collect()
    };
    let parts = [part(1.0), part(-1.0)];
    let cosines: Vec<f64> =
        (0..4 * nodes).map(|m| (PI * m as f64 / (2.0 * nodes as f64)).cos()).collect();
    let mut coefficients: Vec<f64> = (0..nodes)
        .map(|k| {
            let weight = if k == 0 { 1.0 } else { 2.0 } / nodes as f64;
            let terms = parts[k % 2].iter().enumerate();
            let cosine = |j: usize| cosines[(2 * j + 1) * k % (4 * nodes)];
            weight * terms.map(|(j, value)| value * cosine(j)).sum::<f64>()
        })
        .collect();
    clear_rounding(&mut coefficients, largest);
    coefficients
}
