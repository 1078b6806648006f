//! What can be wrong with an ONNX file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::MAX_FILE_BYTES;
use crate::model::graph::{GraphError, Shape};

/// Why a file cannot be imported. Names from the file are escaped and
/// shortened, so that every message is one line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// There is no such file.
    #[error("there is no model file {path:?}; give the path of an ONNX file")]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the model file {path:?}: {source}")]
    Read {
        /// The path asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any model this crate can run.
    #[error("the model has {bytes} bytes or more, but at most {MAX_FILE_BYTES} are read")]
    TooLarge {
        /// The size found.
        bytes: u64,
    },
    /// The file has no bytes.
    #[error("the model file is empty; an ONNX model was expected")]
    Empty,
    /// The bytes are not an ONNX protobuf, or end too early.
    #[error("not an ONNX model, or a truncated one ({reason}); export the model to ONNX again")]
    NotOnnx {
        /// What the protobuf decoder said.
        reason: String,
    },
    /// A part that every ONNX model has is missing.
    #[error("not a complete ONNX model: it has no {part}; export the model to ONNX again")]
    Incomplete {
        /// The missing part.
        part: &'static str,
    },
    /// The model reads or gives more or fewer than one value.
    #[error("the model has {found} {what}s, but exactly one {what} is supported")]
    Arity {
        /// `input` or `output`.
        what: &'static str,
        /// The number found.
        found: usize,
    },
    /// The model's input is not a batch of images or vectors of known size.
    #[error(
        "input {input:?} has shape {found}, but batch x channels x height x width or \
         batch x length is supported, with batch 1 or dynamic and the rest fixed and positive"
    )]
    InputRank {
        /// The input's name.
        input: String,
        /// Its shape as declared.
        found: String,
    },
    /// The model is sound, but made for another input than asked for.
    #[error("the model reads an input of shape {found}, but {expected} is needed here")]
    InputShape {
        /// The shape needed.
        expected: Shape,
        /// The model's input shape.
        found: Shape,
    },
    /// The graph holds an operator that cannot be run.
    #[error("node {node:?} is a {operator:?}, which is not supported; supported: {supported}")]
    UnsupportedOperator {
        /// The operator, with its domain where it is not ONNX's own.
        operator: String,
        /// The node's name.
        node: String,
        /// The operators that are supported.
        supported: String,
    },
    /// An operator has an attribute, or a value of one, that cannot be run.
    #[error("node {node:?} ({operator}) has {attribute} = {value}; supported: {supported}")]
    UnsupportedAttribute {
        /// The node's name.
        node: String,
        /// Its operator.
        operator: String,
        /// The attribute's name.
        attribute: String,
        /// The value found.
        value: String,
        /// What would be accepted.
        supported: String,
    },
    /// A node has too few or too many inputs, or no output.
    #[error("node {node:?} ({operator}) has {found} {what}(s), but {expected} are needed")]
    NodeArity {
        /// The node's name.
        node: String,
        /// Its operator.
        operator: String,
        /// `input` or `output`.
        what: &'static str,
        /// The number that would be right.
        expected: String,
        /// The number found.
        found: usize,
    },
    /// A node reads a value that no earlier node, input or initializer makes.
    #[error(
        "node {node:?} reads {value:?}, which no earlier node computes from the input; \
         nodes must be in order and weights must be constants"
    )]
    UnknownValue {
        /// The reading node, or `output` for the graph's own output.
        node: String,
        /// The value's name.
        value: String,
    },
    /// A node reads a value whose axes are in an order that it cannot be run with.
    #[error("node {node:?} ({operator}) reads a value with axes {found}; supported: {supported}")]
    Layout {
        /// The reading node.
        node: String,
        /// Its operator.
        operator: String,
        /// The axes found, with their lengths.
        found: String,
        /// What would be accepted.
        supported: &'static str,
    },
    /// A weight is computed, or missing, where a constant is needed.
    #[error("node {node:?} needs its input {value:?} to be an initializer or a Constant")]
    NotConstant {
        /// The reading node.
        node: String,
        /// The value's name.
        value: String,
    },
    /// Two values have the same name.
    #[error("two values are named {value:?}; names must differ")]
    DuplicateValue {
        /// The name.
        value: String,
    },
    /// A tensor's type, size or place cannot be read.
    #[error("tensor {tensor:?} {problem}; {expected}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        expected: String,
    },
    /// A node does not fit the value it reads.
    #[error("node {node:?}: {source}")]
    Graph {
        /// The node's name.
        node: String,
        /// What does not fit.
        source: GraphError,
    },
}

/// A name from a file as it may stand in a one-line message.
pub(super) fn label(name: &str) -> String {
    const LONGEST: usize = 80;
    let mut characters = name.chars().map(|c| if c.is_control() { '?' } else { c });
    let short: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() { short + "..." } else { short }
}
