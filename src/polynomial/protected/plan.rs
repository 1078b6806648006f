//! What an owner decides before anything is encrypted: the architecture that everyone may see, and
//! the numbers that nobody may.

use super::architecture::{Architecture, Step};
use super::calibrated::Calibrated;
use super::lower::{Lowered, lower};
use super::plain::PlainNetwork;
use super::slots::{NoiseModel, Start};
use crate::compile::fold::fold_batch_normalization;
use crate::model::{Graph, Shape};
use crate::polynomial::cost::Sizes;
use crate::polynomial::parameters::{Choice, is_secure, shape};
use crate::polynomial::{PolynomialError, Replacement};
use bellerophon_schemes::ckks::{CkksError, KeyRequirements, Parameters};
use bellerophon_schemes::security::SecurityLevel;
use ndarray::ArrayD;
use serde::Serialize;
use thiserror::Error;

/// `log2` of the ring dimensions and of the scales that are tried.
const LOG_DIMENSIONS: std::ops::RangeInclusive<u32> = 12..=16;
const LOG_SCALES: std::ops::RangeInclusive<u32> = 20..=40;
/// The scale at which the first simulation runs.
const FIRST_LOG_SCALE: u32 = 34;
/// Limbs of one digit of a key switch, at most.
const WIDEST_DIGIT: usize = 8;
/// Samples on which slots and noise are measured.
pub(crate) const MEASURED: usize = 8;

/// How a network is protected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Bits of security.
    pub security: SecurityLevel,
    /// Bits of precision that the results must have, predicted: `-log2` of the root mean square of
    /// their error over the largest of them.
    pub precision: f64,
    /// `log2` of the ring dimension; the smallest that reaches both where not given.
    pub log_dimension: Option<u32>,
    /// `log2` of the scale; the smallest that reaches the precision where not given.
    pub log_scale: Option<u32>,
    /// Whether batch normalization becomes part of the layer before it; otherwise it is an encrypted
    /// layer of its own, and takes a level.
    pub fold_batch_normalization: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            security: SecurityLevel::Bits128,
            precision: 14.0,
            log_dimension: None,
            log_scale: None,
            fold_batch_normalization: true,
        }
    }
}

/// Why a network cannot be protected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// In the network or its replacement.
    #[error(transparent)]
    Network(#[from] PolynomialError),
    /// In the scheme.
    #[error(transparent)]
    Ckks(#[from] CkksError),
    /// A setting out of range.
    #[error("{name} = {value} cannot be used: choose {lowest} to {highest}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The least allowed.
        lowest: u32,
        /// The most allowed.
        highest: u32,
    },
    /// No parameters are deep, precise and secure enough.
    #[error(
        "the network takes {levels} levels, for which no ring of up to 2^{log_dimension} coefficients \
         has {precision:.1} bits of precision at {security} bits of security: choose activations of \
         lower degree{}",
        if *log_dimension < 16 { ", less precision or a larger ring" } else { " or less precision" }
    )]
    NothingFits {
        /// Levels of the network.
        levels: usize,
        /// `log2` of the largest ring dimension tried.
        log_dimension: u32,
        /// Bits of precision asked for.
        precision: f64,
        /// Bits of security asked for.
        security: u32,
    },
}

/// A network ready to be encrypted.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) plain: PlainNetwork,
    calibrated: Calibrated,
    precision: f64,
}

/// What a protected network will cost, before anything is made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// Encrypted diagonals and biases.
    pub ciphertexts: usize,
    /// Bytes of the encrypted model, as stored and sent.
    pub model_bytes: f64,
    /// Bytes of the encrypted model in memory where it is evaluated.
    pub memory_bytes: f64,
    /// Bytes of one encrypted input.
    pub input_bytes: f64,
    /// Bytes of the evaluation keys in memory.
    pub key_bytes: f64,
    /// Evaluation keys.
    pub keys: usize,
    /// `log2` of the modulus that is left in the results.
    pub remaining_bits: f64,
}

impl Plan {
    /// Replaces activations and poolings, lays out all layers in slots, and chooses the smallest ring
    /// and scale of the security and precision asked for. `samples` are inputs of the graph: they show
    /// ranges, and on them precision is predicted.
    ///
    /// # Errors
    /// [`PlanError::NothingFits`], [`PlanError::Setting`], [`PlanError::Network`].
    pub fn new(
        graph: &Graph,
        replacement: &Replacement,
        settings: &Settings,
        samples: &[ArrayD<f64>],
    ) -> Result<Self, PlanError> {
        check(settings)?;
        let folded;
        let graph = if settings.fold_batch_normalization {
            folded = fold_batch_normalization(graph).map_err(PolynomialError::from)?;
            &folded
        } else {
            graph
        };
        let network = Calibrated::new(graph, replacement, samples)?;
        let inputs: Vec<Vec<f64>> =
            samples.iter().take(MEASURED).map(|x| x.iter().copied().collect()).collect();
        let dimensions = match settings.log_dimension {
            Some(log) => log..=log,
            None => LOG_DIMENSIONS,
        };
        let (log_dimension, mut levels) = (*dimensions.end(), 0);
        let mut too_large = None;
        for log_dimension in dimensions {
            match Candidate::new(&network, log_dimension) {
                Ok(candidate) => {
                    levels = candidate.lowered.levels;
                    too_large = None;
                    if let Some(plan) = candidate.settled(&network, settings, &inputs)? {
                        return Ok(plan);
                    }
                }
                Err(error @ PolynomialError::TooLarge { .. }) => too_large = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        let (precision, security) = (settings.precision, settings.security.bits());
        match too_large {
            Some(error) => Err(error.into()),
            None => Err(PlanError::NothingFits { levels, log_dimension, precision, security }),
        }
    }

    /// What everyone may see.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.plain.architecture
    }

    /// What the owner encrypts.
    #[must_use]
    pub fn plain(&self) -> &PlainNetwork {
        &self.plain
    }

    /// The predicted bits of precision of the results, as in [`Settings::precision`].
    #[must_use]
    pub fn precision(&self) -> f64 {
        self.precision
    }

    /// The shape of the input.
    #[must_use]
    pub fn input_shape(&self) -> Shape {
        self.calibrated.input_shape()
    }

    /// The network's results, its activations and poolings replaced, in the clear.
    ///
    /// # Errors
    /// [`PolynomialError::Graph`] for an input of another shape.
    pub fn evaluate(&self, input: &ArrayD<f64>) -> Result<Vec<f64>, PolynomialError> {
        Ok(self.calibrated.evaluate(input)?.into_iter().collect())
    }

    /// The results with the noise of an encrypted run, drawn from this seed; of an input that is
    /// encrypted, or one that is not.
    ///
    /// # Errors
    /// [`CkksError`], which cannot occur for an input of the right length.
    pub fn simulate(
        &self,
        model: &NoiseModel,
        values: &[f64],
        start: Start,
        seed: u64,
    ) -> Result<Vec<f64>, CkksError> {
        let slots = self.plain.run(values, Some((model, start, seed)))?;
        Ok(self.plain.architecture.results(&slots))
    }

    /// What it will cost.
    ///
    /// # Errors
    /// As [`Architecture::requirements`].
    pub fn costs(&self, parameters: &Parameters) -> Result<Costs, CkksError> {
        let keys = self.plain.architecture.requirements(parameters)?;
        Ok(costs(&self.plain.architecture, parameters, &keys))
    }
}

#[cfg(test)]
impl Plan {
    /// A plan for parameters of any security.
    pub(super) fn insecure(
        graph: &Graph,
        replacement: &Replacement,
        samples: &[ArrayD<f64>],
        choice: impl Fn(usize) -> Choice,
    ) -> Result<Self, PlanError> {
        let network = Calibrated::new(graph, replacement, samples)?;
        let log_dimension = choice(1).literal.log_dimension;
        let candidate = Candidate::new(&network, log_dimension)?;
        let choice = choice(candidate.lowered.levels);
        Ok(candidate.plan(&network, &choice, SecurityLevel::Bits128))
    }
}

fn check(settings: &Settings) -> Result<(), PlanError> {
    let number = |name, value: Option<u32>, allowed: std::ops::RangeInclusive<u32>| match value {
        Some(value) if !allowed.contains(&value) => Err(PlanError::Setting {
            name,
            value: value.into(),
            lowest: *allowed.start(),
            highest: *allowed.end(),
        }),
        _ => Ok(()),
    };
    number("log2 of the ring dimension", settings.log_dimension, LOG_DIMENSIONS)?;
    number("log2 of the scale", settings.log_scale, LOG_SCALES)?;
    if (1.0..=30.0).contains(&settings.precision) {
        return Ok(());
    }
    let (name, value) = ("the precision in bits", settings.precision);
    Err(PlanError::Setting { name, value, lowest: 1, highest: 30 })
}

/// A network laid out in ciphertexts of one size, its primes open.
struct Candidate {
    lowered: Lowered,
    log_dimension: u32,
}

impl Candidate {
    fn new(network: &Calibrated, log_dimension: u32) -> Result<Self, PolynomialError> {
        // layouts hardly depend on the number of limbs, which follows from them
        let sizes = Sizes { dimension: 1 << log_dimension, limbs: 4, special: 1, per_digit: 1 };
        Ok(Self { lowered: lower(network, &sizes)?, log_dimension })
    }

    fn plan(&self, network: &Calibrated, choice: &Choice, security: SecurityLevel) -> Plan {
        let Lowered { layout, steps, weights, levels, output, factor, offset } = &self.lowered;
        let step = |step: &Step| Step { level: levels - step.level, ..step.clone() };
        let architecture = Architecture {
            parameters: choice.literal.clone(),
            security,
            log_scale: choice.log_scale,
            inputs: network.input_shape().elements(),
            layout: layout.clone(),
            steps: steps.iter().map(step).collect(),
            output: output.clone(),
            factor: *factor,
            offset: *offset,
        };
        let plain = PlainNetwork { architecture, weights: weights.clone() };
        Plan { plain, calibrated: network.clone(), precision: 0.0 }
    }

    /// With the smallest scale that is precise enough, if that is secure in this ring.
    fn settled(
        &self,
        network: &Calibrated,
        settings: &Settings,
        inputs: &[Vec<f64>],
    ) -> Result<Option<Plan>, PlanError> {
        let (levels, log) = (self.lowered.levels, self.log_dimension);
        let secure = |headroom, log_scale| {
            let widths = (1..=WIDEST_DIGIT.min(levels + 1)).rev();
            let choices = widths.filter_map(|w| shape(levels, headroom, log, log_scale, w));
            let secure = choices.filter(|choice| is_secure(&choice.literal, settings.security));
            let cost = |choice: &Choice| choice.sizes.key_switch();
            secure.min_by(|a, b| cost(a).total_cmp(&cost(b)))
        };
        let Some(trial) = shape(levels, 8, log, FIRST_LOG_SCALE, 1) else { return Ok(None) };
        let trial = self.plan(network, &trial, settings.security);
        let largest = trial.largest_slot(inputs)?;
        // one bit for the sign, one for inputs unlike the samples
        let headroom = (largest.log2().ceil() as u32 + 2).max(3);
        // all errors are proportional to the scale
        let reached = trial.predicted_precision(inputs)? - f64::from(FIRST_LOG_SCALE);
        let needed = (settings.precision - reached).ceil().max(f64::from(*LOG_SCALES.start()));
        let log_scale = settings.log_scale.unwrap_or(needed as u32);
        if needed > f64::from(log_scale) || log_scale > *LOG_SCALES.end() {
            return Ok(None);
        }
        let Some(choice) = secure(headroom, log_scale) else { return Ok(None) };
        let mut plan = self.plan(network, &choice, settings.security);
        plan.precision = plan.predicted_precision(inputs)?;
        Ok(Some(plan))
    }
}

impl Plan {
    fn largest_slot(&self, inputs: &[Vec<f64>]) -> Result<f64, CkksError> {
        let mut largest = 1.0_f64;
        for values in inputs {
            let slots = self.plain.run(values, None)?;
            largest = slots.iter().flatten().fold(largest, |most, slot| most.max(slot.norm()));
        }
        Ok(largest)
    }

    /// Of encrypted inputs, over a few simulated runs.
    fn predicted_precision(&self, inputs: &[Vec<f64>]) -> Result<f64, CkksError> {
        // security is checked where the choice is made
        let parameters =
            Parameters::insecure_unchecked(self.plain.architecture.parameters.clone())?;
        let model = NoiseModel::new(&self.plain.architecture, &parameters)?;
        let (mut squares, mut count, mut largest) = (0.0, 0, f64::MIN_POSITIVE);
        for (seed, values) in inputs.iter().enumerate() {
            let exact = self.plain.run(values, None)?;
            let exact = self.plain.architecture.results(&exact);
            let noisy = self.simulate(&model, values, Start::Encrypted, seed as u64)?;
            for (noisy, exact) in noisy.iter().zip(&exact) {
                squares += (noisy - exact).powi(2);
                largest = exact.abs().max(largest);
                count += 1;
            }
        }
        Ok(-((squares / f64::from(count.max(1))).sqrt() / largest).log2())
    }
}

fn costs(architecture: &Architecture, parameters: &Parameters, keys: &KeyRequirements) -> Costs {
    let dimension = parameters.dimension() as f64;
    let bits = |level: usize| parameters.log2_modulus(level);
    let (mut ciphertexts, mut model_bytes, mut memory_bytes) = (0, 0.0, 0.0);
    for (step, linear) in architecture.linear() {
        let below = step.level.saturating_sub(1);
        for (count, level) in [(linear.terms.len(), step.level), (linear.outputs, below)] {
            ciphertexts += count;
            model_bytes += count as f64 * dimension * bits(level) / 8.0;
            memory_bytes += (count * 16 * (level + 1)) as f64 * dimension;
        }
    }
    let input = architecture.input_ciphertexts() as f64 * dimension / 4.0;
    Costs {
        ciphertexts,
        model_bytes,
        memory_bytes,
        input_bytes: input * bits(architecture.input_level()),
        key_bytes: keys.bytes(parameters) as f64,
        keys: keys.galois.len() + usize::from(keys.relinearization.is_some()),
        remaining_bits: bits(architecture.output_level()),
    }
}
