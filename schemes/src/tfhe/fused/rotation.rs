//! Blind rotation of a batch: the key in the outer loop, tiles of ciphertexts in the inner one.
//!
//! Everything is `f64`. A torus element is a real number in `[-1/2, 1/2]`, which holds it to 2^-53;
//! rounding, reduction modulo 1 and signed digits are then two operations each, and nothing is ever
//! converted.

use super::lanes::{Kernel, Lanes};
use super::transform::{Aligned, Complex, Transform, zeros};

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
    /// `4 f + 1` for the first lane of each vector.
    exponents: Vec<usize>,
    /// What each further lane adds to the exponent.
    lane_exponents: [usize; L],
}

impl<const L: usize> Tables<L> {
    pub(super) fn new(shape: Shape) -> Self {
        let transform = Transform::new(shape.size / 2);
        let (first, lanes) = transform.frequencies();
        let monomials =
            Complex::unit((0..2 * shape.size).map(|j| j as f64 / shape.size as f64));
        Self {
            shape,
            transform,
            monomials,
            exponents: first.iter().map(|f| 4 * f + 1).collect(),
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
        let (half, rows) = (shape.size / 2, shape.rows());
        assert!(polynomial.len() == shape.size && step.len() == shape.step());
        assert!(row < rows && column < shape.columns && term < shape.terms);
        self.transform.forward(
            lanes,
            scratch,
            // SAFETY: `forward` asks for points of N/2
            |j| unsafe { [lanes.load(polynomial, j), lanes.load(polynomial, j + half)] },
            |v, z| {
                let place = ((v * shape.columns + column) * shape.terms + term) * rows + row;
                // SAFETY: places are below (N/2/L) columns terms rows, 2L numbers each
                unsafe {
                    lanes.store(step, place * 2 * L, z[0]);
                    lanes.store(step, place * 2 * L + L, z[1]);
                }
            },
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
    /// `e^(i pi a j / N)` for what each lane adds to the exponents `j`: `[term][tile][re, im]`.
    lane_monomials: Aligned,
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
            lane_monomials: zeros(shape.terms * TILE * 2 * L),
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
    fn decompose<S: Lanes<L>>(
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
            self.start_monomials(exponents, t, &mut workspace.lane_monomials);
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
        let half = shape.size / 2;
        let base = lanes.splat((shape.base_log as f64).exp2());
        let between = shape.rows() * TILE * 2 * L;
        let keep = shape.levels > 1;
        // SAFETY: below N
        let mut digit = |j: usize| unsafe {
            let x = lanes.load(polynomial.unwrap_or(rest), j);
            let digit = lanes.round_product(x, base);
            if keep {
                lanes.store(rest, j, lanes.mul_sub(x, base, digit));
            }
            digit
        };
        self.transform.forward(
            lanes,
            scratch,
            |j| [digit(j), digit(j + half)],
            // SAFETY: (N/2/L) vectors of rows
            |v, z| unsafe {
                lanes.store(digits, v * between, z[0]);
                lanes.store(digits, v * between + L, z[1]);
            },
        );
    }

    /// What the lanes' frequencies make of the monomials `X^a` of ciphertext `t` in the tile.
    #[inline(always)]
    fn start_monomials(&self, exponents: &[u32], t: usize, lane_monomials: &mut [f64]) {
        for (term, &a) in exponents.iter().enumerate() {
            for (lane, exponent) in self.lane_exponents.iter().enumerate() {
                let index = (a as usize * exponent) & (2 * self.shape.size - 1);
                let place = (term * TILE + t) * 2 * L + lane;
                lane_monomials[place] = self.monomials.re[index];
                lane_monomials[place + L] = self.monomials.im[index];
            }
        }
    }

    /// `X^a - 1` at the frequencies of vector `v`.
    #[inline(always)]
    fn monomials<'e, S: Lanes<L>>(
        &self,
        lanes: S,
        v: usize,
        exponents: &impl Fn(usize) -> &'e [u32],
        own: usize,
        workspace: &mut Workspace,
    ) {
        let one = lanes.splat(1.0);
        let mask = 2 * self.shape.size - 1;
        for t in 0..own {
            for (term, &a) in exponents(t).iter().enumerate() {
                let place = (term * TILE + t) * 2 * L;
                // SAFETY: the table has 2N monomials; t < TILE, and `exponents` gives one for each
                // term
                unsafe {
                    let first =
                        self.monomials.splat(lanes, (a as usize * self.exponents[v]) & mask);
                    let own = &workspace.lane_monomials;
                    let own = [lanes.load(own, place), lanes.load(own, place + L)];
                    let re = lanes.mul_sub(first[0], own[0], one);
                    let re = lanes.neg_mul_add(first[1], own[1], re);
                    let im = lanes.mul(first[0], own[1]);
                    let im = lanes.mul_add(first[1], own[0], im);
                    lanes.store(&mut workspace.monomials, place, re);
                    lanes.store(&mut workspace.monomials, place + L, im);
                }
            }
        }
    }

    #[inline(always)]
    fn multiply<'e, S: Lanes<L>>(
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
                self.monomials(lanes, v, exponents, own, workspace);
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
    fn accumulate<S: Lanes<L>>(
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
            let (start, between) = ((column * TILE + t) * 2 * L, columns * TILE * 2 * L);
            self.transform.inverse(
                lanes,
                scratch,
                |v| {
                    let place = start + v * between;
                    // SAFETY: (N/2/L) vectors of columns
                    unsafe { [lanes.load(products, place), lanes.load(products, place + L)] }
                },
                // SAFETY: below N
                |j, z, w| unsafe {
                    let old = [lanes.load(c, j), lanes.load(c, j + size / 2)];
                    let [re, im] = mul_add(lanes, z, w, old);
                    lanes.store(c, j, lanes.sub(re, lanes.round(re)));
                    lanes.store(c, j + size / 2, lanes.sub(im, lanes.round(im)));
                },
            );
            for j in 0..L {
                c[size + j] = -c[j];
            }
        }
    }
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
