//! The trained-DNN deployment agent.

use super::AgentError;
use crate::bundle::{self, Manifest, Part, PartEntry};
use crate::hexadecimal;
use crate::model_id::ModelId;
use crate::store::journal::Event;
use crate::store::seal::Passphrase;
use crate::store::{Store, StoreError};
use ed25519_dalek::SigningKey;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Deploys protected models together with their public keys (the paper's step 5). It holds the
/// owner's signing key and reads what is public; it never opens a model's secret.
#[derive(Debug)]
pub struct DeploymentAgent<'a> {
    store: &'a mut Store,
    key: SigningKey,
}

/// A bundle that was written, and must be recorded before it is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a deployment must be recorded before the bundle is handed on"]
pub struct Written {
    /// What was signed.
    pub manifest: Manifest,
    /// Its SHA-256, which names the bundle.
    pub id: [u8; 32],
}

impl Written {
    /// The bundle's SHA-256 in hexadecimal digits.
    #[must_use]
    pub fn name(&self) -> String {
        hexadecimal::encode(&self.id)
    }
}

impl<'a> DeploymentAgent<'a> {
    /// Opens the signing key.
    ///
    /// # Errors
    /// [`AgentError::Store`] for another passphrase than the store's.
    pub fn new(store: &'a mut Store, passphrase: &Passphrase) -> Result<Self, AgentError> {
        let key = store.signing_key(passphrase)?;
        Ok(Self { store, key })
    }

    /// Writes the bundle of a model, piece by piece.
    ///
    /// # Errors
    /// [`AgentError::Store`] for a model that is not there or not protected yet,
    /// [`AgentError::Bundle`] where `out` fails.
    pub fn write(&self, model: &ModelId, out: &mut dyn Write) -> Result<Written, AgentError> {
        let entry = |part| match self.store.part(model, part) {
            Err(StoreError::NoPart { .. }) if !Part::is_required(part) => None,
            found => Some(found.map(|found| {
                let stored = found.stored();
                PartEntry { part, length: stored.length, sha256: stored.digest }
            })),
        };
        let parts = Part::ALL.into_iter().filter_map(entry).collect::<Result<Vec<_>, _>>()?;
        let created = SystemTime::now().duration_since(UNIX_EPOCH);
        let created = created.map_or(0, |since| since.as_secs() as i64);
        let key = self.store.key(model)?;
        let manifest = Manifest { model: model.clone(), key, created, parts };
        let source = |part| Ok::<_, AgentError>(self.store.part(model, part)?);
        let id = bundle::write(out, &manifest, &self.key, source)?;
        Ok(Written { manifest, id })
    }

    /// Records a deployment.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn record(&mut self, written: &Written) -> Result<(), AgentError> {
        let detail = format!("bundle sha256 {}", written.name());
        Ok(self.store.record(Event::Deploy, &written.manifest.model, &detail)?)
    }
}
