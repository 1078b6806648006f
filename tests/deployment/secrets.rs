//! No byte that the edge stores, receives or says is of a secret key.

use super::*;
use bellerophon::client::SECRETS_LIMIT;
use bellerophon_bridge::{Parameters, SecretKeys};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

type Record = Arc<Mutex<Vec<u8>>>;

/// Passes bytes on between a client and the service, and keeps them.
fn recording_proxy(target: String) -> (String, Record) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, record) = (format!("http://{}", listener.local_addr().unwrap()), Record::default());
    let kept = record.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&target).unwrap());
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let kept = kept.clone();
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        kept.lock().unwrap().extend_from_slice(&buffer[..count]);
                        if to.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    (url, record)
}

/// Every form in which a secret could lie in a file: name, and bytes that would be found.
fn forms(exported: &[u8], parameters: &Parameters) -> Vec<(String, Vec<u8>)> {
    // behind the header: the seed of 32 bytes
    let seed: [u8; 32] = exported[48..80].try_into().unwrap();
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        ("the exported secret".to_owned(), exported[48..].to_vec()),
        ("the seed".to_owned(), seed.to_vec()),
        ("half of the seed".to_owned(), seed[8..24].to_vec()),
        ("the seed, reversed".to_owned(), seed.iter().rev().copied().collect()),
        ("the seed in digits".to_owned(), hex.to_uppercase().into_bytes()),
        ("the seed in small digits".to_owned(), hex.into_bytes()),
        ("the passphrase".to_owned(), PASSPHRASE.as_bytes().to_vec()),
    ];
    let secrets = SecretKeys::generate(parameters, &mut ChaCha20Rng::from_seed(seed)).unwrap();
    let modulus = parameters.ring().modulus().value();
    // 128 coefficients anywhere in the middle, which nothing else has by chance
    let part = &secrets.ring().coefficients()[300..428];
    let word = |&c: &i64| if c < 0 { modulus - c.unsigned_abs() } else { c as u64 };
    let bits = |order: fn(usize) -> usize| -> Vec<u8> {
        let byte = |eight: &[i64]| {
            let bits = eight.iter().enumerate();
            bits.fold(0, |byte, (at, &bit)| byte | ((bit != 0) as u8) << order(at))
        };
        part.chunks(8).map(byte).collect()
    };
    let mut coefficients = |name: &str, bytes: Vec<u8>| {
        forms.push((format!("coefficients as {name}"), bytes));
    };
    coefficients("bytes", part.iter().map(|&c| c as i8 as u8).collect());
    coefficients("digits", part.iter().map(|&c| b'0' + c.unsigned_abs() as u8).collect());
    coefficients("32-bit words", part.iter().flat_map(|&c| (c as i32).to_le_bytes()).collect());
    coefficients("64-bit words", part.iter().flat_map(|c| c.to_le_bytes()).collect());
    coefficients("big-endian words", part.iter().flat_map(|c| c.to_be_bytes()).collect());
    coefficients("residues", part.iter().flat_map(|c| word(c).to_le_bytes()).collect());
    coefficients("floats", part.iter().flat_map(|&c| (c as f64).to_le_bytes()).collect());
    coefficients("text", format!("{part:?}").trim_matches(['[', ']']).as_bytes().to_vec());
    coefficients("bits", bits(|at| at));
    coefficients("bits in the other order", bits(|at| 7 - at));
    forms
}

/// The names of the forms that `bytes` hold.
pub(super) fn found<'a>(bytes: &[u8], forms: &'a [(String, Vec<u8>)]) -> Vec<&'a str> {
    // what is the same at each position is compared by its first bytes first
    let holds = |form: &[u8]| {
        let rest = &form[1..];
        let mut begins = bytes.iter().enumerate().filter(|(_, byte)| **byte == form[0]);
        begins.any(|(at, _)| bytes[at + 1..].starts_with(rest))
    };
    forms.iter().filter(|(_, form)| holds(form)).map(|(name, _)| name.as_str()).collect()
}

pub(super) fn contents(folder: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => contents(&path, into),
            false => into.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
}

#[test]
fn the_edge_never_sees_a_secret() {
    let (_folder, store) = WORLD.store();
    let parameters = parameters();
    let mut all = Vec::new();
    for model in ["small", "other"] {
        let id = ModelId::new(model, 1).unwrap();
        let secret = store.secret(&id, &passphrase()).unwrap();
        assert!((secret.len() as u64) < SECRETS_LIMIT);
        all.extend(forms(&secret, &parameters));
    }
    let signing = store.signing_key(&passphrase()).unwrap();
    all.push(("the signing key".to_owned(), signing.to_bytes().to_vec()));
    // the search finds what is there
    for (name, form) in &all {
        let hidden = [&vec![0x55; 1000], &form[..], &[0x55; 77]].concat();
        assert!(found(&hidden, &all).contains(&name.as_str()), "{name} would not be found");
    }

    // all that the edge has and hears: the bundles, jobs, files of a client, logs, the network
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut edge = Edge::new(at, "");
    let (url, record) = recording_proxy(edge.address().to_owned());
    let line = format!(
        "edge acquire --bundle small.bundle --owner owner.pub --url {url} --token-file token-0 \
         --images images.npy --count 4 --out {}",
        at.join("out").display()
    );
    let output = run(WORLD.path(), &line);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(at.join("acquired"), [output.stdout, output.stderr].concat()).unwrap();
    edge.kill(); // with its write-ahead log as it was
    for name in ["small.bundle", "other.bundle", "owner.pub", "tokens", "token-0"] {
        fs::copy(WORLD.file(name), at.join(name)).unwrap();
    }
    fs::write(at.join("network"), record.lock().unwrap().as_slice()).unwrap();
    let mut files = Vec::new();
    contents(at, &mut files);
    let names: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    for expected in ["jobs.sqlite", "jobs.sqlite-wal", "network", "log", ".result"] {
        assert!(names.iter().any(|name| name.ends_with(expected)), "no {expected} in {names:?}");
    }
    for (path, bytes) in &files {
        assert_eq!(found(bytes, &all), [""; 0], "{path:?}");
    }
    // the owner's own store holds it sealed, and nothing else
    let sealed = fs::read(WORLD.file("models.store")).unwrap();
    assert_eq!(found(&sealed, &all), [""; 0]);
}

/// Those that the program of the world was compiled for.
fn parameters() -> Parameters {
    let bytes = WORLD.bundle("small").read(bellerophon::bundle::Part::Model).unwrap();
    let (model, parameters) = bellerophon::protect::ProtectedModel::open(&bytes, LEVEL).unwrap();
    assert_eq!(model.architecture().parameters, *parameters.literal());
    parameters
}
