//! Programs that do not fit together, on the clear and on the encrypted backend.

use super::*;
use crate::compile::program::{LinearOutput, Term};
use crate::message::{Context, EncryptedInput, EncryptedOutput, MESSAGE_LIMIT};
use bellerophon_bridge::BridgeError;
use bellerophon_schemes::rlwe::{Ciphertext, Coeffs, Encoder, PackedCiphertext, RlweError};
use bellerophon_schemes::tfhe::TfheError;
use bellerophon_schemes::wire;

const TABLE: Table =
    Table { function: Function::Absolute, start: -0.25, input: 0.05, output: 0.01 };

/// The sum of ciphertext `input` and itself one coefficient on.
fn identity(input: usize) -> Operation {
    Operation::Linear(LinearMap {
        outputs: vec![LinearOutput {
            terms: vec![Term { register: 0, ciphertext: input, weights: vec![(0, 1), (1, 1)] }],
            coefficients: vec![0],
            biases: vec![0.0],
        }],
    })
}

fn to_lwe(place: Place, key: usize) -> Operation {
    Operation::ToLwe { places: vec![place], key }
}

fn look_up(key: usize) -> Operation {
    Operation::Lut { tables: vec![(1, TABLE)], key }
}

fn placed(places: Vec<Place>) -> Vec<Placement> {
    let placement = |(element, place)| Placement { element, place };
    places.into_iter().enumerate().map(placement).collect()
}

/// Sample `i` to place `i`.
fn to_ckks(places: Vec<Place>) -> Operation {
    Operation::ToCkks { placements: placed(places), ciphertexts: 1, zeroed: false }
}

/// Step `i` writes register `i + 1`.
fn program(steps: Vec<(Operation, Vec<usize>)>) -> Program {
    let step = |(index, (operation, inputs)): (usize, (Operation, Vec<usize>))| Step {
        stage: format!("stage {index}"),
        operation,
        inputs: inputs.into_iter().map(Register).collect(),
        output: Register(index + 1),
        amplitude: 0.01,
    };
    Program {
        parameters: tiny::WORLD.program.parameters.clone(),
        slots: None,
        input_elements: 2,
        input: placed(vec![place(0), place(1)]),
        input_amplitude: 0.01,
        steps: steps.into_iter().enumerate().map(step).collect(),
        output: vec![place(0)],
    }
}

type ClearOutcome = Result<Vec<Vec<f64>>, ExecuteError<clear::ClearError>>;

fn run_clear(program: &Program) -> ClearOutcome {
    let clear = Clear::new(512);
    let input = clear.encrypt(&[1.0, 2.0], program).unwrap();
    execute(&clear, program, input, &mut ())
}

fn run_encrypted(program: &Program) -> Result<Vec<Ciphertext<Coeffs>>, ExecuteError<RunError>> {
    let world = &*tiny::WORLD;
    let bytes = world.client.encrypt(program, &[1.0, 2.0], &mut tiny::rng(1)).unwrap();
    let context = Context { parameters: &world.parameters, program };
    let input: EncryptedInput = wire::from_bytes(&bytes, MESSAGE_LIMIT, &context).unwrap();
    let rlwe = world.parameters.rlwe();
    let input = input.ciphertexts.iter().map(|c| c.expand(rlwe).unwrap()).collect();
    let encoder = Encoder::new(rlwe);
    execute(&Encrypted::new(world.server.keys(), &encoder, &|_| ()), program, input, &mut ())
}

/// The outputs of an encrypted run, in units.
fn opened(program: &Program) -> Vec<f64> {
    let ciphertexts = run_encrypted(program).unwrap();
    let ciphertexts = ciphertexts.iter().map(PackedCiphertext::from).collect();
    let bytes = wire::to_bytes(&EncryptedOutput { ciphertexts }).unwrap();
    tiny::WORLD.client.decrypt(program, &bytes).unwrap()
}

/// The whole way: 2 |0.01 + 0.01| in units of the table.
fn whole() -> Vec<(Operation, Vec<usize>)> {
    vec![
        (identity(0), vec![0]),
        (to_lwe(place(0), 0), vec![1]),
        (look_up(0), vec![2]),
        (to_ckks(vec![place(3)]), vec![3]),
        (Operation::Add, vec![4, 4]),
    ]
}

#[test]
fn a_program_that_fits_runs_on_both() {
    let program = program(whole());
    let clear = run_clear(&program).unwrap();
    // coefficient 0 is 0.01 (the neighbour from below wraps to a zero), then the table, twice
    let expected = 2.0 * (0.01 / TABLE.input * TABLE.output - TABLE.offset());
    assert!((clear[0][3] - expected).abs() < 1e-12);
    assert!(clear[0][4].is_nan());
    assert_eq!(run_encrypted(&program).unwrap().len(), 1);
}

#[test]
fn without_steps_the_input_is_the_output() {
    let program = program(vec![]);
    assert_eq!(run_clear(&program).unwrap()[0][..3], [0.01, 0.02, 0.0]);
    assert_eq!(run_encrypted(&program).unwrap().len(), 1);
}

#[test]
fn registers_without_what_a_step_needs_are_refused() {
    let ring = |steps: Vec<(Operation, Vec<usize>)>| (steps, 0);
    let after = |step: (Operation, Vec<usize>)| {
        let mut steps = whole();
        steps[4] = step;
        (steps, 4)
    };
    let cases = [
        ring(vec![(identity(0), vec![1])]), // its own output
        ring(vec![(identity(0), vec![99])]),
        ring(vec![(look_up(0), vec![0])]),
        ring(vec![(to_ckks(vec![place(0)]), vec![0])]),
        ring(vec![(Operation::Add, vec![0])]),
        ring(vec![(Operation::Add, vec![])]),
        after((identity(0), vec![3])),
        after((to_lwe(place(0), 0), vec![3])),
        after((look_up(0), vec![4])),
        after((to_ckks(vec![place(0)]), vec![2])),
        after((Operation::Add, vec![4, 3])),
    ];
    for (number, (steps, at)) in cases.into_iter().enumerate() {
        let program = program(steps);
        let clear = run_clear(&program);
        let refused = matches!(&clear, Err(ExecuteError::Register { index, .. }) if *index == at);
        assert!(refused, "case {number}: {clear:?}");
        let error = run_encrypted(&program).unwrap_err();
        assert!(matches!(&error, ExecuteError::Register { index, .. } if *index == at));
        assert!(error.to_string().contains(&format!("step {at} (stage {at})")));
    }
}

#[test]
fn terms_of_registers_that_a_step_does_not_read_are_refused() {
    let steps = vec![(identity(0), vec![])];
    let clear = run_clear(&program(steps.clone()));
    assert!(matches!(clear, Err(ExecuteError::Step { index: 0, .. })), "{clear:?}");
    assert_eq!(refused(steps, 0), RunError::MissingCiphertext { index: 0, count: 0 });
}

/// Two values through two tables, one of them packed twice.
#[test]
fn each_table_takes_its_share_and_a_sample_can_go_to_several_places() {
    let identity = Table { function: Function::Identity, ..TABLE };
    let placements = [(0, 0), (1, 1), (1, 2)];
    let placement = |(element, coefficient)| Placement { element, place: place(coefficient) };
    let packing = Operation::ToCkks {
        placements: placements.map(placement).to_vec(),
        ciphertexts: 1,
        zeroed: true,
    };
    let tables = vec![(1, identity), (1, TABLE)];
    let steps = vec![
        (Operation::ToLwe { places: vec![place(0), place(1)], key: 0 }, vec![0]),
        (Operation::Lut { tables, key: 0 }, vec![1]),
        (packing, vec![2]),
    ];
    let mut program = program(steps);
    program.output = vec![place(0), place(1), place(2), place(3)];
    let second = 0.02 / TABLE.input * TABLE.output - TABLE.offset();
    let expected = [0.01 / TABLE.input * TABLE.output, second, second, 0.0];
    let (clear, encrypted) = (run_clear(&program).unwrap(), opened(&program));
    for (index, expected) in expected.into_iter().enumerate() {
        assert!((clear[0][index] - expected).abs() < 1e-12);
        let found = encrypted[index] * 0.01; // units to turns
        assert!((found - expected).abs() < 5e-4, "{index}: {found} for {expected}");
    }
}

#[test]
fn ciphertexts_that_nothing_is_packed_into_are_zero() {
    let mut steps = whole();
    let far = Place { ciphertext: 2, coefficient: 3 };
    steps[3].0 = Operation::ToCkks { placements: placed(vec![far]), ciphertexts: 4, zeroed: true };
    steps.truncate(4);
    let mut program = program(steps);
    assert_eq!(run_clear(&program).unwrap().len(), 4);
    program.output = (0..4).map(|ciphertext| Place { ciphertext, coefficient: 3 }).collect();
    for (index, value) in opened(&program).into_iter().enumerate() {
        let expected = if index == 2 { 0.2 - TABLE.offset() / 0.01 } else { 0.0 };
        assert!((value - expected).abs() < 0.05, "ciphertext {index}: {value} for {expected}");
    }
}

#[test]
fn a_later_reader_keeps_a_register() {
    let mut steps = whole();
    steps[4].1 = vec![4, 1];
    assert!(run_clear(&program(steps.clone())).is_ok());
    assert!(run_encrypted(&program(steps)).is_ok());
}

#[test]
fn an_output_that_is_no_ring_value_is_refused() {
    let mut program = program(whole()[..3].to_vec());
    assert!(matches!(run_clear(&program), Err(ExecuteError::NoOutput)));
    assert!(matches!(run_encrypted(&program), Err(ExecuteError::NoOutput)));
    program.steps = self::program(whole()).steps;
    program.steps[4].output = Register(50); // no such register
    assert!(matches!(run_clear(&program), Err(ExecuteError::NoOutput)));
    assert!(matches!(run_encrypted(&program), Err(ExecuteError::NoOutput)));
}

#[test]
fn clear_refuses_places_that_do_not_exist() {
    let outside = Place { ciphertext: 0, coefficient: 512 };
    let missing = Place { ciphertext: 1, coefficient: 0 };
    let refused = |program: &Program| match run_clear(program) {
        Err(ExecuteError::Step { index, source, .. }) => (index, source.coefficient),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&program(vec![(to_lwe(outside, 0), vec![0])])), (0, 512));
    assert_eq!(refused(&program(vec![(to_lwe(missing, 0), vec![0])])), (0, 0));
    assert_eq!(refused(&program(vec![(identity(1), vec![0])])), (0, 0));
    let mut steps = whole();
    steps[3].0 = to_ckks(vec![outside]);
    assert_eq!(refused(&program(steps)), (3, 512));
    let mut far = program(whole());
    if let Operation::Linear(map) = &mut far.steps[0].operation {
        map.outputs[0].coefficients[0] = 600;
    }
    assert_eq!(refused(&far), (0, 600));
    far.output[0] = outside;
    far.steps.clear();
    let error = clear::evaluate(&far, &[0.0, 0.0]).unwrap_err();
    assert!(matches!(error, ExecuteError::Input(_)));
    far.input[0].place = outside;
    let error = clear::evaluate(&far, &[0.0, 0.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input or output: the program reads ciphertext 0, coefficient 512, which does not exist"
    );
}

fn refused(steps: Vec<(Operation, Vec<usize>)>, at: usize) -> RunError {
    match run_encrypted(&program(steps)) {
        Err(ExecuteError::Step { index, source, .. }) if index == at => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn encrypted_refuses_what_its_keys_and_rings_do_not_have() {
    let missing = Place { ciphertext: 7, coefficient: 0 };
    let absent = RunError::MissingCiphertext { index: 7, count: 1 };
    assert_eq!(refused(vec![(identity(7), vec![0])], 0), absent);
    assert_eq!(refused(vec![(to_lwe(missing, 0), vec![0])], 0), absent);
    let outside = BridgeError::Position { position: 512, dimension: 512 };
    assert_eq!(refused(vec![(to_lwe(place(512), 0), vec![0])], 0), RunError::Bridge(outside));
    let no_key = RunError::Bridge(BridgeError::MissingBootstrapKey { index: 2, count: 2 });
    assert_eq!(refused(vec![(to_lwe(place(0), 2), vec![0])], 0), no_key);
    let mut steps = whole();
    steps[2].0 = look_up(2);
    assert_eq!(refused(steps, 2), no_key);
}

#[test]
fn encrypted_refuses_samples_that_a_step_cannot_take() {
    let replaced = |at: usize, operation: Operation| {
        let mut steps = whole();
        steps[at].0 = operation;
        refused(steps, at)
    };
    // samples for the table key with 512 entries, given to the one with 256
    let RunError::Bridge(BridgeError::Tfhe(error)) = replaced(2, look_up(1)) else { panic!() };
    assert!(matches!(error, TfheError::Dimension { expected: 9, found: 10, .. }), "{error:?}");
    let beyond = Table { output: 5.0, input: 0.05, ..TABLE };
    let RunError::Bridge(BridgeError::Tfhe(error)) =
        replaced(2, Operation::Lut { tables: vec![(1, beyond)], key: 0 })
    else {
        panic!()
    };
    assert!(matches!(error, TfheError::TableRange { .. }), "{error:?}");
    for count in [2, usize::MAX] {
        let tables = vec![(1, TABLE), (count, TABLE)];
        let error = replaced(2, Operation::Lut { tables, key: 0 });
        let RunError::Bridge(BridgeError::Tfhe(error)) = error else { panic!("{error:?}") };
        assert!(matches!(error, TfheError::Dimension { found: 1, .. }), "{error:?}");
    }
    let missing = BridgeError::SampleIndex { index: 1, count: 1 };
    assert_eq!(replaced(3, to_ckks(vec![place(0), place(1)])), RunError::Bridge(missing));
    let none = Operation::ToLwe { places: vec![], key: 0 };
    let mut steps = whole();
    steps[1].0 = none;
    assert_eq!(refused(steps, 2), RunError::Bridge(TfheError::EmptyBatch.into()));
}

#[test]
fn encrypted_refuses_two_samples_for_one_coefficient() {
    let mut steps = whole();
    steps[1].0 = Operation::ToLwe { places: vec![place(0), place(1)], key: 0 };
    steps[3].0 = to_ckks(vec![place(5), place(5)]);
    let double = BridgeError::DuplicatePosition { position: 5 };
    assert_eq!(refused(steps, 3), RunError::Bridge(double));
}

#[test]
fn encrypted_refuses_weights_and_scales_that_do_not_fit() {
    let mut wrong = program(vec![(identity(0), vec![0])]);
    if let Operation::Linear(map) = &mut wrong.steps[0].operation {
        map.outputs[0].terms[0].weights = vec![(1024, 1)]; // exponents count modulo 2N = 1024
    }
    assert!(matches!(
        run_encrypted(&wrong),
        Err(ExecuteError::Step { source: RunError::Bridge(BridgeError::Rlwe(_)), .. })
    ));
    // a sum of values at different amplitudes
    let mut steps = whole();
    steps[4].1 = vec![4, 0];
    let mut sum = program(steps);
    sum.steps[3].amplitude = 0.02;
    assert!(matches!(
        run_encrypted(&sum),
        Err(ExecuteError::Step {
            index: 4,
            source: RunError::Bridge(BridgeError::Rlwe(RlweError::ScaleMismatch { .. })),
            ..
        })
    ));
}
