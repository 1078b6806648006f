//! Labelled images from files.

pub mod idx;

pub use idx::{DataError, LabelledImages, Split};
