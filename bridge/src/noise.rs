//! Variances on the bridge, in torus units (fractions of the modulus, squared).

use crate::{Assumptions, BridgeError, Parameters};
use bellerophon_schemes::math::{Coeff, Poly};
use bellerophon_schemes::rlwe::{self, Gadget};
use bellerophon_schemes::security::SecretDistribution;
use bellerophon_schemes::tfhe;

fn to_torus(parameters: &Parameters, variance: f64) -> f64 {
    let q = parameters.ring().modulus().value() as f64;
    variance / (q * q)
}

/// A fresh encryption of the input.
#[must_use]
pub fn fresh(parameters: &Parameters) -> f64 {
    to_torus(parameters, rlwe::noise::fresh_secret(parameters.rlwe()))
}

/// An encryption of the input with the public key.
#[must_use]
pub fn fresh_public(parameters: &Parameters) -> f64 {
    to_torus(parameters, rlwe::noise::fresh_public(parameters.rlwe()))
}

/// What a product with an encrypted polynomial adds, beside the noise that the plaintext would make
/// of that of the ciphertext.
#[must_use]
pub fn external_product(parameters: &Parameters, gadget: Gadget, factor: &Poly<Coeff>) -> f64 {
    to_torus(parameters, rlwe::noise::external_product(parameters.rlwe(), gadget, factor))
}

/// The ring key switch to the small secret.
#[must_use]
pub fn ring_switch(parameters: &Parameters) -> f64 {
    let variance = rlwe::noise::key_switch(
        parameters.ring(),
        parameters.down_gadget(),
        parameters.down_sigma(),
        parameters.rlwe().distribution(),
        parameters.ring().dimension(),
    );
    to_torus(parameters, variance)
}

/// Rounding the words of a sample from `q` to `2^64`: `(1 + n/2) / 12` in units of `2^-64`.
#[must_use]
pub fn rescale(dimension: usize) -> f64 {
    let binary = SecretDistribution::Binary.second_moment();
    (1.0 + dimension as f64 * binary) / 12.0 * 2f64.powi(-128)
}

/// All of the way down to a table of polynomial size `2^(log2_modulus - 1)`: ring key switch,
/// rounding to `2^64`, centred modulus switch for `grouping_factor` key bits a step.
#[must_use]
pub fn to_lwe(parameters: &Parameters, log2_modulus: u32, grouping_factor: usize) -> f64 {
    let n = parameters.lwe_dimension();
    let switch = tfhe::noise::centered_modulus_switch(n, grouping_factor, log2_modulus);
    ring_switch(parameters) + rescale(n) + switch
}

/// The noise at the input of bootstrapping key `index` that the bridge adds.
///
/// # Errors
/// [`BridgeError::MissingBootstrapKey`].
pub fn table_input(parameters: &Parameters, index: usize) -> Result<f64, BridgeError> {
    let bootstrap = parameters.bootstrap(index)?;
    Ok(to_lwe(parameters, bootstrap.log2_input_modulus(), bootstrap.grouping_factor()))
}

/// The noise at the output of bootstrapping key `index`.
///
/// # Errors
/// [`BridgeError::MissingBootstrapKey`].
pub fn table_output(parameters: &Parameters, index: usize) -> Result<f64, BridgeError> {
    Ok(tfhe::noise::bootstrap(parameters.bootstrap(index)?))
}

/// Packing with `levels` merges above each sample. A merge at depth `b` adds one key switch, whose
/// noise is doubled by each of the `b` merges above: `v (4^levels - 1) / 3`. Before it, the words
/// are rounded to `q`, and the conservative variant switches from `z` to `s`.
#[must_use]
pub fn to_ckks(parameters: &Parameters, levels: u32) -> f64 {
    let n = parameters.ring().dimension();
    let switch = |distribution| {
        rlwe::noise::key_switch(
            parameters.ring(),
            parameters.up_gadget(),
            parameters.rlwe().sigma(),
            distribution,
            n,
        )
    };
    let merges = switch(parameters.rlwe().distribution()) * (4f64.powi(levels as i32) - 1.0) / 3.0;
    let binary = SecretDistribution::Binary;
    let rounding = (1.0 + n as f64 * binary.second_moment()) / 12.0;
    let enter = match parameters.assumptions() {
        Assumptions::Compact => 0.0,
        Assumptions::Conservative => switch(binary),
    };
    to_torus(parameters, merges + rounding + enter)
}
