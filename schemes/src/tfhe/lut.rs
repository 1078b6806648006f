//! Look-up tables for programmable bootstrapping.
//!
//! Blind rotation evaluates negacyclic functions of the torus only: `f(x + 1/2) = -f(x)`. A table is
//! therefore given on a window of width 1/2 and continued by that rule. A function that obeys it
//! already, such as the triangle `|x| - 1/4`, is exact on the whole torus.

use super::TfheError;

/// The test polynomial of a table: entry `j` is the function at phase `j/(2N)`.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupTable {
    polynomial: Vec<u64>,
}

impl LookupTable {
    /// The table of `f` on the window `[start, start + 1/2)`, continued negacyclically; inputs and
    /// outputs in torus units.
    ///
    /// # Errors
    /// [`TfheError::TableRange`] where a value is outside `[-1/2, 1/2)` or no number.
    pub fn new(
        polynomial_size: usize,
        start: f64,
        f: impl Fn(f64) -> f64,
    ) -> Result<Self, TfheError> {
        let polynomial = (0..polynomial_size)
            .map(|j| {
                let phase = j as f64 / (2 * polynomial_size) as f64;
                let value = negacyclic(phase, start, &f);
                to_torus(value).ok_or(TfheError::TableRange { phase, value })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { polynomial })
    }

    /// The polynomial size `N`.
    #[must_use]
    pub fn polynomial_size(&self) -> usize {
        self.polynomial.len()
    }

    pub(super) fn polynomial(&self) -> &[u64] {
        &self.polynomial
    }
}

/// The value at `phase` (any real number of turns) of the negacyclic continuation of `f` from the
/// window `[start, start + 1/2)`.
pub fn negacyclic(phase: f64, start: f64, f: impl Fn(f64) -> f64) -> f64 {
    let halves = ((phase - start) * 2.0).floor();
    let value = f(phase - halves / 2.0);
    if halves.rem_euclid(2.0) == 0.0 { value } else { -value }
}

/// A real number in `[-1/2, 1/2)` as a torus element.
fn to_torus(value: f64) -> Option<u64> {
    (-0.5..0.5).contains(&value).then(|| (value * 2f64.powi(64)) as i64 as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn triangle_is_its_own_continuation() {
        let triangle = |x: f64| x.abs() - 0.25;
        for i in -512..512 {
            let x = f64::from(i) / 1024.0;
            for start in [-0.25, -0.5, 0.0] {
                let wrapped = |x: f64| triangle(x - x.round());
                assert!((negacyclic(x, start, wrapped) - triangle(x)).abs() < 1e-12);
            }
        }
    }

    proptest! {
        #[test]
        fn continuation_is_negacyclic_and_keeps_the_window(
            x in 0.0f64..0.5, start in -0.5f64..0.5, turns in -3i32..3,
        ) {
            let f = |x: f64| (x * 3.0).sin() / 3.0;
            let inside = start + x * 0.999;
            prop_assert!((negacyclic(inside, start, f) - f(inside)).abs() < 1e-12);
            let shifted = negacyclic(inside + f64::from(turns) / 2.0, start, f);
            let sign = if turns % 2 == 0 { 1.0 } else { -1.0 };
            prop_assert!((shifted - sign * f(inside)).abs() < 1e-9);
        }
    }

    #[test]
    fn refuses_values_off_the_torus() {
        assert!(matches!(
            LookupTable::new(512, -0.25, |x| 3.0 * x),
            Err(TfheError::TableRange { .. })
        ));
        assert!(LookupTable::new(512, -0.25, |_| f64::NAN).is_err());
    }
}
