//! What a protected network shows to everyone: its steps on the slots of ciphertexts, without a weight.

use super::tiling::Tiling;
use crate::polynomial::layout::Place;
use crate::polynomial::parameters::polynomial_levels;
use bellerophon_schemes::ckks::polynomial::PolynomialCircuit;
use bellerophon_schemes::ckks::sign::CompositeSignCircuit;
use bellerophon_schemes::ckks::{
    CkksError, KeyRequirements, Parameters, ParametersLiteral, Scale, c64,
};
use bellerophon_schemes::math::approximation::{CompositeSign, Polynomial};
use bellerophon_schemes::security::SecurityLevel;
use serde::{Deserialize, Serialize};

/// The most ciphertexts of one value, and the most of all weights.
const MOST_CIPHERTEXTS: usize = 1 << 12;
const MOST_TERMS: usize = 1 << 20;

/// Where the values of an input are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum InputLayout {
    /// Each in one slot; slot `s` holds what slot `s + period` does.
    Places {
        /// In the order of the input.
        places: Vec<Place>,
        /// A power of two.
        period: usize,
    },
    /// Two to a slot and copied, for a dense layer.
    Tiled(Tiling),
}

/// One product of an encrypted diagonal with a rotated ciphertext of the value that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Term {
    /// The ciphertext of the result that it adds to.
    pub output: usize,
    /// The giant step: by how much the sum is rotated after the product, a multiple of the baby steps.
    pub giant: usize,
    /// The ciphertext that it reads.
    pub input: usize,
    /// The baby step: by how much that is rotated before.
    pub baby: usize,
}

/// A layer with encrypted weights: `y[t] = bias[t] + sum_d w_d[t] x[t + d]`, folded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// Ciphertexts of the result.
    pub outputs: usize,
    /// The products, in order.
    pub terms: Vec<Term>,
    /// After the products, for each of these `f` in turn, `y[s]` becomes `y[s] + y[s + f]`.
    pub folds: Vec<usize>,
    /// Whether at last the complex conjugate is added.
    pub conjugates: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// Encrypted weights and biases; one level.
    Linear(Linear),
    /// `x[s]` becomes `x[s]` plus all `x[s + d]`; no level.
    Sum(Vec<usize>),
    /// The square of each slot; one level.
    Square,
    /// A polynomial of each slot, for slots in [-1, 1].
    Polynomial(Polynomial),
    /// `x (1 + sign x) / 2` of each slot, for slots in [-1, 1].
    Rectify(CompositeSign),
    /// The sum with another value, which is brought to the same level; no level.
    Add(usize),
}

impl Operation {
    /// Levels that it takes.
    #[must_use]
    pub fn levels(&self) -> usize {
        match self {
            Self::Sum(_) | Self::Add(_) => 0,
            Self::Linear(_) | Self::Square => 1,
            Self::Polynomial(polynomial) => polynomial_levels(polynomial.degree()),
            Self::Rectify(sign) => sign.depth() as usize + 1,
        }
    }
}

/// One step. Value 0 is the input, value `k + 1` what step `k` makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The layer it comes from.
    pub stage: String,
    /// The value it reads.
    pub input: usize,
    /// What it does.
    pub operation: Operation,
    /// The level at which it reads; ciphertexts at higher ones are brought to it.
    pub level: usize,
}

/// The public half of a protected network. It shows the layers' names, kinds and shapes, the
/// polynomial of each activation of degree above 2 with its range to the next power of two, and the
/// parameters; no weight, no bias, and not which of them are zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// Of the scheme.
    pub parameters: ParametersLiteral,
    /// The security that the parameters must reach.
    pub security: SecurityLevel,
    /// `log2` of the scale of the input and of every linear layer's result.
    pub log_scale: u32,
    /// The number of values of an input.
    pub inputs: usize,
    /// Where they are.
    pub layout: InputLayout,
    /// The steps, first to last; the last makes the result.
    pub steps: Vec<Step>,
    /// The places of the results.
    pub output: Vec<Place>,
    /// A result is `factor` times the slot's value plus `offset`: a power of two, unless an
    /// activation comes last, and a constant of that activation.
    pub factor: f64,
    /// See `factor`.
    pub offset: f64,
}

impl Architecture {
    /// The parameters, checked for the security that this architecture claims.
    ///
    /// # Errors
    /// [`CkksError::Security`] where they do not reach it, and those of [`Parameters::new`].
    pub fn secure_parameters(&self) -> Result<Parameters, CkksError> {
        Parameters::new(self.parameters.clone(), self.security)
    }

    /// As [`Architecture::secure_parameters`], where it claims at least this level.
    pub(super) fn reaching(&self, level: SecurityLevel) -> Result<Parameters, String> {
        let (claimed, asked) = (self.security.bits(), level.bits());
        match claimed < asked {
            true => Err(format!("it has {claimed} bits of security where {asked} are asked for")),
            false => self.secure_parameters().map_err(|error| error.to_string()),
        }
    }

    /// [`Architecture::check`], and that it is for these parameters.
    pub(super) fn fits(&self, parameters: &Parameters) -> Result<(), String> {
        match self.parameters == *parameters.literal() {
            true => self.check(),
            false => Err("it is for other parameters".to_owned()),
        }
    }

    /// Slots of a ciphertext.
    #[must_use]
    pub fn slots(&self) -> usize {
        1usize.checked_shl(self.parameters.log_dimension.saturating_sub(1)).unwrap_or(0)
    }

    /// The scale of the input.
    #[must_use]
    pub fn scale(&self) -> Scale {
        Scale::power_of_two(i32::try_from(self.log_scale).unwrap_or(i32::MAX))
    }

    /// The level of the input.
    #[must_use]
    pub fn input_level(&self) -> usize {
        self.parameters.modulus_bits.len().saturating_sub(1)
    }

    /// The level of the result.
    #[must_use]
    pub fn output_level(&self) -> usize {
        let last = self.steps.last();
        last.map_or(self.input_level(), |s| s.level.saturating_sub(s.operation.levels()))
    }

    /// Ciphertexts of the input.
    #[must_use]
    pub fn input_ciphertexts(&self) -> usize {
        match &self.layout {
            InputLayout::Places { places, .. } => count(places),
            InputLayout::Tiled(tiling) => tiling.ciphertexts,
        }
    }

    /// Ciphertexts of the result.
    #[must_use]
    pub fn output_ciphertexts(&self) -> usize {
        count(&self.output)
    }

    /// The layers with encrypted weights, with their steps.
    pub fn linear(&self) -> impl Iterator<Item = (&Step, &Linear)> {
        self.steps.iter().filter_map(|step| match &step.operation {
            Operation::Linear(linear) => Some((step, linear)),
            _ => None,
        })
    }

    /// The slots of an input's ciphertexts; values without a slot are left out.
    #[must_use]
    pub fn input_slots(&self, values: &[f64]) -> Vec<Vec<c64>> {
        match &self.layout {
            InputLayout::Tiled(tiling) => tiling.input(values),
            InputLayout::Places { places, period } => {
                let mut slots = vec![vec![c64::default(); self.slots()]; count(places)];
                for (place, &re) in places.iter().zip(values) {
                    let Some(ciphertext) = slots.get_mut(place.ciphertext) else { continue };
                    let copies = ciphertext.iter_mut().skip(place.slot).step_by((*period).max(1));
                    copies.for_each(|slot| *slot = c64 { re, im: 0.0 });
                }
                slots
            }
        }
    }

    /// The results, in the network's units, from the slots of the result's ciphertexts; those
    /// without a slot are NaN.
    #[must_use]
    pub fn results(&self, slots: &[Vec<c64>]) -> Vec<f64> {
        let value = |place: &Place| {
            let slot = slots.get(place.ciphertext).and_then(|slots| slots.get(place.slot));
            slot.map_or(f64::NAN, |value| value.re * self.factor + self.offset)
        };
        self.output.iter().map(value).collect()
    }

    /// The relinearization key and all rotations, each up to the highest level it is used at.
    ///
    /// # Errors
    /// [`CkksError::Parameter`] for a composite sign without components.
    pub fn requirements(&self, parameters: &Parameters) -> Result<KeyRequirements, CkksError> {
        self.steps.iter().try_fold(KeyRequirements::default(), |all, step| {
            Ok(all.union(step_requirements(step, parameters)?))
        })
    }
}

fn count(places: &[Place]) -> usize {
    places.iter().map(|place| place.ciphertext.saturating_add(1)).max().unwrap_or(0)
}

fn step_requirements(step: &Step, parameters: &Parameters) -> Result<KeyRequirements, CkksError> {
    let rotations = |steps: &mut dyn Iterator<Item = usize>, level| {
        KeyRequirements::rotations(parameters, steps.map(|steps| steps as i64), level)
    };
    let (level, below) = (step.level, step.level.saturating_sub(1));
    Ok(match &step.operation {
        Operation::Linear(linear) => {
            let giants = linear.terms.iter().map(|term| term.giant);
            let mut after = giants.chain(linear.folds.iter().copied());
            let conjugation = match linear.conjugates {
                true => KeyRequirements::conjugation(parameters, below),
                false => KeyRequirements::default(),
            };
            KeyRequirements::relinearization(level)
                .union(rotations(&mut linear.terms.iter().map(|term| term.baby), level))
                .union(rotations(&mut after, below))
                .union(conjugation)
        }
        Operation::Sum(steps) => rotations(&mut steps.iter().copied(), level),
        Operation::Square => KeyRequirements::relinearization(level),
        Operation::Polynomial(polynomial) => {
            PolynomialCircuit::folded(polynomial).requirements(level)
        }
        Operation::Rectify(sign) => CompositeSignCircuit::new(sign, 1.0)?.requirements(level),
        Operation::Add(_) => KeyRequirements::default(),
    })
}

impl Architecture {
    /// Checks that it fits together: every step reads a value that is there, at a level that it has,
    /// and every place, rotation and ciphertext is one that exists.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        let slots = self.slots();
        if !(2..=1 << 15).contains(&slots) {
            return Err(format!("it has ciphertexts of {slots} slots"));
        }
        if !(10..=60).contains(&self.log_scale) {
            return Err(format!("its scale is 2^{}", self.log_scale));
        }
        self.check_input(slots)?;
        let mut values = vec![(self.input_ciphertexts(), self.input_level())];
        for (index, step) in self.steps.iter().enumerate() {
            let made = check_step(step, &values, slots);
            values.push(made.map_err(|why| format!("step {index} ({}): {why}", step.stage))?);
        }
        let made = values.last().map_or(0, |(ciphertexts, _)| *ciphertexts);
        check_places(&self.output, slots, made)?;
        match self.factor.is_finite() && self.offset.is_finite() {
            true => Ok(()),
            false => Err("its results have no finite scale".to_owned()),
        }
    }

    fn check_input(&self, slots: usize) -> Result<(), String> {
        let found = match &self.layout {
            InputLayout::Places { places, period } => {
                if *period == 0 || !slots.is_multiple_of(*period) {
                    return Err(format!("its input repeats every {period} of {slots} slots"));
                }
                check_places(places, slots, MOST_CIPHERTEXTS)?;
                places.len()
            }
            InputLayout::Tiled(tiling) => {
                tiling.check(slots, MOST_CIPHERTEXTS)?;
                tiling.values
            }
        };
        if found == self.inputs {
            return Ok(());
        }
        Err(format!("it places {found} of {} inputs", self.inputs))
    }
}

fn check_places(places: &[Place], slots: usize, most: usize) -> Result<(), String> {
    match places.iter().find(|place| place.slot >= slots || place.ciphertext >= most) {
        Some(Place { ciphertext, slot }) => {
            Err(format!("ciphertext {ciphertext}, slot {slot} does not exist"))
        }
        None => Ok(()),
    }
}

/// Ciphertexts and level of what the step makes, given those of all values before it.
fn check_step(
    step: &Step,
    values: &[(usize, usize)],
    slots: usize,
) -> Result<(usize, usize), String> {
    let read = |value: usize| {
        let found = values.get(value).copied();
        let (ciphertexts, level) = found.ok_or_else(|| format!("value {value} does not exist"))?;
        match level < step.level {
            true => Err(format!("value {value} is at level {level}, below {}", step.level)),
            false => Ok(ciphertexts),
        }
    };
    let ciphertexts = read(step.input)?;
    let levels = step.operation.levels();
    let Some(level) = step.level.checked_sub(levels) else {
        return Err(format!("it takes {levels} levels at level {}", step.level));
    };
    let made = match &step.operation {
        Operation::Linear(linear) => check_linear(linear, ciphertexts, slots)?,
        Operation::Add(other) if read(*other)? != ciphertexts => {
            return Err(format!("values {} and {other} differ in size", step.input));
        }
        Operation::Sum(rotations) if rotations.iter().any(|d| *d >= slots) => {
            return Err(format!("it rotates beyond {slots} slots"));
        }
        _ => ciphertexts,
    };
    Ok((made, level))
}

fn check_linear(linear: &Linear, inputs: usize, slots: usize) -> Result<usize, String> {
    let Linear { outputs, terms, folds, .. } = linear;
    if terms.len() > MOST_TERMS || !(1..=MOST_CIPHERTEXTS).contains(outputs) {
        return Err(format!("it has {} products for {outputs} ciphertexts", terms.len()));
    }
    let sorted = terms.windows(2).all(|pair| pair[0] < pair[1]);
    let within = |term: &Term| {
        term.output < *outputs && term.input < inputs && term.giant < slots && term.baby < slots
    };
    if !sorted || !terms.iter().all(within) || folds.iter().any(|fold| *fold >= slots) {
        return Err("a product or fold is out of range or out of order".to_owned());
    }
    let mut made = vec![false; *outputs];
    terms.iter().for_each(|term| made[term.output] = true);
    match made.iter().position(|made| !made) {
        Some(output) => Err(format!("nothing adds to ciphertext {output}")),
        None => Ok(*outputs),
    }
}
