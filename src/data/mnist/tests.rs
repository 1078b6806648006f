//! Downloads from servers on loopback that behave badly.

use super::*;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Manner {
    /// Gives what is asked for, from where it is asked for.
    Good,
    /// Gives everything, whatever is asked for.
    Ignorant,
    /// Ends the connection after so many bytes.
    Truncated(usize),
    /// Gives as many other bytes.
    Wrong,
    /// Gives more than the file has.
    Longer,
    /// Knows nothing.
    Missing,
}

/// A server on loopback, and the `Range` of each request it got.
struct Mirror {
    address: String,
    asked: Arc<Mutex<Vec<Option<String>>>>,
}

impl Mirror {
    fn new(content: &[u8], manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (content, log) = (content.to_vec(), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let mut range = None;
                while let Some(Ok(line)) =
                    lines.next().filter(|line| !matches!(line, Ok(l) if l.is_empty()))
                {
                    if let Some((name, value)) = line.split_once(": ")
                        && name.eq_ignore_ascii_case("range")
                    {
                        range = Some(value.to_owned());
                    }
                }
                log.lock().unwrap().push(range.clone());
                let _ = stream.write_all(&answer(&content, manner, range.as_deref()));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<Option<String>> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(content: &[u8], manner: Manner, range: Option<&str>) -> Vec<u8> {
    let from = range
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let head = |status: &str, length: usize, more: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")
    };
    let part = |from: usize, most: usize| {
        let (body, all) = (&content[from..], content.len());
        let more = format!("Content-Range: bytes {from}-{}/{all}\r\n", all - 1);
        let head = if from == 0 {
            head("200 OK", all, "")
        } else {
            head("206 Partial Content", body.len(), &more)
        };
        [head.as_bytes(), &body[..body.len().min(most)]].concat()
    };
    match manner {
        Manner::Good => part(from.unwrap_or(0), usize::MAX),
        Manner::Ignorant => part(0, usize::MAX),
        Manner::Truncated(most) => part(from.unwrap_or(0), most),
        Manner::Wrong => {
            let other: Vec<u8> = content.iter().map(|byte| byte ^ 1).collect();
            [head("200 OK", other.len(), "").as_bytes(), &other].concat()
        }
        Manner::Longer => {
            let other = [content, b"more"].concat();
            [head("200 OK", other.len(), "").as_bytes(), &other].concat()
        }
        Manner::Missing => head("404 Not Found", 0, "").into_bytes(),
    }
}

fn content() -> Vec<u8> {
    (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn original(content: &[u8]) -> Original {
    let sha256 = hexadecimal(Sha256::digest(content).as_slice());
    Original { name: "file.gz".to_owned(), bytes: content.len() as u64, sha256 }
}

/// An address where nobody listens.
fn down() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn run(mirrors: &[String], folder: &Path) -> Result<(), DownloadError> {
    download(&[original(&content())], mirrors, folder, &|_| ())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn mirrors_are_tried_in_turn_until_one_has_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("new");
    let bad = [Manner::Missing, Manner::Wrong, Manner::Longer];
    let bad = bad.map(|manner| Mirror::new(&content(), manner));
    let good = Mirror::new(&content(), Manner::Good);
    let mut mirrors = vec![down()];
    mirrors.extend(bad.iter().map(|mirror| format!("{}/", mirror.address)));
    mirrors.push(good.address.clone());
    run(&mirrors, &at).unwrap();
    assert_eq!(fs::read(at.join("file.gz")).unwrap(), content());
    assert_eq!(names(&at), ["file.gz"]);
    assert_eq!(good.asked(), [None]);
    // what is there is not asked for again
    run(&[down()], &at).unwrap();
}

#[test]
fn a_download_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Mirror::new(&content(), Manner::Truncated(30_000));
    let error = run(&[down()], folder.path()).unwrap_err();
    assert!(matches!(error, DownloadError::Mirrors { .. }), "{error}");
    // each time some more arrives, from another place
    run(std::slice::from_ref(&cut.address), folder.path()).unwrap_err();
    assert_eq!(names(folder.path()), ["file.gz.part"]);
    let ranges = cut.asked();
    assert_eq!(ranges[0], None);
    assert_eq!(ranges[1].as_deref(), Some("bytes=30000-"));
    let good = Mirror::new(&content(), Manner::Good);
    run(std::slice::from_ref(&good.address), folder.path()).unwrap();
    assert_eq!(good.asked(), [Some("bytes=90000-".to_owned())]);
    assert_eq!(fs::read(folder.path().join("file.gz")).unwrap(), content());
}

#[test]
fn servers_without_ranges_begin_anew() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file.gz.part"), &content()[..12_345]).unwrap();
    let ignorant = Mirror::new(&content(), Manner::Ignorant);
    run(std::slice::from_ref(&ignorant.address), folder.path()).unwrap();
    assert_eq!(ignorant.asked(), [Some("bytes=12345-".to_owned())]);
    assert_eq!(fs::read(folder.path().join("file.gz")).unwrap(), content());
}

#[test]
fn what_is_not_the_original_is_never_kept() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = Mirror::new(&content(), Manner::Wrong);
    let message = run(std::slice::from_ref(&wrong.address), folder.path()).unwrap_err().to_string();
    assert!(message.contains("SHA-256") && message.contains(&wrong.address), "{message}");
    assert!(!message.contains('\n'), "{message}");
    assert!(names(folder.path()).is_empty());
    // a partial file with wrong bytes does not spoil the next try
    fs::write(folder.path().join("file.gz.part"), vec![7; 50_000]).unwrap();
    let good = Mirror::new(&content(), Manner::Good);
    run(&[good.address.clone(), good.address.clone()], folder.path()).unwrap();
    // a file of that name that is another one is not replaced
    fs::write(folder.path().join("file.gz"), b"mine").unwrap();
    let error = run(&[good.address], folder.path()).unwrap_err();
    assert!(matches!(error, DownloadError::Other { .. }), "{error}");
    assert_eq!(fs::read(folder.path().join("file.gz")).unwrap(), b"mine");
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"x").unwrap();
    let error = run(&[down()], &file).unwrap_err();
    assert!(matches!(error, DownloadError::Write { .. }), "{error}");
    assert!(!is_original(folder.path()));
}

#[test]
fn the_known_files_are_whole() {
    let files = files();
    assert_eq!(files.len(), 4);
    assert!(files.iter().all(|file| file.sha256.len() == 64 && file.bytes > 4000));
    let Some(folder) = std::env::var_os("BELLEROPHON_DATA").map(PathBuf::from) else {
        eprintln!("SKIPPED: set BELLEROPHON_DATA to a folder with the MNIST IDX files");
        return;
    };
    for Original { name, bytes, sha256 } in files {
        let path = folder.join(&name);
        if path.exists() {
            assert_eq!(
                (fs::metadata(&path).unwrap().len(), digest(&path).unwrap()),
                (bytes, sha256)
            );
        }
    }
    assert!(is_original(&folder));
}
