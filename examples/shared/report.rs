//! What both runs of LeNet5 do about their JSON file and their memory.

use crate::Failure;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Fails early where the JSON file could not be written at the end.
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(format!("--json: the folder {folder} does not exist: make it first").into());
    }
    if path.is_dir() {
        return Err(format!("--json: {} is a folder: name a file", path.display()).into());
    }
    Ok(())
}

/// Writes the file whole or not at all.
pub fn write(path: &Path, outcome: &impl Serialize) -> Result<(), Failure> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let text = serde_json::to_string_pretty(outcome)? + "\n";
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        format!("--json: cannot write {}: {error}", path.display()).into()
    })
}

/// The largest resident memory of this process so far, where the system tells.
pub fn peak_rss_bytes() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// The bytes in the line that begins with `name`, of a file of the system in kibibytes.
pub fn kibibytes(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
