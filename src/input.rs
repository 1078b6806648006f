//! How an input is laid out in ciphertexts: all that one must know of a program to encrypt for it.

use crate::compile::program::count_ciphertexts;
use crate::compile::{Place, Placement, Program};
use bellerophon_bridge as bridge;
use bellerophon_schemes::math::Ring;
use bellerophon_schemes::rlwe::{Coeffs, Encoder, Plaintext, RlweError, Scale};
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most ciphertexts that an input, or any register of a program from elsewhere, may have.
pub(crate) const MOST_CIPHERTEXTS: usize = 1 << 12;

/// The largest layout accepted, in bytes.
const LAYOUT_LIMIT: u64 = 64 << 20;

/// Why an input cannot be laid out.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum InputError {
    /// The input is of another size than the program's.
    #[error("the image has {found} values, the program reads {expected}")]
    Size {
        /// What the program reads.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A value is placed where there is no coefficient.
    #[error(
        "the program places a value in ciphertext {ciphertext}, coefficient {coefficient}, which does not exist"
    )]
    Place {
        /// The ciphertext.
        ciphertext: usize,
        /// The coefficient.
        coefficient: usize,
    },
    /// A value does not fit the modulus.
    #[error(transparent)]
    Rlwe(#[from] RlweError),
}

/// Where each element of an input goes, and at which amplitude.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputLayout {
    elements: usize,
    placements: Vec<Placement>,
    amplitude: f64,
}

impl<L> Program<L> {
    /// How inputs of this program are laid out.
    #[must_use]
    pub fn input_layout(&self) -> InputLayout {
        InputLayout {
            elements: self.input_elements,
            placements: self.input.clone(),
            amplitude: self.input_amplitude,
        }
    }
}

impl InputLayout {
    /// The wire form, for whoever encrypts and needs no more of the model.
    ///
    /// # Errors
    /// [`WireError`], which cannot occur for a layout that was made.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WireError> {
        wire::to_bytes(self)
    }

    /// Reads a layout for the ring of `parameters`.
    ///
    /// # Errors
    /// [`WireError`] for bytes that are no such layout.
    pub fn from_bytes(bytes: &[u8], parameters: &bridge::Parameters) -> Result<Self, WireError> {
        wire::from_bytes(bytes, LAYOUT_LIMIT, parameters)
    }

    /// The number of values of an input.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// The number of ciphertexts of an input, at least one.
    #[must_use]
    pub fn ciphertexts(&self) -> usize {
        count_ciphertexts(&self.placements).max(1)
    }

    /// The plaintexts of an input: its values at their places, zeros elsewhere.
    ///
    /// # Errors
    /// [`InputError`] for an input of another size, a place that does not exist, or a value that
    /// does not fit the modulus.
    pub fn encode(
        &self,
        encoder: &Encoder,
        ring: &Ring,
        input: &[f64],
    ) -> Result<Vec<Plaintext<Coeffs>>, InputError> {
        let (expected, found) = (self.elements, input.len());
        if expected != found {
            return Err(InputError::Size { expected, found });
        }
        let mut values = vec![vec![0.0; ring.dimension()]; self.ciphertexts()];
        for &Placement { element, place: Place { ciphertext, coefficient } } in &self.placements {
            let missing = || InputError::Place { ciphertext, coefficient };
            let slot = values.get_mut(ciphertext).and_then(|c| c.get_mut(coefficient));
            *slot.ok_or_else(missing)? = *input.get(element).ok_or_else(missing)?;
        }
        let scale = Scale::new(self.amplitude * ring.modulus().value() as f64)?;
        values.iter().map(|values| Ok(encoder.encode_coefficients(values, scale)?)).collect()
    }
}

impl Wire for InputLayout {
    const KIND: u16 = 53;
    const NAME: &'static str = "input layout";
}

impl Conformant<bridge::Parameters> for InputLayout {
    fn conforms(&self, parameters: &bridge::Parameters) -> Result<(), String> {
        let dimension = parameters.ring().dimension();
        if !(self.amplitude.is_finite() && self.amplitude > 0.0) {
            return Err(format!("amplitude {} is not positive and finite", self.amplitude));
        }
        for Placement { element, place } in &self.placements {
            if *element >= self.elements {
                return Err(format!("element {element} does not exist"));
            }
            if place.coefficient >= dimension || place.ciphertext >= MOST_CIPHERTEXTS {
                let Place { ciphertext, coefficient } = place;
                return Err(format!(
                    "ciphertext {ciphertext}, coefficient {coefficient} is outside {MOST_CIPHERTEXTS} \
                     ciphertexts of dimension {dimension}"
                ));
            }
        }
        Ok(())
    }
}
