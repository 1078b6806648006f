//! Bits of security of LWE instances, with the source of each estimate.
//!
//! Two sources, both built on the lattice estimator:
//!
//! * binary secrets: the curve of the `tfhe` crate for 132 bits,
//!   `minimal_lwe_variance_for_132_bits_security_gaussian` (`core_crypto::commons::noise_formulas::
//!   secure_noise`), fitted for dimensions from 450 on;
//! * ternary secrets with sigma of at least 3.19: the largest `log2(QP)` per ring dimension for 128,
//!   192 and 256 bits (Bossuat et al., *Security Guidelines for Implementing Homomorphic
//!   Encryption*, ePrint 2024/463, classical attacks).
//!
//! A module LWE instance of rank `k` over a ring of dimension `N` counts as dimension `k N`, a
//! *partial* ring secret (Bergerat et al., ePrint 2023/979) as the number of its unknown
//! coefficients.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The distribution of a secret's coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SecretDistribution {
    /// Uniform in {0, 1}.
    Binary,
    /// Uniform in {-1, 0, 1}.
    Ternary,
}

impl SecretDistribution {
    /// `E[s^2]` of one coefficient.
    #[must_use]
    pub fn second_moment(self) -> f64 {
        match self {
            Self::Binary => 1.0 / 2.0,
            Self::Ternary => 2.0 / 3.0,
        }
    }

    /// `E[s]` of one coefficient.
    #[must_use]
    pub fn mean(self) -> f64 {
        match self {
            Self::Binary => 1.0 / 2.0,
            Self::Ternary => 0.0,
        }
    }

    /// The variance of one coefficient.
    #[must_use]
    pub fn variance(self) -> f64 {
        self.second_moment() - self.mean() * self.mean()
    }
}

/// Bits of security that a parameter set must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SecurityLevel {
    /// 128 bits against classical attacks.
    Bits128,
    /// 192 bits against classical attacks (CKKS only; no TFHE curve is published).
    Bits192,
    /// 256 bits against classical attacks (CKKS only; no TFHE curve is published).
    Bits256,
}

impl SecurityLevel {
    /// The level in bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Bits128 => 128,
            Self::Bits192 => 192,
            Self::Bits256 => 256,
        }
    }
}

/// One LWE instance that an attacker sees: what a public key, a ciphertext or an evaluation key is
/// encrypted under, and with how much noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LweInstance {
    /// Number of unknown coefficients.
    pub dimension: usize,
    /// `log2` of the (largest) modulus.
    pub log2_modulus: f64,
    /// `log2` of the noise's standard deviation as a fraction of the modulus (torus units).
    pub log2_std: f64,
    /// Distribution of the secret.
    pub distribution: SecretDistribution,
}

/// Bits of security and where the figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SecurityEstimate {
    /// At least this many bits.
    pub bits: u32,
    /// The source of the estimate.
    pub source: &'static str,
}

/// The instance is in reach of no source, or below the level asked for.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error(
    "an LWE instance of dimension {dimension}, modulus 2^{log2_modulus:.1} and noise 2^{log2_std:.2} has {bits} bits \
     of security by the published tables, {required} are needed: use a larger dimension, a smaller \
     modulus or more noise"
)]
pub struct SecurityError {
    /// Number of unknown coefficients.
    pub dimension: usize,
    /// `log2` of the modulus.
    pub log2_modulus: f64,
    /// `log2` of the noise as a fraction of the modulus.
    pub log2_std: f64,
    /// The bits it reaches (0 where no table covers it).
    pub bits: u32,
    /// The bits asked for.
    pub required: u32,
}

const BINARY_SOURCE: &str = "tfhe 1.8 noise curve for 132 bits (binary secret)";
const TERNARY_SOURCE: &str = "ePrint 2024/463, table 5.2 (ternary secret)";
/// The smallest dimension for which the curve was fitted.
const SMALLEST_FITTED_DIMENSION: usize = 450;
/// Noise may fall below a floor, and a modulus exceed a limit, by this much in `log2`: rounding of
/// stored constants and the distance of primes from powers of two, no more.
const TOLERANCE: f64 = 1e-3;

/// (ring dimension, largest `log2(QP)` at 128, 192 and 256 bits), sigma 3.19.
const TERNARY_LIMITS: [(usize, [f64; 3]); 7] = [
    (1024, [26.0, 0.0, 0.0]),
    (2048, [53.0, 36.0, 27.0]),
    (4096, [106.0, 73.0, 56.0]),
    (8192, [214.0, 147.0, 114.0]),
    (16384, [430.0, 297.0, 230.0]),
    (32768, [868.0, 597.0, 462.0]),
    (65536, [1747.0, 1199.0, 929.0]),
];

impl LweInstance {
    /// What the published sources say of this instance; 0 bits where none covers it.
    #[must_use]
    pub fn estimate(&self) -> SecurityEstimate {
        match self.distribution {
            SecretDistribution::Binary => SecurityEstimate {
                bits: if self.reaches_binary_curve() { 132 } else { 0 },
                source: BINARY_SOURCE,
            },
            SecretDistribution::Ternary => {
                SecurityEstimate { bits: self.ternary_bits(), source: TERNARY_SOURCE }
            }
        }
    }

    /// # Errors
    /// [`SecurityError`] where the instance has less than `level`.
    pub fn require(&self, level: SecurityLevel) -> Result<(), SecurityError> {
        let bits = self.estimate().bits;
        if bits >= level.bits() {
            return Ok(());
        }
        Err(SecurityError {
            dimension: self.dimension,
            log2_modulus: self.log2_modulus,
            log2_std: self.log2_std,
            bits,
            required: level.bits(),
        })
    }

    fn reaches_binary_curve(&self) -> bool {
        self.dimension >= SMALLEST_FITTED_DIMENSION
            && self.log2_std + TOLERANCE >= minimal_log2_std(self.dimension, self.log2_modulus)
    }

    fn ternary_bits(&self) -> u32 {
        let sigma = (self.log2_std + self.log2_modulus).exp2();
        let limits = TERNARY_LIMITS.iter().rev().find(|(n, _)| *n <= self.dimension);
        let reached = |(_, limits): &(usize, [f64; 3])| {
            [256, 192, 128]
                .into_iter()
                .zip(limits.iter().rev())
                .find(|(_, limit)| self.log2_modulus <= **limit + TOLERANCE)
                .map_or(0, |(bits, _)| bits)
        };
        if sigma < 3.19 * (1.0 - TOLERANCE) { 0 } else { limits.map_or(0, reached) }
    }
}

/// `log2` of the smallest secure standard deviation (torus units) for a binary secret of this
/// dimension at 132 bits: `2^(4 - 2 log2 q) + 2^(5.3147 - 0.049783 n)` is the variance.
#[must_use]
pub fn minimal_log2_std(dimension: usize, log2_modulus: f64) -> f64 {
    let floor = (4.0 - 2.0 * log2_modulus).exp2();
    let curve = (5.314_691_876_750_68 - 0.049_782_913_165_266_1 * dimension as f64).exp2();
    (floor + curve).log2() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ternary(dimension: usize, log2_modulus: f64) -> LweInstance {
        LweInstance {
            dimension,
            log2_modulus,
            log2_std: 3.2f64.log2() - log2_modulus,
            distribution: SecretDistribution::Ternary,
        }
    }

    #[test]
    fn table_is_read_at_its_edges() {
        assert_eq!(ternary(2048, 53.0).estimate().bits, 128);
        assert_eq!(ternary(2048, 53.5).estimate().bits, 0);
        assert_eq!(ternary(2048, 36.0).estimate().bits, 192);
        assert_eq!(ternary(2048, 27.0).estimate().bits, 256);
        assert_eq!(ternary(3000, 53.0).estimate().bits, 128);
        assert_eq!(ternary(1024, 26.5).estimate().bits, 0);
        assert_eq!(ternary(512, 10.0).estimate().bits, 0);
        let mut quiet = ternary(2048, 50.0);
        quiet.log2_std -= 0.5;
        assert_eq!(quiet.estimate().bits, 0);
    }

    #[test]
    fn noise_below_the_curve_is_refused() {
        let mut instance = LweInstance {
            dimension: 750,
            log2_modulus: 64.0,
            log2_std: minimal_log2_std(750, 64.0),
            distribution: SecretDistribution::Binary,
        };
        assert!(instance.require(SecurityLevel::Bits128).is_ok());
        assert!(instance.require(SecurityLevel::Bits192).is_err());
        instance.log2_std -= 0.01;
        let error = instance.require(SecurityLevel::Bits128).unwrap_err();
        assert_eq!((error.bits, error.required), (0, 128));
    }
}
