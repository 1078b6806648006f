//! Linear maps of slots, by diagonals: `y[j] = sum_d diagonal_d[j] x[j + d]`.
//!
//! Rotations are split into baby and giant steps (Halevi and Shoup, CRYPTO 2014), with *double
//! hoisting* (Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux, ePrint 2020/1203, section 4.3): the input
//! is cut into digits once for all baby steps, and their images stay multiplied by `P` until each
//! giant step has summed its products, and these until the end.

mod split;

pub use split::Split;

use super::evaluator::check_levels;
use super::key_switch::{self, Extended, sum_of_products};
use super::noise::{self, GiantStepNorms};
use super::{
    Ciphertext, CkksError, Encoder, EvaluationKeys, Evaluator, GaloisKey, KeyRequirements,
    Parameters, Scale, SwitchingKey,
};
use crate::math::{Ntt, Poly, Ring, RnsPoly};
use crate::packing::Slots;
use concrete_fft::c64;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// For each rotation, its factor in every slot: as many as there are slots, or a power of two that
/// repeats.
pub type Diagonals = BTreeMap<usize, Vec<c64>>;

/// The diagonals of the matrix with these entries `(row, column, value)`, indices below `slots`;
/// equal places add up.
#[must_use]
pub fn diagonals(
    entries: impl IntoIterator<Item = (usize, usize, c64)>,
    slots: usize,
) -> Diagonals {
    let mut diagonals = Diagonals::new();
    for (row, column, value) in entries {
        let rotation = (slots + column - row) % slots;
        diagonals.entry(rotation).or_insert_with(|| vec![c64::default(); slots])[row] += value;
    }
    diagonals
}

/// A matrix of linear maps, from several input ciphertexts to several outputs, encoded at one level
/// and scale.
#[derive(Debug, Clone)]
pub struct LinearTransform {
    level: usize,
    scale: Scale,
    inputs: usize,
    /// `[output]`: the giant steps.
    outputs: Vec<Vec<GiantStep>>,
    /// `[input]`: its baby steps.
    babies: Vec<BTreeSet<usize>>,
}

#[derive(Debug, Clone)]
struct GiantStep {
    rotation: usize,
    terms: Vec<Term>,
}

/// A diagonal, rotated back by its giant step, modulo `q_0 ... q_l P` and prepared for sums of
/// products.
#[derive(Debug, Clone)]
struct Term {
    input: usize,
    baby: usize,
    diagonal: RnsPoly<Ntt>,
    /// The mean square of its coefficients, as integers.
    power: f64,
}

impl LinearTransform {
    /// One input, one output.
    ///
    /// # Errors
    /// As [`LinearTransform::blocks`].
    pub fn new(
        parameters: &Parameters,
        encoder: &Encoder,
        diagonals: &Diagonals,
        level: usize,
        scale: &Scale,
    ) -> Result<Self, CkksError> {
        Self::blocks(parameters, encoder, &[vec![diagonals.clone()]], level, scale)
    }

    /// `[output][input]` of diagonals, applied to ciphertexts at `level`, encoded at `scale`. The
    /// number of baby steps is the power of two that costs least.
    ///
    /// # Errors
    /// [`CkksError::ValueCount`] where the blocks are no matrix or a diagonal does not fill the slots;
    /// [`CkksError::ValueRange`]; [`CkksError::Level`].
    pub fn blocks(
        parameters: &Parameters,
        encoder: &Encoder,
        blocks: &[Vec<Diagonals>],
        level: usize,
        scale: &Scale,
    ) -> Result<Self, CkksError> {
        parameters.check_level("encoding a linear transform", level)?;
        let slots = parameters.slots();
        let inputs = blocks.first().map_or(0, Vec::len);
        for row in blocks {
            check_shape(row, inputs, slots)?;
        }
        let step = Split::best(&rotations(blocks, slots), slots).step;
        let babies = (0..inputs).map(|input| {
            let rotations = blocks.iter().flat_map(|row| row[input].keys());
            rotations.map(|rotation| rotation % slots % step).collect()
        });
        let encoding =
            Encoding { parameters, encoder, rings: parameters.extended_rings(level), scale };
        let outputs =
            blocks.iter().map(|row| encoding.output(row, step)).collect::<Result<_, _>>()?;
        Ok(Self { level, scale: scale.clone(), inputs, outputs, babies: babies.collect() })
    }

    /// The level of the inputs.
    #[must_use]
    pub fn level(&self) -> usize {
        self.level
    }

    /// The scale that the diagonals are encoded at.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// `[baby steps, giant steps, diagonals]`: rotations with shared digits, rotations without, and
    /// products with plaintexts.
    #[must_use]
    pub fn cost(&self) -> [usize; 3] {
        let babies = self.babies.iter().flatten().filter(|&&baby| baby != 0).count();
        let giants = self.outputs.iter().flatten();
        let diagonals = giants.clone().map(|giant| giant.terms.len()).sum();
        [babies, giants.filter(|giant| giant.rotation != 0).count(), diagonals]
    }

    /// Bytes of the encoded diagonals.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let terms = self.outputs.iter().flatten().flat_map(|giant| &giant.terms);
        terms.map(|term| term.diagonal.limbs().len() * term.diagonal.dimension() * 8).sum()
    }

    /// What [`noise::linear_transform`] needs to know, for each output and giant step.
    #[must_use]
    pub fn norms(&self) -> Vec<Vec<GiantStepNorms>> {
        let norms = |giant: &GiantStep| {
            let rotated = giant.terms.iter().filter(|term| term.baby != 0);
            GiantStepNorms {
                rotates: giant.rotation != 0,
                diagonals: giant.terms.len(),
                power: giant.terms.iter().map(|term| term.power).sum(),
                rotated_power: rotated.map(|term| term.power).sum(),
            }
        };
        self.outputs.iter().map(|giants| giants.iter().map(norms).collect()).collect()
    }

    /// The keys that it needs.
    #[must_use]
    pub fn requirements(&self, parameters: &Parameters) -> KeyRequirements {
        let babies = self.babies.iter().flatten().copied();
        let giants = self.outputs.iter().flatten().map(|giant| giant.rotation);
        let steps = babies.chain(giants).map(|steps| steps as i64);
        KeyRequirements::rotations(parameters, steps, self.level)
    }

    /// The map of one input to one output: same level, scales multiply; noise
    /// [`noise::linear_transform`].
    ///
    /// # Errors
    /// As [`LinearTransform::apply_blocks`].
    pub fn apply(
        &self,
        evaluator: &Evaluator,
        input: &Ciphertext<Slots>,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let mut outputs = self.apply_blocks(evaluator, &[input], keys)?;
        outputs.pop().ok_or(no_output())
    }

    /// All outputs: same level, scales multiply.
    ///
    /// # Errors
    /// [`CkksError::ValueCount`] for another number of inputs; [`CkksError::LevelMismatch`];
    /// [`CkksError::ScaleMismatch`] or [`CkksError::Key`] where the inputs differ;
    /// [`CkksError::MissingGaloisKey`].
    pub fn apply_blocks(
        &self,
        evaluator: &Evaluator,
        inputs: &[&Ciphertext<Slots>],
        keys: &EvaluationKeys,
    ) -> Result<Vec<Ciphertext<Slots>>, CkksError> {
        self.sums(evaluator, inputs, keys, |sum| sum.divide(&evaluator.parameters))
    }

    /// [`LinearTransform::apply_blocks`] and a rescaling of every output, with one rounding: one level
    /// down.
    ///
    /// # Errors
    /// As [`LinearTransform::apply_blocks`]; [`CkksError::Level`] at level 0.
    pub fn apply_blocks_rescale(
        &self,
        evaluator: &Evaluator,
        inputs: &[&Ciphertext<Slots>],
        keys: &EvaluationKeys,
    ) -> Result<Vec<Ciphertext<Slots>>, CkksError> {
        evaluator.check_rescale(self.level)?;
        let prime = evaluator.scale_of(self.level)?;
        let divide = |sum: Extended| sum.divide_and_rescale(&evaluator.parameters);
        let mut outputs = self.sums(evaluator, inputs, keys, divide)?;
        for output in &mut outputs {
            output.scale = output.scale.over(&prime);
        }
        Ok(outputs)
    }

    fn sums(
        &self,
        evaluator: &Evaluator,
        inputs: &[&Ciphertext<Slots>],
        keys: &EvaluationKeys,
        divide: impl Fn(Extended) -> RnsPoly<Ntt> + Sync,
    ) -> Result<Vec<Ciphertext<Slots>>, CkksError> {
        let first = self.check_inputs(inputs)?;
        let images = inputs.par_iter().zip(&self.babies);
        let images: Vec<BTreeMap<usize, [Extended; 2]>> = images
            .map(|(input, babies)| baby_steps(evaluator, input, babies, keys))
            .collect::<Result<_, _>>()?;
        let scale = first.scale.times(&self.scale);
        let output = |giants: &Vec<GiantStep>| {
            let sum = self.output(evaluator, giants, &images, keys)?;
            Ok(Ciphertext::new(sum.map(&divide), scale.clone(), first.key))
        };
        self.outputs.par_iter().map(output).collect()
    }

    fn check_inputs<'a>(
        &self,
        inputs: &[&'a Ciphertext<Slots>],
    ) -> Result<&'a Ciphertext<Slots>, CkksError> {
        let Some(first) = inputs.first().filter(|_| inputs.len() == self.inputs) else {
            let (capacity, found) = (self.inputs, inputs.len());
            let allowed = "a linear transform needs exactly its inputs";
            return Err(CkksError::ValueCount { capacity, found, allowed });
        };
        for input in inputs {
            check_levels(self.level, input.level())?;
            first.key.check(input.key)?;
            first.scale.check_same(&input.scale)?;
        }
        Ok(first)
    }

    /// `P` times one output.
    fn output(
        &self,
        evaluator: &Evaluator,
        giants: &[GiantStep],
        images: &[BTreeMap<usize, [Extended; 2]>],
        keys: &EvaluationKeys,
    ) -> Result<[Extended; 2], CkksError> {
        let zero = || [(); 2].map(|()| Extended::zero(&evaluator.parameters, self.level));
        let step = |giant: &GiantStep| {
            let sum = inner_sum(giant, images)?;
            giant_step(evaluator, giant.rotation, sum, self.level, keys)
        };
        let add = |mut left: [Extended; 2], right: [Extended; 2]| {
            for (left, right) in left.iter_mut().zip(&right) {
                left.0.add_assign(&right.0)?;
            }
            Ok(left)
        };
        giants.par_iter().map(step).try_reduce(zero, add)
    }
}

/// An input, a baby step and its diagonal.
type Uncoded<'a> = (usize, usize, &'a [c64]);

/// How diagonals are encoded.
struct Encoding<'a> {
    parameters: &'a Parameters,
    encoder: &'a Encoder,
    rings: Vec<Ring>,
    scale: &'a Scale,
}

impl Encoding<'_> {
    /// The giant steps of one output, whose baby steps are below `step`.
    fn output(&self, row: &[Diagonals], step: usize) -> Result<Vec<GiantStep>, CkksError> {
        let slots = self.parameters.slots();
        let mut giants: BTreeMap<usize, Vec<Uncoded>> = BTreeMap::new();
        for (input, diagonals) in row.iter().enumerate() {
            for (rotation, diagonal) in diagonals {
                let (rotation, baby) = (rotation % slots, rotation % slots % step);
                giants.entry(rotation - baby).or_default().push((input, baby, diagonal));
            }
        }
        let encode = |(rotation, terms): (usize, Vec<Uncoded>)| {
            let terms = terms.into_par_iter();
            let terms = terms.map(|(input, baby, diagonal)| {
                let (diagonal, power) = self.diagonal(diagonal, rotation)?;
                Ok(Term { input, baby, diagonal, power })
            });
            Ok(GiantStep { rotation, terms: terms.collect::<Result<_, CkksError>>()? })
        };
        giants.into_iter().map(encode).collect()
    }

    /// A diagonal, rotated back by its giant step, and its power.
    fn diagonal(
        &self,
        diagonal: &[c64],
        rotation: usize,
    ) -> Result<(RnsPoly<Ntt>, f64), CkksError> {
        let slots = self.parameters.slots();
        let mut values: Vec<c64> = diagonal.iter().copied().cycle().take(slots).collect();
        values.rotate_right(rotation);
        let mean_square = values.iter().map(c64::norm_sqr).sum::<f64>() / slots as f64;
        let mut poly = self.encoder.encode_modulo(&values, &self.rings, self.scale)?;
        poly.limbs_mut().iter_mut().for_each(Poly::prepare);
        Ok((poly, noise::power(self.parameters, mean_square, self.scale.value())))
    }
}

/// `P` times the rotations of the input by all baby steps.
fn baby_steps(
    evaluator: &Evaluator,
    input: &Ciphertext<Slots>,
    babies: &BTreeSet<usize>,
    keys: &EvaluationKeys,
) -> Result<BTreeMap<usize, [Extended; 2]>, CkksError> {
    let parameters = &evaluator.parameters;
    let rotations: Vec<usize> = babies.iter().copied().filter(|&baby| baby != 0).collect();
    let galois = rotations.iter().map(|&baby| {
        let galois = keys.galois(parameters.rotation_element(baby as i64), input.level())?;
        galois.key.key().check(input.key)?;
        Ok(galois)
    });
    let galois: Vec<&GaloisKey> = galois.collect::<Result<_, CkksError>>()?;
    let switching: Vec<&SwitchingKey> = galois.iter().map(|galois| &galois.key).collect();
    let products = key_switch::products(parameters, &input.c1, &switching)?;
    let image = |((baby, galois), mut image): ((usize, &GaloisKey), [Extended; 2])| {
        image[0].add_lifted(parameters, &input.c0)?;
        Ok((baby, image.map(|part| Extended(part.0.permuted(&galois.permutation)))))
    };
    let images = rotations.into_par_iter().zip(galois).zip(products).map(image);
    let mut images: BTreeMap<usize, [Extended; 2]> = images.collect::<Result<_, CkksError>>()?;
    if babies.contains(&0) {
        let mut image = [(); 2].map(|()| Extended::zero(parameters, input.level()));
        image[0].add_lifted(parameters, &input.c0)?;
        image[1].add_lifted(parameters, &input.c1)?;
        images.insert(0, image);
    }
    Ok(images)
}

/// The products of one giant step, summed.
fn inner_sum(
    giant: &GiantStep,
    images: &[BTreeMap<usize, [Extended; 2]>],
) -> Result<[Extended; 2], CkksError> {
    let operands = giant.terms.iter().filter_map(|term| {
        let image = images.get(term.input)?.get(&term.baby)?;
        Some((&term.diagonal, image))
    });
    let operands: Vec<(&RnsPoly<Ntt>, &[Extended; 2])> = operands.collect();
    let rings = operands.first().map_or(&[][..], |(diagonal, _)| diagonal.limbs());
    let limbs = rings.par_iter().enumerate().map(|(index, limb)| {
        let left: Vec<&[u64]> =
            operands.iter().map(|(diagonal, _)| diagonal.limbs()[index].values()).collect();
        let right: Vec<[&[u64]; 2]> = operands
            .iter()
            .map(|(_, image)| image.each_ref().map(|part| part.0.limbs()[index].values()))
            .collect();
        sum_of_products(limb.ring(), &left, &right)
    });
    let (first, second) = limbs.map(|[first, second]| (first, second)).unzip();
    Ok([Extended(RnsPoly::from_limbs(first)?), Extended(RnsPoly::from_limbs(second)?)])
}

/// The rotation of an inner sum, still times `P`.
fn giant_step(
    evaluator: &Evaluator,
    rotation: usize,
    [first, second]: [Extended; 2],
    level: usize,
    keys: &EvaluationKeys,
) -> Result<[Extended; 2], CkksError> {
    if rotation == 0 {
        return Ok([first, second]);
    }
    let parameters = &evaluator.parameters;
    let galois = keys.galois(parameters.rotation_element(rotation as i64), level)?;
    let mut parts = galois.key.product(parameters, &second.divide(parameters))?;
    parts[0].0.add_assign(&first.0)?;
    Ok(parts.map(|part| Extended(part.0.permuted(&galois.permutation))))
}

/// Those from each input to each output: `[output][input]`.
fn rotations(blocks: &[Vec<Diagonals>], slots: usize) -> Vec<Vec<BTreeSet<usize>>> {
    let of_block = |block: &Diagonals| block.keys().map(|rotation| rotation % slots).collect();
    blocks.iter().map(|row| row.iter().map(of_block).collect()).collect()
}

fn check_shape(row: &[Diagonals], inputs: usize, slots: usize) -> Result<(), CkksError> {
    if row.is_empty() || row.len() != inputs {
        let allowed = "every output needs one block for each input";
        return Err(CkksError::ValueCount { capacity: inputs, found: row.len(), allowed });
    }
    let fits = |length: usize| length.is_power_of_two() && length <= slots;
    let lengths = row.iter().flat_map(BTreeMap::values).map(Vec::len);
    match lengths.into_iter().find(|&length| !fits(length)) {
        Some(found) => {
            let allowed = "a diagonal is as long as the slots, or a power of two that repeats";
            Err(CkksError::ValueCount { capacity: slots, found, allowed })
        }
        None => Ok(()),
    }
}

fn no_output() -> CkksError {
    let allowed = "a linear transform needs an output";
    CkksError::ValueCount { capacity: 1, found: 0, allowed }
}
