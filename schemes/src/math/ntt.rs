//! The ring `Z_q[X]/(X^N + 1)` and its number-theoretic transform.
//!
//! The transform is `tfhe-ntt`'s, which chooses AVX-512 (IFMA below `2^50`), AVX2 or scalar code by
//! the processor; values in the transformed domain are in its bit-reversed order.

#[cfg(target_arch = "x86_64")]
mod ifma;

use super::poly::Values;
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

    /// The inverse transform in place, divided by `N`.
    pub(crate) fn inverse(&self, values: &mut [u64]) {
        self.0.plan.inv(values);
        self.0.plan.normalize(values);
    }

    /// `sum += left * right`, value by value in the transformed domain.
    pub(crate) fn multiply_accumulate(&self, sum: &mut [u64], left: &[u64], right: &[u64]) {
        self.0.plan.mul_accumulate(sum, left, right);
    }

    /// `sums_k = sum_r left_r right_(r, k)` (`fresh`) or `+=` that, value by value in the transformed
    /// domain and up to a factor that [`Ring::add_inverse`] takes back, for at most
    /// [`ROWS_AT_ONCE`] rows.
    pub(crate) fn accumulate_rows(
        &self,
        sums: &mut [Values; 2],
        fresh: bool,
        left: &[u64],
        right: &[[&[u64]; 2]],
    ) {
        let [sum0, sum1] = sums;
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            let left: Vec<&[u64]> = left.chunks_exact(self.0.dimension).collect();
            ifma.accumulate([sum0, sum1], fresh, &left, right);
            return;
        }
        if fresh {
            sum0.fill(0);
            sum1.fill(0);
        }
        for (left, [right0, right1]) in left.chunks_exact(self.0.dimension).zip(right) {
            self.multiply_accumulate(sum0, left, right0);
            self.multiply_accumulate(sum1, left, right1);
        }
    }

    /// `target += ` the inverse transform of a sum by [`Ring::accumulate_rows`], which it overwrites.
    pub(crate) fn add_inverse(&self, target: &mut [u64], sum: &mut [u64]) {
        self.0.plan.inv(sum);
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            ifma.add_scaled(target, sum);
            return;
        }
        self.0.plan.normalize(sum);
        for (value, &term) in target.iter_mut().zip(&*sum) {
            *value = self.0.modulus.add(*value, term);
        }
    }

    /// Whether `other` is the same ring (same dimension and modulus).
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.dimension == other.0.dimension && self.0.modulus == other.0.modulus)
    }

    /// # Errors
    /// [`MathError::RingMismatch`] where `other` is another ring.
    pub(crate) fn check_same(&self, other: &Self) -> Result<(), MathError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::primes::largest_ntt_prime;
    use aligned_vec::avec;
    use proptest::prelude::*;

    /// With the kernels for `q < 2^50` and without, as the processor, `q` and the dimension decide.
    fn rings() -> impl Strategy<Value = Ring> {
        let dimensions = prop::sample::select(vec![16usize, 32, 64, 256]);
        (dimensions, 15u32..=61).prop_map(|(dimension, bits)| {
            Ring::new(dimension, largest_ntt_prime(bits, dimension).unwrap()).unwrap()
        })
    }

    proptest! {
        #[test]
        fn sums_of_rows_are_those_of_products(
            ring in rings(),
            chunks in prop::collection::vec(1..=ROWS_AT_ONCE, 1..4),
            seed: u64,
            largest: bool,
        ) {
            let (n, q) = (ring.dimension(), ring.modulus());
            let mut state = seed;
            let mut poly = || -> Vec<u64> {
                let next = || {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if largest { q.value() - 1 } else { (state >> 2) % q.value() }
                };
                std::iter::repeat_with(next).take(n).collect()
            };
            let mut found = [poly(), poly()];
            let mut expected = found.clone();
            let mut sums: [Values; 2] = [avec![7; n], avec![7; n]];
            let mut plain = [vec![0; n], vec![0; n]];
            for (index, rows) in chunks.into_iter().enumerate() {
                let left = (0..rows).flat_map(|_| poly()).collect::<Vec<u64>>();
                let right: Vec<[Vec<u64>; 2]> = (0..rows).map(|_| [poly(), poly()]).collect();
                let slices: Vec<[&[u64]; 2]> =
                    right.iter().map(|pair| pair.each_ref().map(Vec::as_slice)).collect();
                ring.accumulate_rows(&mut sums, index == 0, &left, &slices);
                for (left, right) in left.chunks_exact(n).zip(&right) {
                    for (plain, right) in plain.iter_mut().zip(right) {
                        ring.multiply_accumulate(plain, left, right);
                    }
                }
            }
            for k in 0..2 {
                ring.add_inverse(&mut found[k], &mut sums[k]);
                ring.inverse(&mut plain[k]);
                for (value, &term) in expected[k].iter_mut().zip(&plain[k]) {
                    *value = q.add(*value, term);
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
