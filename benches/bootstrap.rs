//! Bootstrapping on both kernels, paired in one run: `cargo bench --bench bootstrap`.
//!
//! For each parameter set a batch of 32 random samples goes, on one thread, through the `tfhe` crate's
//! batched bootstrapping (`batch_programmable_bootstrap_lwe_ciphertext_mem_optimized`), through its
//! blind rotation behind our interface, and through the fused kernel with one, two and three key bits
//! a step, and with two and one more level, which is less noise than the crate's; one after the other,
//! in several rounds. Times and ratios are medians over the rounds. Then two threads against one with
//! two key bits, and how a step of the fused kernel divides. The last line is JSON.

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

/// `(n, k, N, base_log, levels)`
type Set = (usize, usize, usize, usize, usize);

/// The first is the crate's default for 2 bits of message and 2 of carry.
const SETS: [Set; 8] = [
    (918, 1, 2048, 23, 1),
    (800, 1, 2048, 23, 1),
    (750, 2, 1024, 23, 1),
    (750, 4, 512, 23, 1),
    (750, 8, 256, 23, 1),
    (750, 4, 512, 16, 2),
    (750, 2, 1024, 16, 2),
    (800, 1, 2048, 16, 2),
];
const BATCH: usize = 32;
/// Measured against the crate.
const VARIANTS: [&str; 5] =
    ["our interface to it", "fused, 1 bit", "2 bits", "3 bits", "2 bits, one more level"];
const ROUNDS: usize = 5;

fn main() -> Result<(), Failure> {
    let one = ThreadPoolBuilder::new().num_threads(1).build()?;
    let two = ThreadPoolBuilder::new().num_threads(2).build()?;
    println!("milliseconds a sample, batch of {BATCH}, one thread; noise as predicted");
    println!("| n | k | N | base, levels | crate | {} | two threads |", VARIANTS.join(" | "));
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for set in SETS {
        rows.push(row(set, &one, &two)?);
    }
    println!("\nmicroseconds of a step and sample: {:?}", Instructions::best());
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

fn parameters(
    (n, k, size, base_log, levels): Set,
    grouping_factor: usize,
) -> Result<BootstrapParameters, Failure> {
    let level = SecurityLevel::Bits128;
    let n = n.next_multiple_of(grouping_factor);
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
        // twice the batch: one for each of two threads
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

fn row(set: Set, one: &ThreadPool, two: &ThreadPool) -> Result<serde_json::Value, Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut theirs = Crate::new(&parameters(set, 1)?, &mut rng);
    let ours = variants(set, &mut rng)?;
    let mut times = vec![Vec::new(); 1 + ours.len()];
    for _ in 0..ROUNDS {
        times[0].push(theirs.milliseconds());
        for (times, ours) in times[1..].iter_mut().zip(&ours) {
            times.push(ours.milliseconds(one)?);
        }
    }
    let scaling = (0..2 * ROUNDS)
        .map(|_| Ok(ours[2].milliseconds(one)? / ours[2].milliseconds(two)?))
        .collect::<Result<Vec<_>, Failure>>()?;
    let ratios = times[1..]
        .iter()
        .map(|own| median(times[0].iter().zip(own).map(|(base, own)| base / own).collect()))
        .collect();
    let measured = Measured { ours, milliseconds: times.into_iter().map(median).collect(), ratios };
    Ok(measured.show(set, median(scaling)))
}

/// In the order of [`VARIANTS`].
fn variants(set: Set, rng: &mut ChaCha20Rng) -> Result<Vec<Ours>, Failure> {
    let fused = Kernel::Fused(Instructions::best());
    let mut ours = vec![Ours::new(parameters(set, 1)?, Kernel::Tfhe, rng)?];
    for grouping_factor in 1..=3 {
        ours.push(Ours::new(parameters(set, grouping_factor)?, fused, rng)?);
    }
    let (n, k, size, _, levels) = set;
    let finer = (n, k, size, if levels == 1 { 15 } else { 12 }, levels + 1);
    ours.push(Ours::new(parameters(finer, 2)?, fused, rng)?);
    Ok(ours)
}

struct Measured {
    ours: Vec<Ours>,
    /// The crate's, then ours.
    milliseconds: Vec<f64>,
    ratios: Vec<f64>,
}

impl Measured {
    fn show(&self, (n, k, size, base_log, levels): Set, scaling: f64) -> serde_json::Value {
        let log2_noise = |ours: &Ours| noise::bootstrap(ours.key.parameters()).log2() / 2.0;
        let mib = |ours: &Ours| ours.key.bytes() >> 20;
        print!("| {n} | {k} | {size} | 2^{base_log}, {levels} | {:.2} |", self.milliseconds[0]);
        for (i, ours) in self.ours.iter().enumerate() {
            let (time, ratio) = (self.milliseconds[i + 1], self.ratios[i]);
            print!(" {time:.2}, {ratio:.2}x, 2^{:.1}, {} MiB |", log2_noise(ours), mib(ours));
        }
        println!(" {scaling:.2}x |");
        let name =
            format!("logN={}/logQ=64/n={n}/k={k}/base={base_log}/levels={levels}", size.ilog2());
        serde_json::json!({
            "name": format!("bootstrap/{name}"),
            "variants": VARIANTS,
            "crate_milliseconds": self.milliseconds[0],
            "milliseconds": self.milliseconds[1..],
            "ratios": self.ratios,
            "log2_noise": self.ours.iter().map(log2_noise).collect::<Vec<_>>(),
            "key_mib": self.ours.iter().map(mib).collect::<Vec<_>>(),
            "two_threads_over_one": scaling,
        })
    }
}

fn steps(set: Set, grouping_factor: usize) -> Result<(), Failure> {
    let profile = profile(&parameters(set, grouping_factor)?, Instructions::best(), BATCH)?;
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
