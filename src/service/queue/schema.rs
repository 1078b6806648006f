//! The table of the jobs, and how it is opened.

use super::QueueError;
use rusqlite::Connection;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// The schema that this program reads and writes.
pub const VERSION: i64 = 1;
const FILE: &str = "jobs.sqlite";
const LOCK: &str = "lock";

/// That a job is never answered twice holds in the database too: a result is written once, and a
/// state does not go back but from running to queued.
const TABLES: &str = "
CREATE TABLE jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    bundle BLOB NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'collected')),
    input BLOB,
    output BLOB,
    error TEXT,
    attempts INTEGER NOT NULL,
    submitted INTEGER NOT NULL,
    started INTEGER,
    finished INTEGER,
    CHECK (state NOT IN ('queued', 'running') OR input IS NOT NULL),
    CHECK ((state = 'done') = (output IS NOT NULL))
) STRICT;
CREATE INDEX open_jobs ON jobs (state, model, version, sequence)
WHERE state IN ('queued', 'running', 'done', 'failed');
CREATE TRIGGER answered_once BEFORE UPDATE OF state ON jobs
WHEN (OLD.state IN ('done', 'failed') AND NEW.state != 'collected')
    OR (OLD.state = 'collected' AND NEW.state != 'collected')
BEGIN SELECT raise(ABORT, 'a job is answered once'); END;
CREATE TRIGGER jobs_stay BEFORE DELETE ON jobs
BEGIN SELECT raise(ABORT, 'jobs are not forgotten'); END;
";

/// Locks the folder and opens its file.
pub fn open(folder: &Path) -> Result<(Connection, File), QueueError> {
    std::fs::create_dir_all(folder)?;
    make_private(folder)?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(QueueError::Locked { folder: folder.to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let mut connection = Connection::open(folder.join(FILE))?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // a job that was acknowledged is on the disk
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    let version = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        VERSION => {}
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        found => return Err(QueueError::Version { found }),
    }
    transaction.commit()?;
    Ok((connection, lock))
}

#[cfg(unix)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder, permissions)
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}
