//! The owner of a network: the one who holds the secret.

use super::architecture::{Architecture, Linear, Step};
use super::encrypted::scales;
use super::message::{Context, MESSAGE_LIMIT, ProtectedLayer, ProtectedNetwork, ProtectedResult};
use super::plain::{PlainNetwork, Weights};
use bellerophon_schemes::ckks::{
    CkksError, Decryptor, Encoder, Encryptor, KeyGenerator, Parameters, Scale, SecretKey,
    SeededCiphertext, Slots, c64,
};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::wire::{self, WireError};
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why an owner refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// In the scheme.
    #[error(transparent)]
    Ckks(#[from] CkksError),
    /// In reading or writing bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The architecture is for other parameters, or does not fit itself.
    #[error("the network does not fit: {reason}")]
    Architecture {
        /// What does not fit.
        reason: String,
    },
}

/// What everyone who encrypts inputs or evaluates needs: no secret can be computed from it.
#[derive(Clone, Debug)]
pub struct PublishedKeys {
    /// For inputs.
    pub public: Vec<u8>,
    /// For evaluation.
    pub evaluation: Vec<u8>,
}

/// Bytes of an exported secret.
pub const SECRET_BYTES: usize = 32;

/// Protects networks, publishes the keys that go with them, and opens results.
pub struct Owner {
    parameters: Parameters,
    seed: Zeroizing<[u8; SECRET_BYTES]>,
    secret: Arc<SecretKey>,
    encoder: Encoder,
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("key", &self.secret.id()).finish_non_exhaustive()
    }
}

impl Owner {
    /// An owner with a fresh secret.
    ///
    /// # Errors
    /// [`OwnerError::Ckks`], which cannot occur for parameters that were built.
    pub fn new(parameters: &Parameters, rng: &mut impl CryptoRng) -> Result<Self, OwnerError> {
        let mut seed = Zeroizing::new([0; SECRET_BYTES]);
        rng.fill_bytes(seed.as_mut_slice());
        Self::from_secret(parameters, seed)
    }

    /// The owner whose [`Owner::secret`] this is.
    ///
    /// # Errors
    /// As [`Owner::new`].
    pub fn from_secret(
        parameters: &Parameters,
        seed: Zeroizing<[u8; SECRET_BYTES]>,
    ) -> Result<Self, OwnerError> {
        let mut rng = ChaCha20Rng::from_seed(*seed);
        let secret = Arc::new(KeyGenerator::new(parameters).secret_key(&mut rng)?);
        let encoder = Encoder::new(parameters);
        Ok(Self { parameters: parameters.clone(), seed, secret, encoder })
    }

    /// The seed of the secret key, to be stored under lock: whoever has it opens every result and
    /// every weight.
    #[must_use]
    pub fn secret(&self) -> &Zeroizing<[u8; SECRET_BYTES]> {
        &self.seed
    }

    /// The id of the secret.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.secret.id()
    }

    fn check(&self, architecture: &Architecture) -> Result<(), OwnerError> {
        let fits = architecture.fits(&self.parameters);
        fits.map_err(|reason| OwnerError::Architecture { reason })
    }

    /// Encrypts all weights and biases of a network under the secret key, and `done` is told how many
    /// ciphertexts there are, after each. Generators for the ciphertexts are seeded from `rng`.
    ///
    /// # Errors
    /// [`OwnerError::Architecture`] for a network of other parameters, [`OwnerError::Ckks`] for weights
    /// that no ciphertext holds.
    pub fn protect(
        &self,
        network: &PlainNetwork,
        rng: &mut impl CryptoRng,
        done: &(dyn Fn() + Sync),
    ) -> Result<ProtectedNetwork, OwnerError> {
        let architecture = network.architecture.clone();
        self.check(&architecture)?;
        let scales = scales(&architecture, &self.parameters)?.weights;
        let mut layers = Vec::new();
        for (((step, linear), scale), weights) in
            architecture.linear().zip(&scales).zip(&network.weights)
        {
            let output = architecture.scale();
            layers.push(self.layer((step, linear), weights, [scale, &output], rng, done)?);
        }
        Ok(ProtectedNetwork { architecture, key: self.key(), layers })
    }

    fn layer(
        &self,
        (step, linear): (&Step, &Linear),
        weights: &Weights,
        [scale, output]: [&Scale; 2],
        rng: &mut impl CryptoRng,
        done: &(dyn Fn() + Sync),
    ) -> Result<ProtectedLayer, OwnerError> {
        let mut seeds = |count: usize| -> Vec<Zeroizing<[u8; 32]>> {
            let mut seeds = vec![Zeroizing::new([0; 32]); count];
            seeds.iter_mut().for_each(|seed| rng.fill_bytes(seed.as_mut_slice()));
            seeds
        };
        let encrypt = |slots: &[c64], level, scale: &Scale, seed: &Zeroizing<[u8; 32]>| {
            let encrypted = self.encrypt(slots, level, scale, &mut ChaCha20Rng::from_seed(**seed));
            done();
            encrypted
        };
        let terms = linear.terms.iter().zip(&weights.diagonals).zip(seeds(linear.terms.len()));
        let terms: Vec<_> = terms.collect();
        let diagonals = terms.par_iter().map(|((term, diagonal), seed)| {
            let mut slots = Zeroizing::new(Complex((*diagonal).clone()));
            let length = slots.0.len().max(1);
            slots.0.rotate_right(term.giant % length);
            encrypt(&slots.0, step.level, scale, seed)
        });
        let diagonals = diagonals.collect::<Result<_, CkksError>>()?;
        let biases = weights.biases.iter().zip(seeds(weights.biases.len())).map(|(bias, seed)| {
            let slots = bias.iter().map(|&re| c64 { re, im: 0.0 }).collect();
            let slots = Zeroizing::new(Complex(slots));
            encrypt(&slots.0, step.level.saturating_sub(1), output, &seed)
        });
        let biases = biases.collect::<Result<_, CkksError>>()?;
        Ok(ProtectedLayer { weights: diagonals, biases })
    }

    fn encrypt(
        &self,
        slots: &[c64],
        level: usize,
        scale: &Scale,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededCiphertext<Slots>, CkksError> {
        let plaintext = self.encoder.encode(slots, level, scale)?;
        Encryptor::new(&self.parameters).encrypt(&plaintext, &self.secret, rng)
    }

    /// The public key, for inputs, and all keys that evaluation needs, each in its wire form.
    ///
    /// # Errors
    /// [`OwnerError::Architecture`] for a network of other parameters.
    pub fn publish_keys(
        &self,
        architecture: &Architecture,
        rng: &mut impl CryptoRng,
    ) -> Result<PublishedKeys, OwnerError> {
        self.check(architecture)?;
        let requirements = architecture.requirements(&self.parameters)?;
        let generator = KeyGenerator::new(&self.parameters);
        let public = wire::to_bytes(&generator.public_key(&self.secret, rng)?)?;
        let evaluation = generator.evaluation_keys(&self.secret, &requirements, rng)?;
        Ok(PublishedKeys { public, evaluation: wire::to_bytes(&evaluation)? })
    }

    /// Opens a result, in the network's units. It carries noise that depends on the secret: who passes
    /// it on rounds it first (Li and Micciancio, ePrint 2020/1533).
    ///
    /// # Errors
    /// [`OwnerError::Wire`] for bytes that are no result of the network or one under another key,
    /// [`OwnerError::Architecture`] for a network of other parameters.
    pub fn decrypt(
        &self,
        architecture: &Architecture,
        result: &[u8],
    ) -> Result<Vec<f64>, OwnerError> {
        self.check(architecture)?;
        let context = Context { parameters: &self.parameters, architecture, key: self.key() };
        let result: ProtectedResult = wire::from_bytes(result, MESSAGE_LIMIT, &context)?;
        let decryptor = Decryptor::new(Arc::clone(&self.secret));
        let slots = result.ciphertexts.iter().map(|packed| {
            let plaintext = decryptor.decrypt(&packed.unpack(&self.parameters)?)?;
            Ok(self.encoder.decode(&plaintext))
        });
        Ok(architecture.results(&slots.collect::<Result<Vec<Vec<c64>>, CkksError>>()?))
    }
}

/// Slots that are wiped.
#[derive(Clone)]
struct Complex(Vec<c64>);

impl zeroize::Zeroize for Complex {
    fn zeroize(&mut self) {
        for value in &mut self.0 {
            value.re.zeroize();
            value.im.zeroize();
        }
    }
}
