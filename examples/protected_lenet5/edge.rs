//! The process that is not trusted: a service, and a camera beside it.

use crate::{Failure, LEVEL, digits};
use bellerophon::agents::{Acquired, AcquisitionAgent, ProcessingAgent};
use bellerophon::bundle::{Bundle, OwnerKey};
use bellerophon::service::auth::Tokens;
use bellerophon::service::connection::{Connection, Endpoint};
use bellerophon::service::queue::JobId;
use bellerophon::service::{Access, Options, Service};
use clap::Args;
use indicatif::ProgressBar;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// How long to wait between two looks for a result.
const PAUSE: Duration = Duration::from_millis(100);

/// All that the edge is given.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The owner's public key
    #[arg(long)]
    owner: OwnerKey,
    /// The signed bundle
    #[arg(long)]
    bundle: PathBuf,
    /// Digests of the tokens of clients
    #[arg(long)]
    tokens: PathBuf,
    /// The camera's token
    #[arg(long)]
    token_file: PathBuf,
    /// Where jobs and results go
    #[arg(long)]
    folder: PathBuf,
    /// How many digits the camera sees
    #[arg(long)]
    images: usize,
}

/// Serves the model to its own camera, then ends.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut bundle = Bundle::open(&arguments.bundle, &arguments.owner)?;
    let deployed = ProcessingAgent::deploy(&mut bundle, LEVEL)?;
    println!(
        "  edge      verified the bundle of {} and read its keys in {:.1} s; input {} bytes",
        deployed.model,
        begun.elapsed().as_secs_f64(),
        deployed.processor.input_limit()
    );
    let access = Access::Clients(Tokens::parse(&fs::read_to_string(&arguments.tokens)?)?);
    let state = arguments.folder.join("jobs");
    let service = Service::new(vec![deployed], &state, access, Options::default())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("  edge      serves on {url}");
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let serving = std::thread::spawn(move || service.run(listener, None, shutdown));
    let acquired = acquire(arguments, &mut bundle, url);
    drop(stop);
    let served = serving.join().map_err(|_| "the service panicked")?;
    acquired.and_then(|()| Ok(served?))
}

/// The camera: it encrypts, submits and collects, and can open nothing.
fn acquire(arguments: &Arguments, bundle: &mut Bundle, url: String) -> Result<(), Failure> {
    let token = Some(Zeroizing::new(fs::read_to_string(&arguments.token_file)?));
    let connection = Connection::new(Endpoint { url, token, tls: None })?;
    let results = arguments.folder.join("results");
    let mut agent = AcquisitionAgent::new(bundle, LEVEL, connection, results)?;
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let mut pending: Vec<(String, JobId)> = Vec::new();
    for (index, image) in digits(arguments.images)?.1.iter().enumerate() {
        let name = format!("digit-{index:06}");
        let values: Vec<f64> = image.iter().copied().collect();
        if let Acquired::Pending(id) = agent.submit(&name, &values, &mut rng)? {
            println!("  edge      encrypted {name} and submitted it as job {id}");
            pending.push((name, id));
        }
    }
    let begun = Instant::now();
    let spinner = ProgressBar::new_spinner().with_message("edge: running the encrypted model");
    spinner.enable_steady_tick(Duration::from_millis(120));
    for (name, id) in &pending {
        while let Acquired::Pending(_) = agent.collect(name, *id)? {
            std::thread::sleep(PAUSE);
        }
    }
    spinner.finish_and_clear();
    println!(
        "  edge      {} encrypted results in {:.1} s",
        pending.len(),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}
