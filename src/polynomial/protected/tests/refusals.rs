//! What does not belong together.

use super::*;
use crate::polynomial::PolynomialError;
use crate::polynomial::protected::architecture::{InputLayout, Operation};
use crate::report::protected::{Classifier, Dataset, Part, Source};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::WireError;

fn wire(error: &EdgeError) -> Option<&WireError> {
    match error {
        EdgeError::Wire(error) => Some(error),
        _ => None,
    }
}

#[test]
fn damaged_messages_are_refused() {
    let world = &*WORLD;
    let evaluation = &world.keys.evaluation;
    let read = |network: &[u8]| edge(&world.parameters, network, evaluation).map(drop);
    tiny::refuses_damage(&world.bytes, read, wire);
    let read = |keys: &[u8]| edge(&world.parameters, &world.bytes, keys).map(drop);
    tiny::refuses_damage(evaluation, read, wire);
    let architecture = world.plan.architecture();
    let read = |key: &[u8]| InputEncryptor::new(&world.parameters, architecture, key).map(drop);
    tiny::refuses_damage(&world.keys.public, read, wire);
    let evaluate = |input: &[u8]| world.edge.evaluate(input, &|_| ()).map(drop);
    tiny::refuses_damage(&world.encrypted(1), evaluate, wire);
    let result = world.edge.evaluate(&world.encrypted(1), &|_| ()).unwrap().result;
    let open = |result: &[u8]| world.owner.decrypt(world.plan.architecture(), result).map(drop);
    tiny::refuses_damage(&result, open, |error| match error {
        OwnerError::Wire(error) => Some(error),
        _ => None,
    });
}

#[test]
fn what_is_under_another_key_is_refused() {
    let (world, stranger) = (&*WORLD, &*STRANGER);
    let refused =
        |error: Option<&WireError>| matches!(error, Some(WireError::NotConformant { .. }));
    let error = world.edge.evaluate(&stranger.encrypted(1), &|_| ()).unwrap_err();
    assert!(refused(wire(&error)), "{error}");
    let keys = &stranger.keys.evaluation;
    let error = edge(&world.parameters, &world.bytes, keys).unwrap_err();
    assert!(matches!(error, EdgeError::Key(_)), "{error}");
    assert_eq!(world.encryptor.key(), world.network.key());
    assert_ne!(world.encryptor.key(), stranger.encryptor.key());
    let result = world.edge.evaluate(&world.encrypted(1), &|_| ()).unwrap().result;
    let error = stranger.owner.decrypt(world.plan.architecture(), &result).unwrap_err();
    assert!(matches!(&error, OwnerError::Wire(error) if refused(Some(error))), "{error}");
    let mut mixed = world.network.clone();
    mixed.layers[1] = stranger.network.layers[1].clone();
    let keys = &world.keys.evaluation;
    let error = edge(&world.parameters, &to_bytes(&mixed).unwrap(), keys).unwrap_err();
    assert!(refused(wire(&error)), "{error}");
}

/// Each change to an architecture that its checks must find, before anything is computed.
#[test]
fn architectures_that_do_not_fit_are_refused() {
    let world = &*WORLD;
    let good = world.plan.architecture();
    let changed = |change: &dyn Fn(&mut Architecture)| {
        let mut architecture = good.clone();
        change(&mut architecture);
        assert!(architecture.check().is_err());
        let network = ProtectedNetwork { architecture, ..world.network.clone() };
        let bytes = to_bytes(&network).unwrap();
        let error = edge(&world.parameters, &bytes, &world.keys.evaluation).unwrap_err();
        assert!(matches!(wire(&error), Some(WireError::NotConformant { .. })), "{error}");
    };
    let linear = |architecture: &mut Architecture, change: &dyn Fn(&mut architecture::Linear)| {
        if let Operation::Linear(linear) = &mut architecture.steps[0].operation {
            change(linear);
        }
    };
    changed(&|a| a.inputs += 1);
    changed(&|a| a.output[0].slot = 1 << 20);
    changed(&|a| a.output[0].ciphertext = 7);
    changed(&|a| a.factor = f64::INFINITY);
    changed(&|a| a.log_scale = 100);
    changed(&|a| a.steps[1].input = 9);
    changed(&|a| a.steps[1].level = 9);
    changed(&|a| a.steps[2].level = 0);
    changed(&|a| a.steps[1].operation = Operation::Sum(vec![1 << 20]));
    changed(&|a| a.steps[1].operation = Operation::Add(5));
    changed(&|a| a.layout = InputLayout::Places { places: vec![], period: 3 });
    changed(&|a| linear(a, &|l| l.outputs = 0));
    changed(&|a| linear(a, &|l| l.outputs = 2));
    changed(&|a| linear(a, &|l| l.terms.swap(0, 1)));
    changed(&|a| linear(a, &|l| l.terms[0].input = 99));
    changed(&|a| linear(a, &|l| l.folds[0] = 1 << 20));
    changed(&|a| {
        if let InputLayout::Tiled(tiling) = &mut a.layout {
            tiling.block = 3;
        }
    });
}

#[test]
fn networks_of_other_counts_or_parameters_are_refused() {
    let world = &*WORLD;
    let refused = |network: &ProtectedNetwork, parameters: &Parameters| {
        let bytes = to_bytes(network).unwrap();
        let error = edge(parameters, &bytes, &world.keys.evaluation).unwrap_err();
        assert!(matches!(wire(&error), Some(WireError::NotConformant { .. })), "{error}");
    };
    let mut fewer = world.network.clone();
    fewer.layers.pop();
    refused(&fewer, &world.parameters);
    let mut fewer = world.network.clone();
    fewer.layers[0].weights.pop();
    refused(&fewer, &world.parameters);
    let mut swapped = world.network.clone();
    swapped.layers[0].biases[0] = world.network.layers[0].weights[0].clone();
    refused(&swapped, &world.parameters);
    let mut literal = world.parameters.literal().clone();
    literal.digits = 1;
    let other = Parameters::insecure_unchecked(literal).unwrap();
    refused(&world.network, &other);
    let architecture = world.plan.architecture();
    let stranger = Owner::new(&other, &mut tiny::rng(4)).unwrap();
    let error = stranger.publish_keys(architecture, &mut tiny::rng(4)).unwrap_err();
    assert!(matches!(error, OwnerError::Architecture { .. }), "{error}");
    let error = stranger.protect(world.plan.plain(), &mut tiny::rng(4), &|| ()).unwrap_err();
    assert!(matches!(error, OwnerError::Architecture { .. }), "{error}");
    let error = InputEncryptor::new(&other, architecture, &world.keys.public).unwrap_err();
    assert!(matches!(error, EdgeError::Architecture { .. }), "{error}");
}

#[test]
fn inputs_and_networks_that_do_not_fit_are_refused() {
    let world = &*WORLD;
    let size = EdgeError::InputSize { expected: 70, found: 69 };
    let error = world.encryptor.encrypt(&[0.5; 69], &mut tiny::rng(1)).unwrap_err();
    assert_eq!(error, size);
    assert_eq!(world.edge.evaluate_clear(&[0.5; 69], &|_| ()).unwrap_err(), size);
    let error = world.encryptor.encrypt(&[f64::NAN; 70], &mut tiny::rng(1)).unwrap_err();
    assert!(matches!(error, EdgeError::Ckks(_)), "{error}");
    let graph = classifier();
    let none = Plan::insecure(&graph, &replacement("square"), &[], |levels| choice(levels, 36));
    assert!(matches!(none, Err(PlanError::Network(PolynomialError::NoSamples))));
    let nothing = Graph::new("input", Shape::Vector(4)).unwrap();
    let samples = [tiny::image(Shape::Vector(4), 1)];
    let none = Plan::insecure(&nothing, &replacement("square"), &samples, |l| choice(l.max(1), 36));
    assert!(matches!(none, Err(PlanError::Network(PolynomialError::Unsupported { .. }))));
}

/// Keys of a network that rotates less.
#[test]
fn missing_keys_are_found_before_anything_runs() {
    let world = &*WORLD;
    let graph = tiny::chain(Shape::Vector(70), vec![Operator::Dense(tiny::dense(5, 70, 2))]);
    let other = plan(&graph.unwrap(), &replacement("square2x"));
    let mut architecture = other.architecture().clone();
    architecture.parameters = world.plan.architecture().parameters.clone();
    let keys = world.owner.publish_keys(&architecture, &mut tiny::rng(1)).unwrap();
    let error = edge(&world.parameters, &world.bytes, &keys.evaluation).unwrap_err();
    assert!(matches!(error, EdgeError::Ckks(_)), "{error}");
}

/// Plain networks whose numbers do not fit, or of less security than asked for.
#[test]
fn plain_networks_that_do_not_fit_are_refused() {
    let classifier = Classifier::new(Dataset::Mnist, Part::LastLayer, &Source::default(), 2);
    let Classifier { graph, inputs } = classifier.unwrap();
    let settings = Settings::default();
    let plan = Plan::new(&graph, &replacement("square2x"), &settings, &inputs).unwrap();
    let open =
        |network: &PlainNetwork, level| PlainNetwork::open(&to_bytes(network).unwrap(), level);
    let read = |plain: &[u8]| PlainNetwork::open(plain, SecurityLevel::Bits128).map(drop);
    tiny::refuses_damage(&to_bytes(plan.plain()).unwrap(), read, |error| Some(error));
    let refused = |network: &PlainNetwork, level, words: &str| {
        let error = open(network, level).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(plan.plain(), SecurityLevel::Bits192, "128 bits of security where 192");
    let changed = |change: &dyn Fn(&mut PlainNetwork), words: &str| {
        let mut network = plan.plain().clone();
        change(&mut network);
        refused(&network, SecurityLevel::Bits128, words);
    };
    changed(&|n| n.architecture.security = SecurityLevel::Bits256, "256");
    changed(&|n| n.architecture.inputs += 1, "inputs");
    changed(&|n| drop(n.weights.pop()), "weights of 0 layers");
    changed(&|n| drop(n.weights[0].biases.pop()), "diagonals and biases");
    changed(&|n| n.weights[0].diagonals[0].push(Default::default()), "slots");
    changed(&|n| n.weights[0].diagonals[0][0].im = f64::NAN, "not finite");
}
