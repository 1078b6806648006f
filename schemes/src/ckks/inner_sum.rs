//! Sums of slots at even distances.

use super::{Ciphertext, CkksError, EvaluationKeys, Evaluator, KeyRequirements, Parameters, noise};
use crate::packing::Slots;

/// How a sum of `count` terms is built from the left: the first bit of `count` is one term, each
/// further bit doubles their number, and a set one adds a term.
fn bits(count: usize) -> impl Iterator<Item = (usize, bool)> {
    let length = usize::BITS - count.leading_zeros();
    (1..length).map(move |i| {
        let prefix = count >> (length - i);
        (prefix, count >> (length - i - 1) & 1 == 1)
    })
}

/// The rotations of [`inner_sum`], in order; those by a multiple of the number of slots among them.
fn rotations(step: i64, count: usize) -> impl Iterator<Item = i64> {
    bits(count).flat_map(move |(prefix, odd)| {
        let doubling = step.wrapping_mul(prefix as i64);
        std::iter::once(doubling).chain(odd.then_some(step))
    })
}

/// What [`inner_sum`] needs at `level`: at most `2 log2(count)` rotations.
#[must_use]
pub fn inner_sum_requirements(
    parameters: &Parameters,
    step: i64,
    count: usize,
    level: usize,
) -> KeyRequirements {
    KeyRequirements::rotations(parameters, rotations(step, count), level)
}

/// The variance of the result's noise, for an operand at `level` with this variance: a doubling adds
/// two variances and a key switch, a further term one of each. It holds while the slots summed are
/// different ones, whose errors are independent.
#[must_use]
pub fn inner_sum_noise(parameters: &Parameters, variance: f64, count: usize, level: usize) -> f64 {
    let switch = noise::key_switch(parameters, level);
    bits(count).fold(variance, |sum, (_, odd)| {
        let doubled = 2.0 * sum + switch;
        if odd { doubled + switch + variance } else { doubled }
    })
}

/// Slot `j` of the result is `sum of x[j + k step]` for `k` from 0 to `count - 1`, slots counted
/// modulo their number; level and scale stay. It takes `floor(log2 count)` rotations and one more for
/// each further set bit of `count`.
///
/// Noise: [`inner_sum_noise`].
///
/// # Errors
/// [`CkksError::Parameter`] for a `count` of 0, [`CkksError::MissingGaloisKey`] where a key of
/// [`inner_sum_requirements`] is missing, [`CkksError::Key`] for a key of another secret.
pub fn inner_sum(
    evaluator: &Evaluator,
    operand: &Ciphertext<Slots>,
    step: i64,
    count: usize,
    keys: &EvaluationKeys,
) -> Result<Ciphertext<Slots>, CkksError> {
    if count == 0 {
        return Err(CkksError::Parameter {
            what: "the number of summands",
            value: count,
            allowed: "at least 1",
        });
    }
    let mut sum = operand.clone();
    for (prefix, odd) in bits(count) {
        let rotated = evaluator.rotate(&sum, step.wrapping_mul(prefix as i64), keys)?;
        evaluator.add_assign(&mut sum, &rotated)?;
        if odd {
            sum = evaluator.rotate(&sum, step, keys)?;
            evaluator.add_assign(&mut sum, operand)?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ckks::Scale;
    use crate::ckks::polynomial::tests::{Session, distances};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn sums_any_number_of_slots_at_any_distance(step in -200i64..200, count in 1usize..150) {
            let mut session = Session::new(8, 1);
            let requirements = inner_sum_requirements(&session.parameters, step, count, 1);
            let ones = count.count_ones() as usize - 1;
            prop_assert!(requirements.galois.len() <= count.ilog2() as usize + ones.min(1));
            let keys = session.keys(&requirements);
            let values = session.numbers([-1.0, 1.0]);
            let scale = Scale::power_of_two(40);
            let operand = session.encrypt(&values, 1, &scale);
            let sum = inner_sum(&session.evaluator, &operand, step, count, &keys).unwrap();
            prop_assert_eq!((sum.level(), sum.scale()), (1, &scale));
            let slots = values.len() as i64;
            let term = |j: i64, k: i64| values[(j + k * step).rem_euclid(slots) as usize];
            let expected = (0..slots).map(|j| (0..count as i64).map(|k| term(j, k)).sum());
            let errors = distances(&session.decrypt(&sum), expected);
            prop_assert!(errors.iter().all(|&error| error < 1e-7), "{:?}", errors);
        }
    }

    #[test]
    fn noise_is_within_a_tenth_of_the_formula() {
        let scale = Scale::power_of_two(40);
        for count in [2, 13, 32] {
            let mut session = Session::new(10, 1);
            let keys = session.keys(&inner_sum_requirements(&session.parameters, 3, count, 1));
            let fresh = noise::fresh_secret() + noise::encoding();
            let predicted = inner_sum_noise(&session.parameters, fresh, count, 1);
            let mut squares = 0.0;
            for _ in 0..16 {
                let values = session.numbers([-1.0, 1.0]);
                let operand = session.encrypt(&values, 1, &scale);
                let sum = inner_sum(&session.evaluator, &operand, 3, count, &keys).unwrap();
                let slots = values.len();
                let term = |j: usize, k: usize| values[(j + 3 * k) % slots];
                let expected = (0..slots).map(|j| (0..count).map(|k| term(j, k)).sum());
                let errors = distances(&session.decrypt(&sum), expected);
                squares += errors.iter().map(|e| e * e).sum::<f64>() / slots as f64 / 16.0;
            }
            // a slot's mean square is N times a coefficient's
            let found = squares * scale.value().powi(2) / session.parameters.dimension() as f64;
            assert!((found / predicted - 1.0).abs() < 0.1, "{count}: {found} for {predicted}");
        }
    }

    #[test]
    fn counts_rotations() {
        let steps = |count| rotations(3, count).collect::<Vec<_>>();
        assert_eq!(steps(1), []);
        assert_eq!(steps(8), [3, 6, 12]);
        assert_eq!(steps(13), [3, 3, 9, 18, 3]);
    }

    #[test]
    fn refuses_an_empty_sum() {
        let mut session = Session::new(8, 1);
        let keys = session.keys(&KeyRequirements::default());
        let operand = session.encrypt(&[1.0], 1, &Scale::power_of_two(40));
        let error = inner_sum(&session.evaluator, &operand, 1, 0, &keys).unwrap_err();
        assert!(matches!(error, CkksError::Parameter { value: 0, .. }), "{error}");
        let error = inner_sum(&session.evaluator, &operand, 1, 2, &keys).unwrap_err();
        assert!(matches!(error, CkksError::MissingGaloisKey { element: 5, .. }), "{error}");
    }
}
