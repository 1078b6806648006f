//! What the user brings: a trained network as a checked [`Graph`], read from an
//! ONNX file, evaluated in the clear, and calibrated on sample images.

pub mod calibrate;
pub mod graph;
pub mod layers;
pub mod onnx;
pub mod operator;
#[cfg(test)]
pub(crate) mod strategies;

pub use bellerophon_schemes::math::approximation::Activation;
pub use calibrate::{Calibration, CalibrationError, PoolRange, Range, calibrate};
pub use graph::{Graph, GraphError, Node, NodeId, Shape};
pub use onnx::OnnxError;
pub use operator::{
    BatchNormalization, Convolution, Dense, MaxPool, MeanPool, Operator, Polynomial,
};
