//! The key that a machine pins to know its owner's bundles.

use super::BundleError;
use crate::hexadecimal;
use ed25519_dalek::{Signature, VerifyingKey};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

const PREFIX: &str = "ed25519:";

/// The owner's Ed25519 key, without what it signs with; written `ed25519:` and 64 hexadecimal
/// digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerKey(VerifyingKey);

/// A text that is no key of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is no owner's key: it is written ed25519: and 64 hexadecimal digits")]
pub struct OwnerKeyError;

impl OwnerKey {
    /// # Errors
    /// [`OwnerKeyError`] for bytes that are no point, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, OwnerKeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| OwnerKeyError)?;
        if key.is_weak() { Err(OwnerKeyError) } else { Ok(Self(key)) }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    pub(super) fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BundleError> {
        let verified = self.0.verify_strict(message, signature);
        verified.map_err(|_| BundleError::Signature { owner: self.to_string() })
    }
}

impl From<VerifyingKey> for OwnerKey {
    fn from(key: VerifyingKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hexadecimal::encode(&self.to_bytes()))
    }
}

impl FromStr for OwnerKey {
    type Err = OwnerKeyError;

    fn from_str(text: &str) -> Result<Self, OwnerKeyError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(OwnerKeyError)?;
        Self::from_bytes(&hexadecimal::decode(digits).ok_or(OwnerKeyError)?)
    }
}
