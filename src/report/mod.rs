//! What runs were worth: their noise, stage by stage; what a study found out; the evaluation of
//! protected networks.

pub mod noise;
pub mod protected;
pub mod study;

pub use noise::{StageNoise, stage_noise};
