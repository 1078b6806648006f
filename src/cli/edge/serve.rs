//! `edge serve`: the processing machine's service.

use super::token::TOKENS_LIMIT;
use super::{OwnerArgument, certificate};
use crate::cli::{Failure, files, output};
use bellerophon::agents::ProcessingAgent;
use bellerophon::service::auth::Tokens;
use bellerophon::service::processor::Deployed;
use bellerophon::service::queue::Limits;
use bellerophon::service::{Access, Options, Service, tls};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Serves deployed models over HTTP: takes encrypted images, gives encrypted results
#[derive(Debug, Args)]
pub struct Arguments {
    /// A bundle from owner deploy; once for each model
    #[arg(long, value_name = "FILE", required = true)]
    bundle: Vec<PathBuf>,
    #[command(flatten)]
    owner: OwnerArgument,
    /// The folder for jobs, which survive a restart; made where there is none
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// The service's certificate and those that vouch for it, in PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Lets in clients with a certificate of these authorities, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    client_ca: Option<PathBuf>,
    /// Lets in clients with a token of this file, from edge token
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Lets in whoever reaches the service: for a machine that nobody else uses
    #[arg(long, conflicts_with_all = ["tokens", "client_ca"])]
    insecure_anyone: bool,
    /// Listens beyond this machine without TLS, so that tokens can be read on the way: for use
    /// behind a proxy that speaks TLS
    #[arg(long, conflicts_with = "certificate")]
    insecure_plaintext: bool,
    /// The limit of resident memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(16..=1 << 24))]
    memory: u64,
    /// Jobs that wait or run, at most
    #[arg(long, value_name = "N", default_value_t = Limits::default().queued)]
    queue: usize,
    /// Jobs of one client that wait or run, at most
    #[arg(long, value_name = "N", default_value_t = Limits::default().queued_per_client)]
    queue_per_client: usize,
    /// Results that were not collected, at most
    #[arg(long, value_name = "N", default_value_t = Limits::default().results)]
    results: usize,
    /// How often a job is begun that ends the process each time
    #[arg(long, value_name = "N", default_value_t = Limits::default().attempts)]
    attempts: u32,
    /// Jobs that run at a time; each uses all threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: usize,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 256)]
    connections: usize,
    /// Seconds that a client may take for the head of a request
    #[arg(long, value_name = "S", default_value_t = 10)]
    head_seconds: u64,
    /// Seconds that a client may take for a body
    #[arg(long, value_name = "S", default_value_t = 60)]
    body_seconds: u64,
    /// Hours that results are kept
    #[arg(long, value_name = "H", default_value_t = 168)]
    keep_hours: u64,
    /// Seconds that running jobs may take to end on SIGTERM; longer ones wait for the next start
    #[arg(long, value_name = "S", default_value_t = 30)]
    grace_seconds: u64,
    /// How logs are written, on stderr
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log: LogFormat,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let access = arguments.access()?;
    arguments.check_address()?;
    let tls = arguments.tls(matches!(&access, Access::Clients(tokens) if !tokens.is_empty()))?;
    let models = arguments.models()?;
    let listener = TcpListener::bind(arguments.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    arguments.log.begin();
    let service = Service::new(models, &arguments.state, access, arguments.options())?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    // for whoever started it, with a port that was free
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{scheme}://{}", listener.local_addr()?);
    let _ = stdout.flush();
    Ok(service.run(listener, tls, stopped())?)
}

/// Done on an interrupt.
#[cfg(not(unix))]
async fn stopped() {
    let _ = tokio::signal::ctrl_c().await;
}

/// Done on SIGTERM or SIGINT; never where the system gives no signals.
#[cfg(unix)]
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

impl LogFormat {
    fn begin(self) {
        let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
        match self {
            Self::Text => log.with_ansi(false).init(),
            Self::Json => log.json().flatten_event(true).init(),
        }
        // where, not with what: a message could hold anything
        std::panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(location, "panic");
        }));
    }
}

impl Arguments {
    fn access(&self) -> Result<Access, Failure> {
        if self.insecure_anyone {
            output::warn("--insecure-anyone: whoever reaches the service can use it");
            return Ok(Access::InsecureAnyone);
        }
        let Some(path) = &self.tokens else {
            return match &self.client_ca {
                Some(_) => Ok(Access::Clients(Tokens::default())),
                None => Err("nobody could use the service: name --tokens or --client-ca".into()),
            };
        };
        let bytes = files::read(path, "token", TOKENS_LIMIT)?;
        let text = std::str::from_utf8(&bytes).unwrap_or("not text");
        let tokens = Tokens::parse(text).map_err(|e| format!("{}: {e}", path.display()))?;
        match tokens.is_empty() && self.client_ca.is_none() {
            true => {
                Err(format!("{} holds no token: make one with edge token", path.display()).into())
            }
            false => Ok(Access::Clients(tokens)),
        }
    }

    fn check_address(&self) -> Result<(), Failure> {
        let plain = self.certificate.is_none() && !self.insecure_plaintext;
        match plain && !self.listen.ip().is_loopback() {
            true => Err(format!(
                "without --certificate, {} would send tokens in the clear: name one, listen on \
                 127.0.0.1, or say --insecure-plaintext",
                self.listen
            )
            .into()),
            false => Ok(()),
        }
    }

    fn tls(&self, tokens_too: bool) -> Result<Option<rustls::ServerConfig>, Failure> {
        match certificate(self.certificate.as_ref(), self.key.as_ref()) {
            None => Ok(None),
            Some(own) => Ok(Some(tls::server(&own, self.client_ca.as_deref(), tokens_too)?)),
        }
    }

    fn models(&self) -> Result<Vec<Deployed>, Failure> {
        let model = |path: &PathBuf| -> Result<Deployed, Failure> {
            let spinner = output::spinner("verifying a bundle and reading its keys");
            let read = ProcessingAgent::deploy(&mut self.owner.bundle(path)?, files::LEVEL);
            spinner.finish_and_clear();
            read.map_err(|error| format!("{}: {error}", path.display()).into())
        };
        self.bundle.iter().map(model).collect()
    }

    fn options(&self) -> Options {
        Options {
            limits: Limits {
                queued: self.queue,
                queued_per_client: self.queue_per_client,
                results: self.results,
                attempts: self.attempts,
            },
            workers: self.workers,
            memory: self.memory << 20,
            connections: self.connections,
            head_time: Duration::from_secs(self.head_seconds),
            body_time: Duration::from_secs(self.body_seconds),
            keep_seconds: self.keep_hours.saturating_mul(3600),
            grace: Duration::from_secs(self.grace_seconds),
            ..Options::default()
        }
    }
}
