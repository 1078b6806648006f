//! From a trained network to a program that runs under encryption: a list of passes over the graph
//! ([`fold`], [`reorder`]), then [`lower`] to a flat [`Program`].

pub mod affine;
pub mod amplitude;
pub mod calibrate;
pub mod check;
pub mod cost;
pub mod fold;
mod layout;
pub mod lower;
pub mod model;
pub mod noise;
pub mod parameters;
pub mod preset;
pub mod program;
mod quantize;
pub mod reorder;
pub mod scheme;
pub mod slopes;
pub mod stage;

use crate::model::{Graph, GraphError, OnnxError};
use bellerophon_bridge::BridgeError;
use thiserror::Error;

pub use calibrate::{Calibration, calibrate};
pub use cost::Costs;
pub use fold::Normalization;
pub use model::{Compiled, Model, Options};
pub use parameters::Target;
pub use preset::{Preset, Settings};
pub use program::{
    Function, LinearMap, Operation, PhaseFunction, Place, Placement, Program, Register, Step, Table,
};
pub use scheme::{Scheme, Schemes};
pub use slopes::Slopes;
pub use stage::{Stage, stages};

/// Why a graph cannot be compiled.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A pass made a layer that does not fit its input.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A layer that cannot be run under encryption.
    #[error("layer {layer}: {reason}")]
    Unsupported {
        /// The layer's name.
        layer: String,
        /// What is not supported, and what would be.
        reason: String,
    },
    /// A feature map or vector does not fit one ciphertext.
    #[error("{elements} values do not fit a ring of dimension {dimension}: use a larger ring")]
    TooLarge {
        /// Values of one channel.
        elements: usize,
        /// The ring dimension.
        dimension: usize,
    },
    /// The calibration is of another graph.
    #[error(
        "the calibration is of {found} stages, the network has {expected} or others: calibrate it"
    )]
    Calibration {
        /// Stages of the network.
        expected: usize,
        /// Stages in the calibration.
        found: usize,
    },
    /// No image to calibrate with.
    #[error("calibration got no sample images; give at least one")]
    NoSamples,
    /// A value is infinite or not a number.
    #[error("the value of layer {layer} is not finite on a sample; check the sample's pixels")]
    NotFinite {
        /// The first such layer.
        layer: String,
    },
    /// A choice of schemes that cannot be.
    #[error("{found:?} cannot be chosen for an activation: use {reason}")]
    Scheme {
        /// What was asked for.
        found: String,
        /// What can be.
        reason: String,
    },
    /// No parameters reach the target.
    #[error("no parameters reach the target ({target}): {nearest}")]
    Unreachable {
        /// What was asked for.
        target: String,
        /// What can be reached, and what binds.
        nearest: String,
    },
    /// Parameters that are refused.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The model cannot be read.
    #[error(transparent)]
    Onnx(#[from] std::sync::Arc<OnnxError>),
    /// A setting that cannot be used.
    #[error("{name} = {value} cannot be used: {allowed}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// What layers become before the network is cut into stages; the default is what costs least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Batch normalizations.
    pub normalization: Normalization,
    /// Slopes of parametric ReLUs.
    pub slopes: Slopes,
}

/// Brings layers into `form` and moves monotone activations behind max-pools: what calibration and
/// lowering need.
///
/// # Errors
/// [`CompileError::Graph`] as the passes say.
pub fn simplify(graph: &Graph, form: Form) -> Result<Graph, CompileError> {
    let reordered = match form.normalization {
        Normalization::Folded => {
            reorder::activations_behind_max_pool(&fold::fold_batch_normalization(graph)?)?
        }
        Normalization::Own => reorder::activations_behind_max_pool(graph)?,
    };
    match form.slopes {
        Slopes::Tables => Ok(reordered),
        Slopes::Weights => slopes::slopes_as_weights(&reordered),
    }
}

fn unsupported(layer: &str, reason: impl Into<String>) -> CompileError {
    CompileError::Unsupported { layer: layer.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests;
