//! Why the queue refused.

use super::schema::VERSION;
use crate::model_id::ModelIdError;
use std::path::PathBuf;
use thiserror::Error;

/// Why the queue refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// Another service uses the folder.
    #[error("{folder:?} is used by another edge service: stop it, or name another folder")]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of another schema.
    #[error("the jobs have schema version {found}, this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: i64,
    },
    /// The same bytes came from another client, or for another model.
    #[error("this ciphertext was submitted before, under another job: encrypt the image again")]
    Replayed,
    /// No room for more jobs.
    #[error("{limit} jobs are queued, which is the limit: try again later")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// No room for more jobs of this client.
    #[error("{limit} of your jobs are queued, which is the limit: try again later")]
    ClientFull {
        /// The limit.
        limit: usize,
    },
    /// No room for more results.
    #[error("{limit} results wait to be collected, which is the limit: collect and delete some")]
    ResultsFull {
        /// The limit.
        limit: usize,
    },
    /// No such job of this client.
    #[error("there is no such job")]
    NoJob,
    /// It has no result yet.
    #[error("the job is not finished")]
    Pending,
    /// A second result for a job.
    #[error("the job has a result already")]
    Answered,
    /// A row that was just written is not there.
    #[error("the job that was stored cannot be read")]
    Vanished,
    /// No id of a job.
    #[error("{0:?} is no id of a job: 32 hexadecimal digits are")]
    Id(String),
    /// A state that no version of this program writes.
    #[error("the jobs are damaged: {0:?} is no state")]
    State(String),
    /// A model that no version of this program writes.
    #[error(transparent)]
    ModelId(#[from] ModelIdError),
    /// In the database.
    #[error("the jobs cannot be read or written: {0}")]
    Database(#[from] rusqlite::Error),
    /// In the folder.
    #[error("the folder of the jobs cannot be used: {0}")]
    Io(#[from] std::io::Error),
}
