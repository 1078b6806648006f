//! Gadgets: how a polynomial is written as small polynomials times known constants.
//!
//! Both kinds approximate a residue `a` by `sum_r d_r g_r`, to within `q / B^levels`, with
//! `d_r` small. *Digits* uses one row per level, `g = q / B^(level+1)`, `d` the signed digit.
//! *Tabulated* uses one row per level and digit magnitude `v`, `g = v q / B^(level+1)`, `d` in
//! {-1, 0, 1}: a key that holds every multiple (as the first FHEW and TFHE key switches did) takes
//! the noise of one row per non-zero digit, not `d^2` times it, for `B/2` times as many transforms.

use super::CkksError;
use crate::math::{Coeff, Modulus, Poly, Ring};
use serde::{Deserialize, Serialize};

/// A gadget of `levels` signed digits of `base_log` bits, most significant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gadget {
    base_log: u32,
    levels: u32,
    tabulated: bool,
}

impl Gadget {
    /// One row per digit.
    ///
    /// # Errors
    /// [`CkksError::Gadget`] where the digits do not fit `modulus`.
    pub fn digits(base_log: u32, levels: u32, modulus: Modulus) -> Result<Self, CkksError> {
        Self { base_log, levels, tabulated: false }.checked(modulus)
    }

    /// One row per digit and magnitude; at most 10 bits per digit.
    ///
    /// # Errors
    /// [`CkksError::Gadget`] where the digits do not fit `modulus` or the table is too large.
    pub fn tabulated(base_log: u32, levels: u32, modulus: Modulus) -> Result<Self, CkksError> {
        Self { base_log, levels, tabulated: true }.checked(modulus)
    }

    fn checked(self, modulus: Modulus) -> Result<Self, CkksError> {
        let modulus_bits = modulus.log2().ceil() as u32;
        let widest = if self.tabulated { 10 } else { 30 };
        let bits = self.base_log.checked_mul(self.levels);
        let fits = (1..=widest).contains(&self.base_log)
            && self.levels >= 1
            && bits.is_some_and(|bits| bits <= modulus_bits.min(52));
        if fits {
            return Ok(self);
        }
        Err(CkksError::Gadget { base_log: self.base_log, levels: self.levels, modulus_bits })
    }

    /// # Errors
    /// [`CkksError::Gadget`] where this gadget, read from elsewhere, does not fit `modulus`.
    pub fn check(&self, modulus: Modulus) -> Result<(), CkksError> {
        self.checked(modulus).map(drop)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.levels as usize * self.magnitudes()
    }

    fn magnitudes(&self) -> usize {
        if self.tabulated { 1 << (self.base_log - 1) } else { 1 }
    }

    /// Bits of a residue that the digits keep.
    #[must_use]
    pub fn precision_bits(&self) -> u32 {
        self.base_log * self.levels
    }

    /// The constants `g_r`, in units of 1, reduced modulo `q`.
    #[must_use]
    pub fn constants(&self, modulus: Modulus) -> Vec<u64> {
        let q = modulus.value() as f64;
        (1..=self.levels)
            .flat_map(|level| {
                let unit = q * (-f64::from(level * self.base_log)).exp2();
                (1..=self.magnitudes()).map(move |v| (v as f64 * unit).round() as u64)
            })
            .map(|constant| constant % modulus.value())
            .collect()
    }

    /// `sum_r E[d_r^2]` for a uniform residue: `levels (B^2 + 2)/12` for digits in
    /// `[-B/2, B/2)`, `levels (1 - 1/B)` where they are tabulated.
    #[must_use]
    pub fn second_moment(&self) -> f64 {
        let base = f64::from(self.base_log).exp2();
        let each = if self.tabulated { 1.0 - 1.0 / base } else { (base * base + 2.0) / 12.0 };
        f64::from(self.levels) * each
    }

    /// The small polynomials `d_r` of `poly`, in the order of [`Gadget::constants`].
    pub fn decompose(&self, poly: &Poly<Coeff>, mut row: impl FnMut(Poly<Coeff>)) {
        let ring = poly.ring();
        let digits = self.signed_digits(poly);
        for level in digits.chunks_exact(ring.dimension()) {
            for magnitude in 1..=self.magnitudes() as i32 {
                row(self.row_poly(ring, level, magnitude));
            }
        }
    }

    fn row_poly(&self, ring: &Ring, digits: &[i32], magnitude: i32) -> Poly<Coeff> {
        let q = ring.modulus().value();
        let mut poly = Poly::zero(ring);
        for (value, &digit) in poly.values_mut().iter_mut().zip(digits) {
            let small = if self.tabulated {
                i64::from(digit == magnitude) - i64::from(digit == -magnitude)
            } else {
                i64::from(digit)
            };
            // `small >> 63` is all ones exactly for negative digits, which become `q + small`
            *value = (small as u64).wrapping_add(q & (small >> 63) as u64);
        }
        poly
    }

    /// The digits, `[level][coefficient]`, each in `[-B/2, B/2)`.
    fn signed_digits(&self, poly: &Poly<Coeff>) -> Vec<i32> {
        let n = poly.ring().dimension();
        let bits = self.precision_bits();
        // exact to half a unit: at most 52 bits are kept of a residue that f64 holds to 53
        let factor = f64::from(bits).exp2() / poly.modulus().value() as f64;
        let mut rest: Vec<i64> =
            poly.values().iter().map(|&a| (a as f64 * factor).round_ties_even() as i64).collect();
        let mut digits = vec![0; n * self.levels as usize];
        let half = 1i64 << (self.base_log - 1);
        let mask = (1i64 << self.base_log) - 1;
        for level in digits.chunks_exact_mut(n).rev() {
            for (digit, rest) in level.iter_mut().zip(&mut rest) {
                let signed = ((*rest + half) & mask) - half;
                *rest = (*rest - signed) >> self.base_log;
                *digit = signed as i32;
            }
        }
        digits // a carry out of the first digit is a multiple of q: nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::primes::largest_ntt_prime;
    use proptest::prelude::*;

    fn ring() -> Ring {
        Ring::new(64, largest_ntt_prime(50, 2048).unwrap()).unwrap()
    }

    fn gadgets() -> impl Strategy<Value = Gadget> {
        let q = ring().modulus();
        prop_oneof![
            (1u32..=25, 1u32..=2).prop_map(move |(b, l)| Gadget::digits(b, l, q).unwrap()),
            (1u32..=10, 1u32..=5).prop_map(move |(b, l)| Gadget::digits(b, l, q).unwrap()),
            (1u32..=6, 1u32..=5).prop_map(move |(b, l)| Gadget::tabulated(b, l, q).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn rows_times_constants_are_the_residue(
            gadget in gadgets(),
            values in prop::collection::vec(any::<u64>(), 64),
        ) {
            let ring = ring();
            let q = ring.modulus();
            let values = values.into_iter().map(|v| v % q.value()).collect();
            let poly = Poly::from_values(&ring, values).unwrap();
            let mut sum = Poly::zero(&ring);
            let mut constants = gadget.constants(q).into_iter();
            let mut largest = 0;
            gadget.decompose(&poly, |mut row| {
                largest = row.to_signed().iter().map(|d| d.abs()).max().unwrap().max(largest);
                row.scale(q.to_signed(constants.next().unwrap()));
                sum.add_assign(&row).unwrap();
            });
            prop_assert!(constants.next().is_none());
            let bound = if gadget.tabulated { 1 } else { 1 << (gadget.base_log - 1) };
            prop_assert!(largest <= bound);
            sum.sub_assign(&poly).unwrap();
            let rounding = q.value() as f64 * (-f64::from(gadget.precision_bits())).exp2() * 0.51;
            let of_constants = f64::from(gadget.levels) * f64::from(gadget.base_log).exp2();
            for error in sum.to_signed() {
                prop_assert!((error.abs() as f64) <= rounding + of_constants + 1.0);
            }
        }
    }

    #[test]
    fn digits_have_their_second_moment() {
        use rand::SeedableRng;
        let ring = Ring::new(8192, largest_ntt_prime(50, 8192).unwrap()).unwrap();
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(5);
        let poly = crate::math::sampling::uniform(&ring, &mut rng);
        for gadget in [
            Gadget::digits(10, 5, ring.modulus()).unwrap(),
            Gadget::digits(2, 8, ring.modulus()).unwrap(),
            Gadget::tabulated(5, 3, ring.modulus()).unwrap(),
        ] {
            let mut moment = 0.0;
            gadget.decompose(&poly, |row| {
                moment += row.to_signed().iter().map(|&d| (d * d) as f64).sum::<f64>() / 8192.0;
            });
            assert!((moment / gadget.second_moment() - 1.0).abs() < 0.03, "{gadget:?} {moment}");
        }
    }

    #[test]
    fn refuses_gadgets_that_do_not_fit() {
        let q = ring().modulus();
        for (base_log, levels) in [(0, 1), (1, 0), (31, 1), (10, 6), (u32::MAX, 2)] {
            assert!(matches!(Gadget::digits(base_log, levels, q), Err(CkksError::Gadget { .. })));
        }
        assert!(Gadget::tabulated(11, 1, q).is_err());
    }
}
