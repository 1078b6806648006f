//! What passes between client and server, beside the evaluation keys.

use super::program::Program;
use bellerophon_schemes::ckks::{PackedCiphertext, Parameters, SeededCiphertext, Slots};
use bellerophon_schemes::wire::{Conformant, Wire};
use serde::{Deserialize, Serialize};

/// What a message is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The parameters of the keys.
    pub parameters: &'a Parameters,
    /// The program that the message belongs to.
    pub program: &'a Program,
}

/// An image, encrypted in slots for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncryptedImage {
    pub(super) ciphertexts: Vec<SeededCiphertext<Slots>>,
}

/// The results of a program, encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncryptedResults {
    pub(super) ciphertexts: Vec<PackedCiphertext<Slots>>,
}

/// The largest message accepted, in bytes.
pub const MESSAGE_LIMIT: u64 = 1 << 28;
/// The largest set of evaluation keys accepted, in bytes.
pub const KEY_LIMIT: u64 = 1 << 36;

impl Wire for EncryptedImage {
    const KIND: u16 = 41;
    const NAME: &'static str = "image encrypted in slots";
}

impl Wire for EncryptedResults {
    const KIND: u16 = 42;
    const NAME: &'static str = "results encrypted in slots";
}

fn check_count(found: usize, expected: usize) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found} ciphertexts where the program has {expected}"))
}

impl Conformant<Context<'_>> for EncryptedImage {
    fn conforms(&self, context: &Context<'_>) -> Result<(), String> {
        check_count(self.ciphertexts.len(), context.program.input_ciphertexts())?;
        self.ciphertexts.iter().try_for_each(|c| c.conforms(context.parameters))
    }
}

impl Conformant<Context<'_>> for EncryptedResults {
    fn conforms(&self, context: &Context<'_>) -> Result<(), String> {
        let expected = context.program.output_ciphertexts();
        if self.ciphertexts.len() < expected {
            check_count(self.ciphertexts.len(), expected)?;
        }
        self.ciphertexts.iter().try_for_each(|c| c.conforms(context.parameters))
    }
}
