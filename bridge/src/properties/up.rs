//! Packing.

use super::*;
use crate::to_lwe::extract;
use bellerophon_schemes::rlwe::Evaluator;

fn packing_noise(world: &World, positions: &[usize]) -> f64 {
    let levels = packing::levels(positions, world.dimension()).unwrap();
    noise::to_ckks(&world.parameters, levels)
}

/// Packing after extraction is the identity on the chosen coefficients.
fn repack_after_extract(world: &World, count: usize, rng: &mut ChaCha20Rng) {
    let n = world.dimension();
    let values = values(n, rng);
    let sources = positions(n, count, rng);
    let ciphertext = world.encrypt(&values, &world.large(), rng);
    let samples = extract(&ciphertext, &sources, n, 1).unwrap();
    let variance = noise::fresh(&world.parameters) + noise::rescale(n);
    let amplitude = Amplitude::new(1.0);
    for targets in [sources.clone(), positions(n, count, rng)] {
        let packed = world
            .keys
            .to_ckks(&samples, &leaves(0..count.min(n), &targets), false, amplitude)
            .unwrap();
        assert_eq!(packed.key(), world.secrets.ring().id());
        packed.scale().check_same(world.turn()).unwrap();
        let found = chosen(&world.decrypt(&packed), &targets);
        let variance = variance + packing_noise(world, &targets);
        assert_within(&found, &chosen(&values, &sources), variance);
    }
}

#[test]
fn repack_after_extract_is_the_identity() {
    for_small(48, repack_after_extract);
    for_real(&[1, 60, 500], repack_after_extract);
}

#[test]
#[ignore = "packs all 2048 coefficients at real parameters: seconds"]
fn repack_of_a_full_ring_is_the_identity() {
    for_real(&[2047, 2048], repack_after_extract);
}

/// Extraction after packing is the identity.
fn extract_after_repack(world: &World, count: usize, rng: &mut ChaCha20Rng) {
    let targets = positions(world.dimension(), count, rng);
    let values = values(targets.len(), rng);
    let samples = world.samples(&values, rng);
    let packed = world
        .keys
        .to_ckks(&samples, &leaves(0..targets.len(), &targets), false, Amplitude::new(1.0))
        .unwrap();
    let variance = packing_noise(world, &targets);
    for bits in [10, 32] {
        let back = world.keys.to_lwe(&packed, &targets, bits, 1).unwrap();
        let variance = variance + noise::to_lwe(&world.parameters, bits, 1);
        assert_within(&world.phases(&back), &values, variance);
    }
}

#[test]
fn extract_after_repack_is_the_identity() {
    for_small(48, extract_after_repack);
    for_real(&[1, 60, 500], extract_after_repack);
}

/// The way up is linear, with the amplitude for the values' unit.
fn linear(world: &World, count: usize, rng: &mut ChaCha20Rng) {
    let targets = positions(world.dimension(), count, rng);
    let [a, b] = [0, 1].map(|_| values(targets.len(), rng));
    let amplitude = Amplitude::new(0.125);
    let [mut sum, term] = [&a, &b].map(|values| {
        let scaled: Vec<f64> = values.iter().map(|v| v * amplitude.value()).collect();
        let samples = world.samples(&scaled, rng);
        world.keys.to_ckks(&samples, &leaves(0..targets.len(), &targets), false, amplitude).unwrap()
    });
    let evaluator = Evaluator::new(world.parameters.ring());
    evaluator.mul_integer_assign(&mut sum, 3);
    evaluator.sub_assign(&mut sum, &term).unwrap();
    let found = chosen(&world.decrypt(&sum), &targets);
    let bound = DEVIATIONS * (10.0 * packing_noise(world, &targets)).sqrt() / amplitude.value();
    for (found, (a, b)) in found.iter().zip(a.iter().zip(&b)) {
        assert!((found - (3.0 * a - b)).abs() < bound, "{found} where {} belongs", 3.0 * a - b);
    }
}

#[test]
fn the_way_up_is_linear() {
    for_small(32, linear);
    for_real(&[100], linear);
}

/// Any part of a batch packs as that part alone.
#[test]
fn a_range_of_a_batch_packs_like_its_samples() {
    let (world, mut rng) = (&SMALL[1], ChaCha20Rng::seed_from_u64(8));
    let values = values(20, &mut rng);
    let samples = world.samples(&values, &mut rng);
    let targets = [7, 300, 2, 9, 511];
    let packed = world
        .keys
        .to_ckks(&samples, &leaves(11..16, &targets), false, Amplitude::new(1.0))
        .unwrap();
    let found = chosen(&world.decrypt(&packed), &targets);
    assert_within(&found, &values[11..16], packing_noise(world, &targets));
}

/// What [`packing::levels`] promises, by trying.
fn naive_levels(positions: &[usize]) -> u32 {
    (0..)
        .find(|&bits| {
            let low: std::collections::HashSet<usize> =
                positions.iter().map(|position| position % (1 << bits)).collect();
            low.len() == positions.len()
        })
        .unwrap()
}

proptest! {
    #[test]
    fn levels_are_the_bits_that_tell_positions_apart(
        log_dimension in 4u32..14,
        stride_log in 0u32..6,
        picks in prop::collection::hash_set(0usize..1 << 14, 1..60),
    ) {
        let dimension = 1usize << log_dimension;
        let mut positions: Vec<usize> =
            picks.iter().map(|pick| (pick << stride_log) % dimension).collect();
        positions.sort_unstable();
        positions.dedup();
        let levels = packing::levels(&positions, dimension).unwrap();
        prop_assert_eq!(levels, naive_levels(&positions));
        prop_assert!(levels <= log_dimension);

        let outside = dimension + picks.len();
        let with_outside: Vec<usize> = positions.iter().copied().chain([outside]).collect();
        prop_assert_eq!(
            packing::levels(&with_outside, dimension).unwrap_err(),
            BridgeError::Position { position: outside, dimension }
        );
        let twice: Vec<usize> = positions.iter().copied().chain([positions[0]]).collect();
        prop_assert_eq!(
            packing::levels(&twice, dimension).unwrap_err(),
            BridgeError::DuplicatePosition { position: positions[0] }
        );
    }
}
