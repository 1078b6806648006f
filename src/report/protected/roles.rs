//! One role of one row, in a process of its own.

use super::{Classifier, Dataset, EvaluationError, Part, Source, exact};
use crate::polynomial::protected::plan::MEASURED;
use crate::polynomial::protected::{
    Architecture, Edge, InputEncryptor, Owner, Plan, ProtectedNetwork, Settings,
};
use bellerophon_schemes::ckks::Parameters;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire;
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use zeroize::Zeroizing;

/// Inputs from which ranges are taken.
const SAMPLES: usize = 32;
/// What a role makes of an input.
pub(super) type Made<T> = Result<Vec<T>, EvaluationError>;

/// Where inputs are left for the other roles.
const EXAMPLES: &str = "examples.json";
/// Linux counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;

/// Who does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The owner encrypts the model and publishes keys.
    Protect,
    /// An input is encrypted with the public key.
    Encrypt,
    /// The edge evaluates with the input in the clear.
    EvaluateClear,
    /// The edge evaluates with the input encrypted.
    Evaluate,
    /// The owner opens the result.
    Decrypt,
}

impl Role {
    /// In order.
    pub const ALL: [Self; 5] =
        [Self::Protect, Self::Encrypt, Self::EvaluateClear, Self::Evaluate, Self::Decrypt];

    /// What a message calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Protect => "encrypting the model",
            Self::Encrypt => "encrypting an input",
            Self::EvaluateClear => "evaluating with a clear input",
            Self::Evaluate => "evaluating with an encrypted input",
            Self::Decrypt => "decrypting",
        }
    }
}

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Its role.
    pub role: Role,
    /// The CNN's size.
    pub dataset: Dataset,
    /// What of its classifier is encrypted.
    pub part: Part,
    /// Of the parameters.
    pub security: SecurityLevel,
    /// Where weights and inputs come from.
    pub source: Source,
    /// Bits of precision asked for.
    pub precision: f64,
    /// The agreement that exact activations are selected for, as in [`super::Method`].
    pub agreement: Option<f64>,
    /// How often it is done; times are means.
    pub repeats: u32,
    /// Where the roles leave files for each other.
    pub folder: PathBuf,
}

/// What a process found. What a role has no figure for is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Mean seconds of wall clock.
    pub seconds: f64,
    /// Mean seconds of processor time of all threads, to within a hundredth in all.
    pub processor_seconds: f64,
    /// Seconds of preparation: planning, or reading and expanding the model and the keys.
    pub preparation_seconds: f64,
    /// Growth of the resident set, from the start of the process to its peak, in bytes; none where
    /// the system does not tell.
    pub memory_bytes: Option<u64>,
    /// Bytes of what was made: the encrypted model, the input, the result.
    pub bytes: u64,
    /// Bytes of the evaluation and public keys on the wire.
    pub key_bytes: u64,
    /// Encrypted diagonals and biases.
    pub ciphertexts: usize,
    /// `log2` of the ring dimension.
    pub log_dimension: u32,
    /// `log2` of the modulus, special primes included.
    pub log2_qp: f64,
    /// `log2` of the scale.
    pub log_scale: u32,
    /// `log2` of the modulus left in the result.
    pub remaining_bits: f64,
    /// Predicted bits of precision of the results, on the path of slots.
    pub predicted_precision: Option<f64>,
    /// Measured bits of precision, over the inputs of the prediction; with exact activations, of the
    /// first.
    pub precision: f64,
}

/// Does the job and says what it found.
///
/// # Errors
/// [`EvaluationError`].
pub fn perform(job: &Job) -> Result<Figures, EvaluationError> {
    let before = resident("VmRSS:");
    let mut figures = match (job.role, job.part.is_exact()) {
        (Role::Protect, false) => protect(job)?,
        (Role::Encrypt, false) => encrypt(job)?,
        (Role::EvaluateClear | Role::Evaluate, false) => evaluate(job)?,
        (Role::Decrypt, false) => decrypt(job)?,
        (Role::Protect, true) => exact::protect(job)?,
        (Role::Encrypt, true) => exact::encrypt(job)?,
        (Role::EvaluateClear | Role::Evaluate, true) => exact::evaluate(job)?,
        (Role::Decrypt, true) => exact::decrypt(job)?,
    };
    let peak = resident("VmHWM:");
    figures.memory_bytes = peak.zip(before).map(|(peak, before)| peak.saturating_sub(before));
    Ok(figures)
}

fn resident(what: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(what))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Seconds of processor time of this process so far.
fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// What the last of the repeated calls made, with mean times.
pub(super) fn timed<T>(
    repeats: u32,
    mut work: impl FnMut() -> Result<T, EvaluationError>,
) -> Result<(T, Figures), EvaluationError> {
    let (begun, processor) = (Instant::now(), processor_seconds());
    let mut made = work()?;
    for _ in 1..repeats {
        made = work()?;
    }
    let repeats = f64::from(repeats.max(1));
    let figures = Figures {
        seconds: begun.elapsed().as_secs_f64() / repeats,
        processor_seconds: (processor_seconds() - processor) / repeats,
        ..Figures::default()
    };
    Ok((made, figures))
}

pub(super) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_rng(&mut rand::rng())
}

fn file<T>(path: &Path, found: std::io::Result<T>) -> Result<T, EvaluationError> {
    found.map_err(|source| EvaluationError::File { path: path.display().to_string(), source })
}

pub(super) fn write(job: &Job, name: &str, bytes: &[u8]) -> Result<(), EvaluationError> {
    let path = job.folder.join(name);
    file(&path, fs::write(&path, bytes))
}

pub(super) fn read(job: &Job, name: &str) -> Result<Vec<u8>, EvaluationError> {
    let path = job.folder.join(name);
    file(&path, fs::read(&path))
}

fn read_json<T: DeserializeOwned>(job: &Job, name: &str) -> Result<T, EvaluationError> {
    Ok(serde_json::from_slice(&read(job, name)?)?)
}

fn deployed(job: &Job) -> Result<(Architecture, Parameters), EvaluationError> {
    let architecture: Architecture = read_json(job, "architecture.json")?;
    let parameters = architecture.secure_parameters()?;
    Ok((architecture, parameters))
}

/// One input, and what comes out for it in the clear.
#[derive(Serialize, Deserialize)]
pub(super) struct Example {
    pub values: Vec<f64>,
    pub expected: Vec<f64>,
}

fn protect(job: &Job) -> Result<Figures, EvaluationError> {
    let begun = Instant::now();
    let Classifier { graph, inputs } =
        Classifier::new(job.dataset, job.part, &job.source, SAMPLES)?;
    let replacement = Classifier::replacement(&graph);
    let (security, precision) = (job.security, job.precision);
    let settings = Settings { security, precision, ..Settings::default() };
    let plan = Plan::new(&graph, &replacement, &settings, &inputs)?;
    drop(graph);
    let parameters = plan.architecture().secure_parameters()?;
    let preparation_seconds = begun.elapsed().as_secs_f64();
    let mut rng = rng();
    let owner = Owner::new(&parameters, &mut rng)?;
    let (network, timed) = timed(job.repeats, || {
        Ok(wire::to_bytes(&owner.protect(plan.plain(), &mut rng, &|| ())?)?)
    })?;
    write(job, "network.bin", &network)?;
    let keys = owner.publish_keys(plan.architecture(), &mut self::rng())?;
    write(job, "public.bin", &keys.public)?;
    write(job, "keys.bin", &keys.evaluation)?;
    write(job, "secret.bin", owner.secret().as_slice())?;
    let architecture = plan.architecture().clone();
    write(job, "architecture.json", &serde_json::to_vec(&architecture)?)?;
    // those on which precision is predicted
    let examples = &inputs[..inputs.len().min(MEASURED)];
    write_examples(job, examples, &|input| Ok(plan.evaluate(input)?))?;
    let costs = plan.costs(&parameters)?;
    Ok(Figures {
        preparation_seconds,
        bytes: network.len() as u64,
        key_bytes: (keys.public.len() + keys.evaluation.len()) as u64,
        ciphertexts: costs.ciphertexts,
        log_dimension: plan.architecture().parameters.log_dimension,
        log2_qp: parameters.log2_qp(),
        log_scale: plan.architecture().log_scale,
        remaining_bits: costs.remaining_bits,
        predicted_precision: Some(plan.precision()),
        ..timed
    })
}

fn encrypt(job: &Job) -> Result<Figures, EvaluationError> {
    let (architecture, parameters) = deployed(job)?;
    let encryptor = InputEncryptor::new(&parameters, &architecture, &read(job, "public.bin")?)?;
    let mut rng = rng();
    each_example(job, job.repeats, "input", &mut |example, _| {
        Ok(encryptor.encrypt(&example.values, &mut rng)?)
    })
}

fn evaluate(job: &Job) -> Result<Figures, EvaluationError> {
    let begun = Instant::now();
    let (_, parameters) = deployed(job)?;
    let network = ProtectedNetwork::from_bytes(&read(job, "network.bin")?, &parameters)?;
    let edge = Edge::new(&parameters, network, &read(job, "keys.bin")?)?;
    let preparation_seconds = begun.elapsed().as_secs_f64();
    let figures = each_example(job, job.repeats, "result", &mut |example, index| {
        let evaluation = match job.role {
            Role::Evaluate => edge.evaluate(&read(job, &numbered("input", index))?, &|_| ())?,
            _ => edge.evaluate_clear(&example.values, &|_| ())?,
        };
        Ok(evaluation.result)
    })?;
    Ok(Figures { preparation_seconds, ..figures })
}

fn decrypt(job: &Job) -> Result<Figures, EvaluationError> {
    let (architecture, parameters) = deployed(job)?;
    let mut secret = Zeroizing::new([0; crate::polynomial::protected::owner::SECRET_BYTES]);
    let stored = Zeroizing::new(read(job, "secret.bin")?);
    secret.iter_mut().zip(stored.iter()).for_each(|(to, from)| *to = *from);
    let owner = Owner::from_secret(&parameters, secret)?;
    each_result(job, &|result| Ok(owner.decrypt(&architecture, result)?))
}

/// `-log2` of the root mean square error over the largest expected value.
fn precision(found: &[f64], expected: &[f64]) -> f64 {
    let squares: f64 = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
    -((squares / expected.len().max(1) as f64).sqrt() / largest).log2()
}

/// The file of the example with this number.
pub(super) fn numbered(name: &str, index: usize) -> String {
    format!("{name}-{index}.bin")
}

/// Leaves inputs for the other roles, with what comes out for them in the clear.
pub(super) fn write_examples(
    job: &Job,
    inputs: &[ArrayD<f64>],
    evaluate: &dyn Fn(&ArrayD<f64>) -> Made<f64>,
) -> Result<(), EvaluationError> {
    let example = |input: &ArrayD<f64>| {
        Ok(Example { values: input.iter().copied().collect(), expected: evaluate(input)? })
    };
    let examples = inputs.iter().map(example).collect::<Result<Vec<_>, EvaluationError>>()?;
    write(job, EXAMPLES, &serde_json::to_vec(&examples)?)
}

/// Works on every example and leaves what was made; times are those of the first.
pub(super) fn each_example(
    job: &Job,
    repeats: u32,
    name: &str,
    work: &mut dyn FnMut(&Example, usize) -> Made<u8>,
) -> Result<Figures, EvaluationError> {
    let examples: Vec<Example> = read_json(job, EXAMPLES)?;
    let mut figures = Figures::default();
    for (index, example) in examples.iter().enumerate() {
        let repeats = if index == 0 { repeats } else { 1 };
        let (made, timed) = timed(repeats, || work(example, index))?;
        write(job, &numbered(name, index), &made)?;
        if index == 0 {
            figures = Figures { bytes: made.len() as u64, ..timed };
        }
    }
    Ok(figures)
}

/// Opens every result: times of the first, precision of all.
pub(super) fn each_result(
    job: &Job,
    open: &dyn Fn(&[u8]) -> Made<f64>,
) -> Result<Figures, EvaluationError> {
    let examples: Vec<Example> = read_json(job, EXAMPLES)?;
    let (mut found, mut figures) = (Vec::new(), Figures::default());
    for index in 0..examples.len() {
        let result = read(job, &numbered("result", index))?;
        let repeats = if index == 0 { job.repeats } else { 1 };
        let (values, timed) = timed(repeats, || open(&result))?;
        if index == 0 {
            figures = timed;
        }
        found.extend(values);
    }
    let expected: Vec<f64> = examples.into_iter().flat_map(|example| example.expected).collect();
    Ok(Figures { precision: precision(&found, &expected), ..figures })
}
