//! Large parts of a model as rows of chunks: written and read piece by piece.

use super::StoreError;
use crate::bundle::Part;
use crate::model_id::ModelId;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Bytes of a chunk: what is in memory of a part, at most.
pub const CHUNK: usize = 1 << 20;

/// Writes all that `source` gives as a part of the model in row `model`; gives its length.
pub fn write(
    transaction: &Transaction<'_>,
    model: i64,
    part: Part,
    source: &mut dyn Read,
) -> Result<u64, StoreError> {
    let next = "SELECT coalesce(max(id), 0) + 1 FROM parts";
    let id: i64 = transaction.query_row(next, [], |row| row.get(0))?;
    let mut insert =
        transaction.prepare("INSERT INTO chunks (part, sequence, bytes) VALUES (?1, ?2, ?3)")?;
    let (mut hasher, mut length, mut chunk) = (Sha256::new(), 0, Vec::with_capacity(CHUNK));
    for sequence in 0.. {
        chunk.clear();
        source.take(CHUNK as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            break;
        }
        insert.execute(params![id, sequence, chunk])?;
        hasher.update(&chunk);
        length += chunk.len() as u64;
    }
    let row = "INSERT INTO parts (id, model, part, length, sha256) VALUES (?1, ?2, ?3, ?4, ?5)";
    let digest = hasher.finalize();
    transaction.execute(row, params![id, model, part.name(), length as i64, digest.as_slice()])?;
    Ok(length)
}

/// What is known of a part without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    row: i64,
    /// Bytes.
    pub length: u64,
    /// Their SHA-256.
    pub digest: [u8; 32],
}

/// Finds a part of the model in row `model`.
pub fn find(connection: &Connection, model: i64, part: Part) -> Result<Option<Stored>, StoreError> {
    let query = "SELECT id, length, sha256 FROM parts WHERE model = ?1 AND part = ?2";
    let found = connection.query_row(query, params![model, part.name()], |row| {
        let length: i64 = row.get(1)?;
        Ok(Stored { row: row.get(0)?, length: length as u64, digest: row.get(2)? })
    });
    Ok(found.optional()?)
}

/// Reads a part and checks it at its end against what was stored.
pub struct PartReader<'a> {
    connection: &'a Connection,
    model: ModelId,
    part: Part,
    stored: Stored,
    sequence: i64,
    chunk: io::Cursor<Vec<u8>>,
    hasher: Option<Sha256>,
    read: u64,
}

impl<'a> PartReader<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        model: ModelId,
        part: Part,
        stored: Stored,
    ) -> Self {
        let (chunk, hasher) = (io::Cursor::default(), Some(Sha256::new()));
        Self { connection, model, part, stored, sequence: 0, chunk, hasher, read: 0 }
    }

    /// What was stored.
    #[must_use]
    pub fn stored(&self) -> Stored {
        self.stored
    }

    /// All bytes, for parts that must be in memory.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub fn read_whole(mut self) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::with_capacity(self.stored.length as usize);
        while self.advance()? {
            bytes.extend_from_slice(self.chunk.get_ref());
        }
        Ok(bytes)
    }

    /// Whether there was another chunk.
    fn advance(&mut self) -> Result<bool, StoreError> {
        let query = "SELECT bytes FROM chunks WHERE part = ?1 AND sequence = ?2";
        let mut statement = self.connection.prepare_cached(query)?;
        let next = statement.query_row([self.stored.row, self.sequence], |row| row.get(0));
        let Some(bytes) = next.optional()? else { return self.finish().map(|()| false) };
        let bytes: Vec<u8> = bytes;
        self.sequence += 1;
        self.read += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        self.chunk = io::Cursor::new(bytes);
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let damaged = |reason| {
            let (model, part) = (self.model.clone(), self.part);
            Err(StoreError::Damaged { model, part, reason })
        };
        match (self.read == self.stored.length, hasher.finalize()[..] == self.stored.digest) {
            (true, true) => Ok(()),
            (false, _) => damaged("it has another length than what was stored"),
            (true, false) => damaged("it has another digest than what was stored"),
        }
    }
}

impl Read for PartReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.position() as usize == self.chunk.get_ref().len() && !buffer.is_empty() {
            if !self.advance().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        self.chunk.read(buffer)
    }
}
