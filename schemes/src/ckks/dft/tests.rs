use super::*;
use crate::ckks::c64;
use crate::ckks::{Decryptor, Encryptor, KeyGenerator, ParametersLiteral};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

struct Setup {
    parameters: Parameters,
    encoder: Encoder,
    evaluator: Evaluator,
    encryptor: Encryptor,
    secret: Arc<crate::ckks::SecretKey>,
    rng: ChaCha20Rng,
}

fn setup(log_dimension: u32) -> Setup {
    let mut modulus_bits = vec![50];
    modulus_bits.resize(8, 45);
    let literal =
        ParametersLiteral { log_dimension, modulus_bits, special_bits: vec![50; 3], digits: 3 };
    let parameters = Parameters::insecure_unchecked(literal).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let secret = Arc::new(KeyGenerator::new(&parameters).secret_key(&mut rng).unwrap());
    Setup {
        encoder: Encoder::new(&parameters),
        evaluator: Evaluator::new(&parameters),
        encryptor: Encryptor::new(&parameters),
        parameters,
        secret,
        rng,
    }
}

impl Setup {
    fn keys(&mut self, requirements: &KeyRequirements) -> EvaluationKeys {
        let generator = KeyGenerator::new(&self.parameters);
        let keys = generator.evaluation_keys(&self.secret, requirements, &mut self.rng).unwrap();
        keys.expand(&self.parameters).unwrap()
    }

    fn values(&mut self) -> Vec<f64> {
        (0..self.parameters.dimension()).map(|_| self.rng.random_range(-1.0..1.0)).collect()
    }

    fn coefficients(&mut self, values: &[f64], level: usize, scale: &Scale) -> Ciphertext<Coeffs> {
        let plaintext = self.encoder.encode_coefficients(values, level, scale).unwrap();
        let seeded = self.encryptor.encrypt(&plaintext, &self.secret, &mut self.rng).unwrap();
        seeded.expand(&self.parameters).unwrap()
    }

    fn slots(&mut self, values: &[f64], level: usize, scale: &Scale) -> Ciphertext<Slots> {
        let plaintext = self.encoder.encode_real(values, level, scale).unwrap();
        let seeded = self.encryptor.encrypt(&plaintext, &self.secret, &mut self.rng).unwrap();
        seeded.expand(&self.parameters).unwrap()
    }

    fn slots_of(&self, ciphertext: &Ciphertext<Slots>) -> Vec<c64> {
        let plaintext = Decryptor::new(self.secret.clone()).decrypt(ciphertext).unwrap();
        self.encoder.decode(&plaintext)
    }

    fn coefficients_of(&self, ciphertext: &Ciphertext<Coeffs>) -> Vec<f64> {
        let plaintext = Decryptor::new(self.secret.clone()).decrypt(ciphertext).unwrap();
        self.encoder.decode_coefficients(&plaintext)
    }
}

#[test]
fn coefficients_become_slots_in_the_documented_order() {
    for groups in [2, 3] {
        let mut setup = setup(8);
        let level = 5;
        let circuit =
            CoefficientsToSlots::new(&setup.parameters, &setup.encoder, level, groups).unwrap();
        let keys = setup.keys(&circuit.requirements());
        let (values, scale) = (setup.values(), Scale::power_of_two(45));
        let operand = setup.coefficients(&values, level, &scale);
        let halves = circuit.apply(&setup.evaluator, &operand, &keys).unwrap();
        let n = setup.parameters.slots();
        for (half, offset) in halves.iter().zip([0, n]) {
            assert_eq!((half.level(), half.scale()), (level - circuit.depth(), &scale));
            let slots = setup.slots_of(half);
            for (slot, index) in slots.iter().zip(coefficient_order(n)) {
                assert!((slot - values[offset + index]).norm() < 1e-7, "{slot} {index}");
            }
        }
    }
}

#[test]
fn slots_become_coefficients_in_the_documented_order() {
    let mut setup = setup(8);
    let level = 4;
    let circuit = SlotsToCoefficients::new(&setup.parameters, &setup.encoder, level, 3).unwrap();
    let keys = setup.keys(&circuit.requirements());
    let (values, scale) = (setup.values(), Scale::power_of_two(45));
    let n = setup.parameters.slots();
    let lower = setup.slots(&values[..n], level, &scale);
    let upper = setup.slots(&values[n..], level, &scale);
    let result = circuit.apply(&setup.evaluator, [&lower, &upper], &keys).unwrap();
    assert_eq!((result.level(), result.scale()), (1, &scale));
    let coefficients = setup.coefficients_of(&result);
    for (j, index) in coefficient_order(n).into_iter().enumerate() {
        assert!((coefficients[index] - values[j]).abs() < 1e-8);
        assert!((coefficients[n + index] - values[n + j]).abs() < 1e-8);
    }
}

#[test]
fn there_and_back_is_the_identity() {
    let mut setup = setup(10);
    let scale = Scale::power_of_two(45);
    let there = CoefficientsToSlots::new(&setup.parameters, &setup.encoder, 7, 3).unwrap();
    let back = SlotsToCoefficients::new(&setup.parameters, &setup.encoder, 4, 2).unwrap();
    let keys = setup.keys(&there.requirements().union(back.requirements()));
    let values = setup.values();
    let operand = setup.coefficients(&values, 7, &scale);
    let [lower, upper] = there.apply(&setup.evaluator, &operand, &keys).unwrap();
    let result = back.apply(&setup.evaluator, [&lower, &upper], &keys).unwrap();
    assert_eq!((result.level(), result.scale()), (2, &scale));
    let coefficients = setup.coefficients_of(&result);
    assert!(coefficients.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn impossible_groups_and_levels_are_refused() {
    let mut setup = setup(6);
    let (parameters, encoder) = (&setup.parameters, &setup.encoder);
    for groups in [0, 6] {
        let error = CoefficientsToSlots::new(parameters, encoder, 7, groups).unwrap_err();
        assert!(matches!(error, CkksError::Parameter { .. }));
    }
    let error = SlotsToCoefficients::new(parameters, encoder, 2, 3).unwrap_err();
    assert!(matches!(error, CkksError::Level { needed: 3, found: 2, .. }));

    let circuit = SlotsToCoefficients::new(parameters, encoder, 4, 3).unwrap();
    let keys = setup.keys(&KeyRequirements::default());
    let [a, b] = [4, 4].map(|level| setup.slots(&[1.0], level, &Scale::power_of_two(45)));
    let error = circuit.apply(&setup.evaluator, [&a, &b], &keys).unwrap_err();
    assert!(matches!(error, CkksError::MissingGaloisKey { .. }));
    let c = setup.slots(&[1.0], 4, &Scale::power_of_two(44));
    let error = circuit.apply(&setup.evaluator, [&a, &c], &keys).unwrap_err();
    assert!(matches!(error, CkksError::ScaleMismatch { .. }));
}

/// The standard deviation of errors per coefficient, in units of 1, for errors of slots.
fn deviation(errors: impl Iterator<Item = f64>, count: usize, dimension: usize, scale: f64) -> f64 {
    (errors.map(|e| e * e).sum::<f64>() / (count * dimension) as f64).sqrt() * scale
}

#[test]
fn noise_is_as_predicted() {
    let mut setup = setup(10);
    let (n, scale) = (setup.parameters.dimension(), Scale::power_of_two(45));
    let there = CoefficientsToSlots::new(&setup.parameters, &setup.encoder, 7, 3).unwrap();
    let back = SlotsToCoefficients::new(&setup.parameters, &setup.encoder, 4, 2).unwrap();
    let keys = setup.keys(&there.requirements().union(back.requirements()));
    let values = setup.values();

    let fresh = noise::fresh_secret() + noise::encoding();
    let power = scale.value().powi(2) / 3.0;
    let operand = setup.coefficients(&values, 7, &scale);
    let halves = there.apply(&setup.evaluator, &operand, &keys).unwrap();
    let order = coefficient_order(n / 2);
    let errors = halves.iter().zip([0, n / 2]).flat_map(|(half, offset)| {
        let slots = setup.slots_of(half).into_iter().zip(&order);
        slots.map(|(slot, index)| (slot - values[offset + index]).norm()).collect::<Vec<_>>()
    });
    let measured = deviation(errors, n, n, scale.value());
    let predicted = there.noise(&setup.parameters, (fresh, power)).sqrt();
    assert!((measured / predicted - 1.0).abs() < 0.1, "{measured} {predicted}");

    let operands = [0, n / 2].map(|i| setup.slots(&values[i..i + n / 2], 4, &scale));
    let result = back.apply(&setup.evaluator, operands.each_ref(), &keys).unwrap();
    let coefficients = setup.coefficients_of(&result);
    let errors = order.iter().enumerate().flat_map(|(j, &index)| {
        [0, n / 2].map(|half| coefficients[half + index] - values[half + j])
    });
    let measured = deviation(errors, n, 1, scale.value());
    let power = noise::power(&setup.parameters, 1.0 / 3.0, scale.value());
    let predicted = back.noise(&setup.parameters, (fresh, power)).sqrt();
    assert!((measured / predicted - 1.0).abs() < 0.1, "{measured} {predicted}");
}
