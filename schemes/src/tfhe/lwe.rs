//! Batches of LWE samples, stored flat: `count` times `dimension` mask words and a body.

use super::TfheError;
use crate::key_id::KeyId;

/// Samples modulo `2^64`, as bootstrapping returns them.
#[derive(Debug, Clone, PartialEq)]
pub struct LweBatch {
    dimension: usize,
    words: Vec<u64>,
    key: KeyId,
}

impl LweBatch {
    /// A batch from its words.
    ///
    /// # Errors
    /// [`TfheError::Dimension`] where the words are no whole number of samples.
    pub fn new(dimension: usize, words: Vec<u64>, key: KeyId) -> Result<Self, TfheError> {
        check_whole(dimension, words.len())?;
        Ok(Self { dimension, words, key })
    }

    /// The dimension of the secret.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number of samples.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.len() / (self.dimension + 1)
    }

    /// The secret they are under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The samples.
    pub fn samples(&self) -> std::slice::ChunksExact<'_, u64> {
        self.words.chunks_exact(self.dimension + 1)
    }

    /// The centred modulus switch to `2^log2_modulus`: each word is rounded, and the mean of the
    /// mask's rounding errors under a binary secret (half their sum) is first removed from the body
    /// (*Don't be mean*, ePrint 2025/809). Noise: [`super::noise::centered_modulus_switch`].
    ///
    /// # Errors
    /// [`TfheError::Parameter`] for a modulus of more than 32 bits.
    pub fn switch_modulus(&self, log2_modulus: u32) -> Result<SwitchedLweBatch, TfheError> {
        let shift = 64 - log2_modulus.clamp(1, 32);
        let half = 1u64 << (shift - 1);
        let mut words = Vec::with_capacity(self.words.len());
        for sample in self.samples() {
            let (mask, body) = sample.split_at(self.dimension);
            let mut errors = 0i64; // half the sum modulo 2^64, like the body it is added to
            for &word in mask {
                let rounded = word.wrapping_add(half) >> shift;
                errors = errors.wrapping_add((rounded << shift).wrapping_sub(word) as i64 >> 1);
                words.push(rounded as u32);
            }
            let centred = body.first().map_or(0, |b| b.wrapping_add(errors as u64));
            words.push((centred.wrapping_add(half) >> shift) as u32);
        }
        SwitchedLweBatch::new(self.dimension, log2_modulus, words, self.key)
    }
}

/// Samples modulo `2N`, as blind rotation takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchedLweBatch {
    dimension: usize,
    log2_modulus: u32,
    words: Vec<u32>,
    key: KeyId,
}

impl SwitchedLweBatch {
    /// A batch from its words, reduced modulo `2^log2_modulus`.
    ///
    /// # Errors
    /// [`TfheError::Dimension`] where the words are no whole number of samples,
    /// [`TfheError::Parameter`] for a modulus of more than 32 bits.
    pub fn new(
        dimension: usize,
        log2_modulus: u32,
        mut words: Vec<u32>,
        key: KeyId,
    ) -> Result<Self, TfheError> {
        check_whole(dimension, words.len())?;
        if !(1..=32).contains(&log2_modulus) {
            let (name, found) = ("bits of the switched modulus", log2_modulus as usize);
            return Err(TfheError::Parameter { name, found, allowed: "1 to 32" });
        }
        let mask = u32::MAX >> (32 - log2_modulus);
        words.iter_mut().for_each(|word| *word &= mask);
        Ok(Self { dimension, log2_modulus, words, key })
    }

    /// The dimension of the secret.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number of samples.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.len() / (self.dimension + 1)
    }

    /// `log2(2N)`.
    #[must_use]
    pub fn log2_modulus(&self) -> u32 {
        self.log2_modulus
    }

    /// The secret they are under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// All words, sample after sample.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }
}

fn check_whole(dimension: usize, words: usize) -> Result<(), TfheError> {
    if words.is_multiple_of(dimension + 1) {
        return Ok(());
    }
    let (name, expected, found) = ("words of a batch modulo a sample", 0, words % (dimension + 1));
    Err(TfheError::Dimension { name, expected, found })
}
