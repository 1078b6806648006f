//! Plaintexts and their scale.

use super::RlweError;
use crate::math::{Coeff, MathError, Poly, Ring};
use crate::packing::{Coeffs, Packing};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// The factor between a real value and the integer that represents it modulo `q`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Scale(f64);

/// Two scales closer than this (relative) are the same: they differ by rounding of `f64` products.
const SCALE_TOLERANCE: f64 = 1e-9;

impl Scale {
    /// # Errors
    /// [`RlweError::InvalidScale`] where `scale` is not positive and finite.
    pub fn new(scale: f64) -> Result<Self, RlweError> {
        if scale.is_finite() && scale > 0.0 {
            Ok(Self(scale))
        } else {
            Err(RlweError::InvalidScale { scale })
        }
    }

    /// The factor.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// The scale of a product.
    ///
    /// # Errors
    /// [`RlweError::InvalidScale`] where it overflows.
    pub fn times(self, other: Self) -> Result<Self, RlweError> {
        Self::new(self.0 * other.0)
    }

    /// # Errors
    /// [`RlweError::ScaleMismatch`] where the two differ by more than rounding.
    pub fn check_same(self, other: Self) -> Result<(), RlweError> {
        if (self.0 / other.0 - 1.0).abs() <= SCALE_TOLERANCE {
            return Ok(());
        }
        Err(RlweError::ScaleMismatch { left: self.0, right: other.0 })
    }
}

/// An encoded message: an integer polynomial and its scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Plaintext<P: Packing> {
    pub(super) poly: Poly<Coeff>,
    pub(super) scale: Scale,
    pub(super) packing: PhantomData<P>,
}

impl<P: Packing> Plaintext<P> {
    pub(super) fn new(poly: Poly<Coeff>, scale: Scale) -> Self {
        Self { poly, scale, packing: PhantomData }
    }

    /// The integer polynomial.
    #[must_use]
    pub fn poly(&self) -> &Poly<Coeff> {
        &self.poly
    }

    /// The scale.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.scale
    }
}

impl Plaintext<Coeffs> {
    /// The sum of `coefficient X^exponent` over `terms`, as integers at `scale` (a coefficient that
    /// stands for the real `w` is `round(w * scale)`). Exponents count modulo `2N`, so that
    /// `X^-e` is `2N - e`; equal exponents add up.
    ///
    /// # Errors
    /// [`RlweError::Math`] where an exponent is not below `2N`.
    pub fn from_terms(
        ring: &Ring,
        terms: &[(usize, i64)],
        scale: Scale,
    ) -> Result<Self, RlweError> {
        let (n, q) = (ring.dimension(), ring.modulus());
        let mut values = vec![0; n];
        for &(exponent, coefficient) in terms {
            if exponent >= 2 * n {
                return Err(MathError::Length { expected: 2 * n, found: exponent }.into());
            }
            let (value, term) = (&mut values[exponent % n], q.from_signed(coefficient));
            *value = if exponent < n { q.add(*value, term) } else { q.sub(*value, term) };
        }
        Ok(Self::new(Poly::from_values(ring, values)?, scale))
    }
}
