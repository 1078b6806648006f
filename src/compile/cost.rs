//! Predicted seconds, bytes and counts of a program, from constants that a measurement of the
//! machine gives.

use super::parameters::WIRE_WORD;
use super::program::{Operation, Program};
use bellerophon_bridge as bridge;
use bellerophon_schemes::tfhe::{BootstrapParameters, busiest_share};
use serde::{Deserialize, Serialize};

/// A kind of bootstrapping key that costs have been measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// GLWE dimension.
    pub glwe_dimension: usize,
    /// Polynomial size.
    pub polynomial_size: usize,
    /// Decomposition levels.
    pub levels: usize,
    /// Key bits a step.
    pub grouping_factor: usize,
}

impl Shape {
    /// Of these parameters.
    #[must_use]
    pub fn of(parameters: &BootstrapParameters) -> Self {
        Self {
            glwe_dimension: parameters.glwe_dimension(),
            polynomial_size: parameters.polynomial_size(),
            levels: parameters.levels(),
            grouping_factor: parameters.grouping_factor(),
        }
    }

    /// All shapes with a product of `dimension` that the search tries.
    #[must_use]
    pub fn all(dimension: usize) -> Vec<Self> {
        let mut shapes = Vec::new();
        for glwe_dimension in [1, 2, 4] {
            for levels in [1, 2, 3] {
                for grouping_factor in [1, 2, 3] {
                    let polynomial_size = dimension / glwe_dimension;
                    shapes.push(Self { glwe_dimension, polynomial_size, levels, grouping_factor });
                }
            }
        }
        shapes
    }
}

/// What operations cost on a machine: seconds on one thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Of the machine they were measured on.
    pub machine: String,
    /// The number of threads that programs run on.
    pub threads: usize,
    /// How many times as fast all threads are together.
    pub speedup: f64,
    /// One bootstrapping in a batch, for each dimension of the small secret; measured where all threads
    /// run such batches, which share caches and memory, and brought to one by `speedup`.
    pub bootstraps: Vec<(Shape, f64)>,
    /// One merge of the packing, at `N = 2048` with six digits.
    pub merge: f64,
    /// One ring key switch at `N = 2048`, and one sample extraction with its modulus switch.
    pub extraction: [f64; 2],
    /// One product of a plaintext and a ciphertext at `N = 2048`, its transforms included.
    pub product: f64,
    /// A polynomial of the coefficients of up to 32 ciphertexts, in slots.
    pub slots: f64,
}

/// Bytes that a process of this crate takes before any bootstrapping key: its own, and the keys of
/// the bridge.
const BASE_BYTES: f64 = 30e6;
/// Bytes for each word of a seeded bootstrapping key while the keys are read: eight with the client
/// and with the server, and twice those of the wire form between them.
const SEEDED_BYTES: f64 = 2.0 * (8.0 + WIRE_WORD);
/// Samples between a table and the packing: as they leave the table, and collected.
const SAMPLE_COPIES: f64 = 1.2;
/// Bytes while the keys of the way through slots are expanded, for `2^10` slots and each doubling.
const SLOT_BYTES: [f64; 2] = [6.8e9, 0.94e9];

/// Seconds of one polynomial in slots at `N = 2^16`, which is not measured anew.
pub const SLOTS: f64 = 7.8;

/// GLWE dimension (times polynomial size 2048), levels and key bits a step; microseconds of one
/// bootstrapping for each dimension of the small secret.
const MEASURED: [([usize; 3], f64); 27] = [
    ([1, 1, 1], 7.69),
    ([1, 1, 2], 4.46),
    ([1, 1, 3], 4.55),
    ([1, 2, 1], 11.30),
    ([1, 2, 2], 7.27),
    ([1, 2, 3], 7.22),
    ([1, 3, 1], 13.95),
    ([1, 3, 2], 9.38),
    ([1, 3, 3], 13.54),
    ([2, 1, 1], 4.86),
    ([2, 1, 2], 2.91),
    ([2, 1, 3], 3.24),
    ([2, 2, 1], 6.78),
    ([2, 2, 2], 5.04),
    ([2, 2, 3], 5.94),
    ([2, 3, 1], 8.95),
    ([2, 3, 2], 7.32),
    ([2, 3, 3], 11.48),
    ([4, 1, 1], 4.06),
    ([4, 1, 2], 2.93),
    ([4, 1, 3], 3.33),
    ([4, 2, 1], 5.86),
    ([4, 2, 2], 5.16),
    ([4, 2, 3], 7.06),
    ([4, 3, 1], 8.01),
    ([4, 3, 2], 8.13),
    ([4, 3, 3], 13.77),
];

/// What `bellerophon tune` measured on the machine of the figures in the README.
impl Default for Costs {
    fn default() -> Self {
        let known = |&([glwe_dimension, levels, grouping_factor], each): &([usize; 3], f64)| {
            let polynomial_size = 2048 / glwe_dimension;
            (Shape { glwe_dimension, polynomial_size, levels, grouping_factor }, each * 1e-6)
        };
        Self {
            machine: "two cores with AVX-512 at 2.95 GHz".to_owned(),
            threads: 2,
            speedup: 1.97,
            bootstraps: MEASURED.iter().map(known).collect(),
            merge: 75e-6,
            extraction: [1.27e-3, 4.1e-6],
            product: 11e-6,
            slots: SLOTS,
        }
    }
}

impl Costs {
    /// Seconds of one bootstrapping on one thread; shapes that were not measured cost what their
    /// transforms do, relative to the nearest that was.
    #[must_use]
    pub fn bootstrap(&self, shape: Shape, lwe_dimension: usize) -> f64 {
        let known = self.bootstraps.iter().find(|(known, _)| *known == shape);
        let each = known.map_or_else(|| self.estimate(shape), |(_, each)| *each);
        each * lwe_dimension as f64
    }

    fn estimate(&self, shape: Shape) -> f64 {
        let work = |shape: &Shape| {
            let polynomials = (shape.glwe_dimension + 1) * (shape.levels + 1);
            let size = shape.polynomial_size as f64;
            polynomials as f64 * size * size.log2() / shape.grouping_factor as f64
        };
        let distance = |known: &Shape| {
            let differs =
                (known.levels, known.grouping_factor) != (shape.levels, shape.grouping_factor);
            (differs, (work(&shape) / work(known)).ln().abs())
        };
        let nearest = self.bootstraps.iter().min_by(|(a, _), (b, _)| {
            let (a, b) = (distance(a), distance(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        nearest.map_or(f64::INFINITY, |(known, each)| each * work(&shape) / work(known))
    }

    /// A batch of so many bootstrappings, as if every thread had as many as the busiest one.
    pub(super) fn busiest(&self, count: usize) -> f64 {
        (busiest_share(count, self.threads) * self.threads) as f64
    }

    /// Seconds of each step, on all threads.
    #[must_use]
    pub fn steps(&self, program: &Program, parameters: &bridge::Parameters) -> Vec<f64> {
        // what was measured at N = 2048 with six digits grows with the ring and with the digits
        let ring = parameters.ring().dimension() as f64 / 2048.0;
        let merge = self.merge * ring * f64::from(program.parameters.up_gadget.1) / 6.0;
        let step = |operation: &Operation| match operation {
            Operation::Linear(map) | Operation::Combine(map) => {
                let terms: usize = map.outputs.iter().map(|output| output.terms.len()).sum();
                terms as f64 * self.product * ring
            }
            Operation::ToLwe { places, .. } => {
                let ciphertexts = super::program::ciphertexts(places) as f64;
                ciphertexts * self.extraction[0] * ring + places.len() as f64 * self.extraction[1]
            }
            Operation::Lut { key, tables, .. } => {
                let bootstrap = parameters.bootstraps().get(*key);
                let each = bootstrap.map_or(f64::INFINITY, |bootstrap| {
                    self.bootstrap(Shape::of(bootstrap), bootstrap.lwe_dimension())
                });
                tables.iter().map(|(count, _)| self.busiest(*count)).sum::<f64>() * each
            }
            Operation::ToCkks { placements, .. } => placements.len() as f64 * merge,
            Operation::Add => 0.0,
            Operation::Slots(_) => self.slots,
            Operation::Extract { places } => places.len() as f64 * self.extraction[1],
        };
        let steps = program.steps.iter().map(|step| &step.operation).map(step);
        steps.map(|seconds| seconds / self.speedup).collect()
    }

    /// The most bytes in memory where client and server are one process: keys, what they are read from
    /// (freed by then, but not given back), and the largest set of samples between a table and the
    /// packing.
    #[must_use]
    pub fn memory(program: &Program, parameters: &bridge::Parameters) -> f64 {
        let dimension = parameters.ring().dimension() as f64;
        let samples = program.steps.iter().map(|step| match &step.operation {
            Operation::Lut { tables, .. } => tables.iter().map(|(count, _)| count).sum::<usize>(),
            _ => 0,
        });
        let samples = samples.max().unwrap_or(0) as f64 * (dimension + 1.0) * 8.0;
        let slots = program.slots.as_ref().map_or(0.0, |slots| {
            let log_slots = f64::from(slots.bootstrap.log_slots);
            SLOT_BYTES[0] + SLOT_BYTES[1] * (log_slots - 10.0)
        });
        let words = parameters.bootstraps().iter().map(|key| key.seeded_words() as f64);
        let read = SEEDED_BYTES * words.sum::<f64>();
        BASE_BYTES + key_bytes(parameters) + read + SAMPLE_COPIES * samples + slots
    }
}

/// Bytes of the evaluation keys in memory.
#[must_use]
pub fn key_bytes(parameters: &bridge::Parameters) -> f64 {
    let bootstraps = parameters.bootstraps().iter();
    bootstraps.map(|key| key.fourier_bytes() as f64).sum()
}
