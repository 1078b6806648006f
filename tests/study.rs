//! The command lines `study` and `data`: what they write, and what they refuse.

use crate::network::{mnist_folder, root};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bellerophon")).args(arguments).output().unwrap()
}

fn model(name: &str) -> String {
    root().join("models").join(name).to_string_lossy().into_owned()
}

#[track_caller]
fn refused(arguments: &[&str], words: &[&str]) {
    let output = run(arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty());
    let last = message.lines().last().unwrap();
    assert!(last.starts_with("error: "), "{message}");
    for word in words {
        assert!(last.contains(word), "{word:?} is not in: {message}");
    }
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}

#[test]
fn a_study_writes_its_files_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (model("lenet5.onnx"), path(folder.path(), "report"));
    let study = ["study", "--quick", "--images", "16", "--samples", "16", "--encrypted", "0"];
    let rows = ["--rows", "square-mean", "--seed", "7", "--json"];
    let all = [&study[..], &["--model", &model, "--out", &out], &rows[..]].concat();
    let output = run(&all);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert!(message.contains("2 cells to compute") && message.contains("ship with"), "{message}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["groups"].as_array().unwrap().len(), 2);
    for name in ["report.html", "table.md", "study.csv", "study.json", "layers.csv", "times.csv"] {
        assert!(folder.path().join("report").join(name).is_file(), "{name}");
    }
    let study: Value =
        serde_json::from_slice(&fs::read(path(folder.path(), "report/study.json")).unwrap())
            .unwrap();
    assert_eq!((&study["images"], &study["seed"]), (&16.into(), &7.into()));
    let rows = study["rows"].as_array().unwrap();
    assert_eq!(rows[1]["classes_clear"].as_array().unwrap().len(), 16);
    let command = study["command"].as_str().unwrap();
    assert!(command.contains("--rows square-mean") && command.contains("--seed 7"), "{command}");
    // the plots are pictures of their size
    let png = fs::read(path(folder.path(), "report/plots/accuracy-time.png")).unwrap();
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    assert_eq!((reader.info().width, reader.info().height), (1800, 1040));
    // a second run has nothing to compute
    let again = run(&all);
    assert!(String::from_utf8_lossy(&again.stderr).contains("0 cells to compute"));
}

#[test]
fn studies_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (lenet5, out) = (model("lenet5.onnx"), path(folder.path(), "report"));
    let study = |more: &[&str], words: &[&str]| {
        refused(&[&["study", "--quick", "--out", &out][..], more].concat(), words);
        assert!(!folder.path().join("report").exists());
    };
    study(&["--model", &model("lenet5_square.onnx")], &["no activation"]);
    study(&["--model", &lenet5, "--rows", "exact,cubic"], &["cubic", "chebyshev-7"]);
    study(&["--model", &lenet5, "--data", "nowhere"], &["nowhere"]);
    study(&["--model", "none.onnx"], &["none.onnx"]);
    let notes = path(folder.path(), "notes");
    fs::create_dir(&notes).unwrap();
    fs::write(path(folder.path(), "notes/thesis.tex"), "x").unwrap();
    refused(&["study", "--model", &lenet5, "--out", &notes], &["not empty", "no study"]);
    assert_eq!(fs::read_dir(&notes).unwrap().count(), 1);
}

#[test]
fn a_mirror_that_is_down_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mirror = format!("http://{down}");
    let out = path(folder.path(), "mnist");
    let download = ["data", "mnist", "--out", &out, "--mirror", &mirror, "--only"];
    refused(&download, &["train-images", &mirror, "same command"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn files_of_mnist_that_are_there_are_not_downloaded() {
    let Some(data) = mnist_folder("files_of_mnist_that_are_there_are_not_downloaded") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(data).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let out = folder.path().to_string_lossy().into_owned();
    let output = run(&["data", "mnist", "--out", &out, "--mirror", "http://127.0.0.1:9", "--only"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 4);
}
