use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn round_trips_at_any_level_and_scale(
        level in 0usize..4,
        log_scale in 20i32..45,
        count in 1usize..128,
        seed: u64,
    ) {
        let mut party = Party::new(small(3, 2), seed);
        let scale = Scale::power_of_two(log_scale).times(&Scale::new(1.37).unwrap());
        let bound = 30.0 / scale.value();
        let mut values = party.slots();
        values.truncate(count);
        let plaintext = party.encoder.encode(&values, level, &scale).unwrap();
        prop_assert_eq!((plaintext.level(), plaintext.scale()), (level, &scale));
        values.resize(128, c64::default());
        assert_close(&party.encoder.decode(&plaintext), &values, bound);

        let numbers: Vec<f64> = values.iter().flat_map(|value| [value.re, value.im]).collect();
        let plaintext = party.encoder.encode_coefficients(&numbers, level, &scale).unwrap();
        for (a, b) in party.encoder.decode_coefficients(&plaintext).iter().zip(&numbers) {
            prop_assert!((a - b).abs() <= 0.51 / scale.value());
        }
    }

    #[test]
    fn sparse_slots_repeat(log_count in 0u32..=7, seed: u64) {
        let mut party = Party::new(small(1, 1), seed);
        let mut values = party.slots();
        values.truncate(1 << log_count);
        let scale = Scale::power_of_two(LOG_SCALE);
        let plaintext = party.encoder.encode_sparse(&values, 1, &scale).unwrap();
        let repeated: Vec<c64> = values.iter().copied().cycle().take(128).collect();
        assert_close(&party.encoder.decode(&plaintext), &repeated, 1e-10);
        let count = values.len().max(2);
        let decoded = party.encoder.decode_sparse(&plaintext, count).unwrap();
        assert_close(&decoded, &repeated[..count], 1e-10);
    }

    #[test]
    fn encryption_round_trips(level in 0usize..3, seed: u64) {
        let mut party = Party::new(small(2, 1), seed);
        let x = party.slots();
        let found = party.encrypt_at(&x, level);
        assert_close(&party.decrypt(&found), &x, 1e-9);
        let public = KeyGenerator::new(&party.parameters).public_key(&party.secret, &mut party.rng);
        let public = public.unwrap().expand(&party.parameters).unwrap();
        let plaintext = party.encoder.encode(&x, level, &Scale::power_of_two(40)).unwrap();
        let found = party.encryptor.encrypt_public(&plaintext, &public, &mut party.rng).unwrap();
        assert_close(&party.decrypt(&found), &x, 1e-8);
    }
}

/// A message as large as the modulus allows, far beyond 64 bits, and one far below it.
#[test]
fn large_coefficients_are_exact_to_floats() {
    let party = Party::new(small(3, 2), 4);
    let scale = Scale::power_of_two(120);
    let plaintext = party.encoder.encode_coefficients(&[1.5, -30.0, 1e-9], 3, &scale).unwrap();
    let decoded = party.encoder.decode_coefficients(&plaintext);
    for (a, b) in decoded.iter().zip([1.5, -30.0, 1e-9, 0.0]) {
        assert!((a - b).abs() <= 1e-15 * b.abs(), "{a} {b}");
    }
}
