//! Integers modulo `q`.

use super::MathError;
use serde::{Deserialize, Serialize};

/// A modulus `q` with `2 <= q < 2^62`; its residues are `u64` in `[0, q)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Modulus(u64);

/// A residue with its quotient `floor(value * 2^64 / q)`, for Shoup's multiplication by a constant.
#[derive(Debug, Clone, Copy)]
pub struct ShoupOperand {
    value: u64,
    quotient: u64,
}

/// A power of two that `q` is 1 modulo, for [`Modulus::halve`].
#[derive(Debug, Clone, Copy)]
pub struct Halvings {
    times: u32,
    mask: u64,
    /// `floor(q / 2^times)`.
    quotient: u64,
}

/// `2^64 / q`, its whole part and `floor(fraction * 2^64)`, for [`Modulus::to_torus`].
#[derive(Debug, Clone, Copy)]
pub struct TorusRatio {
    whole: u64,
    fraction: u64,
}

impl Modulus {
    /// Checks the range of `modulus`.
    ///
    /// # Errors
    /// [`MathError::ModulusRange`] below 2 and from `2^62` on.
    pub fn new(modulus: u64) -> Result<Self, MathError> {
        if (2..1 << 62).contains(&modulus) {
            Ok(Self(modulus))
        } else {
            Err(MathError::ModulusRange { modulus })
        }
    }

    /// The modulus as an integer.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }

    /// `log2(q)`.
    #[must_use]
    pub fn log2(self) -> f64 {
        (self.0 as f64).log2()
    }

    /// `a + b mod q`.
    #[inline]
    #[must_use]
    pub fn add(self, a: u64, b: u64) -> u64 {
        debug_assert!(a < self.0 && b < self.0);
        let sum = a + b; // below 2q < 2^63
        sum.min(sum.wrapping_sub(self.0))
    }

    /// `a - b mod q`.
    #[inline]
    #[must_use]
    pub fn sub(self, a: u64, b: u64) -> u64 {
        debug_assert!(a < self.0 && b < self.0);
        let difference = a.wrapping_sub(b); // the smaller of the two below is in [0, q)
        difference.min(difference.wrapping_add(self.0))
    }

    /// `-a mod q`.
    #[inline]
    #[must_use]
    pub fn neg(self, a: u64) -> u64 {
        self.sub(0, a)
    }

    /// `a * b mod q`.
    #[inline]
    #[must_use]
    pub fn mul(self, a: u64, b: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(self.0)) as u64
    }

    /// `base^exponent mod q`.
    #[must_use]
    pub fn pow(self, base: u64, mut exponent: u64) -> u64 {
        let mut square = base % self.0;
        let mut power = 1 % self.0;
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = self.mul(power, square);
            }
            square = self.mul(square, square);
            exponent >>= 1;
        }
        power
    }

    /// `a^-1 mod q` for a prime `q`, by Fermat's little theorem.
    #[must_use]
    pub fn inverse_of_prime(self, a: u64) -> u64 {
        self.pow(a, self.0 - 2)
    }

    /// The residue of a signed integer.
    #[inline]
    #[must_use]
    pub fn from_signed(self, a: i64) -> u64 {
        a.rem_euclid(self.0 as i64) as u64
    }

    /// The representative of `a` in `[-q/2, q/2)`.
    #[inline]
    #[must_use]
    pub fn to_signed(self, a: u64) -> i64 {
        debug_assert!(a < self.0);
        if a >= self.0.div_ceil(2) { a as i64 - self.0 as i64 } else { a as i64 }
    }

    /// Prepares `value` for [`Modulus::mul_shoup`].
    #[must_use]
    pub fn shoup(self, value: u64) -> ShoupOperand {
        debug_assert!(value < self.0);
        let quotient = ((u128::from(value) << 64) / u128::from(self.0)) as u64;
        ShoupOperand { value, quotient }
    }

    /// `a * constant mod q` without a division (V. Shoup's method, as in NTL).
    #[inline]
    #[must_use]
    pub fn mul_shoup(self, a: u64, constant: ShoupOperand) -> u64 {
        // the quotient without the lowest of the four products of halves and without carries: too low
        // by at most 3, which leaves a remainder below 4q < 2^64
        let ((a1, a0), (b1, b0)) = (halves(a), halves(constant.quotient));
        let estimate = a1 * b1 + ((a1 * b0) >> 32) + ((a0 * b1) >> 32);
        let remainder = a.wrapping_mul(constant.value).wrapping_sub(estimate.wrapping_mul(self.0));
        let remainder = remainder.min(remainder.wrapping_sub(2 * self.0));
        remainder.min(remainder.wrapping_sub(self.0))
    }

    /// Prepares [`Modulus::halve`].
    ///
    /// # Errors
    /// [`MathError::NotNttFriendly`] where `q` is not 1 modulo `2^times`.
    pub fn halvings(self, times: u32) -> Result<Halvings, MathError> {
        let power = 1u64.checked_shl(times).filter(|power| self.0 % power == 1 % power);
        let dimension = (1usize.checked_shl(times).unwrap_or_default() / 2).max(1);
        let power = power.ok_or(MathError::NotNttFriendly { modulus: self.0, dimension })?;
        Ok(Halvings { times, mask: power - 1, quotient: self.0 >> times })
    }

    /// `a / 2^times mod q`, by Montgomery's reduction: `(a + m q) / 2^times` with the `m` that makes it
    /// an integer, which is `-a mod 2^times`.
    #[inline]
    #[must_use]
    pub fn halve(self, a: u64, halvings: Halvings) -> u64 {
        debug_assert!(a < self.0);
        let multiple = a.wrapping_neg() & halvings.mask;
        ((a + multiple) >> halvings.times) + multiple * halvings.quotient
    }

    /// `round(word q / 2^64) mod q`, halves up: the residue nearest to a torus element modulo `2^64`.
    #[inline]
    #[must_use]
    pub fn from_torus(self, word: u64) -> u64 {
        let rounded = multiply_high(word, self.0, 1 << 31); // in [0, q]
        rounded.min(rounded.wrapping_sub(self.0))
    }

    /// Prepares [`Modulus::to_torus`].
    #[must_use]
    pub fn torus_ratio(self) -> TorusRatio {
        let (turn, q) = (1u128 << 64, u128::from(self.0));
        TorusRatio { whole: (turn / q) as u64, fraction: (((turn % q) << 64) / q) as u64 }
    }

    /// `round(a 2^64 / q)`, halves up: the torus element modulo `2^64` nearest to a residue, without
    /// a division.
    #[inline]
    #[must_use]
    pub fn to_torus(self, a: u64, ratio: TorusRatio) -> u64 {
        debug_assert!(a < self.0);
        // a * ratio is short of a 2^64 / q by less than a / 2^64 < 1/4: one too low at most
        let below = multiply_high(a, ratio.fraction, 0);
        let estimate = a.wrapping_mul(ratio.whole).wrapping_add(below);
        let remainder = estimate.wrapping_mul(self.0).wrapping_neg(); // of a 2^64, in [0, 2q)
        let rounding = remainder + self.0 / 2; // below 5q/2 < 2^64
        estimate + u64::from(rounding >= self.0) + u64::from(rounding >= 2 * self.0)
    }
}

/// The upper and the lower half of a word.
#[inline(always)]
fn halves(word: u64) -> (u64, u64) {
    (word >> 32, word & 0xFFFF_FFFF)
}

/// `floor((a b + carry 2^32) / 2^64)` for `carry < 2^32`, of halves of 32 bits: unlike the product of
/// two words, that of two halves exists for vectors.
#[inline(always)]
fn multiply_high(a: u64, b: u64, carry: u64) -> u64 {
    let ((a1, a0), (b1, b0)) = (halves(a), halves(b));
    // (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1: no sum below overflows
    let (upper, lower) = halves(a1 * b0 + ((a0 * b0) >> 32));
    let middle = a0 * b1 + lower + carry;
    a1 * b1 + upper + (middle >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn residues() -> impl Strategy<Value = (Modulus, u64, u64)> {
        (2u64..1 << 62).prop_flat_map(|q| (Just(Modulus::new(q).unwrap()), 0..q, 0..q))
    }

    proptest! {
        #[test]
        fn agrees_with_wide_arithmetic((q, a, b) in residues()) {
            let wide = u128::from(q.value());
            let (x, y) = (u128::from(a), u128::from(b));
            prop_assert_eq!(u128::from(q.add(a, b)), (x + y) % wide);
            prop_assert_eq!(u128::from(q.sub(a, b)), (x + wide - y) % wide);
            prop_assert_eq!(u128::from(q.neg(a)), (wide - x) % wide);
            prop_assert_eq!(u128::from(q.mul(a, b)), x * y % wide);
            prop_assert_eq!(q.mul_shoup(a, q.shoup(b)), q.mul(a, b));
        }

        #[test]
        fn halving_is_undone_by_doubling(
            (times, q, a) in (0u32..=32).prop_flat_map(|times| {
                let moduli = 1u64..1 << (61 - times);
                let q = moduli.prop_map(move |high| Modulus::new((high << times) + 1).unwrap());
                q.prop_flat_map(move |q| (Just(times), Just(q), 0..q.value()))
            }),
        ) {
            let halved = q.halve(a, q.halvings(times).unwrap());
            prop_assert!(halved < q.value());
            prop_assert_eq!(q.mul(halved, (1 << times) % q.value()), a);
        }

        #[test]
        fn torus_elements_are_the_nearest((q, a, _) in residues(), word: u64) {
            let (wide, turn) = (u128::from(q.value()), 1u128 << 64);
            let nearest = (u128::from(a) * turn + wide / 2) / wide;
            prop_assert_eq!(u128::from(q.to_torus(a, q.torus_ratio())), nearest % turn);
            let nearest = (u128::from(word) * wide + turn / 2) / turn;
            prop_assert_eq!(u128::from(q.from_torus(word)), nearest % wide);
        }

        #[test]
        fn signed_representatives_round_trip((q, a, _) in residues()) {
            let signed = q.to_signed(a);
            prop_assert!(2 * i128::from(signed) < i128::from(q.value()));
            prop_assert!(-2 * i128::from(signed) <= i128::from(q.value()));
            prop_assert_eq!(q.from_signed(signed), a);
        }
    }

    #[test]
    fn inverts_modulo_a_prime() {
        let q = Modulus::new(1_125_899_906_826_241).unwrap();
        for a in [1, 2, 3, 1 << 40, q.value() - 1] {
            assert_eq!(q.mul(a, q.inverse_of_prime(a)), 1);
        }
    }

    #[test]
    fn torus_elements_at_the_ends_are_the_nearest() {
        for q in [2, 3, 4097, (1 << 50) - 27, (1 << 61) + 1, (1 << 62) - 1] {
            let q = Modulus::new(q).unwrap();
            let (wide, ratio) = (u128::from(q.value()), q.torus_ratio());
            for a in [0, 1, q.value() / 2, q.value() - 1] {
                let nearest = ((u128::from(a) << 64) + wide / 2) / wide;
                assert_eq!(u128::from(q.to_torus(a, ratio)), nearest);
            }
            assert_eq!(
                (q.from_torus(0), q.from_torus(1 << 63)),
                (0, q.value().div_ceil(2) % q.value())
            );
            assert_eq!(q.from_torus(u64::MAX), 0);
        }
    }

    #[test]
    fn refuses_halvings_of_other_moduli() {
        let q = Modulus::new(3 * 4096 + 1).unwrap();
        assert!(q.halvings(12).is_ok());
        for times in [13, 63, 64, u32::MAX] {
            let error = MathError::NotNttFriendly { modulus: q.value(), dimension: 0 };
            let found = q.halvings(times).unwrap_err();
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&error));
        }
    }

    #[test]
    fn refuses_moduli_out_of_range() {
        for modulus in [0, 1, 1 << 62, u64::MAX] {
            assert_eq!(Modulus::new(modulus), Err(MathError::ModulusRange { modulus }));
        }
    }
}
