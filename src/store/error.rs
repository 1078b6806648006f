//! Why the store refused.

use super::schema::VERSION;
use super::seal::SealError;
use crate::bundle::Part;
use crate::model_id::{ModelId, ModelIdError};
use std::path::PathBuf;
use thiserror::Error;

/// Why the store refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no file.
    #[error("there is no store {path:?}: owner keygen makes one")]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// A file that is something else.
    #[error("{path:?} is no store of protected models")]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// A store of another schema.
    #[error(
        "the store has schema version {found}, this program reads version {VERSION}: use the \
         program that made it"
    )]
    Version {
        /// Its version.
        found: i64,
    },
    /// No such model.
    #[error("the store holds no model {0}")]
    NoModel(ModelId),
    /// The model is there, but not yet this part of it.
    #[error("the store holds no {part} of {model}: {hint}")]
    NoPart {
        /// The model.
        model: ModelId,
        /// The part.
        part: Part,
        /// What makes one.
        hint: &'static str,
    },
    /// It is there already, and is not replaced.
    #[error("the store already holds {what} of {model}, which is not replaced: use a new version")]
    Exists {
        /// The model.
        model: ModelId,
        /// What there is.
        what: String,
    },
    /// What was stored is not what is there.
    #[error("the {part} of {model} is damaged: {reason}")]
    Damaged {
        /// The model.
        model: ModelId,
        /// The part.
        part: Part,
        /// What differs.
        reason: &'static str,
    },
    /// The record was changed.
    #[error(
        "the record of the store was altered: entry {sequence} does not follow from those before"
    )]
    Journal {
        /// The first entry that does not fit.
        sequence: i64,
    },
    /// A value that no version of this program writes.
    #[error("the store is damaged: {0}")]
    Content(String),
    /// In sealing or opening a secret.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A name or version.
    #[error(transparent)]
    ModelId(#[from] ModelIdError),
    /// In the database.
    #[error("the store cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// In a file.
    #[error("the store cannot be used: {0}")]
    Io(#[from] std::io::Error),
}
