//! Gadgets: how a polynomial is written as small polynomials times known constants.
//!
//! Both kinds approximate a residue `a` by `sum_r d_r g_r`, to within `q / B^levels`, with
//! `d_r` small. *Digits* uses one row per level, `g = q / B^(level+1)`, `d` the signed digit.
//! *Tabulated* uses one row per level and digit magnitude `v`, `g = v q / B^(level+1)`, `d` in
//! {-1, 0, 1}: a key that holds every multiple (as the first FHEW and TFHE key switches did) takes
//! the noise of one row per non-zero digit, not `d^2` times it, for `B/2` times as many transforms.

use super::RlweError;
use crate::math::{Coeff, Modulus, Poly};
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
    /// [`RlweError::Gadget`] where the digits do not fit `modulus`.
    pub fn digits(base_log: u32, levels: u32, modulus: Modulus) -> Result<Self, RlweError> {
        Self { base_log, levels, tabulated: false }.checked(modulus)
    }

    /// One row per digit and magnitude; at most 10 bits per digit.
    ///
    /// # Errors
    /// [`RlweError::Gadget`] where the digits do not fit `modulus` or the table is too large.
    pub fn tabulated(base_log: u32, levels: u32, modulus: Modulus) -> Result<Self, RlweError> {
        Self { base_log, levels, tabulated: true }.checked(modulus)
    }

    fn checked(self, modulus: Modulus) -> Result<Self, RlweError> {
        let modulus_bits = modulus.log2().ceil() as u32;
        let widest = if self.tabulated { 10 } else { 30 };
        let bits = self.base_log.checked_mul(self.levels);
        let fits = (1..=widest).contains(&self.base_log)
            && self.levels >= 1
            && bits.is_some_and(|bits| bits <= modulus_bits.min(52));
        if fits {
            return Ok(self);
        }
        Err(RlweError::Gadget { base_log: self.base_log, levels: self.levels, modulus_bits })
    }

    /// # Errors
    /// [`RlweError::Gadget`] where this gadget, read from elsewhere, does not fit `modulus`.
    pub fn check(&self, modulus: Modulus) -> Result<(), RlweError> {
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

    /// `E[(a - sum_r d_r g_r)^2]` for a uniform residue: `(q / B^levels)^2 / 12` for the digits that
    /// are left out, and `E[d_r^2]` times the squared rounding of each constant.
    #[must_use]
    pub fn squared_error(&self, modulus: Modulus) -> f64 {
        let q = modulus.value() as f64;
        let base = f64::from(self.base_log).exp2();
        let step = q * (-f64::from(self.precision_bits())).exp2();
        let exact = (1..=self.levels).flat_map(|level| {
            let unit = q * (-f64::from(level * self.base_log)).exp2();
            (1..=self.magnitudes()).map(move |v| v as f64 * unit)
        });
        let rounding: f64 = exact.map(|constant| (constant - constant.round()).powi(2)).sum();
        let each = if self.tabulated { 2.0 / base } else { (base * base + 2.0) / 12.0 };
        step * step / 12.0 + each * rounding
    }

    /// The small polynomials `d_r` of `poly`, in the order of [`Gadget::constants`].
    pub fn decompose(&self, poly: &Poly<Coeff>, mut row: impl FnMut(Poly<Coeff>)) {
        let ring = poly.ring();
        let mut digits = poly.values().to_vec();
        self.pack_digits(&mut digits, ring.modulus());
        for index in 0..self.rows() {
            let mut small = Poly::zero(ring);
            self.write_row(&digits, index, ring.modulus(), small.values_mut());
            row(small);
        }
    }

    /// Turns residues into their digits, each plus `B/2`, packed most significant first:
    /// `sum_k (d_k + B/2) B^(levels-1-k)`, below `2^53`, plus multiples of `B^levels`.
    pub(super) fn pack_digits(&self, values: &mut [u64], modulus: Modulus) {
        // 2^52, from which on the floats are the integers: adding it rounds, halves to even
        const INTEGERS: f64 = 4_503_599_627_370_496.0;
        let bits = self.precision_bits();
        // exact to half a unit: at most 52 bits are kept of a residue that f64 holds to 53
        let factor = f64::from(bits).exp2() / modulus.value() as f64;
        let half = 1u64 << (self.base_log - 1);
        let halves: u64 = (0..self.levels).map(|level| half << (level * self.base_log)).sum();
        let offset = halves.wrapping_sub(INTEGERS.to_bits());
        for value in values {
            // a carry out of the first digit is a multiple of q: nothing
            *value = (*value as f64 * factor + INTEGERS).to_bits().wrapping_add(offset);
        }
    }

    /// Row `index` of [`Gadget::constants`]' order, as residues, from [`Gadget::pack_digits`].
    pub(super) fn write_row(
        &self,
        packed: &[u64],
        index: usize,
        modulus: Modulus,
        row: &mut [u64],
    ) {
        let (q, magnitudes) = (modulus.value(), self.magnitudes());
        let shift = self.base_log * (self.levels - 1 - (index / magnitudes) as u32);
        let (half, mask) = (1u64 << (self.base_log - 1), (1u64 << self.base_log) - 1);
        let digits = packed.iter().map(|&packed| ((packed >> shift) & mask).wrapping_sub(half));
        if self.tabulated {
            let magnitude = (index % magnitudes) as u64 + 1;
            for (value, digit) in row.iter_mut().zip(digits) {
                let (plus, minus) = (digit == magnitude, digit == magnitude.wrapping_neg());
                *value = u64::from(plus) + (q - 1) * u64::from(minus);
            }
        } else {
            for (value, digit) in row.iter_mut().zip(digits) {
                *value = digit.min(digit.wrapping_add(q)); // a negative digit is huge until q is added
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Ring;
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

    /// The digits of one residue, most significant first, by division in integers.
    fn naive_digits(gadget: Gadget, a: u64, q: u64) -> Vec<i128> {
        let base = 1i128 << gadget.base_log;
        let power = base.pow(gadget.levels);
        let product = i128::from(a) * power;
        let mut rest = (product + i128::from(q) / 2) / i128::from(q);
        let mut digits = vec![0; gadget.levels as usize];
        for digit in digits.iter_mut().rev() {
            *digit = (rest + base / 2).rem_euclid(base) - base / 2;
            rest = (rest - *digit) / base;
        }
        digits
    }

    proptest! {
        /// Where the rounding is far from a half, that of floats is that of integers.
        #[test]
        fn rows_are_the_digits(
            gadget in gadgets(),
            values in prop::collection::vec(any::<u64>(), 64),
        ) {
            let ring = ring();
            let q = ring.modulus().value();
            let near = |a: u64| {
                let power = 1u128 << gadget.precision_bits();
                let rest = (u128::from(a) * power) % u128::from(q);
                rest.abs_diff(u128::from(q) / 2) < u128::from(q) / 4
            };
            let values: Vec<u64> =
                values.iter().map(|v| v % q).map(|a| if near(a) { q - 1 } else { a }).collect();
            let digits: Vec<Vec<i128>> =
                values.iter().map(|&a| naive_digits(gadget, a, q)).collect();
            let poly = Poly::from_values(&ring, values).unwrap();
            let mut index = 0;
            gadget.decompose(&poly, |row| {
                let (level, magnitude) =
                    (index / gadget.magnitudes(), (index % gadget.magnitudes()) as i128 + 1);
                for (found, digits) in row.to_signed().into_iter().zip(&digits) {
                    let digit = digits[level];
                    let hit = i64::from(digit.abs() == magnitude) * digit.signum() as i64;
                    assert_eq!(found, if gadget.tabulated { hit } else { digit as i64 });
                }
                index += 1;
            });
            prop_assert_eq!(index, gadget.rows());
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
            assert!(matches!(Gadget::digits(base_log, levels, q), Err(RlweError::Gadget { .. })));
        }
        assert!(Gadget::tabulated(11, 1, q).is_err());
    }
}
