//! [`Lanes`] on AVX-512 and on AVX2.

use super::lanes::{Kernel, Lanes, Vectorized, read, write};
use pulp::x86::{V3, V4};
use std::arch::x86_64::{__m256d, __m512d, _MM_HINT_T1, _mm_prefetch};

impl Lanes<8> for V4 {
    type Vector = __m512d;

    #[inline(always)]
    fn splat(self, value: f64) -> __m512d {
        self.avx512f._mm512_set1_pd(value)
    }
    // SAFETY: the caller keeps `start` in bounds, as the trait asks
    #[inline(always)]
    unsafe fn load(self, values: &[f64], start: usize) -> __m512d {
        // SAFETY: the caller's word
        unsafe { read(values, start) }
    }
    // SAFETY: the caller keeps `start` in bounds, as the trait asks
    #[inline(always)]
    unsafe fn store(self, values: &mut [f64], start: usize, vector: __m512d) {
        // SAFETY: the caller's word
        unsafe { write(values, start, vector) }
    }
    #[inline(always)]
    fn add(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_add_pd(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_sub_pd(a, b)
    }
    #[inline(always)]
    fn mul(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_mul_pd(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        self.avx512f._mm512_fmadd_pd(a, b, c)
    }
    #[inline(always)]
    fn mul_sub(self, a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        self.avx512f._mm512_fmsub_pd(a, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        self.avx512f._mm512_fnmadd_pd(a, b, c)
    }
    #[inline(always)]
    fn transpose(self, [a, b, c, d, e, f, g, h]: [__m512d; 8]) -> [__m512d; 8] {
        let v = self.avx512f;
        // pairs of rows, then quarters of 128 bits twice
        let pair = |x, y| [v._mm512_unpacklo_pd(x, y), v._mm512_unpackhi_pd(x, y)];
        let [[ab0, ab1], [cd0, cd1], [ef0, ef1], [gh0, gh1]] =
            [pair(a, b), pair(c, d), pair(e, f), pair(g, h)];
        let quad =
            |x, y| [v._mm512_shuffle_f64x2::<0x88>(x, y), v._mm512_shuffle_f64x2::<0xDD>(x, y)];
        let column = |ab, cd, ef, gh| {
            let [[even0, odd0], [even1, odd1]] = [quad(ab, cd), quad(ef, gh)];
            let [[c0, c4], [c2, c6]] = [quad(even0, even1), quad(odd0, odd1)];
            [c0, c2, c4, c6]
        };
        let [c0, c2, c4, c6] = column(ab0, cd0, ef0, gh0);
        let [c1, c3, c5, c7] = column(ab1, cd1, ef1, gh1);
        [c0, c1, c2, c3, c4, c5, c6, c7]
    }
    #[inline(always)]
    fn prefetch(self, values: &[f64], index: usize) {
        // SAFETY: SSE is there, and a prefetch of any address is no access
        unsafe { _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().wrapping_add(index).cast()) }
    }
    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        pulp::Simd::vectorize(self, Vectorized(kernel))
    }
}

impl Lanes<4> for V3 {
    type Vector = __m256d;

    #[inline(always)]
    fn splat(self, value: f64) -> __m256d {
        self.avx._mm256_set1_pd(value)
    }
    // SAFETY: the caller keeps `start` in bounds, as the trait asks
    #[inline(always)]
    unsafe fn load(self, values: &[f64], start: usize) -> __m256d {
        // SAFETY: the caller's word
        unsafe { read(values, start) }
    }
    // SAFETY: the caller keeps `start` in bounds, as the trait asks
    #[inline(always)]
    unsafe fn store(self, values: &mut [f64], start: usize, vector: __m256d) {
        // SAFETY: the caller's word
        unsafe { write(values, start, vector) }
    }
    #[inline(always)]
    fn add(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_add_pd(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_sub_pd(a, b)
    }
    #[inline(always)]
    fn mul(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_mul_pd(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: __m256d, b: __m256d, c: __m256d) -> __m256d {
        self.fma._mm256_fmadd_pd(a, b, c)
    }
    #[inline(always)]
    fn mul_sub(self, a: __m256d, b: __m256d, c: __m256d) -> __m256d {
        self.fma._mm256_fmsub_pd(a, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m256d, b: __m256d, c: __m256d) -> __m256d {
        self.fma._mm256_fnmadd_pd(a, b, c)
    }
    #[inline(always)]
    fn transpose(self, [a, b, c, d]: [__m256d; 4]) -> [__m256d; 4] {
        let v = self.avx;
        let pair = |x, y| [v._mm256_unpacklo_pd(x, y), v._mm256_unpackhi_pd(x, y)];
        let [[ab0, ab1], [cd0, cd1]] = [pair(a, b), pair(c, d)];
        let low = |x, y| v._mm256_permute2f128_pd::<0x20>(x, y);
        let high = |x, y| v._mm256_permute2f128_pd::<0x31>(x, y);
        [low(ab0, cd0), low(ab1, cd1), high(ab0, cd0), high(ab1, cd1)]
    }
    #[inline(always)]
    fn prefetch(self, values: &[f64], index: usize) {
        // SAFETY: SSE is there, and a prefetch of any address is no access
        unsafe { _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().wrapping_add(index).cast()) }
    }
    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        pulp::Simd::vectorize(self, Vectorized(kernel))
    }
}
