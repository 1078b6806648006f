//! What goes back to the owner: an encrypted result, with the name of the model that made it.

use crate::model_id::ModelId;
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::wire::{Conformant, Wire};
use serde::{Deserialize, Serialize};

/// The largest one accepted, in bytes.
pub const INFERENCE_LIMIT: u64 = 64 << 20;

/// An encrypted result and where it came from. Nothing vouches for that: who opens it checks that
/// the ciphertext is under the key of the model that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptedInference {
    /// The model that was run.
    pub model: ModelId,
    /// The bundle that it came in.
    pub bundle: [u8; 32],
    /// The secret that the result is under.
    pub key: KeyId,
    /// The SHA-256 of the encrypted input.
    pub input: [u8; 32],
    /// The wire form of the encrypted output.
    pub output: Vec<u8>,
}

impl Wire for EncryptedInference {
    const KIND: u16 = 61;
    const NAME: &'static str = "encrypted inference";
}

impl Conformant<()> for EncryptedInference {
    fn conforms(&self, (): &()) -> Result<(), String> {
        match self.output.is_empty() {
            true => Err("it has no output".to_owned()),
            false => Ok(()),
        }
    }
}
