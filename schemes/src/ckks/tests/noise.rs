//! Noise against its formulas, at 128 bits where the operation depends on it.

use super::super::noise;
use super::*;
use crate::security::SecurityLevel;
use crate::statistics::Pool;

const TOLERANCE: f64 = 0.1;

fn party(digits: usize) -> Party {
    let special_bits =
        if digits == 1 { vec![49, 49, 49] } else { vec![45; 4usize.div_ceil(digits)] };
    let literal = ParametersLiteral {
        log_dimension: 13,
        modulus_bits: vec![45, 30, 30, 30],
        special_bits: if digits == 1 { special_bits } else { special_bits[..1].to_vec() },
        digits,
    };
    // one digit needs more special primes than 128 bits allow in this ring
    let parameters = if digits == 1 {
        Parameters::insecure_unchecked(literal).unwrap()
    } else {
        Parameters::new(literal, SecurityLevel::Bits128).unwrap()
    };
    Party::new(parameters, 10 + digits as u64)
}

const SCALE: i32 = 30;

impl Party {
    /// Slots with independent parts of mean square 1/2, and their encryption.
    fn sample(&mut self, level: usize) -> (Vec<c64>, Ciphertext<Slots>) {
        let rng = &mut self.rng;
        let mut part = || rng.random_range(-1.0..1.0) * 1.5f64.sqrt();
        let x: Vec<c64> =
            (0..self.parameters.slots()).map(|_| c64 { re: part(), im: part() }).collect();
        let plaintext = self.encoder.encode(&x, level, &Scale::power_of_two(SCALE)).unwrap();
        let seeded = self.encryptor.encrypt(&plaintext, &self.secret, &mut self.rng).unwrap();
        (x, seeded.expand(&self.parameters).unwrap())
    }

    /// The power of such a message.
    fn power(&self) -> f64 {
        noise::power(&self.parameters, 1.0, f64::from(SCALE).exp2())
    }

    /// Fresh noise, and the rounding of the encoding.
    fn fresh(&self) -> f64 {
        noise::fresh_secret() + noise::encoding()
    }

    fn check(&self, name: &str, found: &Ciphertext<Slots>, expected: &[c64], predicted: f64) {
        let scale = found.scale().value();
        let unit = scale / (self.parameters.dimension() as f64 / 2.0).sqrt();
        let errors = self.decrypt(found);
        let errors = errors.iter().zip(expected).map(|(a, b)| (a - b) * unit);
        let mut pool = Pool::default();
        pool.extend(errors.flat_map(|error| [error.re, error.im]));
        pool.assert_variance(name, predicted, TOLERANCE);
        pool.assert_at_least(name, noise::fresh_secret().min(predicted) * 0.9);
    }
}

fn map(a: &[c64], b: &[c64], f: impl Fn(c64, c64) -> c64) -> Vec<c64> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

#[test]
fn encryption_has_its_noise() {
    let mut party = party(4);
    let (x, a) = party.sample(3);
    party.check("fresh, secret key", &a, &x, party.fresh());
    let public = KeyGenerator::new(&party.parameters).public_key(&party.secret, &mut party.rng);
    let public = public.unwrap().expand(&party.parameters).unwrap();
    let plaintext = party.encoder.encode(&x, 3, a.scale()).unwrap();
    let found = party.encryptor.encrypt_public(&plaintext, &public, &mut party.rng).unwrap();
    party.check("fresh, public key", &found, &x, noise::fresh_public(&party.parameters));
    let mut sum = party.evaluator.add(&a, &a).unwrap();
    party.check("sum", &sum, &map(&x, &x, |x, y| x + y), 4.0 * party.fresh());
    party.evaluator.mul_integer_assign(&mut sum, 5);
    party.check("integer", &sum, &map(&x, &x, |x, _| x * 10.0), 100.0 * party.fresh());
}

#[test]
fn products_have_their_noise() {
    for digits in [1, 2, 4] {
        let mut party = party(digits);
        let keys = party.keys(&KeyRequirements::relinearization(3));
        for level in [3, 1] {
            let ((x, a), (y, b)) = (party.sample(level), party.sample(level));
            let parameters = party.parameters.clone();
            let (fresh, power) = (party.fresh(), party.power());
            let expected = map(&x, &y, |x, y| x * y);
            let tensor = noise::tensor(&parameters, [fresh; 2], [power; 2]);
            let switched = tensor + noise::key_switch(&parameters, level);
            let mut product = party.evaluator.mul(&a, &b, &keys).unwrap();
            party.check("product", &product, &expected, switched);
            party.evaluator.rescale_assign(&mut product).unwrap();
            let rescaled = noise::rescale(&parameters, level, switched);
            party.check("rescaled product", &product, &expected, rescaled);
            let fused = party.evaluator.mul_rescale(&a, &b, &keys).unwrap();
            let without_rounding = switched - noise::rounding(&parameters);
            let rescaled = noise::rescale(&parameters, level, without_rounding);
            party.check("fused product", &fused, &expected, rescaled);
            let square = party.evaluator.square(&a, &keys).unwrap();
            let predicted =
                noise::square(&parameters, fresh, power) + noise::key_switch(&parameters, level);
            party.check("square", &square, &map(&x, &x, |x, _| x * x), predicted);
            let plaintext = party.encoder.encode(&y, level, &Scale::power_of_two(SCALE)).unwrap();
            let found = party.evaluator.mul_plain(&a, &plaintext).unwrap();
            let rounding = noise::mul_plain(&parameters, noise::encoding(), power);
            let predicted = noise::mul_plain(&parameters, fresh, power) + rounding;
            party.check("plaintext product", &found, &expected, predicted);
        }
    }
}

#[test]
fn inner_products_have_their_noise() {
    const TERMS: usize = 11; // more than are reduced at once
    let mut party = party(2);
    let keys = party.keys(&KeyRequirements::relinearization(3));
    for level in [3, 1] {
        let left: Vec<_> = (0..TERMS).map(|_| party.sample(level)).collect();
        let right: Vec<_> = (0..TERMS).map(|_| party.sample(level)).collect();
        let constants: Vec<ConstantCiphertext> =
            right.iter().map(|(_, ciphertext)| ciphertext.clone().into()).collect();
        let zero = vec![c64::default(); party.parameters.slots()];
        let expected = left.iter().zip(&right).fold(zero, |sum, ((x, _), (y, _))| {
            let products = map(x, y, |x, y| x * y);
            map(&sum, &products, |sum, product| sum + product)
        });
        let terms: Vec<_> = left.iter().map(|(_, x)| x).zip(&constants).collect();
        let product = party.evaluator.inner_product(&terms).unwrap();
        let found = party.evaluator.relinearize_rescale(product, &keys).unwrap();
        let parameters = party.parameters.clone();
        let (fresh, power) = (party.fresh(), party.power());
        let tensors = TERMS as f64 * noise::tensor(&parameters, [fresh; 2], [power; 2]);
        let switched = tensors + noise::key_switch(&parameters, level);
        let without_rounding = switched - noise::rounding(&parameters);
        let predicted = noise::rescale(&parameters, level, without_rounding);
        party.check("inner product", &found, &expected, predicted);

        let scale = Scale::power_of_two(SCALE);
        let plaintexts: Vec<_> =
            left.iter().map(|(x, _)| party.encoder.encode(x, level, &scale).unwrap()).collect();
        let terms: Vec<_> = plaintexts.iter().zip(&constants).collect();
        let found = party.evaluator.inner_product_plain(&terms).unwrap();
        let each = noise::mul_plain(&parameters, fresh, power)
            + noise::mul_plain(&parameters, noise::encoding(), power);
        party.check("plain inner product", &found, &expected, TERMS as f64 * each);
    }
}

#[test]
fn rotations_have_their_noise() {
    for digits in [1, 2, 4] {
        let mut party = party(digits);
        let keys = party.keys(&KeyRequirements::rotations(&party.parameters, [5, -9], 3));
        for level in [3, 2, 0] {
            let (mut x, a) = party.sample(level);
            let found = party.evaluator.rotate_many(&a, &[5, -9], &keys).unwrap();
            x.rotate_left(5);
            let predicted = party.fresh() + noise::key_switch(&party.parameters, level);
            party.check("rotation", &found[0], &x, predicted);
        }
    }
}

#[test]
fn linear_transforms_have_their_noise() {
    for digits in [2, 4] {
        let mut party = party(digits);
        let n = party.parameters.slots();
        let rotations = [0, 1, 2, 3, 64, 65, 67, 1024, 1027];
        let map: Diagonals = rotations.iter().map(|&d| (d, party.sample(0).0)).collect();
        let scale = Scale::power_of_two(SCALE);
        let (parameters, encoder) = (party.parameters.clone(), party.encoder.clone());
        let transform = LinearTransform::new(&parameters, &encoder, &map, 3, &scale).unwrap();
        let keys = party.keys(&transform.requirements(&parameters));
        let (x, a) = party.sample(3);
        let found = transform.apply(&party.evaluator, &a, &keys).unwrap();
        let expected: Vec<c64> =
            (0..n).map(|j| map.iter().map(|(d, m)| m[j] * x[(j + d) % n]).sum()).collect();
        let input = (party.fresh(), party.power());
        let predicted = noise::linear_transform(&parameters, 3, input, &transform.norms()[0]);
        party.check("linear transform", &found, &expected, predicted);
        let found = transform.apply_blocks_rescale(&party.evaluator, &[&a], &keys).unwrap();
        let without_rounding = predicted - noise::rounding(&parameters);
        let rescaled = noise::rescale(&parameters, 3, without_rounding);
        party.check("rescaled linear transform", &found[0], &expected, rescaled);
    }
}

#[test]
fn flooding_adds_the_noise_that_is_asked_for() {
    let mut party = party(4);
    let (x, a) = party.sample(3);
    let sigma = 1e6;
    let flooded = party.decryptor.decrypt_flooded(&a, sigma, &mut party.rng).unwrap();
    let unit = a.scale().value() / (party.parameters.dimension() as f64 / 2.0).sqrt();
    let found = party.encoder.decode(&flooded);
    let mut pool = Pool::default();
    let errors = found.iter().zip(&x).map(|(a, b)| (a - b) * unit);
    pool.extend(errors.flat_map(|error| [error.re, error.im]));
    pool.assert_variance("flooding", sigma * sigma + party.fresh(), TOLERANCE);
    for sigma in [0.5, f64::NAN, 1e30] {
        let refused = party.decryptor.decrypt_flooded(&a, sigma, &mut party.rng);
        assert!(matches!(refused, Err(CkksError::Parameter { .. })));
    }
}

#[test]
fn precision_is_that_of_the_worst_and_of_the_mean() {
    let slot = |re| c64 { re, im: 0.0 };
    let found = noise::Precision::new(&[slot(1.0), slot(2.25)], &[slot(1.0), slot(2.0)]);
    assert_eq!(found, noise::Precision { worst: 2.0, mean: 3.0, worst_slot: 1 });
    let found = noise::Precision::new(&[slot(1.0), slot(f64::NAN)], &[slot(1.0), slot(2.0)]);
    assert!(found.worst.is_nan() && found.worst_slot == 1);
}
