//! Primes with a negacyclic number-theoretic transform.

use super::{MathError, Modulus};
use tfhe_ntt::prime::{is_prime64, largest_prime_in_arithmetic_progression64};

/// The largest prime below `2^bits` that equals 1 modulo `2 * dimension`.
///
/// # Errors
/// [`MathError::NoPrime`] where there is none, or `bits` is not in `2..=61`.
pub fn largest_ntt_prime(bits: u32, dimension: usize) -> Result<Modulus, MathError> {
    let missing = MathError::NoPrime { bits, dimension };
    if !(2..=61).contains(&bits) || dimension == 0 || dimension >= 1 << 30 {
        return Err(missing);
    }
    let (lowest, highest) = (1 << (bits - 1), (1 << bits) - 1);
    let period = 2 * dimension as u64;
    largest_prime_in_arithmetic_progression64(period, 1, lowest, highest)
        // the crate's search may leave the range where the range holds no candidate
        .filter(|prime| (lowest..=highest).contains(prime) && prime % period == 1)
        .ok_or(missing)
        .and_then(Modulus::new)
}

/// The prime nearest to `2^bits` that equals 1 modulo `2 * dimension`, a power of
/// two, and is not among `taken`; for 50
/// and 61 bits from below only, where the kernels' limits are.
///
/// # Errors
/// [`MathError::NoPrime`] where none is left within 1 % of `2^bits`, or `bits` is not in `2..=61`.
pub fn nearest_ntt_prime(
    bits: u32,
    dimension: usize,
    taken: &[Modulus],
) -> Result<Modulus, MathError> {
    let missing = MathError::NoPrime { bits, dimension };
    if !(2..=61).contains(&bits) || dimension == 0 || dimension >= 1 << 30 {
        return Err(missing);
    }
    let (centre, period) = (1u64 << bits, 2 * dimension as u64);
    if centre % period != 0 {
        return Err(missing);
    }
    let free = |candidate: &u64| {
        !taken.iter().any(|modulus| modulus.value() == *candidate) && is_prime64(*candidate)
    };
    let reach = centre / 100 / period;
    let below = (1..=reach).map(|k| centre + 1 - k * period).find(free);
    let above = (0..=reach).map(|k| centre + 1 + k * period).find(free);
    let above = above.filter(|_| bits != 50 && bits != 61);
    let nearest = [below, above].into_iter().flatten().min_by_key(|q| q.abs_diff(centre));
    nearest.ok_or(missing).and_then(Modulus::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_known_primes_under_two_to_the_fifty() {
        for dimension in [2048, 4096, 8192] {
            let q = largest_ntt_prime(50, dimension).unwrap().value();
            assert_eq!(q % (2 * dimension as u64), 1);
            assert!(tfhe_ntt::prime::is_prime64(q));
            let next = q + 2 * dimension as u64;
            assert!(
                (next..1 << 50).step_by(2 * dimension).all(|c| !tfhe_ntt::prime::is_prime64(c))
            );
        }
    }

    #[test]
    fn says_where_there_is_no_prime() {
        assert!(matches!(largest_ntt_prime(8, 2048), Err(MathError::NoPrime { bits: 8, .. })));
        assert!(largest_ntt_prime(62, 2048).is_err());
        assert!(largest_ntt_prime(50, 0).is_err());
    }
}
