//! Programs in CKKS alone. A register's number is the slots of a ciphertext times the ciphertext plus
//! the slot.
//!
//! What a linear layer adds depends on the mean square of all slots that it reads, which is taken from
//! sample images; all else is as in the step-by-step simulation.

use super::function::Bend;
use super::plan::{Ends, Planned, PlannedOperation, Row, flatten};
use super::{Flat, FlatError, Function, Selection};
use crate::polynomial::backend::{Observer, execute};
use crate::polynomial::clear::Clear;
use crate::polynomial::program::LinearMap;
use crate::polynomial::simulated::{AddedNoise, NoiseModel};
use crate::polynomial::{Operation, Program, Step};
use bellerophon_schemes::math::approximation::Polynomial;
use std::collections::HashMap;

impl Flat {
    /// A program with the noise of its encrypted run; `samples` are images in the network's units.
    ///
    /// # Errors
    /// [`FlatError`] for a program that does not fit together.
    pub fn of_polynomial(
        program: &Program,
        noise: &NoiseModel,
        samples: &[&[f64]],
    ) -> Result<Self, FlatError> {
        let slots = program.slots().max(1);
        let squares = mean_squares(program, samples)?;
        let mut follower = Follower { slots, register: 0, planned: Vec::new() };
        for (origin, step) in program.steps.iter().enumerate() {
            let added = noise.added(origin, squares[origin]);
            follower.step(origin, step, added)?;
        }
        let period = program.period.max(1);
        let elements: HashMap<usize, usize> = program
            .input
            .iter()
            .enumerate()
            .map(|(element, place)| (place.ciphertext * slots + place.slot % period, element))
            .collect();
        let element = move |number: usize| {
            let (ciphertext, slot) = (number / slots, number % slots);
            (elements.get(&(ciphertext * slots + slot % period)).copied(), 1.0)
        };
        let register = follower.register;
        let result = |place: &crate::polynomial::Place| {
            (register, place.ciphertext * slots + place.slot, program.factor, program.offset)
        };
        let ends = Ends {
            input: Box::new(element),
            input_noise: noise.input(),
            output: program.output.iter().map(result).collect(),
            turns: false,
        };
        flatten(&ends, &follower.planned)
    }
}

/// The mean square of the slots that each step reads.
fn mean_squares(program: &Program, samples: &[&[f64]]) -> Result<Vec<f64>, FlatError> {
    let mut sums = Squares { sums: vec![0.0; program.steps.len()], reading: 0.0 };
    for image in samples {
        let input = program.input_slots(image);
        sums.reading = mean_square(&input);
        execute(&Clear, program, input, &mut sums)?;
    }
    Ok(sums.sums.iter().map(|sum| sum / samples.len().max(1) as f64).collect())
}

struct Squares {
    sums: Vec<f64>,
    /// Of what the next step reads.
    reading: f64,
}

impl Observer<Clear> for Squares {
    fn begin(&mut self, index: usize, _: &Step) {
        if let Some(sum) = self.sums.get_mut(index) {
            *sum += self.reading;
        }
    }

    fn end(&mut self, _: usize, _: &Step, values: &[Vec<f64>]) {
        self.reading = mean_square(values);
    }
}

fn mean_square(values: &[Vec<f64>]) -> f64 {
    let count: usize = values.iter().map(Vec::len).sum();
    values.iter().flatten().map(|x| x * x).sum::<f64>() / count.max(1) as f64
}

struct Follower<'a> {
    slots: usize,
    /// The last one made.
    register: usize,
    planned: Vec<Planned<'a>>,
}

impl<'a> Follower<'a> {
    /// Makes the next register.
    fn push(&mut self, origin: usize, operation: PlannedOperation<'a>, deviation: f64) {
        self.register += 1;
        let (register, noise) = (self.register, Box::new(move |_| deviation));
        self.planned.push(Planned { origin, register, operation, noise });
    }

    fn step(&mut self, origin: usize, step: &'a Step, added: AddedNoise) -> Result<(), FlatError> {
        let dangling = || FlatError::Dangling { step: origin };
        let register = self.register;
        match (&step.operation, added) {
            (Operation::Linear(map), AddedNoise::Linear { outputs, switch }) => {
                self.linear(origin, map, outputs, switch);
            }
            (Operation::Sum(rotations), AddedNoise::Flat(deviation)) => {
                let total = deviation * (rotations.len() as f64).sqrt();
                self.sum(origin, rotations.clone(), None, total);
            }
            (Operation::Square, AddedNoise::Flat(deviation)) => {
                let functions = vec![Function::Square];
                let operation =
                    PlannedOperation::Apply { register, run: Box::new(|_| 0), functions };
                self.push(origin, operation, deviation);
            }
            (Operation::Polynomial(polynomial), AddedNoise::Curves { curves, product, .. }) => {
                let bends = bends(vec![polynomial.clone()], curves);
                let bend = bends.into_iter().next().ok_or_else(dangling)?;
                let functions = vec![Function::Bend(bend)];
                let operation =
                    PlannedOperation::Apply { register, run: Box::new(|_| 0), functions };
                self.push(origin, operation, product);
            }
            (Operation::Rectify(_), AddedNoise::Curves { components, curves, product, .. }) => {
                let functions = vec![Function::Rectify(bends(components, curves))];
                let operation =
                    PlannedOperation::Apply { register, run: Box::new(|_| 0), functions };
                self.push(origin, operation, product);
            }
            (
                Operation::Maximum { rotation, .. },
                AddedNoise::Curves { rotate, components, curves, product },
            ) => {
                let (slots, rotation) = (self.slots, *rotation);
                let row = move |number| Row::copy(register, rotated(number, rotation, slots));
                self.push(origin, PlannedOperation::Rows(Box::new(row)), rotate);
                let selection = Selection(bends(components, curves));
                let both = [register, self.register];
                self.push(origin, PlannedOperation::Select(both, selection), product);
            }
            _ => return Err(dangling()),
        }
        Ok(())
    }

    fn linear(&mut self, origin: usize, map: &'a LinearMap, deviations: Vec<f64>, switch: f64) {
        let (slots, register, folded) = (self.slots, self.register, !map.folds.is_empty());
        let row = move |number: usize| {
            let (ciphertext, slot) = (number / slots, number % slots);
            let Some(output) = map.outputs.get(ciphertext) else {
                return Row::constant(f64::NAN);
            };
            let mut entries = Vec::new();
            for (input, terms) in output.terms.iter().enumerate() {
                let weights = terms.iter().map(|(&rotation, weights)| (rotation, weights[slot]));
                for (rotation, weight) in weights.filter(|(_, weight)| *weight != 0.0) {
                    let number = rotated(input * slots + slot, rotation, slots);
                    entries.push((register, number, weight));
                }
            }
            // biases come after the folds
            Row { entries, bias: if folded { 0.0 } else { output.biases[slot] } }
        };
        self.register += 1;
        self.planned.push(Planned {
            origin,
            register: self.register,
            operation: PlannedOperation::Rows(Box::new(row)),
            noise: Box::new(move |number| deviations.get(number / slots).copied().unwrap_or(0.0)),
        });
        for (index, &fold) in map.folds.iter().enumerate() {
            let biases = (index + 1 == map.folds.len()).then_some(map);
            self.sum(origin, vec![fold], biases, switch);
        }
    }

    /// The value plus its rotations, and the biases of a map where there are some.
    fn sum(
        &mut self,
        origin: usize,
        rotations: Vec<usize>,
        biases: Option<&'a LinearMap>,
        deviation: f64,
    ) {
        let (slots, register) = (self.slots, self.register);
        let row = move |number: usize| {
            let others = rotations.iter().map(|&by| rotated(number, by, slots));
            let all = std::iter::once(number).chain(others);
            let output = biases.and_then(|map| map.outputs.get(number / slots));
            Row {
                entries: all.map(|number| (register, number, 1.0)).collect(),
                bias: output.map_or(0.0, |output| output.biases[number % slots]),
            }
        };
        self.push(origin, PlannedOperation::Rows(Box::new(row)), deviation);
    }
}

/// The slot `rotation` behind one, in the same ciphertext.
fn rotated(number: usize, rotation: usize, slots: usize) -> usize {
    number / slots * slots + (number % slots + rotation) % slots
}

fn bends(polynomials: Vec<Polynomial>, curves: Vec<Vec<f64>>) -> Vec<Bend> {
    let pairs = polynomials.into_iter().zip(curves);
    pairs.map(|(polynomial, curve)| Bend { polynomial, curve }).collect()
}
