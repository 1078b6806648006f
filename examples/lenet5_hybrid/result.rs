//! What is shown and written as JSON.

use bellerophon::report::StageNoise;
use serde::Serialize;

/// One stage of one or more runs.
#[derive(Debug, Serialize)]
pub struct Stage {
    pub name: String,
    /// For each image.
    pub seconds: Vec<f64>,
    pub bootstraps: usize,
    pub ciphertexts: usize,
    /// `log2` of the predicted and measured noise, in turns; none where a stage ends in samples.
    pub predicted_noise_log2: Option<f64>,
    pub measured_noise_log2: Option<f64>,
}

impl Stage {
    pub fn set_noise(&mut self, noise: &StageNoise) {
        self.predicted_noise_log2 = Some(noise.predicted.log2());
        self.measured_noise_log2 = Some(noise.measured.log2());
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
