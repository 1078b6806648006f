//! Where the values of a plaintext or ciphertext sit, as a type.

use std::fmt::Debug;

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
