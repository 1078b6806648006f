//! `simulate`: a program on images in f64, with the noise of its encrypted run.

use super::images::{self, Images};
use super::output::{self, Table};
use super::statistics::{Errors, Share, largest};
use super::{Failure, files};
use bellerophon::compile::{Function, Model, Operation, Program, Step};
use bellerophon::run::clear::{self, Clear, ClearError};
use bellerophon::run::simulated::NoiseModel;
use bellerophon::run::{Backend, ExecuteError, Observer, Simulated, Value, execute};
use clap::Args;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::{self, Display};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

/// Results beyond this part of half a turn are taken as clipped.
const CLIPPED: f64 = 0.98;

/// Runs a program on images in the clear, with the noise that encryption would bring
#[derive(Debug, Args)]
pub struct Arguments {
    /// The program file
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    #[command(flatten)]
    images: images::Arguments,
    /// How many images
    #[arg(long, value_name = "N")]
    count: usize,
    /// The noise is drawn from this
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct Simulation {
    pub images: usize,
    /// What results are compared with: the model, or the program without noise.
    pub reference: &'static str,
    /// Right by the labels, where there are some.
    pub accuracy: Option<Share>,
    pub reference_accuracy: Option<Share>,
    /// The reference's prediction.
    pub agreement: Share,
    pub errors: Errors,
    /// Images with a result that looks clipped.
    pub clipped: usize,
    /// Images of which an activation read a value beyond its window, by stage.
    pub overflows: Vec<Overflow>,
    pub seconds: f64,
    pub predictions: Vec<usize>,
}

/// Images that left a table's window.
#[derive(Debug, Serialize)]
pub struct Overflow {
    pub stage: String,
    pub images: usize,
}

/// One image's run.
struct Outcome {
    values: Vec<f64>,
    reference: Vec<f64>,
    clipped: bool,
    /// By window, whether a value left it.
    overflows: Vec<bool>,
}

/// Runs all images.
pub fn run(arguments: &Arguments) -> Result<Simulation, Failure> {
    let (program, parameters) = files::program(&arguments.program)?;
    let (images, model) = arguments.images.open(&program, arguments.count)?;
    let noise = NoiseModel::new(&parameters)?;
    let run = Run { windows: windows(&program), program, noise, model, seed: arguments.seed };
    let bar = output::bar(images.len(), "images");
    let begun = Instant::now();
    let fitted = images.fitted()?;
    let outcomes = fitted.par_iter().enumerate().map(|(index, image)| {
        let outcome = run.image(index as u64, &image).map_err(|failure| failure.to_string());
        bar.inc(1);
        outcome
    });
    let outcomes: Vec<Outcome> = outcomes.collect::<Result<_, String>>()?;
    let seconds = begun.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let simulation = run.summary(&images, &outcomes, seconds);
    if simulation.clipped > 0 {
        output::warn(&clipped_warning(simulation.clipped));
    }
    Ok(simulation)
}

/// What to say of clipped results.
pub fn clipped_warning(images: usize) -> String {
    format!(
        "results of {images} images reach {CLIPPED} of half a turn and look clipped: calibrate with \
         images like these"
    )
}

/// Whether a result is so near half a turn that it may have been beyond.
pub fn is_clipped(program: &Program, values: &[f64]) -> bool {
    let amplitude = program.output_amplitude();
    values.iter().any(|value| (value * amplitude).abs() >= CLIPPED * 0.5)
}

/// What an activation holds for: the step that makes its input, and the phases, in turns.
struct Window {
    source: usize,
    stage: String,
    phases: Range<f64>,
}

fn windows(program: &Program) -> Vec<Window> {
    let made: HashMap<usize, usize> =
        program.steps.iter().enumerate().map(|(index, step)| (step.output.0, index)).collect();
    let window = |step: &Step| {
        let phases = match &step.operation {
            Operation::Slots(function) => -function.width..function.width,
            Operation::Lut { tables, .. } => match tables.first()? {
                (_, table) if table.function == Function::Absolute => return None,
                (_, table) => table.start..table.start + 0.5,
            },
            _ => return None,
        };
        let source = *made.get(&step.inputs.first()?.0)?;
        Some(Window { source, stage: step.stage.clone(), phases })
    };
    program.steps.iter().filter_map(window).collect()
}

struct Run {
    program: Program,
    noise: NoiseModel,
    model: Option<Model>,
    windows: Vec<Window>,
    seed: u64,
}

impl Run {
    fn image(&self, index: u64, image: &ndarray::ArrayD<f64>) -> Result<Outcome, Failure> {
        let values: Vec<f64> = image.iter().copied().collect();
        let reference = match &self.model {
            Some(model) => model.graph().evaluate(image)?.into_iter().collect(),
            None => clear::evaluate(&self.program, &values)?,
        };
        let simulated = Simulated::new(&self.noise, self.seed.wrapping_add(index));
        let input = simulated.encrypt(&values, &self.program).map_err(ExecuteError::Input)?;
        let mut watch = Watch { windows: &self.windows, left: vec![false; self.windows.len()] };
        let output = execute(&simulated, &self.program, input, &mut watch)?;
        let phases = Clear::gather(&output, &self.program.output)?;
        let amplitude = self.program.output_amplitude();
        let unwrapped = |phase: f64| (phase - phase.round()) / amplitude;
        let values: Vec<f64> = phases.into_iter().map(unwrapped).collect();
        let clipped = is_clipped(&self.program, &values);
        Ok(Outcome { values, reference, clipped, overflows: watch.left })
    }

    fn summary(&self, images: &Images, outcomes: &[Outcome], seconds: f64) -> Simulation {
        let predicted = |values: fn(&Outcome) -> &Vec<f64>| -> Vec<usize> {
            outcomes.iter().map(|outcome| largest(values(outcome))).collect()
        };
        let predictions = predicted(|outcome| &outcome.values);
        let references = predicted(|outcome| &outcome.reference);
        let pairs = outcomes.iter().map(|o| (o.values.as_slice(), o.reference.as_slice()));
        let overflow = |(index, window): (usize, &Window)| Overflow {
            stage: window.stage.clone(),
            images: outcomes.iter().filter(|o| o.overflows.get(index) == Some(&true)).count(),
        };
        Simulation {
            images: outcomes.len(),
            reference: if self.model.is_some() { "plain model" } else { "program without noise" },
            accuracy: accuracy(images, &predictions),
            reference_accuracy: accuracy(images, &references),
            agreement: Share::of(predictions.iter().zip(&references).map(|(a, b)| a == b)),
            errors: Errors::of(pairs),
            clipped: outcomes.iter().filter(|outcome| outcome.clipped).count(),
            overflows: self.windows.iter().enumerate().map(overflow).collect(),
            seconds,
            predictions,
        }
    }
}

/// Those of the predictions that are right, where the images have labels.
pub fn accuracy(images: &Images, predictions: &[usize]) -> Option<Share> {
    images.label(0)?;
    let right = predictions.iter().enumerate().map(|(i, &found)| images.label(i) == Some(found));
    Some(Share::of(right))
}

/// Looks at what every activation reads.
struct Watch<'a> {
    windows: &'a [Window],
    left: Vec<bool>,
}

impl<B> Observer<B> for Watch<'_>
where
    B: Backend<Ring = Vec<f64>, Switched = Vec<f64>, Error = ClearError>,
{
    fn begin(&mut self, _: usize, _: &Step<B::Linear>) {}

    fn end(&mut self, index: usize, _: &Step<B::Linear>, value: &Value<B>) {
        for (window, left) in self.windows.iter().zip(&mut self.left) {
            // coefficients without a value are no number
            let inside = |phase: &f64| phase.is_nan() || window.phases.contains(phase);
            *left |= window.source == index
                && !match value {
                    Value::Switched(phases) => phases.iter().all(inside),
                    Value::Ring(ring) => ring.iter().flatten().all(inside),
                    Value::Samples(_) => true,
                };
        }
    }
}

impl Display for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} images in {:.1} s, against the {}",
            self.images, self.seconds, self.reference
        )?;
        if let (Some(own), Some(reference)) = (&self.accuracy, &self.reference_accuracy) {
            writeln!(f, "right by the label   {own}; the {}: {reference}", self.reference)?;
        }
        writeln!(f, "same prediction      {}", self.agreement)?;
        let Errors { mean, deviation, worst } = self.errors;
        writeln!(
            f,
            "error of a result    mean {mean:.5}, deviation {deviation:.5}, worst {worst:.4}"
        )?;
        writeln!(f, "results clipped      {} images", self.clipped)?;
        let mut table = Table::new(&["activation", "images beyond its window"]);
        for overflow in &self.overflows {
            table.push(vec![overflow.stage.clone(), overflow.images.to_string()]);
        }
        write!(f, "\n{table}")
    }
}
