//! The append-only record of what was done with models and their secrets.
//!
//! Triggers refuse every change but a next entry, and each entry carries the hash of the one before:
//!
//! `hash = SHA-256("bellerophon journal 1" | previous | sequence | time | event | model | detail)`,
//!
//! integers as 8 bytes little-endian, texts behind their lengths. Whoever can write the file can
//! still make a whole new chain: keep the last hash elsewhere to notice that.

use super::StoreError;
use crate::hexadecimal;
use crate::model_id::ModelId;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

const DOMAIN: &[u8] = b"bellerophon journal 1";
const START: [u8; 32] = [0; 32];

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Event {
    /// Keys were made.
    Keygen,
    /// A model was encrypted.
    Protect,
    /// A bundle was signed.
    Deploy,
    /// A result was opened.
    Decrypt,
    /// A result was refused.
    Refuse,
    /// A secret was sealed under another passphrase.
    Reseal,
}

impl Event {
    const ALL: [Self; 6] =
        [Self::Keygen, Self::Protect, Self::Deploy, Self::Decrypt, Self::Refuse, Self::Reseal];

    /// As it is recorded.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keygen => "keygen",
            Self::Protect => "protect",
            Self::Deploy => "deploy",
            Self::Decrypt => "decrypt",
            Self::Refuse => "refuse",
            Self::Reseal => "reseal",
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// From 1 on, without gaps.
    pub sequence: i64,
    /// Seconds since 1970.
    pub time: i64,
    /// What was done.
    pub event: Event,
    /// To which model.
    pub model: ModelId,
    /// Digests and numbers that say which, for people.
    pub detail: String,
    /// What the next entry carries; 64 hexadecimal digits.
    pub hash: String,
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn hash(previous: &[u8], sequence: i64, time: i64, texts: [&str; 3]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(previous);
    hasher.update(sequence.to_le_bytes());
    hasher.update(time.to_le_bytes());
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

/// Adds an entry, together with what else the transaction does.
pub(super) fn append(
    transaction: &Transaction<'_>,
    event: Event,
    model: &ModelId,
    detail: &str,
) -> Result<(), StoreError> {
    let last = "SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1";
    let last = transaction.query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (sequence, previous): (i64, [u8; 32]) = last.optional()?.unwrap_or((0, START));
    let (sequence, time, model) = (sequence + 1, now(), model.to_string());
    let hash = hash(&previous, sequence, time, [event.name(), &model, detail]);
    let insert = "INSERT INTO journal (sequence, time, event, model, detail, previous, hash)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let row = params![sequence, time, event.name(), model, detail, previous, hash];
    transaction.execute(insert, row)?;
    Ok(())
}

/// All entries, in order, checked.
pub(super) fn read(connection: &Connection) -> Result<Vec<Entry>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT sequence, time, event, model, detail, previous, hash FROM journal
         ORDER BY sequence",
    )?;
    let mut rows = statement.query([])?;
    let (mut entries, mut expected) = (Vec::new(), START);
    while let Some(row) = rows.next()? {
        let (sequence, time): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (event, model, detail): (String, String, String) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        let (previous, found): (Vec<u8>, Vec<u8>) = (row.get(5)?, row.get(6)?);
        let computed = hash(&expected, sequence, time, [&event, &model, &detail]);
        let follows = sequence == entries.len() as i64 + 1 && previous == expected;
        if !follows || found != computed {
            return Err(StoreError::Journal { sequence });
        }
        let event = Event::ALL.into_iter().find(|known| known.name() == event);
        let event = event.ok_or_else(|| StoreError::Content("an unknown event".to_owned()))?;
        let hash = hexadecimal::encode(&computed);
        entries.push(Entry { sequence, time, event, model: model.parse()?, detail, hash });
        expected = computed;
    }
    Ok(entries)
}
