//! The compiled form of a network: a flat list of steps over registers.
//!
//! A register holds ring values (CKKS ciphertexts, values in coefficients), LWE samples on their way
//! to a table, or samples from a table. Values are torus phases; a register's *amplitude* says how
//! many turns stand for one unit of the network's real value. Nothing is left to choose: levels,
//! amplitudes, tables and layouts are all written down here.

use crate::model::Activation;
use bellerophon_bridge as bridge;
use bellerophon_schemes::math::approximation::Polynomial;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::tfhe::lut::negacyclic;
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
use serde::{Deserialize, Serialize};

/// The largest program accepted, in bytes.
pub const PROGRAM_LIMIT: u64 = 2 << 30;

/// One coefficient of one ciphertext of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Index of the ciphertext in its register.
    pub ciphertext: usize,
    /// Index of the coefficient.
    pub coefficient: usize,
}

/// An element of a value and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Placement {
    /// Index of the element; one element can go to several places.
    pub element: usize,
    /// Where.
    pub place: Place,
}

/// The number of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Register(pub usize);

/// A real function that a table evaluates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Function {
    /// `|x|`, on the whole torus: the triangle `|x| - 1/4` is negacyclic.
    Absolute,
    /// `x`, which leaves nothing but the noise of a fresh table.
    Identity,
    /// An activation, on half the torus.
    Activation(Activation),
    /// `c[0] + c[1] x + c[2] x^2 + ...`, on half the torus.
    Polynomial(Vec<f64>),
}

impl Function {
    /// `x` above zero, `slope x` below.
    #[must_use]
    pub fn leaky_relu(slope: f64) -> Self {
        Self::Activation(Activation::LeakyRelu { slope })
    }

    /// The value at `x`.
    #[must_use]
    pub fn evaluate(&self, x: f64) -> f64 {
        match self {
            Self::Absolute => x.abs(),
            Self::Identity => x,
            Self::Activation(function) => function.evaluate(x),
            Self::Polynomial(coefficients) => {
                coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
            }
        }
    }
}

/// A look-up table of a real function between two amplitudes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What it evaluates.
    pub function: Function,
    /// First phase (turns) of the window of width 1/2 on which it does; beyond, the table continues
    /// negacyclically.
    pub start: f64,
    /// Turns per unit at its input.
    pub input: f64,
    /// Turns per unit at its output.
    pub output: f64,
}

impl Table {
    /// The phase that comes out where `phase` goes in.
    #[must_use]
    pub fn evaluate(&self, phase: f64) -> f64 {
        negacyclic(phase, self.start, |phase| self.inside_window(phase))
    }

    /// The table within its window.
    #[must_use]
    pub fn inside_window(&self, phase: f64) -> f64 {
        self.function.evaluate(phase / self.input) * self.output - self.offset()
    }

    /// What must be added to the output for the function's value: the triangle's quarter turn.
    #[must_use]
    pub fn offset(&self) -> f64 {
        match self.function {
            Function::Absolute => self.output / (4.0 * self.input),
            _ => 0.0,
        }
    }
}

/// `(exponent, integer weight)`: the polynomial `sum_e weight_e X^e`; exponents count modulo `2N`.
pub type Weights = Vec<(usize, i64)>;

/// Turns, in the order of [`LinearOutput::coefficients`].
pub type Biases = Vec<f64>;

/// A polynomial times a ciphertext. Its weights are [`Weights`], or what stands for them in a program
/// whose parameters are encrypted ([`crate::protect`]) or left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term<W = Weights> {
    /// Which of the step's registers.
    pub register: usize,
    /// Index of the ciphertext in that register.
    pub ciphertext: usize,
    /// The polynomial.
    pub weights: W,
}

/// One output ciphertext of a linear map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearOutput<W = Weights, B = Biases> {
    /// The products that are summed.
    pub terms: Vec<Term<W>>,
    /// The coefficients that hold values; all others are junk.
    pub coefficients: Vec<usize>,
    /// What is added to each of `coefficients`.
    pub biases: B,
}

/// Polynomials times ciphertexts, summed. The integer weights stand for real weights times the
/// step's amplitude over that of the ciphertext they multiply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearMap<W = Weights, B = Biases> {
    /// One per output ciphertext.
    pub outputs: Vec<LinearOutput<W, B>>,
}

impl<W, B> LinearMap<W, B> {
    /// The same map with other parameters: `weights` of each term's, `biases` of each output's.
    ///
    /// # Errors
    /// The first of either.
    pub fn try_map<V, C, E>(
        &self,
        mut weights: impl FnMut(&Term<W>) -> Result<V, E>,
        mut biases: impl FnMut(&LinearOutput<W, B>) -> Result<C, E>,
    ) -> Result<LinearMap<V, C>, E> {
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            let mut terms = Vec::with_capacity(output.terms.len());
            for term in &output.terms {
                let (register, ciphertext) = (term.register, term.ciphertext);
                terms.push(Term { register, ciphertext, weights: weights(term)? });
            }
            let (coefficients, biases) = (output.coefficients.clone(), biases(output)?);
            outputs.push(LinearOutput { terms, coefficients, biases });
        }
        Ok(LinearMap { outputs })
    }
}

/// A polynomial of a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseFunction {
    /// From turns to turns.
    pub polynomial: Polynomial,
    /// The largest phase, in turns, that it holds for; below a quarter.
    pub width: f64,
    /// How far its evaluation may be off, in turns.
    pub tolerance: f64,
    /// The predicted standard deviation of the noise at its output, in turns.
    pub deviation: f64,
}

impl PhaseFunction {
    /// The value for a phase. It is computed from the phase's sine, so that what is beyond a quarter
    /// turn is folded back.
    #[must_use]
    pub fn evaluate(&self, phase: f64) -> f64 {
        let turn = std::f64::consts::TAU;
        let folded = if phase.abs() < 0.25 { phase } else { (phase * turn).sin().asin() / turn };
        self.polynomial.evaluate(folded)
    }
}

/// What a step does; `L` are the linear layers of the network, with their learned parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation<L = LinearMap> {
    /// Ring to ring, in CKKS: a layer of the network.
    Linear(L),
    /// Ring to LWE samples modulo `2N` of table key `key`, on the bridge.
    ToLwe {
        /// The coefficients to extract, in order.
        places: Vec<Place>,
        /// Which bootstrapping key they are for.
        key: usize,
    },
    /// LWE samples to LWE samples through tables, in TFHE.
    Lut {
        /// How many samples, in order, go through which table.
        tables: Vec<(usize, Table)>,
        /// Which bootstrapping key evaluates them.
        key: usize,
    },
    /// LWE samples to ring, on the bridge.
    ToCkks {
        /// Which samples go where, sorted by ciphertext.
        placements: Vec<Placement>,
        /// The number of ciphertexts.
        ciphertexts: usize,
        /// Whether all other coefficients become zero, which takes every merge of the packing.
        zeroed: bool,
    },
    /// The sum of two ring registers.
    Add,
    /// A polynomial of every coefficient, in the slots of CKKS ciphertexts with levels.
    Slots(PhaseFunction),
    /// Ring to LWE samples under the GLWE secret, as tables give them: nothing is computed.
    Extract {
        /// The coefficients to extract, in order.
        places: Vec<Place>,
    },
    /// Ring to ring, in CKKS: sums and differences of a max-pool, in which nothing is learned.
    Combine(LinearMap),
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step<L = LinearMap> {
    /// The layer and stage it belongs to, for people.
    pub stage: String,
    /// What it does.
    pub operation: Operation<L>,
    /// The registers it reads.
    pub inputs: Vec<Register>,
    /// The register it writes, once.
    pub output: Register,
    /// Turns per unit of the output's values.
    pub amplitude: f64,
}

/// A compiled network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program<L = LinearMap> {
    /// The parameters it was compiled for.
    pub parameters: bridge::ParametersLiteral,
    /// Those of the way through slots, where a step takes it.
    pub slots: Option<bridge::SlotParametersLiteral>,
    /// The number of elements of the input.
    pub input_elements: usize,
    /// Where they go.
    pub input: Vec<Placement>,
    /// Turns per unit of the input.
    pub input_amplitude: f64,
    /// The steps, in order.
    pub steps: Vec<Step<L>>,
    /// Where each element of the output is, in the last step's register.
    pub output: Vec<Place>,
}

impl<L> Program<L> {
    /// The same program with other linear layers.
    ///
    /// # Errors
    /// The first of `linear`.
    pub fn try_map<M, E>(
        &self,
        mut linear: impl FnMut(&Step<L>, &L) -> Result<M, E>,
    ) -> Result<Program<M>, E> {
        let steps = self.steps.iter().map(|step| {
            let Step { stage, operation, inputs, output, amplitude } = step;
            let operation = match operation {
                Operation::Linear(map) => Operation::Linear(linear(step, map)?),
                Operation::ToLwe { places, key } => {
                    Operation::ToLwe { places: places.clone(), key: *key }
                }
                Operation::Lut { tables, key } => {
                    Operation::Lut { tables: tables.clone(), key: *key }
                }
                Operation::ToCkks { placements, ciphertexts, zeroed } => Operation::ToCkks {
                    placements: placements.clone(),
                    ciphertexts: *ciphertexts,
                    zeroed: *zeroed,
                },
                Operation::Add => Operation::Add,
                Operation::Slots(function) => Operation::Slots(function.clone()),
                Operation::Extract { places } => Operation::Extract { places: places.clone() },
                Operation::Combine(map) => Operation::Combine(map.clone()),
            };
            let (stage, inputs) = (stage.clone(), inputs.clone());
            Ok(Step { stage, operation, inputs, output: *output, amplitude: *amplitude })
        });
        Ok(Program {
            steps: steps.collect::<Result<_, E>>()?,
            parameters: self.parameters.clone(),
            slots: self.slots.clone(),
            input_elements: self.input_elements,
            input: self.input.clone(),
            input_amplitude: self.input_amplitude,
            output: self.output.clone(),
        })
    }

    /// The number of bootstrappings.
    #[must_use]
    pub fn bootstraps(&self) -> usize {
        (0..self.parameters.bootstraps.len()).map(|key| self.bootstraps_with(key)).sum()
    }

    /// The number of bootstrappings with table key `wanted`.
    #[must_use]
    pub fn bootstraps_with(&self, wanted: usize) -> usize {
        self.steps.iter().map(|step| step.bootstraps(wanted)).sum()
    }

    /// The number of input ciphertexts, at least one.
    #[must_use]
    pub fn input_ciphertexts(&self) -> usize {
        count_ciphertexts(&self.input).max(1)
    }

    /// The register of the input.
    #[must_use]
    pub fn input_register(&self) -> Register {
        Register(0)
    }

    /// Turns per unit of the output.
    #[must_use]
    pub fn output_amplitude(&self) -> f64 {
        self.steps.last().map_or(self.input_amplitude, |step| step.amplitude)
    }

    /// The register of the output.
    #[must_use]
    pub fn output_register(&self) -> Register {
        self.steps.last().map_or(self.input_register(), |step| step.output)
    }
}

impl<L> Step<L> {
    /// The number of samples that this step sends through table key `wanted`.
    #[must_use]
    pub fn bootstraps(&self, wanted: usize) -> usize {
        match &self.operation {
            Operation::ToLwe { places, key } if *key == wanted => places.len(),
            _ => 0,
        }
    }
}

/// How many ciphertexts the placements span.
#[must_use]
pub fn count_ciphertexts(placements: &[Placement]) -> usize {
    placements.iter().map(|placement| placement.place.ciphertext + 1).max().unwrap_or(0)
}

/// How many ciphertexts the places span.
#[must_use]
pub fn ciphertexts(places: &[Place]) -> usize {
    places.iter().map(|place| place.ciphertext + 1).max().unwrap_or(0)
}

impl Wire for Program {
    const KIND: u16 = 4;
    const NAME: &'static str = "program";
}

impl Conformant<bridge::Parameters> for Program {
    fn conforms(&self, parameters: &bridge::Parameters) -> Result<(), String> {
        if self.parameters != *parameters.literal() {
            return Err("it was compiled for other parameters".to_owned());
        }
        let dimension = parameters.ring().dimension();
        let inside = |place: &Place| place.coefficient < dimension;
        let input = self.input.iter().map(|placement| &placement.place);
        if !input.chain(&self.output).all(inside) {
            return Err(format!("a place is outside the ring of dimension {dimension}"));
        }
        match self.input.iter().find(|placement| placement.element >= self.input_elements) {
            Some(placement) => Err(format!("element {} does not exist", placement.element)),
            None => Ok(()),
        }
    }
}

/// Checked against its own parameters, which must reach this level.
impl Conformant<SecurityLevel> for Program {
    fn conforms(&self, level: &SecurityLevel) -> Result<(), String> {
        let parameters = bridge::Parameters::new(self.parameters.clone(), *level);
        self.conforms(&parameters.map_err(|error| error.to_string())?)
    }
}

impl Program {
    /// Reads a program and the parameters that it was compiled for, which must reach `level`.
    ///
    /// # Errors
    /// [`WireError`] for bytes that are no such program.
    pub fn open(
        bytes: &[u8],
        level: SecurityLevel,
    ) -> Result<(Self, bridge::Parameters), WireError> {
        let program: Self = wire::from_bytes(bytes, PROGRAM_LIMIT, &level)?;
        match bridge::Parameters::new(program.parameters.clone(), level) {
            Ok(parameters) => Ok((program, parameters)),
            Err(error) => {
                Err(WireError::NotConformant { kind: Self::NAME, reason: error.to_string() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relu() -> Function {
        Function::Activation(Activation::Relu)
    }

    #[test]
    fn triangle_is_absolute_value_on_the_whole_torus() {
        let table = Table { function: Function::Absolute, start: -0.25, input: 0.1, output: 0.01 };
        for i in -499..500 {
            let phase = f64::from(i) / 1000.0;
            let value = (table.evaluate(phase) + table.offset()) / table.output;
            assert!((value - (phase / table.input).abs()).abs() < 1e-9);
        }
    }

    #[test]
    fn relu_is_exact_in_its_window_and_negacyclic_beyond() {
        let table = Table { function: relu(), start: -0.2, input: 0.05, output: 0.001 };
        for i in -200..300 {
            let phase = f64::from(i) / 1000.0;
            let expected = (phase / table.input).max(0.0) * table.output;
            assert!((table.evaluate(phase) - expected).abs() < 1e-12);
            assert!((table.evaluate(phase + 0.5) + expected).abs() < 1e-12);
        }
    }
}
