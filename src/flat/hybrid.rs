//! Hybrid programs, of CKKS and TFHE. A ring register's number is `N` times the ciphertext plus the
//! coefficient, that of samples their position.

use super::plan::{Ends, Planned, PlannedOperation, Row, flatten};
use super::{Flat, FlatError, Function};
use crate::compile::program::{LinearOutput, Term};
use crate::compile::{LinearMap, Operation, Place, Placement, Program, Step, Table};
use crate::run::clear;
use crate::run::simulated::NoiseModel;
use std::collections::HashMap;

impl Flat {
    /// A program with the noise of its encrypted run.
    ///
    /// # Errors
    /// [`FlatError::Dangling`] for a program that does not fit together.
    pub fn of_program(program: &Program, noise: &NoiseModel) -> Result<Self, FlatError> {
        let follower = Follower { noise, dimension: clear::dimension(program) };
        let elements: HashMap<usize, usize> = follower.elements(&program.input);
        let planned: Option<Vec<Planned<'_>>> = program
            .steps
            .iter()
            .enumerate()
            .map(|(origin, step)| follower.step(origin, step))
            .collect();
        let planned = planned.ok_or(FlatError::Dangling { step: 0 })?;
        let (register, factor) = (program.output_register().0, 1.0 / program.output_amplitude());
        let result = |place: &Place| (register, follower.number(place), factor, 0.0);
        let ends = Ends {
            input: Box::new(move |number| {
                (elements.get(&number).copied(), program.input_amplitude)
            }),
            input_noise: noise.fresh(),
            output: program.output.iter().map(result).collect(),
            turns: true,
        };
        flatten(&ends, &planned)
    }
}

struct Follower<'a> {
    noise: &'a NoiseModel,
    dimension: usize,
}

impl<'a> Follower<'a> {
    fn number(&self, place: &Place) -> usize {
        place.ciphertext * self.dimension + place.coefficient
    }

    /// By number, the element that goes there.
    fn elements(&self, placements: &[Placement]) -> HashMap<usize, usize> {
        placements.iter().map(|placed| (self.number(&placed.place), placed.element)).collect()
    }

    fn step(&self, origin: usize, step: &'a Step) -> Option<Planned<'a>> {
        let input = step.inputs.first()?.0;
        let (operation, noise): (_, Box<dyn Fn(usize) -> f64 + 'a>) = match &step.operation {
            Operation::Linear(map) => (self.linear(step, map), Box::new(|_| 0.0)),
            Operation::ToLwe { places, key } => {
                let deviation = self.noise.table_input(*key);
                (self.gather(input, places), Box::new(move |_| deviation))
            }
            Operation::Extract { places } => (self.gather(input, places), Box::new(|_| 0.0)),
            Operation::Lut { tables, key } => {
                let deviation = self.noise.table_output(*key);
                (look_up(input, tables), Box::new(move |_| deviation))
            }
            Operation::ToCkks { placements, ciphertexts, zeroed } => {
                let elements = self.elements(placements);
                let rest = if *zeroed { 0.0 } else { f64::NAN };
                let row = move |number: usize| match elements.get(&number) {
                    Some(&element) => Row::copy(input, element),
                    None => Row::constant(rest),
                };
                let deviations = self.noise.packing(placements, *ciphertexts, *zeroed);
                let dimension = self.dimension;
                let noise = move |number: usize| deviations[number / dimension];
                (PlannedOperation::Rows(Box::new(row)), Box::new(noise))
            }
            Operation::Slots(function) => {
                let functions = vec![Function::Phase(function.clone())];
                let run = Box::new(|_| 0);
                let deviation = function.deviation;
                let operation = PlannedOperation::Apply { register: input, run, functions };
                (operation, Box::new(move |_| deviation))
            }
            Operation::Add => {
                let other = step.inputs.get(1)?.0;
                let row = move |number| Row {
                    entries: vec![(input, number, 1.0), (other, number, 1.0)],
                    bias: 0.0,
                };
                (PlannedOperation::Rows(Box::new(row)), Box::new(|_| 0.0))
            }
        };
        // NaN marks what no value of the result may come from
        Some(Planned { origin, register: step.output.0, operation, noise })
    }

    fn gather(&self, register: usize, places: &'a [Place]) -> PlannedOperation<'a> {
        let dimension = self.dimension;
        PlannedOperation::Rows(Box::new(move |sample| match places.get(sample) {
            Some(place) => Row::copy(register, place.ciphertext * dimension + place.coefficient),
            None => Row::constant(f64::NAN),
        }))
    }

    fn linear(&self, step: &'a Step, map: &'a LinearMap) -> PlannedOperation<'a> {
        let dimension = self.dimension.max(1);
        let position = |output: &LinearOutput| -> HashMap<usize, usize> {
            output.coefficients.iter().enumerate().map(|(index, &at)| (at, index)).collect()
        };
        let positions: Vec<HashMap<usize, usize>> = map.outputs.iter().map(position).collect();
        PlannedOperation::Rows(Box::new(move |number| {
            let (ciphertext, target) = (number / dimension, number % dimension);
            let found = positions.get(ciphertext).and_then(|position| position.get(&target));
            let (Some(&index), Some(output)) = (found, map.outputs.get(ciphertext)) else {
                return Row::constant(f64::NAN);
            };
            let terms =
                output.terms.iter().flat_map(|term| products(step, term, target, dimension));
            Row { entries: terms.collect(), bias: output.biases[index] }
        }))
    }
}

/// What coefficient `target` of a term's product reads: `X^N = -1`.
fn products<'a>(
    step: &'a Step,
    term: &'a Term,
    target: usize,
    dimension: usize,
) -> impl Iterator<Item = (usize, usize, f64)> + 'a {
    let register = step.inputs.get(term.register).map_or(usize::MAX, |register| register.0);
    term.weights.iter().map(move |&(exponent, weight)| {
        let source = (target + 2 * dimension - exponent % (2 * dimension)) % (2 * dimension);
        let sign = if source < dimension { 1.0 } else { -1.0 };
        let number = term.ciphertext * dimension + source % dimension;
        (register, number, sign * weight as f64)
    })
}

fn look_up<'a>(register: usize, tables: &'a [(usize, Table)]) -> PlannedOperation<'a> {
    let ends = tables.iter().scan(0, |end, (count, _)| {
        *end += count;
        Some(*end)
    });
    let ends: Vec<usize> = ends.collect();
    let run = Box::new(move |sample: usize| ends.partition_point(|&end| end <= sample));
    let functions = tables.iter().map(|(_, table)| Function::Table(table.clone())).collect();
    PlannedOperation::Apply { register, run, functions }
}
