//! Programs that cannot be protected, and files, keys and inputs that a server refuses.

use super::*;
use crate::compile::{CompileError, Form, Function, Model, Operation, Place, Register, Slopes};
use crate::message::MESSAGE_LIMIT;
use crate::model::{Operator, ParametricRelu, Shape};
use crate::protect::model::SeededLinear;
use crate::server::ServerError;
use crate::tiny::{ELSEWHERE, STRANGER};
use bellerophon_bridge::BridgeError;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::{Conformant, HEADER_BYTES, WireError, to_bytes};
use ndarray::Array1;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn wire_error(error: &WireError) -> Option<&WireError> {
    Some(error)
}

fn reason(error: WireError) -> String {
    match error {
        WireError::NotConformant { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn damaged_models_and_public_keys_are_refused() {
    let deployed = &*DEPLOYED;
    let bytes = deployed.model.to_bytes().unwrap();
    let read = |bytes: &[u8]| ProtectedModel::from_bytes(bytes, &deployed.parameters).map(drop);
    tiny::refuses_damage(&bytes, read, wire_error);
    assert!(matches!(read(&WORLD.keys), Err(WireError::Kind { found: 3, .. })));
    let key = deployed.client.publish_encryption_key(&mut tiny::rng(1)).unwrap();
    let layout = deployed.model.input_layout();
    let encryptor = |bytes: &[u8]| match Encryptor::new(&deployed.parameters, layout.clone(), bytes)
        .map(drop)
    {
        Err(EncryptorError::Wire(error)) => Err(error),
        Ok(()) => Ok(()),
        Err(other) => panic!("{other:?}"),
    };
    tiny::refuses_damage(&key, encryptor, wire_error);
    let error = Encryptor::new(&ELSEWHERE.parameters, layout.clone(), &key).unwrap_err();
    assert!(matches!(error, EncryptorError::Wire(WireError::NotConformant { .. })), "{error:?}");
    // a layout of another ring
    let other = ELSEWHERE.program.input_layout();
    let (bytes, small) = (to_bytes(&layout).unwrap(), &deployed.parameters);
    assert_eq!(crate::input::InputLayout::from_bytes(&bytes, small).unwrap(), layout);
    let mut far = WORLD.program.clone();
    far.input[3].place = Place { ciphertext: usize::MAX, coefficient: 0 };
    for layout in [other, far.input_layout()] {
        let result = Encryptor::new(&deployed.parameters, layout.clone(), &key);
        if result.is_ok() {
            assert!(layout.conforms(small).is_ok());
            continue;
        }
        assert!(matches!(result, Err(EncryptorError::Wire(WireError::NotConformant { .. }))));
    }
}

#[test]
fn damaged_inputs_and_those_under_other_keys_are_refused() {
    let deployed = &*DEPLOYED;
    let input = deployed.encrypted(&WORLD.image(1), 1);
    let read = |bytes: &[u8]| deployed.server.read_input(bytes).map(drop);
    tiny::refuses_damage(&input, read, |error| match error {
        ServerError::Wire(error) => Some(error),
        _ => None,
    });
    // both forms of an input, under the secret of another owner
    let key = STRANGER.client.publish_encryption_key(&mut tiny::rng(2)).unwrap();
    let layout = deployed.model.input_layout();
    let stranger = Encryptor::new(&deployed.parameters, layout, &key).unwrap();
    let public = stranger.encrypt(&WORLD.image(1), &mut tiny::rng(3)).unwrap();
    for input in [public, STRANGER.encrypted_image(1)] {
        let error = read(&input).unwrap_err();
        assert!(matches!(error, ServerError::Bridge(BridgeError::Key(_))), "{error:?}");
    }
    for found in [0, 63, 65] {
        let error = deployed.encryptor.encrypt(&vec![0.5; found], &mut tiny::rng(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the image has {found} values, the program reads 64")
        );
    }
    assert_eq!(
        (deployed.encryptor.elements(), deployed.encryptor.key()),
        (64, deployed.model.key())
    );
    assert!((input.len() as u64) < MESSAGE_LIMIT);
}

#[test]
fn models_and_keys_that_do_not_belong_together_are_refused() {
    let deployed = &*DEPLOYED;
    let serve = |parameters, keys| {
        ProtectedServer::protected(parameters, &deployed.model, keys, None).map(drop).unwrap_err()
    };
    let error = serve(&deployed.parameters, &STRANGER.keys);
    assert!(matches!(error, ServerError::Bridge(BridgeError::Key(_))), "{error:?}");
    let error = serve(&ELSEWHERE.parameters, &ELSEWHERE.keys);
    assert_eq!(
        error.to_string(),
        "the program does not fit these keys: it was made for other parameters"
    );
    let bytes = deployed.model.to_bytes().unwrap();
    let error = ProtectedModel::from_bytes(&bytes, &ELSEWHERE.parameters).unwrap_err();
    assert_eq!(reason(error), "it was made for other parameters");
    // its parameters are not secure
    for level in [SecurityLevel::Bits128, SecurityLevel::Bits192, SecurityLevel::Bits256] {
        let reason = reason(ProtectedModel::open(&bytes, level).unwrap_err());
        assert!(reason.contains("bits of security"), "{reason}");
    }
    let error = STRANGER.client.protect(&ELSEWHERE.program, &mut tiny::rng(1)).unwrap_err();
    assert!(matches!(error, ProtectError::Program { .. }), "{error:?}");
}

#[test]
fn learned_slopes_are_refused() -> Result<(), CompileError> {
    let slopes = Array1::from_vec(vec![0.5, -0.25]);
    let layers = vec![
        Operator::Convolution(tiny::convolution(2, 1, 3, 1)),
        Operator::ParametricRelu(ParametricRelu { slopes }),
    ];
    let graph = tiny::chain(Shape::image(1, 6, 6), layers).unwrap();
    let program = tiny::compiled(&graph, &tiny::settings(9))?;
    let error = WORLD.client.protect(&program, &mut tiny::rng(1)).unwrap_err();
    let expected =
        ProtectError::LearnedFunctions { stage: "ParametricRelu1".to_owned(), functions: 2 };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("such slopes are learned"));
    // as weights they are encrypted like all others
    let form = Form { slopes: Slopes::Weights, ..Form::default() };
    let images = (0..4).map(|seed| tiny::image(graph.input_shape(), seed));
    let model = Model::with_form(graph.clone(), form)?.calibrate(images)?;
    let program = tiny::lowered(&model, &tiny::settings(9))?;
    let image: Vec<f64> = tiny::image(graph.input_shape(), 1).into_iter().collect();
    Deployed::new(&WORLD.parameters, program, 6).assert_agrees(&image, "slopes as weights");
    Ok(())
}

type Change = fn(&mut Program<SeededLinear>);

fn linear(program: &mut Program<SeededLinear>) -> &mut SeededLinear {
    match &mut program.steps[0].operation {
        Operation::Linear(map) => map,
        _ => panic!("the first step is no layer"),
    }
}

fn step_of(
    program: &mut Program<SeededLinear>,
    of: fn(&Operation<SeededLinear>) -> bool,
) -> &mut Operation<SeededLinear> {
    let step = program.steps.iter_mut().find(|step| of(&step.operation));
    &mut step.unwrap().operation
}

/// What a forger could write into the architecture; each has its words.
const CHANGES: &[(&str, Change)] = &[
    ("other parameters", |p| p.parameters.lwe_dimension = 47),
    ("has no amplitude", |p| p.input_amplitude = f64::NAN),
    ("has no amplitude", |p| p.steps[2].amplitude = -1.0),
    ("ciphertext", |p| p.input[0].place.ciphertext = usize::MAX - 1),
    ("coefficient 512", |p| p.input[0].place.coefficient = 512),
    ("element 64", |p| p.input[0].element = 64),
    ("written twice", |p| p.input[1].place = p.input[0].place),
    ("ciphertext 1 of 1", |p| p.output[0].ciphertext = 1),
    ("coefficient", |p| p.output[0].coefficient = usize::MAX),
    ("nothing was written to", |p| p.steps[1].inputs[0] = Register(99)),
    ("nothing was written to", |p| p.steps[1].inputs[0] = Register(2)),
    ("writes register", |p| p.steps[1].output = Register(usize::MAX)),
    ("of input 0", |p| p.steps[1].inputs.clear()),
    ("without an output", |p| p.steps.truncate(3)),
    ("reads ciphertext 7", |p| linear(p).outputs[0].terms[0].ciphertext = 7),
    ("of input 3", |p| linear(p).outputs[0].terms[0].register = 3),
    ("a sum of nothing", |p| linear(p).outputs[0].terms.clear()),
    ("coefficient 512", |p| linear(p).outputs[0].coefficients[0] = 512),
    ("ciphertext", |p| linear(p).outputs.truncate(1)),
    ("it makes", |p| {
        let output = linear(p).outputs[0].clone();
        // no more terms than it takes: the count is what is refused
        linear(p).outputs = vec![output; 4097];
    }),
    ("biases for", |p| {
        if let Operation::Combine(map) = step_of(p, |o| matches!(o, Operation::Combine(_))) {
            map.outputs[0].biases.clear();
        }
    }),
    ("a turn", |p| {
        if let Operation::Combine(map) = step_of(p, |o| matches!(o, Operation::Combine(_))) {
            map.outputs[0].biases[0] = f64::NAN;
        }
    }),
    ("outside the ring", |p| {
        if let Operation::Combine(map) = step_of(p, |o| matches!(o, Operation::Combine(_))) {
            map.outputs[0].terms[0].weights[0].0 = 1024;
        }
    }),
    ("bootstrapping key", |p| {
        if let Operation::ToLwe { key, .. } = step_of(p, |o| matches!(o, Operation::ToLwe { .. })) {
            *key = 9;
        }
    }),
    ("samples for key", |p| {
        if let Operation::Lut { key, .. } = step_of(p, |o| matches!(o, Operation::Lut { .. })) {
            *key = 1 - *key;
        }
    }),
    ("tables are not for", |p| {
        if let Operation::Lut { tables, .. } = step_of(p, |o| matches!(o, Operation::Lut { .. })) {
            tables[0].0 = usize::MAX;
        }
    }),
    ("tables are not for", |p| {
        if let Operation::Lut { tables, .. } = step_of(p, |o| matches!(o, Operation::Lut { .. })) {
            tables.clear();
        }
    }),
    ("a table from", |p| {
        if let Operation::Lut { tables, .. } = step_of(p, |o| matches!(o, Operation::Lut { .. })) {
            tables[0].1.start = f64::INFINITY;
        }
    }),
    ("a table from", |p| {
        if let Operation::Lut { tables, .. } = step_of(p, |o| matches!(o, Operation::Lut { .. })) {
            tables[0].1.function = Function::Polynomial(vec![f64::NAN]);
        }
    }),
    ("ciphertexts", |p| {
        if let Operation::ToCkks { ciphertexts, .. } =
            step_of(p, |o| matches!(o, Operation::ToCkks { .. }))
        {
            *ciphertexts = usize::MAX;
        }
    }),
    ("does not exist", |p| {
        if let Operation::ToCkks { placements, .. } =
            step_of(p, |o| matches!(o, Operation::ToCkks { .. }))
        {
            placements[0].element = usize::MAX;
        }
    }),
];

#[test]
fn forged_architectures_are_refused() {
    let deployed = &*DEPLOYED;
    for (index, (words, change)) in CHANGES.iter().enumerate() {
        let mut model = deployed.model.clone();
        change(&mut model.program);
        let Err(reason) = model.conforms(&deployed.parameters) else {
            panic!("case {index} ({words}) was accepted");
        };
        assert!(reason.contains(words), "case {index}: {reason}");
        assert!(!reason.contains('\n'));
    }
}

#[test]
fn forged_ciphertexts_are_refused() {
    let (deployed, mut rng) = (&*DEPLOYED, tiny::rng(8));
    let stranger = STRANGER.client.protect(&WORLD.program, &mut rng).unwrap();
    let mut weights = deployed.model.clone();
    let mut biases = deployed.model.clone();
    let mut key = deployed.model.clone();
    let mut foreign = stranger.program;
    linear(&mut weights.program).outputs[0].terms = linear(&mut foreign).outputs[0].terms.clone();
    linear(&mut biases.program).outputs[1].biases = linear(&mut foreign).outputs[1].biases.clone();
    key.key = stranger.key;
    for model in [weights, biases, key] {
        let reason = model.conforms(&deployed.parameters).unwrap_err();
        assert!(reason.contains("key"), "{reason}");
    }
}

/// The bytes with a body that was changed on purpose, checksum and all.
fn forge(bytes: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let (header, body) = bytes.split_at(HEADER_BYTES);
    let mut body = body.to_vec();
    change(&mut body);
    [&header[..16], &Sha256::digest(&body)[..], &body].concat()
}

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| DEPLOYED.model.to_bytes().unwrap());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever a forger writes, reading does not panic, and what is accepted runs or says why not.
    #[test]
    fn forged_bodies_never_panic(places in prop::collection::vec((0.0..1.0f64, any::<u8>()), 1..4)) {
        let deployed = &*DEPLOYED;
        let bytes = forge(&BYTES, |body| {
            for (at, value) in &places {
                // half of them near the start, where the architecture is
                let at = if *value % 2 == 0 { at.powi(4) } else { *at };
                let at = (at * body.len() as f64) as usize;
                body[at] = *value;
            }
        });
        if let Ok(model) = ProtectedModel::from_bytes(&bytes, &deployed.parameters) {
            let server = Server::protected(&deployed.parameters, &model, &deployed.keys, None);
            if let Ok(server) = server {
                let input = deployed.encrypted(&WORLD.image(1), 1);
                let _ = server.evaluate(&input, false, &|_| ());
            }
        }
    }
}
