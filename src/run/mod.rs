//! Running a compiled [`Program`](crate::compile::Program): one loop over its steps
//! ([`executor`]), on three backends: [`encrypted`], [`simulated`] (f64 with the noise model) and
//! [`clear`] (f64).

pub mod backend;
pub mod clear;
pub mod encrypted;
pub mod executor;
pub mod simulated;

pub use backend::{Backend, Value};
pub use clear::Clear;
pub use encrypted::{Encrypted, RunError};
pub use executor::{ExecuteError, Observer, execute};
pub use simulated::Simulated;

#[cfg(test)]
mod tests;
