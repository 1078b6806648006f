//! The second pass of a step: products of digits with the key, and with monomials for several key bits.

use super::complex::{Complex, mul, mul_add};
use super::lanes::Lanes;
use super::rotation::{TILE, Tables, Workspace};

impl<const L: usize> Tables<L> {
    /// What the frequencies of lanes and vectors make of the monomials `X^a` of ciphertext `t` in the
    /// tile.
    #[inline(always)]
    pub(super) fn start_monomials<S: Lanes<L>>(
        &self,
        lanes: S,
        exponents: &[u32],
        t: usize,
        lane_monomials: &mut [f64],
    ) {
        let shape = &self.shape;
        assert_eq!(lane_monomials.len(), L * shape.terms * TILE * 2 * L);
        let mask = 2 * shape.size - 1;
        for (term, &a) in exponents.iter().enumerate() {
            let monomial = |exponent: usize| (a as usize * exponent) & mask;
            let (mut re, mut im) = ([0.0; L], [0.0; L]);
            for (lane, &exponent) in self.lane_exponents.iter().enumerate() {
                let index = monomial(exponent);
                (re[lane], im[lane]) = (self.monomials.re[index], self.monomials.im[index]);
            }
            for (vector, &exponent) in self.vector_exponents.iter().enumerate() {
                let place = ((vector * shape.terms + term) * TILE + t) * 2 * L;
                // SAFETY: the table has 2N monomials; vector < L, term < terms, t < TILE
                unsafe {
                    let own = [lanes.load(&re, 0), lanes.load(&im, 0)];
                    let z = mul(lanes, self.monomials.splat(lanes, monomial(exponent)), own);
                    lanes.store(lane_monomials, place, z[0]);
                    lanes.store(lane_monomials, place + L, z[1]);
                }
            }
        }
    }

    /// The monomials at the exponents that block `block` of `L` vectors begins with.
    #[inline(always)]
    fn block_monomials<'e>(
        &self,
        block: usize,
        exponents: &impl Fn(usize) -> &'e [u32],
        own: usize,
        block_monomials: &mut Complex,
    ) {
        for t in 0..own {
            for (term, &a) in exponents(t).iter().enumerate() {
                let index = (a as usize * self.block_exponents[block]) & (2 * self.shape.size - 1);
                block_monomials.re[term * TILE + t] = self.monomials.re[index];
                block_monomials.im[term * TILE + t] = self.monomials.im[index];
            }
        }
    }

    /// `X^a - 1` at the frequencies of vector `v`, for each term and ciphertext of the tile.
    #[inline(always)]
    fn monomials<S: Lanes<L>>(&self, lanes: S, v: usize, workspace: &mut Workspace) {
        let one = lanes.splat(1.0);
        let count = self.shape.terms * TILE;
        let Workspace { lane_monomials, block_monomials, monomials, .. } = workspace;
        assert!(lane_monomials.len() == L * count * 2 * L && monomials.len() == count * 2 * L);
        for index in 0..count {
            let (own, place) = ((v % L * count + index) * 2 * L, index * 2 * L);
            // SAFETY: index < count, v % L < L
            unsafe {
                let own = [lanes.load(lane_monomials, own), lanes.load(lane_monomials, own + L)];
                let [re, im] = mul(lanes, block_monomials.splat(lanes, index), own);
                lanes.store(monomials, place, lanes.sub(re, one));
                lanes.store(monomials, place + L, im);
            }
        }
    }

    #[inline(always)]
    pub(super) fn multiply<'e, S: Lanes<L>>(
        &self,
        lanes: S,
        key: &[f64],
        next: &[f64],
        exponents: &impl Fn(usize) -> &'e [u32],
        own: usize,
        workspace: &mut Workspace,
    ) {
        let shape = &self.shape;
        let (rows, columns, terms) = (shape.rows(), shape.columns, shape.terms);
        let vectors = shape.size / 2 / L;
        let share = next.len() / vectors;
        for v in 0..vectors {
            if terms > 1 {
                if v % L == 0 {
                    self.block_monomials(v / L, exponents, own, &mut workspace.block_monomials);
                }
                self.monomials(lanes, v, workspace);
            }
            for line in (v * share..(v + 1) * share).step_by(8) {
                lanes.prefetch(next, line);
            }
            let Workspace { digits, products, monomials, .. } = workspace;
            let digits = &digits[v * rows * TILE * 2 * L..][..rows * TILE * 2 * L];
            let products = &mut products[v * columns * TILE * 2 * L..][..columns * TILE * 2 * L];
            let key = &key[v * columns * terms * rows * 2 * L..][..columns * terms * rows * 2 * L];
            for (column, key) in key.chunks_exact(terms * rows * 2 * L).enumerate() {
                let mut total = [[lanes.splat(0.0); 2]; TILE];
                for (term, key) in key.chunks_exact(rows * 2 * L).enumerate() {
                    // SAFETY: both have `rows` rows
                    let sum = unsafe { self.inner_product(lanes, key, digits) };
                    if terms == 1 {
                        total = sum;
                        continue;
                    }
                    for (t, (total, sum)) in total.iter_mut().zip(sum).enumerate() {
                        let place = (term * TILE + t) * 2 * L;
                        // SAFETY: term < terms, t < TILE
                        let m = unsafe {
                            [lanes.load(monomials, place), lanes.load(monomials, place + L)]
                        };
                        *total = mul_add(lanes, m, sum, *total);
                    }
                }
                for (t, z) in total.into_iter().enumerate() {
                    let place = (column * TILE + t) * 2 * L;
                    // SAFETY: column < columns, t < TILE
                    unsafe {
                        lanes.store(products, place, z[0]);
                        lanes.store(products, place + L, z[1]);
                    }
                }
            }
        }
    }

    /// `sum_r key_r digits_(r,t)` for each ciphertext `t` of the tile: one key element loaded serves
    /// all of them.
    ///
    /// # Safety
    /// `key` is `[row][re, im]`, `digits` is `[row][tile][re, im]`, with `rows` rows.
    #[inline(always)]
    unsafe fn inner_product<S: Lanes<L>>(
        &self,
        lanes: S,
        key: &[f64],
        digits: &[f64],
    ) -> [[S::Vector; 2]; TILE] {
        let mut sum = [[lanes.splat(0.0); 2]; TILE];
        for row in 0..self.shape.rows() {
            // SAFETY: by the caller's word
            unsafe {
                let k = [lanes.load(key, row * 2 * L), lanes.load(key, row * 2 * L + L)];
                for (t, sum) in sum.iter_mut().enumerate() {
                    let place = (row * TILE + t) * 2 * L;
                    let d = [lanes.load(digits, place), lanes.load(digits, place + L)];
                    *sum = mul_add(lanes, k, d, *sum);
                }
            }
        }
        sum
    }
}
