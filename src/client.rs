//! The half that holds the secrets: it makes keys, encrypts images and opens results.

use crate::compile::{Place, Program};
use crate::input::InputError;
use crate::message::{Context, EncryptedInput, EncryptedOutput, MESSAGE_LIMIT, TRACE_LIMIT, Trace};
use crate::protect::{ProtectError, ProtectedModel};
use bellerophon_bridge::{
    self as bridge, BridgeError, SecretKeys, SeededEvaluationKeys, SeededSlotKeys, SlotParameters,
};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::rlwe::{
    Ciphertext, Coeffs, Decryptor, Encoder, Encryptor, KeyGenerator, PackedCiphertext, RlweError,
};
use bellerophon_schemes::security::{LweInstance, SecurityLevel};
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

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

impl From<InputError> for ClientError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Size { expected, found } => Self::InputSize { expected, found },
            InputError::Place { ciphertext, coefficient } => {
                Self::Place { ciphertext, coefficient }
            }
            InputError::Rlwe(error) => error.into(),
        }
    }
}

impl From<RlweError> for ClientError {
    fn from(error: RlweError) -> Self {
        Self::Bridge(error.into())
    }
}

/// The index of a step and the phases, in turns, of the ciphertexts it made.
pub type StepPhases = (usize, Vec<Vec<f64>>);

/// The owner of the secrets. All of them are expanded from a seed of 256 bits, as ML-KEM expands its
/// keys (FIPS 203, section 7.1), so that the seed is all that must be kept.
pub struct Client {
    parameters: bridge::Parameters,
    seed: Zeroizing<Seed>,
    secrets: SecretKeys,
    encoder: Encoder,
}

type Seed = [u8; 32];

/// The form in which secrets are kept; made by [`Client::export_secrets`] alone.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredSecrets {
    seed: Seed,
    /// The id of the ring secret that the seed expands to.
    #[zeroize(skip)]
    ring: KeyId,
    #[zeroize(skip)]
    parameters: bridge::ParametersLiteral,
}

impl Wire for StoredSecrets {
    const KIND: u16 = 13;
    const NAME: &'static str = "secret key set";
}

impl Conformant<bridge::Parameters> for StoredSecrets {
    fn conforms(&self, parameters: &bridge::Parameters) -> Result<(), String> {
        match self.parameters == *parameters.literal() {
            true => Ok(()),
            false => Err("the secrets were made for other parameters".to_owned()),
        }
    }
}

/// The largest set of secrets accepted, in bytes.
pub const SECRETS_LIMIT: u64 = 64 << 10;

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("secrets", &self.secrets).finish_non_exhaustive()
    }
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
        let mut seed = Zeroizing::new(Seed::default());
        rng.fill_bytes(&mut *seed);
        Self::from_seed(parameters, seed)
    }

    fn from_seed(
        parameters: bridge::Parameters,
        seed: Zeroizing<Seed>,
    ) -> Result<Self, ClientError> {
        let secrets = SecretKeys::generate(&parameters, &mut ChaCha20Rng::from_seed(*seed))?;
        let encoder = Encoder::new(parameters.rlwe());
        Ok(Self { parameters, seed, secrets, encoder })
    }

    /// The secrets, to be kept where nobody else can read them: with them everything that was or
    /// will be encrypted under them can be opened. Nothing else ever serializes a secret.
    ///
    /// # Errors
    /// [`ClientError::Wire`], which cannot occur for a client that was made.
    pub fn export_secrets(&self) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let stored = StoredSecrets {
            seed: *self.seed,
            ring: self.secrets.ring().id(),
            parameters: self.parameters.literal().clone(),
        };
        Ok(Zeroizing::new(wire::to_bytes(&stored)?))
    }

    /// A client with secrets that were exported: the same ids, so that it opens what belongs to
    /// evaluation keys published before.
    ///
    /// # Errors
    /// [`ClientError::Wire`] for bytes that are no secrets or those for other parameters,
    /// [`ClientError::Bridge`] where the seed does not expand to the secrets that it stands for.
    pub fn import_secrets(
        parameters: bridge::Parameters,
        bytes: &[u8],
    ) -> Result<Self, ClientError> {
        let stored: StoredSecrets = wire::from_bytes(bytes, SECRETS_LIMIT, &parameters)?;
        let client = Self::from_seed(parameters, Zeroizing::new(stored.seed))?;
        stored.ring.check(client.secrets.ring().id()).map_err(BridgeError::from)?;
        Ok(client)
    }

    /// All keys that the server needs; no secret can be computed from them.
    ///
    /// # Errors
    /// [`ClientError::Bridge`], which cannot occur for a client that was made.
    pub fn publish_keys(&self, rng: &mut impl CryptoRng) -> Result<PublishedKeys, ClientError> {
        let keys = SeededEvaluationKeys::generate(&self.parameters, &self.secrets, rng)?;
        let mut instances =
            vec![("fresh ciphertext".to_owned(), self.parameters.rlwe().instance())];
        instances.extend(keys.instances());
        Ok(PublishedKeys { bytes: wire::to_bytes(&keys)?, instances })
    }

    /// The keys for polynomials in slots, for [`crate::server::Server::with_slot_keys`]; `None` where
    /// the program has no such polynomials.
    ///
    /// # Errors
    /// [`ClientError::Bridge`] where the program's parameters do not reach `level`.
    pub fn publish_slot_keys(
        &self,
        program: &Program,
        level: SecurityLevel,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        let Some(literal) = program.slots.clone() else { return Ok(None) };
        let parameters = SlotParameters::new(self.parameters.rlwe(), literal, level)?;
        let keys = SeededSlotKeys::generate(&parameters, self.secrets.ring(), rng)?;
        Ok(Some(wire::to_bytes(&keys)?))
    }

    /// The public key with which anyone encrypts inputs ([`crate::protect::Encryptor`]) and nobody
    /// opens anything.
    ///
    /// # Errors
    /// [`ClientError::Bridge`], which cannot occur for a client that was made.
    pub fn publish_encryption_key(&self, rng: &mut impl CryptoRng) -> Result<Vec<u8>, ClientError> {
        let generator = KeyGenerator::new(self.parameters.rlwe());
        Ok(wire::to_bytes(&generator.public_key(self.secrets.ring(), rng)?)?)
    }

    /// Encrypts the weights and biases of `program` under this client's secret, for a server that is
    /// to learn neither the data nor the model ([`crate::server::Server::protected`]).
    ///
    /// # Errors
    /// [`ProtectError`] for a program that cannot be protected.
    pub fn protect(
        &self,
        program: &Program,
        rng: &mut impl CryptoRng,
    ) -> Result<ProtectedModel, ProtectError> {
        ProtectedModel::encrypt(&self.parameters, program, self.secrets.ring(), rng)
    }

    /// Encrypts an image (the network's units, in the order of its input) for `program`.
    ///
    /// # Errors
    /// [`ClientError::InputSize`] for an image of another size.
    pub fn encrypt<L>(
        &self,
        program: &Program<L>,
        image: &[f64],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, ClientError> {
        let (layout, ring) = (program.input_layout(), self.parameters.ring());
        let plaintexts = layout.encode(&self.encoder, ring, image)?;
        let encryptor = Encryptor::new(self.parameters.rlwe());
        let ciphertexts = plaintexts
            .iter()
            .map(|plaintext| encryptor.encrypt(plaintext, self.secrets.ring(), rng))
            .collect::<Result<_, RlweError>>()?;
        Ok(wire::to_bytes(&EncryptedInput { ciphertexts })?)
    }

    /// Opens the outputs, in the network's units.
    ///
    /// # Errors
    /// [`ClientError::Wire`] for bytes that are no output of `program`, [`ClientError::Bridge`] for
    /// one under another key.
    pub fn decrypt<L>(&self, program: &Program<L>, output: &[u8]) -> Result<Vec<f64>, ClientError> {
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
    pub fn open_trace<L>(
        &self,
        program: &Program<L>,
        trace: &[u8],
    ) -> Result<Vec<StepPhases>, ClientError> {
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
            let ciphertext: Ciphertext<Coeffs> = packed.unpack(self.parameters.rlwe())?;
            Ok(self.encoder.decode_coefficients(&decryptor.decrypt(&ciphertext)?))
        };
        ciphertexts.iter().map(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny::{self, ELSEWHERE, STRANGER, WORLD, World};
    use std::sync::LazyLock;

    struct Run {
        input: Vec<u8>,
        output: Vec<u8>,
        trace: Vec<u8>,
    }

    fn run(world: &World) -> Run {
        let input = world.encrypted_image(1);
        let evaluation = world.server.evaluate(&input, true, &|_| ()).unwrap();
        Run { input, output: evaluation.output, trace: evaluation.trace.unwrap() }
    }

    static RUN: LazyLock<Run> = LazyLock::new(|| run(&WORLD));

    fn wire_error(error: &ClientError) -> Option<&WireError> {
        match error {
            ClientError::Wire(error) => Some(error),
            _ => None,
        }
    }

    #[test]
    fn images_of_another_size_are_refused() {
        let world = &*WORLD;
        for found in [0, 63, 65, 1024] {
            let error = world.client.encrypt(&world.program, &vec![0.5; found], &mut tiny::rng(1));
            assert_eq!(error, Err(ClientError::InputSize { expected: 64, found }));
        }
        let error = world.client.encrypt(&world.program, &[0.5], &mut tiny::rng(1)).unwrap_err();
        assert_eq!(error.to_string(), "the image has 1 values, the program reads 64");
    }

    #[test]
    fn values_that_no_ciphertext_holds_are_refused() {
        let world = &*WORLD;
        for value in [f64::NAN, f64::INFINITY, 1e9] {
            let mut image = world.image(0);
            image[5] = value;
            let error = world.client.encrypt(&world.program, &image, &mut tiny::rng(1));
            assert!(
                matches!(
                    error,
                    Err(ClientError::Bridge(BridgeError::Rlwe(RlweError::ValueRange { .. })))
                ),
                "{value}: {error:?}"
            );
        }
    }

    #[test]
    fn programs_with_places_outside_the_ring_are_refused() {
        let world = &*WORLD;
        let outside = Place { ciphertext: 0, coefficient: 512 };
        let error = ClientError::Place { ciphertext: 0, coefficient: 512 };
        let mut program = world.program.clone();
        program.input[9].place = outside;
        let found = world.client.encrypt(&program, &world.image(0), &mut tiny::rng(1));
        assert_eq!(found, Err(error.clone()));
        let mut program = world.program.clone();
        program.output[0] = outside;
        assert_eq!(world.client.decrypt(&program, &RUN.output), Err(error));
    }

    #[test]
    fn damaged_outputs_and_traces_are_refused() {
        let (client, program) = (&WORLD.client, &WORLD.program);
        tiny::refuses_damage(
            &RUN.output,
            |bytes| client.decrypt(program, bytes).map(drop),
            wire_error,
        );
        tiny::refuses_damage(
            &RUN.trace,
            |bytes| client.open_trace(program, bytes).map(drop),
            wire_error,
        );
    }

    #[test]
    fn messages_of_another_kind_are_refused() {
        let (client, program) = (&WORLD.client, &WORLD.program);
        for bytes in [&RUN.input, &RUN.trace, &WORLD.keys] {
            let error = client.decrypt(program, bytes).unwrap_err();
            assert!(matches!(error, ClientError::Wire(WireError::Kind { .. })), "{error:?}");
        }
        for bytes in [&RUN.input, &RUN.output] {
            let error = client.open_trace(program, bytes).unwrap_err();
            assert!(matches!(error, ClientError::Wire(WireError::Kind { .. })), "{error:?}");
        }
    }

    #[test]
    fn results_under_another_clients_key_are_refused() {
        let (client, program) = (&STRANGER.client, &WORLD.program);
        let key =
            |error| matches!(error, ClientError::Bridge(BridgeError::Rlwe(RlweError::Key(_))));
        assert!(key(client.decrypt(program, &RUN.output).unwrap_err()));
        assert!(key(client.open_trace(program, &RUN.trace).unwrap_err()));
    }

    #[test]
    fn results_in_another_ring_are_refused() {
        let other = &*ELSEWHERE;
        let error = other.client.decrypt(&other.program, &RUN.output).unwrap_err();
        assert!(matches!(wire_error(&error), Some(WireError::NotConformant { .. })), "{error:?}");
        let error = other.client.open_trace(&other.program, &RUN.trace).unwrap_err();
        assert!(matches!(wire_error(&error), Some(WireError::NotConformant { .. })), "{error:?}");
    }

    #[test]
    fn exported_secrets_open_what_belonged_to_them() {
        let (client, program) = (&WORLD.client, &WORLD.program);
        let stored = client.export_secrets().unwrap();
        assert_eq!(*stored, *client.export_secrets().unwrap());
        let again = Client::import_secrets(WORLD.parameters.clone(), &stored).unwrap();
        assert_eq!(again.secrets.ring().id(), client.secrets.ring().id());
        assert_eq!(again.secrets.lwe().id(), client.secrets.lwe().id());
        assert_eq!(again.decrypt(program, &RUN.output), client.decrypt(program, &RUN.output));
        let seeded = |client: &Client| client.publish_keys(&mut tiny::rng(4)).unwrap().bytes;
        assert_eq!(seeded(&again), seeded(client));
        assert_eq!(format!("{again:?}"), format!("{client:?}"));
        assert!(!format!("{again:?}").contains("seed"));
    }

    #[test]
    fn damaged_secrets_are_refused() {
        let stored = WORLD.client.export_secrets().unwrap();
        let import = |bytes: &[u8]| Client::import_secrets(WORLD.parameters.clone(), bytes);
        tiny::refuses_damage(&stored, |bytes| import(bytes).map(drop), wire_error);
        for bytes in [&RUN.input, &WORLD.keys] {
            let error = import(bytes).unwrap_err();
            assert!(matches!(error, ClientError::Wire(WireError::Kind { .. })), "{error:?}");
        }
    }

    #[test]
    fn secrets_for_other_parameters_are_refused() {
        let stored = ELSEWHERE.client.export_secrets().unwrap();
        let error = Client::import_secrets(WORLD.parameters.clone(), &stored).unwrap_err();
        assert!(matches!(wire_error(&error), Some(WireError::NotConformant { .. })), "{error:?}");
        assert!(error.to_string().contains("other parameters"), "{error}");
    }

    /// A seed that expands to other secrets than those it was exported with: an implementation
    /// whose sampling has changed.
    #[test]
    fn secrets_that_expand_otherwise_are_refused() {
        let stored = StoredSecrets {
            seed: [7; 32],
            ring: WORLD.client.secrets.ring().id(),
            parameters: WORLD.parameters.literal().clone(),
        };
        let bytes = wire::to_bytes(&stored).unwrap();
        let error = Client::import_secrets(WORLD.parameters.clone(), &bytes).unwrap_err();
        assert!(matches!(error, ClientError::Bridge(BridgeError::Key(_))), "{error:?}");
    }

    #[test]
    fn published_keys_list_what_each_is_worth() {
        let published = WORLD.client.publish_keys(&mut tiny::rng(3)).unwrap();
        let names: Vec<&str> = published.instances.iter().map(|(name, _)| name.as_str()).collect();
        // a fresh ciphertext, the ring switch, nine Galois keys for a ring of 512, two tables
        assert_eq!(names.len(), 1 + 1 + 9 + 2, "{names:?}");
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        let small = published.instances.iter().find(|(name, _)| name.contains("small secret"));
        assert_eq!(small.map(|(_, instance)| instance.dimension), Some(48));
        assert!(published.instances.iter().all(|(_, instance)| instance.estimate().bits == 0));
    }

    #[test]
    fn fresh_encryptions_differ_and_keys_differ() {
        let image = WORLD.image(0);
        let encrypt =
            |seed| WORLD.client.encrypt(&WORLD.program, &image, &mut tiny::rng(seed)).unwrap();
        assert_eq!(encrypt(1), encrypt(1));
        assert_ne!(encrypt(1), encrypt(2));
        assert_ne!(WORLD.keys, STRANGER.keys);
    }
}
