//! A row's network: replaced, compiled where it can be, and cut down for simulation.

use super::cell::Costs;
use super::client_aided::ClientAided;
use super::rows::{Kind, Row};
use super::{Inputs, Options, StudyError};
use crate::compile::cost::{self, Costs as Machine};
use crate::compile::{Compiled, Function, Model, Operation, Preset, Schemes};
use crate::flat::Flat;
use crate::model::onnx;
use crate::polynomial::{
    self, Activation, PolynomialNetwork, Pooling, Replacement, Settings, predict,
};
use crate::run::simulated::NoiseModel;
use bellerophon_schemes::ckks::Parameters;
use bellerophon_schemes::security::SecurityLevel;

/// The level of security of all programs.
pub(super) const LEVEL: SecurityLevel = SecurityLevel::Bits128;
/// Ranges seen before activations are widened by this factor in CKKS alone.
const MARGIN: f64 = 1.2;
/// Images on which mean squares of slots are measured.
const MEASURED: usize = 4;
/// Bytes of a process beside keys and plaintexts.
const BASE: f64 = 1e8;
/// Keys in memory and, while they are read, on the wire.
const KEY_COPIES: f64 = 1.3;

/// A hybrid program and its network.
pub(super) struct Hybrid {
    pub model: Model,
    pub compiled: Compiled,
    pub flat: Flat,
}

/// A program in CKKS alone.
pub(super) struct InSlots {
    pub program: polynomial::Program,
    pub parameters: Parameters,
    pub flat: Flat,
}

/// What a row evaluates.
pub(super) enum Network {
    Plain,
    /// The network as replaced, and its program where there is one.
    Hybrid(Box<Hybrid>),
    Slots(Box<PolynomialNetwork>, Option<Box<InSlots>>),
    ClientAided(Box<ClientAided>),
}

/// A row's network, what it costs, and why it cannot run.
pub(super) struct Prepared {
    pub network: Option<Network>,
    pub costs: Option<Costs>,
    pub refusal: Option<String>,
    pub note: Option<String>,
}

impl Prepared {
    fn of(network: Network, costs: Option<Costs>) -> Self {
        Self { network: Some(network), costs, refusal: None, note: None }
    }

    fn refused(network: Option<Network>, refusal: String) -> Self {
        Self { network, costs: None, refusal: Some(refusal), note: None }
    }
}

/// Prepares a row. What cannot run is no error: the row says why.
pub(super) fn prepare(
    row: &Row,
    inputs: &Inputs,
    options: &Options,
) -> Result<Prepared, StudyError> {
    match &row.kind {
        Kind::Plain => Ok(Prepared::of(Network::Plain, None)),
        Kind::Exact(preset) => exact(*preset, inputs, options),
        Kind::Replaced { activation, pooling: Pooling::Max } => mix(*activation, inputs, options),
        Kind::Replaced { activation, pooling } => {
            Ok(slots(*activation, *pooling, &inputs.graph, inputs, options))
        }
        Kind::Trained { suffix, activation } => {
            let path = inputs.relative(suffix);
            if !path.is_file() {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let refusal = format!("there is no {name} beside the model");
                return Ok(Prepared::refused(None, refusal));
            }
            let graph = onnx::import(&path)?;
            onnx::expect_input_shape(&graph, inputs.graph.input_shape())?;
            Ok(slots(*activation, Pooling::Mean, &graph, inputs, options))
        }
        Kind::ClientAided => {
            let aided = ClientAided::new(inputs)?;
            let costs = aided.costs(&options.costs);
            let note = format!(
                "simulated; the client decrypts, computes and encrypts again {} times an image",
                aided.rounds()
            );
            let prepared = Prepared::of(Network::ClientAided(Box::new(aided)), Some(costs));
            Ok(Prepared { note: Some(note), ..prepared })
        }
    }
}

fn exact(preset: Preset, inputs: &Inputs, options: &Options) -> Result<Prepared, StudyError> {
    let model = Model::from_graph(inputs.graph.clone())?;
    let model = model.calibrate(inputs.calibration.iter().cloned())?;
    match hybrid(model, preset, options) {
        Ok((hybrid, costs)) => Ok(Prepared::of(Network::Hybrid(Box::new(hybrid)), Some(costs))),
        Err(error) => Ok(Prepared::refused(None, error.to_string())),
    }
}

fn hybrid(model: Model, preset: Preset, options: &Options) -> Result<(Hybrid, Costs), StudyError> {
    let compile = crate::compile::Options {
        target: preset.target(),
        costs: options.costs.clone(),
        ..crate::compile::Options::default()
    };
    let compiled = model.compile(&compile)?;
    let noise = NoiseModel::new(&compiled.parameters)?;
    let flat = Flat::of_program(&compiled.program, &noise)?;
    let costs = hybrid_costs(&compiled, &options.costs);
    Ok((Hybrid { model, compiled, flat }, costs))
}

fn hybrid_costs(compiled: &Compiled, machine: &Machine) -> Costs {
    let (program, parameters) = (&compiled.program, &compiled.parameters);
    let ciphertext =
        parameters.ring().dimension() as f64 * f64::from(program.parameters.modulus_bits) / 8.0;
    let outputs = crate::compile::program::ciphertexts(&program.output) as f64;
    let count = |is: fn(&Operation) -> bool| {
        program.steps.iter().filter(|step| is(&step.operation)).count()
    };
    let instances = parameters.bootstraps().iter().map(|key| key.instance());
    let instances = std::iter::once(parameters.rlwe().instance()).chain(instances);
    Costs {
        seconds: compiled.seconds.iter().sum(),
        threads: machine.threads,
        bootstrappings: program.bootstraps(),
        slot_bootstrappings: count(|operation| matches!(operation, Operation::Slots(_))),
        levels: 0,
        tables: count(|operation| matches!(operation, Operation::Lut { .. })),
        log_dimension: program.parameters.log_dimension,
        memory: compiled.memory,
        keys: cost::key_bytes(parameters),
        messages: [program.input_ciphertexts() as f64 * ciphertext, 2.0 * outputs * ciphertext],
        security: instances.map(|instance| instance.estimate().bits).min().unwrap_or(0),
    }
}

/// Activations replaced, max-pools exact. A composite sign has no program of this kind: its network in
/// the clear is that of the same graph.
fn mix(activation: Activation, inputs: &Inputs, options: &Options) -> Result<Prepared, StudyError> {
    let schemes: Schemes = format!("all={activation}").parse()?;
    let model = Model::from_graph(inputs.graph.clone())?;
    let simplified = model.simplified().clone();
    let replaced = model.with_schemes(&schemes, inputs.samples()).map_err(StudyError::from);
    let compiled = replaced.and_then(|model| hybrid(model, Preset::Balanced, options));
    match compiled {
        Ok((hybrid, costs)) => Ok(Prepared::of(Network::Hybrid(Box::new(hybrid)), Some(costs))),
        Err(error) => {
            let replacement = Replacement { activation, pooling: Pooling::Max, margin: MARGIN };
            let network = PolynomialNetwork::new(&simplified, &replacement, inputs.samples());
            let network = network.ok().map(|network| Network::Slots(Box::new(network), None));
            Ok(Prepared::refused(network, error.to_string()))
        }
    }
}

/// Everything in CKKS alone.
fn slots(
    activation: Activation,
    pooling: Pooling,
    graph: &crate::model::Graph,
    inputs: &Inputs,
    options: &Options,
) -> Prepared {
    let replacement = Replacement { activation, pooling, margin: MARGIN };
    let network = match PolynomialNetwork::new(graph, &replacement, inputs.samples()) {
        Ok(network) => network,
        Err(error) => return Prepared::refused(None, error.to_string()),
    };
    match compiled(&network, inputs, options) {
        Ok((program, costs)) => {
            let network = Network::Slots(Box::new(network), Some(Box::new(program)));
            Prepared::of(network, Some(costs))
        }
        Err(error) => {
            let network = Network::Slots(Box::new(network), None);
            Prepared::refused(Some(network), error.to_string())
        }
    }
}

fn compiled(
    network: &PolynomialNetwork,
    inputs: &Inputs,
    options: &Options,
) -> Result<(InSlots, Costs), StudyError> {
    let program = polynomial::compile(network, &Settings::default(), inputs.samples())?;
    let parameters = Parameters::new(program.parameters.clone(), LEVEL)?;
    let noise = polynomial::simulated::NoiseModel::new(&program, &parameters)?;
    let samples = inputs.samples().iter().take(MEASURED);
    let samples: Vec<Vec<f64>> = samples.map(|sample| sample.iter().copied().collect()).collect();
    let samples: Vec<&[f64]> = samples.iter().map(Vec::as_slice).collect();
    let flat = Flat::of_polynomial(&program, &noise, &samples)?;
    let costs = slot_costs(&program, &parameters, &options.costs)?;
    Ok((InSlots { program, parameters, flat }, costs))
}

fn slot_costs(
    program: &polynomial::Program,
    parameters: &Parameters,
    machine: &Machine,
) -> Result<Costs, StudyError> {
    let prediction = predict::predict(program, parameters)?;
    let literal = &program.parameters;
    let bytes = |ciphertexts: usize, level: usize| {
        let bits: u32 = literal.modulus_bits.iter().take(level + 1).sum();
        ciphertexts as f64 * f64::from(bits) * parameters.dimension() as f64 / 8.0
    };
    let levels = literal.modulus_bits.len().saturating_sub(1);
    Ok(Costs {
        seconds: prediction.seconds.iter().sum::<f64>() / machine.speedup,
        threads: machine.threads,
        levels: levels - program.output_level().min(levels),
        log_dimension: literal.log_dimension,
        memory: BASE + KEY_COPIES * prediction.key_bytes + prediction.plaintext_bytes,
        keys: prediction.key_bytes,
        messages: [
            bytes(program.input_ciphertexts(), levels),
            2.0 * bytes(program.output_ciphertexts(), program.output_level()),
        ],
        security: parameters.instance().estimate().bits,
        ..Costs::default()
    })
}

/// Whether a table's function compares its argument with zero.
pub(super) fn compares(function: &Function) -> bool {
    match function {
        Function::Absolute => true,
        Function::Activation(activation) => !activation.break_points().is_empty(),
        _ => false,
    }
}
