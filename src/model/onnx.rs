//! Trained networks from ONNX files (<https://onnx.ai/onnx/operators/>).
//!
//! `tract-onnx` decodes the protobuf; the nodes are then walked in order and
//! each becomes a checked node of a [`Graph`]. Weights are FLOAT or DOUBLE
//! initializers or `Constant` nodes. Sums, products and powers of one value become
//! one [`Polynomial`](super::operator::Polynomial). What cannot be run is refused by name,
//! never skipped: an ignored attribute would silently be another model.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use tract_onnx::Onnx;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Length;
use tract_onnx::pb::type_proto::Value as ValueType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::Framework;

use super::graph::{Graph, GraphError, NodeId, Shape};
use super::operator::{BatchNormalization, Convolution, Dense, MaxPool, MeanPool, Operator};

mod error;
mod layer;
mod polynomial;
mod tensor;

pub use error::OnnxError;

use error::label;
use layer::Layer;
use polynomial::Term;
use tensor::Tensor;

/// The largest model file that is read: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// The ONNX operators that can be imported.
pub const SUPPORTED_OPERATORS: [&str; 15] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Constant",
    "Conv",
    "Dropout",
    "Flatten",
    "Gemm",
    "Identity",
    "MaxPool",
    "Mul",
    "Pow",
    "Relu",
    "Reshape",
    "Sub",
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
    constants: HashMap<&'a str, &'a TensorProto>,
    /// The node that computes each named value.
    values: HashMap<&'a str, NodeId>,
    /// Named values that are a polynomial in a node's value, with no node of their own yet, and
    /// the name for that node. A value moves from here to `values` once a layer reads it.
    terms: HashMap<&'a str, (Term, String)>,
    graph: Graph,
}

impl<'a> Importer<'a> {
    fn new(proto: &'a GraphProto) -> Result<Self, OnnxError> {
        let mut constants = HashMap::new();
        for tensor in &proto.initializer {
            insert(&mut constants, &tensor.name, tensor)?;
        }
        // Files of IR version 3 and before list their weights as inputs too.
        let is_input = |info: &&ValueInfoProto| !constants.contains_key(info.name.as_str());
        let inputs: Vec<_> = proto.input.iter().filter(is_input).collect();
        let input = only(&inputs, "input")?;
        let name = label(&input.name);
        let graph = Graph::new(name.clone(), input_shape(input)?);
        let graph = graph.map_err(|source| OnnxError::Graph { node: name, source })?;
        let values = HashMap::from([(input.name.as_str(), graph.input())]);
        Ok(Self { proto, constants, values, terms: HashMap::new(), graph })
    }

    fn run(mut self) -> Result<Graph, OnnxError> {
        for node in &self.proto.node {
            self.import(node)?;
        }
        let outputs: Vec<_> = self.proto.output.iter().collect();
        let name = only(&outputs, "output")?.name.as_str();
        let output = self.node_of("output", name)?;
        let set = self.graph.set_output(output);
        set.map_err(|source| OnnxError::Graph { node: label(name), source })?;
        Ok(self.graph)
    }

    fn import(&mut self, node: &'a NodeProto) -> Result<(), OnnxError> {
        let layer = Layer::new(node);
        let arithmetic = matches!(layer.operator(), "Add" | "Sub" | "Mul" | "Pow");
        if layer.is_standard() && arithmetic {
            return self.arithmetic(&layer);
        }
        if let Some(name) = layer.input(0).filter(|name| self.terms.contains_key(name)) {
            self.node_of(layer.name(), name)?;
        }
        let operator = match (layer.is_standard(), layer.operator()) {
            (true, "Constant") => return self.constant_node(&layer),
            (true, "Identity" | "Dropout") => return self.pass_through(&layer),
            (true, "Conv") => self.convolution(&layer)?,
            (true, "BatchNormalization") => self.batch_normalization(&layer)?,
            (true, "Relu") => relu(&layer)?,
            (true, "MaxPool") => max_pool(&layer)?,
            (true, "AveragePool") => mean_pool(&layer)?,
            (true, "Flatten") => self.flatten(&layer)?,
            (true, "Reshape") => self.reshape(&layer)?,
            (true, "Gemm") => self.dense(&layer)?,
            _ => return Err(unsupported_operator(&layer)),
        };
        let input = self.value(&layer)?;
        let pushed = self.graph.push(layer.name(), operator, vec![input]);
        let id = pushed.map_err(|source| self.misfit(&layer, source))?;
        self.name_value(layer.output()?, id)
    }

    fn misfit(&self, layer: &Layer, source: GraphError) -> OnnxError {
        OnnxError::Graph { node: layer.name().to_owned(), source }
    }

    fn name_value(&mut self, name: &'a str, id: NodeId) -> Result<(), OnnxError> {
        if self.constants.contains_key(name) || self.terms.contains_key(name) {
            return Err(OnnxError::DuplicateValue { value: label(name) });
        }
        insert(&mut self.values, name, id)
    }

    /// The node whose value is the layer's first input.
    fn value(&self, layer: &Layer) -> Result<NodeId, OnnxError> {
        let name = layer.needed_input(0)?;
        let id = self.values.get(name).copied();
        id.ok_or_else(|| OnnxError::UnknownValue {
            node: layer.name().to_owned(),
            value: label(name),
        })
    }

    fn shape(&self, layer: &Layer) -> Result<Shape, OnnxError> {
        let node = self.graph.node(self.value(layer)?);
        node.map(|node| node.shape()).map_err(|source| self.misfit(layer, source))
    }

    fn constant(&self, layer: &Layer, index: usize) -> Result<&'a TensorProto, OnnxError> {
        let name = layer.needed_input(index)?;
        let tensor = self.constants.get(name).copied();
        tensor.ok_or_else(|| OnnxError::NotConstant {
            node: layer.name().to_owned(),
            value: label(name),
        })
    }

    fn constant_node(&mut self, layer: &Layer<'a>) -> Result<(), OnnxError> {
        layer.check(0..=0, &["value"])?;
        let name = layer.output()?;
        let absent = || layer.unsupported("value", "(left out)", "a tensor");
        let tensor = layer.tensor("value")?.ok_or_else(absent)?;
        if self.values.contains_key(name) || self.terms.contains_key(name) {
            return Err(OnnxError::DuplicateValue { value: label(name) });
        }
        insert(&mut self.constants, name, tensor)
    }

    /// `Identity`, and `Dropout`, which does nothing once training has ended.
    fn pass_through(&mut self, layer: &Layer<'a>) -> Result<(), OnnxError> {
        // The third input of Dropout would switch training mode on.
        layer.check(1..=2, &["ratio", "seed"])?;
        let id = self.value(layer)?;
        self.name_value(layer.output()?, id)
    }

    fn convolution(&self, layer: &Layer) -> Result<Operator, OnnxError> {
        let known = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
        layer.check(2..=3, &known)?;
        layer.require("group", 1, 1)?;
        layer.require_explicit_pads()?;
        let weights = Tensor::real(self.constant(layer, 1)?)?.kernel()?;
        let (outputs, _, rows, columns) = weights.dim();
        if let Some(found) = layer.sizes("kernel_shape")?.filter(|k| *k != [rows, columns]) {
            let supported = format!("[{rows}, {columns}], the size of the weights");
            return Err(layer.unsupported("kernel_shape", &format!("{found:?}"), &supported));
        }
        let bias = match layer.input(2) {
            Some(_) => Tensor::real(self.constant(layer, 2)?)?.vector()?,
            None => ndarray::Array1::zeros(outputs),
        };
        Ok(Operator::Convolution(Convolution {
            weights,
            bias,
            strides: layer.sizes("strides")?.unwrap_or([1, 1]),
            pads: layer.sizes("pads")?.unwrap_or([0; 4]),
            dilations: layer.sizes("dilations")?.unwrap_or([1, 1]),
        }))
    }

    fn batch_normalization(&self, layer: &Layer) -> Result<Operator, OnnxError> {
        layer.check(5..=5, &["epsilon", "momentum", "training_mode", "spatial"])?;
        layer.require("training_mode", 0, 0)?;
        layer.require("spatial", 1, 1)?;
        let epsilon = layer.real("epsilon", f64::from(1e-5_f32))?;
        let vector = |index| Tensor::real(self.constant(layer, index)?)?.vector();
        let (gamma, beta, mean, variance) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
        let lengths = [beta.len(), mean.len(), variance.len()];
        if let Some(&found) = lengths.iter().find(|&&length| length != gamma.len()) {
            return Err(self.misfit(
                layer,
                GraphError::Mismatch {
                    operator: "BatchNormalization",
                    what: "channels",
                    expected: gamma.len(),
                    found,
                },
            ));
        }
        let scale = gamma / variance.mapv(|variance| (variance + epsilon).sqrt());
        let shift = beta - mean * &scale;
        Ok(Operator::BatchNormalization(BatchNormalization { scale, shift }))
    }

    fn flatten(&self, layer: &Layer) -> Result<Operator, OnnxError> {
        layer.check(1..=1, &["axis"])?;
        // Counted from the end, the batch axis included.
        let negative = -i64::try_from(self.shape(layer)?.dimensions().len()).unwrap_or(i64::MAX);
        let axis = layer.integer("axis", 1)?;
        if axis == 1 || axis == negative {
            return Ok(Operator::Flatten);
        }
        let supported = "1: everything but the batch becomes one vector";
        Err(layer.unsupported("axis", &axis.to_string(), supported))
    }

    /// `Reshape` to batch x everything is a flatten.
    fn reshape(&self, layer: &Layer) -> Result<Operator, OnnxError> {
        layer.check(2..=2, &["allowzero"])?;
        layer.require("allowzero", 0, 0)?;
        let target = Tensor::integer(self.constant(layer, 1)?)?;
        let elements = self.shape(layer)?.elements();
        let flat = i64::try_from(elements).unwrap_or(i64::MAX);
        match *target.values() {
            // 0 keeps the batch, 1 is the batch, -1 stands for what is left.
            [0 | 1, -1] => Ok(Operator::Flatten),
            [-1..=1, length] if length == flat => Ok(Operator::Flatten),
            ref found => {
                let supported = format!("[1, {flat}], [0, -1] or the like, a flatten");
                Err(layer.unsupported("shape", &format!("{found:?}"), &supported))
            }
        }
    }

    fn dense(&self, layer: &Layer) -> Result<Operator, OnnxError> {
        layer.check(2..=3, &["alpha", "beta", "transA", "transB"])?;
        layer.require("transA", 0, 0)?;
        let (alpha, beta) = (layer.real("alpha", 1.0)?, layer.real("beta", 1.0)?);
        let weights = Tensor::real(self.constant(layer, 1)?)?.matrix()?;
        let weights = match layer.integer("transB", 0)? {
            0 => weights.reversed_axes().as_standard_layout().into_owned(),
            1 => weights,
            other => return Err(layer.unsupported("transB", &other.to_string(), "0 or 1")),
        };
        let outputs = weights.nrows();
        let bias = match layer.input(2) {
            Some(_) => Tensor::real(self.constant(layer, 2)?)?.vector()?,
            None => ndarray::Array1::zeros(outputs),
        };
        // A single value stands for all outputs.
        let bias = match bias.as_slice() {
            Some(&[value]) => ndarray::Array1::from_elem(outputs, value),
            _ => bias,
        };
        Ok(Operator::Dense(Dense { weights: weights * alpha, bias: bias * beta }))
    }
}

fn relu(layer: &Layer) -> Result<Operator, OnnxError> {
    layer.check(1..=1, &[])?;
    Ok(Operator::RELU)
}

fn max_pool(layer: &Layer) -> Result<Operator, OnnxError> {
    let [kernel, strides] = pooling(layer, "storage_order")?;
    Ok(Operator::MaxPool(MaxPool { kernel, strides }))
}

/// Without padding, `count_include_pad` changes nothing.
fn mean_pool(layer: &Layer) -> Result<Operator, OnnxError> {
    let [kernel, strides] = pooling(layer, "count_include_pad")?;
    Ok(Operator::MeanPool(MeanPool { kernel, strides }))
}

/// Window size and step of a pooling, which may have one attribute of its own.
fn pooling(layer: &Layer, own: &str) -> Result<[[usize; 2]; 2], OnnxError> {
    let known = ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides", own];
    layer.check(1..=1, &known)?;
    layer.require("ceil_mode", 0, 0)?;
    layer.require_explicit_pads()?;
    if let Some(pads) = layer.sizes::<4>("pads")?.filter(|pads| *pads != [0; 4]) {
        return Err(layer.unsupported("pads", &format!("{pads:?}"), "[0, 0, 0, 0]"));
    }
    if let Some(found) = layer.sizes::<2>("dilations")?.filter(|d| *d != [1, 1]) {
        return Err(layer.unsupported("dilations", &format!("{found:?}"), "[1, 1]"));
    }
    let absent = || layer.unsupported("kernel_shape", "(left out)", "two positive integers");
    let kernel = layer.sizes("kernel_shape")?.ok_or_else(absent)?;
    Ok([kernel, layer.sizes("strides")?.unwrap_or([1, 1])])
}

fn unsupported_operator(layer: &Layer) -> OnnxError {
    OnnxError::UnsupportedOperator {
        operator: layer.full_operator(),
        node: layer.name().to_owned(),
        supported: SUPPORTED_OPERATORS.join(", "),
    }
}

fn insert<'a, T>(
    names: &mut HashMap<&'a str, T>,
    name: &'a str,
    value: T,
) -> Result<(), OnnxError> {
    match names.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(OnnxError::DuplicateValue { value: label(name) }),
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
    let batch_fits = matches!(batch, None | Some(Length::DimParam(_) | Length::DimValue(1)));
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
