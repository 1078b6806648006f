//! The DNN processing agent.

use super::AgentError;
use crate::bundle::{Bundle, Part};
use crate::protect::{Encryptor, ProtectedModel};
use crate::server::{ProtectedServer, Server, ServerError};
use crate::service::processor::{Deployed, InputError, Processor};
use bellerophon_bridge::BridgeError;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::WireError;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// Runs one deployed model on encrypted inputs (the paper's step 6), with evaluation keys alone.
#[derive(Debug)]
pub struct ProcessingAgent {
    server: ProtectedServer,
    input_limit: u64,
}

impl ProcessingAgent {
    /// Reads a verified bundle, and checks that its parts fit one another: the model and its
    /// parameters at `level`, all keys under the secret that the manifest names, and an input
    /// that is encrypted with the public key.
    ///
    /// # Errors
    /// [`AgentError::Bundle`] for parts that are not those signed, [`AgentError::Key`] for a part
    /// under another secret; [`AgentError::Wire`], [`AgentError::Server`] and
    /// [`AgentError::Encryptor`] for parts that do not conform.
    pub fn deploy(bundle: &mut Bundle, level: SecurityLevel) -> Result<Deployed, AgentError> {
        let (model, parameters) = ProtectedModel::open(&bundle.read(Part::Model)?, level)?;
        let keys = bundle.read(Part::EvaluationKeys)?;
        let mut server = Server::protected(&parameters, &model, &keys, None)?;
        drop(keys);
        if bundle.has(Part::SlotKeys) {
            server = server.with_slot_keys(level, &bundle.read(Part::SlotKeys)?)?;
        }
        let public_key = bundle.read(Part::PublicKey)?;
        let encryptor = Encryptor::new(&parameters, model.input_layout(), &public_key)?;
        let manifest = bundle.manifest();
        for (what, key) in [("encrypted model", model.key()), ("public key", encryptor.key())] {
            let wrong =
                |mismatch| AgentError::Key { what, model: manifest.model.clone(), mismatch };
            manifest.key.check(key).map_err(wrong)?;
        }
        // every input of this model is as long as one of zeros
        let zeros = vec![0.0; encryptor.elements()];
        let input = encryptor.encrypt(&zeros, &mut ChaCha20Rng::from_rng(&mut rand::rng()))?;
        server.read_input(&input)?;
        let processor = Box::new(Self { server, input_limit: input.len() as u64 });
        let (model, key) = (manifest.model.clone(), manifest.key);
        Ok(Deployed { model, bundle: bundle.id(), key, processor })
    }
}

impl Processor for ProcessingAgent {
    fn input_limit(&self) -> u64 {
        self.input_limit
    }

    fn check(&self, input: &[u8]) -> Result<(), InputError> {
        self.server.read_input(input).map(drop).map_err(refusal)
    }

    fn process(&self, input: &[u8]) -> Result<Vec<u8>, InputError> {
        let evaluation = self.server.evaluate(input, false, &|_| ()).map_err(refusal)?;
        Ok(evaluation.output)
    }
}

/// What is well formed but of another shape or key is unfit; all else is malformed.
fn refusal(error: ServerError) -> InputError {
    match &error {
        ServerError::Wire(WireError::NotConformant { .. })
        | ServerError::Bridge(BridgeError::Key(_)) => InputError::Unfit(error.to_string()),
        ServerError::Wire(_) => InputError::Malformed(error.to_string()),
        _ => InputError::Unfit(error.to_string()),
    }
}
