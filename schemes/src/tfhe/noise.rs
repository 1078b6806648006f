//! Variances of TFHE operations, in torus units (fractions of the modulus, squared).

use super::BootstrapParameters;
use crate::security::SecretDistribution;

/// What the `f64` transforms of the `tfhe` crate add, as a further error of the key's words: its
/// variance, `2^-106` for the 53 bits of a mantissa. *Measured* over polynomial sizes from 256 to
/// 2048, bases, levels and GLWE dimensions: 0.8 to 1.2 times this, by the key and by the algorithm that
/// the crate chooses for its transforms by timing them; up to twice at 4096.
const LOG2_TRANSFORM: f64 = -106.0;

/// The output of a bootstrapping, whatever the input's noise (Chillotti, Gama, Georgieva, Izabachène,
/// ePrint 2018/421, with second moments in place of its bounds): `n` external products of
/// `(k+1) l` digit polynomials, `E[d^2] = (B^2 + 2)/12`, with rows whose words carry the key's noise
/// and the rounding of the transforms; and, for each non-zero bit of the input's secret, the digits'
/// rounding to multiples of `B^-l`. Errors in the mask are multiplied by the output's secret,
/// `1 + k N / 2` in all.
///
/// The `tfhe` crate has a formula too, for keys at the noise of its 132-bit curve only; it differs
/// by up to a fifth in the part of the transforms.
#[must_use]
pub fn bootstrap(parameters: &BootstrapParameters) -> f64 {
    let n = parameters.lwe_dimension() as f64;
    let levels = parameters.levels() as f64;
    let base = (parameters.base_log() as f64).exp2();
    let binary = SecretDistribution::Binary.second_moment();
    let through_secret = 1.0 + parameters.output_dimension() as f64 * binary;
    let key = (2.0 * parameters.log2_std()).exp2();
    let transform = LOG2_TRANSFORM.exp2() * through_secret;
    let digits = levels
        * ((parameters.glwe_dimension() + 1) * parameters.polynomial_size()) as f64
        * (base * base + 2.0)
        / 12.0;
    let rounding = binary * through_secret * base.powf(-2.0 * levels) / 12.0;
    n * (digits * (key + transform) + rounding)
}

/// Rounding a sample of dimension `n` under a binary secret to multiples of `1/(2N)`, with the mean
/// of the mask's rounding errors removed from the body: `(n/48 + 1/12) / (2N)^2`. Without the
/// centring it would be `n/24` (*Don't be mean*, ePrint 2025/809).
#[must_use]
pub fn centered_modulus_switch(lwe_dimension: usize, log2_modulus: u32) -> f64 {
    let step = (-f64::from(log2_modulus)).exp2();
    (lwe_dimension as f64 / 48.0 + 1.0 / 12.0) * step * step
}
