//! A blind rotation of our own for batches, over the keys that the `tfhe` crate generates.
//!
//! One step multiplies the accumulators by one GGSW ciphertext, or by a few that stand for several key
//! bits: `acc += sum_b (X^(a_b) - 1) (K_b x acc)`, summed in the Fourier domain, so that one forward
//! and one inverse transform serve all (Zhou et al., IEEE Access 2018). The key is the outer loop.
//! Within a step, tiles of ciphertexts go through three passes: digits and forward transform;
//! products, where one key element loaded serves the tile; inverse transform and accumulation. What
//! share each has, and how far the whole is from its transforms alone, is in `docs/bootstrapping.md`.
//!
//! `unsafe` is confined to loads and stores without bounds checks (which alone doubled the time), in
//! `lanes` and what is built on it; unit tests compile the checks in.
#![allow(unsafe_code, reason = "loads and stores of a measured kernel; each block says why")]

mod butterfly;
mod complex;
mod lanes;
mod passes;
mod products;
mod profile;
mod rotation;
#[cfg(test)]
mod tests;
mod transform;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::bootstrap::BlindRotation;
use super::{BootstrapParameters, Instructions, LookupTable};
use complex::{Aligned, zeros};
use lanes::{Kernel, Lanes};
pub use profile::{Profile, profile};
use rayon::prelude::*;
pub(super) use rotation::TILE;
use rotation::{Shape, Step, Tables, Workspace};
use tfhe::core_crypto::prelude::LweBootstrapKeyOwned;

/// The torus in units of its `u64` form.
const TORUS: f64 = 18_446_744_073_709_551_616.0;

/// Whether this processor can run the kernel for `instructions`.
pub(super) fn available(instructions: Instructions) -> bool {
    match instructions {
        Instructions::Scalar => true,
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => pulp::x86::V3::try_new().is_some(),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => pulp::x86::V4::try_new().is_some(),
        #[cfg(not(target_arch = "x86_64"))]
        _ => false,
    }
}

/// The key in the kernel's layout; `None` where the processor lacks the instructions. This is the one
/// place that chooses among them.
pub(super) fn prepare(
    instructions: Instructions,
    parameters: &BootstrapParameters,
    standard: &LweBootstrapKeyOwned<u64>,
) -> Option<Box<dyn BlindRotation>> {
    match instructions {
        Instructions::Scalar => Some(Box::new(Key::new(pulp::Scalar, parameters, standard))),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => {
            Some(Box::new(Key::new(pulp::x86::V3::try_new()?, parameters, standard)))
        }
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => {
            Some(Box::new(Key::new(pulp::x86::V4::try_new()?, parameters, standard)))
        }
        #[cfg(not(target_arch = "x86_64"))]
        _ => None,
    }
}

/// A bootstrapping key in Fourier order: `[step][vector][column][term][row][re, im]`.
struct Key<S, const L: usize> {
    lanes: S,
    tables: Tables<L>,
    values: Aligned,
}

impl<S: Lanes<L>, const L: usize> Key<S, L> {
    fn new(
        lanes: S,
        parameters: &BootstrapParameters,
        standard: &LweBootstrapKeyOwned<u64>,
    ) -> Self {
        let shape = Shape::new(parameters);
        let tables = Tables::new(shape);
        let mut values = zeros(parameters.steps() * shape.step());
        let words = shape.terms * shape.rows() * shape.columns * shape.size;
        values
            .par_chunks_exact_mut(shape.step())
            .zip(standard.as_ref().par_chunks_exact(words))
            .for_each(|(step, words)| lanes.run(Insert { lanes, tables: &tables, words, step }));
        Self { lanes, tables, values }
    }
}

/// Transforms the GGSW ciphertexts of one step.
struct Insert<'a, S, const L: usize> {
    lanes: S,
    tables: &'a Tables<L>,
    /// `[term][level, last first][polynomial][column][coefficient]`, as the crate stores them.
    words: &'a [u64],
    step: &'a mut [f64],
}

impl<S: Lanes<L>, const L: usize> Kernel for Insert<'_, S, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let shape = self.tables.shape;
        let mut scratch = self.tables.transform.scratch();
        let mut polynomial = zeros(shape.size);
        for (index, words) in self.words.chunks_exact(shape.size).enumerate() {
            let (index, column) = (index / shape.columns, index % shape.columns);
            let (index, row) = (index / shape.columns, index % shape.columns);
            let (term, level) = (index / shape.levels, shape.levels - 1 - index % shape.levels);
            for (value, &word) in polynomial.iter_mut().zip(words) {
                *value = word as i64 as f64 / TORUS;
            }
            let place = [row * shape.levels + level, column, term];
            self.tables.insert(self.lanes, place, &polynomial, &mut scratch, self.step);
        }
    }
}

impl<S: Lanes<L>, const L: usize> BlindRotation for Key<S, L> {
    fn bootstrap(&self, input: &[u32], table: &LookupTable, output: &mut [u64]) {
        let shape = &self.tables.shape;
        let steps = self.values.len() / shape.step();
        let stride = steps * shape.terms + 1;
        let mut workspace = Workspace::new::<L>(shape, input.len() / stride);
        let one = shape.columns * shape.stride::<L>();
        for (accumulator, sample) in
            workspace.accumulators.chunks_exact_mut(one).zip(input.chunks_exact(stride))
        {
            start::<L>(shape, table, sample[stride - 1], accumulator);
        }
        for (index, key) in self.values.chunks_exact(shape.step()).enumerate() {
            let next = self.values.get((index + 1) * shape.step()..(index + 2) * shape.step());
            self.lanes.run(Step {
                lanes: self.lanes,
                tables: &self.tables,
                key,
                next: next.unwrap_or_default(),
                exponents: &input[index * shape.terms..],
                stride,
                workspace: &mut workspace,
            });
        }
        let samples = output.chunks_exact_mut((shape.columns - 1) * shape.size + 1);
        for (accumulator, sample) in workspace.accumulators.chunks_exact(one).zip(samples) {
            extract::<L>(shape, accumulator, sample);
        }
    }
}

/// The noiseless encryption of `X^-body` times the table.
fn start<const L: usize>(shape: &Shape, table: &LookupTable, body: u32, accumulator: &mut [f64]) {
    let (size, stride) = (shape.size, shape.stride::<L>());
    let last = &mut accumulator[(shape.columns - 1) * stride..];
    for (j, value) in last.iter_mut().enumerate().take(size + L) {
        let source = (j + body as usize) % (2 * size);
        let entry = table.polynomial()[source % size] as i64 as f64 / TORUS;
        *value = if source < size { entry } else { -entry };
    }
}

/// Sample extraction of the constant coefficient.
fn extract<const L: usize>(shape: &Shape, accumulator: &[f64], sample: &mut [u64]) {
    let size = shape.size;
    let to_torus = |value: f64| (value * TORUS) as i64 as u64;
    let polynomials = accumulator.chunks_exact(shape.stride::<L>());
    for (polynomial, part) in polynomials.zip(sample.chunks_mut(size)) {
        // the last part is the body alone: its constant coefficient
        for (j, word) in part.iter_mut().enumerate() {
            *word = match j {
                0 => to_torus(polynomial[0]),
                _ => to_torus(-polynomial[size - j]),
            };
        }
    }
}
