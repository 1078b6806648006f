//! Predicted and measured noise of a run, stage by stage.
//!
//! Both are differences from the clear run of the same program on the same image, so that they hold
//! all the noise that has built up by then. The prediction is the spread of simulated runs, which
//! draw from the noise formulas; the measurement is the trace of an encrypted run, opened by the
//! client.

use crate::client::StepPhases;
use crate::compile::{LinearMap, Program, Step};
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
    let input = clear.encrypt(image, program);
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
    let input = simulated.encrypt(image, program);
    phases_of(&simulated, program, input)
}

fn phases_of<B: Backend<Ring = Vec<f64>, Linear = LinearMap, Error = ClearError>>(
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
pub fn traced_phases(program: &Program, trace: Vec<StepPhases>) -> Phases {
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
    fn begin(&mut self, _: usize, _: &Step<B::Linear>) {}

    fn end(&mut self, _: usize, _: &Step<B::Linear>, value: &Value<B>) {
        self.0.push(if let Value::Ring(ring) = value { ring.clone() } else { Vec::new() });
    }
}

/// The noise after each stage of the program that makes ciphertexts, in the last step that does:
/// what tables make is measured once the next stage has packed it.
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
        .filter_map(|steps| {
            index += steps.len();
            let made = |step: &usize| encrypted.root_mean_square(*step).1 > 0;
            let last = (index - steps.len()..index).rev().find(made)?;
            let (predicted, _) = simulated.root_mean_square(last);
            let (measured, values) = encrypted.root_mean_square(last);
            Some(StageNoise { stage: steps[0].stage.clone(), predicted, measured, values })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny::WORLD;

    fn phases(values: &[f64]) -> Phases {
        vec![vec![values.to_vec()], vec![]]
    }

    #[test]
    fn differences_count_modulo_one_turn_and_junk_does_not_count() {
        let mut sums = NoiseSums::default();
        sums.add(&phases(&[0.13, 0.99, 5.0]), &phases(&[0.1, -0.05, f64::NAN]));
        sums.add(&phases(&[0.1, 0.0, 0.0]), &phases(&[0.1, 0.0, f64::NAN]));
        let (found, count) = sums.root_mean_square(0);
        assert_eq!(count, 4);
        assert!((found - ((0.03f64.powi(2) + 0.04f64.powi(2)) / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(sums.root_mean_square(1), (0.0, 0));
        assert_eq!(sums.root_mean_square(2), (0.0, 0));
    }

    #[test]
    fn traces_find_their_steps() {
        let program = &WORLD.program;
        let values = vec![vec![1.0, 2.0]];
        let trace = vec![(2, values.clone()), (program.steps.len(), values.clone())];
        let found = traced_phases(program, trace);
        assert_eq!(found.len(), program.steps.len());
        assert_eq!(found[2], values);
        assert!(found.iter().enumerate().all(|(step, phases)| step == 2 || phases.is_empty()));
    }

    #[test]
    fn stages_take_the_noise_of_their_last_step() {
        let program = &WORLD.program;
        let clear = clear_phases(program, &WORLD.image(0)).unwrap();
        let shifted = |by: f64| -> Phases {
            let mut run = clear.clone();
            for (step, ciphertexts) in run.iter_mut().enumerate() {
                ciphertexts.iter_mut().flatten().for_each(|v| *v += by * (step + 1) as f64);
            }
            run
        };
        let (mut simulated, mut encrypted) = (NoiseSums::default(), NoiseSums::default());
        simulated.add(&shifted(1e-4), &clear);
        encrypted.add(&shifted(2e-4), &clear);
        let stages = stage_noise(program, &simulated, &encrypted);
        let (mut last, mut found) = (0, stages.iter());
        for steps in program.steps.chunk_by(|a, b| a.stage == b.stage) {
            last += steps.len();
            if clear[last - 1].is_empty() {
                continue; // samples of tables
            }
            let stage = found.next().unwrap();
            assert_eq!(stage.stage, steps[0].stage);
            assert!((stage.predicted - 1e-4 * last as f64).abs() < 1e-9, "{stage:?}");
            assert!((stage.measured - 2e-4 * last as f64).abs() < 1e-9, "{stage:?}");
            assert!(stage.values > 0);
        }
        assert!(found.next().is_none());
    }

    #[test]
    fn clear_phases_hold_the_output() {
        let (program, image) = (&WORLD.program, WORLD.image(0));
        let phases = clear_phases(program, &image).unwrap();
        let last = phases.last().unwrap();
        let expected = clear::evaluate(program, &image).unwrap();
        for (place, expected) in program.output.iter().zip(expected) {
            let phase = last[place.ciphertext][place.coefficient];
            assert!((phase / program.output_amplitude() - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn a_program_for_no_ring_is_refused() {
        let mut program = WORLD.program.clone();
        program.parameters.log_dimension = 64;
        assert!(clear_phases(&program, &WORLD.image(0)).is_err());
    }
}
