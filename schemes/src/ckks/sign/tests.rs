use super::*;
use crate::ckks::polynomial::tests::{Session, distances};
use crate::math::approximation::composite_sign_for;

const BITS: u32 = 7;

fn worst(errors: &[f64]) -> f64 {
    errors.iter().copied().fold(0.0, f64::max)
}

struct Case {
    circuit: CompositeSignCircuit,
    session: Session,
    keys: EvaluationKeys,
    scale: Scale,
    level: usize,
}

fn case(circuit: CompositeSignCircuit) -> Case {
    let level = circuit.depth() + 1;
    let mut session = Session::new(8, level);
    let keys = session.keys(&circuit.requirements(level));
    Case { circuit, session, keys, scale: Scale::power_of_two(40), level }
}

fn circuits() -> [CompositeSignCircuit; 3] {
    let composite = composite_sign_for(BITS).unwrap();
    assert!(composite.error() <= (-f64::from(BITS)).exp2());
    let depth = composite.depth() as usize;
    let circuits = [
        CompositeSignCircuit::new(&composite, 1.0).unwrap(),
        CompositeSignCircuit::new(&composite, 6.0).unwrap(),
        CompositeSignCircuit::reread(&composite, 1.5).unwrap(),
    ];
    assert_eq!(circuits.each_ref().map(|c| c.depth()), [depth, depth + 1, depth]);
    circuits
}

/// What noise may add to the errors that the circuits state.
const NOISE: f64 = 1e-5;

#[test]
fn sign_is_as_precise_as_stated_beyond_the_gap() {
    for circuit in circuits() {
        let Case { circuit, mut session, keys, scale, level } = case(circuit);
        let mut values = session.numbers([circuit.gap(), circuit.radius]);
        values.iter_mut().step_by(3).for_each(|x| *x = -*x);
        let operand = session.encrypt(&values, level, &scale);
        let sign = circuit.sign(&session.evaluator, &operand, &scale, &keys).unwrap();
        assert_eq!((sign.level(), sign.scale()), (1, &scale));
        let errors = distances(&session.decrypt(&sign), values.iter().map(|x| x.signum()));
        assert!(worst(&errors) < circuit.sign_error() + NOISE, "{}", worst(&errors));
    }
}

#[test]
fn relu_is_as_precise_as_stated_everywhere() {
    for circuit in circuits() {
        let Case { circuit, mut session, keys, scale, level } = case(circuit);
        let mut values = session.numbers([-circuit.radius, circuit.radius]);
        values.iter_mut().step_by(2).for_each(|x| *x *= 2.0 * circuit.gap() / circuit.radius);
        let operand = session.encrypt(&values, level, &scale);
        let target = Scale::power_of_two(39);
        let relu = circuit.relu(&session.evaluator, &operand, &target, &keys).unwrap();
        assert_eq!((relu.level(), relu.scale()), (0, &target));
        let errors = distances(&session.decrypt(&relu), values.iter().map(|x| x.max(0.0)));
        assert!(worst(&errors) < circuit.relu_error() + NOISE, "{}", worst(&errors));
    }
}

#[test]
fn max_is_as_precise_as_stated_everywhere() {
    for circuit in circuits() {
        let Case { circuit, mut session, keys, scale, level } = case(circuit);
        let range = [-circuit.radius, circuit.radius];
        let [left, right] = [session.numbers(range), session.numbers(range)];
        let operands = [&left, &right].map(|values| session.encrypt(values, level, &scale));
        let [a, b] = &operands;
        let max = circuit.max(&session.evaluator, a, b, &scale, &keys).unwrap();
        assert_eq!((max.level(), max.scale()), (0, &scale));
        let expected = left.iter().zip(&right).map(|(a, b)| a.max(*b));
        let errors = distances(&session.decrypt(&max), expected);
        assert!(worst(&errors) < circuit.max_error() + NOISE, "{}", worst(&errors));
    }
}

#[test]
fn refuses_what_it_cannot_do() {
    let composite = composite_sign_for(BITS).unwrap();
    for radius in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = CompositeSignCircuit::new(&composite, radius).unwrap_err();
        assert!(matches!(error, CkksError::Approximation(_)), "{error}");
    }
    let Case { circuit, mut session, keys, scale, level } =
        case(CompositeSignCircuit::new(&composite, 1.0).unwrap());
    let operand = session.encrypt(&[0.5], level - 1, &scale);
    assert!(circuit.sign(&session.evaluator, &operand, &scale, &keys).is_ok());
    let error = circuit.relu(&session.evaluator, &operand, &scale, &keys).unwrap_err();
    let operation = "ReLU or maximum of a ciphertext";
    assert_eq!(error, CkksError::Level { operation, needed: level, found: level - 1 });
}
