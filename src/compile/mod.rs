//! From a trained network to a program that runs under encryption: a list of passes over the graph
//! ([`fold`], [`reorder`]), then [`lower`] to a flat [`Program`].

pub mod fold;
pub mod layout;
pub mod lower;
pub mod preset;
pub mod program;
mod quantize;
pub mod reorder;

use crate::model::{Calibration, Graph, GraphError};
use thiserror::Error;

pub use layout::Layout;
pub use preset::{Preset, Settings};
pub use program::{Function, LinearMap, Operation, Place, Program, Register, Step, Table};

/// Why a graph cannot be compiled.
#[derive(Clone, Debug, Error, PartialEq)]
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
    #[error("the calibration knows {found} values, the graph has {expected}: calibrate this graph")]
    Calibration {
        /// Nodes of the graph.
        expected: usize,
        /// Ranges in the calibration.
        found: usize,
    },
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

/// Folds batch-norm and moves ReLU behind max-pool: the form that calibration and lowering need.
///
/// # Errors
/// [`CompileError::Graph`] as the passes say.
pub fn simplify(graph: &Graph) -> Result<Graph, CompileError> {
    reorder::relu_behind_max_pool(&fold::fold_batch_normalization(graph)?)
}

/// Compiles a simplified graph.
///
/// # Errors
/// [`CompileError`].
pub fn compile(
    graph: &Graph,
    calibration: &Calibration,
    settings: &Settings,
) -> Result<Program, CompileError> {
    lower::lower(graph, calibration, settings)
}

fn unsupported(layer: &str, reason: impl Into<String>) -> CompileError {
    CompileError::Unsupported { layer: layer.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests;
