//! What can go wrong on the bridge.

use bellerophon_schemes::ckks::CkksError;
use bellerophon_schemes::key_id::KeyMismatch;
use bellerophon_schemes::math::MathError;
use bellerophon_schemes::rlwe::RlweError;
use bellerophon_schemes::security::SecurityError;
use bellerophon_schemes::tfhe::TfheError;
use thiserror::Error;

/// Errors of the bridge.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// On the CKKS side.
    #[error(transparent)]
    Rlwe(#[from] RlweError),
    /// On the side of CKKS with levels.
    #[error(transparent)]
    Ckks(#[from] CkksError),
    /// On the TFHE side.
    #[error(transparent)]
    Tfhe(#[from] TfheError),
    /// A polynomial or ring.
    #[error(transparent)]
    Math(#[from] MathError),
    /// The operand is under another secret.
    #[error(transparent)]
    Key(#[from] KeyMismatch),
    /// A key is below its security level.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// A coefficient outside the ring.
    #[error("coefficient {position} does not exist in a ring of dimension {dimension}")]
    Position {
        /// The coefficient asked for.
        position: usize,
        /// The ring dimension.
        dimension: usize,
    },
    /// Two samples for one coefficient.
    #[error("two samples are to be packed into coefficient {position}")]
    DuplicatePosition {
        /// The coefficient.
        position: usize,
    },
    /// A sample that the batch does not have.
    #[error("sample {index} does not exist in a batch of {count}")]
    SampleIndex {
        /// The index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The keys hold no key for this automorphism.
    #[error("no Galois key for X -> X^{element}: generate it with the other keys")]
    MissingGaloisKey {
        /// The exponent.
        element: usize,
    },
    /// The keys hold no such bootstrapping key.
    #[error("there is no bootstrapping key {index}: the parameters have {count}")]
    MissingBootstrapKey {
        /// The index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Samples under the GLWE secret were asked for of ciphertexts under another.
    #[error(
        "ciphertexts under the conservative assumptions hold no samples under the GLWE secret: polynomial activations beside exact ones need the compact assumptions"
    )]
    SeparateSecrets,
    /// The caller broke the operation off.
    #[error("the operation was broken off")]
    Interrupted,
    /// Dimensions of the two schemes that do not fit together.
    #[error("{name} is {found}, but must be {expected} for the bridge")]
    Dimension {
        /// Which dimension.
        name: &'static str,
        /// What it must be.
        expected: usize,
        /// What it is.
        found: usize,
    },
}
