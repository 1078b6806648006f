//! RNS-CKKS (Cheon, Kim, Kim, Song, ePrint 2016/421; with residues, Cheon, Han, Kim, Kim, Song, ePrint
//! 2018/931).
//!
//! A ciphertext `(c0, c1)` has the phase `c0 + c1 s = m + e` modulo `q_0 ... q_l`, `l` its level; the
//! message `m` holds complex numbers times a [`Scale`] in its canonical embedding
//! ([`Slots`]) or real numbers in its coefficients
//! ([`Coeffs`]).
//!
//! | modules | what they hold |
//! |---|---|
//! | [`parameters`], [`keygen`], [`keys`], [`key_switch`] | the chain of primes; keys, and which ones operations need |
//! | [`scale`], [`plaintext`], [`encoder`], [`encryptor`], [`ciphertext`], [`decryptor`] | numbers into ciphertexts and back |
//! | [`evaluator`], [`product`], [`mod@inner_product`], [`automorphism`] | sums, products, rotations |
//! | [`linear_transform`], [`mod@inner_sum`], [`polynomial`], [`sign`], [`dft`] | circuits |
//! | [`bootstrap`] | from the last level back to a high one |
//! | [`noise`] | the variance that each operation adds |

pub mod automorphism;
pub mod bootstrap;
pub mod ciphertext;
pub mod decryptor;
pub mod dft;
pub mod encoder;
pub mod encryptor;
pub mod error;
pub mod evaluator;
pub mod inner_product;
pub mod inner_sum;
pub mod key_switch;
pub mod keygen;
pub mod keys;
pub mod linear_transform;
pub mod noise;
pub mod parameters;
pub mod plaintext;
pub mod polynomial;
pub mod product;
pub mod scale;
pub mod sign;

pub use crate::packing::{Coeffs, Packing, Slots};
pub use bootstrap::{
    BootstrapLiteral, Bootstrapper, FunctionalBootstrapper, FunctionalPlan, PhasePolynomial,
};
pub use ciphertext::{Ciphertext, PackedCiphertext, SeededCiphertext};
pub use concrete_fft::c64;
pub use decryptor::Decryptor;
pub use dft::{CoefficientsToSlots, SlotsToCoefficients};
pub use encoder::Encoder;
pub use encryptor::Encryptor;
pub use error::CkksError;
pub use evaluator::Evaluator;
pub use inner_product::ConstantCiphertext;
pub use inner_sum::{inner_sum, inner_sum_noise, inner_sum_requirements};
pub use key_switch::{GaloisKey, RelinearizationKey, SeededSwitchingKey, SwitchingKey};
pub use keygen::KeyGenerator;
pub use keys::{
    EvaluationKeys, KeyRequirements, PublicKey, SecretKey, SeededEvaluationKeys, SeededPublicKey,
};
pub use linear_transform::{Diagonals, LinearTransform, Split, diagonals};
pub use noise::Precision;
pub use parameters::{Parameters, ParametersLiteral};
pub use plaintext::Plaintext;
pub use polynomial::PolynomialCircuit;
pub use product::Product;
pub use scale::Scale;
pub use sign::CompositeSignCircuit;

#[cfg(test)]
mod tests;
