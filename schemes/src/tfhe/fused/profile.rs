//! How long each pass of a step takes, for benches.

use super::complex::{Complex, zeros};
use super::lanes::{Kernel, Lanes};
use super::rotation::{Shape, TILE, Tables, Workspace};
use super::transform::{Sink, Source};
use super::{BootstrapParameters, Instructions};
use crate::tfhe::{self, TfheError};
use std::time::Instant;

/// Steps measured; the key of so many does not stay in the second level cache.
const STEPS: usize = 40;
/// Repetitions, of which the least counts.
const ROUNDS: usize = 7;

/// Microseconds of one step for one sample of a batch, on one thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Digits (after rotation and subtraction, for one key bit a step) and forward transforms.
    pub forward: f64,
    /// Products with the key and, for several key bits, with the monomials.
    pub products: f64,
    /// Inverse transforms and accumulation.
    pub inverse: f64,
    /// As many transforms alone, one polynomial in the first level cache: the floor.
    pub transforms_alone: f64,
}

/// Measures the passes for `batch` samples, rounded up to whole tiles.
///
/// # Errors
/// [`TfheError::Kernel`] where the processor lacks the instructions, [`TfheError::EmptyBatch`].
pub fn profile(
    parameters: &BootstrapParameters,
    instructions: Instructions,
    batch: usize,
) -> Result<Profile, TfheError> {
    if batch == 0 {
        return Err(TfheError::EmptyBatch);
    }
    tfhe::Kernel::Fused(instructions).check(parameters.grouping_factor())?;
    let shape = Shape::new(parameters);
    let measured = match instructions {
        Instructions::Scalar => Some(measure::<_, 1>(pulp::Scalar, shape, batch)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => pulp::x86::V3::try_new().map(|s| measure::<_, 4>(s, shape, batch)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => pulp::x86::V4::try_new().map(|s| measure::<_, 8>(s, shape, batch)),
        #[cfg(not(target_arch = "x86_64"))]
        _ => None,
    };
    let kernel = tfhe::Kernel::Fused(instructions);
    measured.ok_or(TfheError::Kernel { kernel, reason: "it was not built in" })
}

fn measure<S: Lanes<L>, const L: usize>(lanes: S, shape: Shape, batch: usize) -> Profile {
    let tables = Tables::<L>::new(shape);
    let tiles = batch.div_ceil(TILE);
    let mut workspace = Workspace::new::<L>(&shape, tiles * TILE);
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u32
    };
    let mut key = zeros(STEPS * shape.step());
    key.iter_mut().for_each(|value| *value = f64::from(random()) / 2f64.powi(31) - 0.5);
    let exponents: Vec<u32> =
        (0..tiles * TILE * shape.terms).map(|_| random() % (2 * shape.size as u32)).collect();
    let mut single = std::array::from_fn(|_| tables.transform.scratch());
    let mut least = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        for (pass, least) in least.iter_mut().enumerate() {
            let begun = Instant::now();
            for key in key.chunks_exact(shape.step()) {
                lanes.run(Pass {
                    lanes,
                    tables: &tables,
                    key,
                    exponents: &exponents,
                    workspace: &mut workspace,
                    single: &mut single,
                    tiles,
                    pass,
                });
            }
            *least = least.min(begun.elapsed().as_secs_f64());
        }
    }
    let each = least.map(|seconds| seconds * 1e6 / (STEPS * tiles * TILE) as f64);
    let [forward, products, inverse, transforms_alone] = each;
    Profile { forward, products, inverse, transforms_alone }
}

/// One pass of one step for all tiles.
struct Pass<'a, S, const L: usize> {
    lanes: S,
    tables: &'a Tables<L>,
    key: &'a [f64],
    exponents: &'a [u32],
    workspace: &'a mut Workspace,
    /// Scratch, points and vectors of a single transform.
    single: &'a mut [Complex; 3],
    tiles: usize,
    pass: usize,
}

impl<S: Lanes<L>, const L: usize> Kernel for Pass<'_, S, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { lanes, tables, key, exponents, workspace, single, tiles, pass } = self;
        let terms = tables.shape.terms;
        for first in (0..tiles * TILE).step_by(TILE) {
            let exponents = |t: usize| &exponents[(first + t) * terms..][..terms];
            match pass {
                0 => (0..TILE).for_each(|t| {
                    tables.decompose(lanes, workspace, [first, t], exponents(t));
                }),
                1 => tables.multiply(lanes, key, &[], &exponents, TILE, workspace),
                2 => (0..TILE).for_each(|t| tables.accumulate(lanes, workspace, [first, t])),
                _ => (0..TILE).for_each(|_| transforms(lanes, tables, single)),
            }
        }
    }
}

/// As many transforms as one sample takes.
#[inline(always)]
fn transforms<S: Lanes<L>, const L: usize>(
    lanes: S,
    tables: &Tables<L>,
    [scratch, points, vectors]: &mut [Complex; 3],
) {
    for _ in 0..tables.shape.rows() {
        let source = Every { lanes, values: points, between: 1 };
        let sink = Every { lanes, values: vectors, between: L };
        tables.transform.forward(lanes, scratch, source, sink);
    }
    for _ in 0..tables.shape.columns {
        let source = Every { lanes, values: vectors, between: L };
        let sink = Every { lanes, values: points, between: 1 };
        tables.transform.inverse(lanes, scratch, source, sink);
    }
}

/// Vectors every `between` numbers: 1 for points, `L` for the transform's vectors.
pub(super) struct Every<'a, S> {
    pub(super) lanes: S,
    /// As many as the transform has points.
    pub(super) values: &'a mut Complex,
    pub(super) between: usize,
}

impl<S: Lanes<L>, const L: usize> Source<S, L> for Every<'_, S> {
    #[inline(always)]
    fn load(&mut self, index: usize) -> [S::Vector; 2] {
        // SAFETY: the transform asks for its own points and vectors
        unsafe { self.values.load(self.lanes, index * self.between) }
    }
}

impl<S: Lanes<L>, const L: usize> Sink<S, L> for Every<'_, S> {
    #[inline(always)]
    fn store(&mut self, index: usize, z: [S::Vector; 2]) {
        // SAFETY: the transform gives its own points and vectors
        unsafe { self.values.store(self.lanes, index * self.between, z) };
    }
}
