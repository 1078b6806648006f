//! The ways down and up, on one thread, named `operation/logN=…/logQ=…`. Rates count samples or merges
//! of packing.

use bellerophon_bridge::to_lwe::extract;
use bellerophon_bridge::{
    Amplitude, Assumptions, EvaluationKeys, Parameters, ParametersLiteral, SecretKeys,
    SeededEvaluationKeys, packing,
};
use bellerophon_schemes::rlwe::{Ciphertext, Coeffs, Encoder, Encryptor};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::tfhe::LweBatch;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashSet;
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

const LOG_DIMENSION: u32 = 11;
const DIMENSION: usize = 1 << LOG_DIMENSION;
const LOG_MODULUS: u32 = 50;
const LWE_DIMENSION: usize = 750;
/// `log2(2N)` of the look-up tables that the samples go to.
const LOG_TABLE_MODULUS: u32 = 11;
fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(10)
        .configure_from_args();
    let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let setting = Setting::new(&mut rng)?;
    setting.down(&mut criterion, &pool)?;
    setting.up(&mut criterion, &pool, &mut rng)?;
    criterion.final_summary();
    Ok(())
}

fn group<'a>(
    criterion: &'a mut Criterion,
    operation: &str,
    elements: usize,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(operation);
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(elements as u64));
    group
}

fn name(parameters: &str) -> String {
    format!("logN={LOG_DIMENSION}/logQ={LOG_MODULUS}/{parameters}")
}

/// Keys of the bridge alone, and a ciphertext.
struct Setting {
    secrets: SecretKeys,
    keys: EvaluationKeys,
    ciphertext: Ciphertext<Coeffs>,
}

impl Setting {
    fn new(rng: &mut ChaCha20Rng) -> Result<Self, Box<dyn Error>> {
        let literal = ParametersLiteral {
            assumptions: Assumptions::Compact,
            log_dimension: LOG_DIMENSION,
            modulus_bits: LOG_MODULUS,
            lwe_dimension: LWE_DIMENSION,
            down_gadget: (5, 3),
            up_gadget: (8, 6),
            bootstraps: Vec::new(),
        };
        let parameters = Parameters::new(literal, SecurityLevel::Bits128)?;
        let secrets = SecretKeys::generate(&parameters, rng)?;
        let keys = SeededEvaluationKeys::generate(&parameters, &secrets, rng)?;
        let keys = keys.expand(&parameters, None)?;
        let scale = Amplitude::new(1.0).to_scale(parameters.ring().modulus())?;
        let values = vec![0.125; DIMENSION];
        let plaintext = Encoder::new(parameters.rlwe()).encode_coefficients(&values, scale)?;
        let encryptor = Encryptor::new(parameters.rlwe());
        let seeded = encryptor.encrypt(&plaintext, secrets.ring(), rng)?;
        Ok(Self { ciphertext: seeded.expand(parameters.rlwe())?, secrets, keys })
    }

    fn down(&self, criterion: &mut Criterion, pool: &ThreadPool) -> Result<(), Box<dyn Error>> {
        let positions: Vec<usize> = (0..392).collect();
        let name = name(&format!("samples={}", positions.len()));
        let ciphertext = &self.ciphertext;
        let convert = || self.keys.to_lwe(black_box(ciphertext), &positions, LOG_TABLE_MODULUS, 1);
        convert()?; // what is timed below succeeds
        let mut down = group(criterion, "to_lwe", positions.len());
        down.bench_function(&name, |bencher| bencher.iter(|| pool.install(convert)));
        down.finish();
        let extraction = || extract(black_box(ciphertext), &positions, LWE_DIMENSION, 1);
        extraction()?;
        let mut extracted = group(criterion, "extract", positions.len());
        extracted.bench_function(&name, |bencher| bencher.iter(|| pool.install(extraction)));
        extracted.finish();
        Ok(())
    }

    fn up(
        &self,
        criterion: &mut Criterion,
        pool: &ThreadPool,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), Box<dyn Error>> {
        for count in [392, 1176] {
            let words = (0..count * (DIMENSION + 1)).map(|_| rng.random()).collect();
            let batch = LweBatch::new(DIMENSION, words, self.secrets.glwe().id())?;
            let positions: Vec<usize> = (0..count).collect();
            let amplitude = Amplitude::new(0.25);
            let leaves: Vec<(usize, usize)> = positions.iter().copied().zip(0..count).collect();
            let pack = || self.keys.to_ckks(black_box(&batch), &leaves, false, amplitude);
            pack()?;
            let mut up = group(criterion, "to_ckks", merges(&positions)?);
            let name = name(&format!("samples={count}"));
            up.bench_function(&name, |bencher| bencher.iter(|| pool.install(pack)));
            up.finish();
        }
        Ok(())
    }
}

/// Key switches that packing to `positions` takes: one per node of its tree, which branches on the
/// low bits.
fn merges(positions: &[usize]) -> Result<usize, Box<dyn Error>> {
    let levels = packing::levels(positions, DIMENSION)?;
    let nodes = |bits| positions.iter().map(|p| p % (1usize << bits)).collect::<HashSet<_>>().len();
    Ok((0..levels).map(nodes).sum())
}
