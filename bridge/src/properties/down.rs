//! Extraction.

use super::*;
use crate::to_lwe::extract;
use bellerophon_schemes::rlwe::Evaluator;

/// Extraction after encryption returns each coefficient within the predicted noise.
fn extract_after_encrypt(world: &World, count: usize, rng: &mut ChaCha20Rng) {
    let values = values(world.dimension(), rng);
    let positions = positions(world.dimension(), count, rng);
    let ciphertext = world.encrypt(&values, world.secrets.ring(), rng);
    for bits in [9, 11, 32] {
        let samples = world.keys.to_lwe(&ciphertext, &positions, bits, 1).unwrap();
        assert_eq!((samples.count(), samples.log2_modulus()), (positions.len(), bits));
        let variance = noise::fresh(&world.parameters) + noise::to_lwe(&world.parameters, bits, 1);
        assert_within(&world.phases(&samples), &chosen(&values, &positions), variance);
    }
}

#[test]
fn extract_after_encrypt_returns_each_coefficient() {
    for_small(64, extract_after_encrypt);
    for_real(&[1, 100, 2048], extract_after_encrypt);
}

/// A coefficient may be extracted more than once.
#[test]
fn positions_may_repeat_on_the_way_down() {
    let (world, mut rng) = (&SMALL[0], ChaCha20Rng::seed_from_u64(1));
    let values = values(world.dimension(), &mut rng);
    let ciphertext = world.encrypt(&values, world.secrets.ring(), &mut rng);
    let samples = world.keys.to_lwe(&ciphertext, &[5, 5, 0, 5], 16, 1).unwrap();
    let phases = world.phases(&samples);
    assert!(phases[0] == phases[1] && phases[0] == phases[3] && phases[0] != phases[2]);
}

/// The way down is linear: a combination of ciphertexts extracts to that of their values.
fn linear(world: &World, count: usize, rng: &mut ChaCha20Rng) {
    let n = world.dimension();
    let evaluator = Evaluator::new(world.parameters.ring());
    let [a, b] = [0, 1].map(|_| values(n, rng));
    let [u, v]: [i64; 2] = [0, 1].map(|_| rng.random_range(-50..50));
    let mut sum = world.encrypt(&a, world.secrets.ring(), rng);
    evaluator.mul_integer_assign(&mut sum, u);
    let mut term = world.encrypt(&b, world.secrets.ring(), rng);
    evaluator.mul_integer_assign(&mut term, v);
    evaluator.add_assign(&mut sum, &term).unwrap();
    let expected: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a * u as f64 + b * v as f64).collect();
    let positions = positions(n, count, rng);
    let samples = world.keys.to_lwe(&sum, &positions, 20, 1).unwrap();
    let grown = noise::fresh(&world.parameters) * (u * u + v * v) as f64;
    let variance = grown + noise::to_lwe(&world.parameters, 20, 1);
    assert_within(&world.phases(&samples), &chosen(&expected, &positions), variance);
}

#[test]
fn the_way_down_is_linear() {
    for_small(48, linear);
    for_real(&[300], linear);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Extraction alone, against the product of the polynomials.
    #[test]
    fn samples_are_coefficients_of_the_product(
        seed: u64,
        stride in 1usize..5,
        dimension in 1usize..=256,
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let world = &SMALL[0];
        let (ring, n) = (world.parameters.ring(), world.dimension());
        let dimension = dimension.min(n.div_ceil(stride));
        let secret = LweSecretKey::generate(dimension, &mut rng);
        let embedded =
            Arc::new(keys::embed(&world.parameters, &secret, stride, dimension).unwrap());
        let part = |rng: &mut ChaCha20Rng| {
            let q = ring.modulus().value();
            let words = (0..n).map(|_| rng.random_range(0..q)).collect();
            bellerophon_schemes::math::Poly::from_values(ring, words).unwrap()
        };
        let (c0, c1) = (part(&mut rng), part(&mut rng));
        let ciphertext =
            Ciphertext::<Coeffs>::from_parts(c0, c1, world.turn(), secret.id()).unwrap();
        let decryptor = Decryptor::new(embedded);
        let expected =
            world.encoder.decode_coefficients(&decryptor.decrypt(&ciphertext).unwrap());
        let positions = positions(n, n, &mut rng);
        let samples = extract(&ciphertext, &positions, dimension, stride).unwrap();
        let found: Vec<f64> =
            samples.samples().map(|sample| fraction(secret.phase(sample))).collect();
        assert_within(&found, &chosen(&expected, &positions), noise::rescale(dimension));
    }
}

#[test]
fn more_coefficients_than_the_ring_has_are_refused() {
    let (world, mut rng) = (&SMALL[0], ChaCha20Rng::seed_from_u64(1));
    let ciphertext = world.encrypt(&[0.1], world.secrets.ring(), &mut rng);
    for (dimension, stride, expected) in [(257, 1, 256), (129, 2, 128), (87, 3, 86), (257, 0, 256)]
    {
        assert!(matches!(
            extract(&ciphertext, &[0], dimension, stride),
            Err(BridgeError::Dimension { expected: e, found, .. }) if e == expected && found == dimension
        ));
    }
    assert!(extract(&ciphertext, &[0, 255], 86, 3).is_ok());
}

/// Under the compact assumptions coefficients are samples under the GLWE secret as they are, which can
/// be packed again.
fn coefficients_are_samples(world: &World, count: usize, rng: &mut ChaCha20Rng) {
    let values = values(world.dimension(), rng);
    let positions = positions(world.dimension(), count, rng);
    let ciphertext = world.encrypt(&values, world.secrets.ring(), rng);
    let found = world.keys.extract_samples(&ciphertext, &positions);
    if world.parameters.assumptions() == Assumptions::Conservative {
        assert!(matches!(found, Err(BridgeError::SeparateSecrets)));
        return;
    }
    let (samples, glwe) = (found.unwrap(), world.secrets.glwe());
    assert_eq!(samples.key(), glwe.id());
    let phases: Vec<f64> = samples.samples().map(|sample| fraction(glwe.phase(sample))).collect();
    let variance = noise::fresh(&world.parameters) + noise::rescale(world.dimension());
    assert_within(&phases, &chosen(&values, &positions), variance);
    let leaves: Vec<(usize, usize)> = (0..positions.len()).map(|index| (index, index)).collect();
    let packed = world.keys.to_ckks(&samples, &leaves, false, Amplitude::new(1.0)).unwrap();
    let variance = variance + noise::to_ckks(&world.parameters, world.dimension().ilog2());
    let found = &world.decrypt(&packed)[..positions.len()];
    assert_within(found, &chosen(&values, &positions), variance);
}

#[test]
fn coefficients_are_samples_under_their_own_secret() {
    for_small(32, coefficients_are_samples);
    for_real(&[200], coefficients_are_samples);
}

#[test]
fn samples_of_foreign_ciphertexts_are_refused() {
    let (world, other) = (&SMALL[0], &SMALL[1]);
    assert_eq!(world.parameters.assumptions(), Assumptions::Compact);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let foreign = other.encrypt(&[0.1], other.secrets.ring(), &mut rng);
    let error = world.keys.extract_samples(&foreign, &[0]).unwrap_err();
    assert!(matches!(error, BridgeError::Key(_)));
    let own = world.encrypt(&[0.1], world.secrets.ring(), &mut rng);
    let error = world.keys.extract_samples(&own, &[world.dimension()]).unwrap_err();
    assert!(matches!(error, BridgeError::Position { .. }));
}
