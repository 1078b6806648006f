//! What can go wrong in CKKS.

use crate::key_id::KeyMismatch;
use crate::math::MathError;
use crate::math::approximation::ApproximationError;
use crate::security::SecurityError;
use thiserror::Error;

/// Errors of [`crate::ckks`].
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum CkksError {
    /// A modulus, ring or polynomial is not as it must be.
    #[error(transparent)]
    Math(#[from] MathError),
    /// The operand is under another secret.
    #[error(transparent)]
    Key(#[from] KeyMismatch),
    /// A parameter set is below its security level.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// A polynomial is not as it must be.
    #[error(transparent)]
    Approximation(#[from] ApproximationError),
    /// A parameter set that cannot be used.
    #[error("{what} = {value} cannot be used: {allowed}")]
    Parameter {
        /// Which parameter.
        what: &'static str,
        /// Its value.
        value: usize,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two operands have different scales.
    #[error(
        "scales 2^{left} and 2^{right} differ by the factor {ratio}: operands of a sum need exactly the same scale"
    )]
    ScaleMismatch {
        /// `log2` of the left operand's scale.
        left: f64,
        /// `log2` of the right operand's scale.
        right: f64,
        /// Left over right.
        ratio: f64,
    },
    /// A scale is not a positive finite number.
    #[error("scale {scale} is not a positive finite number")]
    InvalidScale {
        /// The scale given.
        scale: f64,
    },
    /// Two operands are at different levels.
    #[error("operands at levels {left} and {right} were combined: drop the higher one first")]
    LevelMismatch {
        /// Level of the left operand.
        left: usize,
        /// Level of the right operand.
        right: usize,
    },
    /// An operation needs more levels than are left.
    #[error(
        "{operation} needs level {needed}, the operand is at level {found}: use more primes, or bootstrap"
    )]
    Level {
        /// What was to be done.
        operation: &'static str,
        /// The level needed.
        needed: usize,
        /// The level there is.
        found: usize,
    },
    /// More values than the packing holds, or a number that it cannot repeat.
    #[error("{found} values were given: {allowed} (capacity {capacity})")]
    ValueCount {
        /// How many fit.
        capacity: usize,
        /// How many were given.
        found: usize,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A polynomial of the phase that no polynomial of its sine comes near enough to.
    #[error(
        "within {width} turns, polynomials of degree {degree} in the sine of the phase are off by {reached:e} at least, {tolerance:e} was asked for: use a smaller width or a larger tolerance"
    )]
    PhaseError {
        /// The largest phase, in turns.
        width: f64,
        /// The highest degree that the levels allow.
        degree: usize,
        /// The least error found.
        reached: f64,
        /// The error asked for.
        tolerance: f64,
    },
    /// A value times its scale is outside the modulus.
    #[error(
        "value {index} times scale 2^{log2_scale:.1} does not fit the modulus at level {level}: use a smaller scale or a higher level"
    )]
    ValueRange {
        /// Which coefficient.
        index: usize,
        /// `log2` of the scale.
        log2_scale: f64,
        /// The level.
        level: usize,
    },
    /// A Galois key that was not made.
    #[error(
        "the Galois key of element {element} at level {level} is missing: ask for it in the key requirements"
    )]
    MissingGaloisKey {
        /// The exponent of the automorphism.
        element: usize,
        /// The level of the operand.
        level: usize,
    },
    /// The relinearization key was not made.
    #[error(
        "the relinearization key at level {level} is missing: ask for it in the key requirements"
    )]
    MissingRelinearizationKey {
        /// The level of the operand.
        level: usize,
    },
    /// Packed residues of another modulus.
    #[error("residues of {found} bits were given, those of this prime have {expected}")]
    ResidueWidth {
        /// Bits of the prime's residues.
        expected: u32,
        /// Bits of those given.
        found: u32,
    },
}
