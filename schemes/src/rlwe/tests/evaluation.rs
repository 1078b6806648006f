use super::*;
use crate::math::MathError;
use crate::statistics::Pool;
use proptest::prelude::*;

/// `a * b` modulo `X^N + 1`.
fn naive_product(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; a.len()];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            let sign = if i + j < a.len() { 1.0 } else { -1.0 };
            product[(i + j) % a.len()] += sign * x * y;
        }
    }
    product
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-10.0f64..10.0, SMALL)
}

/// Terms of an integer polynomial and its coefficients.
fn weights() -> impl Strategy<Value = Vec<(usize, i64)>> {
    prop::collection::vec((0..2 * SMALL, -100i64..100), 1..12)
}

fn coefficients(plaintext: &Plaintext<Coeffs>) -> Vec<f64> {
    plaintext.poly().to_signed().into_iter().map(|c| c as f64).collect()
}

/// Nine standard deviations of fresh noise grown by `squared_norm`, and half a step of encoding in
/// each of `terms` terms.
fn bound(party: &Party, squared_norm: f64, terms: f64) -> f64 {
    let fresh = noise::fresh_secret(&party.parameters);
    9.0 * noise::mul_plain(fresh, squared_norm).sqrt() + 0.5 * terms
}

proptest! {
    #[test]
    fn sums_differences_and_plaintexts(a in values(), b in values(), seed: u64) {
        let mut party = Party::new(small(SecretDistribution::Ternary), seed);
        let at = scale(1e8);
        let (x, y) = (party.encrypt_values(&a, at), party.encrypt_values(&b, at));
        let bound = bound(&party, 2.0, 2.0) / at.value();
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let difference: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();

        let mut found = x.clone();
        party.evaluator.add_assign(&mut found, &y).unwrap();
        assert_close(&party.decrypt_values(&found), &sum, bound);
        let mut found = x.clone();
        party.evaluator.sub_assign(&mut found, &y).unwrap();
        assert_close(&party.decrypt_values(&found), &difference, bound);
        let mut found = x;
        let plaintext = party.encoder.encode_coefficients(&b, at).unwrap();
        party.evaluator.add_plain_assign(&mut found, &plaintext).unwrap();
        assert_close(&party.decrypt_values(&found), &sum, bound);
    }

    #[test]
    fn products_with_plaintexts(a in values(), terms in weights(), seed: u64) {
        let mut party = Party::new(small(SecretDistribution::Ternary), seed);
        let at = scale(1e7);
        let plaintext =
            Plaintext::from_terms(party.parameters.ring(), &terms, scale(16.0)).unwrap();
        let w = coefficients(&plaintext);
        let expected: Vec<f64> = naive_product(&a, &w).iter().map(|v| v / 16.0).collect();
        let ciphertext = party.encrypt_values(&a, at);
        let product = party.evaluator.mul_plain(&ciphertext, &plaintext).unwrap();
        prop_assert_eq!(product.scale(), scale(16e7));
        let (squares, sum) =
            w.iter().fold((0.0, 0.0), |(squares, sum), w| (squares + w * w, sum + w.abs()));
        let bound = bound(&party, squares, sum) / product.scale().value();
        assert_close(&party.decrypt_values(&product), &expected, bound + 1e-9);
    }

    #[test]
    fn linear_combinations(
        terms in prop::collection::vec((values(), weights()), 1..5),
        seed: u64,
    ) {
        let mut party = Party::new(small(SecretDistribution::Binary), seed);
        let at = scale(1e7);
        let mut expected = vec![0.0; SMALL];
        let (mut squares, mut sum) = (0.0, 0.0);
        let mut operands = Vec::new();
        for (values, terms) in &terms {
            let ring = party.parameters.ring();
            let plaintext = Plaintext::from_terms(ring, terms, scale(1.0)).unwrap();
            let w = coefficients(&plaintext);
            for (total, value) in expected.iter_mut().zip(naive_product(values, &w)) {
                *total += value;
            }
            squares += w.iter().map(|w| w * w).sum::<f64>();
            sum += w.iter().map(|w| w.abs()).sum::<f64>();
            operands.push((party.encrypt_values(values, at), plaintext));
        }
        let references: Vec<_> = operands.iter().map(|(c, p)| (c, p)).collect();
        let found = party.evaluator.linear_combination(&references).unwrap();
        let bound = bound(&party, squares, sum) / at.value() + 1e-9;
        assert_close(&party.decrypt_values(&found), &expected, bound);
    }

    #[test]
    fn monomials_and_integers(
        a in values(),
        exponent in 0..4 * SMALL,
        factor in -1000i64..1000,
        seed: u64,
    ) {
        let mut party = Party::new(small(SecretDistribution::Ternary), seed);
        let at = scale(1e8);
        let ciphertext = party.encrypt_values(&a, at);
        let mut monomial = vec![0.0; SMALL];
        monomial[exponent % SMALL] = if (exponent / SMALL).is_multiple_of(2) { 1.0 } else { -1.0 };
        let moved = party.evaluator.mul_monomial(&ciphertext, exponent);
        let fresh = bound(&party, 1.0, 1.0) / at.value();
        assert_close(&party.decrypt_values(&moved), &naive_product(&a, &monomial), fresh);

        let mut multiple = ciphertext;
        party.evaluator.mul_integer_assign(&mut multiple, factor);
        prop_assert_eq!(multiple.scale(), at);
        let expected: Vec<f64> = a.iter().map(|v| v * factor as f64).collect();
        let bound = fresh * factor.abs() as f64 + 1e-9;
        assert_close(&party.decrypt_values(&multiple), &expected, bound);
    }

    /// The product of slots is slot by slot.
    #[test]
    fn slots_multiply_one_by_one(
        a in prop::collection::vec((-2.0f64..2.0, -2.0f64..2.0), SMALL / 2),
        b in prop::collection::vec((-2.0f64..2.0, -2.0f64..2.0), SMALL / 2),
        seed: u64,
    ) {
        let complex = |v: &[(f64, f64)]| -> Vec<concrete_fft::c64> {
            v.iter().map(|&(re, im)| concrete_fft::c64::new(re, im)).collect()
        };
        let (a, b) = (complex(&a), complex(&b));
        let mut party = Party::new(small(SecretDistribution::Ternary), seed);
        let left = party.encoder.encode_slots(&a, scale(1e6)).unwrap();
        let right = party.encoder.encode_slots(&b, scale(1e6)).unwrap();
        let ciphertext = party.encrypt(&left);
        let product = party.evaluator.mul_plain(&ciphertext, &right).unwrap();
        let found = party.encoder.decode_slots(&party.decryptor.decrypt(&product).unwrap());
        // noise of 9 sigma in each slot of the left factor, and the rounding of the encodings
        let noise = 9.0 * (noise::fresh_secret(&party.parameters) * SMALL as f64).sqrt();
        let bound = 3.0 * (noise + SMALL as f64) / 1e6;
        for (found, (a, b)) in found.iter().zip(a.iter().zip(&b)) {
            prop_assert!((found - a * b).norm() < bound, "{found} {}", a * b);
        }
    }
}

#[test]
fn noise_grows_with_the_squared_norm_of_the_plaintext() {
    let mut party = Party::new(real(SecretDistribution::Ternary), 4);
    let zero = party.encoder.encode_coefficients(&[], scale(1.0)).unwrap();
    let terms: Vec<(usize, i64)> = (0..25).map(|i| (i * 31, i as i64 * 7 - 80)).collect();
    let squared_norm: f64 = terms.iter().map(|&(_, w)| (w * w) as f64).sum();
    let weights = Plaintext::from_terms(party.parameters.ring(), &terms, scale(1.0)).unwrap();
    let mut pool = Pool::default();
    for _ in 0..64 {
        let ciphertext = party.encrypt(&zero);
        let product = party.evaluator.mul_plain(&ciphertext, &weights).unwrap();
        pool.extend(party.noise(&product, &zero));
    }
    let predicted = noise::mul_plain(noise::fresh_secret(&party.parameters), squared_norm);
    pool.assert_variance("product with a plaintext", predicted, 0.1);
}

#[test]
fn operands_that_do_not_belong_together_are_refused() {
    let mut alice = Party::new(small(SecretDistribution::Ternary), 1);
    let mut bob = Party::new(small(SecretDistribution::Ternary), 2);
    let evaluator = alice.evaluator.clone();
    let at = scale(1e6);
    let a = alice.encrypt_values(&[1.0], at);
    let foreign = bob.encrypt_values(&[1.0], at);
    let finer = alice.encrypt_values(&[1.0], scale(2e6));
    let plain = |at| alice.encoder.encode_coefficients(&[1.0], at).unwrap();
    let one = plain(scale(1.0));

    for result in [
        evaluator.add_assign(&mut a.clone(), &foreign),
        evaluator.sub_assign(&mut a.clone(), &foreign),
        evaluator.linear_combination(&[(&a, &one), (&foreign, &one)]).map(drop),
    ] {
        assert!(matches!(result, Err(RlweError::Key(_))), "{result:?}");
    }
    for result in [
        evaluator.add_assign(&mut a.clone(), &finer),
        evaluator.sub_assign(&mut a.clone(), &finer),
        evaluator.add_plain_assign(&mut a.clone(), &plain(scale(2e6))),
        evaluator.linear_combination(&[(&a, &one), (&finer, &one)]).map(drop),
    ] {
        assert!(matches!(result, Err(RlweError::ScaleMismatch { .. })), "{result:?}");
    }
    assert!(evaluator.linear_combination(&[(&a, &plain(scale(2.0))), (&finer, &one)]).is_ok());
    assert!(evaluator.linear_combination::<Coeffs>(&[]).is_err());
    assert!(matches!(
        evaluator.mul_plain(&a.with_scale(scale(1e300)), &plain(scale(1e10)).clone()),
        Err(RlweError::InvalidScale { .. })
    ));
}

#[test]
fn operands_of_another_ring_are_refused() {
    let mut alice = Party::new(small(SecretDistribution::Ternary), 1);
    let literal = ParametersLiteral { log_dimension: 7, ..alice.parameters.literal() };
    let wide = Parameters::insecure_unchecked(literal).unwrap();
    let at = scale(1e6);
    let a = alice.encrypt_values(&[1.0], at);
    let zero = crate::math::Poly::zero(wide.ring());
    let forged =
        Ciphertext::<Coeffs>::from_parts(zero.clone(), zero, at, alice.secret.id()).unwrap();
    let plaintext = Encoder::new(&wide).encode_coefficients(&[1.0], at).unwrap();
    let evaluator = &alice.evaluator;
    for result in [
        evaluator.add_assign(&mut a.clone(), &forged),
        evaluator.sub_assign(&mut a.clone(), &forged),
        evaluator.add_plain_assign(&mut a.clone(), &plaintext),
        evaluator.mul_plain(&a, &plaintext).map(drop),
        evaluator.mul_plain(&forged, &plaintext).map(drop),
    ] {
        assert!(
            matches!(result, Err(RlweError::Math(MathError::RingMismatch { .. }))),
            "{result:?}"
        );
    }
}
