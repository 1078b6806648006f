//! Why an agent refused.

use crate::bundle::BundleError;
use crate::client::ClientError;
use crate::model_id::ModelId;
use crate::polynomial::protected::{EdgeError, OwnerError};
use crate::protect::{EncryptorError, ProtectError};
use crate::server::ServerError;
use crate::service::connection::ConnectionError;
use crate::store::StoreError;
use bellerophon_schemes::key_id::{KeyId, KeyMismatch};
use bellerophon_schemes::wire::WireError;
use thiserror::Error;

/// Why an agent refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AgentError {
    /// In the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// In a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// With a secret.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// In encrypting parameters.
    #[error(transparent)]
    Protect(#[from] ProtectError),
    /// In running a model.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// In encrypting an image.
    #[error(transparent)]
    Encryptor(#[from] EncryptorError),
    /// With the secret of a network in slots.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// In encrypting an image for a network in slots, or running it.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// A secret for a model of the other kind.
    #[error(
        "the keys of {model} are for a model of another kind: make keys for this one with owner \
         keygen"
    )]
    Kind {
        /// The model.
        model: ModelId,
    },
    /// In reading or writing bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// With the service.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A part or result under another secret than the model's.
    #[error("the {what} is not of model {model}: {mismatch}")]
    Key {
        /// What.
        what: &'static str,
        /// The model that it should be of.
        model: ModelId,
        /// The two keys.
        mismatch: KeyMismatch,
    },
    /// Whoever submitted the job, or the service, has deleted its result.
    #[error(
        "the result of {name} was collected by another process, or kept too long by the service"
    )]
    Gone {
        /// The image.
        name: String,
    },
    /// A name of an image that cannot name a file.
    #[error("{0:?} cannot name an image: use letters, digits, - _ and .")]
    Name(String),
    /// In a file.
    #[error("{path:?}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
}

/// That something is under the secret of this model, whose id is `expected`.
pub(super) fn check_key(
    what: &'static str,
    model: &ModelId,
    expected: KeyId,
    found: KeyId,
) -> Result<(), AgentError> {
    let wrong = |mismatch| AgentError::Key { what, model: model.clone(), mismatch };
    expected.check(found).map_err(wrong)
}
