//! The evaluation of protected networks: tables 2 to 5 of Gomez, Ibarrondo, Wilhelm, Marquez and
//! Duverger, *Security for Distributed Machine Learning based Software*, with our figures beside
//! theirs, and figures 11 and 12.
//!
//! Every step of a row (encrypting the model, encrypting an input, evaluating with the input in the
//! clear and encrypted, decrypting) runs in a process of its own, which holds what its role holds and
//! reads the rest from files: its memory is the growth of its resident set, from its start to its
//! peak.

mod accuracy;
mod classifier;
mod exact;
mod paper;
mod roles;
mod tables;

pub use accuracy::{Accuracy, Count, Reading, read_images};
pub use classifier::{Classifier, Dataset, Part, Source};
pub use paper::Published;
pub use roles::{Figures, Job, Role, perform};
pub use tables::{Evaluation, Method, Row, evaluate};

use crate::client::ClientError;
use crate::compile::CompileError;
use crate::data::DataError;
use crate::model::GraphError;
use crate::model::onnx::OnnxError;
use crate::polynomial::PolynomialError;
use crate::polynomial::protected::{EdgeError, OwnerError, PlanError};
use crate::protect::{EncryptorError, ProtectError};
use crate::run::ExecuteError;
use crate::run::clear::ClearError;
use crate::server::ServerError;
use bellerophon_bridge::BridgeError;
use bellerophon_schemes::ckks::CkksError;
use bellerophon_schemes::wire::WireError;
use thiserror::Error;

/// Why a figure could not be measured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// In planning.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// On the owner's side.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// On the edge's side.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// On the owner's side of the exact path.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// In encrypting its weights.
    #[error(transparent)]
    Protect(#[from] ProtectError),
    /// In encrypting its inputs.
    #[error(transparent)]
    Encryptor(#[from] EncryptorError),
    /// On its edge's side.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// In the scheme.
    #[error(transparent)]
    Ckks(#[from] CkksError),
    /// In writing a message.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// In the network.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// In its approximation.
    #[error(transparent)]
    Polynomial(#[from] PolynomialError),
    /// In preparing it.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// In its noise.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// In simulating it.
    #[error(transparent)]
    Simulation(#[from] ExecuteError<ClearError>),
    /// In reading a model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// In reading images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file that could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Figures that could not be read.
    #[error(transparent)]
    Figures(#[from] serde_json::Error),
    /// A process that failed.
    #[error("{role} failed: {reason}")]
    Process {
        /// What it was to do.
        role: &'static str,
        /// What it said.
        reason: String,
    },
    /// A model without the classifier that is protected.
    #[error(
        "{path} has no classifier of two dense layers with 2304 (CIFAR-10) or 1600 (MNIST) features: \
         give a model of models/train_cifar10_cnn.py or of models/train_mnist.py --model cnn"
    )]
    Classifier {
        /// The model.
        path: String,
    },
}
