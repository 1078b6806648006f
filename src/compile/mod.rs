//! From a trained network to a program that runs under encryption.

pub mod fold;
pub mod reorder;

use thiserror::Error;

use crate::model::GraphError;

/// Why a graph cannot be compiled.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum CompileError {
    /// A pass made a layer that does not fit its input.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
