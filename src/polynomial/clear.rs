//! The program in f64: a ciphertext is the vector of its slots, rotated like one.

use super::backend::{Backend, StepError, execute};
use super::program::{LinearMap, LinearOutput, Program};
use bellerophon_schemes::math::approximation::{CompositeSign, Polynomial};
use thiserror::Error;

/// The clear backend.
#[derive(Clone, Copy, Debug)]
pub struct Clear;

/// A step reads a ciphertext that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the step reads {expected} ciphertexts, there are {found}")]
pub struct ClearError {
    /// What the step reads.
    pub expected: usize,
    /// What there is.
    pub found: usize,
}

/// The program's results for one image, both in the network's units.
///
/// # Errors
/// [`StepError`] for a program that does not fit together.
pub fn evaluate(program: &Program, image: &[f64]) -> Result<Vec<f64>, StepError<ClearError>> {
    Ok(program.results(&output_slots(program, image)?))
}

/// All slots of the program's output for one image, junk included.
///
/// # Errors
/// As [`evaluate`].
pub fn output_slots(
    program: &Program,
    image: &[f64],
) -> Result<Vec<Vec<f64>>, StepError<ClearError>> {
    execute(&Clear, program, program.input_slots(image), &mut ())
}

/// `sum[s] += diagonal[s] * x[s + rotation]`.
fn add_rotated(sum: &mut [f64], diagonal: &[f64], x: &[f64], rotation: usize) {
    let (head, tail) = x.split_at(rotation % x.len().max(1));
    let rotated = tail.iter().chain(head);
    sum.iter_mut().zip(diagonal.iter().zip(rotated)).for_each(|(sum, (d, x))| *sum += d * x);
}

/// `x[s + rotation]`.
pub(super) fn rotated(x: &[f64], rotation: usize) -> Vec<f64> {
    let (head, tail) = x.split_at(rotation % x.len().max(1));
    [tail, head].concat()
}

/// Adds all rotations of `x` to it.
fn sum_rotations(x: &[f64], rotations: &[usize]) -> Vec<f64> {
    let ones = vec![1.0; x.len()];
    let mut sum = x.to_vec();
    rotations.iter().for_each(|&rotation| add_rotated(&mut sum, &ones, x, rotation));
    sum
}

fn linear_output(output: &LinearOutput, folds: &[usize], inputs: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; output.biases.len()];
    for (terms, x) in output.terms.iter().zip(inputs) {
        for (&rotation, diagonal) in terms {
            add_rotated(&mut sum, diagonal, x, rotation);
        }
    }
    let mut folded = folds.iter().fold(sum, |sum, &fold| sum_rotations(&sum, &[fold]));
    folded.iter_mut().zip(&output.biases).for_each(|(value, bias)| *value += bias);
    folded
}

impl Backend for Clear {
    type Value = Vec<f64>;
    type Error = ClearError;

    fn linear(
        &self,
        _: usize,
        map: &LinearMap,
        inputs: &[Vec<f64>],
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let found = inputs.len();
        if let Some(output) = map.outputs.iter().find(|output| output.terms.len() != found) {
            return Err(ClearError { expected: output.terms.len(), found });
        }
        Ok(map.outputs.iter().map(|output| linear_output(output, &map.folds, inputs)).collect())
    }

    fn sum(&self, _: usize, rotations: &[usize], input: &Vec<f64>) -> Result<Vec<f64>, ClearError> {
        Ok(sum_rotations(input, rotations))
    }

    fn square(&self, _: usize, input: &Vec<f64>) -> Result<Vec<f64>, ClearError> {
        Ok(input.iter().map(|x| x * x).collect())
    }

    fn polynomial(
        &self,
        _: usize,
        polynomial: &Polynomial,
        input: &Vec<f64>,
    ) -> Result<Vec<f64>, ClearError> {
        Ok(input.iter().map(|&x| polynomial.evaluate(x)).collect())
    }

    fn rectify(
        &self,
        _: usize,
        sign: &CompositeSign,
        input: &Vec<f64>,
    ) -> Result<Vec<f64>, ClearError> {
        Ok(input.iter().map(|&x| sign.relu(x)).collect())
    }

    fn maximum(
        &self,
        _: usize,
        rotation: usize,
        sign: &CompositeSign,
        input: &Vec<f64>,
    ) -> Result<Vec<f64>, ClearError> {
        let others = rotated(input, rotation);
        let larger = |(&x, &y): (&f64, &f64)| y + 2.0 * sign.relu((x - y) / 2.0);
        Ok(input.iter().zip(&others).map(larger).collect())
    }
}
