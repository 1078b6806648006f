//! RNS-CKKS (Cheon, Kim, Kim, Song, ePrint 2016/421; with residues, Cheon, Han, Kim, Kim, Song, ePrint
//! 2018/931).
//!
//! A ciphertext `(c0, c1)` has the phase `c0 + c1 s = m + e` modulo `q_0 ... q_l`, `l` its level; the
//! message `m` holds complex numbers times a [`Scale`] in its canonical embedding
//! ([`Slots`](crate::packing::Slots)) or real numbers in its coefficients
//! ([`Coeffs`](crate::packing::Coeffs)).

pub mod automorphism;
pub mod ciphertext;
pub mod decryptor;
pub mod encoder;
pub mod encryptor;
pub mod error;
pub mod evaluator;
pub mod key_switch;
pub mod keygen;
pub mod keys;
pub mod linear_transform;
pub mod noise;
pub mod parameters;
pub mod plaintext;
pub mod product;
pub mod scale;

pub use crate::packing::{Coeffs, Packing, Slots};
pub use ciphertext::{Ciphertext, PackedCiphertext, SeededCiphertext};
pub use concrete_fft::c64;
pub use decryptor::Decryptor;
pub use encoder::Encoder;
pub use encryptor::Encryptor;
pub use error::CkksError;
pub use evaluator::Evaluator;
pub use key_switch::{GaloisKey, RelinearizationKey, SeededSwitchingKey, SwitchingKey};
pub use keygen::KeyGenerator;
pub use keys::{
    EvaluationKeys, KeyRequirements, PublicKey, SecretKey, SeededEvaluationKeys, SeededPublicKey,
};
pub use linear_transform::{Diagonals, LinearTransform, diagonals};
pub use noise::Precision;
pub use parameters::{Parameters, ParametersLiteral};
pub use plaintext::Plaintext;
pub use product::Product;
pub use scale::Scale;

#[cfg(test)]
mod tests;
