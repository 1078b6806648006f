//! Sums of products modulo `q < 2^50` with the 52-bit multiply-adds of AVX-512 (IFMA), and
//! Montgomery's reduction by `2^52` (Mathematics of Computation 44, 1985), once per sum.

use super::ROWS_AT_ONCE;
use crate::math::Modulus;
use pulp::bytemuck::cast;
use std::arch::x86_64::__m512i;

/// Vectors of 8 values that are worked on together.
const VECTORS: usize = 4;
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
        let quotient = ((u128::from(scale) << BITS) / u128::from(q)) as u64;
        let negated_inverse = inverse.wrapping_neg() & MASK;
        Some(Self { simd, modulus: q, negated_inverse, scale: [scale, quotient] })
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

    /// `2^52 a / N` modulo `q`, in `[0, 2q)`, by V. Shoup's method.
    #[inline(always)]
    fn scaled(self, a: __m512i) -> __m512i {
        let (avx, zero) = (self.simd.avx512f, self.simd.avx512f._mm512_setzero_si512());
        let [[scale, quotient], [q, mask]] =
            [self.scale, [self.modulus, MASK]].map(|pair| self.splat(pair));
        let [product, _] = self.multiply_add([zero; 2], a, scale);
        let [_, estimate] = self.multiply_add([zero; 2], a, quotient);
        let [multiple, _] = self.multiply_add([zero; 2], estimate, q);
        avx._mm512_and_si512(avx._mm512_sub_epi64(product, multiple), mask)
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

fn tiles_mut(values: &mut [u64]) -> &mut [Tile] {
    values.as_chunks_mut().0.as_chunks_mut().0
}

/// Tile `index`, or zeros beyond the end.
#[inline(always)]
fn load(values: &[u64], index: usize) -> [__m512i; VECTORS] {
    let tiles: &[Tile] = values.as_chunks().0.as_chunks().0;
    cast(tiles.get(index).copied().unwrap_or_default())
}
