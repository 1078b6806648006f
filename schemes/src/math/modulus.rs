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
        let estimate = ((u128::from(a) * u128::from(constant.quotient)) >> 64) as u64;
        let remainder = a.wrapping_mul(constant.value).wrapping_sub(estimate.wrapping_mul(self.0)); // in [0, 2q)
        remainder.min(remainder.wrapping_sub(self.0))
    }
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
    fn refuses_moduli_out_of_range() {
        for modulus in [0, 1, 1 << 62, u64::MAX] {
            assert_eq!(Modulus::new(modulus), Err(MathError::ModulusRange { modulus }));
        }
    }
}
