//! Arithmetic on ciphertexts.
//!
//! Operations exist in place (`..._assign`) and with a new result; where both do the same work, the
//! second copies its left operand and calls the first. Levels and scales of operands must be equal; nothing is dropped, rescaled or
//! relinearized behind the caller's back.

use super::{Ciphertext, CkksError, Parameters, Plaintext, Scale};
use crate::math::{MathError, Ntt, Poly, Ring, RnsPoly};
use crate::packing::{Packing, Slots};
use concrete_fft::c64;

/// Evaluates on ciphertexts of one parameter set; it holds no key.
#[derive(Debug, Clone)]
pub struct Evaluator {
    pub(super) parameters: Parameters,
    /// `[level]`: the first value of the transform of `X^(N/2)` modulo `q_level`, a root of -1.
    roots: Vec<u64>,
}

/// The operation in place on a copy.
macro_rules! on_a_copy {
    ($(#[$doc:meta])* $name:ident, $assign:ident, $other:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// As the form in place.
        pub fn $name<P: Packing>(
            &self,
            ciphertext: &Ciphertext<P>,
            other: $other,
        ) -> Result<Ciphertext<P>, CkksError> {
            let mut result = ciphertext.clone();
            self.$assign(&mut result, other)?;
            Ok(result)
        }
    };
}

impl Evaluator {
    /// An evaluator for `parameters`.
    #[must_use]
    pub fn new(parameters: &Parameters) -> Self {
        let roots = parameters.rings().iter().map(square_root_of_minus_one).collect();
        Self { parameters: parameters.clone(), roots }
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// `left += right`: same level and scale; the variances of the noise add.
    ///
    /// # Errors
    /// [`CkksError::Key`], [`CkksError::LevelMismatch`], [`CkksError::ScaleMismatch`].
    pub fn add_assign<P: Packing>(
        &self,
        left: &mut Ciphertext<P>,
        right: &Ciphertext<P>,
    ) -> Result<(), CkksError> {
        combine_assign(left, right, RnsPoly::add_assign)
    }

    /// `left + right`, in one pass: as [`Evaluator::add_assign`].
    ///
    /// # Errors
    /// As the form in place.
    pub fn add<P: Packing>(
        &self,
        left: &Ciphertext<P>,
        right: &Ciphertext<P>,
    ) -> Result<Ciphertext<P>, CkksError> {
        combine(left, right, RnsPoly::plus)
    }

    /// `left -= right`: same level and scale; the variances of the noise add.
    ///
    /// # Errors
    /// As [`Evaluator::add_assign`].
    pub fn sub_assign<P: Packing>(
        &self,
        left: &mut Ciphertext<P>,
        right: &Ciphertext<P>,
    ) -> Result<(), CkksError> {
        combine_assign(left, right, RnsPoly::sub_assign)
    }

    /// `left - right`, in one pass: as [`Evaluator::sub_assign`].
    ///
    /// # Errors
    /// As the form in place.
    pub fn sub<P: Packing>(
        &self,
        left: &Ciphertext<P>,
        right: &Ciphertext<P>,
    ) -> Result<Ciphertext<P>, CkksError> {
        combine(left, right, RnsPoly::minus)
    }

    /// `ciphertext = -ciphertext`.
    pub fn negate_assign<P: Packing>(&self, ciphertext: &mut Ciphertext<P>) {
        ciphertext.c0.negate();
        ciphertext.c1.negate();
    }

    /// `ciphertext += plaintext`: same level and scale; no noise but the plaintext's rounding.
    ///
    /// # Errors
    /// [`CkksError::LevelMismatch`], [`CkksError::ScaleMismatch`].
    pub fn add_plain_assign<P: Packing>(
        &self,
        ciphertext: &mut Ciphertext<P>,
        plaintext: &Plaintext<P>,
    ) -> Result<(), CkksError> {
        check_plain_sum(ciphertext, plaintext)?;
        Ok(ciphertext.c0.add_assign(&plaintext.poly)?)
    }

    on_a_copy!(
        /// `ciphertext + plaintext`.
        add_plain, add_plain_assign, &Plaintext<P>
    );

    /// `ciphertext -= plaintext`: as [`Evaluator::add_plain_assign`].
    ///
    /// # Errors
    /// As [`Evaluator::add_plain_assign`].
    pub fn sub_plain_assign<P: Packing>(
        &self,
        ciphertext: &mut Ciphertext<P>,
        plaintext: &Plaintext<P>,
    ) -> Result<(), CkksError> {
        check_plain_sum(ciphertext, plaintext)?;
        Ok(ciphertext.c0.sub_assign(&plaintext.poly)?)
    }

    on_a_copy!(
        /// `ciphertext - plaintext`.
        sub_plain, sub_plain_assign, &Plaintext<P>
    );

    /// `ciphertext *= plaintext`: same level, scales multiply; noise [`super::noise::mul_plain`].
    ///
    /// # Errors
    /// [`CkksError::LevelMismatch`].
    pub fn mul_plain_assign<P: Packing>(
        &self,
        ciphertext: &mut Ciphertext<P>,
        plaintext: &Plaintext<P>,
    ) -> Result<(), CkksError> {
        check_levels(ciphertext.level(), plaintext.level())?;
        ciphertext.c0.mul_assign(&plaintext.poly)?;
        ciphertext.c1.mul_assign(&plaintext.poly)?;
        ciphertext.scale = ciphertext.scale.times(&plaintext.scale);
        Ok(())
    }

    /// `ciphertext * plaintext`, in one pass: as [`Evaluator::mul_plain_assign`].
    ///
    /// # Errors
    /// As the form in place.
    pub fn mul_plain<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        plaintext: &Plaintext<P>,
    ) -> Result<Ciphertext<P>, CkksError> {
        check_levels(ciphertext.level(), plaintext.level())?;
        let poly = &plaintext.poly;
        let parts = [ciphertext.c0.times(poly)?, ciphertext.c1.times(poly)?];
        let scale = ciphertext.scale.times(&plaintext.scale);
        Ok(Ciphertext::new(parts, scale, ciphertext.key))
    }

    /// `ciphertext += value` in every slot, rounded at the ciphertext's scale.
    ///
    /// # Errors
    /// [`CkksError::ValueRange`] where the value times the scale leaves the modulus.
    pub fn add_scalar_assign(
        &self,
        ciphertext: &mut Ciphertext<Slots>,
        value: c64,
    ) -> Result<(), CkksError> {
        let constants = self.constants(value, &ciphertext.scale, ciphertext.level())?;
        for (limb, halves) in ciphertext.c0.limbs_mut().iter_mut().zip(constants) {
            let q = limb.modulus();
            on_halves(limb, halves, |value, constant| *value = q.add(*value, constant));
        }
        Ok(())
    }

    /// `ciphertext *= value` in every slot, rounded at `scale`; scales multiply, and the noise is
    /// multiplied with the value times the scale.
    ///
    /// # Errors
    /// [`CkksError::ValueRange`] where the value times the scale leaves the modulus.
    pub fn mul_scalar_assign(
        &self,
        ciphertext: &mut Ciphertext<Slots>,
        value: c64,
        scale: &Scale,
    ) -> Result<(), CkksError> {
        let constants = self.constants(value, scale, ciphertext.level())?;
        for part in [&mut ciphertext.c0, &mut ciphertext.c1] {
            for (limb, &[low, high]) in part.limbs_mut().iter_mut().zip(&constants) {
                let q = limb.modulus();
                let [low, high] = [low, high].map(|constant| q.shoup(constant));
                on_halves(limb, [low, high], |value, c| *value = q.mul_shoup(*value, c));
            }
        }
        ciphertext.scale = ciphertext.scale.times(scale);
        Ok(())
    }

    /// `ciphertext * value` in every slot: [`Evaluator::mul_scalar_assign`].
    ///
    /// # Errors
    /// As [`Evaluator::mul_scalar_assign`].
    pub fn mul_scalar(
        &self,
        ciphertext: &Ciphertext<Slots>,
        value: c64,
        scale: &Scale,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let mut product = ciphertext.clone();
        self.mul_scalar_assign(&mut product, value, scale)?;
        Ok(product)
    }

    /// `ciphertext *= factor`, the message with it: the scale stays, the noise grows.
    pub fn mul_integer_assign<P: Packing>(&self, ciphertext: &mut Ciphertext<P>, factor: i64) {
        ciphertext.c0.scale(factor);
        ciphertext.c1.scale(factor);
    }

    /// `ciphertext *= sqrt(-1)` in every slot, by `X^(N/2)`: exact, no level, no noise.
    pub fn mul_i_assign(&self, ciphertext: &mut Ciphertext<Slots>) {
        for part in [&mut ciphertext.c0, &mut ciphertext.c1] {
            for (limb, &root) in part.limbs_mut().iter_mut().zip(&self.roots) {
                let q = limb.modulus();
                let halves = [q.shoup(root), q.shoup(q.neg(root))];
                on_halves(limb, halves, |value, c| *value = q.mul_shoup(*value, c));
            }
        }
    }

    /// Forgets the primes above `level`: scale, message and noise stay.
    ///
    /// # Errors
    /// [`CkksError::Level`] where the ciphertext is below `level`.
    pub fn drop_level_assign<P: Packing>(
        &self,
        ciphertext: &mut Ciphertext<P>,
        level: usize,
    ) -> Result<(), CkksError> {
        let found = ciphertext.level();
        if found < level {
            return Err(CkksError::Level { operation: "dropping levels", needed: level, found });
        }
        ciphertext.c0.truncate(level + 1);
        ciphertext.c1.truncate(level + 1);
        Ok(())
    }

    /// Divides by the prime of the level, rounding: one level down, the scale divided by the prime;
    /// noise [`super::noise::rescale`].
    ///
    /// # Errors
    /// [`CkksError::Level`] at level 0.
    pub fn rescale_assign<P: Packing>(
        &self,
        ciphertext: &mut Ciphertext<P>,
    ) -> Result<(), CkksError> {
        let level = ciphertext.level();
        self.check_rescale(level)?;
        let division = self.parameters.rescale_division(level);
        for part in [&mut ciphertext.c0, &mut ciphertext.c1] {
            let mut kept = std::mem::replace(part, RnsPoly::zero(&[])).into_limbs();
            let dropped = kept.pop();
            *part = division.divide(kept, &dropped.iter().collect::<Vec<_>>());
        }
        ciphertext.scale = ciphertext.scale.over(&self.scale_of(level)?);
        Ok(())
    }

    pub(super) fn check_rescale(&self, found: usize) -> Result<(), CkksError> {
        if found >= 1 {
            return Ok(());
        }
        Err(CkksError::Level { operation: "rescaling", needed: 1, found })
    }

    /// The prime of a level, as a scale.
    pub(super) fn scale_of(&self, level: usize) -> Result<Scale, CkksError> {
        Ok(Scale::of_modulus(self.parameters.modulus(level)?))
    }

    /// The same values at exactly this level and scale: drops levels and, where the scale differs,
    /// multiplies by 1 at the scale that makes it right, at the price of one of the levels; the 1 is
    /// rounded, which changes the values by `1/2` over that scale at most, relatively.
    ///
    /// # Errors
    /// [`CkksError::Level`] where the ciphertext is not above `level`; [`CkksError::InvalidScale`]
    /// where the factor would be below 1.
    pub fn adjust(
        &self,
        ciphertext: &Ciphertext<Slots>,
        level: usize,
        scale: &Scale,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let mut result = ciphertext.clone();
        if ciphertext.scale == *scale {
            self.drop_level_assign(&mut result, level)?;
            return Ok(result);
        }
        self.drop_level_assign(&mut result, level + 1)?;
        let factor = scale.times(&self.scale_of(level + 1)?).over(&ciphertext.scale);
        if factor.finite()? < 1.0 {
            return Err(CkksError::InvalidScale { scale: factor.value() });
        }
        self.mul_scalar_assign(&mut result, c64 { re: 1.0, im: 0.0 }, &factor)?;
        self.rescale_assign(&mut result)?;
        Ok(result)
    }

    /// For each limb, the residues of `round(re scale) + round(im scale) i` at the two roots of -1.
    fn constants(
        &self,
        value: c64,
        scale: &Scale,
        level: usize,
    ) -> Result<Vec<[u64; 2]>, CkksError> {
        let factor = scale.finite()?;
        let integers = [value.re, value.im].map(|part| (part * factor).round());
        let bound = (self.parameters.log2_modulus(level) - 1.0).min(126.0).exp2();
        if !integers.iter().all(|integer| integer.abs() < bound) {
            return Err(CkksError::ValueRange { index: 0, log2_scale: scale.log2(), level });
        }
        let [re, im] = integers.map(|integer| integer as i128);
        let limbs = self.parameters.rings().iter().zip(&self.roots).take(level + 1);
        let constants = limbs.map(|(ring, &root)| {
            let q = ring.modulus();
            let residue = |integer: i128| integer.rem_euclid(i128::from(q.value())) as u64;
            let (re, im) = (residue(re), q.mul(residue(im), root));
            [q.add(re, im), q.sub(re, im)]
        });
        Ok(constants.collect())
    }
}

/// Applies an operation with one constant where `X^(N/2)` is the root of -1, with the other where it
/// is its opposite: the two halves of the values, as they are in bit-reversed order.
fn on_halves<T: Copy>(limb: &mut Poly<Ntt>, constants: [T; 2], operation: impl Fn(&mut u64, T)) {
    let half = limb.values().len() / 2;
    for (values, constant) in limb.values_mut().chunks_exact_mut(half).zip(constants) {
        values.iter_mut().for_each(|value| operation(value, constant));
    }
}

/// The value of `X^(N/2)` at the first point of the transform.
fn square_root_of_minus_one(ring: &Ring) -> u64 {
    let mut monomial = vec![0; ring.dimension()];
    monomial[ring.dimension() / 2] = 1;
    ring.forward(&mut monomial);
    monomial[0]
}

pub(super) fn check_levels(left: usize, right: usize) -> Result<(), CkksError> {
    if left == right { Ok(()) } else { Err(CkksError::LevelMismatch { left, right }) }
}

/// A sum or difference of both parts, in place.
fn combine_assign<P: Packing>(
    left: &mut Ciphertext<P>,
    right: &Ciphertext<P>,
    operation: impl Fn(&mut RnsPoly<Ntt>, &RnsPoly<Ntt>) -> Result<(), MathError>,
) -> Result<(), CkksError> {
    check_sum(left, right)?;
    operation(&mut left.c0, &right.c0)?;
    Ok(operation(&mut left.c1, &right.c1)?)
}

/// A sum or difference of both parts.
fn combine<P: Packing>(
    left: &Ciphertext<P>,
    right: &Ciphertext<P>,
    operation: impl Fn(&RnsPoly<Ntt>, &RnsPoly<Ntt>) -> Result<RnsPoly<Ntt>, MathError>,
) -> Result<Ciphertext<P>, CkksError> {
    check_sum(left, right)?;
    let parts = [operation(&left.c0, &right.c0)?, operation(&left.c1, &right.c1)?];
    Ok(Ciphertext::new(parts, left.scale.clone(), left.key))
}

/// What a sum with a plaintext needs.
fn check_plain_sum<P: Packing>(
    ciphertext: &Ciphertext<P>,
    plaintext: &Plaintext<P>,
) -> Result<(), CkksError> {
    check_levels(ciphertext.level(), plaintext.level())?;
    ciphertext.scale.check_same(&plaintext.scale)
}

/// What a sum needs.
fn check_sum<P: Packing>(left: &Ciphertext<P>, right: &Ciphertext<P>) -> Result<(), CkksError> {
    left.key.check(right.key)?;
    check_levels(left.level(), right.level())?;
    left.scale.check_same(&right.scale)
}
