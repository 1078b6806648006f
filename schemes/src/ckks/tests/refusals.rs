use super::*;

fn party() -> Party {
    Party::new(small(2, 2), 5)
}

#[test]
fn operands_that_do_not_belong_together() {
    let mut party = party();
    let x = party.slots();
    let (a, low) = (party.encrypt(&x), party.encrypt_at(&x, 1));
    let evaluator = party.evaluator.clone();
    let levels = CkksError::LevelMismatch { left: 2, right: 1 };
    assert_eq!(evaluator.add(&a, &low).unwrap_err(), levels);
    assert_eq!(evaluator.tensor(&a, &low).unwrap_err(), levels);
    let scale = Scale::new(1.0e12).unwrap();
    let other = a.clone().with_scale(scale.clone());
    assert!(matches!(evaluator.sub(&a, &other), Err(CkksError::ScaleMismatch { .. })));
    let plaintext = party.encoder.encode(&x, 2, &scale).unwrap();
    assert!(matches!(evaluator.add_plain(&a, &plaintext), Err(CkksError::ScaleMismatch { .. })));
    assert_eq!(
        evaluator.mul_plain(&low, &plaintext).unwrap_err(),
        CkksError::LevelMismatch { left: 1, right: 2 }
    );
    let mut stranger = Party::new(small(2, 2), 6);
    let foreign = stranger.encrypt(&x);
    assert!(matches!(evaluator.add(&a, &foreign), Err(CkksError::Key(_))));
    assert!(matches!(party.decryptor.decrypt(&foreign), Err(CkksError::Key(_))));
    let keys = stranger.keys(&KeyRequirements::relinearization(2));
    assert!(matches!(evaluator.mul(&a, &a, &keys), Err(CkksError::Key(_))));
}

#[test]
fn terms_of_an_inner_product_that_do_not_belong_together() {
    let mut party = party();
    let x = party.slots();
    let (a, low) = (party.encrypt(&x), party.encrypt_at(&x, 1));
    let evaluator = party.evaluator.clone();
    let constant = ConstantCiphertext::from(a.clone());
    assert_eq!((constant.level(), constant.key()), (2, party.secret.id()));
    assert_eq!((constant.scale(), constant.bytes()), (a.scale(), a.bytes()));
    let none = evaluator.inner_product(&[]);
    assert!(matches!(none, Err(CkksError::ValueCount { found: 0, .. })));
    let levels = CkksError::LevelMismatch { left: 2, right: 1 };
    let error = evaluator.inner_product(&[(&a, &constant), (&low, &constant)]).unwrap_err();
    assert_eq!(error, levels);
    let shallow = ConstantCiphertext::from(low);
    let error = evaluator.inner_product(&[(&a, &constant), (&a, &shallow)]).unwrap_err();
    assert_eq!(error, levels);
    let other = a.clone().with_scale(Scale::one());
    let error = evaluator.inner_product(&[(&a, &constant), (&other, &constant)]).unwrap_err();
    assert!(matches!(error, CkksError::ScaleMismatch { .. }));
    let mut stranger = Party::new(small(2, 2), 6);
    let foreign = stranger.encrypt(&x);
    let error = evaluator.inner_product(&[(&foreign, &constant)]).unwrap_err();
    assert!(matches!(error, CkksError::Key(_)));
    let plaintext = party.encoder.encode(&x, 2, a.scale()).unwrap();
    let foreign = ConstantCiphertext::from(foreign);
    let terms = [(&plaintext, &constant), (&plaintext, &foreign)];
    assert!(matches!(evaluator.inner_product_plain(&terms), Err(CkksError::Key(_))));
}

#[test]
fn missing_keys_and_levels() {
    let mut party = party();
    let x = party.slots();
    let a = party.encrypt(&x);
    let evaluator = party.evaluator.clone();
    let keys = party.keys(&KeyRequirements::relinearization(1));
    let missing = CkksError::MissingRelinearizationKey { level: 2 };
    assert_eq!(evaluator.square(&a, &keys).unwrap_err(), missing);
    assert!(matches!(
        evaluator.rotate(&a, 1, &keys),
        Err(CkksError::MissingGaloisKey { element: 5, level: 2 })
    ));
    let mut bottom = party.encrypt_at(&x, 0);
    assert!(matches!(
        evaluator.rescale_assign(&mut bottom),
        Err(CkksError::Level { needed: 1, found: 0, .. })
    ));
    assert!(matches!(evaluator.square_rescale(&bottom, &keys), Err(CkksError::Level { .. })));
    assert!(matches!(evaluator.drop_level_assign(&mut bottom, 1), Err(CkksError::Level { .. })));
    assert!(matches!(evaluator.adjust(&a, 2, &Scale::one()), Err(CkksError::Level { .. })));
    assert!(matches!(
        evaluator.adjust(&a, 1, &Scale::new(0.01).unwrap()),
        Err(CkksError::InvalidScale { .. })
    ));
    let generator = KeyGenerator::new(&party.parameters);
    let secret = party.secret.clone();
    for requirements in [
        KeyRequirements::relinearization(3),
        KeyRequirements::element(4, 1),
        KeyRequirements::element(513, 1),
    ] {
        let refused = generator.evaluation_keys(&secret, &requirements, &mut party.rng);
        assert!(
            matches!(refused, Err(CkksError::Level { .. } | CkksError::Math(_))),
            "{requirements:?}"
        );
    }
}

#[test]
fn values_that_do_not_fit() {
    let party = party();
    let scale = Scale::power_of_two(40);
    let values = vec![c64 { re: 1.0, im: 0.0 }; 129];
    assert!(matches!(
        party.encoder.encode(&values, 2, &scale),
        Err(CkksError::ValueCount { capacity: 128, found: 129, .. })
    ));
    assert!(matches!(
        party.encoder.encode_sparse(&values[..3], 2, &scale),
        Err(CkksError::ValueCount { .. })
    ));
    assert!(matches!(party.encoder.encode(&values[..9], 3, &scale), Err(CkksError::Level { .. })));
    let large = c64 { re: 1e4, im: 0.0 };
    assert!(matches!(
        party.encoder.encode_sparse(&[large], 0, &scale),
        Err(CkksError::ValueRange { index: 0, level: 0, .. })
    ));
    assert!(party.encoder.encode_sparse(&[large], 1, &scale).is_ok());
    for value in [f64::NAN, f64::INFINITY] {
        assert!(matches!(
            party.encoder.encode_real(&[value], 2, &scale),
            Err(CkksError::ValueRange { .. })
        ));
    }
    let mut party = party;
    let x = party.slots();
    let mut a = party.encrypt_at(&x, 0);
    assert!(matches!(
        party.evaluator.add_scalar_assign(&mut a, large),
        Err(CkksError::ValueRange { .. })
    ));
}
