//! What can go wrong before anything is encrypted.

use super::backend::StepError;
use super::clear::ClearError;
use crate::compile::CompileError;
use crate::model::GraphError;
use bellerophon_schemes::math::approximation::ApproximationError;
use thiserror::Error;

/// Why a network cannot be replaced or compiled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PolynomialError {
    /// In the network itself.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// In folding batch normalization.
    #[error(transparent)]
    Fold(#[from] CompileError),
    /// No image to take ranges from.
    #[error("the ranges of activations need sample images; give at least one")]
    NoSamples,
    /// In approximating an activation.
    #[error(transparent)]
    Approximation(#[from] ApproximationError),
    /// In running the program on samples.
    #[error(transparent)]
    Step(#[from] StepError<ClearError>),
    /// A name that stands for nothing.
    #[error("{found:?} is unknown: use {allowed}")]
    Choice {
        /// What was given.
        found: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// The network has other activations than were asked for.
    #[error(
        "the network has {found} as activation, which does not go with the one asked for: choose a \
         network trained with it, or an approximation of ReLU for one trained with ReLU"
    )]
    NotTrained {
        /// What it has.
        found: &'static str,
    },
    /// A margin out of range.
    #[error("a margin of {margin} cannot be used: choose 1 to 10")]
    Margin {
        /// The margin.
        margin: f64,
    },
    /// Values overflow behind a replaced layer.
    #[error(
        "values behind layer {layer} overflow on a sample: choose a lower degree or a wider range"
    )]
    NotFinite {
        /// The layer.
        layer: String,
    },
    /// A layer that cannot be run in slots.
    #[error("layer {layer}: {reason}")]
    Unsupported {
        /// The layer.
        layer: String,
        /// Why.
        reason: String,
    },
    /// A feature map does not fit one ciphertext.
    #[error("a map of {elements} values does not fit {slots} slots: use a larger ring")]
    TooLarge {
        /// Values of one channel.
        elements: usize,
        /// Slots of one ciphertext.
        slots: usize,
    },
    /// A setting out of range.
    #[error("{name} = {value} cannot be used: choose {lowest} to {highest}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: u32,
        /// The least allowed.
        lowest: u32,
        /// The most allowed.
        highest: u32,
    },
    /// No parameters are deep enough and secure.
    #[error(
        "the network takes {levels} levels, for which no ring of up to 2^{log_dimension} \
         coefficients is secure at {security} bits: choose activations of lower degree{}",
        if *log_dimension < 16 { " or a larger ring" } else { "" }
    )]
    NothingFits {
        /// Levels of the network.
        levels: usize,
        /// `log2` of the largest ring dimension tried.
        log_dimension: u32,
        /// Bits of security asked for.
        security: u32,
    },
}
