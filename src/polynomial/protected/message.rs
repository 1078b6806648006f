//! What is stored and sent.

use super::architecture::Architecture;
use super::encrypted::scales;
use bellerophon_schemes::ckks::{PackedCiphertext, Parameters, Scale, SeededCiphertext, Slots};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
use serde::{Deserialize, Serialize};

/// The largest protected network accepted, in bytes.
pub const NETWORK_LIMIT: u64 = 1 << 36;
/// The largest input or result accepted, in bytes.
pub const MESSAGE_LIMIT: u64 = 1 << 30;

/// A network whose weights and biases are encrypted: its architecture, and one ciphertext for each
/// diagonal and bias, at the level where it is used, its uniform half a seed. It holds no weight in
/// the clear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProtectedNetwork {
    pub(super) architecture: Architecture,
    pub(super) key: KeyId,
    pub(super) layers: Vec<ProtectedLayer>,
}

/// One layer's ciphertexts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ProtectedLayer {
    pub weights: Vec<SeededCiphertext<Slots>>,
    pub biases: Vec<SeededCiphertext<Slots>>,
}

impl ProtectedNetwork {
    /// Reads a network that was made for `parameters`.
    ///
    /// # Errors
    /// [`WireError`] for bytes that are no such network.
    pub fn from_bytes(bytes: &[u8], parameters: &Parameters) -> Result<Self, WireError> {
        wire::from_bytes(bytes, NETWORK_LIMIT, parameters)
    }

    /// Reads a network and the parameters that it was made for, which must reach the security that
    /// the network claims, and that `level`.
    ///
    /// # Errors
    /// As [`ProtectedNetwork::from_bytes`].
    pub fn open(bytes: &[u8], level: SecurityLevel) -> Result<(Self, Parameters), WireError> {
        let network: Self = wire::from_bytes(bytes, NETWORK_LIMIT, &level)?;
        let unfit = |reason| WireError::NotConformant { kind: Self::NAME, reason };
        let parameters = network.architecture.reaching(level).map_err(unfit)?;
        Ok((network, parameters))
    }

    /// What everyone may see of it.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The secret that opens its results.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Ciphertexts of all weights, and of all biases.
    #[must_use]
    pub fn ciphertexts(&self) -> [usize; 2] {
        let count = |count: &dyn Fn(&ProtectedLayer) -> usize| self.layers.iter().map(count).sum();
        [count(&|layer| layer.weights.len()), count(&|layer| layer.biases.len())]
    }
}

/// An input, encrypted with the public key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProtectedInput {
    pub(super) ciphertexts: Vec<PackedCiphertext<Slots>>,
}

/// A result, encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProtectedResult {
    pub(super) ciphertexts: Vec<PackedCiphertext<Slots>>,
}

impl Wire for ProtectedNetwork {
    const KIND: u16 = 43;
    const NAME: &'static str = "network protected in slots";
}

impl Wire for ProtectedInput {
    const KIND: u16 = 45;
    const NAME: &'static str = "input of a network protected in slots";
}

impl Wire for ProtectedResult {
    const KIND: u16 = 46;
    const NAME: &'static str = "result of a network protected in slots";
}

/// What a message is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Of the architecture.
    pub parameters: &'a Parameters,
    /// The network that the message belongs to.
    pub architecture: &'a Architecture,
    /// The secret that it is under.
    pub key: KeyId,
}

/// Checked against its own parameters, which must be those given.
impl Conformant<Parameters> for ProtectedNetwork {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        let Self { architecture, key, layers } = self;
        architecture.fits(parameters)?;
        let scales = scales(architecture, parameters).map_err(|error| error.to_string())?.weights;
        let expected = architecture.linear().count();
        if layers.len() != expected {
            return Err(format!("{} encrypted layers where {expected} belong", layers.len()));
        }
        for (((step, linear), scale), layer) in architecture.linear().zip(&scales).zip(layers) {
            let counts = [layer.weights.len(), layer.biases.len()];
            if counts != [linear.terms.len(), linear.outputs] {
                return Err(format!("layer {} has {counts:?} ciphertexts", step.stage));
            }
            let (below, output) = (step.level.saturating_sub(1), architecture.scale());
            let weights = layer.weights.iter().map(|weight| (weight, step.level, scale));
            let biases = layer.biases.iter().map(|bias| (bias, below, &output));
            for (ciphertext, level, scale) in weights.chain(biases) {
                ciphertext.conforms(parameters)?;
                let found = (ciphertext.level(), ciphertext.scale(), ciphertext.key());
                check_header(found, (level, scale, *key))?;
            }
        }
        Ok(())
    }
}

/// Checked against its own parameters, which must reach this level.
impl Conformant<SecurityLevel> for ProtectedNetwork {
    fn conforms(&self, level: &SecurityLevel) -> Result<(), String> {
        self.conforms(&self.architecture.reaching(*level)?)
    }
}

type Header<'a> = (usize, &'a Scale, KeyId);

fn check_header(found: Header<'_>, expected: Header<'_>) -> Result<(), String> {
    if found.0 != expected.0 {
        return Err(format!("a ciphertext at level {} where {} belongs", found.0, expected.0));
    }
    if found.1 != expected.1 {
        return Err("a ciphertext at another scale".to_owned());
    }
    found.2.check(expected.2).map_err(|error| error.to_string())
}

fn check_ciphertexts(
    ciphertexts: &[PackedCiphertext<Slots>],
    expected: usize,
    header: Header<'_>,
    parameters: &Parameters,
) -> Result<(), String> {
    if ciphertexts.len() != expected {
        let found = ciphertexts.len();
        return Err(format!("{found} ciphertexts where the network has {expected}"));
    }
    ciphertexts.iter().try_for_each(|ciphertext| {
        ciphertext.conforms(parameters)?;
        check_header((ciphertext.level(), ciphertext.scale(), ciphertext.key()), header)
    })
}

impl Conformant<Context<'_>> for ProtectedInput {
    fn conforms(&self, context: &Context<'_>) -> Result<(), String> {
        let Context { parameters, architecture, key } = *context;
        let scale = architecture.scale();
        let header = (architecture.input_level(), &scale, key);
        check_ciphertexts(&self.ciphertexts, architecture.input_ciphertexts(), header, parameters)
    }
}

impl Conformant<Context<'_>> for ProtectedResult {
    fn conforms(&self, context: &Context<'_>) -> Result<(), String> {
        let Context { parameters, architecture, key } = *context;
        let scale = scales(architecture, parameters).map_err(|error| error.to_string())?.result;
        let header = (architecture.output_level(), &scale, key);
        check_ciphertexts(&self.ciphertexts, architecture.output_ciphertexts(), header, parameters)
    }
}
