//! Flat programs against the step-by-step backends.

use super::*;
use crate::compile::Schemes;
use crate::model::Graph;
use crate::polynomial::{self, Activation, PolynomialNetwork, Pooling, Replacement, Settings};
use crate::run::clear;
use crate::run::simulated::{NoiseModel, simulate};
use crate::tiny::{self, WORLD};
use bellerophon_schemes::ckks::Parameters;
use bellerophon_schemes::security::SecurityLevel;

/// Simulated runs from which a spread is taken.
const RUNS: u64 = 1600;

fn refs(images: &[Vec<f64>]) -> Vec<&[f64]> {
    images.iter().map(Vec::as_slice).collect()
}

fn images(count: u64) -> Vec<Vec<f64>> {
    (0..count).map(|seed| WORLD.image(seed)).collect()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * (1.0 + expected.abs()),
            "{found} {expected}"
        );
    }
}

/// The standard deviation of every result.
fn spread(runs: &[Vec<f64>]) -> Vec<f64> {
    let count = runs.len() as f64;
    let deviation = |index: usize| {
        let mean = runs.iter().map(|run| run[index]).sum::<f64>() / count;
        (runs.iter().map(|run| (run[index] - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
    };
    (0..runs[0].len()).map(deviation).collect()
}

/// A measured standard deviation errs by `1 / sqrt(2 n)`: the two may differ by five times that of
/// their ratio.
fn assert_same_spread(found: &[Vec<f64>], expected: &[Vec<f64>]) {
    let tolerance = 5.0 / (RUNS as f64).sqrt();
    for (found, expected) in spread(found).iter().zip(spread(expected)) {
        assert!((found / expected - 1.0).abs() < tolerance, "{found} {expected}");
    }
}

/// All runs of one image, eight at a time.
fn flat_runs(flat: &Flat, image: &[f64]) -> Vec<Vec<f64>> {
    let seeds: Vec<u64> = (0..RUNS).collect();
    let batch = |seeds: &[u64]| {
        let images = vec![image; seeds.len()];
        flat.results(&flat.simulate(&images, seeds, &|_| true))
    };
    seeds.chunks(LANES).flat_map(batch).collect()
}

#[test]
fn hybrid_programs_have_the_results_of_the_clear_backend() {
    let noise = NoiseModel::new(&WORLD.parameters).unwrap();
    let flat = Flat::of_program(&WORLD.program, &noise).unwrap();
    assert!(flat.operations() > 0);
    let images = images(5);
    let found = flat.results(&flat.run(&refs(&images)));
    for (image, found) in images.iter().zip(&found) {
        assert_near(found, &clear::evaluate(&WORLD.program, image).unwrap(), 1e-12);
    }
}

#[test]
fn hybrid_programs_have_the_noise_of_the_simulated_backend() {
    let noise = NoiseModel::new(&WORLD.parameters).unwrap();
    let flat = Flat::of_program(&WORLD.program, &noise).unwrap();
    let image = WORLD.image(3);
    let expected: Vec<Vec<f64>> =
        (0..RUNS).map(|seed| simulate(&WORLD.program, &noise, &image, seed).unwrap()).collect();
    let found = flat_runs(&flat, &image);
    assert_same_spread(&found, &expected);
    let again = flat_runs(&flat, &image);
    assert_eq!(found, again);
    // a lane's noise is that of its seed, whoever runs beside it
    let alone = flat.results(&flat.simulate(&[&image], &[9], &|_| true));
    assert_eq!(alone[0], found[9]);
    let silent = flat.results(&flat.simulate(&[&image], &[9], &|_| false));
    assert_eq!(silent, flat.results(&flat.run(&[&image])));
}

#[test]
fn polynomials_in_slots_are_followed_too() {
    let graph = tiny::graph();
    let schemes: Schemes = "all=least-squares:4".parse().unwrap();
    let samples: Vec<_> = (0..8).map(|seed| tiny::image(graph.input_shape(), seed)).collect();
    let model = tiny::model(&graph, 4).unwrap().with_schemes(&schemes, &samples).unwrap();
    let compiled = model.compile(&crate::compile::Options::default()).unwrap();
    let noise = NoiseModel::new(&compiled.parameters).unwrap();
    let flat = Flat::of_program(&compiled.program, &noise).unwrap();
    let images = images(3);
    let found = flat.results(&flat.run(&refs(&images)));
    for (image, found) in images.iter().zip(&found) {
        assert_near(found, &clear::evaluate(&compiled.program, image).unwrap(), 1e-12);
    }
}

struct InSlots {
    program: polynomial::Program,
    noise: polynomial::simulated::NoiseModel,
    flat: Flat,
}

impl InSlots {
    fn new(activation: Activation, pooling: Pooling) -> Self {
        let graph: Graph = tiny::graph();
        let samples: Vec<_> = (0..16).map(|seed| tiny::image(graph.input_shape(), seed)).collect();
        let replacement = Replacement { activation, pooling, margin: 1.2 };
        let network = PolynomialNetwork::new(&graph, &replacement, &samples).unwrap();
        let program = polynomial::compile(&network, &Settings::default(), &samples).unwrap();
        let literal = program.parameters.clone();
        let parameters = Parameters::new(literal, SecurityLevel::Bits128).unwrap();
        let noise = polynomial::simulated::NoiseModel::new(&program, &parameters).unwrap();
        let images = images(8);
        let flat = Flat::of_polynomial(&program, &noise, &refs(&images)).unwrap();
        let found = flat.results(&flat.run(&refs(&images)));
        for (seed, found) in found.iter().enumerate() {
            assert_near(
                found,
                &polynomial::clear::evaluate(&program, &images[seed]).unwrap(),
                1e-9,
            );
            let image = tiny::image(graph.input_shape(), seed as u64);
            let plain: Vec<f64> = network.evaluate(&image).unwrap().into_iter().collect();
            assert_near(found, &plain, 1e-6);
        }
        Self { program, noise, flat }
    }
}

#[test]
fn programs_in_slots_have_the_results_of_the_clear_backend() {
    for (activation, pooling) in [
        (Activation::Chebyshev(5), Pooling::Sum),
        (Activation::Minimax(4), Pooling::Mean),
        (Activation::Square2x, Pooling::Minimax(4)),
    ] {
        InSlots::new(activation, pooling);
    }
}

#[test]
fn programs_in_slots_have_the_noise_of_the_simulated_backend() {
    let world = InSlots::new(Activation::LeastSquares(4), Pooling::Mean);
    let image = WORLD.image(3);
    let simulate =
        |seed| polynomial::simulated::simulate(&world.program, &world.noise, &image, seed).unwrap();
    let expected: Vec<Vec<f64>> = (0..RUNS).map(simulate).collect();
    assert_same_spread(&flat_runs(&world.flat, &image), &expected);
}

#[test]
fn programs_that_read_nothing_are_refused() {
    let noise = NoiseModel::new(&WORLD.parameters).unwrap();
    let mut program = WORLD.program.clone();
    program.steps.remove(1);
    let refused = Flat::of_program(&program, &noise);
    assert!(matches!(refused, Err(FlatError::Dangling { .. })), "{refused:?}");
}
