//! Agreement of LeNet5 under the noise model, over the MNIST test images, for a grid of settings.

use bellerophon::compile::{self, Preset, Settings};
use bellerophon::data::{LabelledImages, Split};
use bellerophon::model::{self, Calibration};
use bellerophon::run::simulated::{NoiseModel, simulate};
use bellerophon_bridge as bridge;
use bellerophon_schemes::security::SecurityLevel;
use ndarray::ArrayD;
use rayon::prelude::*;

fn argmax(v: &[f64]) -> usize {
    (0..v.len()).max_by(|&a, &b| v[a].total_cmp(&v[b])).unwrap()
}

fn main() {
    let data = std::env::args().nth(1).unwrap();
    let graph = compile::simplify(&model::onnx::import("models/lenet5.onnx").unwrap()).unwrap();
    let path = "models/lenet5.calibration.json";
    if !std::path::Path::new(path).exists() || std::env::args().any(|a| a == "--calibrate") {
        let train = LabelledImages::load(&data, Split::Train).unwrap();
        let calibration = model::calibrate(&graph, train.padded(32).unwrap()).unwrap();
        std::fs::write(path, serde_json::to_string_pretty(&calibration).unwrap() + "\n").unwrap();
    }
    let calibration: Calibration =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (id, node) in graph.iter() {
        println!("{} {:?} {:?}", node.name(), calibration.range(id), calibration.pool(id));
    }
    let test = LabelledImages::load(&data, Split::Test).unwrap();
    let images = test.padded(32).unwrap();
    let plain: Vec<usize> =
        images.par_iter().map(|i| argmax(graph.evaluate(i).unwrap().as_slice().unwrap())).collect();
    let correct = plain.iter().zip(test.labels()).filter(|(p, l)| **p == **l as usize).count();
    println!("plain {}", correct as f64 / 1e4);
    let mut grid: Vec<(String, Settings)> =
        Preset::ALL.iter().map(|p| (p.to_string(), p.settings())).collect();
    if std::env::args().any(|a| a == "--grid") {
        let base = Preset::Balanced.settings();
        for bits in [6, 7, 8, 9, 10] {
            grid.push((format!("bits {bits}"), Settings { weight_bits: bits, ..base.clone() }));
        }
        for m in [0.6, 0.7, 0.8, 1.0] {
            grid.push((format!("pool margin {m}"), Settings { pool_margin: m, ..base.clone() }));
        }
        for m in [0.9, 1.0, 1.05] {
            grid.push((
                format!("act margin {m}"),
                Settings { activation_margin: m, ..base.clone() },
            ));
        }
        for n in [640, 660, 680, 700, 720, 750, 780, 800] {
            for (name, b) in [
                ("1024/1024", [(2, 1024), (2, 1024)]),
                ("1024/2048", [(2, 1024), (1, 2048)]),
                ("512/1024", [(4, 512), (2, 1024)]),
                ("512/2048", [(4, 512), (1, 2048)]),
                ("2048/2048", [(1, 2048), (1, 2048)]),
            ] {
                let mut s = base.clone();
                s.parameters.lwe_dimension = n;
                for i in 0..2 {
                    s.parameters.bootstraps[i].glwe_dimension = b[i].0;
                    s.parameters.bootstraps[i].polynomial_size = b[i].1;
                }
                grid.push((format!("n {n} {name}"), s));
            }
        }
    }
    for (name, settings) in grid {
        run(&name, &graph, &calibration, &settings, &images, &plain, test.labels());
    }
}

fn run(
    name: &str,
    graph: &model::Graph,
    calibration: &Calibration,
    settings: &Settings,
    images: &[ArrayD<f64>],
    plain: &[usize],
    labels: &[u8],
) {
    let program = compile::compile(graph, calibration, settings).unwrap();
    let parameters =
        bridge::Parameters::new(settings.parameters.clone(), SecurityLevel::Bits128).unwrap();
    let noise = NoiseModel::new(&parameters).unwrap();
    let predicted: Vec<usize> = images
        .par_iter()
        .enumerate()
        .map(|(i, image)| {
            argmax(&simulate(&program, &noise, image.as_slice().unwrap(), i as u64).unwrap())
        })
        .collect();
    let agree = predicted.iter().zip(plain).filter(|(a, b)| a == b).count();
    let correct = predicted.iter().zip(labels).filter(|(p, l)| **p == **l as usize).count();
    println!(
        "{name}: pbs {} agree {:.2} accuracy {:.2} input noise 2^{:.2} 2^{:.2} output 2^{:.2} 2^{:.2}",
        program.bootstraps(),
        agree as f64 / 100.0,
        correct as f64 / 100.0,
        noise.table_input(0).log2(),
        noise.table_input(1).log2(),
        noise.table_output(0).log2(),
        noise.table_output(1).log2(),
    );
}
