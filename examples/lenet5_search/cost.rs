//! Predicted seconds of a program on one thread.

use crate::Failure;
use bellerophon::compile::Program;
use bellerophon_bridge as bridge;
use bellerophon_schemes::tfhe::{
    BootstrapParameters, Kernel, LookupTable, LweSecretKey, SeededBootstrapKey, SwitchedLweBatch,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::time::Instant;

/// Samples of a measured batch.
const BATCH: usize = 32;
/// The dimension that batches are measured at; a blind rotation's cost is proportional to it.
const DIMENSION: usize = 132;

/// GLWE dimension, polynomial size, levels and grouping factor.
type Shape = [usize; 4];

/// Measured milliseconds of one sample in a batch, for each shape of key.
#[derive(Default)]
pub struct Costs {
    known: Vec<(Shape, f64)>,
}

impl Costs {
    /// Seconds of all bootstrappings of the program on one thread.
    pub fn seconds(
        &mut self,
        program: &Program,
        parameters: &bridge::Parameters,
    ) -> Result<f64, Failure> {
        let mut total = 0.0;
        for (key, bootstrap) in parameters.bootstraps().iter().enumerate() {
            let scale = bootstrap.lwe_dimension() as f64 / DIMENSION as f64;
            total += program.bootstraps_with(key) as f64 * self.each(bootstrap)? * scale;
        }
        Ok(total)
    }

    fn each(&mut self, parameters: &BootstrapParameters) -> Result<f64, Failure> {
        let shape = [
            parameters.glwe_dimension(),
            parameters.polynomial_size(),
            parameters.levels(),
            parameters.grouping_factor(),
        ];
        if let Some((_, seconds)) = self.known.iter().find(|(known, _)| *known == shape) {
            return Ok(*seconds);
        }
        let seconds = measure(shape, parameters.log2_std())?;
        self.known.push((shape, seconds));
        Ok(seconds)
    }
}

/// The least of three batches, each at a short dimension that says nothing of security.
fn measure([k, size, levels, grouping_factor]: Shape, log2_std: f64) -> Result<f64, Failure> {
    let short = BootstrapParameters::insecure_unchecked(DIMENSION, k, size, 16, levels, log2_std)?
        .with_grouping_factor(grouping_factor)?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let input = LweSecretKey::generate(DIMENSION, &mut rng);
    let output = LweSecretKey::generate(k * size, &mut rng);
    let key = SeededBootstrapKey::generate(short, &input, &output, &mut rng)?
        .expand(Kernel::best(grouping_factor))?;
    let words = BATCH * (short.steps() * short.terms() + 1);
    let words = (0..words).map(|_| rng.next_u32()).collect();
    let bits = short.log2_input_modulus();
    let batch = SwitchedLweBatch::new(DIMENSION, grouping_factor, bits, words, input.id())?;
    let table = LookupTable::new(size, -0.25, |x| x.abs() - 0.25)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let begun = Instant::now();
        pool.install(|| key.bootstrap(&batch, &table, &|_| ()))?;
        least = least.min(begun.elapsed().as_secs_f64() / BATCH as f64);
    }
    Ok(least)
}
