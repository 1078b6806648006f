//! The one contract between the two schemes' encodings.
//!
//! CKKS represents a real `v` by the integer `v * scale` modulo `q`; TFHE by the torus element
//! `v * amplitude` modulo 1. They are the same number: `amplitude = scale / q`. No other factor
//! appears anywhere on the bridge.

use crate::BridgeError;
use bellerophon_schemes::math::Modulus;
use bellerophon_schemes::rlwe::Scale;
use serde::{Deserialize, Serialize};

/// Turns of the torus per unit of the represented value.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Amplitude(f64);

impl Amplitude {
    /// An amplitude, in torus units per unit.
    #[must_use]
    pub fn new(amplitude: f64) -> Self {
        Self(amplitude)
    }

    /// The amplitude of a CKKS scale.
    #[must_use]
    pub fn of_scale(scale: Scale, modulus: Modulus) -> Self {
        Self(scale.value() / modulus.value() as f64)
    }

    /// The CKKS scale of this amplitude.
    ///
    /// # Errors
    /// [`BridgeError::Rlwe`] where it is not positive and finite.
    pub fn to_scale(self, modulus: Modulus) -> Result<Scale, BridgeError> {
        Ok(Scale::new(self.0 * modulus.value() as f64)?)
    }

    /// Torus units per unit.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}
