//! Each operator against tract's run of the same bytes, on random shapes and parameters.

use super::*;
use crate::model::strategies::{activations, mean_pools, parametric_relus};
use crate::model::{Activation, MeanPool};

fn image_and<T: std::fmt::Debug, S: Strategy<Value = T>>(
    layer: impl Fn(Shape) -> S,
) -> impl Strategy<Value = (ArrayD<f64>, Shape, T)> {
    images().prop_flat_map(move |shape| (values(shape), Just(shape), layer(shape)))
}

fn builder(shape: Shape) -> Builder {
    Builder::new(shape, batch_of_one())
}

fn number(value: f64) -> TensorProto {
    floats(&[], [&value])
}

/// A pooling with any combination of `auto_pad`, `ceil_mode` and `count_include_pad`.
fn pooling(operator: &str, layer: &MeanPool, rule: &str, round_up: bool) -> Vec<AttributeProto> {
    let mut attributes = vec![
        ints("kernel_shape", &layer.kernel),
        ints("strides", &layer.strides),
        text("auto_pad", rule.as_bytes()),
        int("ceil_mode", i64::from(round_up)),
    ];
    if rule == "NOTSET" {
        attributes.push(ints("pads", &layer.pads));
    }
    if operator == "AveragePool" {
        attributes.push(int("count_include_pad", i64::from(layer.include_padding)));
    }
    attributes
}

fn rules() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
}

/// Whether the window fits in the padded map, as all windows of a rule `SAME_` do.
fn fits(shape: Shape, rule: &str, extent: [usize; 2], pads: [usize; 4]) -> bool {
    let size = shape.dimensions();
    (0..2).all(|axis| {
        let pad = if rule == "NOTSET" { pads[axis] + pads[axis + 2] } else { 0 };
        rule.starts_with("SAME") || extent[axis] <= size[axis + 1] + pad
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn activations_agree((image, shape, function) in image_and(|_| activations())) {
        let bytes = activation(builder(shape), function).bytes();
        agrees_with_tract(&bytes, &image);
        let graph = import_bytes(&bytes).unwrap();
        prop_assert_eq!(graph.nodes()[1].operator().name(), function.name());
    }

    #[test]
    fn parametric_relus_agree(
        (image, shape, layer) in image_and(|shape| parametric_relus(shape.channels())),
        single in any::<bool>(),
    ) {
        let slopes = match single {
            true => floats(&[1], [&layer.slopes[0]]),
            false => floats(&[layer.slopes.len(), 1, 1], &layer.slopes),
        };
        agrees_with_tract(&builder(shape).push("PRelu", vec![slopes], vec![]).bytes(), &image);
    }

    #[test]
    fn convolutions_agree(
        (image, shape, layer) in image_and(|shape| convolutions(shape.channels())),
        rule in rules(), biased in any::<bool>(),
    ) {
        let (_, _, rows, columns) = layer.weights.dim();
        let extent = [(rows - 1) * layer.dilations[0] + 1, (columns - 1) * layer.dilations[1] + 1];
        let mut builder = builder(shape).convolution(&layer);
        let node = &mut builder.graph.node[0];
        if rule != "NOTSET" {
            node.attribute.retain(|attribute| attribute.name != "pads");
            node.attribute.push(text("auto_pad", rule.as_bytes()));
        }
        node.input.truncate(if biased { 3 } else { 2 });
        let bytes = builder.bytes();
        let fits = fits(shape, rule, extent, layer.pads);
        prop_assert_eq!(import_bytes(&bytes).is_ok(), fits);
        if fits {
            agrees_with_tract(&bytes, &image);
        }
    }

    #[test]
    fn poolings_agree(
        (image, shape, layer) in image_and(|_| mean_pools()), rule in rules(),
        operator in prop::sample::select(vec!["MaxPool", "AveragePool"]),
    ) {
        let bytes = builder(shape).push(operator, vec![], pooling(operator, &layer, rule, false)).bytes();
        let fits = fits(shape, rule, layer.kernel, layer.pads);
        prop_assert_eq!(import_bytes(&bytes).is_ok(), fits);
        if fits {
            agrees_with_tract(&bytes, &image);
        }
    }

    /// Without padding behind the map, where all runtimes agree on what a rounded-up pooling is.
    #[test]
    fn poolings_that_round_up_agree(
        (image, shape, mut layer) in image_and(|_| mean_pools()),
        operator in prop::sample::select(vec!["MaxPool", "AveragePool"]),
    ) {
        layer.include_padding = false;
        layer.strides = [layer.strides[0].min(layer.kernel[0]), layer.strides[1].min(layer.kernel[1])];
        layer.pads = [layer.pads[0], layer.pads[1], 0, 0];
        prop_assume!(fits(shape, "NOTSET", layer.kernel, layer.pads));
        let attributes = pooling(operator, &layer, "NOTSET", true);
        let bytes = builder(shape).push(operator, vec![], attributes).bytes();
        agrees_with_tract(&bytes, &image);
        let graph = import_bytes(&bytes).unwrap();
        let size = shape.dimensions();
        for axis in 0..2 {
            let free = size[axis + 1] + layer.pads[axis] - layer.kernel[axis];
            let windows = free.div_ceil(layer.strides[axis]) + 1;
            prop_assert_eq!(graph.output_shape().dimensions()[axis + 1], windows);
        }
    }

    #[test]
    fn poolings_of_the_whole_map_agree(
        (image, shape, ()) in image_and(|_| Just(())), which in 0..7_usize,
    ) {
        let builder = builder(shape);
        let mean = |axes: &[i64], keep| {
            let attributes = vec![
                AttributeProto { ints: axes.to_vec(), ..ints("axes", &[]) },
                int("keepdims", keep),
            ];
            builder.clone().push("ReduceMean", vec![], attributes)
        };
        let pooled = match which {
            0 => builder.push("GlobalAveragePool", vec![], vec![]),
            1 => builder.push("GlobalMaxPool", vec![], vec![]),
            2 => mean(&[2, 3], 1),
            3 => mean(&[3, 2], 0),
            4 => mean(&[-1, -2], 0),
            5 => builder.push("ReduceMean", vec![int64s(&[2, 3])], vec![int("keepdims", 0)]),
            _ => mean(&[2, 3], 1).push("Flatten", vec![], vec![]),
        };
        // Axes have been an input since version 18.
        let bytes = pooled.bytes_at(if which == 5 { 18 } else { 13 });
        agrees_with_tract(&bytes, &image);
    }

    #[test]
    fn dense_layers_agree(
        (image, shape, layer) in image_and(|shape| dense_layers(shape.elements())),
        biased in 0..3_usize,
    ) {
        let (outputs, inputs) = layer.weights.dim();
        let weights = floats(&[inputs, outputs], layer.weights.t());
        let mut builder = builder(shape)
            .push("Flatten", vec![], vec![])
            .push("MatMul", vec![weights], vec![]);
        let product = builder.last.clone();
        if biased > 0 {
            builder = builder.push("Add", vec![floats(&[outputs], &layer.bias)], vec![]);
        }
        if biased > 1 {
            // Read twice, the product is a value of its own.
            let sum = builder.last.clone();
            builder.node("Sub", &[sum, product]);
        }
        let bytes = builder.bytes();
        agrees_with_tract(&bytes, &image);
        prop_assert_eq!(import_bytes(&bytes).unwrap().nodes().len() == 3, biased < 2);
    }

    #[test]
    fn arithmetic_per_channel_agrees(
        (image, shape, layer) in image_and(|shape| normalizations(shape.channels())),
        operator in prop::sample::select(vec!["Add", "Sub", "Mul", "Div", "Sum"]),
        swapped in any::<bool>(), batch in any::<bool>(), vector in any::<bool>(),
    ) {
        let channels = shape.channels();
        let mut builder = builder(shape);
        if vector {
            builder = builder.push("GlobalAveragePool", vec![], vec![]).push("Flatten", vec![], vec![]);
        }
        let mut dimensions = if vector { vec![channels] } else { vec![channels, 1, 1] };
        if batch {
            dimensions.insert(0, 1);
        }
        let constant = layer.scale.mapv(|x| x + if x < 0.0 { -0.5 } else { 0.5 });
        let constant = builder.number(floats(&dimensions, &constant));
        let last = builder.last.clone();
        let swapped = swapped && operator != "Div";
        let inputs = if swapped { [constant, last] } else { [last, constant] };
        builder.node(operator, &inputs);
        agrees_with_tract(&builder.bytes(), &image);
    }

    #[test]
    fn sums_of_values_agree(
        (image, shape, function) in image_and(|_| activations()), which in 0..5_usize,
    ) {
        let mut builder = activation(builder(shape), function);
        let value = builder.last.clone();
        let two = builder.number(number(2.0));
        match which {
            0 => builder.node("Add", &["x", &value]),
            1 => builder.node("Sub", &["x", &value]),
            2 => {
                let double = builder.node("Mul", &["x", &two]);
                builder.node("Sub", &[value, double])
            }
            3 => builder.node("Sum", &["x", &value, "x", &value]),
            _ => builder.node("Sum", &[value]),
        };
        agrees_with_tract(&builder.bytes(), &image);
    }

    #[test]
    fn padding_agrees(
        (image, shape, pads) in image_and(|_| [0_i64..3, 0_i64..3, 0_i64..3, 0_i64..3]),
    ) {
        let [top, left, bottom, right] = pads;
        let pads = int64s(&[0, 0, top, left, 0, 0, bottom, right]);
        let bytes = builder(shape).push("Pad", vec![pads], vec![text("mode", b"constant")]).bytes();
        agrees_with_tract(&bytes, &image);
    }

    #[test]
    fn batch_normalizations_agree(
        (image, shape, layer) in image_and(|shape| normalizations(shape.channels()))
    ) {
        agrees_with_tract(&builder(shape).normalization(&layer).bytes(), &image);
    }

    /// What is left out is a softmax of what is given.
    #[test]
    fn a_final_softmax_is_left_out(
        (image, shape, layer) in image_and(|shape| dense_layers(shape.elements())),
        logarithm in any::<bool>(),
    ) {
        let operator = if logarithm { "LogSoftmax" } else { "Softmax" };
        let builder = builder(shape).push("Flatten", vec![], vec![]).gemm(&layer, true, 1.0, 1.0);
        let bytes = builder.push(operator, vec![], vec![int("axis", 1)]).bytes();
        let graph = import_bytes(&bytes).unwrap();
        prop_assert!(graph.notes().len() == 1 && graph.notes()[0].contains(operator));
        let found: Vec<f64> = graph.evaluate(&image).unwrap().mapv(f64::exp).into_iter().collect();
        let total: f64 = found.iter().sum();
        for (found, expected) in found.iter().zip(tract_run(&bytes, &image)) {
            let expected = if logarithm { expected.exp() } else { expected };
            prop_assert!((found / total - expected).abs() < 1e-5);
        }
    }
}

fn activation(builder: Builder, function: Activation) -> Builder {
    let real = |name: &str, value: f64| float(name, value as f32);
    let (weights, attributes) = match function {
        Activation::LeakyRelu { slope } => (vec![], vec![real("alpha", slope)]),
        Activation::Elu { alpha } => (vec![], vec![real("alpha", alpha)]),
        Activation::Selu { alpha, gamma } => {
            (vec![], vec![real("alpha", alpha), real("gamma", gamma)])
        }
        Activation::HardSigmoid { alpha, beta } => {
            (vec![], vec![real("alpha", alpha), real("beta", beta)])
        }
        Activation::Clip { min, max } => (vec![number(min), number(max)], vec![]),
        _ => (vec![], vec![]),
    };
    builder.push(function.name(), weights, attributes)
}

fn only_operator(builder: Builder) -> Operator {
    let graph = import_bytes(&builder.bytes()).unwrap();
    assert_eq!(graph.nodes().len(), 2);
    graph.nodes()[1].operator().clone()
}

#[test]
fn parameters_have_the_defaults_of_onnx() {
    let image = Shape::image(2, 3, 3);
    let bare = |operator: &str| only_operator(builder(image).push(operator, vec![], vec![]));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    let matches = |operator: Operator, expected: Activation| match (operator, expected) {
        (Operator::Activation(found), expected) => match (found, expected) {
            (Activation::LeakyRelu { slope: a }, Activation::LeakyRelu { slope: b }) => near(a, b),
            (Activation::Elu { alpha: a }, Activation::Elu { alpha: b }) => near(a, b),
            (
                Activation::Selu { alpha: a, gamma: c }
                | Activation::HardSigmoid { alpha: a, beta: c },
                Activation::Selu { alpha: b, gamma: d }
                | Activation::HardSigmoid { alpha: b, beta: d },
            ) => near(a, b) && near(c, d),
            _ => false,
        },
        _ => false,
    };
    assert!(matches(bare("LeakyRelu"), Activation::LeakyRelu { slope: 0.01 }));
    assert!(matches(bare("Elu"), Activation::Elu { alpha: 1.0 }));
    assert!(matches(bare("Selu"), Activation::Selu { alpha: 1.673_263_2, gamma: 1.050_701 }));
    assert!(matches(bare("HardSigmoid"), Activation::HardSigmoid { alpha: 0.2, beta: 0.5 }));
}

#[test]
fn bounds_of_clip_may_be_attributes_or_left_out() {
    let image = Shape::image(2, 3, 3);
    let clip = |inputs: Vec<TensorProto>, attributes: Vec<AttributeProto>| match only_operator(
        builder(image).push("Clip", inputs, attributes),
    ) {
        Operator::Activation(function) => function,
        other => panic!("{other:?}"),
    };
    let largest = f64::from(f32::MAX);
    let cases = [
        (clip(vec![], vec![]), Activation::Clip { min: -largest, max: largest }),
        (clip(vec![], vec![float("min", -1.0)]), Activation::Clip { min: -1.0, max: largest }),
        (
            clip(vec![], vec![float("min", 0.0), float("max", 6.0)]),
            Activation::Clip { min: 0.0, max: 6.0 },
        ),
        (clip(vec![number(0.0)], vec![]), Activation::Relu),
        (
            clip(vec![number(f64::NEG_INFINITY), number(1.0)], vec![]),
            Activation::Clip { min: -largest, max: 1.0 },
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    // A bound left out before one that is not has an empty name.
    let mut upper = builder(image).push("Clip", vec![number(0.0), number(1.0)], vec![]);
    upper.graph.node[0].input[1].clear();
    let expected = Operator::Activation(Activation::Clip { min: -largest, max: 1.0 });
    assert_eq!(only_operator(upper), expected);
    let wrong = builder(image).push("Clip", vec![number(f64::NAN)], vec![]).error();
    assert!(wrong.to_string().contains("is not a number"), "{wrong}");
}

#[test]
fn what_cannot_be_run_is_refused() {
    let image = || builder(Shape::image(2, 5, 5));
    let pool = |more: Vec<AttributeProto>| {
        let mut attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
        attributes.extend(more);
        image().push("AveragePool", vec![], attributes)
    };
    let reduce = |axes: &[usize]| image().push("ReduceMean", vec![], vec![ints("axes", axes)]);
    let pads = |pads: &[i64]| image().push("Pad", vec![int64s(pads)], vec![]);
    let mut signed = vec![0; 8];
    signed[2] = -1;
    let softmax = image().push("Flatten", vec![], vec![]).push("Softmax", vec![], vec![]);
    let one_dimensional = Convolution::new(Array4::ones((1, 2, 3, 3)), Array1::zeros(1));
    let mut one_dimensional = image().convolution(&one_dimensional);
    one_dimensional.graph.initializer[0].dims = vec![1, 2, 9];
    let cases = [
        (
            pool(vec![
                ints("pads", &[0, 0, 1, 1]),
                int("ceil_mode", 1),
                int("count_include_pad", 1),
            ]),
            "",
        ),
        (pool(vec![ints("dilations", &[2, 2])]), "dilations = [2, 2]; supported: [1, 1]"),
        (pool(vec![int("storage_order", 0)]), "storage_order = (any value)"),
        (pool(vec![ints("pads", &[2, 0, 0, 0])]), "has pads [2, 0, 0, 0], which must be less"),
        (
            pool(vec![ints("pads", &[1, 0, 0, 0]), text("auto_pad", b"VALID")]),
            "pads = [1, 0, 0, 0]",
        ),
        (reduce(&[2]), "axes = [2]; supported: rows and columns"),
        (reduce(&[1, 2, 3]), "axes = [1, 2, 3]; supported: rows and columns"),
        (reduce(&[2, 7]), "axes = [2, 7]; supported: different ones of 4"),
        (image().push("ReduceMean", vec![], vec![]), "axes = (left out)"),
        (pads(&signed), "non-negative, and zero but for rows and columns"),
        (pads(&[0, 1, 0, 0, 0, 0, 0, 0]), "zero but for rows and columns"),
        (pads(&[0, 0, 1, 1]), "zero but for rows and columns"),
        (
            image().push("Pad", vec![int64s(&[0; 8]), number(1.0)], vec![]),
            "value = 1; supported: 0",
        ),
        (
            image().push("Pad", vec![int64s(&[0; 8])], vec![text("mode", b"reflect")]),
            "mode = reflect",
        ),
        (softmax.push("Relu", vec![], vec![]), "place = the middle of the model"),
        (image().push("Cast", vec![], vec![int("to", 7)]), "to = 7; supported: 1 or 11"),
        (image().push("Relu", vec![], vec![float("alpha", 1.0)]), "alpha = (any value)"),
        (image().push("PRelu", vec![floats(&[5], &[1.0; 5])], vec![]), "2 channels, is needed"),
        (
            image().push("MatMul", vec![floats(&[5, 2], &[1.0; 10])], vec![]),
            "put a Flatten before it",
        ),
        (image().push("Div", vec![number(0.0)], vec![]), "not finite"),
        (image().push("LeakyRelu", vec![], vec![float("alpha", f32::INFINITY)]), "not finite"),
        (one_dimensional, "four dimensions are needed"),
    ];
    for (builder, words) in cases {
        match (import_bytes(&builder.clone().bytes()), words) {
            // The last window of this one ends with the padding.
            (Ok(_), "") => {}
            (found, words) => {
                let message = found.unwrap_err().to_string();
                assert!(!words.is_empty() && message.contains(words), "{message}");
            }
        }
    }
    let partly =
        [ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[0, 0, 1, 1])];
    let more = [int("ceil_mode", 1), int("count_include_pad", 1)];
    let partly =
        builder(Shape::image(1, 5, 5)).push("AveragePool", vec![], [&partly[..], &more].concat());
    let message = partly.error().to_string();
    assert!(message.contains("ceil_mode = 1; supported: 0, where padding counts"), "{message}");
    let other = builder(Shape::image(1, 2, 3)).push("Relu", vec![], vec![]);
    let mut shapes = other.push("GlobalMaxPool", vec![], vec![]);
    let pooled = shapes.last.clone();
    shapes.node("Add", &["x", &pooled]);
    let message = shapes.error().to_string();
    assert!(
        message.contains("Sum reads values of one shape, but got 1x2x3 and 1x1x1"),
        "{message}"
    );
}
