//! The program on ciphertexts.

use super::backend::Backend;
use super::program::{LinearMap, LinearOutput, Operation, Program, Step};
use bellerophon_schemes::ckks::polynomial::PolynomialCircuit;
use bellerophon_schemes::ckks::sign::CompositeSignCircuit;
use bellerophon_schemes::ckks::{
    Ciphertext, CkksError, Diagonals, Encoder, EvaluationKeys, Evaluator, LinearTransform,
    Parameters, Plaintext, Scale, Slots, c64,
};
use bellerophon_schemes::math::approximation::{CompositeSign, Polynomial};

/// A program's plaintexts, encoded once for all images: diagonals and biases at the levels and
/// scales of their steps.
#[derive(Debug)]
pub struct Prepared {
    steps: Vec<PreparedStep>,
    /// Of the results of polynomials.
    scale: Scale,
}

#[derive(Debug)]
enum PreparedStep {
    Linear {
        transform: LinearTransform,
        biases: Vec<Plaintext<Slots>>,
    },
    Polynomial(PolynomialCircuit),
    /// ReLU or maximum.
    Rectify(CompositeSignCircuit),
    /// Nothing to prepare.
    Bare,
}

impl Prepared {
    /// Encodes all diagonals and biases. Each linear layer's diagonals have the scale that brings
    /// its result to the scale of the input.
    ///
    /// # Errors
    /// [`CkksError`] for a program that does not fit the parameters.
    pub fn new(program: &Program, parameters: &Parameters) -> Result<Self, CkksError> {
        let encoder = Encoder::new(parameters);
        let scale = program_scale(program);
        let mut current = scale.clone();
        let mut steps = Vec::with_capacity(program.steps.len());
        for Step { operation, level, .. } in &program.steps {
            steps.push(match operation {
                Operation::Linear(map) => {
                    let prime = Scale::of_modulus(parameters.modulus(*level)?);
                    let weights = scale.times(&prime).over(&current);
                    current = scale.clone();
                    prepare_linear(map, parameters, &encoder, *level, [&weights, &scale])?
                }
                Operation::Square => {
                    let prime = Scale::of_modulus(parameters.modulus(*level)?);
                    current = current.times(&current).over(&prime);
                    PreparedStep::Bare
                }
                Operation::Sum(_) => PreparedStep::Bare,
                Operation::Polynomial(polynomial) => {
                    current = scale.clone();
                    PreparedStep::Polynomial(PolynomialCircuit::folded(polynomial))
                }
                Operation::Rectify(sign) | Operation::Maximum { sign, .. } => {
                    current = scale.clone();
                    PreparedStep::Rectify(CompositeSignCircuit::new(sign, 1.0)?)
                }
            });
        }
        Ok(Self { steps, scale })
    }

    /// Bytes of all encoded diagonals and biases.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bytes = |step: &PreparedStep| match step {
            PreparedStep::Linear { transform, biases } => {
                let limbs = biases.iter().flat_map(|bias| bias.poly().limbs());
                transform.bytes() + limbs.map(|limb| 8 * limb.values().len()).sum::<usize>()
            }
            _ => 0,
        };
        self.steps.iter().map(bytes).sum()
    }
}

/// The scale of a program's input and of its linear layers' results.
pub(super) fn program_scale(program: &Program) -> Scale {
    Scale::power_of_two(i32::try_from(program.log_scale).unwrap_or(i32::MAX))
}

fn prepare_linear(
    map: &LinearMap,
    parameters: &Parameters,
    encoder: &Encoder,
    level: usize,
    [weights, scale]: [&Scale; 2],
) -> Result<PreparedStep, CkksError> {
    let complex = |values: &Vec<f64>| values.iter().map(|&re| c64 { re, im: 0.0 }).collect();
    let block = |output: &LinearOutput| -> Vec<Diagonals> {
        let diagonals = |(&rotation, values): (&usize, &Vec<f64>)| (rotation, complex(values));
        output.terms.iter().map(|terms| terms.iter().map(diagonals).collect()).collect()
    };
    let blocks: Vec<Vec<Diagonals>> = map.outputs.iter().map(block).collect();
    let transform = LinearTransform::blocks(parameters, encoder, &blocks, level, weights)?;
    let bias =
        |output: &LinearOutput| encoder.encode_real(&output.biases, level.saturating_sub(1), scale);
    let biases = map.outputs.iter().map(bias).collect::<Result<_, _>>()?;
    Ok(PreparedStep::Linear { transform, biases })
}

/// The encrypted backend: evaluation keys and prepared plaintexts.
#[derive(Debug)]
pub struct Encrypted<'a> {
    evaluator: &'a Evaluator,
    keys: &'a EvaluationKeys,
    prepared: &'a Prepared,
}

/// What was prepared is not what the step needs: it belongs to another program.
const OTHER_PROGRAM: CkksError = CkksError::Parameter {
    what: "the number of prepared steps",
    value: 0,
    allowed: "those of the program that runs",
};

impl<'a> Encrypted<'a> {
    /// Runs the program that `prepared` was made from.
    #[must_use]
    pub fn new(evaluator: &'a Evaluator, keys: &'a EvaluationKeys, prepared: &'a Prepared) -> Self {
        Self { evaluator, keys, prepared }
    }

    fn add_rotations(
        &self,
        value: &mut Ciphertext<Slots>,
        rotations: &[usize],
    ) -> Result<(), CkksError> {
        let steps: Vec<i64> = rotations.iter().map(|&rotation| rotation as i64).collect();
        for rotated in self.evaluator.rotate_many(value, &steps, self.keys)? {
            self.evaluator.add_assign(value, &rotated)?;
        }
        Ok(())
    }
}

impl Backend for Encrypted<'_> {
    type Value = Ciphertext<Slots>;
    type Error = CkksError;

    fn linear(
        &self,
        index: usize,
        map: &LinearMap,
        inputs: &[Ciphertext<Slots>],
    ) -> Result<Vec<Ciphertext<Slots>>, CkksError> {
        let Some(PreparedStep::Linear { transform, biases }) = self.prepared.steps.get(index)
        else {
            return Err(OTHER_PROGRAM);
        };
        let inputs: Vec<&Ciphertext<Slots>> = inputs.iter().collect();
        let mut outputs = transform.apply_blocks_rescale(self.evaluator, &inputs, self.keys)?;
        for (output, bias) in outputs.iter_mut().zip(biases) {
            for &fold in &map.folds {
                self.add_rotations(output, &[fold])?;
            }
            self.evaluator.add_plain_assign(output, bias)?;
        }
        Ok(outputs)
    }

    fn sum(
        &self,
        _: usize,
        rotations: &[usize],
        input: &Ciphertext<Slots>,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let mut sum = input.clone();
        self.add_rotations(&mut sum, rotations)?;
        Ok(sum)
    }

    fn square(&self, _: usize, input: &Ciphertext<Slots>) -> Result<Ciphertext<Slots>, CkksError> {
        self.evaluator.square_rescale(input, self.keys)
    }

    fn polynomial(
        &self,
        index: usize,
        _: &Polynomial,
        input: &Ciphertext<Slots>,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        match self.prepared.steps.get(index) {
            Some(PreparedStep::Polynomial(circuit)) => {
                circuit.evaluate(self.evaluator, input, &self.prepared.scale, self.keys)
            }
            _ => Err(OTHER_PROGRAM),
        }
    }

    fn rectify(
        &self,
        index: usize,
        _: &CompositeSign,
        input: &Ciphertext<Slots>,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        match self.prepared.steps.get(index) {
            Some(PreparedStep::Rectify(circuit)) => {
                circuit.relu(self.evaluator, input, &self.prepared.scale, self.keys)
            }
            _ => Err(OTHER_PROGRAM),
        }
    }

    fn maximum(
        &self,
        index: usize,
        rotation: usize,
        _: &CompositeSign,
        input: &Ciphertext<Slots>,
    ) -> Result<Ciphertext<Slots>, CkksError> {
        let Some(PreparedStep::Rectify(circuit)) = self.prepared.steps.get(index) else {
            return Err(OTHER_PROGRAM);
        };
        let mut others = self.evaluator.rotate_many(input, &[rotation as i64], self.keys)?;
        let other = others.pop().ok_or(OTHER_PROGRAM)?;
        circuit.max(self.evaluator, input, &other, &self.prepared.scale, self.keys)
    }
}
