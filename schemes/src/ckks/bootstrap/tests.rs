use super::*;
use crate::ckks::{Decryptor, Encryptor, KeyGenerator, ParametersLiteral, SecretKey};
use crate::packing::Coeffs;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

struct Setup {
    parameters: Parameters,
    encoder: Encoder,
    evaluator: Evaluator,
    bootstrapper: Bootstrapper,
    secret: Arc<SecretKey>,
    keys: EvaluationKeys,
    rng: ChaCha20Rng,
}

fn setup(log_dimension: u32, literal: &BootstrapLiteral) -> Setup {
    let modulus_bits = literal.modulus_bits(46, &[39, 39], [37, 61, 59]);
    let digits = modulus_bits.len().div_ceil(4);
    let special_bits = vec![61; 5];
    let parameters = ParametersLiteral { log_dimension, modulus_bits, special_bits, digits };
    let parameters = Parameters::insecure_unchecked(parameters).unwrap();
    let encoder = Encoder::new(&parameters);
    let bootstrapper = Bootstrapper::new(&parameters, &encoder, literal).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let generator = KeyGenerator::new(&parameters);
    let secret = Arc::new(generator.secret_key(&mut rng).unwrap());
    let requirements = bootstrapper.requirements();
    let keys = generator.evaluation_keys(&secret, &requirements, &mut rng).unwrap();
    let keys = keys.expand(&parameters).unwrap();
    let evaluator = Evaluator::new(&parameters);
    Setup { parameters, encoder, evaluator, bootstrapper, secret, keys, rng }
}

impl Setup {
    fn values(&mut self, count: usize) -> Vec<c64> {
        let mut part = || self.rng.random_range(-1.0..1.0);
        (0..count).map(|_| c64::new(part(), part()) * 0.7).collect()
    }

    fn encrypt(&mut self, values: &[c64], level: usize, scale: &Scale) -> Ciphertext<Slots> {
        let plaintext = self.encoder.encode_sparse(values, level, scale).unwrap();
        let encryptor = Encryptor::new(&self.parameters);
        let seeded = encryptor.encrypt(&plaintext, &self.secret, &mut self.rng).unwrap();
        seeded.expand(&self.parameters).unwrap()
    }

    fn decrypt(&self, ciphertext: &Ciphertext<Slots>) -> Vec<c64> {
        let plaintext = Decryptor::new(self.secret.clone()).decrypt(ciphertext).unwrap();
        self.encoder.decode(&plaintext)
    }
}

/// `-log2` of the root mean square and of the largest error.
fn precision(found: &[c64], expected: &[c64]) -> (f64, f64) {
    let errors = found.iter().zip(expected.iter().cycle()).map(|(a, b)| (a - b).norm());
    let (squares, largest) =
        errors.fold((0.0, 0.0f64), |(sum, largest), e| (sum + e * e, largest.max(e)));
    (-(squares / found.len() as f64).sqrt().log2(), -largest.log2())
}

#[test]
fn steps_hold_what_they_say() {
    let log_dimension = 8;
    let literal = BootstrapLiteral::new(log_dimension, 7);
    let mut setup = setup(log_dimension, &literal);
    let values = setup.values(128);
    let scale = Scale::power_of_two(39);
    let operand = setup.encrypt(&values, 0, &scale);
    let raised = setup.bootstrapper.raise(&setup.evaluator, &operand, &setup.keys).unwrap();
    assert_eq!(raised.level(), setup.parameters.max_level());

    // the coefficients over q_0 are integers plus the message
    let base = setup.parameters.modulus(0).unwrap().value() as f64;
    let operand = operand.repacked::<Coeffs>();
    let plaintext = Decryptor::new(setup.secret.clone()).decrypt(&operand).unwrap();
    let coefficients = setup.encoder.decode_coefficients(&plaintext);
    let ratio = scale.value() / base;
    let halves =
        setup.bootstrapper.to_coefficients(&setup.evaluator, &raised, &setup.keys).unwrap();
    let bound = integer_bound(256.0);
    for (half, offset) in halves.iter().zip([0, 128]) {
        let slots = setup.decrypt(half);
        for (slot, index) in slots.iter().zip(dft::coefficient_order(128)) {
            let x = slot.re * bound;
            let message = coefficients[offset + index] * ratio;
            assert!(slot.im.abs() < 1e-9);
            assert!((x - x.round() - message).abs() < 1e-10, "{x} {message}");
        }
    }
}

#[test]
fn full_slots_survive() {
    let log_dimension = 10;
    let literal = BootstrapLiteral::new(log_dimension, 9);
    let mut setup = setup(log_dimension, &literal);
    let values = setup.values(512);
    let scale = Scale::power_of_two(39);
    let operand = setup.encrypt(&values, 0, &scale);
    let result = setup.bootstrapper.bootstrap(&setup.evaluator, &operand, &setup.keys).unwrap();
    assert_eq!((result.level(), result.scale()), (2, &scale));
    let (mean, worst) = precision(&setup.decrypt(&result), &values);
    println!("full: {mean:.1} bits, worst {worst:.1}");
    assert!(mean > 25.0 && worst > 23.0, "{mean} {worst}");
}

#[test]
fn sparse_slots_survive() {
    let log_dimension = 10;
    let literal = BootstrapLiteral::new(log_dimension, 5);
    let mut setup = setup(log_dimension, &literal);
    let values = setup.values(32);
    let scale = Scale::power_of_two(39);
    let operand = setup.encrypt(&values, 0, &scale);
    let result = setup.bootstrapper.bootstrap(&setup.evaluator, &operand, &setup.keys).unwrap();
    assert_eq!((result.level(), result.scale()), (2, &scale));
    let (mean, worst) = precision(&setup.decrypt(&result), &values);
    println!("sparse: {mean:.1} bits, worst {worst:.1}");
    assert!(mean > 25.0 && worst > 23.0, "{mean} {worst}");
}
