//! Encryption with the secret key (seeded) and with the public key.

use super::{
    Ciphertext, Packing, Parameters, Plaintext, PublicKey, RlweError, SecretKey, SeededCiphertext,
};
use crate::math::sampling::{self, Seed};
use crate::math::{Coeff, Ntt, Poly};
use rand::CryptoRng;

/// Encrypts under the fresh noise of its parameters.
#[derive(Debug, Clone)]
pub struct Encryptor {
    parameters: Parameters,
}

impl Encryptor {
    /// An encryptor for `parameters`.
    #[must_use]
    pub fn new(parameters: &Parameters) -> Self {
        Self { parameters: parameters.clone() }
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// `(m + e - a s, seed of a)`: half the size of a full ciphertext; noise
    /// [`super::noise::fresh_secret`].
    ///
    /// # Errors
    /// [`RlweError::Math`] where plaintext, key and parameters are of different rings.
    pub fn encrypt<P: Packing>(
        &self,
        plaintext: &Plaintext<P>,
        key: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededCiphertext<P>, RlweError> {
        let seed = Seed::random(rng);
        let mask = sampling::uniform(self.parameters.ring(), &mut seed.expand());
        let mut body = self.noise(rng);
        body.add_assign(&plaintext.poly)?;
        body.sub_assign(&key.times(&mask)?)?;
        Ok(SeededCiphertext::new(&body, seed, plaintext.scale, key.id()))
    }

    /// `(p0 u + e0 + m, p1 u + e1)` with `u` of the secret's distribution; noise
    /// [`super::noise::fresh_public`].
    ///
    /// # Errors
    /// [`RlweError::Math`] where plaintext, key and parameters are of different rings.
    pub fn encrypt_public<P: Packing>(
        &self,
        plaintext: &Plaintext<P>,
        key: &PublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Ciphertext<P>, RlweError> {
        let ephemeral = SecretKey::generate(&self.parameters, rng)?;
        let mut parts = [Poly::<Coeff>::zero(self.parameters.ring()), self.noise(rng)];
        parts[0].add_assign(&self.noise(rng))?;
        parts[0].add_assign(&plaintext.poly)?;
        for (part, public) in parts.iter_mut().zip([&key.p0, &key.p1]) {
            let mut product = Poly::<Ntt>::zero(self.parameters.ring());
            product.add_product(public, ephemeral.ntt())?;
            part.add_assign(&product.into_coeff())?;
        }
        let [c0, c1] = parts;
        Ciphertext::from_parts(c0, c1, plaintext.scale, key.key)
    }

    fn noise(&self, rng: &mut impl CryptoRng) -> Poly<Coeff> {
        sampling::gaussian(self.parameters.ring(), self.parameters.sigma(), rng)
    }
}
