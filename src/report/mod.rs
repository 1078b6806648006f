//! What a run was worth: its noise, stage by stage.

pub mod noise;

pub use noise::{StageNoise, stage_noise};
