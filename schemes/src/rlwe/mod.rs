//! Ring-LWE ciphertexts over one prime modulus: CKKS (Cheon, Kim, Kim, Song, ePrint 2016/421) without
//! levels, as the bridge to TFHE needs it; [`crate::ckks`] is the scheme with levels.
//!
//! A ciphertext is `(c0, c1)` with phase `c0 + c1 s = m + e`; the message `m` holds real numbers times
//! a [`Scale`], in its coefficients ([`Coeffs`]) or in its canonical embedding ([`Slots`]).

pub mod ciphertext;
pub mod decryptor;
pub mod encoder;
pub mod encryptor;
pub mod error;
pub mod evaluator;
pub mod external_product;
pub mod gadget;
pub mod key_switch;
pub mod keygen;
pub mod keys;
pub mod noise;
pub mod parameters;
pub mod plaintext;

pub use crate::packing::{Coeffs, Packing, Slots};
pub use ciphertext::{Ciphertext, PackedCiphertext, SeededCiphertext};
pub use decryptor::Decryptor;
pub use encoder::Encoder;
pub use encryptor::Encryptor;
pub use error::RlweError;
pub use evaluator::Evaluator;
pub use external_product::{DecomposedCiphertext, GadgetCiphertext, SeededGadgetCiphertext};
pub use gadget::Gadget;
pub use key_switch::{GaloisKey, SeededGaloisKey, SeededSwitchingKey, SwitchingKey};
pub use keygen::KeyGenerator;
pub use keys::{PublicKey, SecretKey, SeededPublicKey};
pub use parameters::{Parameters, ParametersLiteral};
pub use plaintext::{Plaintext, Scale};

#[cfg(test)]
mod tests;
