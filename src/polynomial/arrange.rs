//! Linear layers as rotations in slots: where a layer's outputs go, and the diagonals that take
//! its inputs there.
//!
//! With input `j` in slot `s_j` and output `i` wanted in slot `t_i`, every weight `w[i][j]` becomes
//! an entry of the diagonal `d = s_j - t_i`: `y[t] = sum_d diagonal_d[t] x[t + d]` (Halevi and
//! Shoup, CRYPTO 2014). A *fold* adds to a ciphertext its own rotation by a power of two. With
//! folds over a set of bits `B` of the slot's number, of which the outputs' slots have none, output
//! `i` is collected in all slots `t_i + f`, `f` within `B`, and input `j` goes to the one whose bits
//! are its own: the diagonal is `d = (s_j without B) - t_i`, one for many inputs.
//!
//! Outputs of a convolution stay on the grid of its input, so that all elements of a map share a
//! diagonal for each tap. Channels, and the outputs of dense layers, are told apart by the bits that
//! the grid leaves free: blocks of the ciphertext, or the gaps that pooling left. Which bits, which
//! folds and how many ciphertexts is chosen by predicted time.

use super::PolynomialError;
use super::affine::{AffineMap, extents};
use super::cost::Sizes;
use super::layout::{Grid, Layout, Place, axes, bit_count, bits, runs};
use super::program::{LinearMap, LinearOutput};
use bellerophon_schemes::ckks::Split;
use std::collections::{BTreeMap, BTreeSet};

/// Sets of bits that are tried as folds, at most, before folds are of whole axes only.
const MOST_FOLDS: usize = 256;

/// Where a linear layer's outputs go.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrangement {
    /// Of the outputs.
    pub layout: Layout,
    /// The bits over which the transform's result is folded.
    pub fold: usize,
    /// Predicted seconds of one thread.
    pub seconds: f64,
}

/// Rotations from each input to each output: `[output][input]`.
pub(super) type Rotations = Vec<Vec<BTreeSet<usize>>>;

impl Arrangement {
    /// The arrangement of least predicted time for a layer that reads `input` at the given sizes,
    /// where everything that follows costs `per_ciphertext` seconds for each ciphertext.
    ///
    /// # Errors
    /// [`PolynomialError::TooLarge`] where one feature map does not fit a ciphertext.
    pub fn best(
        map: &AffineMap<'_>,
        input: &Layout,
        sizes: &Sizes,
        per_ciphertext: f64,
    ) -> Result<Self, PolynomialError> {
        Self::cheapest(map, input, |rotations, fold| {
            let diagonals = rotations.iter().flatten().map(BTreeSet::len).sum();
            let split = Split::best(rotations, input.slots);
            sizes.linear(&split, diagonals, fold.count_ones() as usize)
                + rotations.len() as f64 * per_ciphertext
        })
    }

    /// The arrangement of least `seconds(rotations, fold)`, given the rotations from each input to
    /// each output and the bits that are folded over.
    ///
    /// # Errors
    /// As [`Arrangement::best`].
    pub fn cheapest(
        map: &AffineMap<'_>,
        input: &Layout,
        seconds: impl Fn(&Rotations, usize) -> f64,
    ) -> Result<Self, PolynomialError> {
        let mut best: Option<Self> = None;
        for (layout, fold) in candidates(map, input)? {
            let seconds = seconds(&rotations(map, input, &layout, fold), fold);
            if best.as_ref().is_none_or(|best| seconds < best.seconds) {
                best = Some(Self { layout, fold, seconds });
            }
        }
        let (_, height, width) = extents(map.output());
        best.ok_or(PolynomialError::TooLarge { elements: height * width, slots: input.slots })
    }

    /// The layer's diagonals, every weight multiplied by `factor`; biases are `biases`.
    #[must_use]
    pub fn linear_map(
        &self,
        map: &AffineMap<'_>,
        input: &Layout,
        factor: f64,
        biases: &[f64],
    ) -> LinearMap {
        let (inputs, slots) = (input.ciphertexts(), input.slots);
        let empty =
            || LinearOutput { terms: vec![BTreeMap::new(); inputs], biases: vec![0.0; slots] };
        let mut outputs: Vec<LinearOutput> = Vec::new();
        outputs.resize_with(self.layout.ciphertexts(), empty);
        map.for_each_weight(|i, j, weight| {
            let (from, to) = (input.places[j], self.layout.places[i]);
            let rotation = rotation(from, to, self.fold, input.period);
            let terms = &mut outputs[to.ciphertext].terms[from.ciphertext];
            let diagonal = terms.entry(rotation).or_insert_with(|| vec![0.0; slots]);
            diagonal[to.slot + (from.slot & self.fold)] += weight * factor;
        });
        for (place, bias) in self.layout.places.iter().zip(biases) {
            outputs[place.ciphertext].biases[place.slot] = *bias;
        }
        LinearMap { outputs, folds: bits(self.fold).map(|bit| 1 << bit).collect() }
    }
}

/// By how much the input is rotated for a weight from one place to another.
fn rotation(from: Place, to: Place, fold: usize, period: usize) -> usize {
    (from.slot & !fold).wrapping_sub(to.slot) & (period - 1) // a period is a power of two
}

pub(super) fn rotations(
    map: &AffineMap<'_>,
    input: &Layout,
    output: &Layout,
    fold: usize,
) -> Rotations {
    let (inputs, outputs) = (input.ciphertexts(), output.ciphertexts());
    let mut seen = vec![vec![vec![false; input.slots]; inputs]; outputs];
    map.for_each_weight(|i, j, _| {
        let (from, to) = (input.places[j], output.places[i]);
        seen[to.ciphertext][from.ciphertext][rotation(from, to, fold, input.period)] = true;
    });
    let set = |seen: Vec<bool>| (0..seen.len()).filter(|d| seen[*d]).collect();
    let row = |row: Vec<Vec<bool>>| row.into_iter().map(set).collect();
    seen.into_iter().map(row).collect()
}

/// Layouts of the outputs, each with bits to fold over.
fn candidates(
    map: &AffineMap<'_>,
    input: &Layout,
) -> Result<Vec<(Layout, usize)>, PolynomialError> {
    if map.is_diagonal() {
        return Ok(vec![(input.clone(), 0)]);
    }
    let (channels, height, width) = extents(map.output());
    let [down, across] = map.strides();
    let natural = Grid { height, width, row: input.row * down, column: input.column * across };
    let compact = Grid { height, width, row: width.next_power_of_two(), column: 1 };
    let grids = [natural, compact];
    let Some(grid) = grids.into_iter().find(|grid| grid.is_injective(input.slots)) else {
        return Err(PolynomialError::TooLarge { elements: height * width, slots: input.slots });
    };
    let mut candidates = Vec::new();
    for fold in folds(input, &grid) {
        for channel_bits in channel_orders(input, &grid, fold) {
            let most = channel_bits.len().min(bit_count(channels));
            for count in most.saturating_sub(2)..=most {
                let layout = spread(input.slots, &grid, channels, &channel_bits[..count]);
                candidates.push((layout, fold));
            }
        }
    }
    Ok(candidates)
}

/// Sets of bits to fold over: of each axis of the input that the output's grid leaves free, the
/// highest bits, any number of them.
fn folds(input: &Layout, grid: &Grid) -> Vec<usize> {
    let foldable: Vec<usize> =
        input.axes.iter().copied().filter(|axis| axis & grid.mask() == 0).collect();
    let count = foldable.iter().map(|axis| axis.count_ones() as usize + 1);
    let whole = count.fold(1, usize::saturating_mul) > MOST_FOLDS;
    foldable.into_iter().fold(vec![0], |folds, axis| {
        let all: Vec<usize> = bits(axis).collect();
        let parts = (0..=all.len()).filter(|from| !whole || from % all.len() == 0);
        let parts: Vec<usize> =
            parts.map(|from| all[from..].iter().fold(0, |part, bit| part | 1 << bit)).collect();
        folds.iter().flat_map(|fold| parts.iter().map(move |part| fold | part)).collect()
    })
}

/// The bits that can tell channels apart, in several orders.
fn channel_orders(input: &Layout, grid: &Grid, fold: usize) -> Vec<Vec<usize>> {
    let free = (input.slots - 1) & !grid.mask() & !fold;
    let used = input.axes.iter().fold(0, |used, axis| used | axis);
    let high_first = |mask: usize| {
        let runs = runs(mask).into_iter().rev();
        runs.flat_map(|run| bits(run).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let mut orders = vec![
        [high_first(free & used), bits(free & !used).collect()].concat(),
        [bits(free & !used).collect(), high_first(free & used)].concat(),
        high_first(free),
        bits(free).collect(),
    ];
    orders.sort_unstable();
    orders.dedup();
    orders
}

/// Channel `k` where the given bits hold `k` modulo their range, and in the next ciphertext where
/// they overflow.
fn spread(slots: usize, grid: &Grid, channels: usize, channel_bits: &[usize]) -> Layout {
    let capacity = 1 << channel_bits.len();
    let base = |k: usize| {
        let place = |(at, bit): (usize, &usize)| (k >> at & 1) << bit;
        let slot = channel_bits.iter().enumerate().map(place).sum();
        Place { ciphertext: k / capacity, slot }
    };
    let bases: Vec<Place> = (0..channels).map(base).collect();
    let used = bases.iter().fold(0, |used, base| used | base.slot);
    let (rows, columns) = (grid.height, grid.width);
    let along = |count: usize, step: usize| (0..count).fold(0, |mask, at| mask | (at * step));
    let spatial = axes([along(columns, grid.column), along(rows, grid.row)]);
    Layout {
        slots,
        period: slots,
        row: grid.row,
        column: grid.column,
        axes: [spatial, runs(used)].concat(),
        places: grid.places(&bases),
    }
}

#[cfg(test)]
mod tests;
