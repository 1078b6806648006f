//! Key generation.

use super::{
    CkksError, KeyRequirements, Parameters, SecretKey, SeededEvaluationKeys, SeededPublicKey,
    SeededSwitchingKey,
};
use crate::math::Permutation;
use rand::CryptoRng;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Makes the keys of its parameters.
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
    pub fn secret_key(&self, rng: &mut impl CryptoRng) -> Result<SecretKey, CkksError> {
        SecretKey::generate(&self.parameters, rng)
    }

    /// The public key of `secret`.
    ///
    /// # Errors
    /// [`CkksError::Math`] where the secret is of other parameters.
    pub fn public_key(
        &self,
        secret: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededPublicKey, CkksError> {
        SeededPublicKey::generate(&self.parameters, secret, rng)
    }

    /// The keys that `requirements` ask for.
    ///
    /// # Errors
    /// [`CkksError::Level`] above the highest level; [`CkksError::Math`] for a Galois element that
    /// does not exist or a secret of other parameters.
    pub fn evaluation_keys(
        &self,
        secret: &SecretKey,
        requirements: &KeyRequirements,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededEvaluationKeys, CkksError> {
        let relinearization = requirements.relinearization;
        let relinearization =
            relinearization.map(|level| self.relinearization(secret, level, rng)).transpose()?;
        let mut galois = BTreeMap::new();
        for (&element, &level) in &requirements.galois {
            galois.insert(element, self.galois(secret, element, level, rng)?);
        }
        Ok(SeededEvaluationKeys { relinearization, galois })
    }

    fn relinearization(
        &self,
        secret: &SecretKey,
        level: usize,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededSwitchingKey, CkksError> {
        let mut square = Zeroizing::new(secret.ntt().clone());
        square.mul_assign(secret.ntt())?;
        let target = (secret.id(), level);
        SeededSwitchingKey::generate(&self.parameters, &square, secret.ntt(), target, rng)
    }

    /// From `s` to `s(X^(1/element))`.
    fn galois(
        &self,
        secret: &SecretKey,
        element: usize,
        level: usize,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededSwitchingKey, CkksError> {
        let dimension = self.parameters.dimension();
        let inverse = inverse_element(element, dimension);
        let permutation = Permutation::new(inverse, dimension)?;
        let preimage = Zeroizing::new(secret.ntt().permuted(&permutation));
        let target = (secret.id(), level);
        SeededSwitchingKey::generate(&self.parameters, secret.ntt(), &preimage, target, rng)
    }
}

/// The inverse of an odd number modulo `2N`, by Newton's iteration; an even number stays even.
fn inverse_element(element: usize, dimension: usize) -> usize {
    let step = |x: usize, _| x.wrapping_mul(2usize.wrapping_sub(element.wrapping_mul(x)));
    let odd = (0..6).fold(element, step) % (2 * dimension);
    if element < 2 * dimension { odd } else { 0 }
}
