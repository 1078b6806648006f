use super::*;
use crate::ckks::{Decryptor, Encryptor, KeyGenerator, ParametersLiteral, SecretKey, c64};
use crate::packing::Coeffs;
use crate::security::SecurityLevel;
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

/// As the shipped sets.
const SHIPPED_BITS: [u32; 4] = [46, 37, 61, 59];

fn setup(log_dimension: u32, literal: &BootstrapLiteral, bits: [u32; 4]) -> Setup {
    let [base, rest @ ..] = bits;
    let modulus_bits = literal.modulus_bits(base, &[39, 39], rest);
    let digits = modulus_bits.len().div_ceil(4);
    let special_bits = vec![61; 5];
    let parameters = ParametersLiteral { log_dimension, modulus_bits, special_bits, digits };
    prepare(Parameters::insecure_unchecked(parameters).unwrap(), literal)
}

fn prepare(parameters: Parameters, literal: &BootstrapLiteral) -> Setup {
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

#[test]
fn steps_hold_what_they_say() {
    let log_dimension = 8;
    let literal = BootstrapLiteral::new(log_dimension, 7);
    let mut setup = setup(log_dimension, &literal, SHIPPED_BITS);
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

/// Bootstraps random messages and returns the root mean square of the error, the largest error and
/// the predicted standard deviation.
fn errors(setup: &mut Setup, runs: usize, scale: &Scale) -> [f64; 3] {
    let slots = setup.bootstrapper.slots();
    let (mut squares, mut largest) = (0.0, 0.0f64);
    for _ in 0..runs {
        let values = setup.values(slots);
        let operand = setup.encrypt(&values, 0, scale);
        let before = setup.decrypt(&operand);
        let result = setup.bootstrapper.bootstrap(&setup.evaluator, &operand, &setup.keys).unwrap();
        assert_eq!((result.level(), result.scale()), (setup.bootstrapper.output_level(), scale));
        let after = setup.decrypt(&result);
        for error in after.iter().zip(&before).map(|(a, b)| (a - b).norm()) {
            squares += error * error;
            largest = largest.max(error);
        }
    }
    let count = (runs * setup.parameters.slots()) as f64;
    // two real parts, each uniform in [-0.7, 0.7]
    let predicted = setup.bootstrapper.standard_error(scale, 2.0 * 0.49 / 3.0).unwrap();
    [(squares / count).sqrt(), largest, predicted]
}

#[test]
fn full_slots_survive_with_the_predicted_error() {
    let mut setup = setup(10, &BootstrapLiteral::new(10, 9), SHIPPED_BITS);
    assert_eq!(setup.bootstrapper.output_level(), 2);
    let [measured, largest, predicted] = errors(&mut setup, 4, &Scale::power_of_two(39));
    println!("full: 2^{:.2}, predicted 2^{:.2}", measured.log2(), predicted.log2());
    assert!(measured < 29f64.exp2().recip() && largest < 27f64.exp2().recip());
    assert!((measured / predicted - 1.0).abs() < 0.1, "{measured:e} {predicted:e}");
}

#[test]
fn sparse_slots_survive_with_the_predicted_error() {
    let mut setup = setup(10, &BootstrapLiteral::new(10, 5), SHIPPED_BITS);
    let [measured, largest, predicted] = errors(&mut setup, 4, &Scale::power_of_two(39));
    println!("sparse: 2^{:.2}, predicted 2^{:.2}", measured.log2(), predicted.log2());
    assert!(measured < 29f64.exp2().recip() && largest < 27f64.exp2().recip());
    assert!((measured / predicted - 1.0).abs() < 0.1, "{measured:e} {predicted:e}");
}

/// With wider matrices and a coarser modular reduction, nothing but its error counts.
#[test]
fn the_modular_reduction_errs_as_predicted() {
    for log_slots in [9, 4] {
        let mut setup = setup(10, &BootstrapLiteral::new(10, log_slots), [46, 50, 55, 59]);
        let [measured, _, predicted] = errors(&mut setup, 4, &Scale::power_of_two(39));
        println!("{log_slots}: 2^{:.2}, predicted 2^{:.2}", measured.log2(), predicted.log2());
        assert!((measured / predicted - 1.0).abs() < 0.1, "{measured:e} {predicted:e}");
    }
}

#[test]
fn scales_keys_and_literals_that_cannot_be_are_refused() {
    let literal = BootstrapLiteral::new(6, 5);
    let mut setup = setup(6, &literal, SHIPPED_BITS);
    let operand = setup.encrypt(&[c64::new(0.001, 0.0); 2], 0, &Scale::power_of_two(46));
    fn bootstrap(setup: &Setup, operand: &Ciphertext<Slots>, keys: &EvaluationKeys) -> CkksError {
        setup.bootstrapper.bootstrap(&setup.evaluator, operand, keys).unwrap_err()
    }
    let error = bootstrap(&setup, &operand, &setup.keys);
    assert!(matches!(error, CkksError::InvalidScale { .. }));

    let operand = setup.encrypt(&[c64::new(0.5, 0.0); 2], 1, &Scale::power_of_two(39));
    let generator = KeyGenerator::new(&setup.parameters);
    let secret = setup.secret.clone();
    let mut requirements = setup.bootstrapper.requirements();
    requirements.relinearization = None;
    let keys = generator.evaluation_keys(&secret, &requirements, &mut setup.rng).unwrap();
    let error = bootstrap(&setup, &operand, &keys.expand(&setup.parameters).unwrap());
    assert!(matches!(error, CkksError::MissingRelinearizationKey { .. }));

    let error = setup.bootstrapper.reduce(&setup.evaluator, &[operand], &setup.keys).unwrap_err();
    assert!(matches!(error, CkksError::LevelMismatch { right: 1, .. }));

    let refused = |change: &dyn Fn(&mut BootstrapLiteral)| {
        let mut literal = literal.clone();
        change(&mut literal);
        Bootstrapper::new(&setup.parameters, &setup.encoder, &literal).unwrap_err()
    };
    for error in [
        refused(&|literal| literal.log_slots = 6),
        refused(&|literal| literal.log_slots = 0),
        refused(&|literal| literal.coefficients_to_slots = 0),
        refused(&|literal| literal.slots_to_coefficients = 6),
        refused(&|literal| literal.modular_reduction.harmonics = 3),
    ] {
        assert!(matches!(error, CkksError::Parameter { .. }), "{error}");
    }
    let error = refused(&|literal| literal.modular_reduction.squarings += 9);
    assert!(matches!(error, CkksError::Level { .. }), "{error}");
}

#[test]
fn shipped_sets_are_secure_and_leave_their_levels() {
    for (levels, (parameters, literal)) in
        [(6, BootstrapLiteral::deep()), (2, BootstrapLiteral::compact())]
    {
        let bits =
            f64::from(parameters.modulus_bits.iter().chain(&parameters.special_bits).sum::<u32>());
        assert!(bits < 1747.0, "{bits}");
        let depth = literal.coefficients_to_slots
            + literal.modular_reduction.depth()
            + literal.slots_to_coefficients;
        assert_eq!(parameters.modulus_bits.len(), 1 + levels + depth);
        let parameters = Parameters::new(parameters, SecurityLevel::Bits128).unwrap();
        assert!(parameters.log2_qp() <= 1747.0);
    }
}

/// All slots equal: the whole message is in one coefficient, where the sine series errs most.
#[test]
fn constant_messages_err_by_the_sine_series() {
    let mut setup = setup(8, &BootstrapLiteral::new(8, 7), SHIPPED_BITS);
    let operand = setup.encrypt(&[c64::new(1.0, 0.0); 2], 0, &Scale::power_of_two(39));
    let result = setup.bootstrapper.bootstrap(&setup.evaluator, &operand, &setup.keys).unwrap();
    let slots = setup.decrypt(&result);
    let mean = slots.iter().sum::<c64>() / slots.len() as f64;
    let t = 2.0 * std::f64::consts::PI / 128.0;
    assert!(((1.0 - mean.re) / (t.powi(4) / 30.0) - 1.0).abs() < 0.05, "{mean}");
    assert!(mean.im.abs() < 1e-8);
}

#[test]
fn integer_parts_are_bounded_as_documented() {
    assert_eq!([1024.0, 65536.0].map(integer_bound), [65.0, 538.0]);
}

/// Takes a few minutes and 13 GB.
#[test]
#[ignore = "large"]
fn compact_set_keeps_twenty_bits() {
    let (parameters, literal) = BootstrapLiteral::compact();
    let parameters = Parameters::new(parameters, SecurityLevel::Bits128).unwrap();
    let mut setup = prepare(parameters, &literal);
    let [measured, largest, predicted] = errors(&mut setup, 1, &Scale::power_of_two(39));
    println!("2^{:.2}, largest 2^{:.2}", measured.log2(), largest.log2());
    assert!(largest < 20f64.exp2().recip());
    assert!((measured / predicted - 1.0).abs() < 0.1, "{measured:e} {predicted:e}");
}
