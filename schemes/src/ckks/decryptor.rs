//! Decryption.

use super::{Ciphertext, CkksError, Plaintext, SecretKey};
use crate::packing::Packing;
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
    /// [`CkksError::Key`] under another secret, [`CkksError::Math`] for other parameters.
    pub fn decrypt<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
    ) -> Result<Plaintext<P>, CkksError> {
        self.key.id().check(ciphertext.key)?;
        let mut phase = ciphertext.c0.clone();
        phase.add_product(&ciphertext.c1, self.key.ntt())?;
        Ok(Plaintext::new(phase, ciphertext.scale.clone()))
    }
}
