//! The encryption schemes of Bellerophon, over the mathematics they share ([`math`]): in-house CKKS
//! for arithmetic, with levels and slots ([`ckks`]) for polynomial networks and over a single prime
//! ([`rlwe`]) for exact ones, and TFHE ([`tfhe`]), through the `tfhe` crate, for comparisons.
//!
//! The schemes never meet here; the crate `bellerophon-bridge` carries ciphertexts from one to
//! the other. What all need stands beside them:
//!
//! | module | what it holds |
//! |---|---|
//! | [`packing`] | whether values sit in coefficients or in slots |
//! | [`key_id`] | the identity of every secret, carried by each key and ciphertext |
//! | [`security`] | the bits of security of each LWE instance, with the source of the estimate |
//! | [`wire`] | versioned, checksummed, length-limited serialization |

pub mod ckks;
pub mod key_id;
pub mod math;
pub mod packing;
pub mod rlwe;
pub mod security;
pub mod tfhe;
pub mod wire;

#[cfg(test)]
mod statistics;
