//! Down: from the coefficients of a CKKS ciphertext to LWE samples under the small secret.

use crate::{Assumptions, BridgeError, EvaluationKeys};
use bellerophon_schemes::math::{Coeff, Poly};
use bellerophon_schemes::rlwe::{Ciphertext, Coeffs};
use bellerophon_schemes::tfhe::{LweBatch, SwitchedLweBatch};

impl EvaluationKeys {
    /// Coefficients `positions` of `ciphertext`, as LWE samples modulo `2^log2_modulus` under the
    /// small secret, for blind rotation with `grouping_factor` key bits a step: one ring key switch
    /// for the whole ciphertext, then extraction and the centred modulus switch of each sample. A
    /// value keeps its amplitude `scale / q`; the noise added is [`crate::noise::to_lwe`].
    ///
    /// # Errors
    /// [`BridgeError::Rlwe`] for a ciphertext under another secret or of another ring,
    /// [`BridgeError::Position`] for a coefficient outside the ring.
    pub fn to_lwe(
        &self,
        ciphertext: &Ciphertext<Coeffs>,
        positions: &[usize],
        log2_modulus: u32,
        grouping_factor: usize,
    ) -> Result<SwitchedLweBatch, BridgeError> {
        let switched = self.down.switch(ciphertext)?;
        let (n, stride) = (self.parameters.lwe_dimension(), self.parameters.lwe_stride());
        let samples = extract(&switched, positions, n, stride)?;
        Ok(samples.switch_modulus(log2_modulus, grouping_factor)?)
    }

    /// Coefficients `positions` of `ciphertext`, as LWE samples modulo `2^64` under the GLWE secret,
    /// which is the ciphertext's own: no key switch, and no noise but [`crate::noise::rescale`].
    /// [`EvaluationKeys::to_ckks`] packs them like the outputs of tables.
    ///
    /// # Errors
    /// [`BridgeError::SeparateSecrets`] under [`Assumptions::Conservative`]; [`BridgeError::Key`] for a
    /// ciphertext under another secret, [`BridgeError::Math`] of another ring,
    /// [`BridgeError::Position`] for a coefficient outside the ring.
    pub fn extract_samples(
        &self,
        ciphertext: &Ciphertext<Coeffs>,
        positions: &[usize],
    ) -> Result<LweBatch, BridgeError> {
        if self.parameters.assumptions() == Assumptions::Conservative {
            return Err(BridgeError::SeparateSecrets);
        }
        self.ring_key().check(ciphertext.key())?;
        let ring = self.parameters.ring();
        ring.check_same(ciphertext.ring())?;
        extract(ciphertext, positions, ring.dimension(), 1)
    }
}

/// Sample extraction: coefficients `positions` of `ciphertext` as LWE samples modulo `2^64`, under
/// the secret whose `dimension` coefficients sit `stride` apart in the ring secret (the others are
/// zero). The phase is multiplied by `2^64 / q` and rounded ([`crate::noise::rescale`]).
///
/// # Errors
/// [`BridgeError::Position`] for a coefficient outside the ring, [`BridgeError::Dimension`] where so
/// many coefficients so far apart do not fit the ring.
pub fn extract(
    ciphertext: &Ciphertext<Coeffs>,
    positions: &[usize],
    dimension: usize,
    stride: usize,
) -> Result<LweBatch, BridgeError> {
    let ring = ciphertext.ring().dimension();
    let fitting = ring.div_ceil(stride.max(1));
    if dimension > fitting {
        let name = "dimension of the extracted samples";
        return Err(BridgeError::Dimension { name, expected: fitting, found: dimension });
    }
    let body = to_torus(ciphertext.c0());
    let mask = to_torus(ciphertext.c1());
    // coefficient p of c1 t is sum_j t_j c1_(p - j), where c1_(-i) = -c1_(N - i), and TFHE's phase
    // subtracts the mask: the words are -c1_p, ..., -c1_0, c1_(N - 1), ..., c1_(p + 1)
    let negated = mask.iter().rev().map(|word| word.wrapping_neg());
    let descending: Vec<u64> = negated.chain(mask.iter().rev().copied()).collect();
    let stride = stride.max(1);
    let combs: Vec<Vec<u64>> = (0..stride)
        .map(|offset| descending.iter().skip(offset).step_by(stride).copied().collect())
        .collect();
    let mut words = Vec::with_capacity(positions.len() * (dimension + 1));
    for &position in positions {
        let &constant =
            body.get(position).ok_or(BridgeError::Position { position, dimension: ring })?;
        let start = ring - 1 - position;
        words.extend(combs[start % stride].iter().skip(start / stride).take(dimension));
        words.push(constant);
    }
    Ok(LweBatch::new(dimension, words, ciphertext.key())?)
}

/// Residues modulo `q` as torus elements: `round(a 2^64 / q)`.
fn to_torus(poly: &Poly<Coeff>) -> Vec<u64> {
    let q = poly.modulus();
    let ratio = q.torus_ratio();
    poly.values().iter().map(|&residue| q.to_torus(residue, ratio)).collect()
}
