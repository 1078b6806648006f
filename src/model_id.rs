//! The name of a protected model: what the store files it under, what a bundle is signed for, and
//! what a result says it came from.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The longest name, in bytes.
pub const NAME_LIMIT: usize = 64;

/// A name of lower-case letters, digits, `-` and `_`, and a version that counts from 1; written
/// `name@version`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct ModelId {
    name: String,
    version: u32,
}

/// What comes in before it is checked.
#[derive(Deserialize)]
struct Raw {
    name: String,
    version: u32,
}

impl TryFrom<Raw> for ModelId {
    type Error = ModelIdError;

    fn try_from(Raw { name, version }: Raw) -> Result<Self, ModelIdError> {
        Self::new(name, version)
    }
}

/// Why this is no name of a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelIdError {
    /// A name with other characters, none, or too many.
    #[error(
        "{0:?} cannot name a model: use 1 to {NAME_LIMIT} lower-case letters, digits, - and _, \
         beginning with a letter or digit"
    )]
    Name(String),
    /// No whole number from 1 on.
    #[error("{0:?} is no version: versions count 1, 2, 3, ...")]
    Version(String),
}

impl ModelId {
    /// # Errors
    /// [`ModelIdError`] for a name that is not allowed, and for version 0.
    pub fn new(name: impl Into<String>, version: u32) -> Result<Self, ModelIdError> {
        let name = name.into();
        check_name(&name)?;
        match version {
            0 => Err(ModelIdError::Version("0".to_owned())),
            _ => Ok(Self { name, version }),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, at least 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }
}

/// Checks a name that has no version yet.
///
/// # Errors
/// [`ModelIdError::Name`].
pub fn check_name(name: &str) -> Result<(), ModelIdError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let allowed = name.chars().all(|c| plain(c) || matches!(c, '-' | '_'));
    match allowed && name.starts_with(plain) && name.len() <= NAME_LIMIT {
        true => Ok(()),
        false => Err(ModelIdError::Name(name.chars().take(2 * NAME_LIMIT).collect())),
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl FromStr for ModelId {
    type Err = ModelIdError;

    fn from_str(text: &str) -> Result<Self, ModelIdError> {
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        check_name(name)?;
        let number = version.parse().map_err(|_| ModelIdError::Version(version.to_owned()))?;
        Self::new(name, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let id: ModelId = "lenet5@12".parse().unwrap();
        assert_eq!((id.name(), id.version(), id.to_string().as_str()), ("lenet5", 12, "lenet5@12"));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ModelId>(&json).unwrap(), id);
    }

    #[test]
    fn other_names_and_versions_are_refused() {
        for text in ["", "@1", "A@1", "../x@1", "a b@1", "-a@1", "a%2f@1", "\u{e9}@1"] {
            assert!(matches!(text.parse::<ModelId>(), Err(ModelIdError::Name(_))), "{text}");
        }
        for text in ["a", "a@", "a@0", "a@-1", "a@x", "a@4294967296"] {
            assert!(matches!(text.parse::<ModelId>(), Err(ModelIdError::Version(_))), "{text}");
        }
        let long = "a".repeat(NAME_LIMIT + 1);
        assert_eq!(check_name(&long), Err(ModelIdError::Name(long.clone())));
        let json = r#"{"name":"../x","version":1}"#;
        assert!(serde_json::from_str::<ModelId>(json).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            if let Ok(id) = text.parse::<ModelId>() {
                prop_assert_eq!(id.to_string().parse::<ModelId>().unwrap(), id);
            }
        }
    }
}
