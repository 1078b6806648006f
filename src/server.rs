//! The half that computes: built from evaluation keys alone, it never meets a secret.

use crate::compile::{Program, Step};
use crate::message::{Context, EncryptedInput, EncryptedOutput, KEY_LIMIT, MESSAGE_LIMIT, Trace};
use crate::run::{Encrypted, ExecuteError, Observer, RunError, Value, execute};
use bellerophon_bridge::{self as bridge, BridgeError, EvaluationKeys, SeededEvaluationKeys};
use bellerophon_schemes::ckks::{Coeffs, Encoder, PackedCiphertext, SeededCiphertext};
use bellerophon_schemes::wire::{self, Conformant, WireError};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why the server refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// In reading or writing bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// In one of the schemes or between them.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// In running the program.
    #[error(transparent)]
    Execute(#[from] ExecuteError<RunError>),
    /// The program was compiled for other parameters.
    #[error("the program does not fit these keys: {reason}")]
    Program {
        /// What does not fit.
        reason: String,
    },
}

/// What happens while a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A step begins, with this many bootstrappings to come before it ends.
    Step {
        /// Its layer and stage.
        stage: &'a str,
    },
    /// This many bootstrappings have finished; from any thread.
    Bootstrapped(usize),
}

/// Told of events as they happen.
pub type Watch<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// The result of one run.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The wire form of the encrypted outputs.
    pub output: Vec<u8>,
    /// How long each step of the program took.
    pub durations: Vec<Duration>,
    /// The wire form of the trace, where one was asked for.
    pub trace: Option<Vec<u8>>,
}

/// Runs one program under one client's keys.
#[derive(Debug)]
pub struct Server {
    program: Program,
    keys: EvaluationKeys,
    encoder: Encoder,
}

impl Server {
    /// Reads the keys that a client published and checks that the program fits them.
    ///
    /// # Errors
    /// [`ServerError::Wire`] for bytes that are no keys for `parameters`, [`ServerError::Program`]
    /// for a program compiled for others.
    pub fn new(
        parameters: &bridge::Parameters,
        program: Program,
        keys: &[u8],
    ) -> Result<Self, ServerError> {
        program.conforms(parameters).map_err(|reason| ServerError::Program { reason })?;
        let keys: SeededEvaluationKeys = wire::from_bytes(keys, KEY_LIMIT, parameters)?;
        let keys = keys.expand(parameters)?;
        Ok(Self { program, keys, encoder: Encoder::new(parameters.ckks()) })
    }

    /// Bytes of the keys in memory.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        self.keys.bytes()
    }

    /// The evaluation keys.
    #[must_use]
    pub fn keys(&self) -> &EvaluationKeys {
        &self.keys
    }

    /// Runs the program on the wire form of an encrypted input.
    ///
    /// # Errors
    /// [`ServerError::Wire`] for bytes that are no input of the program, [`ServerError::Bridge`] for
    /// an input under another key, [`ServerError::Execute`] where a step refuses.
    pub fn evaluate(
        &self,
        input: &[u8],
        with_trace: bool,
        watch: Watch<'_>,
    ) -> Result<Evaluation, ServerError> {
        let parameters = self.keys.parameters();
        let context = Context { parameters, program: &self.program };
        let input: EncryptedInput = wire::from_bytes(input, MESSAGE_LIMIT, &context)?;
        let expand = |c: &SeededCiphertext<Coeffs>| {
            let ciphertext = c.expand(parameters.ckks())?;
            self.keys.ring_key().check(ciphertext.key())?;
            Ok(ciphertext)
        };
        let input =
            input.ciphertexts.iter().map(expand).collect::<Result<Vec<_>, BridgeError>>()?;
        let bootstrapped = |count| watch(Event::Bootstrapped(count));
        let backend = Encrypted::new(&self.keys, &self.encoder, &bootstrapped);
        let mut log = Log::new(watch, with_trace);
        let output = execute(&backend, &self.program, input, &mut log)?;
        let ciphertexts = output.iter().map(PackedCiphertext::from).collect();
        Ok(Evaluation {
            output: wire::to_bytes(&EncryptedOutput { ciphertexts })?,
            durations: log.durations,
            trace: log.trace.as_ref().map(wire::to_bytes).transpose()?,
        })
    }
}

/// Keeps the time of each step and, where asked, its ciphertexts.
struct Log<'a> {
    watch: Watch<'a>,
    begun: Instant,
    durations: Vec<Duration>,
    trace: Option<Trace>,
}

impl<'a> Log<'a> {
    fn new(watch: Watch<'a>, with_trace: bool) -> Self {
        let trace = with_trace.then(Trace::default);
        Self { watch, begun: Instant::now(), durations: Vec::new(), trace }
    }
}

impl<'k> Observer<Encrypted<'k>> for Log<'_> {
    fn begin(&mut self, _: usize, step: &Step) {
        (self.watch)(Event::Step { stage: &step.stage });
        self.begun = Instant::now();
    }

    fn end(&mut self, index: usize, _: &Step, value: &Value<Encrypted<'k>>) {
        self.durations.push(self.begun.elapsed());
        if let (Some(trace), Value::Ring(ring)) = (&mut self.trace, value) {
            trace.steps.push((index, ring.iter().map(PackedCiphertext::from).collect()));
        }
    }
}
