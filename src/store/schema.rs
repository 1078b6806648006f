//! The tables of the store, and how it is opened.

use super::StoreError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// The schema that this program reads and writes.
pub const VERSION: i64 = 1;
/// What marks a database as a store of protected models (`BLRS`).
const APPLICATION: i64 = 0x424c_5253;
/// How long a writer waits for another.
const BUSY: Duration = Duration::from_secs(60);

/// Models are kept by name and version, each with its own keys; nothing of them is ever updated.
/// Blobs are rows of chunks, so that none must fit into memory or into one value of `SQLite`.
/// The record accepts what follows the last entry, and nothing else.
const TABLES: &str = "
CREATE TABLE owner (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    verifying_key BLOB NOT NULL CHECK (length(verifying_key) = 32),
    sealed INTEGER NOT NULL REFERENCES sealed (id)
) STRICT;
CREATE TABLE sealed (
    id INTEGER PRIMARY KEY,
    memory_kib INTEGER NOT NULL,
    passes INTEGER NOT NULL,
    lanes INTEGER NOT NULL,
    salt BLOB NOT NULL,
    nonce BLOB NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    key_id TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    sealed INTEGER NOT NULL REFERENCES sealed (id),
    UNIQUE (name, version)
) STRICT;
CREATE TABLE parts (
    id INTEGER PRIMARY KEY,
    model INTEGER NOT NULL REFERENCES models (id),
    part TEXT NOT NULL,
    length INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    UNIQUE (model, part)
) STRICT;
CREATE TABLE chunks (
    part INTEGER NOT NULL REFERENCES parts (id) DEFERRABLE INITIALLY DEFERRED,
    sequence INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (part, sequence)
) STRICT;
CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    event TEXT NOT NULL,
    model TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER journal_follows BEFORE INSERT ON journal
WHEN NEW.sequence IS NOT (SELECT count(*) + 1 FROM journal)
    OR NEW.previous IS NOT
        coalesce((SELECT hash FROM journal ORDER BY sequence DESC LIMIT 1), zeroblob(32))
BEGIN SELECT raise(ABORT, 'the record is append-only'); END;
CREATE TRIGGER journal_stays BEFORE DELETE ON journal
BEGIN SELECT raise(ABORT, 'the record is append-only'); END;
CREATE TRIGGER journal_is_fixed BEFORE UPDATE ON journal
BEGIN SELECT raise(ABORT, 'the record is append-only'); END;
CREATE TRIGGER models_are_fixed BEFORE UPDATE ON models
BEGIN SELECT raise(ABORT, 'a stored model is not changed'); END;
CREATE TRIGGER parts_are_fixed BEFORE UPDATE ON parts
BEGIN SELECT raise(ABORT, 'a stored model is not changed'); END;
CREATE TRIGGER chunks_are_fixed BEFORE UPDATE ON chunks
BEGIN SELECT raise(ABORT, 'a stored model is not changed'); END;
";

/// Opens a store that is there.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    if !path.is_file() {
        return Err(StoreError::NotFound { path: path.to_owned() });
    }
    let connection = connect(path, OpenFlags::empty())?;
    match version(&connection, path)? {
        VERSION => Ok(connection),
        found => Err(StoreError::Version { found }),
    }
}

/// Opens a store, or makes an empty one that only the user may read.
pub fn create(path: &Path) -> Result<Connection, StoreError> {
    if path.exists() && path.metadata()?.len() > 0 {
        return open(path);
    }
    make_private(path)?;
    let mut connection = connect(path, OpenFlags::empty())?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // another process may have been faster
    if integer(&transaction, "application_id")? == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    drop(connection);
    open(path)
}

fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    Ok(())
}

fn connect(path: &Path, more: OpenFlags) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    let other = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => StoreError::NotAStore { path: path.to_owned() },
        _ => error.into(),
    };
    connection.pragma_update(None, "journal_mode", "WAL").map_err(other)?;
    // a transaction that was reported is on the disk
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    match integer(connection, "application_id")? {
        APPLICATION => integer(connection, "user_version"),
        _ => Err(StoreError::NotAStore { path: path.to_owned() }),
    }
}

fn integer(connection: &Connection, pragma: &str) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, pragma, |row| row.get(0))?)
}
