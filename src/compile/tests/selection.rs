//! Automatic parameter selection.

use super::*;
use crate::compile::cost::Shape as KeyShape;
use crate::compile::parameters::{Candidate, SMALL_WIRE_BYTES, select};
use bellerophon_bridge::Assumptions;
use bellerophon_schemes::security::SecurityLevel;

fn candidates(options: &Options) -> Vec<Candidate> {
    WORLD.model.candidates(options).unwrap()
}

fn small(candidate: &Candidate) -> bool {
    candidate.wire_bytes <= SMALL_WIRE_BYTES
}

#[test]
fn the_frontier_trades_time_for_precision() {
    let candidates = candidates(&Options::default());
    assert!(candidates.len() > 10);
    for pair in candidates.windows(2) {
        assert!(pair[0].seconds <= pair[1].seconds);
    }
    for (index, candidate) in candidates.iter().enumerate() {
        let beaten = candidates[..index].iter().any(|faster| {
            let alike = small(faster) || !small(candidate);
            alike
                && faster.agreement >= candidate.agreement
                && faster.deviation <= candidate.deviation
        });
        assert!(!beaten, "{candidate:?}");
    }
}

#[test]
fn the_fastest_that_reaches_a_target_is_selected() {
    let candidates = candidates(&Options::default());
    let middle = &candidates[candidates.len() / 2];
    let targets = [
        Target::Agreement(middle.agreement),
        Target::MaxError(4.0 * middle.deviation),
        Target::Loss { most: 1.0 - middle.agreement, times: 1.0 },
    ];
    for target in targets {
        let reaches = |candidate: &&Candidate| match target {
            Target::Agreement(part) => candidate.agreement >= part,
            Target::MaxError(error) => 4.0 * candidate.deviation <= error,
            Target::Loss { most, .. } => 1.0 - candidate.agreement <= most,
        };
        let selected = select(&candidates, target).unwrap();
        let fitting = candidates.iter().filter(|candidate| small(candidate)).find(reaches);
        assert_eq!(selected, fitting.or(candidates.iter().find(reaches)).unwrap());
        let compiled = WORLD.model.compile(&Options { target, ..Options::default() }).unwrap();
        assert_eq!(compiled.settings, selected.settings);
        // what the search predicts is what the compiled program is predicted to be
        assert!((compiled.agreement - selected.agreement).abs() < 1e-9);
        assert!((compiled.deviation / selected.deviation - 1.0).abs() < 1e-9);
        let bootstraps: f64 = compiled.program.steps.iter().zip(&compiled.seconds).map(lut).sum();
        assert!((bootstraps / selected.seconds - 1.0).abs() < 1e-9, "{target}");
    }
}

/// The seconds of a step of tables.
fn lut((step, seconds): (&Step, &f64)) -> f64 {
    if matches!(step.operation, Operation::Lut { .. }) { *seconds } else { 0.0 }
}

/// Keys that take gigabytes lose a little less; that binds nobody who asks for what is usual.
#[test]
fn what_may_be_lost_is_counted_from_keys_of_usual_size() {
    let candidates = candidates(&Options::default());
    let usual = |candidate: &&Candidate| {
        candidate.key_bytes <= 512e6 && candidate.settings.parameters.log_dimension <= 12
    };
    let better = |a: &&Candidate, b: &&Candidate| a.agreement.total_cmp(&b.agreement);
    let most = candidates.iter().filter(usual).max_by(better).unwrap();
    let beyond = candidates.iter().max_by(better).unwrap();
    assert!(beyond.agreement > most.agreement && beyond.seconds > 2.0 * most.seconds);
    let selected = select(&candidates, Target::Loss { most: 0.0, times: 1.0 }).unwrap();
    assert!(selected.seconds <= most.seconds && selected.agreement >= most.agreement);
}

#[test]
fn targets_out_of_reach_name_the_nearest() {
    for target in [Target::Agreement(1.0 + 1e-9), Target::MaxError(1e-9)] {
        let error = WORLD.model.compile(&Options { target, ..Options::default() }).unwrap_err();
        let CompileError::Unreachable { target: asked, nearest } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(asked, &target.to_string());
        assert!(nearest.contains("agreement of") && nearest.contains("what binds"), "{nearest}");
    }
}

#[test]
fn every_candidate_is_secure() {
    for assumptions in [Assumptions::Compact, Assumptions::Conservative] {
        let options = Options { assumptions, ..Options::default() };
        for candidate in candidates(&options) {
            let parameters = candidate.settings.parameters;
            assert_eq!(parameters.assumptions, assumptions);
            let made = bellerophon_bridge::Parameters::new(parameters, SecurityLevel::Bits128);
            assert!(made.is_ok(), "{made:?}");
        }
    }
}

#[test]
fn levels_without_parameters_are_refused() {
    for security in [SecurityLevel::Bits192, SecurityLevel::Bits256] {
        let options = Options { security, ..Options::default() };
        let error = WORLD.model.compile(&options).unwrap_err();
        assert!(matches!(error, CompileError::Bridge(_)), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn a_grouping_factor_can_be_asked_for() {
    for factor in [1, 2, 3] {
        let options = Options { grouping_factor: Some(factor), ..Options::default() };
        for candidate in candidates(&options) {
            let mut keys = candidate.settings.parameters.bootstraps.iter();
            assert!(keys.all(|key| key.grouping_factor == factor));
        }
    }
}

/// Keys that cost nothing are chosen whatever their shape; those that cost much never are.
#[test]
fn the_costs_of_the_machine_decide() {
    let shapes = KeyShape::all(2048);
    for &cheap in &[shapes[0], shapes[shapes.len() / 2]] {
        let each = |shape: &KeyShape| (*shape, if *shape == cheap { 1e-9 } else { 1.0 });
        let costs = Costs { bootstraps: shapes.iter().map(each).collect(), ..Costs::default() };
        let options = Options { costs, target: Target::Agreement(0.0), ..Options::default() };
        let compiled = WORLD.model.compile(&options).unwrap();
        let used = compiled.parameters.bootstraps().iter().map(KeyShape::of);
        assert!(used.clone().count() > 0 && used.into_iter().all(|shape| shape == cheap));
    }
}

#[test]
fn shapes_that_were_not_measured_cost_what_their_transforms_do() {
    let costs = Costs::default();
    for (shape, each) in &costs.bootstraps {
        assert_eq!(costs.bootstrap(*shape, 700), each * 700.0);
    }
    let (known, each) = costs.bootstraps[0];
    let costs = Costs { bootstraps: vec![(known, each)], ..costs };
    let more = KeyShape { levels: known.levels + 1, ..known };
    let ratio = costs.bootstrap(more, 700) / costs.bootstrap(known, 700);
    let expected = (known.levels + 2) as f64 / (known.levels + 1) as f64;
    assert!((ratio - expected).abs() < 1e-9, "{ratio}");
    let none = Costs { bootstraps: Vec::new(), ..costs };
    assert_eq!(none.bootstrap(known, 700), f64::INFINITY);
}

#[test]
fn a_model_without_calibration_stands_on_noise() {
    let model = Model::from_graph(tiny::graph()).unwrap();
    assert!(model.calibration().is_none());
    let compiled = model.compile(&Options::default()).unwrap();
    assert!(compiled.agreement > 0.5 && compiled.memory > compiled.key_bytes);
}
