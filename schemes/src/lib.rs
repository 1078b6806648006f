//! The two encryption schemes of Bellerophon: an in-house CKKS ([`ckks`]) for arithmetic and TFHE
//! ([`tfhe`]), through the `tfhe` crate, for comparisons, over the mathematics both share
//! ([`math`]).
//!
//! The two schemes never meet here; the crate `bellerophon-bridge` carries ciphertexts from one to
//! the other. What both need stands beside them:
//!
//! | module | what it holds |
//! |---|---|
//! | [`key_id`] | the identity of every secret, carried by each key and ciphertext |
//! | [`security`] | the bits of security of each LWE instance, with the source of the estimate |
//! | [`wire`] | versioned, checksummed, length-limited serialization |

pub mod ckks;
pub mod key_id;
pub mod math;
pub mod security;
pub mod tfhe;
pub mod wire;

#[cfg(test)]
mod statistics;
