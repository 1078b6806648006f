//! Key generation.

use super::{
    Gadget, Parameters, RlweError, SecretKey, SeededGaloisKey, SeededPublicKey, SeededSwitchingKey,
};
use rand::CryptoRng;

/// Makes keys with the noise of its parameters.
#[derive(Debug, Clone)]
pub struct KeyGenerator {
    parameters: Parameters,
}

impl KeyGenerator {
    /// A generator for `parameters`.
    #[must_use]
    pub fn new(parameters: &Parameters) -> Self {
        Self { parameters: parameters.clone() }
    }

    /// A fresh secret.
    ///
    /// # Errors
    /// As [`SecretKey::generate`].
    pub fn secret_key(&self, rng: &mut impl CryptoRng) -> Result<SecretKey, RlweError> {
        SecretKey::generate(&self.parameters, rng)
    }

    /// The public key of `secret`.
    ///
    /// # Errors
    /// [`RlweError::Math`] where the secret is of another ring.
    pub fn public_key(
        &self,
        secret: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededPublicKey, RlweError> {
        self.parameters.ring().check_same(secret.ring())?;
        SeededPublicKey::generate(secret, self.parameters.sigma(), rng)
    }

    /// The key that switches from `source` to `target`, a secret of these parameters.
    ///
    /// # Errors
    /// As [`SeededSwitchingKey::generate`].
    pub fn switching_key(
        &self,
        source: &SecretKey,
        target: &SecretKey,
        gadget: Gadget,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededSwitchingKey, RlweError> {
        SeededSwitchingKey::generate(source, target, gadget, self.parameters.sigma(), rng)
    }

    /// The key of the automorphism `X -> X^element` of `secret`.
    ///
    /// # Errors
    /// As [`SeededGaloisKey::generate`].
    pub fn galois_key(
        &self,
        secret: &SecretKey,
        element: usize,
        gadget: Gadget,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededGaloisKey, RlweError> {
        SeededGaloisKey::generate(secret, element, gadget, self.parameters.sigma(), rng)
    }
}
