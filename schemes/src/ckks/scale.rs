//! Scales as exact rational numbers.

use super::CkksError;
use crate::math::Modulus;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The factor between a value and the integer that stands for it: a positive rational number, exact
/// through any number of products and rescalings.
///
/// It is kept as powers of integers without common divisors (2 and the primes of the chain, in
/// general), so that depth costs nothing: at depth `d` the scale holds powers to the `2^d`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, i64)>", into = "Vec<(u64, i64)>")]
pub struct Scale {
    /// Exponents, none zero, of factors above 1, pairwise coprime.
    factors: BTreeMap<u64, i64>,
}

/// Exponents beyond this are refused from elsewhere: that would be more than 40 levels deep.
const LARGEST_EXPONENT: u64 = 1 << 40;
/// More factors than any chain has.
const MOST_FACTORS: usize = 256;

impl Scale {
    /// The scale 1.
    #[must_use]
    pub fn one() -> Self {
        Self::default()
    }

    /// Exactly this number.
    ///
    /// # Errors
    /// [`CkksError::InvalidScale`] where it is not positive and finite.
    pub fn new(scale: f64) -> Result<Self, CkksError> {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(CkksError::InvalidScale { scale });
        }
        let bits = scale.to_bits();
        let (field, fraction) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
        let mantissa = if field == 0 { fraction } else { fraction | 1 << 52 };
        let twos = mantissa.trailing_zeros();
        let mut exact = Self::one();
        exact.multiply(2, field.max(1) - 1075 + i64::from(twos));
        exact.multiply(mantissa >> twos, 1);
        Ok(exact)
    }

    /// `2^exponent`.
    #[must_use]
    pub fn power_of_two(exponent: i32) -> Self {
        let mut scale = Self::one();
        scale.multiply(2, exponent.into());
        scale
    }

    /// The prime `q`.
    #[must_use]
    pub fn of_modulus(modulus: Modulus) -> Self {
        let mut scale = Self::one();
        scale.multiply(modulus.value(), 1);
        scale
    }

    /// The product.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        self.combine(other, 1)
    }

    /// The quotient.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        self.combine(other, -1)
    }

    fn combine(&self, other: &Self, sign: i64) -> Self {
        let mut result = self.clone();
        for (&factor, &exponent) in &other.factors {
            result.multiply(factor, sign * exponent);
        }
        result
    }

    /// `self *= factor^exponent`, splitting factors until all are coprime.
    fn multiply(&mut self, factor: u64, exponent: i64) {
        if factor == 1 || exponent == 0 {
            return;
        }
        let shared = |other: u64| greatest_common_divisor(other, factor);
        let Some(other) = self.factors.keys().copied().find(|&other| shared(other) > 1) else {
            self.factors.insert(factor, exponent);
            return;
        };
        let Some(before) = self.factors.remove(&other) else { return };
        let (divisor, sum) = (shared(other), before.saturating_add(exponent));
        if divisor == other && divisor == factor {
            if sum != 0 {
                self.factors.insert(factor, sum);
            }
            return;
        }
        self.multiply(other / divisor, before);
        self.multiply(factor / divisor, exponent);
        self.multiply(divisor, sum);
    }

    /// The nearest `f64`, to within a few units of its last place; 0 or infinity out of its range.
    #[must_use]
    pub fn value(&self) -> f64 {
        // each factor as 2^k (1 + d): powers of the first are exact, d is small for primes of a chain
        let parts = self.factors.iter().map(|(&factor, &exponent)| {
            let power = (factor as f64).log2().round();
            let rest = (factor as f64 - power.exp2()) / power.exp2();
            (power as i64 * exponent, rest.ln_1p() * exponent as f64)
        });
        let (twos, logarithm) = parts.fold((0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        // in two steps, as 2^1024 times a number below 1 is still finite
        let half = twos.div_euclid(2);
        logarithm.exp() * (half as f64).exp2() * ((twos - half) as f64).exp2()
    }

    /// `log2` of the scale.
    #[must_use]
    pub fn log2(&self) -> f64 {
        let parts = self.factors.iter().map(|(&factor, &e)| (factor as f64).log2() * e as f64);
        parts.sum()
    }

    /// # Errors
    /// [`CkksError::ScaleMismatch`] where the two differ at all.
    pub fn check_same(&self, other: &Self) -> Result<(), CkksError> {
        if self == other {
            return Ok(());
        }
        let ratio = self.over(other);
        Err(CkksError::ScaleMismatch {
            left: self.log2(),
            right: other.log2(),
            ratio: ratio.value(),
        })
    }

    /// The scale as an `f64` to compute with.
    pub(super) fn finite(&self) -> Result<f64, CkksError> {
        let scale = self.value();
        if scale.is_normal() { Ok(scale) } else { Err(CkksError::InvalidScale { scale }) }
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl PartialEq for Scale {
    fn eq(&self, other: &Self) -> bool {
        self.factors == other.factors || self.over(other).factors.is_empty()
    }
}

impl fmt::Debug for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scale(2^{:.6})", self.log2())
    }
}

impl From<Scale> for Vec<(u64, i64)> {
    fn from(scale: Scale) -> Self {
        scale.factors.into_iter().collect()
    }
}

impl TryFrom<Vec<(u64, i64)>> for Scale {
    type Error = &'static str;

    fn try_from(factors: Vec<(u64, i64)>) -> Result<Self, Self::Error> {
        let sound = |&(factor, exponent): &(u64, i64)| {
            factor > 1 && (1..=LARGEST_EXPONENT).contains(&exponent.unsigned_abs())
        };
        if factors.len() > MOST_FACTORS || !factors.iter().all(sound) {
            return Err("a scale with a meaningless factor");
        }
        let mut scale = Self::one();
        for (factor, exponent) in factors {
            scale.multiply(factor, exponent);
        }
        Ok(scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scales() -> impl Strategy<Value = Scale> {
        let numbers = prop::collection::vec(((1u32..1 << 20), -3i32..4), 0..5);
        numbers.prop_map(|numbers| {
            numbers.into_iter().fold(Scale::one(), |scale, (factor, exponent)| {
                let factor = Scale::new(f64::from(factor)).unwrap();
                (0..exponent.abs()).fold(scale, |scale, _| {
                    if exponent > 0 { scale.times(&factor) } else { scale.over(&factor) }
                })
            })
        })
    }

    proptest! {
        #[test]
        fn is_a_group(a in scales(), b in scales(), c in scales()) {
            prop_assert_eq!(a.times(&b).over(&b), a.clone());
            prop_assert_eq!(a.times(&b).times(&c), a.times(&b.times(&c)));
            prop_assert_eq!(a.times(&b), b.times(&a));
            prop_assert_eq!(a.over(&a), Scale::one());
            let ratio = a.times(&b).value() / (a.value() * b.value());
            prop_assert!((ratio - 1.0).abs() < 1e-13);
            prop_assert!((a.log2() - a.value().log2()).abs() < 1e-10);
        }

        #[test]
        fn keeps_floats_exactly(value in prop::num::f64::POSITIVE) {
            prop_assume!(value > 0.0);
            let scale = Scale::new(value).unwrap();
            prop_assert!(((scale.value() / value) - 1.0).abs() < 1e-13 || !value.is_normal());
            let twice = Scale::new(value * 2.0);
            if (value * 2.0).is_finite() {
                prop_assert_eq!(twice.unwrap(), scale.times(&Scale::power_of_two(1)));
            }
        }

        #[test]
        fn survives_serialization(a in scales()) {
            let factors: Vec<(u64, i64)> = a.clone().into();
            prop_assert_eq!(Scale::try_from(factors).unwrap(), a);
        }
    }

    #[test]
    fn tells_neighbours_apart_however_deep() {
        let q = Modulus::new((1 << 40) - 87).unwrap();
        let mut scale = Scale::power_of_two(40);
        for _ in 0..20 {
            scale = scale.times(&scale).over(&Scale::of_modulus(q));
        }
        assert!(scale.value() > 1.0 && scale.log2() > 39.0);
        assert_eq!(scale, scale.times(&Scale::new(3.0).unwrap()).over(&Scale::new(3.0).unwrap()));
        let near = scale.times(&Scale::new(1.0 + f64::EPSILON).unwrap());
        assert!(matches!(scale.check_same(&near), Err(CkksError::ScaleMismatch { .. })));
    }

    #[test]
    fn refuses_what_is_no_scale() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Scale::new(value), Err(CkksError::InvalidScale { .. })));
        }
        for factors in [vec![(1, 1)], vec![(0, 1)], vec![(2, 0)], vec![(2, i64::MIN)]] {
            assert!(Scale::try_from(factors).is_err());
        }
        assert!(Scale::power_of_two(4000).finite().is_err());
    }
}
