//! Decryption.

use super::{Ciphertext, Packing, Plaintext, RlweError, SecretKey};
use std::sync::Arc;

/// Opens ciphertexts under one secret.
///
/// What it returns carries the encryption's noise. Whoever gives decrypted values to others gives
/// them information on the secret (Li and Micciancio, ePrint 2020/1533); round them first.
#[derive(Debug, Clone)]
pub struct Decryptor {
    key: Arc<SecretKey>,
}

impl Decryptor {
    /// A decryptor for `key`.
    #[must_use]
    pub fn new(key: Arc<SecretKey>) -> Self {
        Self { key }
    }

    /// The phase `c0 + c1 s`.
    ///
    /// # Errors
    /// [`RlweError::Key`] under another secret, [`RlweError::Math`] in another ring.
    pub fn decrypt<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
    ) -> Result<Plaintext<P>, RlweError> {
        self.key.id().check(ciphertext.key)?;
        let mut phase = self.key.times(&ciphertext.c1)?;
        phase.add_assign(&ciphertext.c0)?;
        Ok(Plaintext::new(phase, ciphertext.scale))
    }
}
