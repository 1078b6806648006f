//! A compiled network: a flat list of steps on the slots of ciphertexts.

use super::layout::Place;
use bellerophon_schemes::ckks::ParametersLiteral;
use bellerophon_schemes::math::approximation::{CompositeSign, Polynomial};
use bellerophon_schemes::wire::{Conformant, Wire};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One ciphertext of a linear layer's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearOutput {
    /// For each input ciphertext, rotations and what is multiplied with the rotated input, slot by
    /// slot: `y[s] = sum_d diagonal_d[s] x[s + d]`.
    pub terms: Vec<BTreeMap<usize, Vec<f64>>>,
    /// Added after the folds, slot by slot.
    pub biases: Vec<f64>,
}

/// Diagonals, then folds, then biases; one level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearMap {
    /// The ciphertexts made.
    pub outputs: Vec<LinearOutput>,
    /// After the diagonals, for each of these `f` in turn, `y[s]` becomes `y[s] + y[s + f]`.
    pub folds: Vec<usize>,
}

impl LinearMap {
    /// The number of diagonals of all outputs.
    #[must_use]
    pub fn diagonals(&self) -> usize {
        self.outputs.iter().flat_map(|output| &output.terms).map(BTreeMap::len).sum()
    }
}

/// What a step does with the ciphertexts of the step before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// A linear layer.
    Linear(LinearMap),
    /// `x[s]` becomes `x[s]` plus all `x[s + d]`; no level.
    Sum(Vec<usize>),
    /// The square of each slot; one level.
    Square,
    /// A polynomial of each slot, for slots in [-1, 1].
    Polynomial(Polynomial),
    /// `x (1 + sign x) / 2` of each slot, for slots in [-1, 1].
    Rectify(CompositeSign),
    /// The larger of `x[s]` and `x[s + rotation]`, for slots in [-1, 1].
    Maximum {
        /// To the slot that each is compared with.
        rotation: usize,
        /// The sign of half their difference.
        sign: CompositeSign,
    },
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The layer it comes from.
    pub stage: String,
    /// What it does.
    pub operation: Operation,
    /// The level of the ciphertexts it reads.
    pub level: usize,
}

/// A network compiled for given parameters.
///
/// Values are scaled so that those of the images that ranges were taken from stay within [-1, 1] at
/// every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Of the scheme.
    pub parameters: ParametersLiteral,
    /// `log2` of the scale of the input and of every linear layer's result.
    pub log_scale: u32,
    /// The places of the image's elements.
    pub input: Vec<Place>,
    /// Slot `s` of the input holds what slot `s + period` does.
    pub period: usize,
    /// The steps, first to last.
    pub steps: Vec<Step>,
    /// The places of the results.
    pub output: Vec<Place>,
    /// A result is `factor` times the slot's value plus `offset`.
    pub factor: f64,
    /// See `factor`.
    pub offset: f64,
}

impl Program {
    /// Slots of a ciphertext.
    #[must_use]
    pub fn slots(&self) -> usize {
        1usize.checked_shl(self.parameters.log_dimension.saturating_sub(1)).unwrap_or(0)
    }

    /// Ciphertexts of the input.
    #[must_use]
    pub fn input_ciphertexts(&self) -> usize {
        count(&self.input)
    }

    /// Ciphertexts of the output.
    #[must_use]
    pub fn output_ciphertexts(&self) -> usize {
        count(&self.output)
    }

    /// The slots of the input's ciphertexts for an image; elements without a slot are left out.
    #[must_use]
    pub fn input_slots(&self, image: &[f64]) -> Vec<Vec<f64>> {
        let mut slots = vec![vec![0.0; self.slots()]; self.input_ciphertexts()];
        for (place, &value) in self.input.iter().zip(image) {
            let Some(ciphertext) = slots.get_mut(place.ciphertext) else { continue };
            let copies = ciphertext.iter_mut().skip(place.slot).step_by(self.period.max(1));
            copies.for_each(|slot| *slot = value);
        }
        slots
    }

    /// The results, in the network's units, from the slots of the output's ciphertexts; those
    /// without a slot are NaN.
    #[must_use]
    pub fn results(&self, slots: &[Vec<f64>]) -> Vec<f64> {
        let value = |place: &Place| {
            let slot = slots.get(place.ciphertext).and_then(|slots| slots.get(place.slot));
            slot.map_or(f64::NAN, |value| value * self.factor + self.offset)
        };
        self.output.iter().map(value).collect()
    }

    /// The level of the output.
    #[must_use]
    pub fn output_level(&self) -> usize {
        self.steps.last().map_or_else(
            || self.parameters.modulus_bits.len().saturating_sub(1),
            |step| step.level.saturating_sub(super::parameters::levels(&step.operation)),
        )
    }
}

fn count(places: &[Place]) -> usize {
    places.iter().map(|place| place.ciphertext.saturating_add(1)).max().unwrap_or(0)
}

impl Wire for Program {
    const KIND: u16 = 40;
    const NAME: &'static str = "polynomial program";
}

/// Checked against its own parameters: places and diagonals lie within the ciphertexts there are.
impl Conformant<()> for Program {
    fn conforms(&self, (): &()) -> Result<(), String> {
        self.check_ends()?;
        let slots = self.slots();
        let mut ciphertexts = self.input_ciphertexts();
        for (index, step) in self.steps.iter().enumerate() {
            ciphertexts = check_step(&step.operation, ciphertexts, slots)
                .map_err(|reason| format!("step {index} ({}): {reason}", step.stage))?;
        }
        check_places(&self.output, slots, ciphertexts).map(drop)
    }
}

impl Program {
    /// Checks what a client works with: the places of the input and the output.
    pub(super) fn check_ends(&self) -> Result<(), String> {
        let slots = self.slots();
        if !(1..=1 << 16).contains(&slots) {
            return Err(format!("it has ciphertexts of {slots} slots"));
        }
        if self.period == 0 || !slots.is_multiple_of(self.period) {
            return Err(format!("its input repeats every {} of {slots} slots", self.period));
        }
        check_places(&self.input, slots, MOST_CIPHERTEXTS)?;
        check_places(&self.output, slots, MOST_CIPHERTEXTS).map(drop)
    }
}

const MOST_CIPHERTEXTS: usize = 1 << 12;

fn check_places(places: &[Place], slots: usize, most: usize) -> Result<usize, String> {
    match places.iter().find(|place| place.slot >= slots || place.ciphertext >= most) {
        Some(Place { ciphertext, slot }) => {
            Err(format!("ciphertext {ciphertext}, slot {slot} does not exist"))
        }
        None => Ok(count(places)),
    }
}

/// The number of ciphertexts after the step.
fn check_step(operation: &Operation, inputs: usize, slots: usize) -> Result<usize, String> {
    let Operation::Linear(map) = operation else { return Ok(inputs) };
    for output in &map.outputs {
        if output.terms.len() != inputs {
            return Err(format!("it reads {} of {inputs} ciphertexts", output.terms.len()));
        }
        let mut diagonals = output.terms.iter().flatten();
        let whole =
            |values: &Vec<f64>| values.len() == slots && values.iter().all(|v| v.is_finite());
        if !diagonals.all(|(d, values)| *d < slots && whole(values)) || !whole(&output.biases) {
            return Err(format!("a diagonal or bias does not have {slots} finite values"));
        }
    }
    Ok(map.outputs.len())
}
