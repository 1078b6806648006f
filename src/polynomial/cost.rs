//! What steps on ciphertexts cost, predicted by counting transforms and products of limbs.

use bellerophon_schemes::ckks::Split;
use serde::{Deserialize, Serialize};

/// Nanoseconds of one thread per coefficient of a limb: a number-theoretic transform (35 us at
/// 16,384 points), and a product with its addition, which waits for memory (from LeNet5's layers).
const TRANSFORM: f64 = 2.1;
const PRODUCT: f64 = 0.9;

/// The sizes that costs depend on, at one level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// Ring dimension.
    pub dimension: usize,
    /// Limbs of a ciphertext.
    pub limbs: usize,
    /// Special limbs.
    pub special: usize,
    /// Limbs of one digit of a key switch.
    pub per_digit: usize,
}

impl Sizes {
    fn digits(&self) -> f64 {
        self.limbs.div_ceil(self.per_digit.max(1)) as f64
    }

    /// Limbs modulo the whole modulus, special primes included.
    fn extended(&self) -> f64 {
        (self.limbs + self.special) as f64
    }

    fn seconds(&self, transforms: f64, products: f64) -> f64 {
        self.dimension as f64 * (transforms * TRANSFORM + products * PRODUCT) * 1e-9
    }

    /// Into the digits of a key switch.
    fn decompose(&self) -> f64 {
        let products = self.digits() * self.extended() * self.per_digit as f64;
        self.seconds(self.limbs as f64 + self.digits() * self.extended(), products)
    }

    /// Products of the digits with a key.
    fn accumulate(&self) -> f64 {
        self.seconds(0.0, 2.0 * self.digits() * self.extended())
    }

    /// Division by the special primes.
    fn reduce(&self) -> f64 {
        self.seconds(2.0 * self.extended(), 2.0 * self.limbs as f64 * self.special as f64)
    }

    /// One key switch of its own.
    #[must_use]
    pub fn key_switch(&self) -> f64 {
        self.decompose() + self.accumulate() + self.reduce()
    }

    /// Division by one prime of the chain.
    #[must_use]
    pub fn rescale(&self) -> f64 {
        self.seconds(2.0 * self.limbs as f64, 2.0 * self.limbs as f64)
    }

    /// A product of two ciphertexts.
    #[must_use]
    pub fn multiply(&self) -> f64 {
        self.key_switch() + self.rescale() + self.seconds(0.0, 4.0 * self.limbs as f64)
    }

    /// Diagonals whose rotations split into `split`, and `folds` rotations of each output.
    #[must_use]
    pub fn linear(&self, split: &Split, diagonals: usize, folds: usize) -> f64 {
        let hoisted = split.inputs as f64 * self.decompose()
            + split.babies as f64 * self.accumulate()
            + diagonals as f64 * self.seconds(0.0, 2.0 * self.extended());
        let outputs = split.outputs as f64;
        hoisted
            + split.giants as f64 * self.key_switch()
            + outputs * (self.reduce() + self.rescale() + folds as f64 * self.key_switch())
    }

    /// Bytes of one switching key.
    #[must_use]
    pub fn key_bytes(&self) -> f64 {
        2.0 * self.digits() * self.extended() * self.dimension as f64 * 8.0
    }
}
