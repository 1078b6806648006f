//! What a client is told when it is refused: a status, and one line of JSON.

use super::processor::InputError;
use super::queue::QueueError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use thiserror::Error;

/// Seconds after which a client that met a limit should come back.
const RETRY: HeaderValue = HeaderValue::from_static("2");

/// Why a request was refused.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("no valid credentials: send Authorization: Bearer TOKEN, or use a client certificate")]
    Unauthorized,
    #[error("there is nothing at this address")]
    NoRoute,
    #[error("this method is not allowed here")]
    Method,
    #[error("the model {0} is not deployed here")]
    NoModel(String),
    #[error("the body has more than {limit} bytes, the most that an input of this model can have")]
    TooLarge { limit: u64 },
    #[error("the body did not arrive within {seconds} s")]
    TooSlow { seconds: u64 },
    #[error("the body did not arrive whole")]
    Aborted,
    #[error("the service is at its limit of memory: try again later")]
    NoMemory,
    #[error("the service is shutting down: try again later")]
    Draining,
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the result was collected and deleted, or kept for longer than results are")]
    Gone,
    #[error("the job failed: {0}")]
    Failed(String),
    #[error("an internal error, which is in the service's log")]
    Internal(String),
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoRoute | Self::NoModel(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Aborted | Self::Input(InputError::Malformed(_)) => StatusCode::BAD_REQUEST,
            Self::NoMemory | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Input(InputError::Unfit(_)) | Self::Failed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Gone => StatusCode::GONE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Queue(error) => match error {
                QueueError::Replayed | QueueError::Pending => StatusCode::CONFLICT,
                QueueError::Full { .. } => StatusCode::SERVICE_UNAVAILABLE,
                QueueError::ClientFull { .. } | QueueError::ResultsFull { .. } => {
                    StatusCode::TOO_MANY_REQUESTS
                }
                QueueError::NoJob | QueueError::Id(_) => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// What a client reads: never the inside of the service.
    fn message(&self) -> String {
        match self {
            Self::Queue(_) if self.status() == StatusCode::INTERNAL_SERVER_ERROR => {
                Self::Internal(String::new()).to_string()
            }
            _ => self.to_string(),
        }
    }

    /// What the log says.
    fn reason(&self) -> String {
        match self {
            Self::Internal(reason) => reason.clone(),
            _ => self.to_string(),
        }
    }
}

/// What the log says of a response that refuses; travels with the response to where it is logged.
#[derive(Clone, Debug)]
pub(super) struct Reason(pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = axum::Json(serde_json::json!({ "error": self.message() }));
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY);
            }
            _ => {}
        }
        response.extensions_mut().insert(Reason(self.reason()));
        response
    }
}
