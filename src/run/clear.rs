//! The program in f64, without noise: the same integer weights, amplitudes and tables.
//!
//! A ciphertext is its `N` phases in turns. Coefficients that hold no value are NaN, so that a step
//! that reads junk says so in its result.

use super::backend::Backend;
use super::executor::{ExecuteError, execute};
use crate::compile::program::{LinearOutput, Term};
use crate::compile::{LinearMap, PhaseFunction, Place, Placement, Program, Table};
use thiserror::Error;

/// The clear backend.
#[derive(Clone, Copy, Debug)]
pub struct Clear {
    dimension: usize,
}

/// A program that does not fit its own registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the program reads ciphertext {ciphertext}, coefficient {coefficient}, which does not exist"
)]
pub struct ClearError {
    /// The ciphertext.
    pub ciphertext: usize,
    /// The coefficient.
    pub coefficient: usize,
}

impl Clear {
    /// For rings of this dimension.
    #[must_use]
    pub fn new(dimension: usize) -> Self {
        Self { dimension }
    }

    /// The input ciphertexts of a program: the image's phases at their places, zeros elsewhere.
    ///
    /// # Errors
    /// [`ClearError`] for a place outside the ring.
    pub fn encrypt(&self, image: &[f64], program: &Program) -> Result<Vec<Vec<f64>>, ClearError> {
        let phases: Vec<f64> = image.iter().map(|value| value * program.input_amplitude).collect();
        self.scatter(&phases, &program.input, program.input_ciphertexts(), 0.0)
    }

    /// `values` at their places, `rest` elsewhere.
    ///
    /// # Errors
    /// [`ClearError`] for a place outside the ring or a value that does not exist.
    pub fn scatter(
        &self,
        values: &[f64],
        placements: &[Placement],
        ciphertexts: usize,
        rest: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let mut ring = vec![vec![rest; self.dimension]; ciphertexts];
        for Placement { element, place: Place { ciphertext, coefficient } } in
            placements.iter().copied()
        {
            let missing = ClearError { ciphertext, coefficient };
            let slot = ring.get_mut(ciphertext).and_then(|c| c.get_mut(coefficient));
            *slot.ok_or(missing)? = *values.get(element).ok_or(missing)?;
        }
        Ok(ring)
    }

    /// The phases at `places`.
    ///
    /// # Errors
    /// [`ClearError`] for a place outside the ring.
    pub fn gather(ring: &[Vec<f64>], places: &[Place]) -> Result<Vec<f64>, ClearError> {
        let phase = |&Place { ciphertext, coefficient }: &Place| {
            let value = ring.get(ciphertext).and_then(|c| c.get(coefficient)).copied();
            value.ok_or(ClearError { ciphertext, coefficient })
        };
        places.iter().map(phase).collect()
    }

    fn output(
        &self,
        output: &LinearOutput,
        inputs: &[&[Vec<f64>]],
    ) -> Result<Vec<f64>, ClearError> {
        let outside = output.coefficients.iter().find(|&&target| target >= self.dimension);
        if let Some(&coefficient) = outside {
            return Err(ClearError { ciphertext: 0, coefficient });
        }
        let mut values = output.biases.clone();
        for term in &output.terms {
            let (ciphertext, coefficient) = (term.ciphertext, 0);
            let x = inputs.get(term.register).and_then(|ring| ring.get(ciphertext));
            let x = x.ok_or(ClearError { ciphertext, coefficient })?;
            self.add_products(term, x, &output.coefficients, &mut values);
        }
        let mut ring = vec![f64::NAN; self.dimension];
        for (&coefficient, value) in output.coefficients.iter().zip(values) {
            let slot = ring.get_mut(coefficient);
            *slot.ok_or(ClearError { ciphertext: 0, coefficient })? = value;
        }
        Ok(ring)
    }

    /// Adds coefficients `targets` of `sum_e w_e X^e` times `x`.
    fn add_products(&self, term: &Term, x: &[f64], targets: &[usize], sums: &mut [f64]) {
        let n = self.dimension.max(1);
        for &(exponent, weight) in &term.weights {
            let (weight, back) = (weight as f64, 2 * n - exponent % (2 * n));
            for (sum, &target) in sums.iter_mut().zip(targets) {
                let source = target + back; // below 3N, and X^N = -1
                let value = match source / n {
                    0 => x[source],
                    1 => -x[source - n],
                    _ => x[source - 2 * n],
                };
                *sum += weight * value;
            }
        }
    }
}

/// The program's outputs for one image, both in the network's units.
///
/// # Errors
/// [`ExecuteError`] for a program that does not fit together.
pub fn evaluate(program: &Program, image: &[f64]) -> Result<Vec<f64>, ExecuteError<ClearError>> {
    let clear = Clear::new(dimension(program));
    let input = clear.encrypt(image, program);
    let output = execute(&clear, program, input.map_err(ExecuteError::Input)?, &mut ())?;
    read_output(program, &output)
}

/// The ring dimension of a program.
pub(crate) fn dimension(program: &Program) -> usize {
    1usize.checked_shl(program.parameters.log_dimension).unwrap_or(0)
}

/// The outputs in the network's units, from phases that count modulo one turn.
pub(super) fn read_output(
    program: &Program,
    output: &[Vec<f64>],
) -> Result<Vec<f64>, ExecuteError<ClearError>> {
    let phases = Clear::gather(output, &program.output).map_err(ExecuteError::Input)?;
    let amplitude = program.output_amplitude();
    Ok(phases.into_iter().map(|phase| (phase - phase.round()) / amplitude).collect())
}

impl Backend for Clear {
    type Ring = Vec<f64>;
    type Switched = Vec<f64>;
    type Samples = Vec<f64>;
    type Linear = LinearMap;
    type Error = ClearError;

    fn linear(
        &self,
        map: &LinearMap,
        inputs: &[&[Vec<f64>]],
        _: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        map.outputs.iter().map(|output| self.output(output, inputs)).collect()
    }

    fn combine(
        &self,
        map: &LinearMap,
        inputs: &[&[Vec<f64>]],
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        self.linear(map, inputs, amplitude)
    }

    fn to_lwe(
        &self,
        inputs: &[Vec<f64>],
        places: &[Place],
        _: usize,
    ) -> Result<Vec<f64>, ClearError> {
        Self::gather(inputs, places)
    }

    fn look_up(
        &self,
        inputs: &Vec<f64>,
        tables: &[(usize, Table)],
        _: usize,
    ) -> Result<Vec<f64>, ClearError> {
        let each = tables.iter().flat_map(|(count, table)| std::iter::repeat_n(table, *count));
        Ok(inputs.iter().zip(each).map(|(&phase, table)| table.evaluate(phase)).collect())
    }

    fn to_ckks(
        &self,
        inputs: &Vec<f64>,
        placements: &[Placement],
        ciphertexts: usize,
        zeroed: bool,
        _: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let rest = if zeroed { 0.0 } else { f64::NAN };
        self.scatter(inputs, placements, ciphertexts, rest)
    }

    fn slots(
        &self,
        inputs: &[Vec<f64>],
        function: &PhaseFunction,
        _: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let each = |ring: &Vec<f64>| ring.iter().map(|&phase| function.evaluate(phase)).collect();
        Ok(inputs.iter().map(each).collect())
    }

    fn extract(&self, inputs: &[Vec<f64>], places: &[Place]) -> Result<Vec<f64>, ClearError> {
        Self::gather(inputs, places)
    }

    fn add(
        &self,
        left: &[Vec<f64>],
        right: &[Vec<f64>],
        _: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let sum = |(l, r): (&Vec<f64>, &Vec<f64>)| l.iter().zip(r).map(|(a, b)| a + b).collect();
        Ok(left.iter().zip(right).map(sum).collect())
    }
}
