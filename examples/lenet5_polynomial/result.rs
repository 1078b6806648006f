//! What is shown and written as JSON.

use serde::Serialize;

/// One layer of one or more runs.
#[derive(Debug, Serialize)]
pub struct Stage {
    pub name: String,
    /// For each image.
    pub seconds: Vec<f64>,
    pub predicted_seconds: f64,
    pub bootstraps: usize,
    pub ciphertexts: usize,
    /// Of the ciphertexts it reads.
    pub level: usize,
    /// Plaintext diagonals of a linear layer.
    pub diagonals: usize,
}

/// The security of the keys.
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
    /// Activation and pooling.
    pub preset: String,
    pub activation: String,
    pub pooling: String,
    pub model: String,
    pub source: String,
    pub first: usize,
    pub count: usize,
    pub threads: usize,
    pub log_dimension: u32,
    pub modulus_bits: Vec<u32>,
    pub special_bits: Vec<u32>,
    pub digits: usize,
    pub log_scale: u32,
    pub levels: usize,
    pub predictions: Vec<usize>,
    /// Of the network with its replacements, in the clear.
    pub polynomial_predictions: Vec<usize>,
    /// Of the network as it was trained, in the clear.
    pub plain_predictions: Vec<usize>,
    pub labels: Vec<u8>,
    /// With the network as it was trained, for each image.
    pub agree: Vec<bool>,
    /// With the network with its replacements, for each image.
    pub agree_polynomial: Vec<bool>,
    pub logits: Vec<Vec<f64>>,
    pub polynomial_logits: Vec<Vec<f64>>,
    pub plain_logits: Vec<Vec<f64>>,
    /// From the network with its replacements, for each image.
    pub logit_max_abs_error: Vec<f64>,
    /// The same over the difference between that image's largest and smallest logit.
    pub logit_relative_error: Vec<f64>,
    /// For each image.
    pub seconds: Vec<f64>,
    pub stages: Vec<Stage>,
    pub keygen_seconds: f64,
    pub expand_seconds: f64,
    pub pbs_count: usize,
    pub key_switches: usize,
    /// The least of all keys.
    pub security_bits: u32,
    pub keys: Vec<KeySecurity>,
    pub key_count: usize,
    /// In the server's memory.
    pub evaluation_key_bytes: usize,
    /// As they travel.
    pub evaluation_key_wire_bytes: usize,
    /// Encoded diagonals and biases, in the server's memory.
    pub plaintext_bytes: usize,
    pub input_ciphertext_bytes: usize,
    pub output_ciphertext_bytes: usize,
    pub peak_rss_bytes: Option<u64>,
}
