//! The span of values.

use serde::{Deserialize, Serialize};

/// The smallest and largest value seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Range {
    /// The range of no values; merging it with another gives the other.
    pub const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// The range of the given values.
    pub fn of(values: &[f64]) -> Self {
        let widen = |range: Self, &value: &f64| range.merge(Self { min: value, max: value });
        values.iter().fold(Self::EMPTY, widen)
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// The largest |value|.
    pub fn magnitude(&self) -> f64 {
        self.min.abs().max(self.max.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_ends_at_its_smallest_and_largest_value(
            values in prop::collection::vec(-9.0..9.0_f64, 1..20),
            split in any::<prop::sample::Index>(),
        ) {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
            let range = Range::of(&values);
            prop_assert_eq!((range.min, range.max), (min, max));
            prop_assert_eq!(range.magnitude(), min.abs().max(max.abs()));
            let (left, right) = values.split_at(split.index(values.len()));
            prop_assert_eq!(Range::of(left).merge(Range::of(right)), range);
        }
    }
}
