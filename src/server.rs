//! The half that computes: built from evaluation keys alone, it never meets a secret.

use crate::compile::program::LinearOutput;
use crate::compile::{LinearMap, Operation, Program, Step};
use crate::message::{
    Context, EncryptedInput, EncryptedOutput, KEY_LIMIT, MESSAGE_LIMIT, PublicInput,
    SLOT_KEY_LIMIT, Trace,
};
use crate::protect::{EncryptedLinear, ProtectedModel};
use crate::run::encrypted::LinearLayer;
use crate::run::{Encrypted, ExecuteError, Observer, RunError, Value, execute};
use bellerophon_bridge::{
    self as bridge, BridgeError, EvaluationKeys, SeededEvaluationKeys, SeededSlotKeys, SlotKeys,
    SlotParameters,
};
use bellerophon_schemes::rlwe::{
    Ciphertext, Coeffs, Encoder, GadgetCiphertext, PackedCiphertext, RlweError,
};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::tfhe::Kernel;
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
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

/// Runs one protected model under its owner's keys.
pub type ProtectedServer = Server<EncryptedLinear>;

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

/// Runs one program under one client's keys; its linear layers are of kind `L`.
#[derive(Debug)]
pub struct Server<L = LinearMap> {
    program: Program<L>,
    keys: EvaluationKeys,
    slots: Option<SlotKeys>,
    encoder: Encoder,
}

impl Server {
    /// Reads the keys that a client published and checks that the program fits them. Bootstrapping
    /// runs on the fastest kernel of this processor.
    ///
    /// # Errors
    /// [`ServerError::Wire`] for bytes that are no keys for `parameters`, [`ServerError::Program`]
    /// for a program compiled for others.
    pub fn new(
        parameters: &bridge::Parameters,
        program: Program,
        keys: &[u8],
    ) -> Result<Self, ServerError> {
        Self::with_kernel(parameters, program, keys, None)
    }

    /// As [`Server::new`], with bootstrapping on `kernel` where one is given.
    ///
    /// # Errors
    /// As [`Server::new`], and [`ServerError::Bridge`] where the kernel cannot run here or not with
    /// these parameters.
    pub fn with_kernel(
        parameters: &bridge::Parameters,
        program: Program,
        keys: &[u8],
        kernel: Option<Kernel>,
    ) -> Result<Self, ServerError> {
        program.conforms(parameters).map_err(|reason| ServerError::Program { reason })?;
        Self::with_program(parameters, program, keys, kernel)
    }
}

impl Server<EncryptedLinear> {
    /// A server for a model with encrypted weights and biases, as [`Server::with_kernel`] for a
    /// program.
    ///
    /// # Errors
    /// As [`Server::with_kernel`]; [`ServerError::Bridge`] where the model is under another secret
    /// than the keys.
    pub fn protected(
        parameters: &bridge::Parameters,
        model: &ProtectedModel,
        keys: &[u8],
        kernel: Option<Kernel>,
    ) -> Result<Self, ServerError> {
        model.conforms(parameters).map_err(|reason| ServerError::Program { reason })?;
        let program = model.expand(parameters).map_err(BridgeError::from)?;
        let server = Self::with_program(parameters, program, keys, kernel)?;
        server.keys.ring_key().check(model.key()).map_err(BridgeError::from)?;
        Ok(server)
    }

    /// Bytes of the encrypted weights and biases in memory.
    #[must_use]
    pub fn model_bytes(&self) -> usize {
        let layers = self.program.steps.iter().filter_map(|step| match &step.operation {
            Operation::Linear(map) => Some(map),
            _ => None,
        });
        let output = |output: &LinearOutput<GadgetCiphertext, Ciphertext<Coeffs>>| {
            let terms = output.terms.iter().map(|term| term.weights.bytes());
            terms.sum::<usize>() + output.biases.bytes()
        };
        layers.flat_map(|map| &map.outputs).map(output).sum()
    }
}

impl<L: LinearLayer> Server<L> {
    fn with_program(
        parameters: &bridge::Parameters,
        program: Program<L>,
        keys: &[u8],
        kernel: Option<Kernel>,
    ) -> Result<Self, ServerError> {
        let keys: SeededEvaluationKeys = wire::from_bytes(keys, KEY_LIMIT, parameters)?;
        let keys = keys.expand(parameters, kernel)?;
        Ok(Self { program, keys, slots: None, encoder: Encoder::new(parameters.rlwe()) })
    }

    /// The program that it runs.
    #[must_use]
    pub fn program(&self) -> &Program<L> {
        &self.program
    }

    /// Takes the keys for polynomials in slots, which a program has where activations were replaced.
    ///
    /// # Errors
    /// [`ServerError::Program`] for a program without such polynomials, [`ServerError::Wire`] for
    /// bytes that are no keys for it, [`ServerError::Bridge`] for keys of another client.
    pub fn with_slot_keys(
        mut self,
        level: SecurityLevel,
        keys: &[u8],
    ) -> Result<Self, ServerError> {
        let Some(literal) = self.program.slots.clone() else {
            let reason = "it has no polynomials in slots".to_owned();
            return Err(ServerError::Program { reason });
        };
        let parameters = SlotParameters::new(self.keys.parameters().rlwe(), literal, level)?;
        let keys: SeededSlotKeys = wire::from_bytes(keys, SLOT_KEY_LIMIT, &parameters)?;
        let keys = keys.expand(&parameters)?;
        keys.ring_key().check(self.keys.ring_key()).map_err(BridgeError::from)?;
        self.slots = Some(keys);
        Ok(self)
    }

    /// Bytes of the keys in memory.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        self.keys.bytes() + self.slots.as_ref().map_or(0, SlotKeys::bytes)
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
        let input = self.read_input(input)?;
        let bootstrapped = |count| watch(Event::Bootstrapped(count));
        let backend = Encrypted::new(&self.keys, &self.encoder, &bootstrapped);
        let backend = backend.with_slots(self.slots.as_ref());
        let mut log = Log::new(watch, with_trace);
        let output = execute(&backend, &self.program, input, &mut log)?;
        let ciphertexts = output.iter().map(PackedCiphertext::from).collect();
        Ok(Evaluation {
            output: wire::to_bytes(&EncryptedOutput { ciphertexts })?,
            durations: log.durations,
            trace: log.trace.as_ref().map(wire::to_bytes).transpose()?,
        })
    }

    /// The ciphertexts of an input that was encrypted with the secret key or with the public one.
    ///
    /// # Errors
    /// As [`Server::evaluate`]; nothing is run.
    pub fn read_input(&self, input: &[u8]) -> Result<Vec<Ciphertext<Coeffs>>, ServerError> {
        let parameters = self.keys.parameters();
        let (rlwe, context) = (parameters.rlwe(), Context { parameters, program: &self.program });
        let expanded: Result<Vec<_>, RlweError> = if wire::kind(input) == Some(PublicInput::KIND) {
            let input: PublicInput = wire::from_bytes(input, MESSAGE_LIMIT, &context)?;
            input.ciphertexts.iter().map(|c| c.unpack(rlwe)).collect()
        } else {
            let input: EncryptedInput = wire::from_bytes(input, MESSAGE_LIMIT, &context)?;
            input.ciphertexts.iter().map(|c| c.expand(rlwe)).collect()
        };
        let expanded = expanded.map_err(BridgeError::from)?;
        for ciphertext in &expanded {
            self.keys.ring_key().check(ciphertext.key()).map_err(BridgeError::from)?;
        }
        Ok(expanded)
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

impl<'k, L: LinearLayer> Observer<Encrypted<'k, L>> for Log<'_> {
    fn begin(&mut self, _: usize, step: &Step<L>) {
        (self.watch)(Event::Step { stage: &step.stage });
        self.begun = Instant::now();
    }

    fn end(&mut self, index: usize, _: &Step<L>, value: &Value<Encrypted<'k, L>>) {
        self.durations.push(self.begun.elapsed());
        if let (Some(trace), Value::Ring(ring)) = (&mut self.trace, value) {
            trace.steps.push((index, ring.iter().map(PackedCiphertext::from).collect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny::{self, ELSEWHERE, STRANGER, WORLD};
    use bellerophon_schemes::tfhe::{Instructions, TfheError};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn wire_error(error: &ServerError) -> Option<&WireError> {
        match error {
            ServerError::Wire(error) => Some(error),
            _ => None,
        }
    }

    fn evaluate(input: &[u8]) -> Result<Evaluation, ServerError> {
        WORLD.server.evaluate(input, false, &|_| ())
    }

    #[test]
    fn damaged_inputs_are_refused() {
        let input = WORLD.encrypted_image(1);
        tiny::refuses_damage(&input, |bytes| evaluate(bytes).map(drop), wire_error);
    }

    #[test]
    fn damaged_keys_are_refused() {
        let read =
            |bytes: &[u8]| Server::new(&WORLD.parameters, WORLD.program.clone(), bytes).map(drop);
        tiny::refuses_damage(&WORLD.keys, read, wire_error);
        let error = read(&WORLD.encrypted_image(1)).unwrap_err();
        assert!(matches!(wire_error(&error), Some(WireError::Kind { .. })));
    }

    #[test]
    fn messages_of_another_kind_are_refused() {
        let output = evaluate(&WORLD.encrypted_image(1)).unwrap().output;
        for bytes in [&output, &WORLD.keys] {
            let error = evaluate(bytes).unwrap_err();
            assert!(matches!(wire_error(&error), Some(WireError::Kind { .. })), "{error:?}");
        }
    }

    #[test]
    fn inputs_under_another_clients_key_are_refused() {
        let error = evaluate(&STRANGER.encrypted_image(1)).unwrap_err();
        let ServerError::Bridge(BridgeError::Key(mismatch)) = error else { panic!("{error:?}") };
        assert_eq!(mismatch.expected, WORLD.server.keys().ring_key());
        assert_eq!(mismatch.found, STRANGER.server.keys().ring_key());
    }

    #[test]
    fn inputs_of_another_ring_are_refused() {
        let error = evaluate(&ELSEWHERE.encrypted_image(1)).unwrap_err();
        assert!(matches!(wire_error(&error), Some(WireError::NotConformant { .. })), "{error:?}");
    }

    #[test]
    fn programs_and_keys_for_other_parameters_are_refused() {
        let error =
            Server::new(&WORLD.parameters, ELSEWHERE.program.clone(), &WORLD.keys).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program does not fit these keys: it was compiled for other parameters"
        );
        let error =
            Server::new(&WORLD.parameters, WORLD.program.clone(), &ELSEWHERE.keys).unwrap_err();
        assert!(matches!(wire_error(&error), Some(WireError::NotConformant { .. })), "{error:?}");
        // the same ring, another gadget
        let mut settings = tiny::settings(9);
        settings.parameters.up_gadget = (5, 10);
        let parameters = tiny::parameters(&settings);
        let program = tiny::lowered(&WORLD.model, &settings);
        let error = Server::new(&parameters, program.unwrap(), &WORLD.keys).unwrap_err();
        assert!(matches!(wire_error(&error), Some(WireError::NotConformant { .. })), "{error:?}");
    }

    #[test]
    fn a_program_that_fails_says_in_which_step() {
        let mut program = WORLD.program.clone();
        program.steps.remove(0);
        let server = Server::new(&WORLD.parameters, program, &WORLD.keys).unwrap();
        let error = server.evaluate(&WORLD.encrypted_image(1), false, &|_| ()).unwrap_err();
        assert!(matches!(error, ServerError::Execute(ExecuteError::Register { index: 0, .. })));
    }

    #[test]
    fn events_and_durations_follow_the_program() {
        let (stages, count) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let watch = |event: Event<'_>| match event {
            Event::Step { stage } => stages.lock().unwrap().push(stage.to_owned()),
            Event::Bootstrapped(more) => {
                count.fetch_add(more, Ordering::Relaxed);
            }
        };
        let evaluation = WORLD.server.evaluate(&WORLD.encrypted_image(1), true, &watch).unwrap();
        let expected: Vec<&String> = WORLD.program.steps.iter().map(|step| &step.stage).collect();
        assert_eq!(stages.lock().unwrap().iter().collect::<Vec<_>>(), expected);
        assert_eq!(count.load(Ordering::Relaxed), WORLD.program.bootstraps());
        assert_eq!(evaluation.durations.len(), expected.len());
        assert!(evaluation.durations.iter().any(|duration| !duration.is_zero()));
    }

    #[test]
    fn a_seed_fixes_keys_and_results() {
        let again = tiny::World::new(9, 1);
        assert_eq!(again.keys, WORLD.keys);
        let input = WORLD.encrypted_image(1);
        let output = again.server.evaluate(&input, false, &|_| ()).unwrap().output;
        assert_eq!(output, evaluate(&input).unwrap().output);
    }

    /// The program's own output within its noise, and no kernel for keys that it cannot take.
    #[test]
    fn every_kernel_runs_the_program() {
        let input = WORLD.encrypted_image(1);
        let with = |kernel| {
            let (parameters, program) = (&WORLD.parameters, WORLD.program.clone());
            Server::with_kernel(parameters, program, &WORLD.keys, Some(kernel))
        };
        let decrypt = |server: &Server| {
            let output = server.evaluate(&input, false, &|_| ()).unwrap().output;
            WORLD.client.decrypt(&WORLD.program, &output).unwrap()
        };
        let expected = decrypt(&WORLD.server);
        for instructions in Instructions::ALL.into_iter().filter(|i| i.available()) {
            let found = decrypt(&with(Kernel::Fused(instructions)).unwrap());
            let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.2);
            assert!(near && found.len() == expected.len(), "{found:?} for {expected:?}");
        }
        assert!(WORLD.parameters.bootstraps().iter().any(|key| key.grouping_factor() > 1));
        let error = with(Kernel::Tfhe).unwrap_err();
        assert!(matches!(
            error,
            ServerError::Bridge(BridgeError::Tfhe(TfheError::Kernel { kernel: Kernel::Tfhe, .. }))
        ));
    }

    #[test]
    fn key_bytes_are_more_than_the_bootstrapping_keys() {
        let bootstraps = WORLD.parameters.bootstraps().iter();
        let least: usize = bootstraps.map(|key| key.fourier_bytes()).sum();
        assert!(WORLD.server.key_bytes() > least);
        assert!(WORLD.server.key_bytes() < 2 * least + (4 << 20));
    }
}
