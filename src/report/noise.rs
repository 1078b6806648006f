//! Predicted and measured noise of a run, stage by stage.
//!
//! Both are differences from the clear run of the same program on the same image, so that they hold
//! all the noise that has built up by then. The prediction is the spread of simulated runs, which
//! draw from the noise formulas; the measurement is the trace of an encrypted run, opened by the
//! client.

use crate::compile::{Program, Step};
use crate::run::clear::{self, Clear, ClearError};
use crate::run::simulated::NoiseModel;
use crate::run::{Backend, ExecuteError, Observer, Simulated, Value, execute};
use serde::Serialize;

/// The phases, in turns, that each step of a run made; empty for steps that make no ciphertexts.
pub type Phases = Vec<Vec<Vec<f64>>>;

/// The noise after one stage (the steps of one name in a row).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageNoise {
    /// The stage's name.
    pub stage: String,
    /// Root mean square over simulated runs, in turns.
    pub predicted: f64,
    /// Root mean square over the encrypted runs, in turns.
    pub measured: f64,
    /// The number of values measured.
    pub values: usize,
}

/// Sums of squared differences from the clear run, by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NoiseSums {
    sums: Vec<(f64, usize)>,
}

impl NoiseSums {
    /// Adds a run's differences from the clear run.
    pub fn add(&mut self, run: &Phases, clear: &Phases) {
        self.sums.resize(self.sums.len().max(clear.len()), (0.0, 0));
        for ((sum, count), (run, clear)) in self.sums.iter_mut().zip(run.iter().zip(clear)) {
            let pairs = run.iter().flatten().zip(clear.iter().flatten());
            for (noisy, exact) in pairs.filter(|(_, exact)| !exact.is_nan()) {
                let difference = noisy - exact;
                *sum += (difference - difference.round()).powi(2);
                *count += 1;
            }
        }
    }

    fn root_mean_square(&self, step: usize) -> (f64, usize) {
        let (sum, count) = self.sums.get(step).copied().unwrap_or_default();
        ((sum / count.max(1) as f64).sqrt(), count)
    }
}

/// The clear run's phases.
///
/// # Errors
/// [`ExecuteError`] for a program that does not fit together.
pub fn clear_phases(program: &Program, image: &[f64]) -> Result<Phases, ExecuteError<ClearError>> {
    let clear = Clear::new(clear::dimension(program));
    let phases = image.iter().map(|value| value * program.input_amplitude);
    let input = clear.encrypt(phases, program);
    phases_of(&clear, program, input)
}

/// A simulated run's phases.
///
/// # Errors
/// [`ExecuteError`] for a program that does not fit together.
pub fn simulated_phases(
    program: &Program,
    noise: &NoiseModel,
    image: &[f64],
    seed: u64,
) -> Result<Phases, ExecuteError<ClearError>> {
    let simulated = Simulated::new(noise, seed);
    let phases: Vec<f64> = image.iter().map(|value| value * program.input_amplitude).collect();
    let input = simulated.encrypt(&phases, program);
    phases_of(&simulated, program, input)
}

fn phases_of<B: Backend<Ring = Vec<f64>, Error = ClearError>>(
    backend: &B,
    program: &Program,
    input: Result<Vec<Vec<f64>>, ClearError>,
) -> Result<Phases, ExecuteError<ClearError>> {
    let mut recorder = Recorder::default();
    execute(backend, program, input.map_err(ExecuteError::Input)?, &mut recorder)?;
    Ok(recorder.0)
}

/// An opened trace as phases by step.
#[must_use]
pub fn traced_phases(program: &Program, trace: Vec<(usize, Vec<Vec<f64>>)>) -> Phases {
    let mut phases = vec![Vec::new(); program.steps.len()];
    for (step, ciphertexts) in trace {
        if let Some(slot) = phases.get_mut(step) {
            *slot = ciphertexts;
        }
    }
    phases
}

#[derive(Default)]
struct Recorder(Phases);

impl<B: Backend<Ring = Vec<f64>>> Observer<B> for Recorder {
    fn begin(&mut self, _: usize, _: &Step) {}

    fn end(&mut self, _: usize, _: &Step, value: &Value<B>) {
        self.0.push(if let Value::Ring(ring) = value { ring.clone() } else { Vec::new() });
    }
}

/// The noise after each stage of the program.
#[must_use]
pub fn stage_noise(
    program: &Program,
    simulated: &NoiseSums,
    encrypted: &NoiseSums,
) -> Vec<StageNoise> {
    let mut index = 0;
    program
        .steps
        .chunk_by(|a, b| a.stage == b.stage)
        .map(|steps| {
            index += steps.len();
            let (predicted, _) = simulated.root_mean_square(index - 1);
            let (measured, values) = encrypted.root_mean_square(index - 1);
            StageNoise { stage: steps[0].stage.clone(), predicted, measured, values }
        })
        .collect()
}
