//! What can be wrong with a polynomial or with the request for one.

use thiserror::Error;

/// Errors of [`crate::math::approximation`].
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ApproximationError {
    /// A polynomial needs at least one coefficient.
    #[error("a polynomial was given no coefficient")]
    NoCoefficients,
    /// A coefficient is infinite or not a number.
    #[error("coefficient {index} is not finite")]
    CoefficientNotFinite {
        /// Position of the first such coefficient.
        index: usize,
    },
    /// The end points are not finite, or not in ascending order.
    #[error("[{lower}, {upper}] is no interval: the ends must be finite and ascending")]
    Interval {
        /// Lower end asked for.
        lower: f64,
        /// Upper end asked for.
        upper: f64,
    },
    /// No interval was given to approximate on.
    #[error("there is no interval to approximate on")]
    NoIntervals,
    /// The degree is outside the range that the method supports.
    #[error("degree {degree} is not supported: it must be from {lowest} to {highest}")]
    Degree {
        /// The degree asked for.
        degree: usize,
        /// The lowest supported degree.
        lowest: usize,
        /// The highest supported degree.
        highest: usize,
    },
    /// The function to approximate is infinite or not a number somewhere on the interval.
    #[error("the function to approximate is not finite at {x}")]
    FunctionNotFinite {
        /// A point where it is not.
        x: f64,
    },
    /// The function has no power series at zero.
    #[error("{activation} is not analytic at zero: it has no Taylor series there")]
    NotAnalytic {
        /// Name of the function.
        activation: &'static str,
    },
    /// Powers of `x` would lose most of the digits of the Chebyshev coefficients.
    #[error(
        "degree {degree} in powers of x loses {lost_bits:.0} bits to cancellation, above \
         {limit_bits:.0}"
    )]
    IllConditioned {
        /// Degree of the polynomial.
        degree: usize,
        /// Bits of precision that the change of basis would lose.
        lost_bits: f64,
        /// The most that is accepted.
        limit_bits: f64,
    },
    /// An iterative method stopped short of its tolerance.
    #[error("{method} did not converge: {residual:e} is left, {tolerance:e} was required")]
    NotConverged {
        /// Name of the method.
        method: &'static str,
        /// Relative distance to convergence that was reached.
        residual: f64,
        /// Relative distance that was required.
        tolerance: f64,
    },
    /// The sign function cannot be approximated from this close to zero on.
    #[error(
        "a gap of {epsilon} around zero is not supported: it must be above 0 and below 1, and at least 2^-30 where degrees are to be found"
    )]
    Epsilon {
        /// The half-width of the gap around zero asked for.
        epsilon: f64,
    },
    /// The sign function cannot be approximated to this error.
    #[error("an error of {error} is not supported: it must be at least 2^-30 and below 1")]
    SignError {
        /// The largest error asked for.
        error: f64,
    },
    /// A composite polynomial has no component.
    #[error("a composite polynomial needs at least one component")]
    NoComponents,
    /// The precision is outside the range that double precision can plan for.
    #[error("precision of {bits} bits is not supported: it must be from {lowest} to {highest}")]
    Precision {
        /// The precision asked for, in bits.
        bits: u32,
        /// The lowest supported precision.
        lowest: u32,
        /// The highest supported precision.
        highest: u32,
    },
}
