//! Imported models against tract's own run of the same bytes, and bytes that
//! are no model.

use ndarray::{Array1, Array2, Array4, ArrayD, IxDyn};
use proptest::prelude::*;
use prost::Message;
use rayon::prelude::*;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::{AttributeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, type_proto};
use tract_onnx::prelude::{
    Datum, InferenceFact, InferenceModelExt, IntoRunnable, IntoTensor, Tensor as TractTensor, tvec,
};

use super::*;
use crate::data::{LabelledImages, Split};
use crate::model::strategies::{
    convolutions, dense_layers, images, max_pools, normalizations, values,
};
use crate::model::{BatchNormalization, Convolution, Dense, MaxPool};

mod layout;
mod operators;
mod polynomial;

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.iter().map(|&value| value as i64).collect(),
        ..Default::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..Default::default() }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f,
        ..Default::default()
    }
}

fn text(name: &str, s: &[u8]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: s.to_vec(),
        ..Default::default()
    }
}

fn floats<'a>(dims: &[usize], values: impl IntoIterator<Item = &'a f64>) -> TensorProto {
    TensorProto {
        dims: dims.iter().map(|&length| length as i64).collect(),
        data_type: DataType::Float as i32,
        float_data: values.into_iter().map(|&x| x as f32).collect(),
        ..Default::default()
    }
}

fn int64s(values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    }
}

fn info(name: &str, lengths: Vec<Option<Length>>) -> ValueInfoProto {
    let dim = lengths.into_iter().map(|value| Dimension { value, ..Default::default() });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(ValueType::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A chain of nodes from "x", the output of the last being the model's.
#[derive(Clone, Debug)]
struct Builder {
    graph: GraphProto,
    last: String,
}

impl Builder {
    fn new(shape: Shape, batch: Option<Length>) -> Self {
        let rest = shape.dimensions().into_iter();
        let rest = rest.map(|length| Some(Length::DimValue(length as i64)));
        let lengths = std::iter::once(batch).chain(rest).collect();
        let graph = GraphProto { input: vec![info("x", lengths)], ..Default::default() };
        Self { graph, last: "x".into() }
    }

    fn push(
        mut self,
        operator: &str,
        weights: Vec<TensorProto>,
        attribute: Vec<AttributeProto>,
    ) -> Self {
        let name = format!("node{}", self.graph.node.len());
        let mut input = vec![self.last.clone()];
        for (index, mut tensor) in weights.into_iter().enumerate() {
            tensor.name = format!("{name}.{index}");
            input.push(tensor.name.clone());
            self.graph.initializer.push(tensor);
        }
        self.last = format!("{name}.out");
        self.graph.node.push(NodeProto {
            op_type: operator.into(),
            input,
            output: vec![self.last.clone()],
            name,
            attribute,
            ..Default::default()
        });
        self
    }

    /// A constant of any shape.
    fn number(&mut self, mut tensor: TensorProto) -> String {
        tensor.name = format!("number{}", self.graph.initializer.len());
        let name = tensor.name.clone();
        self.graph.initializer.push(tensor);
        name
    }

    /// A node that reads any values; its output becomes the last.
    fn node(&mut self, operator: &str, inputs: &[impl AsRef<str>]) -> String {
        let name = format!("node{}", self.graph.node.len());
        self.last = format!("{name}.out");
        self.graph.node.push(NodeProto {
            op_type: operator.into(),
            input: inputs.iter().map(|input| input.as_ref().to_owned()).collect(),
            output: vec![self.last.clone()],
            name,
            ..Default::default()
        });
        self.last.clone()
    }

    fn convolution(self, layer: &Convolution) -> Self {
        let (outputs, inputs, rows, columns) = layer.weights.dim();
        let weights = vec![
            floats(&[outputs, inputs, rows, columns], &layer.weights),
            floats(&[outputs], &layer.bias),
        ];
        let attributes = vec![
            ints("strides", &layer.strides),
            ints("pads", &layer.pads),
            ints("dilations", &layer.dilations),
            ints("kernel_shape", &[rows, columns]),
            int("group", layer.groups as i64),
        ];
        self.push("Conv", weights, attributes)
    }

    /// Statistics whose affine form is `layer` for mean 0.25, epsilon 1e-3.
    fn normalization(self, layer: &BatchNormalization) -> Self {
        let channels = layer.scale.len();
        let variance = Array1::from_shape_fn(channels, |c| 0.5 + c as f64);
        let gamma = &layer.scale * &variance.mapv(|v| (v + 1e-3).sqrt());
        let beta = &layer.shift + &(&layer.scale * 0.25);
        let mean = Array1::from_elem(channels, 0.25);
        let weights = [gamma, beta, mean, variance];
        let weights = weights.iter().map(|w| floats(&[channels], w)).collect();
        self.push("BatchNormalization", weights, vec![float("epsilon", 1e-3)])
    }

    fn max_pool(self, layer: &MaxPool) -> Self {
        let attributes = vec![
            ints("kernel_shape", &layer.kernel),
            ints("strides", &layer.strides),
            ints("pads", &layer.pads),
        ];
        self.push("MaxPool", vec![], attributes)
    }

    /// With weights stored input by output or the other way round, and factors.
    fn gemm(self, layer: &Dense, transposed: bool, alpha: f32, beta: f32) -> Self {
        let (outputs, inputs) = layer.weights.dim();
        let weights = if transposed {
            floats(&[outputs, inputs], &layer.weights)
        } else {
            floats(&[inputs, outputs], layer.weights.t())
        };
        let weights = vec![weights, floats(&[outputs], &layer.bias)];
        let attributes =
            vec![int("transB", i64::from(transposed)), float("alpha", alpha), float("beta", beta)];
        self.push("Gemm", weights, attributes)
    }

    fn model(self) -> ModelProto {
        let mut graph = self.graph;
        graph.name = "test".into();
        graph.output = vec![ValueInfoProto { name: self.last, ..info("", vec![]) }];
        graph.output[0].r#type = None;
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
            graph: Some(graph),
            ..Default::default()
        }
    }

    fn bytes(self) -> Vec<u8> {
        self.model().encode_to_vec()
    }

    /// For another version of the operator set.
    fn bytes_at(self, version: i64) -> Vec<u8> {
        let mut model = self.model();
        model.opset_import[0].version = version;
        model.encode_to_vec()
    }

    fn error(self) -> OnnxError {
        import_bytes(&self.bytes()).unwrap_err()
    }
}

/// tract's run of a model on one image.
fn tract_run(bytes: &[u8], input: &ArrayD<f64>) -> Vec<f64> {
    let shape: Vec<usize> = [1].iter().chain(input.shape()).copied().collect();
    let model = tract_onnx::onnx().model_for_read(&mut &bytes[..]).unwrap();
    let fact = InferenceFact::dt_shape(f32::datum_type(), &shape);
    let model = model.with_input_fact(0, fact).unwrap();
    let runnable = model.into_optimized().unwrap().into_runnable().unwrap();
    let values: Vec<f32> = input.iter().map(|&x| x as f32).collect();
    let tensor = TractTensor::from_shape(&shape, &values).unwrap();
    let result = runnable.run(tvec!(tensor.into_tensor().into())).unwrap();
    let output = result[0].to_plain_array_view::<f32>().unwrap();
    output.iter().map(|&x| f64::from(x)).collect()
}

fn agrees_with_tract(bytes: &[u8], input: &ArrayD<f64>) {
    agrees(&import_bytes(bytes).unwrap(), input, &tract_run(bytes, input));
}

/// Whether a graph's output is the expected one, but for rounding to f32.
fn agrees(graph: &Graph, input: &ArrayD<f64>, expected: &[f64]) {
    let found = graph.evaluate(input).unwrap();
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-4 * largest, "{a} is not {b}");
    }
}

fn batch_of_one() -> Option<Length> {
    Some(Length::DimValue(1))
}

fn near(a: &Array1<f64>, b: &Array1<f64>) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
}

type Layers = (Convolution, BatchNormalization, MaxPool, Dense);

/// An image and layers that fit one behind the other, if the windows fit.
fn networks() -> impl Strategy<Value = (Shape, ArrayD<f64>, Layers, bool)> {
    let convolved = images().prop_flat_map(|shape| {
        (Just(shape), values(shape), convolutions(shape.channels()), max_pools())
    });
    let fitting = convolved.prop_filter_map("windows fit", |(shape, image, layer, pool)| {
        let mut graph = Graph::new("x", shape).ok()?;
        let input = graph.input();
        let convolution = Operator::Convolution(layer.clone());
        let convolved = graph.push("conv", convolution, vec![input]).ok()?;
        graph.push("pool", Operator::MaxPool(pool), vec![convolved]).ok()?;
        Some((shape, image, layer, pool, graph.output_shape().elements()))
    });
    fitting.prop_flat_map(|(shape, image, layer, pool, length)| {
        let normalization = normalizations(layer.bias.len());
        let rest = (normalization, dense_layers(length), any::<bool>());
        rest.prop_map(move |(normalization, dense, transposed)| {
            let layers = (layer.clone(), normalization, pool, dense);
            (shape, image.clone(), layers, transposed)
        })
    })
}

fn network(shape: Shape, layers: &Layers, transposed: bool) -> Builder {
    let (convolution, normalization, pool, dense) = layers;
    Builder::new(shape, batch_of_one())
        .convolution(convolution)
        .normalization(normalization)
        .push("Relu", vec![], vec![])
        .max_pool(pool)
        .push("Flatten", vec![], vec![int("axis", 1)])
        .gemm(dense, transposed, 0.5, 2.0)
}

fn small_network() -> Builder {
    let layers = (
        Convolution::new(Array4::from_elem((2, 1, 3, 3), 0.5), Array1::from_vec(vec![1.0, -1.0])),
        BatchNormalization { scale: Array1::from_vec(vec![0.5, 2.0]), shift: Array1::zeros(2) },
        MaxPool::new([2, 2], [2, 2]),
        Dense { weights: Array2::from_elem((3, 8), 0.25), bias: Array1::zeros(3) },
    );
    network(Shape::image(1, 6, 6), &layers, true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn networks_agree_with_tract((shape, image, layers, transposed) in networks()) {
        agrees_with_tract(&network(shape, &layers, transposed).bytes(), &image);
    }

    #[test]
    fn weights_arrive_as_they_were((shape, _, layers, transposed) in networks()) {
        let graph = import_bytes(&network(shape, &layers, transposed).bytes()).unwrap();
        let (convolution, normalization, pool, dense) = layers;
        match (graph.nodes()[1].operator(), graph.nodes()[2].operator()) {
            (Operator::Convolution(c), Operator::BatchNormalization(n)) => {
                prop_assert!((&c.weights - &convolution.weights).iter().all(|d| d.abs() < 1e-6));
                prop_assert!(near(&c.bias, &convolution.bias));
                prop_assert_eq!((c.strides, c.pads), (convolution.strides, convolution.pads));
                prop_assert_eq!((c.dilations, c.groups), (convolution.dilations, convolution.groups));
                prop_assert!(near(&n.scale, &normalization.scale));
                prop_assert!(near(&n.shift, &normalization.shift));
            }
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert_eq!(graph.nodes()[4].operator(), &Operator::MaxPool(pool));
        match graph.nodes()[6].operator() {
            Operator::Dense(d) => {
                let half = &dense.weights * 0.5;
                prop_assert!((&d.weights - &half).iter().all(|d| d.abs() < 1e-6));
                prop_assert!(near(&d.bias, &(&dense.bias * 2.0)));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_are_refused_in_one_line(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = import_bytes(&bytes) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    /// Altered models give a sound graph or a one-line error, never a panic.
    #[test]
    fn altered_models_do_not_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        small in any::<bool>(),
    ) {
        let network = if small { small_network() } else { layout::rearranging_network() };
        let mut bytes = network.bytes();
        for (index, byte) in edits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        match import_bytes(&bytes) {
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
            Ok(graph) => {
                let elements: usize = graph.nodes().iter().map(|n| n.shape().elements()).sum();
                if elements < 100_000 {
                    let zeros = ArrayD::zeros(IxDyn(&graph.input_shape().dimensions()));
                    let output = graph.evaluate(&zeros).unwrap();
                    prop_assert_eq!(output.len(), graph.output_shape().elements());
                }
            }
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for network in [small_network(), layout::rearranging_network()] {
        let bytes = network.bytes();
        assert!(import_bytes(&bytes).is_ok());
        for length in 0..bytes.len() {
            let error = import_bytes(&bytes[..length]).unwrap_err();
            assert!(!error.to_string().contains('\n'));
        }
    }
    assert!(matches!(import_bytes(&[]), Err(OnnxError::Empty)));
}

#[test]
fn files_that_are_no_models_are_refused() {
    let text = import_bytes(b"#!/bin/sh\necho this is not a model\n").unwrap_err();
    assert!(matches!(text, OnnxError::NotOnnx { .. }), "{text}");
    let missing = import("no/such/model.onnx").unwrap_err();
    assert!(matches!(missing, OnnxError::Missing { .. }), "{missing}");
    let folder = import(env!("CARGO_MANIFEST_DIR")).unwrap_err();
    assert!(matches!(folder, OnnxError::Read { .. }), "{folder}");
}

#[test]
fn a_file_past_the_limit_is_refused() {
    let path = std::env::temp_dir().join(format!("bellerophon-{}.onnx", std::process::id()));
    let file = File::create(&path).unwrap();
    file.set_len(MAX_FILE_BYTES + 5).unwrap();
    let error = import(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(error, OnnxError::TooLarge { .. }), "{error}");
}

#[test]
fn batch_may_be_one_or_dynamic() {
    let relu = |batch, shape| {
        let builder = Builder::new(shape, batch).push("Relu", vec![], vec![]);
        import_bytes(&builder.bytes())
    };
    let image = Shape::image(1, 4, 4);
    let sizes = [-1, 0, 1].map(|size| Some(Length::DimValue(size)));
    for batch in [None, Some(Length::DimParam("N".into()))].into_iter().chain(sizes) {
        assert_eq!(relu(batch, image).unwrap().input_shape(), image);
    }
    let message = relu(Some(Length::DimValue(4)), image).unwrap_err().to_string();
    assert!(message.contains("[4 x 1 x 4 x 4]"), "{message}");
    let negative = relu(Some(Length::DimValue(-2)), image).unwrap_err();
    assert!(matches!(negative, OnnxError::InputRank { .. }));
    let vector = relu(None, Shape::Vector(7)).unwrap();
    assert_eq!(vector.input_shape(), Shape::Vector(7));
}

#[test]
fn input_sizes_must_be_fixed_and_sensible() {
    let mut cases: Vec<Vec<Option<Length>>> = Vec::new();
    for length in [0, -3, i64::MIN, i64::MAX] {
        let lengths = [1, 1, 4, length].map(|n| Some(Length::DimValue(n)));
        cases.push(lengths.to_vec());
    }
    cases.push(vec![]);
    cases.push(vec![batch_of_one(); 3]);
    cases.push(vec![batch_of_one(), None]);
    for lengths in cases {
        let mut builder = small_network();
        builder.graph.input = vec![info("x", lengths)];
        let error = builder.error();
        let expected = matches!(error, OnnxError::InputRank { .. } | OnnxError::Graph { .. });
        assert!(expected, "{error}");
    }
}

#[test]
fn input_shape_can_be_demanded() {
    let graph = import_bytes(&small_network().bytes()).unwrap();
    assert!(expect_input_shape(&graph, Shape::image(1, 6, 6)).is_ok());
    let error = expect_input_shape(&graph, Shape::image(1, 32, 32)).unwrap_err();
    let message = "the model reads an input of shape 1x6x6, but 1x32x32 is needed here";
    assert_eq!(error.to_string(), message);
}

#[test]
fn raw_and_double_weights_are_read_alike() {
    let expected = import_bytes(&small_network().bytes()).unwrap();
    let mut raw = small_network();
    for tensor in &mut raw.graph.initializer {
        let values = std::mem::take(&mut tensor.float_data);
        tensor.raw_data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    }
    assert_eq!(import_bytes(&raw.bytes()).unwrap(), expected);
    let mut double = small_network();
    for tensor in &mut double.graph.initializer {
        let values = std::mem::take(&mut tensor.float_data);
        tensor.data_type = DataType::Double as i32;
        tensor.double_data = values.into_iter().map(f64::from).collect();
    }
    assert_eq!(import_bytes(&double.bytes()).unwrap(), expected);
}

#[test]
fn weights_may_be_constant_nodes_or_listed_as_inputs() {
    let expected = import_bytes(&small_network().bytes()).unwrap();
    let mut constants = small_network();
    let tensors = std::mem::take(&mut constants.graph.initializer);
    let nodes = tensors.into_iter().map(|tensor| NodeProto {
        op_type: "Constant".into(),
        output: vec![tensor.name.clone()],
        attribute: vec![AttributeProto {
            name: "value".into(),
            r#type: AttributeType::Tensor as i32,
            t: Some(tensor),
            ..Default::default()
        }],
        ..Default::default()
    });
    constants.graph.node.splice(0..0, nodes.collect::<Vec<_>>());
    assert_eq!(import_bytes(&constants.bytes()).unwrap(), expected);
    let mut listed = small_network();
    for tensor in &listed.graph.initializer {
        listed.graph.input.push(info(&tensor.name, vec![]));
    }
    assert_eq!(import_bytes(&listed.bytes()).unwrap(), expected);
}

#[test]
fn reshapes_that_flatten_are_flattens() {
    let image = Shape::image(2, 3, 4);
    let reshaped = |target: &[i64]| {
        let builder = Builder::new(image, None).push("Reshape", vec![int64s(target)], vec![]);
        import_bytes(&builder.bytes())
    };
    for target in [[1, -1], [0, -1], [-1, 24], [0, 24], [1, 24]] {
        let graph = reshaped(&target).unwrap();
        assert_eq!(graph.output_shape(), Shape::Vector(24));
    }
    for target in [&[-1, -1][..], &[2, -1], &[-1, 12], &[24], &[1, 2, 12], &[]] {
        let error = reshaped(target).unwrap_err();
        assert!(matches!(error, OnnxError::UnsupportedAttribute { .. }), "{error}");
    }
}

#[test]
fn identity_and_dropout_vanish() {
    let graph = Builder::new(Shape::Vector(3), None)
        .push("Identity", vec![], vec![])
        .push("Relu", vec![], vec![])
        .push("Dropout", vec![], vec![]);
    let graph = import_bytes(&graph.bytes()).unwrap();
    assert_eq!(graph.nodes().len(), 2);
    assert_eq!(graph.output().index(), 1);
}

#[test]
fn unsupported_operators_are_named() {
    let error = small_network().push("LSTM", vec![], vec![int("axis", 1)]).error();
    let OnnxError::UnsupportedOperator { operator, node, supported } = &error else {
        panic!("{error}");
    };
    assert_eq!((operator.as_str(), node.as_str()), ("LSTM", "node6"));
    assert!(supported.contains("Conv") && supported.contains("Gemm"));
    let mut custom = small_network();
    custom.graph.node[2].domain = "com.example".into();
    let message = custom.error().to_string();
    assert!(message.contains("\"com.example.Relu\""), "{message}");
}

#[test]
fn every_supported_operator_is_known_to_the_walk() {
    for operator in SUPPORTED_OPERATORS {
        let builder = Builder::new(Shape::Vector(2), None).push(operator, vec![], vec![]);
        let refused = import_bytes(&builder.bytes());
        let unknown = matches!(refused, Err(OnnxError::UnsupportedOperator { .. }));
        assert!(!unknown, "{operator} is listed as supported");
    }
}

/// The small network with one attribute of one node replaced or added.
fn with_attribute(node: usize, attribute: AttributeProto) -> OnnxError {
    let mut builder = small_network();
    let attributes = &mut builder.graph.node[node].attribute;
    attributes.retain(|old| old.name != attribute.name);
    attributes.push(attribute);
    builder.error()
}

#[test]
fn unsupported_attributes_are_named() {
    let cases = [
        (0, int("group", 0), "group = 0; supported: a positive integer"),
        (0, text("auto_pad", b"SAME"), "auto_pad = SAME; supported: NOTSET"),
        (0, ints("pads", &[1, 1]), "pads = [1, 1]; supported: 4"),
        (0, ints("kernel_shape", &[5, 5]), "kernel_shape = [5, 5]; supported: [3, 3]"),
        (0, int("strides", 1), "strides = (a value of type INT)"),
        (0, int("colour", 1), "colour = (any value)"),
        (1, int("training_mode", 1), "training_mode = 1; supported: 0"),
        (3, ints("pads", &[1, 1]), "pads = [1, 1]; supported: 4"),
        (3, ints("dilations", &[2, 2]), "dilations = [2, 2]"),
        (3, int("ceil_mode", 2), "ceil_mode = 2; supported: 0 or 1"),
        (4, int("axis", 2), "axis = 2"),
        (5, int("transA", 1), "transA = 1; supported: 0"),
        (5, int("transB", 2), "transB = 2; supported: 0 or 1"),
    ];
    for (node, attribute, words) in cases {
        let error = with_attribute(node, attribute);
        let message = error.to_string();
        assert!(matches!(error, OnnxError::UnsupportedAttribute { .. }), "{message}");
        assert!(message.contains(words), "{message}");
        assert!(message.contains(&format!("node{node}")), "{message}");
    }
    let negative = AttributeProto { ints: vec![-1, 1], ..ints("strides", &[]) };
    let message = with_attribute(0, negative).to_string();
    assert!(message.contains("2 non-negative integers"), "{message}");
    let zero = with_attribute(0, ints("strides", &[0, 1]));
    assert!(matches!(zero, OnnxError::Graph { .. }), "{zero}");
}

#[test]
fn broken_tensors_are_refused() {
    let with_tensor = |alter: &dyn Fn(&mut TensorProto)| {
        let mut builder = small_network();
        alter(&mut builder.graph.initializer[0]);
        builder.error().to_string()
    };
    type Alter<'a> = &'a dyn Fn(&mut TensorProto);
    let cases: [(&str, Alter); 8] = [
        ("17 values", &|t| t.float_data.truncate(17)),
        ("non-negative", &|t| t.dims[0] = -2),
        ("2^26", &|t| t.dims = vec![i64::MAX; 4]),
        ("four dimensions", &|t| t.dims = vec![2, 9]),
        ("has type INT64", &|t| t.data_type = DataType::Int64 as i32),
        ("type number 99", &|t| t.data_type = 99),
        ("infinite or not a number", &|t| t.float_data[3] = f32::NAN),
        ("outside the file", &|t| t.data_location = Some(1)),
    ];
    for (words, alter) in cases {
        let message = with_tensor(alter);
        assert!(message.contains(words), "{message}");
        assert!(message.contains("node0.0"), "{message}");
    }
    let odd = with_tensor(&|t| t.raw_data = vec![0; 71]);
    assert!(odd.contains("multiple of 4"), "{odd}");
}

#[test]
fn broken_wiring_is_refused() {
    let mut absent = small_network();
    absent.graph.initializer.remove(0);
    assert!(matches!(absent.error(), OnnxError::NotConstant { .. }));
    let mut dangling = small_network();
    dangling.graph.node[2].input[0] = "nowhere".into();
    let message = dangling.error().to_string();
    assert!(message.contains("\"node2\" reads \"nowhere\""), "{message}");
    let mut output = small_network();
    output.last = "nowhere".into();
    assert!(matches!(output.error(), OnnxError::UnknownValue { .. }));
    let mut order = small_network();
    order.graph.node.swap(1, 2);
    assert!(matches!(order.error(), OnnxError::UnknownValue { .. }));
    let mut twice = small_network();
    twice.graph.node[2].output[0] = "node1.out".into();
    assert!(matches!(twice.error(), OnnxError::DuplicateValue { .. }));
    let mut inputs = small_network();
    inputs.graph.input.push(info("y", vec![batch_of_one(); 4]));
    assert!(matches!(inputs.error(), OnnxError::Arity { what: "input", found: 2 }));
    let mut bare = small_network();
    bare.graph.node[0].input.truncate(1);
    assert!(matches!(bare.error(), OnnxError::NodeArity { .. }));
    let mut silent = small_network();
    silent.graph.node[0].output.clear();
    assert!(matches!(silent.error(), OnnxError::NodeArity { what: "output", .. }));
}

#[test]
fn incomplete_models_are_refused() {
    let mut no_graph = small_network().model();
    no_graph.graph = None;
    let mut no_versions = small_network().model();
    no_versions.opset_import.clear();
    let no_nodes = Builder::new(Shape::Vector(1), None).model();
    for (model, missing) in
        [(no_graph, "graph"), (no_versions, "operator set version"), (no_nodes, "node")]
    {
        let error = import_bytes(&model.encode_to_vec()).unwrap_err();
        let found = matches!(error, OnnxError::Incomplete { part } if part == missing);
        assert!(found, "{error}");
    }
}

#[test]
fn long_and_wild_names_stay_on_one_line() {
    let mut builder = small_network();
    builder.graph.node[2].op_type = "R\ne\tl\u{1b}[2Ju".repeat(1000);
    let message = builder.error().to_string();
    assert!(message.len() < 600 && !message.contains(['\n', '\u{1b}']), "{message}");
}

#[test]
fn lenet5_agrees_with_tract() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lenet5.onnx");
    let bytes = std::fs::read(&path).unwrap();
    let graph = import(&path).unwrap();
    assert_eq!(graph.parameter_count(), 61_750);
    assert_eq!(graph.input_shape(), Shape::image(1, 32, 32));
    assert_eq!(graph.output_shape(), Shape::Vector(10));
    let pixel = |seed: usize| {
        move |at: IxDyn| {
            let mixed = (at[1] * 37 + at[2] * 101 + seed * 7919) as f64;
            (mixed.sin() * 43_758.547).fract().abs()
        }
    };
    for seed in 0..5 {
        let image = ArrayD::from_shape_fn(IxDyn(&[1, 32, 32]), pixel(seed));
        agrees_with_tract(&bytes, &image);
    }
}

/// The share of images that a shipped model gets right.
fn accuracy(model: &str, data: &LabelledImages) -> f64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model);
    let graph = import(path).unwrap();
    let images = data.padded(32).unwrap();
    let pairs = images.par_iter().zip(data.labels());
    let right = pairs.filter(|(image, label)| {
        let logits = graph.evaluate(image).unwrap();
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.map(|(digit, _)| digit) == Some(usize::from(**label))
    });
    right.count() as f64 / images.len() as f64
}

#[test]
fn lenet5_reads_mnist() {
    let Ok(folder) = std::env::var("BELLEROPHON_DATA") else {
        eprintln!("SKIPPED lenet5_reads_mnist: BELLEROPHON_DATA is not set");
        return;
    };
    let accuracy = accuracy("lenet5.onnx", &LabelledImages::load(folder, Split::Test).unwrap());
    assert!(accuracy >= 0.99, "accuracy {accuracy}");
}

#[test]
fn lenet5_reads_the_shipped_digits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits");
    let accuracy = accuracy("lenet5.onnx", &LabelledImages::load(folder, Split::Digits).unwrap());
    assert!(accuracy >= 0.95, "accuracy {accuracy}");
}
