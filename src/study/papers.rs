//! What two papers report, to stand beside what is measured here; theirs, on their hardware.

use serde::Serialize;

/// One figure of a paper.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Which paper: see [`PAPERS`].
    pub paper: usize,
    /// The number of the table.
    pub table: u32,
    /// What it is of.
    pub of: &'static str,
    /// What was measured.
    pub what: &'static str,
    /// What they report, as they write it.
    pub value: &'static str,
    /// Bits of security, where they say.
    pub security: Option<u32>,
}

/// A paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Paper {
    /// Authors and title.
    pub title: &'static str,
    /// What they measured on.
    pub hardware: &'static str,
    /// What they did.
    pub setting: &'static str,
}

/// The papers.
pub const PAPERS: [Paper; 2] = [
    Paper {
        title: "Soler Castaneda, Nam, Joo, Paek: A Study of Using CKKS Homomorphic Encryption over the \
                Layers of a Convolutional Neural Network Model (2022)",
        hardware: "Intel Core i7-9750H and NVIDIA GTX 1650",
        setting: "LeNet5 on MNIST; convolutions encrypted (SEAL through Pyfhel), weights too; activations \
                  and pooling in the clear",
    },
    Paper {
        title: "Gomez, Ibarrondo, Wilhelm, Marquez, Duverger: Security for Distributed Machine Learning \
                based Software (2019)",
        hardware: "NVIDIA DGX-1 (model encryption, decryption) and Jetson TX2 (processing)",
        setting: "the classifier behind a CNN's convolutions, weights encrypted (BGV, SEAL); x^2 + 2x in place of its activations",
    },
];

const fn first(table: u32, of: &'static str, what: &'static str, value: &'static str) -> Figure {
    Figure { paper: 0, table, of, what, value, security: None }
}

const fn second(
    table: u32,
    of: &'static str,
    what: &'static str,
    values: [&'static str; 3],
) -> [Figure; 3] {
    [
        Figure { paper: 1, table, of, what, value: values[0], security: Some(128) },
        Figure { paper: 1, table, of, what, value: values[1], security: Some(192) },
        Figure { paper: 1, table, of, what, value: values[2], security: Some(256) },
    ]
}

const FULL: &str = "full classifier, x^2 + 2x";
const BARE: &str = "full classifier, no activation";
const LAST: &str = "last layer";
const TIME: &str = "seconds";
const MEMORY: &str = "memory, MB";
const SIZE: &str = "model size";
const BUDGET: &str = "noise budget left, bits";

const FIRST: [Figure; 8] = [
    first(1, "LeNet5, in the clear", "accuracy", "98 %"),
    first(1, "LeNet5, convolutions in CKKS", "accuracy", "95 %"),
    first(1, "LeNet5, in the clear", TIME, "9"),
    first(1, "LeNet5, convolutions in CKKS", TIME, "420"),
    first(2, "nGraph-HE, MNIST", "accuracy encrypted (in the clear)", "96.9 % (99 %)"),
    first(2, "nGraph-HE, CIFAR-10", "accuracy encrypted (in the clear)", "62.2 % (89 %)"),
    first(2, "CHET, MNIST", "accuracy encrypted (in the clear)", "98.5 % (99 %)"),
    first(2, "CHET, CIFAR-10", "accuracy encrypted (in the clear)", "81.5 % (90 %)"),
];

const SECOND: [[Figure; 3]; 33] = [
    second(2, FULL, TIME, ["256.7", "191.5", "212.6"]),
    second(2, FULL, SIZE, ["11G", "6.4G", "11G"]),
    second(2, FULL, MEMORY, ["2257.9", "1112.4", "2389.5"]),
    second(2, BARE, TIME, ["86.9", "78.0", "96.0"]),
    second(2, BARE, SIZE, ["2.5G", "4.4G", "2.5G"]),
    second(2, BARE, MEMORY, ["557.9", "459.2", "566.1"]),
    second(2, LAST, TIME, ["3.4", "3.4", "7.3"]),
    second(2, LAST, SIZE, ["79Mb", "79Mb", "158Mb"]),
    second(2, LAST, MEMORY, ["300.6", "301.4", "324.2"]),
    second(3, FULL, TIME, ["287.2", "174.6", "1221.3"]),
    second(3, FULL, MEMORY, ["4683.1", "2924.3", "4899.2"]),
    second(3, FULL, BUDGET, ["221.6", "80.2", "88.8"]),
    second(3, BARE, TIME, ["43.7", "32.9", "90.2"]),
    second(3, BARE, MEMORY, ["1162.5", "869.2", "2342.3"]),
    second(3, BARE, BUDGET, ["91.4", "23.8", "16.2"]),
    second(3, LAST, TIME, ["2.1", "2.1", "4.5"]),
    second(3, LAST, MEMORY, ["53.9", "54.0", "117.7"]),
    second(3, LAST, BUDGET, ["58.8", "20.2", "60.2"]),
    second(4, FULL, TIME, ["2902.6", "1048.6", "5627"]),
    second(4, FULL, MEMORY, ["5047.8", "5809", "4906"]),
    second(4, FULL, BUDGET, ["206.0", "65.0", "76.0"]),
    second(4, BARE, TIME, ["367.1", "272.2", "835.9"]),
    second(4, BARE, MEMORY, ["2314.8", "1733.7", "4644.5"]),
    second(4, BARE, BUDGET, ["79.0", "11.0", "3.0"]),
    second(4, LAST, TIME, ["19.2", "19.2", "40.2"]),
    second(4, LAST, MEMORY, ["119.5", "118.5", "253"]),
    second(4, LAST, BUDGET, ["45.0", "10.0", "52.0"]),
    second(5, FULL, TIME, ["2.9", "1.7", "3.2"]),
    second(5, FULL, MEMORY, ["963.8", "397.4", "2062.5"]),
    second(5, BARE, TIME, ["0.6", "0.6", "1.0"]),
    second(5, BARE, MEMORY, ["123.4", "73.4", "267.1"]),
    second(5, LAST, TIME, ["0.2", "0.1", "0.2"]),
    second(5, LAST, MEMORY, ["17.8", "17.8", "38.7"]),
];

/// All figures: tables 1 and 2 of the first paper, 2 to 5 of the second (of the model's encryption, of
/// processing on plain and on encrypted input, and of decryption).
#[must_use]
pub fn figures() -> Vec<Figure> {
    FIRST.into_iter().chain(SECOND.into_iter().flatten()).collect()
}
