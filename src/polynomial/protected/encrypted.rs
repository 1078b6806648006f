//! A protected network on ciphertexts.

use super::architecture::{Architecture, Linear, Operation, Step, Term};
use super::execute::{Backend, OTHER_NETWORK};
use super::message::ProtectedLayer;
use bellerophon_schemes::ckks::polynomial::PolynomialCircuit;
use bellerophon_schemes::ckks::sign::CompositeSignCircuit;
use bellerophon_schemes::ckks::{
    Ciphertext, CkksError, ConstantCiphertext, Encoder, EvaluationKeys, Evaluator, Parameters,
    Plaintext, Scale, Slots, c64,
};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::math::RnsPoly;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// An architecture's encrypted numbers, expanded for evaluation, and its polynomials.
#[derive(Debug)]
pub(super) struct Prepared {
    steps: Vec<PreparedStep>,
}

#[derive(Debug)]
enum PreparedStep {
    Linear {
        weights: Vec<ConstantCiphertext>,
        biases: Vec<Ciphertext<Slots>>,
    },
    Polynomial(PolynomialCircuit),
    Rectify(CompositeSignCircuit),
    /// Nothing to prepare.
    Bare,
}

impl Prepared {
    /// Expands all layers, which have been checked against the architecture; each ciphertext's packed
    /// form goes as its expanded one comes.
    ///
    /// # Errors
    /// [`CkksError`] where they do not belong to it.
    pub fn new(
        architecture: &Architecture,
        layers: Vec<ProtectedLayer>,
        parameters: &Parameters,
    ) -> Result<Self, CkksError> {
        let mut layers = layers.into_iter();
        let prepare = |step: &Step| {
            Ok(match &step.operation {
                Operation::Linear(_) => {
                    let ProtectedLayer { weights, biases } = layers.next().ok_or(OTHER_NETWORK)?;
                    let weights = weights.into_par_iter();
                    let weights = weights.map(|w| Ok(w.expand(parameters)?.into()));
                    let biases = biases.iter().map(|bias| bias.expand(parameters));
                    PreparedStep::Linear {
                        weights: weights.collect::<Result<_, CkksError>>()?,
                        biases: biases.collect::<Result<_, _>>()?,
                    }
                }
                Operation::Polynomial(polynomial) => {
                    PreparedStep::Polynomial(PolynomialCircuit::folded(polynomial))
                }
                Operation::Rectify(sign) => {
                    PreparedStep::Rectify(CompositeSignCircuit::new(sign, 1.0)?)
                }
                Operation::Sum(_) | Operation::Square | Operation::Add(_) => PreparedStep::Bare,
            })
        };
        let steps = architecture.steps.iter().map(prepare).collect::<Result<_, CkksError>>()?;
        Ok(Self { steps })
    }

    /// Bytes in memory of all weights and biases.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bytes = |step: &PreparedStep| match step {
            PreparedStep::Linear { weights, biases } => {
                weights.iter().map(ConstantCiphertext::bytes).sum::<usize>()
                    + biases.iter().map(Ciphertext::bytes).sum::<usize>()
            }
            _ => 0,
        };
        self.steps.iter().map(bytes).sum()
    }
}

/// The scales that follow from an architecture.
pub(super) struct Scales {
    /// Of each linear layer's weights, in order: that which brings the result to the scale of the
    /// input, whatever squares have made of it in between.
    pub weights: Vec<Scale>,
    /// Of the result.
    pub result: Scale,
}

/// # Errors
/// [`CkksError::Level`] for an architecture that does not fit the parameters.
pub(super) fn scales(
    architecture: &Architecture,
    parameters: &Parameters,
) -> Result<Scales, CkksError> {
    let scale = architecture.scale();
    let (mut values, mut weights) = (vec![scale.clone()], Vec::new());
    for step in &architecture.steps {
        let current = values.get(step.input).ok_or(OTHER_NETWORK)?;
        let prime = || Ok::<_, CkksError>(Scale::of_modulus(parameters.modulus(step.level)?));
        let made = match step.operation {
            Operation::Linear(_) => {
                weights.push(scale.times(&prime()?).over(current));
                scale.clone()
            }
            Operation::Square => current.times(current).over(&prime()?),
            Operation::Sum(_) | Operation::Add(_) => current.clone(),
            Operation::Polynomial(_) | Operation::Rectify(_) => scale.clone(),
        };
        values.push(made);
    }
    let result = values.pop().ok_or(OTHER_NETWORK)?;
    Ok(Scales { weights, result })
}

/// What a step reads: an input may come in the clear.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Encrypted(Ciphertext<Slots>),
    Clear(Vec<c64>),
}

/// A ciphertext of the value that is read, and a baby step.
type Baby = (usize, usize);
/// The number of a ciphertext that is read, the ciphertext, and its baby steps.
type Read<'v> = (usize, &'v Operand, BTreeSet<usize>);

/// Rotated inputs of a layer.
enum Babies {
    Encrypted(BTreeMap<Baby, Ciphertext<Slots>>),
    Clear(BTreeMap<Baby, Plaintext<Slots>>),
}

/// Executes on ciphertexts under one key.
pub(super) struct Encrypted<'a> {
    pub evaluator: &'a Evaluator,
    pub encoder: &'a Encoder,
    pub keys: &'a EvaluationKeys,
    pub prepared: &'a Prepared,
    /// The scale of the input.
    pub scale: Scale,
    pub key: KeyId,
}

impl Encrypted<'_> {
    /// The ciphertext of a value at this level. Of a clear one it is the trivial ciphertext, its mask
    /// zero.
    fn at_level<'v>(
        &self,
        value: &'v Operand,
        level: usize,
    ) -> Result<Cow<'v, Ciphertext<Slots>>, CkksError> {
        match value {
            Operand::Encrypted(ciphertext) if ciphertext.level() == level => {
                Ok(Cow::Borrowed(ciphertext))
            }
            Operand::Encrypted(ciphertext) => {
                let mut dropped = ciphertext.clone();
                self.evaluator.drop_level_assign(&mut dropped, level)?;
                Ok(Cow::Owned(dropped))
            }
            Operand::Clear(slots) => {
                let plaintext = self.encoder.encode(slots, level, &self.scale)?;
                let zero = RnsPoly::zero(&self.evaluator.parameters().rings()[..=level]);
                let body = plaintext.poly().clone();
                let trivial = Ciphertext::from_parts(body, zero, self.scale.clone(), self.key)?;
                Ok(Cow::Owned(trivial))
            }
        }
    }

    fn babies(
        &self,
        step: &Step,
        linear: &Linear,
        inputs: &[Operand],
    ) -> Result<Babies, CkksError> {
        let mut steps: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for Term { input, baby, .. } in &linear.terms {
            steps.entry(*input).or_default().insert(*baby);
        }
        let read = steps.into_iter().filter_map(|(at, steps)| Some((at, inputs.get(at)?, steps)));
        let read: Vec<Read<'_>> = read.collect();
        if read.iter().all(|(_, value, _)| matches!(value, Operand::Clear(_))) {
            let all = read.par_iter().map(|read| self.encoded_babies(step.level, read));
            let all: Vec<Vec<_>> = all.collect::<Result<_, _>>()?;
            return Ok(Babies::Clear(all.into_iter().flatten().collect()));
        }
        let all = read.par_iter().map(|read| self.rotated_babies(step.level, read));
        let all: Vec<Vec<_>> = all.collect::<Result<_, _>>()?;
        Ok(Babies::Encrypted(all.into_iter().flatten().collect()))
    }

    /// The rotations of a value in the clear, encoded.
    fn encoded_babies(
        &self,
        level: usize,
        (input, value, steps): &Read<'_>,
    ) -> Result<Vec<(Baby, Plaintext<Slots>)>, CkksError> {
        let Operand::Clear(slots) = value else { return Err(OTHER_NETWORK) };
        let encode = |&baby: &usize| {
            let mut slots = slots.clone();
            let length = slots.len().max(1);
            slots.rotate_left(baby % length);
            let plaintext = self.encoder.encode(&slots, level, &self.scale)?;
            Ok(((*input, baby), plaintext))
        };
        steps.par_iter().map(encode).collect()
    }

    /// The rotations of a ciphertext, with one decomposition for all.
    fn rotated_babies(
        &self,
        level: usize,
        (input, value, steps): &Read<'_>,
    ) -> Result<Vec<(Baby, Ciphertext<Slots>)>, CkksError> {
        let ciphertext = self.at_level(value, level)?;
        let signed: Vec<i64> = steps.iter().map(|&baby| baby as i64).collect();
        let images = self.evaluator.rotate_many(&ciphertext, &signed, self.keys)?;
        Ok(steps.iter().map(|&baby| (*input, baby)).zip(images).collect())
    }

    /// One sum of products, relinearized, rescaled, and rotated by its giant step.
    fn giant_step(
        &self,
        terms: &[(&Term, &ConstantCiphertext)],
        babies: &Babies,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let giant = terms.first().map_or(0, |(term, _)| term.giant);
        let sum = match babies {
            Babies::Encrypted(babies) => {
                let product = self.evaluator.inner_product(&operands(terms, babies)?)?;
                self.evaluator.relinearize_rescale(product, self.keys)?
            }
            Babies::Clear(babies) => {
                let mut sum = self.evaluator.inner_product_plain(&operands(terms, babies)?)?;
                self.evaluator.rescale_assign(&mut sum)?;
                sum
            }
        };
        self.evaluator.rotate(&sum, giant as i64, self.keys)
    }

    fn finish(
        &self,
        linear: &Linear,
        mut sum: Ciphertext<Slots>,
        bias: &Ciphertext<Slots>,
    ) -> Result<Operand, CkksError> {
        for &fold in &linear.folds {
            let rotated = self.evaluator.rotate(&sum, fold as i64, self.keys)?;
            self.evaluator.add_assign(&mut sum, &rotated)?;
        }
        if linear.conjugates {
            let conjugate = self.evaluator.conjugate(&sum, self.keys)?;
            self.evaluator.add_assign(&mut sum, &conjugate)?;
        }
        self.evaluator.add_assign(&mut sum, bias)?;
        Ok(Operand::Encrypted(sum))
    }

    fn sum(
        &self,
        ciphertext: &Ciphertext<Slots>,
        rotations: &[usize],
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let steps: Vec<i64> = rotations.iter().map(|&rotation| rotation as i64).collect();
        let mut sum = ciphertext.clone();
        for rotated in self.evaluator.rotate_many(ciphertext, &steps, self.keys)? {
            self.evaluator.add_assign(&mut sum, &rotated)?;
        }
        Ok(sum)
    }
}

fn operands<'t, V>(
    terms: &[(&Term, &'t ConstantCiphertext)],
    babies: &'t BTreeMap<Baby, V>,
) -> Result<Vec<(&'t V, &'t ConstantCiphertext)>, CkksError> {
    let operand = |(term, weight): &(&Term, &'t ConstantCiphertext)| {
        let baby = babies.get(&(term.input, term.baby)).ok_or(OTHER_NETWORK)?;
        Ok((baby, *weight))
    };
    terms.iter().map(operand).collect()
}

impl Backend for Encrypted<'_> {
    type Value = Operand;

    fn linear(
        &self,
        index: usize,
        step: &Step,
        linear: &Linear,
        inputs: &[Operand],
    ) -> Result<Vec<Operand>, CkksError> {
        let Some(PreparedStep::Linear { weights, biases }) = self.prepared.steps.get(index) else {
            return Err(OTHER_NETWORK);
        };
        let babies = self.babies(step, linear, inputs)?;
        let terms: Vec<(&Term, &ConstantCiphertext)> = linear.terms.iter().zip(weights).collect();
        let groups: Vec<&[(&Term, &ConstantCiphertext)]> =
            terms.chunk_by(|(a, _), (b, _)| (a.output, a.giant) == (b.output, b.giant)).collect();
        let sums = groups.par_iter().map(|group| self.giant_step(group, &babies));
        let sums: Vec<Ciphertext<Slots>> = sums.collect::<Result<_, _>>()?;
        let mut outputs: Vec<Option<Ciphertext<Slots>>> = vec![None; linear.outputs];
        for (group, sum) in groups.iter().zip(sums) {
            let output = group.first().map_or(0, |(term, _)| term.output);
            match outputs.get_mut(output).ok_or(OTHER_NETWORK)? {
                Some(output) => self.evaluator.add_assign(output, &sum)?,
                empty => *empty = Some(sum),
            }
        }
        let outputs: Vec<_> = outputs.into_iter().zip(biases).collect();
        let finish = |(sum, bias): (Option<Ciphertext<Slots>>, &Ciphertext<Slots>)| {
            self.finish(linear, sum.ok_or(OTHER_NETWORK)?, bias)
        };
        outputs.into_par_iter().map(finish).collect()
    }

    fn other(&self, index: usize, step: &Step, input: &Operand) -> Result<Operand, CkksError> {
        let input = self.at_level(input, step.level)?;
        let made = match (&step.operation, self.prepared.steps.get(index)) {
            (Operation::Sum(rotations), _) => self.sum(&input, rotations),
            (Operation::Square, _) => self.evaluator.square_rescale(&input, self.keys),
            (_, Some(PreparedStep::Polynomial(circuit))) => {
                circuit.evaluate(self.evaluator, &input, &self.scale, self.keys)
            }
            (_, Some(PreparedStep::Rectify(circuit))) => {
                circuit.relu(self.evaluator, &input, &self.scale, self.keys)
            }
            _ => Err(OTHER_NETWORK),
        };
        Ok(Operand::Encrypted(made?))
    }

    fn add(&self, step: &Step, left: &Operand, right: &Operand) -> Result<Operand, CkksError> {
        let (left, right) = (self.at_level(left, step.level)?, self.at_level(right, step.level)?);
        Ok(Operand::Encrypted(self.evaluator.add(&left, &right)?))
    }
}
