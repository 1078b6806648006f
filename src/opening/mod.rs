//! Opening of results: what a result must be before anything of it is shown, what of it is shown, and
//! how often.
//!
//! A published value `c0 + c1 z` without noise is an equation in the secret `z`; with fresh noise of
//! the owner's it is one more LWE sample. So a value is shown with noise ([`Policy::noise`]) that is far
//! above the noise of the keys and, where the engine allows it, far below that of the result itself, and
//! rounded to a grid. Whoever computes on ciphertexts may also craft one and learn from what is shown.
//! Against that a result must be one: places that no result occupies hold zero but for the noise of a
//! packing, within [`Policy::tolerance`]; results lie within their calibrated window; and a [`Ledger`]
//! counts what was opened and refused against a [`Budget`] in bits.
//!
//! Attacks of this kind: Li and Micciancio, ePrint 2020/1533 (IND-CPA-D); Cheon et al., ePrint 2024/127;
//! Checri et al., ePrint 2024/116.

mod budget;
mod ledger;

pub use budget::Budget;
pub use ledger::{Ledger, Locked};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The tolerance at unused places, in predicted standard deviations: 2^16 places exceed it in fewer
/// than one of 2^40 results, also where the prediction is 10 % too low.
const TOLERANCE: f64 = 9.0;
/// The noise of what is shown, in tolerances, for up to [`FEW_VALUES`] values: see [`Budget::bits`].
const NOISE_OVER_TOLERANCE: f64 = 256.0;
/// The number of values that [`NOISE_OVER_TOLERANCE`] is made for.
const FEW_VALUES: f64 = 10.0;
/// The noise of what is shown, in standard deviations of the result's own: it adds 0.8 % to them.
const NOISE_OVER_RESULT: f64 = 1.0 / 8.0;
/// The least noise of what is shown, in standard deviations of fresh encryptions.
const NOISE_OVER_FRESH: f64 = 16.0;

/// What is known of a program's results before there is any, in the network's units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The number of values of a result.
    pub values: usize,
    /// The largest magnitude that a result may have.
    pub window: f64,
    /// The predicted standard deviation of a result's noise.
    pub deviation: f64,
    /// The predicted standard deviation of what is where no result is.
    pub unused: f64,
    /// The standard deviation of a fresh encryption's noise, which the hardness of the keys rests on.
    pub fresh: f64,
}

/// Which results are opened and how they are shown; all in the network's units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    expected: Expected,
    noise: f64,
}

/// What is expected of results makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("results with {expected:?} cannot be checked: all must be finite and above zero")]
pub struct PolicyError {
    /// What was expected.
    pub expected: Expected,
}

/// The result is not one. It is not said which check failed nor by how much: that would tell whoever
/// crafted it more than the one bit of the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "this is no result of the program: it was damaged or crafted, or its image is far from all that \
     the program was calibrated with; nothing of it is shown"
)]
pub struct Refused;

impl Policy {
    /// The policy for results of this kind.
    ///
    /// # Errors
    /// [`PolicyError`] where anything expected is not finite or not above zero.
    pub fn new(expected: Expected) -> Result<Self, PolicyError> {
        let Expected { values, window, deviation, unused, fresh } = expected;
        let sound = |value: f64| value.is_finite() && value > 0.0;
        if values == 0 || ![window, deviation, unused, fresh].into_iter().all(sound) {
            return Err(PolicyError { expected });
        }
        let ratio = NOISE_OVER_TOLERANCE * (values as f64 / FEW_VALUES).max(1.0).sqrt();
        let noise = (deviation * NOISE_OVER_RESULT)
            .max(unused * TOLERANCE * ratio)
            .max(fresh * NOISE_OVER_FRESH);
        Ok(Self { expected, noise })
    }

    /// What the policy was made for.
    #[must_use]
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// The largest magnitude where no result is.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        self.expected.unused * TOLERANCE
    }

    /// The standard deviation of the noise that is added to what is shown: an eighth of the result's own,
    /// but 256 tolerances (more for more than ten values) and 16 deviations of fresh noise at least.
    #[must_use]
    pub fn noise(&self) -> f64 {
        self.noise
    }

    /// The distance between values that are shown: the power of two up to half the noise.
    #[must_use]
    pub fn grid(&self) -> f64 {
        (self.noise.log2().floor() - 1.0).exp2()
    }

    /// The value of the grid next to a value with its noise.
    #[must_use]
    pub fn round(&self, value: f64) -> f64 {
        (value / self.grid()).round() * self.grid()
    }

    /// Looks at all of a result, before its noise is added: `results` are its values, `unused` whatever
    /// must be zero. Takes as long whatever it finds.
    ///
    /// # Errors
    /// [`Refused`] where it cannot be a result of the program.
    pub fn check(
        &self,
        results: impl IntoIterator<Item = f64>,
        unused: impl IntoIterator<Item = f64>,
    ) -> Result<(), Refused> {
        let within = |limit: f64| move |fits: bool, value: f64| fits & (value.abs() <= limit);
        let inside = results.into_iter().fold(true, within(self.expected.window));
        let zero = unused.into_iter().fold(true, within(self.tolerance()));
        if inside & zero { Ok(()) } else { Err(Refused) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn expected() -> Expected {
        // LeNet5 with preset `balanced`, about
        Expected { values: 10, window: 40.0, deviation: 0.1, unused: 5e-6, fresh: 1e-12 }
    }

    #[test]
    fn noise_is_between_tolerance_and_result() {
        let policy = Policy::new(expected()).unwrap();
        assert_eq!(policy.noise(), 0.1 / 8.0);
        assert!(policy.noise() > 256.0 * policy.tolerance());
        assert!((policy.noise() / 4.0..=policy.noise() / 2.0).contains(&policy.grid()));
        let precise = Policy::new(Expected { deviation: 1e-6, ..expected() }).unwrap();
        assert_eq!(precise.noise(), 256.0 * precise.tolerance());
        let many = Policy::new(Expected { values: 1000, deviation: 1e-6, ..expected() }).unwrap();
        assert_eq!(many.noise(), 2560.0 * many.tolerance());
        let fresh = Policy::new(Expected { fresh: 1.0, ..expected() }).unwrap();
        assert_eq!(fresh.noise(), 16.0);
    }

    #[test]
    fn values_are_shown_on_the_grid() {
        let policy = Policy::new(expected()).unwrap();
        for value in [0.0, 1.234567, -31.7] {
            let shown = policy.round(value);
            assert!((shown - value).abs() <= policy.grid() / 2.0);
            assert_eq!((shown / policy.grid()).fract(), 0.0);
        }
    }

    #[test]
    fn what_is_no_result_is_refused() {
        let policy = Policy::new(expected()).unwrap();
        let tolerance = policy.tolerance();
        assert_eq!(policy.check([1.0, -39.9], [0.0, tolerance, -tolerance]), Ok(()));
        for value in [40.1, -40.1, f64::NAN, f64::INFINITY] {
            assert_eq!(policy.check([1.0, value], [0.0]), Err(Refused));
        }
        for value in [1.01 * tolerance, -1.0, f64::NAN] {
            assert_eq!(policy.check([1.0], [0.0, value, 0.0]), Err(Refused));
        }
    }

    #[test]
    fn senseless_expectations_are_refused() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for expected in [
                Expected { window: value, ..expected() },
                Expected { deviation: value, ..expected() },
                Expected { unused: value, ..expected() },
                Expected { fresh: value, ..expected() },
                Expected { values: 0, ..expected() },
            ] {
                assert!(Policy::new(expected).is_err());
            }
        }
    }
}
