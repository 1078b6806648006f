//! TFHE through the `tfhe` crate's `core_crypto`: functions of one encrypted number by programmable
//! bootstrapping.
//!
//! This is the only module of the project that names the `tfhe` crate. A torus element is a `u64`,
//! standing for `value / 2^64` in `[-1/2, 1/2)`; an LWE sample is `(a, b)` with phase `b - <a, s>`.

pub mod bootstrap;
pub mod error;
pub mod fused;
pub mod kernel;
pub mod keys;
pub mod lut;
pub mod lwe;
pub mod noise;
pub mod parameters;
mod reference;

pub use bootstrap::{BootstrapKey, SeededBootstrapKey, busiest_share};
pub use error::TfheError;
pub use kernel::{Instructions, Kernel};
pub use keys::LweSecretKey;
pub use lut::LookupTable;
pub use lwe::{LweBatch, SwitchedLweBatch};
pub use parameters::BootstrapParameters;

#[cfg(test)]
mod tests;
