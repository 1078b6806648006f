//! Parameters of a ring, checked for security when built.

use super::RlweError;
use crate::math::{Ring, primes};
use crate::security::{LweInstance, SecretDistribution, SecurityLevel};
use serde::{Deserialize, Serialize};

/// What a user chooses; unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ParametersLiteral {
    /// `log2` of the ring dimension `N`, 4 to 16.
    pub log_dimension: u32,
    /// Bits of the prime modulus `q`: the largest NTT prime below `2^modulus_bits`.
    pub modulus_bits: u32,
    /// Distribution of the secret.
    pub distribution: SecretDistribution,
    /// Standard deviation of fresh noise, in units of 1.
    pub sigma: f64,
}

/// A checked parameter set.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    literal: ParametersLiteral,
    ring: Ring,
}

impl Parameters {
    /// Builds the ring and checks that fresh ciphertexts reach `level`.
    ///
    /// # Errors
    /// [`RlweError::Security`] below `level`, [`RlweError::Math`] where the ring does not exist,
    /// [`RlweError::Noise`] for a meaningless `sigma`.
    pub fn new(literal: ParametersLiteral, level: SecurityLevel) -> Result<Self, RlweError> {
        let parameters = Self::insecure_unchecked(literal)?;
        parameters.instance().require(level)?;
        Ok(parameters)
    }

    /// Builds the ring without any check of security: for tests only.
    ///
    /// # Errors
    /// As [`Parameters::new`], without [`RlweError::Security`].
    pub fn insecure_unchecked(literal: ParametersLiteral) -> Result<Self, RlweError> {
        let dimension = 1usize.checked_shl(literal.log_dimension).unwrap_or(0);
        let modulus = primes::largest_ntt_prime(literal.modulus_bits, dimension)?;
        let ring = Ring::new(dimension, modulus)?;
        check_sigma(literal.sigma, &ring)?;
        Ok(Self { literal, ring })
    }

    /// The literal that these parameters were built from.
    #[must_use]
    pub fn literal(&self) -> ParametersLiteral {
        self.literal
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Standard deviation of fresh noise, in units of 1.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.literal.sigma
    }

    /// Distribution of the secret.
    #[must_use]
    pub fn distribution(&self) -> SecretDistribution {
        self.literal.distribution
    }

    /// The LWE instance that a fresh ciphertext is.
    #[must_use]
    pub fn instance(&self) -> LweInstance {
        let log2_modulus = self.ring.modulus().log2();
        LweInstance {
            dimension: self.ring.dimension(),
            log2_modulus,
            log2_std: self.sigma().log2() - log2_modulus,
            distribution: self.distribution(),
        }
    }
}

/// # Errors
/// [`RlweError::Noise`] where `sigma` is not in `(0, q/16)`.
pub(super) fn check_sigma(sigma: f64, ring: &Ring) -> Result<(), RlweError> {
    if sigma > 0.0 && sigma < ring.modulus().value() as f64 / 16.0 {
        return Ok(());
    }
    Err(RlweError::Noise { sigma })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECURE: ParametersLiteral = ParametersLiteral {
        log_dimension: 11,
        modulus_bits: 50,
        distribution: SecretDistribution::Ternary,
        sigma: 3.2,
    };

    #[test]
    fn accepts_the_published_limit_and_refuses_beyond() {
        assert!(Parameters::new(SECURE, SecurityLevel::Bits128).is_ok());
        let wide = ParametersLiteral { modulus_bits: 55, ..SECURE };
        assert!(matches!(
            Parameters::new(wide, SecurityLevel::Bits128),
            Err(RlweError::Security(_))
        ));
        assert!(Parameters::insecure_unchecked(wide).is_ok());
        assert!(Parameters::new(SECURE, SecurityLevel::Bits192).is_err());
    }

    #[test]
    fn refuses_what_is_no_ring() {
        for literal in [
            ParametersLiteral { log_dimension: 70, ..SECURE },
            ParametersLiteral { log_dimension: 2, ..SECURE },
            ParametersLiteral { modulus_bits: 63, ..SECURE },
        ] {
            assert!(matches!(Parameters::insecure_unchecked(literal), Err(RlweError::Math(_))));
        }
        for sigma in [0.0, -1.0, f64::NAN, 1e15] {
            let literal = ParametersLiteral { sigma, ..SECURE };
            assert!(matches!(
                Parameters::insecure_unchecked(literal),
                Err(RlweError::Noise { .. })
            ));
        }
    }
}
