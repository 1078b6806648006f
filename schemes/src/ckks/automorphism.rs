//! Rotations and conjugation.

use super::key_switch::{self, Extended};
use super::{Ciphertext, CkksError, EvaluationKeys, Evaluator, GaloisKey, SwitchingKey};
use crate::packing::{Packing, Slots};

impl Evaluator {
    /// Slot `j` of the result is slot `j + steps` of the operand, cyclically: same level and scale;
    /// noise [`super::noise::key_switch`]. Needs the key of
    /// [`super::Parameters::rotation_element`]`(steps)`, unless that is 1.
    ///
    /// # Errors
    /// [`CkksError::MissingGaloisKey`]; [`CkksError::Key`] for a key of another secret.
    pub fn rotate(
        &self,
        ciphertext: &Ciphertext<Slots>,
        steps: i64,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.automorphism(ciphertext, self.parameters.rotation_element(steps), keys)
    }

    /// The complex conjugate of every slot: same level and scale; noise
    /// [`super::noise::key_switch`]. Needs the key of
    /// [`super::Parameters::conjugation_element`].
    ///
    /// # Errors
    /// As [`Evaluator::rotate`].
    pub fn conjugate(
        &self,
        ciphertext: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        self.automorphism(ciphertext, self.parameters.conjugation_element(), keys)
    }

    /// The ciphertext of `m(X^element)`: same level and scale; noise [`super::noise::key_switch`].
    ///
    /// # Errors
    /// As [`Evaluator::rotate`].
    pub fn automorphism<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        element: usize,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<P>, CkksError> {
        if element == 1 {
            return Ok(ciphertext.clone());
        }
        let galois = keys.galois(element, ciphertext.level())?;
        galois.key.key().check(ciphertext.key)?;
        let parts = galois.key.product(&self.parameters, &ciphertext.c1)?;
        self.finish_automorphism(ciphertext, galois, parts)
    }

    /// [`Evaluator::rotate`] by each of these steps, with one decomposition into digits for all
    /// (*hoisting*: Halevi and Shoup, ePrint 2018/244).
    ///
    /// # Errors
    /// As [`Evaluator::rotate`].
    pub fn rotate_many(
        &self,
        ciphertext: &Ciphertext<Slots>,
        steps: &[i64],
        keys: &EvaluationKeys,
    ) -> Result<Vec<Ciphertext<Slots>>, CkksError> {
        let level = ciphertext.level();
        let elements = steps.iter().map(|&steps| self.parameters.rotation_element(steps));
        let galois = elements.filter(|&element| element != 1).map(|element| {
            let galois = keys.galois(element, level)?;
            galois.key.key().check(ciphertext.key)?;
            Ok(galois)
        });
        let galois: Vec<&GaloisKey> = galois.collect::<Result<_, CkksError>>()?;
        let switching: Vec<&SwitchingKey> = galois.iter().map(|galois| &galois.key).collect();
        let parts = key_switch::products(&self.parameters, &ciphertext.c1, &switching)?;
        let mut images = galois
            .into_iter()
            .zip(parts)
            .map(|(galois, parts)| self.finish_automorphism(ciphertext, galois, parts));
        let image = |&steps: &i64| {
            let rotates = self.parameters.rotation_element(steps) != 1;
            rotates.then(|| images.next()).flatten().unwrap_or_else(|| Ok(ciphertext.clone()))
        };
        steps.iter().map(image).collect()
    }

    fn finish_automorphism<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        galois: &GaloisKey,
        parts: [Extended; 2],
    ) -> Result<Ciphertext<P>, CkksError> {
        let [c0, c1] = parts.map(|part| part.divide(&self.parameters));
        let mut c0 = c0;
        c0.add_assign(&ciphertext.c0)?;
        let parts = [c0, c1].map(|part| part.permuted(&galois.permutation));
        Ok(Ciphertext::new(parts, ciphertext.scale.clone(), ciphertext.key))
    }
}
