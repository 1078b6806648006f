//! Between rings: packing into a larger one and splitting, with a switch of the modulus.

use crate::BridgeError;
use bellerophon_schemes::math::{Coeff, Modulus, Poly, Ring};

/// `sum_i parts_i(X^k) X^(i gap)` in `ring`, whose dimension is `k` times that of the parts, of which
/// there are at most `k / gap`; each residue is rounded to the modulus of `ring`.
pub(super) fn pack(
    parts: &[&Poly<Coeff>],
    ring: &Ring,
    gap: usize,
) -> Result<Poly<Coeff>, BridgeError> {
    let (n, to) = (ring.dimension(), ring.modulus());
    Ok(Poly::fill(ring, |values| {
        for (offset, part) in parts.iter().enumerate() {
            let (step, from) = (n / part.ring().dimension(), part.modulus());
            let targets = values.iter_mut().skip(offset * gap).step_by(step);
            for (target, &value) in targets.zip(part.values()) {
                *target = switch_modulus(value, from, to);
            }
        }
    })?)
}

/// The first `count` parts, in `ring`, of which [`pack`] makes `poly`.
pub(super) fn split(
    poly: &Poly<Coeff>,
    ring: &Ring,
    gap: usize,
    count: usize,
) -> Result<Vec<Poly<Coeff>>, BridgeError> {
    let step = poly.ring().dimension() / ring.dimension();
    let (from, to) = (poly.modulus(), ring.modulus());
    let part = |offset: usize| {
        Ok(Poly::fill(ring, |values| {
            let sources = poly.values().iter().skip(offset * gap).step_by(step);
            for (target, &value) in values.iter_mut().zip(sources) {
                *target = switch_modulus(value, from, to);
            }
        })?)
    };
    (0..count).map(part).collect()
}

/// `round(value to / from)` modulo `to`, halves up.
fn switch_modulus(value: u64, from: Modulus, to: Modulus) -> u64 {
    let (from, to) = (u128::from(from.value()), u128::from(to.value()));
    ((u128::from(value) * to + from / 2) / from % to) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellerophon_schemes::math::primes::largest_ntt_prime;
    use bellerophon_schemes::math::sampling::uniform;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn ring(dimension: usize, bits: u32) -> Ring {
        Ring::new(dimension, largest_ntt_prime(bits, dimension).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn what_was_packed_is_split(log_gap in 0u32..=3, share in 1usize..=8, seed: u64) {
            let (small, large) = (ring(32, 40), ring(256, 50));
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let (gap, count) = (1 << log_gap, share.div_ceil(1 << log_gap));
            let parts: Vec<Poly<Coeff>> = (0..count).map(|_| uniform(&small, &mut rng)).collect();
            let packed = pack(&parts.iter().collect::<Vec<_>>(), &large, gap).unwrap();
            prop_assert_eq!(split(&packed, &small, gap, count).unwrap(), parts);
        }

        #[test]
        fn products_with_the_subring_are_those_of_the_parts(seed: u64) {
            let large = ring(256, 50);
            let same = Ring::new(32, large.modulus()).unwrap();
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let parts: Vec<Poly<Coeff>> = (0..8).map(|_| uniform(&same, &mut rng)).collect();
            let factor: Poly<Coeff> = uniform(&same, &mut rng);
            let times = |a: &Poly<Coeff>, b: &Poly<Coeff>| {
                a.clone().into_ntt().times(&b.clone().into_ntt()).unwrap().into_coeff()
            };
            let packed = pack(&parts.iter().collect::<Vec<_>>(), &large, 1).unwrap();
            let product = times(&packed, &pack(&[&factor], &large, 1).unwrap());
            let expected: Vec<Poly<Coeff>> = parts.iter().map(|part| times(part, &factor)).collect();
            prop_assert_eq!(split(&product, &same, 1, 8).unwrap(), expected);
        }

        #[test]
        fn residues_keep_their_share_of_the_modulus(value: u64) {
            let [from, to] = [50, 40].map(|bits| largest_ntt_prime(bits, 64).unwrap());
            let value = value % from.value();
            let share = |value: u64, q: Modulus| value as f64 / q.value() as f64;
            let distance = share(switch_modulus(value, from, to), to) - share(value, from);
            prop_assert!((distance - distance.round()).abs() <= 0.5001 / to.value() as f64);
        }
    }
}
