//! Packing of LWE samples into the coefficients of one ring ciphertext (Chen, Dai, Kim, Song, ePrint
//! 2020/015, algorithms 2 and 3), for any set of coefficients in any order.
//!
//! An LWE sample under `z` is, read as a ring element, a ciphertext whose constant coefficient is the
//! sample's phase and whose other coefficients are junk. Two of them merge by
//!
//! ```text
//! (even + X^(N/2^l) odd) + Auto_(2^l + 1)(even - X^(N/2^l) odd)
//! ```
//!
//! which doubles the values and halves the junk. The tree of merges branches on the bits of the
//! target coefficients, lowest bit at the root. It need not go deeper than the bits that tell the
//! targets apart: junk then stays in coefficients that nobody reads, and as many key switches are
//! saved.

use crate::{BridgeError, EvaluationKeys};
use bellerophon_schemes::ckks::{Ciphertext, Coeffs, Evaluator};

/// A value to be packed: its target coefficient and the ring ciphertext with the value in its
/// constant coefficient.
pub(crate) type Leaf = (usize, Ciphertext<Coeffs>);

/// Below this many leaves a subtree is packed on one thread.
const PARALLEL_LEAVES: usize = 48;

/// The number of merges above each leaf: the least number of low bits by which all `positions`
/// differ. Packing multiplies the phase by two to this power.
///
/// # Errors
/// [`BridgeError::Position`] outside the ring, [`BridgeError::DuplicatePosition`].
pub fn levels(positions: &[usize], dimension: usize) -> Result<u32, BridgeError> {
    if let Some(&position) = positions.iter().find(|&&position| position >= dimension) {
        return Err(BridgeError::Position { position, dimension });
    }
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(BridgeError::DuplicatePosition { position: pair[0] });
    }
    let distinct = |bits: &u32| {
        let mut low: Vec<usize> = positions.iter().map(|p| p & ((1 << bits) - 1)).collect();
        low.sort_unstable();
        low.windows(2).all(|pair| pair[0] != pair[1])
    };
    let all = dimension.checked_ilog2().unwrap_or(0);
    Ok((0..all).find(distinct).unwrap_or(all))
}

/// Merges the leaves by the low `levels` bits of their targets; the phase of each target coefficient
/// is `2^levels` times its leaf's.
pub(crate) fn pack(
    keys: &EvaluationKeys,
    leaves: Vec<Leaf>,
    levels: u32,
) -> Result<Option<Ciphertext<Coeffs>>, BridgeError> {
    let evaluator = Evaluator::new(keys.parameters.ring());
    Packing { keys, evaluator, levels }.node(leaves, 0)
}

struct Packing<'a> {
    keys: &'a EvaluationKeys,
    evaluator: Evaluator,
    levels: u32,
}

impl Packing<'_> {
    /// The subtree whose targets agree in their low `bit` bits, with those bits removed.
    fn node(&self, leaves: Vec<Leaf>, bit: u32) -> Result<Option<Ciphertext<Coeffs>>, BridgeError> {
        if bit == self.levels {
            return Ok(leaves.into_iter().next().map(|(target, leaf)| {
                let high = target >> bit << bit;
                self.evaluator.mul_monomial(&leaf, high)
            }));
        }
        let count = leaves.len();
        let (odd, even): (Vec<_>, Vec<_>) =
            leaves.into_iter().partition(|(target, _)| target >> bit & 1 == 1);
        let (even, odd) = if count > PARALLEL_LEAVES {
            rayon::join(|| self.node(even, bit + 1), || self.node(odd, bit + 1))
        } else {
            (self.node(even, bit + 1), self.node(odd, bit + 1))
        };
        let odd = odd?.map(|odd| self.evaluator.mul_monomial(&odd, 1 << bit));
        self.merge(even?, odd, bit)
    }

    fn merge(
        &self,
        even: Option<Ciphertext<Coeffs>>,
        odd: Option<Ciphertext<Coeffs>>,
        bit: u32,
    ) -> Result<Option<Ciphertext<Coeffs>>, BridgeError> {
        let element = ((2 * self.keys.parameters.ring().dimension()) >> (bit + 1)) + 1;
        let key = self.keys.galois(element)?;
        let (mut sum, image) = match (even, odd) {
            (None, None) => return Ok(None),
            (Some(even), None) => {
                let image = key.apply(&even)?;
                (even, image)
            }
            (None, Some(odd)) => {
                let mut image = key.apply(&odd)?;
                self.evaluator.mul_integer_assign(&mut image, -1);
                (odd, image)
            }
            (Some(even), Some(odd)) => {
                let mut difference = even.clone();
                self.evaluator.sub_assign(&mut difference, &odd)?;
                let mut sum = even;
                self.evaluator.add_assign(&mut sum, &odd)?;
                (sum, key.apply(&difference)?)
            }
        };
        self.evaluator.add_assign(&mut sum, &image)?;
        Ok(Some(sum))
    }
}
