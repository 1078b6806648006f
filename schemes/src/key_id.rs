//! The identity of a secret.
//!
//! Bellerophon works with up to four secrets at once (CKKS ring, small LWE, GLWE, conservative
//! variants); a ciphertext under the wrong one decrypts to noise without any error. Each secret
//! therefore has an id, each ciphertext the id of the secret it is under, each switching key the ids
//! of the two secrets it connects, and every operation compares them.

use rand::{CryptoRng, RngExt};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// A random public name of 64 bits for one secret; it reveals nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyId(u64);

impl KeyId {
    /// A fresh id.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(rng.random())
    }

    /// Compares the id that an operation needs with the one it found.
    ///
    /// # Errors
    /// [`KeyMismatch`] where they differ.
    pub fn check(self, found: Self) -> Result<(), KeyMismatch> {
        if self == found { Ok(()) } else { Err(KeyMismatch { expected: self, found }) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A ciphertext or key belongs to another secret than the operation works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("key {expected} is needed here, but the operand is under key {found}")]
pub struct KeyMismatch {
    /// The secret that the operation works with.
    pub expected: KeyId,
    /// The secret that the operand is under.
    pub found: KeyId,
}
