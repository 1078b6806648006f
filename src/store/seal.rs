//! Secrets at rest: Argon2id makes a key from a passphrase, XChaCha20-Poly1305 seals under it.
//!
//! What a secret belongs to and what the passphrase costs to try are associated data: a sealed
//! secret that is moved to another model, or whose cost is lowered, does not open.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a salt (RFC 9106, section 3.1).
pub const SALT_BYTES: usize = 16;
/// Bytes of a nonce of XChaCha20, which may be drawn at random.
pub const NONCE_BYTES: usize = 24;
/// The shortest passphrase, in characters.
pub const PASSPHRASE_LEAST: usize = 8;
const DOMAIN: &[u8] = b"bellerophon sealed secret 1";
/// More than anyone would choose; what is read from a file must not exhaust the machine.
const MEMORY_MOST_KIB: u32 = 4 << 20;
const PASSES_MOST: u32 = 64;
const LANES_MOST: u32 = 64;

/// Why a secret was not sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// Wrong passphrase, or altered, or moved here from elsewhere: these cannot be told apart.
    #[error("the passphrase is wrong, or the sealed secret was altered or belongs elsewhere")]
    Refused,
    /// A passphrase that can be guessed.
    #[error("the passphrase is too short: use at least {PASSPHRASE_LEAST} characters")]
    Short,
    /// Parameters of Argon2id that cannot be used.
    #[error("Argon2id with {memory_kib} KiB, {passes} passes and {lanes} lanes cannot be used")]
    Cost {
        /// Memory.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// A salt or nonce of another length.
    #[error("the sealed secret is damaged: its salt or nonce has another length")]
    Damaged,
}

/// What a person knows; zeroized on drop, never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// # Errors
    /// [`SealError::Short`].
    pub fn new(text: Zeroizing<String>) -> Result<Self, SealError> {
        match text.chars().count() < PASSPHRASE_LEAST {
            true => Err(SealError::Short),
            false => Ok(Self(text)),
        }
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// What one attempt at a passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Cost {
    /// 64 MiB, 3 passes, 4 lanes: the second recommendation of RFC 9106, section 4.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 4 }
    }
}

impl Cost {
    /// The least that Argon2id takes, which protects no passphrase: for tests.
    #[must_use]
    pub fn insecure_least() -> Self {
        Self { memory_kib: 8, passes: 1, lanes: 1 }
    }

    /// As stored.
    ///
    /// # Errors
    /// [`SealError::Cost`] where Argon2id does not take them, or they would exhaust the machine.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, SealError> {
        let cost = Self { memory_kib, passes, lanes };
        let most = memory_kib <= MEMORY_MOST_KIB && passes <= PASSES_MOST && lanes <= LANES_MOST;
        match most {
            true => cost.parameters().map(|_| cost),
            false => Err(cost.refused()),
        }
    }

    /// Memory in KiB, passes, lanes.
    #[must_use]
    pub fn parts(self) -> [u32; 3] {
        [self.memory_kib, self.passes, self.lanes]
    }

    fn refused(self) -> SealError {
        let Self { memory_kib, passes, lanes } = self;
        SealError::Cost { memory_kib, passes, lanes }
    }

    fn parameters(self) -> Result<Params, SealError> {
        let parameters = Params::new(self.memory_kib, self.passes, self.lanes, Some(32));
        parameters.map_err(|_| self.refused())
    }

    fn key(self, passphrase: &Passphrase, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, SealError> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.parameters()?);
        let mut key = Zeroizing::new([0; 32]);
        let made = argon2.hash_password_into(passphrase.0.as_bytes(), salt, &mut *key);
        made.map(|()| key).map_err(|_| self.refused())
    }
}

/// A secret that only its passphrase opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What it cost to make the key.
    pub cost: Cost,
    /// [`SALT_BYTES`] bytes.
    pub salt: Vec<u8>,
    /// [`NONCE_BYTES`] bytes.
    pub nonce: Vec<u8>,
    /// The ciphertext, and a tag of 16 bytes.
    pub bytes: Vec<u8>,
}

impl Sealed {
    /// Seals `secret`, which belongs to `context`.
    ///
    /// # Errors
    /// [`SealError::Cost`] where there is not enough memory.
    pub fn new(
        secret: &[u8],
        context: &[u8],
        passphrase: &Passphrase,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealError> {
        let (mut salt, mut nonce) = (vec![0; SALT_BYTES], [0; NONCE_BYTES]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let key = cost.key(passphrase, &salt)?;
        let data = associated(context, cost);
        let payload = Payload { msg: secret, aad: &data };
        let bytes = cipher(&key).encrypt(&XNonce::from(nonce), payload);
        let bytes = bytes.map_err(|_| SealError::Refused)?;
        Ok(Self { cost, salt, nonce: nonce.to_vec(), bytes })
    }

    /// Opens it where it belongs to `context`.
    ///
    /// # Errors
    /// [`SealError::Refused`] for another passphrase or context, or altered bytes;
    /// [`SealError::Damaged`].
    pub fn open(
        &self,
        context: &[u8],
        passphrase: &Passphrase,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let nonce: [u8; NONCE_BYTES] =
            self.nonce.as_slice().try_into().map_err(|_| SealError::Damaged)?;
        if self.salt.len() != SALT_BYTES {
            return Err(SealError::Damaged);
        }
        let key = self.cost.key(passphrase, &self.salt)?;
        let data = associated(context, self.cost);
        let payload = Payload { msg: &self.bytes, aad: &data };
        let opened = cipher(&key).decrypt(&XNonce::from(nonce), payload);
        opened.map(Zeroizing::new).map_err(|_| SealError::Refused)
    }
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(<&Key>::from(key))
}

fn associated(context: &[u8], cost: Cost) -> Vec<u8> {
    let cost = cost.parts().map(u32::to_le_bytes).concat();
    [DOMAIN, &cost, context].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn sealed() -> Sealed {
        let passphrase = passphrase("correct horse");
        let cost = Cost::insecure_least();
        Sealed::new(b"the seed", b"model@1", &passphrase, cost, &mut tiny::rng(1)).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_hides() {
        let sealed = sealed();
        let opened = sealed.open(b"model@1", &passphrase("correct horse")).unwrap();
        assert_eq!(opened.as_slice(), b"the seed");
        assert_eq!(sealed.bytes.len(), 8 + 16);
        assert!(!sealed.bytes.windows(4).any(|window| window == b"seed"));
    }

    #[test]
    fn salts_and_nonces_are_fresh() {
        let mut rng = tiny::rng(2);
        let mut seal = || {
            let cost = Cost::insecure_least();
            Sealed::new(b"the seed", b"", &passphrase("correct horse"), cost, &mut rng).unwrap()
        };
        let (first, second) = (seal(), seal());
        assert_ne!(first.salt, second.salt);
        assert_ne!(first.nonce, second.nonce);
        assert_ne!(first.bytes, second.bytes);
    }

    #[test]
    fn whatever_differs_is_refused() {
        let right = passphrase("correct horse");
        let refused = |sealed: &Sealed, context: &[u8], passphrase: &Passphrase| {
            assert_eq!(sealed.open(context, passphrase), Err(SealError::Refused));
        };
        let sealed = sealed();
        refused(&sealed, b"model@1", &passphrase("correct horsf"));
        refused(&sealed, b"model@2", &right);
        for at in 0..sealed.bytes.len() {
            let mut copy = sealed.clone();
            copy.bytes[at] ^= 1;
            refused(&copy, b"model@1", &right);
        }
        let mut copy = sealed.clone();
        copy.salt[0] ^= 1;
        refused(&copy, b"model@1", &right);
        let mut copy = sealed.clone();
        copy.nonce[23] ^= 1;
        refused(&copy, b"model@1", &right);
        let mut copy = sealed.clone();
        copy.cost = Cost::new(16, 1, 1).unwrap();
        refused(&copy, b"model@1", &right);
        let mut copy = sealed;
        copy.nonce.pop();
        assert_eq!(copy.open(b"model@1", &right), Err(SealError::Damaged));
    }

    #[test]
    fn costs_that_exhaust_the_machine_are_refused() {
        for [memory, passes, lanes] in [[u32::MAX, 1, 1], [64, 1000, 1], [1 << 20, 1, 1000]] {
            let refused = Cost::new(memory, passes, lanes).unwrap_err();
            assert!(matches!(refused, SealError::Cost { .. }), "{refused}");
        }
        assert!(Cost::new(0, 1, 1).is_err() && Cost::new(8, 0, 1).is_err());
        assert_eq!(Cost::new(64 << 10, 3, 4), Ok(Cost::default()));
    }

    #[test]
    fn passphrases_are_never_shown_nor_short() {
        assert_eq!(format!("{:?}", passphrase("correct horse")), "Passphrase(..)");
        let short = Passphrase::new(Zeroizing::new("1234567".to_owned()));
        assert_eq!(short.unwrap_err(), SealError::Short);
    }
}
