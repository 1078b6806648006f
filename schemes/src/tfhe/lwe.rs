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
        check_whole(dimension + 1, words.len())?;
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

    /// The centred modulus switch to `2^log2_modulus`, for blind rotation with `grouping_factor` key
    /// bits a step: see [`SwitchedLweBatch`]. Each group of mask words is rounded so that the
    /// variance of its error over the group's key bits is the least, and the mean of that error is
    /// first removed from the body (*Don't be mean*, ePrint 2025/809). Noise:
    /// [`super::noise::centered_modulus_switch`].
    ///
    /// # Errors
    /// [`TfheError::Parameter`] for a modulus of more than 32 bits, or a grouping factor that is none.
    pub fn switch_modulus(
        &self,
        log2_modulus: u32,
        grouping_factor: usize,
    ) -> Result<SwitchedLweBatch, TfheError> {
        let stride = switched_stride(self.dimension, grouping_factor)?;
        let shift = 64 - log2_modulus.clamp(1, 32);
        let mut words = Vec::with_capacity(self.count() * stride);
        for sample in self.samples() {
            let (mask, body) = sample.split_at(self.dimension);
            let mut errors = 0i64; // modulo 2^64, like the body they are added to
            for group in mask.chunks_exact(grouping_factor) {
                errors = errors.wrapping_add(switch_group(group, shift, &mut words));
            }
            let centred = body.first().map_or(0, |b| b.wrapping_add(errors as u64));
            words.push((centred.wrapping_add(1 << (shift - 1)) >> shift) as u32);
        }
        SwitchedLweBatch::new(self.dimension, grouping_factor, log2_modulus, words, self.key)
    }
}

/// Rounds the sums of all combinations of a group's words to multiples of `2^shift`, appends them
/// divided by that, and returns the mean error.
///
/// All roundings of one combination may move by the same multiple without harm, for what they move
/// is known. The least variance is therefore that of a lattice point nearest to a line; the
/// candidates are found by rounding ever more of the smallest errors up instead (McKilliam, Clarkson
/// and Quinn, *An algorithm to compute the nearest point in the lattice A_n\**, 2008).
fn switch_group(group: &[u64], shift: u32, words: &mut Vec<u32>) -> i64 {
    let combinations = 1usize << group.len();
    let mut sums = [0u64; 1 << LARGEST_GROUPING_FACTOR];
    let mut errors = [(0i64, 0usize); 1 << LARGEST_GROUPING_FACTOR];
    for combination in 1..combinations {
        let lowest = combination & combination.wrapping_neg();
        let word = group[lowest.trailing_zeros() as usize];
        let sum = sums[combination ^ lowest].wrapping_add(word);
        let rounded = sum.wrapping_add(1 << (shift - 1)) >> shift << shift;
        sums[combination] = sum;
        errors[combination] = (rounded.wrapping_sub(sum) as i64, combination);
    }
    let errors = &mut errors[..combinations];
    errors.sort_unstable();
    let moved = moves_of_least_variance(errors, shift);
    let mut moves = [0u64; 1 << LARGEST_GROUPING_FACTOR];
    errors[..moved].iter().for_each(|&(_, combination)| moves[combination] = 1);
    // relative to the empty combination, whose exponent must be zero
    for combination in 1..combinations {
        let rounded = sums[combination].wrapping_add(1 << (shift - 1)) >> shift;
        words.push(rounded.wrapping_add(moves[combination]).wrapping_sub(moves[0]) as u32);
    }
    let total: i128 = errors.iter().map(|&(error, _)| i128::from(error)).sum();
    let moved = (moved as i128) << shift;
    ((total + moved) / combinations as i128 - (i128::from(moves[0]) << shift)) as i64
}

/// How many of the sorted errors to raise by `2^shift` for the least variance of all.
fn moves_of_least_variance(errors: &[(i64, usize)], shift: u32) -> usize {
    let unit = (-f64::from(shift)).exp2();
    let count = errors.len() as f64;
    let mut sum: f64 = errors.iter().map(|&(error, _)| error as f64 * unit).sum();
    // the sum of squares, less that of the errors themselves
    let (mut squares, mut best) = (0.0, (-sum * sum / count, 0));
    for (moved, &(error, _)) in errors.iter().enumerate().take(errors.len() - 1) {
        squares += 2.0 * error as f64 * unit + 1.0;
        sum += 1.0;
        let variance = squares - sum * sum / count;
        if variance < best.0 {
            best = (variance, moved + 1);
        }
    }
    best.1
}

/// The most key bits that go into a step.
const LARGEST_GROUPING_FACTOR: usize = 3;

/// Words of a switched sample: `(2^g - 1) n/g` exponents and the body.
fn switched_stride(dimension: usize, grouping_factor: usize) -> Result<usize, TfheError> {
    let fits = (1..=LARGEST_GROUPING_FACTOR).contains(&grouping_factor)
        && dimension.is_multiple_of(grouping_factor);
    if !fits {
        return Err(TfheError::Parameter {
            name: "grouping factor",
            found: grouping_factor,
            allowed: "1, 2 or 3, a divisor of the LWE dimension",
        });
    }
    Ok(dimension / grouping_factor * ((1 << grouping_factor) - 1) + 1)
}

/// Samples modulo `2N`, as blind rotation takes them: for each group of `g` mask words the rounded sum
/// of each of their combinations but the empty one, from 1 to `2^g - 1` with the first word lowest;
/// then the body. For `g = 1` that is the rounded sample itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchedLweBatch {
    dimension: usize,
    grouping_factor: usize,
    log2_modulus: u32,
    words: Vec<u32>,
    key: KeyId,
}

impl SwitchedLweBatch {
    /// A batch from its words, reduced modulo `2^log2_modulus`.
    ///
    /// # Errors
    /// [`TfheError::Dimension`] where the words are no whole number of samples,
    /// [`TfheError::Parameter`] for a modulus of more than 32 bits, or a grouping factor that is none.
    pub fn new(
        dimension: usize,
        grouping_factor: usize,
        log2_modulus: u32,
        mut words: Vec<u32>,
        key: KeyId,
    ) -> Result<Self, TfheError> {
        check_whole(switched_stride(dimension, grouping_factor)?, words.len())?;
        if !(1..=32).contains(&log2_modulus) {
            let (name, found) = ("bits of the switched modulus", log2_modulus as usize);
            return Err(TfheError::Parameter { name, found, allowed: "1 to 32" });
        }
        let mask = u32::MAX >> (32 - log2_modulus);
        words.iter_mut().for_each(|word| *word &= mask);
        Ok(Self { dimension, grouping_factor, log2_modulus, words, key })
    }

    /// The dimension of the secret.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number of samples.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.len() / self.stride()
    }

    /// Key bits a step.
    #[must_use]
    pub fn grouping_factor(&self) -> usize {
        self.grouping_factor
    }

    /// Words of a sample: `(2^g - 1) n/g + 1`.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.dimension / self.grouping_factor * ((1 << self.grouping_factor) - 1) + 1
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

fn check_whole(stride: usize, words: usize) -> Result<(), TfheError> {
    if words.is_multiple_of(stride) {
        return Ok(());
    }
    let (name, expected, found) = ("words of a batch modulo a sample", 0, words % stride);
    Err(TfheError::Dimension { name, expected, found })
}
