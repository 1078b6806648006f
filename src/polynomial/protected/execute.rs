//! One loop over an architecture's steps.

use super::architecture::{Architecture, Linear, Operation, Step};
use bellerophon_schemes::ckks::CkksError;

/// Weights or values that do not belong to the architecture.
pub(super) const OTHER_NETWORK: CkksError = CkksError::Parameter {
    what: "the number of layers or values",
    value: 0,
    allowed: "those of the architecture that runs",
};

/// An executor of single steps.
pub(super) trait Backend {
    /// One ciphertext.
    type Value;

    /// A layer with encrypted weights.
    fn linear(
        &self,
        index: usize,
        step: &Step,
        linear: &Linear,
        inputs: &[Self::Value],
    ) -> Result<Vec<Self::Value>, CkksError>;

    /// Any other step on one ciphertext.
    fn other(
        &self,
        index: usize,
        step: &Step,
        input: &Self::Value,
    ) -> Result<Self::Value, CkksError>;

    /// The sum of two, the first at the step's level.
    fn add(
        &self,
        step: &Step,
        left: &Self::Value,
        right: &Self::Value,
    ) -> Result<Self::Value, CkksError>;
}

/// Runs all steps on the input's ciphertexts and returns the result's. `begin` is told of each step
/// before it runs.
///
/// # Errors
/// That of the first step that fails.
pub(super) fn execute<B: Backend>(
    backend: &B,
    architecture: &Architecture,
    input: Vec<B::Value>,
    begin: &mut dyn FnMut(&Step),
) -> Result<Vec<B::Value>, CkksError> {
    let steps = &architecture.steps;
    let mut last_reader = vec![steps.len(); steps.len() + 1];
    for (index, step) in steps.iter().enumerate() {
        let other = match step.operation {
            Operation::Add(other) => Some(other),
            _ => None,
        };
        for value in [Some(step.input), other].into_iter().flatten() {
            *last_reader.get_mut(value).ok_or(OTHER_NETWORK)? = index;
        }
    }
    let mut values: Vec<Vec<B::Value>> = vec![input];
    for (index, step) in steps.iter().enumerate() {
        begin(step);
        let made = run_step(backend, index, step, &values)?;
        for (value, last) in values.iter_mut().zip(&last_reader) {
            if *last == index {
                value.clear(); // nobody reads it again
            }
        }
        values.push(made);
    }
    values.pop().ok_or(OTHER_NETWORK)
}

fn run_step<B: Backend>(
    backend: &B,
    index: usize,
    step: &Step,
    values: &[Vec<B::Value>],
) -> Result<Vec<B::Value>, CkksError> {
    let input = values.get(step.input).ok_or(OTHER_NETWORK)?;
    match &step.operation {
        Operation::Linear(linear) => {
            if linear.terms.iter().any(|term| term.input >= input.len()) {
                return Err(OTHER_NETWORK);
            }
            backend.linear(index, step, linear, input)
        }
        Operation::Add(other) => {
            let other = values.get(*other).ok_or(OTHER_NETWORK)?;
            input.iter().zip(other).map(|(a, b)| backend.add(step, a, b)).collect()
        }
        _ => input.iter().map(|x| backend.other(index, step, x)).collect(),
    }
}
