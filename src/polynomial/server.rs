//! The half that computes: built from evaluation keys alone, it never meets a secret.

use super::backend::{Observer, StepError, execute};
use super::encrypted::{Encrypted, Prepared};
use super::message::{Context, EncryptedImage, EncryptedResults, KEY_LIMIT, MESSAGE_LIMIT};
use super::program::{Program, Step};
use bellerophon_schemes::ckks::{
    Ciphertext, CkksError, EvaluationKeys, Evaluator, PackedCiphertext, Parameters,
    SeededEvaluationKeys, Slots,
};
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
    /// In the scheme.
    #[error(transparent)]
    Ckks(#[from] CkksError),
    /// In running the program.
    #[error(transparent)]
    Step(#[from] StepError<CkksError>),
    /// The program does not fit the parameters or itself.
    #[error("the program does not fit: {reason}")]
    Program {
        /// What does not fit.
        reason: String,
    },
}

/// Told of each step's layer before it runs.
pub type Watch<'a> = &'a dyn Fn(&str);

/// The result of one run.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The wire form of the encrypted results.
    pub results: Vec<u8>,
    /// How long each step of the program took.
    pub durations: Vec<Duration>,
}

/// Runs one program under one client's keys.
#[derive(Debug)]
pub struct Server {
    program: Program,
    evaluator: Evaluator,
    keys: EvaluationKeys,
    prepared: Prepared,
}

impl Server {
    /// Reads the keys that a client published, and encodes the program's diagonals once for all
    /// images.
    ///
    /// # Errors
    /// [`ServerError::Program`] for a program compiled for other parameters or one that does not
    /// fit together, [`ServerError::Wire`] for bytes that are no keys for `parameters`,
    /// [`ServerError::Ckks`] for keys or plaintexts that do not fit.
    pub fn new(
        parameters: &Parameters,
        program: Program,
        keys: &[u8],
    ) -> Result<Self, ServerError> {
        if program.parameters != *parameters.literal() {
            let reason = "it was compiled for other parameters".to_owned();
            return Err(ServerError::Program { reason });
        }
        program.conforms(&()).map_err(|reason| ServerError::Program { reason })?;
        let keys: SeededEvaluationKeys = wire::from_bytes(keys, KEY_LIMIT, parameters)?;
        let keys = keys.expand(parameters)?;
        let prepared = Prepared::new(&program, parameters)?;
        Ok(Self { program, evaluator: Evaluator::new(parameters), keys, prepared })
    }

    /// The program it runs.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Bytes of the evaluation keys in memory.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        self.keys.bytes()
    }

    /// The number of evaluation keys.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of the encoded diagonals and biases.
    #[must_use]
    pub fn plaintext_bytes(&self) -> usize {
        self.prepared.bytes()
    }

    /// Runs the program on an encrypted image.
    ///
    /// # Errors
    /// [`ServerError::Wire`] for bytes that are no input of the program, [`ServerError::Step`] for
    /// an input under another key or at another level, or a key that is missing.
    pub fn evaluate(&self, input: &[u8], watch: Watch<'_>) -> Result<Evaluation, ServerError> {
        let parameters = self.evaluator.parameters();
        let context = Context { parameters, program: &self.program };
        let input: EncryptedImage = wire::from_bytes(input, MESSAGE_LIMIT, &context)?;
        let input = input.ciphertexts.iter().map(|seeded| seeded.expand(parameters));
        let input = input.collect::<Result<Vec<_>, CkksError>>()?;
        let backend = Encrypted::new(&self.evaluator, &self.keys, &self.prepared);
        let mut log = Log { watch, begun: Instant::now(), durations: Vec::new() };
        let output = execute(&backend, &self.program, input, &mut log)?;
        let ciphertexts = output.iter().map(PackedCiphertext::from).collect();
        let results = wire::to_bytes(&EncryptedResults { ciphertexts })?;
        Ok(Evaluation { results, durations: log.durations })
    }
}

/// Keeps the time of each step.
struct Log<'a> {
    watch: Watch<'a>,
    begun: Instant,
    durations: Vec<Duration>,
}

impl<'k> Observer<Encrypted<'k>> for Log<'_> {
    fn begin(&mut self, _: usize, step: &Step) {
        (self.watch)(&step.stage);
        self.begun = Instant::now();
    }

    fn end(&mut self, _: usize, _: &Step, _: &[Ciphertext<Slots>]) {
        self.durations.push(self.begun.elapsed());
    }
}

#[cfg(test)]
mod tests;
