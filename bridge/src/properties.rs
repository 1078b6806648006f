//! Properties of the whole bridge, at small insecure parameters with many cases and at real ones
//! with few.

mod down;
mod refusals;
mod round_trip;
mod up;
mod variances;
mod wire;

use crate::*;
use bellerophon_schemes::rlwe::{
    Ciphertext, Coeffs, Decryptor, Encoder, Encryptor, Scale, SecretKey,
};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::tfhe::{LweBatch, LweSecretKey, SwitchedLweBatch};
use proptest::prelude::*;
use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::sync::{Arc, LazyLock};

/// Sample `range.start + i` for position `i`.
fn leaves(range: std::ops::Range<usize>, positions: &[usize]) -> Vec<(usize, usize)> {
    positions.iter().copied().zip(range).collect()
}

/// Standard deviations within which every sample must lie.
const DEVIATIONS: f64 = 9.0;

/// Parameters of 128 bits with the fewest keys, or with two bootstrapping keys.
fn real_literal(assumptions: Assumptions, bootstraps: bool) -> ParametersLiteral {
    let key = |base_log, levels| BootstrapLiteral {
        glwe_dimension: 2,
        polynomial_size: 1024,
        base_log,
        levels,
        // on the wire, keys of two bits a step come to half as much again
        grouping_factor: if assumptions == Assumptions::Compact { 2 } else { 1 },
    };
    ParametersLiteral {
        assumptions,
        log_dimension: 11,
        modulus_bits: 50,
        lwe_dimension: if assumptions == Assumptions::Compact { 720 } else { 1024 },
        down_gadget: (5, 3),
        up_gadget: (10, 5),
        bootstraps: if bootstraps { vec![key(23, 1), key(16, 2)] } else { vec![] },
    }
}

fn small_literal(assumptions: Assumptions, glwe_dimension: usize) -> ParametersLiteral {
    let dimension = 256 * glwe_dimension;
    ParametersLiteral {
        assumptions,
        log_dimension: dimension.ilog2(),
        modulus_bits: 50,
        lwe_dimension: if assumptions == Assumptions::Compact { 48 } else { dimension / 2 },
        down_gadget: (5, 4),
        up_gadget: (10, 5),
        bootstraps: vec![
            BootstrapLiteral {
                glwe_dimension,
                polynomial_size: 256,
                base_log: 15,
                levels: 2,
                grouping_factor: 1,
            },
            BootstrapLiteral {
                glwe_dimension: 1,
                polynomial_size: dimension,
                base_log: 20,
                levels: 1,
                grouping_factor: 2,
            },
        ],
    }
}

fn small_parameters(assumptions: Assumptions, glwe_dimension: usize) -> Parameters {
    let literal = small_literal(assumptions, glwe_dimension);
    Parameters::insecure_unchecked(literal, -28.0, -47.0).unwrap()
}

/// Client and server in one.
struct World {
    parameters: Parameters,
    secrets: SecretKeys,
    seeded: SeededEvaluationKeys,
    keys: EvaluationKeys,
    encoder: Encoder,
}

impl World {
    fn new(parameters: Parameters, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let secrets = SecretKeys::generate(&parameters, &mut rng).unwrap();
        let seeded = SeededEvaluationKeys::generate(&parameters, &secrets, &mut rng).unwrap();
        let keys = seeded.expand(&parameters, None).unwrap();
        let encoder = Encoder::new(parameters.rlwe());
        Self { parameters, secrets, seeded, keys, encoder }
    }

    fn dimension(&self) -> usize {
        self.parameters.ring().dimension()
    }

    /// The scale of amplitude 1.
    fn turn(&self) -> Scale {
        Amplitude::new(1.0).to_scale(self.parameters.ring().modulus()).unwrap()
    }

    /// An encryption of `values` (turns of the torus) under `secret`.
    fn encrypt(
        &self,
        values: &[f64],
        secret: &SecretKey,
        rng: &mut ChaCha20Rng,
    ) -> Ciphertext<Coeffs> {
        let plaintext = self.encoder.encode_coefficients(values, self.turn()).unwrap();
        let encryptor = Encryptor::new(self.parameters.rlwe());
        let seeded = encryptor.encrypt(&plaintext, secret, rng).unwrap();
        seeded.expand(self.parameters.rlwe()).unwrap()
    }

    fn decrypt(&self, ciphertext: &Ciphertext<Coeffs>) -> Vec<f64> {
        let decryptor = Decryptor::new(self.secrets.ring().clone());
        self.encoder.decode_coefficients(&decryptor.decrypt(ciphertext).unwrap())
    }

    /// The GLWE secret as a ring secret.
    fn large(&self) -> Arc<SecretKey> {
        let n = self.dimension();
        Arc::new(keys::embed(&self.parameters, self.secrets.glwe(), 1, n).unwrap())
    }

    /// The small secret as a ring secret.
    fn small(&self) -> Arc<SecretKey> {
        let (n, stride) = (self.parameters.lwe_dimension(), self.parameters.lwe_stride());
        Arc::new(keys::embed(&self.parameters, self.secrets.lwe(), stride, n).unwrap())
    }

    /// Phases of switched samples under the small secret, as fractions of the torus.
    fn phases(&self, samples: &SwitchedLweBatch) -> Vec<f64> {
        assert_eq!(samples.key(), self.secrets.lwe().id());
        let shift = 64 - samples.log2_modulus();
        samples
            .words()
            .chunks_exact(samples.dimension() + 1)
            .map(|words| {
                let wide: Vec<u64> = words.iter().map(|&w| u64::from(w) << shift).collect();
                fraction(self.secrets.lwe().phase(&wide))
            })
            .collect()
    }

    /// Noiseless samples of `values` under the GLWE secret.
    fn samples(&self, values: &[f64], rng: &mut ChaCha20Rng) -> LweBatch {
        lwe_samples(self.secrets.glwe(), values, rng)
    }
}

fn lwe_samples(secret: &LweSecretKey, values: &[f64], rng: &mut ChaCha20Rng) -> LweBatch {
    let dimension = secret.dimension();
    let mut words = Vec::new();
    for &value in values {
        let mut sample: Vec<u64> = (0..dimension).map(|_| rng.random()).collect();
        sample.push(0);
        let body = torus(value).wrapping_sub(secret.phase(&sample));
        sample[dimension] = body;
        words.extend(sample);
    }
    LweBatch::new(dimension, words, secret.id()).unwrap()
}

/// A torus element as a fraction in `[-1/2, 1/2)`.
fn fraction(word: u64) -> f64 {
    word as i64 as f64 / 2f64.powi(64)
}

fn torus(value: f64) -> u64 {
    ((value - value.round()) * 2f64.powi(64)) as i64 as u64
}

/// The distance of two points of the torus.
fn distance(a: f64, b: f64) -> f64 {
    (a - b - (a - b).round()).abs()
}

#[track_caller]
fn assert_within(found: &[f64], expected: &[f64], variance: f64) {
    assert_eq!(found.len(), expected.len());
    let bound = DEVIATIONS * variance.sqrt() + 1e-14;
    assert!(bound < 0.25, "a bound of {bound} says nothing");
    for (index, (&a, &b)) in found.iter().zip(expected).enumerate() {
        assert!(distance(a, b) <= bound, "{index}: {a} where {b} +- {bound} is expected");
    }
}

/// Both assumptions, one and two polynomials in the GLWE secret.
static SMALL: LazyLock<Vec<World>> = LazyLock::new(|| {
    [Assumptions::Compact, Assumptions::Conservative]
        .into_iter()
        .flat_map(|a| [small_parameters(a, 1), small_parameters(a, 2)])
        .enumerate()
        .map(|(seed, parameters)| World::new(parameters, seed as u64))
        .collect()
});

/// 128 bits, both assumptions.
static REAL: LazyLock<Vec<World>> = LazyLock::new(|| {
    [Assumptions::Compact, Assumptions::Conservative]
        .into_iter()
        .enumerate()
        .map(|(seed, assumptions)| {
            let literal = real_literal(assumptions, true);
            let parameters = Parameters::new(literal, SecurityLevel::Bits128).unwrap();
            World::new(parameters, seed as u64)
        })
        .collect()
});

/// Values on the whole torus, its ends included.
fn values(count: usize, rng: &mut ChaCha20Rng) -> Vec<f64> {
    (0..count)
        .map(|i| match i % 16 {
            0 => [-0.49999, 0.49999, -0.25, 0.25, 0.0][rng.random_range(0..5)],
            _ => rng.random_range(-0.49999..0.49999),
        })
        .collect()
}

/// A random set of coefficients in a random order.
fn positions(dimension: usize, count: usize, rng: &mut ChaCha20Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..dimension).collect();
    all.shuffle(rng);
    all.truncate(count.clamp(1, dimension));
    all
}

fn chosen(values: &[f64], positions: &[usize]) -> Vec<f64> {
    positions.iter().map(|&position| values[position]).collect()
}

/// Runs `property` at small parameters for `cases` random worlds, subsets and seeds.
fn for_small(cases: u32, property: impl Fn(&World, usize, &mut ChaCha20Rng)) {
    let config = ProptestConfig { cases, ..ProptestConfig::default() };
    let strategy = (0..SMALL.len(), 0.0f64..9.0, any::<u64>());
    proptest!(config, |((world, log_count, seed) in strategy)| {
        let count = log_count.exp2() as usize;
        property(&SMALL[world], count, &mut ChaCha20Rng::seed_from_u64(seed));
    });
}

/// Runs `property` at real parameters, both assumptions, with `count` coefficients.
fn for_real(counts: &[usize], property: impl Fn(&World, usize, &mut ChaCha20Rng)) {
    for world in &*REAL {
        for &count in counts {
            property(world, count, &mut ChaCha20Rng::seed_from_u64(count as u64));
        }
    }
}
