//! Real and complex numbers into and out of plaintexts.

use super::{CkksError, Parameters, Plaintext, Scale};
use crate::math::fft::CanonicalEmbedding;
use crate::math::{Coeff, Modulus, Poly, Ring, RnsPoly};
use crate::packing::{Coeffs, Packing, Slots};
use concrete_fft::c64;
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// Encodes and decodes for one parameter set; cheap to clone.
#[derive(Debug, Clone)]
pub struct Encoder {
    parameters: Parameters,
    /// `[k]`: the embedding of the subring of dimension `2^k`, made when first used.
    embeddings: Arc<Vec<OnceLock<CanonicalEmbedding>>>,
}

/// Coefficients are integers below `2^LARGEST_LOG` in size.
const LARGEST_LOG: f64 = 126.0;

impl Encoder {
    /// Prepares nothing yet: an embedding is made when it is first used.
    #[must_use]
    pub fn new(parameters: &Parameters) -> Self {
        let logs = parameters.literal().log_dimension + 1;
        let embeddings = Arc::new((0..logs).map(|_| OnceLock::new()).collect());
        Self { parameters: parameters.clone(), embeddings }
    }

    /// Up to `N/2` complex numbers into the slots; the rest are zero. Each coefficient is rounded to
    /// an integer: an error of standard deviation `sqrt(N/12)` over the scale in each slot.
    ///
    /// # Errors
    /// [`CkksError::ValueCount`]; [`CkksError::ValueRange`] where a coefficient times the scale leaves
    /// the modulus; [`CkksError::Level`] above the highest; [`CkksError::InvalidScale`].
    pub fn encode(
        &self,
        values: &[c64],
        level: usize,
        scale: &Scale,
    ) -> Result<Plaintext<Slots>, CkksError> {
        let coefficients = self.coefficients(values)?;
        self.plaintext(&coefficients, level, scale)
    }

    /// As [`Encoder::encode`], of real numbers.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode_real(
        &self,
        values: &[f64],
        level: usize,
        scale: &Scale,
    ) -> Result<Plaintext<Slots>, CkksError> {
        let values: Vec<c64> = values.iter().map(|&re| c64 { re, im: 0.0 }).collect();
        self.encode(&values, level, scale)
    }

    /// A power of two of complex numbers, repeated until all `N/2` slots are filled (a *sparse*
    /// plaintext: it lies in a subring).
    ///
    /// # Errors
    /// As [`Encoder::encode`]; [`CkksError::ValueCount`] where the number is no power of two.
    pub fn encode_sparse(
        &self,
        values: &[c64],
        level: usize,
        scale: &Scale,
    ) -> Result<Plaintext<Slots>, CkksError> {
        let repeated: Vec<c64>;
        let values = match values {
            [value] => {
                repeated = vec![*value; 2];
                &repeated
            }
            values => values,
        };
        self.check_sparse(values.len())?;
        let gap = self.parameters.slots() / values.len();
        let mut coefficients = vec![0.0; self.parameters.dimension()];
        let small = self.embedding(2 * values.len()).coefficients_of(values);
        for (target, value) in coefficients.iter_mut().step_by(gap).zip(small) {
            *target = value;
        }
        self.plaintext(&coefficients, level, scale)
    }

    /// Up to `N` real numbers into the coefficients; the rest are zero.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode_coefficients(
        &self,
        values: &[f64],
        level: usize,
        scale: &Scale,
    ) -> Result<Plaintext<Coeffs>, CkksError> {
        self.check_count(values.len(), self.parameters.dimension())?;
        self.plaintext(values, level, scale)
    }

    /// The `N/2` slots.
    #[must_use]
    pub fn decode(&self, plaintext: &Plaintext<Slots>) -> Vec<c64> {
        let coefficients = real_coefficients(plaintext);
        self.embedding(self.parameters.dimension()).slots_of(&coefficients)
    }

    /// The first `count` slots of a sparse plaintext. Noise outside its subring is dropped, which is
    /// the same as the mean over all repetitions.
    ///
    /// # Errors
    /// [`CkksError::ValueCount`] where `count` is no power of two of at least 2 that divides `N/2`.
    pub fn decode_sparse(
        &self,
        plaintext: &Plaintext<Slots>,
        count: usize,
    ) -> Result<Vec<c64>, CkksError> {
        self.check_sparse(count)?;
        let coefficients = real_coefficients(plaintext);
        let gap = self.parameters.slots() / count;
        let small: Vec<f64> = coefficients.into_iter().step_by(gap).collect();
        Ok(self.embedding(2 * count).slots_of(&small))
    }

    /// The `N` coefficients.
    #[must_use]
    pub fn decode_coefficients(&self, plaintext: &Plaintext<Coeffs>) -> Vec<f64> {
        real_coefficients(plaintext)
    }

    /// The real coefficients of the polynomial with these slots.
    fn coefficients(&self, values: &[c64]) -> Result<Vec<f64>, CkksError> {
        let slots = self.parameters.slots();
        self.check_count(values.len(), slots)?;
        let mut padded = values.to_vec();
        padded.resize(slots, c64::default());
        Ok(self.embedding(2 * slots).coefficients_of(&padded))
    }

    /// The integer polynomial modulo these primes, in the transformed domain, of slots as in
    /// [`Encoder::encode`].
    pub(super) fn encode_modulo(
        &self,
        values: &[c64],
        rings: &[Ring],
        scale: &Scale,
    ) -> Result<RnsPoly<crate::math::Ntt>, CkksError> {
        let coefficients = self.coefficients(values)?;
        Ok(limbs(&round(&coefficients, scale, LARGEST_LOG, 0)?, rings)?.into_ntt())
    }

    fn plaintext<P: Packing>(
        &self,
        coefficients: &[f64],
        level: usize,
        scale: &Scale,
    ) -> Result<Plaintext<P>, CkksError> {
        self.parameters.check_level("encoding", level)?;
        let bits = self.parameters.log2_modulus(level) - 1.0;
        let integers = round(coefficients, scale, bits.min(LARGEST_LOG), level)?;
        let rings = &self.parameters.rings()[..=level];
        Ok(Plaintext::new(limbs(&integers, rings)?.into_ntt(), scale.clone()))
    }

    fn embedding(&self, dimension: usize) -> &CanonicalEmbedding {
        let place = dimension.ilog2() as usize;
        self.embeddings[place].get_or_init(|| CanonicalEmbedding::new(dimension))
    }

    fn check_count(&self, found: usize, capacity: usize) -> Result<(), CkksError> {
        if found <= capacity {
            return Ok(());
        }
        Err(CkksError::ValueCount { capacity, found, allowed: "at most the capacity fits" })
    }

    fn check_sparse(&self, found: usize) -> Result<(), CkksError> {
        let capacity = self.parameters.slots();
        if found.is_power_of_two() && (2..=capacity).contains(&found) {
            return Ok(());
        }
        let allowed = "sparse slots are a power of two";
        Err(CkksError::ValueCount { capacity, found, allowed })
    }
}

/// The integers nearest to the values times the scale, all below `2^bits` in size.
fn round(values: &[f64], scale: &Scale, bits: f64, level: usize) -> Result<Vec<i128>, CkksError> {
    let (factor, bound) = (scale.finite()?, bits.exp2());
    let rounded = values.iter().enumerate().map(|(index, value)| {
        let scaled = (value * factor).round();
        if scaled.abs() < bound {
            return Ok(scaled as i128);
        }
        Err(CkksError::ValueRange { index, log2_scale: scale.log2(), level })
    });
    rounded.collect()
}

/// Residues of integers; missing coefficients are zero.
fn limbs(integers: &[i128], rings: &[Ring]) -> Result<RnsPoly<Coeff>, CkksError> {
    let narrow = integers.iter().all(|&integer| i64::try_from(integer).is_ok());
    let limb = |ring: &Ring| {
        Poly::fill(ring, |limb| {
            let q = ring.modulus();
            if narrow {
                let one = q.shoup(1);
                for (value, &integer) in limb.iter_mut().zip(integers) {
                    let size = q.mul_shoup((integer as i64).unsigned_abs(), one);
                    *value = if integer < 0 { q.neg(size) } else { size };
                }
            } else {
                for (value, &integer) in limb.iter_mut().zip(integers) {
                    *value = integer.rem_euclid(i128::from(q.value())) as u64;
                }
            }
        })
    };
    let limbs: Vec<Poly<Coeff>> = rings.par_iter().map(limb).collect::<Result<_, _>>()?;
    Ok(RnsPoly::from_limbs(limbs)?)
}

/// The coefficients over the scale.
fn real_coefficients<P: Packing>(plaintext: &Plaintext<P>) -> Vec<f64> {
    let reciprocal = Scale::one().over(&plaintext.scale).value();
    let coefficients = centred(plaintext.poly.clone().into_coeff());
    coefficients.into_iter().map(|coefficient| coefficient * reciprocal).collect()
}

/// The representatives in `[-Q/2, Q/2)`, in `f64`: the digits `v_i` of
/// `v_0 + q_0 (v_1 + q_1 (v_2 + ...))` are taken in `[-q_i/2, q_i/2)`, so that the upper ones of a small
/// number are zero and nothing cancels.
pub(super) fn centred(poly: RnsPoly<Coeff>) -> Vec<f64> {
    let mut limbs = poly.into_limbs();
    let moduli: Vec<Modulus> = limbs.iter().map(Poly::modulus).collect();
    for (place, &q) in moduli.iter().enumerate() {
        let (done, rest) = limbs.split_at_mut(place + 1);
        let Some(digits) = done.last() else { continue };
        rest.par_iter_mut().for_each(|limb| {
            let p = limb.modulus();
            let inverse = p.shoup(p.inverse_of_prime(q.value() % p.value()));
            for (value, &digit) in limb.values_mut().iter_mut().zip(digits.values()) {
                let digit = p.from_signed(q.to_signed(digit));
                *value = p.mul_shoup(p.sub(*value, digit), inverse);
            }
        });
    }
    let mut sums = vec![0.0; limbs.first().map_or(0, |limb| limb.values().len())];
    for (limb, q) in limbs.iter().zip(&moduli).rev() {
        for (sum, &digit) in sums.iter_mut().zip(limb.values()) {
            *sum = *sum * q.value() as f64 + q.to_signed(digit) as f64;
        }
    }
    sums
}
