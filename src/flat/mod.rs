//! Programs cut down to the values that reach their result: the way to simulate 10,000 images.
//!
//! The step-by-step backends ([`crate::run::simulated`], [`crate::polynomial::simulated`]) carry every
//! coefficient or slot of every ciphertext. Here the steps of a program are followed backwards from its
//! result, once; what is left is a list of sums, functions and comparisons of single values, which runs
//! on eight images at a time. Noise is drawn from the same formulas at the same places: the results
//! follow the same distribution, and without noise they are the same to rounding (both are tested).
//!
//! | module | what it does |
//! |---|---|
//! | `plan` | from steps that say what each value reads to the flat list |
//! | [`Flat::of_program`] | the hybrid programs of [`crate::compile`] |
//! | [`Flat::of_polynomial`] | the programs of [`crate::polynomial`], in CKKS alone |

mod function;
mod hybrid;
mod plan;
mod polynomial;
#[cfg(test)]
mod tests;

use function::{Function, Selection};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;
use thiserror::Error;

/// Images that run together.
pub const LANES: usize = 8;

/// One value of each image.
type Lanes = [f64; LANES];

/// Why a program cannot be followed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlatError {
    /// It reads what does not exist, or a value that no step makes.
    #[error("step {step} of the program reads a value that nothing makes")]
    Dangling {
        /// Its number.
        step: usize,
    },
    /// It has more values than are counted.
    #[error("the program has too many values")]
    TooLarge,
    /// Its parameters are not those of the noise.
    #[error(transparent)]
    Ckks(#[from] bellerophon_schemes::ckks::CkksError),
    /// It does not fit together.
    #[error(transparent)]
    Step(#[from] crate::polynomial::backend::StepError<crate::polynomial::clear::ClearError>),
}

/// Sums of earlier values: row `i` has the entries `starts[i]..starts[i + 1]`.
#[derive(Clone, Debug)]
struct Rows {
    starts: Vec<u32>,
    /// Places in the list of all values, and weights.
    entries: Vec<(u32, f64)>,
    biases: Vec<f64>,
}

#[derive(Clone, Debug)]
enum Operation {
    Rows(Rows),
    /// A function of each of these values, by runs of as many.
    Apply(Vec<u32>, Vec<(usize, Function)>),
    /// The larger of each two of these values.
    Select(Vec<[u32; 2]>, Selection),
}

/// What a step adds to each of its values.
#[derive(Clone, Debug)]
enum Noise {
    None,
    /// This standard deviation.
    All(f64),
    /// One for each value.
    Each(Vec<f64>),
}

#[derive(Clone, Debug)]
struct Step {
    /// The program's step that it comes from.
    origin: usize,
    /// Its values in the list of all values.
    target: Range<usize>,
    operation: Operation,
    noise: Noise,
}

/// Where a result is read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    place: usize,
    factor: f64,
    offset: f64,
}

/// A program cut down to the values that reach its result.
#[derive(Clone, Debug)]
pub struct Flat {
    /// For each value of the input its element, if any, and what it is multiplied by.
    input: Vec<(Option<usize>, f64)>,
    input_noise: f64,
    steps: Vec<Step>,
    values: usize,
    output: Vec<Reading>,
    /// Whether results count modulo one turn.
    turns: bool,
}

/// All values of a run of up to [`LANES`] images.
#[derive(Clone, Debug)]
pub struct Values {
    values: Vec<Lanes>,
    images: usize,
}

impl Flat {
    /// Sums, functions and comparisons of single values, for one image.
    #[must_use]
    pub fn operations(&self) -> usize {
        let count = |step: &Step| match &step.operation {
            Operation::Rows(rows) => rows.entries.len(),
            _ => step.target.len(),
        };
        self.steps.iter().map(count).sum()
    }

    /// Runs up to [`LANES`] images without noise.
    #[must_use]
    pub fn run(&self, images: &[&[f64]]) -> Values {
        self.run_with(images, None, &|_| false)
    }

    /// Runs up to [`LANES`] images with noise drawn from a seed for each, in the program's steps that
    /// `noisy` says (the input is noisy where its first step is).
    #[must_use]
    pub fn simulate(
        &self,
        images: &[&[f64]],
        seeds: &[u64],
        noisy: &dyn Fn(usize) -> bool,
    ) -> Values {
        let seed = |lane: usize| seeds.get(lane).copied().unwrap_or_default();
        let generators = std::array::from_fn(|lane| ChaCha12Rng::seed_from_u64(seed(lane)));
        self.run_with(images, Some(generators), noisy)
    }

    fn run_with(
        &self,
        images: &[&[f64]],
        mut generators: Option<[ChaCha12Rng; LANES]>,
        noisy: &dyn Fn(usize) -> bool,
    ) -> Values {
        let mut values = vec![[0.0; LANES]; self.values];
        let images = &images[..images.len().min(LANES)];
        for (value, (element, factor)) in values.iter_mut().zip(&self.input) {
            let Some(element) = element else { continue };
            for (lane, image) in value.iter_mut().zip(images) {
                *lane = image.get(*element).map_or(f64::NAN, |pixel| pixel * factor);
            }
        }
        if let Some(generators) = generators.as_mut().filter(|_| noisy(0)) {
            blur(&mut values[..self.input.len()], &Noise::All(self.input_noise), generators);
        }
        for step in &self.steps {
            let mut drawn = generators.as_mut().filter(|_| noisy(step.origin));
            step.run(&mut values, drawn.as_deref_mut());
            if let Some(generators) = drawn {
                blur(&mut values[step.target.clone()], &step.noise, generators);
            }
        }
        Values { values, images: images.len() }
    }

    /// The results of each image, in the network's units.
    #[must_use]
    pub fn results(&self, values: &Values) -> Vec<Vec<f64>> {
        let read = |lane: usize, reading: &Reading| {
            let value = values.values.get(reading.place).map_or(f64::NAN, |value| value[lane]);
            let whole = if self.turns { value.round() } else { 0.0 };
            (value - whole) * reading.factor + reading.offset
        };
        let image = |lane| self.output.iter().map(|reading| read(lane, reading)).collect();
        (0..values.images).map(image).collect()
    }

    /// The values that a step of the program makes, as far as they matter: of each image.
    #[must_use]
    pub fn made<'a>(&self, values: &'a Values, origin: usize) -> &'a [Lanes] {
        let step = self.steps.iter().rev().find(|step| step.origin == origin);
        step.and_then(|step| values.values.get(step.target.clone())).unwrap_or_default()
    }
}

impl Step {
    fn run(&self, values: &mut [Lanes], generators: Option<&mut [ChaCha12Rng; LANES]>) {
        let (before, after) = values.split_at_mut(self.target.start);
        let target = &mut after[..self.target.len()];
        match &self.operation {
            Operation::Rows(rows) => rows.run(before, target),
            Operation::Apply(places, functions) => {
                let mut generators = generators;
                let mut pairs = target.iter_mut().zip(places);
                for (count, function) in functions {
                    for (value, &place) in pairs.by_ref().take(*count) {
                        *value = function.run(before[place as usize], generators.as_deref_mut());
                    }
                }
            }
            Operation::Select(places, selection) => {
                let mut generators = generators;
                for (value, pair) in target.iter_mut().zip(places) {
                    let pair = pair.map(|place| before[place as usize]);
                    *value = selection.run(pair, generators.as_deref_mut());
                }
            }
        }
    }
}

impl Rows {
    fn run(&self, before: &[Lanes], target: &mut [Lanes]) {
        let rows = self.starts.windows(2).zip(&self.biases);
        for (sum, (bounds, bias)) in target.iter_mut().zip(rows) {
            let mut lanes = [*bias; LANES];
            for &(place, weight) in &self.entries[bounds[0] as usize..bounds[1] as usize] {
                let value = &before[place as usize];
                lanes.iter_mut().zip(value).for_each(|(sum, x)| *sum += weight * x);
            }
            *sum = lanes;
        }
    }
}

fn blur(values: &mut [Lanes], noise: &Noise, generators: &mut [ChaCha12Rng; LANES]) {
    let deviation = |index: usize| match noise {
        Noise::None => 0.0,
        Noise::All(deviation) => *deviation,
        Noise::Each(deviations) => deviations[index],
    };
    if matches!(noise, Noise::None) {
        return;
    }
    for (index, value) in values.iter_mut().enumerate() {
        let deviation = deviation(index);
        for (lane, generator) in value.iter_mut().zip(generators.iter_mut()) {
            let sample: f64 = StandardNormal.sample(generator);
            *lane += deviation * sample;
        }
    }
}
