//! Tests of the engine against plain numbers.

mod arithmetic;
mod automorphisms;
mod encoding;
mod linear_transforms;
mod noise;
mod refusals;
mod wire;

use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

/// `log2` of the scale.
const LOG_SCALE: i32 = 40;

fn literal(log_dimension: u32, levels: usize, digits: usize) -> ParametersLiteral {
    let length = (levels + 1).div_ceil(digits);
    ParametersLiteral {
        log_dimension,
        modulus_bits: std::iter::once(50).chain(std::iter::repeat_n(40, levels)).collect(),
        special_bits: vec![49; length],
        digits,
    }
}

fn small(levels: usize, digits: usize) -> Parameters {
    Parameters::insecure_unchecked(literal(8, levels, digits)).unwrap()
}

/// One secret with all that works under it.
struct Party {
    parameters: Parameters,
    secret: Arc<SecretKey>,
    encoder: Encoder,
    encryptor: Encryptor,
    decryptor: Decryptor,
    evaluator: Evaluator,
    rng: ChaCha20Rng,
}

impl Party {
    fn new(parameters: Parameters, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let secret = Arc::new(KeyGenerator::new(&parameters).secret_key(&mut rng).unwrap());
        Self {
            encoder: Encoder::new(&parameters),
            encryptor: Encryptor::new(&parameters),
            decryptor: Decryptor::new(secret.clone()),
            evaluator: Evaluator::new(&parameters),
            parameters,
            secret,
            rng,
        }
    }

    fn keys(&mut self, requirements: &KeyRequirements) -> EvaluationKeys {
        let generator = KeyGenerator::new(&self.parameters);
        let seeded = generator.evaluation_keys(&self.secret, requirements, &mut self.rng).unwrap();
        seeded.expand(&self.parameters).unwrap()
    }

    /// Random slots of size below 1.
    fn slots(&mut self) -> Vec<c64> {
        let rng = &mut self.rng;
        let mut part = || rng.random_range(-0.7..0.7);
        (0..self.parameters.slots()).map(|_| c64 { re: part(), im: part() }).collect()
    }

    fn encrypt_at(&mut self, values: &[c64], level: usize) -> Ciphertext<Slots> {
        let scale = Scale::power_of_two(LOG_SCALE);
        let plaintext = self.encoder.encode(values, level, &scale).unwrap();
        let seeded = self.encryptor.encrypt(&plaintext, &self.secret, &mut self.rng).unwrap();
        seeded.expand(&self.parameters).unwrap()
    }

    fn encrypt(&mut self, values: &[c64]) -> Ciphertext<Slots> {
        self.encrypt_at(values, self.parameters.max_level())
    }

    fn decrypt(&self, ciphertext: &Ciphertext<Slots>) -> Vec<c64> {
        self.encoder.decode(&self.decryptor.decrypt(ciphertext).unwrap())
    }
}

#[track_caller]
fn assert_close(found: &[c64], expected: &[c64], bound: f64) {
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).norm() <= bound, "slot {index}: {a} where {b} +- {bound} is expected");
    }
    assert_eq!(found.len(), expected.len());
}
