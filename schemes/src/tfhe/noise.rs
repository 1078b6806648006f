//! Variances of TFHE operations, in torus units (fractions of the modulus, squared).

use super::BootstrapParameters;
use tfhe::core_crypto::commons::noise_formulas::lwe_programmable_bootstrap::pbs_variance_132_bits_security_gaussian_fft_mul;
use tfhe::core_crypto::prelude::{GlweDimension, LweDimension};

/// Bits of an `f64` mantissa.
const MANTISSA: f64 = 53.0;

/// The output of a bootstrapping, whatever the input's noise: the key's noise through the external
/// products, the rounding of the decomposition and that of the `f64` transforms. The formula is the
/// `tfhe` crate's, for keys at the noise of the 132-bit curve.
#[must_use]
pub fn bootstrap(parameters: &BootstrapParameters) -> f64 {
    let (base_log, levels) = parameters.decomposition();
    pbs_variance_132_bits_security_gaussian_fft_mul(
        LweDimension(parameters.lwe_dimension()),
        GlweDimension(parameters.glwe_dimension()),
        parameters.size(),
        base_log,
        levels,
        MANTISSA,
        2f64.powi(64),
    )
    .0
}

/// Rounding a sample of dimension `n` under a binary secret to multiples of `1/(2N)`, with the mean
/// of the mask's rounding errors removed from the body: `(n/48 + 1/12) / (2N)^2`. Without the
/// centring it would be `n/24` (*Don't be mean*, ePrint 2025/809).
#[must_use]
pub fn centered_modulus_switch(lwe_dimension: usize, log2_modulus: u32) -> f64 {
    let step = (-f64::from(log2_modulus)).exp2();
    (lwe_dimension as f64 / 48.0 + 1.0 / 12.0) * step * step
}
