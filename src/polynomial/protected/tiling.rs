//! A dense layer whose input is laid out for it, by whoever encrypts it: every slot of every encrypted
//! diagonal holds two weights.
//!
//! With `m` the number of outputs rounded up to a power of two, the slots are `R = slots / m` blocks
//! of `m`. Input `j` shares a slot with input `j + h`, `h` half of their number, as real and imaginary
//! part: these `h` columns are dealt out to `K` ciphertexts of `R` blocks, `D` to a block, which
//! repeats them `m / D` times. Slot `t` of a result belongs to output `t mod m`; as `d` runs from 0 to
//! `D - 1`, `x[t + d]` meets all `D` columns of its block and of no other, but at the end of a block,
//! where the rest are met in the next, by the slots that lose as many. So `K D` diagonals hold all
//! weights, and `R` blocks of each are summed by rotations: `K R D >= h`.
//!
//! Weights are conjugates, `w_j - i w_(j+h)`, so that the real part of a product is the sum of two.

use crate::polynomial::affine::AffineMap;
use bellerophon_schemes::ckks::c64;
use serde::{Deserialize, Serialize};

/// How the inputs of a dense layer are copied into slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiling {
    /// The number of inputs.
    pub values: usize,
    /// Slots of a ciphertext.
    pub slots: usize,
    /// Slots of a block: a power of two.
    pub block: usize,
    /// Columns of a block, which are its rotations too: a power of two, at most the block.
    pub window: usize,
    /// Ciphertexts.
    pub ciphertexts: usize,
}

impl Tiling {
    /// The tilings for a dense layer of this shape; none where its outputs do not fit a ciphertext.
    pub fn candidates(values: usize, outputs: usize, slots: usize) -> Vec<Self> {
        let block = outputs.next_power_of_two();
        if block > slots {
            return Vec::new();
        }
        let windows = (0..=block.ilog2()).map(|log| 1 << log);
        let tiling = |window: usize| {
            let ciphertexts = values.div_ceil(2).div_ceil(slots / block * window);
            Self { values, slots, block, window, ciphertexts }
        };
        windows.map(tiling).collect()
    }

    /// # Errors
    /// What of the numbers does not fit, in words.
    pub fn check(&self, slots: usize, most: usize) -> Result<(), String> {
        let Self { block, window, ciphertexts, .. } = *self;
        let powers = block.is_power_of_two() && window.is_power_of_two();
        let fits = self.slots == slots && block <= slots && window <= block;
        let columns = self.columns();
        let capacity = || ciphertexts * (slots / block * window);
        if powers && fits && (1..=most).contains(&ciphertexts) && columns <= capacity() {
            return Ok(());
        }
        Err(format!("a tiling of {window} columns in blocks of {block} slots is impossible"))
    }

    /// Slots that are needed where two values share one.
    fn columns(&self) -> usize {
        self.values.div_ceil(2)
    }

    /// The column in a slot, which exists if it is below [`Self::columns`].
    fn column(&self, ciphertext: usize, slot: usize) -> usize {
        let block = ciphertext * (self.slots / self.block) + slot / self.block;
        block * self.window + slot % self.block % self.window
    }

    /// The slots of the input's ciphertexts.
    pub fn input(&self, values: &[f64]) -> Vec<Vec<c64>> {
        let value = |at: usize| values.get(at).copied().unwrap_or(0.0);
        let columns = self.columns();
        let slot = |ciphertext, slot| match self.column(ciphertext, slot) {
            column if column < columns => c64 { re: value(column), im: value(column + columns) },
            _ => c64::default(),
        };
        let ciphertext = |k| (0..self.slots).map(|s| slot(k, s)).collect();
        (0..self.ciphertexts).map(ciphertext).collect()
    }

    /// The blocks' sums, highest bit first, after which every block holds the same.
    pub fn folds(&self) -> Vec<usize> {
        let logs = self.block.ilog2()..self.slots.ilog2();
        logs.rev().map(|log| 1 << log).collect()
    }

    /// The diagonal for a rotation of one of the ciphertexts, each weight times half of `factor`:
    /// adding the conjugate doubles.
    pub fn diagonals(&self, map: &AffineMap<'_>, factor: f64) -> Vec<Vec<Vec<c64>>> {
        let (columns, outputs) = (self.columns(), map.output().elements());
        let mut weights = vec![c64::default(); columns * outputs];
        map.for_each_weight(|i, j, weight| {
            let entry = &mut weights[j % columns * outputs + i];
            match j < columns {
                true => entry.re = weight * factor / 2.0,
                false => entry.im = -weight * factor / 2.0,
            }
        });
        let entry = |ciphertext, rotation: usize, slot: usize| {
            let column = self.column(ciphertext, (slot + rotation) % self.slots);
            let output = slot % self.block;
            match column < columns && output < outputs {
                true => weights[column * outputs + output],
                false => c64::default(),
            }
        };
        let diagonal = |k, d| (0..self.slots).map(|slot| entry(k, d, slot)).collect();
        let ciphertext = |k| (0..self.window).map(|d| diagonal(k, d)).collect();
        (0..self.ciphertexts).map(ciphertext).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Operator, Shape};
    use crate::tiny;
    use proptest::prelude::*;

    proptest! {
        /// Products of rotated inputs with the diagonals, folded, against the plain layer.
        #[test]
        fn diagonals_compute_the_dense_layer(
            values in 1usize..70, outputs in 1usize..17, log_slots in 4u32..7, seed: u64,
        ) {
            let slots = 1 << log_slots;
            let operator = Operator::Dense(tiny::dense(outputs, values, seed));
            let (from, to) = (Shape::Vector(values), Shape::Vector(outputs));
            let map = AffineMap::new(&operator, from, to).unwrap();
            let x: Vec<f64> = tiny::image(from, seed).into_iter().collect();
            let mut expected = vec![0.0; outputs];
            map.for_each_weight(|i, j, weight| expected[i] += weight * x[j]);
            for tiling in Tiling::candidates(values, outputs, slots) {
                prop_assert_eq!(tiling.check(slots, 1 << 10), Ok(()));
                let input = tiling.input(&x);
                let mut sums = vec![c64::default(); slots];
                for (x, diagonals) in input.iter().zip(tiling.diagonals(&map, 3.0)) {
                    for (d, diagonal) in diagonals.iter().enumerate() {
                        for (t, sum) in sums.iter_mut().enumerate() {
                            *sum += diagonal[t] * x[(t + d) % slots];
                        }
                    }
                }
                for fold in tiling.folds() {
                    sums = (0..slots).map(|t| sums[t] + sums[(t + fold) % slots]).collect();
                }
                for (t, sum) in sums.iter().enumerate() {
                    let expected = expected.get(t % tiling.block).map_or(0.0, |y| 3.0 * y);
                    prop_assert!((2.0 * sum.re - expected).abs() < 1e-9, "{:?} {}", tiling, t);
                }
            }
        }
    }

    #[test]
    fn impossible_tilings_are_refused() {
        let good = Tiling { values: 100, slots: 64, block: 16, window: 8, ciphertexts: 2 };
        assert_eq!(good.check(64, 10), Ok(()));
        for bad in [
            Tiling { slots: 32, ..good },
            Tiling { block: 0, ..good },
            Tiling { block: 128, ..good },
            Tiling { window: 32, ..good },
            Tiling { window: 3, ..good },
            Tiling { ciphertexts: 1, ..good },
            Tiling { ciphertexts: 11, ..good },
        ] {
            assert!(bad.check(64, 10).is_err(), "{bad:?}");
        }
        assert!(Tiling::candidates(10, 65, 64).is_empty());
    }
}
