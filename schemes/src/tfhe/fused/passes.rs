//! What the first and the last pass of a step load and store: decomposition and accumulation are fused
//! with the transforms between them.

use super::complex::{Complex, mul_add};
use super::lanes::Lanes;
use super::transform::{Sink, Source};

/// A real polynomial folded: point `j` is coefficients `j` and `j + N/2`.
pub(super) struct Folded<'a, S> {
    pub(super) lanes: S,
    /// `N` coefficients.
    pub(super) values: &'a [f64],
}

impl<S: Lanes<L>, const L: usize> Source<S, L> for Folded<'_, S> {
    #[inline(always)]
    fn load(&mut self, j: usize) -> [S::Vector; 2] {
        // SAFETY: the transform asks for points of N/2
        unsafe {
            [
                self.lanes.load(self.values, j),
                self.lanes.load(self.values, j + self.values.len() / 2),
            ]
        }
    }
}

/// The next digits of a polynomial, folded.
pub(super) struct Digits<'a, S: Lanes<L>, const L: usize> {
    pub(super) lanes: S,
    /// At least `N` coefficients, within `[-1/2, 1/2]`.
    pub(super) polynomial: Option<&'a [f64]>,
    /// `N` coefficients: taken where there is no polynomial, and what the digits leave.
    pub(super) rest: &'a mut [f64],
    pub(super) base: S::Vector,
    pub(super) keep: bool,
}

impl<S: Lanes<L>, const L: usize> Digits<'_, S, L> {
    /// # Safety
    /// `j + L <= N`.
    #[inline(always)]
    unsafe fn next(&mut self, j: usize) -> S::Vector {
        // SAFETY: by the caller's word
        unsafe {
            let x = self.lanes.load(self.polynomial.unwrap_or(&*self.rest), j);
            let digit = self.lanes.round_product(x, self.base);
            if self.keep {
                self.lanes.store(self.rest, j, self.lanes.mul_sub(x, self.base, digit));
            }
            digit
        }
    }
}

impl<S: Lanes<L>, const L: usize> Source<S, L> for Digits<'_, S, L> {
    #[inline(always)]
    fn load(&mut self, j: usize) -> [S::Vector; 2] {
        let half = self.rest.len() / 2;
        // SAFETY: the transform asks for points of N/2
        unsafe { [self.next(j), self.next(j + half)] }
    }
}

/// Vectors of complex numbers, real parts first, `between` numbers apart; as many as the transform
/// has.
pub(super) struct Strided<'a, S> {
    pub(super) lanes: S,
    pub(super) values: &'a mut [f64],
    pub(super) between: usize,
}

impl<S: Lanes<L>, const L: usize> Source<S, L> for Strided<'_, S> {
    #[inline(always)]
    fn load(&mut self, v: usize) -> [S::Vector; 2] {
        let place = v * self.between;
        // SAFETY: as many vectors as the transform has
        unsafe { [self.lanes.load(self.values, place), self.lanes.load(self.values, place + L)] }
    }
}

impl<S: Lanes<L>, const L: usize> Sink<S, L> for Strided<'_, S> {
    #[inline(always)]
    fn store(&mut self, v: usize, z: [S::Vector; 2]) {
        let place = v * self.between;
        // SAFETY: as many vectors as the transform has
        unsafe {
            self.lanes.store(self.values, place, z[0]);
            self.lanes.store(self.values, place + L, z[1]);
        }
    }
}

/// A polynomial of an accumulator, to which the inverse transform is added modulo 1.
pub(super) struct Accumulator<'a, S> {
    pub(super) lanes: S,
    /// `N + L` coefficients.
    pub(super) values: &'a mut [f64],
    /// `N/2` factors.
    pub(super) untwist: &'a Complex,
}

impl<S: Lanes<L>, const L: usize> Sink<S, L> for Accumulator<'_, S> {
    #[inline(always)]
    fn store(&mut self, j: usize, z: [S::Vector; 2]) {
        let lanes = self.lanes;
        let second = j + (self.values.len() - L) / 2;
        // SAFETY: the transform gives points of N/2
        unsafe {
            let old = [lanes.load(self.values, j), lanes.load(self.values, second)];
            let [re, im] = mul_add(lanes, z, self.untwist.load(lanes, j), old);
            lanes.store(self.values, j, lanes.sub(re, lanes.round(re)));
            lanes.store(self.values, second, lanes.sub(im, lanes.round(im)));
        }
    }
}
