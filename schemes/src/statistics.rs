//! Pooled noise samples and their comparison with a predicted variance, for tests.

/// Samples of a noise whose mean should be zero.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Pool {
    pub(crate) fn extend(&mut self, samples: impl IntoIterator<Item = f64>) {
        for sample in samples {
            self.count += 1;
            self.sum += sample;
            self.squares += sample * sample;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The second moment about zero, so that a mean that should not be there counts as noise.
    pub(crate) fn variance(&self) -> f64 {
        self.squares / self.count as f64
    }

    /// Standard deviation of the estimated variance of independent normal samples, relative to it.
    pub(crate) fn relative_error(&self) -> f64 {
        (2.0 / self.count as f64).sqrt()
    }

    /// Asserts that the variance is `predicted` to within `tolerance` of it.
    pub(crate) fn assert_variance(&self, name: &str, predicted: f64, tolerance: f64) {
        let ratio = self.variance() / predicted;
        println!("{name}: measured/predicted variance {ratio:.4}, {} samples", self.count);
        assert!((ratio - 1.0).abs() < tolerance, "{name}: measured/predicted variance {ratio:.4}");
    }

    /// Asserts that the variance is not below `floor`, allowing for four standard deviations of the
    /// estimate.
    pub(crate) fn assert_at_least(&self, name: &str, floor: f64) {
        let lowest = floor * (1.0 - 4.0 * self.relative_error());
        assert!(self.variance() >= lowest, "{name}: {} is below {floor}", self.variance());
    }
}
