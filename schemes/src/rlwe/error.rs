//! What can go wrong with ring-LWE ciphertexts over one prime.

use super::Gadget;
use crate::key_id::KeyMismatch;
use crate::math::MathError;
use crate::security::SecurityError;
use thiserror::Error;

/// Errors of [`crate::rlwe`].
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RlweError {
    /// A modulus, ring or polynomial is not as it must be.
    #[error(transparent)]
    Math(#[from] MathError),
    /// The operand is under another secret.
    #[error(transparent)]
    Key(#[from] KeyMismatch),
    /// A parameter set or key is below its security level.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// Two operands have different scales.
    #[error("scales {left} and {right} differ: operands of a sum need the same scale")]
    ScaleMismatch {
        /// Scale of the left operand.
        left: f64,
        /// Scale of the right operand.
        right: f64,
    },
    /// A scale is not a positive finite number.
    #[error("scale {scale} is not a positive finite number")]
    InvalidScale {
        /// The scale given.
        scale: f64,
    },
    /// More values than the packing holds.
    #[error("{found} values were given, at most {capacity} fit")]
    TooManyValues {
        /// How many fit.
        capacity: usize,
        /// How many were given.
        found: usize,
    },
    /// A value times its scale is outside the modulus.
    #[error("value {index} times scale {scale} does not fit the modulus: use a smaller scale")]
    ValueRange {
        /// Which value.
        index: usize,
        /// The scale.
        scale: f64,
    },
    /// A gadget that the modulus cannot hold.
    #[error(
        "a gadget of {levels} digits of {base_log} bits does not fit a modulus of {modulus_bits} bits"
    )]
    Gadget {
        /// Bits per digit.
        base_log: u32,
        /// Number of digits.
        levels: u32,
        /// Bits of the modulus.
        modulus_bits: u32,
    },
    /// A ciphertext was written in the digits of another gadget than that of its factor.
    #[error("a ciphertext in the digits of {found:?} was multiplied by a factor for {expected:?}")]
    GadgetMismatch {
        /// That of the factor.
        expected: Gadget,
        /// That of the ciphertext.
        found: Gadget,
    },
    /// Packed residues of another modulus.
    #[error("residues of {found} bits were given, those of this ring have {expected}")]
    ResidueWidth {
        /// Bits of the ring's residues.
        expected: u32,
        /// Bits of those given.
        found: u32,
    },
    /// The standard deviation of the noise is not usable.
    #[error(
        "noise of standard deviation {sigma} is not usable: it must be positive and below q/16"
    )]
    Noise {
        /// The standard deviation, in units of 1.
        sigma: f64,
    },
}
