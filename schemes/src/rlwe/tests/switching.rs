use super::*;
use crate::math::MathError;
use crate::statistics::Pool;
use proptest::prelude::*;

fn gadgets() -> impl Strategy<Value = (u32, u32, bool)> {
    prop_oneof![
        (4u32..=12, Just(4u32), Just(false)),
        (18u32..=25, Just(2u32), Just(false)),
        (3u32..=6, 6u32..=8, Just(true)),
    ]
}

fn gadget((base_log, levels, tabulated): (u32, u32, bool), parameters: &Parameters) -> Gadget {
    let make = if tabulated { Gadget::tabulated } else { Gadget::digits };
    make(base_log, levels, parameters.ring().modulus()).unwrap()
}

fn predicted(parameters: &Parameters, gadget: Gadget) -> f64 {
    let (ring, sigma) = (parameters.ring(), parameters.sigma());
    noise::key_switch(ring, gadget, sigma, parameters.distribution(), ring.dimension())
}

/// A second secret of the same parameters.
fn other(party: &Party) -> Party {
    Party::new(party.parameters.clone(), 0xB0B)
}

proptest! {
    #[test]
    fn a_switched_ciphertext_has_its_value_under_the_other_secret(
        values in prop::collection::vec(-1.0f64..1.0, SMALL),
        choice in gadgets(),
        seed: u64,
    ) {
        let mut alice = Party::new(small(SecretDistribution::Ternary), seed);
        let bob = other(&alice);
        let gadget = gadget(choice, &alice.parameters);
        let key = KeyGenerator::new(&alice.parameters)
            .switching_key(&alice.secret, &bob.secret, gadget, &mut alice.rng)
            .unwrap()
            .expand(alice.parameters.ring())
            .unwrap();
        let at = scale(48f64.exp2());
        let ciphertext = alice.encrypt_values(&values, at);
        let switched = key.switch(&ciphertext).unwrap();
        prop_assert_eq!((switched.key(), switched.scale()), (bob.secret.id(), at));
        let fresh = noise::fresh_secret(&alice.parameters);
        let variance = predicted(&alice.parameters, gadget) + fresh;
        let bound = 12.0 * variance.sqrt() / at.value() + 1e-12;
        assert_close(&bob.decrypt_values(&switched), &values, bound);
    }

    #[test]
    fn an_automorphism_moves_the_values(
        values in prop::collection::vec(-1.0f64..1.0, SMALL),
        half in 0..SMALL,
        seed: u64,
    ) {
        let element = 2 * half + 1;
        let mut party = Party::new(small(SecretDistribution::Ternary), seed);
        let gadget = gadget((10, 5, false), &party.parameters);
        let seeded = KeyGenerator::new(&party.parameters)
            .galois_key(&party.secret, element, gadget, &mut party.rng)
            .unwrap();
        let key = seeded.expand(party.parameters.ring()).unwrap();
        prop_assert_eq!((seeded.element(), key.element()), (element, element));
        let at = scale(48f64.exp2());
        let image = key.apply(&party.encrypt_values(&values, at)).unwrap();
        let mut expected = vec![0.0; SMALL];
        for (i, value) in values.iter().enumerate() {
            let exponent = i * element % (2 * SMALL);
            expected[exponent % SMALL] = if exponent < SMALL { *value } else { -value };
        }
        let fresh = noise::fresh_secret(&party.parameters);
        let variance = predicted(&party.parameters, gadget) + fresh;
        let bound = 12.0 * variance.sqrt() / at.value() + 1e-12;
        assert_close(&party.decrypt_values(&image), &expected, bound);
    }
}

/// The noise that `keys` fresh keys add to `ciphertexts` ciphertexts each.
fn switch_noise(
    distribution: SecretDistribution,
    choice: (u32, u32, bool),
    sigma: f64,
    keys: u64,
    ciphertexts: usize,
) -> Pool {
    let parameters = Parameters::insecure_unchecked(literal(11, distribution)).unwrap();
    let gadget = gadget(choice, &parameters);
    let mut pool = Pool::default();
    for seed in 0..keys {
        let mut alice = Party::new(parameters.clone(), seed);
        let bob = other(&alice);
        let (from, to) = (&alice.secret, &bob.secret);
        let key = SeededSwitchingKey::generate(from, to, gadget, sigma, &mut alice.rng).unwrap();
        let key = key.expand(parameters.ring()).unwrap();
        let zero = alice.encoder.encode_coefficients(&[], scale(1.0)).unwrap();
        for _ in 0..ciphertexts {
            let ciphertext = alice.encrypt(&zero);
            let before = alice.decryptor.decrypt(&ciphertext).unwrap();
            pool.extend(bob.noise(&key.switch(&ciphertext).unwrap(), &before));
        }
    }
    pool
}

#[test]
fn the_noise_of_a_key_switch_is_predicted_and_not_below_the_floor() {
    use SecretDistribution::{Binary, Ternary};
    for (distribution, choice, sigma, keys) in [
        (Binary, (10, 5, false), 3.2, 40),
        (Ternary, (10, 5, false), 3.2, 40),
        (Binary, (2, 8, false), 3e9, 60),
        (Ternary, (1, 20, false), 1e5, 60),
        (Binary, (25, 2, false), 3.2, 40),
        (Binary, (5, 3, true), 3e8, 30),
        (Ternary, (5, 3, true), 2e7, 30),
        (Ternary, (2, 6, true), 2e9, 60),
    ] {
        let parameters = Parameters::insecure_unchecked(literal(11, distribution)).unwrap();
        let gadget = gadget(choice, &parameters);
        let pool = switch_noise(distribution, choice, sigma, keys, 4);
        let predicted = noise::key_switch(parameters.ring(), gadget, sigma, distribution, 2048);
        let name = format!("key switch, {distribution:?}, {choice:?}, sigma {sigma:e}");
        pool.assert_variance(&name, predicted, 0.1);
        pool.assert_at_least(&name, sigma * sigma);
    }
}

#[test]
fn the_noise_of_an_automorphism_is_that_of_a_key_switch() {
    for distribution in [SecretDistribution::Binary, SecretDistribution::Ternary] {
        let mut pool = Pool::default();
        let parameters = real(distribution);
        let gadget = gadget((10, 5, false), &parameters);
        for seed in 0..40 {
            let mut party = Party::new(parameters.clone(), seed);
            let element = 2 * seed as usize * 25 + 3;
            let key = KeyGenerator::new(&parameters)
                .galois_key(&party.secret, element, gadget, &mut party.rng)
                .unwrap()
                .expand(parameters.ring())
                .unwrap();
            let zero = party.encoder.encode_coefficients(&[], scale(1.0)).unwrap();
            let ciphertext = party.encrypt(&zero);
            let before = party.decryptor.decrypt(&ciphertext).unwrap();
            let image = before.poly().automorphism(element).unwrap();
            let before = Plaintext::<Coeffs>::new(image, scale(1.0));
            pool.extend(party.noise(&key.apply(&ciphertext).unwrap(), &before));
        }
        let name = format!("automorphism, {distribution:?}");
        pool.assert_variance(&name, predicted(&parameters, gadget), 0.1);
        pool.assert_at_least(&name, parameters.sigma().powi(2));
    }
}

/// The noise inside the rows of a key, which is all that protects them.
#[test]
fn the_rows_of_a_key_have_their_noise() {
    let parameters = real(SecretDistribution::Ternary);
    let mut alice = Party::new(parameters.clone(), 1);
    let bob = other(&alice);
    let gadget = gadget((5, 3, true), &parameters);
    for sigma in [3.2, 1e6] {
        let mut pool = Pool::default();
        let (from, to) = (&alice.secret, &bob.secret);
        let key = SeededSwitchingKey::generate(from, to, gadget, sigma, &mut alice.rng).unwrap();
        assert_eq!(key.instance(), bob.secret.instance(sigma));
        let modulus = parameters.ring().modulus();
        let rows = key.expand(parameters.ring()).unwrap().rows;
        assert_eq!(rows.len(), gadget.rows());
        for ([body, mask], constant) in rows.into_iter().zip(gadget.constants(modulus)) {
            let mut noise = bob.secret.times(&mask.into_coeff()).unwrap();
            noise.add_assign(&body.into_coeff()).unwrap();
            let mut message =
                crate::math::Poly::from_signed(parameters.ring(), alice.secret.coefficients())
                    .unwrap();
            message.scale(modulus.to_signed(constant));
            noise.sub_assign(&message).unwrap();
            pool.extend(noise.to_signed().into_iter().map(|e| e as f64));
        }
        pool.assert_variance("row of a switching key", sigma * sigma + 1.0 / 12.0, 0.03);
        pool.assert_at_least("row of a switching key", sigma * sigma);
    }
}

#[test]
fn keys_and_ciphertexts_that_do_not_belong_together_are_refused() {
    let mut alice = Party::new(small(SecretDistribution::Ternary), 1);
    let mut bob = other(&alice);
    let gadget = gadget((10, 5, false), &alice.parameters);
    let generator = KeyGenerator::new(&alice.parameters);
    let ring = alice.parameters.ring().clone();
    let seeded =
        generator.switching_key(&alice.secret, &bob.secret, gadget, &mut alice.rng).unwrap();
    assert_eq!((seeded.source(), seeded.target()), (alice.secret.id(), bob.secret.id()));
    let switch = seeded.expand(&ring).unwrap();
    let galois =
        generator.galois_key(&alice.secret, 3, gadget, &mut alice.rng).unwrap().expand(&ring);
    let galois = galois.unwrap();

    let foreign = bob.encrypt_values(&[1.0], scale(1e6));
    assert!(matches!(switch.switch(&foreign), Err(RlweError::Key(_))));
    assert!(matches!(galois.apply(&foreign), Err(RlweError::Key(_))));

    let mismatch = |error| matches!(error, RlweError::Math(MathError::RingMismatch { .. }));
    for literal in [
        ParametersLiteral { log_dimension: 7, ..alice.parameters.literal() },
        ParametersLiteral { modulus_bits: 40, ..alice.parameters.literal() },
    ] {
        let wrong = Parameters::insecure_unchecked(literal).unwrap();
        let zero = crate::math::Poly::zero(wrong.ring());
        let forged =
            Ciphertext::<Coeffs>::from_parts(zero.clone(), zero, scale(1.0), alice.secret.id())
                .unwrap();
        assert!(mismatch(switch.switch(&forged).unwrap_err()));
        assert!(mismatch(galois.apply(&forged).unwrap_err()));
        assert!(matches!(
            seeded.expand(wrong.ring()),
            Err(RlweError::Math(_) | RlweError::ResidueWidth { expected: 40, found: 50 })
        ));
        let mut stranger = Party::new(wrong, 5);
        let key =
            generator.switching_key(&alice.secret, &stranger.secret, gadget, &mut stranger.rng);
        assert!(key.is_err());
    }
}

#[test]
fn unusable_noise_gadgets_and_elements_are_refused() {
    let mut party = Party::new(small(SecretDistribution::Ternary), 1);
    let gadget = gadget((10, 5, false), &party.parameters);
    for sigma in [0.0, -1.0, f64::NAN, 1e15] {
        let (secret, rng) = (&party.secret, &mut party.rng);
        let key = SeededSwitchingKey::generate(secret, secret, gadget, sigma, rng);
        assert!(matches!(key, Err(RlweError::Noise { .. })));
    }
    for element in [0, 2, 2 * SMALL, 2 * SMALL + 1] {
        let (secret, rng) = (&party.secret, &mut party.rng);
        let key = SeededGaloisKey::generate(secret, element, gadget, 3.2, rng);
        assert!(matches!(key, Err(RlweError::Math(MathError::GaloisElement { .. }))));
    }
    let wide = Gadget::digits(30, 1, crate::math::Modulus::new(1 << 60).unwrap()).unwrap();
    let narrow = ParametersLiteral { modulus_bits: 20, ..party.parameters.literal() };
    let mut narrow = Party::new(Parameters::insecure_unchecked(narrow).unwrap(), 1);
    let (secret, rng) = (&narrow.secret, &mut narrow.rng);
    let key = SeededSwitchingKey::generate(secret, secret, wide, 3.2, rng);
    assert!(matches!(key, Err(RlweError::Gadget { .. })));
}
