//! What an owner protects: a trained model of either kind, its weights in the clear.

use crate::compile::Program;
use crate::polynomial::protected::PlainNetwork;
use bellerophon_bridge as bridge;
use bellerophon_schemes::ckks;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::{self, Wire, WireError};

/// A trained model before it is encrypted.
#[derive(Debug)]
pub enum PlainModel {
    /// A compiled program, whose tables are exact.
    Program(Box<Program>, bridge::Parameters),
    /// A network of polynomials in slots.
    Slots(Box<PlainNetwork>, ckks::Parameters),
}

impl PlainModel {
    /// Reads a model of either kind, whose parameters reach `level`.
    ///
    /// # Errors
    /// [`WireError`] for bytes that are no such model.
    pub fn from_bytes(bytes: &[u8], level: SecurityLevel) -> Result<Self, WireError> {
        if wire::kind(bytes) == Some(PlainNetwork::KIND) {
            let (network, parameters) = PlainNetwork::open(bytes, level)?;
            return Ok(Self::Slots(Box::new(network), parameters));
        }
        let (program, parameters) = Program::open(bytes, level)?;
        Ok(Self::Program(Box::new(program), parameters))
    }
}
