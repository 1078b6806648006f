//! What passes between client and server, beside the evaluation keys: encrypted inputs, encrypted
//! outputs, and traces of the values in between.

use crate::compile::Program;
use bellerophon_bridge as bridge;
use bellerophon_schemes::ckks::{Coeffs, PackedCiphertext, SeededCiphertext};
use bellerophon_schemes::wire::{Conformant, Wire};
use serde::{Deserialize, Serialize};

/// What a message is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The parameters of the keys.
    pub parameters: &'a bridge::Parameters,
    /// The program that the message belongs to.
    pub program: &'a Program,
}

/// An image, encrypted and laid out for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncryptedInput {
    pub(crate) ciphertexts: Vec<SeededCiphertext<Coeffs>>,
}

/// The outputs of a program, encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncryptedOutput {
    pub(crate) ciphertexts: Vec<PackedCiphertext<Coeffs>>,
}

/// The ciphertexts that each step of a program made, for those who hold the key to measure noise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// `(index of the step, its ciphertexts)`, for each step that makes ciphertexts of the ring.
    pub(crate) steps: Vec<(usize, Vec<PackedCiphertext<Coeffs>>)>,
}

/// The largest input or output message accepted, in bytes.
pub const MESSAGE_LIMIT: u64 = 16 << 20;
/// The largest trace accepted, in bytes.
pub const TRACE_LIMIT: u64 = 256 << 20;
/// The largest set of evaluation keys accepted, in bytes.
pub const KEY_LIMIT: u64 = 256 << 20;

impl Wire for EncryptedInput {
    const KIND: u16 = 5;
    const NAME: &'static str = "encrypted input";
}

impl Wire for EncryptedOutput {
    const KIND: u16 = 6;
    const NAME: &'static str = "encrypted output";
}

impl Wire for Trace {
    const KIND: u16 = 7;
    const NAME: &'static str = "trace";
}

fn check_count(found: usize, expected: usize) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found} ciphertexts where the program has {expected}"))
}

impl Conformant<Context<'_>> for EncryptedInput {
    fn conforms(&self, context: &Context<'_>) -> Result<(), String> {
        check_count(self.ciphertexts.len(), context.program.input_ciphertexts())?;
        self.ciphertexts.iter().try_for_each(|c| c.conforms(context.parameters.ckks()))
    }
}

impl Conformant<Context<'_>> for EncryptedOutput {
    fn conforms(&self, context: &Context<'_>) -> Result<(), String> {
        let expected = crate::compile::program::ciphertexts(&context.program.output);
        check_count(self.ciphertexts.len(), expected)?;
        self.ciphertexts.iter().try_for_each(|c| c.conforms(context.parameters.ckks()))
    }
}

impl Conformant<Context<'_>> for Trace {
    fn conforms(&self, context: &Context<'_>) -> Result<(), String> {
        if let Some((step, _)) =
            self.steps.iter().find(|(step, _)| *step >= context.program.steps.len())
        {
            return Err(format!("step {step} does not exist"));
        }
        let mut all = self.steps.iter().flat_map(|(_, ciphertexts)| ciphertexts);
        all.try_for_each(|c| c.conforms(context.parameters.ckks()))
    }
}
