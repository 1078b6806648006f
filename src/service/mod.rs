//! The processing machine's HTTP service: it takes encrypted inputs for deployed models, keeps them
//! as jobs, runs them, and hands out encrypted results. It holds evaluation keys and nothing secret.
//!
//! `docs/deployment.md` lists the endpoints with every status they answer.

pub mod auth;
mod body;
pub mod connection;
mod http;
mod listener;
mod memory;
mod metrics;
pub mod processor;
pub mod queue;
mod refusal;
#[cfg(test)]
mod tests;
pub mod tls;
mod worker;

use auth::Tokens;
use memory::Memory;
use metrics::Metrics;
use processor::Deployed;
use queue::{Limits, Queue, QueueError};
use std::future::Future;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why the service did not start, or ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Nothing to run.
    #[error("no model is deployed: name a bundle")]
    NoModel,
    /// Two bundles of one name and version.
    #[error("two bundles are of model {0}: name one")]
    Twice(String),
    /// Keys and models alone leave too little of the limit.
    #[error(
        "the deployed models take {used} bytes of memory, and the limit is {limit}: allow at least a \
         third more than they take"
    )]
    Memory {
        /// What the process takes before the first job.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// A number that cannot be.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// In the queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// In the network.
    #[error("the service cannot listen: {0}")]
    Io(#[from] std::io::Error),
}

/// What the service may take, and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Jobs and results that are held.
    pub limits: Limits,
    /// Jobs that run at a time; each uses all threads of the pool.
    pub workers: usize,
    /// Resident memory of the process, in bytes: models and keys take at most 3/4 of it, bytes in
    /// passage 1/8; from 7/8 on, uploads are refused.
    pub memory: u64,
    /// Connections at a time.
    pub connections: usize,
    /// How long a client may take for the head of a request, idle time before it included.
    pub head_time: Duration,
    /// How long a client may take for a body.
    pub body_time: Duration,
    /// How long a connection lives, whatever it does.
    pub connection_time: Duration,
    /// How long results are kept, in seconds.
    pub keep_seconds: u64,
    /// How long jobs that run may take to end when the service does.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            workers: 1,
            memory: 4 << 30,
            connections: 256,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(60),
            connection_time: Duration::from_secs(600),
            keep_seconds: 7 * 24 * 3600,
            grace: Duration::from_secs(30),
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), ServiceError> {
        let Limits { queued, queued_per_client, results, attempts } = self.limits;
        let counts = [
            (queued, "the number of queued jobs"),
            (queued_per_client, "the number of queued jobs of a client"),
            (results, "the number of results"),
            (attempts as usize, "the number of attempts"),
            (self.workers, "the number of workers"),
            (self.connections, "the number of connections"),
        ];
        match counts.into_iter().find(|(count, _)| *count == 0) {
            Some((_, name)) => Err(ServiceError::Zero(name)),
            None => Ok(()),
        }
    }
}

/// Who may use the service.
#[derive(Clone, Debug)]
pub enum Access {
    /// Clients with a token of these, or with a certificate that TLS has verified.
    Clients(Tokens),
    /// Whoever reaches it.
    InsecureAnyone,
}

/// What all parts of the service share.
#[derive(Debug)]
struct Shared {
    models: Vec<Deployed>,
    queue: Queue,
    access: Access,
    options: Options,
    memory: Memory,
    metrics: Metrics,
    draining: AtomicBool,
    healthy: AtomicBool,
    /// Counts the jobs that came, so that no worker sleeps through one.
    arrivals: Mutex<u64>,
    arrived: Condvar,
}

impl Shared {
    fn draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.arrived.notify_all();
    }

    /// Waits for a job, but not for ever: results must expire too.
    fn wait(&self, seen: u64) -> u64 {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let more = |arrivals: &mut u64| *arrivals == seen && !self.draining();
        let waited = self.arrived.wait_timeout_while(arrivals, Duration::from_secs(60), more);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The service, ready to run.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

impl Service {
    /// Opens the jobs in `folder`.
    ///
    /// # Errors
    /// All variants of [`ServiceError`] but [`ServiceError::Io`].
    pub fn new(
        models: Vec<Deployed>,
        folder: &Path,
        access: Access,
        options: Options,
    ) -> Result<Self, ServiceError> {
        options.check()?;
        check_models(&models)?;
        let used = memory::resident().unwrap_or(0);
        if used > options.memory - options.memory / 4 {
            return Err(ServiceError::Memory { used, limit: options.memory });
        }
        let queue = Queue::open(folder, options.limits, &models)?;
        let shared = Shared {
            models,
            queue,
            access,
            memory: Memory::new(options.memory),
            metrics: Metrics::new(options.memory),
            options,
            draining: AtomicBool::new(false),
            healthy: AtomicBool::new(true),
            arrivals: Mutex::new(0),
            arrived: Condvar::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Serves on `listener` until `shutdown` is done, then finishes what was begun: requests, and
    /// jobs as long as [`Options::grace`] allows. Jobs that take longer wait for the next start.
    ///
    /// # Errors
    /// [`ServiceError::Io`].
    pub fn run(
        self,
        listener: TcpListener,
        tls: Option<rustls::ServerConfig>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServiceError> {
        let Self { shared } = self;
        let mut workers = Vec::new();
        for index in 0..shared.options.workers {
            let shared = shared.clone();
            let name = format!("worker {index}");
            workers
                .push(std::thread::Builder::new().name(name).spawn(move || worker::work(&shared))?);
        }
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        // what they wait for is one disk
        let runtime = runtime.enable_all().worker_threads(2).max_blocking_threads(8).build()?;
        let served = runtime.block_on(listener::serve(&shared, listener, tls, shutdown));
        shared.draining.store(true, Ordering::SeqCst);
        shared.wake();
        let deadline = Instant::now() + shared.options.grace;
        while workers.iter().any(|worker| !worker.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let released = shared.queue.release()?;
        tracing::info!(released, "stopped");
        runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(served?)
    }
}

fn check_models(models: &[Deployed]) -> Result<(), ServiceError> {
    if models.is_empty() {
        return Err(ServiceError::NoModel);
    }
    for (index, deployed) in models.iter().enumerate() {
        if models[..index].iter().any(|other| other.model == deployed.model) {
            return Err(ServiceError::Twice(deployed.model.to_string()));
        }
    }
    Ok(())
}
