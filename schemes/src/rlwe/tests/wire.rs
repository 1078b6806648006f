use super::*;
use crate::math::sampling::Seed;
use crate::wire::{Conformant, HEADER_BYTES, PackedWords, Wire, WireError, from_bytes, to_bytes};
use concrete_fft::c64;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const LIMIT: u64 = 1 << 16;

fn read<T: Wire + Conformant<Parameters>>(
    bytes: &[u8],
    parameters: &Parameters,
) -> Result<T, WireError> {
    from_bytes(bytes, LIMIT, parameters)
}

/// The bytes of `T` with a body that was changed on purpose, checksum and all.
fn forge(bytes: &[u8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let (header, body) = bytes.split_at(HEADER_BYTES);
    let mut body = body.to_vec();
    change(&mut body);
    let mut forged = header[..8].to_vec();
    forged.extend((body.len() as u64).to_le_bytes());
    forged.extend(Sha256::digest(&body));
    forged.extend(body);
    forged
}

fn coefficients(party: &mut Party) -> SeededCiphertext<Coeffs> {
    let plaintext = party.encoder.encode_coefficients(&[1.0, -2.0, 3.0], scale(1e9)).unwrap();
    party.seeded(&plaintext)
}

proptest! {
    #[test]
    fn ciphertexts_round_trip(values in prop::collection::vec(-1e3f64..1e3, SMALL), seed: u64) {
        let mut party = Party::new(small(SecretDistribution::Ternary), seed);
        let plaintext = party.encoder.encode_coefficients(&values, scale(1e9)).unwrap();
        let seeded = party.seeded(&plaintext);
        let bytes = to_bytes(&seeded).unwrap();
        prop_assert_eq!(&read::<SeededCiphertext<Coeffs>>(&bytes, &party.parameters).unwrap(), &seeded);

        let full = seeded.expand(&party.parameters).unwrap();
        let packed = PackedCiphertext::from(&full);
        let bytes = to_bytes(&packed).unwrap();
        let back = read::<PackedCiphertext<Coeffs>>(&bytes, &party.parameters).unwrap();
        prop_assert_eq!(&back.unpack(&party.parameters).unwrap(), &full);
    }

    #[test]
    fn any_altered_byte_is_found(at in 0usize..600, flip in 1u8..=255) {
        let mut party = Party::new(small(SecretDistribution::Ternary), 1);
        let mut bytes = to_bytes(&coefficients(&mut party)).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        prop_assert!(read::<SeededCiphertext<Coeffs>>(&bytes, &party.parameters).is_err());
    }

    /// A forger can compute the checksum: whatever the body, reading it must not panic, and what is
    /// accepted must expand.
    #[test]
    fn forged_bodies_never_panic(at in 0usize..600, value: u8, cut in 0usize..600) {
        let mut party = Party::new(small(SecretDistribution::Ternary), 1);
        let seeded = coefficients(&mut party);
        let packed = PackedCiphertext::from(&seeded.expand(&party.parameters).unwrap());
        let change = |body: &mut Vec<u8>| {
            let at = at % body.len();
            body[at] = value;
            if cut < body.len() / 2 {
                body.truncate(cut);
            }
        };
        let bytes = forge(&to_bytes(&seeded).unwrap(), change);
        if let Ok(read) = read::<SeededCiphertext<Coeffs>>(&bytes, &party.parameters) {
            prop_assert!(read.expand(&party.parameters).is_ok());
        }
        let bytes = forge(&to_bytes(&packed).unwrap(), change);
        if let Ok(read) = read::<PackedCiphertext<Coeffs>>(&bytes, &party.parameters) {
            prop_assert!(read.unpack(&party.parameters).is_ok());
        }
    }
}

#[test]
fn slots_round_trip() {
    let mut party = Party::new(small(SecretDistribution::Ternary), 3);
    let plaintext = party.encoder.encode_slots(&[c64::new(1.0, 2.0); 7], scale(1e9)).unwrap();
    let seeded = party.seeded(&plaintext);
    let bytes = to_bytes(&seeded).unwrap();
    assert_eq!(read::<SeededCiphertext<Slots>>(&bytes, &party.parameters).unwrap(), seeded);
}

#[test]
fn truncated_ciphertexts_are_refused() {
    let mut party = Party::new(small(SecretDistribution::Ternary), 1);
    let seeded = coefficients(&mut party);
    let full = PackedCiphertext::from(&seeded.expand(&party.parameters).unwrap());
    let (seeded, full) = (to_bytes(&seeded).unwrap(), to_bytes(&full).unwrap());
    for length in 0..seeded.len() {
        let error = read::<SeededCiphertext<Coeffs>>(&seeded[..length], &party.parameters);
        assert!(matches!(error, Err(WireError::Truncated { .. })), "{length}");
    }
    for length in 0..full.len() {
        let error = read::<PackedCiphertext<Coeffs>>(&full[..length], &party.parameters);
        assert!(matches!(error, Err(WireError::Truncated { .. })), "{length}");
    }
    assert!(matches!(
        read::<PackedCiphertext<Coeffs>>(&seeded, &party.parameters),
        Err(WireError::Kind { found: 1, .. })
    ));
}

#[test]
fn another_packing_is_refused() {
    let mut party = Party::new(small(SecretDistribution::Ternary), 1);
    let slots = party.encoder.encode_slots(&[c64::new(1.0, 0.0)], scale(1e9)).unwrap();
    let seeded = party.seeded(&slots);
    let full = PackedCiphertext::from(&seeded.expand(&party.parameters).unwrap());
    for error in [
        read::<SeededCiphertext<Coeffs>>(&to_bytes(&seeded).unwrap(), &party.parameters).err(),
        read::<PackedCiphertext<Coeffs>>(&to_bytes(&full).unwrap(), &party.parameters).err(),
    ] {
        let Some(WireError::NotConformant { reason, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(reason, "packing 1 where values in coefficients are expected");
    }
}

#[test]
fn another_ring_is_refused() {
    let mut party = Party::new(small(SecretDistribution::Ternary), 1);
    let seeded = coefficients(&mut party);
    let full = PackedCiphertext::from(&seeded.expand(&party.parameters).unwrap());
    let (bytes, full_bytes) = (to_bytes(&seeded).unwrap(), to_bytes(&full).unwrap());
    for literal in [
        ParametersLiteral { log_dimension: 7, ..party.parameters.literal() },
        ParametersLiteral { log_dimension: 5, ..party.parameters.literal() },
        ParametersLiteral { modulus_bits: 49, ..party.parameters.literal() },
        ParametersLiteral { modulus_bits: 51, ..party.parameters.literal() },
    ] {
        let wrong = Parameters::insecure_unchecked(literal).unwrap();
        assert!(matches!(
            read::<SeededCiphertext<Coeffs>>(&bytes, &wrong),
            Err(WireError::NotConformant { .. })
        ));
        assert!(matches!(
            read::<PackedCiphertext<Coeffs>>(&full_bytes, &wrong),
            Err(WireError::NotConformant { .. })
        ));
        for result in [seeded.expand(&wrong).map(drop), full.unpack(&wrong).map(drop)] {
            let refused = match literal.modulus_bits {
                50 => matches!(result, Err(RlweError::Math(_))),
                found => result == Err(RlweError::ResidueWidth { expected: found, found: 50 }),
            };
            assert!(refused, "{result:?}");
        }
    }
}

#[test]
fn residues_that_are_not_reduced_and_senseless_scales_are_refused() {
    let mut party = Party::new(small(SecretDistribution::Ternary), 1);
    let mut seeded = coefficients(&mut party);
    let reason = |seeded: &SeededCiphertext<Coeffs>| seeded.conforms(&party.parameters).err();
    assert_eq!(reason(&seeded), None);
    let good = seeded.c0.clone();
    seeded.c0 = PackedWords::pack(&[(1 << 50) - 1; SMALL], 50);
    assert!(reason(&seeded).unwrap().contains("not reduced"));
    seeded.c0 = good;
    for scale in [f64::NAN, 0.0, -3.0, f64::INFINITY] {
        // a scale is the last 8 bytes before the key id
        let bytes = forge(&to_bytes(&seeded).unwrap(), |body| {
            let at = body.len() - 16;
            body[at..at + 8].copy_from_slice(&scale.to_le_bytes());
        });
        let error = read::<SeededCiphertext<Coeffs>>(&bytes, &party.parameters).unwrap_err();
        assert!(matches!(error, WireError::NotConformant { .. }), "{error:?}");
    }
}

/// The bytes on the wire are a contract: a change needs a new format version.
#[test]
fn known_answer() {
    let parameters = real(SecretDistribution::Ternary);
    let mut rng = ChaCha20Rng::seed_from_u64(2024);
    let secret = SecretKey::generate(&parameters, &mut rng).unwrap();
    let values: Vec<f64> = (0..2048).map(|i| f64::from(i) / 64.0 - 16.0).collect();
    let plaintext =
        Encoder::new(&parameters).encode_coefficients(&values, scale(33f64.exp2())).unwrap();
    let seeded = Encryptor::new(&parameters).encrypt(&plaintext, &secret, &mut rng).unwrap();
    let bytes = to_bytes(&seeded).unwrap();
    assert_eq!(bytes.len(), 12_917);
    assert_eq!(
        hexadecimal(&Sha256::digest(&bytes)),
        "f75426ab47cad15ff7023e50308bef9c52d3a7dd76ff3e4837e4a2ca538960ff"
    );
    let full = PackedCiphertext::from(&seeded.expand(&parameters).unwrap());
    let bytes = to_bytes(&full).unwrap();
    assert_eq!(
        hexadecimal(&Sha256::digest(&bytes)),
        "507131c9c4e1149fc4ed6e43db05354f0404b25aa790ba2908ced02769c9a9d5"
    );
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_input_is_at_most_32_kib() {
    let mut party = Party::new(real(SecretDistribution::Ternary), 1);
    assert!(to_bytes(&coefficients(&mut party)).unwrap().len() <= 32 << 10);
}

#[test]
fn switching_keys_conform_to_their_parameters_only() {
    let mut party = Party::new(small(SecretDistribution::Ternary), 1);
    let gadget = Gadget::digits(10, 5, party.parameters.ring().modulus()).unwrap();
    let key =
        KeyGenerator::new(&party.parameters).galois_key(&party.secret, 5, gadget, &mut party.rng);
    let key = key.unwrap();
    assert_eq!(key.conforms(&party.parameters), Ok(()));
    for literal in [
        ParametersLiteral { log_dimension: 7, ..party.parameters.literal() },
        ParametersLiteral { modulus_bits: 49, ..party.parameters.literal() },
        ParametersLiteral { modulus_bits: 60, ..party.parameters.literal() },
    ] {
        let wrong = Parameters::insecure_unchecked(literal).unwrap();
        assert!(key.conforms(&wrong).is_err());
        assert!(key.expand(wrong.ring()).is_err());
    }
    let tiny = ParametersLiteral { log_dimension: 4, ..party.parameters.literal() };
    let tiny = Parameters::insecure_unchecked(tiny).unwrap();
    assert!(key.conforms(&tiny).is_err());
}

#[test]
fn a_seed_expands_the_same_mask_on_both_sides() {
    let parameters = small(SecretDistribution::Ternary);
    let seed = Seed::random(&mut ChaCha20Rng::seed_from_u64(9));
    let mask = || {
        crate::math::sampling::uniform::<crate::math::Coeff>(parameters.ring(), &mut seed.expand())
    };
    assert_eq!(mask(), mask());
}
