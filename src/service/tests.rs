//! The service over real sockets, with a processor that is quick and knows what it refuses. The
//! tests of the project run it with encrypted models, as processes.

mod secure;

use super::auth::{Tokens, new_token};
use super::connection::{Connection, ConnectionError, Endpoint};
use super::processor::{Deployed, InputError, Processor};
use super::queue::{JobId, Limits, State};
use super::*;
use crate::inference::{EncryptedInference, INFERENCE_LIMIT};
use crate::model_id::ModelId;
use crate::tiny;
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::wire;
use hyper::Method;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

const LIMIT: u64 = 1 << 20;

/// Takes what begins with "ok", refuses as the other first bytes say, and gives the bytes reversed.
#[derive(Debug)]
struct Reversing;

impl Processor for Reversing {
    fn input_limit(&self) -> u64 {
        LIMIT
    }

    fn check(&self, input: &[u8]) -> Result<(), InputError> {
        match input {
            [b'o', b'k', ..] => Ok(()),
            [b'u', ..] => Err(InputError::Unfit("it is under another key".to_owned())),
            _ => Err(InputError::Malformed("it is no input".to_owned())),
        }
    }

    fn process(&self, input: &[u8]) -> Result<Vec<u8>, InputError> {
        if input.starts_with(b"ok panic") {
            panic!("as the input says");
        }
        if input.starts_with(b"ok slow") {
            std::thread::sleep(Duration::from_millis(300));
        }
        if input.starts_with(b"ok fail") {
            return Err(InputError::Unfit("it cannot be processed".to_owned()));
        }
        Ok(input.iter().rev().copied().collect())
    }
}

fn model() -> ModelId {
    ModelId::new("reverse", 1).unwrap()
}

fn deployed() -> Deployed {
    let key = KeyId::random(&mut tiny::rng(1));
    Deployed { model: model(), bundle: [3; 32], key, processor: Box::new(Reversing) }
}

/// A service on a socket of its own, which ends with it.
struct Running {
    address: SocketAddr,
    tokens: [Zeroizing<String>; 2],
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServiceError>>>,
    folder: TempDir,
}

fn options() -> Options {
    Options {
        limits: Limits { queued: 8, queued_per_client: 6, results: 64, attempts: 3 },
        head_time: Duration::from_millis(700),
        body_time: Duration::from_secs(1),
        ..Options::default()
    }
}

impl Running {
    fn new(options: Options) -> Self {
        Self::in_folder(TempDir::new().unwrap(), options, None)
    }

    fn in_folder(folder: TempDir, options: Options, tls: Option<rustls::ServerConfig>) -> Self {
        let (one, first) = new_token("camera-1", &mut tiny::rng(1)).unwrap();
        let (two, second) = new_token("camera-2", &mut tiny::rng(2)).unwrap();
        let tokens = Tokens::parse(&format!("{first}\n{second}")).unwrap();
        let access = Access::Clients(tokens);
        let service = Service::new(vec![deployed()], folder.path(), access, options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let thread = std::thread::spawn(move || service.run(listener, tls, shutdown));
        Self { address, tokens: [one, two], stop: Some(stop), thread: Some(thread), folder }
    }

    fn client(&self, which: usize) -> Connection {
        let url = format!("http://{}", self.address);
        let token = Some(self.tokens[which].clone());
        Connection::new(Endpoint { url, token, tls: None }).unwrap()
    }

    fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends bytes as they are and reads the answer to its end.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.stream();
        let _ = stream.write_all(request);
        answer(&mut stream)
    }

    fn head(&self, length: &str) -> String {
        let token = self.tokens[0].as_str();
        format!(
            "POST /v1/models/reverse/1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             {length}\r\n\r\n"
        )
    }

    fn stop(&mut self) -> Result<(), ServiceError> {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap()
    }

    /// That all is well after whatever happened.
    fn still_serves(&self, input: &str) {
        let mut client = self.client(0);
        let job = client.submit(&model(), input.as_bytes()).unwrap();
        assert_eq!(inference(&mut client, job.id).output, reversed(input.as_bytes()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.stop();
        }
    }
}

fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn reversed(input: &[u8]) -> Vec<u8> {
    input.iter().rev().copied().collect()
}

fn wait(client: &mut Connection, id: JobId) -> State {
    loop {
        let state = client.job(id).unwrap().state;
        if !matches!(state, State::Queued | State::Running) {
            return state;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn inference(client: &mut Connection, id: JobId) -> EncryptedInference {
    assert_eq!(wait(client, id), State::Done);
    let bytes = client.result(id).unwrap().unwrap();
    wire::from_bytes(&bytes, INFERENCE_LIMIT, &()).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ConnectionError>, status: u16, words: &str) {
    match result.unwrap_err() {
        ConnectionError::Refused { status: found, message } => {
            assert!(found == status && message.contains(words), "{found}: {message}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_job_goes_all_the_way() {
    let running = Running::new(options());
    let mut client = running.client(0);
    let job = client.submit(&model(), b"ok 1").unwrap();
    let inference = inference(&mut client, job.id);
    assert_eq!(inference.model, model());
    assert_eq!(inference.key, deployed().key);
    assert_eq!(inference.bundle, [3; 32]);
    assert_eq!(inference.input, <[u8; 32]>::from(Sha256::digest(b"ok 1")));
    assert_eq!(inference.output, b"1 ko");
    // the same bytes are the same job
    assert_eq!(client.submit(&model(), b"ok 1").unwrap().id, job.id);
    client.collect(job.id).unwrap();
    client.collect(job.id).unwrap();
    assert_eq!(client.job(job.id).unwrap().state, State::Collected);
    refused(client.result(job.id), 410, "collected");
    assert_eq!(client.submit(&model(), b"ok 1").unwrap().id, job.id);
}

#[test]
fn everyone_sees_health_and_clients_the_rest() {
    let running = Running::new(options());
    let get = |path: &str| {
        running
            .raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    };
    assert!(get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(get("/readyz").starts_with("HTTP/1.1 200"));
    for path in ["/v1/models", "/metrics", "/v1/jobs/00", "/v1/jobs/00/result"] {
        let answer = get(path).to_lowercase();
        assert!(answer.starts_with("http/1.1 401"), "{answer}");
        assert!(answer.contains("www-authenticate: bearer") && answer.contains("credentials"));
    }
    let answer = get("/elsewhere");
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("error"), "{answer}");
    let mut client = running.client(0);
    let (_, models) = client.request(Method::GET, "/v1/models", &[]).unwrap();
    let models: serde_json::Value = serde_json::from_slice(&models).unwrap();
    assert_eq!(models[0]["model"]["name"], "reverse");
    assert_eq!(models[0]["input_limit"], LIMIT);
    refused(client.request(Method::PUT, "/v1/models", &[]), 405, "method");
}

#[test]
fn refusals_have_their_status_and_the_next_job_is_served() {
    let running = Running::new(options());
    let (mut client, mut other) = (running.client(0), running.client(1));
    refused(client.submit(&model(), b"nonsense"), 400, "it is no input");
    refused(client.submit(&model(), b""), 400, "it is no input");
    refused(client.submit(&model(), b"under"), 422, "another key");
    let unknown = ModelId::new("other", 1).unwrap();
    refused(client.submit(&unknown, b"ok"), 404, "other is not deployed");
    let job = client.submit(&model(), b"ok 1").unwrap();
    refused(other.submit(&model(), b"ok 1"), 409, "submitted before");
    refused(other.job(job.id), 404, "no such job");
    refused(other.result(job.id), 404, "no such job");
    refused(other.collect(job.id), 404, "no such job");
    refused(client.request(Method::GET, "/v1/jobs/xyz", &[]), 404, "no id of a job");
    let url = format!("http://{}", running.address);
    let token = Some(Zeroizing::new("wrong".to_owned()));
    let mut stranger = Connection::new(Endpoint { url, token, tls: None }).unwrap();
    refused(stranger.submit(&model(), b"ok 2"), 401, "credentials");
    running.still_serves("ok 3");
}

#[test]
fn a_job_that_fails_or_panics_is_answered_and_the_next_served() {
    let running = Running::new(options());
    let mut client = running.client(0);
    for (input, words) in [(&b"ok fail"[..], "cannot be processed"), (b"ok panic", "internal")] {
        let job = client.submit(&model(), input).unwrap();
        assert_eq!(wait(&mut client, job.id), State::Failed);
        refused(client.result(job.id), 422, words);
    }
    running.still_serves("ok 1");
}

#[test]
fn limits_of_jobs_refuse_with_a_time_to_retry() {
    let running = Running::new(options());
    let (mut one, mut two) = (running.client(0), running.client(1));
    let mut ids = Vec::new();
    for index in 0..6 {
        ids.push(one.submit(&model(), format!("ok slow {index}").as_bytes()).unwrap().id);
    }
    refused(one.submit(&model(), b"ok more"), 429, "6 of your jobs");
    two.submit(&model(), b"ok slow a").unwrap();
    two.submit(&model(), b"ok slow b").unwrap();
    refused(two.submit(&model(), b"ok slow c"), 503, "8 jobs are queued");
    let raw = running
        .raw(format!("{}ok z", running.head("Content-Length: 4\r\nConnection: close")).as_bytes());
    assert!(raw.to_lowercase().contains("retry-after: 2"), "{raw}");
    for id in ids {
        assert_eq!(wait(&mut one, id), State::Done);
    }
    running.still_serves("ok 1");
}

#[test]
fn bodies_that_are_too_large_are_refused_early() {
    let running = Running::new(options());
    // announced: refused before any of it is sent
    let early = running.raw(running.head("Content-Length: 10737418240").as_bytes());
    assert!(early.starts_with("HTTP/1.1 413") && early.contains("1048576 bytes"), "{early}");
    // not announced: refused once it is too long, with nothing kept
    let mut stream = running.stream();
    stream.write_all(running.head("Transfer-Encoding: chunked").as_bytes()).unwrap();
    let chunk = [&b"10000\r\n"[..], &vec![b'o'; 0x10000], b"\r\n"].concat();
    let sent = (0..160_000).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 1000, "{sent} chunks of 64 KiB were taken");
    let text = answer(&mut stream);
    // the answer can be lost where the connection is closed on what was still being sent
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 413"), "{text}");
    running.still_serves("ok 1");
}

#[test]
fn slow_and_vanishing_clients_are_let_go() {
    let running = Running::new(options());
    // a head that never ends
    let mut stream = running.stream();
    let begun = Instant::now();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut more =
        || stream.write_all(b"X: y\r\n").is_ok() && begun.elapsed() < Duration::from_secs(8);
    while more() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "held for {:?}", begun.elapsed());
    // a body that never ends
    let mut stream = running.stream();
    stream.write_all(running.head("Content-Length: 1000").as_bytes()).unwrap();
    stream.write_all(b"ok").unwrap();
    let text = answer(&mut stream);
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("within 1 s"), "{text}");
    // a body whose client goes away
    let mut stream = running.stream();
    stream.write_all(running.head("Content-Length: 1000").as_bytes()).unwrap();
    stream.write_all(b"ok").unwrap();
    drop(stream);
    // silence
    let mut stream = running.stream();
    assert_eq!(answer(&mut stream), "");
    running.still_serves("ok 1");
}

#[test]
fn heads_that_are_no_http_are_refused() {
    let running = Running::new(options());
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"NONSENSE\r\n\r\n", &[0xff; 5000]] {
        let answer = running.raw(bytes);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let long = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    let answer = running.raw(long.as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    running.still_serves("ok 1");
}

#[test]
fn connections_beyond_the_limit_are_closed() {
    let running = Running::new(Options { connections: 3, ..options() });
    let held: Vec<TcpStream> = (0..3).map(|_| running.stream()).collect();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(running.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), "");
    drop(held);
    std::thread::sleep(Duration::from_millis(100));
    running.still_serves("ok 1");
}

#[test]
fn metrics_count_what_happened() {
    let running = Running::new(options());
    running.still_serves("ok 1");
    let mut client = running.client(0);
    refused(client.submit(&model(), b"nonsense"), 400, "");
    // A result can be had a moment before it is counted.
    for line in [
        "bellerophon_jobs_finished_total{outcome=\"done\"} 1",
        "bellerophon_jobs_accepted_total 1",
        "bellerophon_jobs{state=\"queued\"} 0",
        "bellerophon_jobs{state=\"done\"} 1",
        "bellerophon_job_seconds_count 1",
        "bellerophon_requests_total{route=\"/v1/models/{name}/{version}/jobs\",status=\"400\"} 1",
        "bellerophon_memory_limit_bytes 4294967296",
        "# EOF",
    ] {
        let begun = Instant::now();
        let shown = |client: &mut Connection| {
            let (_, text) = client.request(Method::GET, "/metrics", &[]).unwrap();
            String::from_utf8(text).unwrap().lines().any(|found| found == line)
        };
        while !shown(&mut client) {
            assert!(begun.elapsed() < Duration::from_secs(10), "no {line}");
        }
    }
}

#[test]
fn jobs_are_done_before_the_service_ends_or_after_it_begins_again() {
    let mut running = Running::new(Options { grace: Duration::from_millis(1), ..options() });
    let mut client = running.client(0);
    let inputs: Vec<String> = (0..5).map(|index| format!("ok slow {index}")).collect();
    let jobs: Vec<JobId> =
        inputs.iter().map(|input| client.submit(&model(), input.as_bytes()).unwrap().id).collect();
    running.stop().unwrap();
    assert!(matches!(client.job(jobs[0]), Err(ConnectionError::Network(_))));
    let folder = std::mem::replace(&mut running.folder, TempDir::new().unwrap());
    std::thread::sleep(Duration::from_millis(400)); // the thread of the first still has the lock
    let again = Running::in_folder(folder, options(), None);
    let mut client = again.client(0);
    for (input, id) in inputs.iter().zip(jobs) {
        assert_eq!(inference(&mut client, id).output, reversed(input.as_bytes()));
    }
}

#[test]
fn services_that_cannot_work_do_not_start() {
    let folder = TempDir::new().unwrap();
    let start = |models, options| {
        Service::new(models, folder.path(), Access::InsecureAnyone, options).unwrap_err()
    };
    assert!(matches!(start(vec![], options()), ServiceError::NoModel));
    assert!(matches!(start(vec![deployed(), deployed()], options()), ServiceError::Twice(_)));
    let little = Options { memory: 1 << 20, ..options() };
    if memory::resident().is_some() {
        assert!(matches!(start(vec![deployed()], little), ServiceError::Memory { .. }));
    }
    let none = Options { workers: 0, ..options() };
    assert!(matches!(start(vec![deployed()], none), ServiceError::Zero("the number of workers")));
}
