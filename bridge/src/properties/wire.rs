//! Evaluation keys and ciphertexts as bytes.

use super::*;
use bellerophon_schemes::rlwe::{PackedCiphertext, SeededCiphertext, Slots};
use bellerophon_schemes::wire::{WireError, from_bytes, to_bytes};

fn read(bytes: &[u8], parameters: &Parameters) -> Result<SeededEvaluationKeys, WireError> {
    from_bytes(bytes, 1 << 26, parameters)
}

#[test]
fn evaluation_keys_come_back_and_work() {
    for world in &*SMALL {
        let bytes = to_bytes(&world.seeded).unwrap();
        let back = read(&bytes, &world.parameters).unwrap();
        assert_eq!(back, world.seeded);
        let keys = back.expand(&world.parameters, None).unwrap();
        assert_eq!((keys.bytes(), keys.ring_key()), (world.keys.bytes(), world.keys.ring_key()));
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ciphertext = world.encrypt(&[0.125, -0.25], world.secrets.ring(), &mut rng);
        let [a, b] = [&keys, &world.keys].map(|k| k.to_lwe(&ciphertext, &[1, 0], 12, 1).unwrap());
        assert_eq!(a, b);
    }
}

#[test]
fn real_evaluation_keys_are_at_most_64_mib_on_the_wire() {
    for world in &*REAL {
        assert!(to_bytes(&world.seeded).unwrap().len() <= 64 << 20);
        assert!(world.keys.bytes() <= 250 << 20);
    }
}

#[test]
fn truncated_keys_are_refused() {
    let world = &SMALL[0];
    let bytes = to_bytes(&world.seeded).unwrap();
    for length in (0..60).chain((60..bytes.len()).step_by(bytes.len() / 50)) {
        let error = read(&bytes[..length], &world.parameters);
        assert!(matches!(error, Err(WireError::Truncated { .. })), "{length}");
    }
    let long = [&bytes[..], &[0]].concat();
    assert!(matches!(read(&long, &world.parameters), Err(WireError::Trailing { extra: 1, .. })));
    assert!(matches!(
        from_bytes::<SeededEvaluationKeys, _>(&bytes, 1000, &world.parameters),
        Err(WireError::TooLong { limit: 1000, .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_altered_byte_is_found(at in 0.0f64..1.0, flip in 1u8..=255) {
        let world = &SMALL[0];
        let mut bytes = to_bytes(&world.seeded).unwrap();
        let at = (at * bytes.len() as f64) as usize;
        bytes[at] ^= flip;
        let error = read(&bytes, &world.parameters).unwrap_err();
        if at >= 16 {
            let found = matches!(error, WireError::Checksum { .. });
            prop_assert!(found);
        }
    }
}

#[test]
fn keys_of_other_parameters_are_refused() {
    for (index, world) in SMALL.iter().enumerate() {
        let bytes = to_bytes(&world.seeded).unwrap();
        for (other, stranger) in SMALL.iter().enumerate() {
            let refused =
                matches!(read(&bytes, &stranger.parameters), Err(WireError::NotConformant { .. }));
            assert_eq!(refused, index != other);
        }
    }
    let world = &SMALL[0];
    let bytes = to_bytes(&world.seeded).unwrap();
    let changes: [fn(&mut ParametersLiteral); 8] = [
        |l| l.modulus_bits = 51,
        |l| l.down_gadget = (4, 4),
        |l| l.up_gadget = (12, 4),
        |l| l.lwe_dimension = 50,
        |l| l.bootstraps.truncate(1),
        |l| l.bootstraps.reverse(),
        |l| l.bootstraps[0].base_log = 16,
        |l| l.bootstraps[0].grouping_factor = 2,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut literal = world.parameters.literal().clone();
        change(&mut literal);
        let other = Parameters::insecure_unchecked(literal, -28.0, -47.0).unwrap();
        let error = read(&bytes, &other);
        assert!(matches!(error, Err(WireError::NotConformant { .. })), "change {index}");
    }
    for (lwe, glwe) in [(-27.0, -47.0), (-28.0, -46.0)] {
        let literal = world.parameters.literal().clone();
        let other = Parameters::insecure_unchecked(literal, lwe, glwe).unwrap();
        assert!(matches!(read(&bytes, &other), Err(WireError::NotConformant { .. })));
    }
}

/// Without bootstrapping keys, only its security instance tells how long the small secret is.
#[test]
fn a_ring_switch_to_another_small_secret_is_refused() {
    let parameters = |n| {
        let mut literal = small_literal(Assumptions::Compact, 1);
        literal.bootstraps.clear();
        literal.lwe_dimension = n;
        Parameters::insecure_unchecked(literal, -28.0, -47.0).unwrap()
    };
    let world = World::new(parameters(48), 1);
    let bytes = to_bytes(&world.seeded).unwrap();
    assert!(read(&bytes, &parameters(48)).is_ok());
    let Err(WireError::NotConformant { reason, .. }) = read(&bytes, &parameters(47)) else {
        panic!("keys of another dimension were taken");
    };
    assert!(reason.contains("ring switch"), "{reason}");
}

/// Packing is a type in memory; on the wire it is an error.
#[test]
fn ciphertexts_of_another_packing_or_ring_are_refused() {
    let (world, mut rng) = (&SMALL[0], ChaCha20Rng::seed_from_u64(1));
    let plaintext = world.encoder.encode_slots(&[], world.turn()).unwrap();
    let slots: SeededCiphertext<Slots> = Encryptor::new(world.parameters.rlwe())
        .encrypt(&plaintext, world.secrets.ring(), &mut rng)
        .unwrap();
    let full = PackedCiphertext::from(&slots.expand(world.parameters.rlwe()).unwrap());
    let (seeded, full) = (to_bytes(&slots).unwrap(), to_bytes(&full).unwrap());
    for world in &SMALL[..2] {
        let rlwe = world.parameters.rlwe();
        assert!(matches!(
            from_bytes::<SeededCiphertext<Coeffs>, _>(&seeded, 1 << 16, rlwe),
            Err(WireError::NotConformant { .. })
        ));
        assert!(matches!(
            from_bytes::<PackedCiphertext<Coeffs>, _>(&full, 1 << 16, rlwe),
            Err(WireError::NotConformant { .. })
        ));
    }
    let (own, other) = (SMALL[0].parameters.rlwe(), SMALL[1].parameters.rlwe());
    assert!(from_bytes::<SeededCiphertext<Slots>, _>(&seeded, 1 << 16, own).is_ok());
    assert!(matches!(
        from_bytes::<SeededCiphertext<Slots>, _>(&seeded, 1 << 16, other),
        Err(WireError::NotConformant { .. })
    ));
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?}", SMALL[0].secrets);
    assert!(printed.len() < 400 && !printed.contains('['), "{printed}");
}
