//! The random numbers of a drawing, a function of the seed and the image index.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::skeletons::{Node, Skeleton};

/// Seeded source of the numbers a drawing needs.
pub struct Dice(ChaCha20Rng);

impl Dice {
    /// Its own ChaCha stream per image: an image depends on the seed and on its
    /// index only, so a longer set starts with the shorter one.
    pub fn new(seed: u64, index: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        rng.set_stream(index);
        Self(rng)
    }

    /// Uniform in `low..high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        low + (high - low) * unit
    }

    /// Near-normal with standard deviation `sigma`, never beyond 3.5 of them:
    /// the centred sum of four uniforms.
    pub fn normal(&mut self, sigma: f64) -> f64 {
        let sum: f64 = (0..4).map(|_| self.uniform(-0.5, 0.5)).sum();
        sigma * sum * 3.0_f64.sqrt()
    }

    /// One of the ways, drawn by weight.
    pub fn way<'a>(&mut self, ways: &'a [Skeleton]) -> &'a [&'static [Node]] {
        let total: u32 = ways.iter().map(|way| way.weight).sum();
        let mut left = self.uniform(0.0, f64::from(total));
        for way in ways {
            left -= f64::from(way.weight);
            if left < 0.0 {
                return way.strokes;
            }
        }
        &[]
    }

    /// A curve of `len` values that drifts smoothly between random levels of
    /// standard deviation `sigma`, one level per `period` values.
    pub fn drift(&mut self, len: usize, period: usize, sigma: f64) -> Vec<f64> {
        let mut curve = Vec::with_capacity(len + period);
        let mut from = self.normal(sigma);
        while curve.len() < len {
            let to = self.normal(sigma);
            for i in 0..period {
                let t = i as f64 / period as f64;
                curve.push(from + (to - from) * t * t * (3.0 - 2.0 * t));
            }
            from = to;
        }
        curve.truncate(len);
        curve
    }
}
