//! The keys of every preset: what they are worth and what they weigh.

use crate::network::{Network, digits};
use bellerophon::client::Client;
use bellerophon::compile::{Compiled, Options, Preset};
use bellerophon::server::{Server, ServerError};
use bellerophon_bridge::{self as bridge, Assumptions};
use bellerophon_schemes::security::{LweInstance, SecurityLevel};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

const MEBIBYTE: usize = 1 << 20;

/// Every key that leaves the client, each at 128 bits or more by a named source.
fn walk(parameters: &bridge::Parameters, instances: &[(String, LweInstance)]) {
    let packing = parameters.ring().dimension().ilog2() as usize;
    let conservative = usize::from(parameters.assumptions() == Assumptions::Conservative);
    // fresh ciphertexts, the ring switch, packing, tables, and the switch from the GLWE secret
    let expected = 1 + 1 + packing + parameters.bootstraps().len() + conservative;
    assert_eq!(instances.len(), expected);
    for (name, instance) in instances {
        let estimate = instance.estimate();
        assert!(estimate.bits >= 128, "{name}: {} bits, {instance:?}", estimate.bits);
        assert!(instance.require(SecurityLevel::Bits128).is_ok(), "{name}");
        assert!(!estimate.source.is_empty(), "{name}");
        assert!(instance.dimension >= 450 && instance.log2_std < -10.0, "{name}: {instance:?}");
    }
}

/// A client's half of a preset, and the server that its keys make.
fn keys_are_secure_and_small(preset: Preset) {
    let Compiled { program, parameters, .. } = Network::load().compiled(preset);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let client = Client::new(parameters.clone(), &mut rng).unwrap();
    let published = client.publish_keys(&mut rng).unwrap();
    walk(&parameters, &published.instances);
    let wire = published.bytes.len();
    assert!(wire <= 64 * MEBIBYTE, "{preset}: {wire} bytes on the wire");

    let image: Vec<f64> = digits().padded(32).unwrap().remove(0).into_iter().collect();
    let input = client.encrypt(&program, &image, &mut rng).unwrap();
    assert!(input.len() <= 32 << 10, "{preset}: an input of {} bytes", input.len());

    // the server's half needs bytes that anyone may see, and nothing else
    type Build = fn(
        &bridge::Parameters,
        bellerophon::compile::Program,
        &[u8],
    ) -> Result<Server, ServerError>;
    let build: Build = Server::new;
    let memory = build(&parameters, program, &published.bytes).unwrap().key_bytes();
    assert!(memory <= 250 * MEBIBYTE, "{preset}: {memory} bytes in memory");
    println!("{preset}: {wire} bytes on the wire, {memory} in memory, input {}", input.len());
}

#[test]
fn keys_of_fast_are_secure_and_small() {
    keys_are_secure_and_small(Preset::Fast);
}

#[test]
fn keys_of_balanced_are_secure_and_small() {
    keys_are_secure_and_small(Preset::Balanced);
}

#[test]
fn keys_of_precise_are_secure_and_small() {
    keys_are_secure_and_small(Preset::Precise);
}

/// Without the partial and the shared secret.
#[test]
fn keys_of_a_conservative_balanced_are_secure() {
    let options = Options { assumptions: Assumptions::Conservative, ..Options::default() };
    let parameters = Network::load().model.compile(&options).unwrap().parameters;
    assert_eq!(parameters.assumptions(), Assumptions::Conservative);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let client = Client::new(parameters.clone(), &mut rng).unwrap();
    walk(&parameters, &client.publish_keys(&mut rng).unwrap().instances);
}

#[test]
fn weaker_variants_of_every_preset_are_refused() {
    let network = Network::load();
    for preset in Preset::ALL {
        let literal = network.compiled(preset).program.parameters;
        let refused = |change: &dyn Fn(&mut bridge::ParametersLiteral), level| {
            let mut literal = literal.clone();
            change(&mut literal);
            let error = bridge::Parameters::new(literal, level).unwrap_err().to_string();
            assert!(error.contains("bits"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        };
        refused(&|_| (), SecurityLevel::Bits192);
        refused(&|literal| literal.lwe_dimension = 400, SecurityLevel::Bits128);
        refused(&|literal| literal.assumptions = Assumptions::Conservative, SecurityLevel::Bits192);
    }
}
