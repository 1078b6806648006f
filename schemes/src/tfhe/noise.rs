//! Variances of TFHE operations, in torus units (fractions of the modulus, squared).

use super::BootstrapParameters;
use crate::security::SecretDistribution;

/// What the `f64` transforms to polynomial size `N` add, as a further error of the key's words: its
/// variance is `2^-106`, for the 53 bits of a mantissa, times `1 + N/4000`. *Measured* with the fused
/// kernel from `N = 256` to 4096: 1.17, 1.09, 1.28, 1.54 and 2.05 times `2^-106`. The `tfhe` crate's
/// kernel has 0.75 to 1 of that, by the algorithm that the crate chooses for its transforms by timing
/// them.
fn transform(polynomial_size: usize) -> f64 {
    (-106f64).exp2() * (1.0 + polynomial_size as f64 / 4000.0)
}

/// The output of a bootstrapping, whatever the input's noise (Chillotti, Gama, Georgieva, Izabachène,
/// ePrint 2018/421, with second moments in place of its bounds): `n` external products of
/// `(k+1) l` digit polynomials, `E[d^2] = (B^2 + 2)/12`, with rows whose words carry the key's noise
/// and the rounding of the transforms; and, for each non-zero bit of the input's secret, the digits'
/// rounding to multiples of `B^-l`. Errors in the mask are multiplied by the output's secret,
/// `1 + k N / 2` in all.
///
/// With `g > 1` key bits a step there are `n/g` steps of `2^g - 1` products, each then multiplied by
/// some `X^a - 1`, which doubles its variance; digits are rounded once in each step, and count twice
/// unless all its key bits are zero.
///
/// The `tfhe` crate has a formula too, for keys at the noise of its 132-bit curve only; it differs
/// by up to a fifth in the part of the transforms.
#[must_use]
pub fn bootstrap(parameters: &BootstrapParameters) -> f64 {
    let levels = parameters.levels() as f64;
    let base = (parameters.base_log() as f64).exp2();
    let binary = SecretDistribution::Binary.second_moment();
    let through_secret = 1.0 + parameters.output_dimension() as f64 * binary;
    let key = (2.0 * parameters.log2_std()).exp2();
    let transform = transform(parameters.polynomial_size()) * through_secret;
    let digits = levels
        * ((parameters.glwe_dimension() + 1) * parameters.polynomial_size()) as f64
        * (base * base + 2.0)
        / 12.0;
    let terms = parameters.terms() as f64;
    let monomials = if parameters.grouping_factor() > 1 { 2.0 } else { 1.0 };
    let selected = terms / (terms + 1.0);
    let rounding = selected * monomials * through_secret * base.powf(-2.0 * levels) / 12.0;
    let product = terms * monomials * digits * (key + transform);
    parameters.steps() as f64 * (product + rounding)
}

/// Rounding a sample of dimension `n` under a binary secret to multiples of `1/(2N)`, with the mean
/// of the mask's rounding errors removed from the body: `(n/48 + 1/12) / (2N)^2` for one key bit a
/// step. Without the centring it would be `n/24` (*Don't be mean*, ePrint 2025/809).
///
/// With two bits a step, the variance of the best rounding of a group is 5/128 in place of 2/48, with
/// three 0.05341 in place of 3/48 (by numerical integration over the torus).
#[must_use]
pub fn centered_modulus_switch(
    lwe_dimension: usize,
    grouping_factor: usize,
    log2_modulus: u32,
) -> f64 {
    let group = match grouping_factor {
        1 => 1.0 / 48.0,
        2 => 5.0 / 128.0,
        _ => 0.053_41,
    };
    let step = (-f64::from(log2_modulus)).exp2();
    (lwe_dimension as f64 / grouping_factor as f64 * group + 1.0 / 12.0) * step * step
}
