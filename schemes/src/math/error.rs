//! What can be wrong with a modulus, a ring or a polynomial.

use thiserror::Error;

/// Errors of [`crate::math`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MathError {
    /// The modulus is outside the range that the arithmetic supports.
    #[error("modulus {modulus} is not supported: it must be at least 2 and below 2^62")]
    ModulusRange {
        /// The modulus asked for.
        modulus: u64,
    },
    /// The ring dimension is not a supported power of two.
    #[error(
        "ring dimension {dimension} is not supported: it must be a power of two from 16 to 65536"
    )]
    RingDimension {
        /// The dimension asked for.
        dimension: usize,
    },
    /// The modulus has no negacyclic transform of this dimension.
    #[error(
        "modulus {modulus} has no transform of dimension {dimension}: it must be a prime equal to 1 modulo {}",
        2 * dimension
    )]
    NotNttFriendly {
        /// The modulus asked for.
        modulus: u64,
        /// The ring dimension asked for.
        dimension: usize,
    },
    /// No prime of this size exists for the ring dimension.
    #[error("no prime of {bits} bits is equal to 1 modulo {}", 2 * dimension)]
    NoPrime {
        /// Bits of the prime asked for.
        bits: u32,
        /// The ring dimension asked for.
        dimension: usize,
    },
    /// A list of coefficients does not fill the ring.
    #[error("{found} coefficients were given, the ring dimension is {expected}")]
    Length {
        /// The ring dimension.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A coefficient is not reduced modulo `q`.
    #[error("coefficient {index} is not reduced modulo {modulus}")]
    NotReduced {
        /// Position of the first such coefficient.
        index: usize,
        /// The modulus `q`.
        modulus: u64,
    },
    /// An automorphism was asked for that the ring does not have.
    #[error("X -> X^{element} is no automorphism: the element must be odd and below {}", 2 * dimension)]
    GaloisElement {
        /// The exponent asked for.
        element: usize,
        /// The ring dimension.
        dimension: usize,
    },
    /// Two polynomials belong to different rings.
    #[error("polynomials of different rings were combined (modulus {left} and {right})")]
    RingMismatch {
        /// Modulus of the left operand.
        left: u64,
        /// Modulus of the right operand.
        right: u64,
    },
    /// Two polynomials have different numbers of limbs.
    #[error("polynomials of {left} and {right} limbs were combined: bring them to one level first")]
    Limbs {
        /// Limbs of the left operand.
        left: usize,
        /// Limbs of the right operand.
        right: usize,
    },
}
