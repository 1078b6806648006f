use super::*;
use crate::{Amplitude, BridgeError};
use bellerophon_schemes::ckks::{self, BootstrapLiteral, CkksError, PhasePolynomial};
use bellerophon_schemes::math::approximation::{Polynomial, interpolate};
use bellerophon_schemes::rlwe::{
    self, Ciphertext, Coeffs, Decryptor, Encoder, Encryptor, KeyGenerator, RlweError, Scale,
    SecretKey,
};
use bellerophon_schemes::security::SecretDistribution::{self, Binary, Ternary};
use bellerophon_schemes::security::{SecurityLevel, minimal_log2_std};
use bellerophon_schemes::wire::{self, Wire, WireError};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock, Mutex};

fn small_ring(log_dimension: u32, distribution: SecretDistribution) -> rlwe::ParametersLiteral {
    let sigma =
        if distribution == Binary { (minimal_log2_std(2048, 50.0) + 50.0).exp2() } else { 3.2 };
    rlwe::ParametersLiteral { log_dimension, modulus_bits: 50, distribution, sigma }
}

fn literal(log_dimension: u32, log_slots: u32) -> SlotParametersLiteral {
    let bootstrap = BootstrapLiteral::functional(log_dimension, log_slots);
    let modulus_bits = bootstrap.functional_bits(5);
    let digits = modulus_bits.len().div_ceil(8);
    let special_bits = vec![50; 8];
    let ckks = ckks::ParametersLiteral { log_dimension, modulus_bits, special_bits, digits };
    SlotParametersLiteral { ckks, bootstrap, gadget: (4, 12) }
}

fn insecure(log_small: u32, log_large: u32, distribution: SecretDistribution) -> SlotParameters {
    let small = rlwe::Parameters::insecure_unchecked(small_ring(log_small, distribution)).unwrap();
    SlotParameters::insecure_unchecked(&small, literal(log_large, log_large - 1)).unwrap()
}

/// Client and server in one.
struct World {
    parameters: SlotParameters,
    secret: Arc<SecretKey>,
    seeded: SeededSlotKeys,
    keys: SlotKeys,
    encoder: Encoder,
}

impl World {
    fn new(parameters: SlotParameters) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let generator = KeyGenerator::new(parameters.small());
        let secret = Arc::new(generator.secret_key(&mut rng).unwrap());
        let seeded = SeededSlotKeys::generate(&parameters, &secret, &mut rng).unwrap();
        let keys = seeded.expand(&parameters).unwrap();
        let encoder = Encoder::new(parameters.small());
        Self { parameters, secret, seeded, keys, encoder }
    }

    /// The scale of values in turns.
    fn turn(&self) -> Scale {
        Scale::new(self.parameters.small().ring().modulus().value() as f64).unwrap()
    }

    fn encrypt(&self, phases: &[f64], rng: &mut ChaCha20Rng) -> Ciphertext<Coeffs> {
        let plaintext = self.encoder.encode_coefficients(phases, self.turn()).unwrap();
        let encryptor = Encryptor::new(self.parameters.small());
        let seeded = encryptor.encrypt(&plaintext, &self.secret, rng).unwrap();
        seeded.expand(self.parameters.small()).unwrap()
    }

    fn decrypt(&self, ciphertext: &Ciphertext<Coeffs>) -> Vec<f64> {
        let plaintext = Decryptor::new(self.secret.clone()).decrypt(ciphertext).unwrap();
        self.encoder.decode_coefficients(&plaintext)
    }

    /// `count` ciphertexts with phases of at most `width` turns.
    fn inputs(&self, count: usize, width: f64, seed: u64) -> Vec<Ciphertext<Coeffs>> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let d = self.parameters.small().ring().dimension();
        (0..count)
            .map(|_| {
                let phases: Vec<f64> = (0..d).map(|_| rng.random_range(-width..width)).collect();
                self.encrypt(&phases, &mut rng)
            })
            .collect()
    }

    fn evaluate(
        &self,
        inputs: &[Ciphertext<Coeffs>],
        polynomial: &PhasePolynomial,
        amplitude: f64,
    ) -> Vec<Ciphertext<Coeffs>> {
        let amplitude = Amplitude::new(amplitude);
        self.keys.evaluate(inputs, polynomial, amplitude, &|_| ControlFlow::Continue(())).unwrap()
    }

    /// Mean squares of the distances from the polynomial of the sine and from `function`, the mean
    /// predicted variance, and the largest distance.
    fn errors(
        &self,
        function: &Polynomial,
        polynomial: &PhasePolynomial,
        count: usize,
    ) -> [f64; 4] {
        let inputs = self.inputs(count, polynomial.width(), 7);
        let outputs = self.evaluate(&inputs, polynomial, 1.0);
        assert_eq!(outputs.len(), count);
        let [mut circuit, mut all, mut largest, mut total] = [0.0, 0.0, 0.0f64, 0.0];
        for (input, output) in inputs.iter().zip(&outputs) {
            for (x, y) in self.decrypt(input).into_iter().zip(self.decrypt(output)) {
                circuit += (y - polynomial.evaluate(x)).powi(2);
                all += (y - function.evaluate(x)).powi(2);
                largest = largest.max((y - function.evaluate(x)).abs());
                total += 1.0;
            }
        }
        let points = (0..33).map(|i| polynomial.width() * (f64::from(i) / 16.0 - 1.0));
        let predicted = points.map(|x| self.parameters.variance(polynomial, x, 0.0).unwrap());
        [circuit / total, all / total, predicted.sum::<f64>() / 33.0, largest]
    }
}

static WORLD: LazyLock<World> = LazyLock::new(|| World::new(insecure(6, 10, Binary)));

fn bits(mean_square: f64) -> f64 {
    -mean_square.log2() / 2.0
}

fn relu(width: f64) -> Polynomial {
    interpolate(|x: f64| x.max(0.0) / 2.0, [-width, width], 7).unwrap()
}

#[test]
fn every_coefficient_is_the_polynomial_of_its_phase() {
    let world = &*WORLD;
    assert_eq!(world.parameters.capacity(), 16);
    assert_eq!(world.parameters.bytes(), world.keys.bytes());
    for (width, tolerance, count) in [(0.125, 1e-8, 16), (0.2, 1e-6, 19), (1.0 / 6.0, 1e-7, 3)] {
        let function = relu(width);
        let polynomial = world.parameters.polynomial(&function, width, tolerance).unwrap();
        let [circuit, all, predicted, largest] = world.errors(&function, &polynomial, count);
        println!("{width}: {:.2} bits, predicted {:.2}", bits(circuit), bits(predicted));
        // of so many samples, three standard deviations and a tenth of a bit for the mean of predictions
        let tolerated = 0.1 + 3.0 / (2.0 * 64.0 * count as f64).sqrt() / 2f64.ln();
        assert!((bits(circuit) - bits(predicted)).abs() < tolerated);
        assert!(all.sqrt() < tolerance + circuit.sqrt());
        assert!(largest < tolerance + 9.0 * predicted.sqrt());
    }
}

#[test]
fn ternary_secrets_and_equal_rings_work_too() {
    for (log_small, log_large) in [(5, 8), (8, 8)] {
        let world = World::new(insecure(log_small, log_large, Ternary));
        let polynomial = world.parameters.polynomial(&relu(0.1), 0.1, 1e-6).unwrap();
        let count = world.parameters.capacity();
        let [circuit, _, predicted, _] = world.errors(&relu(0.1), &polynomial, count);
        assert!((bits(circuit) - bits(predicted)).abs() < 0.5, "{circuit:e} {predicted:e}");
    }
}

/// Few ciphertexts lie in a subring, which is a shorter way.
#[test]
fn few_ciphertexts_take_fewer_slots() {
    let small = rlwe::Parameters::insecure_unchecked(small_ring(6, Binary)).unwrap();
    for (log_slots, capacity) in [(5, 1), (7, 4)] {
        let parameters = SlotParameters::insecure_unchecked(&small, literal(9, log_slots)).unwrap();
        assert_eq!(parameters.capacity(), capacity);
        let world = World::new(parameters);
        let polynomial = world.parameters.polynomial(&relu(0.15), 0.15, 1e-7).unwrap();
        let [circuit, _, predicted, largest] = world.errors(&relu(0.15), &polynomial, 5);
        println!("{log_slots}: {:.2} bits, predicted {:.2}", bits(circuit), bits(predicted));
        assert!((bits(circuit) - bits(predicted)).abs() < 0.3);
        assert!(largest < 1e-7 + 9.0 * predicted.sqrt());
    }
}

/// The noise of the input counts as often as the slope says.
#[test]
fn noise_of_phases_passes_through() {
    let world = &*WORLD;
    let steep = Polynomial::chebyshev([-0.2, 0.2], vec![0.0, 0.45]).unwrap();
    let polynomial = world.parameters.polynomial(&steep, 0.2, 1e-5).unwrap();
    assert!((polynomial.slope(0.05) - 2.25).abs() < 1e-2);
    let [plain, noisy] =
        [0.0, 1e-8].map(|v| world.parameters.variance(&polynomial, 0.05, v).unwrap());
    assert!(((noisy - plain) / (2.25f64.powi(2) * 1e-8) - 1.0).abs() < 0.01);
}

#[test]
fn results_are_read_at_their_amplitude() {
    let world = &*WORLD;
    let polynomial = world.parameters.polynomial(&relu(0.1), 0.1, 1e-6).unwrap();
    let inputs = world.inputs(2, 0.1, 3);
    let [turns, units] = [1.0, 0.25].map(|a| world.evaluate(&inputs, &polynomial, a));
    for (turns, units) in turns.iter().zip(&units) {
        assert!((units.scale().value() / world.turn().value() - 0.25).abs() < 1e-12);
        assert_eq!((turns.c0(), turns.c1(), turns.key()), (units.c0(), units.c1(), units.key()));
        assert_eq!(units.key(), world.secret.id());
    }
    assert!(world.evaluate(&[], &polynomial, 1.0).is_empty());
}

#[test]
fn steps_are_reported_and_can_be_the_last() {
    let world = &*WORLD;
    let polynomial = world.parameters.polynomial(&relu(0.1), 0.1, 1e-4).unwrap();
    let inputs = world.inputs(1, 0.1, 3);
    let run = |last: Option<Step>| {
        let steps = Mutex::new(Vec::new());
        let progress = |step| {
            steps.lock().unwrap().push(step);
            if Some(step) == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let amplitude = Amplitude::new(1.0);
        let result = world.keys.evaluate(&inputs, &polynomial, amplitude, &progress);
        (result.map(|outputs| outputs.len()), steps.into_inner().unwrap())
    };
    use Step::{InCoefficients, InSlots, Packed, Polynomial, Sine, Split};
    let all = [Packed, InSlots, Sine, Polynomial, Sine, Polynomial, InCoefficients, Split];
    assert_eq!(run(None), (Ok(1), all.to_vec()));
    for (index, step) in all.into_iter().enumerate().filter(|(index, _)| *index < 4 || *index > 5) {
        assert_eq!(run(Some(step)), (Err(BridgeError::Interrupted), all[..=index].to_vec()));
    }
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let world = &*WORLD;
    let polynomial = world.parameters.polynomial(&relu(0.1), 0.1, 1e-4).unwrap();
    let go = |inputs: &[Ciphertext<Coeffs>], polynomial: &PhasePolynomial| {
        let amplitude = Amplitude::new(1.0);
        let progress = |_| ControlFlow::Continue(());
        world.keys.evaluate(inputs, polynomial, amplitude, &progress).unwrap_err()
    };
    let other = World::new(insecure(5, 8, Binary));
    assert!(matches!(go(&other.inputs(1, 0.1, 1), &polynomial), BridgeError::Key(_)));
    let zero = |ring| bellerophon_schemes::math::Poly::zero(ring);
    let ring = other.parameters.small().ring();
    let foreign =
        Ciphertext::from_parts(zero(ring), zero(ring), world.turn(), world.secret.id()).unwrap();
    assert!(matches!(go(&[foreign], &polynomial), BridgeError::Math(_)));
    let deep = PhasePolynomial::new(&relu(0.2), 0.2, 1e-10, 6).unwrap();
    let error = go(&world.inputs(1, 0.1, 1), &deep);
    assert!(matches!(error, BridgeError::Ckks(CkksError::Level { needed: 6, found: 5, .. })));
    assert!(world.parameters.variance(&deep, 0.0, 0.0).is_err());
    let error = world.parameters.polynomial(&relu(0.2), 0.2, 1e-10).unwrap_err();
    assert!(matches!(error, CkksError::PhaseError { degree: 31, .. }));
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let error = SeededSlotKeys::generate(&world.parameters, &other.secret, &mut rng).unwrap_err();
    assert!(matches!(error, BridgeError::Math(_)));
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    let small = |log_dimension| {
        rlwe::Parameters::insecure_unchecked(small_ring(log_dimension, Ternary)).unwrap()
    };
    let refused = |small: &rlwe::Parameters, change: &dyn Fn(&mut SlotParametersLiteral)| {
        let mut literal = literal(8, 7);
        change(&mut literal);
        SlotParameters::insecure_unchecked(small, literal).map(drop).unwrap_err()
    };
    let error = refused(&small(9), &|_| ());
    assert!(matches!(error, BridgeError::Dimension { expected: 256, found: 512, .. }));
    let error = refused(&small(6), &|literal| literal.bootstrap.log_slots = 4);
    assert!(matches!(error, BridgeError::Dimension { expected: 32, found: 64, .. }));
    let error = refused(&small(6), &|literal| literal.gadget = (4, 13));
    assert!(matches!(error, BridgeError::Rlwe(RlweError::Gadget { .. })));
    let error = refused(&small(6), &|literal| literal.ckks.modulus_bits.truncate(12));
    assert!(matches!(error, BridgeError::Ckks(CkksError::Level { .. })));
    // a prime above its power of two in the chain, the largest below in the small scheme
    let error = refused(&small(6), &|literal| literal.ckks.modulus_bits[0] = 46);
    assert!(matches!(error, BridgeError::Dimension { name: "prime q_0 of the slots", .. }));

    let secure = |small: &rlwe::Parameters, literal| {
        SlotParameters::new(small, literal, SecurityLevel::Bits128).map(drop)
    };
    let error = secure(&small(11), literal(8, 7)).unwrap_err();
    assert!(matches!(error, BridgeError::Ckks(CkksError::Security(_))));
    // nothing of 50 bits may be under a ternary secret of dimension 1024
    let error = secure(&small(10), SlotParametersLiteral::deep(15)).unwrap_err();
    assert!(matches!(error, BridgeError::Security(error) if error.dimension == 1024));
}

#[test]
fn the_shipped_set_has_128_bits_for_both_assumptions() {
    for distribution in [Binary, Ternary] {
        let small = rlwe::Parameters::new(small_ring(11, distribution), SecurityLevel::Bits128);
        let literal = SlotParametersLiteral::deep(10);
        let parameters =
            SlotParameters::new(&small.unwrap(), literal, SecurityLevel::Bits128).unwrap();
        assert_eq!(parameters.capacity(), 1);
        assert!(parameters.leave_instance().require(SecurityLevel::Bits128).is_ok());
        assert!(bits(parameters.enter_variance()) > 33.0);
        assert!(bits(parameters.leave_variance()) > 33.0);
    }
}

#[test]
fn keys_survive_the_wire_and_only_fitting_ones_do() {
    let parameters = insecure(4, 6, Binary);
    let world = World::new(parameters.clone());
    let bytes = wire::to_bytes(&world.seeded).unwrap();
    let limit = bytes.len() as u64;
    let read = |bytes: &[u8], parameters: &SlotParameters| {
        wire::from_bytes::<SeededSlotKeys, _>(bytes, limit, parameters)
    };
    assert_eq!(read(&bytes, &parameters).unwrap(), world.seeded);
    assert_eq!(bytes[6], 12);
    assert_eq!(SeededSlotKeys::KIND, 12);
    let refused = |bytes: &[u8], parameters: &SlotParameters| {
        assert!(matches!(read(bytes, parameters), Err(WireError::NotConformant { .. })));
    };
    refused(&bytes, &insecure(4, 7, Binary));
    refused(&bytes, &insecure(5, 6, Binary));
    refused(&bytes, &insecure(4, 6, Ternary));
    let other = World::new(parameters.clone()).seeded;
    let swap = |change: &dyn Fn(&mut SeededSlotKeys)| {
        let mut keys = world.seeded.clone();
        change(&mut keys);
        wire::to_bytes(&keys).unwrap()
    };
    let mut rng = ChaCha20Rng::seed_from_u64(77);
    let stranger = KeyGenerator::new(parameters.small()).secret_key(&mut rng).unwrap();
    let stranger = SeededSlotKeys::generate(&parameters, &stranger, &mut rng).unwrap();
    refused(&swap(&|keys| keys.enter.clone_from(&stranger.enter)), &parameters);
    refused(&swap(&|keys| keys.leave.clone_from(&stranger.leave)), &parameters);
    refused(&swap(&|keys| keys.evaluation.clone_from(&stranger.evaluation)), &parameters);
    // the same seeds make the same keys
    assert_eq!(wire::to_bytes(&other).unwrap(), bytes);
}

/// Takes some minutes and 12 GB.
#[test]
#[ignore = "large"]
fn shipped_sets_keep_twenty_bits() {
    use std::time::Instant;
    let small = rlwe::Parameters::new(small_ring(11, Binary), SecurityLevel::Bits128).unwrap();
    for log_slots in [10, 15] {
        let start = Instant::now();
        let lap = |what: &str| println!("{:8.2} s  {what}", start.elapsed().as_secs_f64());
        let literal = SlotParametersLiteral::deep(log_slots);
        let parameters = SlotParameters::new(&small, literal, SecurityLevel::Bits128).unwrap();
        let capacity = parameters.capacity();
        println!("{capacity} ciphertexts, log2 QP = {:.1}", parameters.ckks().log2_qp());
        lap("parameters");
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = Arc::new(KeyGenerator::new(&small).secret_key(&mut rng).unwrap());
        let seeded = SeededSlotKeys::generate(&parameters, &secret, &mut rng).unwrap();
        lap("keys");
        let keys = seeded.expand(&parameters).unwrap();
        lap("keys and matrices expanded");
        println!("keys and matrices: {:.2} GB", keys.bytes() as f64 / 1e9);
        let world = World { encoder: Encoder::new(&small), parameters, secret, seeded, keys };
        for (width, tolerance) in [(0.125, 2f64.powi(-24)), (0.2, 2f64.powi(-18))] {
            let polynomial = world.parameters.polynomial(&relu(width), width, tolerance).unwrap();
            let inputs = world.inputs(capacity, width, 5);
            let start = Instant::now();
            let progress = |step| {
                println!("{:8.2} s  {step:?}", start.elapsed().as_secs_f64());
                ControlFlow::Continue(())
            };
            world.keys.evaluate(&inputs, &polynomial, Amplitude::new(1.0), &progress).unwrap();
            let [circuit, all, predicted, largest] =
                world.errors(&relu(width), &polynomial, capacity);
            println!(
                "width {width}, degree {}: {:.2} bits of a turn, predicted {:.2}; from the function {:.2}, largest {:.2}",
                polynomial.degree(),
                bits(circuit),
                bits(predicted),
                bits(all),
                -largest.log2()
            );
            assert!((bits(circuit) - bits(predicted)).abs() < 0.3);
            assert!(largest < tolerance + 9.0 * predicted.sqrt());
        }
    }
}
