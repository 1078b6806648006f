//! What is shown and written as JSON.

use crate::Failure;
use bellerophon::report::StageNoise;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One stage of one or more runs.
#[derive(Debug, Serialize)]
pub struct Stage {
    pub name: String,
    /// For each image.
    pub seconds: Vec<f64>,
    pub bootstraps: usize,
    pub ciphertexts: usize,
    /// `log2` of the predicted and measured noise, in turns.
    pub predicted_noise_log2: f64,
    pub measured_noise_log2: f64,
}

impl Stage {
    pub fn set_noise(&mut self, noise: &StageNoise) {
        self.predicted_noise_log2 = noise.predicted.log2();
        self.measured_noise_log2 = noise.measured.log2();
    }
}

/// The security of one key.
#[derive(Debug, Serialize)]
pub struct KeySecurity {
    pub key: String,
    pub dimension: usize,
    pub log2_modulus: f64,
    pub log2_noise: f64,
    pub bits: u32,
    pub source: &'static str,
}

/// Everything that was shown.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    pub version: &'static str,
    pub preset: String,
    pub source: String,
    pub first: usize,
    pub count: usize,
    /// The blind rotation that bootstrapping ran on.
    pub kernel: String,
    pub threads: usize,
    pub predictions: Vec<usize>,
    pub plain_predictions: Vec<usize>,
    pub labels: Vec<u8>,
    /// For each image.
    pub agree: Vec<bool>,
    pub logits: Vec<Vec<f64>>,
    pub plain_logits: Vec<Vec<f64>>,
    /// For each image.
    pub logit_max_abs_error: Vec<f64>,
    /// For each image.
    pub seconds: Vec<f64>,
    pub stages: Vec<Stage>,
    pub keygen_seconds: f64,
    pub expand_seconds: f64,
    pub pbs_count: usize,
    /// The least of all keys.
    pub security_bits: u32,
    pub keys: Vec<KeySecurity>,
    /// In the server's memory.
    pub evaluation_key_bytes: usize,
    /// As they travel.
    pub evaluation_key_wire_bytes: usize,
    pub input_ciphertext_bytes: usize,
    pub output_ciphertext_bytes: usize,
    pub peak_rss_bytes: Option<u64>,
}

/// Fails early where the JSON file could not be written at the end.
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(format!(
            "--json: the folder {} does not exist: make it first",
            folder.display()
        )
        .into());
    }
    if path.is_dir() {
        return Err(format!("--json: {} is a folder: name a file", path.display()).into());
    }
    Ok(())
}

/// Writes the file whole or not at all.
pub fn write(path: &Path, outcome: &Outcome) -> Result<(), Failure> {
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
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
