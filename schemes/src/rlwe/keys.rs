//! Secret and public keys.

use super::ciphertext::{check_words, pack, unpack};
use super::{Parameters, RlweError};
use crate::key_id::KeyId;
use crate::math::sampling::{self, Seed};
use crate::math::{Coeff, MathError, Ntt, Poly, Ring};
use crate::security::{LweInstance, SecretDistribution};
use crate::wire::{Conformant, PackedWords, Wire};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A ring secret `s(X)`; wiped from memory when dropped, never printed, never serialized.
pub struct SecretKey {
    coefficients: Zeroizing<Vec<i64>>,
    ntt: Poly<Ntt>,
    distribution: SecretDistribution,
    unknowns: usize,
    id: KeyId,
}

impl SecretKey {
    /// A fresh secret of the parameters' distribution.
    ///
    /// # Errors
    /// [`RlweError::Math`], which cannot occur for parameters that were built.
    pub fn generate(parameters: &Parameters, rng: &mut impl CryptoRng) -> Result<Self, RlweError> {
        let n = parameters.ring().dimension();
        let coefficients = match parameters.distribution() {
            SecretDistribution::Binary => sampling::binary(n, rng),
            SecretDistribution::Ternary => sampling::ternary(n, rng),
        };
        let id = KeyId::random(rng);
        Self::from_coefficients(parameters.ring(), coefficients, parameters.distribution(), n, id)
    }

    /// A secret with given coefficients, `unknowns` of which an attacker does not know: the full
    /// dimension for a secret shared with another scheme, less for a *partial* secret whose other
    /// coefficients are zero (Bergerat et al., ePrint 2023/979).
    ///
    /// # Errors
    /// [`RlweError::Math`] where there are not `N` coefficients.
    pub fn from_coefficients(
        ring: &Ring,
        coefficients: Zeroizing<Vec<i64>>,
        distribution: SecretDistribution,
        unknowns: usize,
        id: KeyId,
    ) -> Result<Self, RlweError> {
        if coefficients.len() != ring.dimension() {
            let (expected, found) = (ring.dimension(), coefficients.len());
            return Err(MathError::Length { expected, found }.into());
        }
        let ntt = Poly::from_signed(ring, &coefficients)?.into_ntt();
        Ok(Self { coefficients, ntt, distribution, unknowns, id })
    }

    /// The id of this secret.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        self.ntt.ring()
    }

    /// The secret coefficients; whoever calls this keeps them secret.
    #[must_use]
    pub fn coefficients(&self) -> &[i64] {
        &self.coefficients
    }

    pub(super) fn ntt(&self) -> &Poly<Ntt> {
        &self.ntt
    }

    /// The distribution of the unknown coefficients.
    #[must_use]
    pub fn distribution(&self) -> SecretDistribution {
        self.distribution
    }

    /// The LWE instance that an encryption under this secret is, with noise of standard deviation
    /// `sigma` in units of 1.
    #[must_use]
    pub fn instance(&self, sigma: f64) -> LweInstance {
        let log2_modulus = self.ring().modulus().log2();
        LweInstance {
            dimension: self.unknowns,
            log2_modulus,
            log2_std: sigma.log2() - log2_modulus,
            distribution: self.distribution,
        }
    }

    /// `mask * s`.
    pub(super) fn times(&self, mask: &Poly<Coeff>) -> Result<Poly<Coeff>, RlweError> {
        let mut product = Poly::<Ntt>::zero(self.ring());
        product.add_product(&mask.clone().into_ntt(), &self.ntt)?;
        Ok(product.into_coeff())
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.ntt.zeroize(); // the coefficients wipe themselves
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The wire form of a [`PublicKey`]: its uniform half is a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededPublicKey {
    p0: PackedWords,
    seed: Seed,
    key: KeyId,
}

impl SeededPublicKey {
    /// An encryption of zero under the secret, with noise of standard deviation `sigma` (units of 1).
    ///
    /// # Errors
    /// [`RlweError::Noise`] for a meaningless `sigma`.
    pub(super) fn generate(
        secret: &SecretKey,
        sigma: f64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, RlweError> {
        super::parameters::check_sigma(sigma, secret.ring())?;
        let seed = Seed::random(rng);
        let p1 = sampling::uniform(secret.ring(), &mut seed.expand());
        let mut p0 = sampling::gaussian(secret.ring(), sigma, rng);
        p0.sub_assign(&secret.times(&p1)?)?;
        Ok(Self { p0: pack(&p0), seed, key: secret.id() })
    }

    /// The key, ready for use.
    ///
    /// # Errors
    /// [`RlweError::Math`] or [`RlweError::ResidueWidth`] where the key is of another ring.
    pub fn expand(&self, ring: &Ring) -> Result<PublicKey, RlweError> {
        let p1 = sampling::uniform::<Coeff>(ring, &mut self.seed.expand());
        let p0 = unpack(&self.p0, ring)?;
        Ok(PublicKey { p0: p0.into_ntt(), p1: p1.into_ntt(), key: self.key })
    }

    /// The secret that opens what this key encrypts.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl Wire for SeededPublicKey {
    const KIND: u16 = 51;
    const NAME: &'static str = "public key";
}

impl Conformant<Parameters> for SeededPublicKey {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        check_words(&self.p0, parameters.ring())
    }
}

/// An encryption of zero under the secret, `p0 + p1 s = e`, with which anyone can encrypt.
#[derive(Debug, Clone)]
pub struct PublicKey {
    pub(super) p0: Poly<Ntt>,
    pub(super) p1: Poly<Ntt>,
    pub(super) key: KeyId,
}

impl PublicKey {
    /// The secret that opens what this key encrypts.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}
