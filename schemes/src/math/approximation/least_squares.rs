//! Least-squares approximation: Legendre projection by Gauss-Legendre quadrature.

use std::f64::consts::PI;

use super::interpolation::{check_degree, clear_rounding, cosine_sums, finite, node};
use super::polynomial::{check_interval, from_unit, to_unit};
use super::{ApproximationError, Polynomial};

/// Points of the quadrature rule on each panel.
const POINTS: usize = 64;
/// Change of the orthonormal coefficients, relative to the largest sample, that ends the halving;
/// more by the second for each degree, as rounding of the Legendre polynomials grows.
const TOLERANCE: [f64; 2] = [1e-12, 1e-13];
/// How often the panels are halved before the quadrature gives up.
const HALVINGS: usize = 8;

/// The polynomial `p` of at most this degree with the least `∫(f - p)²` over the interval (uniform
/// weight), in the Chebyshev basis.
///
/// `f` is projected on the Legendre polynomials, each integral computed by Gauss-Legendre rules on
/// panels that no break point lies within and that are halved until nothing changes any more. List
/// in `break_points` wherever `f` or one of its derivatives jumps: across a jump a quadrature rule
/// does not converge. Even and odd parts of `f` about the middle of the interval are projected
/// apart, so that the parity of `f` is that of `p`, exactly.
///
/// # Errors
/// [`ApproximationError::Interval`], [`ApproximationError::Degree`] above
/// [`super::MAX_DEGREE`], [`ApproximationError::FunctionNotFinite`];
/// [`ApproximationError::NotConverged`] if `f` has a break point that was not given.
pub fn least_squares(
    f: impl Fn(f64) -> f64,
    break_points: &[f64],
    interval: [f64; 2],
    degree: usize,
) -> Result<Polynomial, ApproximationError> {
    check_interval(interval)?;
    check_degree(degree, 0)?;
    let legendre = project(&f, &pieces(break_points, interval), interval, degree)?;
    let nodes = degree + 1;
    let samples: Vec<f64> =
        (0..nodes).map(|j| legendre_series(&legendre, node(nodes, j))).collect();
    Polynomial::chebyshev(interval, cosine_sums(&samples))
}

/// The approximation of `f` by the integral of an approximation of its derivative: least squares
/// for `f'` at `degree - 1`, and the constant that makes the mean error over the interval zero.
///
/// This is the way of CryptoDL (Hesamifard, Takabi and Ghasemi, "CryptoDL: Deep Neural Networks
/// over Encrypted Data", 2017), here with uniform weight: it keeps the slope right, which training
/// through the polynomial relies on. `break_points` are those of `f` and `f'`.
///
/// # Errors
/// As [`least_squares`], for `f` and for `f'`; the degree must be at least 1.
pub fn derivative_then_integrate(
    f: impl Fn(f64) -> f64,
    derivative: impl Fn(f64) -> f64,
    break_points: &[f64],
    interval: [f64; 2],
    degree: usize,
) -> Result<Polynomial, ApproximationError> {
    check_degree(degree, 1)?;
    let slope = least_squares(derivative, break_points, interval, degree - 1)?;
    let shape = slope.integrate()?;
    let mean = least_squares(f, break_points, interval, 0)?.coefficients()[0];
    let area = shape.integrate()?;
    let [lower, upper] = interval;
    let shape_mean = (area.evaluate(upper) - area.evaluate(lower)) / (upper - lower);
    shape.affine(1.0, mean - shape_mean)
}

/// Ends of the smooth pieces of both parts of `f`, in the distance from the middle, 0 to 1.
fn pieces(break_points: &[f64], interval: [f64; 2]) -> Vec<f64> {
    let distances = break_points.iter().map(|&x| to_unit(interval, x).abs());
    let mut ends: Vec<f64> = distances.filter(|t| (0.0..1.0).contains(t)).collect();
    ends.extend([0.0, 1.0]);
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    ends
}

/// Legendre coefficients of `f`, with the panels halved until they stay.
fn project(
    f: &impl Fn(f64) -> f64,
    ends: &[f64],
    interval: [f64; 2],
    degree: usize,
) -> Result<Vec<f64>, ApproximationError> {
    let rule = gauss_legendre(POINTS);
    let mut panels = 1 + degree / POINTS;
    let (mut coarse, _) = project_on(f, ends, panels, &rule, interval, degree)?;
    let tolerance = TOLERANCE[1].mul_add(degree as f64, TOLERANCE[0]);
    let mut residual = f64::INFINITY;
    for _ in 0..HALVINGS {
        panels *= 2;
        let (fine, largest) = project_on(f, ends, panels, &rule, interval, degree)?;
        let change = |(k, (a, b)): (usize, (&f64, &f64))| (a - b).abs() / norm(k);
        let worst = fine.iter().zip(&coarse).enumerate().map(change).fold(0.0, f64::max);
        residual = if largest == 0.0 { 0.0 } else { worst / largest };
        coarse = fine;
        if residual <= tolerance {
            clear_rounding(&mut coarse, largest);
            return Ok(coarse);
        }
    }
    let method = "quadrature for least squares";
    Err(ApproximationError::NotConverged { method, residual, tolerance })
}

/// Factor from an orthonormal Legendre coefficient to a plain one.
fn norm(k: usize) -> f64 {
    ((2 * k + 1) as f64).sqrt()
}

/// Legendre coefficients with every piece cut in `panels`, and the largest sample of `f`.
fn project_on(
    f: &impl Fn(f64) -> f64,
    ends: &[f64],
    panels: usize,
    rule: &[(f64, f64)],
    interval: [f64; 2],
    degree: usize,
) -> Result<(Vec<f64>, f64), ApproximationError> {
    let (mut coefficients, mut largest) = (vec![0.0; degree + 1], 0.0_f64);
    for piece in ends.windows(2) {
        let cuts = cuts(piece[0], piece[1], panels);
        for (panel, &(s, weight)) in
            cuts.windows(2).flat_map(|panel| rule.iter().map(move |point| (panel, point)))
        {
            let width = panel[1] - panel[0];
            let t = width.mul_add((s + 1.0) / 2.0, panel[0]);
            let (above, below) =
                (finite(f, from_unit(interval, t))?, finite(f, from_unit(interval, -t))?);
            largest = largest.max(above.abs()).max(below.abs());
            // The halves of parts, of the rule's interval and of 2/(2k+1), for both signs of t.
            let parts = [above + below, above - below].map(|part| part * weight * width / 4.0);
            accumulate(&mut coefficients, t, parts);
        }
    }
    Ok((coefficients, largest))
}

/// Ends of panels from `lower` to `upper` that are of equal length in the arc sine, as the zeros of
/// Legendre polynomials are.
fn cuts(lower: f64, upper: f64, panels: usize) -> Vec<f64> {
    let (first, last) = (lower.asin(), upper.asin());
    let step = (last - first) / panels as f64;
    let inner = (1..panels).map(|i| step.mul_add(i as f64, first).sin());
    std::iter::once(lower).chain(inner).chain([upper]).collect()
}

/// Adds `(2k+1) parts[k mod 2] P_k(t)` to coefficient `k`.
fn accumulate(coefficients: &mut [f64], t: f64, parts: [f64; 2]) {
    let (mut last, mut current) = (0.0, 1.0);
    for (k, c) in coefficients.iter_mut().enumerate() {
        let odd = (2 * k + 1) as f64;
        *c += odd * parts[k % 2] * current;
        let next = (odd * t * current - k as f64 * last) / (k + 1) as f64;
        (last, current) = (current, next);
    }
}

/// `sum_k a_k P_k(t)`, by Clenshaw's recurrence.
fn legendre_series(coefficients: &[f64], t: f64) -> f64 {
    let (mut next, mut after) = (0.0, 0.0);
    for (k, a) in coefficients.iter().enumerate().rev() {
        let k = k as f64;
        let sum = a + (2.0 * k + 1.0) / (k + 1.0) * t * next - (k + 1.0) / (k + 2.0) * after;
        (next, after) = (sum, next);
    }
    next
}

/// Nodes and weights of the Gauss-Legendre rule on `[-1, 1]`, by Newton's method from the usual
/// asymptotic guess (Davis and Rabinowitz, "Methods of Numerical Integration", 2.7).
fn gauss_legendre(points: usize) -> Vec<(f64, f64)> {
    let guess = |i: usize| (PI * (i as f64 + 0.75) / (points as f64 + 0.5)).cos();
    (0..points)
        .map(|i| {
            let mut t = guess(i);
            for _ in 0..8 {
                let (value, slope) = legendre(points, t);
                t -= value / slope;
            }
            let slope = legendre(points, t).1;
            (t, 2.0 / ((1.0 - t * t) * slope * slope))
        })
        .collect()
}

/// `P_n(t)` and its derivative.
fn legendre(n: usize, t: f64) -> (f64, f64) {
    let (mut last, mut current) = (0.0, 1.0);
    for k in 0..n {
        let next = ((2 * k + 1) as f64 * t * current - k as f64 * last) / (k + 1) as f64;
        (last, current) = (current, next);
    }
    (current, n as f64 * (last - t * current) / (1.0 - t * t))
}
