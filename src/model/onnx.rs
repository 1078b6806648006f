//! Trained networks from ONNX files (<https://onnx.ai/onnx/operators/>), as PyTorch and Keras (with
//! tf2onnx) write them.
//!
//! `tract-onnx` decodes the protobuf; the nodes are then walked in order and
//! each becomes a checked node of a [`Graph`]. Weights are FLOAT or DOUBLE
//! initializers or `Constant` nodes. Arithmetic of one value and of numbers becomes
//! one [`Polynomial`](super::operator::Polynomial) or affine map, arithmetic with a number for each
//! channel an affine map, and a sum of values of several nodes an [`Operator::Sum`]. What cannot be
//! run is refused by name, never skipped: an ignored attribute would silently be another model. Only
//! a final softmax is left out, with a note (see [`Graph::notes`]).
//!
//! A graph's images are always channels x rows x columns: a model that reads rows x columns x
//! channels and transposes them becomes one that reads channels x rows x columns, and a flatten of
//! values with their channels last moves the columns of the dense layer behind it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use tract_onnx::Onnx;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Length;
use tract_onnx::pb::type_proto::Value as ValueType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::Framework;

use super::graph::{Graph, GraphError, NodeId, Shape};
use super::operator::Operator;

mod arithmetic;
mod constants;
mod dense;
mod elementwise;
mod error;
mod layer;
mod shape;
mod tensor;
mod value;
mod window;

pub use error::OnnxError;

use arithmetic::Term;
use constants::FOLDED;
use error::label;
use layer::Layer;
use tensor::Tensor;
use value::Value;

/// The largest model file that is read: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// The ONNX operators that can be imported. `Shape`, `ConstantOfShape`, `Concat`, `Gather` and `Slice`
/// are for the arithmetic of shapes; `Softmax` and `LogSoftmax` must be the end of the model.
pub const SUPPORTED_OPERATORS: [&str; 42] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Dropout",
    "Elu",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "Identity",
    "LeakyRelu",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "PRelu",
    "Pad",
    "Pow",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Selu",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// Reads a trained network from an ONNX file.
///
/// # Errors
/// [`OnnxError`] if the file is missing, too large, not an ONNX model, or a
/// model that cannot be run: the message names the node and what is supported.
pub fn import(path: impl AsRef<Path>) -> Result<Graph, OnnxError> {
    let path = path.as_ref();
    let error = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => OnnxError::Missing { path: path.into() },
        _ => OnnxError::Read { path: path.into(), source },
    };
    let file = File::open(path).map_err(error)?;
    let bytes = file.metadata().map_err(error)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(OnnxError::TooLarge { bytes });
    }
    let mut bytes = Vec::new();
    // A file can grow, and a pipe says nothing of its length.
    let mut limited = file.take(MAX_FILE_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(error)?;
    import_bytes(&bytes)
}

/// Reads a trained network from the bytes of an ONNX file.
///
/// # Errors
/// As [`import`].
pub fn import_bytes(bytes: &[u8]) -> Result<Graph, OnnxError> {
    let model = decode(bytes)?;
    let graph = model.graph.ok_or(OnnxError::Incomplete { part: "graph" })?;
    // The operator sets follow the graph in a file, so a cut after the graph
    // still decodes but lacks them.
    if model.opset_import.is_empty() {
        return Err(OnnxError::Incomplete { part: "operator set version" });
    }
    if graph.node.is_empty() {
        return Err(OnnxError::Incomplete { part: "node" });
    }
    Importer::new(&graph)?.run()
}

/// Refuses a model made for another input than the caller's.
///
/// # Errors
/// [`OnnxError::InputShape`] with both shapes.
pub fn expect_input_shape(graph: &Graph, expected: Shape) -> Result<(), OnnxError> {
    let found = graph.input_shape();
    if found == expected { Ok(()) } else { Err(OnnxError::InputShape { expected, found }) }
}

fn decode(mut bytes: &[u8]) -> Result<ModelProto, OnnxError> {
    let length = bytes.len() as u64;
    if length > MAX_FILE_BYTES {
        return Err(OnnxError::TooLarge { bytes: length });
    }
    if bytes.is_empty() {
        return Err(OnnxError::Empty);
    }
    let model = Onnx::default().proto_model_for_read(&mut bytes);
    model.map_err(|error| OnnxError::NotOnnx { reason: label(&error.to_string()) })
}

/// The walk over an ONNX graph.
struct Importer<'a> {
    proto: &'a GraphProto,
    constants: HashMap<&'a str, Cow<'a, TensorProto>>,
    values: HashMap<&'a str, Value>,
    /// Named values that are a polynomial in a node's value, with no node of their own yet, and
    /// the name for that node. A value moves from here to `values` once a layer reads it.
    terms: HashMap<&'a str, (Term, String)>,
    /// The nodes that read each value.
    readers: HashMap<&'a str, Vec<&'a NodeProto>>,
    /// Values that an earlier node's layer computes too.
    absorbed: HashSet<&'a str>,
    graph: Graph,
}

impl<'a> Importer<'a> {
    fn new(proto: &'a GraphProto) -> Result<Self, OnnxError> {
        let mut constants = HashMap::new();
        for tensor in &proto.initializer {
            if constants.insert(tensor.name.as_str(), Cow::Borrowed(tensor)).is_some() {
                return Err(OnnxError::DuplicateValue { value: label(&tensor.name) });
            }
        }
        // Files of IR version 3 and before list their weights as inputs too.
        let is_input = |info: &&ValueInfoProto| !constants.contains_key(info.name.as_str());
        let inputs: Vec<_> = proto.input.iter().filter(is_input).collect();
        let input = only(&inputs, "input")?;
        let readers = readers(proto);
        let mut shape = input_shape(input)?;
        let last = are_channels_last(&readers, &input.name);
        if let (Shape::Image { channels, height, width }, true) = (shape, last) {
            shape = Shape::image(width, channels, height);
        }
        let name = label(&input.name);
        let graph = Graph::new(name.clone(), shape);
        let graph = graph.map_err(|source| OnnxError::Graph { node: name, source })?;
        let value = match last {
            true => Value::channels_last(graph.input()),
            false => Value::new(graph.input(), shape),
        };
        let values = HashMap::from([(input.name.as_str(), value)]);
        let (terms, absorbed) = (HashMap::new(), HashSet::new());
        Ok(Self { proto, constants, values, terms, readers, absorbed, graph })
    }

    fn run(mut self) -> Result<Graph, OnnxError> {
        for node in &self.proto.node {
            self.import(node)?;
        }
        let outputs: Vec<_> = self.proto.output.iter().collect();
        let name = only(&outputs, "output")?.name.as_str();
        let value = self.value_of("output", name)?;
        let set = self.graph.set_output(value.node);
        set.map_err(|source| OnnxError::Graph { node: label(name), source })?;
        if !value.in_order(self.graph.output_shape()) {
            self.graph.note("the output is given channel by channel, row by row".to_owned());
        }
        Ok(self.graph)
    }

    fn import(&mut self, node: &'a NodeProto) -> Result<(), OnnxError> {
        let layer = Layer::new(node);
        if node.output.first().is_some_and(|name| self.absorbed.remove(name.as_str())) {
            return Ok(());
        }
        let of_constants = layer.input(0).is_some_and(|name| self.constants.contains_key(name));
        match (layer.is_standard(), layer.operator()) {
            (true, "Constant") => self.constant_node(&layer),
            (true, "Identity" | "Dropout") if of_constants => self.constant_alias(&layer),
            (true, "Shape" | "ConstantOfShape" | "Concat" | "Gather" | "Slice") => {
                self.fold(&layer)
            }
            (true, operator) if of_constants && FOLDED.contains(&operator) => self.fold(&layer),
            (true, "Add" | "Sum" | "Sub" | "Mul" | "Div" | "Pow") => self.arithmetic(&layer),
            _ => {
                let value = self.layer(&layer)?;
                self.name_value(layer.output()?, value)
            }
        }
    }

    /// The value of a layer that is not arithmetic.
    fn layer(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        if !layer.is_standard() {
            return Err(unsupported_operator(layer));
        }
        match layer.operator() {
            "Identity" | "Dropout" => self.pass_through(layer),
            "Cast" => self.cast(layer),
            "Conv" => self.convolution(layer),
            "BatchNormalization" => self.batch_normalization(layer),
            "Relu" | "LeakyRelu" | "Elu" | "Selu" | "Softplus" | "Sigmoid" | "HardSigmoid"
            | "Tanh" | "Clip" => self.activation(layer),
            "PRelu" => self.parametric_relu(layer),
            "MaxPool" => self.max_pool(layer),
            "AveragePool" => self.mean_pool(layer),
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(layer),
            "ReduceMean" => self.reduce_mean(layer),
            "Pad" => self.pad(layer),
            "Flatten" => self.flatten(layer),
            "Reshape" => self.reshape(layer),
            "Transpose" => self.transpose(layer),
            "Squeeze" => self.squeeze(layer),
            "Unsqueeze" => self.unsqueeze(layer),
            "Gemm" => self.gemm(layer),
            "MatMul" => self.matrix_product(layer),
            "Softmax" | "LogSoftmax" => self.softmax(layer),
            _ => Err(unsupported_operator(layer)),
        }
    }

    fn push(
        &mut self,
        layer: &Layer,
        operator: Operator,
        inputs: Vec<NodeId>,
    ) -> Result<NodeId, OnnxError> {
        self.push_named(layer, layer.name().to_owned(), operator, inputs)
    }

    fn push_named(
        &mut self,
        layer: &Layer,
        name: String,
        operator: Operator,
        inputs: Vec<NodeId>,
    ) -> Result<NodeId, OnnxError> {
        let pushed = self.graph.push(name, operator, inputs);
        pushed.map_err(|source| self.misfit(layer, source))
    }

    fn misfit(&self, layer: &Layer, source: GraphError) -> OnnxError {
        OnnxError::Graph { node: layer.name().to_owned(), source }
    }

    fn check_new(&self, name: &str) -> Result<(), OnnxError> {
        let taken = self.constants.contains_key(name)
            || self.terms.contains_key(name)
            || self.values.contains_key(name);
        if taken { Err(OnnxError::DuplicateValue { value: label(name) }) } else { Ok(()) }
    }

    fn name_value(&mut self, name: &'a str, value: Value) -> Result<(), OnnxError> {
        self.check_new(name)?;
        self.values.insert(name, value);
        Ok(())
    }

    fn name_constant(
        &mut self,
        name: &'a str,
        tensor: Cow<'a, TensorProto>,
    ) -> Result<(), OnnxError> {
        self.check_new(name)?;
        self.constants.insert(name, tensor);
        Ok(())
    }

    /// A computed input of a layer.
    fn value(&mut self, layer: &Layer<'a>, index: usize) -> Result<Value, OnnxError> {
        let name = layer.needed_input(index)?;
        self.value_of(layer.name(), name)
    }

    fn constant(&self, layer: &Layer<'a>, index: usize) -> Result<Cow<'a, TensorProto>, OnnxError> {
        let name = layer.needed_input(index)?;
        let tensor = self.constants.get(name).cloned();
        tensor.ok_or_else(|| OnnxError::NotConstant {
            node: layer.name().to_owned(),
            value: label(name),
        })
    }

    /// A constant of real numbers.
    fn real(&self, layer: &Layer<'a>, index: usize) -> Result<Tensor<f64>, OnnxError> {
        self.constant(layer, index).and_then(|tensor| Tensor::real(&tensor))
    }

    /// A constant of integers.
    fn integers(&self, layer: &Layer<'a>, index: usize) -> Result<Tensor<i64>, OnnxError> {
        self.constant(layer, index).and_then(|tensor| Tensor::integer(&tensor))
    }

    fn constant_node(&mut self, layer: &Layer<'a>) -> Result<(), OnnxError> {
        let known = ["value", "value_float", "value_floats", "value_int", "value_ints"];
        layer.check(0..=0, &known)?;
        let name = layer.output()?;
        let tensor = if let Some(tensor) = layer.tensor("value")? {
            Cow::Borrowed(tensor)
        } else if let Some(values) = layer.reals("value_floats")? {
            Cow::Owned(tensor::floats(name, &[values.len()], values.to_vec()))
        } else if let Some(values) = layer.integers("value_ints")? {
            Cow::Owned(tensor::integers(name, &[values.len()], values.to_vec()))
        } else if layer.has("value_float") {
            let value = layer.real("value_float", 0.0)? as f32;
            Cow::Owned(tensor::floats(name, &[], vec![value]))
        } else if layer.has("value_int") {
            Cow::Owned(tensor::integers(name, &[], vec![layer.integer("value_int", 0)?]))
        } else {
            return Err(layer.unsupported("value", "(left out)", "a tensor"));
        };
        self.name_constant(name, tensor)
    }

    /// Another name for a constant.
    fn constant_alias(&mut self, layer: &Layer<'a>) -> Result<(), OnnxError> {
        layer.check(1..=2, &["ratio", "seed"])?;
        let tensor = self.constant(layer, 0)?;
        self.name_constant(layer.output()?, tensor)
    }

    /// `Identity`, and `Dropout`, which does nothing once training has ended.
    fn pass_through(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        // The third input of Dropout would switch training mode on.
        layer.check(1..=2, &["ratio", "seed"])?;
        self.value(layer, 0)
    }

    /// A change of type to FLOAT or DOUBLE: values have no type here.
    fn cast(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=1, &["to"])?;
        let to = layer.integer("to", 0)?;
        if [DataType::Float, DataType::Double].iter().any(|&kind| to == kind as i64) {
            return self.value(layer, 0);
        }
        Err(layer.unsupported("to", &to.to_string(), "1 or 11, FLOAT or DOUBLE"))
    }

    fn is_output(&self, name: &str) -> bool {
        self.proto.output.iter().any(|output| output.name == name)
    }

    /// Whether a value is the output and nothing else.
    fn is_result(&self, name: &str) -> bool {
        self.is_output(name) && !self.readers.contains_key(name)
    }
}

fn readers(proto: &GraphProto) -> HashMap<&str, Vec<&NodeProto>> {
    let mut readers: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
    for node in &proto.node {
        for name in &node.input {
            readers.entry(name).or_default().push(node);
        }
    }
    readers
}

/// Whether the first thing that is done to an image, but for arithmetic on each element, is to move
/// its channels from last to first.
fn are_channels_last(readers: &HashMap<&str, Vec<&NodeProto>>, input: &str) -> bool {
    const ELEMENTWISE: [&str; 7] = ["Add", "Cast", "Div", "Dropout", "Identity", "Mul", "Sub"];
    let mut name = input;
    // Each step is along the file's list of nodes, but the names in a broken file may form a ring.
    for _ in 0..readers.len() {
        let Some(&[node]) = readers.get(name).map(Vec::as_slice) else { return false };
        let Some(output) = node.output.first() else { return false };
        match node.op_type.as_str() {
            "Transpose" => {
                let perm = Layer::new(node).integers("perm").ok().flatten();
                return perm == Some(&[0, 3, 1, 2]);
            }
            operator if ELEMENTWISE.contains(&operator) => name = output,
            _ => return false,
        }
    }
    false
}

fn unsupported_operator(layer: &Layer) -> OnnxError {
    OnnxError::UnsupportedOperator {
        operator: layer.full_operator(),
        node: layer.name().to_owned(),
        supported: SUPPORTED_OPERATORS.join(", "),
    }
}

fn only<'a>(
    infos: &[&'a ValueInfoProto],
    what: &'static str,
) -> Result<&'a ValueInfoProto, OnnxError> {
    match infos {
        [info] => Ok(info),
        _ => Err(OnnxError::Arity { what, found: infos.len() }),
    }
}

/// The shape of an input without its batch dimension.
fn input_shape(info: &ValueInfoProto) -> Result<Shape, OnnxError> {
    let Some(ValueType::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Err(input_rank(info, &[]));
    };
    let dimensions = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let lengths: Vec<Option<&Length>> = dimensions.iter().map(|d| d.value.as_ref()).collect();
    let fixed = |length: &Option<&Length>| match length {
        Some(Length::DimValue(value)) => usize::try_from(*value).ok().filter(|&n| n > 0),
        _ => None,
    };
    let Some((batch, rest)) = lengths.split_first() else {
        return Err(input_rank(info, &lengths));
    };
    // 0 and -1 are written for a batch of any size.
    let batch_fits = matches!(batch, None | Some(Length::DimParam(_) | Length::DimValue(-1..=1)));
    let rest: Option<Vec<usize>> = rest.iter().map(fixed).collect();
    match rest.as_deref() {
        Some(&[channels, height, width]) if batch_fits => Ok(Shape::image(channels, height, width)),
        Some(&[length]) if batch_fits => Ok(Shape::Vector(length)),
        _ => Err(input_rank(info, &lengths)),
    }
}

fn input_rank(info: &ValueInfoProto, lengths: &[Option<&Length>]) -> OnnxError {
    let word = |length: &Option<&Length>| match length {
        None => "?".to_owned(),
        Some(Length::DimParam(name)) => name.clone(),
        Some(Length::DimValue(value)) => value.to_string(),
    };
    let words: Vec<String> = lengths.iter().map(word).collect();
    OnnxError::InputRank {
        input: label(&info.name),
        found: label(&format!("[{}]", words.join(" x "))),
    }
}

#[cfg(test)]
mod tests;
