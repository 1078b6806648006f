//! Clients that mean harm, and others that just break: each is refused with its status and message,
//! it is logged, and the next job is served.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The stated limit of memory in these tests, in MiB.
const MEMORY: u64 = 768;

fn post(client: usize, length: &str) -> Vec<u8> {
    let token = WORLD.token(client);
    format!(
        "POST /v1/models/small/1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{length}\r\n\r\n",
        token.as_str()
    )
    .into_bytes()
}

fn stream(edge: &Edge) -> TcpStream {
    let stream = TcpStream::connect(edge.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[track_caller]
fn assert_bounded(edge: &Edge) {
    if let Some(peak) = edge.peak_memory() {
        assert!(peak < MEMORY << 20, "{peak} bytes where {MEMORY} MiB are stated");
    }
}

/// A line of the log with each of these words.
#[track_caller]
fn assert_logged(edge: &Edge, words: &[&str]) {
    let log = edge.logged();
    let all = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(log.lines().any(all), "no line with {words:?} in {log}");
}

#[test]
fn ciphertexts_that_are_damaged_or_not_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::new(folder.path(), "");
    let (mut one, mut two) = (WORLD.connection(&edge, 0), WORLD.connection(&edge, 1));
    let input = WORLD.encrypted("small", 1);
    let mut submit = |bytes: &[u8], status, words: &str| {
        refusal(one.submit(&small(), bytes), status, words);
    };
    submit(b"", 400, "truncated");
    submit(b"no ciphertext at all", 400, "truncated");
    submit(&vec![0x5a; input.len()], 400, "BLRN");
    submit(&input[..input.len() - 1], 400, "truncated");
    submit(&input[..60], 400, "truncated");
    for (at, words) in [(0, "BLRN"), (4, "version"), (6, ""), (9, ""), (30, "checksum")] {
        let mut flipped = input.clone();
        flipped[at] ^= 1;
        submit(&flipped, 400, words);
    }
    for at in (48..input.len()).step_by(input.len() / 7) {
        let mut flipped = input.clone();
        flipped[at] ^= 0x80;
        submit(&flipped, 400, "checksum");
    }
    submit(&[&input[..], &[0]].concat(), 413, "the most that an input of this model can have");
    submit(&WORLD.encrypted("other", 1), 422, "key");
    let program = fs::read(WORLD.file("small.program")).unwrap();
    submit(&program[..program.len().min(input.len())], 400, "");
    // replayed, by another client and for another model
    let job = one.submit(&small(), &input).unwrap();
    refusal(two.submit(&small(), &input), 409, "submitted before");
    refusal(two.job(job.id), 404, "no such job");
    refusal(two.result(job.id), 404, "no such job");
    wait(&mut one, job.id);
    refusal(two.submit(&small(), &input), 409, "submitted before");
    assert_eq!(one.submit(&small(), &input).unwrap().id, job.id);
    let unknown = ModelId::new("unknown", 1).unwrap();
    refusal(one.submit(&unknown, &input), 404, "not deployed");
    for words in
        [["400", "checksum"], ["409", "submitted before"], ["422", "key"], ["413", "bytes"]]
    {
        assert_logged(&edge, &words);
    }
    assert_serves(&edge, 2);
}

#[test]
fn a_body_of_ten_gigabytes() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::new(folder.path(), &format!("--memory {MEMORY}"));
    let mut announced = stream(&edge);
    announced.write_all(&post(0, "Content-Length: 10737418240")).unwrap();
    let refused = answer(&mut announced);
    assert!(refused.starts_with("HTTP/1.1 413") && refused.contains("the most"), "{refused}");
    // not announced, from several at once
    let chunk = [&b"100000\r\n"[..], &vec![7; 0x100000], b"\r\n"].concat();
    let send = |client: usize| {
        let (mut stream, chunk) = (stream(&edge), chunk.clone());
        std::thread::spawn(move || {
            stream.write_all(&post(client, "Transfer-Encoding: chunked")).unwrap();
            (0..10_240).take_while(|_| stream.write_all(&chunk).is_ok()).count()
        })
    };
    let senders: Vec<_> = (0..8).map(send).collect();
    for sender in senders {
        let sent = sender.join().unwrap();
        assert!(sent < 100, "{sent} MiB of a body were taken");
    }
    assert_logged(&edge, &["413", "the most"]);
    assert_bounded(&edge);
    assert_serves(&edge, 3);
    assert_bounded(&edge);
}

#[test]
fn slow_clients_and_clients_that_go_away() {
    let folder = tempfile::tempdir().unwrap();
    let more = format!("--memory {MEMORY} --head-seconds 2 --body-seconds 2 --connections 64");
    let edge = Edge::new(folder.path(), &more);
    // heads that never end, on most connections there are, and bodies that never do
    let mut heads: Vec<TcpStream> = (0..40).map(|_| stream(&edge)).collect();
    let mut bodies: Vec<TcpStream> = (0..8).map(|_| stream(&edge)).collect();
    heads.iter_mut().for_each(|stream| stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap());
    for stream in &mut bodies {
        stream.write_all(&post(0, "Content-Length: 5000")).unwrap();
        stream.write_all(b"BLRN").unwrap();
    }
    let mut gone: Vec<TcpStream> = (0..8).map(|_| stream(&edge)).collect();
    gone.iter_mut().for_each(|stream| stream.write_all(&post(1, "Content-Length: 5000")).unwrap());
    drop(gone);
    assert_serves(&edge, 4);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        heads.iter_mut().for_each(|stream| drop(stream.write_all(b"X-More: 1\r\n")));
        bodies.iter_mut().for_each(|stream| drop(stream.write_all(b"+")));
        std::thread::sleep(Duration::from_millis(200));
    }
    for stream in &mut bodies {
        let text = answer(stream);
        assert!(text.starts_with("HTTP/1.1 408") || text.is_empty(), "{text}");
    }
    for mut stream in heads {
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut byte = [0];
        let held = matches!(stream.read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!held, "a slow head is still held");
    }
    assert_logged(&edge, &["408", "within 2 s"]);
    assert_logged(&edge, &["too long for the head"]);
    assert_bounded(&edge);
    assert_serves(&edge, 5);
}

#[test]
fn strangers_are_not_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::new(folder.path(), "");
    let connection = |token: Option<&str>| {
        let token = token.map(|token| Zeroizing::new(token.to_owned()));
        Connection::new(Endpoint { url: edge.url.clone(), token, tls: None }).unwrap()
    };
    let input = WORLD.encrypted("small", 6);
    let digest = fs::read_to_string(WORLD.file("tokens")).unwrap();
    let digest = digest.split_whitespace().nth(1).unwrap().trim_start_matches("sha256:");
    for token in [None, Some(""), Some("client-0"), Some(digest)] {
        refusal(connection(token).submit(&small(), &input), 401, "credentials");
    }
    assert_logged(&edge, &["401", "credentials"]);
    let log = edge.logged();
    assert!((0..8).all(|client| !log.contains(WORLD.token(client).as_str())));
    assert_serves(&edge, 6);
}
