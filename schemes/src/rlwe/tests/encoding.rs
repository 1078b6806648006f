use super::*;
use concrete_fft::c64;
use proptest::prelude::*;

fn encoder() -> Encoder {
    Encoder::new(&small(SecretDistribution::Ternary))
}

proptest! {
    #[test]
    fn coefficients_round_trip_to_half_a_step(
        values in prop::collection::vec(-1000.0f64..1000.0, 0..=SMALL),
        log_scale in 0.0f64..38.0,
    ) {
        let encoder = encoder();
        let at = scale(log_scale.exp2());
        let mut expected = values.clone();
        expected.resize(SMALL, 0.0);
        let plaintext = encoder.encode_coefficients(&values, at).unwrap();
        let bound = 0.5 / at.value() + 1e-12;
        assert_close(&encoder.decode_coefficients(&plaintext), &expected, bound);
    }

    #[test]
    fn slots_round_trip(
        values in prop::collection::vec((-100.0f64..100.0, -100.0f64..100.0), 0..=SMALL / 2),
        log_scale in 10.0f64..38.0,
    ) {
        let encoder = encoder();
        let at = scale(log_scale.exp2());
        let slots: Vec<c64> = values.iter().map(|&(re, im)| c64::new(re, im)).collect();
        let decoded = encoder.decode_slots(&encoder.encode_slots(&slots, at).unwrap());
        prop_assert_eq!(decoded.len(), SMALL / 2);
        // each of the N coefficients is rounded by up to half a step
        let bound = 0.5 * SMALL as f64 / at.value() + 1e-11;
        for (index, value) in decoded.into_iter().enumerate() {
            let expected = slots.get(index).copied().unwrap_or_default();
            prop_assert!((value - expected).norm() <= bound, "{value} where {expected} belongs");
        }
    }
}

#[test]
fn slots_of_a_large_ring_keep_their_precision() {
    let encoder = Encoder::new(&real(SecretDistribution::Ternary));
    let slots: Vec<c64> =
        (0..1024).map(|i| c64::from_polar(f64::from(i) / 1024.0, f64::from(i * i))).collect();
    let at = scale(40f64.exp2());
    let decoded = encoder.decode_slots(&encoder.encode_slots(&slots, at).unwrap());
    let squares: f64 = decoded.iter().zip(&slots).map(|(a, b)| (a - b).norm_sqr()).sum();
    // N roundings of variance 1/12 in each slot
    let predicted = (2048.0f64 / 12.0).sqrt() / at.value();
    let measured = (squares / 1024.0).sqrt();
    assert!((measured / predicted - 1.0).abs() < 0.1, "{measured:e} {predicted:e}");
}

#[test]
fn too_many_values_are_refused() {
    let encoder = encoder();
    assert_eq!(
        encoder.encode_coefficients(&[0.0; SMALL + 1], scale(1.0)).unwrap_err(),
        RlweError::TooManyValues { capacity: SMALL, found: SMALL + 1 }
    );
    assert_eq!(
        encoder.encode_slots(&[c64::default(); SMALL], scale(1.0)).unwrap_err(),
        RlweError::TooManyValues { capacity: SMALL / 2, found: SMALL }
    );
}

#[test]
fn values_outside_the_modulus_are_refused() {
    let encoder = encoder();
    let q = small(SecretDistribution::Ternary).ring().modulus().value() as f64;
    let at = scale(1024.0);
    for value in [q / 2048.0 + 1.0, -q / 2048.0 - 1.0, f64::NAN, f64::INFINITY, 1e300] {
        assert_eq!(
            encoder.encode_coefficients(&[0.0, 0.0, value], at).unwrap_err(),
            RlweError::ValueRange { index: 2, scale: 1024.0 }
        );
        let slots = [c64::new(value * 1e3, 0.0); SMALL / 2];
        assert!(matches!(encoder.encode_slots(&slots, at), Err(RlweError::ValueRange { .. })));
    }
    let largest = (q / 2.0).floor() / 1024.0;
    for value in [largest, -largest] {
        let plaintext = encoder.encode_coefficients(&[value], at).unwrap();
        assert_eq!(encoder.decode_coefficients(&plaintext)[0], value);
    }
}

#[test]
fn scales_are_positive_and_finite() {
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(Scale::new(scale), Err(RlweError::InvalidScale { .. })));
    }
    let large = scale(1e200);
    assert!(matches!(large.times(large), Err(RlweError::InvalidScale { .. })));
    assert!(scale(1.0).check_same(scale(1.0 + 1e-12)).is_ok());
    assert_eq!(
        scale(1.0).check_same(scale(2.0)).unwrap_err(),
        RlweError::ScaleMismatch { left: 1.0, right: 2.0 }
    );
}

proptest! {
    #[test]
    fn terms_add_up_with_exponents_modulo_twice_the_dimension(
        terms in prop::collection::vec((0..2 * SMALL, -1000i64..1000), 0..40),
    ) {
        let parameters = small(SecretDistribution::Binary);
        let plaintext = Plaintext::from_terms(parameters.ring(), &terms, scale(1.0)).unwrap();
        let mut expected = vec![0; SMALL];
        for (exponent, coefficient) in terms {
            expected[exponent % SMALL] += if exponent < SMALL { coefficient } else { -coefficient };
        }
        prop_assert_eq!(plaintext.poly().to_signed(), expected);
    }
}

#[test]
fn terms_of_the_smallest_integer_do_not_overflow() {
    let ring = small(SecretDistribution::Binary).ring().clone();
    let terms = [(SMALL + 1, i64::MIN), (1, i64::MIN)];
    let plaintext = Plaintext::from_terms(&ring, &terms, scale(1.0)).unwrap();
    assert_eq!(plaintext.poly().to_signed(), [0; SMALL]);
}

#[test]
fn an_exponent_outside_the_ring_is_refused() {
    let ring = small(SecretDistribution::Binary).ring().clone();
    let terms = [(2 * SMALL, 1)];
    assert!(matches!(
        Plaintext::from_terms(&ring, &terms, scale(1.0)),
        Err(RlweError::Math(crate::math::MathError::Length { expected: 128, found: 128 }))
    ));
}
