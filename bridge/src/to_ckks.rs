//! Up: from LWE samples to chosen coefficients of a CKKS ciphertext.

use crate::packing::{self, Leaf};
use crate::{Amplitude, BridgeError, EvaluationKeys};
use bellerophon_schemes::ckks::{Ciphertext, Coeffs, Evaluator};
use bellerophon_schemes::math::Poly;
use bellerophon_schemes::tfhe::LweBatch;
use rayon::prelude::*;

impl EvaluationKeys {
    /// Packs samples `range` of `batch` (under the GLWE secret) into a ciphertext: sample
    /// `range.start + i` lands on coefficient `positions[i]`, every other coefficient is undefined.
    /// `amplitude` is what the samples' values are multiplied by on the torus; the ciphertext has
    /// the scale `amplitude * q`. The noise added is [`crate::noise::to_ckks`].
    ///
    /// # Errors
    /// [`BridgeError::Key`] for samples under another secret, [`BridgeError::PositionCount`],
    /// [`BridgeError::Position`] and [`BridgeError::DuplicatePosition`] for unusable positions,
    /// [`BridgeError::Dimension`] for samples of another dimension.
    pub fn to_ckks(
        &self,
        batch: &LweBatch,
        range: std::ops::Range<usize>,
        positions: &[usize],
        amplitude: Amplitude,
    ) -> Result<Ciphertext<Coeffs>, BridgeError> {
        let dimension = self.parameters.ring().dimension();
        self.check_batch(batch, &range, positions, dimension)?;
        let levels = packing::levels(positions, dimension)?;
        let samples: Vec<&[u64]> = batch.samples().skip(range.start).take(range.len()).collect();
        let leaves = samples
            .par_iter()
            .zip(positions)
            .map(|(sample, &target)| Ok((target, self.embed(sample, batch, levels, amplitude)?)))
            .collect::<Result<Vec<Leaf>, BridgeError>>()?;
        let packed = packing::pack(self, leaves, levels)?;
        packed.ok_or(BridgeError::PositionCount { samples: 0, positions: positions.len() })
    }

    fn check_batch(
        &self,
        batch: &LweBatch,
        range: &std::ops::Range<usize>,
        positions: &[usize],
        dimension: usize,
    ) -> Result<(), BridgeError> {
        let source = self.enter.as_ref().map_or(self.ring_key(), |key| key.source());
        source.check(batch.key())?;
        if batch.dimension() != dimension {
            let (name, found) = ("dimension of the samples", batch.dimension());
            return Err(BridgeError::Dimension { name, expected: dimension, found });
        }
        let samples = range.end.min(batch.count()).saturating_sub(range.start);
        if samples == positions.len() && range.len() == samples && samples > 0 {
            return Ok(());
        }
        Err(BridgeError::PositionCount { samples, positions: positions.len() })
    }

    /// The sample as a ring ciphertext with its phase, divided by `2^levels`, in the constant
    /// coefficient. The division is modulo `q`, so that packing undoes it exactly, noise included.
    fn embed(
        &self,
        sample: &[u64],
        batch: &LweBatch,
        levels: u32,
        amplitude: Amplitude,
    ) -> Result<Ciphertext<Coeffs>, BridgeError> {
        let ring = self.parameters.ring();
        let (n, q) = (ring.dimension(), ring.modulus());
        let residue = |word: u64| {
            let rounded = (u128::from(word) * u128::from(q.value()) + (1 << 63)) >> 64;
            rounded as u64 % q.value() // round(word q / 2^64), which may be q itself
        };
        let (mask, body) = sample.split_at(n);
        // constant coefficient of c1 z is c1_0 z_0 - sum_(i > 0) c1_(N - i) z_i = -sum a_i z_i
        let mut c1: Vec<u64> = mask.iter().rev().map(|&word| residue(word)).collect();
        c1.rotate_right(1);
        if let Some(first) = c1.first_mut() {
            *first = q.neg(*first);
        }
        let mut c0 = vec![0; n];
        for (target, &word) in c0.iter_mut().zip(body) {
            *target = residue(word);
        }
        let mut leaf = Ciphertext::from_parts(
            Poly::from_values(ring, c0)?,
            Poly::from_values(ring, c1)?,
            amplitude.to_scale(q)?,
            batch.key(),
        )?;
        if let Some(enter) = &self.enter {
            leaf = enter.switch(&leaf)?;
        }
        let inverse = q.to_signed(q.inverse_of_prime(1 << levels));
        Evaluator::new(ring).mul_integer_assign(&mut leaf, inverse);
        Ok(leaf)
    }
}
