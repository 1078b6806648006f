//! Arithmetic on ciphertexts.

use super::{Ciphertext, Packing, Plaintext, RlweError};
use crate::math::modulus::Halvings;
use crate::math::{Coeff, Ntt, Poly, Ring};

/// Evaluates on ciphertexts of one ring; it holds no key.
#[derive(Debug, Clone)]
pub struct Evaluator {
    ring: Ring,
}

impl Evaluator {
    /// An evaluator for `ring`.
    #[must_use]
    pub fn new(ring: &Ring) -> Self {
        Self { ring: ring.clone() }
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// `left += right`: same scale; the variances of the noise add.
    ///
    /// # Errors
    /// [`RlweError::Key`], [`RlweError::ScaleMismatch`] or [`RlweError::Math`] where the operands
    /// do not belong together.
    pub fn add_assign<P: Packing>(
        &self,
        left: &mut Ciphertext<P>,
        right: &Ciphertext<P>,
    ) -> Result<(), RlweError> {
        check_operands(left, right)?;
        left.c0.add_assign(&right.c0)?;
        Ok(left.c1.add_assign(&right.c1)?)
    }

    /// `left -= right`: same scale; the variances of the noise add.
    ///
    /// # Errors
    /// As [`Evaluator::add_assign`].
    pub fn sub_assign<P: Packing>(
        &self,
        left: &mut Ciphertext<P>,
        right: &Ciphertext<P>,
    ) -> Result<(), RlweError> {
        check_operands(left, right)?;
        left.c0.sub_assign(&right.c0)?;
        Ok(left.c1.sub_assign(&right.c1)?)
    }

    /// `(left, right) = (left + right, left - right)`: same scale; the variances of the noise add.
    ///
    /// # Errors
    /// As [`Evaluator::add_assign`].
    pub fn butterfly<P: Packing>(
        &self,
        left: &mut Ciphertext<P>,
        right: &mut Ciphertext<P>,
    ) -> Result<(), RlweError> {
        check_operands(left, right)?;
        left.c0.butterfly(&mut right.c0)?;
        Ok(left.c1.butterfly(&mut right.c1)?)
    }

    /// `ciphertext += plaintext`: no noise is added.
    ///
    /// # Errors
    /// [`RlweError::ScaleMismatch`] or [`RlweError::Math`].
    pub fn add_plain_assign<P: Packing>(
        &self,
        ciphertext: &mut Ciphertext<P>,
        plaintext: &Plaintext<P>,
    ) -> Result<(), RlweError> {
        ciphertext.scale.check_same(plaintext.scale)?;
        Ok(ciphertext.c0.add_assign(&plaintext.poly)?)
    }

    /// The product with a plaintext: scales multiply, the noise's variance grows by the sum of the
    /// plaintext's squared coefficients ([`super::noise::mul_plain`]).
    ///
    /// # Errors
    /// [`RlweError::Math`] in another ring, [`RlweError::InvalidScale`] where the scale overflows.
    pub fn mul_plain<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        plaintext: &Plaintext<P>,
    ) -> Result<Ciphertext<P>, RlweError> {
        self.linear_combination(&[(ciphertext, plaintext)])
    }

    /// `sum_i ciphertext_i * plaintext_i`, with one inverse transform for the whole sum.
    ///
    /// # Errors
    /// [`RlweError::TooManyValues`] for an empty list; else as [`Evaluator::mul_plain`] and
    /// [`Evaluator::add_assign`].
    pub fn linear_combination<P: Packing>(
        &self,
        terms: &[(&Ciphertext<P>, &Plaintext<P>)],
    ) -> Result<Ciphertext<P>, RlweError> {
        let Some((first, plaintext)) = terms.first() else {
            return Err(RlweError::TooManyValues { capacity: 0, found: 0 });
        };
        let scale = first.scale.times(plaintext.scale)?;
        let mut sums = [Poly::<Ntt>::zero(&self.ring), Poly::<Ntt>::zero(&self.ring)];
        for (ciphertext, plaintext) in terms {
            first.key.check(ciphertext.key)?;
            scale.check_same(ciphertext.scale.times(plaintext.scale)?)?;
            let factor = plaintext.poly.clone().into_ntt();
            for (sum, part) in sums.iter_mut().zip([&ciphertext.c0, &ciphertext.c1]) {
                sum.add_product(&part.clone().into_ntt(), &factor)?;
            }
        }
        let [c0, c1] = sums.map(Poly::into_coeff);
        Ciphertext::from_parts(c0, c1, scale, first.key)
    }

    /// `X^exponent * ciphertext`, the exponent modulo `2N`: values move, noise and scale stay.
    #[must_use]
    pub fn mul_monomial<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        exponent: usize,
    ) -> Ciphertext<P> {
        Ciphertext {
            c0: ciphertext.c0.mul_monomial(exponent),
            c1: ciphertext.c1.mul_monomial(exponent),
            ..ciphertext.clone()
        }
    }

    /// `ciphertext /= 2^times` modulo `q`, the message along with it: the scale stays. Values and
    /// noise that are no multiples of `2^times` become large; doubling `times` times restores them.
    pub fn halve_assign<P: Packing>(&self, ciphertext: &mut Ciphertext<P>, halvings: Halvings) {
        ciphertext.c0.halve(halvings);
        ciphertext.c1.halve(halvings);
    }

    /// `ciphertext *= factor`, the message along with it: the scale stays, values and noise grow.
    pub fn mul_integer_assign<P: Packing>(&self, ciphertext: &mut Ciphertext<P>, factor: i64) {
        let parts: [&mut Poly<Coeff>; 2] = [&mut ciphertext.c0, &mut ciphertext.c1];
        for part in parts {
            part.scale(factor);
        }
    }
}

fn check_operands<P: Packing>(
    left: &Ciphertext<P>,
    right: &Ciphertext<P>,
) -> Result<(), RlweError> {
    left.key.check(right.key)?;
    left.scale.check_same(right.scale)
}
