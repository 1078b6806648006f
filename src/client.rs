//! The half that holds the secrets: it makes keys, encrypts images and opens results.

use crate::compile::{Place, Program};
use crate::message::{Context, EncryptedInput, EncryptedOutput, MESSAGE_LIMIT, TRACE_LIMIT, Trace};
use bellerophon_bridge::{
    self as bridge, Amplitude, BridgeError, SecretKeys, SeededEvaluationKeys,
};
use bellerophon_schemes::ckks::{
    Ciphertext, CkksError, Coeffs, Decryptor, Encoder, Encryptor, PackedCiphertext,
};
use bellerophon_schemes::security::LweInstance;
use bellerophon_schemes::wire::{self, WireError};
use rand::CryptoRng;
use thiserror::Error;

/// Why the client refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// In one of the schemes or between them.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// In reading or writing bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The image is of another size than the program's input.
    #[error("the image has {found} values, the program reads {expected}")]
    InputSize {
        /// What the program reads.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// The program places a value where there is no coefficient.
    #[error(
        "the program places a value in ciphertext {ciphertext}, coefficient {coefficient}, which does not exist"
    )]
    Place {
        /// The ciphertext.
        ciphertext: usize,
        /// The coefficient.
        coefficient: usize,
    },
}

impl From<CkksError> for ClientError {
    fn from(error: CkksError) -> Self {
        Self::Bridge(error.into())
    }
}

/// The owner of the secrets.
#[derive(Debug)]
pub struct Client {
    parameters: bridge::Parameters,
    secrets: SecretKeys,
    encoder: Encoder,
}

/// Evaluation keys as they travel, with what each is worth.
#[derive(Debug)]
pub struct PublishedKeys {
    /// The wire form, for [`crate::server::Server::new`].
    pub bytes: Vec<u8>,
    /// Name and LWE instance of every key.
    pub instances: Vec<(String, LweInstance)>,
}

impl Client {
    /// A client with fresh secrets.
    ///
    /// # Errors
    /// [`ClientError::Bridge`], which cannot occur for parameters that were built.
    pub fn new(
        parameters: bridge::Parameters,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, ClientError> {
        let secrets = SecretKeys::generate(&parameters, rng)?;
        let encoder = Encoder::new(parameters.ckks());
        Ok(Self { parameters, secrets, encoder })
    }

    /// All keys that the server needs; no secret can be computed from them.
    ///
    /// # Errors
    /// [`ClientError::Bridge`], which cannot occur for a client that was made.
    pub fn publish_keys(&self, rng: &mut impl CryptoRng) -> Result<PublishedKeys, ClientError> {
        let keys = SeededEvaluationKeys::generate(&self.parameters, &self.secrets, rng)?;
        let mut instances =
            vec![("fresh ciphertext".to_owned(), self.parameters.ckks().instance())];
        instances.extend(keys.instances());
        Ok(PublishedKeys { bytes: wire::to_bytes(&keys)?, instances })
    }

    /// Encrypts an image (the network's units, in the order of its input) for `program`.
    ///
    /// # Errors
    /// [`ClientError::InputSize`] for an image of another size.
    pub fn encrypt(
        &self,
        program: &Program,
        image: &[f64],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, ClientError> {
        let (expected, found) = (program.input.len(), image.len());
        if expected != found {
            return Err(ClientError::InputSize { expected, found });
        }
        let dimension = self.parameters.ring().dimension();
        let mut values = vec![vec![0.0; dimension]; program.input_ciphertexts()];
        for (&Place { ciphertext, coefficient }, &value) in program.input.iter().zip(image) {
            let slot = values.get_mut(ciphertext).and_then(|c| c.get_mut(coefficient));
            *slot.ok_or(ClientError::Place { ciphertext, coefficient })? = value;
        }
        let modulus = self.parameters.ring().modulus();
        let scale = Amplitude::new(program.input_amplitude).to_scale(modulus)?;
        let encryptor = Encryptor::new(self.parameters.ckks());
        let ciphertexts = values
            .iter()
            .map(|values| {
                let plaintext = self.encoder.encode_coefficients(values, scale)?;
                encryptor.encrypt(&plaintext, self.secrets.ring(), rng)
            })
            .collect::<Result<_, CkksError>>()?;
        Ok(wire::to_bytes(&EncryptedInput { ciphertexts })?)
    }

    /// Opens the outputs, in the network's units.
    ///
    /// # Errors
    /// [`ClientError::Wire`] for bytes that are no output of `program`, [`ClientError::Bridge`] for
    /// one under another key.
    pub fn decrypt(&self, program: &Program, output: &[u8]) -> Result<Vec<f64>, ClientError> {
        let context = Context { parameters: &self.parameters, program };
        let output: EncryptedOutput = wire::from_bytes(output, MESSAGE_LIMIT, &context)?;
        let opened = self.open(&output.ciphertexts)?;
        let value = |&Place { ciphertext, coefficient }: &Place| {
            let value = opened.get(ciphertext).and_then(|c| c.get(coefficient));
            value.copied().ok_or(ClientError::Place { ciphertext, coefficient })
        };
        program.output.iter().map(value).collect()
    }

    /// Opens a trace: for each step that made ciphertexts, its index and their phases in turns.
    ///
    /// # Errors
    /// As [`Client::decrypt`].
    pub fn open_trace(
        &self,
        program: &Program,
        trace: &[u8],
    ) -> Result<Vec<(usize, Vec<Vec<f64>>)>, ClientError> {
        let context = Context { parameters: &self.parameters, program };
        let trace: Trace = wire::from_bytes(trace, TRACE_LIMIT, &context)?;
        let open = |(step, ciphertexts): &(usize, Vec<PackedCiphertext<Coeffs>>)| {
            let amplitude = program.steps.get(*step).map_or(1.0, |step| step.amplitude);
            let mut phases = self.open(ciphertexts)?;
            phases.iter_mut().flatten().for_each(|value| *value *= amplitude);
            Ok((*step, phases))
        };
        trace.steps.iter().map(open).collect()
    }

    fn open(&self, ciphertexts: &[PackedCiphertext<Coeffs>]) -> Result<Vec<Vec<f64>>, ClientError> {
        let decryptor = Decryptor::new(self.secrets.ring().clone());
        let open = |packed: &PackedCiphertext<Coeffs>| {
            let ciphertext: Ciphertext<Coeffs> = packed.unpack(self.parameters.ckks())?;
            Ok(self.encoder.decode_coefficients(&decryptor.decrypt(&ciphertext)?))
        };
        ciphertexts.iter().map(open).collect()
    }
}
