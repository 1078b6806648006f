//! The model as it travels: the architecture in the clear, weights and biases encrypted.

use super::linear::EncryptedLinear;
use crate::compile::program::{LinearOutput, Term};
use crate::compile::{LinearMap, Operation, Program, Step};
use crate::input::InputLayout;
use crate::run::encrypted::encode_biases;
use bellerophon_bridge::{self as bridge, Amplitude, BridgeError};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::math::Ring;
use bellerophon_schemes::rlwe::{
    self, Coeffs, Encoder, Gadget, Plaintext, RlweError, Scale, SecretKey, SeededCiphertext,
    SeededGadgetCiphertext,
};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest protected model accepted, in bytes.
pub const MODEL_LIMIT: u64 = 4 << 30;

/// A program without its weights and biases: what a protected model reveals.
pub type Architecture = Program<LinearMap<(), ()>>;

/// A linear layer as it travels.
pub(super) type SeededLinear = LinearMap<SeededGadgetCiphertext, SeededCiphertext<Coeffs>>;

/// Why a program cannot be protected.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// In one of the schemes or between them.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// Tables of a stage hold learned parameters, and tables are not encrypted.
    #[error(
        "{stage} applies {functions} functions, one for each channel: such slopes are \
         learned, and whoever holds the protected model could read them; keep them in weights \
         (compile::Slopes::Weights)"
    )]
    LearnedFunctions {
        /// The stage.
        stage: String,
        /// How many functions there are.
        functions: usize,
    },
    /// The program is for other parameters than the secret.
    #[error("the program does not fit these secrets: {reason}")]
    Program {
        /// What does not fit.
        reason: String,
    },
}

impl From<RlweError> for ProtectError {
    fn from(error: RlweError) -> Self {
        Self::Bridge(error.into())
    }
}

/// A compiled network with encrypted weights and biases; it holds no secret and can be given to a
/// machine that is not trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProtectedModel {
    pub(super) program: Program<SeededLinear>,
    pub(super) key: KeyId,
}

impl ProtectedModel {
    /// Encrypts the weights and biases of `program`: for each product of its linear layers four
    /// polynomials, for each output one, whatever their values.
    ///
    /// # Errors
    /// [`ProtectError::LearnedFunctions`] for learned activations, [`ProtectError::Program`] for a
    /// program of other parameters or that does not fit together.
    pub(crate) fn encrypt(
        parameters: &bridge::Parameters,
        program: &Program,
        secret: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, ProtectError> {
        program.conforms(parameters).map_err(|reason| ProtectError::Program { reason })?;
        program.fits(parameters).map_err(|reason| ProtectError::Program { reason })?;
        program.steps.iter().try_for_each(check_functions)?;
        let mut encryption = Encryption::new(parameters, program, secret, rng)?;
        let program = program.try_map(|step, map| encryption.layer(step, map))?;
        Ok(Self { program, key: secret.id() })
    }

    /// The wire form.
    ///
    /// # Errors
    /// [`WireError`], which cannot occur for a model that was made.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WireError> {
        wire::to_bytes(self)
    }

    /// Reads a model that was made for `parameters`.
    ///
    /// # Errors
    /// [`WireError`] for bytes that are no such model: every place, count, table and ciphertext is
    /// checked.
    pub fn from_bytes(bytes: &[u8], parameters: &bridge::Parameters) -> Result<Self, WireError> {
        wire::from_bytes(bytes, MODEL_LIMIT, parameters)
    }

    /// Reads a model and the parameters that it was made for, which must reach `level`.
    ///
    /// # Errors
    /// As [`ProtectedModel::from_bytes`].
    pub fn open(
        bytes: &[u8],
        level: SecurityLevel,
    ) -> Result<(Self, bridge::Parameters), WireError> {
        let model: Self = wire::from_bytes(bytes, MODEL_LIMIT, &level)?;
        match model.parameters(level) {
            Ok(parameters) => Ok((model, parameters)),
            Err(reason) => Err(WireError::NotConformant { kind: Self::NAME, reason }),
        }
    }

    fn parameters(&self, level: SecurityLevel) -> Result<bridge::Parameters, String> {
        let literal = self.program.parameters.clone();
        bridge::Parameters::new(literal, level).map_err(|error| error.to_string())
    }

    /// The secret that the weights are under, and that inputs and results are to be under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What the model reveals: all of it but the ciphertexts.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        let none = |_: &Step<SeededLinear>, map: &SeededLinear| {
            map.try_map(|_| Ok::<_, std::convert::Infallible>(()), |_| Ok(()))
        };
        match self.program.try_map(none) {
            Ok(architecture) => architecture,
            Err(never) => match never {},
        }
    }

    /// How inputs are laid out: what an [`Encryptor`](super::Encryptor) needs beside the public key.
    #[must_use]
    pub fn input_layout(&self) -> InputLayout {
        self.program.input_layout()
    }

    /// The number of encrypted weight polynomials, and of encrypted biases.
    #[must_use]
    pub fn ciphertexts(&self) -> [usize; 2] {
        let outputs = || self.layers().flat_map(|map| &map.outputs);
        [outputs().map(|output| output.terms.len()).sum(), outputs().count()]
    }

    fn layers(&self) -> impl Iterator<Item = &SeededLinear> {
        self.program.steps.iter().filter_map(|step| match &step.operation {
            Operation::Linear(map) => Some(map),
            _ => None,
        })
    }

    /// The model in transform order, ready for use.
    ///
    /// # Errors
    /// [`RlweError`] where a ciphertext is of another ring.
    pub(crate) fn expand(
        &self,
        parameters: &bridge::Parameters,
    ) -> Result<Program<EncryptedLinear>, RlweError> {
        let ring = parameters.ring();
        self.program.try_map(|_, map| {
            map.try_map(
                |term| term.weights.expand(ring),
                |output| output.biases.expand(parameters.rlwe()),
            )
        })
    }
}

/// One function for a whole layer is a part of the architecture; a list of them was learned, channel
/// by channel.
fn check_functions(step: &Step) -> Result<(), ProtectError> {
    match &step.operation {
        Operation::Lut { tables, .. } if tables.len() > 1 => {
            let (stage, functions) = (step.stage.clone(), tables.len());
            Err(ProtectError::LearnedFunctions { stage, functions })
        }
        _ => Ok(()),
    }
}

/// Encrypts one layer after the other.
struct Encryption<'a, R> {
    ring: &'a Ring,
    encoder: Encoder,
    encryptor: rlwe::Encryptor,
    gadget: Gadget,
    secret: &'a SecretKey,
    rng: &'a mut R,
    /// The scale of each register's ciphertexts.
    scales: Vec<Scale>,
}

impl<'a, R: CryptoRng> Encryption<'a, R> {
    fn new(
        parameters: &'a bridge::Parameters,
        program: &Program,
        secret: &'a SecretKey,
        rng: &'a mut R,
    ) -> Result<Self, ProtectError> {
        let ring = parameters.ring();
        let scale = |amplitude: f64| Amplitude::new(amplitude).to_scale(ring.modulus());
        let steps = program.steps.iter().map(|step| step.amplitude);
        let amplitudes = std::iter::once(program.input_amplitude).chain(steps);
        Ok(Self {
            ring,
            encoder: Encoder::new(parameters.rlwe()),
            encryptor: rlwe::Encryptor::new(parameters.rlwe()),
            gadget: super::gadget(ring.modulus())?,
            secret,
            rng,
            scales: amplitudes.map(scale).collect::<Result<_, _>>()?,
        })
    }

    fn layer(&mut self, step: &Step, map: &LinearMap) -> Result<SeededLinear, ProtectError> {
        let scale = Amplitude::new(step.amplitude).to_scale(self.ring.modulus())?;
        let mut outputs = Vec::with_capacity(map.outputs.len());
        for output in &map.outputs {
            let mut terms = Vec::with_capacity(output.terms.len());
            for term in &output.terms {
                let Term { register, ciphertext, .. } = *term;
                let weights = self.weights(step, term, scale)?;
                terms.push(Term { register, ciphertext, weights });
            }
            let (n, amplitude) = (self.ring.dimension(), step.amplitude);
            let biases = encode_biases(output, &self.encoder, n, scale, amplitude)?;
            let biases = self.encryptor.encrypt(&biases, self.secret, self.rng)?;
            let coefficients = output.coefficients.clone();
            outputs.push(LinearOutput { terms, coefficients, biases });
        }
        Ok(LinearMap { outputs })
    }

    fn weights(
        &mut self,
        step: &Step,
        term: &Term,
        scale: Scale,
    ) -> Result<SeededGadgetCiphertext, ProtectError> {
        let input = step.inputs.get(term.register).and_then(|r| self.scales.get(r.0));
        let reason = || "a term reads a register that its step does not".to_owned();
        let input = input.ok_or_else(|| ProtectError::Program { reason: reason() })?;
        let scale = Scale::new(scale.value() / input.value())?;
        let plaintext = Plaintext::from_terms(self.ring, &term.weights, scale)?;
        Ok(self.encryptor.encrypt_gadget(&plaintext, self.gadget, self.secret, self.rng)?)
    }
}

impl Wire for ProtectedModel {
    const KIND: u16 = 52;
    const NAME: &'static str = "protected model";
}

impl Conformant<bridge::Parameters> for ProtectedModel {
    fn conforms(&self, parameters: &bridge::Parameters) -> Result<(), String> {
        if self.program.parameters != *parameters.literal() {
            return Err("it was made for other parameters".to_owned());
        }
        self.program.fits(parameters)?;
        let (rlwe, modulus) = (parameters.rlwe(), parameters.ring().modulus());
        let gadget = super::gadget(modulus).map_err(|error| error.to_string())?;
        for output in self.layers().flat_map(|map| &map.outputs) {
            output.biases.conforms(rlwe)?;
            self.check_key(output.biases.key())?;
            for term in &output.terms {
                term.weights.conforms(rlwe)?;
                self.check_key(term.weights.key())?;
                if term.weights.gadget() != gadget {
                    return Err(format!("{:?} where {gadget:?} is used", term.weights.gadget()));
                }
            }
        }
        Ok(())
    }
}

impl ProtectedModel {
    fn check_key(&self, found: KeyId) -> Result<(), String> {
        self.key.check(found).map_err(|error| error.to_string())
    }
}

impl Conformant<SecurityLevel> for ProtectedModel {
    fn conforms(&self, level: &SecurityLevel) -> Result<(), String> {
        self.conforms(&self.parameters(*level)?)
    }
}
