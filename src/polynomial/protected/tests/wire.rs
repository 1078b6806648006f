//! What is stored and sent.

use super::*;
use crate::model::Dense;
use bellerophon_schemes::wire::HEADER_BYTES;
use ndarray::{Array1, Array2};
use zeroize::Zeroizing;

/// The SHA-256 of a message's body, which its header holds.
fn digest(bytes: &[u8]) -> String {
    bytes[16..HEADER_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The wire formats: a change of these needs another kind or version. Zeros are encoded alike on every
/// processor, however it rounds.
#[test]
fn formats_are_the_known_ones() {
    let zero = |outputs, inputs| {
        Operator::Dense(Dense {
            weights: Array2::zeros((outputs, inputs)),
            bias: Array1::zeros(outputs),
        })
    };
    let operators = vec![zero(12, 70), Operator::RELU, zero(5, 12)];
    let graph = tiny::chain(Shape::Vector(70), operators).unwrap();
    let world = World::new(&graph, &replacement("square"), 5);
    let input = world.encryptor.encrypt(&[0.0; 70], &mut tiny::rng(6)).unwrap();
    let PublishedKeys { public, evaluation } = &world.keys;
    let plain = to_bytes(world.plan.plain()).unwrap();
    let found = [&world.bytes, public, evaluation, &input, &plain].map(|bytes| digest(bytes));
    assert_eq!(found, KNOWN);
}

const KNOWN: [&str; 5] = [
    "556e24fdb7da9d5ad765b4664649aacd7fe11178ab70ec442cfa405e2ca55c5e",
    "5e325c09ba930f5cf436d36d050e58e01fa233c798e85581047cfa2aa929b5c1",
    "072104adfaea9cf58a08ab45b5ec563697fa27f1b4621c8e3d0bdc56e5ac702e",
    "32f12b13f1233a47a76fd11d20b246cd7ecf1bd64433505031d0b622576b2aea",
    "1a4a3a54f3fc7f535a924b3b3b144f9b9cf497502c9bb8c59c50e980f35e7e64",
];

#[test]
fn a_secret_survives_its_export() {
    let world = &*WORLD;
    let secret: Zeroizing<[u8; owner::SECRET_BYTES]> = world.owner.secret().clone();
    let restored = Owner::from_secret(&world.parameters, secret).unwrap();
    assert_eq!(restored.key(), world.owner.key());
    let evaluation = world.edge.evaluate(&world.encrypted(2), &|_| ()).unwrap();
    let found = restored.decrypt(world.plan.architecture(), &evaluation.result).unwrap();
    assert_eq!(found, world.open(&evaluation));
}

/// No secret and no weight is in anything that leaves the owner, nor in what is printed.
#[test]
fn nothing_of_the_owner_leaves_it() {
    let world = &*WORLD;
    let secret = world.owner.secret().as_slice();
    let contains = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|w| w == part);
    let PublishedKeys { public, evaluation } = &world.keys;
    for bytes in [&world.bytes, public, evaluation, &world.encrypted(1)] {
        assert!(!contains(bytes, secret));
        for weight in tiny::dense(12, 70, 2).weights.iter().take(200) {
            assert!(!contains(bytes, &weight.to_le_bytes()));
        }
    }
    let printed = format!("{:?}", world.owner);
    assert!(printed.len() < 100, "{printed}");
    let printed = format!("{:?}", world.plan.plain().weights);
    assert!(printed.len() < 100, "{printed}");
}
