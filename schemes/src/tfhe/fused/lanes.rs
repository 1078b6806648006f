//! Vectors of `f64`: the few operations that the kernel is written in, and their one implementation
//! for each instruction set.
//!
//! Every operation rounds once, as IEEE 754 says, in each of them; the kernel's results are therefore
//! the same to the last bit whatever the processor.

/// `1.5 * 2^52`: adding and subtracting it rounds any `|x| < 2^51` to the nearest integer.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Vectors of `L` numbers on one instruction set.
pub(super) trait Lanes<const L: usize>: Copy + Send + Sync {
    /// A vector.
    type Vector: Copy;

    fn splat(self, value: f64) -> Self::Vector;
    /// The vector from `[start, start + L)`.
    ///
    /// # Safety
    /// `start + L` is at most the length of `values`.
    unsafe fn load(self, values: &[f64], start: usize) -> Self::Vector;
    /// # Safety
    /// `start + L` is at most the length of `values`.
    unsafe fn store(self, values: &mut [f64], start: usize, vector: Self::Vector);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a b + c`
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a b - c`
    fn mul_sub(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `c - a b`
    fn neg_mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The transpose of an `L` by `L` matrix given by its rows.
    fn transpose(self, rows: [Self::Vector; L]) -> [Self::Vector; L];
    /// Asks for the cache line of `values[index]`, if there is one, to be brought to the second level
    /// cache.
    fn prefetch(self, values: &[f64], index: usize);
    /// Runs `kernel`, compiled for the instruction set.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;

    /// The nearest integers, for `|a| < 2^51`.
    #[inline(always)]
    fn round(self, a: Self::Vector) -> Self::Vector {
        let magic = self.splat(ROUND);
        self.sub(self.add(a, magic), magic)
    }

    /// The nearest integers to `a b`, for `|a b| < 2^51`.
    #[inline(always)]
    fn round_product(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        let magic = self.splat(ROUND);
        self.sub(self.mul_add(a, b, magic), magic)
    }
}

/// Code to be compiled for an instruction set.
pub(super) trait Kernel {
    type Output;
    fn run(self) -> Self::Output;
}

/// Passes a [`Kernel`] through `pulp`.
pub(super) struct Vectorized<K>(pub(super) K);

impl<K: Kernel> pulp::WithSimd for Vectorized<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> K::Output {
        self.0.run()
    }
}

/// Unit tests check every access; otherwise the checks alone would double the kernel's time.
#[inline(always)]
pub(super) fn check_access(start: usize, count: usize, length: usize) {
    #[cfg(test)]
    assert!(start + count <= length, "[{start}, {start} + {count}) of {length}");
    #[cfg(not(test))]
    let _ = (start, count, length);
}

/// # Safety
/// `start` and as many numbers as `V` holds lie within `values`.
#[inline(always)]
pub(super) unsafe fn read<V>(values: &[f64], start: usize) -> V {
    check_access(start, size_of::<V>() / 8, values.len());
    // SAFETY: in bounds by the caller's word; vectors are plain numbers
    unsafe { values.as_ptr().add(start).cast::<V>().read_unaligned() }
}

/// # Safety
/// `start` and as many numbers as `V` holds lie within `values`.
#[inline(always)]
pub(super) unsafe fn write<V>(values: &mut [f64], start: usize, vector: V) {
    check_access(start, size_of::<V>() / 8, values.len());
    // SAFETY: in bounds by the caller's word; vectors are plain numbers
    unsafe { values.as_mut_ptr().add(start).cast::<V>().write_unaligned(vector) }
}

impl Lanes<1> for pulp::Scalar {
    type Vector = f64;

    #[inline(always)]
    fn splat(self, value: f64) -> f64 {
        value
    }
    // SAFETY: the caller keeps `start` in bounds, as the trait asks
    #[inline(always)]
    unsafe fn load(self, values: &[f64], start: usize) -> f64 {
        values[start]
    }
    // SAFETY: the caller keeps `start` in bounds, as the trait asks
    #[inline(always)]
    unsafe fn store(self, values: &mut [f64], start: usize, vector: f64) {
        values[start] = vector;
    }
    #[inline(always)]
    fn add(self, a: f64, b: f64) -> f64 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f64, b: f64) -> f64 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f64, b: f64) -> f64 {
        a * b
    }
    #[inline(always)]
    fn mul_add(self, a: f64, b: f64, c: f64) -> f64 {
        a.mul_add(b, c)
    }
    #[inline(always)]
    fn mul_sub(self, a: f64, b: f64, c: f64) -> f64 {
        a.mul_add(b, -c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: f64, b: f64, c: f64) -> f64 {
        (-a).mul_add(b, c)
    }
    #[inline(always)]
    fn transpose(self, rows: [f64; 1]) -> [f64; 1] {
        rows
    }
    #[inline(always)]
    fn prefetch(self, _: &[f64], _: usize) {}
    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run()
    }
}
