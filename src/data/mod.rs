//! Images from files, with labels where there are some.
//!
//! [`Samples`] reads what calibration and evaluation take: NumPy arrays, MNIST's IDX files,
//! folders of PNG files and CIFAR-10's binary files. [`LabelledImages`] is MNIST alone, and can
//! be written as well; [`mnist`] downloads it.

mod cifar;
mod error;
mod fitted;
pub mod idx;
pub mod mnist;
mod npy;
mod npz;
mod open;
mod png;
mod samples;
mod source;
#[cfg(test)]
mod tests;

pub use error::DataError;
pub use fitted::Fitted;
pub use idx::{LabelledImages, Split};
pub use samples::Samples;

/// The most bytes of images or labels that are read: 4 GiB.
pub const MAX_BYTES: u64 = 4 << 30;
