//! The other end: what a machine that acquires images asks of the service.

use super::queue::{Job, JobId};
use crate::model_id::ModelId;
use axum::http::uri::Scheme;
use axum::http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// How long a request may take, its answer included.
const TIME: Duration = Duration::from_secs(120);
/// The largest answer accepted, in bytes.
const ANSWER_LIMIT: usize = 65 << 20;

/// Why a request did not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// An address that cannot be used.
    #[error("{url:?} cannot be used: {reason}")]
    Url {
        /// The address.
        url: String,
        /// What would be right.
        reason: &'static str,
    },
    /// No connection, or one that broke.
    #[error("the service cannot be reached: {0}")]
    Network(String),
    /// The service refused.
    #[error("the service refused with status {status}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// An answer of another form.
    #[error("the service's answer cannot be read: {0}")]
    Answer(String),
}

impl ConnectionError {
    /// Whether the same request can succeed later: no connection, or a limit that was met.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Network(_) => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500 | 503),
            _ => false,
        }
    }
}

/// Where the service is, and what lets this client in.
#[derive(Clone)]
pub struct Endpoint {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// The bearer token, where there is one.
    pub token: Option<Zeroizing<String>>,
    /// For `https`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A connection to the service; made anew where it broke.
#[derive(Debug)]
pub struct Connection {
    runtime: Runtime,
    endpoint: Endpoint,
    host: String,
    port: u16,
    secure: bool,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`ConnectionError::Url`]; [`ConnectionError::Network`] where the system gives no sockets.
    pub fn new(endpoint: Endpoint) -> Result<Self, ConnectionError> {
        let (host, port, secure) = address(&endpoint)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ConnectionError::Network(error.to_string()))?;
        Ok(Self { runtime, endpoint, host, port, secure, sender: None })
    }

    /// Submits an encrypted input. The same bytes again give the same job, so that this can be
    /// repeated where no answer came.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn submit(&mut self, model: &ModelId, input: &[u8]) -> Result<Job, ConnectionError> {
        let path = format!("/v1/models/{}/{}/jobs", model.name(), model.version());
        let (_, body) = self.request(Method::POST, &path, input)?;
        read_job(&body)
    }

    /// How far a job is.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn job(&mut self, id: JobId) -> Result<Job, ConnectionError> {
        read_job(&self.request(Method::GET, &format!("/v1/jobs/{id}"), &[])?.1)
    }

    /// The result of a job, in the wire form of
    /// [`EncryptedInference`](crate::inference::EncryptedInference); none where it waits or runs.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn result(&mut self, id: JobId) -> Result<Option<Vec<u8>>, ConnectionError> {
        let (status, body) = self.request(Method::GET, &format!("/v1/jobs/{id}/result"), &[])?;
        Ok((status == StatusCode::OK).then_some(body))
    }

    /// Tells the service that a result was stored here and can be deleted there.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn collect(&mut self, id: JobId) -> Result<(), ConnectionError> {
        self.request(Method::DELETE, &format!("/v1/jobs/{id}"), &[]).map(drop)
    }

    /// Sends one request, a second time where a connection from before broke: whatever the service
    /// is asked can be asked twice. Gives status and body of an answer that is no refusal.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn request(
        &mut self,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Result<(StatusCode, Vec<u8>), ConnectionError> {
        let mut done = Err(io::Error::from(io::ErrorKind::NotConnected));
        if let Some(sender) = self.sender.take().filter(SendRequest::is_ready) {
            // the service may have closed it while nothing was asked
            done = self.exchange(Some(sender), self.build(&method, path, body)?);
        }
        if done.is_err() {
            done = self.exchange(None, self.build(&method, path, body)?);
        }
        let (status, body) = done.map_err(|error| ConnectionError::Network(error.to_string()))?;
        match status.is_success() {
            true => Ok((status, body)),
            false => Err(refused(status, &body)),
        }
    }

    /// One request on a connection that there is, or on a new one, which stays for the next.
    fn exchange(
        &mut self,
        sender: Option<SendRequest<Full<Bytes>>>,
        request: Request<Full<Bytes>>,
    ) -> io::Result<(StatusCode, Vec<u8>)> {
        let Self { runtime, endpoint, host, port, secure, .. } = self;
        let exchanged = async {
            let mut sender = match sender {
                Some(sender) => sender,
                None => connect(endpoint, host, *port, *secure).await?,
            };
            let answer = exchange(&mut sender, request).await?;
            Ok((sender, answer))
        };
        let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut));
        let done = runtime
            .block_on(async { tokio::time::timeout(TIME, exchanged).await.unwrap_or_else(late) });
        let (sender, answer) = done?;
        self.sender = Some(sender);
        Ok(answer)
    }

    fn build(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<Request<Full<Bytes>>, ConnectionError> {
        let mut request = Request::builder().method(method.clone()).uri(path);
        request = request.header(header::HOST, format!("{}:{}", self.host, self.port));
        if let Some(token) = &self.endpoint.token {
            let value = Zeroizing::new(format!("Bearer {}", token.as_str()));
            request = request.header(header::AUTHORIZATION, value.as_str());
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body)));
        request.map_err(|error| ConnectionError::Answer(error.to_string()))
    }
}

fn read_job(body: &[u8]) -> Result<Job, ConnectionError> {
    serde_json::from_slice(body).map_err(|error| ConnectionError::Answer(error.to_string()))
}

fn refused(status: StatusCode, body: &[u8]) -> ConnectionError {
    let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let said = said.as_ref().and_then(|said| said.get("error")?.as_str());
    let message = said.unwrap_or("it did not say why").to_owned();
    ConnectionError::Refused { status: status.as_u16(), message }
}

/// Host, port, and whether TLS is spoken.
fn address(endpoint: &Endpoint) -> Result<(String, u16, bool), ConnectionError> {
    let url = &endpoint.url;
    let error = |reason| ConnectionError::Url { url: url.clone(), reason };
    let uri: Uri = url.parse().map_err(|_| error("write http://host:port or https://host:port"))?;
    let secure = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        _ => return Err(error("it begins with http:// or https://")),
    };
    if uri.path() != "/" && !uri.path().is_empty() || uri.query().is_some() {
        return Err(error("it ends with the port"));
    }
    if secure && endpoint.tls.is_none() {
        return Err(error("https needs the certificate that the service's is checked against"));
    }
    let host = uri.host().ok_or_else(|| error("it names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, uri.port_u16().unwrap_or(if secure { 443 } else { 80 }), secure))
}

async fn connect(
    endpoint: &Endpoint,
    host: &str,
    port: u16,
    secure: bool,
) -> io::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    match &endpoint.tls {
        Some(config) if secure => {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(config.clone());
            begin(connector.connect(name, stream).await?).await
        }
        _ => begin(stream).await,
    }
}

async fn begin(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // it ends with the sender; what goes wrong is told to the request
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> io::Result<(StatusCode, Vec<u8>)> {
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
    Ok((status, body.map_err(io::Error::other)?.to_bytes().to_vec()))
}
