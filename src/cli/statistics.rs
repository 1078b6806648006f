//! Predictions and errors over images.

use serde::Serialize;

/// The index of the largest value.
pub fn largest(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

/// Differences between results and what they should be, in the network's units.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Errors {
    /// The mean difference.
    pub mean: f64,
    /// The standard deviation of the differences.
    pub deviation: f64,
    /// The largest magnitude.
    pub worst: f64,
}

impl Errors {
    /// Of results with what they should be.
    pub fn of<'a>(pairs: impl Iterator<Item = (&'a [f64], &'a [f64])> + Clone) -> Self {
        let differences = pairs.flat_map(|(found, exact)| found.iter().zip(exact));
        let differences = differences.map(|(found, exact)| found - exact);
        let count = differences.clone().count().max(1) as f64;
        let mean = differences.clone().sum::<f64>() / count;
        let squares = differences.clone().map(|difference| (difference - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        Self { mean, deviation, worst: differences.fold(0.0, |most, d| most.max(d.abs())) }
    }
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Share {
    pub count: usize,
    pub of: usize,
}

impl Share {
    /// Those that are true.
    pub fn of(flags: impl Iterator<Item = bool>) -> Self {
        flags.fold(Self { count: 0, of: 0 }, |share, flag| Self {
            count: share.count + usize::from(flag),
            of: share.of + 1,
        })
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = 100.0 * self.count as f64 / self.of.max(1) as f64;
        write!(f, "{} of {} ({percent:.2} %)", self.count, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_known_differences() {
        let (found, exact) = ([[1.0, 3.0], [0.0, -2.0]], [[0.0, 0.0], [0.0, 0.0]]);
        let pairs = found.iter().zip(&exact).map(|(a, b)| (a.as_slice(), b.as_slice()));
        let errors = Errors::of(pairs);
        assert!((errors.mean - 0.5).abs() < 1e-12);
        assert!((errors.deviation - 3.25f64.sqrt()).abs() < 1e-12);
        assert!((errors.worst - 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_largest_value_predicts() {
        assert_eq!(largest(&[0.5, 2.0, -3.0]), 1);
        assert_eq!(largest(&[]), 0);
        assert_eq!(Share::of([true, false, true].into_iter()).to_string(), "2 of 3 (66.67 %)");
    }
}
