//! Sums of products modulo `q < 2^50` with the 52-bit multiply-adds of AVX-512 (IFMA), and
//! Montgomery's reduction by `2^52` (Mathematics of Computation 44, 1985), once per sum.

use super::ROWS_AT_ONCE;
use crate::math::{Modulus, Permutation};
use pulp::bytemuck::cast;
use std::arch::x86_64::{__m512i, _MM_HINT_T0, _mm_prefetch};

/// Vectors of 8 values that are worked on together.
const VECTORS: usize = 4;
/// Tiles that memory is asked for in advance: 4 kB.
const AHEAD: usize = 16;
type Tile = [[u64; 8]; VECTORS];

const BITS: u32 = 52;
const MASK: u64 = (1 << BITS) - 1;

pulp::simd_type! {
    struct Instructions {
        pub avx512f: "avx512f",
        pub avx512ifma: "avx512ifma",
    }
}

/// The kernels for one ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ifma {
    simd: Instructions,
    modulus: u64,
    /// `-1/q mod 2^52`.
    negated_inverse: u64,
    /// `2^52 / N mod q`, and its product with `2^52` divided by `q`, rounded down.
    scale: [u64; 2],
    /// Bits of `q`, less one.
    log: u64,
    /// `2^(52 + log) / q`, rounded down: below `2^52`.
    reciprocal: u64,
}

impl Ifma {
    /// The kernels, where the processor, the dimension and the modulus allow them.
    pub(super) fn try_new(dimension: usize, modulus: Modulus) -> Option<Self> {
        let q = modulus.value();
        let fits = q < 1 << 50 && q % 2 == 1 && dimension.is_multiple_of(8 * VECTORS);
        let simd = Instructions::try_new().filter(|_| fits)?;
        // Newton's iteration doubles the bits that are right, 3 at the start
        let inverse = (0..5).fold(q, |x, _| x.wrapping_mul(2u64.wrapping_sub(q.wrapping_mul(x))));
        let scale = modulus.mul((1 << BITS) % q, modulus.inverse_of_prime(dimension as u64 % q));
        let negated_inverse = inverse.wrapping_neg() & MASK;
        let log = q.ilog2();
        let reciprocal = ((1u128 << (BITS + log)) / u128::from(q)) as u64;
        let (scale, log) = (shoup(scale, q), u64::from(log));
        Some(Self { simd, modulus: q, negated_inverse, scale, log, reciprocal })
    }

    /// `sums_k = sum_r left_r right_(r, k) / 2^52` (`fresh`) or `+=` that, value by value, for at most
    /// [`ROWS_AT_ONCE`] rows: the halves of a sum then stay below `2^55` and `2^51`.
    pub(super) fn accumulate(
        self,
        sums: [&mut [u64]; 2],
        fresh: bool,
        left: &[&[u64]],
        right: &[[&[u64]; 2]],
    ) {
        debug_assert!(left.len() <= ROWS_AT_ONCE && left.len() == right.len());
        self.simd.vectorize(
            #[inline(always)]
            || {
                let [sums0, sums1] = sums.map(tiles_mut);
                for (index, (sum0, sum1)) in sums0.iter_mut().zip(sums1).enumerate() {
                    self.accumulate_tile([sum0, sum1], fresh, left, right, index);
                }
            },
        );
    }

    #[inline(always)]
    fn accumulate_tile(
        self,
        sums: [&mut Tile; 2],
        fresh: bool,
        left: &[&[u64]],
        right: &[[&[u64]; 2]],
        index: usize,
    ) {
        let zero = self.simd.avx512f._mm512_setzero_si512();
        // `[low, high]` with the sum `low + 2^52 high`
        let mut lazy = [[[zero; 2]; VECTORS]; 2];
        for (left, right) in left.iter().zip(right) {
            prefetch(left, index + AHEAD);
            right.iter().for_each(|right| prefetch(right, index + AHEAD));
            let left = load(left, index);
            for (lazy, right) in lazy.iter_mut().zip(right) {
                for ((lazy, left), right) in lazy.iter_mut().zip(left).zip(load(right, index)) {
                    *lazy = self.multiply_add(*lazy, left, right);
                }
            }
        }
        for (sum, lazy) in sums.into_iter().zip(lazy) {
            for (sum, lazy) in sum.iter_mut().zip(lazy) {
                let previous = if fresh { zero } else { cast(*sum) };
                *sum = cast(self.reduce(lazy, previous));
            }
        }
    }

    /// `low + a b mod 2^52`, which is not masked, and `high + a b / 2^52`, for `a, b < 2^52`.
    #[inline(always)]
    fn multiply_add(self, [low, high]: [__m512i; 2], a: __m512i, b: __m512i) -> [__m512i; 2] {
        let ifma = self.simd.avx512ifma;
        [ifma._mm512_madd52lo_epu64(low, a, b), ifma._mm512_madd52hi_epu64(high, a, b)]
    }

    /// `previous + (low + 2^52 high) / 2^52 mod q`.
    #[inline(always)]
    fn reduce(self, [low, high]: [__m512i; 2], previous: __m512i) -> __m512i {
        let (avx, zero) = (self.simd.avx512f, self.simd.avx512f._mm512_setzero_si512());
        let [q, negated_inverse] = self.splat([self.modulus, self.negated_inverse]);
        let [factor, _] = self.multiply_add([zero; 2], low, negated_inverse);
        // adds the multiple of q that makes the lower 52 bits vanish
        let [low, high] = self.multiply_add([low, high], factor, q);
        let quotient = avx._mm512_add_epi64(high, avx._mm512_srli_epi64::<BITS>(low)); // below 3q
        self.reduce_below_4q(avx._mm512_add_epi64(quotient, previous))
    }

    /// `target += 2^52 values / N`, value by value.
    pub(super) fn add_scaled(self, target: &mut [u64], values: &[u64]) {
        self.simd.vectorize(
            #[inline(always)]
            || {
                let (values, _) = values.as_chunks::<8>();
                let (target, _) = target.as_chunks_mut::<8>();
                for (target, &values) in target.iter_mut().zip(values) {
                    let sum = self
                        .simd
                        .avx512f
                        ._mm512_add_epi64(cast(*target), self.scaled(cast(values)));
                    *target = cast(self.reduce_below_4q(sum)); // below 3q
                }
            },
        );
    }

    /// `2^52 a / N` modulo `q`, in `[0, 2q)`.
    #[inline(always)]
    fn scaled(self, a: __m512i) -> __m512i {
        self.times(a, self.scale)
    }

    /// `a c` modulo `q`, in `[0, 2q)`, for `a < 2^52` and `[c, floor(2^52 c / q)]`, by V. Shoup's
    /// method.
    #[inline(always)]
    fn times(self, a: __m512i, constant: [u64; 2]) -> __m512i {
        let (avx, zero) = (self.simd.avx512f, self.simd.avx512f._mm512_setzero_si512());
        let [[scale, quotient], [q, mask]] =
            [constant, [self.modulus, MASK]].map(|pair| self.splat(pair));
        let [product, _] = self.multiply_add([zero; 2], a, scale);
        let [_, estimate] = self.multiply_add([zero; 2], a, quotient);
        let [multiple, _] = self.multiply_add([zero; 2], estimate, q);
        avx._mm512_and_si512(avx._mm512_sub_epi64(product, multiple), mask)
    }

    /// Writes the image of `source` under a permutation.
    pub(super) fn permute(self, target: &mut [u64], source: &[u64], permutation: &Permutation) {
        self.simd.vectorize(
            #[inline(always)]
            || {
                let avx = self.simd.avx512f;
                let sources = permutation.sources(source);
                for (target, (block, order)) in vectors_mut(target).zip(sources) {
                    *target = cast(avx._mm512_permutexvar_epi64(cast(*order), cast(*block)));
                }
            },
        );
    }

    /// `target = left * right`, value by value.
    pub(super) fn multiply(self, target: &mut [u64], left: &[u64], right: &[u64]) {
        self.simd.vectorize(
            #[inline(always)]
            || {
                let (left, right) = (vectors(left), vectors(right));
                for (target, (left, right)) in vectors_mut(target).zip(left.zip(right)) {
                    *target = cast(self.barrett(self.product(cast(*left), cast(*right))));
                }
            },
        );
    }

    /// `target *= right`, value by value.
    pub(super) fn multiply_assign(self, target: &mut [u64], right: &[u64]) {
        self.simd.vectorize(
            #[inline(always)]
            || {
                for (target, right) in vectors_mut(target).zip(vectors(right)) {
                    *target = cast(self.barrett(self.product(cast(*target), cast(*right))));
                }
            },
        );
    }

    /// `target = left_0 right_1 + left_1 right_0`, value by value.
    pub(super) fn cross(self, target: &mut [u64], left: [&[u64]; 2], right: [&[u64]; 2]) {
        self.simd.vectorize(
            #[inline(always)]
            || {
                let [left0, left1] = left.map(vectors);
                let [right0, right1] = right.map(vectors);
                let pairs = left0.zip(right1).zip(left1.zip(right0));
                for (target, ((a, b), (c, d))) in vectors_mut(target).zip(pairs) {
                    let first = self.product(cast(*a), cast(*b));
                    *target = cast(self.barrett(self.multiply_add(first, cast(*c), cast(*d))));
                }
            },
        );
    }

    /// `target = sum_i source_i constant_i`, with constants times `2^52` modulo `q`, for at most
    /// [`ROWS_AT_ONCE`] sources below `2^50`.
    pub(super) fn convert(self, target: &mut [u64], sources: &[&[u64]], constants: &[u64]) {
        debug_assert!(sources.len() <= ROWS_AT_ONCE && sources.len() == constants.len());
        self.simd.vectorize(
            #[inline(always)]
            || {
                let zero = self.simd.avx512f._mm512_setzero_si512();
                for (index, target) in tiles_mut(target).iter_mut().enumerate() {
                    let mut lazy = [[zero; 2]; VECTORS];
                    for (source, &constant) in sources.iter().zip(constants) {
                        let [constant, _] = self.splat([constant, 0]);
                        for (lazy, source) in lazy.iter_mut().zip(load(source, index)) {
                            *lazy = self.multiply_add(*lazy, source, constant);
                        }
                    }
                    for (target, lazy) in target.iter_mut().zip(lazy) {
                        *target = cast(self.reduce(lazy, zero));
                    }
                }
            },
        );
    }

    /// `values *= c`, for `[c, floor(2^52 c / q)]` and values below `2^52`.
    pub(super) fn scale(self, values: &mut [u64], constant: [u64; 2]) {
        self.simd.vectorize(
            #[inline(always)]
            || {
                for value in vectors_mut(values) {
                    *value = cast(self.reduce_below_4q(self.times(cast(*value), constant)));
                }
            },
        );
    }

    /// `target = (target - other) c`, for `[c, floor(2^52 c / q)]`.
    pub(super) fn sub_scale(self, target: &mut [u64], other: &[u64], constant: [u64; 2]) {
        self.simd.vectorize(
            #[inline(always)]
            || {
                let avx = self.simd.avx512f;
                let [q, _] = self.splat([self.modulus, 0]);
                for (target, other) in vectors_mut(target).zip(vectors(other)) {
                    let difference = avx._mm512_sub_epi64(cast(*target), cast(*other));
                    let positive = avx._mm512_add_epi64(difference, q); // below 2q
                    *target = cast(self.reduce_below_4q(self.times(positive, constant)));
                }
            },
        );
    }

    #[inline(always)]
    fn product(self, a: __m512i, b: __m512i) -> [__m512i; 2] {
        self.multiply_add([self.simd.avx512f._mm512_setzero_si512(); 2], a, b)
    }

    /// `low + 2^52 high` modulo `q`, a sum of at most two products of residues, by Barrett's method
    /// (CRYPTO 1986): the estimate of the quotient is at most 3 too low.
    #[inline(always)]
    fn barrett(self, [low, high]: [__m512i; 2]) -> __m512i {
        let avx = self.simd.avx512f;
        let zero = avx._mm512_setzero_si512();
        let [up, down] = self.splat([u64::from(BITS) - self.log, self.log]);
        let [[reciprocal, q], [mask, _]] =
            [[self.reciprocal, self.modulus], [MASK, 0]].map(|pair| self.splat(pair));
        // the sum divided by 2^log: below 2^(log + 3) <= 2^52
        let upper = avx._mm512_sllv_epi64(high, up);
        let top = avx._mm512_add_epi64(upper, avx._mm512_srlv_epi64(low, down));
        let [_, quotient] = self.multiply_add([zero; 2], top, reciprocal);
        let [multiple, _] = self.multiply_add([zero; 2], quotient, q);
        let remainder = avx._mm512_and_si512(avx._mm512_sub_epi64(low, multiple), mask);
        self.reduce_below_4q(remainder)
    }

    #[inline(always)]
    fn reduce_below_4q(self, a: __m512i) -> __m512i {
        let avx = self.simd.avx512f;
        let [q, double] = self.splat([self.modulus, 2 * self.modulus]);
        let a = avx._mm512_min_epu64(a, avx._mm512_sub_epi64(a, double));
        avx._mm512_min_epu64(a, avx._mm512_sub_epi64(a, q))
    }

    #[inline(always)]
    fn splat(self, values: [u64; 2]) -> [__m512i; 2] {
        values.map(|value| self.simd.avx512f._mm512_set1_epi64(value as i64))
    }
}

/// A constant with its quotient `floor(2^52 c / q)`.
pub(super) fn shoup(constant: u64, q: u64) -> [u64; 2] {
    [constant, ((u128::from(constant) << BITS) / u128::from(q)) as u64]
}

fn vectors(values: &[u64]) -> std::slice::Iter<'_, [u64; 8]> {
    values.as_chunks().0.iter()
}

fn vectors_mut(values: &mut [u64]) -> std::slice::IterMut<'_, [u64; 8]> {
    values.as_chunks_mut().0.iter_mut()
}

fn tiles_mut(values: &mut [u64]) -> &mut [Tile] {
    values.as_chunks_mut().0.as_chunks_mut().0
}

/// Asks for tile `index`, if there is one. The rows of a sum are megabytes: the processor's own
/// prefetching stops at each page of each of them.
#[inline(always)]
#[allow(unsafe_code)]
fn prefetch(values: &[u64], index: usize) {
    let tiles: &[Tile] = values.as_chunks().0.as_chunks().0;
    if let Some(tile) = tiles.get(index) {
        for vector in tile {
            // SAFETY: a prefetch only hints, and the address is that of a live vector.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(vector.as_ptr().cast()) };
        }
    }
}

/// Tile `index`, or zeros beyond the end.
#[inline(always)]
fn load(values: &[u64], index: usize) -> [__m512i; VECTORS] {
    let tiles: &[Tile] = values.as_chunks().0.as_chunks().0;
    cast(tiles.get(index).copied().unwrap_or_default())
}
