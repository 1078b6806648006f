//! The whole way from a trained model to a program in a few calls.

use super::amplitude::amplitudes;
use super::calibrate::Calibration;
use super::cost::{Costs, key_bytes};
use super::noise::{ErrorModel, StageError, Variances};
use super::parameters::{self, Candidate, Request, Target};
use super::stage::{Stage, stages};
use super::{
    CompileError, Form, Preset, Program, Schemes, Settings, calibrate, lower, scheme, simplify,
};
use crate::model::{Graph, onnx};
use bellerophon_bridge::{self as bridge, Assumptions};
use bellerophon_schemes::security::SecurityLevel;
use ndarray::{ArrayD, IxDyn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::path::Path;
use std::sync::Arc;

/// Images of uniform noise that stand in where none are given.
const STAND_INS: u64 = 64;

/// A trained network, ready to be compiled.
///
/// ```
/// use bellerophon::compile::{Model, Options};
///
/// let model = Model::from_onnx("models/mlp.onnx")?;
/// let compiled = model.compile(&Options::default())?;
/// println!("{} bootstrappings", compiled.program.bootstraps());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    graph: Graph,
    simplified: Graph,
    form: Form,
    stages: Vec<Stage>,
    calibration: Option<Calibration>,
}

/// How to compile.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Bits of security.
    pub security: SecurityLevel,
    /// What the security rests on.
    pub assumptions: Assumptions,
    /// What the result must reach.
    pub target: Target,
    /// Bits of an element of the input; 8 for pixels.
    pub input_bits: u32,
    /// Key bits in each step of every blind rotation, where it is not chosen freely; one is what the
    /// `tfhe` crate's kernel takes.
    pub grouping_factor: Option<usize>,
    /// What operations cost on the machine that the program is for.
    pub costs: Costs,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            security: SecurityLevel::Bits128,
            assumptions: Assumptions::Compact,
            target: Preset::Balanced.target(),
            input_bits: 8,
            grouping_factor: None,
            costs: Costs::default(),
        }
    }
}

/// A compiled model: the program, and what is predicted of it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The program.
    pub program: Program,
    /// The parameters that it was compiled for.
    pub parameters: bridge::Parameters,
    /// The settings that were selected.
    pub settings: Settings,
    /// The network's stages.
    pub stages: Vec<Stage>,
    /// The error of each stage.
    pub errors: Vec<StageError>,
    /// The part of images whose largest result is predicted to stay the largest.
    pub agreement: f64,
    /// The predicted standard deviation of a result, in the network's units.
    pub deviation: f64,
    /// Predicted seconds of each step, on all threads.
    pub seconds: Vec<f64>,
    /// Predicted bytes in memory.
    pub memory: f64,
    /// Bytes of the bootstrapping keys in memory.
    pub key_bytes: f64,
}

impl Model {
    /// Reads a model from an ONNX file.
    ///
    /// # Errors
    /// [`CompileError::Onnx`] for a file that cannot be imported, [`CompileError::Unsupported`] for a
    /// network that cannot be run.
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<Self, CompileError> {
        Self::from_graph(onnx::import(path).map_err(Arc::new)?)
    }

    /// Takes a network that was built node by node.
    ///
    /// # Errors
    /// [`CompileError::Unsupported`] for a network that cannot be run.
    pub fn from_graph(graph: Graph) -> Result<Self, CompileError> {
        Self::with_form(graph, Form::default())
    }

    /// As [`Model::from_graph`], with layers in another form than the cheapest.
    ///
    /// # Errors
    /// As [`Model::from_graph`].
    pub fn with_form(graph: Graph, form: Form) -> Result<Self, CompileError> {
        let simplified = simplify(&graph, form)?;
        let stages = stages(&simplified, form.normalization)?;
        Ok(Self { graph, simplified, form, stages, calibration: None })
    }

    /// The network as it was read.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The network that is compiled: batch normalization folded, activations behind max-pools.
    #[must_use]
    pub fn simplified(&self) -> &Graph {
        &self.simplified
    }

    /// The stages that are compiled.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// What sample images said, if any.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Takes ranges from sample images, in the shape of the model's input.
    ///
    /// # Errors
    /// As [`calibrate()`].
    pub fn calibrate<S>(mut self, samples: S) -> Result<Self, CompileError>
    where
        S: IntoIterator<Item = ArrayD<f64>>,
        S::IntoIter: Send,
    {
        self.calibration = Some(calibrate(&self.simplified, &self.stages, samples)?);
        Ok(self)
    }

    /// Replaces activations by polynomials, as `schemes` says, then calibrates on the samples: the
    /// first that are not [`Scheme::Exact`](super::Scheme) change the ranges of what follows.
    ///
    /// # Errors
    /// As [`scheme::replace`] and [`calibrate()`].
    pub fn with_schemes(
        mut self,
        schemes: &Schemes,
        samples: &[ArrayD<f64>],
    ) -> Result<Self, CompileError> {
        let margin = parameters::activation_margin(samples.len());
        let graph = scheme::replace(&self.simplified, &self.stages, schemes, samples, margin)?;
        self.stages = stages(&graph, self.form.normalization)?;
        self.simplified = graph;
        scheme::mark(&mut self.stages, schemes);
        self.calibrate(samples.iter().cloned())
    }

    /// Takes ranges that were kept from an earlier calibration.
    ///
    /// # Errors
    /// [`CompileError::Calibration`] for those of another network.
    pub fn with_calibration(mut self, calibration: Calibration) -> Result<Self, CompileError> {
        calibration.check(&self.stages)?;
        self.calibration = Some(calibration);
        Ok(self)
    }

    /// The ranges to compile with: those of images of uniform noise in `[0, 1]` where the model was
    /// not calibrated, which are a poor stand-in.
    fn ranges(&self) -> Result<Calibration, CompileError> {
        if let Some(calibration) = &self.calibration {
            return Ok(calibration.clone());
        }
        let shape = IxDyn(&self.graph.input_shape().dimensions());
        let image = |seed| {
            let mut rng = ChaCha12Rng::seed_from_u64(seed);
            ArrayD::from_shape_simple_fn(shape.clone(), || rng.random_range(0.0..1.0))
        };
        calibrate(&self.simplified, &self.stages, (0..STAND_INS).map(image))
    }

    /// Every choice of parameters that no other beats in predicted time and error, fastest first.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn candidates(&self, options: &Options) -> Result<Vec<Candidate>, CompileError> {
        let request = Request {
            security: options.security,
            assumptions: options.assumptions,
            input_bits: options.input_bits,
            grouping_factor: options.grouping_factor,
        };
        parameters::search(&self.stages, &self.ranges()?, &request, &options.costs)
    }

    /// Selects parameters and compiles.
    ///
    /// # Errors
    /// [`CompileError::Unreachable`] where no parameters reach the target, others as the passes say.
    pub fn compile(&self, options: &Options) -> Result<Compiled, CompileError> {
        let candidates = self.candidates(options)?;
        let selected = parameters::select(&candidates, options.target)?;
        self.compile_with(&selected.settings, options)
    }

    /// Compiles for given settings.
    ///
    /// # Errors
    /// As [`lower::lower`].
    pub fn compile_with(
        &self,
        settings: &Settings,
        options: &Options,
    ) -> Result<Compiled, CompileError> {
        let calibration = self.ranges()?;
        let parameters = bridge::Parameters::new(settings.parameters.clone(), options.security)?;
        let amplitudes = amplitudes(&self.stages, &calibration, settings)?;
        let model = ErrorModel::new(&self.stages, &calibration, &amplitudes, settings)?;
        let variances = Variances::new(&parameters, settings.pool_key, settings.activation_key)?;
        let program = lower::lower(&self.stages, &calibration, settings)?;
        Ok(Compiled {
            settings: settings.clone(),
            stages: self.stages.clone(),
            errors: model.stages(&variances, &calibration),
            agreement: model.agreement(&variances),
            deviation: model.deviations(&variances)[1],
            seconds: options.costs.steps(&program, &parameters),
            memory: Costs::memory(&program, &parameters),
            key_bytes: key_bytes(&parameters),
            program,
            parameters,
        })
    }
}
