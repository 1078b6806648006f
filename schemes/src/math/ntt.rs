//! The ring `Z_q[X]/(X^N + 1)` and its number-theoretic transform.
//!
//! The transform is `tfhe-ntt`'s, which chooses AVX-512 (IFMA below `2^50`), AVX2 or scalar code by
//! the processor; values in the transformed domain are in its bit-reversed order.

mod elementwise;
#[cfg(target_arch = "x86_64")]
mod ifma;

pub(crate) use elementwise::Factor;

use super::{MathError, Modulus};
use std::fmt;
use std::sync::Arc;
use tfhe_ntt::prime64::Plan;

/// Products that [`Ring::accumulate_rows`] sums at most.
pub(crate) const ROWS_AT_ONCE: usize = 8;

/// A negacyclic ring with its transform; cheap to clone.
#[derive(Clone)]
pub struct Ring(Arc<RingData>);

struct RingData {
    dimension: usize,
    modulus: Modulus,
    plan: Plan,
    #[cfg(target_arch = "x86_64")]
    ifma: Option<ifma::Ifma>,
}

impl Ring {
    /// Prepares the ring of dimension `N` and prime modulus `q`.
    ///
    /// # Errors
    /// [`MathError::RingDimension`] where `N` is not a power of two from 16 to 65536, and
    /// [`MathError::NotNttFriendly`] where `q` is no prime equal to 1 modulo `2N`.
    pub fn new(dimension: usize, modulus: Modulus) -> Result<Self, MathError> {
        if !dimension.is_power_of_two() || !(16..=65536).contains(&dimension) {
            return Err(MathError::RingDimension { dimension });
        }
        let plan = Plan::try_new(dimension, modulus.value())
            .ok_or(MathError::NotNttFriendly { modulus: modulus.value(), dimension })?;
        let data = RingData {
            dimension,
            modulus,
            plan,
            #[cfg(target_arch = "x86_64")]
            ifma: ifma::Ifma::try_new(dimension, modulus),
        };
        Ok(Self(Arc::new(data)))
    }

    /// The dimension `N`.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.0.dimension
    }

    /// The modulus `q`.
    #[must_use]
    pub fn modulus(&self) -> Modulus {
        self.0.modulus
    }

    /// The forward transform in place; reduced values in, reduced values out.
    pub(crate) fn forward(&self, values: &mut [u64]) {
        self.0.plan.fwd(values);
    }

    /// The inverse transform in place, times `N`.
    pub(crate) fn inverse_unscaled(&self, values: &mut [u64]) {
        self.0.plan.inv(values);
    }

    /// The inverse transform in place, divided by `N`.
    pub(crate) fn inverse(&self, values: &mut [u64]) {
        self.0.plan.inv(values);
        self.0.plan.normalize(values);
    }

    /// Whether `other` is the same ring (same dimension and modulus).
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.dimension == other.0.dimension && self.0.modulus == other.0.modulus)
    }

    /// # Errors
    /// [`MathError::RingMismatch`] where `other` is another ring.
    pub fn check_same(&self, other: &Self) -> Result<(), MathError> {
        if self.is_same(other) {
            return Ok(());
        }
        Err(MathError::RingMismatch {
            left: self.modulus().value(),
            right: other.modulus().value(),
        })
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("dimension", &self.0.dimension)
            .field("modulus", &self.0.modulus.value())
            .finish()
    }
}

impl PartialEq for Ring {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}
