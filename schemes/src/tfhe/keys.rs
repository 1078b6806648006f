//! Binary LWE secrets.

use crate::key_id::KeyId;
use crate::math::sampling;
use crate::security::{LweInstance, SecretDistribution};
use rand::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// A binary secret of `dimension` coefficients; wiped when dropped, never printed, never serialized.
///
/// The secret of a GLWE of dimension `k` over polynomials of size `N` is stored flattened: the
/// coefficients of its `k` polynomials one after the other, which is also the secret of the LWE
/// samples extracted from it.
pub struct LweSecretKey {
    bits: Zeroizing<Vec<u64>>,
    id: KeyId,
}

impl LweSecretKey {
    /// A fresh secret.
    pub fn generate(dimension: usize, rng: &mut impl CryptoRng) -> Self {
        let bits = sampling::binary(dimension, rng).iter().map(|&bit| bit as u64).collect();
        Self { bits: Zeroizing::new(bits), id: KeyId::random(rng) }
    }

    /// The id of this secret.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The number of coefficients.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.bits.len()
    }

    /// The secret bits; whoever calls this keeps them secret.
    #[must_use]
    pub fn bits(&self) -> &[u64] {
        &self.bits
    }

    /// The phase `b - <a, s>` of a sample (`dimension` mask words, then the body) modulo `2^64`.
    #[must_use]
    pub fn phase(&self, sample: &[u64]) -> u64 {
        let Some((body, mask)) = sample.split_last() else { return 0 };
        debug_assert_eq!(mask.len(), self.bits.len());
        mask.iter()
            .zip(self.bits.iter())
            .fold(*body, |phase, (&a, &bit)| phase.wrapping_sub(a.wrapping_mul(bit)))
    }

    /// The LWE instance that a sample under this secret with this noise (torus units) is.
    #[must_use]
    pub fn instance(&self, log2_modulus: f64, log2_std: f64) -> LweInstance {
        LweInstance {
            dimension: self.dimension(),
            log2_modulus,
            log2_std,
            distribution: SecretDistribution::Binary,
        }
    }
}

impl fmt::Debug for LweSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LweSecretKey").field("id", &self.id).finish_non_exhaustive()
    }
}
