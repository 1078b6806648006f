//! Variances of the noise that each operation adds, in units of 1 (divide by `q^2` for torus units).
//!
//! `N` is the ring dimension, `sigma^2` the variance of fresh noise, `E[s^2]` the second moment of a
//! coefficient of the secret.

use super::{Gadget, Parameters};
use crate::math::{Coeff, Poly, Ring};
use crate::security::SecretDistribution;

/// Encryption with the secret key: `sigma^2`, and `1/12` for the rounding of a Gaussian.
#[must_use]
pub fn fresh_secret(parameters: &Parameters) -> f64 {
    rounded(parameters.sigma())
}

/// Encryption with the public key: `e u + e0 + e1 s`, hence `sigma^2 (2 N E[s^2] + 1)`.
#[must_use]
pub fn fresh_public(parameters: &Parameters) -> f64 {
    let n = parameters.ring().dimension() as f64;
    rounded(parameters.sigma()) * (2.0 * n * parameters.distribution().second_moment() + 1.0)
}

/// The product with a plaintext of these integer coefficients: `variance * sum w^2`.
#[must_use]
pub fn mul_plain(variance: f64, squared_norm: f64) -> f64 {
    variance * squared_norm
}

/// A key switch: the key's noise through the digits, `N sigma^2 sum_r E[d_r^2]`, and the digits'
/// rounding through the source secret (of `unknowns` non-zero coefficients), whose error is uniform
/// in a step of `q / B^levels`: `unknowns E[s^2] (q / B^levels)^2 / 12`.
#[must_use]
pub fn key_switch(
    ring: &Ring,
    gadget: Gadget,
    sigma: f64,
    source: SecretDistribution,
    unknowns: usize,
) -> f64 {
    let n = ring.dimension() as f64;
    let step = ring.modulus().value() as f64 * (-f64::from(gadget.precision_bits())).exp2();
    let rounding = unknowns as f64 * source.second_moment() * step * step / 12.0;
    n * rounded(sigma) * gadget.second_moment() + rounding
}

/// What an external product adds to [`mul_plain`]: the noise of the factor's rows through the digits
/// of both halves, `2 N sigma^2 sum_r E[d_r^2]`, and the digits' error
/// ([`Gadget::squared_error`]) through the factor `w` and through `w s`:
/// `error (|w|^2 + E|w s|^2)`.
#[must_use]
pub fn external_product(parameters: &Parameters, gadget: Gadget, factor: &Poly<Coeff>) -> f64 {
    let ring = parameters.ring();
    let n = ring.dimension() as f64;
    let rows = 2.0 * n * rounded(parameters.sigma()) * gadget.second_moment();
    let [norm, through_secret] = squared_norms(parameters.distribution(), factor);
    rows + gadget.squared_error(ring.modulus()) * (norm + through_secret)
}

/// `|w|^2`, and `E|w s|^2 = N Var(s) |w|^2 + E[s]^2 |w (1 + X + ... + X^(N-1))|^2`.
fn squared_norms(distribution: SecretDistribution, factor: &Poly<Coeff>) -> [f64; 2] {
    let w: Vec<f64> = factor.to_signed().into_iter().map(|w| w as f64).collect();
    let norm: f64 = w.iter().map(|w| w * w).sum();
    // coefficient k of the product with all ones: the sum up to k, less the sum beyond
    let mut sum = -w.iter().sum::<f64>();
    let sums = w.iter().map(|w| {
        sum += 2.0 * w;
        sum * sum
    });
    let mean = distribution.mean();
    let ones = if mean == 0.0 { 0.0 } else { sums.sum() };
    [norm, w.len() as f64 * distribution.variance() * norm + mean * mean * ones]
}

/// The variance of a Gaussian rounded to an integer.
fn rounded(sigma: f64) -> f64 {
    sigma * sigma + 1.0 / 12.0
}
