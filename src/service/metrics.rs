//! What the service counts, in the text form of OpenMetrics.

use super::memory::resident;
use super::queue::Counts;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

/// The form of [`Metrics::encode`].
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    accepted: Counter,
    finished: Family<Outcome, Counter>,
    seconds: Histogram,
    jobs: Family<State, Gauge>,
    memory: Gauge,
    pub(super) connections: Gauge,
    pub(super) connections_refused: Counter,
}

impl Metrics {
    pub(super) fn new(memory_limit: u64) -> Self {
        let mut registry = Registry::with_prefix("bellerophon");
        // milliseconds to hours
        let metrics = Self {
            requests: Family::default(),
            accepted: Counter::default(),
            finished: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 4.0, 12)),
            jobs: Family::default(),
            memory: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            registry: Registry::default(),
        };
        let (m, r) = (&metrics, &mut registry);
        r.register("requests", "Requests answered, by route and status", m.requests.clone());
        r.register("jobs_accepted", "Jobs stored and acknowledged", m.accepted.clone());
        r.register("jobs_finished", "Jobs answered, by outcome", m.finished.clone());
        r.register("job_seconds", "Seconds that processing a job took", m.seconds.clone());
        r.register("jobs", "Jobs that are held, by state", m.jobs.clone());
        r.register("memory_bytes", "Resident memory of the process", m.memory.clone());
        r.register("connections", "Open connections", m.connections.clone());
        let refused = m.connections_refused.clone();
        r.register("connections_refused", "Connections beyond the limit, closed at once", refused);
        let limit: Gauge = Gauge::default();
        limit.set(memory_limit as i64);
        r.register("memory_limit_bytes", "The stated limit of memory", limit);
        Self { registry, ..metrics }
    }

    pub(super) fn answered(&self, route: &str, status: u16) {
        self.requests.get_or_create(&Request { route: route.to_owned(), status }).inc();
    }

    pub(super) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(super) fn finished(&self, succeeded: bool, time: Duration) {
        let outcome = if succeeded { "done" } else { "failed" };
        self.finished.get_or_create(&Outcome { outcome }).inc();
        self.seconds.observe(time.as_secs_f64());
    }

    /// The text, with what is counted at this moment.
    pub(super) fn encode(&self, counts: Counts) -> Result<String, std::fmt::Error> {
        let Counts { queued, running, done, failed } = counts;
        let states = [("queued", queued), ("running", running), ("done", done), ("failed", failed)];
        for (state, count) in states {
            self.jobs.get_or_create(&State { state }).set(count as i64);
        }
        self.memory.set(resident().unwrap_or(0) as i64);
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
