//! Measured variances against the formulas of [`crate::noise`], at real parameters, and against the
//! security floor: the noise that each key must have.

use super::*;
use crate::to_lwe::extract;

/// Samples of a noise whose mean should be zero.
#[derive(Debug, Default)]
pub(super) struct Pool {
    count: usize,
    squares: f64,
}

impl Pool {
    pub(super) fn extend(&mut self, samples: impl IntoIterator<Item = f64>) {
        for sample in samples {
            self.count += 1;
            self.squares += sample * sample;
        }
    }

    fn variance(&self) -> f64 {
        self.squares / self.count as f64
    }

    #[track_caller]
    pub(super) fn assert_variance(&self, name: &str, predicted: f64, tolerance: f64) {
        let ratio = self.variance() / predicted;
        println!("{name}: measured/predicted variance {ratio:.4}, {} samples", self.count);
        assert!((ratio - 1.0).abs() < tolerance, "{name}: measured/predicted variance {ratio:.4}");
    }

    /// Not below `floor`, but for four standard deviations of the estimate.
    #[track_caller]
    fn assert_at_least(&self, name: &str, floor: f64) {
        let lowest = floor * (1.0 - 4.0 * (2.0 / self.count as f64).sqrt());
        assert!(self.variance() >= lowest, "{name}: {} is below {floor}", self.variance());
    }
}

const BOTH: [Assumptions; 2] = [Assumptions::Compact, Assumptions::Conservative];

/// Fresh keys without bootstrapping keys, which take long to make.
fn worlds(assumptions: Assumptions, count: u64) -> impl Iterator<Item = (World, ChaCha20Rng)> {
    let literal = real_literal(assumptions, false);
    let parameters = Parameters::new(literal, SecurityLevel::Bits128).unwrap();
    (0..count)
        .map(move |seed| (World::new(parameters.clone(), seed), ChaCha20Rng::seed_from_u64(!seed)))
}

/// The variance of a key's noise, in torus units.
fn floor(instance: bellerophon_schemes::security::LweInstance) -> f64 {
    (2.0 * instance.log2_std).exp2()
}

#[test]
fn fresh_encryption() {
    for assumptions in BOTH {
        let mut pool = Pool::default();
        let (world, mut rng) = worlds(assumptions, 1).next().unwrap();
        let values = values(2048, &mut rng);
        let rounding = 1.0 / 12.0 / world.turn().value().powi(2); // of the encoding
        for _ in 0..50 {
            let ciphertext = world.encrypt(&values, world.secrets.ring(), &mut rng);
            let found = world.decrypt(&ciphertext);
            pool.extend(found.iter().zip(&values).map(|(a, b)| a - b));
        }
        let name = format!("fresh, {assumptions:?}");
        pool.assert_variance(&name, noise::fresh(&world.parameters) + rounding, 0.05);
        pool.assert_at_least(&name, floor(world.parameters.rlwe().instance()));
    }
}

#[test]
fn ring_switch() {
    for assumptions in BOTH {
        let mut pool = Pool::default();
        let mut predicted = (0.0, 0.0);
        for (world, mut rng) in worlds(assumptions, 10) {
            let decryptor = Decryptor::new(world.small());
            for _ in 0..4 {
                let ciphertext = world.encrypt(&[], world.secrets.ring(), &mut rng);
                let switched = world.keys.down.switch(&ciphertext).unwrap();
                let after =
                    world.encoder.decode_coefficients(&decryptor.decrypt(&switched).unwrap());
                let before = world.decrypt(&ciphertext);
                pool.extend(after.iter().zip(&before).map(|(a, b)| a - b));
            }
            let down = world.seeded.instances()[0].1;
            predicted = (noise::ring_switch(&world.parameters), floor(down));
        }
        let name = format!("ring switch, {assumptions:?}");
        pool.assert_variance(&name, predicted.0, 0.1);
        pool.assert_at_least(&name, predicted.1);
    }
}

/// `phase / 2^64 - residue / q` in units of `2^-64`, exact before the division.
fn rescale_error(phase: u64, residue: u64, q: u64) -> f64 {
    let period = i128::from(q) << 64;
    let error =
        (i128::from(phase) * i128::from(q) - (i128::from(residue) << 64)).rem_euclid(period);
    let centred = if error > period / 2 { error - period } else { error };
    centred as f64 / q as f64
}

#[test]
fn rescale() {
    for assumptions in BOTH {
        let (world, mut rng) = worlds(assumptions, 1).next().unwrap();
        let (parameters, small) = (&world.parameters, world.small());
        let (n, stride) = (parameters.lwe_dimension(), parameters.lwe_stride());
        let decryptor = Decryptor::new(small.clone());
        let q = parameters.ring().modulus().value();
        let positions: Vec<usize> = (0..2048).step_by(37).collect();
        let mut pool = Pool::default();
        for _ in 0..400 {
            let ciphertext = world.encrypt(&[], &small, &mut rng);
            let phase = decryptor.decrypt(&ciphertext).unwrap();
            let samples = extract(&ciphertext, &positions, n, stride).unwrap();
            pool.extend(samples.samples().zip(&positions).map(|(sample, &position)| {
                let residue = phase.poly().values()[position];
                rescale_error(world.secrets.lwe().phase(sample), residue, q)
            }));
        }
        let name = format!("rescale, {assumptions:?}");
        pool.assert_variance(&name, noise::rescale(n) * 2f64.powi(128), 0.1);
    }
}

#[test]
fn to_lwe() {
    let all: Vec<usize> = (0..2048).collect();
    for assumptions in BOTH {
        for bits in [10, 11, 12, 32] {
            let mut pool = Pool::default();
            let mut predicted = (0.0, 0.0);
            for (world, mut rng) in worlds(assumptions, 6) {
                for _ in 0..3 {
                    let ciphertext = world.encrypt(&[], world.secrets.ring(), &mut rng);
                    let before = world.decrypt(&ciphertext);
                    let samples = world.keys.to_lwe(&ciphertext, &all, bits, 1).unwrap();
                    let after = world.phases(&samples);
                    pool.extend(after.iter().zip(&before).map(|(a, b)| a - b));
                }
                let down = world.seeded.instances()[0].1;
                predicted = (noise::to_lwe(&world.parameters, bits, 1), floor(down));
            }
            let name = format!("to_lwe, {assumptions:?}, {bits} bits");
            pool.assert_variance(&name, predicted.0, 0.1);
            pool.assert_at_least(&name, predicted.1);
        }
    }
}

/// The noise of packing to `positions`, over `keys` fresh keys with `batches` batches each.
fn packing_noise(assumptions: Assumptions, positions: &[usize], keys: u64, batches: usize) -> Pool {
    let mut pool = Pool::default();
    for (world, mut rng) in worlds(assumptions, keys) {
        for _ in 0..batches {
            let values = values(positions.len(), &mut rng);
            let samples = world.samples(&values, &mut rng);
            let range = 0..values.len();
            let packed = world
                .keys
                .to_ckks(&samples, &leaves(range, positions), false, Amplitude::new(1.0))
                .unwrap();
            let found = chosen(&world.decrypt(&packed), positions);
            pool.extend(found.iter().zip(&values).map(|(a, b)| {
                let error = a - b;
                error - error.round()
            }));
        }
    }
    pool
}

#[test]
fn to_ckks() {
    for assumptions in BOTH {
        let parameters =
            Parameters::new(real_literal(assumptions, false), SecurityLevel::Bits128).unwrap();
        for (levels, stride, count, keys, batches) in [
            (0, 1, 1, 12, 250),
            (1, 1, 2, 12, 120),
            (5, 1, 32, 12, 8),
            (9, 5, 410, 10, 1),
            (11, 1, 1100, 8, 1),
        ] {
            let mut positions: Vec<usize> = (0..count).map(|i| (i * stride) % 2048).collect();
            positions.reverse();
            assert_eq!(packing::levels(&positions, 2048).unwrap(), levels);
            let pool = packing_noise(assumptions, &positions, keys, batches);
            let name = format!("to_ckks, {assumptions:?}, {levels} levels");
            pool.assert_variance(&name, noise::to_ckks(&parameters, levels), 0.1);
            if levels > 0 {
                pool.assert_at_least(&name, floor(parameters.rlwe().instance()));
            }
        }
    }
}
