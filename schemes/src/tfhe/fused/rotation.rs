//! Blind rotation of a batch: the key in the outer loop, tiles of ciphertexts in the inner one.
//!
//! Everything is `f64`. A torus element is a real number in `[-1/2, 1/2]`, which holds it to 2^-53;
//! rounding, reduction modulo 1 and signed digits are then two operations each, and nothing is ever
//! converted.

use super::BootstrapParameters;
use super::complex::{Aligned, Complex, zeros};
use super::lanes::{Kernel, Lanes};
use super::passes::{Accumulator, Digits, Folded, Strided};
use super::transform::Transform;

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
    pub(super) monomials: Complex,
    /// `4 f + 1` for the first lane of the first vector of each `L`.
    pub(super) block_exponents: Vec<usize>,
    /// What each further vector adds to it,
    pub(super) vector_exponents: [usize; L],
    /// and each further lane.
    pub(super) lane_exponents: [usize; L],
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
    pub(super) digits: Aligned,
    /// `[vector][column][tile][re, im]`
    pub(super) products: Aligned,
    scratch: Complex,
    /// `e^(i pi a j / N)` for what vectors and lanes add to the exponents `j`:
    /// `[vector][term][tile][re, im]`.
    pub(super) lane_monomials: Aligned,
    /// `e^(i pi a j / N)` for the exponent that the present `L` vectors begin with: `[term][tile]`.
    pub(super) block_monomials: Complex,
    /// `X^a - 1` at the frequencies of one vector: `[term][tile][re, im]`.
    pub(super) monomials: Aligned,
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
