//! The endpoints.

use super::auth::Identity;
use super::memory::Held;
use super::processor::Deployed;
use super::queue::{Job, JobId, QueueError, State as JobState, Submission};
use super::refusal::{Reason, Refusal};
use super::{Access, Shared, body, metrics};
use crate::hexadecimal;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

type Shares = State<Arc<Shared>>;
type Answer = Result<Response, Refusal>;

/// Who a connection's certificate says is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer(pub(super) Option<Identity>);

/// All endpoints, for connections that carry a [`Peer`].
pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let clients = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{name}/{version}/jobs", post(submit))
        .route("/v1/jobs/{id}", get(job).delete(collect))
        .route("/v1/jobs/{id}/result", get(result))
        .route("/metrics", get(show_metrics))
        .route_layer(from_fn_with_state(shared.clone(), authenticate));
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .merge(clients)
        .method_not_allowed_fallback(|| async { Refusal::Method })
        .fallback(|| async { Refusal::NoRoute })
        .layer(from_fn_with_state(shared.clone(), observe))
        .with_state(shared.clone())
}

/// Logs and counts each request by its route, never by what it carries.
async fn observe(State(shared): Shares, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let mut answer = Awaited { route: &route, answered: false };
    let response = next.run(request).await;
    answer.answered = true;
    let (status, time) = (response.status().as_u16(), begun.elapsed());
    match response.extensions().get::<Reason>() {
        Some(Reason(reason)) if status == 500 => {
            tracing::error!(%method, route, status, ?time, reason, "refused");
        }
        Some(Reason(reason)) => tracing::warn!(%method, route, status, ?time, reason, "refused"),
        None => tracing::debug!(%method, route, status, ?time, "answered"),
    }
    shared.metrics.answered(&route, status);
    response
}

/// Notices that a request ends without an answer: its client went away, or took too long.
struct Awaited<'a> {
    route: &'a str,
    answered: bool,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if !self.answered {
            tracing::warn!(route = self.route, "the client went away before it was answered");
        }
    }
}

/// Lets clients in that show a certificate or a token, before anything of their body is read.
async fn authenticate(
    State(shared): Shares,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = match &shared.access {
        Access::InsecureAnyone => Some(Identity::insecure_anyone()),
        Access::Clients(tokens) => peer.or_else(|| {
            let name = tokens.client(bearer(request.headers())?)?;
            Some(Identity::of_token(name))
        }),
    };
    match client {
        None => Refusal::Unauthorized.into_response(),
        Some(client) => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Runs what waits for the disk where it does not keep other requests waiting.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let shared = shared.clone();
    let done = tokio::task::spawn_blocking(move || work(&shared)).await;
    done.unwrap_or_else(|error| Err(Refusal::Internal(error.to_string())))
}

async fn health() -> &'static str {
    "ok\n"
}

/// Whether jobs are taken: not while the service drains, is full, or cannot reach its disk.
async fn ready(State(shared): Shares) -> Answer {
    if shared.draining() {
        return Err(Refusal::Draining);
    }
    if !shared.memory.has_room() {
        return Err(Refusal::NoMemory);
    }
    let counts = blocking(&shared, |shared| Ok(shared.queue.counts()?)).await?;
    let limit = shared.options.limits.queued;
    if counts.queued + counts.running >= limit as u64 {
        return Err(QueueError::Full { limit }.into());
    }
    if !shared.healthy.load(Ordering::SeqCst) {
        return Err(Refusal::Internal("the jobs could not be written".to_owned()));
    }
    Ok("ready\n".into_response())
}

async fn show_metrics(State(shared): Shares) -> Answer {
    let counts = blocking(&shared, |shared| Ok(shared.queue.counts()?)).await?;
    let text = shared.metrics.encode(counts);
    let text = text.map_err(|error| Refusal::Internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn models(State(shared): Shares) -> Json<serde_json::Value> {
    let show = |deployed: &Deployed| {
        json!({
            "model": deployed.model,
            "key": deployed.key.to_string(),
            "bundle": hexadecimal::encode(&deployed.bundle),
            "input_limit": deployed.processor.input_limit(),
        })
    };
    Json(shared.models.iter().map(show).collect())
}

fn deployed<'a>(shared: &'a Shared, name: &str, version: &str) -> Result<&'a Deployed, Refusal> {
    let version = version.parse();
    let found = shared
        .models
        .iter()
        .find(|deployed| deployed.model.name() == name && Ok(deployed.model.version()) == version);
    let shown = |text: &str| text.chars().take(64).collect::<String>();
    found.ok_or_else(|| Refusal::NoModel(shown(name)))
}

async fn submit(
    State(shared): Shares,
    Extension(client): Extension<Identity>,
    Path((name, version)): Path<(String, String)>,
    request: Request,
) -> Answer {
    if shared.draining() {
        return Err(Refusal::Draining);
    }
    let limit = deployed(&shared, &name, &version)?.processor.input_limit();
    let (head, body) = request.into_parts();
    let time = shared.options.body_time;
    let input = body::read(&head.headers, body, limit, time, &shared.memory).await?;
    let who = client.clone();
    let submission = blocking(&shared, move |shared| {
        let deployed = deployed(shared, &name, &version)?;
        deployed.processor.check(input.as_ref())?;
        Ok(shared.queue.submit(client.as_str(), deployed, input.as_ref())?)
    });
    match submission.await? {
        Submission::Accepted(job) => {
            tracing::info!(id = %job.id, model = %job.model, client = %who, "job accepted");
            shared.metrics.accepted();
            shared.wake();
            Ok(created(StatusCode::ACCEPTED, job))
        }
        Submission::Known(job) => Ok(created(StatusCode::OK, job)),
    }
}

fn created(status: StatusCode, job: Job) -> Response {
    let location = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id));
    let mut response = (status, Json(job)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

async fn find(shared: &Arc<Shared>, client: &Identity, id: &str) -> Result<Job, Refusal> {
    let (client, id) = (client.clone(), id.parse::<JobId>()?);
    blocking(shared, move |shared| Ok(shared.queue.job(client.as_str(), id)?)).await
}

async fn job(
    State(shared): Shares,
    Extension(client): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Refusal> {
    Ok(Json(find(&shared, &client, &id).await?))
}

async fn result(
    State(shared): Shares,
    Extension(client): Extension<Identity>,
    Path(id): Path<String>,
) -> Answer {
    let job = find(&shared, &client, &id).await?;
    match job.state {
        JobState::Queued | JobState::Running => return Ok(created(StatusCode::ACCEPTED, job)),
        JobState::Failed => return Err(Refusal::Failed(job.error.unwrap_or_default())),
        JobState::Collected => return Err(Refusal::Gone),
        JobState::Done => {}
    }
    let permit = shared.memory.reserve(job.result_bytes.unwrap_or(0));
    let permit = permit.map_err(|_| Refusal::NoMemory)?;
    let id = job.id;
    let bytes = blocking(&shared, move |shared| Ok(shared.queue.result(client.as_str(), id)?));
    let bytes = bytes.await.map_err(|refusal| match refusal {
        // collected in between
        Refusal::Queue(QueueError::NoJob) => Refusal::Gone,
        other => other,
    })?;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    let bytes = Bytes::from_owner(Held::new(bytes, permit));
    Ok((kind, Body::from(bytes)).into_response())
}

async fn collect(
    State(shared): Shares,
    Extension(client): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = id.parse::<JobId>()?;
    blocking(&shared, move |shared| Ok(shared.queue.collect(client.as_str(), id)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}
