//! What the user brings: a trained network as a checked [`Graph`], read from an
//! ONNX file and evaluated in the clear.

pub mod graph;
pub mod layers;
pub mod onnx;
pub mod operator;
pub mod range;
#[cfg(test)]
pub(crate) mod strategies;

pub use bellerophon_schemes::math::approximation::Activation;
pub use graph::{Graph, GraphError, Node, NodeId, Shape};
pub use onnx::OnnxError;
pub use operator::{
    BatchNormalization, Convolution, Dense, MaxPool, MeanPool, Operator, ParametricRelu, Polynomial,
};
pub use range::Range;
