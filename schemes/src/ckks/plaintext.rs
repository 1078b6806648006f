//! Plaintexts: integer polynomials that stand for real or complex numbers.

use super::Scale;
use crate::math::{Ntt, RnsPoly};
use crate::packing::Packing;
use std::marker::PhantomData;

/// An encoded message at a level, in the transformed domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Plaintext<P: Packing> {
    pub(super) poly: RnsPoly<Ntt>,
    pub(super) scale: Scale,
    packing: PhantomData<P>,
}

impl<P: Packing> Plaintext<P> {
    pub(super) fn new(poly: RnsPoly<Ntt>, scale: Scale) -> Self {
        Self { poly, scale, packing: PhantomData }
    }

    /// The integer polynomial.
    #[must_use]
    pub fn poly(&self) -> &RnsPoly<Ntt> {
        &self.poly
    }

    /// The scale.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The level: limbs less one.
    #[must_use]
    pub fn level(&self) -> usize {
        self.poly.limbs().len() - 1
    }
}
