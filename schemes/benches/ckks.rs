//! The operations of CKKS with levels, on one thread, named `operation/logN=…/logQ=…`, `logQ` being
//! that of all primes, the special ones included. `benches/peers` compares them with other libraries.

use bellerophon_schemes::ckks::{
    Ciphertext, Encoder, Encryptor, EvaluationKeys, Evaluator, KeyGenerator, KeyRequirements,
    Parameters, ParametersLiteral, Plaintext, PublicKey, Scale, Slots, c64,
};
use bellerophon_schemes::security::SecurityLevel;
use criterion::Criterion;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPoolBuilder;
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

/// `(log N, levels, bits and number of special primes, digits)`.
const SETTINGS: [(u32, usize, u32, usize, usize); 5] = [
    (13, 2, 50, 1, 3),
    (14, 5, 50, 1, 6),
    (14, 5, 48, 2, 3),
    (15, 15, 50, 1, 16),
    (15, 15, 44, 4, 4),
];
const STEPS: [i64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

struct Setting {
    name: String,
    encoder: Encoder,
    encryptor: Encryptor,
    evaluator: Evaluator,
    public: PublicKey,
    keys: EvaluationKeys,
    values: Vec<c64>,
    plaintext: Plaintext<Slots>,
    ciphertext: Ciphertext<Slots>,
    rng: ChaCha20Rng,
}

fn main() -> Result<(), Box<dyn Error>> {
    // the calling thread is the pool: no work waits for another one to wake
    ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
        .configure_from_args();
    for (log_dimension, levels, bits, special, digits) in SETTINGS {
        let literal = ParametersLiteral {
            log_dimension,
            modulus_bits: std::iter::once(50).chain(std::iter::repeat_n(40, levels)).collect(),
            special_bits: vec![bits; special],
            digits,
        };
        Setting::new(literal)?.run(&mut criterion);
    }
    criterion.final_summary();
    Ok(())
}

impl Setting {
    fn new(literal: ParametersLiteral) -> Result<Self, Box<dyn Error>> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let parameters = Parameters::new(literal, SecurityLevel::Bits128)?;
        let level = parameters.max_level();
        let generator = KeyGenerator::new(&parameters);
        let secret = generator.secret_key(&mut rng)?;
        let requirements = KeyRequirements::relinearization(level)
            .union(KeyRequirements::rotations(&parameters, STEPS, level));
        let keys = generator.evaluation_keys(&secret, &requirements, &mut rng)?;
        let keys = keys.expand(&parameters)?;
        let public = generator.public_key(&secret, &mut rng)?.expand(&parameters)?;
        let (encoder, encryptor) = (Encoder::new(&parameters), Encryptor::new(&parameters));
        let values: Vec<c64> =
            (0..parameters.slots()).map(|j| c64 { re: (j as f64).sin(), im: 0.0 }).collect();
        let plaintext = encoder.encode(&values, level, &Scale::power_of_two(40))?;
        let ciphertext = encryptor.encrypt_public(&plaintext, &public, &mut rng)?;
        let literal = parameters.literal();
        let name = format!(
            "logN={}/logQ={:.0}/digits={}",
            literal.log_dimension,
            parameters.log2_qp(),
            literal.digits
        );
        let evaluator = Evaluator::new(&parameters);
        Ok(Self {
            name,
            encoder,
            encryptor,
            evaluator,
            public,
            keys,
            values,
            plaintext,
            ciphertext,
            rng,
        })
    }

    fn run(mut self, criterion: &mut Criterion) {
        let (level, scale) = (self.plaintext.level(), self.plaintext.scale().clone());
        let name = |operation: &str| format!("{operation}/{}", self.name);
        let (evaluator, keys, ciphertext) = (&self.evaluator, &self.keys, &self.ciphertext);
        let mut bench = |operation: &str, run: &mut dyn FnMut()| {
            criterion.bench_function(&name(operation), |bencher| bencher.iter(&mut *run));
        };
        bench("encode", &mut || {
            let _ = black_box(self.encoder.encode(&self.values, level, &scale));
        });
        let rng = &mut self.rng;
        bench("encrypt_public", &mut || {
            let _ = black_box(self.encryptor.encrypt_public(&self.plaintext, &self.public, rng));
        });
        bench("add", &mut || {
            let _ = black_box(evaluator.add(ciphertext, ciphertext));
        });
        bench("multiply_plain", &mut || {
            let _ = black_box(evaluator.mul_plain(ciphertext, &self.plaintext));
        });
        bench("multiply_relinearize_rescale", &mut || {
            let _ = black_box(evaluator.mul_rescale(ciphertext, ciphertext, keys));
        });
        bench("rotate", &mut || {
            let _ = black_box(evaluator.rotate(ciphertext, 1, keys));
        });
        bench("rotate_8_hoisted", &mut || {
            let _ = black_box(evaluator.rotate_many(ciphertext, &STEPS, keys));
        });
    }
}
