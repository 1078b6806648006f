//! The whole encrypted LeNet5 against its own bootstrappings alone, and against as many default
//! operations of the `tfhe` crate, in one run: `cargo bench --bench lenet5`.
//!
//! * `ratio_own`: the run over its own bootstrappings alone (same keys, tables, batches, threads);
//! * `ratio_default`: the run over 6,508 default operations: key switch and bootstrapping of the
//!   crate's 2_2 set, one at a time on each thread.
//!
//! * `ratio_protected`: the run on encrypted weights over the run on plain ones, same image and keys.
//!
//! Each ratio is the median over pairs measured next to each other. The last line is JSON.

use bellerophon::client::Client;
use bellerophon::compile::{Compiled, Model, Operation, Options, Preset, Program, Table};
use bellerophon::data::{LabelledImages, Split};
use bellerophon::run::{Backend, Encrypted};
use bellerophon::server::Server;
use bellerophon_bridge as bridge;
use bellerophon_schemes::rlwe::Encoder;
use bellerophon_schemes::tfhe::SwitchedLweBatch;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::time::Instant;
use tfhe::core_crypto::prelude::*;

type Failure = Box<dyn std::error::Error>;

/// Pairs measured for each preset.
const PAIRS: usize = 3;
/// Default operations timed on each thread, before and after each run.
const DEFAULT_OPERATIONS: usize = 40;

fn main() -> Result<(), Failure> {
    let root = env!("CARGO_MANIFEST_DIR");
    let ranges = std::fs::read_to_string(format!("{root}/models/lenet5.calibration.json"))?;
    let model = Model::from_onnx(format!("{root}/models/lenet5.onnx"))?;
    let model = model.with_calibration(serde_json::from_str(&ranges)?)?;
    let digits = LabelledImages::load(format!("{root}/models/digits"), Split::Digits)?;
    let image = digits.slice(0, 1)?.padded(32)?.remove(0).into_raw_vec_and_offset().0;
    let default = DefaultOperation::new();
    let mut presets = serde_json::Map::new();
    for preset in Preset::ALL {
        let measured = measure(preset, &model, &image, &default)?;
        presets.insert(preset.to_string(), measured);
    }
    println!("{}", serde_json::json!({ "presets": presets }));
    Ok(())
}

fn measure(
    preset: Preset,
    model: &Model,
    image: &[f64],
    default: &DefaultOperation,
) -> Result<serde_json::Value, Failure> {
    let options = Options { target: preset.target(), ..Options::default() };
    let compiled = model.compile(&options)?;
    let predicted: f64 = compiled.seconds.iter().sum();
    let Compiled { program, parameters, .. } = compiled;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let client = Client::new(parameters.clone(), &mut rng)?;
    let keys = client.publish_keys(&mut rng)?.bytes;
    let server = Server::new(&parameters, program.clone(), &keys)?;
    let model = client.protect(&program, &mut rng)?;
    let protected = Server::protected(&parameters, &model, &keys, None)?;
    let message = client.encrypt(&program, image, &mut rng)?;
    let own = OwnBootstraps::new(&server, &parameters, &program, &mut rng)?;

    let (mut seconds, mut to_own, mut to_default) = (Vec::new(), Vec::new(), Vec::new());
    let mut to_plain = Vec::new();
    let mut before = default.seconds_each();
    for _ in 0..PAIRS {
        let begun = Instant::now();
        server.evaluate(&message, false, &|_| ())?;
        let run = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        protected.evaluate(&message, false, &|_| ())?;
        to_plain.push(begun.elapsed().as_secs_f64() / run);
        let alone = own.seconds(&server, &parameters)?;
        let after = default.seconds_each();
        let each = (before + after) / 2.0;
        before = after;
        seconds.push(run);
        to_own.push(run / alone);
        to_default.push(run / (each * program.bootstraps() as f64));
        println!(
            "{preset:>9}: run {run:.2} s, own bootstrappings {alone:.2} s, default operation {:.2} ms a thread",
            each * 1e3 * rayon::current_num_threads() as f64
        );
    }
    let [seconds, ratio_own, ratio_default, ratio_protected] =
        [seconds, to_own, to_default, to_plain].map(median);
    println!(
        "{preset:>9}: {seconds:.2} s, ratio_own {ratio_own:.3}, ratio_default {ratio_default:.3}, \
         ratio_protected {ratio_protected:.3}"
    );
    Ok(serde_json::json!({
        "ratio_own": ratio_own,
        "ratio_default": ratio_default,
        "ratio_protected": ratio_protected,
        "seconds": seconds,
        "predicted_seconds": predicted,
        "pbs_count": program.bootstraps(),
        "threads": rayon::current_num_threads(),
        "evaluation_key_bytes": server.key_bytes(),
        "evaluation_key_wire_bytes": keys.len(),
        "protected_model_bytes": protected.model_bytes(),
        "protected_model_wire_bytes": model.to_bytes()?.len(),
    }))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Random samples, the tables they go through, and the key.
type Batch = (SwitchedLweBatch, Vec<(usize, Table)>, usize);

/// The table steps of a program on random samples.
struct OwnBootstraps {
    batches: Vec<Batch>,
}

impl OwnBootstraps {
    fn new(
        server: &Server,
        parameters: &bridge::Parameters,
        program: &Program,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, Failure> {
        let mut batches = Vec::new();
        let mut count = 0;
        for step in &program.steps {
            match &step.operation {
                Operation::ToLwe { places, .. } => count = places.len(),
                Operation::Lut { tables, key } => {
                    let bootstrap = parameters.bootstrap(*key)?;
                    let n = bootstrap.lwe_dimension();
                    let group = bootstrap.grouping_factor();
                    let stride = bootstrap.steps() * bootstrap.terms() + 1;
                    let words = (0..count * stride).map(|_| rng.next_u32()).collect();
                    let input = server.keys().bootstrap(*key)?.input();
                    let bits = bootstrap.log2_input_modulus();
                    batches.push((
                        SwitchedLweBatch::new(n, group, bits, words, input)?,
                        tables.clone(),
                        *key,
                    ));
                }
                _ => {}
            }
        }
        Ok(Self { batches })
    }

    fn seconds(&self, server: &Server, parameters: &bridge::Parameters) -> Result<f64, Failure> {
        let encoder = Encoder::new(parameters.rlwe());
        let backend: Encrypted<'_> = Encrypted::new(server.keys(), &encoder, &|_| ());
        let begun = Instant::now();
        for (batch, tables, key) in &self.batches {
            std::hint::black_box(backend.look_up(batch, tables, *key)?);
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}

/// Key switch and bootstrapping at the `tfhe` crate's default parameters for 2 bits of message and 2
/// of carry (failure probability 2^-128, TUniform noise; n = 918, k = 1, N = 2048).
struct DefaultOperation {
    bootstrap: FourierLweBootstrapKeyOwned,
    key_switch: LweKeyswitchKeyOwned<u64>,
    accumulator: GlweCiphertextOwned<u64>,
    input: LweCiphertextOwned<u64>,
}

impl DefaultOperation {
    fn new() -> Self {
        let (n, k, size) = (LweDimension(918), GlweDimension(1), PolynomialSize(2048));
        let modulus = CiphertextModulus::new_native();
        let mut seeder = new_seeder();
        let seeder = seeder.as_mut();
        let mut secret = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
        let mut noise =
            EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
        let small = allocate_and_generate_new_binary_lwe_secret_key(n, &mut secret);
        let large = allocate_and_generate_new_binary_glwe_secret_key(k, size, &mut secret);
        let large_lwe = large.clone().into_lwe_secret_key();
        let glwe_noise = DynamicDistribution::new_t_uniform(17);
        let lwe_noise = DynamicDistribution::new_t_uniform(45);
        let standard = par_allocate_and_generate_new_lwe_bootstrap_key(
            &small,
            &large,
            DecompositionBaseLog(23),
            DecompositionLevelCount(1),
            glwe_noise,
            modulus,
            &mut noise,
        );
        let mut bootstrap = FourierLweBootstrapKeyOwned::new(
            n,
            k.to_glwe_size(),
            size,
            DecompositionBaseLog(23),
            DecompositionLevelCount(1),
        );
        par_convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut bootstrap);
        let key_switch = allocate_and_generate_new_lwe_keyswitch_key(
            &large_lwe,
            &small,
            DecompositionBaseLog(4),
            DecompositionLevelCount(4),
            lwe_noise,
            modulus,
            &mut noise,
        );
        let accumulator = GlweCiphertext::new(1 << 59, k.to_glwe_size(), size, modulus);
        let plaintext = Plaintext(1 << 60);
        let input = allocate_and_encrypt_new_lwe_ciphertext(
            &large_lwe, plaintext, glwe_noise, modulus, &mut noise,
        );
        Self { bootstrap, key_switch, accumulator, input }
    }

    /// Seconds for each of many operations, with one at a time on every thread.
    fn seconds_each(&self) -> f64 {
        let threads = rayon::current_num_threads();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..DEFAULT_OPERATIONS).for_each(|_| self.run()));
            }
        });
        begun.elapsed().as_secs_f64() / (threads * DEFAULT_OPERATIONS) as f64
    }

    fn run(&self) {
        let modulus = CiphertextModulus::new_native();
        let small = self.bootstrap.input_lwe_dimension().to_lwe_size();
        let mut switched = LweCiphertext::new(0, small, modulus);
        keyswitch_lwe_ciphertext(&self.key_switch, &self.input, &mut switched);
        let mut output = LweCiphertext::new(0, self.input.lwe_size(), modulus);
        programmable_bootstrap_lwe_ciphertext(
            &switched,
            &mut output,
            &self.accumulator,
            &self.bootstrap,
        );
        std::hint::black_box(output);
    }
}
