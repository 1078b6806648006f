//! Secret, public and evaluation keys.

use super::ciphertext::{check_words, pack, uniform, unpack};
use super::parameters::SIGMA;
use super::{CkksError, GaloisKey, Parameters, RelinearizationKey, SeededSwitchingKey};
use crate::key_id::{KeyId, KeyMismatch};
use crate::math::sampling::{self, Seed};
use crate::math::{Ntt, RnsPoly};
use crate::wire::{Conformant, PackedWords, Wire};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A ring secret with uniform coefficients in {-1, 0, 1}; wiped from memory when dropped, never
/// printed, never serialized.
pub struct SecretKey {
    coefficients: Zeroizing<Vec<i64>>,
    /// Modulo all primes, the special ones last.
    ntt: RnsPoly<Ntt>,
    id: KeyId,
}

impl SecretKey {
    /// A fresh secret.
    ///
    /// # Errors
    /// [`CkksError::Math`], which cannot occur for parameters that were built.
    pub fn generate(parameters: &Parameters, rng: &mut impl CryptoRng) -> Result<Self, CkksError> {
        let coefficients = sampling::ternary(parameters.dimension(), rng);
        let id = KeyId::random(rng);
        let rings = parameters.extended_rings(parameters.max_level());
        let ntt = RnsPoly::from_signed(&rings, &coefficients)?.into_ntt();
        Ok(Self { coefficients, ntt, id })
    }

    /// The id of this secret.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The secret coefficients; whoever calls this keeps them secret.
    #[must_use]
    pub fn coefficients(&self) -> &[i64] {
        &self.coefficients
    }

    /// The secret in the transformed domain, modulo all primes, the special ones last.
    pub(super) fn ntt(&self) -> &RnsPoly<Ntt> {
        &self.ntt
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

/// The wire form of a [`PublicKey`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededPublicKey {
    p0: Vec<PackedWords>,
    seed: Seed,
    key: KeyId,
}

impl SeededPublicKey {
    /// An encryption of zero under the secret, `p0 + p1 s = e`, modulo all primes: encryption divides
    /// by the special ones, and its noise with them.
    ///
    /// # Errors
    /// [`CkksError::Math`] where the secret is of other parameters.
    pub fn generate(
        parameters: &Parameters,
        secret: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, CkksError> {
        let seed = Seed::random(rng);
        let rings = parameters.extended_rings(parameters.max_level());
        let mut product = uniform(&rings, &mut seed.expand())?;
        product.mul_assign(&secret.ntt)?;
        let noise = sampling::gaussian_integers(parameters.dimension(), SIGMA, rng);
        let mut p0 = RnsPoly::from_signed(&rings, &noise)?.into_ntt();
        p0.sub_assign(&product)?;
        Ok(Self { p0: pack(&p0), seed, key: secret.id })
    }

    /// The key, ready for use.
    ///
    /// # Errors
    /// [`CkksError::Math`] or [`CkksError::ResidueWidth`] where the key is of other parameters.
    pub fn expand(&self, parameters: &Parameters) -> Result<PublicKey, CkksError> {
        let rings = parameters.extended_rings(parameters.max_level());
        let p1 = uniform(&rings, &mut self.seed.expand())?;
        let p0 = unpack(&self.p0, &rings)?;
        p0.check_limbs(&p1)?;
        Ok(PublicKey { p0, p1, key: self.key })
    }

    /// The secret that opens what this key encrypts.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl Wire for SeededPublicKey {
    const KIND: u16 = 10;
    const NAME: &'static str = "CKKS public key";
}

impl Conformant<Parameters> for SeededPublicKey {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        check_words(&self.p0, &parameters.extended_rings(parameters.max_level()))
    }
}

/// An encryption of zero under the secret, with which anyone can encrypt.
#[derive(Debug, Clone)]
pub struct PublicKey {
    pub(super) p0: RnsPoly<Ntt>,
    pub(super) p1: RnsPoly<Ntt>,
    pub(super) key: KeyId,
}

impl PublicKey {
    /// The secret that opens what this key encrypts.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}

/// Which keys operations need, each up to the highest level it is used at: keys for lower levels are
/// smaller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRequirements {
    /// The highest level of a product of ciphertexts.
    pub relinearization: Option<usize>,
    /// The highest level of each Galois element.
    pub galois: BTreeMap<usize, usize>,
}

impl KeyRequirements {
    /// What products of ciphertexts at `level` and below need.
    #[must_use]
    pub fn relinearization(level: usize) -> Self {
        Self { relinearization: Some(level), ..Self::default() }
    }

    /// What the automorphism `X -> X^element` at `level` and below needs.
    #[must_use]
    pub fn element(element: usize, level: usize) -> Self {
        let galois = (element != 1).then_some((element, level)).into_iter().collect();
        Self { galois, ..Self::default() }
    }

    /// What rotations by these steps at `level` and below need.
    #[must_use]
    pub fn rotations(
        parameters: &Parameters,
        steps: impl IntoIterator<Item = i64>,
        level: usize,
    ) -> Self {
        let elements = steps.into_iter().map(|steps| parameters.rotation_element(steps));
        elements.fold(Self::default(), |all, e| all.union(Self::element(e, level)))
    }

    /// What conjugation at `level` and below needs.
    #[must_use]
    pub fn conjugation(parameters: &Parameters, level: usize) -> Self {
        Self::element(parameters.conjugation_element(), level)
    }

    /// Bytes in memory of the [`EvaluationKeys`] that are made of these.
    #[must_use]
    pub fn bytes(&self, parameters: &Parameters) -> usize {
        let limbs = |&level: &usize| {
            let digits = (level + 1).div_ceil(parameters.digit_length());
            2 * digits * (level + 1 + parameters.special_rings().len())
        };
        let all = self.relinearization.iter().chain(self.galois.values());
        8 * parameters.dimension() * all.map(limbs).sum::<usize>()
    }

    /// What both need.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.relinearization = self.relinearization.max(other.relinearization);
        for (element, level) in other.galois {
            let highest = self.galois.entry(element).or_insert(level);
            *highest = level.max(*highest);
        }
        self
    }
}

/// The wire form of [`EvaluationKeys`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededEvaluationKeys {
    pub(super) relinearization: Option<SeededSwitchingKey>,
    pub(super) galois: BTreeMap<usize, SeededSwitchingKey>,
}

impl SeededEvaluationKeys {
    /// The keys, ready for use.
    ///
    /// # Errors
    /// [`CkksError::Math`], [`CkksError::Level`] or [`CkksError::ResidueWidth`] where a key is of
    /// other parameters.
    pub fn expand(&self, parameters: &Parameters) -> Result<EvaluationKeys, CkksError> {
        let relinearization = self.relinearization.as_ref();
        let relinearization = relinearization
            .map(|key| key.expand(parameters).map(RelinearizationKey))
            .transpose()?;
        let galois = self.galois.iter().map(|(&element, key)| {
            Ok((element, GaloisKey::new(element, key.expand(parameters)?, parameters)?))
        });
        Ok(EvaluationKeys { relinearization, galois: galois.collect::<Result<_, CkksError>>()? })
    }
}

impl SeededEvaluationKeys {
    /// What these keys suffice for.
    #[must_use]
    pub fn requirements(&self) -> KeyRequirements {
        let relinearization = self.relinearization.as_ref().map(SeededSwitchingKey::level);
        let galois = self.galois.iter().map(|(&element, key)| (element, key.level())).collect();
        KeyRequirements { relinearization, galois }
    }

    /// # Errors
    /// [`KeyMismatch`] where one of the keys is under another secret than `key`.
    pub fn check_key(&self, key: KeyId) -> Result<(), KeyMismatch> {
        let mut keys = self.relinearization.iter().chain(self.galois.values());
        keys.try_for_each(|found| key.check(found.key()))
    }
}

impl Wire for SeededEvaluationKeys {
    const KIND: u16 = 11;
    const NAME: &'static str = "set of CKKS evaluation keys";
}

impl Conformant<Parameters> for SeededEvaluationKeys {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        let elements = self.galois.keys();
        let wrong = |e: &&usize| e.is_multiple_of(2) || **e >= 2 * parameters.dimension();
        if let Some(element) = elements.clone().find(wrong) {
            return Err(format!("{element} is no Galois element of the ring"));
        }
        let mut keys = self.relinearization.iter().chain(self.galois.values());
        keys.try_for_each(|key| key.conforms(parameters))
    }
}

/// The keys that an evaluator works with: none of them secret.
#[derive(Debug, Clone)]
pub struct EvaluationKeys {
    relinearization: Option<RelinearizationKey>,
    galois: BTreeMap<usize, GaloisKey>,
}

impl EvaluationKeys {
    /// The key for products at `level`.
    ///
    /// # Errors
    /// [`CkksError::MissingRelinearizationKey`].
    pub fn relinearization(&self, level: usize) -> Result<&RelinearizationKey, CkksError> {
        let key = self.relinearization.as_ref().filter(|key| level <= key.0.level());
        key.ok_or(CkksError::MissingRelinearizationKey { level })
    }

    /// The key for `X -> X^element` at `level`.
    ///
    /// # Errors
    /// [`CkksError::MissingGaloisKey`].
    pub fn galois(&self, element: usize, level: usize) -> Result<&GaloisKey, CkksError> {
        let key = self.galois.get(&element).filter(|key| level <= key.key.level());
        key.ok_or(CkksError::MissingGaloisKey { element, level })
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let relinearization = self.relinearization.iter().map(|key| key.0.bytes());
        relinearization.chain(self.galois.values().map(|key| key.key.bytes())).sum()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.relinearization.is_some()) + self.galois.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
