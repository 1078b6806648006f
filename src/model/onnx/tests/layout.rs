//! Operators that rearrange values, and models that have the channels last.

use super::*;
use crate::model::Polynomial;

fn builder(shape: Shape) -> Builder {
    Builder::new(shape, batch_of_one())
}

fn node_count(bytes: &[u8]) -> usize {
    import_bytes(bytes).unwrap().nodes().len()
}

fn permutation(order: &[usize]) -> Vec<AttributeProto> {
    vec![ints("perm", order)]
}

/// A network with most of what this module and the folding of constants are about.
pub(super) fn rearranging_network() -> Builder {
    let ones = |dims: &[usize]| floats(dims, &vec![1.0; dims.iter().product()]);
    let mut network = builder(Shape::image(5, 4, 3))
        .push("Mul", vec![ones(&[3])], vec![])
        .push("Transpose", vec![], permutation(&[0, 3, 1, 2]))
        .push("Pad", vec![int64s(&[0, 0, 1, 0, 0, 0, 0, 1])], vec![])
        .push("Conv", vec![ones(&[4, 3, 3, 3])], vec![text("auto_pad", b"SAME_UPPER")])
        .push("PRelu", vec![ones(&[4, 1, 1])], vec![]);
    let value = network.last.clone();
    network = network.push("Clip", vec![floats(&[], [&0.5])], vec![]);
    let clipped = network.last.clone();
    network.node("Sub", &[&value, &clipped]);
    network = network
        .push("MaxPool", vec![], vec![ints("kernel_shape", &[2, 2]), int("ceil_mode", 1)])
        .push("Transpose", vec![], permutation(&[0, 2, 3, 1]));
    let last = network.last.clone();
    network.node("Shape", &[&last]);
    network = network.push("Slice", [0, 1, 0].map(|bound| int64s(&[bound])).to_vec(), vec![]).push(
        "Concat",
        vec![int64s(&[-1])],
        vec![int("axis", 0)],
    );
    let target = network.last.clone();
    network.node("Reshape", &[last, target]);
    network.push("MatMul", vec![ones(&[80, 3])], vec![]).push("Add", vec![ones(&[3])], vec![]).push(
        "Softmax",
        vec![],
        vec![],
    )
}

type Keras = (Shape, ArrayD<f64>, Convolution, BatchNormalization, Dense);

/// A convolution that keeps the size of the map, and a dense layer that reads all of it.
fn keras_networks() -> impl Strategy<Value = Keras> {
    let convolved = images().prop_flat_map(|shape| {
        (
            Just(shape),
            values(shape),
            convolutions(shape.channels()),
            normalizations(shape.channels()),
        )
    });
    convolved.prop_flat_map(|(shape, image, mut layer, normalization)| {
        (layer.strides, layer.pads) = ([1, 1], [0; 4]);
        let (_, _, rows, columns) = layer.weights.dim();
        layer.dilations = [1, 1];
        layer.pads[2..].copy_from_slice(&[rows - 1, columns - 1]);
        let length = shape.elements() / shape.channels() * layer.bias.len();
        let fixed = (Just(shape), Just(image), Just(layer), Just(normalization));
        (fixed, dense_layers(length))
            .prop_map(|((shape, image, layer, norm), dense)| (shape, image, layer, norm, dense))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// As tf2onnx writes a Keras model: channels last at the input, where an affine map is, and
    /// before the flatten, behind an activation.
    #[test]
    fn channels_last_become_channels_first(
        (shape, image, layer, normalization, dense) in keras_networks(), flatten in 0..3_usize,
        biased in any::<bool>(),
    ) {
        let [channels, height, width] = shape.dimensions()[..] else { unreachable!() };
        let last = Shape::image(height, width, channels);
        let mut network = builder(last);
        let scale = network.number(floats(&[channels], &normalization.scale));
        let shift = network.number(floats(&[1, 1, 1, channels], &normalization.shift));
        let scaled = network.node("Mul", &["x", &scale]);
        network.node("Add", &[&scaled, &shift]);
        network = network
            .push("Transpose", vec![], permutation(&[0, 3, 1, 2]))
            .convolution(&layer)
            .push("Transpose", vec![], permutation(&[0, 2, 3, 1]))
            .push("Relu", vec![], vec![]);
        let length = dense.weights.ncols() as i64;
        network = match flatten {
            0 => network.push("Flatten", vec![], vec![]),
            1 => network.push("Reshape", vec![int64s(&[-1, length])], vec![]),
            _ => network.push("Reshape", vec![int64s(&[0, -1])], vec![]),
        };
        if biased {
            let bias = Array1::from_shape_fn(dense.weights.ncols(), |i| (i as f64).sin());
            network = network.push("Add", vec![floats(&[bias.len()], &bias)], vec![]);
        }
        let (outputs, inputs) = dense.weights.dim();
        let weights = floats(&[inputs, outputs], dense.weights.t());
        let bytes = network
            .push("MatMul", vec![weights], vec![])
            .push("Add", vec![floats(&[1, outputs], &dense.bias)], vec![])
            .push("Softplus", vec![], vec![])
            .bytes();
        let graph = import_bytes(&bytes).unwrap();
        prop_assert_eq!(graph.input_shape(), shape);
        let moved = image.view().permuted_axes(IxDyn(&[1, 2, 0])).as_standard_layout().into_owned();
        agrees(&graph, &image, &tract_run(&bytes, &moved));
    }

    /// Axes of length one come and go behind a pooling of the whole map.
    #[test]
    fn axes_of_length_one_do_not_matter(
        (image, dense, which) in images().prop_flat_map(|shape| {
            (values(shape), dense_layers(shape.channels()), 0..6_usize)
        })
    ) {
        let shape = Shape::image(image.shape()[0], image.shape()[1], image.shape()[2]);
        let channels = shape.channels() as i64;
        let pooled = builder(shape).push("GlobalAveragePool", vec![], vec![]);
        let squeeze = |b: Builder, axes: &[i64]| b.push("Squeeze", vec![int64s(axes)], vec![]);
        let squeezed = match which {
            0 => squeeze(pooled, &[2, 3]),
            1 => squeeze(squeeze(pooled, &[-1]), &[-1]),
            2 => pooled.push("Squeeze", vec![], vec![ints("axes", &[2, 3])]),
            3 => pooled.push("Reshape", vec![int64s(&[-1, channels])], vec![]),
            4 => squeeze(pooled.push("Reshape", vec![int64s(&[1, channels, 1])], vec![]), &[2]),
            _ => squeeze(
                squeeze(pooled.push("Unsqueeze", vec![int64s(&[-1])], vec![]), &[2, 3]),
                &[2],
            ),
        };
        let network = squeezed.push("Relu", vec![], vec![]).gemm(&dense, true, 1.0, 1.0);
        // Axes were an attribute before version 13.
        let bytes = network.bytes_at(if which == 2 { 11 } else { 13 });
        agrees_with_tract(&bytes, &image);
    }

    /// What PyTorch writes for `x.view(x.size(0), -1)`.
    #[test]
    fn shapes_that_are_computed_are_folded(
        (image, dense) in images().prop_flat_map(|s| (values(s), dense_layers(s.elements())))
    ) {
        let shape = Shape::image(image.shape()[0], image.shape()[1], image.shape()[2]);
        let mut network = builder(shape).push("Relu", vec![], vec![]);
        let value = network.last.clone();
        network.node("Shape", &[&value]);
        let first = TensorProto { dims: vec![], ..int64s(&[0]) };
        let axes = int64s(&[0]);
        network = network.push("Gather", vec![first], vec![int("axis", 0)]);
        network = network.push("Unsqueeze", vec![axes], vec![]);
        network = network.push("Concat", vec![int64s(&[-1])], vec![int("axis", 0)]);
        let target = network.last.clone();
        network.node("Reshape", &[value, target]);
        let bytes = network.gemm(&dense, false, 1.0, 1.0).bytes();
        prop_assert_eq!(node_count(&bytes), 4);
        agrees_with_tract(&bytes, &image);
    }

    /// The channels may be last at the end too: the results are the same, in the graph's order.
    #[test]
    fn an_output_with_channels_last_is_noted(image in values(Shape::image(2, 3, 4))) {
        let network = builder(Shape::image(2, 3, 4)).push("Tanh", vec![], vec![]);
        let bytes = network.push("Transpose", vec![], permutation(&[0, 2, 3, 1])).bytes();
        let graph = import_bytes(&bytes).unwrap();
        prop_assert!(graph.notes()[0].contains("channel by channel"));
        let found = graph.evaluate(&image).unwrap();
        let moved = found.permuted_axes(IxDyn(&[1, 2, 0]));
        for (found, expected) in moved.iter().zip(tract_run(&bytes, &image)) {
            prop_assert!((found - expected).abs() < 1e-5);
        }
    }
}

/// What PyTorch writes for zeros around an image: a list of pads that is turned around.
#[test]
fn pads_that_are_computed_are_folded() {
    let image = Shape::image(2, 3, 4);
    let mut network = builder(image);
    let four = network.number(int64s(&[4]));
    let zeros = network.node("ConstantOfShape", &[four]);
    let zero = TensorProto { name: String::new(), ..int64s(&[0]) };
    network.graph.node[0].attribute.push(AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(zero),
        ..Default::default()
    });
    let pads = network.number(int64s(&[1, 0, 2, 3]));
    let all = network.node("Concat", &[pads, zeros]);
    network.graph.node[1].attribute.push(int("axis", 0));
    let pairs = network.number(int64s(&[-1, 2]));
    network.node("Reshape", &[all, pairs]);
    let bounds = [-1, i64::MIN + 1, 0, -1].map(|bound| int64s(&[bound])).to_vec();
    network = network
        .push("Slice", bounds, vec![])
        .push("Transpose", vec![], permutation(&[1, 0]))
        .push("Reshape", vec![int64s(&[-1])], vec![])
        .push("Cast", vec![], vec![int("to", 7)]);
    let pads = network.last.clone();
    let value = network.number(floats(&[], [&0.0]));
    network.node("Pad", &["x".to_owned(), pads, value]);
    let bytes = network.bytes();
    let graph = import_bytes(&bytes).unwrap();
    assert_eq!(graph.nodes()[1].operator(), &Operator::Pad([2, 1, 3, 0]));
    let values =
        ArrayD::from_shape_fn(IxDyn(&[2, 3, 4]), |at| (at[0] * 12 + at[1] * 4 + at[2]) as f64);
    agrees_with_tract(&bytes, &values);
}

#[test]
fn lists_of_integers_are_limited() {
    let folded = |operator: &str, list: &[i64], more: Vec<TensorProto>, attribute| {
        let mut network = builder(Shape::Vector(3));
        let list = network.number(int64s(list));
        network.last = list;
        network.push(operator, more, attribute).error().to_string()
    };
    let fill = AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(int64s(&[7])),
        ..Default::default()
    };
    let of_shape = |shape: &[i64]| folded("ConstantOfShape", shape, vec![], vec![fill.clone()]);
    let slice = |bounds: &[i64]| {
        let bounds = bounds.iter().map(|&bound| int64s(&[bound])).collect();
        folded("Slice", &[1, 2, 3], bounds, vec![])
    };
    let unfitting = [
        of_shape(&[5000]),
        of_shape(&[i64::MAX, i64::MAX]),
        of_shape(&[-1]),
        of_shape(&[1; 9]),
        slice(&[0, 3, 0, 0]),
        folded("Reshape", &[1, 2, 3], vec![int64s(&[2, -1])], vec![]),
        folded("Squeeze", &[1, 2, 3], vec![int64s(&[0])], vec![]),
    ];
    for message in unfitting {
        assert!(
            message.contains("constants that do not fit; supported: at most 4096"),
            "{message}"
        );
    }
    assert!(folded("ConstantOfShape", &[1], vec![], vec![]).contains("an INT64 tensor"));
    assert!(folded("Gather", &[1, 2], vec![int64s(&[2])], vec![]).contains("different ones of 2"));
    assert!(folded("Cast", &[1, 2], vec![], vec![int("to", 1)]).contains("to = 1"));
    // A list cannot be the output.
    assert!(folded("Gather", &[1, 2], vec![int64s(&[1])], vec![]).contains("no earlier node"));
}

#[test]
fn constants_come_in_many_forms() {
    let constant = |attribute: AttributeProto| {
        let mut network = builder(Shape::Vector(3));
        network.graph.node.push(NodeProto {
            op_type: "Constant".into(),
            output: vec!["c".into()],
            attribute: vec![attribute],
            ..Default::default()
        });
        let alias = network.node("Identity", &["c"]);
        network.node("Pow", &["x", &alias]);
        import_bytes(&network.bytes())
    };
    let tensor = AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(floats(&[], [&2.0])),
        ..Default::default()
    };
    let float_list = AttributeProto {
        name: "value_floats".into(),
        r#type: AttributeType::Floats as i32,
        floats: vec![2.0],
        ..Default::default()
    };
    let forms = [
        tensor,
        float("value_float", 2.0),
        int("value_int", 2),
        ints("value_ints", &[2]),
        float_list,
    ];
    for form in forms {
        let graph = constant(form).unwrap();
        let square = Operator::Polynomial(Polynomial::square());
        assert_eq!(graph.nodes()[1].operator(), &square);
    }
    let error = constant(text("value_string", b"2")).unwrap_err();
    assert!(error.to_string().contains("value_string = (any value)"), "{error}");
}

#[test]
fn layouts_that_cannot_be_run_are_named() {
    let moved = |perm: &[usize]| {
        builder(Shape::image(2, 3, 4)).push("Relu", vec![], vec![]).push(
            "Transpose",
            vec![],
            permutation(perm),
        )
    };
    let kernel = Convolution::new(Array4::ones((1, 3, 1, 1)), Array1::zeros(1));
    let error = moved(&[0, 2, 3, 1]).convolution(&kernel).error();
    assert!(matches!(error, OnnxError::Layout { .. }), "{error}");
    let words = "axes batch x 3 rows x 4 columns x 2 channels; supported: batch x channels x rows";
    assert!(error.to_string().contains(words), "{error}");
    let batch = moved(&[1, 0, 2, 3]).push("Flatten", vec![], vec![]).error();
    assert!(matches!(batch, OnnxError::Layout { .. }), "{batch}");
    let mut sum = moved(&[0, 2, 3, 1]);
    let last = sum.last.clone();
    sum.node("Add", &["x", &last]);
    let sum = sum.error();
    assert!(matches!(sum, OnnxError::Layout { .. }), "{sum}");
    let dense = Dense { weights: Array2::ones((1, 24)), bias: Array1::zeros(1) };
    let image = builder(Shape::image(2, 3, 4)).gemm(&dense, true, 1.0, 1.0).error();
    assert!(image.to_string().contains("put a Flatten before it"), "{image}");
    for perm in [&[0, 1][..], &[0, 1, 2, 2], &[0, 1, 2, 4], &[]] {
        let error = moved(perm).error();
        assert!(error.to_string().contains("perm = "), "{error}");
    }
    let squeezed = builder(Shape::image(2, 3, 4)).push("Squeeze", vec![int64s(&[2])], vec![]);
    assert!(squeezed.error().to_string().contains("axes of length one, but not the batch"));
    let computed = builder(Shape::Vector(3)).push("Gather", vec![int64s(&[0])], vec![]).error();
    assert!(matches!(computed, OnnxError::NotConstant { .. }), "{computed}");
}
