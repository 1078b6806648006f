//! The side that takes in data: it encrypts, and can open nothing.

use crate::input::{InputError, InputLayout};
use crate::message::PublicInput;
use bellerophon_bridge as bridge;
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::math::Ring;
use bellerophon_schemes::rlwe::{
    self, Coeffs, Encoder, PackedCiphertext, PublicKey, RlweError, SeededPublicKey,
};
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
use rand::CryptoRng;
use thiserror::Error;

/// Why an input was not encrypted.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EncryptorError {
    /// In the scheme.
    #[error(transparent)]
    Rlwe(#[from] RlweError),
    /// In reading or writing bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The input does not fit the layout.
    #[error(transparent)]
    Input(#[from] InputError),
}

/// The largest public key accepted, in bytes.
const PUBLIC_KEY_LIMIT: u64 = 4 << 20;

/// Encrypts inputs of a model with its owner's public key.
#[derive(Debug)]
pub struct Encryptor {
    layout: InputLayout,
    ring: Ring,
    key: PublicKey,
    encoder: Encoder,
    encryptor: rlwe::Encryptor,
}

impl Encryptor {
    /// An encryptor with a key from [`crate::client::Client::publish_encryption_key`] and the layout
    /// of a model ([`super::ProtectedModel::input_layout`]).
    ///
    /// # Errors
    /// [`EncryptorError::Wire`] for bytes that are no public key for `parameters`, and for a layout
    /// that their ring does not hold.
    pub fn new(
        parameters: &bridge::Parameters,
        layout: InputLayout,
        key: &[u8],
    ) -> Result<Self, EncryptorError> {
        let kind = InputLayout::NAME;
        layout.conforms(parameters).map_err(|reason| WireError::NotConformant { kind, reason })?;
        let key: SeededPublicKey = wire::from_bytes(key, PUBLIC_KEY_LIMIT, parameters.rlwe())?;
        Ok(Self {
            layout,
            ring: parameters.ring().clone(),
            key: key.expand(parameters.ring())?,
            encoder: Encoder::new(parameters.rlwe()),
            encryptor: rlwe::Encryptor::new(parameters.rlwe()),
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
        self.layout.elements()
    }

    /// Encrypts an input (the network's units, in the order of its input): the wire form for
    /// [`crate::server::Server::evaluate`]. Its noise is
    /// [`bellerophon_schemes::rlwe::noise::fresh_public`].
    ///
    /// # Errors
    /// [`EncryptorError::Input`] for an input of another size, [`EncryptorError::Rlwe`] for values
    /// that the modulus does not hold.
    pub fn encrypt(
        &self,
        input: &[f64],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, EncryptorError> {
        let plaintexts = self.layout.encode(&self.encoder, &self.ring, input)?;
        let mut ciphertexts = Vec::with_capacity(plaintexts.len());
        for plaintext in &plaintexts {
            let ciphertext = self.encryptor.encrypt_public::<Coeffs>(plaintext, &self.key, rng)?;
            ciphertexts.push(PackedCiphertext::from(&ciphertext));
        }
        Ok(wire::to_bytes(&PublicInput { ciphertexts })?)
    }
}
