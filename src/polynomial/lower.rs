//! From the stages of a network to the steps of a program.
//!
//! Between steps a value of the network is `factor` times the slot's plus `offset`. The two are
//! free to choose behind every linear layer, which multiplies them into its weights and biases:
//! they bring the next activation's range to [-1, 1], complete the square of a quadratic (which
//! then is one squaring, one level, whatever its coefficients), and take up the division of a mean.

use super::PolynomialError;
use super::affine::{AffineMap, unsupported};
use super::arrange::Arrangement;
use super::choice::Approximation;
use super::cost::Sizes;
use super::layout::Layout;
use super::network::{Kind, PolynomialNetwork, Stage};
use super::parameters::{self, Choice, Settings};
use super::program::{Operation, Program, Step};
use crate::model::{BatchNormalization, MaxPool, Operator, Range, Shape};
use bellerophon_schemes::math::approximation::{Basis, CompositeSign, Polynomial};
use ndarray::{Array1, ArrayD};

/// Slots of results stay below two to the power of one less than this, unless samples show more.
const HEADROOM: u32 = 6;
/// Samples on which slots are measured.
const MEASURED: usize = 8;

/// Compiles a network for the smallest secure ring that holds it. `samples` show how large the
/// slots of the result get, junk included.
///
/// # Errors
/// [`PolynomialError::NothingFits`] where no parameters are secure and deep enough,
/// [`PolynomialError::TooLarge`] where a feature map fits no ciphertext,
/// [`PolynomialError::Setting`].
pub fn compile(
    network: &PolynomialNetwork,
    settings: &Settings,
    samples: &[ArrayD<f64>],
) -> Result<Program, PolynomialError> {
    let levels = levels(network)?;
    let security = settings.security.bits();
    let dimensions = parameters::dimensions(settings)?;
    let log_dimension = dimensions.last().copied().unwrap_or_default();
    let mut failure = PolynomialError::NothingFits { levels, log_dimension, security };
    for log_dimension in dimensions {
        let Some(choice) = parameters::choose(levels, HEADROOM, log_dimension, settings) else {
            continue;
        };
        match lower(network, &choice) {
            Ok(program) => return with_headroom(program, levels, settings, samples),
            Err(error @ PolynomialError::TooLarge { .. }) => failure = error,
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

/// The program with a base prime that holds the largest slot of the results of the samples.
fn with_headroom(
    program: Program,
    levels: usize,
    settings: &Settings,
    samples: &[ArrayD<f64>],
) -> Result<Program, PolynomialError> {
    let mut largest = 1.0_f64;
    for sample in samples.iter().take(MEASURED) {
        let image: Vec<f64> = sample.iter().copied().collect();
        let slots = super::clear::output_slots(&program, &image)?;
        largest = slots.iter().flatten().fold(largest, |most, value| most.max(value.abs()));
    }
    // one bit for the sign, one for images unlike the samples
    let headroom = largest.log2().ceil() as u32 + 2;
    if headroom <= HEADROOM {
        return Ok(program);
    }
    let security = settings.security.bits();
    let log_dimension = program.parameters.log_dimension;
    let choice = parameters::choose(levels, headroom, log_dimension, settings);
    let choice = choice.ok_or(PolynomialError::NothingFits { levels, log_dimension, security })?;
    Ok(Program { parameters: choice.literal, log_scale: choice.log_scale, ..program })
}

/// What the next activation wants in the slots: `slope` times the value plus `shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub slope: f64,
    pub shift: f64,
}

/// An activation on slots: what it wants, what it does, and the value behind it.
pub(super) struct Activated {
    pub target: Target,
    pub operation: Option<Operation>,
    pub factor: f64,
    pub offset: f64,
}

/// How an activation runs, given the largest magnitude of its results.
pub(super) fn activated(
    approximation: &Approximation,
    magnitude: f64,
) -> Result<Activated, PolynomialError> {
    match approximation {
        Approximation::Rectifier { sign, bound } => Ok(Activated {
            target: Target { slope: 1.0 / bound, shift: 0.0 },
            operation: Some(Operation::Rectify(sign.clone())),
            factor: *bound,
            offset: 0.0,
        }),
        Approximation::Polynomial(polynomial) if polynomial.degree() <= 2 => quadratic(polynomial),
        Approximation::Polynomial(polynomial) => general(polynomial, magnitude),
    }
}

/// `a x^2 + b x + c = a R^2 ((x + b/2a) / R)^2 + c - b^2/4a`; below degree 2 there is nothing to do.
fn quadratic(polynomial: &Polynomial) -> Result<Activated, PolynomialError> {
    let powers = polynomial.to_monomial()?;
    let coefficient = |k: usize| powers.coefficients().get(k).copied().unwrap_or(0.0);
    let (c, b, a) = (coefficient(0), coefficient(1), coefficient(2));
    let [lowest, highest] = polynomial.interval();
    if a == 0.0 {
        let bound = lowest.abs().max(highest.abs());
        let target = Target { slope: 1.0 / bound, shift: 0.0 };
        return Ok(Activated { target, operation: None, factor: b * bound, offset: c });
    }
    let middle = b / (2.0 * a);
    let bound = (lowest + middle).abs().max((highest + middle).abs());
    Ok(Activated {
        target: Target { slope: 1.0 / bound, shift: middle / bound },
        operation: Some(Operation::Square),
        factor: a * bound * bound,
        offset: c - a * middle * middle,
    })
}

/// The polynomial in a variable that is the slot's value, divided by the largest result.
fn general(polynomial: &Polynomial, magnitude: f64) -> Result<Activated, PolynomialError> {
    let [lowest, highest] = polynomial.interval();
    let unit = [-1.0, 1.0];
    let factor = magnitude.max(f64::MIN_POSITIVE);
    let coefficients = polynomial.coefficients().iter();
    let (target, coefficients): (_, Vec<f64>) = match polynomial.basis() {
        Basis::Chebyshev => {
            let slope = 2.0 / (highest - lowest);
            let shift = -(highest + lowest) / (highest - lowest);
            (Target { slope, shift }, coefficients.map(|c| c / factor).collect())
        }
        Basis::Monomial => {
            let bound = lowest.abs().max(highest.abs());
            let scaled = coefficients.scan(1.0 / factor, |power, c| {
                let scaled = c * *power;
                *power *= bound;
                Some(scaled)
            });
            (Target { slope: 1.0 / bound, shift: 0.0 }, scaled.collect())
        }
    };
    let polynomial = Polynomial::new(polynomial.basis(), unit, coefficients)?;
    Ok(Activated {
        target,
        operation: Some(Operation::Polynomial(polynomial)),
        factor,
        offset: 0.0,
    })
}

/// The network's value for a slot of 1, behind a stage whose results have this range.
pub(super) fn magnitude(stage: Option<&Stage>, range: Range) -> Result<f64, PolynomialError> {
    let factor = match stage.map(|stage| (stage, stage.kind())) {
        Some((stage, Kind::Activation(approximation))) => {
            activated(approximation, stage.range().magnitude())?.factor
        }
        _ => range.magnitude(),
    };
    match (stage, factor > 0.0) {
        (Some(stage), false) => {
            Err(unsupported(stage.name(), "its results are not compared: they are turned around"))
        }
        _ => Ok(factor),
    }
}

/// Levels that the whole network takes.
fn levels(network: &PolynomialNetwork) -> Result<usize, PolynomialError> {
    let (mut levels, mut aimed) = (0, false);
    for stage in network.stages() {
        match stage.kind() {
            Kind::Affine => (levels, aimed) = (levels + 1, true),
            Kind::Activation(approximation) => {
                let operation = activated(approximation, stage.range().magnitude())?.operation;
                levels += usize::from(!aimed) + operation.as_ref().map_or(0, parameters::levels);
                aimed = false;
            }
            Kind::Maximum { pool, comparison: Some(comparison) } => {
                let comparisons = pool.kernel.iter().map(|side| side.ilog2() as usize);
                levels += comparisons.sum::<usize>() * (comparison.sign().depth() as usize + 1);
                aimed = false;
            }
            Kind::Maximum { .. } => {
                let reason = "an exact max-pool needs tables: compile the network for those, or \
                              choose mean, sum or minimax:BITS";
                return Err(unsupported(stage.name(), reason));
            }
            Kind::Pool { .. } | Kind::Flatten => {}
        }
    }
    Ok(levels)
}

/// The program for given parameters.
pub(super) fn lower(
    network: &PolynomialNetwork,
    choice: &Choice,
) -> Result<Program, PolynomialError> {
    let slots = 1 << (choice.literal.log_dimension - 1);
    let input = Layout::input(network.input_shape(), slots)?;
    let mut lowering = Lowering {
        sizes: choice.sizes,
        level: choice.literal.modulus_bits.len() - 1,
        shape: network.input_shape(),
        layout: input.clone(),
        factor: 1.0,
        offset: 0.0,
        aimed: false,
        steps: Vec::new(),
    };
    let mut stages = network.stages();
    while let Some((stage, following)) = stages.split_first() {
        lowering.stage(stage, following)?;
        stages = following;
    }
    Ok(Program {
        parameters: choice.literal.clone(),
        log_scale: choice.log_scale,
        input: input.places,
        period: input.period,
        steps: lowering.steps,
        output: lowering.layout.places,
        factor: lowering.factor,
        offset: lowering.offset,
    })
}

struct Lowering {
    /// At the highest level.
    sizes: Sizes,
    /// Of the next step.
    level: usize,
    shape: Shape,
    layout: Layout,
    /// A value of the network is `factor` times the slot's plus `offset`.
    factor: f64,
    offset: f64,
    /// Whether a linear layer has brought the slots to what the next activation wants.
    aimed: bool,
    steps: Vec<Step>,
}

impl Lowering {
    fn stage(&mut self, stage: &Stage, following: &[Stage]) -> Result<(), PolynomialError> {
        match stage.kind() {
            Kind::Flatten => {}
            Kind::Pool { pool, factor } => self.pool(stage, pool.kernel, pool.strides, *factor),
            Kind::Affine => {
                let target = target(stage, following)?;
                let operator = stage.operator();
                let map = operator.and_then(|op| AffineMap::new(op, self.shape, stage.output()));
                let map = map.ok_or_else(|| unsupported(stage.name(), "it is not affine"))?;
                self.affine(stage.name(), &map, target)?;
            }
            Kind::Activation(approximation) => self.activation(stage, approximation)?,
            Kind::Maximum { pool, comparison } => {
                let sign = comparison.as_ref().map(|comparison| comparison.sign());
                let sign = sign.ok_or_else(|| unsupported(stage.name(), "it is exact"))?;
                self.maximum(stage, pool, sign);
            }
        }
        self.shape = stage.output();
        Ok(())
    }

    fn push(&mut self, stage: &str, operation: Operation) {
        let level = self.level;
        self.level = level.saturating_sub(parameters::levels(&operation));
        self.steps.push(Step { stage: stage.to_owned(), operation, level });
    }

    /// Each window is summed in its first slot; a mean's division is left to `factor`.
    fn pool(&mut self, stage: &Stage, kernel: [usize; 2], strides: [usize; 2], factor: f64) {
        for (length, distance) in [(kernel[1], self.layout.column), (kernel[0], self.layout.row)] {
            for rotations in window_sums(length, distance) {
                self.push(stage.name(), Operation::Sum(rotations));
            }
        }
        self.factor *= factor / (kernel[0] * kernel[1]) as f64;
        self.offset *= factor;
        self.layout = self.layout.strided(self.shape, stage.output(), strides);
    }

    /// The largest of each window in its first slot, pairs of columns first.
    fn maximum(&mut self, stage: &Stage, pool: &MaxPool, sign: &CompositeSign) {
        let axes = [(pool.kernel[1], self.layout.column), (pool.kernel[0], self.layout.row)];
        for (length, distance) in axes {
            for rotation in window_sums(length, distance).into_iter().flatten() {
                let sign = sign.clone();
                self.push(stage.name(), Operation::Maximum { rotation, sign });
            }
        }
        self.layout = self.layout.strided(self.shape, stage.output(), pool.strides);
        self.aimed = false;
    }

    fn affine(
        &mut self,
        name: &str,
        map: &AffineMap<'_>,
        target: Target,
    ) -> Result<(), PolynomialError> {
        let sizes = Sizes { limbs: self.level + 1, ..self.sizes };
        // what follows is about a product and two rotations, two levels down
        let below = Sizes { limbs: self.level.max(1), ..sizes };
        let per_ciphertext = below.multiply() + 2.0 * below.key_switch();
        let arrangement = Arrangement::best(map, &self.layout, &sizes, per_ciphertext)?;
        let mut biases = map.biases();
        map.for_each_weight(|i, _, weight| biases[i] += weight * self.offset);
        biases.iter_mut().for_each(|bias| *bias = *bias * target.slope + target.shift);
        let weight_factor = self.factor * target.slope;
        let linear = arrangement.linear_map(map, &self.layout, weight_factor, &biases);
        self.push(name, Operation::Linear(linear));
        self.layout = arrangement.layout;
        self.factor = 1.0 / target.slope;
        self.offset = -target.shift / target.slope;
        self.aimed = true;
        Ok(())
    }

    fn activation(
        &mut self,
        stage: &Stage,
        approximation: &Approximation,
    ) -> Result<(), PolynomialError> {
        let activated = activated(approximation, stage.range().magnitude())?;
        if !self.aimed {
            let identity = identity(self.shape);
            if let Some(map) = AffineMap::new(&identity, self.shape, self.shape) {
                self.affine(stage.name(), &map, activated.target)?;
            }
        }
        if let Some(operation) = activated.operation {
            self.push(stage.name(), operation);
        }
        (self.factor, self.offset) = (activated.factor, activated.offset);
        self.aimed = false;
        Ok(())
    }
}

/// What a linear layer has to make of its values: what the next activation wants, through the sums
/// of the poolings before it, or results within [-1, 1].
fn target(stage: &Stage, following: &[Stage]) -> Result<Target, PolynomialError> {
    let mut scale = Target { slope: 1.0, shift: 1.0 };
    for next in following {
        match next.kind() {
            // n slots are summed: their means and sums want 1/n of the shift
            Kind::Pool { pool, factor } => {
                let count = (pool.kernel[0] * pool.kernel[1]) as f64;
                scale.slope *= factor / count;
                scale.shift /= count;
            }
            Kind::Activation(approximation) => {
                let Target { slope, shift } =
                    activated(approximation, next.range().magnitude())?.target;
                return Ok(Target { slope: slope * scale.slope, shift: shift * scale.shift });
            }
            Kind::Affine | Kind::Maximum { .. } => break,
            Kind::Flatten => {}
        }
    }
    let largest = stage.range().magnitude().max(f64::MIN_POSITIVE);
    Ok(Target { slope: 1.0 / largest, shift: 0.0 })
}

pub(super) fn identity(shape: Shape) -> Operator {
    let channels = shape.channels();
    Operator::BatchNormalization(BatchNormalization {
        scale: Array1::ones(channels),
        shift: Array1::zeros(channels),
    })
}

/// Sums of windows of `length` slots `distance` apart, by doubling where the length is a power of
/// two.
pub(super) fn window_sums(length: usize, distance: usize) -> Vec<Vec<usize>> {
    if length.is_power_of_two() {
        return (0..length.ilog2()).map(|log| vec![distance << log]).collect();
    }
    vec![(1..length).map(|at| at * distance).collect()]
}

#[cfg(test)]
mod tests;
