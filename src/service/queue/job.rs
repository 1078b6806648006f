//! One job, as it is known without its input and result.

use super::QueueError;
use crate::hexadecimal;
use crate::model_id::ModelId;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A random name of 128 bits, which cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(u128);

impl JobId {
    /// From random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

impl FromStr for JobId {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        let bytes = hexadecimal::decode(text).map(Self::from_bytes);
        bytes.ok_or_else(|| QueueError::Id(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for JobId {
    type Error = QueueError;

    fn try_from(text: String) -> Result<Self, QueueError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits.
    Queued,
    /// It is processed.
    Running,
    /// Its result can be fetched.
    Done,
    /// It has none, and will not have one.
    Failed,
    /// Its result was fetched and deleted, or kept too long.
    Collected,
}

impl FromStr for State {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        match text {
            "queued" => Ok(Self::Queued),
            "running" => Ok(Self::Running),
            "done" => Ok(Self::Done),
            "failed" => Ok(Self::Failed),
            "collected" => Ok(Self::Collected),
            _ => Err(QueueError::State(text.to_owned())),
        }
    }
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    #[serde(skip)]
    pub client: String,
    /// The model that it is for.
    pub model: ModelId,
    /// How far it is.
    pub state: State,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often it was begun.
    pub attempts: u32,
    /// When it came, in seconds since 1970.
    pub submitted: i64,
    /// When it was done or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<i64>,
    /// Bytes of its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// The SHA-256 of its input.
    #[serde(skip)]
    pub digest: [u8; 32],
    /// The bundle that its model came in.
    #[serde(skip)]
    pub bundle: [u8; 32],
}

const COLUMNS: &str = "id, client, model, version, state, error, attempts, submitted, finished,
    length(output), digest, bundle";

/// Finds a job by its id.
pub(super) fn find(connection: &Connection, id: &str) -> Result<Option<Job>, QueueError> {
    let query = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
    let mut statement = connection.prepare_cached(&query)?;
    let read = |row: &Row<'_>| Ok(read(row));
    statement.query_row([id], read).optional()?.transpose()
}

fn read(row: &Row<'_>) -> Result<Job, QueueError> {
    let (id, state): (String, String) = (row.get(0)?, row.get(4)?);
    let (name, version): (String, u32) = (row.get(2)?, row.get(3)?);
    let result_bytes: Option<i64> = row.get(9)?;
    Ok(Job {
        id: id.parse()?,
        client: row.get(1)?,
        model: ModelId::new(name, version)?,
        state: state.parse()?,
        error: row.get(5)?,
        attempts: row.get(6)?,
        submitted: row.get(7)?,
        finished: row.get(8)?,
        result_bytes: result_bytes.map(|bytes| bytes as u64),
        digest: row.get(10)?,
        bundle: row.get(11)?,
    })
}
