use super::*;
use crate::ckks::{Decryptor, Encryptor, KeyGenerator, Parameters, Scale, SecretKey};
use crate::math::approximation::{Polynomial, interpolate};
use crate::security::SecurityLevel;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

struct Setup {
    parameters: Parameters,
    encoder: Encoder,
    evaluator: Evaluator,
    bootstrapper: FunctionalBootstrapper,
    secret: Arc<SecretKey>,
    keys: EvaluationKeys,
    rng: ChaCha20Rng,
}

fn small(log_dimension: u32, log_slots: u32, depth: usize) -> (Parameters, BootstrapLiteral) {
    let literal = BootstrapLiteral::functional(log_dimension, log_slots);
    let modulus_bits = literal.functional_bits(depth);
    let digits = modulus_bits.len().div_ceil(8);
    let special_bits = vec![50; 8];
    let parameters = ParametersLiteral { log_dimension, modulus_bits, special_bits, digits };
    (Parameters::insecure_unchecked(parameters).unwrap(), literal)
}

fn setup((parameters, literal): (Parameters, BootstrapLiteral)) -> Setup {
    let encoder = Encoder::new(&parameters);
    let plan = FunctionalPlan::new(&parameters, &literal).unwrap();
    let bootstrapper = FunctionalBootstrapper::new(&plan, &encoder).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let generator = KeyGenerator::new(&parameters);
    let secret = Arc::new(generator.secret_key(&mut rng).unwrap());
    let requirements = plan.requirements();
    let FunctionalBootstrapper { first, last, .. } = &bootstrapper;
    let matrices = first.requirements(&parameters).union(last.requirements(&parameters));
    let traces = parameters.slots() / plan.slots();
    assert!(requirements.galois.len() <= matrices.galois.len() + 1 + traces.ilog2() as usize);
    assert_eq!(requirements.clone().union(matrices), requirements);
    let keys = generator.evaluation_keys(&secret, &requirements, &mut rng).unwrap();
    assert_eq!(keys.requirements(), requirements);
    assert!(keys.check_key(secret.id()).is_ok());
    let keys = keys.expand(&parameters).unwrap();
    assert_eq!(plan.bytes(), [keys.bytes(), bootstrapper.bytes()]);
    let evaluator = Evaluator::new(&parameters);
    Setup { parameters, encoder, evaluator, bootstrapper, secret, keys, rng }
}

impl Setup {
    fn turn(&self) -> Scale {
        self.bootstrapper.plan().turn().unwrap()
    }

    fn encrypt(&mut self, phases: &[f64]) -> Ciphertext<Coeffs> {
        // at the scale q_0 itself, a phase of half a turn would not fit
        let plaintext = self.encoder.encode_coefficients(phases, 0, &self.turn()).unwrap();
        let encryptor = Encryptor::new(&self.parameters);
        let seeded = encryptor.encrypt(&plaintext, &self.secret, &mut self.rng).unwrap();
        seeded.expand(&self.parameters).unwrap()
    }

    fn decrypt(&self, ciphertext: &Ciphertext<Coeffs>) -> Vec<f64> {
        let plaintext = Decryptor::new(self.secret.clone()).decrypt(ciphertext).unwrap();
        self.encoder.decode_coefficients(&plaintext)
    }

    /// Phases in the coefficients of the subring.
    fn phases(&mut self, width: f64) -> Vec<f64> {
        let (rng, n) = (&mut self.rng, self.parameters.dimension());
        let gap = self.parameters.slots() / self.bootstrapper.plan().slots();
        let mut phases = vec![0.0; n];
        phases.iter_mut().step_by(gap).for_each(|phase| *phase = rng.random_range(-width..width));
        phases
    }
}

fn relu(width: f64, degree: usize) -> Polynomial {
    interpolate(|x: f64| x.max(0.0) / 2.0, [-width, width], degree).unwrap()
}

/// Mean square of the error against the polynomial as it is evaluated, and the mean predicted
/// variance.
fn variances(setup: &mut Setup, polynomial: &PhasePolynomial) -> [f64; 2] {
    let phases = setup.phases(polynomial.width());
    let operand = setup.encrypt(&phases);
    let phases = setup.decrypt(&operand);
    let result =
        setup.bootstrapper.bootstrap(&setup.evaluator, &operand, polynomial, &setup.keys).unwrap();
    assert_eq!((result.level(), result.scale()), (0, &setup.turn()));
    let found = setup.decrypt(&result);
    let slots = setup.bootstrapper.plan().slots();
    let pairs = found.iter().zip(&phases).step_by(setup.parameters.slots() / slots);
    let errors = pairs.map(|(y, &x)| y - polynomial.evaluate(x));
    let measured = errors.map(|e| e * e).sum::<f64>() / (2 * slots) as f64;
    let points = (0..33).map(|i| polynomial.width() * (f64::from(i) / 16.0 - 1.0));
    let predicted = points.map(|x| setup.bootstrapper.plan().variance(polynomial, x).unwrap());
    [measured, predicted.sum::<f64>() / 33.0]
}

#[test]
fn polynomials_of_phases_err_as_predicted() {
    for (width, tolerance, log_slots) in
        [(0.1, 1e-6, 9), (1.0 / 6.0, 1e-8, 9), (0.2, 1e-5, 9), (0.1, 1e-6, 6), (0.2, 1e-5, 8)]
    {
        let mut setup = setup(small(10, log_slots, 5));
        let function = relu(width, 7);
        let polynomial = PhasePolynomial::new(&function, width, tolerance, 5).unwrap();
        let [measured, predicted] = variances(&mut setup, &polynomial);
        let bits = |variance: f64| variance.log2() / 2.0;
        println!(
            "{log_slots} {width} {} 2^{:.2}, predicted 2^{:.2}",
            polynomial.degree(),
            bits(measured),
            bits(predicted)
        );
        assert!((bits(measured) - bits(predicted)).abs() < 0.3);
        assert!(bits(measured) < -27.0);
    }
}

/// Phases outside the width, junk, lead to what the polynomial of the sine says, and spoil no other
/// coefficient.
#[test]
fn junk_stays_where_it_is() {
    let mut setup = setup(small(9, 8, 4));
    let polynomial = PhasePolynomial::new(&relu(0.125, 5), 0.125, 1e-5, 4).unwrap();
    let mut phases = setup.phases(0.4999);
    for phase in phases.iter_mut().step_by(3) {
        *phase /= 4.0;
    }
    let operand = setup.encrypt(&phases);
    let result =
        setup.bootstrapper.bootstrap(&setup.evaluator, &operand, &polynomial, &setup.keys).unwrap();
    let found = setup.decrypt(&result);
    let mut junk = 0;
    for (&x, y) in phases.iter().zip(&found) {
        let expected = polynomial.evaluate(x);
        junk += usize::from(x.abs() > 0.125);
        let bound = if x.abs() < 0.125 { 1e-8 } else { 1e-6 };
        assert!((y - expected).abs() < bound, "{x}: {y} where {expected} is expected");
    }
    assert!((100..500).contains(&junk));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (parameters, literal) = small(6, 5, 2);
    let refused = |change: &dyn Fn(&mut BootstrapLiteral)| {
        let mut literal = literal.clone();
        change(&mut literal);
        FunctionalPlan::new(&parameters, &literal).unwrap_err()
    };
    for error in [
        refused(&|literal| literal.log_slots = 0),
        refused(&|literal| literal.log_slots = 6),
        refused(&|literal| literal.modular_reduction.harmonics = 2),
        refused(&|literal| literal.slots_to_coefficients = 0),
    ] {
        assert!(matches!(error, CkksError::Parameter { .. }), "{error}");
    }
    let error = refused(&|literal| literal.modular_reduction.squarings += 3);
    assert!(matches!(error, CkksError::Level { .. }), "{error}");

    let mut setup = setup((parameters, literal));
    assert_eq!(setup.bootstrapper.plan().polynomial_depth(), 2);
    let deep = PhasePolynomial::new(&relu(0.1, 4), 0.1, 1e-4, 5).unwrap();
    let operand = setup.encrypt(&[0.1, -0.05]);
    let (evaluator, keys) = (&setup.evaluator, &setup.keys);
    let error = setup.bootstrapper.bootstrap(evaluator, &operand, &deep, keys).unwrap_err();
    assert!(matches!(error, CkksError::Level { needed: 3 | 4, found: 2, .. }), "{error}");
    assert!(setup.bootstrapper.plan().variance(&deep, 0.0).is_err());
    let halves = setup.bootstrapper.to_slots(evaluator, &operand, keys).unwrap();
    let error = setup.bootstrapper.to_coefficients(evaluator, &halves[..1], keys).unwrap_err();
    assert!(matches!(error, CkksError::Parameter { value: 1, .. }), "{error}");
    let flat = PhasePolynomial::new(&relu(0.1, 0), 0.1, 1e-4, 2).unwrap();
    let result = setup.bootstrapper.bootstrap(evaluator, &operand, &flat, keys).unwrap();
    assert!(setup.decrypt(&result).iter().all(|y| (y - flat.evaluate(0.0)).abs() < 1e-8));
}

#[test]
fn the_shipped_set_is_secure_and_leaves_its_levels() {
    let (parameters, literal) = BootstrapLiteral::functional_deep(15);
    let parameters = Parameters::new(parameters, SecurityLevel::Bits128).unwrap();
    let plan = FunctionalPlan::new(&parameters, &literal).unwrap();
    assert_eq!(plan.polynomial_depth(), 5);
    let rings = parameters.rings().iter().chain(parameters.special_rings());
    assert!(rings.map(|ring| ring.modulus().value()).all(|q| q < 1 << 50));
}
