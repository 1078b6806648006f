//! Samplers; each takes the caller's generator, which must be cryptographically secure.

use super::{Coeff, Modulus, Poly, Ring};
use rand::{CryptoRng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A seed of 256 bits from which the uniform half of a ciphertext or key is expanded (ChaCha20), so
/// that only the other half travels. Seeds are public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A fresh seed.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(rng.random())
    }

    /// The generator that expands the seed.
    #[must_use]
    pub fn expand(&self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.0)
    }
}

/// A uniform polynomial, by rejection from the low bits of 64-bit words.
pub fn uniform<D>(ring: &Ring, rng: &mut impl CryptoRng) -> Poly<D> {
    let mut poly = Poly::zero(ring);
    for value in poly.values_mut() {
        *value = uniform_residue(ring.modulus(), rng);
    }
    poly
}

fn uniform_residue(modulus: Modulus, rng: &mut impl CryptoRng) -> u64 {
    let mask = u64::MAX >> modulus.value().leading_zeros();
    loop {
        let candidate = rng.next_u64() & mask;
        if candidate < modulus.value() {
            return candidate;
        }
    }
}

/// A uniform polynomial, by reduction of 64-bit words; the few words of the last, incomplete range are
/// drawn again, in order, after the others. Several times as fast as [`uniform`], whose results the
/// wire form of [`crate::rlwe`] depends on.
pub fn uniform_reduced<D>(ring: &Ring, rng: &mut impl CryptoRng) -> Poly<D> {
    let q = ring.modulus();
    let (one, bound) = (q.shoup(1 % q.value()), u64::MAX - (u64::MAX % q.value() + 1) % q.value());
    let mut poly = Poly::stale(ring);
    let (mut bytes, mut rejected) = ([0; 512], Vec::new());
    for (chunk, values) in poly.values_mut().chunks_mut(64).enumerate() {
        rng.fill_bytes(&mut bytes[..8 * values.len()]);
        let words = bytes.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word));
        let mut largest = 0;
        for (value, word) in values.iter_mut().zip(words.clone()) {
            *value = q.mul_shoup(word, one);
            largest = largest.max(word);
        }
        if largest > bound {
            let outside = words.take(values.len()).enumerate().filter(|(_, word)| *word > bound);
            rejected.extend(outside.map(|(index, _)| 64 * chunk + index));
        }
    }
    for index in rejected {
        let word = loop {
            let word = rng.next_u64();
            if word <= bound {
                break word;
            }
        };
        poly.values_mut()[index] = word % q.value();
    }
    poly
}

/// A polynomial of rounded Gaussian coefficients with standard deviation `sigma` (in units of 1, not
/// of the torus).
pub fn gaussian(ring: &Ring, sigma: f64, rng: &mut impl CryptoRng) -> Poly<Coeff> {
    let q = ring.modulus();
    let mut poly = Poly::zero(ring);
    for value in poly.values_mut() {
        *value = q.from_signed(rounded_gaussian(sigma, rng));
    }
    poly
}

/// `length` rounded Gaussian integers with standard deviation `sigma`.
pub fn gaussian_integers(
    length: usize,
    sigma: f64,
    rng: &mut impl CryptoRng,
) -> Zeroizing<Vec<i64>> {
    Zeroizing::new((0..length).map(|_| rounded_gaussian(sigma, rng)).collect())
}

fn rounded_gaussian(sigma: f64, rng: &mut impl CryptoRng) -> i64 {
    let sample: f64 = StandardNormal.sample(rng);
    (sample * sigma).round() as i64
}

/// `length` coefficients from {0, 1}.
pub fn binary(length: usize, rng: &mut impl CryptoRng) -> Zeroizing<Vec<i64>> {
    Zeroizing::new((0..length).map(|_| i64::from(rng.random::<bool>())).collect())
}

/// `length` coefficients from {-1, 0, 1}, each with probability 1/3.
pub fn ternary(length: usize, rng: &mut impl CryptoRng) -> Zeroizing<Vec<i64>> {
    Zeroizing::new((0..length).map(|_| rng.random_range(-1..=1)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Ntt;
    use crate::math::primes::largest_ntt_prime;

    fn ring() -> Ring {
        Ring::new(4096, largest_ntt_prime(50, 4096).unwrap()).unwrap()
    }

    fn moments(samples: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let count = samples.clone().count() as f64;
        let mean = samples.clone().sum::<f64>() / count;
        (mean, samples.map(|x| (x - mean).powi(2)).sum::<f64>() / count)
    }

    #[test]
    fn gaussian_has_its_variance() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for sigma in [3.2, 40.0, 3.0e8] {
            let samples: Vec<f64> = (0..8)
                .flat_map(|_| gaussian(&ring(), sigma, &mut rng).to_signed())
                .map(|x| x as f64 / sigma)
                .collect();
            let (mean, variance) = moments(samples.iter().copied());
            let rounding = 1.0 / (12.0 * sigma * sigma);
            assert!(mean.abs() < 0.03, "mean {mean}");
            assert!((variance / (1.0 + rounding) - 1.0).abs() < 0.04, "variance {variance}");
        }
    }

    #[test]
    fn uniform_fills_the_range_and_secrets_their_alphabet() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let q = ring().modulus().value() as f64;
        let poly = uniform::<Ntt>(&ring(), &mut rng);
        let (mean, variance) = moments(poly.values().iter().map(|&x| x as f64 / q));
        assert!((mean - 0.5).abs() < 0.02 && (variance * 12.0 - 1.0).abs() < 0.06);
        let (mean, _) = moments(binary(20_000, &mut rng).iter().map(|&x| x as f64));
        assert!((mean - 0.5).abs() < 0.02);
        let (mean, variance) = moments(ternary(20_000, &mut rng).iter().map(|&x| x as f64));
        assert!(mean.abs() < 0.03 && (variance - 2.0 / 3.0).abs() < 0.02);
    }

    #[test]
    fn reduced_words_are_uniform() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        for modulus in [1_125_899_906_826_241, 12289] {
            let ring = Ring::new(2048, Modulus::new(modulus).unwrap()).unwrap();
            let poly = uniform_reduced::<Ntt>(&ring, &mut rng);
            let (mean, variance) =
                moments(poly.values().iter().map(|&x| x as f64 / modulus as f64));
            assert!(poly.values().iter().all(|&x| x < modulus));
            assert!((mean - 0.5).abs() < 0.03 && (variance * 12.0 - 1.0).abs() < 0.09);
        }
        let wide = Ring::new(4096, largest_ntt_prime(61, 4096).unwrap()).unwrap();
        let values: Vec<f64> = (0..16)
            .flat_map(|_| uniform_reduced::<Ntt>(&wide, &mut rng).values().to_vec())
            .map(|x| x as f64 / wide.modulus().value() as f64)
            .collect();
        let (mean, variance) = moments(values.iter().copied());
        assert!((mean - 0.5).abs() < 0.006 && (variance * 12.0 - 1.0).abs() < 0.015);
    }

    #[test]
    fn a_seed_expands_to_the_same_polynomial() {
        let seed = Seed::random(&mut ChaCha20Rng::seed_from_u64(3));
        let [a, b] = [0, 1].map(|_| uniform::<Ntt>(&ring(), &mut seed.expand()));
        assert_eq!(a, b);
        assert_eq!(a.values()[..2], KNOWN);
    }

    /// The wire format depends on this expansion: a change needs a new format version.
    const KNOWN: [u64; 2] = [249_593_030_399_054, 492_925_613_012_303];
}
