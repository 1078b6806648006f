//! Every arrangement computes the layer, whatever junk lies between its inputs.

use super::*;
use crate::model::strategies::{convolutions, dense_layers, normalizations};
use crate::model::{Convolution, Dense, Graph, Operator, Shape};
use crate::polynomial::backend::Backend;
use crate::polynomial::clear::Clear;
use ndarray::{Array1, Array2, Array4, ArrayD, IxDyn};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

const SLOTS: usize = 512;

fn sizes() -> Sizes {
    Sizes { dimension: 2 * SLOTS, limbs: 6, special: 2, per_digit: 2 }
}

/// The tensor's elements at their places (repeated), junk everywhere else.
fn fill(layout: &Layout, values: &[f64], rng: &mut ChaCha20Rng) -> Vec<Vec<f64>> {
    let junk = |_| (0..layout.slots).map(|_| rng.random_range(-9.0..9.0)).collect::<Vec<f64>>();
    let mut slots: Vec<Vec<f64>> = (0..layout.ciphertexts()).map(junk).collect();
    for (place, value) in layout.places.iter().zip(values) {
        let copies = slots[place.ciphertext].iter_mut().skip(place.slot).step_by(layout.period);
        copies.for_each(|slot| *slot = *value);
    }
    slots
}

fn read(layout: &Layout, slots: &[Vec<f64>]) -> Vec<f64> {
    layout.places.iter().map(|place| slots[place.ciphertext][place.slot]).collect()
}

/// All arrangements of a layer agree with the layer; returns the best.
fn check(input: &Layout, shape: Shape, operator: Operator, seed: u64) -> Option<Arrangement> {
    let mut graph = Graph::new("input", shape).unwrap();
    graph.push("layer", operator.clone(), vec![graph.input()]).ok()?;
    let map = AffineMap::new(&operator, shape, graph.output_shape()).unwrap();
    let best = Arrangement::best(&map, input, &sizes(), 1e-4).ok()?;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let values: Vec<f64> = (0..shape.elements()).map(|_| rng.random_range(-1.0..1.0)).collect();
    let tensor = ArrayD::from_shape_vec(IxDyn(&shape.dimensions()), values.clone()).unwrap();
    let expected: Vec<f64> = graph.evaluate(&tensor).unwrap().into_iter().collect();
    let slots = fill(input, &values, &mut rng);
    for (layout, fold) in candidates(&map, input).unwrap() {
        let mut taken: Vec<Place> = layout.places.clone();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), expected.len(), "outputs share slots");
        let arrangement = Arrangement { layout, fold, seconds: 0.0 };
        let biases: Vec<f64> = map.biases().iter().map(|bias| bias * 0.5).collect();
        let linear = arrangement.linear_map(&map, input, 0.5, &biases);
        let found = read(&arrangement.layout, &Clear.linear(0, &linear, &slots).unwrap());
        let near = |(a, b): (&f64, &f64)| (a - b / 2.0).abs() < 1e-9;
        assert!(found.iter().zip(&expected).all(near), "{arrangement:?}");
    }
    Some(best)
}

/// Layouts as pooling and linear layers leave them.
fn layouts() -> impl Strategy<Value = (Layout, Shape)> {
    let sizes = (1_usize..4, 1_usize..9, 1_usize..9, [1_usize..4, 1_usize..4], any::<bool>());
    sizes.prop_map(|(channels, height, width, strides, repeated)| {
        let from = Shape::image(channels, height, width);
        let to =
            Shape::image(channels, (height - 1) / strides[0] + 1, (width - 1) / strides[1] + 1);
        let mut layout = Layout::input(from, SLOTS).unwrap().strided(from, to, strides);
        if !repeated {
            layout.period = SLOTS;
        }
        (layout, to)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn convolutions_are_rotations(
        ((layout, shape), layer, seed) in layouts().prop_flat_map(|(layout, shape)| {
            (Just((layout, shape)), convolutions(shape.channels()), any::<u64>())
        })
    ) {
        check(&layout, shape, Operator::Convolution(layer), seed);
    }

    #[test]
    fn dense_layers_are_rotations_and_folds(
        ((layout, shape), layer, seed) in layouts().prop_flat_map(|(layout, shape)| {
            (Just((layout, shape)), dense_layers(shape.elements()), any::<u64>())
        })
    ) {
        let shape = Shape::Vector(shape.elements());
        prop_assert!(check(&layout, shape, Operator::Dense(layer), seed).is_some());
    }

    #[test]
    fn normalizations_stay_where_they_are(
        ((layout, shape), layer, seed) in layouts().prop_flat_map(|(layout, shape)| {
            (Just((layout, shape)), normalizations(shape.channels()), any::<u64>())
        })
    ) {
        let best = check(&layout, shape, Operator::BatchNormalization(layer), seed).unwrap();
        prop_assert_eq!(best.layout, layout);
    }
}

#[test]
fn channels_that_do_not_fit_take_more_ciphertexts() {
    // 40 channels of 4x4 are 640 values: two ciphertexts of 512
    let shape = Shape::image(40, 4, 4);
    let layout = Layout::input(shape, SLOTS).unwrap();
    assert_eq!((layout.ciphertexts(), layout.period), (2, SLOTS));
    let weights = Array4::from_shape_fn((40, 40, 3, 3), |(k, c, a, b)| {
        ((k * 7 + c * 5 + a * 3 + b) % 11) as f64 - 5.0
    });
    let mut layer = Convolution::new(weights, Array1::ones(40));
    layer.pads = [1; 4];
    let best = check(&layout, shape, Operator::Convolution(layer), 1).unwrap();
    assert_eq!(best.layout.ciphertexts(), 2);
}

#[test]
fn a_map_larger_than_a_ciphertext_is_refused() {
    let layout = Layout::input(Shape::image(1, 32, 32), SLOTS);
    assert!(matches!(layout, Err(PolynomialError::TooLarge { elements: 1024, slots: SLOTS })));
    // padding makes a map larger than its input's
    let shape = Shape::image(1, 16, 16);
    let mut layer = Convolution::new(Array4::ones((1, 1, 1, 1)), Array1::zeros(1));
    layer.pads = [8; 4];
    let operator = Operator::Convolution(layer);
    let input = Layout::input(shape, SLOTS).unwrap();
    let map = AffineMap::new(&operator, shape, Shape::image(1, 32, 32)).unwrap();
    let refused = Arrangement::best(&map, &input, &sizes(), 0.0);
    assert!(matches!(refused, Err(PolynomialError::TooLarge { .. })), "{refused:?}");
}

/// A dense layer of n outputs needs hardly more diagonals than n times inputs over slots, where
/// folds are cheap against diagonals.
#[test]
fn dense_layers_need_few_diagonals() {
    let shape = Shape::image(8, 8, 8);
    let layout = Layout::input(shape, SLOTS).unwrap();
    let weights = Array2::from_shape_fn((10, 512), |(i, j)| ((i * 31 + j) % 17) as f64 / 17.0);
    let layer = Operator::Dense(Dense { weights, bias: Array1::zeros(10) });
    let map = AffineMap::new(&layer, Shape::Vector(512), Shape::Vector(10)).unwrap();
    let best = Arrangement::best(&map, &layout, &sizes(), 0.0).unwrap();
    let diagonals = best.linear_map(&map, &layout, 1.0, &map.biases()).diagonals();
    assert!(diagonals <= 40, "{diagonals} diagonals");
}
