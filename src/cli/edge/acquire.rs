//! `edge acquire`: images in, encrypted results out.

use super::feed::{Arguments as FeedArguments, Feed, Image};
use super::{OwnerArgument, certificate};
use crate::cli::{Failure, files, output};
use bellerophon::agents::{Acquired, AcquisitionAgent, AgentError};
use bellerophon::service::connection::{Connection, ConnectionError, Endpoint};
use bellerophon::service::queue::JobId;
use bellerophon::service::tls;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long to wait where nothing moved: twice as long each time, up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The largest file of a token, in bytes.
const TOKEN_LIMIT: u64 = 1024;

/// Encrypts images under a model's public key, submits them to edge serve, and collects results
#[derive(Debug, Args)]
pub struct Arguments {
    /// The model's bundle from owner deploy
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    #[command(flatten)]
    owner: OwnerArgument,
    /// Where the service is: http://host:port or https://host:port
    #[arg(long, value_name = "URL")]
    url: String,
    /// The file of this client's token, from edge token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The authority that the service's certificate is checked against, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// This client's certificate, in PEM
    #[arg(long, value_name = "FILE", requires_all = ["key", "ca"])]
    certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    #[command(flatten)]
    feed: FeedArguments,
    /// The folder for results; what is in it already is not done again
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Images that are submitted and wait for their result, at most
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// Seconds to go on trying while the service cannot be reached or is full
    #[arg(long, value_name = "S", default_value_t = 60)]
    patience: u64,
}

/// What came back.
#[derive(Debug, Serialize)]
pub struct Collected {
    model: String,
    results: Vec<PathBuf>,
}

/// Runs until all images have their results; with --watch, until it is interrupted or has as many as
/// --count says.
pub fn run(arguments: &Arguments) -> Result<Collected, Failure> {
    let mut bundle = arguments.owner.bundle(&arguments.bundle)?;
    let connection = Connection::new(arguments.endpoint()?)?;
    let agent =
        AcquisitionAgent::new(&mut bundle, files::LEVEL, connection, arguments.out.clone())?;
    let feed = arguments.feed.open(agent.elements())?;
    let model = agent.model().to_string();
    let bar = match feed.count() {
        Some(count) => output::bar(count, "results"),
        None => output::spinner("waiting for images"),
    };
    let mut stream = Stream {
        agent,
        feed,
        waiting: None,
        pending: VecDeque::new(),
        results: Vec::new(),
        moved: Instant::now(),
        bar,
        rng: ChaCha20Rng::from_rng(&mut rand::rng()),
    };
    let done = stream.run(arguments);
    stream.bar.finish_and_clear();
    done.map(|()| Collected { model, results: stream.results })
}

impl Arguments {
    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let token = self.token_file.as_ref().map(|path| -> Result<_, Failure> {
            let bytes = files::read(path, "token", TOKEN_LIMIT)?;
            let text = std::str::from_utf8(&bytes).map_err(|_| "the token file is no text")?;
            Ok(Zeroizing::new(text.trim().to_owned()))
        });
        let own = certificate(self.certificate.as_ref(), self.key.as_ref());
        let tls = self.ca.as_ref().map(|ca| tls::client(ca, own.as_ref()));
        let (token, tls) = (token.transpose()?, tls.transpose()?.map(Arc::new));
        Ok(Endpoint { url: self.url.clone(), token, tls })
    }
}

/// Images on their way.
struct Stream {
    agent: AcquisitionAgent,
    feed: Feed,
    /// An image that could not be submitted yet.
    waiting: Option<Image>,
    pending: VecDeque<(String, JobId)>,
    results: Vec<PathBuf>,
    moved: Instant,
    bar: indicatif::ProgressBar,
    rng: ChaCha20Rng,
}

impl Stream {
    fn run(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        let patience = Duration::from_secs(arguments.patience);
        let mut pause = PAUSE;
        loop {
            let moved = self.submit(arguments.window.into())? | self.collect()?;
            if self.feed.is_done() && self.waiting.is_none() && self.pending.is_empty() {
                return Ok(());
            }
            if arguments.feed.is_enough(self.results.len()) {
                return Ok(());
            }
            let idle = self.waiting.is_none() && self.pending.is_empty();
            if moved || idle {
                self.moved = Instant::now();
            }
            if moved {
                pause = PAUSE;
            } else {
                std::thread::sleep(pause);
                pause = LONGEST_PAUSE.min(2 * pause);
            }
            if self.moved.elapsed() > patience && self.waiting.is_some() {
                return Err("the service cannot be reached or stays full: what was submitted is \
                            kept, so that the same command goes on where this one ends"
                    .into());
            }
        }
    }

    /// Submits images until the window is full; whether one was.
    fn submit(&mut self, window: usize) -> Result<bool, Failure> {
        let mut moved = false;
        while self.pending.len() < window {
            let next = match self.waiting.take() {
                Some(image) => Some(image),
                None => self.feed.next()?,
            };
            let Some(image) = next else { break };
            match self.agent.submit(&image.name, &image.values, &mut self.rng) {
                Ok(Acquired::Pending(id)) => self.pending.push_back((image.name, id)),
                Ok(Acquired::Done(path)) => self.done(path),
                Err(AgentError::Connection(error)) if error.is_transient() => {
                    self.bar.set_message(error.to_string());
                    self.waiting = Some(image);
                    break;
                }
                Err(error) => return Err(format!("{}: {error}", image.name).into()),
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Asks for the results of all that wait; whether one came.
    fn collect(&mut self) -> Result<bool, Failure> {
        let mut moved = false;
        for _ in 0..self.pending.len() {
            let Some((name, id)) = self.pending.pop_front() else { break };
            match self.agent.collect(&name, id) {
                Ok(Acquired::Done(path)) => {
                    self.done(path);
                    moved = true;
                }
                Ok(Acquired::Pending(id)) => self.pending.push_back((name, id)),
                Err(AgentError::Connection(error)) if error.is_transient() => {
                    self.bar.set_message(error.to_string());
                    self.pending.push_back((name, id));
                    break;
                }
                Err(error) => return Err(self.given_up(&name, &error)),
            }
        }
        Ok(moved)
    }

    fn done(&mut self, path: PathBuf) {
        self.bar.inc(1);
        self.bar.set_message("");
        self.results.push(path);
    }

    /// A job that failed, or whose result is gone, is encrypted anew on the next run.
    fn given_up(&mut self, name: &str, error: &AgentError) -> Failure {
        let lost = matches!(error, AgentError::Gone { .. })
            || matches!(
                error,
                AgentError::Connection(ConnectionError::Refused { status: 404 | 422, .. })
            );
        if lost {
            let _ = self.agent.forget(name);
        }
        format!("{name}: {error}").into()
    }
}

impl Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.results {
            writeln!(f, "{}", path.display())?;
        }
        write!(f, "{} results of {}", self.results.len(), self.model)
    }
}
