//! Real numbers into and out of plaintexts.

use super::{Coeffs, Parameters, Plaintext, RlweError, Scale, Slots};
use crate::math::fft::CanonicalEmbedding;
use crate::math::{Coeff, Poly, Ring};
use concrete_fft::c64;

/// Encodes and decodes for one ring.
#[derive(Debug, Clone)]
pub struct Encoder {
    ring: Ring,
    embedding: CanonicalEmbedding,
}

impl Encoder {
    /// Prepares the canonical embedding of the ring.
    #[must_use]
    pub fn new(parameters: &Parameters) -> Self {
        let ring = parameters.ring().clone();
        let embedding = CanonicalEmbedding::new(ring.dimension());
        Self { ring, embedding }
    }

    /// Up to `N` real numbers into the coefficients, each rounded to a multiple of `1/scale`; the
    /// rest are zero.
    ///
    /// # Errors
    /// [`RlweError::TooManyValues`], and [`RlweError::ValueRange`] where a value times the scale
    /// leaves `[-q/2, q/2)`.
    pub fn encode_coefficients(
        &self,
        values: &[f64],
        scale: Scale,
    ) -> Result<Plaintext<Coeffs>, RlweError> {
        self.check_count(values.len(), self.ring.dimension())?;
        Ok(Plaintext::new(self.round(values, scale)?, scale))
    }

    /// Up to `N/2` complex numbers into the slots; the rest are zero.
    ///
    /// # Errors
    /// As [`Encoder::encode_coefficients`].
    pub fn encode_slots(
        &self,
        values: &[c64],
        scale: Scale,
    ) -> Result<Plaintext<Slots>, RlweError> {
        self.check_count(values.len(), self.embedding.slots())?;
        let mut slots = values.to_vec();
        slots.resize(self.embedding.slots(), c64::default());
        let coefficients = self.embedding.coefficients_of(&slots);
        Ok(Plaintext::new(self.round(&coefficients, scale)?, scale))
    }

    /// The `N` coefficients.
    #[must_use]
    pub fn decode_coefficients(&self, plaintext: &Plaintext<Coeffs>) -> Vec<f64> {
        real_coefficients(&plaintext.poly, plaintext.scale)
    }

    /// The `N/2` slots.
    #[must_use]
    pub fn decode_slots(&self, plaintext: &Plaintext<Slots>) -> Vec<c64> {
        self.embedding.slots_of(&real_coefficients(&plaintext.poly, plaintext.scale))
    }

    fn check_count(&self, found: usize, capacity: usize) -> Result<(), RlweError> {
        if found <= capacity {
            return Ok(());
        }
        Err(RlweError::TooManyValues { capacity, found })
    }

    fn round(&self, values: &[f64], scale: Scale) -> Result<Poly<Coeff>, RlweError> {
        let half = self.ring.modulus().value() as f64 / 2.0;
        let mut rounded = vec![0; self.ring.dimension()];
        for (index, (target, value)) in rounded.iter_mut().zip(values).enumerate() {
            let scaled = (value * scale.value()).round();
            if scaled.is_nan() || scaled.abs() >= half {
                return Err(RlweError::ValueRange { index, scale: scale.value() });
            }
            *target = scaled as i64;
        }
        Ok(Poly::from_signed(&self.ring, &rounded)?)
    }
}

fn real_coefficients(poly: &Poly<Coeff>, scale: Scale) -> Vec<f64> {
    poly.to_signed().into_iter().map(|c| c as f64 / scale.value()).collect()
}
