//! Who may use the service: clients with a bearer token, or with a certificate.
//!
//! The file of tokens holds their SHA-256 alone, so that whoever reads it cannot use them:
//!
//! ```text
//! camera-1 sha256:1f2e...
//! ```

use crate::hexadecimal;
use crate::model_id;
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a token before they are written as hexadecimal digits.
const TOKEN_BYTES: usize = 32;
/// The longest name or token looked at.
const LONGEST: usize = 256;

/// Why a file of tokens was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A line of another form.
    #[error("line {0} of the tokens is not \"name sha256:DIGITS\": edge token makes such lines")]
    Line(usize),
    /// Two lines with one name.
    #[error("line {0} of the tokens repeats a name or token")]
    Repeated(usize),
    /// A name that is not allowed.
    #[error("{0:?} cannot name a client: use lower-case letters, digits, - and _")]
    Name(String),
}

/// The clients with tokens.
#[derive(Clone, Debug, Default)]
pub struct Tokens(HashMap<[u8; 32], String>);

impl Tokens {
    /// Reads lines `name sha256:DIGITS`; empty ones and those that begin with `#` are skipped.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut tokens = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, digest) = parse_line(line).ok_or(TokenError::Line(index + 1))?;
            let repeated = tokens.values().any(|known| known == name);
            if repeated || tokens.insert(digest, name.to_owned()).is_some() {
                return Err(TokenError::Repeated(index + 1));
            }
        }
        Ok(Self(tokens))
    }

    /// Whose token this is. Digests are looked up, so that the time taken says nothing of a token.
    #[must_use]
    pub fn client(&self, token: &str) -> Option<&str> {
        if token.len() > LONGEST {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        self.0.get(&digest).map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a client has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.values().any(|known| known == name)
    }
}

fn parse_line(line: &str) -> Option<(&str, [u8; 32])> {
    let (name, digest) = line.split_once(char::is_whitespace)?;
    model_id::check_name(name).ok()?;
    let digits = digest.trim().strip_prefix("sha256:")?;
    Some((name, hexadecimal::decode(digits)?))
}

/// A fresh token of 256 bits, and the line for the file of tokens.
///
/// # Errors
/// [`TokenError::Name`].
pub fn new_token(
    name: &str,
    rng: &mut impl CryptoRng,
) -> Result<(Zeroizing<String>, String), TokenError> {
    model_id::check_name(name).map_err(|_| TokenError::Name(name.chars().take(64).collect()))?;
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    rng.fill_bytes(&mut *bytes);
    let token = Zeroizing::new(hexadecimal::encode(&*bytes));
    let digest = hexadecimal::encode(&Sha256::digest(token.as_bytes()));
    let line = format!("{name} sha256:{digest}");
    Ok((token, line))
}

/// The client of a request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity(String);

impl Identity {
    /// The client with a token of this name.
    #[must_use]
    pub fn of_token(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The client with a certificate of this public key (DER): a renewed certificate for the same
    /// key is the same client.
    #[must_use]
    pub fn of_public_key(key: &[u8]) -> Self {
        let digest = Sha256::digest(key);
        Self(format!("key:{}", hexadecimal::encode(&digest[..16])))
    }

    /// Whoever reaches a service that asks for nothing.
    #[must_use]
    pub fn insecure_anyone() -> Self {
        Self("anyone".to_owned())
    }

    /// As jobs are filed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny;

    #[test]
    fn a_token_names_its_client_alone() {
        let (token, line) = new_token("camera-1", &mut tiny::rng(1)).unwrap();
        let (other, more) = new_token("camera-2", &mut tiny::rng(2)).unwrap();
        let tokens = Tokens::parse(&format!("# clients\n{line}\n\n  {more}  \n")).unwrap();
        assert_eq!(tokens.client(&token), Some("camera-1"));
        assert_eq!(tokens.client(&other), Some("camera-2"));
        assert_eq!(token.len(), 64);
        assert!(!line.contains(token.as_str()));
        for wrong in ["", "camera-1", &token[1..], &token.to_uppercase(), &"a".repeat(10_000)] {
            assert_eq!(tokens.client(wrong), None, "{wrong:.80}");
        }
        assert!(tokens.has("camera-1") && !tokens.has("camera-3"));
    }

    #[test]
    fn other_lines_are_refused() {
        let digest = "0".repeat(64);
        for line in [
            "camera".to_owned(),
            format!("camera {digest}"),
            format!("CAMERA sha256:{digest}"),
            format!("camera sha256:{}", &digest[1..]),
            format!("camera sha256:{}g", &digest[1..]),
            format!("camera sha256:{}\u{e9}", &digest[2..]),
        ] {
            let error = Tokens::parse(&format!("\n{line}")).unwrap_err();
            assert_eq!(error, TokenError::Line(2), "{line}");
        }
        let twice = format!("a sha256:{digest}\na sha256:{}", "1".repeat(64));
        assert_eq!(Tokens::parse(&twice).unwrap_err(), TokenError::Repeated(2));
        let twice = format!("a sha256:{digest}\nb sha256:{digest}");
        assert_eq!(Tokens::parse(&twice).unwrap_err(), TokenError::Repeated(2));
        assert!(new_token("a b", &mut tiny::rng(1)).is_err());
    }

    #[test]
    fn identities_of_keys_and_tokens_never_meet() {
        let key = Identity::of_public_key(b"some key");
        assert!(key.as_str().starts_with("key:") && model_id::check_name(key.as_str()).is_err());
    }
}
