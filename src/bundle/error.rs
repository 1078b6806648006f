//! Why a bundle was refused.

use super::{Part, VERSION};
use bellerophon_schemes::wire::WireError;
use std::io;
use thiserror::Error;

/// Why a bundle was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file cannot be read or written.
    #[error("the bundle cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("this is no bundle: it does not begin with \"BLRB\"")]
    Magic,
    /// Another format version.
    #[error("the bundle has format version {found}, this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u16,
    },
    /// The manifest claims to be too long.
    #[error("the bundle's manifest claims {claimed} bytes, at most {limit} are accepted")]
    TooLong {
        /// The length claimed.
        claimed: u64,
        /// The limit.
        limit: u64,
    },
    /// It ends too early.
    #[error("truncated bundle: {found} bytes, {expected} are needed")]
    Truncated {
        /// Bytes needed.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// Bytes follow the last part.
    #[error("{extra} bytes follow the bundle: nothing may")]
    Trailing {
        /// How many.
        extra: u64,
    },
    /// Another key signed it, or it was altered.
    #[error("the bundle is not signed by the owner's key {owner}: it is another's, or was altered")]
    Signature {
        /// The key that was expected.
        owner: String,
    },
    /// What was signed cannot be used.
    #[error(transparent)]
    Manifest(#[from] WireError),
    /// A part is not what was signed.
    #[error("the bundle's {part} was altered: its digest is not the signed one")]
    Digest {
        /// Which.
        part: Part,
    },
}
