//! How the rotations of a linear transform are split into baby and giant steps.

use std::collections::BTreeSet;

/// What a giant step costs, in baby steps: it cuts a polynomial into digits and divides by `P`.
const GIANT_COST: usize = 3;

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

    /// The split that a [`LinearTransform`](super::LinearTransform) chooses: of least
    /// `babies + 3 giants`, rotations by 0 counted.
    #[must_use]
    pub fn best(rotations: &[Vec<BTreeSet<usize>>], slots: usize) -> Self {
        let cost = |split: &Self| split.all_babies + GIANT_COST * split.all_giants;
        let splits = (0..=slots.ilog2()).map(|log| Self::new(rotations, 1 << log));
        splits.min_by_key(cost).unwrap_or_default()
    }

    /// All rotations that the split leaves of these, other than by 0.
    #[must_use]
    pub fn rotations(&self, rotations: &[Vec<BTreeSet<usize>>]) -> BTreeSet<usize> {
        let step = self.step.max(1);
        let all = rotations.iter().flatten().flatten();
        let split = all.flat_map(|d| [d % step, d - d % step]);
        split.filter(|d| *d != 0).collect()
    }
}
