//! Up: from LWE samples to chosen coefficients of a CKKS ciphertext.

use crate::packing::{self, Leaf};
use crate::{Amplitude, BridgeError, EvaluationKeys};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::math::modulus::Halvings;
use bellerophon_schemes::math::{Coeff, Poly, Ring};
use bellerophon_schemes::rlwe::{Ciphertext, Coeffs, Evaluator, Scale};
use bellerophon_schemes::tfhe::LweBatch;

impl EvaluationKeys {
    /// Packs samples of `batch` (under the GLWE secret) into a ciphertext: for each `(position,
    /// index)`, sample `index` lands on coefficient `position`. Every other coefficient becomes zero
    /// (`zeroed`, which takes every merge) or is undefined. `amplitude` is what the samples' values
    /// are multiplied by on the torus; the ciphertext has the scale `amplitude * q`. The noise added
    /// is [`crate::noise::to_ckks`].
    ///
    /// # Errors
    /// [`BridgeError::Key`] for samples under another secret, [`BridgeError::SampleIndex`] for a
    /// sample that the batch does not have, [`BridgeError::Position`] and
    /// [`BridgeError::DuplicatePosition`] for unusable positions, [`BridgeError::Dimension`] for
    /// samples of another dimension.
    pub fn to_ckks(
        &self,
        batch: &LweBatch,
        leaves: &[(usize, usize)],
        zeroed: bool,
        amplitude: Amplitude,
    ) -> Result<Ciphertext<Coeffs>, BridgeError> {
        let dimension = self.parameters.ring().dimension();
        self.check_batch(batch, dimension)?;
        let positions: Vec<usize> = leaves.iter().map(|leaf| leaf.0).collect();
        let levels = packing::levels(&positions, dimension)?;
        let levels = if zeroed { dimension.ilog2() } else { levels };
        let leaf = |&(position, index): &(usize, usize)| {
            let sample = batch.sample(index);
            let missing = BridgeError::SampleIndex { index, count: batch.count() };
            Ok((position, sample.ok_or(missing)?))
        };
        let leaves = leaves.iter().map(leaf).collect::<Result<Vec<_>, BridgeError>>()?;
        let q = self.parameters.ring().modulus();
        let (halvings, scale) = (q.halvings(levels)?, amplitude.to_scale(q)?);
        let embed = |leaf| self.embed(leaf, batch.key(), halvings, scale);
        let packed = packing::pack(self, leaves, levels, embed)?;
        packed.ok_or(BridgeError::SampleIndex { index: 0, count: 0 })
    }

    fn check_batch(&self, batch: &LweBatch, dimension: usize) -> Result<(), BridgeError> {
        let source = self.enter.as_ref().map_or(self.ring_key(), |key| key.source());
        source.check(batch.key())?;
        if batch.dimension() == dimension {
            return Ok(());
        }
        let (name, found) = ("dimension of the samples", batch.dimension());
        Err(BridgeError::Dimension { name, expected: dimension, found })
    }

    /// The sample as a ring ciphertext with its phase, divided by `2^levels`, in the target
    /// coefficient. The division is modulo `q`, so that packing undoes it exactly, noise included.
    fn embed(
        &self,
        (target, sample): Leaf,
        key: KeyId,
        halvings: Halvings,
        scale: Scale,
    ) -> Result<Ciphertext<Coeffs>, BridgeError> {
        let ring = self.parameters.ring();
        let Some(enter) = &self.enter else {
            let [c0, c1] = to_ring(ring, sample, target, halvings)?;
            return Ok(Ciphertext::from_parts(c0, c1, scale, key)?);
        };
        let [c0, c1] = to_ring(ring, sample, target, ring.modulus().halvings(0)?)?;
        let mut leaf = enter.switch(&Ciphertext::from_parts(c0, c1, scale, key)?)?;
        Evaluator::new(ring).halve_assign(&mut leaf, halvings);
        Ok(leaf)
    }
}

/// The body and mask with the sample's phase in coefficient `target`, rounded to the ring's modulus,
/// then halved.
fn to_ring(
    ring: &Ring,
    sample: &[u64],
    target: usize,
    halvings: Halvings,
) -> Result<[Poly<Coeff>; 2], BridgeError> {
    let (n, q) = (ring.dimension(), ring.modulus());
    let residue = |&word: &u64| q.halve(q.from_torus(word), halvings);
    let (mask, body) = sample.split_at(n);
    // coefficient p of c1 z is sum_i z_i c1_(p - i), where c1_(-i) = -c1_(N - i); TFHE's phase
    // subtracts the mask
    let (low, high) = mask.split_at(target + 1);
    let c1 = Poly::fill(ring, |c1| {
        let (negated, kept) = c1.split_at_mut(target + 1);
        for (value, word) in negated.iter_mut().zip(low.iter().rev()) {
            *value = q.neg(residue(word));
        }
        for (value, word) in kept.iter_mut().zip(high.iter().rev()) {
            *value = residue(word);
        }
    })?;
    let c0 = Poly::fill(ring, |c0| {
        for (value, word) in c0.iter_mut().skip(target).zip(body) {
            *value = residue(word);
        }
    })?;
    Ok([c0, c1])
}
