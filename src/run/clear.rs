//! The program in f64, without noise: the same integer weights, amplitudes and tables.
//!
//! A ciphertext is its `N` phases in turns. Coefficients that hold no value are NaN, so that a step
//! that reads junk says so in its result.

use super::backend::Backend;
use super::executor::{ExecuteError, execute};
use crate::compile::{LinearMap, Place, Program, Table};
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

    /// The input ciphertexts of a program: `phases` at their places, zeros elsewhere.
    ///
    /// # Errors
    /// [`ClearError`] for a place outside the ring.
    pub fn encrypt(
        &self,
        phases: impl IntoIterator<Item = f64>,
        program: &Program,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        self.scatter(phases, &program.input, program.input_ciphertexts(), 0.0)
    }

    /// `values` at `places`, `rest` elsewhere.
    ///
    /// # Errors
    /// [`ClearError`] for a place outside the ring.
    pub fn scatter(
        &self,
        values: impl IntoIterator<Item = f64>,
        places: &[Place],
        ciphertexts: usize,
        rest: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let mut ring = vec![vec![rest; self.dimension]; ciphertexts];
        for (place, value) in places.iter().zip(values) {
            let Place { ciphertext, coefficient } = *place;
            let slot = ring.get_mut(ciphertext).and_then(|c| c.get_mut(coefficient));
            *slot.ok_or(ClearError { ciphertext, coefficient })? = value;
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

    /// Coefficient `target` of `sum_e w_e X^e` times `x`.
    fn product_at(&self, weights: &[(usize, i64)], x: &[f64], target: usize) -> f64 {
        let n = self.dimension;
        let term = |&(exponent, weight): &(usize, i64)| {
            let source = target + 2 * n - exponent % (2 * n); // below 3N, and X^N = -1
            let value = x[source % n] * weight as f64;
            if (source / n).is_multiple_of(2) { value } else { -value }
        };
        weights.iter().map(term).sum()
    }
}

/// The program's outputs for one image, both in the network's units.
///
/// # Errors
/// [`ExecuteError`] for a program that does not fit together.
pub fn evaluate(program: &Program, image: &[f64]) -> Result<Vec<f64>, ExecuteError<ClearError>> {
    let clear = Clear::new(dimension(program));
    let input = clear.encrypt(program.input_phases(image), program);
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
    type Error = ClearError;

    fn linear(
        &self,
        map: &LinearMap,
        inputs: &[Vec<f64>],
        _: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let mut outputs = Vec::with_capacity(map.outputs.len());
        for output in &map.outputs {
            let mut ring = vec![f64::NAN; self.dimension];
            for (&target, &bias) in output.coefficients.iter().zip(&output.biases) {
                let missing = |ciphertext| ClearError { ciphertext, coefficient: target };
                let slot = ring.get_mut(target).ok_or(missing(outputs.len()))?;
                *slot = bias;
                for term in &output.terms {
                    let x = inputs.get(term.input).ok_or(missing(term.input))?;
                    *slot += self.product_at(&term.weights, x, target);
                }
            }
            outputs.push(ring);
        }
        Ok(outputs)
    }

    fn to_lwe(
        &self,
        inputs: &[Vec<f64>],
        places: &[Place],
        _: usize,
    ) -> Result<Vec<f64>, ClearError> {
        Self::gather(inputs, places)
    }

    fn look_up(&self, inputs: &Vec<f64>, table: &Table, _: usize) -> Result<Vec<f64>, ClearError> {
        Ok(inputs.iter().map(|&phase| table.evaluate(phase)).collect())
    }

    fn to_ckks(
        &self,
        inputs: &Vec<f64>,
        places: &[Place],
        ciphertexts: usize,
        zeroed: bool,
        _: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let rest = if zeroed { 0.0 } else { f64::NAN };
        self.scatter(inputs.iter().copied(), places, ciphertexts, rest)
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
