//! The jobs, in one `SQLite` file: a job is on the disk before it is acknowledged, and its result
//! before it is told. States only go forward:
//!
//! ```text
//! queued -> running -> done -> collected        (result handed over, or kept too long)
//!              |   \-> failed -> collected
//!              \-> queued                       (the process ended; counted as an attempt)
//! ```

mod error;
mod job;
mod schema;
#[cfg(test)]
mod tests;

use super::processor::Deployed;
use crate::model_id::ModelId;
use rand::RngExt;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub use error::QueueError;
pub use job::{Job, JobId, State};

/// How many jobs and results are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that wait or run, of all clients.
    pub queued: usize,
    /// Jobs that wait or run, of one client.
    pub queued_per_client: usize,
    /// Results that were not collected, of all clients.
    pub results: usize,
    /// How often a job is begun: a job that ends the process must not do so for ever.
    pub attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queued: 1024, queued_per_client: 256, results: 4096, attempts: 16 }
    }
}

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// A new job.
    Accepted(Job),
    /// The same client sent the same bytes for the same model before: this is that job.
    Known(Job),
}

/// A job that was taken to be processed.
#[derive(Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub id: JobId,
    /// For which model.
    pub model: ModelId,
    /// Its input.
    pub input: Vec<u8>,
}

/// How many jobs are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That wait.
    pub queued: u64,
    /// That run.
    pub running: u64,
    /// With a result that was not collected.
    pub done: u64,
    /// That failed, and were not collected.
    pub failed: u64,
}

/// All jobs of one service. The folder is locked: two services never share one.
#[derive(Debug)]
pub struct Queue {
    connection: Mutex<Connection>,
    limits: Limits,
    _lock: File,
}

impl Queue {
    /// Opens the jobs in `folder`, or makes an empty file for them. Jobs that ran when the last
    /// process ended wait again; jobs for a model whose bundle was replaced fail, since their inputs
    /// are under another key.
    ///
    /// # Errors
    /// [`QueueError::Locked`] where another service uses the folder, [`QueueError::Version`],
    /// [`QueueError::Database`], [`QueueError::Io`].
    pub fn open(folder: &Path, limits: Limits, models: &[Deployed]) -> Result<Self, QueueError> {
        let (connection, lock) = schema::open(folder)?;
        let queue = Self { connection: Mutex::new(connection), limits, _lock: lock };
        queue.recover(models)?;
        Ok(queue)
    }

    fn recover(&self, models: &[Deployed]) -> Result<(), QueueError> {
        let mut connection = self.connection();
        let transaction = begin(&mut connection)?;
        transaction.execute(
            "UPDATE jobs SET state = 'failed', input = NULL, finished = ?2,
                 error = 'the process ended each time that this job was begun'
             WHERE state = 'running' AND attempts >= ?1",
            params![self.limits.attempts, now()],
        )?;
        transaction.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'", [])?;
        for Deployed { model, bundle, .. } in models {
            transaction.execute(
                "UPDATE jobs SET state = 'failed', input = NULL, finished = ?4,
                     error = 'the model was deployed anew: encrypt the image again'
                 WHERE state = 'queued' AND model = ?1 AND version = ?2 AND bundle != ?3",
                params![model.name(), model.version(), bundle, now()],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// A statement that failed leaves no transaction behind, so that a panic elsewhere does not
    /// end the queue.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores an input. Once this returns, the job survives the end of the process.
    ///
    /// # Errors
    /// [`QueueError::Replayed`] for bytes that were seen from another client or for another model,
    /// [`QueueError::Full`], [`QueueError::ClientFull`], [`QueueError::ResultsFull`],
    /// [`QueueError::Database`].
    pub fn submit(
        &self,
        client: &str,
        deployed: &Deployed,
        input: &[u8],
    ) -> Result<Submission, QueueError> {
        let digest: [u8; 32] = Sha256::digest(input).into();
        let mut connection = self.connection();
        let transaction = begin(&mut connection)?;
        if let Some(job) = seen(&transaction, &digest)? {
            let same = job.client == client && job.model == deployed.model;
            return if same { Ok(Submission::Known(job)) } else { Err(QueueError::Replayed) };
        }
        self.check_room(&transaction, client)?;
        let id = JobId::from_bytes(rand::rng().random());
        let insert = "INSERT INTO jobs
                (id, client, model, version, bundle, digest, state, input, attempts, submitted)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?7, 0, ?8)";
        let Deployed { model, bundle, .. } = deployed;
        let (name, version, id) = (model.name(), model.version(), id.to_string());
        let row = params![id, client, name, version, bundle, digest, input, now()];
        transaction.execute(insert, row)?;
        let job = job::find(&transaction, &id)?.ok_or(QueueError::Vanished)?;
        transaction.commit()?;
        Ok(Submission::Accepted(job))
    }

    fn check_room(&self, transaction: &Transaction<'_>, client: &str) -> Result<(), QueueError> {
        let count = |condition: &str, client: &str| -> Result<usize, QueueError> {
            let query = format!("SELECT count(*) FROM jobs WHERE {condition}");
            let count: i64 = transaction.query_row(&query, [client], |row| row.get(0))?;
            Ok(count as usize)
        };
        let Limits { queued, queued_per_client, results, .. } = self.limits;
        if count("state IN ('queued', 'running') AND client = ?1", client)? >= queued_per_client {
            return Err(QueueError::ClientFull { limit: queued_per_client });
        }
        if count("state IN ('queued', 'running') AND ?1 = ?1", client)? >= queued {
            return Err(QueueError::Full { limit: queued });
        }
        if count("state IN ('done', 'failed') AND ?1 = ?1", client)? >= results {
            return Err(QueueError::ResultsFull { limit: results });
        }
        Ok(())
    }

    /// Takes the job that was begun least often, and among those the one that has waited longest, for
    /// one of `models`.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub fn take(&self, models: &[Deployed]) -> Result<Option<Taken>, QueueError> {
        let mut connection = self.connection();
        let transaction = begin(&mut connection)?;
        // a job that ended the process before must not keep others waiting
        let mut first: Option<((u32, i64), String, &ModelId)> = None;
        for Deployed { model, bundle, .. } in models {
            let query = "SELECT attempts, sequence, id FROM jobs
                WHERE state = 'queued' AND model = ?1 AND version = ?2 AND bundle = ?3
                ORDER BY attempts, sequence LIMIT 1";
            let row = params![model.name(), model.version(), bundle];
            let found = transaction
                .query_row(query, row, |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
            if let Some((order, id)) = found.optional()?
                && first.as_ref().is_none_or(|(least, ..)| order < *least)
            {
                first = Some((order, id, model));
            }
        }
        let Some(((_, sequence), id, model)) = first else { return Ok(None) };
        let input = transaction.query_row(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, started = ?2
             WHERE sequence = ?1 RETURNING input",
            params![sequence, now()],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        Ok(Some(Taken { id: id.parse()?, model: model.clone(), input }))
    }

    /// Stores the result of a job that was taken, or why it failed. A job is answered once: whatever
    /// comes second is refused.
    ///
    /// # Errors
    /// [`QueueError::Answered`], [`QueueError::Database`].
    pub fn finish(&self, id: JobId, result: Result<&[u8], &str>) -> Result<(), QueueError> {
        let (state, output, error) = match result {
            Ok(output) => ("done", Some(output), None),
            Err(error) => ("failed", None, Some(error)),
        };
        let changed = self.connection().execute(
            "UPDATE jobs SET state = ?2, output = ?3, error = ?4, finished = ?5, input = NULL
             WHERE id = ?1 AND state = 'running'",
            params![id.to_string(), state, output, error, now()],
        )?;
        if changed == 1 { Ok(()) } else { Err(QueueError::Answered) }
    }

    /// Lets jobs that run wait again, as if they had not been begun: for a process that ends before
    /// they are done.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub fn release(&self) -> Result<usize, QueueError> {
        let update = "UPDATE jobs SET state = 'queued', attempts = attempts - 1
                      WHERE state = 'running'";
        Ok(self.connection().execute(update, [])?)
    }

    /// A client's job; those of others do not exist for it.
    ///
    /// # Errors
    /// [`QueueError::NoJob`], [`QueueError::Database`].
    pub fn job(&self, client: &str, id: JobId) -> Result<Job, QueueError> {
        let job = job::find(&self.connection(), &id.to_string())?;
        job.filter(|job| job.client == client).ok_or(QueueError::NoJob)
    }

    /// The result of a job that is done.
    ///
    /// # Errors
    /// [`QueueError::NoJob`] also where it has no result.
    pub fn result(&self, client: &str, id: JobId) -> Result<Vec<u8>, QueueError> {
        let query = "SELECT output FROM jobs WHERE id = ?1 AND client = ?2 AND state = 'done'";
        let row = params![id.to_string(), client];
        let found = self.connection().query_row(query, row, |row| row.get(0));
        found.optional()?.ok_or(QueueError::NoJob)
    }

    /// Forgets the result of a job; that its input was seen stays known.
    ///
    /// # Errors
    /// [`QueueError::NoJob`], [`QueueError::Pending`] for a job that waits or runs.
    pub fn collect(&self, client: &str, id: JobId) -> Result<(), QueueError> {
        if matches!(self.job(client, id)?.state, State::Queued | State::Running) {
            return Err(QueueError::Pending);
        }
        let update = "UPDATE jobs SET state = 'collected', output = NULL
                      WHERE id = ?1 AND state IN ('done', 'failed')";
        self.connection().execute(update, [id.to_string()])?;
        Ok(())
    }

    /// Forgets results that are older than so many seconds; gives how many.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub fn expire(&self, seconds: u64) -> Result<usize, QueueError> {
        let update = "UPDATE jobs SET state = 'collected', output = NULL
                      WHERE state IN ('done', 'failed') AND finished < ?1";
        Ok(self.connection().execute(update, [now().saturating_sub(seconds as i64)])?)
    }

    /// How many jobs there are.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub fn counts(&self) -> Result<Counts, QueueError> {
        let connection = self.connection();
        let query = "SELECT state, count(*) FROM jobs WHERE state != 'collected' GROUP BY state";
        let mut statement = connection.prepare_cached(query)?;
        let mut rows = statement.query([])?;
        let mut counts = Counts::default();
        while let Some(row) = rows.next()? {
            let (state, count): (String, i64) = (row.get(0)?, row.get(1)?);
            match state.parse()? {
                State::Queued => counts.queued = count as u64,
                State::Running => counts.running = count as u64,
                State::Done => counts.done = count as u64,
                State::Failed => counts.failed = count as u64,
                State::Collected => {}
            }
        }
        Ok(counts)
    }
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, QueueError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn seen(transaction: &Transaction<'_>, digest: &[u8; 32]) -> Result<Option<Job>, QueueError> {
    let query = "SELECT id FROM jobs WHERE digest = ?1";
    let id: Option<String> = transaction.query_row(query, [digest], |row| row.get(0)).optional()?;
    id.map_or(Ok(None), |id| job::find(transaction, &id))
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
