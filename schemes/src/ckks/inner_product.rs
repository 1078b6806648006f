//! Sums of products with ciphertexts that stay: encrypted weights.
//!
//! `sum_k (a_k + b_k s)(u_k + v_k s)` has the three parts `sum a u`, `sum (a v + b u)` and `sum b v`,
//! each a sum of products with constant operands, reduced once for eight of them; it is relinearized
//! once for all.

use super::evaluator::check_levels;
use super::key_switch::sum_of_products;
use super::{Ciphertext, CkksError, Evaluator, Plaintext, Product, Scale};
use crate::key_id::KeyId;
use crate::math::{Ntt, Poly, RnsPoly};
use crate::packing::Slots;
use rayon::prelude::*;

/// A ciphertext in the form of a constant operand of [`Evaluator::inner_product`]; it can be read at
/// its own level and below.
#[derive(Debug, Clone)]
pub struct ConstantCiphertext {
    /// Prepared for sums of products.
    parts: [RnsPoly<Ntt>; 2],
    scale: Scale,
    key: KeyId,
}

impl From<Ciphertext<Slots>> for ConstantCiphertext {
    fn from(ciphertext: Ciphertext<Slots>) -> Self {
        let Ciphertext { c0, c1, scale, key, .. } = ciphertext;
        let mut parts = [c0, c1];
        for part in &mut parts {
            part.limbs_mut().par_iter_mut().for_each(Poly::prepare);
        }
        Self { parts, scale, key }
    }
}

impl ConstantCiphertext {
    /// The scale.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The level: limbs less one.
    #[must_use]
    pub fn level(&self) -> usize {
        self.parts[0].limbs().len() - 1
    }

    /// The secret it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        2 * 8 * self.parts[0].limbs().len() * self.parts[0].dimension()
    }

    fn limb(&self, index: usize) -> [&[u64]; 2] {
        self.parts.each_ref().map(|part| part.limbs()[index].values())
    }
}

/// An operand beside a constant one.
trait Operand {
    fn level(&self) -> usize;
    fn scale(&self) -> &Scale;
}

impl Operand for Ciphertext<Slots> {
    fn level(&self) -> usize {
        self.level()
    }
    fn scale(&self) -> &Scale {
        &self.scale
    }
}

impl Operand for Plaintext<Slots> {
    fn level(&self) -> usize {
        self.level()
    }
    fn scale(&self) -> &Scale {
        &self.scale
    }
}

/// The level, scale and key of a sum whose terms agree in all three.
fn check_terms<O: Operand>(
    terms: &[(&O, &ConstantCiphertext)],
) -> Result<(usize, Scale, KeyId), CkksError> {
    let Some((first, constant)) = terms.first() else {
        let allowed = "an inner product needs a term";
        return Err(CkksError::ValueCount { capacity: 1, found: 0, allowed });
    };
    let (level, scale) = (first.level(), first.scale().times(&constant.scale));
    for (operand, other) in terms {
        constant.key.check(other.key)?;
        check_levels(level, operand.level())?;
        check_levels(level, other.level())?;
        scale.check_same(&operand.scale().times(&other.scale))?;
    }
    Ok((level, scale, constant.key))
}

impl Evaluator {
    /// `sum_k ciphertext_k constant_k`, slot by slot, not yet relinearized: all at one level; scales
    /// multiply, and the products' are equal. Noise: [`super::noise::tensor`], summed.
    ///
    /// # Errors
    /// [`CkksError::ValueCount`] without a term, [`CkksError::Key`], [`CkksError::LevelMismatch`],
    /// [`CkksError::ScaleMismatch`].
    pub fn inner_product(
        &self,
        terms: &[(&Ciphertext<Slots>, &ConstantCiphertext)],
    ) -> Result<Product, CkksError> {
        let (level, scale, key) = check_terms(terms)?;
        terms.iter().try_for_each(|(ciphertext, _)| key.check(ciphertext.key))?;
        let limbs = (0..=level).into_par_iter().map(|index| {
            let ring = &self.parameters.rings()[index];
            let right: Vec<[&[u64]; 2]> = terms.iter().map(|(_, c)| c.limb(index)).collect();
            let row = |part: fn(&Ciphertext<Slots>) -> &RnsPoly<Ntt>| {
                let left = terms.iter().map(|(x, _)| part(x).limbs()[index].values());
                sum_of_products(ring, &left.collect::<Vec<&[u64]>>(), &right)
            };
            let ([first, mut middle], [other, last]) = (row(Ciphertext::c0), row(Ciphertext::c1));
            middle.add_assign(&other)?;
            Ok([first, middle, last])
        });
        let limbs = limbs.collect::<Result<Vec<[Poly<Ntt>; 3]>, CkksError>>()?;
        Product::from_limbs(limbs, scale, key)
    }

    /// `sum_k plaintext_k constant_k`, slot by slot: levels and scales as in
    /// [`Evaluator::inner_product`]; nothing to relinearize. Noise: [`super::noise::mul_plain`], summed.
    ///
    /// # Errors
    /// As [`Evaluator::inner_product`].
    pub fn inner_product_plain(
        &self,
        terms: &[(&Plaintext<Slots>, &ConstantCiphertext)],
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let (level, scale, key) = check_terms(terms)?;
        let limbs = (0..=level).into_par_iter().map(|index| {
            let ring = &self.parameters.rings()[index];
            let left = terms.iter().map(|(x, _)| x.poly.limbs()[index].values());
            let right: Vec<[&[u64]; 2]> = terms.iter().map(|(_, c)| c.limb(index)).collect();
            let [body, mask] = sum_of_products(ring, &left.collect::<Vec<&[u64]>>(), &right);
            (body, mask)
        });
        let (bodies, masks) = limbs.unzip();
        let parts = [RnsPoly::from_limbs(bodies)?, RnsPoly::from_limbs(masks)?];
        Ok(Ciphertext::new(parts, scale, key))
    }
}
