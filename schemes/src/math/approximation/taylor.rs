//! Taylor polynomials at zero.

use std::f64::consts::LN_2;

use super::interpolation::check_degree;
use super::{Activation, ApproximationError, Basis, Polynomial};

/// The Taylor polynomial about zero, in powers of `x`; `interval` is only recorded.
///
/// Each series comes from the differential equation of its function, term by term: `y' = 1 - y²`
/// for the hyperbolic tangent; the sigmoid is `1/2 + tanh(x/2)/2` and the softplus its integral.
/// They converge for `|x| < π` only (`π/2` for the tangent), where the nearest pole lies: beyond,
/// a higher degree is worse.
///
/// ReLU has no series at zero. That of the softplus, its differentiable version, stands in: Taylor
/// polynomials about zero are the approach that the literature on encrypted networks credits to
/// Chabanne et al. (ePrint 2017/035), and something differentiable has to take the place of ReLU
/// for them. It is `ln 2` off at zero itself. Leaky ReLU is `slope * x + (1 - slope) * relu(x)`,
/// and is treated so.
///
/// # Errors
/// [`ApproximationError::NotAnalytic`] for ELU, SELU, hard sigmoid and clip;
/// [`ApproximationError::Interval`];
/// [`ApproximationError::Degree`] above [`super::MAX_DEGREE`].
pub fn taylor(
    activation: Activation,
    interval: [f64; 2],
    degree: usize,
) -> Result<Polynomial, ApproximationError> {
    check_degree(degree, 0)?;
    let coefficients = match activation {
        Activation::Tanh => tanh_series(degree),
        Activation::Sigmoid => sigmoid_series(degree),
        Activation::Softplus | Activation::Relu => softplus_series(degree),
        Activation::LeakyRelu { slope } => leaky_series(slope, degree),
        Activation::Elu { .. }
        | Activation::Selu { .. }
        | Activation::HardSigmoid { .. }
        | Activation::Clip { .. } => {
            return Err(ApproximationError::NotAnalytic { activation: activation.name() });
        }
    };
    Polynomial::new(Basis::Monomial, interval, coefficients)
}

/// From `y' = 1 - y²`: `(k+1) y_{k+1} = [k = 0] - sum_i y_i y_{k-i}`.
fn tanh_series(degree: usize) -> Vec<f64> {
    let mut series = vec![0.0];
    for k in 0..degree {
        let square: f64 = series.iter().zip(series.iter().rev()).map(|(a, b)| a * b).sum();
        let constant = if k == 0 { 1.0 } else { 0.0 };
        series.push((constant - square) / (k + 1) as f64);
    }
    series
}

fn sigmoid_series(degree: usize) -> Vec<f64> {
    let mut scale = 1.0;
    let mut series = tanh_series(degree);
    for c in &mut series {
        scale /= 2.0;
        *c *= scale;
    }
    series[0] = 0.5;
    series
}

fn softplus_series(degree: usize) -> Vec<f64> {
    let sigmoid = sigmoid_series(degree);
    let integral = sigmoid.iter().take(degree).enumerate().map(|(k, c)| c / (k + 1) as f64);
    std::iter::once(LN_2).chain(integral).collect()
}

fn leaky_series(slope: f64, degree: usize) -> Vec<f64> {
    let mut series: Vec<f64> =
        softplus_series(degree).into_iter().map(|c| (1.0 - slope) * c).collect();
    if let Some(linear) = series.get_mut(1) {
        *linear += slope;
    }
    series
}
