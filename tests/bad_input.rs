//! The example refuses bad input: exit code 2, one line that says what was wrong and what would be
//! right, before any key is made, and nothing written.

use crate::network::{digits, root};
use bellerophon::data::Split;
use prost::Message;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Length;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

const IMAGES: &str = "t10k-images-idx3-ubyte";
const LABELS: &str = "t10k-labels-idx1-ubyte";

/// The example, which cargo builds beside the tests.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(Path::parent).unwrap();
    let path =
        profile.join("examples").join(format!("lenet5_hybrid{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "build it first: cargo build --example lenet5_hybrid");
    path
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(example()).current_dir(folder).args(arguments).output().unwrap()
}

/// Every file under `folder`, with its content.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                all.push((path, bytes));
            }
        }
    }
    all.sort();
    all
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let before = contents(folder);
    let output = run(folder, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{arguments:?}: {message}");
    assert!(message.starts_with("error: "), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(output.stdout.is_empty(), "{arguments:?} went on to {:?}", output.stdout);
    assert_eq!(contents(folder), before, "{arguments:?} wrote something");
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A folder with the shipped digits under MNIST's names.
fn data() -> TempDir {
    let folder = folder();
    digits().save(folder.path(), Split::Test).unwrap();
    folder
}

#[track_caller]
fn refused_data(folder: &TempDir, words: &[&str]) {
    refused(folder.path(), &["--data", ".", "--json", "out.json"], words);
}

/// Changes one file of a folder with digits and runs the example on it.
#[track_caller]
fn refused_after(file: &str, change: impl Fn(&mut Vec<u8>), words: &[&str]) {
    let folder = data();
    let path = folder.path().join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    refused_data(&folder, words);
}

#[test]
fn missing_files() {
    refused(folder().path(), &["--data", "nowhere"], &["there is no", IMAGES, "give the folder"]);
    refused_data(&folder(), &["there is no", IMAGES, "with or without .gz"]);
    let without_labels = data();
    fs::remove_file(without_labels.path().join(LABELS)).unwrap();
    refused_data(&without_labels, &["there is no", LABELS]);
}

#[test]
fn truncated_files() {
    refused_after(IMAGES, |bytes| bytes.truncate(5000), &[IMAGES, "is truncated", "fetch"]);
    refused_after(IMAGES, |bytes| bytes.truncate(7), &[IMAGES, "is truncated"]);
    refused_after(IMAGES, Vec::clear, &[IMAGES, "is truncated"]);
    refused_after(LABELS, |bytes| bytes.truncate(20), &[LABELS, "is truncated"]);
}

#[test]
fn oversized_files() {
    refused_after(IMAGES, |bytes| bytes.push(0), &[IMAGES, "is too long", "more follow"]);
    refused_after(LABELS, |bytes| bytes.extend([0; 9]), &[LABELS, "is too long"]);
    let enormous = |bytes: &mut Vec<u8>| bytes[4..8].copy_from_slice(&[0xff; 4]);
    refused_after(IMAGES, enormous, &[IMAGES, "holds too much", "at most"]);
}

#[test]
fn files_of_another_kind() {
    let wrong = |bytes: &mut Vec<u8>| bytes[3] = 0x01;
    refused_after(IMAGES, wrong, &[IMAGES, "is not an IDX file of images", "0x00000803 is right"]);
    let text = |bytes: &mut Vec<u8>| *bytes = b"these are no labels".to_vec();
    refused_after(LABELS, text, &[LABELS, "is not an IDX file of labels", "0x00000801 is right"]);
    // begins as gzip does, goes on as nothing does
    let zipped = |bytes: &mut Vec<u8>| *bytes = [&[0x1f, 0x8b], &[7; 100][..]].concat();
    refused_after(IMAGES, zipped, &[IMAGES, "cannot read"]);
    // fewer labels than images
    let fewer = |bytes: &mut Vec<u8>| {
        bytes.pop();
        let count = bytes.len() as u32 - 8;
        bytes[4..8].copy_from_slice(&count.to_be_bytes());
    };
    refused_after(LABELS, fewer, &["labels; each image needs one label"]);
}

#[test]
fn images_larger_than_the_input() {
    let folder = folder();
    let images = ndarray::Array3::from_elem((2, 40, 40), 7);
    let data = bellerophon::data::LabelledImages::new(images, vec![1, 2]).unwrap();
    data.save(folder.path(), Split::Test).unwrap();
    refused_data(&folder, &["40x40 pixels", "at most 32x32"]);
}

#[test]
fn images_that_are_not_there() {
    let folder = folder();
    let count = digits().len();
    let all = format!("ask for 1 to {count}");
    refused(folder.path(), &["--count", "0"], &["0 images were asked for", &all]);
    let end = format!("there are {count}, numbered 0 to {}", count - 1);
    refused(folder.path(), &["--first", &count.to_string()], &[&end]);
    refused(folder.path(), &["--first", "3", "--count", &count.to_string()], &[&end]);
    let most = usize::MAX.to_string();
    refused(folder.path(), &["--first", &most, "--count", &most], &[&end]);
}

#[test]
fn flags_that_mean_nothing() {
    let folder = folder();
    let refused = |arguments: &[&str], words: &[&str]| refused(folder.path(), arguments, words);
    refused(&["--preset", "quick"], &["quick", "use fast, balanced or precise"]);
    refused(&["--kernel", "gpu"], &["gpu", "use tfhe, fused"]);
    refused(&["--security", "100"], &["100", "use 128"]);
    refused(&["--security", "192"], &["192", "no TFHE noise curve", "use 128"]);
    refused(&["--security", "256"], &["256", "use 128"]);
    refused(&["--threads", "0"], &["--threads 0", "at least 1"]);
    refused(&["--threads", "many"], &["many", "--threads"]);
    refused(&["--count", "-1"], &["-1"]);
    refused(&["--seed", "x"], &["x", "--seed"]);
    refused(&["--fast"], &["--fast"]);
    refused(&["digits"], &["digits"]);
    refused(&["--preset"], &["--preset"]);
}

#[test]
fn results_that_could_not_be_written() {
    let folder = folder();
    refused(folder.path(), &["--json", "missing/out.json"], &["missing", "does not exist"]);
    fs::create_dir(folder.path().join("results")).unwrap();
    refused(folder.path(), &["--json", "results"], &["results is a folder", "name a file"]);
    fs::write(folder.path().join("file"), "kept").unwrap();
    refused(folder.path(), &["--json", "file/out.json"], &["file", "does not exist"]);
}

/// An earlier result stays as it was when the next run fails.
#[test]
fn earlier_results_stay() {
    let folder = folder();
    fs::write(folder.path().join("out.json"), "earlier").unwrap();
    refused(folder.path(), &["--count", "0", "--json", "out.json"], &["0 images"]);
}

fn tensor(name: &str, dims: &[i64], value: f32) -> TensorProto {
    let count: i64 = dims.iter().product();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data: vec![value; count as usize],
        ..Default::default()
    }
}

fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|&length| Dimension { value: Some(Length::DimValue(length)), ..Default::default() });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    let kind =
        TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() }
}

fn node(name: &str, operator: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: name.into(),
        op_type: operator.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![format!("{name}.out")],
        attribute,
        ..Default::default()
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: ints.to_vec(),
        ..Default::default()
    }
}

/// A model that reads `input` and gives what its last node makes.
fn model(input: &[i64], nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> Vec<u8> {
    let output = nodes.last().map_or("x", |node| &node.output[0]).to_owned();
    let output = ValueInfoProto { name: output, ..Default::default() };
    let graph = GraphProto {
        name: "test".into(),
        node: nodes,
        initializer: weights,
        input: vec![value("x", input)],
        output: vec![output],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset],
        graph: Some(graph),
        ..Default::default()
    }
    .encode_to_vec()
}

/// A convolution of one channel, with these zeros around its input.
fn convolution(pads: &[i64; 4]) -> (NodeProto, TensorProto) {
    let attributes = vec![ints("pads", pads), ints("kernel_shape", &[3, 3])];
    (node("conv7", "Conv", &["x", "w"], attributes), tensor("w", &[1, 1, 3, 3], 0.5))
}

#[track_caller]
fn refused_model(bytes: &[u8], words: &[&str]) {
    let folder = folder();
    fs::write(folder.path().join("model.onnx"), bytes).unwrap();
    refused(folder.path(), &["--model", "model.onnx", "--json", "out.json"], words);
}

#[test]
fn files_that_are_no_model() {
    refused(folder().path(), &["--model", "none.onnx"], &["no model file", "none.onnx"]);
    refused(folder().path(), &["--model", "."], &["cannot read the model file"]);
    refused_model(b"", &["is empty", "an ONNX model was expected"]);
    refused_model(b"no model at all, just text", &["not", "ONNX model"]);
    let whole = fs::read(root().join("models/lenet5.onnx")).unwrap();
    refused_model(&whole[..whole.len() / 2], &["not", "ONNX model", "export"]);
}

#[test]
fn models_of_another_input() {
    let (node, weights) = convolution(&[0; 4]);
    let other = model(&[1, 1, 28, 28], vec![node], vec![weights]);
    refused_model(&other, &["reads an input of shape 1x28x28", "1x32x32 is needed here"]);
}

#[test]
fn models_with_unsupported_operators() {
    let (first, weights) = convolution(&[0; 4]);
    let last = node("gamma3", "Erf", &["conv7.out"], vec![]);
    let bytes = model(&[1, 1, 32, 32], vec![first, last], vec![weights]);
    refused_model(&bytes, &["gamma3", "Erf", "not supported; supported: "]);
}

#[test]
fn models_that_do_not_compile() {
    let (first, weights) = convolution(&[0; 4]);
    let attributes = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])];
    let last = node("mean9", "AveragePool", &["conv7.out"], attributes);
    let bytes = model(&[1, 1, 32, 32], vec![first, last], vec![weights]);
    refused_model(&bytes, &["mean9", "padding", "count_include_pad"]);
    let flat = node("flat1", "Flatten", &["x"], vec![]);
    let bytes = model(&[1, 1, 32, 32], vec![flat], vec![]);
    refused_model(&bytes, &["no layer that computes anything"]);
}

#[test]
fn help_is_no_error() {
    let output = run(folder().path(), &["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--data",
        "--first",
        "--count",
        "--preset",
        "--security",
        "--kernel",
        "--threads",
        "--seed",
        "--json",
    ] {
        assert!(text.contains(flag), "{flag}");
    }
}
