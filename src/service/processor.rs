//! What the service asks of the cryptography: nothing more, and never a secret.

use crate::model_id::ModelId;
use std::fmt::Debug;
use thiserror::Error;

/// Why an input was refused before or while it was processed. The text never holds secret data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InputError {
    /// Bytes that are no input: truncated, altered, of another kind or version.
    #[error("{0}")]
    Malformed(String),
    /// An input, but not one for this model: of another shape, or under another key.
    #[error("{0}")]
    Unfit(String),
}

/// Runs one deployed model on encrypted inputs, with evaluation keys alone.
pub trait Processor: Debug + Send + Sync {
    /// The largest input, in bytes.
    fn input_limit(&self) -> u64;

    /// Whether these bytes are an input of this model, under its key; takes no longer than reading
    /// them.
    ///
    /// # Errors
    /// [`InputError`].
    fn check(&self, input: &[u8]) -> Result<(), InputError>;

    /// The encrypted result.
    ///
    /// # Errors
    /// [`InputError`], as [`Processor::check`] gives it.
    fn process(&self, input: &[u8]) -> Result<Vec<u8>, InputError>;
}

/// A model that the service runs.
#[derive(Debug)]
pub struct Deployed {
    /// Its name and version.
    pub model: ModelId,
    /// The bundle that it came in.
    pub bundle: [u8; 32],
    /// The secret that inputs and results are under.
    pub key: bellerophon_schemes::key_id::KeyId,
    /// What runs it.
    pub processor: Box<dyn Processor>,
}
