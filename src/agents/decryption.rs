//! The decryption agent.

use super::deployed_model::DeployedModel;
use super::error::check_key;
use super::{AgentError, secret};
use crate::bundle::Part;
use crate::client::Client;
use crate::hexadecimal;
use crate::inference::{EncryptedInference, INFERENCE_LIMIT};
use crate::model_id::ModelId;
use crate::polynomial::protected::{self, Owner};
use crate::protect::Architecture;
use crate::store::Store;
use crate::store::journal::Event;
use crate::store::seal::Passphrase;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire;
use sha2::{Digest, Sha256};

/// Opens encrypted results with the secret of the model that made them (the paper's step 9). It holds
/// the secret of one model at a time, that of the last result; every result that it opens or refuses
/// is recorded before its values are given out.
#[derive(Debug)]
pub struct DecryptionAgent<'a> {
    store: &'a mut Store,
    passphrase: &'a Passphrase,
    level: SecurityLevel,
    opened: Option<(ModelId, Opened)>,
}

/// The secret of a model, and where its results are.
#[derive(Debug)]
enum Opened {
    Program(Box<Client>, Box<Architecture>),
    Slots(Box<Owner>, Box<protected::Architecture>),
}

/// An opened result, in the network's units. The values carry noise that depends on the secret: who
/// passes them on should round them first.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// The model that made it.
    pub model: ModelId,
    /// The SHA-256 of the encrypted input.
    pub input: [u8; 32],
    /// The network's outputs.
    pub values: Vec<f64>,
}

impl<'a> DecryptionAgent<'a> {
    /// For the models of a store with this passphrase, whose keys reach `level`.
    #[must_use]
    pub fn new(store: &'a mut Store, passphrase: &'a Passphrase, level: SecurityLevel) -> Self {
        Self { store, passphrase, level, opened: None }
    }

    /// Opens a result in the wire form of [`EncryptedInference`].
    ///
    /// # Errors
    /// [`AgentError::Wire`] for bytes that are no result; [`AgentError::Store`] for a model that is
    /// not in the store and for another passphrase; [`AgentError::Key`], [`AgentError::Client`] and
    /// [`AgentError::Owner`] for a result under another key than that of the model that it names.
    pub fn decrypt(&mut self, bytes: &[u8]) -> Result<Inference, AgentError> {
        let inference: EncryptedInference = wire::from_bytes(bytes, INFERENCE_LIMIT, &())?;
        self.open(&inference.model)?;
        let result = self.values(&inference);
        let digest = hexadecimal::encode(&Sha256::digest(bytes));
        let (event, detail) = match &result {
            Ok(_) => (Event::Decrypt, format!("result sha256 {digest}")),
            Err(error) => (Event::Refuse, format!("result sha256 {digest}: {error}")),
        };
        self.store.record(event, &inference.model, &detail)?;
        let EncryptedInference { model, input, .. } = inference;
        Ok(Inference { model, input, values: result? })
    }

    fn open(&mut self, model: &ModelId) -> Result<(), AgentError> {
        if self.opened.as_ref().is_some_and(|(opened, _)| opened == model) {
            return Ok(());
        }
        self.opened = None;
        let bytes = self.store.part(model, Part::Model)?.read_whole()?;
        let opened = match DeployedModel::open(&bytes, self.level)? {
            DeployedModel::Program(protected, parameters) => {
                let client = secret::client(self.store, model, parameters, self.passphrase)?;
                Opened::Program(Box::new(client), Box::new(protected.architecture()))
            }
            DeployedModel::Slots(network, parameters) => {
                let owner = secret::owner(self.store, model, &parameters, self.passphrase)?;
                Opened::Slots(Box::new(owner), Box::new(network.architecture().clone()))
            }
        };
        self.opened = Some((model.clone(), opened));
        Ok(())
    }

    fn values(&self, inference: &EncryptedInference) -> Result<Vec<f64>, AgentError> {
        let EncryptedInference { model, key, output, .. } = inference;
        check_key("result", model, self.store.key(model)?, *key)?;
        match &self.opened {
            Some((_, Opened::Program(client, architecture))) => {
                Ok(client.decrypt(architecture, output)?)
            }
            Some((_, Opened::Slots(owner, architecture))) => {
                Ok(owner.decrypt(architecture, output)?)
            }
            None => Ok(Vec::new()),
        }
    }
}
