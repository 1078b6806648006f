//! MNIST from its mirrors, for those who have a network.
//!
//! A download goes on where it stopped, mirrors are tried in turn, and a file is there under its name only
//! once its SHA-256 is that of the original.

use super::idx::{GZIP_MAGIC, existing};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Where the files are, in the order they are tried in.
pub const MIRRORS: [&str; 3] = [
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "http://yann.lecun.com/exdb/mnist",
];

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Name, bytes and SHA-256 of each file.
const FILES: [(&str, u64, &str); 4] = [
    (
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    (
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    (
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    (
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
];
/// The SHA-256 of the test images, unpacked.
const UNPACKED: &str = "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7";
/// The bytes of the test images, unpacked.
const UNPACKED_BYTES: u64 = 7_840_016;
/// Times that all mirrors are tried, as long as each time brings something.
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// The four files of MNIST.
#[must_use]
pub fn files() -> Vec<Original> {
    let original = |(name, bytes, sha256): (&str, u64, &str)| Original {
        name: name.to_owned(),
        bytes,
        sha256: sha256.to_owned(),
    };
    FILES.into_iter().map(original).collect()
}

/// Why a data set was not downloaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The folder or a file in it cannot be written or read.
    #[error(
        "cannot write {path:?}: {source}; what has arrived is kept, and the same command goes on"
    )]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of that name is another one.
    #[error(
        "{path:?} is there but is not the original: move it away or delete it, and download again"
    )]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// No mirror gave the file.
    #[error(
        "{name} could not be downloaded ({}); what has arrived is kept: run the same command again, or \
         name another mirror",
        reasons.join("; ")
    )]
    Mirrors {
        /// The file.
        name: String,
        /// What each mirror said.
        reasons: Vec<String>,
    },
}

/// What a download is doing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A file is there already.
    Present(&'a Original),
    /// A mirror is asked for a file, of which some bytes have arrived before.
    Asked {
        /// The file.
        file: &'a Original,
        /// The address.
        address: &'a str,
        /// Bytes that are there.
        from: u64,
    },
    /// Bytes have arrived.
    Arrived(u64),
    /// A mirror did not give the file.
    Failed(&'a str),
}

/// Downloads files into a folder, which is made where it is missing.
///
/// # Errors
/// [`DownloadError`]; what has arrived by then is kept, and the next call goes on from there.
pub fn download(
    files: &[Original],
    mirrors: &[String],
    folder: &Path,
    watch: &dyn Fn(Event<'_>),
) -> Result<(), DownloadError> {
    let made = fs::create_dir_all(folder);
    made.map_err(|source| DownloadError::Write { path: folder.to_owned(), source })?;
    files.iter().try_for_each(|file| Download::new(file, folder).run(mirrors, watch))
}

/// Whether a folder holds the test images of MNIST itself, gzipped or not.
#[must_use]
pub fn is_original(folder: &Path) -> bool {
    let Some(path) = existing(&folder.join("t10k-images-idx3-ubyte")) else { return false };
    let unpacked = || -> io::Result<String> {
        let packed = fs::read(path)?;
        let mut bytes = Vec::new();
        match packed.starts_with(&GZIP_MAGIC) {
            true => {
                let decoder = MultiGzDecoder::new(packed.as_slice());
                decoder.take(UNPACKED_BYTES + 1).read_to_end(&mut bytes)?;
            }
            false => bytes = packed,
        }
        Ok(hexadecimal(Sha256::digest(bytes).as_slice()))
    };
    unpacked().is_ok_and(|sha256| sha256 == UNPACKED)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(hash.finalize().as_slice())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// One file on its way.
struct Download<'a> {
    file: &'a Original,
    whole: PathBuf,
    partial: PathBuf,
}

/// Why a mirror did not give a file.
enum Failure {
    /// Another may.
    Mirror(String),
    /// Nothing more can be written here.
    Here(io::Error),
}

impl<'a> Download<'a> {
    fn new(file: &'a Original, folder: &Path) -> Self {
        let (whole, partial) =
            (folder.join(&file.name), folder.join(format!("{}.part", file.name)));
        Self { file, whole, partial }
    }

    fn run(&self, mirrors: &[String], watch: &dyn Fn(Event<'_>)) -> Result<(), DownloadError> {
        let refused = |source| DownloadError::Write { path: self.whole.clone(), source };
        if self.whole.exists() {
            return match digest(&self.whole).map_err(refused)? == self.file.sha256 {
                true => {
                    watch(Event::Present(self.file));
                    Ok(())
                }
                false => Err(DownloadError::Other { path: self.whole.clone() }),
            };
        }
        let mut reasons = Vec::new();
        for _ in 0..ROUNDS {
            let before = self.arrived();
            for mirror in mirrors {
                let address = format!("{}/{}", mirror.trim_end_matches('/'), self.file.name);
                watch(Event::Asked { file: self.file, address: &address, from: self.arrived() });
                match self.fetch(&address, watch) {
                    Ok(()) => return Ok(()),
                    Err(Failure::Here(source)) => return Err(refused(source)),
                    Err(Failure::Mirror(reason)) => {
                        watch(Event::Failed(&reason));
                        reasons.push(format!("{address}: {reason}"));
                    }
                }
            }
            if self.arrived() <= before {
                break;
            }
        }
        Err(DownloadError::Mirrors { name: self.file.name.clone(), reasons })
    }

    /// Bytes of the file that have arrived.
    fn arrived(&self) -> u64 {
        fs::metadata(&self.partial).map_or(0, |meta| meta.len())
    }

    /// Asks one mirror for what is missing.
    fn fetch(&self, address: &str, watch: &dyn Fn(Event<'_>)) -> Result<(), Failure> {
        let from = self.arrived();
        if from < self.file.bytes {
            self.receive(address, from, watch)?;
        }
        let arrived = self.arrived();
        if arrived < self.file.bytes {
            let reason = format!("it ended after {arrived} of {} bytes", self.file.bytes);
            return Err(Failure::Mirror(reason));
        }
        if arrived == self.file.bytes
            && digest(&self.partial).map_err(Failure::Here)? == self.file.sha256
        {
            return fs::rename(&self.partial, &self.whole).map_err(Failure::Here);
        }
        fs::remove_file(&self.partial).map_err(Failure::Here)?;
        Err(Failure::Mirror("what it gave is not the original (SHA-256 differs)".to_owned()))
    }

    fn receive(&self, address: &str, from: u64, watch: &dyn Fn(Event<'_>)) -> Result<(), Failure> {
        let refused = |error: ureq::Error| Failure::Mirror(error.to_string());
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build()
            .into();
        let mut request = agent.get(address);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.call().map_err(refused)?;
        let goes_on = response.status().as_u16() == 206
            && response
                .headers()
                .get("content-range")
                .and_then(|range| range.to_str().ok())
                .is_some_and(|range| range.starts_with(&format!("bytes {from}-")));
        let start = if goes_on { from } else { 0 };
        let mut options = OpenOptions::new();
        options.create(true).append(goes_on).write(true).truncate(!goes_on);
        let mut file = options.open(&self.partial).map_err(Failure::Here)?;
        // one byte more than there should be tells a wrong file from a whole one
        let mut body = response.into_body().into_reader().take(self.file.bytes + 1 - start);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => return file.sync_all().map_err(Failure::Here),
                Ok(read) => read,
                Err(error) => return Err(Failure::Mirror(error.to_string())),
            };
            file.write_all(&buffer[..read]).map_err(Failure::Here)?;
            watch(Event::Arrived(read as u64));
        }
    }
}

#[cfg(test)]
mod tests;
