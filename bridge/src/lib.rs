//! The bridge between CKKS and TFHE, after CHIMERA (Boura, Gama, Georgieva, Jetchev, 2020).
//!
//! ```text
//!  CKKS ciphertext, values in coefficients, ring secret s
//!    | to_lwe     ring key switch s -> t(X), sample extraction, modulus switch to 2N
//!    v
//!  LWE samples modulo 2N under the small secret t ----- look-up table (TFHE) -----+
//!                                                                                 v
//!  CKKS ciphertext  <--- to_ckks: CDKS packing to chosen coefficients ---  LWE samples under z
//! ```
//!
//! With [`Assumptions::Compact`], `s` *is* the flattened GLWE secret `z`, and `t(X)` holds the small
//! secret in its first `n` coefficients (a partial secret). [`Assumptions::Conservative`] needs
//! neither: `s` is independent, reached by one more ring key switch, and `t` fills the subring of
//! `X^2` (ring switching, Gentry et al., ePrint 2012/240).

pub mod encoding;
pub mod error;
pub mod keys;
pub mod noise;
pub mod packing;
pub mod parameters;
pub mod slots;
pub mod to_ckks;
pub mod to_lwe;

pub use encoding::Amplitude;
pub use error::BridgeError;
pub use keys::{EvaluationKeys, SecretKeys, SeededEvaluationKeys};
pub use parameters::{Assumptions, BootstrapLiteral, Parameters, ParametersLiteral};
pub use slots::{SeededSlotKeys, SlotKeys, SlotParameters, SlotParametersLiteral};

#[cfg(test)]
mod properties;
