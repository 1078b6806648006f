//! Runs jobs, one after the other.

use super::Shared;
use super::processor::{Deployed, InputError};
use super::queue::{QueueError, Taken};
use crate::inference::EncryptedInference;
use bellerophon_schemes::wire;
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long to wait after the database failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a result is tried to be stored before it is left to the next start.
const TRIES: u32 = 20;

/// Works until the service drains.
pub(super) fn work(shared: &Shared) {
    let mut seen = 0;
    while !shared.draining() {
        match shared.queue.take(&shared.models) {
            Ok(Some(job)) => run(shared, &job),
            Ok(None) => {
                expire(shared);
                seen = shared.wait(seen);
            }
            Err(error) => {
                unhealthy(shared, "cannot take a job", &error);
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn expire(shared: &Shared) {
    match shared.queue.expire(shared.options.keep_seconds) {
        Ok(0) => {}
        Ok(expired) => tracing::info!(expired, "results were kept too long and are deleted"),
        Err(error) => unhealthy(shared, "cannot delete old results", &error),
    }
}

fn unhealthy(shared: &Shared, what: &str, error: &QueueError) {
    tracing::error!(%error, "{what}");
    shared.healthy.store(false, Ordering::SeqCst);
}

fn run(shared: &Shared, job: &Taken) {
    let begun = Instant::now();
    let deployed = shared.models.iter().find(|deployed| deployed.model == job.model);
    let result = match deployed {
        Some(deployed) => process(deployed, &job.input),
        None => Err("the model is not deployed".to_owned()),
    };
    let time = begun.elapsed();
    let seconds = time.as_secs_f64();
    let (id, model) = (job.id, &job.model);
    match &result {
        Ok(output) => tracing::info!(%id, %model, seconds, bytes = output.len(), "job done"),
        Err(error) => tracing::warn!(%id, %model, seconds, %error, "job failed"),
    }
    if finish(shared, job, result.as_deref().map_err(String::as_str)) {
        shared.metrics.finished(result.is_ok(), time);
    }
}

/// The result in the form that the owner reads. A panic ends the job, not the service.
fn process(deployed: &Deployed, input: &[u8]) -> Result<Vec<u8>, String> {
    let processed = catch_unwind(AssertUnwindSafe(|| deployed.processor.process(input)));
    let output = match processed {
        Ok(Ok(output)) => output,
        Ok(Err(InputError::Malformed(reason) | InputError::Unfit(reason))) => return Err(reason),
        Err(_) => return Err("an internal error, which is in the service's log".to_owned()),
    };
    let Deployed { model, bundle, key, .. } = deployed;
    let input = Sha256::digest(input).into();
    let inference =
        EncryptedInference { model: model.clone(), bundle: *bundle, key: *key, input, output };
    wire::to_bytes(&inference).map_err(|error| error.to_string())
}

/// Stores a result. What cannot be stored is computed again after the next start.
fn finish(shared: &Shared, job: &Taken, result: Result<&[u8], &str>) -> bool {
    for _ in 0..TRIES {
        match shared.queue.finish(job.id, result) {
            Ok(()) => {
                shared.healthy.store(true, Ordering::SeqCst);
                return true;
            }
            Err(QueueError::Answered) => return false,
            Err(error) => unhealthy(shared, "cannot store a result", &error),
        }
        std::thread::sleep(PAUSE);
    }
    false
}
