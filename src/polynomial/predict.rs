//! What a program will cost, before anything is made.

use super::cost::Sizes;
use super::keys::{map_rotations_of, requirements};
use super::program::{Operation, Program, Step};
use bellerophon_schemes::ckks::polynomial::PolynomialCircuit;
use bellerophon_schemes::ckks::sign::CompositeSignCircuit;
use bellerophon_schemes::ckks::{CkksError, Parameters, Split};

/// Predicted costs of a program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Seconds of one thread of a quiet machine with AVX-512, for each step.
    pub seconds: Vec<f64>,
    /// Rotations, squarings and products of ciphertexts: everything that switches keys.
    pub key_switches: usize,
    /// Evaluation keys.
    pub keys: usize,
    /// Bytes of the evaluation keys in the server's memory.
    pub key_bytes: f64,
    /// Bytes of the encoded diagonals in the server's memory.
    pub plaintext_bytes: f64,
}

/// Counts what the steps of `program` do.
///
/// # Errors
/// [`CkksError::Parameter`] for a composite sign without components.
pub fn predict(program: &Program, parameters: &Parameters) -> Result<Prediction, CkksError> {
    let mut prediction = Prediction::default();
    let mut ciphertexts = program.input_ciphertexts();
    for step in &program.steps {
        let sizes = sizes(parameters, step.level);
        let (seconds, switches) = match &step.operation {
            Operation::Linear(map) => {
                let rotations = map_rotations_of(map);
                let split = Split::best(&rotations, parameters.slots());
                let limb = parameters.dimension() * 8;
                let bytes = (sizes.limbs + sizes.special) * limb * map.diagonals();
                prediction.plaintext_bytes += bytes as f64;
                ciphertexts = map.outputs.len();
                let folds = ciphertexts * map.folds.len();
                let seconds = sizes.linear(&split, map.diagonals(), map.folds.len());
                (seconds, split.babies + split.giants + folds)
            }
            operation => {
                let switches = ciphertexts * products(operation)?;
                let each = match operation {
                    Operation::Sum(_) => sizes.key_switch(),
                    _ => sizes.multiply(),
                };
                (each * switches as f64, switches)
            }
        };
        prediction.seconds.push(seconds);
        prediction.key_switches += switches;
    }
    let requirements = requirements(program, parameters)?;
    let levels = requirements.relinearization.iter().chain(requirements.galois.values());
    let bytes = levels.map(|&level| sizes(parameters, level).key_bytes());
    (prediction.keys, prediction.key_bytes) =
        bytes.fold((0, 0.0), |(count, sum), bytes| (count + 1, sum + bytes));
    Ok(prediction)
}

/// Key switches of one ciphertext.
fn products(operation: &Operation) -> Result<usize, CkksError> {
    Ok(match operation {
        Operation::Linear(_) => 0,
        Operation::Sum(rotations) => rotations.len(),
        Operation::Square => 1,
        Operation::Polynomial(polynomial) => {
            PolynomialCircuit::folded(polynomial).multiplications()
        }
        Operation::Rectify(sign) => CompositeSignCircuit::new(sign, 1.0)?.multiplications() + 1,
        // a product for the maximum, a rotation for what is compared
        Operation::Maximum { sign, .. } => {
            CompositeSignCircuit::new(sign, 1.0)?.multiplications() + 2
        }
    })
}

fn sizes(parameters: &Parameters, level: usize) -> Sizes {
    Sizes {
        dimension: parameters.dimension(),
        limbs: level + 1,
        special: parameters.special_rings().len(),
        per_digit: parameters.digit_length(),
    }
}

/// The steps of each layer, in order.
pub fn layers(program: &Program) -> impl Iterator<Item = &[Step]> {
    program.steps.chunk_by(|a, b| a.stage == b.stage)
}
