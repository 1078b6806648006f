//! What steps on ciphertexts cost, predicted by counting transforms and products of limbs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Nanoseconds of one thread per coefficient of a limb: a number-theoretic transform (35 us at
/// 16,384 points), and a product with its addition, which waits for memory (from LeNet5's layers).
const TRANSFORM: f64 = 2.1;
const PRODUCT: f64 = 0.9;

/// The sizes that costs depend on, at one level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// Ring dimension.
    pub dimension: usize,
    /// Limbs of a ciphertext.
    pub limbs: usize,
    /// Special limbs.
    pub special: usize,
    /// Limbs of one digit of a key switch.
    pub per_digit: usize,
}

impl Sizes {
    fn digits(&self) -> f64 {
        self.limbs.div_ceil(self.per_digit.max(1)) as f64
    }

    /// Limbs modulo the whole modulus, special primes included.
    fn extended(&self) -> f64 {
        (self.limbs + self.special) as f64
    }

    fn seconds(&self, transforms: f64, products: f64) -> f64 {
        self.dimension as f64 * (transforms * TRANSFORM + products * PRODUCT) * 1e-9
    }

    /// Into the digits of a key switch.
    fn decompose(&self) -> f64 {
        let products = self.digits() * self.extended() * self.per_digit as f64;
        self.seconds(self.limbs as f64 + self.digits() * self.extended(), products)
    }

    /// Products of the digits with a key.
    fn accumulate(&self) -> f64 {
        self.seconds(0.0, 2.0 * self.digits() * self.extended())
    }

    /// Division by the special primes.
    fn reduce(&self) -> f64 {
        self.seconds(2.0 * self.extended(), 2.0 * self.limbs as f64 * self.special as f64)
    }

    /// One key switch of its own.
    #[must_use]
    pub fn key_switch(&self) -> f64 {
        self.decompose() + self.accumulate() + self.reduce()
    }

    /// Division by one prime of the chain.
    #[must_use]
    pub fn rescale(&self) -> f64 {
        self.seconds(2.0 * self.limbs as f64, 2.0 * self.limbs as f64)
    }

    /// A product of two ciphertexts.
    #[must_use]
    pub fn multiply(&self) -> f64 {
        self.key_switch() + self.rescale() + self.seconds(0.0, 4.0 * self.limbs as f64)
    }

    /// Diagonals whose rotations split into `split`, and `folds` rotations of each output.
    #[must_use]
    pub fn linear(&self, split: &Split, diagonals: usize, folds: usize) -> f64 {
        let hoisted = split.inputs as f64 * self.decompose()
            + split.babies as f64 * self.accumulate()
            + diagonals as f64 * self.seconds(0.0, 2.0 * self.extended());
        let outputs = split.outputs as f64;
        hoisted
            + split.giants as f64 * self.key_switch()
            + outputs * (self.reduce() + self.rescale() + folds as f64 * self.key_switch())
    }

    /// Bytes of one switching key.
    #[must_use]
    pub fn key_bytes(&self) -> f64 {
        2.0 * self.digits() * self.extended() * self.dimension as f64 * 8.0
    }
}

/// Rotations `d = giant + baby` of a linear transform, `baby` being `d` modulo the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The step, a power of two.
    pub step: usize,
    /// Ciphertexts read.
    pub inputs: usize,
    /// Ciphertexts made.
    pub outputs: usize,
    /// Rotations of inputs other than by 0.
    pub babies: usize,
    /// Rotations of sums other than by 0.
    pub giants: usize,
    all_babies: usize,
    all_giants: usize,
}

impl Split {
    /// The counts for one step; `rotations[o][i]` are those from input `i` to output `o`.
    #[must_use]
    pub fn new(rotations: &[Vec<BTreeSet<usize>>], step: usize) -> Self {
        let inputs = rotations.first().map_or(0, Vec::len);
        let mut split = Self { step, inputs, outputs: rotations.len(), ..Self::default() };
        for input in 0..inputs {
            let all = rotations.iter().flat_map(|row| &row[input]);
            let babies: BTreeSet<usize> = all.map(|d| d % step).collect();
            split.all_babies += babies.len();
            split.babies += babies.iter().filter(|d| **d != 0).count();
        }
        for row in rotations {
            let giants: BTreeSet<usize> = row.iter().flatten().map(|d| d / step).collect();
            split.all_giants += giants.len();
            split.giants += giants.iter().filter(|d| **d != 0).count();
        }
        split
    }

    /// The split that `bellerophon_schemes::ckks::LinearTransform` chooses: of
    /// least `babies + 3 giants`, rotations by 0 counted.
    #[must_use]
    pub fn best(rotations: &[Vec<BTreeSet<usize>>], slots: usize) -> Self {
        let cost = |split: &Self| split.all_babies + GIANT_COST * split.all_giants;
        let splits = (0..=slots.ilog2()).map(|log| Self::new(rotations, 1 << log));
        splits.min_by_key(cost).unwrap_or_default()
    }
}

/// What a giant step costs, in baby steps.
const GIANT_COST: usize = 3;

/// All rotations of a linear transform after it is split, other than by 0.
#[must_use]
pub fn split_rotations(rotations: &[Vec<BTreeSet<usize>>], slots: usize) -> BTreeSet<usize> {
    let step = Split::best(rotations, slots).step.max(1);
    let all = rotations.iter().flatten().flatten();
    let split = all.flat_map(|d| [d % step, d - d % step]);
    split.filter(|d| *d != 0).collect()
}
