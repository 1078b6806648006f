//! Max-pools by approximate comparisons.

use super::PolynomialError;
use super::affine::unsupported;
use crate::model::{MaxPool, Shape};
use bellerophon_schemes::math::approximation::{CompositeSign, composite_sign_for};
use ndarray::{ArrayD, IxDyn};

/// The larger of two values of magnitude up to `bound`: with `d` their difference,
/// `b + d (1 + sign(d / 2 bound)) / 2` (ePrint 2020/834).
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    sign: CompositeSign,
    bound: f64,
}

/// What approximate comparisons did to a max-pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flips {
    /// Comparisons.
    pub comparisons: usize,
    /// Those whose approximate sign was the wrong one.
    pub flipped: usize,
    /// The sum of their differences, in the network's units.
    pub margins: f64,
    /// The largest of them.
    pub worst: f64,
}

impl Flips {
    /// Counts a comparison of two values `difference` apart.
    pub fn count(&mut self, difference: f64, flipped: bool) {
        self.comparisons += 1;
        if flipped {
            self.flipped += 1;
            self.margins += difference.abs();
            self.worst = self.worst.max(difference.abs());
        }
    }

    /// Both together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            comparisons: self.comparisons + other.comparisons,
            flipped: self.flipped + other.flipped,
            margins: self.margins + other.margins,
            worst: self.worst.max(other.worst),
        }
    }
}

impl Comparison {
    /// To `bits` bits of the bound.
    ///
    /// # Errors
    /// [`PolynomialError::Approximation`] for a precision out of range,
    /// [`PolynomialError::Unsupported`] for windows that are not unpadded and of powers of two.
    pub(super) fn new(
        bits: u32,
        bound: f64,
        pool: &MaxPool,
        name: &str,
    ) -> Result<Self, PolynomialError> {
        if pool.pads != [0; 4] || !pool.kernel.iter().all(|side| side.is_power_of_two()) {
            let reason = "approximate comparisons need windows of powers of two without padding";
            return Err(unsupported(name, reason));
        }
        Ok(Self { sign: composite_sign_for(bits)?, bound: bound.max(f64::MIN_POSITIVE) })
    }

    /// The approximate sign.
    #[must_use]
    pub fn sign(&self) -> &CompositeSign {
        &self.sign
    }

    /// The largest magnitude of a value.
    #[must_use]
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// The larger of two values.
    #[must_use]
    pub fn larger(&self, a: f64, b: f64) -> f64 {
        let difference = a - b;
        b + difference * (1.0 + self.sign.evaluate(difference / (2.0 * self.bound))) / 2.0
    }

    /// Whether the comparison takes the smaller one.
    fn flips(&self, difference: f64) -> bool {
        self.sign.evaluate(difference / (2.0 * self.bound)) * difference < 0.0
    }

    /// The pool of a value of shape C x H x W: pairs of columns first, as programs do it.
    #[must_use]
    pub fn pool(&self, pool: &MaxPool, input: &ArrayD<f64>, to: Shape) -> ArrayD<f64> {
        self.pool_with(pool, input, to, &mut |_| ())
    }

    /// The pool of a value of shape C x H x W, and the comparisons that went the other way.
    #[must_use]
    pub fn pool_counted(
        &self,
        pool: &MaxPool,
        input: &ArrayD<f64>,
        to: Shape,
    ) -> (ArrayD<f64>, Flips) {
        let mut flips = Flips::default();
        let pooled = self.pool_with(pool, input, to, &mut |difference| {
            flips.count(difference, self.flips(difference));
        });
        (pooled, flips)
    }

    fn pool_with(
        &self,
        pool: &MaxPool,
        input: &ArrayD<f64>,
        to: Shape,
        seen: &mut dyn FnMut(f64),
    ) -> ArrayD<f64> {
        let [rows, columns] = pool.kernel;
        let mut along = |values: Vec<f64>| {
            let mut values = values;
            while values.len() > 1 {
                let pairs = values.chunks(2).map(|pair| {
                    seen(pair[0] - pair[1]);
                    self.larger(pair[0], pair[1])
                });
                values = pairs.collect();
            }
            values.first().copied().unwrap_or(f64::NAN)
        };
        ArrayD::from_shape_fn(IxDyn(&to.dimensions()), |at| {
            let (top, left) = (at[1] * pool.strides[0], at[2] * pool.strides[1]);
            let value = |row: usize, column: usize| input[[at[0], top + row, left + column]];
            let row = |r: usize| (0..columns).map(|column| value(r, column)).collect();
            let largest: Vec<f64> = (0..rows).map(|r| along(row(r))).collect();
            along(largest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_near_the_maximum_and_say_where_they_are_not() {
        let pool = MaxPool::new([2, 2], [2, 2]);
        let comparison = Comparison::new(7, 2.0, &pool, "pool").unwrap();
        let values = vec![0.5, -1.5, 2.0, 1.999, 0.25, 0.26, -2.0, -1.0];
        let input = ArrayD::from_shape_vec(IxDyn(&[1, 2, 4]), values).unwrap();
        let (pooled, flips) = comparison.pool_counted(&pool, &input, Shape::image(1, 1, 2));
        assert!((pooled[[0, 0, 0]] - 0.5).abs() < 0.03 && (pooled[[0, 0, 1]] - 2.0).abs() < 0.03);
        assert_eq!((flips.comparisons, flips.flipped), (6, 0));
        let mut wrong = Flips::default();
        wrong.count(-0.5, true);
        wrong.count(0.25, true);
        assert_eq!(
            wrong.merge(flips),
            Flips { comparisons: 8, flipped: 2, margins: 0.75, worst: 0.5 }
        );
    }

    #[test]
    fn windows_that_do_not_halve_are_refused() {
        for pool in
            [MaxPool::new([3, 2], [2, 2]), MaxPool { pads: [1; 4], ..MaxPool::new([2, 2], [2, 2]) }]
        {
            let refused = Comparison::new(5, 1.0, &pool, "pool");
            assert!(matches!(refused, Err(PolynomialError::Unsupported { .. })), "{refused:?}");
        }
    }
}
