//! The machines that are not trusted: one encrypts inputs, one evaluates. Neither type can hold a
//! secret.

use super::architecture::{Architecture, Step};
use super::encrypted::{Encrypted, Operand, Prepared};
use super::execute::execute;
use super::message::{
    Context, MESSAGE_LIMIT, NETWORK_LIMIT, ProtectedInput, ProtectedNetwork, ProtectedResult,
};
use bellerophon_schemes::ckks::{
    Ciphertext, CkksError, Encoder, Encryptor, EvaluationKeys, Evaluator, KeyRequirements,
    PackedCiphertext, Parameters, PublicKey, SeededEvaluationKeys, SeededPublicKey, Slots,
};
use bellerophon_schemes::key_id::{KeyId, KeyMismatch};
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
use rand::CryptoRng;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why an input was not encrypted or a network not evaluated.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// In reading or writing bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// In the scheme.
    #[error(transparent)]
    Ckks(#[from] CkksError),
    /// The keys are not the network's.
    #[error("the keys are of another network: {0}")]
    Key(#[from] KeyMismatch),
    /// The input is of another size than the network's.
    #[error("the input has {found} values, the network reads {expected}")]
    InputSize {
        /// What the network reads.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// The network is of other parameters, or does not fit itself.
    #[error("the network does not fit: {reason}")]
    Architecture {
        /// What does not fit.
        reason: String,
    },
}

/// Encrypts inputs for one network with its public key.
#[derive(Debug, Clone)]
pub struct InputEncryptor {
    architecture: Architecture,
    parameters: Parameters,
    key: PublicKey,
    encoder: Encoder,
}

impl InputEncryptor {
    /// Reads the public key that the owner published.
    ///
    /// # Errors
    /// [`EdgeError::Wire`] for bytes that are no public key of `parameters`,
    /// [`EdgeError::Architecture`] for an architecture of other parameters.
    pub fn new(
        parameters: &Parameters,
        architecture: &Architecture,
        key: &[u8],
    ) -> Result<Self, EdgeError> {
        let fits = architecture.fits(parameters);
        fits.map_err(|reason| EdgeError::Architecture { reason })?;
        let key: SeededPublicKey = wire::from_bytes(key, NETWORK_LIMIT, parameters)?;
        Ok(Self {
            architecture: architecture.clone(),
            parameters: parameters.clone(),
            key: key.expand(parameters)?,
            encoder: Encoder::new(parameters),
        })
    }

    /// The secret that opens what this encrypts.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key.key()
    }

    /// The number of values of an input.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.architecture.inputs
    }

    /// Encrypts an input, in the network's units and order.
    ///
    /// # Errors
    /// [`EdgeError::InputSize`], [`EdgeError::Ckks`] for values that no ciphertext holds.
    pub fn encrypt(&self, values: &[f64], rng: &mut impl CryptoRng) -> Result<Vec<u8>, EdgeError> {
        check_input(&self.architecture, values)?;
        let encryptor = Encryptor::new(&self.parameters);
        let (level, scale) = (self.architecture.input_level(), self.architecture.scale());
        let slots = self.architecture.input_slots(values);
        let ciphertexts = slots.iter().map(|slots| {
            let plaintext = self.encoder.encode(slots, level, &scale)?;
            let ciphertext = encryptor.encrypt_public(&plaintext, &self.key, rng)?;
            Ok(PackedCiphertext::from(&ciphertext))
        });
        let ciphertexts = ciphertexts.collect::<Result<_, CkksError>>()?;
        Ok(wire::to_bytes(&ProtectedInput { ciphertexts })?)
    }
}

/// The result of one evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The wire form of the encrypted result.
    pub result: Vec<u8>,
    /// How long each step took.
    pub durations: Vec<Duration>,
}

/// Evaluates one protected network.
#[derive(Debug)]
pub struct Edge {
    architecture: Architecture,
    key: KeyId,
    evaluator: Evaluator,
    encoder: Encoder,
    keys: EvaluationKeys,
    prepared: Prepared,
}

impl Edge {
    /// Takes a protected network, and reads the evaluation keys that its owner published.
    ///
    /// # Errors
    /// [`EdgeError::Wire`] for a network of other parameters and for bytes that are no keys of them,
    /// [`EdgeError::Key`] for keys of another network; [`EdgeError::Ckks`] where a key is missing and
    /// for ciphertexts that do not fit.
    pub fn new(
        parameters: &Parameters,
        network: ProtectedNetwork,
        keys: &[u8],
    ) -> Result<Self, EdgeError> {
        let kind = ProtectedNetwork::NAME;
        let conforms = network.conforms(parameters);
        conforms.map_err(|reason| WireError::NotConformant { kind, reason })?;
        let ProtectedNetwork { architecture, key, layers } = network;
        let keys: SeededEvaluationKeys = wire::from_bytes(keys, NETWORK_LIMIT, parameters)?;
        keys.check_key(key)?;
        let keys = keys.expand(parameters)?;
        check_keys(&keys, &architecture.requirements(parameters)?)?;
        let prepared = Prepared::new(&architecture, layers, parameters)?;
        Ok(Self {
            architecture,
            key,
            evaluator: Evaluator::new(parameters),
            encoder: Encoder::new(parameters),
            keys,
            prepared,
        })
    }

    /// What it runs.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Bytes in memory of the expanded weights and biases.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.prepared.bytes()
    }

    /// Bytes in memory of the evaluation keys.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        self.keys.bytes()
    }

    /// The number of evaluation keys.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Reads an encrypted input.
    ///
    /// # Errors
    /// [`EdgeError::Wire`] for bytes that are no input of the network or one under another key.
    pub fn read_input(&self, input: &[u8]) -> Result<ProtectedInput, EdgeError> {
        let parameters = self.evaluator.parameters();
        let context = Context { parameters, architecture: &self.architecture, key: self.key };
        Ok(wire::from_bytes(input, MESSAGE_LIMIT, &context)?)
    }

    /// Runs the network on an encrypted input; `watch` is told of each step's layer before it runs.
    ///
    /// # Errors
    /// As [`Edge::read_input`]; [`EdgeError::Ckks`], which cannot occur for an input that was read.
    pub fn evaluate(&self, input: &[u8], watch: &dyn Fn(&str)) -> Result<Evaluation, EdgeError> {
        let (input, parameters) = (self.read_input(input)?, self.evaluator.parameters());
        let input = input.ciphertexts.iter();
        let input = input.map(|packed| Ok(Operand::Encrypted(packed.unpack(parameters)?)));
        self.run(input.collect::<Result<_, CkksError>>()?, watch)
    }

    /// Runs the network on an input in the clear: its weights and its result stay encrypted. The
    /// first layer then multiplies ciphertexts with plaintexts.
    ///
    /// # Errors
    /// [`EdgeError::InputSize`]; [`EdgeError::Ckks`] for values that no plaintext holds.
    pub fn evaluate_clear(
        &self,
        values: &[f64],
        watch: &dyn Fn(&str),
    ) -> Result<Evaluation, EdgeError> {
        check_input(&self.architecture, values)?;
        let input = self.architecture.input_slots(values);
        self.run(input.into_iter().map(Operand::Clear).collect(), watch)
    }

    fn run(&self, input: Vec<Operand>, watch: &dyn Fn(&str)) -> Result<Evaluation, EdgeError> {
        let backend = Encrypted {
            evaluator: &self.evaluator,
            encoder: &self.encoder,
            keys: &self.keys,
            prepared: &self.prepared,
            scale: self.architecture.scale(),
            key: self.key,
        };
        let mut begun: Vec<Instant> = Vec::new();
        let mut begin = |step: &Step| {
            begun.push(Instant::now());
            watch(&step.stage);
        };
        let result = execute(&backend, &self.architecture, input, &mut begin)?;
        let ends = begun.iter().skip(1).copied().chain([Instant::now()]);
        let durations = begun.iter().zip(ends).map(|(begin, end)| end - *begin).collect();
        let count = self.architecture.output_ciphertexts();
        let encrypted = result.iter().take(count).filter_map(|operand| match operand {
            Operand::Encrypted(ciphertext) => Some(ciphertext),
            Operand::Clear(_) => None,
        });
        let pack = |ciphertext: &Ciphertext<Slots>| PackedCiphertext::from(ciphertext);
        let ciphertexts = encrypted.map(pack).collect();
        Ok(Evaluation { result: wire::to_bytes(&ProtectedResult { ciphertexts })?, durations })
    }
}

/// That no key will be missing.
fn check_keys(keys: &EvaluationKeys, needed: &KeyRequirements) -> Result<(), CkksError> {
    if let Some(level) = needed.relinearization {
        keys.relinearization(level)?;
    }
    needed.galois.iter().try_for_each(|(&element, &level)| keys.galois(element, level).map(drop))
}

fn check_input(architecture: &Architecture, values: &[f64]) -> Result<(), EdgeError> {
    let (expected, found) = (architecture.inputs, values.len());
    if expected == found { Ok(()) } else { Err(EdgeError::InputSize { expected, found }) }
}
