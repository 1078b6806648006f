//! What does not belong together is refused with its typed error.

use super::*;
use bellerophon_schemes::math::{MathError, Poly};
use bellerophon_schemes::rlwe::RlweError;
use bellerophon_schemes::tfhe::{LookupTable, TfheError};

#[test]
fn ciphertexts_under_another_secret_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (world, other) in [(&SMALL[0], &SMALL[2]), (&SMALL[3], &SMALL[1])] {
        let foreign = other.encrypt(&[0.1], other.secrets.ring(), &mut rng);
        let Err(BridgeError::Rlwe(RlweError::Key(error))) = world.keys.to_lwe(&foreign, &[0], 9, 1)
        else {
            panic!("a foreign ciphertext was taken");
        };
        assert_eq!(error.expected, world.keys.ring_key());
        assert_eq!(error.found, other.secrets.ring().id());
    }
}

#[test]
fn samples_under_another_secret_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let amplitude = Amplitude::new(1.0);
    for world in &*SMALL {
        let glwe = world.secrets.glwe().id();
        let mut foreign = vec![LweSecretKey::generate(world.dimension(), &mut rng)];
        foreign.push(LweSecretKey::generate(world.parameters.lwe_dimension(), &mut rng));
        for secret in foreign {
            let samples = lwe_samples(&secret, &[0.1], &mut rng);
            assert!(matches!(
                world.keys.to_ckks(&samples, &leaves(0..1, &[0]), false, amplitude),
                Err(BridgeError::Key(error)) if error.expected == glwe && error.found == secret.id()
            ));
        }
        // the small secret's samples must go through a table first
        let samples = lwe_samples(world.secrets.lwe(), &[0.1], &mut rng);
        assert!(matches!(
            world.keys.to_ckks(&samples, &leaves(0..1, &[0]), false, amplitude),
            Err(BridgeError::Key(_))
        ));
        // and bootstrapping takes those only
        let words = vec![0; world.parameters.lwe_dimension() + 1];
        let switched =
            SwitchedLweBatch::new(words.len() - 1, 1, 9, words, world.secrets.glwe().id()).unwrap();
        let table = LookupTable::new(256, -0.25, |x| x).unwrap();
        assert!(matches!(
            world.keys.bootstrap(0).unwrap().bootstrap(&switched, &table, &|_| ()),
            Err(TfheError::Key(_))
        ));
    }
}

#[test]
fn ciphertexts_of_another_ring_or_modulus_are_refused() {
    for world in &*SMALL {
        for change in [
            |literal: &mut ParametersLiteral| literal.modulus_bits = 51,
            |literal: &mut ParametersLiteral| literal.log_dimension += 1,
        ] {
            let mut literal = world.parameters.literal().clone();
            literal.bootstraps.clear();
            change(&mut literal);
            literal.lwe_dimension = 1 << (literal.log_dimension - 1);
            let wrong = Parameters::insecure_unchecked(literal, -28.0, -44.0).unwrap();
            let zero = Poly::zero(wrong.ring());
            let (scale, id) = (world.turn(), world.keys.ring_key());
            let forged = Ciphertext::from_parts(zero.clone(), zero, scale, id).unwrap();
            assert!(matches!(
                world.keys.to_lwe(&forged, &[0], 9, 1),
                Err(BridgeError::Rlwe(RlweError::Math(MathError::RingMismatch { .. })))
            ));
            assert!(world.seeded.expand(&wrong, None).is_err());
        }
    }
}

#[test]
fn samples_of_another_dimension_are_refused() {
    let world = &SMALL[1];
    let words = vec![0; 257];
    let short = LweBatch::new(256, words, world.secrets.glwe().id()).unwrap();
    assert!(matches!(
        world.keys.to_ckks(&short, &leaves(0..1, &[0]), false, Amplitude::new(1.0)),
        Err(BridgeError::Dimension { expected: 512, found: 256, .. })
    ));
}

#[test]
fn unusable_positions_are_refused() {
    let (world, mut rng) = (&SMALL[0], ChaCha20Rng::seed_from_u64(1));
    let ciphertext = world.encrypt(&[0.1], world.secrets.ring(), &mut rng);
    assert!(matches!(
        world.keys.to_lwe(&ciphertext, &[0, 256], 9, 1),
        Err(BridgeError::Position { position: 256, dimension: 256 })
    ));
    for bits in [0, 33] {
        assert!(matches!(
            world.keys.to_lwe(&ciphertext, &[0], bits, 1),
            Err(BridgeError::Tfhe(TfheError::Parameter { .. }))
        ));
    }
    let samples = world.samples(&[0.1, 0.2, 0.3], &mut rng);
    let pack = |range, positions: &[usize]| {
        world
            .keys
            .to_ckks(&samples, &leaves(range, positions), false, Amplitude::new(1.0))
            .map(drop)
    };
    assert_eq!(pack(0..2, &[256, 0]), Err(BridgeError::Position { position: 256, dimension: 256 }));
    assert_eq!(pack(0..3, &[7, 1, 7]), Err(BridgeError::DuplicatePosition { position: 7 }));
    let missing = |index| Err(BridgeError::SampleIndex { index, count: 3 });
    assert_eq!(pack(0..4, &[1, 2, 3, 4]), missing(3));
    assert_eq!(pack(usize::MAX - 1..usize::MAX, &[1]), missing(usize::MAX - 1));
    assert_eq!(pack(0..0, &[]), Err(BridgeError::SampleIndex { index: 0, count: 0 }));
    assert_eq!(pack(1..3, &[1, 2]), Ok(()));
    for amplitude in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let packed =
            world.keys.to_ckks(&samples, &leaves(0..1, &[0]), false, Amplitude::new(amplitude));
        assert!(matches!(packed, Err(BridgeError::Rlwe(RlweError::InvalidScale { .. }))));
    }
}

#[test]
fn a_missing_bootstrapping_key_is_named() {
    let world = &SMALL[0];
    let missing = BridgeError::MissingBootstrapKey { index: 2, count: 2 };
    assert_eq!(world.keys.bootstrap(2).unwrap_err(), missing);
    assert_eq!(world.parameters.bootstrap(2).unwrap_err(), missing);
    assert_eq!(noise::table_input(&world.parameters, 2).unwrap_err(), missing);
    assert_eq!(noise::table_output(&world.parameters, 2).unwrap_err(), missing);
}

#[test]
fn dimensions_that_do_not_fit_make_no_parameters() {
    let refused = |change: &dyn Fn(&mut ParametersLiteral), assumptions| {
        let mut literal = real_literal(assumptions, true);
        change(&mut literal);
        Parameters::new(literal, SecurityLevel::Bits128).unwrap_err()
    };
    use Assumptions::{Compact, Conservative};
    assert!(matches!(
        refused(&|l| l.lwe_dimension = 750, Conservative),
        BridgeError::Dimension { name: "LWE dimension", expected: 1024, found: 750 }
    ));
    assert!(matches!(
        refused(&|l| l.lwe_dimension = 2050, Compact),
        BridgeError::Dimension { name: "LWE dimension", expected: 2048, found: 2050 }
    ));
    assert!(matches!(
        refused(&|l| l.bootstraps[1].polynomial_size = 2048, Compact),
        BridgeError::Dimension { expected: 2048, found: 4096, .. }
    ));
    assert!(matches!(
        refused(&|l| l.lwe_dimension = 400, Compact),
        BridgeError::Security(_) | BridgeError::Tfhe(TfheError::Security(_))
    ));
    assert!(matches!(
        refused(&|l| l.modulus_bits = 54, Conservative),
        BridgeError::Rlwe(RlweError::Security(_))
    ));
    assert!(matches!(
        refused(&|l| l.up_gadget = (10, 6), Compact),
        BridgeError::Rlwe(RlweError::Gadget { .. })
    ));
    assert!(matches!(
        refused(&|l| l.bootstraps[0].levels = 0, Compact),
        BridgeError::Tfhe(TfheError::Parameter { .. })
    ));
    assert!(matches!(
        refused(&|l| l.bootstraps[0].grouping_factor = 4, Compact),
        BridgeError::Tfhe(TfheError::Parameter { name: "grouping factor", .. })
    ));
    assert!(matches!(
        refused(&|l| l.log_dimension = 70, Compact),
        BridgeError::Rlwe(RlweError::Math(_))
    ));
}

#[test]
fn every_key_has_128_bits() {
    for world in &*REAL {
        let instances = world.seeded.instances();
        let conservative = world.parameters.assumptions() == Assumptions::Conservative;
        assert_eq!(instances.len(), 1 + usize::from(conservative) + 11 + 2);
        for (name, instance) in instances {
            let estimate = instance.estimate();
            assert!(estimate.bits >= 128, "{name}: {} bits, {}", estimate.bits, estimate.source);
        }
        assert!(world.parameters.rlwe().instance().estimate().bits >= 128);
    }
    for world in &*SMALL {
        let insecure =
            |(_, i): &(String, bellerophon_schemes::security::LweInstance)| i.estimate().bits == 0;
        assert!(world.seeded.instances().iter().all(insecure));
    }
}
