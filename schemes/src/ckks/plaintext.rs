//! Plaintexts, their scale and their packing.

use super::CkksError;
use crate::math::{Coeff, MathError, Poly, Ring};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::marker::PhantomData;

/// Values in the coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coeffs {}
/// Values in the slots of the canonical embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Coeffs {}
    impl Sealed for super::Slots {}
}

/// Where the values of a plaintext or ciphertext sit: [`Coeffs`] or [`Slots`].
pub trait Packing: sealed::Sealed + Debug + Clone + PartialEq + Send + Sync + 'static {
    /// What a person calls it.
    const NAME: &'static str;
    /// Its tag on the wire.
    const TAG: u8;
}

impl Packing for Coeffs {
    const NAME: &'static str = "coefficients";
    const TAG: u8 = 0;
}

impl Packing for Slots {
    const NAME: &'static str = "slots";
    const TAG: u8 = 1;
}

/// The factor between a real value and the integer that represents it modulo `q`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Scale(f64);

/// Two scales closer than this (relative) are the same: they differ by rounding of `f64` products.
const SCALE_TOLERANCE: f64 = 1e-9;

impl Scale {
    /// # Errors
    /// [`CkksError::InvalidScale`] where `scale` is not positive and finite.
    pub fn new(scale: f64) -> Result<Self, CkksError> {
        if scale.is_finite() && scale > 0.0 {
            Ok(Self(scale))
        } else {
            Err(CkksError::InvalidScale { scale })
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
    /// [`CkksError::InvalidScale`] where it overflows.
    pub fn times(self, other: Self) -> Result<Self, CkksError> {
        Self::new(self.0 * other.0)
    }

    /// # Errors
    /// [`CkksError::ScaleMismatch`] where the two differ by more than rounding.
    pub fn check_same(self, other: Self) -> Result<(), CkksError> {
        if (self.0 / other.0 - 1.0).abs() <= SCALE_TOLERANCE {
            return Ok(());
        }
        Err(CkksError::ScaleMismatch { left: self.0, right: other.0 })
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
    /// [`CkksError::Math`] where an exponent is not below `2N`.
    pub fn from_terms(
        ring: &Ring,
        terms: &[(usize, i64)],
        scale: Scale,
    ) -> Result<Self, CkksError> {
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
