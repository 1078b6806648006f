//! What runs were worth: their noise, stage by stage, and the evaluation of protected networks.

pub mod noise;
pub mod protected;

pub use noise::{StageNoise, stage_noise};
