//! Serialization of what leaves a process: versioned, typed, length-limited and checksummed.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | magic `BLRN` |
//! | 2 | format version, little-endian |
//! | 2 | kind of object, little-endian |
//! | 8 | length of the body, little-endian |
//! | 32 | SHA-256 of the body |
//! | ... | body (`bincode` 1.3, fixed-width little-endian integers) |
//!
//! Reading checks all of it before the body is decoded, and the body's conformance to parameters
//! ([`Conformant`]) before it is used. The checksum finds damage, not forgery: ciphertexts travel
//! over an authenticated channel.

use bincode::Options;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use thiserror::Error;

const MAGIC: [u8; 4] = *b"BLRN";
/// The version of the wire format that this crate writes and reads.
pub const VERSION: u16 = 1;
/// Bytes before the body.
pub const HEADER_BYTES: usize = 48;

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The input ends before the header or the body does.
    #[error("truncated {kind}: {found} bytes, {expected} are needed")]
    Truncated {
        /// What was to be read.
        kind: &'static str,
        /// Bytes needed.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// Bytes follow the body.
    #[error("{extra} bytes follow the {kind}: nothing may")]
    Trailing {
        /// What was to be read.
        kind: &'static str,
        /// How many.
        extra: u64,
    },
    /// The input does not begin with the magic.
    #[error("this is no Bellerophon {kind}: it does not begin with \"BLRN\"")]
    Magic {
        /// What was to be read.
        kind: &'static str,
    },
    /// Another format version.
    #[error("the {kind} has format version {found}, this program reads version {VERSION}")]
    Version {
        /// What was to be read.
        kind: &'static str,
        /// The version found.
        found: u16,
    },
    /// Another kind of object.
    #[error("expected a {kind}, found an object of kind {found}")]
    Kind {
        /// What was to be read.
        kind: &'static str,
        /// The kind found.
        found: u16,
    },
    /// The header announces more than the limit.
    #[error("the {kind} claims {claimed} bytes, at most {limit} are accepted")]
    TooLong {
        /// What was to be read.
        kind: &'static str,
        /// The length claimed.
        claimed: u64,
        /// The limit.
        limit: u64,
    },
    /// The checksum does not match: the bytes were altered.
    #[error("the {kind} was altered or damaged: its checksum does not match")]
    Checksum {
        /// What was to be read.
        kind: &'static str,
    },
    /// The body does not decode.
    #[error("the {kind} cannot be decoded: {reason}")]
    Malformed {
        /// What was to be read.
        kind: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The object does not fit the parameters.
    #[error("the {kind} does not fit the parameters: {reason}")]
    NotConformant {
        /// What was to be read.
        kind: &'static str,
        /// What does not fit.
        reason: String,
    },
}

/// A type with a wire form.
pub trait Wire: Serialize + DeserializeOwned {
    /// The tag in the header; never reused.
    const KIND: u16;
    /// What a person calls it.
    const NAME: &'static str;
}

/// A type whose shape must be checked against parameters before use.
pub trait Conformant<Parameters: ?Sized> {
    /// # Errors
    /// What does not fit, in words (never secret data).
    fn conforms(&self, parameters: &Parameters) -> Result<(), String>;
}

fn options() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().reject_trailing_bytes()
}

/// Header and body of `object`.
///
/// # Errors
/// [`WireError::Malformed`] where a part cannot be serialized.
pub fn to_bytes<T: Wire>(object: &T) -> Result<Vec<u8>, WireError> {
    let body = options().serialize(object).map_err(|error| malformed::<T>(&error))?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(T::KIND.to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(Sha256::digest(&body));
    bytes.extend(body);
    Ok(bytes)
}

/// Reads one object of at most `limit` body bytes and checks that it fits `parameters`.
///
/// # Errors
/// Every variant of [`WireError`].
pub fn from_bytes<T: Wire + Conformant<P>, P: ?Sized>(
    bytes: &[u8],
    limit: u64,
    parameters: &P,
) -> Result<T, WireError> {
    let kind = T::NAME;
    let body = checked_body::<T>(bytes, limit)?;
    let object: T =
        options().with_limit(limit).deserialize(body).map_err(|error| malformed::<T>(&error))?;
    match object.conforms(parameters) {
        Ok(()) => Ok(object),
        Err(reason) => Err(WireError::NotConformant { kind, reason }),
    }
}

/// The kind that the header of `bytes` names, where they are long enough to have one.
#[must_use]
pub fn kind(bytes: &[u8]) -> Option<u16> {
    let header = bytes.first_chunk::<8>()?;
    Some(u16::from_le_bytes([header[6], header[7]]))
}

fn checked_body<T: Wire>(bytes: &[u8], limit: u64) -> Result<&[u8], WireError> {
    let kind = T::NAME;
    let found = bytes.len() as u64;
    let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(WireError::Truncated { kind, expected: HEADER_BYTES as u64, found });
    };
    let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    if header[..4] != MAGIC {
        return Err(WireError::Magic { kind });
    }
    if word(4) != VERSION {
        return Err(WireError::Version { kind, found: word(4) });
    }
    if word(6) != T::KIND {
        return Err(WireError::Kind { kind, found: word(6) });
    }
    let claimed = header[8..16].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    if claimed > limit {
        return Err(WireError::TooLong { kind, claimed, limit });
    }
    let expected = HEADER_BYTES as u64 + claimed;
    if found < expected {
        return Err(WireError::Truncated { kind, expected, found });
    }
    if found > expected {
        return Err(WireError::Trailing { kind, extra: found - expected });
    }
    if Sha256::digest(body)[..] != header[16..] {
        return Err(WireError::Checksum { kind });
    }
    Ok(body)
}

fn malformed<T: Wire>(error: &bincode::Error) -> WireError {
    WireError::Malformed { kind: T::NAME, reason: error.to_string() }
}

/// Words of a fixed number of low bits, stored without gaps; the wire form of polynomials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedWords {
    bits: u32,
    count: u64,
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    bytes: Vec<u8>,
}

fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    struct Bytes;
    impl serde::de::Visitor<'_> for Bytes {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bytes")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
        fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
    deserializer.deserialize_byte_buf(Bytes)
}

impl PackedWords {
    /// Packs the low `bits` (1 to 64) of each word; higher bits must be zero.
    #[must_use]
    pub fn pack(words: &[u64], bits: u32) -> Self {
        debug_assert!((1..=64).contains(&bits));
        let mut bytes = Vec::with_capacity(packed_bytes(words.len(), bits));
        let (mut pending, mut filled) = (0u128, 0);
        for &word in words {
            debug_assert!(bits == 64 || word >> bits == 0);
            pending |= u128::from(word) << filled; // filled < 8, so at most 72 bits are used
            filled += bits;
            while filled >= 8 {
                bytes.push(pending as u8);
                pending >>= 8;
                filled -= 8;
            }
        }
        if filled > 0 {
            bytes.push(pending as u8);
        }
        Self { bits, count: words.len() as u64, bytes }
    }

    /// How many words it claims to hold.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// The bits of each word.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The words.
    #[must_use]
    pub fn unpack(&self) -> Vec<u64> {
        let mask = u64::MAX >> (64 - self.bits);
        let mut bytes = self.bytes.iter();
        let (mut pending, mut filled) = (0u128, 0);
        (0..self.count)
            .map(|_| {
                while filled < self.bits {
                    pending |= u128::from(*bytes.next().unwrap_or(&0)) << filled;
                    filled += 8;
                }
                let word = pending as u64 & mask;
                pending >>= self.bits;
                filled -= self.bits;
                word
            })
            .collect()
    }

    /// Checks that exactly `count` words of `bits` bits are here.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check(&self, count: usize, bits: u32) -> Result<(), String> {
        if self.count != count as u64 || self.bits != bits {
            return Err(format!(
                "{} words of {} bits where {count} of {bits} belong",
                self.count, self.bits
            ));
        }
        let expected = packed_bytes(count, bits);
        if self.bytes.len() == expected {
            return Ok(());
        }
        Err(format!("{} bytes of words where {expected} belong", self.bytes.len()))
    }
}

fn packed_bytes(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        words: PackedWords,
    }

    impl Wire for Sample {
        const KIND: u16 = 999;
        const NAME: &'static str = "sample";
    }

    impl Conformant<usize> for Sample {
        fn conforms(&self, count: &usize) -> Result<(), String> {
            self.words.check(*count, 50)
        }
    }

    fn sample() -> Sample {
        Sample { words: PackedWords::pack(&[1, 2, (1 << 50) - 1], 50) }
    }

    #[test]
    fn known_bytes() {
        let bytes = to_bytes(&sample()).unwrap();
        assert_eq!(bytes[..16], *b"BLRN\x01\x00\xe7\x03\x27\x00\x00\x00\x00\x00\x00\x00");
        assert_eq!(
            bytes[HEADER_BYTES..],
            [
                50, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8,
                0, 0, 0, 0, 0, 240, 255, 255, 255, 255, 255, 63
            ]
        );
        assert_eq!(from_bytes::<Sample, _>(&bytes, 1000, &3).unwrap(), sample());
    }

    #[test]
    fn every_refusal() {
        let bytes = to_bytes(&sample()).unwrap();
        let read = |bytes: &[u8]| from_bytes::<Sample, usize>(bytes, 1000, &3).unwrap_err();
        assert!(matches!(read(&bytes[..10]), WireError::Truncated { expected: 48, found: 10, .. }));
        assert!(matches!(read(&bytes[..60]), WireError::Truncated { found: 60, .. }));
        assert!(matches!(read(&[&bytes[..], &[0]].concat()), WireError::Trailing { extra: 1, .. }));
        let altered = |at: usize| {
            let mut copy = bytes.clone();
            copy[at] ^= 4;
            read(&copy)
        };
        assert!(matches!(altered(0), WireError::Magic { .. }));
        assert!(matches!(altered(4), WireError::Version { found: 5, .. }));
        assert!(matches!(altered(6), WireError::Kind { .. }));
        assert!(matches!(altered(15), WireError::TooLong { limit: 1000, .. }));
        assert!(matches!(altered(20), WireError::Checksum { .. }));
        assert!(matches!(altered(70), WireError::Checksum { .. }));
        assert!(matches!(
            from_bytes::<Sample, usize>(&bytes, 1000, &4),
            Err(WireError::NotConformant { .. })
        ));
    }

    proptest! {
        #[test]
        fn packing_round_trips(words in prop::collection::vec(any::<u64>(), 0..50), bits in 1u32..=64) {
            let words: Vec<u64> = words.into_iter().map(|w| w & u64::MAX >> (64 - bits)).collect();
            let packed = PackedWords::pack(&words, bits);
            prop_assert!(packed.check(words.len(), bits).is_ok());
            prop_assert_eq!(packed.unpack(), words);
        }

        #[test]
        fn random_and_altered_bytes_never_panic(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            at in 0usize..87,
            value: u8,
        ) {
            prop_assert!(from_bytes::<Sample, usize>(&noise, 1000, &3).is_err());
            let mut bytes = to_bytes(&sample()).unwrap();
            let changed = bytes[at] != value;
            bytes[at] = value;
            prop_assert_eq!(from_bytes::<Sample, usize>(&bytes, 1000, &3).is_err(), changed);
        }
    }
}
