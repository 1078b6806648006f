//! Predicted costs against what is made.

use super::*;

#[test]
fn costs_are_as_predicted() {
    let world = &*WORLD;
    let costs = world.plan.costs(&world.parameters).unwrap();
    assert_eq!(costs.ciphertexts, world.network.ciphertexts().into_iter().sum::<usize>());
    assert_eq!(costs.keys, world.edge.key_count());
    assert_eq!(costs.key_bytes, world.edge.key_bytes() as f64);
    assert_eq!(costs.memory_bytes, world.edge.weight_bytes() as f64);
    for (predicted, found) in
        [(costs.model_bytes, world.bytes.len()), (costs.input_bytes, world.encrypted(1).len())]
    {
        let ratio = found as f64 / predicted;
        assert!((0.99..1.2).contains(&ratio), "{found} bytes, {predicted} predicted"); // headers
    }
    let bits = world.parameters.log2_modulus(0);
    assert_eq!(costs.remaining_bits, bits);
}

/// The smallest ring and scale of the security and precision asked for.
#[test]
fn parameters_follow_security_and_precision() {
    use bellerophon_schemes::security::SecurityLevel::{Bits128, Bits192, Bits256};
    let graph = classifier();
    let samples: Vec<_> = (0..8).map(|seed| tiny::image(graph.input_shape(), seed)).collect();
    let mut rings = Vec::new();
    for security in [Bits128, Bits192, Bits256] {
        let settings = Settings { security, precision: 12.0, ..Settings::default() };
        let plan = Plan::new(&graph, &replacement("square2x"), &settings, &samples).unwrap();
        assert!(plan.precision() > 11.5, "{}", plan.precision());
        plan.architecture().secure_parameters().unwrap();
        assert_eq!(plan.architecture().check(), Ok(()));
        rings.push(plan.architecture().parameters.log_dimension);
    }
    assert!(rings.is_sorted() && rings[0] < rings[2], "{rings:?}");
    let refused = |settings: Settings| {
        Plan::new(&graph, &replacement("square2x"), &settings, &samples).unwrap_err()
    };
    let small = Settings { log_dimension: Some(12), precision: 25.0, ..Settings::default() };
    let error = refused(small);
    assert!(matches!(error, PlanError::NothingFits { levels: 3, .. }), "{error}");
    assert!(!error.to_string().contains('\n'));
    for settings in [
        Settings { log_dimension: Some(30), ..Settings::default() },
        Settings { log_scale: Some(80), ..Settings::default() },
        Settings { precision: f64::NAN, ..Settings::default() },
    ] {
        assert!(matches!(refused(settings), PlanError::Setting { .. }));
    }
}
