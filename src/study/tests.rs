//! A whole study of a small network.

use super::*;
use crate::data::{LabelledImages, Split};
use crate::report::study::{MARKS, Machine, Report};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn options() -> Options {
    let rows = [
        "exact",
        "square-mean",
        "chebyshev-3",
        "chebyshev-7-max",
        "minimax-7-max",
        "square-minimax-4",
        "trained-square",
        "client-aided",
    ];
    Options {
        images: 24,
        samples: 24,
        traced: 8,
        encrypted: [0, 1],
        quick: true,
        rows: rows.map(str::to_owned).to_vec(),
        ..Options::default()
    }
}

fn source() -> Source {
    Source::ShippedDigits(root().join("models/digits"))
}

fn inputs(options: &Options) -> Inputs {
    Inputs::open(&root().join("models/lenet5.onnx"), &source(), options).unwrap()
}

fn study(inputs: &Inputs, options: &Options, folder: &Path, date: &str) -> (Study, usize) {
    let store = Store::open(folder).unwrap();
    let cells = AtomicUsize::new(0);
    let watch = |event: Event<'_>| {
        if let Event::Cell { .. } = event {
            cells.fetch_add(1, Ordering::Relaxed);
        }
    };
    let study = run(inputs, options, &store, &watch).unwrap();
    let machine = Machine { date: date.to_owned(), ..Machine::here(&options.costs) };
    let command = "bellerophon study".to_owned();
    let report =
        Report { study: &study, inputs, command, machine, data: "shipped digits".to_owned() };
    report.write(&store).unwrap();
    (study, cells.into_inner())
}

/// Every file of a report but cells and times; the marked place of the page is cut out.
fn report(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for part in ["", "plots"] {
        for entry in fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_file() && !name.starts_with("times.") {
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    let page = String::from_utf8(files["report.html"].clone()).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    files.insert("report.html".to_owned(), format!("{before}{after}").into_bytes());
    files
}

/// One study after the other in one test: cells take most of its time.
#[test]
fn a_study_is_reproducible_goes_on_and_says_what_is_so() {
    let folder = tempfile::tempdir().unwrap();
    let (options, first, second) = (options(), folder.path().join("a"), folder.path().join("b"));
    let inputs = inputs(&options);
    let (found, cells) = study(&inputs, &options, &first, "one day");
    assert_eq!(found.findings.len(), 14);
    check(&found, &inputs);

    // nothing is computed twice, and times alone tell two reports apart
    let before = report(&first);
    assert_eq!(study(&inputs, &options, &first, "another day").1, 0);
    assert!(report(&first) == before);
    assert!(before.len() >= 20, "{:?}", before.keys());

    // an interrupted study goes on: some cells are there, one is lost, all else is computed anew
    fs::create_dir_all(second.join("cells")).unwrap();
    fs::copy(first.join("STUDY"), second.join("STUDY")).unwrap();
    let mut kept = 0;
    for entry in fs::read_dir(first.join("cells")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let again = ["plain", "exact-fast", "square-", "trained-square."];
        if !again.iter().any(|start| name.starts_with(start)) {
            fs::copy(&path, second.join("cells").join(name)).unwrap();
            kept += 1;
        }
    }
    let (_, anew) = study(&inputs, &options, &second, "a third day");
    assert!(anew >= 5 && anew + kept == cells, "{anew} {kept} {cells}");
    let after = report(&second);
    for (name, content) in &before {
        assert!(after[name] == *content, "{name} differs");
    }
    let unknown = Options { rows: vec!["cubic".to_owned()], ..options.clone() };
    assert!(unknown.selected().unwrap_err().to_string().contains("cubic"));
    // another seed is another study, beside the first
    let other = Options { seed: 1, ..options.clone() };
    let keys = |options: &Options| keys(&rows()[1], &inputs, options, 0);
    assert_ne!(keys(&other), keys(&options));
}

fn check(study: &Study, inputs: &Inputs) {
    let find = |id: &str| study.findings.iter().find(|f| f.row.id() == id).unwrap();
    let count = inputs.images.len();
    for finding in &study.findings {
        let (id, cell) = (finding.row.id(), &finding.cell);
        assert!(cell.clear.len() == count || cell.refusal.is_some(), "{id}");
        assert!(cell.errors.rms.is_finite() && cell.errors.worst >= cell.errors.rms, "{id}");
        assert_eq!(cell.costs.is_none(), cell.refusal.is_some() || id == "plain", "{id}");
        for range in &cell.ranges {
            assert!(range.interval[0] < range.interval[1] && range.outside <= range.values, "{id}");
        }
    }
    let plain = &find("plain").cell;
    for id in ["exact-fast", "exact-balanced", "exact-precise"] {
        let cell = &find(id).cell;
        let same = statistics::Share::same(cell.simulated.as_ref().unwrap(), &plain.clear);
        assert!(same.count + 1 >= count, "{id}: {same:?}");
        assert_eq!((cell.layers.len(), cell.ranges.len()), (5, 4), "{id}");
        let costs = cell.costs.as_ref().unwrap();
        assert!(costs.bootstrappings == 6508 && costs.security >= 128, "{costs:?}");
        assert!(
            cell.layers.iter().all(|l| l.added > 0.0 && l.total < 0.5 * l.reference),
            "{cell:?}"
        );
        assert!(cell.layers[0].comparisons.unwrap().count > 0);
    }
    // polynomials are worse, and more so in every layer
    let square = &find("square-mean").cell;
    assert!(square.errors.rms > 10.0 * find("exact-precise").cell.errors.rms);
    assert_eq!(square.layers.len(), 5);
    assert!(find("square-minimax-4").cell.layers[0].comparisons.unwrap().count > 0);
    assert!(find("minimax-7-max").cell.refusal.as_ref().unwrap().contains("CKKS alone"));
    let mix = find("chebyshev-7-max").cell.costs.as_ref().unwrap();
    assert!(mix.slot_bootstrappings == 4 && mix.bootstrappings > 0, "{mix:?}");
    let aided = &find("client-aided").cell;
    assert_eq!(aided.simulated.as_ref().unwrap(), &plain.clear);
    assert!(aided.errors.rms > 0.0 && aided.errors.worst < 1e-3, "{:?}", aided.errors);
    let trained = find("trained-square");
    let encrypted = trained.encrypted.as_ref().unwrap();
    assert_eq!(encrypted.classes[..], trained.cell.clear[..1]);
    assert!(encrypted.times.images.len() == 1 && encrypted.errors.worst < 0.1, "{encrypted:?}");
}

#[test]
fn what_cannot_be_studied_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = options();
    let open = |model: &Path, source: &Source| Inputs::open(model, source, &options).unwrap_err();
    let missing = open(Path::new("models/none.onnx"), &source());
    assert!(matches!(missing, StudyError::Onnx(_)), "{missing}");
    // images of another size
    let large = LabelledImages::new(ndarray::Array3::zeros((3, 40, 40)), vec![1, 2, 3]).unwrap();
    for split in [Split::Train, Split::Test] {
        large.save(folder.path(), split).unwrap();
    }
    let data = Source::Data(folder.path().to_owned());
    let message = open(&root().join("models/lenet5.onnx"), &data).to_string();
    assert!(message.contains("40") && message.contains("32"), "{message}");
    // a model that compares nothing
    let trained = open(&root().join("models/lenet5_square.onnx"), &source());
    assert!(matches!(trained, StudyError::NoActivations), "{trained}");
    // a damaged cell stops the study before anything is computed, and nothing is lost
    let inputs = inputs(&options);
    let store = Store::open(folder.path().join("report")).unwrap();
    let row = &rows()[0];
    let [key, _] = keys(row, &inputs, &options, 0);
    store.save(&row.id(), &key, &Cell::default()).unwrap();
    let path = fs::read_dir(folder.path().join("report/cells")).unwrap().next().unwrap().unwrap();
    fs::write(path.path(), b"{").unwrap();
    let error = run(&inputs, &options, &store, &|_| ()).unwrap_err();
    assert!(matches!(error, StudyError::Corrupt { .. }), "{error}");
}

/// Every method, with the seed that a study has, over noise: the flat simulation and the step-by-step
/// one have errors of the same size.
#[test]
fn simulated_rows_have_the_errors_of_the_step_by_step_simulation() {
    let options = Options { images: 32, ..options() };
    let inputs = inputs(&options);
    let row = rows().into_iter().find(|row| row.id() == "exact-balanced").unwrap();
    let prepared = network::prepare(&row, &inputs, &options).unwrap();
    let Some(network::Network::Hybrid(hybrid)) = prepared.network else { panic!("no program") };
    let cell = evaluate::evaluate(&row, &inputs, &options, &|_| ()).unwrap();
    let noise = crate::run::simulated::NoiseModel::new(&hybrid.compiled.parameters).unwrap();
    let logits = inputs.images.iter().enumerate().map(|(index, image)| {
        let image: Vec<f64> = image.iter().copied().collect();
        let program = &hybrid.compiled.program;
        crate::run::simulated::simulate(program, &noise, &image, index as u64).unwrap()
    });
    let logits: Vec<Vec<f64>> = logits.collect();
    let pairs = logits.iter().zip(inputs.plain()).map(|(a, b)| (a.as_slice(), b.as_slice()));
    let expected = cell::LogitErrors::of(pairs);
    // 320 correlated logits: ten or so that are not
    let ratio = cell.errors.rms / expected.rms;
    assert!((0.6..1.6).contains(&ratio), "{ratio}");
}
