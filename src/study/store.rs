//! Finished cells on disk: a file each, written whole or not at all, with a checksum.

use super::StudyError;
use crate::whole_file::{self, PARTIAL};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// The file by which a folder is known as a study.
const MARKER: &str = "STUDY";
const MARK: &str = "This folder holds a study of `bellerophon study`. Its cells are kept in cells/: \
                    running the same command again goes on where it stopped.\n";
const CELLS: &str = "cells";

/// A folder with the cells of a study.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

/// A cell as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of the payload's text.
    sha256: String,
    /// What the cell was made from.
    key: String,
    /// JSON.
    payload: String,
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Store {
    /// Opens a folder: a new one, an empty one, or that of an earlier study.
    ///
    /// # Errors
    /// [`StudyError::NotAStudy`] for a folder of anything else, [`StudyError::Write`] where nothing can
    /// be written.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StudyError> {
        let store = Self { folder: folder.into() };
        let folder = &store.folder;
        let marker = folder.join(MARKER);
        let empty = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(source) => return Err(StudyError::Read { path: folder.clone(), source }),
        };
        if !empty && !marker.is_file() {
            return Err(StudyError::NotAStudy { path: folder.clone() });
        }
        let cells = folder.join(CELLS);
        fs::create_dir_all(&cells).map_err(|source| StudyError::Write { path: cells, source })?;
        if empty {
            store.write(MARKER, MARK.as_bytes())?;
        }
        store.sweep();
        Ok(store)
    }

    /// Removes what an interrupted write has left.
    fn sweep(&self) {
        for folder in [self.folder.clone(), self.folder.join(CELLS), self.folder.join("plots")] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|extension| extension == PARTIAL) {
                    let _ = fs::remove_file(path);
                }
            }
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &str, key: &str) -> PathBuf {
        self.folder.join(CELLS).join(format!("{name}.{}.json", &key[..key.len().min(12)]))
    }

    /// The cell that was finished from the same inputs, if there is one.
    ///
    /// # Errors
    /// [`StudyError::Corrupt`] for a file that is not as it was written.
    pub fn load<T: DeserializeOwned>(
        &self,
        name: &str,
        key: &str,
    ) -> Result<Option<T>, StudyError> {
        let path = self.path(name, key);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StudyError::Read { path, source }),
        };
        let kept: Option<Kept> = serde_json::from_slice(&text).ok();
        let whole = kept.filter(|kept| digest(kept.payload.as_bytes()) == kept.sha256);
        let corrupt = || StudyError::Corrupt { path: path.clone() };
        let kept = whole.ok_or_else(corrupt)?;
        if kept.key != key {
            return Ok(None);
        }
        serde_json::from_str(&kept.payload).map(Some).map_err(|_| corrupt())
    }

    /// Keeps a finished cell.
    ///
    /// # Errors
    /// [`StudyError::Write`], with nothing half-written.
    pub fn save(&self, name: &str, key: &str, cell: &impl Serialize) -> Result<(), StudyError> {
        let path = self.path(name, key);
        let refused = |error: serde_json::Error| StudyError::Write {
            path: path.clone(),
            source: std::io::Error::other(error),
        };
        let payload = serde_json::to_string(cell).map_err(refused)?;
        let kept = Kept { sha256: digest(payload.as_bytes()), key: key.to_owned(), payload };
        let text = serde_json::to_string(&kept).map_err(refused)?;
        write_whole(&path, text.as_bytes())
    }

    /// Writes a file of the report, whole or not at all; folders in its name are made.
    ///
    /// # Errors
    /// [`StudyError::Write`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StudyError> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            let made = fs::create_dir_all(folder);
            made.map_err(|source| StudyError::Write { path: folder.to_owned(), source })?;
        }
        write_whole(&path, bytes)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StudyError> {
    whole_file::write(path, bytes)
        .map_err(|source| StudyError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("report")).unwrap();
        (folder, store)
    }

    #[test]
    fn cells_survive_and_belong_to_their_key() {
        let (_folder, store) = store();
        assert_eq!(store.load::<Vec<f64>>("a", "key-one").unwrap(), None);
        let cell = vec![0.1, 1e-300, -3.0];
        store.save("a", "key-one", &cell).unwrap();
        assert_eq!(store.load("a", "key-one").unwrap(), Some(cell.clone()));
        assert_eq!(store.load::<Vec<f64>>("a", "key-two").unwrap(), None);
        // keys that begin alike
        store.save("b", "0123456789ab-one", &cell).unwrap();
        assert_eq!(store.load::<Vec<f64>>("b", "0123456789ab-two").unwrap(), None);
        let again = Store::open(store.folder()).unwrap();
        assert_eq!(again.load("a", "key-one").unwrap(), Some(cell));
    }

    #[test]
    fn damaged_cells_are_named() {
        let (_folder, store) = store();
        store.save("a", "key", &vec![1.5, 2.5]).unwrap();
        let path = store.path("a", "key");
        let whole = fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 2] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            let error = store.load::<Vec<f64>>("a", "key").unwrap_err();
            let message = error.to_string();
            assert!(matches!(error, StudyError::Corrupt { .. }), "{at}: {message}");
            assert!(message.contains("a.key.json") && message.contains("delete"), "{message}");
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(store.load::<Vec<f64>>("a", "key").is_err());
    }

    #[test]
    fn folders_of_something_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("thesis.tex"), "x").unwrap();
        let error = Store::open(other.path()).unwrap_err();
        assert!(matches!(error, StudyError::NotAStudy { .. }), "{error}");
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
        let file = other.path().join("thesis.tex");
        assert!(Store::open(file).is_err());
    }

    #[test]
    fn what_was_being_written_is_swept_away() {
        let (_folder, store) = store();
        let left = store.folder().join(CELLS).join("a.key.json.77.partial");
        fs::write(&left, "{").unwrap();
        Store::open(store.folder()).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let (_folder, store) = store();
        store.save("a", "key", &1).unwrap();
        let taken = store.path("b", "key");
        fs::create_dir(&taken).unwrap(); // a rename onto a folder fails
        fs::write(taken.join("x"), "x").unwrap();
        let error = store.save("b", "key", &2).unwrap_err();
        assert!(matches!(error, StudyError::Write { .. }), "{error}");
        assert_eq!(store.load("a", "key").unwrap(), Some(1));
        let partial = fs::read_dir(store.folder().join(CELLS)).unwrap();
        assert_eq!(partial.count(), 2);
    }
}
