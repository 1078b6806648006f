//! A protected network in f64: on exact slots, or on slots with the noise of an encrypted run, drawn
//! anew for each.
//!
//! What a step does to the noise of its inputs comes by itself, as that is in the slots; what the step
//! adds is drawn from the formulas of [`bellerophon_schemes::ckks::noise`]. A variance `v` of every
//! coefficient is one of `N v / 2` of the real and of the imaginary part of every slot, over the
//! squared scale. The noise of the encrypted weights at a slot, `sum_d e_d x[t + d]`, is one normal
//! number of variance `v sum_d |x[t + d]|^2`.

use super::architecture::{Architecture, Linear, Operation, Step, Term};
use super::execute::{Backend, execute};
use super::plain::{PlainNetwork, Weights};
use crate::polynomial::backend::Backend as _;
use crate::polynomial::clear::{Clear, ClearError};
use crate::polynomial::program;
use crate::polynomial::simulated::{self, Simulated};
use bellerophon_schemes::ckks::{CkksError, Parameters, c64, noise};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution, StandardNormal};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How an input comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Encrypted with the public key.
    Encrypted,
    /// In the clear.
    Clear,
}

/// The noise that each step of one architecture adds.
#[derive(Debug)]
pub struct NoiseModel {
    parameters: Parameters,
    scale: f64,
    /// Of the steps that are not linear.
    others: simulated::NoiseModel,
}

impl NoiseModel {
    /// Predicts what each step adds.
    ///
    /// # Errors
    /// [`CkksError`] for an architecture that does not fit the parameters.
    pub fn new(architecture: &Architecture, parameters: &Parameters) -> Result<Self, CkksError> {
        let others = simulated::NoiseModel::new(&without_weights(architecture), parameters)?;
        let scale = architecture.scale().value();
        Ok(Self { parameters: parameters.clone(), scale, others })
    }

    /// The standard deviation of the real part of a slot, for this variance of a coefficient.
    fn slot(&self, variance: f64) -> f64 {
        (self.parameters.dimension() as f64 * variance / 2.0).sqrt() / self.scale
    }

    /// The same, of encrypted weights, whose scale is that of their prime.
    fn weight(&self, level: usize) -> f64 {
        let prime = self.parameters.log2_modulus(level)
            - level.checked_sub(1).map_or(0.0, |below| self.parameters.log2_modulus(below));
        self.slot(noise::fresh_secret() + noise::encoding()) * self.scale / prime.exp2()
    }

    /// What a sum of products adds at `level`: it is relinearized, unless its input was clear, and
    /// rescaled with one rounding.
    fn giant_step(&self, level: usize, relinearized: bool) -> f64 {
        let switch = noise::key_switch(&self.parameters, level) - noise::rounding(&self.parameters);
        let switch = if relinearized { switch } else { 0.0 };
        self.slot(noise::rescale(&self.parameters, level, switch))
    }

    fn rotation(&self, level: usize) -> f64 {
        self.slot(noise::key_switch(&self.parameters, level))
    }
}

/// The steps that are not linear as a program of the unprotected kind, in their places.
fn without_weights(architecture: &Architecture) -> program::Program {
    let operation = |step: &Step| match &step.operation {
        Operation::Linear(_) | Operation::Add(_) => program::Operation::Sum(Vec::new()),
        Operation::Sum(rotations) => program::Operation::Sum(rotations.clone()),
        Operation::Square => program::Operation::Square,
        Operation::Polynomial(polynomial) => program::Operation::Polynomial(polynomial.clone()),
        Operation::Rectify(sign) => program::Operation::Rectify(sign.clone()),
    };
    let step = |step: &Step| program::Step {
        stage: step.stage.clone(),
        operation: operation(step),
        level: step.level,
    };
    program::Program {
        parameters: architecture.parameters.clone(),
        log_scale: architecture.log_scale,
        input: Vec::new(),
        period: 1,
        steps: architecture.steps.iter().map(step).collect(),
        output: Vec::new(),
        factor: 1.0,
        offset: 0.0,
    }
}

/// Noise of one run.
struct Noise<'a> {
    model: &'a NoiseModel,
    others: Simulated<'a>,
    start: Start,
    rng: RefCell<ChaCha20Rng>,
}

impl Noise<'_> {
    /// Adds noise of this standard deviation to both parts of every slot.
    fn blur(&self, slots: &mut [c64], deviation: impl Fn(usize) -> f64) {
        let rng = &mut *self.rng.borrow_mut();
        for (at, slot) in slots.iter_mut().enumerate() {
            let [re, im]: [f64; 2] = [StandardNormal.sample(rng), StandardNormal.sample(rng)];
            *slot += c64 { re, im } * deviation(at);
        }
    }
}

/// Executes on slots.
struct Slots<'a> {
    weights: Vec<Option<&'a Weights>>,
    noise: Option<Noise<'a>>,
}

impl PlainNetwork {
    /// The slots of the result for one input, exact or with the noise of an encrypted run.
    ///
    /// # Errors
    /// [`CkksError`] for weights that are not the architecture's.
    pub(super) fn run(
        &self,
        values: &[f64],
        noise: Option<(&NoiseModel, Start, u64)>,
    ) -> Result<Vec<Vec<c64>>, CkksError> {
        let Self { architecture, weights } = self;
        let mut weights = weights.iter();
        let of_step = |step: &Step| match step.operation {
            Operation::Linear(_) => weights.next(),
            _ => None,
        };
        let weights = architecture.steps.iter().map(of_step).collect();
        let noise = noise.map(|(model, start, seed)| Noise {
            model,
            others: Simulated::new(&model.others, seed),
            start,
            rng: RefCell::new(ChaCha20Rng::seed_from_u64(seed)),
        });
        let slots = Slots { weights, noise };
        let mut input = architecture.input_slots(values);
        if let Some(noise) = &slots.noise {
            let encryption = match noise.start {
                Start::Encrypted => noise::fresh_public(&noise.model.parameters),
                Start::Clear => 0.0,
            };
            let fresh = noise.model.slot(encryption + noise::encoding());
            input.iter_mut().for_each(|slots| noise.blur(slots, |_| fresh));
        }
        execute(&slots, architecture, input, &mut |_| ())
    }
}

fn rotated(slots: &[c64], by: usize) -> Vec<c64> {
    let mut slots = slots.to_vec();
    let length = slots.len().max(1);
    slots.rotate_left(by % length);
    slots
}

fn real(slots: &[c64]) -> Vec<f64> {
    slots.iter().map(|slot| slot.re).collect()
}

fn complex(slots: Vec<f64>) -> Vec<c64> {
    slots.into_iter().map(|re| c64 { re, im: 0.0 }).collect()
}

/// A step of another program.
fn misfit(_: ClearError) -> CkksError {
    super::execute::OTHER_NETWORK
}

impl Slots<'_> {
    /// Rotated inputs by ciphertext and baby step.
    fn babies(
        &self,
        step: &Step,
        linear: &Linear,
        inputs: &[Vec<c64>],
    ) -> BTreeMap<(usize, usize), Vec<c64>> {
        let mut babies = BTreeMap::new();
        for Term { input, baby, .. } in &linear.terms {
            babies.entry((*input, *baby)).or_insert_with(|| {
                let mut slots = rotated(&inputs[*input], *baby);
                if let Some(noise) = self.noise.as_ref().filter(|_| *baby != 0) {
                    let encrypted = noise.start == Start::Encrypted || step.input != 0;
                    let deviation = if encrypted { noise.model.rotation(step.level) } else { 0.0 };
                    noise.blur(&mut slots, |_| deviation);
                }
                slots
            });
        }
        babies
    }

    /// One sum of products, rotated by its giant step.
    fn giant_step(
        &self,
        step: &Step,
        terms: &[(&Term, &Vec<c64>)],
        babies: &BTreeMap<(usize, usize), Vec<c64>>,
    ) -> Vec<c64> {
        let slots = terms.first().map_or(0, |(_, diagonal)| diagonal.len());
        let giant = terms.first().map_or(0, |(term, _)| term.giant);
        let (mut sums, mut squares) = (vec![c64::default(); slots], vec![0.0; slots]);
        for (term, diagonal) in terms {
            let Some(baby) = babies.get(&(term.input, term.baby)) else { continue };
            // the diagonal is for the rotated sum
            let x = rotated(baby, giant);
            let sums = sums.iter_mut().zip(&mut squares);
            for ((sum, square), (w, x)) in sums.zip(diagonal.iter().zip(&x)) {
                *sum += w * x;
                *square += x.norm_sqr();
            }
        }
        let Some(noise) = &self.noise else { return sums };
        let (level, weight) = (step.level, noise.model.weight(step.level));
        let relinearized = noise.start == Start::Encrypted || step.input != 0;
        let product = noise.model.giant_step(level, relinearized);
        let rotation = noise.model.rotation(level.saturating_sub(1));
        let rotation = if giant == 0 { 0.0 } else { rotation };
        let flat = product * product + rotation * rotation;
        noise.blur(&mut sums, |at| (flat + weight * weight * squares[at]).sqrt());
        sums
    }

    fn finish(&self, step: &Step, linear: &Linear, sums: &mut Vec<c64>, biases: &[f64]) {
        let blur = |slots: &mut Vec<c64>, deviation: &dyn Fn(&NoiseModel) -> f64| {
            if let Some(noise) = &self.noise {
                noise.blur(slots, |_| deviation(noise.model));
            }
        };
        let below = step.level.saturating_sub(1);
        for &fold in &linear.folds {
            let other = rotated(sums, fold);
            sums.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
            blur(sums, &|model| model.rotation(below));
        }
        if linear.conjugates {
            sums.iter_mut().for_each(|sum| *sum = c64 { re: 2.0 * sum.re, im: 0.0 });
            blur(sums, &|model| model.rotation(below));
        }
        sums.iter_mut().zip(biases).for_each(|(sum, bias)| sum.re += bias);
        blur(sums, &|model| model.slot(noise::fresh_secret() + noise::encoding()));
    }
}

impl Backend for Slots<'_> {
    type Value = Vec<c64>;

    fn linear(
        &self,
        index: usize,
        step: &Step,
        linear: &Linear,
        inputs: &[Vec<c64>],
    ) -> Result<Vec<Vec<c64>>, CkksError> {
        let weights = self.weights.get(index).copied().flatten();
        let weights = weights.ok_or(super::execute::OTHER_NETWORK)?;
        let babies = self.babies(step, linear, inputs);
        let slots = inputs.first().map_or(0, Vec::len);
        let mut outputs = vec![vec![c64::default(); slots]; linear.outputs];
        let terms: Vec<(&Term, &Vec<c64>)> = linear.terms.iter().zip(&weights.diagonals).collect();
        for group in terms.chunk_by(|(a, _), (b, _)| (a.output, a.giant) == (b.output, b.giant)) {
            let Some(output) = group.first().map(|(term, _)| term.output) else { continue };
            let sums = self.giant_step(step, group, &babies);
            outputs[output].iter_mut().zip(sums).for_each(|(sum, other)| *sum += other);
        }
        for (output, biases) in outputs.iter_mut().zip(&weights.biases) {
            self.finish(step, linear, output, biases);
        }
        Ok(outputs)
    }

    fn other(&self, index: usize, step: &Step, input: &Vec<c64>) -> Result<Vec<c64>, CkksError> {
        let x = real(input);
        let made = match (&self.noise, &step.operation) {
            (Some(noise), Operation::Sum(d)) => noise.others.sum(index, d, &x),
            (Some(noise), Operation::Square) => noise.others.square(index, &x),
            (Some(noise), Operation::Polynomial(p)) => noise.others.polynomial(index, p, &x),
            (Some(noise), Operation::Rectify(sign)) => noise.others.rectify(index, sign, &x),
            (None, Operation::Sum(d)) => Clear.sum(index, d, &x),
            (None, Operation::Square) => Clear.square(index, &x),
            (None, Operation::Polynomial(p)) => Clear.polynomial(index, p, &x),
            (None, Operation::Rectify(sign)) => Clear.rectify(index, sign, &x),
            (_, Operation::Linear(_) | Operation::Add(_)) => {
                return Err(super::execute::OTHER_NETWORK);
            }
        };
        made.map(complex).map_err(misfit)
    }

    fn add(&self, _: &Step, left: &Vec<c64>, right: &Vec<c64>) -> Result<Vec<c64>, CkksError> {
        Ok(left.iter().zip(right).map(|(left, right)| left + right).collect())
    }
}
