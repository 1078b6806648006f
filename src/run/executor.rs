//! The loop over a program's steps.

use super::backend::{Backend, Value};
use crate::compile::{Operation, Program, Register, Step};
use thiserror::Error;

/// Told of each step, with the value it made.
pub trait Observer<B: Backend> {
    /// Before step `index`.
    fn begin(&mut self, index: usize, step: &Step<B::Linear>);
    /// After step `index`.
    fn end(&mut self, index: usize, step: &Step<B::Linear>, value: &Value<B>);
}

/// An observer that does not look.
impl<B: Backend> Observer<B> for () {
    fn begin(&mut self, _: usize, _: &Step<B::Linear>) {}
    fn end(&mut self, _: usize, _: &Step<B::Linear>, _: &Value<B>) {}
}

/// Why a program did not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExecuteError<E: std::error::Error> {
    /// A step failed.
    #[error("step {index} ({stage}): {source}")]
    Step {
        /// Its number.
        index: usize,
        /// Its layer and stage.
        stage: String,
        /// Why.
        source: E,
    },
    /// A step reads a register that holds nothing or the wrong kind of value.
    #[error("step {index} ({stage}) reads a register that does not hold what it needs")]
    Register {
        /// Its number.
        index: usize,
        /// Its layer and stage.
        stage: String,
    },
    /// The input or output does not fit the program's registers.
    #[error("input or output: {0}")]
    Input(E),
    /// The output's register holds no ciphertexts.
    #[error("the program ends without an output")]
    NoOutput,
}

/// Runs `program` on `input` (its input ciphertexts) and returns the output's ciphertexts. Registers
/// are freed after their last use.
///
/// # Errors
/// [`ExecuteError`].
pub fn execute<B: Backend>(
    backend: &B,
    program: &Program<B::Linear>,
    input: Vec<B::Ring>,
    observer: &mut dyn Observer<B>,
) -> Result<Vec<B::Ring>, ExecuteError<B::Error>> {
    let mut registers: Vec<Option<Value<B>>> = Vec::new();
    registers.resize_with(register_count(program), || None);
    store(&mut registers, program.input_register(), Value::Ring(input));
    let last_use = last_uses(program);
    for (index, step) in program.steps.iter().enumerate() {
        observer.begin(index, step);
        let value = run_step(backend, step, &registers).map_err(|failure| {
            let stage = step.stage.clone();
            match failure {
                Some(source) => ExecuteError::Step { index, stage, source },
                None => ExecuteError::Register { index, stage },
            }
        })?;
        observer.end(index, step, &value);
        for register in &step.inputs {
            if last_use.get(register.0) == Some(&index) {
                registers[register.0] = None;
            }
        }
        store(&mut registers, step.output, value);
    }
    match registers.get_mut(program.output_register().0).and_then(Option::take) {
        Some(Value::Ring(output)) => Ok(output),
        _ => Err(ExecuteError::NoOutput),
    }
}

fn store<B: Backend>(registers: &mut [Option<Value<B>>], register: Register, value: Value<B>) {
    if let Some(slot) = registers.get_mut(register.0) {
        *slot = Some(value);
    }
}

/// Registers are numbered one per step, after the input's.
fn register_count<L>(program: &Program<L>) -> usize {
    program.steps.len() + 1
}

/// For each register, the last step that reads it.
fn last_uses<L>(program: &Program<L>) -> Vec<usize> {
    let mut last = vec![usize::MAX; register_count(program)];
    for (index, step) in program.steps.iter().enumerate() {
        for register in &step.inputs {
            if let Some(last) = last.get_mut(register.0) {
                *last = index;
            }
        }
    }
    last
}

/// `Err(None)` where a register does not hold what the step needs.
fn run_step<B: Backend>(
    backend: &B,
    step: &Step<B::Linear>,
    registers: &[Option<Value<B>>],
) -> Result<Value<B>, Option<B::Error>> {
    let value = |input: usize| {
        let register = step.inputs.get(input)?;
        registers.get(register.0)?.as_ref()
    };
    let amplitude = step.amplitude;
    match (&step.operation, value(0), value(1)) {
        (Operation::Linear(map), ..) => backend
            .linear(map, &ring_values(step, registers).ok_or(None)?, amplitude)
            .map(Value::Ring),
        (Operation::Combine(map), ..) => backend
            .combine(map, &ring_values(step, registers).ok_or(None)?, amplitude)
            .map(Value::Ring),
        (Operation::ToLwe { places, key }, Some(Value::Ring(x)), _) => {
            backend.to_lwe(x, places, *key).map(Value::Switched)
        }
        (Operation::Lut { tables, key }, Some(Value::Switched(x)), _) => {
            backend.look_up(x, tables, *key).map(Value::Samples)
        }
        (Operation::ToCkks { placements, ciphertexts, zeroed }, Some(Value::Samples(x)), _) => {
            backend.to_ckks(x, placements, *ciphertexts, *zeroed, amplitude).map(Value::Ring)
        }
        (Operation::Slots(function), Some(Value::Ring(x)), _) => {
            backend.slots(x, function, amplitude).map(Value::Ring)
        }
        (Operation::Extract { places }, Some(Value::Ring(x)), _) => {
            backend.extract(x, places).map(Value::Samples)
        }
        (Operation::Add, Some(Value::Ring(x)), Some(Value::Ring(y))) => {
            backend.add(x, y, amplitude).map(Value::Ring)
        }
        _ => return Err(None),
    }
    .map_err(Some)
}

/// The ciphertexts of every register that the step reads.
fn ring_values<'a, B: Backend>(
    step: &Step<B::Linear>,
    registers: &'a [Option<Value<B>>],
) -> Option<Vec<&'a [B::Ring]>> {
    let ring = |register: &Register| match registers.get(register.0) {
        Some(Some(Value::Ring(x))) => Some(x.as_slice()),
        _ => None,
    };
    step.inputs.iter().map(ring).collect()
}
