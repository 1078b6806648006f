//! Blind rotation of a batch: the key in the outer loop, tiles of ciphertexts in the inner one.
//!
//! Everything is `f64`. A torus element is a real number in `[-1/2, 1/2]`, which holds it to 2^-53;
//! rounding, reduction modulo 1 and signed digits are then two operations each, and nothing is ever
//! converted.

use super::BootstrapParameters;
use super::lanes::{Kernel, Lanes};
use super::transform::{Aligned, Complex, Sink, Source, Transform, zeros};

/// Ciphertexts that share each load of a key element in registers.
pub(in crate::tfhe) const TILE: usize = 4;

/// Sizes of a blind rotation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Polynomial size `N`.
    pub(super) size: usize,
    /// Polynomials of a ciphertext, `k + 1`.
    pub(super) columns: usize,
    pub(super) base_log: usize,
    pub(super) levels: usize,
    /// GGSW ciphertexts multiplied in each step: `2^g - 1` for `g` key bits.
    pub(super) terms: usize,
}

impl Shape {
    pub(super) fn new(parameters: &BootstrapParameters) -> Self {
        Self {
            size: parameters.polynomial_size(),
            columns: parameters.glwe_dimension() + 1,
            base_log: parameters.base_log(),
            levels: parameters.levels(),
            terms: parameters.terms(),
        }
    }

    /// Digit polynomials of a ciphertext.
    pub(super) fn rows(&self) -> usize {
        self.columns * self.levels
    }

    /// Numbers of the key for one step.
    pub(super) fn step(&self) -> usize {
        self.columns * self.rows() * self.terms * self.size
    }

    /// From one polynomial of an accumulator to the next: `N` coefficients, then the first `L` again,
    /// negated, so that a vector that wraps around can be loaded as one.
    pub(super) fn stride<const L: usize>(&self) -> usize {
        self.size + L
    }
}

/// The tables that go with a shape.
pub(super) struct Tables<const L: usize> {
    pub(super) shape: Shape,
    pub(super) transform: Transform<L>,
    /// `e^(i pi j / N)` for `j < 2N`.
    monomials: Complex,
    /// `4 f + 1` for the first lane of the first vector of each `L`.
    block_exponents: Vec<usize>,
    /// What each further vector adds to it,
    vector_exponents: [usize; L],
    /// and each further lane.
    lane_exponents: [usize; L],
}

impl<const L: usize> Tables<L> {
    pub(super) fn new(shape: Shape) -> Self {
        let transform = Transform::new(shape.size / 2);
        let (first, lanes) = transform.frequencies();
        let monomials = Complex::unit((0..2 * shape.size).map(|j| j as f64 / shape.size as f64));
        Self {
            shape,
            transform,
            monomials,
            block_exponents: first.iter().step_by(L).map(|f| 4 * f + 1).collect(),
            vector_exponents: std::array::from_fn(|column| 4 * first[column]),
            lane_exponents: lanes.map(|f| 4 * f),
        }
    }

    /// Writes the transform of row `row`, column `column` of term `term` into the key of one step.
    /// `polynomial` is in torus units.
    #[inline(always)]
    pub(super) fn insert<S: Lanes<L>>(
        &self,
        lanes: S,
        [row, column, term]: [usize; 3],
        polynomial: &[f64],
        scratch: &mut Complex,
        step: &mut [f64],
    ) {
        let shape = &self.shape;
        let rows = shape.rows();
        assert!(polynomial.len() == shape.size && step.len() == shape.step());
        assert!(row < rows && column < shape.columns && term < shape.terms);
        let start = ((column * shape.terms + term) * rows + row) * 2 * L;
        let between = shape.columns * shape.terms * rows * 2 * L;
        self.transform.forward(
            lanes,
            scratch,
            Folded { lanes, values: polynomial },
            Strided { lanes, values: &mut step[start..], between },
        );
    }
}

/// The working memory of one batch.
pub(super) struct Workspace {
    /// `[ciphertext][column][stride]`, in torus units within `[-1/2, 1/2]`.
    pub(super) accumulators: Aligned,
    /// What the digits so far leave of one polynomial, in units of the last: within `[-1/2, 1/2]`.
    rest: Aligned,
    /// `[vector][row][tile][re, im]`
    digits: Aligned,
    /// `[vector][column][tile][re, im]`
    products: Aligned,
    scratch: Complex,
    /// `e^(i pi a j / N)` for what vectors and lanes add to the exponents `j`:
    /// `[vector][term][tile][re, im]`.
    lane_monomials: Aligned,
    /// `e^(i pi a j / N)` for the exponent that the present `L` vectors begin with: `[term][tile]`.
    block_monomials: Complex,
    /// `X^a - 1` at the frequencies of one vector: `[term][tile][re, im]`.
    monomials: Aligned,
}

impl Workspace {
    pub(super) fn new<const L: usize>(shape: &Shape, count: usize) -> Self {
        Self {
            accumulators: zeros(count * shape.columns * shape.stride::<L>()),
            rest: zeros(shape.size),
            digits: zeros(shape.rows() * TILE * shape.size),
            products: zeros(shape.columns * TILE * shape.size),
            scratch: Complex::zeros(shape.size / 2),
            lane_monomials: zeros(L * shape.terms * TILE * 2 * L),
            block_monomials: Complex::zeros(shape.terms * TILE),
            monomials: zeros(shape.terms * TILE * 2 * L),
        }
    }
}

/// The blind rotation of a batch by one step of the key.
pub(super) struct Step<'a, S, const L: usize> {
    pub(super) lanes: S,
    pub(super) tables: &'a Tables<L>,
    /// The key of this step.
    pub(super) key: &'a [f64],
    /// The key of the next, to be brought near meanwhile.
    pub(super) next: &'a [f64],
    /// The exponents of this step, one ciphertext's every `stride` words.
    pub(super) exponents: &'a [u32],
    pub(super) stride: usize,
    pub(super) workspace: &'a mut Workspace,
}

impl<S: Lanes<L>, const L: usize> Kernel for Step<'_, S, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { lanes, tables, key, next, exponents, stride, workspace } = self;
        let shape = &tables.shape;
        let count = workspace.accumulators.len() / (shape.columns * shape.stride::<L>());
        assert_eq!(key.len(), shape.step());
        let share = next.len().div_ceil(count.div_ceil(TILE));
        for first in (0..count).step_by(TILE) {
            let own = TILE.min(count - first);
            let exponents = |t: usize| &exponents[(first + t) * stride..][..shape.terms];
            for t in 0..own {
                tables.decompose(lanes, workspace, [first, t], exponents(t));
            }
            let start = (first / TILE * share).min(next.len());
            let near = &next[start..next.len().min(start + share)];
            tables.multiply(lanes, key, near, &exponents, own, workspace);
            for t in 0..own {
                tables.accumulate(lanes, workspace, [first, t]);
            }
        }
    }
}

impl<const L: usize> Tables<L> {
    /// The transforms of the digits of ciphertext `first + t`: of `(X^a - 1) c` for a single key bit,
    /// of `c` itself where the monomials come later.
    #[inline(always)]
    pub(super) fn decompose<S: Lanes<L>>(
        &self,
        lanes: S,
        workspace: &mut Workspace,
        [first, t]: [usize; 2],
        exponents: &[u32],
    ) {
        let shape = &self.shape;
        let stride = shape.stride::<L>();
        for column in 0..shape.columns {
            let start = ((first + t) * shape.columns + column) * stride;
            let Workspace { accumulators, rest, digits, scratch, .. } = &mut *workspace;
            let c = &accumulators[start..start + stride];
            let place = |level| ((column * shape.levels + level) * TILE + t) * 2 * L;
            let mut done = 0;
            if let [a] = exponents {
                self.rotate_and_subtract(lanes, c, *a as usize, rest);
            } else {
                self.digit(lanes, Some(c), rest, &mut digits[place(0)..], scratch);
                done = 1;
            }
            for level in done..shape.levels {
                self.digit(lanes, None, rest, &mut digits[place(level)..], scratch);
            }
        }
        if exponents.len() > 1 {
            self.start_monomials(lanes, exponents, t, &mut workspace.lane_monomials);
        }
    }

    /// `(X^a - 1) c` modulo 1.
    #[inline(always)]
    fn rotate_and_subtract<S: Lanes<L>>(&self, lanes: S, c: &[f64], a: usize, rest: &mut [f64]) {
        let size = self.shape.size;
        assert!(c.len() >= size + L && rest.len() == size);
        for j in (0..size).step_by(L) {
            let source = j.wrapping_sub(a) & (2 * size - 1);
            let sign = lanes.splat(if source >= size { -1.0 } else { 1.0 });
            // SAFETY: all below N, and `c` has L more
            unsafe {
                let rotated = lanes.load(c, source & (size - 1));
                let x = lanes.mul_sub(sign, rotated, lanes.load(c, j));
                lanes.store(rest, j, lanes.sub(x, lanes.round(x)));
            }
        }
    }

    /// The transform of the first digits of `polynomial` or else the next of `rest`, which keeps what
    /// they leave.
    #[inline(always)]
    fn digit<S: Lanes<L>>(
        &self,
        lanes: S,
        polynomial: Option<&[f64]>,
        rest: &mut [f64],
        digits: &mut [f64],
        scratch: &mut Complex,
    ) {
        let shape = &self.shape;
        assert!(polynomial.is_none_or(|c| c.len() >= shape.size) && rest.len() == shape.size);
        let source = Digits {
            lanes,
            polynomial,
            rest,
            base: lanes.splat((shape.base_log as f64).exp2()),
            keep: shape.levels > 1,
        };
        let between = shape.rows() * TILE * 2 * L;
        self.transform.forward(lanes, scratch, source, Strided { lanes, values: digits, between });
    }

    /// What the frequencies of lanes and vectors make of the monomials `X^a` of ciphertext `t` in the
    /// tile.
    #[inline(always)]
    fn start_monomials<S: Lanes<L>>(
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

    /// Adds the inverse transforms of the products to ciphertext `first + t`.
    #[inline(always)]
    pub(super) fn accumulate<S: Lanes<L>>(
        &self,
        lanes: S,
        workspace: &mut Workspace,
        [first, t]: [usize; 2],
    ) {
        let shape = &self.shape;
        let Workspace { accumulators, products, scratch, .. } = workspace;
        let (size, stride, columns) = (shape.size, shape.stride::<L>(), shape.columns);
        for column in 0..columns {
            let start = ((first + t) * columns + column) * stride;
            let c = &mut accumulators[start..start + stride];
            let products = &mut products[(column * TILE + t) * 2 * L..];
            self.transform.inverse(
                lanes,
                scratch,
                Strided { lanes, values: products, between: columns * TILE * 2 * L },
                Accumulator { lanes, values: c, untwist: self.transform.untwist() },
            );
            for j in 0..L {
                c[size + j] = -c[j];
            }
        }
    }
}

/// A real polynomial folded: point `j` is coefficients `j` and `j + N/2`.
struct Folded<'a, S> {
    lanes: S,
    /// `N` coefficients.
    values: &'a [f64],
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
struct Digits<'a, S: Lanes<L>, const L: usize> {
    lanes: S,
    /// At least `N` coefficients, within `[-1/2, 1/2]`.
    polynomial: Option<&'a [f64]>,
    /// `N` coefficients: taken where there is no polynomial, and what the digits leave.
    rest: &'a mut [f64],
    base: S::Vector,
    keep: bool,
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
struct Strided<'a, S> {
    lanes: S,
    values: &'a mut [f64],
    between: usize,
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
struct Accumulator<'a, S> {
    lanes: S,
    /// `N + L` coefficients.
    values: &'a mut [f64],
    /// `N/2` factors.
    untwist: &'a Complex,
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

/// `a b`
#[inline(always)]
fn mul<S: Lanes<L>, const L: usize>(
    lanes: S,
    a: [S::Vector; 2],
    b: [S::Vector; 2],
) -> [S::Vector; 2] {
    [
        lanes.neg_mul_add(a[1], b[1], lanes.mul(a[0], b[0])),
        lanes.mul_add(a[1], b[0], lanes.mul(a[0], b[1])),
    ]
}

/// `a b + c`
#[inline(always)]
fn mul_add<S: Lanes<L>, const L: usize>(
    lanes: S,
    a: [S::Vector; 2],
    b: [S::Vector; 2],
    c: [S::Vector; 2],
) -> [S::Vector; 2] {
    [
        lanes.neg_mul_add(a[1], b[1], lanes.mul_add(a[0], b[0], c[0])),
        lanes.mul_add(a[1], b[0], lanes.mul_add(a[0], b[1], c[1])),
    ]
}
