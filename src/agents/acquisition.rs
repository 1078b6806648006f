//! The data-stream acquisition agent.

use super::AgentError;
use super::deployed_model::DeployedModel;
use super::error::check_key;
use super::input_encryptor::InputEncryptor;
use crate::bundle::{Bundle, Part};
use crate::inference::{EncryptedInference, INFERENCE_LIMIT};
use crate::model_id::ModelId;
use crate::service::connection::{Connection, ConnectionError};
use crate::service::queue::JobId;
use crate::whole_file;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire;
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Encrypts images under a model's public key, submits them, and collects the encrypted results (the
/// paper's step 7). It can open neither.
///
/// What was encrypted is kept in `NAME.input` until its result is in `NAME.result`, and submitted as
/// it is: the service takes the same bytes for the same job, so that whatever ends this process, and
/// however often, each image is processed once.
#[derive(Debug)]
pub struct AcquisitionAgent {
    model: ModelId,
    encryptor: InputEncryptor,
    connection: Connection,
    folder: PathBuf,
}

/// How far an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// Submitted, as this job.
    Pending(JobId),
    /// Its result is in this file.
    Done(PathBuf),
}

impl AcquisitionAgent {
    /// Reads the public key and the layout of inputs from a verified bundle; results go to `folder`.
    ///
    /// # Errors
    /// [`AgentError::Bundle`], [`AgentError::Wire`], [`AgentError::Encryptor`] and
    /// [`AgentError::Edge`] for a bundle that does not conform, [`AgentError::Key`] for a public key
    /// of another model, [`AgentError::Io`] where there is no folder.
    pub fn new(
        bundle: &mut Bundle,
        level: SecurityLevel,
        connection: Connection,
        folder: PathBuf,
    ) -> Result<Self, AgentError> {
        let model = DeployedModel::open(&bundle.read(Part::Model)?, level)?;
        let encryptor = InputEncryptor::new(bundle, &model)?;
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(Self { model: bundle.manifest().model.clone(), encryptor, connection, folder })
    }

    /// The model that images are encrypted for.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// The number of values of an image.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.encryptor.elements()
    }

    /// Where the result of an image is or will be.
    ///
    /// # Errors
    /// [`AgentError::Name`].
    pub fn result_path(&self, name: &str) -> Result<PathBuf, AgentError> {
        self.path(name, "result")
    }

    fn path(&self, name: &str, kind: &str) -> Result<PathBuf, AgentError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let plain = !name.is_empty() && name.len() <= 200 && !name.starts_with('.');
        match plain && name.chars().all(allowed) {
            true => Ok(self.folder.join(format!("{name}.{kind}"))),
            false => Err(AgentError::Name(name.chars().take(200).collect())),
        }
    }

    /// Encrypts an image, unless that was done before, and submits it. `image` gives the network's
    /// units, in the order of its input.
    ///
    /// # Errors
    /// [`AgentError::Encryptor`] or [`AgentError::Edge`] for an image of another size,
    /// [`AgentError::Connection`], after which the same call can be repeated.
    pub fn submit(
        &mut self,
        name: &str,
        image: &[f64],
        rng: &mut impl CryptoRng,
    ) -> Result<Acquired, AgentError> {
        let (input, result) = (self.path(name, "input")?, self.path(name, "result")?);
        if result.exists() {
            self.tidy(&input);
            return Ok(Acquired::Done(result));
        }
        let bytes = match input.exists() {
            true => fs::read(&input).map_err(at(&input))?,
            false => {
                let bytes = self.encryptor.encrypt(image, rng)?;
                write(&input, &bytes)?;
                bytes
            }
        };
        Ok(Acquired::Pending(self.connection.submit(&self.model, &bytes)?.id))
    }

    /// Fetches a result, if there is one, stores it, and lets the service delete it.
    ///
    /// # Errors
    /// [`AgentError::Connection`] also for a job that failed; [`AgentError::Gone`];
    /// [`AgentError::Wire`] and [`AgentError::Key`] for an answer that is no result for the image.
    pub fn collect(&mut self, name: &str, id: JobId) -> Result<Acquired, AgentError> {
        let (input, result) = (self.path(name, "input")?, self.path(name, "result")?);
        let bytes = match self.connection.result(id) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Acquired::Pending(id)),
            Err(ConnectionError::Refused { status: 410, .. }) => {
                return Err(AgentError::Gone { name: name.to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        self.check(&bytes, &input)?;
        write(&result, &bytes)?;
        // from here on the image is done, whatever happens to the service
        let _ = self.connection.collect(id);
        let _ = fs::remove_file(&input);
        Ok(Acquired::Done(result))
    }

    /// Finishes what ended between storing a result and letting the service delete it. What cannot be
    /// deleted now, the service deletes in time.
    fn tidy(&mut self, input: &Path) {
        let Ok(bytes) = fs::read(input) else { return };
        if let Ok(job) = self.connection.submit(&self.model, &bytes) {
            let _ = self.connection.collect(job.id);
        }
        let _ = fs::remove_file(input);
    }

    /// Gives an image up, so that it is encrypted anew where it is submitted again.
    ///
    /// # Errors
    /// [`AgentError::Name`].
    pub fn forget(&mut self, name: &str) -> Result<(), AgentError> {
        let _ = fs::remove_file(self.path(name, "input")?);
        Ok(())
    }

    /// A result for another input, or under another key, is no result.
    fn check(&self, bytes: &[u8], input: &Path) -> Result<(), AgentError> {
        let inference: EncryptedInference = wire::from_bytes(bytes, INFERENCE_LIMIT, &())?;
        check_key("result", &self.model, self.encryptor.key(), inference.key)?;
        let sent = fs::read(input).map_err(at(input))?;
        let same = Sha256::digest(sent)[..] == inference.input && inference.model == self.model;
        match same {
            true => Ok(()),
            false => {
                let reason = "it is the result of another input".to_owned();
                Err(ConnectionError::Answer(reason).into())
            }
        }
    }
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> AgentError + use<> {
    let path = path.to_owned();
    move |source| AgentError::Io { path: path.clone(), source }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
    whole_file::write(path, bytes)
        .map_err(|source| AgentError::Io { path: path.to_owned(), source })
}
