//! Polynomials in the place of other functions: what an arithmetic scheme can evaluate.
//!
//! All of it is plain double precision; nothing here is encrypted. What each method is for:
//!
//! | method | what it makes small | source |
//! |---|---|---|
//! | [`interpolate`] | nearly the largest error, for smooth functions of any degree | Trefethen 2013 |
//! | [`least_squares`] | the mean square error over an interval | Legendre projection |
//! | [`minimax`] | the largest error over a union of intervals | Remez; Lee et al. 2021 |
//! | [`taylor`] | the error near zero | Chabanne et al. 2017 |
//! | [`derivative_then_integrate`] | the error of the slope | Hesamifard et al. 2017 |
//! | [`composite_sign_for`] | the depth of an approximate sign, ReLU or maximum | E. Lee et al. 2022 |
//!
//! A [`Polynomial`] of degree `d` takes at least `ceil(log2(d + 1))` levels to evaluate.

mod activation;
mod composite_sign;
mod error;
mod interpolation;
mod least_squares;
mod minimax;
mod polynomial;
mod taylor;
#[cfg(test)]
mod tests;

pub use activation::Activation;
pub use composite_sign::{
    CompositeSign, composite_sign, composite_sign_for, composite_sign_within,
};
pub use error::ApproximationError;
pub use interpolation::{MAX_DEGREE, interpolate};
pub use least_squares::{derivative_then_integrate, least_squares};
pub use minimax::{MAX_MINIMAX_DEGREE, minimax};
pub use polynomial::{Basis, Parity, Polynomial};
pub use taylor::taylor;
