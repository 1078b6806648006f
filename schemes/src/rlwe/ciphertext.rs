//! Ciphertexts: in memory, seeded, and packed for the wire.

use super::{Packing, Parameters, RlweError, Scale};
use crate::key_id::KeyId;
use crate::math::sampling::{self, Seed};
use crate::math::{Coeff, Poly, Ring};
use crate::wire::{Conformant, PackedWords, Wire};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// `(c0, c1)` with phase `c0 + c1 s`, under the secret named by its key id.
#[derive(Debug, Clone, PartialEq)]
pub struct Ciphertext<P: Packing> {
    pub(super) c0: Poly<Coeff>,
    pub(super) c1: Poly<Coeff>,
    pub(super) scale: Scale,
    pub(super) key: KeyId,
    pub(super) packing: PhantomData<P>,
}

impl<P: Packing> Ciphertext<P> {
    /// A ciphertext from its parts, for those who make one by other means than encryption (the
    /// bridge).
    ///
    /// # Errors
    /// [`RlweError::Math`] where the parts are of different rings.
    pub fn from_parts(
        c0: Poly<Coeff>,
        c1: Poly<Coeff>,
        scale: Scale,
        key: KeyId,
    ) -> Result<Self, RlweError> {
        c0.ring().check_same(c1.ring())?;
        Ok(Self { c0, c1, scale, key, packing: PhantomData })
    }

    /// `c0`, the body.
    #[must_use]
    pub fn c0(&self) -> &Poly<Coeff> {
        &self.c0
    }

    /// `c1`, the mask.
    #[must_use]
    pub fn c1(&self) -> &Poly<Coeff> {
        &self.c1
    }

    /// The scale.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// The same ciphertext read at another scale: its values change by the inverse ratio.
    #[must_use]
    pub fn with_scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// The secret it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        self.c0.ring()
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        2 * 8 * self.ring().dimension()
    }
}

/// Bits of a residue of the ring on the wire.
fn residue_bits(ring: &Ring) -> u32 {
    64 - ring.modulus().value().leading_zeros()
}

pub(super) fn pack(poly: &Poly<Coeff>) -> PackedWords {
    PackedWords::pack(poly.values(), residue_bits(poly.ring()))
}

pub(super) fn unpack(words: &PackedWords, ring: &Ring) -> Result<Poly<Coeff>, RlweError> {
    let (expected, found) = (residue_bits(ring), words.bits());
    if found != expected {
        return Err(RlweError::ResidueWidth { expected, found });
    }
    Ok(Poly::from_values(ring, words.unpack())?)
}

/// Checks the words' number and width, and that each is a residue.
pub(super) fn check_words(words: &PackedWords, ring: &Ring) -> Result<(), String> {
    words.check(ring.dimension(), residue_bits(ring))?;
    unpack(words, ring).map(drop).map_err(|error| error.to_string())
}

fn check_header<P: Packing>(packing: u8, scale: Scale) -> Result<(), String> {
    if packing != P::TAG {
        return Err(format!("packing {packing} where values in {} are expected", P::NAME));
    }
    Scale::new(scale.value()).map(drop).map_err(|error| error.to_string())
}

/// A fresh ciphertext whose uniform half is a seed: half the size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SeededCiphertext<P: Packing> {
    packing_tag: u8,
    pub(super) c0: PackedWords,
    pub(super) seed: Seed,
    pub(super) scale: Scale,
    pub(super) key: KeyId,
    packing: PhantomData<P>,
}

impl<P: Packing> SeededCiphertext<P> {
    pub(super) fn new(c0: &Poly<Coeff>, seed: Seed, scale: Scale, key: KeyId) -> Self {
        Self { packing_tag: P::TAG, c0: pack(c0), seed, scale, key, packing: PhantomData }
    }

    /// The secret it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Expands the seed.
    ///
    /// # Errors
    /// [`RlweError::Math`] or [`RlweError::ResidueWidth`] where the words do not belong to the ring of
    /// `parameters`.
    pub fn expand(&self, parameters: &Parameters) -> Result<Ciphertext<P>, RlweError> {
        let ring = parameters.ring();
        let c1 = sampling::uniform(ring, &mut self.seed.expand());
        Ciphertext::from_parts(unpack(&self.c0, ring)?, c1, self.scale, self.key)
    }
}

impl<P: Packing> Wire for SeededCiphertext<P> {
    const KIND: u16 = 1;
    const NAME: &'static str = "seeded CKKS ciphertext";
}

impl<P: Packing> Conformant<Parameters> for SeededCiphertext<P> {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        check_header::<P>(self.packing_tag, self.scale)?;
        check_words(&self.c0, parameters.ring())
    }
}

/// The wire form of a ciphertext.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct PackedCiphertext<P: Packing> {
    packing_tag: u8,
    c0: PackedWords,
    c1: PackedWords,
    scale: Scale,
    key: KeyId,
    packing: PhantomData<P>,
}

impl<P: Packing> PackedCiphertext<P> {
    /// The ciphertext in memory.
    ///
    /// # Errors
    /// [`RlweError::Math`] or [`RlweError::ResidueWidth`] where the words do not belong to the ring of
    /// `parameters`.
    pub fn unpack(&self, parameters: &Parameters) -> Result<Ciphertext<P>, RlweError> {
        let ring = parameters.ring();
        Ciphertext::from_parts(
            unpack(&self.c0, ring)?,
            unpack(&self.c1, ring)?,
            self.scale,
            self.key,
        )
    }
}

impl<P: Packing> From<&Ciphertext<P>> for PackedCiphertext<P> {
    fn from(ciphertext: &Ciphertext<P>) -> Self {
        Self {
            packing_tag: P::TAG,
            c0: pack(&ciphertext.c0),
            c1: pack(&ciphertext.c1),
            scale: ciphertext.scale,
            key: ciphertext.key,
            packing: PhantomData,
        }
    }
}

impl<P: Packing> Wire for PackedCiphertext<P> {
    const KIND: u16 = 2;
    const NAME: &'static str = "CKKS ciphertext";
}

impl<P: Packing> Conformant<Parameters> for PackedCiphertext<P> {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        check_header::<P>(self.packing_tag, self.scale)?;
        check_words(&self.c0, parameters.ring())?;
        check_words(&self.c1, parameters.ring())
    }
}
