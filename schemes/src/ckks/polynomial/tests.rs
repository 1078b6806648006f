use super::*;
use crate::ckks::{
    Decryptor, Encoder, Encryptor, KeyGenerator, ParametersLiteral, SecretKey, c64, noise,
};
use crate::math::approximation::Parity;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

const BASES: [Basis; 2] = [Basis::Monomial, Basis::Chebyshev];

/// `levels` primes above the first, 40 to 45 bits each.
fn parameters(log_dimension: u32, levels: usize) -> Parameters {
    let bits = (0..levels as u32).map(|level| 40 + level * 7 % 6);
    let literal = ParametersLiteral {
        log_dimension,
        modulus_bits: std::iter::once(55).chain(bits).collect(),
        special_bits: vec![55, 55],
        digits: (levels + 1).div_ceil(2),
    };
    Parameters::insecure_unchecked(literal).unwrap()
}

fn dense(basis: Basis, degree: usize) -> Polynomial {
    let coefficients = (0..=degree).map(|i| 1.0 / (1 + i) as f64).collect();
    Polynomial::new(basis, [-1.0, 1.0], coefficients).unwrap()
}

/// Coefficients of size 1 at most in sum.
fn polynomials(degrees: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Polynomial> {
    let basis = prop::sample::select(&BASES);
    let parity = prop::sample::select(&[Parity::Even, Parity::Odd, Parity::None]);
    let coefficients =
        prop::collection::vec(-1.0..1.0f64, *degrees.start() + 1..=degrees.end() + 1);
    (basis, parity, coefficients).prop_map(|(basis, parity, mut coefficients)| {
        for (index, c) in coefficients.iter_mut().enumerate() {
            let absent = match parity {
                Parity::Even => index % 2 == 1,
                Parity::Odd => index % 2 == 0,
                _ => false,
            };
            *c = if absent { 0.0 } else { *c };
        }
        let size: f64 = coefficients.iter().map(|c| c.abs()).sum();
        let coefficients = coefficients.iter().map(|c| c / size.max(1.0)).collect();
        Polynomial::new(basis, [-1.0, 1.0], coefficients).unwrap()
    })
}

#[test]
fn depth_is_optimal_and_products_are_near_the_bound() {
    for (basis, degree) in BASES.into_iter().flat_map(|basis| (1..=255).map(move |d| (basis, d))) {
        let circuit = PolynomialCircuit::new(&dense(basis, degree));
        let d = degree as f64;
        assert_eq!(circuit.depth(), (d + 1.0).log2().ceil() as usize, "degree {degree}");
        let bound = (2.0 * d).sqrt() + d.log2();
        let most = if degree < 64 { bound + 1.0 } else { 1.25 * bound };
        assert!((circuit.multiplications() as f64) < most, "degree {degree}, {bound}");
        assert!(circuit.relinearizations() <= circuit.multiplications());
    }
}

#[test]
fn counts_are_as_published() {
    let count = |basis, degree| {
        let circuit = PolynomialCircuit::new(&dense(basis, degree));
        (circuit.depth(), circuit.multiplications(), circuit.relinearizations())
    };
    for basis in BASES {
        assert_eq!(count(basis, 0), (0, 0, 0));
        assert_eq!(count(basis, 1), (1, 0, 0));
        assert_eq!(count(basis, 2), (2, 1, 1));
        assert_eq!(count(basis, 7), (3, 5, 4));
        assert_eq!(count(basis, 31), (5, 13, 10));
        assert_eq!(count(basis, 63), (6, 18, 15));
    }
}

#[test]
fn parity_saves_products() {
    for (basis, degree) in BASES.into_iter().flat_map(|basis| (16..=63).map(move |d| (basis, d))) {
        let all = dense(basis, degree);
        let mut coefficients = all.coefficients().to_vec();
        for c in coefficients.iter_mut().rev().skip(1).step_by(2) {
            *c = 0.0;
        }
        let half = Polynomial::new(basis, [-1.0, 1.0], coefficients).unwrap();
        let [all, half] = [all, half].map(|p| PolynomialCircuit::new(&p));
        assert_eq!(all.depth(), half.depth());
        let least = if degree % 2 == 0 { 2 } else { 0 };
        assert!(half.multiplications() + least <= all.multiplications(), "{basis:?} {degree}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn the_walk_computes_the_polynomial_at_the_level_and_scale_asked_for(
        polynomial in polynomials(0..=127),
        x in -1.0..1.0f64,
        spare in 0usize..3,
        target in 30.0..50.0f64,
    ) {
        let parameters = parameters(5, 10);
        let circuit = PolynomialCircuit::new(&polynomial);
        let target = Scale::new(target.exp2()).unwrap();
        let estimate = Estimate::new(&parameters);
        let level = circuit.depth() + spare;
        let operand = estimate.operand(level, &Scale::power_of_two(40), 0.0, x);
        let result = circuit.walk(&estimate, &operand, &target).unwrap();
        prop_assert!((result.value - polynomial.evaluate(x)).abs() < 1e-11);
        prop_assert_eq!(estimate.level(&result), spare);
        prop_assert_eq!(estimate.scale(&result), target);
    }
}

#[test]
fn every_mapping_of_the_interval_gives_the_same_values() {
    let parameters = parameters(5, 8);
    let (interval, scale) = ([-3.0, 5.0], Scale::power_of_two(36));
    let polynomial = Polynomial::chebyshev(interval, vec![0.5, -1.0, 0.25, 0.125, 0.3]).unwrap();
    let x = 2.6;
    let variable = polynomial.variable(x);
    let circuits = [
        (PolynomialCircuit::new(&polynomial), x, 4),
        (PolynomialCircuit::reread(&polynomial), x, 3),
        (PolynomialCircuit::folded(&polynomial), variable, 3),
    ];
    for (circuit, input, depth) in circuits {
        assert_eq!(circuit.depth(), depth);
        let estimate = Estimate::new(&parameters);
        let operand = estimate.operand(8, &scale, 0.0, input);
        let result = circuit.walk(&estimate, &operand, &scale).unwrap();
        assert!((result.value - polynomial.evaluate(x)).abs() < 1e-12);
        assert_eq!((estimate.level(&result), estimate.scale(&result)), (8 - depth, scale.clone()));
    }
}

#[test]
fn refuses_too_few_levels() {
    let parameters = parameters(5, 3);
    let circuit = PolynomialCircuit::new(&dense(Basis::Chebyshev, 8));
    let estimate = Estimate::new(&parameters);
    let operand = estimate.operand(3, &Scale::power_of_two(40), 0.0, 0.5);
    let error = circuit.walk(&estimate, &operand, &Scale::power_of_two(40)).unwrap_err();
    let operation = "evaluating a polynomial";
    assert_eq!(error, CkksError::Level { operation, needed: 4, found: 3 });
}

/// Everything to encrypt, evaluate and decrypt under one secret.
pub(in crate::ckks) struct Session {
    pub parameters: Parameters,
    pub evaluator: Evaluator,
    encoder: Encoder,
    secret: Arc<SecretKey>,
    rng: ChaCha20Rng,
}

impl Session {
    pub fn new(log_dimension: u32, levels: usize) -> Self {
        let parameters = parameters(log_dimension, levels);
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let secret = KeyGenerator::new(&parameters).secret_key(&mut rng).unwrap();
        Self {
            evaluator: Evaluator::new(&parameters),
            encoder: Encoder::new(&parameters),
            secret: Arc::new(secret),
            rng,
            parameters,
        }
    }

    pub fn keys(&mut self, requirements: &KeyRequirements) -> EvaluationKeys {
        let generator = KeyGenerator::new(&self.parameters);
        let keys = generator.evaluation_keys(&self.secret, requirements, &mut self.rng).unwrap();
        keys.expand(&self.parameters).unwrap()
    }

    /// Uniform numbers, one per slot.
    pub fn numbers(&mut self, [low, high]: [f64; 2]) -> Vec<f64> {
        (0..self.parameters.slots()).map(|_| self.rng.random_range(low..=high)).collect()
    }

    pub fn encrypt(&mut self, values: &[f64], level: usize, scale: &Scale) -> Ciphertext<Slots> {
        let plaintext = self.encoder.encode_real(values, level, scale).unwrap();
        let encryptor = Encryptor::new(&self.parameters);
        let fresh = encryptor.encrypt(&plaintext, &self.secret, &mut self.rng).unwrap();
        fresh.expand(&self.parameters).unwrap()
    }

    pub fn decrypt(&self, ciphertext: &Ciphertext<Slots>) -> Vec<c64> {
        let decryptor = Decryptor::new(Arc::clone(&self.secret));
        self.encoder.decode(&decryptor.decrypt(ciphertext).unwrap())
    }

    /// Standard deviation of a fresh slot: the encryption's noise and the encoding's rounding.
    fn fresh_error(&self, scale: &Scale) -> f64 {
        let variance = noise::fresh_secret() + noise::encoding();
        (self.parameters.dimension() as f64 * variance).sqrt() / scale.value()
    }
}

/// The distance of each slot from a real number.
pub(in crate::ckks) fn distances(found: &[c64], expected: impl Iterator<Item = f64>) -> Vec<f64> {
    found.iter().zip(expected).map(|(z, x)| (z.re - x).hypot(z.im)).collect()
}

/// Measured errors over predicted standard deviations, slot by slot.
fn relative_errors(
    session: &mut Session,
    polynomial: &Polynomial,
    level: usize,
    target: &Scale,
) -> Vec<f64> {
    let circuit = PolynomialCircuit::new(polynomial);
    let keys = session.keys(&circuit.requirements(level));
    let scale = Scale::power_of_two(40);
    let values = session.numbers([-1.0, 1.0]);
    let operand = session.encrypt(&values, level, &scale);
    let result = circuit.evaluate(&session.evaluator, &operand, target, &keys).unwrap();
    assert_eq!((result.level(), result.scale()), (level - circuit.depth(), target));
    let expected = values.iter().map(|&x| polynomial.evaluate(x));
    let errors = distances(&session.decrypt(&result), expected);
    let fresh = session.fresh_error(&scale);
    let predicted = |&x: &f64| {
        circuit.standard_error(&session.parameters, (level, &scale), target, fresh, x).unwrap()
    };
    assert!(errors.iter().all(|&error| error < (-18.0f64).exp2()), "{errors:?}");
    errors.iter().zip(values.iter().map(predicted)).map(|(error, p)| error / p).collect()
}

fn root_mean_square(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Slot by slot, within 12 standard deviations: a rounding's error holds a product of two nearly
    /// Gaussian numbers, the embeddings of what was rounded off and of the secret, and such a product
    /// exceeds 12 with probability 2^-32. The absolute bound is the input's error, 2^-33, times the
    /// square of the degree, times eight.
    #[test]
    fn ciphertexts_agree_with_numbers(
        polynomial in polynomials(2..=63),
        log_dimension in 8u32..=10,
        spare in 0usize..2,
        target in 38.0..45.0f64,
    ) {
        let level = PolynomialCircuit::new(&polynomial).depth() + spare;
        let mut session = Session::new(log_dimension, level);
        let target = Scale::new(target.exp2()).unwrap();
        let errors = relative_errors(&mut session, &polynomial, level, &target);
        prop_assert!(errors.iter().all(|&error| error < 12.0), "{errors:?}");
        let ratio = root_mean_square(&errors);
        prop_assert!((0.7..1.4).contains(&ratio), "{ratio}");
    }
}

#[test]
fn errors_are_within_a_tenth_of_the_prediction() {
    for polynomial in BASES.into_iter().flat_map(|basis| [1, 2, 7, 27, 63].map(|d| dense(basis, d)))
    {
        let level = PolynomialCircuit::new(&polynomial).depth();
        let mut session = Session::new(9, level);
        let target = Scale::power_of_two(40);
        let errors: Vec<f64> = (0..8)
            .flat_map(|_| relative_errors(&mut session, &polynomial, level, &target))
            .collect();
        let ratio = root_mean_square(&errors);
        assert!((0.9..1.1).contains(&ratio), "degree {}: {ratio}", polynomial.degree());
    }
}

#[test]
fn a_constant_takes_no_level() {
    let polynomial = Polynomial::chebyshev([-2.0, 5.0], vec![-0.75]).unwrap();
    let circuit = PolynomialCircuit::new(&polynomial);
    assert_eq!((circuit.depth(), circuit.requirements(0)), (0, KeyRequirements::default()));
    let mut session = Session::new(8, 1);
    let keys = session.keys(&KeyRequirements::default());
    let (scale, target) = (Scale::power_of_two(40), Scale::power_of_two(35));
    let operand = session.encrypt(&[0.5], 0, &scale);
    let result = circuit.evaluate(&session.evaluator, &operand, &target, &keys).unwrap();
    assert_eq!((result.level(), result.scale()), (0, &target));
    let slots = session.decrypt(&result);
    assert!(distances(&slots, slots.iter().map(|_| -0.75)).iter().all(|&error| error < 1e-9));
}

#[test]
fn intervals_are_mapped_under_encryption() {
    let interval = [-3.0, 5.0];
    let polynomial = Polynomial::chebyshev(interval, vec![0.5, -1.0, 0.25, 0.125, 0.3]).unwrap();
    let scale = Scale::power_of_two(38);
    let mut session = Session::new(8, 4);
    let keys = session.keys(&KeyRequirements::relinearization(4));
    let values = session.numbers(interval);
    let operand = session.encrypt(&values, 4, &scale);
    for circuit in [PolynomialCircuit::new(&polynomial), PolynomialCircuit::reread(&polynomial)] {
        let result = circuit.evaluate(&session.evaluator, &operand, &scale, &keys).unwrap();
        assert_eq!((result.level(), result.scale()), (4 - circuit.depth(), &scale));
        let expected = values.iter().map(|&x| polynomial.evaluate(x));
        let errors = distances(&session.decrypt(&result), expected);
        assert!(errors.iter().all(|&error| error < 1e-7), "{errors:?}");
    }
}

#[test]
fn refuses_a_missing_key() {
    let circuit = PolynomialCircuit::new(&dense(Basis::Monomial, 5));
    let mut session = Session::new(8, 3);
    let scale = Scale::power_of_two(40);
    let operand = session.encrypt(&[0.5], 3, &scale);
    let none = session.keys(&KeyRequirements::default());
    let low = session.keys(&circuit.requirements(2));
    for keys in [none, low] {
        let result = circuit.evaluate(&session.evaluator, &operand, &scale, &keys);
        assert_eq!(result.unwrap_err(), CkksError::MissingRelinearizationKey { level: 3 });
    }
}
