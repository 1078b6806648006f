//! The DNN processing agent.

use super::AgentError;
use super::deployed_model::DeployedModel;
use super::error::check_key;
use super::input_encryptor::InputEncryptor;
use crate::bundle::{Bundle, Part};
use crate::polynomial::protected::{Edge, EdgeError};
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
    evaluator: Evaluator,
    input_limit: u64,
}

/// What evaluates a model of either kind.
#[derive(Debug)]
enum Evaluator {
    Program(Box<ProtectedServer>),
    Slots(Box<Edge>),
}

impl ProcessingAgent {
    /// Reads a verified bundle, and checks that its parts fit one another: the model and its
    /// parameters at `level`, all keys under the secret that the manifest names, and an input
    /// that is encrypted with the public key.
    ///
    /// # Errors
    /// [`AgentError::Bundle`] for parts that are not those signed, [`AgentError::Key`] for a part
    /// under another secret; [`AgentError::Wire`], [`AgentError::Server`], [`AgentError::Edge`] and
    /// [`AgentError::Encryptor`] for parts that do not conform.
    pub fn deploy(bundle: &mut Bundle, level: SecurityLevel) -> Result<Deployed, AgentError> {
        let model = DeployedModel::open(&bundle.read(Part::Model)?, level)?;
        let encryptor = InputEncryptor::new(bundle, &model)?;
        let manifest = bundle.manifest();
        check_key("encrypted model", &manifest.model, manifest.key, model.key())?;
        // every input of this model is as long as one of zeros
        let zeros = vec![0.0; encryptor.elements()];
        let input = encryptor.encrypt(&zeros, &mut ChaCha20Rng::from_rng(&mut rand::rng()))?;
        let (model_id, key) = (manifest.model.clone(), manifest.key);
        let evaluator = Evaluator::new(bundle, model, level)?;
        evaluator.check(&input)?;
        let processor = Box::new(Self { evaluator, input_limit: input.len() as u64 });
        Ok(Deployed { model: model_id, bundle: bundle.id(), key, processor })
    }
}

impl Evaluator {
    fn new(
        bundle: &mut Bundle,
        model: DeployedModel,
        level: SecurityLevel,
    ) -> Result<Self, AgentError> {
        let keys = bundle.read(Part::EvaluationKeys)?;
        match model {
            DeployedModel::Program(model, parameters) => {
                let mut server = Server::protected(&parameters, &model, &keys, None)?;
                drop((keys, model));
                if bundle.has(Part::SlotKeys) {
                    server = server.with_slot_keys(level, &bundle.read(Part::SlotKeys)?)?;
                }
                Ok(Self::Program(Box::new(server)))
            }
            DeployedModel::Slots(network, parameters) => {
                Ok(Self::Slots(Box::new(Edge::new(&parameters, *network, &keys)?)))
            }
        }
    }

    fn check(&self, input: &[u8]) -> Result<(), AgentError> {
        match self {
            Self::Program(server) => Ok(server.read_input(input).map(drop)?),
            Self::Slots(edge) => Ok(edge.read_input(input).map(drop)?),
        }
    }

    fn evaluate(&self, input: &[u8]) -> Result<Vec<u8>, AgentError> {
        match self {
            Self::Program(server) => Ok(server.evaluate(input, false, &|_| ())?.output),
            Self::Slots(edge) => Ok(edge.evaluate(input, &|_| ())?.result),
        }
    }
}

impl Processor for ProcessingAgent {
    fn input_limit(&self) -> u64 {
        self.input_limit
    }

    fn check(&self, input: &[u8]) -> Result<(), InputError> {
        self.evaluator.check(input).map_err(|error| refusal(&error))
    }

    fn process(&self, input: &[u8]) -> Result<Vec<u8>, InputError> {
        self.evaluator.evaluate(input).map_err(|error| refusal(&error))
    }
}

/// What is well formed but of another shape or key is unfit; all else is malformed.
fn refusal(error: &AgentError) -> InputError {
    match error {
        AgentError::Server(ServerError::Wire(WireError::NotConformant { .. }))
        | AgentError::Server(ServerError::Bridge(BridgeError::Key(_)))
        | AgentError::Edge(EdgeError::Wire(WireError::NotConformant { .. })) => {
            InputError::Unfit(error.to_string())
        }
        AgentError::Server(ServerError::Wire(_)) | AgentError::Edge(EdgeError::Wire(_)) => {
            InputError::Malformed(error.to_string())
        }
        _ => InputError::Unfit(error.to_string()),
    }
}
