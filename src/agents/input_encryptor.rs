//! Encrypts inputs for a deployed model of either kind.

use super::AgentError;
use super::deployed_model::DeployedModel;
use super::error::check_key;
use crate::bundle::{Bundle, Part};
use crate::polynomial::protected;
use crate::protect::Encryptor;
use bellerophon_schemes::key_id::KeyId;
use rand::CryptoRng;

/// A public key, and the layout of a model's inputs.
#[derive(Debug)]
pub(super) enum InputEncryptor {
    Program(Box<Encryptor>),
    Slots(Box<protected::InputEncryptor>),
}

impl InputEncryptor {
    /// Reads the public key of a bundle, which must be that of its model.
    pub fn new(bundle: &mut Bundle, model: &DeployedModel) -> Result<Self, AgentError> {
        let key = bundle.read(Part::PublicKey)?;
        let encryptor = match model {
            DeployedModel::Program(model, parameters) => {
                let encryptor = Encryptor::new(parameters, model.input_layout(), &key)?;
                Self::Program(Box::new(encryptor))
            }
            DeployedModel::Slots(network, parameters) => {
                let architecture = network.architecture();
                let encryptor = protected::InputEncryptor::new(parameters, architecture, &key)?;
                Self::Slots(Box::new(encryptor))
            }
        };
        let manifest = bundle.manifest();
        check_key("public key", &manifest.model, manifest.key, encryptor.key())?;
        Ok(encryptor)
    }

    /// The secret that opens what this encrypts.
    pub fn key(&self) -> KeyId {
        match self {
            Self::Program(encryptor) => encryptor.key(),
            Self::Slots(encryptor) => encryptor.key(),
        }
    }

    /// The number of values of an input.
    pub fn elements(&self) -> usize {
        match self {
            Self::Program(encryptor) => encryptor.elements(),
            Self::Slots(encryptor) => encryptor.elements(),
        }
    }

    /// Encrypts an input, in the network's units and order.
    pub fn encrypt(&self, values: &[f64], rng: &mut impl CryptoRng) -> Result<Vec<u8>, AgentError> {
        Ok(match self {
            Self::Program(encryptor) => encryptor.encrypt(values, rng)?,
            Self::Slots(encryptor) => encryptor.encrypt(values, rng)?,
        })
    }
}
