//! The shipped LeNet5.

use super::*;
use crate::model::onnx;

fn model() -> Model {
    let graph = onnx::import_bytes(include_bytes!("../../../models/lenet5.onnx")).unwrap();
    let text = include_str!("../../../models/lenet5.calibration.json");
    let calibration = serde_json::from_str(text).unwrap();
    Model::from_graph(graph).unwrap().with_calibration(calibration).unwrap()
}

/// Each step reads its input at the amplitude at which it was written.
fn amplitudes_fit(program: &Program) {
    let mut written = vec![program.input_amplitude];
    for step in &program.steps {
        let inputs: Vec<f64> = step.inputs.iter().map(|register| written[register.0]).collect();
        let expected = match &step.operation {
            // its integer weights are the real ones times the ratio
            Operation::Linear(_) => step.amplitude,
            Operation::ToLwe { .. } | Operation::ToCkks { .. } => inputs[0],
            Operation::Lut { tables, .. } => {
                for (_, table) in tables {
                    assert!((table.input / inputs[0] - 1.0).abs() < 1e-9, "{}", step.stage);
                    assert_eq!(table.output, tables[0].1.output);
                }
                tables[0].1.output
            }
            _ => step.amplitude,
        };
        assert!((step.amplitude / expected - 1.0).abs() < 1e-9, "{}", step.stage);
        assert_eq!(step.output, Register(written.len()));
        written.push(step.amplitude);
    }
}

#[test]
fn it_has_the_stages_and_bootstrappings_it_should() {
    let model = model();
    for preset in Preset::ALL {
        let program = tiny::lowered(&model, &preset.settings()).unwrap();
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
fn it_uses_each_table_key_where_its_settings_say() {
    let model = model();
    let settings = Preset::Balanced.settings();
    let pools = 2352 + 1176 + 800 + 400;
    let swapped = Settings {
        pool_key: settings.activation_key,
        activation_key: settings.pool_key,
        ..settings.clone()
    };
    for settings in [settings, swapped] {
        let program = tiny::lowered(&model, &settings).unwrap();
        assert_eq!(program.bootstraps_with(settings.pool_key), pools);
        assert_eq!(program.bootstraps_with(settings.activation_key), 6508 - pools);
    }
}

/// The selection is never slower than the sets that were found by hand, at the same agreement or at the
/// target of the preset.
#[test]
fn selected_parameters_are_no_slower_than_those_found_by_hand() {
    let (model, options) = (model(), Options::default());
    let candidates = model.candidates(&options).unwrap();
    for preset in Preset::ALL {
        let by_hand = model.compile_with(&preset.settings(), &options).unwrap();
        let seconds: f64 = by_hand.seconds.iter().sum();
        let target = Target::Agreement(by_hand.agreement);
        let selected = parameters::select(&candidates, target).unwrap();
        let compiled = model.compile_with(&selected.settings, &options).unwrap();
        let selected: f64 = compiled.seconds.iter().sum();
        println!("{preset}: {seconds:.2} s by hand, {selected:.2} s selected");
        assert!(selected <= seconds * 1.001, "{preset}: {selected} s, by hand {seconds} s");
        let options = Options { target: preset.target(), ..options.clone() };
        let compiled = model.compile(&options).unwrap();
        assert_eq!(compiled.program.bootstraps(), 6508);
        let target: f64 = compiled.seconds.iter().sum();
        assert!(target <= seconds * 1.001, "{preset}: {target} s, by hand {seconds} s");
    }
}
