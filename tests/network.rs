//! The shipped network and the images that the tests run it on.

use bellerophon::compile::{Compiled, Model, Options, Preset};
use bellerophon::data::{LabelledImages, Split};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shipped LeNet5 with its ranges.
pub struct Network {
    pub model: Model,
}

impl Network {
    pub fn load() -> Self {
        let text = std::fs::read_to_string(root().join("models/lenet5.calibration.json")).unwrap();
        let model = Model::from_onnx(root().join("models/lenet5.onnx")).unwrap();
        let calibration = serde_json::from_str(&text).unwrap();
        Self { model: model.with_calibration(calibration).unwrap() }
    }

    pub fn compiled(&self, preset: Preset) -> Compiled {
        let options = Options { target: preset.target(), ..Options::default() };
        self.model.compile(&options).unwrap()
    }

    pub fn logits(&self, image: &ArrayD<f64>) -> Vec<f64> {
        self.model.graph().evaluate(image).unwrap().into_iter().collect()
    }
}

pub fn digits() -> LabelledImages {
    LabelledImages::load(root().join("models/digits"), Split::Digits).unwrap()
}

/// The folder with MNIST, where the environment names one.
pub fn mnist_folder(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BELLEROPHON_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED {test}: set BELLEROPHON_DATA to a folder with the MNIST IDX files");
    }
    folder
}

/// The 10,000 test images of MNIST.
pub fn mnist(test: &str) -> Option<LabelledImages> {
    mnist_folder(test).map(|folder| LabelledImages::load(folder, Split::Test).unwrap())
}

pub fn largest(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}
