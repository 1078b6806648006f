//! Noise of encrypted runs against simulated ones.

use super::*;
use crate::polynomial::Place;

/// Squared errors of encrypted and of simulated results, in every slot.
fn squared_errors(world: &World, start: Start, model: &NoiseModel) -> [Vec<f64>; 2] {
    let architecture = world.plan.architecture();
    let (mut encrypted, mut simulated) = (Vec::new(), Vec::new());
    for seed in 0..2 {
        let values = values(world.plan.input_shape(), seed);
        let exact = world.plan.plain().run(&values, None).unwrap();
        let exact = architecture.results(&exact);
        let squares = |found: &[f64]| {
            found.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).collect::<Vec<f64>>()
        };
        let evaluation = match start {
            Start::Encrypted => world.edge.evaluate(&world.encrypted(seed), &|_| ()),
            Start::Clear => world.edge.evaluate_clear(&values, &|_| ()),
        };
        encrypted.extend(squares(&world.open(&evaluation.unwrap())));
        for draw in 0..4 {
            let run = world.plan.simulate(model, &values, start, 4 * seed + draw).unwrap();
            simulated.extend(squares(&run));
        }
    }
    [encrypted, simulated]
}

/// Much of the noise is the same in all runs of one protected network: it comes from its weights and
/// its keys. So many of them are taken together, and all their slots.
#[test]
fn noise_is_as_simulated() {
    const WORLDS: u64 = 60;
    let mut plan = plan(&classifier(), &replacement("square2x"));
    let place = |slot| Place { ciphertext: 0, slot };
    plan.plain.architecture.output = (0..plan.plain.architecture.slots()).map(place).collect();
    let literal = plan.architecture().parameters.clone();
    let parameters = Parameters::insecure_unchecked(literal).unwrap();
    let model = NoiseModel::new(plan.architecture(), &parameters).unwrap();
    for (case, start) in [Start::Encrypted, Start::Clear].into_iter().enumerate() {
        let mut sums = [0.0; 2];
        for seed in 0..WORLDS {
            let rng = &mut tiny::rng(1000 * (case as u64 + 1) + seed);
            let errors = squared_errors(&World::of(plan.clone(), rng), start, &model);
            let means = errors.map(|v| v.iter().sum::<f64>() / v.len() as f64);
            sums = [sums[0] + means[0], sums[1] + means[1]];
        }
        let ratio = (sums[0] / sums[1]).sqrt();
        println!("{start:?}: measured/predicted error {ratio:.3}");
        assert!((0.9..1.1).contains(&ratio), "{start:?}: {ratio}");
    }
}
