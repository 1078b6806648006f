//! The trained-DNN protection agent.

use super::AgentError;
use crate::client::Client;
use crate::compile::Program;
use crate::model_id::ModelId;
use crate::store::Store;
use crate::store::seal::Passphrase;
use bellerophon_bridge as bridge;
use rand::CryptoRng;

/// Encrypts the parameters of a trained network under its secret and stores them (the paper's steps 3
/// and 4). It holds the secret of one model as long as it lives.
#[derive(Debug)]
pub struct ProtectionAgent<'a> {
    store: &'a mut Store,
    model: ModelId,
    client: Client,
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
    /// [`AgentError::Client`] for other parameters than the keys were made for.
    pub fn open(
        store: &'a mut Store,
        model: ModelId,
        parameters: bridge::Parameters,
        passphrase: &Passphrase,
    ) -> Result<Self, AgentError> {
        let secret = store.secret(&model, passphrase)?;
        let client = Client::import_secrets(parameters, &secret)?;
        Ok(Self { store, model, client })
    }

    /// Encrypts all weights and biases of `program` and stores them, whole or not at all.
    ///
    /// # Errors
    /// [`AgentError::Protect`] for a program that cannot be protected, [`AgentError::Store`] where the
    /// model was protected before.
    pub fn protect(
        &mut self,
        program: &Program,
        rng: &mut impl CryptoRng,
    ) -> Result<Protected, AgentError> {
        let protected = self.client.protect(program, rng)?;
        let (bytes, ciphertexts) = (protected.to_bytes()?, protected.ciphertexts());
        self.store.add_model(&self.model, &mut &bytes[..])?;
        Ok(Protected { bytes: bytes.len(), ciphertexts })
    }
}
