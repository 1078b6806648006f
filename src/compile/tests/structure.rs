//! Stages, steps, and networks that are refused.

use super::*;
use crate::compile::calibrate::StageCalibration;

/// The layer at fault and the reason.
#[track_caller]
fn unsupported_layer(graph: &Graph) -> (String, String) {
    match Model::from_graph(graph.clone()) {
        Err(CompileError::Unsupported { layer, reason }) => (layer, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn layers_that_cannot_be_run_are_named() {
    let image = Shape::image(1, 8, 8);
    let pool =
        MeanPool { kernel: [3, 3], strides: [2, 2], pads: [1, 1, 0, 0], include_padding: false };
    let cases = [
        (vec![Operator::Flatten], "input", "no layer that computes anything"),
        (vec![Operator::MeanPool(pool)], "AveragePool0", "count_include_pad"),
        (
            vec![convolution(1, 1, 3), relu(), Operator::MeanPool(pool)],
            "AveragePool2",
            "out of the mean",
        ),
    ];
    for (operators, layer, reason) in cases {
        let found = unsupported_layer(&chain(image, operators).unwrap());
        assert_eq!(found.0, layer.replace("AveragePool", "MeanPool"), "{reason}");
        assert!(found.1.contains(reason), "{}", found.1);
        assert!(!found.1.contains('\n'));
    }
}

#[test]
fn layers_between_two_activations_are_one_stage() {
    let image = Shape::image(2, 9, 9);
    let stages = cut(
        image,
        vec![
            normalization(2),
            convolution(3, 2, 3),
            convolution(2, 3, 2),
            normalization(2),
            relu(),
            halving(),
            Operator::MeanPool(MeanPool::new([2, 2], [1, 1])),
            Operator::Flatten,
            last(4, 8),
            last(3, 4),
        ],
    );
    assert_eq!(stages, ["Convolution2 MaxPool5 Relu4", "Dense9"]);
}

#[test]
fn an_activation_may_stand_anywhere() {
    let image = Shape::image(1, 6, 6);
    assert_eq!(cut(image, vec![relu()]), ["input Relu0"]);
    assert_eq!(cut(image, vec![relu(), relu()]), ["input Relu0", "Relu0 Relu1"]);
    assert_eq!(cut(image, vec![halving(), relu()]), ["input MaxPool0 Relu1"]);
    assert_eq!(cut(image, vec![convolution(1, 1, 3), halving()]), ["Convolution0 MaxPool1"]);
    assert_eq!(cut(image, vec![halving(), halving()]), ["input MaxPool0 MaxPool1"]);
}

/// A convolution that pads what another made, or a layer behind a max-pool, needs a fresh value.
#[test]
fn a_table_of_the_identity_stands_where_layers_do_not_become_one() {
    let image = Shape::image(1, 8, 8);
    let padded =
        Operator::Convolution(Convolution { pads: [1; 4], ..tiny::convolution(1, 1, 3, 1) });
    let stages = cut(image, vec![convolution(1, 1, 3), padded]);
    assert_eq!(stages, ["Convolution0 Convolution0 (refresh)", "Convolution1"]);
    let stages = cut(image, vec![halving(), convolution(1, 1, 3)]);
    assert_eq!(stages, ["input MaxPool0 input (refresh)", "Convolution1"]);
}

#[test]
fn both_readers_of_a_value_get_it() {
    let mut graph = chain(Shape::Vector(3), vec![last(4, 3), relu(), last(2, 4)]).unwrap();
    let (first, output) = (graph.consumers()[0][0], graph.output());
    let side = graph.push("side", relu(), vec![first]).unwrap();
    let side = graph.push("last", last(2, 4), vec![side]).unwrap();
    graph.push("sum", Operator::Sum, vec![output, side]).unwrap();
    let model = Model::from_graph(graph).unwrap();
    assert_eq!(model.stages().len(), 3);
    assert_eq!(model.stages()[2].affine.terms.len(), 2);
}

/// What the output does not depend on is not computed.
#[test]
fn dead_ends_are_left_out() {
    let mut graph = chain(Shape::Vector(3), vec![last(4, 3), relu(), last(2, 4)]).unwrap();
    let (first, output) = (graph.consumers()[0][0], graph.output());
    graph.push("side", relu(), vec![first]).unwrap();
    graph.set_output(output).unwrap();
    assert_eq!(Model::from_graph(graph.clone()).unwrap().stages().len(), 2);
    graph.set_output(first).unwrap();
    let program = lowered(&graph).unwrap();
    assert_eq!((program.bootstraps(), program.output.len()), (0, 4));
}

/// Values in other dimensions, whichever comes first.
#[test]
fn sums_of_flattened_maps_and_vectors() {
    for swapped in [false, true] {
        let operators = vec![convolution(2, 1, 3), Operator::Flatten];
        let mut graph = chain(Shape::image(1, 5, 5), operators).unwrap();
        let flat = graph.output();
        let activated = graph.push("relu", relu(), vec![flat]).unwrap();
        let dense = graph.push("dense", last(18, 18), vec![flat]).unwrap();
        let inputs = match swapped {
            true => vec![activated, dense, flat],
            false => vec![flat, dense, activated],
        };
        graph.push("sum", Operator::Sum, inputs).unwrap();
        let model = tiny::model(&graph, 3).unwrap();
        let settings = Settings { weight_bits: 24, first_weight_bits: 24, ..tiny::settings(9) };
        let program = tiny::lowered(&model, &settings).unwrap();
        let image = tiny::image(graph.input_shape(), 0);
        let values: Vec<f64> = image.iter().copied().collect();
        let found = clear::evaluate(&program, &values).unwrap();
        for (found, expected) in found.iter().zip(&graph.evaluate(&image).unwrap()) {
            assert!((found - expected).abs() < 1e-3, "{found} for {expected}");
        }
    }
}

#[test]
fn bootstrappings_are_comparisons_and_activations() {
    let image = Shape::image(1, 8, 8);
    let operators = vec![
        convolution(2, 1, 3),
        normalization(2),
        relu(),
        halving(),
        Operator::Flatten,
        last(3, 18),
    ];
    let program = lowered(&chain(image, operators).unwrap()).unwrap();
    // two maps of 6x6: 3 columns of pairs in 6 rows, then 3x3, then the activation
    assert_eq!(program.bootstraps(), 2 * (18 + 9 + 9));
    // windows of 3x2, overlapping: one comparison across in 8 rows, two down
    let pool = Operator::MaxPool(MaxPool::new([3, 2], [1, 2]));
    let program = lowered(&chain(image, vec![pool]).unwrap()).unwrap();
    assert_eq!(program.bootstraps(), 4 * 8 + 2 * 4 * 6);
}

#[test]
fn the_calibration_of_another_network_is_refused() {
    let graph = chain(Shape::Vector(3), vec![last(4, 3), relu(), last(2, 4)]).unwrap();
    let model = tiny::model(&graph, 4).unwrap();
    let other = chain(Shape::Vector(3), vec![last(4, 3)]).unwrap();
    let wrong = tiny::calibration(&tiny::model(&other, 4).unwrap()).clone();
    let error = lower::lower(model.stages(), &wrong, &tiny::settings(9)).unwrap_err();
    assert!(matches!(error, CompileError::Calibration { expected: 2, found: 1 }), "{error:?}");
    assert!(error.to_string().contains("calibrate it"), "{error}");
    // as many stages, other pools
    let operators = vec![relu(), convolution(1, 1, 1), halving()];
    let pooled = chain(Shape::image(1, 4, 4), operators).unwrap();
    let wrong = tiny::calibration(&tiny::model(&pooled, 4).unwrap()).clone();
    assert_eq!(wrong.stages.len(), 2);
    let error = model.with_calibration(wrong).unwrap_err();
    assert!(matches!(error, CompileError::Calibration { .. }), "{error:?}");
}

#[test]
fn samples_that_cannot_be_used_are_refused() {
    let graph = chain(Shape::Vector(3), vec![last(4, 3), relu()]).unwrap();
    let calibrated = |samples: Vec<Array1<f64>>| {
        let samples = samples.into_iter().map(Array1::into_dyn);
        Model::from_graph(graph.clone()).unwrap().calibrate(samples).unwrap_err()
    };
    assert!(matches!(calibrated(vec![]), CompileError::NoSamples));
    let error = calibrated(vec![Array1::ones(3), Array1::ones(4)]);
    assert!(matches!(error, CompileError::Graph(GraphError::InputShape { .. })), "{error:?}");
    for value in [f64::NAN, f64::INFINITY] {
        let error = calibrated(vec![Array1::ones(3), Array1::from_elem(3, value)]);
        assert!(
            matches!(&error, CompileError::NotFinite { layer } if layer == "input"),
            "{error:?}"
        );
    }
}

/// Every range, against a plain evaluation of the pools' comparisons.
#[test]
fn calibration_holds_what_samples_reach() {
    let operators = vec![convolution(2, 1, 3), halving(), relu(), Operator::Flatten, last(3, 18)];
    let graph = chain(Shape::image(1, 8, 8), operators).unwrap();
    let model = tiny::model(&graph, 60).unwrap();
    let calibration = tiny::calibration(&model);
    assert_eq!((calibration.samples, calibration.margins.len()), (60, 60));
    assert!(calibration.margins.is_sorted());
    let mut power = 0.0;
    let (mut across, mut down) = (0f64, 0f64);
    let (mut low, mut high) = (f64::MAX, f64::MIN);
    for seed in 0..60 {
        let values = graph.values(&tiny::image(graph.input_shape(), seed)).unwrap();
        power += values[3].iter().map(|v| v * v).sum::<f64>() / 18.0 / 60.0;
        let at = |c: usize, i: usize, j: usize| values[1][(c * 6 + i) * 6 + j];
        for (c, i, j) in (0..2).flat_map(|c| (0..9).map(move |at| (c, at / 3, at % 3))) {
            let pairs = [0, 1].map(|row| [0, 1].map(|column| at(c, 2 * i + row, 2 * j + column)));
            pairs.iter().for_each(|[a, b]| across = across.max((a - b).abs()));
            let [a, b] = pairs.map(|[a, b]| a.max(b));
            down = down.max((a - b).abs());
            (low, high) = (low.min(a.max(b)), high.max(a.max(b)));
        }
    }
    let StageCalibration { pools, reading, result, result_power, .. } = &calibration.stages[0];
    assert_eq!(pools, &[vec![across, down]]);
    assert_eq!((reading.min, reading.max), (low, high));
    assert_eq!((result.min, result.max), (low.max(0.0), high.max(0.0)));
    assert!((result_power - power).abs() < 1e-12 * power);
    // noise on the output itself is what it is
    let last = &calibration.stages[1];
    assert!((last.output_gain - 1.0).abs() < 0.3, "{}", last.output_gain);
    assert!((0.8..4.0).contains(&last.margin_gain), "{}", last.margin_gain);
    let text = serde_json::to_string(calibration).unwrap();
    let read: Calibration = serde_json::from_str(&text).unwrap();
    read.check(model.stages()).unwrap();
    let [read, stage] = [&read, calibration].map(|c| &c.stages[0]);
    assert!((read.reading.max / stage.reading.max - 1.0).abs() < 1e-15);
}

/// Of a network with one output no image can change sides.
#[test]
fn a_single_output_always_agrees() {
    let graph = chain(Shape::Vector(3), vec![last(4, 3), relu(), last(1, 4)]).unwrap();
    let model = tiny::model(&graph, 4).unwrap();
    let text = serde_json::to_string(tiny::calibration(&model)).unwrap();
    let model = model.with_calibration(serde_json::from_str(&text).unwrap()).unwrap();
    let candidates = model.candidates(&Options::default()).unwrap();
    assert!(candidates.iter().all(|candidate| candidate.agreement == 1.0));
}

#[test]
fn what_does_not_fit_the_ring_is_refused() {
    // a row of 511 windows of 2 columns takes 512 coefficients, in two rows twice as many
    let wide = |rows: usize| {
        let weights = ndarray::Array4::ones((1, 1, rows, 2));
        let layer = Operator::Convolution(Convolution::new(weights, Array1::zeros(1)));
        lowered(&chain(Shape::image(1, 3, 512), vec![layer]).unwrap())
    };
    assert!(wide(1).is_ok());
    let error = wide(2).unwrap_err();
    let expected = matches!(error, CompileError::TooLarge { elements: 1024, dimension: 512 });
    assert!(expected, "{error:?}");
    assert!(error.to_string().contains("use a larger ring"));
}

#[test]
fn settings_out_of_range_are_refused() {
    let changed = |change: &dyn Fn(&mut Settings)| {
        let mut settings = tiny::settings(9);
        change(&mut settings);
        match tiny::lowered(&WORLD.model, &settings) {
            Err(CompileError::Setting { name, .. }) => Some(name),
            Ok(_) => None,
            other => panic!("{other:?}"),
        }
    };
    for bits in [0, 1, 25, u32::MAX] {
        assert_eq!(changed(&|s| s.weight_bits = bits), Some("weight bits"));
        assert_eq!(changed(&|s| s.first_weight_bits = bits), Some("first weight bits"));
    }
    for margin in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
        assert_eq!(changed(&|s| s.pool_margin = margin), Some("pool margin"));
        assert_eq!(changed(&|s| s.activation_margin = margin), Some("activation margin"));
    }
    assert_eq!(changed(&|s| s.shared_bits = 9), Some("shared bits"));
    assert_eq!(changed(&|s| s.pool_key = 2), Some("pool key"));
    assert_eq!(changed(&|s| s.activation_key = usize::MAX), Some("activation key"));
    for log_dimension in [0, 3, 17, 64, u32::MAX] {
        let found = changed(&|s| s.parameters.log_dimension = log_dimension);
        assert_eq!(found, Some("log2 of the ring dimension"));
    }
    assert_eq!(changed(&|s| (s.weight_bits, s.first_weight_bits) = (2, 24)), None);
}

#[test]
fn a_network_that_is_always_zero_is_refused() {
    let mut layer = dense(2, 3, 1);
    layer.weights.fill(0.0);
    layer.bias.fill(0.0);
    let graph = chain(Shape::Vector(3), vec![Operator::Dense(layer)]).unwrap();
    assert!(matches!(lowered(&graph), Err(CompileError::Setting { name: "range of a layer", .. })));
}

#[test]
fn a_pool_of_equal_values_stays_within_bounds() {
    let mut layer = tiny::convolution(1, 1, 3, 1);
    layer.weights.fill(0.0);
    layer.bias.fill(0.5);
    let operators = vec![Operator::Convolution(layer), halving()];
    let graph = chain(Shape::image(1, 6, 6), operators).unwrap();
    let model = tiny::model(&graph, 4).unwrap();
    assert_eq!(tiny::calibration(&model).stages[0].pools, [[0.0, 0.0]]);
    let program = tiny::lowered(&model, &tiny::settings(9)).unwrap();
    for step in &program.steps {
        assert!(step.amplitude.is_finite() && step.amplitude < 1e3, "{step:?}");
    }
    let image: Vec<f64> = tiny::image(graph.input_shape(), 1).into_iter().collect();
    let found = clear::evaluate(&program, &image).unwrap();
    assert!(found.iter().all(|value| (value - 0.5).abs() < 1e-6), "{found:?}");
}

#[test]
fn images_are_split_over_ciphertexts_by_channel() {
    let graph = chain(Shape::image(3, 14, 14), vec![convolution(2, 3, 5)]).unwrap();
    let program = lowered(&graph).unwrap();
    assert_eq!(program.input_ciphertexts(), 2); // two maps of 196 values in 512
    assert_eq!(program.input.len(), 588);
    let Operation::Linear(map) = &program.steps[0].operation else { panic!() };
    assert!(map.outputs.iter().all(|output| output.terms.len() == 2));
    assert_eq!(map.outputs[0].coefficients.len(), 100);
}

#[test]
fn programs_conform_to_the_parameters_they_were_made_for_alone() {
    let (program, parameters) = (&WORLD.program, &WORLD.parameters);
    assert_eq!(program.conforms(parameters), Ok(()));
    let other = program.conforms(&ELSEWHERE.parameters).unwrap_err();
    assert_eq!(other, "it was compiled for other parameters");
    let bytes = to_bytes(program).unwrap();
    assert_eq!(&from_bytes::<Program, _>(&bytes, 1 << 24, parameters).unwrap(), program);
    assert!(from_bytes::<Program, _>(&bytes, 1 << 24, &ELSEWHERE.parameters).is_err());
}

#[test]
fn programs_with_places_outside_the_ring_do_not_conform() {
    let outside = Place { ciphertext: 0, coefficient: 512 };
    let (mut read, mut written) = (WORLD.program.clone(), WORLD.program.clone());
    read.input[0].place = outside;
    written.output[0] = outside;
    for program in [read, written] {
        let reason = program.conforms(&WORLD.parameters).unwrap_err();
        assert!(reason.contains("outside the ring of dimension 512"), "{reason}");
    }
    let mut program = WORLD.program.clone();
    program.input[0].element = 64;
    assert_eq!(program.conforms(&WORLD.parameters), Err("element 64 does not exist".to_owned()));
}

#[test]
fn wider_ranges_only_change_amplitudes() {
    let operators = vec![last(4, 3), relu(), last(2, 4)];
    let graph = chain(Shape::Vector(3), operators).unwrap();
    let compiled = |samples: [f64; 2]| {
        let samples = samples.map(|value| Array1::from_elem(3, value).into_dyn());
        let model = Model::from_graph(graph.clone()).unwrap().calibrate(samples).unwrap();
        tiny::lowered(&model, &tiny::settings(9)).unwrap()
    };
    let (narrow, wide) = (compiled([0.0, 1.0]), compiled([0.0, 3.0]));
    assert!(wide.output_amplitude() < narrow.output_amplitude());
    assert_eq!(wide.bootstraps(), narrow.bootstraps());
    assert_eq!(wide.input, narrow.input);
}

/// The activations of every step, of one channel after the other.
#[test]
fn a_parametric_relu_has_a_table_for_each_channel() {
    let slopes = Array1::from_vec(vec![0.5, -0.25]);
    let layer = crate::model::ParametricRelu { slopes };
    let operators = vec![convolution(2, 1, 3), Operator::ParametricRelu(layer)];
    let program = lowered(&chain(Shape::image(1, 6, 6), operators).unwrap()).unwrap();
    let tables = program.steps.iter().find_map(|step| match &step.operation {
        Operation::Lut { tables, .. } => Some(tables),
        _ => None,
    });
    let found: Vec<_> = tables.unwrap().iter().map(|(n, t)| (*n, t.function.clone())).collect();
    assert_eq!(found, [(16, Function::leaky_relu(0.5)), (16, Function::leaky_relu(-0.25))]);
}

/// Reads of a graph that was built node by node stay what they are: the ids of its own nodes.
#[test]
fn stages_name_the_nodes_whose_values_they_hold() {
    let graph = tiny::graph();
    let model = Model::from_graph(graph).unwrap();
    let name = |id: NodeId| model.simplified().node(id).unwrap().name().to_owned();
    let nodes = |stage: &Stage| [stage.linear, stage.reading, stage.result].map(name);
    let found: Vec<[String; 3]> = model.stages().iter().map(nodes).collect();
    let expected = [
        ["Convolution0", "MaxPool2", "Relu1"],
        ["Dense4", "Dense4", "Relu5"],
        ["Dense6", "Dense6", "Dense6"],
    ];
    assert_eq!(found, expected);
    let smooth = vec![last(2, 3), Operator::Activation(Activation::Tanh)];
    let model = Model::from_graph(chain(Shape::Vector(3), smooth).unwrap()).unwrap();
    let functions = &model.stages()[0].activation.as_ref().unwrap().functions;
    assert_eq!(functions, &[Function::Activation(Activation::Tanh)]);
}

/// In slots a polynomial is evaluated over all phases: what is small beside its values outside the
/// range that is used would drown.
#[test]
fn polynomials_too_steep_outside_their_range_are_refused() {
    let compile = |coefficients: &[f64]| {
        let polynomial = crate::model::Polynomial { coefficients: coefficients.to_vec() };
        let first = crate::model::Dense {
            weights: ndarray::Array2::eye(4),
            bias: Array1::from_elem(4, 0.0),
        };
        let layers = vec![Operator::Dense(first), Operator::Polynomial(polynomial), last(2, 4)];
        let graph = chain(Shape::Vector(4), layers).unwrap();
        let samples: Vec<_> = (0..8)
            .map(|seed| tiny::image(graph.input_shape(), seed).mapv(|x| 0.8 + 0.2 * x))
            .collect();
        let schemes = "all=trained".parse().unwrap();
        let model = Model::from_graph(graph).unwrap().with_schemes(&schemes, &samples).unwrap();
        model.compile(&Options::default())
    };
    assert!(compile(&[0.0, 0.0, 1.0]).is_ok());
    // (1 - x)^7 for x from 0.8 to 1
    let error = compile(&[1.0, -7.0, 21.0, -35.0, 35.0, -21.0, 7.0, -1.0]).unwrap_err();
    let CompileError::Scheme { found, reason } = &error else { panic!("{error:?}") };
    assert_eq!(found, "a polynomial of degree 7");
    assert!(reason.contains("lower degree"), "{reason}");
}
