//! How much all openings under one key may give away together.

use super::Policy;
use serde::{Deserialize, Serialize};

/// The bits that a key's openings may give away where nothing else is asked for.
const BITS: f64 = 64.0;
/// The refusals after which a key is locked.
const REFUSALS: u64 = 3;
/// The most openings of a key, however little each may give away.
const MOST_OPENINGS: u64 = 1 << 20;

/// How often results under one key are opened and refused before the key is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Results whose values or classes were shown.
    pub openings: u64,
    /// Results that were refused for what they decrypt to.
    pub refusals: u64,
}

impl Budget {
    /// The most openings up to 2^20 that stay within 64 bits, with three refusals.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let within = |openings| Self { openings, refusals: REFUSALS }.bits(policy) <= BITS;
        let (mut low, mut high) = (0, MOST_OPENINGS + 1);
        while low + 1 < high {
            let middle = low.midpoint(high);
            if within(middle) { low = middle } else { high = middle }
        }
        Self { openings: low, refusals: REFUSALS }
    }

    /// How many bits on the secret all openings together give at most to whoever crafts the results,
    /// however each depends on those before.
    ///
    /// Which results were refused is one of `sum_(r <= R) binomial(B + r, r)` patterns. Of each of the `k`
    /// values of an opening, what the secret decides is no larger than the tolerance `t` where the
    /// unused places passed, and noise of deviation `s` hides it: by the chain rule, and since the mutual
    /// information is at most the mean divergence from the noise alone, `t^2 / (2 s^2 ln 2)` bits each.
    #[must_use]
    pub fn bits(&self, policy: &Policy) -> f64 {
        let ratio = policy.tolerance() / policy.noise();
        let each = ratio * ratio / 2.0 / std::f64::consts::LN_2;
        let values = policy.expected().values as f64;
        self.patterns() + self.openings as f64 * values * each
    }

    /// `log2` of the number of orders of openings and refusals.
    fn patterns(&self) -> f64 {
        let mut binomial = 1.0;
        let mut sum = 1.0;
        for r in 1..=self.refusals {
            binomial *= (self.openings + r) as f64 / r as f64;
            sum += binomial;
        }
        f64::log2(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Expected, Policy, tests::expected};
    use super::*;

    #[test]
    fn ten_classes_are_opened_a_hundred_thousand_times() {
        for deviation in [0.1, 1e-6] {
            let policy = Policy::new(Expected { deviation, ..expected() }).unwrap();
            let budget = Budget::of(&policy);
            assert!(budget.openings >= 100_000, "{budget:?}");
            assert!(budget.bits(&policy) <= 64.0);
            let more = Budget { openings: budget.openings + 1, ..budget };
            assert!(budget.openings == MOST_OPENINGS || more.bits(&policy) > 64.0);
        }
    }

    #[test]
    fn patterns_are_counted() {
        let count = |openings, refusals| Budget { openings, refusals }.patterns().exp2();
        assert!((count(5, 0) - 1.0).abs() < 1e-9);
        assert!((count(5, 1) - 7.0).abs() < 1e-9); // none, or one before, between or behind five
        assert!((count(2, 2) - (1.0 + 3.0 + 6.0)).abs() < 1e-9);
    }

    #[test]
    fn a_thousand_values_get_as_many_openings_as_ten() {
        let few = Policy::new(Expected { deviation: 1e-6, ..expected() }).unwrap();
        let many = Policy::new(Expected { values: 1000, ..*few.expected() }).unwrap();
        assert_eq!(Budget::of(&few), Budget::of(&many));
    }
}
