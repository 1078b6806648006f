//! A protected model of either kind, as it is deployed; no secret.

use crate::polynomial::protected::ProtectedNetwork;
use crate::protect::ProtectedModel;
use bellerophon_bridge as bridge;
use bellerophon_schemes::ckks;
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::{self, Wire, WireError};

/// A protected model and its parameters.
#[derive(Debug)]
pub(super) enum DeployedModel {
    /// A program, whose tables are exact.
    Program(Box<ProtectedModel>, bridge::Parameters),
    /// A network of polynomials in slots.
    Slots(Box<ProtectedNetwork>, ckks::Parameters),
}

impl DeployedModel {
    /// Reads a model of either kind, whose parameters reach `level`.
    pub fn open(bytes: &[u8], level: SecurityLevel) -> Result<Self, WireError> {
        if wire::kind(bytes) == Some(ProtectedNetwork::KIND) {
            let (network, parameters) = ProtectedNetwork::open(bytes, level)?;
            return Ok(Self::Slots(Box::new(network), parameters));
        }
        let (model, parameters) = ProtectedModel::open(bytes, level)?;
        Ok(Self::Program(Box::new(model), parameters))
    }

    /// The secret that its weights are under.
    pub fn key(&self) -> KeyId {
        match self {
            Self::Program(model, _) => model.key(),
            Self::Slots(network, _) => network.key(),
        }
    }
}
