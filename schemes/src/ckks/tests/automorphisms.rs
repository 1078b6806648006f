use super::*;
use proptest::prelude::*;

const BOUND: f64 = 1e-8;

fn rotated(values: &[c64], steps: i64) -> Vec<c64> {
    let mut image = values.to_vec();
    image.rotate_left(steps.rem_euclid(values.len() as i64) as usize);
    image
}

#[test]
fn rotates_by_every_power_of_two_and_conjugates() {
    let mut party = Party::new(small(2, 3), 3);
    let steps: Vec<i64> = (0..7).flat_map(|k| [1 << k, -(1 << k)]).collect();
    let requirements = KeyRequirements::rotations(&party.parameters, steps.clone(), 2)
        .union(KeyRequirements::conjugation(&party.parameters, 1));
    let keys = party.keys(&requirements);
    let x = party.slots();
    let a = party.encrypt(&x);
    for &steps in &steps {
        let image = party.evaluator.rotate(&a, steps, &keys).unwrap();
        assert_close(&party.decrypt(&image), &rotated(&x, steps), BOUND);
    }
    let low = party.encrypt_at(&x, 1);
    let conjugate = party.evaluator.conjugate(&low, &keys).unwrap();
    let expected: Vec<c64> = x.iter().map(|value| value.conj()).collect();
    assert_close(&party.decrypt(&conjugate), &expected, BOUND);
    let error = party.evaluator.conjugate(&a, &keys).unwrap_err();
    assert!(matches!(error, CkksError::MissingGaloisKey { level: 2, .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn rotates_by_any_amounts(
        steps in prop::collection::vec(-300i64..300, 1..5),
        (level, digits) in (0usize..4, 1usize..=4),
        seed: u64,
    ) {
        let mut party = Party::new(small(3, digits), seed);
        let keys = party.keys(&KeyRequirements::rotations(&party.parameters, steps.clone(), level));
        let x = party.slots();
        let a = party.encrypt_at(&x, level);
        let images = party.evaluator.rotate_many(&a, &steps, &keys).unwrap();
        for (image, &steps) in images.iter().zip(&steps) {
            assert_close(&party.decrypt(image), &rotated(&x, steps), BOUND);
            let alone = party.evaluator.rotate(&a, steps, &keys).unwrap();
            prop_assert_eq!(image, &alone);
        }
    }
}
