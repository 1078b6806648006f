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

    /// All words, sample by sample.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// One sample: its mask, then its body.
    #[must_use]
    pub fn sample(&self, index: usize) -> Option<&[u64]> {
        let stride = self.dimension + 1;
        self.words.get(index.checked_mul(stride)?..)?.get(..stride)
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
        check_grouping_factor(self.dimension, grouping_factor)?;
        let stride = switched_stride(self.dimension, grouping_factor);
        let shift = 64 - log2_modulus.clamp(1, 32);
        let switch = match grouping_factor {
            1 => switch_groups::<2>,
            2 => switch_groups::<4>,
            _ => switch_groups::<8>,
        };
        let mut words = Vec::with_capacity(self.count() * stride);
        for sample in self.samples() {
            let (mask, body) = sample.split_at(self.dimension);
            let error = switch(mask, shift, &mut words);
            let centred = body.first().map_or(0, |b| b.wrapping_add(error as u64));
            words.push((centred.wrapping_add(1 << (shift - 1)) >> shift) as u32);
        }
        SwitchedLweBatch::new(self.dimension, grouping_factor, log2_modulus, words, self.key)
    }
}

/// Groups that are switched together, so that the compiler can use vectors.
const LANES: usize = 8;

/// Rounds the sums of all `C = 2^g` combinations of each group of `g` mask words to multiples of
/// `2^shift`, appends them divided by that, and returns the sum of the groups' mean errors modulo
/// `2^64`.
fn switch_groups<const C: usize>(mask: &[u64], shift: u32, words: &mut Vec<u32>) -> i64 {
    let grouping_factor = C.ilog2() as usize;
    let mut mean = 0i64;
    for groups in mask.chunks(grouping_factor * LANES) {
        let mut sums = [[0u64; LANES]; C];
        for combination in 1..C {
            let lowest = combination & combination.wrapping_neg();
            let position = lowest.trailing_zeros() as usize;
            for (lane, group) in groups.chunks_exact(grouping_factor).enumerate() {
                sums[combination][lane] =
                    sums[combination ^ lowest][lane].wrapping_add(group[position]);
            }
        }
        let half = 1u64 << (shift - 1);
        let rounded = sums.map(|sums| sums.map(|sum| sum.wrapping_add(half) >> shift));
        let mut errors = [[0i64; LANES]; C];
        for ((errors, rounded), sums) in errors.iter_mut().zip(&rounded).zip(&sums) {
            for ((error, rounded), &sum) in errors.iter_mut().zip(rounded).zip(sums) {
                *error = (rounded << shift).wrapping_sub(sum) as i64;
            }
        }
        let moves = moves_of_least_variance(&errors, shift);
        for lane in 0..groups.len() / grouping_factor {
            // relative to the empty combination, whose exponent must be zero
            let first = moves[0][lane];
            for combination in 1..C {
                let exponent = rounded[combination][lane].wrapping_add(moves[combination][lane]);
                words.push(exponent.wrapping_sub(first) as u32);
            }
            for (errors, moves) in errors.iter().zip(&moves) {
                let error = (errors[lane] >> grouping_factor)
                    .wrapping_add((moves[lane] << shift >> grouping_factor) as i64);
                mean = mean.wrapping_add(error);
            }
            mean = mean.wrapping_sub((first << shift) as i64);
        }
    }
    mean
}

/// For each lane, 1 for the errors to raise by `2^shift` for the least variance over the combinations.
///
/// All roundings of one group may move by the same multiple without harm, for what they move is
/// known. The least variance is therefore that of a lattice point nearest to a line, and raises the
/// smallest errors, up to one of them (McKilliam, Clarkson and Quinn, *An algorithm to compute the
/// nearest point in the lattice `A_n*`*, 2008).
fn moves_of_least_variance<const C: usize>(
    errors: &[[i64; LANES]; C],
    shift: u32,
) -> [[u64; LANES]; C] {
    let unit = (-f64::from(shift)).exp2();
    let errors = errors.map(|errors| errors.map(|error| error as f64 * unit));
    let (mut least, mut threshold) = ([f64::INFINITY; LANES], [0.0; LANES]);
    for candidate in &errors {
        let (mut sum, mut squares) = ([0.0; LANES], [0.0; LANES]);
        for errors in &errors {
            for lane in 0..LANES {
                let raised = if errors[lane] <= candidate[lane] { 1.0 } else { 0.0 };
                let error = errors[lane] + raised;
                sum[lane] += error;
                squares[lane] += error * error;
            }
        }
        for lane in 0..LANES {
            let variance = squares[lane] - sum[lane] * sum[lane] / C as f64;
            if variance < least[lane] {
                (least[lane], threshold[lane]) = (variance, candidate[lane]);
            }
        }
    }
    errors.map(|errors| std::array::from_fn(|lane| u64::from(errors[lane] <= threshold[lane])))
}

/// The most key bits that go into a step.
const LARGEST_GROUPING_FACTOR: usize = 3;

/// # Errors
/// [`TfheError::Parameter`] above 3, or where it does not divide the LWE dimension.
pub(super) fn check_grouping_factor(
    dimension: usize,
    grouping_factor: usize,
) -> Result<(), TfheError> {
    let fits = (1..=LARGEST_GROUPING_FACTOR).contains(&grouping_factor)
        && dimension.is_multiple_of(grouping_factor);
    if fits {
        return Ok(());
    }
    Err(TfheError::Parameter {
        name: "grouping factor",
        found: grouping_factor,
        allowed: "1, 2 or 3, a divisor of the LWE dimension",
    })
}

/// Words of a switched sample: `(2^g - 1) n/g` exponents and the body.
fn switched_stride(dimension: usize, grouping_factor: usize) -> usize {
    dimension / grouping_factor * ((1 << grouping_factor) - 1) + 1
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
        check_grouping_factor(dimension, grouping_factor)?;
        check_whole(switched_stride(dimension, grouping_factor), words.len())?;
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
        switched_stride(self.dimension, self.grouping_factor)
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

    /// The samples of a range alone.
    ///
    /// # Errors
    /// [`TfheError::Dimension`] where the batch ends before the range.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Result<Self, TfheError> {
        let stride = self.stride();
        let ends = range.start.checked_mul(stride).zip(range.end.checked_mul(stride));
        let words = ends.and_then(|(start, end)| self.words.get(start..end));
        let (name, expected, found) = ("samples of a batch", range.end, self.count());
        let words = words.ok_or(TfheError::Dimension { name, expected, found })?;
        let words = words.to_vec();
        let Self { dimension, grouping_factor, log2_modulus, key, .. } = *self;
        Ok(Self { dimension, grouping_factor, log2_modulus, words, key })
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
