//! The keys that a program needs.

use super::program::{LinearMap, LinearOutput, Operation, Program, Step};
use bellerophon_schemes::ckks::polynomial::PolynomialCircuit;
use bellerophon_schemes::ckks::sign::CompositeSignCircuit;
use bellerophon_schemes::ckks::{CkksError, KeyRequirements, Parameters, Split};
use std::collections::{BTreeMap, BTreeSet};

/// The relinearization key and all rotations of a program's steps, each up to the highest level it
/// is used at.
///
/// # Errors
/// [`CkksError::Parameter`] for a composite sign without components.
pub fn requirements(
    program: &Program,
    parameters: &Parameters,
) -> Result<KeyRequirements, CkksError> {
    program.steps.iter().try_fold(KeyRequirements::default(), |all, step| {
        Ok(all.union(step_requirements(step, parameters)?))
    })
}

fn step_requirements(step: &Step, parameters: &Parameters) -> Result<KeyRequirements, CkksError> {
    let rotations = |steps: &[usize], level| {
        KeyRequirements::rotations(parameters, steps.iter().map(|&steps| steps as i64), level)
    };
    Ok(match &step.operation {
        Operation::Linear(map) => {
            let all = map_rotations_of(map);
            let split = Split::best(&all, parameters.slots()).rotations(&all);
            let split: Vec<usize> = split.into_iter().collect();
            let folds = rotations(&map.folds, step.level.saturating_sub(1));
            rotations(&split, step.level).union(folds)
        }
        Operation::Sum(steps) => rotations(steps, step.level),
        Operation::Square => KeyRequirements::relinearization(step.level),
        Operation::Polynomial(polynomial) => {
            PolynomialCircuit::folded(polynomial).requirements(step.level)
        }
        Operation::Rectify(sign) => CompositeSignCircuit::new(sign, 1.0)?.requirements(step.level),
        Operation::Maximum { rotation, sign } => {
            let circuit = CompositeSignCircuit::new(sign, 1.0)?;
            circuit.requirements(step.level).union(rotations(&[*rotation], step.level))
        }
    })
}

/// The rotations of a linear layer before they are split, from each input to each output:
/// `[output][input]`.
pub(super) fn map_rotations_of(map: &LinearMap) -> Vec<Vec<BTreeSet<usize>>> {
    let rotations = |diagonals: &BTreeMap<usize, Vec<f64>>| diagonals.keys().copied().collect();
    let row = |output: &LinearOutput| output.terms.iter().map(rotations).collect();
    map.outputs.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellerophon_schemes::ckks::{Encoder, LinearTransform, ParametersLiteral, Scale, c64};
    use proptest::prelude::*;

    fn parameters() -> Parameters {
        let literal = ParametersLiteral {
            log_dimension: 7,
            modulus_bits: vec![40, 30, 30],
            special_bits: vec![40],
            digits: 3,
        };
        Parameters::insecure_unchecked(literal).unwrap()
    }

    proptest! {
        /// What is asked for without encoding anything is what the encoded transform uses.
        #[test]
        fn rotations_are_those_of_the_transform(
            blocks in (1_usize..3, 1_usize..3).prop_flat_map(|(outputs, inputs)| {
                let diagonals = prop::collection::btree_set(0_usize..64, 1..20);
                prop::collection::vec(prop::collection::vec(diagonals, inputs), outputs)
            }),
        ) {
            let parameters = parameters();
            let output = |row: &Vec<BTreeSet<usize>>| LinearOutput {
                terms: row
                    .iter()
                    .map(|diagonals| diagonals.iter().map(|&d| (d, vec![1.0; 64])).collect())
                    .collect(),
                biases: vec![0.0; 64],
            };
            let map = LinearMap { outputs: blocks.iter().map(output).collect(), folds: vec![] };
            let step = Step { stage: String::new(), operation: Operation::Linear(map), level: 2 };
            let found = step_requirements(&step, &parameters).unwrap();
            let encoded: Vec<Vec<BTreeMap<usize, Vec<c64>>>> = blocks
                .iter()
                .map(|row| {
                    let one = vec![c64 { re: 1.0, im: 0.0 }];
                    let diagonals = |set: &BTreeSet<usize>| {
                        set.iter().map(|&d| (d, one.clone())).collect()
                    };
                    row.iter().map(diagonals).collect()
                })
                .collect();
            let transform = LinearTransform::blocks(
                &parameters,
                &Encoder::new(&parameters),
                &encoded,
                2,
                &Scale::power_of_two(20),
            );
            prop_assert_eq!(found, transform.unwrap().requirements(&parameters));
        }
    }
}
