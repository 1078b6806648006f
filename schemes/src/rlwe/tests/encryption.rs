use super::*;
use crate::math::MathError;
use crate::statistics::Pool;
use concrete_fft::c64;
use proptest::prelude::*;
use std::f64::consts::PI;

#[test]
fn secret_key_noise_is_predicted_and_not_below_the_floor() {
    for (seed, distribution) in
        [SecretDistribution::Binary, SecretDistribution::Ternary].into_iter().enumerate()
    {
        let mut party = Party::new(real(distribution), seed as u64);
        let values: Vec<f64> = (0..2048).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let plaintext = party.encoder.encode_coefficients(&values, scale(1e9)).unwrap();
        let mut pool = Pool::default();
        for _ in 0..256 {
            let ciphertext = party.encrypt(&plaintext);
            pool.extend(party.noise(&ciphertext, &plaintext));
        }
        let name = format!("fresh, secret key, {distribution:?}");
        pool.assert_variance(&name, noise::fresh_secret(&party.parameters), 0.02);
        pool.assert_at_least(&name, party.parameters.sigma().powi(2));
        assert!(pool.mean().abs() < 5.0 * (pool.variance() / pool.count() as f64).sqrt());
    }
}

#[test]
fn public_key_noise_is_predicted_and_not_below_the_floor() {
    for distribution in [SecretDistribution::Binary, SecretDistribution::Ternary] {
        let parameters = real(distribution);
        let mut pool = Pool::default();
        // the noise of one key is not independent between coefficients: many keys
        for seed in 0..600 {
            let mut party = Party::new(parameters.clone(), seed);
            let generator = KeyGenerator::new(&parameters);
            let public = generator.public_key(&party.secret, &mut party.rng).unwrap();
            let public = public.expand(parameters.ring()).unwrap();
            assert_eq!(public.key(), party.secret.id());
            let plaintext = party.encoder.encode_coefficients(&[1.0, 2.0], scale(1e9)).unwrap();
            let ciphertext =
                party.encryptor.encrypt_public(&plaintext, &public, &mut party.rng).unwrap();
            pool.extend(party.noise(&ciphertext, &plaintext));
        }
        let name = format!("fresh, public key, {distribution:?}");
        pool.assert_variance(&name, noise::fresh_public(&parameters), 0.1);
        pool.assert_at_least(&name, parameters.sigma().powi(2));
    }
}

#[test]
fn the_noise_of_a_public_key_is_not_below_the_floor() {
    let parameters = real(SecretDistribution::Ternary);
    let mut pool = Pool::default();
    for seed in 0..64 {
        let mut party = Party::new(parameters.clone(), seed);
        let public =
            KeyGenerator::new(&parameters).public_key(&party.secret, &mut party.rng).unwrap();
        let public = public.expand(parameters.ring()).unwrap();
        let mut noise = public.p1.into_coeff();
        noise = party.secret.times(&noise).unwrap();
        noise.add_assign(&public.p0.into_coeff()).unwrap();
        pool.extend(noise.to_signed().into_iter().map(|e| e as f64));
    }
    pool.assert_variance("public key", noise::fresh_secret(&parameters), 0.03);
    pool.assert_at_least("public key", parameters.sigma().powi(2));
}

proptest! {
    #[test]
    fn both_packings_come_back(
        values in prop::collection::vec(-50.0f64..50.0, SMALL),
        seed: u64,
    ) {
        let mut party = Party::new(small(SecretDistribution::Ternary), seed);
        let at = scale(30f64.exp2());
        let public = KeyGenerator::new(&party.parameters)
            .public_key(&party.secret, &mut party.rng)
            .unwrap()
            .expand(party.parameters.ring())
            .unwrap();
        let bound = 9.0 * noise::fresh_public(&party.parameters).sqrt() / at.value();

        let plaintext = party.encoder.encode_coefficients(&values, at).unwrap();
        let ciphertexts = [
            party.encrypt(&plaintext),
            party.encryptor.encrypt_public(&plaintext, &public, &mut party.rng).unwrap(),
        ];
        for ciphertext in &ciphertexts {
            assert_close(&party.decrypt_values(ciphertext), &values, bound);
        }

        let slots: Vec<c64> =
            values[SMALL / 2..].iter().map(|&v| c64::from_polar(v, v * PI)).collect();
        let plaintext = party.encoder.encode_slots(&slots, at).unwrap();
        let ciphertext =
            party.encryptor.encrypt_public(&plaintext, &public, &mut party.rng).unwrap();
        let decoded =
            party.encoder.decode_slots(&party.decryptor.decrypt(&ciphertext).unwrap());
        for (a, b) in decoded.iter().zip(&slots) {
            // a slot is a sum of N coefficients with factors on the unit circle
            prop_assert!((a - b).norm() < bound * (SMALL as f64).sqrt());
        }
    }
}

#[test]
fn another_secret_or_ring_is_refused() {
    let mut alice = Party::new(small(SecretDistribution::Ternary), 1);
    let bob = Party::new(small(SecretDistribution::Ternary), 2);
    let ciphertext = alice.encrypt_values(&[1.0], scale(1e6));
    assert!(matches!(
        bob.decryptor.decrypt(&ciphertext),
        Err(RlweError::Key(error)) if error.expected == bob.secret.id() && error.found == alice.secret.id()
    ));

    let other =
        ParametersLiteral { modulus_bits: 40, ..small(SecretDistribution::Ternary).literal() };
    let other = Party::new(Parameters::insecure_unchecked(other).unwrap(), 3);
    let plaintext = other.encoder.encode_coefficients(&[1.0], scale(1e6)).unwrap();
    let mismatch = |error| matches!(error, RlweError::Math(MathError::RingMismatch { .. }));
    let encrypted = alice.encryptor.encrypt(&plaintext, &alice.secret, &mut alice.rng);
    assert!(mismatch(encrypted.unwrap_err()));
    let plaintext = alice.encoder.encode_coefficients(&[1.0], scale(1e6)).unwrap();
    let encrypted = alice.encryptor.encrypt(&plaintext, &other.secret, &mut alice.rng);
    assert!(mismatch(encrypted.unwrap_err()));
    let public =
        KeyGenerator::new(&other.parameters).public_key(&other.secret, &mut alice.rng).unwrap();
    let public = public.expand(other.parameters.ring()).unwrap();
    let encrypted = alice.encryptor.encrypt_public(&plaintext, &public, &mut alice.rng);
    assert!(mismatch(encrypted.unwrap_err()));

    // the right key id on a ciphertext of another ring
    let zero = crate::math::Poly::zero(other.parameters.ring());
    let forged =
        Ciphertext::<Coeffs>::from_parts(zero.clone(), zero.clone(), scale(1.0), alice.secret.id());
    assert!(mismatch(alice.decryptor.decrypt(&forged.unwrap()).unwrap_err()));
    let mixed = Ciphertext::<Coeffs>::from_parts(
        zero,
        crate::math::Poly::zero(alice.parameters.ring()),
        scale(1.0),
        alice.secret.id(),
    );
    assert!(mismatch(mixed.unwrap_err()));
}

#[test]
fn secrets_are_not_printed() {
    let party = Party::new(small(SecretDistribution::Ternary), 1);
    let id = party.secret.id();
    assert_eq!(format!("{:?}", party.secret), format!("SecretKey {{ id: {id:?}, .. }}"));
    assert!(!format!("{:?}", party.decryptor).contains("coefficients"));
}

#[test]
fn secrets_are_wiped() {
    fn wiped_when_dropped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    let parameters = small(SecretDistribution::Ternary);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    wiped_when_dropped(&crate::math::sampling::ternary(4, &mut rng));
    let secret = SecretKey::generate(&parameters, &mut rng).unwrap();
    assert!(std::mem::needs_drop::<SecretKey>());
    let mut transform = secret.ntt().clone();
    assert!(transform.values().iter().any(|&v| v != 0));
    zeroize::Zeroize::zeroize(&mut transform); // what dropping the key does to its own
    assert!(transform.values().iter().all(|&v| v == 0));
}

#[test]
fn a_secret_needs_as_many_coefficients_as_the_ring() {
    let parameters = small(SecretDistribution::Ternary);
    let id = crate::key_id::KeyId::random(&mut ChaCha20Rng::seed_from_u64(1));
    let secret = SecretKey::from_coefficients(
        parameters.ring(),
        zeroize::Zeroizing::new(vec![1; SMALL - 1]),
        SecretDistribution::Binary,
        SMALL,
        id,
    );
    assert!(matches!(
        secret,
        Err(RlweError::Math(MathError::Length { expected: SMALL, found: 63 }))
    ));
}

#[test]
fn the_instance_of_a_secret_is_that_of_its_parameters() {
    let party = Party::new(real(SecretDistribution::Ternary), 1);
    let instance = party.secret.instance(party.parameters.sigma());
    assert_eq!(instance, party.parameters.instance());
    assert_eq!(instance.estimate().bits, 128);
}
