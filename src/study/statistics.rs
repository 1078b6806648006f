//! Shares and their confidence intervals.

use serde::Serialize;

/// The quantile of a normal distribution that leaves 2.5 % on each side.
const Z: f64 = 1.959_963_984_540_054;

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Those that are.
    pub count: usize,
    /// All.
    pub of: usize,
}

impl Share {
    /// Those in which two lists have the same element.
    #[must_use]
    pub fn same(a: &[u16], b: &[u16]) -> Self {
        let count = a.iter().zip(b).filter(|(a, b)| a == b).count();
        Self { count, of: a.len().min(b.len()) }
    }

    /// In percent; 0 of none.
    #[must_use]
    pub fn percent(&self) -> f64 {
        100.0 * self.count as f64 / self.of.max(1) as f64
    }

    /// The 95 % confidence interval, in percent (E. B. Wilson, "Probable inference, the law of
    /// succession, and statistical inference", JASA 1927).
    #[must_use]
    pub fn wilson(&self) -> [f64; 2] {
        let n = self.of as f64;
        if self.of == 0 {
            return [0.0, 100.0];
        }
        let share = self.count as f64 / n;
        let square = Z * Z / n;
        let middle = (share + square / 2.0) / (1.0 + square);
        let half = Z / (1.0 + square) * (share * (1.0 - share) / n + square / (4.0 * n)).sqrt();
        [middle - half, middle + half].map(|bound| (100.0 * bound).clamp(0.0, 100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        let near = |share: Share, expected: [f64; 2]| {
            let found = share.wilson();
            assert!((found[0] - expected[0]).abs() < 0.01, "{found:?}");
            assert!((found[1] - expected[1]).abs() < 0.01, "{found:?}");
        };
        near(Share { count: 10, of: 10 }, [72.25, 100.0]);
        near(Share { count: 0, of: 10 }, [0.0, 27.75]);
        near(Share { count: 50, of: 100 }, [40.38, 59.62]);
        near(Share { count: 0, of: 0 }, [0.0, 100.0]);
    }

    proptest! {
        /// The bounds are where the score test has its limit.
        #[test]
        fn bounds_solve_the_equation_they_come_from(of in 1_usize..2000, part in 0.0_f64..=1.0) {
            let count = (part * of as f64) as usize;
            let share = count as f64 / of as f64;
            for bound in (Share { count, of }).wilson() {
                let p = bound / 100.0;
                let squared = (share - p).powi(2);
                prop_assert!((squared - Z * Z * p * (1.0 - p) / of as f64).abs() < 1e-9);
            }
        }
    }
}
