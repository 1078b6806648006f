//! The program in f64 with the noise of the encrypted one, drawn anew for every slot.
//!
//! What a step does to the noise of its input comes by itself, as the noise is in the slots; what a
//! step adds is drawn from the formulas of [`bellerophon_schemes::ckks::noise`]. A variance `v` of
//! every coefficient is one of `N v / 2` of the real part of every slot, over the squared scale.

use super::backend::{Backend, StepError, execute};
use super::clear::{Clear, ClearError};
use super::encrypted::program_scale;
use super::keys::map_rotations_of;
use super::program::{LinearMap, LinearOutput, Operation, Program, Step};
use bellerophon_schemes::ckks::noise::{self, GiantStepNorms};
use bellerophon_schemes::ckks::polynomial::PolynomialCircuit;
use bellerophon_schemes::ckks::{CkksError, Parameters, Scale, Split};
use bellerophon_schemes::math::approximation::{CompositeSign, Polynomial};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution, StandardNormal};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Points of [-1, 1] at which the error of a polynomial is predicted; between them it is
/// interpolated.
const POINTS: usize = 65;

/// The noise that each step of one program adds.
#[derive(Debug)]
pub struct NoiseModel {
    parameters: Parameters,
    scale: Scale,
    steps: Vec<StepNoise>,
}

#[derive(Debug)]
enum StepNoise {
    /// For each output its norms; the level, and `log2` of the prime that divides.
    Linear { norms: Vec<Vec<GiantStepNorms>>, level: usize },
    /// Standard deviation of a slot for each rotation, or for a square.
    Flat(f64),
    /// For each polynomial in turn, standard deviations of a slot that holds each point; then that
    /// of the last product.
    Polynomials { components: Vec<Polynomial>, curves: Vec<Vec<f64>>, product: f64 },
    /// Of the rotation; then as for [`StepNoise::Polynomials`].
    Maximum { rotate: f64, components: Vec<Polynomial>, curves: Vec<Vec<f64>>, product: f64 },
}

/// Components of a composite sign, the error of each at every point, and that of the product behind.
type ComparisonNoise = (Vec<Polynomial>, Vec<Vec<f64>>, f64);

impl NoiseModel {
    /// Predicts what each step of `program` adds.
    ///
    /// # Errors
    /// [`CkksError`] for a program that does not fit the parameters.
    pub fn new(program: &Program, parameters: &Parameters) -> Result<Self, CkksError> {
        let mut model =
            Self { parameters: parameters.clone(), scale: program_scale(program), steps: vec![] };
        for step in &program.steps {
            model.steps.push(model.step(step)?);
        }
        Ok(model)
    }

    fn step(&self, step: &Step) -> Result<StepNoise, CkksError> {
        let level = step.level;
        Ok(match &step.operation {
            Operation::Linear(map) => StepNoise::Linear { norms: self.norms(map, level)?, level },
            Operation::Sum(_) => {
                StepNoise::Flat(self.slot(noise::key_switch(&self.parameters, level)))
            }
            Operation::Square => StepNoise::Flat(self.slot(self.product(level))),
            Operation::Polynomial(polynomial) => {
                let (components, curves) =
                    (vec![polynomial.clone()], vec![self.curve(polynomial, level)?]);
                StepNoise::Polynomials { components, curves, product: 0.0 }
            }
            Operation::Rectify(sign) => {
                let (components, curves, product) = self.comparison(sign, level)?;
                StepNoise::Polynomials { components, curves, product }
            }
            Operation::Maximum { sign, .. } => {
                let rotate = self.slot(noise::key_switch(&self.parameters, level));
                let (components, curves, product) = self.comparison(sign, level)?;
                StepNoise::Maximum { rotate, components, curves, product }
            }
        })
    }

    /// The error that each component of a composite sign adds, and the product behind it.
    fn comparison(&self, sign: &CompositeSign, level: usize) -> Result<ComparisonNoise, CkksError> {
        let mut level = level;
        let mut curves = Vec::new();
        let components = step_function(sign)?;
        for polynomial in &components {
            curves.push(self.curve(polynomial, level)?);
            level = level.saturating_sub(PolynomialCircuit::folded(polynomial).depth());
        }
        Ok((components, curves, self.slot(self.product(level))))
    }

    /// The standard deviation of the real part of a slot, for this variance of a coefficient.
    fn slot(&self, variance: f64) -> f64 {
        (self.parameters.dimension() as f64 * variance / 2.0).sqrt() / self.scale.value()
    }

    /// The noise that a product, relinearized and rescaled, adds.
    fn product(&self, level: usize) -> f64 {
        noise::rescale(&self.parameters, level, noise::key_switch(&self.parameters, level))
    }

    /// The error that a polynomial adds at each point.
    fn curve(&self, polynomial: &Polynomial, level: usize) -> Result<Vec<f64>, CkksError> {
        let circuit = PolynomialCircuit::folded(polynomial);
        let error = |point: usize| {
            let x = 2.0 * point as f64 / (POINTS - 1) as f64 - 1.0;
            let operand = (level, &self.scale);
            let error = circuit.standard_error(&self.parameters, operand, &self.scale, 0.0, x)?;
            Ok(error / 2f64.sqrt()) // the real part's share
        };
        (0..POINTS).map(error).collect()
    }

    fn norms(&self, map: &LinearMap, level: usize) -> Result<Vec<Vec<GiantStepNorms>>, CkksError> {
        let split = Split::best(&map_rotations_of(map), self.parameters.slots());
        // the result has the scale of the input, so the diagonals have that of the prime
        let scale = Scale::of_modulus(self.parameters.modulus(level)?).value();
        let output = |output: &LinearOutput| {
            let mut giants: BTreeMap<usize, GiantStepNorms> = BTreeMap::new();
            for (rotation, values) in output.terms.iter().flatten() {
                let baby = rotation % split.step.max(1);
                let squares: f64 = values.iter().map(|value| value * value).sum();
                let power = noise::power(&self.parameters, squares / values.len() as f64, scale);
                let giant = giants.entry(rotation - baby).or_default();
                giant.rotates = rotation != &baby;
                giant.diagonals += 1;
                giant.power += power;
                giant.rotated_power += if baby == 0 { 0.0 } else { power };
            }
            giants.into_values().collect()
        };
        Ok(map.outputs.iter().map(output).collect())
    }

    /// The noise that a linear layer adds to one output before its folds, for slots of this mean
    /// square.
    fn linear(&self, norms: &[GiantStepNorms], level: usize, mean_square: f64) -> f64 {
        let power = noise::power(&self.parameters, mean_square, self.scale.value());
        let variance = noise::linear_transform(&self.parameters, level, (0.0, power), norms);
        self.slot(noise::rescale(&self.parameters, level, variance))
    }

    /// What one fold of a linear layer at `level` adds.
    fn fold(&self, level: usize) -> f64 {
        self.slot(noise::key_switch(&self.parameters, level.saturating_sub(1)))
    }

    /// Of the slots of fresh ciphertexts.
    #[must_use]
    pub(crate) fn input(&self) -> f64 {
        self.slot(noise::fresh_secret() + noise::encoding())
    }

    /// What step `index` adds where it reads slots of this mean square.
    pub(crate) fn added(&self, index: usize, mean_square: f64) -> AddedNoise {
        let curves = |rotate: f64, sign: &[Polynomial], curves: &[Vec<f64>], product: f64| {
            let (components, curves) = (sign.to_vec(), curves.to_vec());
            AddedNoise::Curves { rotate, components, curves, product }
        };
        match self.steps.get(index) {
            Some(StepNoise::Linear { norms, level }) => AddedNoise::Linear {
                outputs: norms.iter().map(|n| self.linear(n, *level, mean_square)).collect(),
                switch: self.fold(*level),
            },
            Some(StepNoise::Flat(deviation)) => AddedNoise::Flat(*deviation),
            Some(StepNoise::Polynomials { components, curves: found, product }) => {
                curves(0.0, components, found, *product)
            }
            Some(StepNoise::Maximum { rotate, components, curves: found, product }) => {
                curves(*rotate, components, found, *product)
            }
            None => AddedNoise::Flat(f64::NAN),
        }
    }
}

/// Standard deviations of what a step adds to the real part of a slot.
#[derive(Clone, Debug)]
pub(crate) enum AddedNoise {
    /// To each output before the folds; by each fold.
    Linear { outputs: Vec<f64>, switch: f64 },
    /// By a square, or by each rotation of a sum.
    Flat(f64),
    /// By a rotation; by each component, at evenly spaced points of [-1, 1]; by the last product.
    Curves { rotate: f64, components: Vec<Polynomial>, curves: Vec<Vec<f64>>, product: f64 },
}

/// The components of `(1 + sign x) / 2`, as the circuit evaluates it.
fn step_function(sign: &CompositeSign) -> Result<Vec<Polynomial>, CkksError> {
    let mut components = sign.polynomials().to_vec();
    if let Some(last) = components.last_mut() {
        *last = last.affine(0.5, 0.5)?;
    }
    Ok(components)
}

/// The simulated backend: one run.
#[derive(Debug)]
pub struct Simulated<'a> {
    model: &'a NoiseModel,
    rng: RefCell<ChaCha20Rng>,
}

/// The program's results for one image, in the network's units, with noise drawn from this seed.
///
/// # Errors
/// [`StepError`] for a program that does not fit together.
pub fn simulate(
    program: &Program,
    model: &NoiseModel,
    image: &[f64],
    seed: u64,
) -> Result<Vec<f64>, StepError<ClearError>> {
    let simulated = Simulated::new(model, seed);
    let mut input = program.input_slots(image);
    input.iter_mut().for_each(|slots| simulated.blur(slots, model.input()));
    Ok(program.results(&execute(&simulated, program, input, &mut ())?))
}

impl<'a> Simulated<'a> {
    /// A run with noise drawn from this seed.
    #[must_use]
    pub fn new(model: &'a NoiseModel, seed: u64) -> Self {
        Self { model, rng: RefCell::new(ChaCha20Rng::seed_from_u64(seed)) }
    }

    /// Adds noise of this standard deviation to every slot.
    fn blur(&self, slots: &mut [f64], deviation: f64) {
        let mut rng = self.rng.borrow_mut();
        for slot in slots {
            let noise: f64 = StandardNormal.sample(&mut *rng);
            *slot += deviation * noise;
        }
    }

    /// A polynomial of every slot, with the noise of where the slot is.
    fn bend(&self, slots: &mut [f64], curve: &[f64], value: impl Fn(f64) -> f64) {
        let mut rng = self.rng.borrow_mut();
        for slot in slots {
            let at = ((*slot + 1.0) / 2.0).clamp(0.0, 1.0) * (POINTS - 1) as f64;
            let below = (at.floor() as usize).min(POINTS - 2);
            let share = at - below as f64;
            let deviation = curve[below] * (1.0 - share) + curve[below + 1] * share;
            let noise: f64 = StandardNormal.sample(&mut *rng);
            *slot = value(*slot) + deviation * noise;
        }
    }

    fn noise(&self, index: usize) -> Result<&StepNoise, ClearError> {
        let found = self.model.steps.len();
        self.model.steps.get(index).ok_or(ClearError { expected: index + 1, found })
    }
}

impl Backend for Simulated<'_> {
    type Value = Vec<f64>;
    type Error = ClearError;

    fn linear(
        &self,
        index: usize,
        map: &LinearMap,
        inputs: &[Vec<f64>],
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let bare = LinearMap { folds: Vec::new(), ..map.clone() };
        let mut outputs = Clear.linear(index, &bare, inputs)?;
        let StepNoise::Linear { norms, level } = self.noise(index)? else { return Ok(outputs) };
        let switch = self.model.fold(*level);
        let squares: f64 = inputs.iter().flatten().map(|x| x * x).sum();
        let mean_square = squares / inputs.iter().map(Vec::len).sum::<usize>().max(1) as f64;
        let pairs = outputs.iter_mut().zip(&map.outputs).zip(norms);
        for ((slots, output), norms) in pairs {
            // biases come after the folds
            slots.iter_mut().zip(&output.biases).for_each(|(slot, bias)| *slot -= bias);
            self.blur(slots, self.model.linear(norms, *level, mean_square));
            for &fold in &map.folds {
                *slots = Clear.sum(index, &[fold], slots)?;
                self.blur(slots, switch);
            }
            slots.iter_mut().zip(&output.biases).for_each(|(slot, bias)| *slot += bias);
        }
        Ok(outputs)
    }

    fn sum(
        &self,
        index: usize,
        rotations: &[usize],
        input: &Vec<f64>,
    ) -> Result<Vec<f64>, ClearError> {
        let mut slots = Clear.sum(index, rotations, input)?;
        if let StepNoise::Flat(deviation) = self.noise(index)? {
            self.blur(&mut slots, deviation * (rotations.len() as f64).sqrt());
        }
        Ok(slots)
    }

    fn square(&self, index: usize, input: &Vec<f64>) -> Result<Vec<f64>, ClearError> {
        let mut slots = Clear.square(index, input)?;
        if let StepNoise::Flat(deviation) = self.noise(index)? {
            self.blur(&mut slots, *deviation);
        }
        Ok(slots)
    }

    fn polynomial(
        &self,
        index: usize,
        polynomial: &Polynomial,
        input: &Vec<f64>,
    ) -> Result<Vec<f64>, ClearError> {
        let StepNoise::Polynomials { curves, .. } = self.noise(index)? else {
            return Clear.polynomial(index, polynomial, input);
        };
        let mut slots = input.clone();
        for curve in curves {
            self.bend(&mut slots, curve, |x| polynomial.evaluate(x));
        }
        Ok(slots)
    }

    fn rectify(
        &self,
        index: usize,
        sign: &CompositeSign,
        input: &Vec<f64>,
    ) -> Result<Vec<f64>, ClearError> {
        let StepNoise::Polynomials { components, curves, product } = self.noise(index)? else {
            return Clear.rectify(index, sign, input);
        };
        let mut steps = input.clone();
        for (polynomial, curve) in components.iter().zip(curves) {
            self.bend(&mut steps, curve, |x| polynomial.evaluate(x));
        }
        steps.iter_mut().zip(input).for_each(|(step, x)| *step *= x);
        self.blur(&mut steps, *product);
        Ok(steps)
    }

    fn maximum(
        &self,
        index: usize,
        rotation: usize,
        sign: &CompositeSign,
        input: &Vec<f64>,
    ) -> Result<Vec<f64>, ClearError> {
        let StepNoise::Maximum { rotate, components, curves, product } = self.noise(index)? else {
            return Clear.maximum(index, rotation, sign, input);
        };
        let mut others = super::clear::rotated(input, rotation);
        self.blur(&mut others, *rotate);
        let pairs = input.iter().zip(&others);
        let mut steps: Vec<f64> = pairs.clone().map(|(x, y)| (x - y) / 2.0).collect();
        for (polynomial, curve) in components.iter().zip(curves) {
            self.bend(&mut steps, curve, |x| polynomial.evaluate(x));
        }
        steps.iter_mut().zip(pairs).for_each(|(step, (x, y))| *step = *step * (x - y) + y);
        self.blur(&mut steps, *product);
        Ok(steps)
    }
}
