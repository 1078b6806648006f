//! The half that holds the secret: it makes keys, encrypts images and opens results.

use super::encrypted::program_scale;
use super::keys::requirements;
use super::message::{Context, EncryptedImage, EncryptedResults, MESSAGE_LIMIT};
use super::program::Program;
use bellerophon_schemes::ckks::{
    CkksError, Decryptor, Encoder, Encryptor, KeyGenerator, Parameters, SecretKey,
};
use bellerophon_schemes::wire::{self, WireError};
use rand::CryptoRng;
use std::sync::Arc;
use thiserror::Error;

/// Why the client refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// In the scheme.
    #[error(transparent)]
    Ckks(#[from] CkksError),
    /// In reading or writing bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The program is for other parameters, or does not fit itself.
    #[error("the program does not fit: {reason}")]
    Program {
        /// What does not fit.
        reason: String,
    },
    /// The image is of another size than the program's input.
    #[error("the image has {found} values, the program reads {expected}")]
    InputSize {
        /// What the program reads.
        expected: usize,
        /// What was given.
        found: usize,
    },
}

/// The owner of the secret.
#[derive(Debug)]
pub struct Client {
    parameters: Parameters,
    secret: Arc<SecretKey>,
    encoder: Encoder,
}

impl Client {
    /// A client with a fresh secret.
    ///
    /// # Errors
    /// [`ClientError::Ckks`], which cannot occur for parameters that were built.
    pub fn new(parameters: Parameters, rng: &mut impl CryptoRng) -> Result<Self, ClientError> {
        let secret = Arc::new(KeyGenerator::new(&parameters).secret_key(rng)?);
        let encoder = Encoder::new(&parameters);
        Ok(Self { parameters, secret, encoder })
    }

    fn check(&self, program: &Program) -> Result<(), ClientError> {
        if program.parameters != *self.parameters.literal() {
            let reason = "it was compiled for other parameters".to_owned();
            return Err(ClientError::Program { reason });
        }
        program.check_ends().map_err(|reason| ClientError::Program { reason })
    }

    /// All keys that the program needs, for [`super::server::Server::new`]; no secret can be
    /// computed from them.
    ///
    /// # Errors
    /// [`ClientError::Program`] for a program of other parameters.
    pub fn publish_keys(
        &self,
        program: &Program,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, ClientError> {
        self.check(program)?;
        let requirements = requirements(program, &self.parameters)?;
        let generator = KeyGenerator::new(&self.parameters);
        let keys = generator.evaluation_keys(&self.secret, &requirements, rng)?;
        Ok(wire::to_bytes(&keys)?)
    }

    /// Encrypts an image (the network's units, in the order of its input) for `program`.
    ///
    /// # Errors
    /// [`ClientError::InputSize`] for an image of another size, [`ClientError::Program`] for a
    /// program of other parameters, [`ClientError::Ckks`] for values that no ciphertext holds.
    pub fn encrypt(
        &self,
        program: &Program,
        image: &[f64],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, ClientError> {
        self.check(program)?;
        let (expected, found) = (program.input.len(), image.len());
        if expected != found {
            return Err(ClientError::InputSize { expected, found });
        }
        let (encryptor, scale) = (Encryptor::new(&self.parameters), program_scale(program));
        let level = self.parameters.max_level();
        let slots = program.input_slots(image);
        let ciphertexts = slots.iter().map(|slots| {
            let plaintext = self.encoder.encode_real(slots, level, &scale)?;
            encryptor.encrypt(&plaintext, &self.secret, rng)
        });
        let ciphertexts = ciphertexts.collect::<Result<_, CkksError>>()?;
        Ok(wire::to_bytes(&EncryptedImage { ciphertexts })?)
    }

    /// Opens the results, in the network's units. They carry noise that depends on the secret: who
    /// passes them on rounds them first (Li and Micciancio, ePrint 2020/1533).
    ///
    /// # Errors
    /// [`ClientError::Wire`] for bytes that are no results of `program`, [`ClientError::Program`]
    /// for a program of other parameters, [`ClientError::Ckks`] for results under another key.
    pub fn decrypt(&self, program: &Program, results: &[u8]) -> Result<Vec<f64>, ClientError> {
        self.check(program)?;
        let context = Context { parameters: &self.parameters, program };
        let results: EncryptedResults = wire::from_bytes(results, MESSAGE_LIMIT, &context)?;
        let decryptor = Decryptor::new(Arc::clone(&self.secret));
        let slots = results.ciphertexts.iter().map(|packed| {
            let plaintext = decryptor.decrypt(&packed.unpack(&self.parameters)?)?;
            Ok(self.encoder.decode(&plaintext).into_iter().map(|slot| slot.re).collect())
        });
        Ok(program.results(&slots.collect::<Result<Vec<Vec<f64>>, CkksError>>()?))
    }
}
