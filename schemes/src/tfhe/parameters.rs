//! Parameters of one bootstrapping key, checked for security when built.

use super::TfheError;
use super::lwe::check_grouping_factor;
use crate::security::{LweInstance, SecretDistribution, SecurityLevel, minimal_log2_std};
use serde::{Deserialize, Serialize};
use tfhe::core_crypto::prelude::{DecompositionBaseLog, DecompositionLevelCount, PolynomialSize};

/// `log2` of the torus modulus.
pub(super) const LOG2_MODULUS: f64 = 64.0;

/// Dimensions, gadget and noise of a bootstrapping from LWE dimension `n` to GLWE dimension `k` over
/// polynomials of size `N`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BootstrapParameters {
    lwe_dimension: usize,
    glwe_dimension: usize,
    polynomial_size: usize,
    base_log: usize,
    levels: usize,
    grouping_factor: usize,
    log2_std: f64,
}

impl BootstrapParameters {
    /// Parameters whose noise is the least that the 132-bit curve allows for dimension `k N`.
    ///
    /// # Errors
    /// [`TfheError::Parameter`] for dimensions that the crate cannot run, [`TfheError::Security`]
    /// where the dimension reaches no published estimate or less than `level`.
    pub fn new(
        lwe_dimension: usize,
        glwe_dimension: usize,
        polynomial_size: usize,
        base_log: usize,
        levels: usize,
        level: SecurityLevel,
    ) -> Result<Self, TfheError> {
        let output_dimension = glwe_dimension.saturating_mul(polynomial_size);
        let parameters = Self {
            lwe_dimension,
            glwe_dimension,
            polynomial_size,
            base_log,
            levels,
            grouping_factor: 1,
            log2_std: minimal_log2_std(output_dimension, LOG2_MODULUS),
        }
        .checked()?;
        parameters.instance().require(level)?;
        Ok(parameters)
    }

    /// Parameters with chosen noise (`log2` of the standard deviation in torus units), without any
    /// check of security: for tests only.
    ///
    /// # Errors
    /// [`TfheError::Parameter`].
    pub fn insecure_unchecked(
        lwe_dimension: usize,
        glwe_dimension: usize,
        polynomial_size: usize,
        base_log: usize,
        levels: usize,
        log2_std: f64,
    ) -> Result<Self, TfheError> {
        let grouping_factor = 1;
        Self {
            lwe_dimension,
            glwe_dimension,
            polynomial_size,
            base_log,
            levels,
            grouping_factor,
            log2_std,
        }
        .checked()
    }

    /// The same with `grouping_factor` bits of the input's secret in each step of the blind
    /// rotation: that many times fewer steps, `(2^g - 1) / g` times the key, more noise
    /// ([`super::noise::bootstrap`]), and another modulus switch ([`super::SwitchedLweBatch`]).
    ///
    /// # Errors
    /// [`TfheError::Parameter`] above 3, or where it does not divide the LWE dimension.
    pub fn with_grouping_factor(self, grouping_factor: usize) -> Result<Self, TfheError> {
        check_grouping_factor(self.lwe_dimension, grouping_factor)?;
        Ok(Self { grouping_factor, ..self })
    }

    fn checked(self) -> Result<Self, TfheError> {
        let refuse = |name, found, allowed| Err(TfheError::Parameter { name, found, allowed });
        let size = self.polynomial_size;
        if !(1..=4096).contains(&self.lwe_dimension) {
            return refuse("LWE dimension", self.lwe_dimension, "1 to 4096");
        }
        if !(1..=16).contains(&self.glwe_dimension) {
            return refuse("GLWE dimension", self.glwe_dimension, "1 to 16");
        }
        if !size.is_power_of_two() || !(256..=16384).contains(&size) {
            return refuse("polynomial size", size, "a power of two from 256 to 16384");
        }
        if !(1..=32).contains(&self.base_log) {
            return refuse("bits of the decomposition base", self.base_log, "1 to 32");
        }
        if !(1..=8).contains(&self.levels) || self.base_log * self.levels > 52 {
            return refuse("decomposition levels", self.levels, "1 to 8, at most 52 bits together");
        }
        Ok(self)
    }

    /// Dimension `n` of the input's secret.
    #[must_use]
    pub fn lwe_dimension(&self) -> usize {
        self.lwe_dimension
    }

    /// GLWE dimension `k`.
    #[must_use]
    pub fn glwe_dimension(&self) -> usize {
        self.glwe_dimension
    }

    /// Polynomial size `N`.
    #[must_use]
    pub fn polynomial_size(&self) -> usize {
        self.polynomial_size
    }

    /// Bits of the decomposition base.
    #[must_use]
    pub fn base_log(&self) -> usize {
        self.base_log
    }

    /// Decomposition levels.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.levels
    }

    /// Bits `g` of the input's secret in each step of the blind rotation.
    #[must_use]
    pub fn grouping_factor(&self) -> usize {
        self.grouping_factor
    }

    /// Steps of the blind rotation, `n / g`.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.lwe_dimension / self.grouping_factor
    }

    /// GGSW ciphertexts of a step, `2^g - 1`.
    #[must_use]
    pub fn terms(&self) -> usize {
        (1 << self.grouping_factor) - 1
    }

    /// Dimension `k N` of the output's secret.
    #[must_use]
    pub fn output_dimension(&self) -> usize {
        self.glwe_dimension * self.polynomial_size
    }

    /// `log2` of the key's noise in torus units.
    #[must_use]
    pub fn log2_std(&self) -> f64 {
        self.log2_std
    }

    /// `log2(2N)`: inputs are rounded to multiples of `1/(2N)`.
    #[must_use]
    pub fn log2_input_modulus(&self) -> u32 {
        self.polynomial_size.ilog2() + 1
    }

    /// The LWE instance that the key's rows are.
    #[must_use]
    pub fn instance(&self) -> LweInstance {
        LweInstance {
            dimension: self.output_dimension(),
            log2_modulus: LOG2_MODULUS,
            log2_std: self.log2_std,
            distribution: SecretDistribution::Binary,
        }
    }

    /// 64-bit words of the seeded key: one body per row, `(2^g - 1) (n/g) (k+1) levels N`.
    #[must_use]
    pub fn seeded_words(&self) -> usize {
        self.steps() * self.terms() * (self.glwe_dimension + 1) * self.levels * self.polynomial_size
    }

    /// Bytes of the key in the Fourier domain: `(2^g - 1) (n/g) (k+1)^2 levels N/2` complex
    /// numbers.
    #[must_use]
    pub fn fourier_bytes(&self) -> usize {
        self.seeded_words() * (self.glwe_dimension + 1) / 2 * 16
    }

    pub(super) fn size(&self) -> PolynomialSize {
        PolynomialSize(self.polynomial_size)
    }

    pub(super) fn decomposition(&self) -> (DecompositionBaseLog, DecompositionLevelCount) {
        (DecompositionBaseLog(self.base_log), DecompositionLevelCount(self.levels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_security_and_range() {
        let level = SecurityLevel::Bits128;
        assert!(BootstrapParameters::new(750, 4, 512, 23, 1, level).is_ok());
        assert!(matches!(
            BootstrapParameters::new(750, 1, 256, 23, 1, level),
            Err(TfheError::Security(_))
        ));
        assert!(matches!(
            BootstrapParameters::new(750, 4, 512, 23, 1, SecurityLevel::Bits192),
            Err(TfheError::Security(_))
        ));
        for (n, k, size, base_log, levels) in [
            (0, 4, 512, 23, 1),
            (750, 0, 512, 23, 1),
            (750, 4, 500, 23, 1),
            (750, 4, 512, 0, 1),
            (750, 4, 512, 23, 0),
            (750, 4, 512, 23, 3),
        ] {
            assert!(matches!(
                BootstrapParameters::insecure_unchecked(n, k, size, base_log, levels, -48.0),
                Err(TfheError::Parameter { .. })
            ));
        }
    }

    #[test]
    fn curve_is_the_crates() {
        use tfhe::core_crypto::commons::noise_formulas::secure_noise::minimal_lwe_variance_for_132_bits_security_gaussian;
        use tfhe::core_crypto::prelude::LweDimension;
        for dimension in [500, 750, 918, 1024, 2048] {
            for log2_modulus in [50.0, 64.0] {
                let theirs = minimal_lwe_variance_for_132_bits_security_gaussian(
                    LweDimension(dimension),
                    f64::exp2(log2_modulus),
                );
                let ours = minimal_log2_std(dimension, log2_modulus);
                assert!((theirs.0.log2() / 2.0 - ours).abs() < 1e-9);
            }
        }
    }
}
