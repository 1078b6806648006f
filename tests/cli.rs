//! The command line program on the shipped MLP and digits: every command, as text and as JSON, and
//! what it refuses: exit code 2, one line on stderr, nothing on stdout, nothing written.

use crate::network::root;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use tempfile::TempDir;

fn digits() -> String {
    root().join("models/digits").display().to_string()
}

fn model(name: &str) -> String {
    root().join("models").join(name).display().to_string()
}

/// Runs in `folder`, where costs are looked for as well.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellerophon"));
    command.current_dir(folder).env("XDG_CACHE_HOME", folder.join("cache"));
    command.env("HOME", folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The one JSON document that a command prints.
#[track_caller]
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let all = [arguments, &["--json"]].concat();
    serde_json::from_str(&succeed(folder, &all)).unwrap()
}

/// Every file under `folder`, with its content.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => all.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let before = contents(folder);
    let output = run(folder, arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    let lines: Vec<&str> = message.lines().filter(|line| !line.starts_with("warning: ")).collect();
    assert_eq!(lines.len(), 1, "{arguments:?}: {message}");
    assert!(lines[0].starts_with("error: "), "{message}");
    for word in words {
        assert!(lines[0].contains(word), "{word:?} is not in: {message}");
    }
    assert!(output.stdout.is_empty(), "{arguments:?} went on to {:?}", text(&output.stdout));
    assert!(contents(folder) == before, "{arguments:?} wrote something");
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A `.npy` file of a type.
fn npy(path: &Path, kind: &str, shape: &str, data: &[u8]) {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

/// Programs, keys and messages that several tests read; nothing writes here later.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = folder();
        let at = folder.path();
        let (mlp, digits) = (model("mlp.onnx"), digits());
        let compile = |target: &[&str], out: &str| {
            let images = ["--calibration", &digits, "--split", "digits", "--out", out];
            succeed(at, &[&["compile", &mlp], target, &images].concat());
        };
        compile(&[], "mlp.program");
        compile(&["--max-error", "1"], "precise.program");
        for name in ["own", "other"] {
            let (secret, evaluation) = (format!("{name}.secret"), format!("{name}.evaluation"));
            let files = ["--secret", &secret, "--evaluation", &evaluation];
            succeed(at, &[&["keygen", "--program", "mlp.program"], &files[..]].concat());
        }
        encrypt(at, "own.secret", 3, "image.input");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder with copies of these files.
    fn copy(&self, names: &[&str]) -> TempDir {
        let copy = folder();
        for name in names {
            fs::copy(self.path().join(name), copy.path().join(name)).unwrap();
        }
        copy
    }
}

static FILES: LazyLock<Files> = LazyLock::new(Files::new);

fn encrypt(folder: &Path, secret: &str, index: usize, out: &str) -> String {
    let (digits, index) = (digits(), index.to_string());
    let image = ["--image", &digits, "--split", "digits", "--index", &index, "--out", out];
    let keys = ["encrypt", "--program", "mlp.program", "--secret", secret];
    succeed(folder, &[&keys[..], &image].concat())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn sum(stages: &Value, key: &str) -> f64 {
    stages.as_array().unwrap().iter().map(|stage| stage[key].as_f64().unwrap()).sum()
}

/// The same but for the last digits of numbers, which JSON may cost.
#[track_caller]
fn assert_near(found: &Value, expected: &Value) {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len());
            found.iter().zip(expected).for_each(|(found, expected)| assert_near(found, expected));
        }
        (Value::Object(found), Value::Object(expected)) => {
            assert!(found.keys().eq(expected.keys()), "{found:?}, {expected:?}");
            found.values().zip(expected.values()).for_each(|(a, b)| assert_near(a, b));
        }
        (Value::Number(found), Value::Number(expected)) => {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found}, {expected}");
        }
        _ => assert_eq!(found, expected),
    }
}

#[test]
fn inspect_lists_nodes_and_stages() {
    let folder = folder();
    let lenet5 = model("lenet5.onnx");
    let found = json(folder.path(), &["inspect", &lenet5]);
    let graph = bellerophon::model::onnx::import(&lenet5).unwrap();
    assert_eq!(found["parameters"], graph.parameter_count());
    assert_eq!((&found["input"], &found["output"]), (&[1, 32, 32].into(), &[10].into()));
    assert_eq!(sum(&found["nodes"], "parameters"), graph.parameter_count() as f64);
    assert_eq!(found["nodes"].as_array().unwrap().len(), graph.nodes().len());
    let stages = found["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 5);
    assert_eq!(stages[0]["form"], Value::from([6, 28, 28]));
    assert_eq!(stages[0]["pooled"], Value::from([6, 14, 14]));
    assert_eq!(stages[0]["comparisons"], 2);
    let shown = succeed(folder.path(), &["inspect", &lenet5]);
    for node in found["nodes"].as_array().unwrap() {
        assert!(shown.contains(node["name"].as_str().unwrap()), "{shown}");
    }
}

#[test]
fn plan_adds_up_and_a_saved_calibration_plans_the_same() {
    let folder = folder();
    let (lenet5, digits) = (model("lenet5.onnx"), digits());
    let images = ["plan", &lenet5, "--calibration", &digits, "--split", "digits", "--count", "20"];
    let save = ["--save-calibration", "ranges.json", "--curve"];
    let plan = json(folder.path(), &[&images[..], &save].concat());
    assert_eq!(plan["calibration_images"], 20);
    assert_eq!(plan["input_bits"], 8);
    assert_eq!(plan["parameters"]["security_bits"], 132);
    let (stages, forecast) = (&plan["stages"], &plan["forecast"]);
    assert_eq!(sum(stages, "bootstrappings"), forecast["bootstrappings"].as_f64().unwrap());
    let (seconds, total) = (sum(stages, "seconds"), forecast["seconds"].as_f64().unwrap());
    assert!((seconds - total).abs() < 1e-9 * total, "{seconds} {total}");
    for stage in stages.as_array().unwrap() {
        assert!(stage["margin"].as_f64().unwrap() > 1.0, "{stage}");
        assert!((0.0..1.0).contains(&stage["overflow_probability"].as_f64().unwrap()), "{stage}");
        assert!((1e-6..0.1).contains(&stage["relative_noise"].as_f64().unwrap()), "{stage}");
    }
    let curve = plan["curve"].as_array().unwrap();
    assert!(curve.len() > 10);
    let ordered = |key: &str| curve.iter().map(|point| point[key].as_f64().unwrap()).collect();
    let seconds: Vec<f64> = ordered("seconds");
    assert!(seconds.is_sorted(), "{seconds:?}");
    let agreement: Vec<f64> = ordered("agreement");
    assert!(agreement.last() > agreement.first(), "{agreement:?}");

    let saved = ["plan", &lenet5, "--calibration", "ranges.json", "--curve"];
    assert_near(&json(folder.path(), &saved), &plan);
    let shown = succeed(folder.path(), &saved);
    assert!(shown.contains("at least 132 bits") && shown.contains("overflow"), "{shown}");
    assert!(shown.contains(&format!("{} points", curve.len())), "{shown}");
}

#[test]
fn targets_select_different_parameters() {
    let folder = folder();
    let (mlp, digits) = (model("mlp.onnx"), digits());
    let plan = |target: &[&str]| {
        let images = ["plan", &mlp, "--calibration", &digits, "--split", "digits"];
        json(folder.path(), &[&images[..], target].concat())
    };
    let deviation = |plan: &Value| plan["deviation"].as_f64().unwrap();
    let loose = plan(&["--max-error", "3"]);
    let tight = plan(&["--max-error", "1"]);
    assert!(4.0 * deviation(&loose) <= 3.0 && 4.0 * deviation(&tight) <= 1.0);
    let seconds = |plan: &Value| plan["forecast"]["seconds"].as_f64().unwrap();
    assert!(seconds(&loose) < seconds(&tight));
    assert!(plan(&["--agreement", "99"])["agreement"].as_f64().unwrap() >= 0.99);
    let conservative = plan(&["--conservative"]);
    assert_eq!(conservative["parameters"]["assumptions"], "Conservative");
    assert_eq!(conservative["parameters"]["lwe_dimension"], 1024);
    assert_eq!(plan(&["--input-bits", "4"])["weight_bits"][0], 8);
}

#[test]
fn costs_are_read_from_the_cache() {
    let folder = folder();
    let mlp = model("mlp.onnx");
    let plan = || {
        let output = run(folder.path(), &["plan", &mlp, "--json", "--threads", "1"]);
        assert_eq!(output.status.code(), Some(0));
        let plan: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        (plan["forecast"].clone(), text(&output.stderr))
    };
    let (default, _) = plan();
    let cache = folder.path().join("cache/bellerophon");
    fs::create_dir_all(&cache).unwrap();
    let mut costs = serde_json::to_value(bellerophon::compile::Costs::default()).unwrap();
    costs["machine"] = "a slow one".into();
    for cost in costs["bootstraps"].as_array_mut().unwrap() {
        cost[1] = (100.0 * cost[1].as_f64().unwrap()).into();
    }
    fs::write(cache.join("costs.json"), costs.to_string()).unwrap();
    let (slow, _) = plan();
    assert_eq!(slow["machine"], "a slow one");
    assert!(slow["seconds"].as_f64() > Some(20.0 * default["seconds"].as_f64().unwrap()));
    fs::write(cache.join("costs.json"), "{}").unwrap();
    let (again, warning) = plan();
    assert_eq!(again, default);
    assert!(
        warning.contains("holds no costs") && warning.contains("bellerophon tune"),
        "{warning}"
    );
}

#[test]
fn programs_are_shown_and_compared() {
    let at = FILES.path();
    let shown = json(at, &["show", "mlp.program"]);
    let lines = shown["lines"].as_array().unwrap();
    assert_eq!((&shown["input_elements"], &shown["outputs"]), (&784.into(), &10.into()));
    for part in ["parameters", "linear(r0)", "to_lwe(r1)", "look_up(", "Relu", "to_ckks("] {
        assert!(lines.iter().any(|line| line.as_str().unwrap().contains(part)), "{part}");
    }
    let printed = succeed(at, &["show", "mlp.program"]);
    assert!(lines.iter().all(|line| printed.contains(line.as_str().unwrap())));

    assert!(succeed(at, &["diff", "mlp.program", "mlp.program"]).contains("the same"));
    let output = run(at, &["diff", "mlp.program", "precise.program", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let difference: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert_eq!(difference["same"], false);
    let other = json(at, &["show", "precise.program"]);
    let lines = |shown: &Value| shown["lines"].as_array().unwrap().clone();
    for line in difference["lines"].as_array().unwrap() {
        let (sign, line) = line.as_str().unwrap().split_at(2);
        let (with, without) = if sign == "- " { (&shown, &other) } else { (&other, &shown) };
        assert!(lines(with).contains(&line.into()) && !lines(without).contains(&line.into()));
    }
}

#[test]
fn simulation_is_reproducible_and_agrees() {
    let (at, digits, mlp) = (FILES.path(), digits(), model("mlp.onnx"));
    let images = ["simulate", "mlp.program", "--data", &digits, "--split", "digits"];
    let simulate = |more: &[&str]| json(at, &[&images[..], more].concat());
    let with_model = simulate(&["--count", "50", "--model", &mlp]);
    assert_eq!(with_model["reference"], "plain model");
    for key in ["accuracy", "reference_accuracy", "agreement"] {
        assert_eq!(with_model[key]["of"], 50);
        assert!(with_model[key]["count"].as_u64().unwrap() >= 49, "{key}: {with_model}");
    }
    let predictions = with_model["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 50);
    let first = simulate(&["--count", "10"]);
    assert_eq!(first["reference"], "program without noise");
    assert_eq!(&first["predictions"].as_array().unwrap()[..], &predictions[..10]);
    let deviation = |simulation: &Value| simulation["errors"]["deviation"].as_f64().unwrap();
    assert!(deviation(&first) > 0.0);
    assert_eq!(deviation(&first), deviation(&simulate(&["--count", "10"])));
    assert_ne!(deviation(&first), deviation(&simulate(&["--count", "10", "--seed", "5"])));
    let shifted = simulate(&["--count", "5", "--first", "5"]);
    assert_eq!(&shifted["predictions"].as_array().unwrap()[..], &predictions[5..10]);
}

#[test]
fn polynomials_take_the_place_of_named_activations() {
    let folder = folder();
    let (at, mlp, digits) = (folder.path(), model("mlp.onnx"), digits());
    let images = ["--calibration", &digits, "--split", "digits"];
    let schemes = ["--activation", "/3/Gemm=least-squares:4"];
    let plan = json(at, &[&["plan", &mlp], &images[..], &schemes].concat());
    let stages = plan["stages"].as_array().unwrap();
    let found: Vec<&Value> = stages.iter().map(|stage| &stage["scheme"]).collect();
    assert_eq!(found, ["CKKS, TFHE", "CKKS, slots", "CKKS"]);
    assert_eq!(
        (&stages[0]["bootstrappings"], &stages[1]["bootstrappings"]),
        (&128.into(), &0.into())
    );
    let (seconds, total) = (sum(&plan["stages"], "seconds"), &plan["forecast"]["seconds"]);
    assert!((seconds - total.as_f64().unwrap()).abs() < 1e-9 * seconds);

    let compile = ["compile", &mlp, "--out", "mixed.program"];
    succeed(at, &[&compile[..], &images, &schemes].concat());
    let shown = succeed(at, &["show", "mixed.program"]);
    assert!(shown.contains("slots(r5): degree 4") && shown.contains("extract("), "{shown}");
    let images = ["--data", &digits, "--split", "digits", "--count", "40", "--model", &mlp];
    let simulation = json(at, &[&["simulate", "mixed.program"], &images[..]].concat());
    assert!(simulation["agreement"]["count"].as_u64().unwrap() >= 36, "{simulation}");
    assert_eq!(simulation["overflows"].as_array().unwrap().len(), 2);

    let keygen = ["keygen", "--program", "mixed.program", "--secret", "s", "--evaluation", "e"];
    refused(at, &keygen, &["polynomials in slots", "--slots"]);
    let unknown = ["--activation", "conv9=exact", "--calibration", &digits, "--split", "digits"];
    refused(at, &[&["plan", &mlp], &unknown[..]].concat(), &["conv9", "/1/Gemm"]);
    fs::write(at.join("saved.json"), "{}").unwrap();
    let saved = ["plan", &mlp, "--activation", "all=exact", "--calibration", "saved.json"];
    refused(at, &saved, &["--activation", "images"]);
}

/// Images far brighter than those that were calibrated with.
#[test]
fn values_beyond_their_range_are_counted_and_warned_of() {
    let folder = FILES.copy(&["mlp.program"]);
    let bright = (0..2 * 784).map(|i| (i % 256) as f32 / 10.0);
    let bright: Vec<u8> = bright.flat_map(f32::to_le_bytes).collect();
    npy(&folder.path().join("bright.npy"), "<f4", "2, 784", &bright);
    let arguments = ["simulate", "mlp.program", "--data", "bright.npy", "--count", "2", "--json"];
    let output = run(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let simulation: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert_eq!(simulation["overflows"][0]["images"], 2);
    let clipped = simulation["clipped"].as_u64().unwrap();
    assert_eq!(text(&output.stderr).contains("look clipped"), clipped > 0);
}

#[test]
fn separate_steps_over_files_read_the_digit() {
    let folder = FILES.copy(&["mlp.program", "own.secret", "own.evaluation", "image.input"]);
    let at = folder.path();
    let keys = ["eval", "--program", "mlp.program", "--keys", "own.evaluation"];
    let found = json(at, &[&keys[..], &["--input", "image.input", "--out", "result"]].concat());
    assert_eq!(found["bootstrappings"], 192);
    let secret = ["decrypt", "--program", "mlp.program", "--secret", "own.secret"];
    let decrypt = |input| [&secret[..], &["--input", input]].concat();
    let results = json(at, &decrypt("result"));
    assert_eq!(results["prediction"], 3);
    let plain = plain(3);
    for (found, exact) in numbers(&results["values"]).iter().zip(&plain) {
        assert!((found - exact).abs() < 5.0, "{found} for {exact}");
    }
    assert_eq!(plain.len(), 10);
    assert!(succeed(at, &decrypt("result")).contains("prediction 3"));

    // under another key
    let other = ["decrypt", "--program", "mlp.program", "--secret", "other.secret"];
    fs::copy(FILES.path().join("other.secret"), at.join("other.secret")).unwrap();
    refused(at, &[&other[..], &["--input", "result"]].concat(), &["result", "under key"]);
    refused(at, &decrypt("image.input"), &["image.input", "encrypted output"]);
}

/// The plain model's results for a digit.
fn plain(index: usize) -> Vec<f64> {
    let digits = crate::network::digits().slice(index, 1).unwrap();
    let image = digits.padded(28).unwrap().remove(0);
    let model = bellerophon::model::onnx::import(model("mlp.onnx")).unwrap();
    model.evaluate(&image).unwrap().into_iter().collect()
}

#[cfg(unix)]
#[test]
fn secrets_are_for_their_owner_alone_and_are_not_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let secret = FILES.path().join("own.secret");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::metadata(&secret).unwrap().len() < 1024);
    let folder = FILES.copy(&["mlp.program", "own.secret"]);
    let keys = ["keygen", "--program", "mlp.program", "--secret", "own.secret"];
    let arguments = [&keys[..], &["--evaluation", "new"]].concat();
    refused(folder.path(), &arguments, &["own.secret exists", "not replaced"]);
    let arguments = [&keys[..], &["--evaluation", "own.secret"]].concat();
    refused(folder.path(), &arguments, &["to the same file"]);
}

#[test]
fn run_goes_from_keys_to_results() {
    let (at, digits, mlp) = (FILES.path(), digits(), model("mlp.onnx"));
    let images = ["--data", &digits, "--split", "digits", "--first", "7", "--count", "2"];
    let arguments = [&["run", "mlp.program", "--model", &mlp, "--json"], &images[..]].concat();
    let output = run(at, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let before = text(&output.stderr);
    assert!(before.contains("forecast: ") && before.contains("image 7: labelled 7"), "{before}");
    assert_eq!(report["agreement"], serde_json::json!({"count": 2, "of": 2}));
    assert_eq!(report["accuracy"], serde_json::json!({"count": 2, "of": 2}));
    let images = report["images"].as_array().unwrap();
    assert_eq!((&images[0]["index"], &images[1]["prediction"]), (&7.into(), &8.into()));
    let exact = plain(7);
    for (found, exact) in numbers(&images[0]["reference_values"]).iter().zip(&exact) {
        assert!((found - exact).abs() < 1e-9);
    }
    let layers = sum(&report["layers"], "seconds");
    assert!(layers > 0.0 && layers <= report["seconds"].as_f64().unwrap());
    assert!(report["key_bytes"].as_u64() > report["key_file_bytes"].as_u64());
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let folder = folder();
    let at = folder.path();
    let commands = ["inspect", "plan", "compile", "show", "diff", "simulate", "run"];
    let others = ["keygen", "encrypt", "eval", "decrypt", "tune", "owner", "edge"];
    let help = succeed(at, &["--help"]);
    let man = succeed(at, &["man"]);
    for command in commands.into_iter().chain(others) {
        for shell in ["bash", "zsh", "fish"] {
            assert!(succeed(at, &["completions", shell]).contains(command), "{shell} {command}");
        }
        assert!(man.contains(command) && help.contains(command), "{command}");
        let page = json(at, &["man", command]);
        assert!(page["roff"].as_str().unwrap().starts_with(".ie"), "{page}");
    }
    for page in [["owner", "keygen"], ["owner", "decrypt"], ["edge", "serve"], ["edge", "token"]] {
        assert!(succeed(at, &[&["man"], &page[..]].concat()).contains("SYNOPSIS"), "{page:?}");
    }
    refused(at, &["man", "fly"], &["no command fly"]);
    refused(at, &["man", "owner", "fly"], &["no command fly"]);
    refused(at, &["completions", "abacus"], &["abacus"]);
    assert!(succeed(at, &["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn command_lines_that_mean_nothing() {
    let folder = folder();
    let mlp = model("mlp.onnx");
    let refused = |arguments: &[&str], words: &[&str]| refused(folder.path(), arguments, words);
    refused(&[], &["no command"]);
    refused(&["fly"], &["fly"]);
    refused(&["inspect"], &["MODEL"]);
    refused(&["inspect", &mlp, "--threads", "0"], &["--threads 0", "at least 1"]);
    let plan = |more: &[&'static str], words: &[&str]| {
        refused(&[&["plan", &mlp], more].concat(), words);
    };
    plan(&["--preset", "quick"], &["quick", "use fast, balanced or precise"]);
    plan(&["--security", "100"], &["100", "use 128"]);
    plan(&["--security", "192"], &["192 bits", "no TFHE noise curve", "use 128"]);
    plan(&["--security", "256"], &["256 bits", "no TFHE noise curve", "use 128"]);
    plan(&["--activation", "all=exact"], &["--calibration"]);
    plan(&["--activation", "all=cube", "--calibration", "x"], &["cube", "exact"]);
    plan(&["--activation", "exact", "--calibration", "x"], &["exact", "NAME=SCHEME"]);
    plan(&["--agreement", "101"], &["101", "at most 100"]);
    plan(&["--agreement", "99", "--max-error", "1"], &["--agreement", "--max-error"]);
    plan(&["--preset", "fast", "--agreement", "99"], &["--preset", "--agreement"]);
    plan(&["--max-error", "-1"], &["-1"]);
    plan(&["--max-error", "NaN"], &["NaN", "above 0"]);
    plan(&["--input-bits", "64"], &["64"]);
    plan(&["--count", "5"], &["--calibration"]);
    refused(&["compile", &mlp], &["--out"]);
}

#[test]
fn targets_out_of_reach_say_what_binds() {
    let folder = folder();
    let (mlp, digits) = (model("mlp.onnx"), digits());
    for command in [&["plan", &mlp][..], &["compile", &mlp, "--out", "x.program"]] {
        let images = ["--calibration", &digits, "--split", "digits", "--max-error", "0.0001"];
        let words = ["no parameters reach the target", "0.0001", "the most precise", "what binds"];
        refused(folder.path(), &[command, &images].concat(), &words);
    }
}

#[test]
fn files_that_are_missing_or_something_else() {
    let folder = FILES.copy(&["mlp.program", "own.secret", "own.evaluation", "image.input"]);
    let (at, mlp, digits) = (folder.path(), model("mlp.onnx"), digits());
    fs::write(at.join("text"), "no such thing, ".repeat(10)).unwrap();
    fs::write(at.join("text.json"), "{}").unwrap();
    let refused = |arguments: &[&str], words: &[&str]| refused(at, arguments, words);
    refused(&["inspect", "none.onnx"], &["none.onnx"]);
    refused(&["inspect", "text"], &["ONNX"]);
    refused(&["plan", &mlp, "--calibration", "none"], &["no file or folder", "none"]);
    refused(&["plan", &mlp, "--calibration", "text"], &["text", "no images"]);
    refused(&["plan", &mlp, "--calibration", "text.json"], &["text.json", "no saved calibration"]);
    refused(&["plan", &mlp, "--calibration", "none.json"], &["no calibration file none.json"]);
    refused(&["show", "none"], &["there is no program file none"]);
    refused(&["show", "text"], &["text", "no Bellerophon program", "BLRN"]);
    refused(&["show", "own.evaluation"], &["own.evaluation", "expected a program"]);
    refused(&["show", "."], &["cannot read the program file"]);
    refused(&["diff", "mlp.program", "none"], &["there is no program file none"]);
    let images = ["--data", &digits, "--split", "digits", "--count", "1"];
    refused(&[&["simulate", "text"], &images[..]].concat(), &["text", "no Bellerophon program"]);
    refused(&[&["run", "none"], &images[..]].concat(), &["there is no program file none"]);
    let decrypt = ["decrypt", "--program", "mlp.program", "--input", "image.input", "--secret"];
    refused(&[&decrypt[..], &["none"]].concat(), &["there is no secret key file none"]);
    refused(&[&decrypt[..], &["own.evaluation"]].concat(), &["own.evaluation", "secret key"]);
    let eval = ["eval", "--program", "mlp.program", "--out", "new"];
    let keys = |keys, input| [&eval[..], &["--keys", keys, "--input", input]].concat();
    let slots = [&keys("own.evaluation", "image.input")[..], &["--slots", "text"]].concat();
    refused(&slots, &["no polynomials in slots"]);
    refused(&keys("own.secret", "image.input"), &["own.secret", "evaluation key set"]);
    refused(&keys("own.evaluation", "text"), &["text", "encrypted input"]);
    refused(&keys("none", "image.input"), &["there is no evaluation key file none"]);
    refused(&keys("own.evaluation", "none"), &["there is no encrypted input file none"]);
}

/// The version is the fifth and sixth byte of a file.
#[test]
fn files_of_another_version_or_damaged() {
    let folder = FILES.copy(&["mlp.program", "own.secret", "image.input"]);
    let at = folder.path();
    let altered = |name: &str, byte: usize, out: &str| {
        let mut bytes = fs::read(at.join(name)).unwrap();
        bytes[byte] ^= 0x10;
        fs::write(at.join(out), bytes).unwrap();
    };
    altered("mlp.program", 4, "version");
    refused(
        at,
        &["show", "version"],
        &["version: the program has format version", "reads version"],
    );
    altered("mlp.program", 5000, "damaged");
    refused(at, &["show", "damaged"], &["damaged: the program was altered or damaged"]);
    altered("own.secret", 60, "secret");
    let decrypt = ["decrypt", "--program", "mlp.program", "--input", "image.input"];
    let arguments = [&decrypt[..], &["--secret", "secret"]].concat();
    refused(at, &arguments, &["secret: the secret key set was altered"]);
    let whole = fs::read(at.join("mlp.program")).unwrap();
    fs::write(at.join("cut"), &whole[..whole.len() / 2]).unwrap();
    refused(at, &["show", "cut"], &["cut: truncated program"]);
}

#[test]
fn keys_and_messages_that_do_not_fit() {
    let names = ["mlp.program", "precise.program", "own.secret", "own.evaluation", "image.input"];
    let folder = FILES.copy(&[&names[..], &["other.evaluation"]].concat());
    let (at, digits) = (folder.path(), digits());
    let eval = |program, keys| {
        ["eval", "--program", program, "--keys", keys, "--input", "image.input", "--out", "new"]
    };
    let words = ["own.evaluation", "does not fit the parameters"];
    refused(at, &eval("precise.program", "own.evaluation"), &words);
    refused(at, &eval("mlp.program", "other.evaluation"), &["image.input", "under key"]);
    let image = ["--image", &digits, "--split", "digits", "--out", "new"];
    let encrypt = ["encrypt", "--program", "precise.program", "--secret", "own.secret"];
    let words = ["own.secret", "other parameters"];
    refused(at, &[&encrypt[..], &image].concat(), &words);
}

#[test]
fn images_and_calibrations_of_another_shape() {
    let folder = FILES.copy(&["mlp.program", "own.secret"]);
    let at = folder.path();
    npy(&at.join("wide.npy"), "|u1", "2, 1, 28, 40", &[7; 2 * 28 * 40]);
    npy(&at.join("deep.npy"), "|u1", "2, 3, 28, 28", &[7; 2 * 3 * 28 * 28]);
    let (mlp, lenet5, digits) = (model("mlp.onnx"), model("lenet5.onnx"), digits());
    for name in ["wide.npy", "deep.npy"] {
        let calibrate = ["plan", &mlp, "--calibration", name];
        refused(at, &calibrate, &["1x28x28"]);
        let simulate = ["simulate", "mlp.program", "--data", name, "--count", "1"];
        refused(at, &simulate, &["784 values", "does not fit"]);
        refused(at, &[&simulate[..], &["--model", &mlp]].concat(), &["1x28x28"]);
        let encrypt = ["encrypt", "--program", "mlp.program", "--secret", "own.secret"];
        let arguments = [&encrypt[..], &["--image", name, "--out", "new"]].concat();
        refused(at, &arguments, &["784 values", "does not fit"]);
    }
    let images = ["--data", &digits, "--split", "digits"];
    let simulate = [&["simulate", "mlp.program", "--count", "1"], &images[..]].concat();
    refused(
        at,
        &[&simulate[..], &["--model", &lenet5]].concat(),
        &["1024", "784", "another model"],
    );
    let simulate = [&["simulate", "mlp.program", "--count", "1000"], &images[..]].concat();
    refused(at, &simulate, &["100"]);
    let save = ["--calibration", &digits, "--split", "digits", "--save-calibration", "mlp.json"];
    succeed(at, &[&["plan", &mlp], &save[..]].concat());
    refused(at, &["plan", &lenet5, "--calibration", "mlp.json"], &["calibration is of 3 stages"]);
}

#[test]
fn results_that_could_not_be_written() {
    let folder = FILES.copy(&["mlp.program", "own.secret", "own.evaluation", "image.input"]);
    let (at, mlp, digits) = (folder.path(), model("mlp.onnx"), digits());
    fs::create_dir(at.join("folder")).unwrap();
    for (out, words) in
        [("none/x", ["none", "does not exist"]), ("folder", ["folder", "name a file"])]
    {
        let refused = |arguments: &[&str]| refused(at, arguments, &words);
        refused(&["compile", &mlp, "--out", out]);
        let images = ["--calibration", &digits, "--split", "digits"];
        refused(&[&["plan", &mlp, "--save-calibration", out], &images[..]].concat());
        let keygen = ["keygen", "--program", "mlp.program"];
        refused(&[&keygen[..], &["--secret", out, "--evaluation", "e"]].concat());
        refused(&[&keygen[..], &["--secret", "s", "--evaluation", out]].concat());
        let program = ["--program", "mlp.program", "--out", out];
        let image = ["--secret", "own.secret", "--image", &digits, "--split", "digits"];
        refused(&[&["encrypt"], &program[..], &image].concat());
        let input = ["--keys", "own.evaluation", "--input", "image.input"];
        refused(&[&["eval"], &program[..], &input].concat());
        refused(&["tune", "--out", out]);
    }
}

/// A row in processes of its own, with figures for each role and the published ones beside them.
#[test]
fn protected_networks_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["bench", "protected", "--size", "cifar10", "--part", "last-layer", "--repeats", "1"];
    let found = json(folder.path(), &arguments);
    let rows = found["rows"].as_array().unwrap();
    let security: Vec<u64> = rows.iter().map(|row| row["security"].as_u64().unwrap()).collect();
    assert_eq!(security, [128, 192, 256]);
    for row in rows {
        assert_eq!(row["trained"], false);
        assert!(row["published"]["encrypted"].is_array());
        for role in ["protect", "encrypt", "clear", "encrypted", "decrypt"] {
            assert!(row[role]["seconds"].as_f64().unwrap() > 0.0, "{role}");
        }
        assert!(row["encrypted"]["precision"].as_f64().unwrap() > 10.0, "{row}");
    }
    let text = succeed(folder.path(), &[&arguments[..], &["--precision", "10"]].concat());
    for words in ["Table 2", "Table 3", "Table 4", "Table 5", "CIFAR-10, last layer"] {
        assert!(text.contains(words), "{words}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let refused_model = model("mlp.onnx");
    refused(
        folder.path(),
        &["bench", "protected", "--model", &refused_model],
        &["no classifier of two dense layers", "train_cifar10_cnn.py"],
    );
}
