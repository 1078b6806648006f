//! A row on some images, encrypted: client and server in one process, serialized bytes between them.

use super::cell::{Encrypted, LogitErrors, Times, class};
use super::network::{Hybrid, InSlots, LEVEL, Network, prepare};
use super::rows::Row;
use super::{Inputs, Options, StudyError};
use crate::client::Client;
use crate::polynomial;
use crate::server::Server;
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::time::Instant;

/// What a run leaves behind.
struct Run {
    logits: Vec<Vec<f64>>,
    keys: [u64; 2],
    messages: [u64; 2],
    times: Times,
}

/// Runs the first `count` images of a row encrypted; `advance` is told of each. Nothing where the row
/// has no program.
pub(super) fn encrypted(
    row: &Row,
    inputs: &Inputs,
    options: &Options,
    count: usize,
    advance: &dyn Fn(usize),
) -> Result<Option<Encrypted>, StudyError> {
    let images = &inputs.images[..count.min(inputs.images.len())];
    let prepared = prepare(row, inputs, options)?;
    // keys are reproducible, and therefore not secret: the images are public
    let mut rng = ChaCha20Rng::seed_from_u64(options.seed);
    reset_peak_memory();
    let (run, clear) = match prepared.network {
        Some(Network::Hybrid(hybrid)) => {
            let graph = hybrid.model.simplified().clone();
            let run = hybrid_run(*hybrid, images, &mut rng, advance)?;
            let clear = images.iter().map(|image| graph.evaluate(image));
            (run, clear.collect::<Result<Vec<_>, _>>()?)
        }
        Some(Network::Slots(network, Some(program))) => {
            let run = slots_run(*program, images, &mut rng, advance)?;
            let clear = images.iter().map(|image| network.evaluate(image));
            (run, clear.collect::<Result<Vec<_>, _>>()?)
        }
        _ => return Ok(None),
    };
    let clear: Vec<Vec<f64>> =
        clear.into_iter().map(|logits| logits.into_iter().collect()).collect();
    let pairs = run.logits.iter().zip(&clear).map(|(a, b)| (a.as_slice(), b.as_slice()));
    Ok(Some(Encrypted {
        classes: run.logits.iter().map(|logits| class(logits)).collect(),
        errors: LogitErrors::of(pairs),
        keys: run.keys,
        messages: run.messages,
        times: Times { peak_memory: peak_memory(), ..run.times },
    }))
}

fn values(image: &ArrayD<f64>) -> Vec<f64> {
    image.iter().copied().collect()
}

fn hybrid_run(
    hybrid: Hybrid,
    images: &[ArrayD<f64>],
    rng: &mut ChaCha20Rng,
    advance: &dyn Fn(usize),
) -> Result<Run, StudyError> {
    let (program, parameters) = (hybrid.compiled.program, hybrid.compiled.parameters);
    drop(hybrid.flat);
    let begun = Instant::now();
    let client = Client::new(parameters.clone(), rng)?;
    let keys = client.publish_keys(rng)?.bytes;
    let mut wire = keys.len();
    let mut server = Server::new(&parameters, program.clone(), &keys)?;
    drop(keys);
    if let Some(keys) = client.publish_slot_keys(&program, LEVEL, rng)? {
        wire += keys.len();
        server = server.with_slot_keys(LEVEL, &keys)?;
    }
    let mut run = Run::new(server.key_bytes(), wire, begun);
    advance(0);
    for image in images {
        let input = client.encrypt(&program, &values(image), rng)?;
        let begun = Instant::now();
        let output = server.evaluate(&input, false, &|_| ())?.output;
        run.times.images.push(begun.elapsed().as_secs_f64());
        run.messages = [input.len() as u64, output.len() as u64];
        run.logits.push(client.decrypt(&program, &output)?);
        advance(1);
    }
    Ok(run)
}

fn slots_run(
    slots: InSlots,
    images: &[ArrayD<f64>],
    rng: &mut ChaCha20Rng,
    advance: &dyn Fn(usize),
) -> Result<Run, StudyError> {
    let InSlots { program, parameters, flat } = slots;
    drop(flat);
    let begun = Instant::now();
    let client = polynomial::client::Client::new(parameters.clone(), rng)?;
    let keys = client.publish_keys(&program, rng)?;
    let wire = keys.len();
    let server = polynomial::server::Server::new(&parameters, program.clone(), &keys)?;
    drop(keys);
    let mut run = Run::new(server.key_bytes(), wire, begun);
    advance(0);
    for image in images {
        let input = client.encrypt(&program, &values(image), rng)?;
        let begun = Instant::now();
        let output = server.evaluate(&input, &|_| ())?.results;
        run.times.images.push(begun.elapsed().as_secs_f64());
        run.messages = [input.len() as u64, output.len() as u64];
        run.logits.push(client.decrypt(&program, &output)?);
        advance(1);
    }
    Ok(run)
}

impl Run {
    fn new(keys: usize, wire: usize, begun: Instant) -> Self {
        let times = Times {
            keys: begun.elapsed().as_secs_f64(),
            threads: rayon::current_num_threads(),
            ..Times::default()
        };
        Self { logits: Vec::new(), keys: [keys as u64, wire as u64], messages: [0; 2], times }
    }
}

/// Makes the system forget the largest resident memory so far, where it can.
fn reset_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident memory in bytes since then, where the system tells.
fn peak_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Bytes of memory that are free, where the system tells.
pub(super) fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
