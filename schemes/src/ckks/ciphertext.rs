//! Ciphertexts: in memory, seeded, and packed for the wire.

use super::{CkksError, Parameters, Scale};
use crate::key_id::KeyId;
use crate::math::sampling::{self, Seed};
use crate::math::{Ntt, Poly, Ring, RnsPoly};
use crate::packing::Packing;
use crate::wire::{Conformant, PackedWords, Wire};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// `(c0, c1)` with phase `c0 + c1 s`, in the transformed domain, under the secret named by its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Ciphertext<P: Packing> {
    pub(super) c0: RnsPoly<Ntt>,
    pub(super) c1: RnsPoly<Ntt>,
    pub(super) scale: Scale,
    pub(super) key: KeyId,
    packing: PhantomData<P>,
}

impl<P: Packing> Ciphertext<P> {
    pub(super) fn new([c0, c1]: [RnsPoly<Ntt>; 2], scale: Scale, key: KeyId) -> Self {
        Self { c0, c1, scale, key, packing: PhantomData }
    }

    /// A ciphertext from its parts, for those who make one by other means than encryption.
    ///
    /// # Errors
    /// [`CkksError::Math`] where the parts differ in limbs.
    pub fn from_parts(
        c0: RnsPoly<Ntt>,
        c1: RnsPoly<Ntt>,
        scale: Scale,
        key: KeyId,
    ) -> Result<Self, CkksError> {
        c0.check_limbs(&c1)?;
        Ok(Self::new([c0, c1], scale, key))
    }

    /// `c0`, the body.
    #[must_use]
    pub fn c0(&self) -> &RnsPoly<Ntt> {
        &self.c0
    }

    /// `c1`, the mask.
    #[must_use]
    pub fn c1(&self) -> &RnsPoly<Ntt> {
        &self.c1
    }

    /// The level: limbs less one.
    #[must_use]
    pub fn level(&self) -> usize {
        self.c0.limbs().len() - 1
    }

    /// The scale.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The same ciphertext read at another scale: its values change by the inverse ratio.
    #[must_use]
    pub fn with_scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// The same ciphertext read in another packing: what it holds in its slots, seen as
    /// coefficients, or the reverse.
    #[must_use]
    pub(super) fn repacked<Q: Packing>(self) -> Ciphertext<Q> {
        Ciphertext::new([self.c0, self.c1], self.scale, self.key)
    }

    /// The secret it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        2 * 8 * self.c0.limbs().len() * self.c0.dimension()
    }
}

/// Bits of a residue of the ring on the wire.
fn residue_bits(ring: &Ring) -> u32 {
    64 - ring.modulus().value().leading_zeros()
}

pub(super) fn pack(poly: &RnsPoly<Ntt>) -> Vec<PackedWords> {
    let limbs = poly.limbs().iter();
    limbs.map(|limb| PackedWords::pack(limb.values(), residue_bits(limb.ring()))).collect()
}

pub(super) fn unpack(words: &[PackedWords], rings: &[Ring]) -> Result<RnsPoly<Ntt>, CkksError> {
    let limbs = words.iter().zip(rings).map(|(words, ring)| {
        let (expected, found) = (residue_bits(ring), words.bits());
        if found != expected {
            return Err(CkksError::ResidueWidth { expected, found });
        }
        Ok(Poly::from_values(ring, words.unpack())?)
    });
    Ok(RnsPoly::from_limbs(limbs.collect::<Result<_, CkksError>>()?)?)
}

/// Checks the number of limbs, their words' number and width, and that each is a residue.
pub(super) fn check_words(words: &[PackedWords], rings: &[Ring]) -> Result<(), String> {
    if words.len() != rings.len() {
        return Err(format!("{} limbs where {} belong", words.len(), rings.len()));
    }
    for (words, ring) in words.iter().zip(rings) {
        words.check(ring.dimension(), residue_bits(ring))?;
    }
    unpack(words, rings).map(drop).map_err(|error| error.to_string())
}

/// Uniform limbs, each from the generator in turn.
pub(super) fn uniform(rings: &[Ring], rng: &mut impl CryptoRng) -> Result<RnsPoly<Ntt>, CkksError> {
    Ok(RnsPoly::from_limbs(
        rings.iter().map(|ring| sampling::uniform_reduced(ring, rng)).collect(),
    )?)
}

/// The rings of a ciphertext with this many limbs.
fn rings_of(limbs: usize, parameters: &Parameters) -> Result<&[Ring], CkksError> {
    parameters.check_level("reading a ciphertext", limbs.saturating_sub(1))?;
    Ok(&parameters.rings()[..limbs])
}

fn check_header<P: Packing>(packing: u8, scale: &Scale) -> Result<(), String> {
    if packing != P::TAG {
        return Err(format!("packing {packing} where values in {} are expected", P::NAME));
    }
    scale.finite().map(drop).map_err(|error| error.to_string())
}

/// A fresh ciphertext whose uniform half is a seed: half the size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SeededCiphertext<P: Packing> {
    packing_tag: u8,
    c0: Vec<PackedWords>,
    seed: Seed,
    scale: Scale,
    key: KeyId,
    packing: PhantomData<P>,
}

impl<P: Packing> SeededCiphertext<P> {
    pub(super) fn new(c0: &RnsPoly<Ntt>, seed: Seed, scale: Scale, key: KeyId) -> Self {
        Self { packing_tag: P::TAG, c0: pack(c0), seed, scale, key, packing: PhantomData }
    }

    /// Expands the seed.
    ///
    /// # Errors
    /// [`CkksError::Math`], [`CkksError::Level`] or [`CkksError::ResidueWidth`] where the words do
    /// not belong to `parameters`.
    pub fn expand(&self, parameters: &Parameters) -> Result<Ciphertext<P>, CkksError> {
        let rings = rings_of(self.c0.len(), parameters)?;
        let c1 = uniform(rings, &mut self.seed.expand())?;
        Ciphertext::from_parts(unpack(&self.c0, rings)?, c1, self.scale.clone(), self.key)
    }

    /// The level: limbs less one.
    #[must_use]
    pub fn level(&self) -> usize {
        self.c0.len().saturating_sub(1)
    }

    /// The scale.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The secret it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl<P: Packing> Wire for SeededCiphertext<P> {
    const KIND: u16 = 8;
    const NAME: &'static str = "seeded CKKS ciphertext with levels";
}

impl<P: Packing> Conformant<Parameters> for SeededCiphertext<P> {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        check_header::<P>(self.packing_tag, &self.scale)?;
        let rings = rings_of(self.c0.len(), parameters).map_err(|error| error.to_string())?;
        check_words(&self.c0, rings)
    }
}

/// The wire form of a ciphertext.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct PackedCiphertext<P: Packing> {
    packing_tag: u8,
    c0: Vec<PackedWords>,
    c1: Vec<PackedWords>,
    scale: Scale,
    key: KeyId,
    packing: PhantomData<P>,
}

impl<P: Packing> PackedCiphertext<P> {
    /// The ciphertext in memory.
    ///
    /// # Errors
    /// As [`SeededCiphertext::expand`].
    pub fn unpack(&self, parameters: &Parameters) -> Result<Ciphertext<P>, CkksError> {
        let rings = rings_of(self.c0.len(), parameters)?;
        let [c0, c1] = [unpack(&self.c0, rings)?, unpack(&self.c1, rings)?];
        Ciphertext::from_parts(c0, c1, self.scale.clone(), self.key)
    }

    /// The level: limbs less one.
    #[must_use]
    pub fn level(&self) -> usize {
        self.c0.len().saturating_sub(1)
    }

    /// The scale.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The secret it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl<P: Packing> From<&Ciphertext<P>> for PackedCiphertext<P> {
    fn from(ciphertext: &Ciphertext<P>) -> Self {
        Self {
            packing_tag: P::TAG,
            c0: pack(&ciphertext.c0),
            c1: pack(&ciphertext.c1),
            scale: ciphertext.scale.clone(),
            key: ciphertext.key,
            packing: PhantomData,
        }
    }
}

impl<P: Packing> Wire for PackedCiphertext<P> {
    const KIND: u16 = 9;
    const NAME: &'static str = "CKKS ciphertext with levels";
}

impl<P: Packing> Conformant<Parameters> for PackedCiphertext<P> {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        check_header::<P>(self.packing_tag, &self.scale)?;
        let rings = rings_of(self.c0.len(), parameters).map_err(|error| error.to_string())?;
        check_words(&self.c0, rings)?;
        check_words(&self.c1, rings)
    }
}
