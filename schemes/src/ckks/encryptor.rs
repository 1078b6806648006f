//! Encryption with the secret key (seeded) and with the public key.

use super::ciphertext::uniform;
use super::key_switch::Extended;
use super::parameters::SIGMA;
use super::{Ciphertext, CkksError, Parameters, Plaintext, PublicKey, SecretKey, SeededCiphertext};
use crate::math::sampling::{self, Seed};
use crate::math::{Ntt, Ring, RnsPoly};
use crate::packing::Packing;
use rand::CryptoRng;

/// Encrypts, at the level and scale of the plaintext.
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

    /// `(m + e - a s, seed of a)`: half the size of a full ciphertext; noise
    /// [`super::noise::fresh_secret`].
    ///
    /// # Errors
    /// [`CkksError::Math`] where plaintext, key and parameters do not belong together.
    pub fn encrypt<P: Packing>(
        &self,
        plaintext: &Plaintext<P>,
        key: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededCiphertext<P>, CkksError> {
        let rings = self.rings(plaintext)?;
        let seed = Seed::random(rng);
        let mut product = RnsPoly::zero(rings);
        product.add_product(&uniform(rings, &mut seed.expand())?, key.ntt())?;
        let mut body = self.noise(rings, rng)?;
        body.add_assign(&plaintext.poly)?;
        body.sub_assign(&product)?;
        Ok(SeededCiphertext::new(&body, seed, plaintext.scale.clone(), key.id()))
    }

    /// `((p0 u + e0) / P + m, (p1 u + e1) / P)` with a ternary `u`; noise
    /// [`super::noise::fresh_public`].
    ///
    /// # Errors
    /// [`CkksError::Math`] where plaintext, key and parameters do not belong together.
    pub fn encrypt_public<P: Packing>(
        &self,
        plaintext: &Plaintext<P>,
        key: &PublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Ciphertext<P>, CkksError> {
        let level = plaintext.level();
        self.parameters.check_level("encryption", level)?;
        let rings = self.parameters.extended_rings(level);
        let ephemeral = sampling::ternary(self.parameters.dimension(), rng);
        let ephemeral = RnsPoly::from_signed(&rings, &ephemeral)?.into_ntt();
        let mut parts = [self.noise(&rings, rng)?, self.noise(&rings, rng)?];
        for (part, public) in parts.iter_mut().zip([&key.p0, &key.p1]) {
            part.add_product(&self.parameters.at_level(public, level)?, &ephemeral)?;
        }
        let mut parts = parts.map(|part| Extended(part).divide(&self.parameters));
        parts[0].add_assign(&plaintext.poly)?;
        Ok(Ciphertext::new(parts, plaintext.scale.clone(), key.key))
    }

    fn rings<P: Packing>(&self, plaintext: &Plaintext<P>) -> Result<&[Ring], CkksError> {
        self.parameters.check_level("encryption", plaintext.level())?;
        Ok(&self.parameters.rings()[..=plaintext.level()])
    }

    fn noise(&self, rings: &[Ring], rng: &mut impl CryptoRng) -> Result<RnsPoly<Ntt>, CkksError> {
        let noise = sampling::gaussian_integers(self.parameters.dimension(), SIGMA, rng);
        Ok(RnsPoly::from_signed(rings, &noise)?.into_ntt())
    }
}
