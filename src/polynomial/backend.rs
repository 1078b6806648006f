//! One loop over a program's steps, and what a backend must be able to do.

use super::program::{LinearMap, Operation, Program, Step};
use bellerophon_schemes::math::approximation::{CompositeSign, Polynomial};
use thiserror::Error;

/// An executor of single steps on ciphertexts of slots.
pub trait Backend {
    /// One ciphertext.
    type Value;
    /// What can go wrong.
    type Error: std::error::Error;

    /// Diagonals, folds and biases of step `index`.
    ///
    /// # Errors
    /// As the backend says; likewise below.
    fn linear(
        &self,
        index: usize,
        map: &LinearMap,
        inputs: &[Self::Value],
    ) -> Result<Vec<Self::Value>, Self::Error>;

    /// The value plus its rotations.
    ///
    /// # Errors
    /// As the backend says.
    fn sum(
        &self,
        index: usize,
        rotations: &[usize],
        input: &Self::Value,
    ) -> Result<Self::Value, Self::Error>;

    /// The square of each slot.
    ///
    /// # Errors
    /// As the backend says.
    fn square(&self, index: usize, input: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// A polynomial of each slot.
    ///
    /// # Errors
    /// As the backend says.
    fn polynomial(
        &self,
        index: usize,
        polynomial: &Polynomial,
        input: &Self::Value,
    ) -> Result<Self::Value, Self::Error>;

    /// `x (1 + sign x) / 2` of each slot.
    ///
    /// # Errors
    /// As the backend says.
    fn rectify(
        &self,
        index: usize,
        sign: &CompositeSign,
        input: &Self::Value,
    ) -> Result<Self::Value, Self::Error>;

    /// The larger of each slot and the one `rotation` behind it.
    ///
    /// # Errors
    /// As the backend says.
    fn maximum(
        &self,
        index: usize,
        rotation: usize,
        sign: &CompositeSign,
        input: &Self::Value,
    ) -> Result<Self::Value, Self::Error>;
}

/// Told of each step, with the ciphertexts it made.
pub trait Observer<B: Backend> {
    /// Before step `index`.
    fn begin(&mut self, index: usize, step: &Step);
    /// After step `index`.
    fn end(&mut self, index: usize, step: &Step, values: &[B::Value]);
}

/// An observer that does not look.
impl<B: Backend> Observer<B> for () {
    fn begin(&mut self, _: usize, _: &Step) {}
    fn end(&mut self, _: usize, _: &Step, _: &[B::Value]) {}
}

/// A step failed.
#[derive(Debug, Error)]
#[error("step {index} ({stage}): {source}")]
pub struct StepError<E: std::error::Error> {
    /// Its number.
    pub index: usize,
    /// Its layer.
    pub stage: String,
    /// Why.
    pub source: E,
}

/// Runs the program on its input ciphertexts and returns its output ciphertexts.
///
/// # Errors
/// [`StepError`] for the first step that fails.
pub fn execute<B: Backend>(
    backend: &B,
    program: &Program,
    input: Vec<B::Value>,
    observer: &mut dyn Observer<B>,
) -> Result<Vec<B::Value>, StepError<B::Error>> {
    let mut values = input;
    for (index, step) in program.steps.iter().enumerate() {
        observer.begin(index, step);
        values = run_step(backend, index, &step.operation, &values)
            .map_err(|source| StepError { index, stage: step.stage.clone(), source })?;
        observer.end(index, step, &values);
    }
    Ok(values)
}

fn run_step<B: Backend>(
    backend: &B,
    index: usize,
    operation: &Operation,
    values: &[B::Value],
) -> Result<Vec<B::Value>, B::Error> {
    match operation {
        Operation::Linear(map) => backend.linear(index, map, values),
        Operation::Sum(rotations) => {
            values.iter().map(|x| backend.sum(index, rotations, x)).collect()
        }
        Operation::Square => values.iter().map(|x| backend.square(index, x)).collect(),
        Operation::Polynomial(polynomial) => {
            values.iter().map(|x| backend.polynomial(index, polynomial, x)).collect()
        }
        Operation::Rectify(sign) => {
            values.iter().map(|x| backend.rectify(index, sign, x)).collect()
        }
        Operation::Maximum { rotation, sign } => {
            values.iter().map(|x| backend.maximum(index, *rotation, sign, x)).collect()
        }
    }
}
