//! The key generator.

use super::{AgentError, PlainModel};
use crate::client::Client;
use crate::compile::Program;
use crate::model_id::ModelId;
use crate::polynomial::protected::{Architecture, Owner};
use crate::store::seal::Passphrase;
use crate::store::{NewKeys, Store};
use bellerophon_bridge as bridge;
use bellerophon_schemes::ckks;
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::security::{LweInstance, SecurityLevel};
use rand::CryptoRng;

/// Makes key pairs for models that are to be protected (the paper's step 2). The secret is sealed in
/// the store and dropped.
#[derive(Debug)]
pub struct KeyGenerator<'a> {
    store: &'a mut Store,
    passphrase: &'a Passphrase,
}

/// What was made and stored.
#[derive(Clone, Debug)]
pub struct MadeKeys {
    /// The id of the secret.
    pub key: KeyId,
    /// Bytes of the public key.
    pub public_key_bytes: usize,
    /// Bytes of the evaluation keys.
    pub evaluation_key_bytes: usize,
    /// Bytes of the keys of polynomials in slots; 0 for programs without such.
    pub slot_key_bytes: usize,
    /// Name and LWE instance of every key.
    pub instances: Vec<(String, LweInstance)>,
}

impl<'a> KeyGenerator<'a> {
    /// For a store with this passphrase.
    #[must_use]
    pub fn new(store: &'a mut Store, passphrase: &'a Passphrase) -> Self {
        Self { store, passphrase }
    }

    /// Makes and stores the keys of a new model, for what it will run.
    ///
    /// # Errors
    /// [`AgentError::Store`] for a name and version that are taken or another passphrase,
    /// [`AgentError::Client`] for a program whose slots do not reach `level`.
    pub fn generate(
        &mut self,
        model: &ModelId,
        plain: &PlainModel,
        level: SecurityLevel,
        rng: &mut impl CryptoRng,
    ) -> Result<MadeKeys, AgentError> {
        match plain {
            PlainModel::Program(program, parameters) => {
                self.for_program(model, program, parameters.clone(), level, rng)
            }
            PlainModel::Slots(network, parameters) => {
                self.for_slots(model, network.architecture(), parameters, rng)
            }
        }
    }

    fn for_program(
        &mut self,
        model: &ModelId,
        program: &Program,
        parameters: bridge::Parameters,
        level: SecurityLevel,
        rng: &mut impl CryptoRng,
    ) -> Result<MadeKeys, AgentError> {
        let client = Client::new(parameters, rng)?;
        let public_key = client.publish_encryption_key(rng)?;
        let evaluation = client.publish_keys(rng)?;
        let slots = client.publish_slot_keys(program, level, rng)?;
        let secret = client.export_secrets()?;
        let keys = NewKeys {
            key: client.key(),
            secret: &secret,
            public_key: &public_key,
            evaluation_keys: &evaluation.bytes,
            slot_keys: slots.as_deref(),
        };
        self.store.add_keys(model, &keys, self.passphrase, rng)?;
        Ok(MadeKeys {
            key: keys.key,
            public_key_bytes: public_key.len(),
            evaluation_key_bytes: evaluation.bytes.len(),
            slot_key_bytes: slots.map_or(0, |keys| keys.len()),
            instances: evaluation.instances,
        })
    }

    fn for_slots(
        &mut self,
        model: &ModelId,
        architecture: &Architecture,
        parameters: &ckks::Parameters,
        rng: &mut impl CryptoRng,
    ) -> Result<MadeKeys, AgentError> {
        let owner = Owner::new(parameters, rng)?;
        let published = owner.publish_keys(architecture, rng)?;
        let keys = NewKeys {
            key: owner.key(),
            secret: owner.secret().as_slice(),
            public_key: &published.public,
            evaluation_keys: &published.evaluation,
            slot_keys: None,
        };
        self.store.add_keys(model, &keys, self.passphrase, rng)?;
        Ok(MadeKeys {
            key: keys.key,
            public_key_bytes: published.public.len(),
            evaluation_key_bytes: published.evaluation.len(),
            slot_key_bytes: 0,
            // all keys and ciphertexts are samples of one secret modulo at most all primes
            instances: vec![("all keys".to_owned(), parameters.instance())],
        })
    }
}
