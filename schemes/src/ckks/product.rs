//! Products of ciphertexts.

use super::evaluator::check_levels;
use super::key_switch::Extended;
use super::{Ciphertext, CkksError, EvaluationKeys, Evaluator, Scale};
use crate::key_id::KeyId;
use crate::math::{Ntt, Poly, RnsPoly};
use crate::packing::Slots;
use rayon::prelude::*;

/// A product that is not yet relinearized, `d0 + d1 s + d2 s^2`. Products can be summed before they
/// are relinearized, once for all.
#[derive(Debug, Clone)]
pub struct Product {
    parts: [RnsPoly<Ntt>; 3],
    scale: Scale,
    key: KeyId,
}

impl Product {
    /// From the three parts of each limb.
    pub(super) fn from_limbs(
        limbs: Vec<[Poly<Ntt>; 3]>,
        scale: Scale,
        key: KeyId,
    ) -> Result<Self, CkksError> {
        let [mut first, mut second, mut third] = [const { Vec::new() }; 3];
        for [a, b, c] in limbs {
            first.push(a);
            second.push(b);
            third.push(c);
        }
        let parts = [
            RnsPoly::from_limbs(first)?,
            RnsPoly::from_limbs(second)?,
            RnsPoly::from_limbs(third)?,
        ];
        Ok(Self { parts, scale, key })
    }

    /// The scale.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> usize {
        self.parts[0].limbs().len() - 1
    }
}

impl Evaluator {
    /// `left * right`, slot by slot: same level, scales multiply; noise [`super::noise::tensor`].
    ///
    /// # Errors
    /// [`CkksError::Key`], [`CkksError::LevelMismatch`].
    pub fn tensor(
        &self,
        left: &Ciphertext<Slots>,
        right: &Ciphertext<Slots>,
    ) -> Result<Product, CkksError> {
        left.key.check(right.key)?;
        check_levels(left.level(), right.level())?;
        let limbs = (0..=left.level()).into_par_iter().map(|index| {
            let [a, b] =
                [left, right].map(|c| [&c.c0, &c.c1].map(|part| part.limbs()[index].values()));
            let ring = left.c0.limbs()[index].ring();
            let mut parts = [Poly::stale(ring), Poly::stale(ring), Poly::stale(ring)];
            ring.multiply(parts[0].values_mut(), a[0], b[0]);
            ring.cross(parts[1].values_mut(), a, b);
            ring.multiply(parts[2].values_mut(), a[1], b[1]);
            parts
        });
        Product::from_limbs(limbs.collect(), left.scale.times(&right.scale), left.key)
    }

    /// `left += right`: same level and scale.
    ///
    /// # Errors
    /// [`CkksError::Key`], [`CkksError::LevelMismatch`], [`CkksError::ScaleMismatch`].
    pub fn add_product_assign(&self, left: &mut Product, right: &Product) -> Result<(), CkksError> {
        left.key.check(right.key)?;
        check_levels(left.level(), right.level())?;
        left.scale.check_same(&right.scale)?;
        for (left, right) in left.parts.iter_mut().zip(&right.parts) {
            left.add_assign(right)?;
        }
        Ok(())
    }

    /// `product += ciphertext`: same level and scale.
    ///
    /// # Errors
    /// As [`Evaluator::add_product_assign`].
    pub fn add_to_product_assign(
        &self,
        product: &mut Product,
        ciphertext: &Ciphertext<Slots>,
    ) -> Result<(), CkksError> {
        product.key.check(ciphertext.key)?;
        check_levels(product.level(), ciphertext.level())?;
        product.scale.check_same(&ciphertext.scale)?;
        product.parts[0].add_assign(&ciphertext.c0)?;
        Ok(product.parts[1].add_assign(&ciphertext.c1)?)
    }

    /// Back to two parts: same level and scale; noise [`super::noise::key_switch`].
    ///
    /// # Errors
    /// [`CkksError::MissingRelinearizationKey`]; [`CkksError::Key`] for a key of another secret.
    pub fn relinearize(
        &self,
        product: Product,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let (parts, scale, key) = self.switched(product, keys)?;
        let parts = parts.map(|part| part.divide(&self.parameters));
        Ok(Ciphertext::new(parts, scale, key))
    }

    /// [`Evaluator::relinearize`] and [`Evaluator::rescale_assign`] with one rounding, for less than
    /// the price of both.
    ///
    /// # Errors
    /// As both.
    pub fn relinearize_rescale(
        &self,
        product: Product,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let level = product.level();
        self.check_rescale(level)?;
        let (parts, scale, key) = self.switched(product, keys)?;
        let parts = parts.map(|part| part.divide_and_rescale(&self.parameters));
        Ok(Ciphertext::new(parts, scale.over(&self.scale_of(level)?), key))
    }

    /// `P` times the relinearized product.
    fn switched(
        &self,
        product: Product,
        keys: &EvaluationKeys,
    ) -> Result<([Extended; 2], Scale, KeyId), CkksError> {
        let relinearization = keys.relinearization(product.level())?;
        relinearization.0.key().check(product.key)?;
        let [d0, d1, d2] = product.parts;
        let mut parts = relinearization.0.product(&self.parameters, &d2)?;
        parts[0].add_lifted(&self.parameters, &d0)?;
        parts[1].add_lifted(&self.parameters, &d1)?;
        Ok((parts, product.scale, product.key))
    }

    /// `left * right`, relinearized: same level, scales multiply.
    ///
    /// # Errors
    /// As [`Evaluator::tensor`] and [`Evaluator::relinearize`].
    pub fn mul(
        &self,
        left: &Ciphertext<Slots>,
        right: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.relinearize(self.tensor(left, right)?, keys)
    }

    /// `left * right`, relinearized and rescaled: one level down.
    ///
    /// # Errors
    /// As [`Evaluator::tensor`] and [`Evaluator::relinearize_rescale`].
    pub fn mul_rescale(
        &self,
        left: &Ciphertext<Slots>,
        right: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.relinearize_rescale(self.tensor(left, right)?, keys)
    }

    /// The square: [`Evaluator::mul`] by itself.
    ///
    /// # Errors
    /// As [`Evaluator::mul`].
    pub fn square(
        &self,
        ciphertext: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.mul(ciphertext, ciphertext, keys)
    }

    /// The square, rescaled: [`Evaluator::mul_rescale`] by itself.
    ///
    /// # Errors
    /// As [`Evaluator::mul_rescale`].
    pub fn square_rescale(
        &self,
        ciphertext: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.mul_rescale(ciphertext, ciphertext, keys)
    }
}
