//! The transform between slots and coefficients as a product of sparse matrices.
//!
//! `n` slots of a ring of dimension `2n` are the values `z = U m` of the complex coefficients
//! `m_i = c_i + sqrt(-1) c_(n+i)`, with `U[j][i] = zeta^(5^j i)` and `zeta = exp(i pi / 2n)`: as
//! `5^j = 1 mod 4`, the upper half of the coefficients is always worth `sqrt(-1)` times the lower.
//! Decimation in time writes `U` times the bit reversal as `log2 n` layers of butterflies, each with
//! at most three diagonals; consecutive layers multiply into denser matrices, and a product of
//! `groups` of them costs `groups` levels (Chen, Chillotti, Song, ePrint 2018/1043, section 4; Han,
//! Hhan, Cheon, 2018/1073; Bossuat et al., 2020/1203, section 5).
//!
//! The bit reversal is never done: coefficients stand in bit-reversed order in the slots
//! ([`coefficient_order`]), and the order cancels where one goes to the coefficients and back.

use crate::ckks::c64;
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// The diagonals of a matrix: `y[j] = sum over d of diagonals[d][j] * x[(j + d) mod n]`.
pub type Diagonals = BTreeMap<usize, Vec<c64>>;

/// Slot `j` holds complex coefficient `coefficient_order(n)[j]`: its bits, reversed.
///
/// The order is its own inverse. `n` must be a power of two; any other gives the order of the next.
#[must_use]
pub fn coefficient_order(slots: usize) -> Vec<usize> {
    let n = slots.next_power_of_two();
    let bits = n.trailing_zeros();
    (0..n).map(|j| if bits == 0 { 0 } else { j.reverse_bits() >> (usize::BITS - bits) }).collect()
}

/// The matrices, first applied first, whose product takes the complex coefficients in bit-reversed
/// order to `factor` times the slots. `slots` is a power of two, `groups` between 1 and its `log2`.
#[must_use]
pub fn evaluation_factors(slots: usize, groups: usize, factor: f64) -> Vec<Diagonals> {
    let layers =
        (1..=slots.trailing_zeros()).map(|log| evaluation_layer(slots, 1 << log)).collect();
    merged(slots, layers, &group_sizes(slots, groups), factor)
}

/// The matrices, first applied first, whose product takes the slots to `factor` times the complex
/// coefficients in bit-reversed order. `slots` is a power of two, `groups` between 1 and its `log2`.
#[must_use]
pub fn interpolation_factors(slots: usize, groups: usize, factor: f64) -> Vec<Diagonals> {
    let logs = 1..=slots.trailing_zeros();
    let layers = logs.rev().map(|log| interpolation_layer(slots, 1 << log)).collect();
    let sizes: Vec<usize> = group_sizes(slots, groups).into_iter().rev().collect();
    merged(slots, layers, &sizes, factor)
}

/// How many layers each matrix of an evaluation takes. The last holds the widest butterflies, whose
/// diagonals coincide modulo `n`, so it is the cheapest place for a layer left over.
fn group_sizes(slots: usize, groups: usize) -> Vec<usize> {
    let layers = slots.trailing_zeros() as usize;
    let groups = groups.clamp(1, layers.max(1));
    (0..groups).map(|g| layers * (g + 1) / groups - layers * g / groups).collect()
}

/// Multiplies consecutive layers, `sizes` at a time, and spreads `factor` evenly.
fn merged(slots: usize, layers: Vec<Diagonals>, sizes: &[usize], factor: f64) -> Vec<Diagonals> {
    let share = factor.abs().powf(1.0 / sizes.len() as f64);
    let mut layers = layers.into_iter();
    let mut factors: Vec<Diagonals> = sizes
        .iter()
        .map(|&size| {
            let group = layers.by_ref().take(size);
            let product = group.fold(identity(slots), |inner, outer| product(&outer, &inner));
            scaled(product, share)
        })
        .collect();
    if let (Some(last), true) = (factors.last_mut(), factor < 0.0) {
        *last = scaled(std::mem::take(last), -1.0);
    }
    factors
}

fn identity(slots: usize) -> Diagonals {
    BTreeMap::from([(0, vec![c64::new(1.0, 0.0); slots])])
}

fn scaled(mut matrix: Diagonals, factor: f64) -> Diagonals {
    matrix.values_mut().flatten().for_each(|v| *v *= factor);
    matrix
}

/// `outer` after `inner`.
fn product(outer: &Diagonals, inner: &Diagonals) -> Diagonals {
    let mut result = Diagonals::new();
    for (d, left) in outer {
        for (e, right) in inner {
            let n = left.len();
            let sum = result.entry((d + e) % n).or_insert_with(|| vec![c64::default(); n]);
            for (j, s) in sum.iter_mut().enumerate() {
                *s += left[j] * right[(j + d) % n];
            }
        }
    }
    result
}

/// The butterflies `(x, y) -> (x + w y, x - w y)` on blocks of `length` slots.
fn evaluation_layer(slots: usize, length: usize) -> Diagonals {
    butterflies(slots, length, |w| [[c64::new(1.0, 0.0), w], [c64::new(1.0, 0.0), -w]])
}

/// Their inverses `(x, y) -> ((x + y) / 2, conj(w) (x - y) / 2)`.
fn interpolation_layer(slots: usize, length: usize) -> Diagonals {
    let half = c64::new(0.5, 0.0);
    butterflies(slots, length, |w| [[half, half], [w.conj() * 0.5, -w.conj() * 0.5]])
}

/// The matrix that acts on each pair `(i, i + length/2)` of each block as `entries(twiddle)`.
fn butterflies(slots: usize, length: usize, entries: impl Fn(c64) -> [[c64; 2]; 2]) -> Diagonals {
    let half = length / 2;
    let mut matrix = Diagonals::new();
    let mut set = |rotation: usize, slot: usize, value: c64| {
        let row = matrix.entry(rotation % slots).or_insert_with(|| vec![c64::default(); slots]);
        row[slot] += value;
    };
    for (position, twiddle) in twiddles(length).into_iter().enumerate() {
        let [[a, b], [c, d]] = entries(twiddle);
        for lower in (position..slots).step_by(length) {
            set(0, lower, a);
            set(half, lower, b);
            set(slots - half, lower + half, c);
            set(0, lower + half, d);
        }
    }
    matrix
}

/// `exp(2 pi i 5^p / (4 length))` for the positions `p` of one half of a block.
fn twiddles(length: usize) -> Vec<c64> {
    let order = 4 * length;
    let mut power = 1;
    (0..length / 2)
        .map(|_| {
            let angle = 2.0 * PI * power as f64 / order as f64;
            power = power * 5 % order;
            c64::from_polar(1.0, angle)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::fft::CanonicalEmbedding;
    use proptest::prelude::*;

    fn apply(factors: &[Diagonals], x: &[c64]) -> Vec<c64> {
        let n = x.len();
        factors.iter().fold(x.to_vec(), |x, matrix| {
            (0..n).map(|j| matrix.iter().map(|(d, v)| v[j] * x[(j + d) % n]).sum()).collect()
        })
    }

    /// Coefficients of a ring of dimension 2n, and the complex ones in the order of the slots.
    fn complex_coefficients(c: &[f64]) -> Vec<c64> {
        let n = c.len() / 2;
        coefficient_order(n).into_iter().map(|i| c64::new(c[i], c[n + i])).collect()
    }

    fn largest_difference(a: &[c64], b: &[c64]) -> f64 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(x, y)| (x - y).norm()).fold(0.0, f64::max)
    }

    fn check(coefficients: &[f64], groups: usize, factor: f64) {
        let n = coefficients.len() / 2;
        let slots = CanonicalEmbedding::new(2 * n).slots_of(coefficients);
        let ordered = complex_coefficients(coefficients);
        let scaled = |v: &[c64]| v.iter().map(|x| x * factor).collect::<Vec<_>>();
        let tolerance = 1e-13 * n as f64 * factor.abs();

        let forward = evaluation_factors(n, groups, factor);
        assert_eq!(forward.len(), groups.min(n.trailing_zeros() as usize));
        assert!(largest_difference(&apply(&forward, &ordered), &scaled(&slots)) < tolerance);

        let back = interpolation_factors(n, groups, factor);
        assert_eq!(back.len(), forward.len());
        assert!(largest_difference(&apply(&back, &slots), &scaled(&ordered)) < tolerance);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn products_are_the_canonical_embedding(
            c in (4u32..9).prop_flat_map(|log| prop::collection::vec(-1.0f64..1.0, 1 << log)),
            groups in 1usize..6,
            factor in prop_oneof![-3.0f64..-0.1, 0.01f64..5.0],
        ) {
            check(&c, groups, factor);
        }
    }

    #[test]
    fn large_rings_agree_too() {
        for log in 9..=13 {
            let c: Vec<f64> =
                (0..1usize << log).map(|i| ((i * 7919) % 1009) as f64 / 1009.0).collect();
            check(&c, 3, 1.0);
            check(&c, 4, 0.5);
        }
    }

    #[test]
    fn layers_have_three_diagonals_and_groups_few() {
        for length in [2, 4, 64, 512] {
            let bound = if length == 512 { 2 } else { 3 };
            assert_eq!(evaluation_layer(512, length).len(), bound);
            assert_eq!(interpolation_layer(512, length).len(), bound);
        }
        let counts: Vec<usize> =
            evaluation_factors(512, 3, 1.0).iter().map(BTreeMap::len).collect();
        assert_eq!(counts, [15, 15, 8]);
        let counts: Vec<usize> =
            interpolation_factors(512, 3, 1.0).iter().map(BTreeMap::len).collect();
        assert_eq!(counts, [8, 15, 15]);
    }

    #[test]
    fn order_is_the_bit_reversal() {
        assert_eq!(coefficient_order(8), [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(coefficient_order(1), [0]);
        let order = coefficient_order(1024);
        assert!(order.iter().enumerate().all(|(j, &i)| order[i] == j));
    }
}
