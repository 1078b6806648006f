//! Encrypted models: programs whose weights and biases are ciphertexts, for machines that must learn
//! neither the data nor the model.
//!
//! The owner ([`crate::client::Client::protect`]) encrypts every weight polynomial of a compiled
//! [`Program`](crate::compile::Program) as a gadget ciphertext and every bias as a ciphertext, under
//! the secret that inputs and results are under. The server multiplies by external products
//! (`bellerophon_schemes::rlwe::external_product`) where it would multiply by plaintexts; everything
//! else runs as in any program, on the same executor.
//!
//! What stays readable is the *architecture* ([`Architecture`]): shapes, kinds of layers, activation
//! functions, amplitudes and layouts. `docs/protected.md` says what that gives away.

mod encryptor;
mod linear;
mod model;

pub use encryptor::{Encryptor, EncryptorError};
pub use linear::{EncryptedLinear, noise};
pub use model::{Architecture, MODEL_LIMIT, ProtectError, ProtectedModel};

use bellerophon_schemes::math::Modulus;
use bellerophon_schemes::rlwe::{Gadget, RlweError};

/// Bits per digit and number of digits for products with encrypted weights. Two digits of 18 bits
/// keep 36 bits of each residue: what is left out weighs less than the noise that packing brings into
/// any weighted sum, and so do the rows' noise through digits of that size (`docs/protected.md`).
const GADGET: (u32, u32) = (18, 2);

fn gadget(modulus: Modulus) -> Result<Gadget, RlweError> {
    Gadget::digits(GADGET.0, GADGET.1, modulus)
}

#[cfg(test)]
mod tests;
