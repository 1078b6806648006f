//! What compiles to what, and what does not compile.

use super::*;
use crate::model::{
    BatchNormalization, Convolution, MaxPool, MeanPool, Operator, Polynomial, PoolRange, Range,
    Shape, calibrate, onnx,
};
use crate::run::clear;
use crate::tiny::{self, ELSEWHERE, WORLD, chain, dense, halving};
use bellerophon_schemes::wire::{Conformant, from_bytes, to_bytes};
use ndarray::Array1;

fn relu() -> Operator {
    Operator::RELU
}

fn convolution(outputs: usize, inputs: usize, size: usize) -> Operator {
    Operator::Convolution(tiny::convolution(outputs, inputs, size, 1))
}

fn normalization(channels: usize) -> Operator {
    let scale = Array1::from_elem(channels, 0.5);
    Operator::BatchNormalization(BatchNormalization { scale: scale.clone(), shift: scale })
}

fn last(outputs: usize, inputs: usize) -> Operator {
    Operator::Dense(dense(outputs, inputs, 2))
}

/// Compiles as it is, without the passes.
fn lowered(graph: &Graph) -> Result<Program, CompileError> {
    compile(graph, &tiny::calibration(graph, 4), &tiny::settings(9))
}

/// The layer at fault and the reason.
#[track_caller]
fn unsupported_layer(graph: &Graph) -> (String, String) {
    match lowered(graph) {
        Err(CompileError::Unsupported { layer, reason }) => (layer, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn layers_that_cannot_stand_where_they_are_are_named() {
    let image = Shape::image(1, 8, 8);
    let padded = Convolution { pads: [1, 0, 0, 0], ..tiny::convolution(1, 1, 3, 1) };
    let third = Operator::MaxPool(MaxPool { kernel: [3, 3], strides: [3, 3] });
    let overlapping = Operator::MaxPool(MaxPool { kernel: [2, 2], strides: [1, 1] });
    let square = Operator::Polynomial(Polynomial::square());
    let mean = Operator::MeanPool(MeanPool { kernel: [2, 2], strides: [2, 2] });
    let flat = Operator::Flatten;
    let cases = [
        (image, vec![relu()], "Relu0", "the first layer must be a convolution"),
        (image, vec![halving()], "MaxPool0", "the first layer must be a convolution"),
        (image, vec![normalization(1)], "BatchNormalization0", "the first layer must be"),
        (image, vec![flat.clone()], "input", "no linear layer"),
        (
            image,
            vec![convolution(1, 1, 3), relu(), normalization(1)],
            "BatchNormalization2",
            "BatchNormalization cannot stand here",
        ),
        (image, vec![convolution(1, 1, 3), relu(), relu()], "Relu2", "Relu cannot stand here"),
        (image, vec![convolution(1, 1, 3), third], "MaxPool1", "only 2x2 max-pools of stride 2"),
        (image, vec![convolution(1, 1, 3), overlapping], "MaxPool1", "only 2x2 max-pools"),
        (image, vec![convolution(1, 1, 3), relu(), halving()], "MaxPool2", "before the activation"),
        (image, vec![convolution(1, 1, 3), relu()], "Relu1", "must end with a linear layer"),
        (image, vec![convolution(1, 1, 3), square], "Polynomial1", "run it in CKKS alone"),
        (image, vec![convolution(1, 1, 3), mean], "MeanPool1", "run it in CKKS alone"),
        (
            image,
            vec![convolution(2, 1, 3), convolution(1, 2, 3)],
            "Convolution0",
            "an activation must follow",
        ),
        (
            image,
            vec![convolution(1, 1, 3), flat.clone(), last(2, 36)],
            "Convolution0",
            "an activation must follow",
        ),
        (image, vec![Operator::Convolution(padded)], "Convolution0", "padding is not supported"),
        (
            Shape::Vector(3),
            vec![last(1, 3), relu(), last(2, 1)],
            "Relu1",
            "a layer behind a single value",
        ),
    ];
    for (shape, operators, layer, reason) in cases {
        let found = unsupported_layer(&chain(shape, operators).unwrap());
        assert_eq!(found.0, layer, "{reason}");
        assert!(found.1.contains(reason), "{}", found.1);
        assert!(!found.1.contains('\n'));
    }
}

#[test]
fn branches_are_refused() {
    let mut graph = chain(Shape::Vector(3), vec![last(4, 3), relu(), last(2, 4)]).unwrap();
    let first = graph.consumers()[0][0];
    graph.push("side", relu(), vec![first]).unwrap();
    let branch = "only networks without branches are supported".to_owned();
    assert_eq!(unsupported_layer(&graph), ("side".to_owned(), branch.clone()));
    graph.set_output(first).unwrap();
    assert_eq!(unsupported_layer(&graph), ("Relu1".to_owned(), branch));
}

#[test]
fn the_passes_make_what_lowering_needs() {
    let operators = vec![
        convolution(2, 1, 3),
        normalization(2),
        relu(),
        halving(),
        Operator::Flatten,
        last(3, 18),
    ];
    let graph = chain(Shape::image(1, 8, 8), operators).unwrap();
    assert!(lowered(&graph).is_err());
    let simplified = simplify(&graph).unwrap();
    let program = lowered(&simplified).unwrap();
    // two maps of 6x6: 3 columns of pairs in 6 rows, then 3x3, then the activation
    assert_eq!(program.bootstraps(), 2 * (18 + 9 + 9));
}

#[test]
fn the_calibration_of_another_graph_is_refused() {
    let graph = chain(Shape::Vector(3), vec![last(4, 3), relu(), last(2, 4)]).unwrap();
    let shorter = chain(Shape::Vector(3), vec![last(4, 3), relu()]).unwrap();
    let wrong = tiny::calibration(&shorter, 4);
    assert_eq!(
        compile(&graph, &wrong, &tiny::settings(9)),
        Err(CompileError::Calibration { expected: 4, found: 3 })
    );
    let wrong = tiny::calibration(&WORLD.graph, 4);
    let error = compile(&graph, &wrong, &tiny::settings(9)).unwrap_err();
    assert!(error.to_string().contains("calibrate this graph"));
}

#[test]
fn what_does_not_fit_the_ring_is_refused() {
    let map = chain(Shape::image(1, 23, 23), vec![convolution(1, 1, 3)]).unwrap();
    assert_eq!(lowered(&map), Err(CompileError::TooLarge { elements: 529, dimension: 512 }));
    let vector = chain(Shape::Vector(513), vec![last(2, 513)]).unwrap();
    assert_eq!(lowered(&vector), Err(CompileError::TooLarge { elements: 513, dimension: 512 }));
    let hidden = vec![last(600, 4), relu(), last(2, 600)];
    let error = lowered(&chain(Shape::Vector(4), hidden).unwrap()).unwrap_err();
    assert_eq!(error, CompileError::TooLarge { elements: 600, dimension: 512 });
    assert!(error.to_string().contains("use a larger ring"));
    // a full ring still works
    let exact = chain(Shape::Vector(512), vec![last(2, 512)]).unwrap();
    assert!(lowered(&exact).is_ok());
}

#[test]
fn settings_out_of_range_are_refused() {
    let changed = |change: &dyn Fn(&mut Settings)| {
        let mut settings = tiny::settings(9);
        change(&mut settings);
        match compile(&WORLD.graph, &WORLD.calibration, &settings) {
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
    let calibration = tiny::calibration(&graph, 4);
    assert_eq!(calibration.pool(graph.output()), Some(PoolRange::default()));
    let program = compile(&graph, &calibration, &tiny::settings(9)).unwrap();
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

/// Each step reads its input at the amplitude at which it was written.
fn amplitudes_fit(program: &Program) {
    let mut written = vec![program.input_amplitude];
    for step in &program.steps {
        let inputs: Vec<f64> = step.inputs.iter().map(|register| written[register.0]).collect();
        let expected = match &step.operation {
            Operation::Linear(map) => inputs[0] * map.scale,
            Operation::ToLwe { .. } | Operation::ToCkks { .. } => inputs[0],
            Operation::Lut { table, .. } => {
                assert!((table.input / inputs[0] - 1.0).abs() < 1e-9, "{}", step.stage);
                table.output
            }
            Operation::Add => {
                assert!((inputs[0] / inputs[1] - 1.0).abs() < 1e-9, "{}", step.stage);
                2.0 * inputs[0] // the sum is twice the maximum
            }
        };
        assert!((step.amplitude / expected - 1.0).abs() < 1e-9, "{}", step.stage);
        assert_eq!(step.output, Register(written.len()));
        written.push(step.amplitude);
    }
}

fn lenet5() -> (Graph, Calibration) {
    let model = onnx::import_bytes(include_bytes!("../../models/lenet5.onnx")).unwrap();
    let text = include_str!("../../models/lenet5.calibration.json");
    (simplify(&model).unwrap(), serde_json::from_str(text).unwrap())
}

#[test]
fn lenet5_has_the_stages_and_bootstrappings_it_should() {
    let (graph, calibration) = lenet5();
    for preset in Preset::ALL {
        let program = compile(&graph, &calibration, &preset.settings()).unwrap();
        assert_eq!(program.bootstraps(), 6508, "{preset}");
        assert_eq!(program.input_ciphertexts(), 1);
        assert_eq!(program.output.len(), 10);
        let stages: Vec<(&str, usize, usize)> = program
            .steps
            .chunk_by(|a, b| a.stage == b.stage)
            .map(|steps| {
                let keys = 0..program.parameters.bootstraps.len();
                let count =
                    |step: &Step| keys.clone().map(|key| step.bootstraps(key)).sum::<usize>();
                (steps[0].stage.as_str(), steps.len(), steps.iter().map(count).sum())
            })
            .collect();
        // the stage, its steps, its bootstrappings
        let expected = [
            ("/conv1/Conv", 1, 0),
            ("/pool/MaxPool across", 6, 6 * 28 * 14),
            ("/pool/MaxPool down", 6, 6 * 14 * 14),
            ("/Relu", 3, 6 * 14 * 14),
            ("/conv2/Conv", 1, 0),
            ("/pool_1/MaxPool across", 6, 16 * 10 * 5),
            ("/pool_1/MaxPool down", 6, 16 * 5 * 5),
            ("/Relu_1", 3, 16 * 5 * 5),
            ("/fc1/Gemm", 1, 0),
            ("/Relu_2", 3, 120),
            ("/fc2/Gemm", 1, 0),
            ("/Relu_3", 3, 84),
            ("/fc3/Gemm", 1, 0),
        ];
        assert_eq!(stages, expected, "{preset}");
        amplitudes_fit(&program);
    }
    amplitudes_fit(&WORLD.program);
}

#[test]
fn lenet5_uses_each_table_key_where_its_settings_say() {
    let (graph, calibration) = lenet5();
    let settings = Preset::Balanced.settings();
    let program = compile(&graph, &calibration, &settings).unwrap();
    let pools = 2352 + 1176 + 800 + 400;
    let swapped = Settings {
        pool_key: settings.activation_key,
        activation_key: settings.pool_key,
        ..settings.clone()
    };
    for (program, settings) in
        [(program, settings), (compile(&graph, &calibration, &swapped).unwrap(), swapped.clone())]
    {
        assert_eq!(program.bootstraps_with(settings.pool_key), pools);
        assert_eq!(program.bootstraps_with(settings.activation_key), 6508 - pools);
    }
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
    read.input[0] = outside;
    written.output[0] = outside;
    for program in [read, written] {
        let reason = program.conforms(&WORLD.parameters).unwrap_err();
        assert!(reason.contains("outside the ring of dimension 512"), "{reason}");
    }
}

#[test]
fn zeros_that_packing_does_not_make_do_not_conform() {
    let mut program = WORLD.program.clone();
    let packing = program.steps.iter_mut().find_map(|step| match &mut step.operation {
        Operation::ToCkks { places, zeroed: true, .. } => Some(places),
        _ => None,
    });
    let places = packing.unwrap();
    let count = places.len();
    let dense = (0..count).map(|coefficient| Place { ciphertext: 0, coefficient }).collect();
    *places = dense; // side by side, told apart by their lowest bits
    let reason = program.conforms(&WORLD.parameters).unwrap_err();
    assert!(reason.contains("merges do not zero the other coefficients"), "{reason}");
    let packing = program.steps.iter_mut().find_map(|step| match &mut step.operation {
        Operation::ToCkks { places, zeroed: true, .. } => Some(places),
        _ => None,
    });
    packing.unwrap()[1] = Place { ciphertext: 0, coefficient: 0 };
    assert!(program.conforms(&WORLD.parameters).unwrap_err().contains("two samples"));
}

#[test]
fn ranges_beyond_the_samples_only_change_amplitudes() {
    let operators = vec![last(4, 3), relu(), last(2, 4)];
    let graph = chain(Shape::Vector(3), operators).unwrap();
    let narrow = tiny::calibration(&graph, 4);
    let wide = calibrate(&graph, [0.0, 3.0].map(|v| Array1::from_elem(3, v).into_dyn())).unwrap();
    let compiled = |ranges| compile(&graph, ranges, &tiny::settings(9)).unwrap();
    let (narrow_program, wide_program) = (compiled(&narrow), compiled(&wide));
    let id = graph.output();
    let magnitude = |c: &Calibration| c.range(id).map(|range: Range| range.magnitude());
    assert!(magnitude(&wide) > magnitude(&narrow));
    assert!(wide_program.output_amplitude() < narrow_program.output_amplitude());
    assert_eq!(wide_program.bootstraps(), narrow_program.bootstraps());
    assert_eq!(wide_program.input, narrow_program.input);
}
