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
//!
//! Here each leaf has its value in its target coefficient from the start, which multiplies a node
//! whose targets agree in the low bits `r` by `X^r`. The sums above then need no monomial, and
//! `Auto_g(X^r d) = X^(r g) Auto_g(d)` is multiplied by `X^(r (1 - g))`, for nothing: it moves where
//! the automorphism puts each coefficient.

use crate::{BridgeError, EvaluationKeys};
use bellerophon_schemes::rlwe::key_switch::Workspace;
use bellerophon_schemes::rlwe::{Ciphertext, Coeffs, Evaluator};

/// An LWE sample to be packed, and its target coefficient.
pub(crate) type Leaf<'a> = (usize, &'a [u64]);

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

/// Merges the leaves by the low `levels` bits of their targets. `embed` makes the ring ciphertext
/// with a leaf's value in its target coefficient; packing multiplies it by `2^levels`.
pub(crate) fn pack<'a, E>(
    keys: &EvaluationKeys,
    leaves: Vec<Leaf<'a>>,
    levels: u32,
    embed: E,
) -> Result<Option<Ciphertext<Coeffs>>, BridgeError>
where
    E: Fn(Leaf<'a>) -> Result<Ciphertext<Coeffs>, BridgeError> + Sync,
{
    let ring = keys.parameters.ring();
    let packing = Packing { keys, evaluator: Evaluator::new(ring), levels, embed };
    packing.node(leaves, 0, 0, &mut Workspace::new(ring))
}

struct Packing<'a, E> {
    keys: &'a EvaluationKeys,
    evaluator: Evaluator,
    levels: u32,
    embed: E,
}

impl<'a, E> Packing<'_, E>
where
    E: Fn(Leaf<'a>) -> Result<Ciphertext<Coeffs>, BridgeError> + Sync,
{
    /// The subtree whose targets are `residue` modulo `2^bit`.
    fn node(
        &self,
        mut leaves: Vec<Leaf<'a>>,
        bit: u32,
        residue: usize,
        workspace: &mut Workspace,
    ) -> Result<Option<Ciphertext<Coeffs>>, BridgeError> {
        if bit == self.levels || leaves.is_empty() {
            return leaves.pop().map(&self.embed).transpose();
        }
        let parallel = leaves.len() > PARALLEL_LEAVES;
        let (odd, even) = leaves.into_iter().partition(|(target, _)| target >> bit & 1 == 1);
        let (next, odd_residue) = (bit + 1, residue + (1 << bit));
        let (even, odd) = if parallel {
            let mut other = Workspace::new(self.keys.parameters.ring());
            rayon::join(
                || self.node(even, next, residue, workspace),
                || self.node(odd, next, odd_residue, &mut other),
            )
        } else {
            let even = self.node(even, next, residue, workspace);
            (even, self.node(odd, next, odd_residue, workspace))
        };
        self.merge(even?, odd?, bit, residue, workspace)
    }

    fn merge(
        &self,
        even: Option<Ciphertext<Coeffs>>,
        odd: Option<Ciphertext<Coeffs>>,
        bit: u32,
        residue: usize,
        workspace: &mut Workspace,
    ) -> Result<Option<Ciphertext<Coeffs>>, BridgeError> {
        let n = self.keys.parameters.ring().dimension();
        let shift = (2 * n) >> (bit + 1); // the automorphism's exponent less one
        let exponent = 2 * n - residue * shift % (2 * n);
        let (mut sum, difference, exponent) = match (even, odd) {
            (None, None) => return Ok(None),
            (Some(even), None) => (even.clone(), even, exponent),
            (None, Some(odd)) => (odd.clone(), odd, exponent + n), // X^N = -1
            (Some(mut even), Some(mut odd)) => {
                self.evaluator.butterfly(&mut even, &mut odd)?;
                (even, odd, exponent)
            }
        };
        self.keys.galois(shift + 1)?.add_image(&mut sum, &difference, exponent, workspace)?;
        Ok(Some(sum))
    }
}
