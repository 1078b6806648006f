use super::*;
use crate::math::{MathError, Poly};
use crate::statistics::Pool;
use crate::wire::{Conformant, Wire, WireError, from_bytes, to_bytes};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn gadget(base_log: u32, levels: u32, parameters: &Parameters) -> Gadget {
    Gadget::digits(base_log, levels, parameters.ring().modulus()).unwrap()
}

fn polynomial(parameters: &Parameters, terms: &[(usize, i64)], at: f64) -> Plaintext<Coeffs> {
    Plaintext::from_terms(parameters.ring(), terms, scale(at)).unwrap()
}

fn encrypt(party: &mut Party, factor: &Plaintext<Coeffs>, gadget: Gadget) -> GadgetCiphertext {
    let (secret, rng) = (&party.secret, &mut party.rng);
    let seeded = party.encryptor.encrypt_gadget(factor, gadget, secret, rng).unwrap();
    assert_eq!((seeded.key(), seeded.gadget()), (secret.id(), gadget));
    assert_eq!(seeded.instance(), secret.instance(party.parameters.sigma()));
    seeded.expand(party.parameters.ring()).unwrap()
}

/// The phase of `ciphertext`, times a polynomial.
fn times(
    party: &Party,
    ciphertext: &Ciphertext<Coeffs>,
    factor: &Plaintext<Coeffs>,
) -> Poly<Coeff> {
    let phase = party.decryptor.decrypt(ciphertext).unwrap().poly().clone();
    phase.into_ntt().times(&factor.poly().clone().into_ntt()).unwrap().into_coeff()
}

/// What an external product adds to the product with a plaintext, in units of 1.
fn added(
    party: &Party,
    ciphertext: &Ciphertext<Coeffs>,
    factor: &Plaintext<Coeffs>,
    encrypted: &GadgetCiphertext,
) -> Vec<f64> {
    let product = party.evaluator.external_product(ciphertext, encrypted).unwrap();
    let expected = Plaintext::new(times(party, ciphertext, factor), product.scale());
    party.noise(&product, &expected).collect()
}

fn weights() -> impl Strategy<Value = Vec<(usize, i64)>> {
    prop::collection::vec((0..2 * SMALL, -100i64..100), 0..12)
}

proptest! {
    #[test]
    fn sums_of_external_products_are_sums_of_products(
        terms in prop::collection::vec(
            (prop::collection::vec(-10.0f64..10.0, SMALL), weights()),
            0..6,
        ),
        (base_log, levels) in prop::sample::select(vec![(18, 2), (10, 4), (16, 3), (9, 5)]),
        binary: bool,
        seed: u64,
    ) {
        use SecretDistribution::{Binary, Ternary};
        let parameters = small(if binary { Binary } else { Ternary });
        let mut party = Party::new(parameters.clone(), seed);
        let gadget = gadget(base_log, levels, &parameters);
        let (at, bias) = (scale(30f64.exp2()), vec![1.5; SMALL]);
        let mut sum = party.encrypt_values(&bias, scale(34f64.exp2()));
        let mut expected = party.decryptor.decrypt(&sum).unwrap().poly().clone();
        let (mut operands, mut variance) = (Vec::new(), 1.0);
        for (values, weights) in &terms {
            let factor = polynomial(&parameters, weights, 16.0);
            let ciphertext = party.encrypt_values(values, at);
            expected.add_assign(&times(&party, &ciphertext, &factor)).unwrap();
            variance += noise::external_product(&parameters, gadget, factor.poly());
            let factor = encrypt(&mut party, &factor, gadget);
            operands.push((party.evaluator.decompose(&ciphertext, gadget).unwrap(), factor));
        }
        let references: Vec<_> = operands.iter().map(|(c, f)| (c, f)).collect();
        party.evaluator.add_external_products(&mut sum, &references).unwrap();
        prop_assert_eq!((sum.scale(), sum.key()), (scale(34f64.exp2()), party.secret.id()));
        let expected = Plaintext::new(expected, sum.scale());
        let worst = party.noise(&sum, &expected).fold(0.0, |worst: f64, e| worst.max(e.abs()));
        // a digit is uniform, not normal, and there are few
        prop_assert!(worst <= 12.0 * variance.sqrt(), "{} for {}", worst, variance.sqrt());
    }
}

/// Rows whose noise rules, and digits whose error does, through weights with a mean and without.
#[test]
fn the_noise_of_an_external_product_is_predicted_and_not_below_the_floor() {
    use SecretDistribution::{Binary, Ternary};
    let even: Vec<(usize, i64)> = (0..25).map(|i| (i * 71, 90 - 3 * i as i64)).collect();
    let mixed: Vec<(usize, i64)> =
        (0..25).map(|i| (4095 - i * 3, if i % 2 == 0 { 120 } else { -120 })).collect();
    let slight = [(7, 3), (400, -2), (3000, 5)].to_vec();
    let large: Vec<(usize, i64)> = even.iter().map(|(e, w)| (*e, w << 12)).collect();
    // what digits leave out goes through weights and a secret that both have a mean: it is nearly the
    // same in all coefficients, which then are few samples, so more products are needed
    for (distribution, terms, choice, digits_rule, secrets) in [
        (Binary, &slight, (18, 2), false, 40),
        (Ternary, &slight, (18, 2), false, 40),
        (Binary, &large, (18, 2), true, 2000),
        (Binary, &mixed, (13, 2), true, 40),
        (Ternary, &even, (12, 2), true, 40),
    ] {
        let parameters = real(distribution);
        let gadget = gadget(choice.0, choice.1, &parameters);
        let factor = polynomial(&parameters, terms, 1.0);
        let predicted = noise::external_product(&parameters, gadget, factor.poly());
        let rows = 4096.0 * noise::fresh_secret(&parameters) * gadget.second_moment();
        assert_eq!(predicted > 2.0 * rows, digits_rule, "{predicted} of which {rows}");
        let mut pool = Pool::default();
        for seed in 0..secrets {
            let mut party = Party::new(parameters.clone(), seed);
            let encrypted = encrypt(&mut party, &factor, gadget);
            let zero = party.encoder.encode_coefficients(&[], scale(1.0)).unwrap();
            for _ in 0..2 {
                let ciphertext = party.encrypt(&zero);
                pool.extend(added(&party, &ciphertext, &factor, &encrypted));
            }
        }
        let name = format!("external product, {distribution:?}, {choice:?}");
        pool.assert_variance(&name, predicted, 0.1);
        pool.assert_at_least(&name, rows);
    }
}

/// The noise inside the rows, which is all that protects the weights.
#[test]
fn the_rows_of_a_gadget_ciphertext_have_their_noise() {
    for distribution in [SecretDistribution::Binary, SecretDistribution::Ternary] {
        let parameters = real(distribution);
        let gadget = gadget(18, 2, &parameters);
        let mut pool = Pool::default();
        for seed in 0..16 {
            let mut party = Party::new(parameters.clone(), seed);
            let factor = polynomial(&parameters, &[(3, 100), (2048 + 7, -55)], 1.0);
            let encrypted = encrypt(&mut party, &factor, gadget);
            let messages = [factor.poly().clone(), party.secret.times(factor.poly()).unwrap()];
            let constants = gadget.constants(parameters.ring().modulus());
            let expected = messages.iter().flat_map(|message| {
                constants.iter().map(move |&constant| {
                    let mut expected = message.clone();
                    expected.scale(message.modulus().to_signed(constant));
                    expected
                })
            });
            assert_eq!(encrypted.rows.len(), 2 * gadget.rows());
            for ([body, mask], expected) in encrypted.rows.into_iter().zip(expected) {
                let mut noise = party.secret.times(&mask.into_coeff()).unwrap();
                noise.add_assign(&body.into_coeff()).unwrap();
                noise.sub_assign(&expected).unwrap();
                pool.extend(noise.to_signed().into_iter().map(|e| e as f64));
            }
        }
        pool.assert_variance("row of a gadget ciphertext", noise::fresh_secret(&parameters), 0.03);
        pool.assert_at_least("row of a gadget ciphertext", parameters.sigma().powi(2));
    }
}

#[test]
fn operands_that_do_not_belong_together_are_refused() {
    let mut alice = Party::new(small(SecretDistribution::Ternary), 1);
    let mut bob = Party::new(small(SecretDistribution::Ternary), 2);
    let (coarse, fine) = (gadget(18, 2, &alice.parameters), gadget(10, 4, &alice.parameters));
    let one = polynomial(&alice.parameters, &[(0, 1)], 4.0);
    let factor = encrypt(&mut alice, &one, coarse);
    let foreign = encrypt(&mut bob, &one, coarse);
    let at = scale(1e6);
    let a = alice.encrypt_values(&[1.0], at);
    let evaluator = &alice.evaluator;
    assert_eq!(evaluator.external_product(&a, &factor).unwrap().scale(), scale(4e6));
    assert!(matches!(evaluator.external_product(&a, &foreign), Err(RlweError::Key(_))));

    let digits = evaluator.decompose(&a, coarse).unwrap();
    assert_eq!(digits.scale(), at);
    let add = |sum: &Ciphertext<Coeffs>, digits: &DecomposedCiphertext, factor| {
        evaluator.add_external_products(&mut sum.clone(), &[(digits, factor)])
    };
    let sum = a.clone().with_scale(scale(4e6));
    assert!(add(&sum, &digits, &factor).is_ok());
    assert!(matches!(add(&a, &digits, &factor), Err(RlweError::ScaleMismatch { .. })));
    assert!(matches!(
        add(&sum, &evaluator.decompose(&a, fine).unwrap(), &factor),
        Err(RlweError::GadgetMismatch { expected, found }) if expected == coarse && found == fine
    ));
    let stranger = bob.encrypt_values(&[1.0], at).with_scale(scale(4e6));
    assert!(matches!(add(&stranger, &digits, &factor), Err(RlweError::Key(_))));

    let literal = ParametersLiteral { log_dimension: 7, ..alice.parameters.literal() };
    let wide = Party::new(Parameters::insecure_unchecked(literal).unwrap(), 1);
    let mismatch = |error| matches!(error, RlweError::Math(MathError::RingMismatch { .. }));
    assert!(mismatch(wide.evaluator.decompose(&a, coarse).unwrap_err()));
    assert!(mismatch(wide.evaluator.external_product(&a, &factor).unwrap_err()));
    let (secret, rng) = (&wide.secret, &mut alice.rng);
    assert!(mismatch(alice.encryptor.encrypt_gadget(&one, coarse, secret, rng).unwrap_err()));
    let wider = polynomial(&wide.parameters, &[(0, 1)], 4.0);
    let (secret, rng) = (&alice.secret, &mut alice.rng);
    assert!(mismatch(alice.encryptor.encrypt_gadget(&wider, coarse, secret, rng).unwrap_err()));

    let narrow = ParametersLiteral { modulus_bits: 20, ..alice.parameters.literal() };
    let narrow = Party::new(Parameters::insecure_unchecked(narrow).unwrap(), 1);
    let zero = Poly::zero(narrow.parameters.ring());
    let zero = Ciphertext::<Coeffs>::from_parts(zero.clone(), zero, at, narrow.secret.id());
    let error = narrow.evaluator.decompose(&zero.unwrap(), coarse).unwrap_err();
    assert!(matches!(error, RlweError::Gadget { .. }));
}

fn seeded(party: &mut Party, gadget: Gadget) -> SeededGadgetCiphertext {
    let factor = polynomial(&party.parameters, &[(1, -7), (SMALL + 2, 3)], 0.5);
    party.encryptor.encrypt_gadget(&factor, gadget, &party.secret, &mut party.rng).unwrap()
}

fn read<T: Wire + Conformant<Parameters>>(
    bytes: &[u8],
    parameters: &Parameters,
) -> Result<T, WireError> {
    from_bytes(bytes, 1 << 20, parameters)
}

#[test]
fn gadget_ciphertexts_and_public_keys_conform_to_their_parameters_only() {
    let mut party = Party::new(small(SecretDistribution::Ternary), 1);
    let gadget = gadget(18, 2, &party.parameters);
    let factor = seeded(&mut party, gadget);
    let public =
        KeyGenerator::new(&party.parameters).public_key(&party.secret, &mut party.rng).unwrap();
    let (bytes, key_bytes) = (to_bytes(&factor).unwrap(), to_bytes(&public).unwrap());
    assert_eq!(read::<SeededGadgetCiphertext>(&bytes, &party.parameters).unwrap(), factor);
    assert_eq!(read::<SeededPublicKey>(&key_bytes, &party.parameters).unwrap(), public);
    assert!(matches!(
        read::<SeededGadgetCiphertext>(&key_bytes, &party.parameters),
        Err(WireError::Kind { found: 51, .. })
    ));
    for literal in [
        ParametersLiteral { log_dimension: 7, ..party.parameters.literal() },
        ParametersLiteral { modulus_bits: 49, ..party.parameters.literal() },
        ParametersLiteral { modulus_bits: 20, ..party.parameters.literal() },
    ] {
        let wrong = Parameters::insecure_unchecked(literal).unwrap();
        let refused = |error| matches!(error, WireError::NotConformant { .. });
        assert!(refused(read::<SeededGadgetCiphertext>(&bytes, &wrong).unwrap_err()));
        assert!(refused(read::<SeededPublicKey>(&key_bytes, &wrong).unwrap_err()));
        assert!(factor.expand(wrong.ring()).is_err() && public.expand(wrong.ring()).is_err());
    }
    // halves that do not belong together, and a senseless scale
    let mut stranger = Party::new(party.parameters.clone(), 2);
    let foreign = seeded(&mut stranger, gadget);
    let fine = self::gadget(10, 4, &party.parameters);
    let finer = seeded(&mut party, fine);
    for other in [foreign, finer] {
        let mixed = factor.with_second_half_of(&other);
        assert!(mixed.conforms(&party.parameters).unwrap_err().contains("belong together"));
    }
}

/// The bytes on the wire are a contract: a change needs a new format version.
#[test]
fn known_answers() {
    let parameters = real(SecretDistribution::Binary);
    let mut party = Party::new(parameters.clone(), 2026);
    let terms: Vec<(usize, i64)> = (0..25).map(|i| (i * 101, i as i64 - 12)).collect();
    let factor = polynomial(&parameters, &terms, 2.5);
    let gadget = gadget(18, 2, &parameters);
    let (secret, rng) = (&party.secret, &mut party.rng);
    let seeded = party.encryptor.encrypt_gadget(&factor, gadget, secret, rng).unwrap();
    let public = KeyGenerator::new(&parameters).public_key(secret, rng).unwrap();
    let digest = |bytes: &[u8]| {
        Sha256::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let (bytes, key) = (to_bytes(&seeded).unwrap(), to_bytes(&public).unwrap());
    assert_eq!((bytes.len(), digest(&bytes).as_str()), (51_522, "94a11bd795e813da"));
    // the body and a seed
    assert_eq!((key.len(), digest(&key).as_str()), (12_908, "aacb67e896a9201e"));
}
