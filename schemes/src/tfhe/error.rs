//! What can go wrong in TFHE.

use super::Kernel;
use crate::key_id::KeyMismatch;
use crate::security::SecurityError;
use thiserror::Error;

/// Errors of [`crate::tfhe`].
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TfheError {
    /// The operand is under another secret.
    #[error(transparent)]
    Key(#[from] KeyMismatch),
    /// A parameter set or key is below its security level.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// A parameter that the bootstrapping does not support.
    #[error("{name} = {found} is not supported: {allowed}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: usize,
        /// What is supported.
        allowed: &'static str,
    },
    /// A secret, table or batch of another dimension than the key's.
    #[error("{name} is {found}, the bootstrapping key has {expected}")]
    Dimension {
        /// Which dimension.
        name: &'static str,
        /// The key's.
        expected: usize,
        /// The operand's.
        found: usize,
    },
    /// A kernel that cannot run here or not with this key.
    #[error("the kernel {kernel} cannot run: {reason}")]
    Kernel {
        /// The kernel.
        kernel: Kernel,
        /// Why, and what would.
        reason: &'static str,
    },
    /// A batch without samples.
    #[error("the batch is empty: bootstrapping needs at least one sample")]
    EmptyBatch,
    /// A table's value is not on the torus.
    #[error("the table's value {value} at {phase} is outside [-1/2, 1/2)")]
    TableRange {
        /// Where.
        phase: f64,
        /// The value.
        value: f64,
    },
}
