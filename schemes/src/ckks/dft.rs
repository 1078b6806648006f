//! Slots to coefficients and back, on ciphertexts.
//!
//! A program may so mix layers that work on slots with layers that work on coefficients. Both ways are
//! products of sparse linear maps (`factors`), one level for each.

mod factors;

pub use factors::{coefficient_order, evaluation_factors, interpolation_factors};

use super::linear_transform::{Diagonals, LinearTransform, Split};
use super::noise::GiantStepNorms;
use super::{
    Ciphertext, CkksError, Encoder, EvaluationKeys, Evaluator, KeyRequirements, Parameters, Scale,
    c64, noise,
};
use crate::packing::{Coeffs, Slots};
use std::collections::BTreeMap;

/// Linear maps one after the other, each followed by a rescaling.
#[derive(Debug, Clone)]
pub(super) struct FactoredTransform {
    transforms: Vec<LinearTransform>,
    norms: FactoredNorms,
}

impl FactoredTransform {
    /// Maps over a period of the slots that divides `N/2`, the first at `level`, which multiply the
    /// scale of their operand by exactly `gain`. Each takes the prime of its level and an equal share
    /// of the gain as its scale.
    pub(super) fn new(
        encoder: &Encoder,
        parameters: &Parameters,
        factors: &[Diagonals],
        level: usize,
        gain: &Scale,
    ) -> Result<Self, CkksError> {
        if level < factors.len() {
            let operation = "going between slots and coefficients";
            return Err(CkksError::Level { operation, needed: factors.len(), found: level });
        }
        let scales = scales(parameters, factors.len(), level, gain)?;
        let transforms = factors.iter().zip(scales).enumerate().map(|(index, (map, scale))| {
            LinearTransform::new(parameters, encoder, map, level - index, &scale)
        });
        let transforms = transforms.collect::<Result<_, _>>()?;
        Ok(Self { transforms, norms: FactoredNorms::new(parameters, factors, level, gain)? })
    }

    pub(super) fn depth(&self) -> usize {
        self.transforms.len()
    }

    pub(super) fn norms(&self) -> &FactoredNorms {
        &self.norms
    }

    pub(super) fn bytes(&self) -> usize {
        self.transforms.iter().map(LinearTransform::bytes).sum()
    }

    pub(super) fn requirements(&self, parameters: &Parameters) -> KeyRequirements {
        let each = self.transforms.iter().map(|transform| transform.requirements(parameters));
        each.fold(KeyRequirements::default(), KeyRequirements::union)
    }

    pub(super) fn apply(
        &self,
        evaluator: &Evaluator,
        operand: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let mut result = self.apply_unrescaled(evaluator, operand, keys)?;
        evaluator.rescale_assign(&mut result)?;
        Ok(result)
    }

    /// Without the last rescaling.
    pub(super) fn apply_unrescaled(
        &self,
        evaluator: &Evaluator,
        operand: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let mut result = operand.clone();
        for (index, transform) in self.transforms.iter().enumerate() {
            if index > 0 {
                evaluator.rescale_assign(&mut result)?;
            }
            result = transform.apply(evaluator, &result, keys)?;
        }
        Ok(result)
    }
}

/// The scales of `factors` maps from `level` on that multiply the scale of their operand by `gain`.
fn scales(
    parameters: &Parameters,
    factors: usize,
    level: usize,
    gain: &Scale,
) -> Result<Vec<Scale>, CkksError> {
    let share = Scale::power_of_two((gain.log2() / factors as f64).round() as i32);
    let mut rest = gain.clone();
    let mut scales = Vec::with_capacity(factors);
    for index in 0..factors {
        let part = if index + 1 == factors { rest.clone() } else { share.clone() };
        rest = rest.over(&part);
        scales.push(part.times(&Scale::of_modulus(parameters.modulus(level - index)?)));
    }
    Ok(scales)
}

/// What the noise of a [`FactoredTransform`] depends on, found without encoding its maps.
#[derive(Debug, Clone)]
pub(super) struct FactoredNorms(Vec<MapNorms>);

#[derive(Debug, Clone)]
struct MapNorms {
    level: usize,
    giants: Vec<GiantStepNorms>,
    /// How many diagonals' worth of coefficients are rounded: a diagonal that repeats lies in a
    /// subring, and its other coefficients are zero.
    rounded: f64,
}

impl FactoredNorms {
    /// Of the transform that [`FactoredTransform::new`] makes of the same.
    pub(super) fn new(
        parameters: &Parameters,
        factors: &[Diagonals],
        level: usize,
        gain: &Scale,
    ) -> Result<Self, CkksError> {
        let scales = scales(parameters, factors.len(), level, gain)?;
        let share = |values: &Vec<c64>| period(values) as f64 / parameters.slots() as f64;
        let norms = factors.iter().zip(scales).enumerate().map(|(index, (map, scale))| MapNorms {
            level: level - index,
            giants: giant_norms(parameters, map, scale.value()),
            rounded: map.values().map(share).sum(),
        });
        Ok(Self(norms.collect()))
    }

    fn last_level(&self) -> usize {
        self.0.last().map_or(0, |map| map.level)
    }

    /// Variance and power per coefficient of the result, from those of the operand, whose slots are
    /// taken as independent.
    pub(super) fn noise(&self, parameters: &Parameters, operand: (f64, f64)) -> (f64, f64) {
        rescaled(parameters, self.last_level(), self.noise_unrescaled(parameters, operand))
    }

    /// Without the last rescaling.
    pub(super) fn noise_unrescaled(
        &self,
        parameters: &Parameters,
        operand: (f64, f64),
    ) -> (f64, f64) {
        let n = parameters.dimension() as f64;
        self.0.iter().enumerate().fold(operand, |operand, (index, map)| {
            let above = map.level + usize::from(index > 0);
            let (variance, power) =
                if index > 0 { rescaled(parameters, above, operand) } else { operand };
            let norm: f64 = map.giants.iter().map(|giant| giant.power).sum();
            let product =
                noise::linear_transform(parameters, map.level, (variance, power), &map.giants);
            (product + n * noise::encoding() * power * map.rounded, n * norm * power)
        })
    }
}

/// The norms of a map's giant steps; the rounding of diagonals is not in them.
fn giant_norms(parameters: &Parameters, map: &Diagonals, scale: f64) -> Vec<GiantStepNorms> {
    let slots = parameters.slots();
    let rotations = [vec![map.keys().map(|rotation| rotation % slots).collect()]];
    let step = Split::best(&rotations, slots).step.max(1);
    let mut giants: BTreeMap<usize, GiantStepNorms> = BTreeMap::new();
    for (rotation, values) in map {
        let baby = rotation % slots % step;
        let giant = giants.entry(rotation % slots - baby).or_default();
        let mean_square = values.iter().map(c64::norm_sqr).sum::<f64>() / values.len() as f64;
        let power = noise::power(parameters, mean_square, scale);
        giant.power += power;
        giant.rotated_power += if baby == 0 { 0.0 } else { power };
    }
    for (&rotation, giant) in &mut giants {
        giant.rotates = rotation != 0;
    }
    giants.into_values().collect()
}

/// Variance and power after a rescaling from `level`.
fn rescaled(parameters: &Parameters, level: usize, (variance, power): (f64, f64)) -> (f64, f64) {
    let modulus = parameters.rings()[level].modulus().log2();
    (noise::rescale(parameters, level, variance), power * (-2.0 * modulus).exp2())
}

/// The smallest power of two after which the values repeat.
fn period(values: &[c64]) -> usize {
    let periods = std::iter::successors(Some(1), |period| Some(2 * period));
    let repeats =
        |&period: &usize| values.iter().zip(values.iter().skip(period)).all(|(a, b)| a == b);
    periods.take_while(|&period| period < values.len()).find(repeats).unwrap_or(values.len())
}

/// Moves the `N` coefficients of a ciphertext into the slots of two.
///
/// Slot `j` of the first holds coefficient `coefficient_order(N/2)[j]`, slot `j` of the second the
/// coefficient `N/2` above it: bit-reversed order, which [`SlotsToCoefficients`] undoes. Values and
/// scale stay; it costs one level for each of the `groups` of butterfly layers, and one conjugation.
/// The more groups, the fewer rotations: about `2^(log2(N/2)/groups + 1)` diagonals each.
///
/// The error is that of `groups` rescalings and of the plaintext matrices, whose entries have about
/// `log2 q - log2(N)/groups` bits at a level of prime `q`: [`CoefficientsToSlots::noise`].
#[derive(Debug, Clone)]
pub struct CoefficientsToSlots {
    transform: FactoredTransform,
    requirements: KeyRequirements,
}

impl CoefficientsToSlots {
    /// For ciphertexts at `level`.
    ///
    /// # Errors
    /// [`CkksError::Parameter`] where `groups` is not between 1 and `log2(N/2)`;
    /// [`CkksError::Level`] where `level` is below `groups` or above the highest.
    pub fn new(
        parameters: &Parameters,
        encoder: &Encoder,
        level: usize,
        groups: usize,
    ) -> Result<Self, CkksError> {
        check_groups(groups, parameters.slots())?;
        let factors = interpolation_factors(parameters.slots(), groups, 0.5);
        let transform =
            FactoredTransform::new(encoder, parameters, &factors, level, &Scale::one())?;
        let conjugation = KeyRequirements::conjugation(parameters, level + 1 - groups);
        let requirements = transform.requirements(parameters).union(conjugation);
        Ok(Self { transform, requirements })
    }

    /// Levels it takes.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.transform.depth()
    }

    /// The keys it uses.
    #[must_use]
    pub fn requirements(&self) -> KeyRequirements {
        self.requirements.clone()
    }

    /// The variance of the noise, per coefficient, of each of the two results of an operand with this
    /// variance and power per coefficient ([`noise`]), its coefficients independent.
    #[must_use]
    pub fn noise(&self, parameters: &Parameters, operand: (f64, f64)) -> f64 {
        let norms = self.transform.norms();
        let (variance, _) = norms.noise_unrescaled(parameters, operand);
        let level = norms.last_level();
        let product = 2.0 * variance + noise::key_switch(parameters, level);
        noise::rescale(parameters, level, product)
    }

    /// The lower and the upper half of the coefficients, in the order of [`coefficient_order`].
    ///
    /// # Errors
    /// [`CkksError::LevelMismatch`] at another level, [`CkksError::MissingGaloisKey`],
    /// [`CkksError::Key`] for keys of another secret.
    pub fn apply(
        &self,
        evaluator: &Evaluator,
        operand: &Ciphertext<Coeffs>,
        keys: &EvaluationKeys,
    ) -> Result<[Ciphertext<Slots>; 2], CkksError> {
        let complex =
            self.transform.apply_unrescaled(evaluator, &operand.clone().repacked(), keys)?;
        real_and_imaginary(evaluator, complex, keys)
    }
}

/// Twice the real part and twice the imaginary part of every slot, rescaled. Rescaled before, the
/// rounding would be doubled and the noise of the key switch added.
pub(super) fn real_and_imaginary(
    evaluator: &Evaluator,
    mut complex: Ciphertext<Slots>,
    keys: &EvaluationKeys,
) -> Result<[Ciphertext<Slots>; 2], CkksError> {
    let conjugate = evaluator.conjugate(&complex, keys)?;
    let mut real = evaluator.add(&complex, &conjugate)?;
    evaluator.rescale_assign(&mut real)?;
    evaluator.sub_assign(&mut complex, &conjugate)?; // 2 i times the imaginary part
    evaluator.rescale_assign(&mut complex)?;
    evaluator.mul_i_assign(&mut complex);
    evaluator.negate_assign(&mut complex);
    Ok([real, complex])
}

/// Moves the slots of two ciphertexts, which must hold real numbers, into the `N` coefficients of one:
/// the inverse of [`CoefficientsToSlots`].
///
/// Coefficient `coefficient_order(N/2)[j]` becomes slot `j` of the first ciphertext, the coefficient
/// `N/2` above it slot `j` of the second. Values and scale stay; one level for each group of layers.
#[derive(Debug, Clone)]
pub struct SlotsToCoefficients {
    transform: FactoredTransform,
    requirements: KeyRequirements,
}

impl SlotsToCoefficients {
    /// For ciphertexts at `level`.
    ///
    /// # Errors
    /// As [`CoefficientsToSlots::new`].
    pub fn new(
        parameters: &Parameters,
        encoder: &Encoder,
        level: usize,
        groups: usize,
    ) -> Result<Self, CkksError> {
        check_groups(groups, parameters.slots())?;
        let factors = evaluation_factors(parameters.slots(), groups, 1.0);
        let transform =
            FactoredTransform::new(encoder, parameters, &factors, level, &Scale::one())?;
        let requirements = transform.requirements(parameters);
        Ok(Self { transform, requirements })
    }

    /// Levels it takes.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.transform.depth()
    }

    /// The keys it uses.
    #[must_use]
    pub fn requirements(&self) -> KeyRequirements {
        self.requirements.clone()
    }

    /// The variance of the noise, per coefficient, of the result of two operands with this variance and
    /// power per coefficient ([`noise`]) each, their slots independent.
    #[must_use]
    pub fn noise(&self, parameters: &Parameters, (variance, power): (f64, f64)) -> f64 {
        self.transform.norms().noise(parameters, (2.0 * variance, 2.0 * power)).0
    }

    /// One ciphertext whose coefficients are the slots of the two, in the order of
    /// [`coefficient_order`].
    ///
    /// # Errors
    /// [`CkksError::LevelMismatch`], [`CkksError::ScaleMismatch`], [`CkksError::MissingGaloisKey`],
    /// [`CkksError::Key`].
    pub fn apply(
        &self,
        evaluator: &Evaluator,
        [lower, upper]: [&Ciphertext<Slots>; 2],
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Coeffs>, CkksError> {
        let mut complex = upper.clone();
        evaluator.mul_i_assign(&mut complex);
        evaluator.add_assign(&mut complex, lower)?;
        Ok(self.transform.apply(evaluator, &complex, keys)?.repacked())
    }
}

pub(super) fn check_groups(groups: usize, slots: usize) -> Result<(), CkksError> {
    if (1..=slots.ilog2() as usize).contains(&groups) {
        return Ok(());
    }
    let (what, allowed) = ("the number of groups", "1 to the binary logarithm of the slots");
    Err(CkksError::Parameter { what, value: groups, allowed })
}

#[cfg(test)]
mod tests;
