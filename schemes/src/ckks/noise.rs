//! Variances of the noise that each operation adds, per coefficient of the phase, in units of 1.
//!
//! In the slots, noise of variance `v` per coefficient is an error of mean square `N v` over the scale
//! squared. `N` is the ring dimension, `sigma` that of fresh noise; a ternary secret has `E[s^2] = 2/3`.
//! A message enters by its *power*, the mean square of its coefficients: with slots of mean square `z`
//! at scale `D`, that is `z D^2 / N`.

use super::Parameters;
use super::parameters::SIGMA;

/// `E[s^2]` of a ternary secret.
const SECRET: f64 = 2.0 / 3.0;
/// The variance of rounding to an integer.
const ROUNDING: f64 = 1.0 / 12.0;
/// The variance of a Gaussian rounded to an integer.
const FRESH: f64 = SIGMA * SIGMA + ROUNDING;

/// The power of a message with slots of mean square `mean_square` at this scale.
#[must_use]
pub fn power(parameters: &Parameters, mean_square: f64, scale: f64) -> f64 {
    mean_square * scale * scale / parameters.dimension() as f64
}

/// Encoding: every coefficient is rounded.
#[must_use]
pub fn encoding() -> f64 {
    ROUNDING
}

/// Encryption with the secret key.
#[must_use]
pub fn fresh_secret() -> f64 {
    FRESH
}

/// Encryption with the public key: `e u + e0 + e1 s`, hence `sigma^2 (2 N E[s^2] + 1)`, over `P^2`,
/// and rounding.
#[must_use]
pub fn fresh_public(parameters: &Parameters) -> f64 {
    let noise = FRESH * (2.0 * parameters.dimension() as f64 * SECRET + 1.0);
    noise * (-2.0 * parameters.log2_special()).exp2() + rounding(parameters)
}

/// The product with a plaintext of this power: `variance N power`, for a plaintext that is exact. What
/// its own rounding adds is `encoding() N` times the power of the ciphertext's message.
#[must_use]
pub fn mul_plain(parameters: &Parameters, variance: f64, power: f64) -> f64 {
    variance * parameters.dimension() as f64 * power
}

/// The product of two ciphertexts, before relinearization: `m e' + m' e + e e'`.
#[must_use]
pub fn tensor(parameters: &Parameters, variances: [f64; 2], powers: [f64; 2]) -> f64 {
    let [a, b] = variances;
    parameters.dimension() as f64 * (a * powers[1] + b * powers[0] + a * b)
}

/// The square of a ciphertext, before relinearization: the two noises are one, `2 m e + e^2`.
#[must_use]
pub fn square(parameters: &Parameters, variance: f64, power: f64) -> f64 {
    parameters.dimension() as f64 * (4.0 * variance * power + 2.0 * variance * variance)
}

/// Rounding of both parts of a ciphertext to integers, the second times the secret.
#[must_use]
pub fn rounding(parameters: &Parameters) -> f64 {
    ROUNDING + rounding_of_mask(parameters)
}

/// Rounding of the second part alone.
fn rounding_of_mask(parameters: &Parameters) -> f64 {
    ROUNDING * parameters.dimension() as f64 * SECRET
}

/// The noise after a rescaling from `level`: that before it over `q_level^2`, and rounding.
#[must_use]
pub fn rescale(parameters: &Parameters, level: usize, variance: f64) -> f64 {
    let modulus = parameters.rings().get(level).map_or(f64::NAN, |ring| ring.modulus().log2());
    variance * (-2.0 * modulus).exp2() + rounding(parameters)
}

/// What a key switch at `level` adds: the keys' noise times the digits, over `P`, and rounding. A digit
/// modulo `Q_r` has the mean square `Q_r^2 / 12`.
#[must_use]
pub fn key_switch(parameters: &Parameters, level: usize) -> f64 {
    key_noise(parameters, level) + rounding(parameters)
}

/// The keys' noise times the digits, over `P`.
fn key_noise(parameters: &Parameters, level: usize) -> f64 {
    let log2 = |index: usize| parameters.rings()[index].modulus().log2();
    let digits = parameters.digit_ranges(level).into_iter();
    let squares = digits.map(|digit| {
        let size = digit.map(log2).sum::<f64>() - parameters.log2_special();
        (2.0 * size).exp2()
    });
    parameters.dimension() as f64 * FRESH * ROUNDING * squares.sum::<f64>()
}

/// What [`linear_transform`] needs to know of one giant step of one output.
#[derive(Debug, Clone, Copy, Default)]
pub struct GiantStepNorms {
    /// Whether it rotates.
    pub rotates: bool,
    /// The number of its diagonals.
    pub diagonals: usize,
    /// The sum of the powers of its diagonals, as encoded.
    pub power: f64,
    /// The part of it that belongs to baby steps that rotate.
    pub rotated_power: f64,
}

/// The noise of one output of a linear transform, before rescaling: the input's noise and that of the
/// baby steps' keys through the diagonals, the rounding of the diagonals through a message of this
/// power, and for each giant step that rotates its key's noise and the rounding of one part.
#[must_use]
pub fn linear_transform(
    parameters: &Parameters,
    level: usize,
    (variance, power): (f64, f64),
    giants: &[GiantStepNorms],
) -> f64 {
    let n = parameters.dimension() as f64;
    let key = key_noise(parameters, level);
    let giant = |giant: &GiantStepNorms| {
        let through = n * (variance * giant.power + key * giant.rotated_power);
        let encoding = n * encoding() * power * giant.diagonals as f64;
        let rotation = if giant.rotates { key + rounding_of_mask(parameters) } else { 0.0 };
        through + encoding + rotation
    };
    giants.iter().map(giant).sum::<f64>() + rounding(parameters)
}

/// Bits of precision of numbers in slots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Precision {
    /// Of the worst slot.
    pub worst: f64,
    /// Of the mean error.
    pub mean: f64,
    /// Which slot is the worst.
    pub worst_slot: usize,
}

impl Precision {
    /// The precision of `found` where `expected` should be: `-log2` of the largest and of the mean
    /// distance in the complex plane; infinite where they are equal.
    #[must_use]
    pub fn new(found: &[super::c64], expected: &[super::c64]) -> Self {
        let errors = found.iter().zip(expected).map(|(a, b)| (a - b).norm());
        let (mut worst, mut worst_slot, mut sum) = (0.0, 0, 0.0);
        for (slot, error) in errors.enumerate() {
            sum += error;
            // a NaN is worse than any number
            if error > worst || error.is_nan() {
                (worst, worst_slot) = (error, slot);
            }
        }
        let mean = sum / found.len().min(expected.len()).max(1) as f64;
        Self { worst: -worst.log2(), mean: -mean.log2(), worst_slot }
    }
}
