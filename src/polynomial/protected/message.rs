//! What is stored and sent.

use super::architecture::Architecture;
use super::encrypted::scales;
use bellerophon_schemes::ckks::{
    PackedCiphertext, Parameters, Scale, SeededCiphertext, SeededEvaluationKeys, SeededPublicKey,
    Slots,
};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::wire::{Conformant, Wire};
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

    /// Ciphertexts of all weights and biases.
    #[must_use]
    pub fn ciphertexts(&self) -> usize {
        self.layers.iter().map(|layer| layer.weights.len() + layer.biases.len()).sum()
    }
}

/// What everyone who encrypts inputs or evaluates needs: no secret can be computed from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedKeys {
    pub(super) public: SeededPublicKey,
    pub(super) evaluation: SeededEvaluationKeys,
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

impl Wire for PublishedKeys {
    const KIND: u16 = 44;
    const NAME: &'static str = "public keys of a network protected in slots";
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
        if architecture.parameters != *parameters.literal() {
            return Err("it is for other parameters".to_owned());
        }
        architecture.check()?;
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

impl Conformant<Context<'_>> for PublishedKeys {
    fn conforms(&self, context: &Context<'_>) -> Result<(), String> {
        self.public.conforms(context.parameters)?;
        self.evaluation.conforms(context.parameters)?;
        context.key.check(self.public.key()).map_err(|error| error.to_string())?;
        self.evaluation.check_key(context.key).map_err(|error| error.to_string())
    }
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
