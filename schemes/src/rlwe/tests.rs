//! Tests of the whole module against naive arithmetic on numbers in the clear.

mod encoding;
mod encryption;
mod evaluation;
mod external_products;
mod switching;
mod wire;

use super::*;
use crate::math::Coeff;
use crate::security::{SecretDistribution, SecurityLevel};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

/// Dimension of the small ring.
const SMALL: usize = 64;

fn literal(log_dimension: u32, distribution: SecretDistribution) -> ParametersLiteral {
    let sigma = match distribution {
        SecretDistribution::Binary => 5.13,
        SecretDistribution::Ternary => 3.2,
    };
    ParametersLiteral { log_dimension, modulus_bits: 50, distribution, sigma }
}

/// Parameters of 128 bits, with hardly more noise than that needs.
fn real(distribution: SecretDistribution) -> Parameters {
    Parameters::new(literal(11, distribution), SecurityLevel::Bits128).unwrap()
}

fn small(distribution: SecretDistribution) -> Parameters {
    Parameters::insecure_unchecked(literal(SMALL.ilog2(), distribution)).unwrap()
}

fn scale(value: f64) -> Scale {
    Scale::new(value).unwrap()
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
            evaluator: Evaluator::new(parameters.ring()),
            parameters,
            secret,
            rng,
        }
    }

    fn seeded<P: Packing>(&mut self, plaintext: &Plaintext<P>) -> SeededCiphertext<P> {
        self.encryptor.encrypt(plaintext, &self.secret, &mut self.rng).unwrap()
    }

    fn encrypt<P: Packing>(&mut self, plaintext: &Plaintext<P>) -> Ciphertext<P> {
        self.seeded(plaintext).expand(&self.parameters).unwrap()
    }

    fn encrypt_values(&mut self, values: &[f64], at: Scale) -> Ciphertext<Coeffs> {
        let plaintext = self.encoder.encode_coefficients(values, at).unwrap();
        self.encrypt(&plaintext)
    }

    fn decrypt_values(&self, ciphertext: &Ciphertext<Coeffs>) -> Vec<f64> {
        self.encoder.decode_coefficients(&self.decryptor.decrypt(ciphertext).unwrap())
    }

    /// Phase minus `expected`, in units of 1.
    fn noise<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        expected: &Plaintext<P>,
    ) -> impl Iterator<Item = f64> + use<P> {
        let mut phase = self.decryptor.decrypt(ciphertext).unwrap().poly().clone();
        phase.sub_assign(expected.poly()).unwrap();
        phase.to_signed().into_iter().map(|e| e as f64)
    }
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], bound: f64) {
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= bound, "value {index}: {a} where {b} +- {bound} is expected");
    }
    assert_eq!(found.len(), expected.len());
}
