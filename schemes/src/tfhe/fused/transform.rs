//! The negacyclic Fourier transform of real polynomials, folded into `M = N/2` complex points.
//!
//! A polynomial `p` of `R[X]/(X^N + 1)` is the complex polynomial `sum_j (p_j + i p_(j+M)) X^j` modulo
//! `X^M - i`. The forward transform splits that modulus in two, level by level,
//! `X^(2h) - w^2 = (X^h - w)(X^h + w)`, down to the values at `e^(i pi (4f+1)/N)`: no twist is needed,
//! and position `p` holds frequency `f = bitreverse(p)`. The inverse is the decimation in time from
//! that order, after which position `j` is still to be multiplied by `e^(-i pi j/N) / M`. Every
//! butterfly, `u + w v` and `u - w v`, is six fused multiply-adds: the second is `2u` less the first.
//!
//! Vectors hold neighbouring points; the last `2 log2 L` levels of the forward transform are done on
//! blocks of `L` vectors in registers, transposed halfway. Its results stay transposed.

use super::butterfly::{Twiddles, join, level_of, split, transpose};
use super::complex::Complex;
use super::lanes::Lanes;

/// Where a transform takes vectors from, by index. These are traits, as closures as large would not be
/// inlined.
pub(super) trait Source<S: Lanes<L>, const L: usize> {
    fn load(&mut self, index: usize) -> [S::Vector; 2];
}

/// Where a transform puts its vectors, by index.
pub(super) trait Sink<S: Lanes<L>, const L: usize> {
    fn store(&mut self, index: usize, z: [S::Vector; 2]);
}

/// The tables of a transform for vectors of `L`.
pub(super) struct Transform<const L: usize> {
    points: usize,
    /// `log2` of the radix of each pass before the last `2 log2 L` levels.
    passes: Vec<u32>,
    /// At `2^s + b`: the square root of the modulus of block `b` at level `s`; odd blocks have `i`
    /// times that of their left neighbour.
    roots: Complex,
    /// The roots of the levels after the transposition: `L/2` vectors for each block of `L^2`.
    block_roots: Complex,
    /// At `h + k`: `e^(-i pi k/h)`.
    twiddles: Complex,
    /// `e^(-i pi j/N) / M`
    untwist: Complex,
}

impl<const L: usize> Transform<L> {
    /// The transform of `2 points` real coefficients; `points` is a power of two above `L^2`.
    pub(super) fn new(points: usize) -> Self {
        let levels = points.ilog2();
        let before = levels - 2 * L.ilog2();
        let mut passes = match before {
            1 => vec![1],
            _ if before % 2 == 1 => vec![3],
            _ => vec![2],
        };
        while passes.iter().sum::<u32>() < before {
            passes.push(2);
        }
        let roots = Complex::unit((0..points).map(root_angle));
        let block_roots = (0..points / (2 * L)).flat_map(|vector| {
            let (block, (level, q)) = (vector / (L / 2), level_of(vector % (L / 2)));
            let first = points / L + L * block;
            (0..L).map(move |lane| root_angle(((first + lane) << level) + 2 * q))
        });
        let block_roots = Complex::unit(block_roots.take(if L == 1 { 0 } else { points / 2 }));
        let twiddles = Complex::unit((0..points).map(|index| {
            let h = 1 << index.max(1).ilog2();
            -(index.saturating_sub(h) as f64) / h as f64
        }));
        let mut untwist = Complex::unit((0..points).map(|j| -(j as f64) / (2 * points) as f64));
        for value in untwist.re.iter_mut().chain(untwist.im.iter_mut()) {
            *value /= points as f64;
        }
        Self { points, passes, roots, block_roots, twiddles, untwist }
    }

    /// The frequency of each vector's first lane, and what each further lane adds to it.
    pub(super) fn frequencies(&self) -> (Vec<usize>, [usize; L]) {
        let shift = usize::BITS - self.points.ilog2();
        let reverse = |position: usize| position.reverse_bits() >> shift;
        let first = (0..self.points / L).map(|v| reverse(v / L * L * L + v % L)).collect();
        (first, std::array::from_fn(|lane| reverse(L * lane)))
    }

    /// Scratch space for [`Transform::forward`] and [`Transform::inverse`].
    pub(super) fn scratch(&self) -> Complex {
        Complex::zeros(self.points)
    }

    /// What the points of [`Transform::inverse`] are still to be multiplied by.
    pub(super) fn untwist(&self) -> &Complex {
        &self.untwist
    }

    /// The transform of the points of `source` (`[j, j + L)` each time, `j + L <= M`). Vector `v < M/L`
    /// of the result goes to `sink`; see [`Transform::frequencies`]. `scratch` is overwritten.
    #[inline(always)]
    pub(super) fn forward<S: Lanes<L>>(
        &self,
        lanes: S,
        scratch: &mut Complex,
        mut source: impl Source<S, L>,
        mut sink: impl Sink<S, L>,
    ) {
        assert_eq!(scratch.re.len().min(scratch.im.len()), self.points);
        match self.passes[0] {
            1 => self.first_pass::<S, 2>(lanes, scratch, &mut source),
            2 => self.first_pass::<S, 4>(lanes, scratch, &mut source),
            _ => self.first_pass::<S, 8>(lanes, scratch, &mut source),
        }
        let mut blocks = 1 << self.passes[0];
        for &radix in &self.passes[1..] {
            self.pass(lanes, scratch, blocks);
            blocks <<= radix;
        }
        for block in 0..blocks {
            // SAFETY: `blocks` is M/L^2, which `new` makes the passes come to
            let z = unsafe { self.last_block(lanes, scratch, blocks, block) };
            for (column, z) in z.into_iter().enumerate() {
                sink.store(block * L + column, z);
            }
        }
    }

    /// # Safety
    /// `block < blocks = M/L^2`, and `scratch` has `M` points.
    #[inline(always)]
    unsafe fn last_block<S: Lanes<L>>(
        &self,
        lanes: S,
        scratch: &Complex,
        blocks: usize,
        block: usize,
    ) -> [[S::Vector; 2]; L] {
        let mut z = [[lanes.splat(0.0); 2]; L];
        for (r, z) in z.iter_mut().enumerate() {
            // SAFETY: `L` vectors from each block
            *z = unsafe { scratch.load(lanes, (block * L + r) * L) };
        }
        split(lanes, &mut z, Roots { lanes, table: &self.roots, blocks, block });
        transpose(lanes, &mut z);
        let first = block * (L / 2);
        split(lanes, &mut z, BlockRoots { lanes, table: &self.block_roots, first });
        z
    }

    #[inline(always)]
    fn first_pass<S: Lanes<L>, const R: usize>(
        &self,
        lanes: S,
        scratch: &mut Complex,
        source: &mut impl Source<S, L>,
    ) {
        let stride = self.points / R;
        for j in (0..stride).step_by(L) {
            let mut z = [[lanes.splat(0.0); 2]; R];
            for (r, z) in z.iter_mut().enumerate() {
                *z = source.load(j + r * stride);
            }
            split(lanes, &mut z, Roots { lanes, table: &self.roots, blocks: 1, block: 0 });
            for (r, z) in z.into_iter().enumerate() {
                // SAFETY: points below M, which `scratch` has
                unsafe { scratch.store(lanes, j + r * stride, z) };
            }
        }
    }

    /// Two levels in place.
    #[inline(always)]
    fn pass<S: Lanes<L>>(&self, lanes: S, scratch: &mut Complex, blocks: usize) {
        let stride = self.points / (4 * blocks);
        for block in 0..blocks {
            for j in (4 * stride * block..4 * stride * block + stride).step_by(L) {
                let mut z = [[lanes.splat(0.0); 2]; 4];
                for (r, z) in z.iter_mut().enumerate() {
                    // SAFETY: points below M, which `scratch` has; likewise below
                    *z = unsafe { scratch.load(lanes, j + r * stride) };
                }
                split(lanes, &mut z, Roots { lanes, table: &self.roots, blocks, block });
                for (r, z) in z.into_iter().enumerate() {
                    // SAFETY: as above
                    unsafe { scratch.store(lanes, j + r * stride, z) };
                }
            }
        }
    }

    /// The inverse of [`Transform::forward`], from the vectors of `source` (`v < M/L`) to the points
    /// of `sink` (`j + L <= M`), which are still to be multiplied by [`Transform::untwist`].
    #[inline(always)]
    pub(super) fn inverse<S: Lanes<L>>(
        &self,
        lanes: S,
        scratch: &mut Complex,
        mut source: impl Source<S, L>,
        mut sink: impl Sink<S, L>,
    ) {
        assert_eq!(scratch.re.len().min(scratch.im.len()), self.points);
        let table = &self.twiddles;
        for block in 0..self.points / (L * L) {
            let mut z = [[lanes.splat(0.0); 2]; L];
            for (column, z) in z.iter_mut().enumerate() {
                *z = source.load(block * L + column);
            }
            join(lanes, &mut z, Constants { lanes, table });
            transpose(lanes, &mut z);
            join(lanes, &mut z, Powers { lanes, table, distance: L, j: 0 });
            for (r, z) in z.into_iter().enumerate() {
                // SAFETY: `L` vectors in each block
                unsafe { scratch.store(lanes, (block * L + r) * L, z) };
            }
        }
        let mut distance = L * L;
        for _ in &self.passes[1..] {
            self.inverse_pass(lanes, scratch, distance);
            distance *= 4;
        }
        match self.passes[0] {
            1 => self.last_pass::<S, 2>(lanes, scratch, &mut sink),
            2 => self.last_pass::<S, 4>(lanes, scratch, &mut sink),
            _ => self.last_pass::<S, 8>(lanes, scratch, &mut sink),
        }
    }

    /// Two levels in place.
    #[inline(always)]
    fn inverse_pass<S: Lanes<L>>(&self, lanes: S, scratch: &mut Complex, distance: usize) {
        for base in (0..self.points).step_by(4 * distance) {
            for j in (0..distance).step_by(L) {
                let mut z = [[lanes.splat(0.0); 2]; 4];
                for (r, z) in z.iter_mut().enumerate() {
                    // SAFETY: 4 distance divides M; likewise below
                    *z = unsafe { scratch.load(lanes, base + j + r * distance) };
                }
                join(lanes, &mut z, Powers { lanes, table: &self.twiddles, distance, j });
                for (r, z) in z.into_iter().enumerate() {
                    // SAFETY: as above
                    unsafe { scratch.store(lanes, base + j + r * distance, z) };
                }
            }
        }
    }

    #[inline(always)]
    fn last_pass<S: Lanes<L>, const R: usize>(
        &self,
        lanes: S,
        scratch: &Complex,
        sink: &mut impl Sink<S, L>,
    ) {
        let distance = self.points / R;
        for j in (0..distance).step_by(L) {
            let mut z = [[lanes.splat(0.0); 2]; R];
            for (r, z) in z.iter_mut().enumerate() {
                // SAFETY: R distance is M
                *z = unsafe { scratch.load(lanes, j + r * distance) };
            }
            join(lanes, &mut z, Powers { lanes, table: &self.twiddles, distance, j });
            for (r, z) in z.into_iter().enumerate() {
                sink.store(j + r * distance, z);
            }
        }
    }
}

/// Of [`split`] for block `block < blocks` of a level with `blocks` blocks; with the levels below it
/// that are asked for, at most `M` roots.
struct Roots<'a, S> {
    lanes: S,
    table: &'a Complex,
    blocks: usize,
    block: usize,
}

impl<S: Lanes<L>, const L: usize> Twiddles<S, L> for Roots<'_, S> {
    #[inline(always)]
    fn at(&self, index: usize) -> Option<[S::Vector; 2]> {
        let (level, q) = level_of(index);
        // SAFETY: below twice the blocks of the level, which are M in all
        Some(unsafe { self.table.splat(self.lanes, ((self.blocks + self.block) << level) + 2 * q) })
    }
}

/// Of [`split`] after the transposition, from vector `first`, a multiple of `L/2` below `M/(2L)`.
struct BlockRoots<'a, S> {
    lanes: S,
    table: &'a Complex,
    first: usize,
}

impl<S: Lanes<L>, const L: usize> Twiddles<S, L> for BlockRoots<'_, S> {
    #[inline(always)]
    fn at(&self, index: usize) -> Option<[S::Vector; 2]> {
        // SAFETY: index < L/2, and there are M/(2L) vectors
        Some(unsafe { self.table.load(self.lanes, (self.first + index) * L) })
    }
}

/// Of [`join`] for neighbouring points.
struct Constants<'a, S> {
    lanes: S,
    table: &'a Complex,
}

impl<S: Lanes<L>, const L: usize> Twiddles<S, L> for Constants<'_, S> {
    #[inline(always)]
    fn at(&self, index: usize) -> Option<[S::Vector; 2]> {
        let (level, k) = level_of(index);
        // SAFETY: below L <= M
        (k > 0).then(|| unsafe { self.table.splat(self.lanes, (1 << level) + k) })
    }
}

/// Of [`join`] for points from `j`, `distance` apart: `j + L <= distance`, and the distance of each
/// level that is asked for is below `M`.
struct Powers<'a, S> {
    lanes: S,
    table: &'a Complex,
    distance: usize,
    j: usize,
}

impl<S: Lanes<L>, const L: usize> Twiddles<S, L> for Powers<'_, S> {
    #[inline(always)]
    fn at(&self, index: usize) -> Option<[S::Vector; 2]> {
        let (level, q) = level_of(index);
        // SAFETY: below twice the level's distance, thus M
        Some(unsafe {
            self.table.load(self.lanes, (self.distance << level) + q * self.distance + self.j)
        })
    }
}

/// The angle, in half turns, of the root at `2^s + b`: the modulus' is 1/2 at level 0, and each
/// level halves it and adds a half turn to the right.
fn root_angle(index: usize) -> f64 {
    let levels = index.max(1).ilog2();
    let modulus = (0..levels)
        .rev()
        .fold(0.5, |angle, level| angle / 2.0 + f64::from(u8::from(index >> level & 1 == 1)));
    modulus / 2.0
}
