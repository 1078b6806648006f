use super::*;
use proptest::prelude::*;

/// What rounding and fresh noise amount to at the scale and dimension of these tests.
const BOUND: f64 = 1e-8;

fn map(a: &[c64], b: &[c64], f: impl Fn(c64, c64) -> c64) -> Vec<c64> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn linear_operations_are_those_of_slots(level in 0usize..4, seed: u64) {
        let mut party = Party::new(small(3, 2), seed);
        let (x, y) = (party.slots(), party.slots());
        let [a, b] = [&x, &y].map(|values| party.encrypt_at(values, level));
        let evaluator = party.evaluator.clone();
        let plaintext = party.encoder.encode(&y, level, a.scale()).unwrap();
        assert_close(&party.decrypt(&evaluator.add(&a, &b).unwrap()), &map(&x, &y, |x, y| x + y), BOUND);
        assert_close(&party.decrypt(&evaluator.sub(&a, &b).unwrap()), &map(&x, &y, |x, y| x - y), BOUND);
        let sum = evaluator.add_plain(&a, &plaintext).unwrap();
        assert_close(&party.decrypt(&sum), &map(&x, &y, |x, y| x + y), BOUND);
        let difference = evaluator.sub_plain(&a, &plaintext).unwrap();
        assert_close(&party.decrypt(&difference), &map(&x, &y, |x, y| x - y), BOUND);
        let mut changed = a.clone();
        evaluator.negate_assign(&mut changed);
        evaluator.mul_i_assign(&mut changed);
        evaluator.mul_integer_assign(&mut changed, -3);
        evaluator.add_scalar_assign(&mut changed, c64 { re: 0.25, im: -2.0 }).unwrap();
        let expected = map(&x, &y, |x, _| c64 { re: 0.25, im: -2.0 } + x * c64 { re: 0.0, im: 3.0 });
        assert_close(&party.decrypt(&changed), &expected, 4.0 * BOUND);
    }

    #[test]
    fn products_are_those_of_slots(level in 1usize..6, digits in 1usize..=6, seed: u64) {
        let mut party = Party::new(small(5, digits), seed);
        let keys = party.keys(&KeyRequirements::relinearization(level));
        let (x, y) = (party.slots(), party.slots());
        let [a, b] = [&x, &y].map(|values| party.encrypt_at(values, level));
        let evaluator = party.evaluator.clone();
        let expected = map(&x, &y, |x, y| x * y);
        let mut product = evaluator.mul(&a, &b, &keys).unwrap();
        prop_assert_eq!(product.scale(), &Scale::power_of_two(2 * LOG_SCALE));
        if level > 1 {
            assert_close(&party.decrypt(&product), &expected, BOUND);
        }
        evaluator.rescale_assign(&mut product).unwrap();
        assert_close(&party.decrypt(&product), &expected, 2.0 * BOUND);
        let fused = evaluator.mul_rescale(&a, &b, &keys).unwrap();
        prop_assert_eq!((fused.level(), fused.scale()), (product.level(), product.scale()));
        assert_close(&party.decrypt(&fused), &expected, 2.0 * BOUND);
        let plaintext = party.encoder.encode(&y, level, a.scale()).unwrap();
        let mut product = evaluator.mul_plain(&a, &plaintext).unwrap();
        evaluator.rescale_assign(&mut product).unwrap();
        assert_close(&party.decrypt(&product), &expected, 2.0 * BOUND);
        let scalar = c64 { re: -1.5, im: 0.75 };
        let mut product = evaluator.mul_scalar(&a, scalar, &Scale::power_of_two(40)).unwrap();
        evaluator.rescale_assign(&mut product).unwrap();
        assert_close(&party.decrypt(&product), &map(&x, &y, |x, _| x * scalar), 2.0 * BOUND);
    }

    #[test]
    fn products_distribute_over_sums(seed: u64) {
        let mut party = Party::new(small(2, 2), seed);
        let keys = party.keys(&KeyRequirements::relinearization(2));
        let (x, y, z) = (party.slots(), party.slots(), party.slots());
        let [a, b, c] = [&x, &y, &z].map(|values| party.encrypt(values));
        let evaluator = party.evaluator.clone();
        let mut sum = evaluator.tensor(&a, &b).unwrap();
        evaluator.add_product_assign(&mut sum, &evaluator.tensor(&a, &c).unwrap()).unwrap();
        let sum = evaluator.relinearize_rescale(sum, &keys).unwrap();
        let other = evaluator.mul_rescale(&a, &evaluator.add(&b, &c).unwrap(), &keys).unwrap();
        let expected: Vec<c64> = map(&map(&y, &z, |y, z| y + z), &x, |s, x| s * x);
        assert_close(&party.decrypt(&sum), &expected, 2.0 * BOUND);
        assert_close(&party.decrypt(&other), &expected, 2.0 * BOUND);
    }
}

#[test]
fn a_chain_of_squares_keeps_an_exact_scale() {
    let mut party = Party::new(small(5, 3), 1);
    let keys = party.keys(&KeyRequirements::relinearization(5));
    let x = party.slots();
    let mut power = party.encrypt(&x);
    let mut expected = x.clone();
    for level in (1..=5).rev() {
        let scale = power.scale().times(power.scale());
        let prime = Scale::of_modulus(party.parameters.modulus(level).unwrap());
        power = party.evaluator.square_rescale(&power, &keys).unwrap();
        assert_eq!(power.scale(), &scale.over(&prime));
        expected.iter_mut().for_each(|value| *value = *value * *value);
        assert_close(&party.decrypt(&power), &expected, 2e-7);
    }
    assert_eq!(power.level(), 0);
    let adjusted = party.encrypt_at(&x, 4);
    let target = Scale::new(1.1e12).unwrap();
    let adjusted = party.evaluator.adjust(&adjusted, 2, &target).unwrap();
    assert_eq!((adjusted.level(), adjusted.scale()), (2, &target));
    assert_close(&party.decrypt(&adjusted), &x, 2.0 * BOUND);
}

/// Primes above the limit of the fastest kernels, mixed with others.
#[test]
fn wide_primes_work_as_narrow_ones() {
    let literal = ParametersLiteral {
        log_dimension: 8,
        modulus_bits: vec![60, 55, 40, 61],
        special_bits: vec![61, 49],
        digits: 2,
    };
    let mut party = Party::new(Parameters::insecure_unchecked(literal).unwrap(), 2);
    let requirements = KeyRequirements::relinearization(3).union(KeyRequirements::rotations(
        &party.parameters,
        [3],
        3,
    ));
    let keys = party.keys(&requirements);
    let x = party.slots();
    let a = party.encrypt(&x);
    let product = party.evaluator.mul(&a, &a, &keys).unwrap();
    let rotated = party.evaluator.rotate(&product, 3, &keys).unwrap();
    let mut expected = map(&x, &x, |x, y| x * y);
    expected.rotate_left(3);
    assert_close(&party.decrypt(&rotated), &expected, BOUND);
}
