//! Why a study stops.

use crate::client::ClientError;
use crate::compile::CompileError;
use crate::data::DataError;
use crate::flat::FlatError;
use crate::model::{GraphError, OnnxError};
use crate::polynomial::PolynomialError;
use crate::server::ServerError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a study stops. What was finished before is kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The model's file cannot be imported.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The images cannot be read or do not fit the model.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Images without labels.
    #[error("the images have no labels, and accuracy needs them: give images with labels")]
    NoLabels,
    /// A model that has nothing to replace.
    #[error(
        "the model has no activation and no max-pool to compare methods on: give one with ReLU, such as \
         models/lenet5.onnx"
    )]
    NoActivations,
    /// A row that does not exist.
    #[error(
        "there is no row {found:?}: use names such as exact, exact-fast, chebyshev-7 or chebyshev-7-mean, \
         as the report's JSON has them"
    )]
    Row {
        /// What was asked for.
        found: String,
    },
    /// An output folder that holds something else.
    #[error(
        "{path:?} is not empty and holds no study: name a new folder, or the folder of an earlier study"
    )]
    NotAStudy {
        /// The folder.
        path: PathBuf,
    },
    /// A cell that is not as it was written.
    #[error(
        "{path:?} is damaged: delete it and run the same command again, which computes this cell anew \
         and keeps all others"
    )]
    Corrupt {
        /// The cell's file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error(
        "cannot write {path:?}: {source}; what was finished is kept, and the same command goes on from \
         there"
    )]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// In compiling a hybrid program.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// In replacing activations, or compiling for CKKS alone.
    #[error(transparent)]
    Polynomial(#[from] PolynomialError),
    /// In evaluating a network.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// In cutting a program down.
    #[error(transparent)]
    Flat(#[from] FlatError),
    /// In the CKKS of a program.
    #[error(transparent)]
    Ckks(#[from] bellerophon_schemes::ckks::CkksError),
    /// In the bridge.
    #[error(transparent)]
    Bridge(#[from] bellerophon_bridge::BridgeError),
    /// In the client of an encrypted run.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// In the server of an encrypted run.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// In the client of an encrypted run in CKKS alone.
    #[error(transparent)]
    PolynomialClient(#[from] crate::polynomial::client::ClientError),
    /// In the server of an encrypted run in CKKS alone.
    #[error(transparent)]
    PolynomialServer(#[from] crate::polynomial::server::ServerError),
    /// The report cannot be drawn.
    #[error("the plot {name} cannot be drawn: {reason}")]
    Plot {
        /// Its name.
        name: String,
        /// What the renderer said.
        reason: String,
    },
}
