//! Bootstrapping on both kernels, paired in one run: `cargo bench --bench bootstrap`.
//!
//! For each parameter set a batch of 32 random samples goes, on one thread, through the `tfhe` crate's
//! batched bootstrapping (`batch_programmable_bootstrap_lwe_ciphertext_mem_optimized`), through its
//! blind rotation behind our interface, and through the fused kernel with one, two and three key bits
//! a step, one after the other, in several rounds; times and ratios are medians over the rounds. Then
//! two threads against one, and how a step of the fused kernel divides. The last line is JSON.

use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::tfhe::fused::profile;
use bellerophon_schemes::tfhe::{
    BootstrapKey, BootstrapParameters, Instructions, Kernel, LookupTable, LweSecretKey,
    SeededBootstrapKey, SwitchedLweBatch, noise,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::time::Instant;
use tfhe::core_crypto::prelude::*;

type Failure = Box<dyn std::error::Error>;

/// `(n, k, N, base_log, levels)`, as in the design.
const SETS: [(usize, usize, usize, usize, usize); 8] = [
    (918, 1, 2048, 23, 1),
    (798, 1, 2048, 23, 1),
    (750, 2, 1024, 23, 1),
    (750, 4, 512, 23, 1),
    (750, 8, 256, 23, 1),
    (750, 4, 512, 16, 2),
    (750, 2, 1024, 16, 2),
    (798, 1, 2048, 16, 2),
];
const BATCH: usize = 32;
const ROUNDS: usize = 5;

fn main() -> Result<(), Failure> {
    let one = ThreadPoolBuilder::new().num_threads(1).build()?;
    let two = ThreadPoolBuilder::new().num_threads(2).build()?;
    println!("milliseconds a sample, batch of {BATCH}, one thread; noise as predicted");
    println!(
        "| n | k | N | base, levels | crate | ours with it | fused, 1 bit | 2 bits | 3 bits |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for set in SETS {
        rows.push(row(set, &one, &two)?);
    }
    println!("\nmicroseconds of a step and sample: {:?}", best_instructions());
    println!("| k | N | levels | bits | forward | products | inverse | transforms alone | share |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for set in &SETS[1..] {
        for grouping_factor in 1..=3 {
            steps(*set, grouping_factor)?;
        }
    }
    println!("{}", serde_json::json!({ "batch": BATCH, "sets": rows }));
    Ok(())
}

fn best_instructions() -> Instructions {
    Instructions::ALL.into_iter().rfind(|i| i.available()).unwrap_or(Instructions::Scalar)
}

fn parameters(
    (n, k, size, base_log, levels): (usize, usize, usize, usize, usize),
    grouping_factor: usize,
) -> Result<BootstrapParameters, Failure> {
    let level = SecurityLevel::Bits128;
    let parameters = BootstrapParameters::new(n, k, size, base_log, levels, level)?;
    Ok(parameters.with_grouping_factor(grouping_factor)?)
}

/// One key on one kernel, with a batch for it.
struct Ours {
    key: BootstrapKey,
    batch: SwitchedLweBatch,
    table: LookupTable,
}

impl Ours {
    fn new(
        parameters: BootstrapParameters,
        kernel: Kernel,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, Failure> {
        let n = parameters.lwe_dimension();
        let input = LweSecretKey::generate(n, rng);
        let output = LweSecretKey::generate(parameters.output_dimension(), rng);
        let key = SeededBootstrapKey::generate(parameters, &input, &output, rng)?.expand(kernel)?;
        let words = 2 * BATCH * (parameters.steps() * parameters.terms() + 1);
        let words = (0..words).map(|_| rng.next_u32()).collect();
        let bits = parameters.log2_input_modulus();
        let group = parameters.grouping_factor();
        let batch = SwitchedLweBatch::new(n, group, bits, words, input.id())?;
        let table = LookupTable::new(parameters.polynomial_size(), -0.25, |x| x.abs() - 0.25)?;
        Ok(Self { key, batch, table })
    }

    /// Milliseconds a sample.
    fn milliseconds(&self, pool: &ThreadPool) -> Result<f64, Failure> {
        let begun = Instant::now();
        pool.install(|| self.key.bootstrap(&self.batch, &self.table, &|_| ()))?;
        Ok(begun.elapsed().as_secs_f64() * 1e3 / (2 * BATCH) as f64)
    }
}

/// The crate's own batched bootstrapping of a random batch.
struct Crate {
    key: FourierLweBootstrapKeyOwned,
    inputs: LweCiphertextListOwned<u64>,
    outputs: LweCiphertextListOwned<u64>,
    accumulators: GlweCiphertextListOwned<u64>,
    fft: Fft,
    buffers: ComputationBuffers,
}

impl Crate {
    fn new(parameters: &BootstrapParameters, rng: &mut ChaCha20Rng) -> Self {
        let modulus = CiphertextModulus::new_native();
        let size = PolynomialSize(parameters.polynomial_size());
        let glwe_size = GlweDimension(parameters.glwe_dimension()).to_glwe_size();
        let n = LweDimension(parameters.lwe_dimension());
        let mut key = FourierLweBootstrapKeyOwned::new(
            n,
            glwe_size,
            size,
            DecompositionBaseLog(parameters.base_log()),
            DecompositionLevelCount(parameters.levels()),
        );
        // random values take the time that a key's do
        let mut standard = LweBootstrapKey::new(
            0u64,
            glwe_size,
            size,
            key.decomposition_base_log(),
            key.decomposition_level_count(),
            n,
            modulus,
        );
        standard.as_mut().iter_mut().for_each(|word| *word = rng.random());
        convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut key);
        let count = LweCiphertextCount(BATCH);
        let mut inputs = LweCiphertextList::new(0, n.to_lwe_size(), count, modulus);
        inputs.as_mut().iter_mut().for_each(|word| *word = rng.random());
        let outputs =
            LweCiphertextList::new(0, key.output_lwe_dimension().to_lwe_size(), count, modulus);
        let accumulators =
            GlweCiphertextList::new(0, glwe_size, size, GlweCiphertextCount(BATCH), modulus);
        let fft = Fft::new(size);
        let needed = batch_programmable_bootstrap_lwe_ciphertext_mem_optimized_requirement::<u64>(
            glwe_size,
            size,
            CiphertextCount(BATCH),
            fft.as_view(),
        );
        let mut buffers = ComputationBuffers::new();
        buffers.resize(needed.unaligned_bytes_required());
        Self { key, inputs, outputs, accumulators, fft, buffers }
    }

    fn milliseconds(&mut self) -> f64 {
        let begun = Instant::now();
        batch_programmable_bootstrap_lwe_ciphertext_mem_optimized(
            &self.inputs,
            &mut self.outputs,
            &self.accumulators,
            &self.key,
            self.fft.as_view(),
            self.buffers.stack(),
        );
        begun.elapsed().as_secs_f64() * 1e3 / BATCH as f64
    }
}

fn row(
    set: (usize, usize, usize, usize, usize),
    one: &ThreadPool,
    two: &ThreadPool,
) -> Result<serde_json::Value, Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut theirs = Crate::new(&parameters(set, 1)?, &mut rng);
    let fused = Kernel::Fused(best_instructions());
    let mut ours = vec![Ours::new(parameters(set, 1)?, Kernel::Tfhe, &mut rng)?];
    for grouping_factor in 1..=3 {
        ours.push(Ours::new(parameters(set, grouping_factor)?, fused, &mut rng)?);
    }
    let mut times = vec![Vec::new(); 1 + ours.len()];
    let mut scaling = Vec::new();
    for _ in 0..ROUNDS {
        times[0].push(theirs.milliseconds());
        for (times, ours) in times[1..].iter_mut().zip(&ours) {
            times.push(ours.milliseconds(one)?);
        }
        scaling.push(times[3].last().copied().unwrap_or(0.0) / ours[2].milliseconds(two)?);
    }
    let ratios: Vec<f64> = times
        .iter()
        .map(|own| median(times[0].iter().zip(own).map(|(base, own)| base / own).collect()))
        .collect();
    let keys: Vec<usize> = ours.iter().map(|ours| ours.key.bytes() >> 20).collect();
    let log2_noise: Vec<f64> =
        ours.iter().map(|ours| noise::bootstrap(ours.key.parameters()).log2() / 2.0).collect();
    let milliseconds: Vec<f64> = times.into_iter().map(median).collect();
    let scaling = median(scaling);
    let (n, k, size, base_log, levels) = set;
    print!("| {n} | {k} | {size} | 2^{base_log}, {levels} | {:.2} |", milliseconds[0]);
    for i in 0..ours.len() {
        let (time, ratio) = (milliseconds[i + 1], ratios[i + 1]);
        print!(" {time:.2}, {ratio:.2}x, 2^{:.2}, {} MiB |", log2_noise[i], keys[i]);
    }
    println!(" two threads {scaling:.2}x");
    Ok(serde_json::json!({
        "name": format!("bootstrap/logN={}/logQ=64/n={n}/k={k}/base={base_log}/levels={levels}", size.ilog2()),
        "columns": ["crate", "tfhe", "fused, 1 bit", "fused, 2 bits", "fused, 3 bits"],
        "milliseconds": milliseconds,
        "ratios": ratios,
        "log2_noise": log2_noise,
        "key_mib": keys,
        "two_threads_over_one": scaling,
    }))
}

fn steps(set: (usize, usize, usize, usize, usize), grouping_factor: usize) -> Result<(), Failure> {
    let profile = profile(&parameters(set, grouping_factor)?, best_instructions(), BATCH)?;
    let (_, k, size, _, levels) = set;
    let whole = profile.forward + profile.products + profile.inverse;
    println!(
        "| {k} | {size} | {levels} | {grouping_factor} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} % |",
        profile.forward,
        profile.products,
        profile.inverse,
        profile.transforms_alone,
        100.0 * profile.transforms_alone / whole
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
