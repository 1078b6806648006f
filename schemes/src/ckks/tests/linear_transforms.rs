use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn keys_for(party: &mut Party, transform: &LinearTransform) -> EvaluationKeys {
    let requirements = transform.requirements(&party.parameters);
    party.keys(&requirements)
}

fn applied(diagonals: &Diagonals, x: &[c64]) -> Vec<c64> {
    let n = x.len();
    let term = |j: usize| {
        diagonals.iter().map(move |(d, diagonal)| diagonal[j % diagonal.len()] * x[(j + d) % n])
    };
    (0..n).map(|j| term(j).sum()).collect()
}

#[test]
fn a_dense_matrix_is_its_product() {
    let mut party = Party::new(small(2, 2), 8);
    let n = party.parameters.slots();
    let rows: Vec<Vec<c64>> = (0..n).map(|_| party.slots()).collect();
    let entries = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    let map = diagonals(entries.map(|(i, j)| (i, j, rows[i][j])), n);
    let scale = Scale::power_of_two(LOG_SCALE);
    let (parameters, encoder) = (party.parameters.clone(), party.encoder.clone());
    let transform = LinearTransform::new(&parameters, &encoder, &map, 2, &scale).unwrap();
    let [babies, giants, products] = transform.cost();
    assert!(products == n && babies + giants < 30, "{babies} baby and {giants} giant steps");
    assert_eq!(transform.bytes(), n * 256 * 8 * 5);
    let keys = keys_for(&mut party, &transform);
    let x = party.slots();
    let input = party.encrypt(&x);
    let expected: Vec<c64> =
        rows.iter().map(|row| row.iter().zip(&x).map(|(m, x)| m * x).sum()).collect();
    let output = transform.apply(&party.evaluator, &input, &keys).unwrap();
    assert_eq!(output.scale(), &Scale::power_of_two(2 * LOG_SCALE));
    assert_close(&party.decrypt(&output), &expected, 1e-7);
    let output = transform.apply_blocks_rescale(&party.evaluator, &[&input], &keys).unwrap();
    assert_eq!(output[0].level(), 1);
    assert_close(&party.decrypt(&output[0]), &expected, 1e-7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn blocks_of_sparse_maps_are_their_sums(
        rotations in prop::collection::vec(prop::collection::btree_set(0usize..200, 0..9), 6),
        level in 1usize..3,
        repeated: bool,
        seed: u64,
    ) {
        let mut party = Party::new(small(2, 3), seed);
        let length = if repeated { 16 } else { 128 };
        let mut blocks: Vec<Vec<Diagonals>> = vec![Vec::new(); 3];
        for (index, rotations) in rotations.iter().enumerate() {
            let map: BTreeMap<usize, Vec<c64>> =
                rotations.iter().map(|&d| (d, party.slots()[..length].to_vec())).collect();
            blocks[index / 2].push(map);
        }
        let scale = Scale::power_of_two(LOG_SCALE);
        let (parameters, encoder) = (party.parameters.clone(), party.encoder.clone());
        let transform = LinearTransform::blocks(&parameters, &encoder, &blocks, level, &scale);
        let transform = transform.unwrap();
        let keys = keys_for(&mut party, &transform);
        let x = [party.slots(), party.slots()];
        let [a, b] = [0, 1].map(|index: usize| party.encrypt_at(&x[index], level));
        // an output without any diagonal is an encryption of zero
        let outputs = transform.apply_blocks(&party.evaluator, &[&a, &b], &keys).unwrap();
        for (output, row) in outputs.iter().zip(&blocks) {
            let parts = [applied(&row[0], &x[0]), applied(&row[1], &x[1])];
            let sum: Vec<c64> = parts[0].iter().zip(&parts[1]).map(|(a, b)| a + b).collect();
            assert_close(&party.decrypt(output), &sum, 1e-7);
        }
        prop_assert!(transform.apply_blocks(&party.evaluator, &[&a], &keys).is_err());
        let low = party.encrypt_at(&x[0], level - 1);
        let mixed = transform.apply_blocks(&party.evaluator, &[&a, &low], &keys);
        let refused = matches!(mixed, Err(CkksError::LevelMismatch { .. }));
        prop_assert!(refused);
    }
}

#[test]
fn refuses_what_is_no_matrix() {
    let party = Party::new(small(1, 1), 9);
    let scale = Scale::power_of_two(LOG_SCALE);
    let make = |blocks: &[Vec<Diagonals>]| {
        LinearTransform::blocks(&party.parameters, &party.encoder, blocks, 1, &scale)
    };
    let map = |length| Diagonals::from([(3, vec![c64::default(); length])]);
    for blocks in [
        vec![vec![]],
        vec![vec![map(128)], vec![]],
        vec![vec![map(127)]],
        vec![vec![map(256)]],
        vec![vec![map(0)]],
    ] {
        assert!(matches!(make(&blocks), Err(CkksError::ValueCount { .. })));
    }
    let missing = make(&[vec![map(128)]]).unwrap();
    let mut party = Party::new(small(1, 1), 9);
    let keys = party.keys(&KeyRequirements::default());
    let x = party.slots();
    let input = party.encrypt(&x);
    let error = missing.apply(&party.evaluator, &input, &keys).unwrap_err();
    assert!(matches!(error, CkksError::MissingGaloisKey { .. }));
}
