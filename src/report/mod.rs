//! What a run was worth: its noise, stage by stage; what a study found out.

pub mod noise;
pub mod study;

pub use noise::{StageNoise, stage_noise};
