//! The trained-DNN protection agent.

use super::{AgentError, PlainModel, secret};
use crate::client::Client;
use crate::compile::Program;
use crate::model_id::ModelId;
use crate::polynomial::protected::{Owner, PlainNetwork};
use crate::store::Store;
use crate::store::seal::Passphrase;
use bellerophon_schemes::wire;
use rand::CryptoRng;

/// Encrypts the parameters of a trained network under its secret and stores them (the paper's steps 3
/// and 4). It holds the secret of one model as long as it lives.
#[derive(Debug)]
pub struct ProtectionAgent<'a> {
    store: &'a mut Store,
    model: ModelId,
    work: Work<'a>,
}

/// A secret, and what is encrypted under it.
#[derive(Debug)]
enum Work<'a> {
    Program(Box<Client>, &'a Program),
    Slots(Box<Owner>, &'a PlainNetwork),
}

/// What was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected {
    /// Bytes of the encrypted model.
    pub bytes: usize,
    /// Encrypted weight polynomials and encrypted biases.
    pub ciphertexts: [usize; 2],
}

impl<'a> ProtectionAgent<'a> {
    /// Opens the secret of a model whose keys are in the store.
    ///
    /// # Errors
    /// [`AgentError::Store`] for a model that is not there or another passphrase,
    /// [`AgentError::Client`], [`AgentError::Key`] and [`AgentError::Kind`] where the keys were made
    /// for other parameters.
    pub fn open(
        store: &'a mut Store,
        model: ModelId,
        plain: &'a PlainModel,
        passphrase: &Passphrase,
    ) -> Result<Self, AgentError> {
        let work = match plain {
            PlainModel::Program(program, parameters) => {
                let client = secret::client(store, &model, parameters.clone(), passphrase)?;
                Work::Program(Box::new(client), program)
            }
            PlainModel::Slots(network, parameters) => {
                let owner = secret::owner(store, &model, parameters, passphrase)?;
                Work::Slots(Box::new(owner), network)
            }
        };
        Ok(Self { store, model, work })
    }

    /// Encrypts all weights and biases and stores them, whole or not at all.
    ///
    /// # Errors
    /// [`AgentError::Protect`] and [`AgentError::Owner`] for a model that cannot be protected,
    /// [`AgentError::Store`] where it was protected before.
    pub fn protect(&mut self, rng: &mut impl CryptoRng) -> Result<Protected, AgentError> {
        let (bytes, ciphertexts) = match &self.work {
            Work::Program(client, program) => {
                let protected = client.protect(program, rng)?;
                (protected.to_bytes()?, protected.ciphertexts())
            }
            Work::Slots(owner, network) => {
                let protected = owner.protect(network, rng, &|| ())?;
                (wire::to_bytes(&protected)?, protected.ciphertexts())
            }
        };
        self.store.add_model(&self.model, &mut &bytes[..])?;
        Ok(Protected { bytes: bytes.len(), ciphertexts })
    }
}
