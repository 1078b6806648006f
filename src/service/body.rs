//! Bodies of requests: read within a limit, a time and the service's memory, or not at all.

use super::memory::{Held, Memory};
use super::refusal::Refusal;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use std::time::Duration;

/// Reads a body of at most `limit` bytes. One that announces more is refused before a byte of it is
/// read.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: u64,
    time: Duration,
    memory: &Memory,
) -> Result<Held, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced: Option<u64> = announced.and_then(|length| length.parse().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Refusal::TooLarge { limit });
    }
    if !memory.has_room() {
        return Err(Refusal::NoMemory);
    }
    let read = tokio::time::timeout(time, collect(body, limit, memory)).await;
    read.unwrap_or(Err(Refusal::TooSlow { seconds: time.as_secs() }))
}

async fn collect(mut body: Body, limit: u64, memory: &Memory) -> Result<Held, Refusal> {
    let mut held = Held::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Aborted)?;
        let Ok(data) = frame.into_data() else { continue };
        if (held.len() + data.len()) as u64 > limit {
            return Err(Refusal::TooLarge { limit });
        }
        held.append(&data, limit as usize, memory).map_err(|_| Refusal::NoMemory)?;
    }
    Ok(held)
}
