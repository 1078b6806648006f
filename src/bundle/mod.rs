//! What the owner deploys: a signed archive of a protected model and its public keys.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | magic `BLRB` |
//! | 2 | format version, little-endian |
//! | 2 | zero |
//! | 4 | length of the manifest, little-endian |
//! | 64 | Ed25519 signature of `"bellerophon bundle"`, the 12 bytes before, and the manifest |
//! | ... | manifest, in the wire form: model, version, key, and each part's kind, length and SHA-256 |
//! | ... | the parts, in the manifest's order |
//!
//! A reader pins the owner's key. It checks the signature before it decodes the manifest, and each
//! part's digest before it decodes the part; nothing that is not signed is ever interpreted. The
//! kinds of parts are an enumeration in which no secret occurs.

mod error;
mod owner_key;
#[cfg(test)]
mod tests;

use crate::message::{KEY_LIMIT, SLOT_KEY_LIMIT};
use crate::model_id::ModelId;
use crate::protect::MODEL_LIMIT;
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::wire::{self, Conformant, HEADER_BYTES, Wire};
use ed25519_dalek::{Signature, Signer, SigningKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

pub use error::BundleError;
pub use owner_key::{OwnerKey, OwnerKeyError};

const MAGIC: [u8; 4] = *b"BLRB";
/// The version of the format that this program writes and reads.
pub const VERSION: u16 = 1;
const DOMAIN: &[u8] = b"bellerophon bundle";
const PREFIX_BYTES: usize = 12;
const SIGNATURE_BYTES: usize = 64;
/// The longest manifest, in bytes.
const MANIFEST_LIMIT: u64 = 64 << 10;
/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;

/// What a bundle and the store hold of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Part {
    /// Architecture and encrypted parameters.
    Model,
    /// What inputs are encrypted with.
    PublicKey,
    /// What the model is evaluated with.
    EvaluationKeys,
    /// What its polynomials in slots are evaluated with, where it has such.
    SlotKeys,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Model, Self::PublicKey, Self::EvaluationKeys, Self::SlotKeys];

    /// Whether a bundle must hold it.
    #[must_use]
    pub fn is_required(self) -> bool {
        self != Self::SlotKeys
    }

    /// What a person calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "encrypted model",
            Self::PublicKey => "public key",
            Self::EvaluationKeys => "evaluation keys",
            Self::SlotKeys => "slot keys",
        }
    }

    /// The largest one accepted, in bytes, behind a header of the wire form.
    #[must_use]
    pub fn limit(self) -> u64 {
        match self {
            Self::Model => MODEL_LIMIT,
            Self::PublicKey => 64 << 20,
            Self::EvaluationKeys => KEY_LIMIT,
            Self::SlotKeys => SLOT_KEY_LIMIT,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One part, as the manifest announces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// Which.
    pub part: Part,
    /// Bytes.
    pub length: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The model.
    pub model: ModelId,
    /// The secret that its results are under.
    pub key: KeyId,
    /// When it was signed, in seconds since 1970.
    pub created: i64,
    /// Each part, once.
    pub parts: Vec<PartEntry>,
}

impl Wire for Manifest {
    const KIND: u16 = 60;
    const NAME: &'static str = "bundle manifest";
}

impl Conformant<()> for Manifest {
    fn conforms(&self, (): &()) -> Result<(), String> {
        for part in Part::ALL {
            let mut found = self.parts.iter().filter(|entry| entry.part == part);
            match (found.next(), found.next()) {
                (Some(entry), None) if entry.length <= part.limit() + HEADER_BYTES as u64 => {}
                (Some(_), None) => return Err(format!("the {part} is longer than is accepted")),
                (None, _) if !part.is_required() => {}
                (None, _) => return Err(format!("it has no {part}")),
                (Some(_), Some(_)) => return Err(format!("it has the {part} twice")),
            }
        }
        Ok(())
    }
}

/// The first bytes and the signature; what is signed are the first bytes and the manifest.
fn signed(prefix: &[u8], manifest: &[u8]) -> Vec<u8> {
    [DOMAIN, prefix, manifest].concat()
}

/// Writes a bundle; gives the SHA-256 of what was signed, as [`Bundle::id`] does. `source` gives
/// each part's bytes, in the manifest's order.
///
/// # Errors
/// Those of `source`; [`BundleError::Io`], [`BundleError::Digest`] where a part is not what the
/// manifest says.
pub fn write<R: Read, E: From<BundleError>>(
    out: &mut dyn Write,
    manifest: &Manifest,
    key: &SigningKey,
    mut source: impl FnMut(Part) -> Result<R, E>,
) -> Result<[u8; 32], E> {
    let id = write_signed(out, manifest, key)?;
    for entry in &manifest.parts {
        copy(&mut source(entry.part)?, out, entry)?;
    }
    Ok(id)
}

fn write_signed(
    out: &mut dyn Write,
    manifest: &Manifest,
    key: &SigningKey,
) -> Result<[u8; 32], BundleError> {
    let bytes = wire::to_bytes(manifest)?;
    let mut prefix = Vec::with_capacity(PREFIX_BYTES);
    prefix.extend(MAGIC);
    prefix.extend(VERSION.to_le_bytes());
    prefix.extend([0, 0]);
    prefix.extend((bytes.len() as u32).to_le_bytes());
    let message = signed(&prefix, &bytes);
    let signature = key.sign(&message);
    for bytes in [&prefix[..], &signature.to_bytes(), &bytes] {
        out.write_all(bytes)?;
    }
    Ok(Sha256::digest(&message).into())
}

fn copy(source: &mut dyn Read, out: &mut dyn Write, entry: &PartEntry) -> Result<(), BundleError> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut length = 0;
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        hasher.update(&chunk[..count]);
        out.write_all(&chunk[..count])?;
        length += count as u64;
    }
    match length == entry.length && hasher.finalize()[..] == entry.sha256 {
        true => Ok(()),
        false => Err(BundleError::Digest { part: entry.part }),
    }
}

/// A bundle whose signature, version and lengths were checked. Parts are read on demand.
#[derive(Debug)]
pub struct Bundle {
    file: File,
    manifest: Manifest,
    id: [u8; 32],
    parts_begin: u64,
}

impl Bundle {
    /// Opens a bundle of the owner with this key.
    ///
    /// # Errors
    /// All variants of [`BundleError`] but [`BundleError::Digest`]. [`BundleError::Signature`] for
    /// whatever another key signed, or where a bit differs.
    pub fn open(path: &Path, owner: &OwnerKey) -> Result<Self, BundleError> {
        let mut file = File::open(path)?;
        let found = file.metadata()?.len();
        let mut prefix = [0; PREFIX_BYTES];
        let mut signature = [0; SIGNATURE_BYTES];
        read_exactly(&mut file, &mut prefix, PREFIX_BYTES as u64, found)?;
        let length = manifest_length(&prefix)?;
        let parts_begin = (PREFIX_BYTES + SIGNATURE_BYTES) as u64 + length;
        read_exactly(&mut file, &mut signature, parts_begin, found)?;
        let mut bytes = vec![0; length as usize];
        read_exactly(&mut file, &mut bytes, parts_begin, found)?;
        let message = signed(&prefix, &bytes);
        owner.verify(&message, &Signature::from_bytes(&signature))?;
        let manifest: Manifest = wire::from_bytes(&bytes, MANIFEST_LIMIT, &())?;
        check_length(&manifest, parts_begin, found)?;
        Ok(Self { file, manifest, id: Sha256::digest(&message).into(), parts_begin })
    }

    /// What was signed.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The SHA-256 of what was signed, which names this bundle.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        self.id
    }

    /// Whether it holds a part.
    #[must_use]
    pub fn has(&self, part: Part) -> bool {
        self.manifest.parts.iter().any(|entry| entry.part == part)
    }

    /// Reads a part into memory.
    ///
    /// # Errors
    /// [`BundleError::Digest`] where it is not what was signed, [`BundleError::Io`].
    pub fn read(&mut self, part: Part) -> Result<Vec<u8>, BundleError> {
        let mut begin = self.parts_begin;
        for entry in &self.manifest.parts {
            if entry.part == part {
                self.file.seek(SeekFrom::Start(begin))?;
                let mut bytes = Vec::new();
                (&self.file).take(entry.length).read_to_end(&mut bytes)?;
                let same = bytes.len() as u64 == entry.length
                    && Sha256::digest(&bytes)[..] == entry.sha256;
                return if same { Ok(bytes) } else { Err(BundleError::Digest { part }) };
            }
            begin += entry.length;
        }
        Err(BundleError::Digest { part })
    }
}

/// The length of the manifest, where the first bytes are those of a bundle.
fn manifest_length(prefix: &[u8; PREFIX_BYTES]) -> Result<u64, BundleError> {
    let found = u16::from_le_bytes([prefix[4], prefix[5]]);
    if prefix[..4] != MAGIC || (found == VERSION && prefix[6..8] != [0, 0]) {
        return Err(BundleError::Magic);
    }
    if found != VERSION {
        return Err(BundleError::Version { found });
    }
    let length = u32::from_le_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
    let (claimed, limit) = (u64::from(length), MANIFEST_LIMIT + HEADER_BYTES as u64);
    match claimed > limit {
        true => Err(BundleError::TooLong { claimed, limit }),
        false => Ok(claimed),
    }
}

fn read_exactly(
    file: &mut File,
    bytes: &mut [u8],
    expected: u64,
    found: u64,
) -> Result<(), BundleError> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => BundleError::Truncated { expected, found },
        _ => error.into(),
    })
}

/// Limits of the parts were checked, so that the sum is no overflow.
fn check_length(manifest: &Manifest, parts_begin: u64, found: u64) -> Result<(), BundleError> {
    let parts: u64 = manifest.parts.iter().map(|entry| entry.length).sum();
    let expected = parts_begin + parts;
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(BundleError::Truncated { expected, found }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(BundleError::Trailing { extra: found - expected }),
    }
}
