use super::*;
use crate::wire::{WireError, from_bytes, to_bytes};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const LIMIT: u64 = 1 << 22;

fn fixed() -> Party {
    Party::new(small(2, 2), 7)
}

fn requirements(parameters: &Parameters) -> KeyRequirements {
    KeyRequirements::relinearization(2).union(KeyRequirements::rotations(parameters, [1, -5], 1))
}

#[test]
fn everything_public_round_trips() {
    let mut party = fixed();
    let x = party.slots();
    let plaintext = party.encoder.encode(&x, 1, &Scale::new(1.5e11).unwrap()).unwrap();
    let seeded = party.encryptor.encrypt(&plaintext, &party.secret, &mut party.rng).unwrap();
    let bytes = to_bytes(&seeded).unwrap();
    let parameters = party.parameters.clone();
    let read: SeededCiphertext<Slots> = from_bytes(&bytes, LIMIT, &parameters).unwrap();
    assert_eq!(read, seeded);
    let full = seeded.expand(&parameters).unwrap();
    let long = to_bytes(&PackedCiphertext::from(&full)).unwrap();
    assert!(bytes.len() * 10 < long.len() * 6, "a seeded ciphertext is about half the size");
    let read: PackedCiphertext<Slots> = from_bytes(&long, LIMIT, &parameters).unwrap();
    assert_eq!(read.unpack(&parameters).unwrap(), full);
    assert!(matches!(
        from_bytes::<PackedCiphertext<Coeffs>, _>(&long, LIMIT, &parameters),
        Err(WireError::NotConformant { .. })
    ));

    let generator = KeyGenerator::new(&parameters);
    let keys = generator.evaluation_keys(&party.secret, &requirements(&parameters), &mut party.rng);
    let bytes = to_bytes(&keys.unwrap()).unwrap();
    let keys: SeededEvaluationKeys = from_bytes(&bytes, LIMIT, &parameters).unwrap();
    let keys = keys.expand(&parameters).unwrap();
    assert_eq!(keys.len(), 3);
    let rotated = party.evaluator.rotate(&full, 1, &keys).unwrap();
    assert!((party.decrypt(&rotated)[0] - x[1]).norm() < 1e-7);

    let public = generator.public_key(&party.secret, &mut party.rng).unwrap();
    let read: SeededPublicKey =
        from_bytes(&to_bytes(&public).unwrap(), LIMIT, &parameters).unwrap();
    assert_eq!(read, public);
    let other = small(1, 1);
    assert!(from_bytes::<SeededPublicKey, _>(&to_bytes(&public).unwrap(), LIMIT, &other).is_err());
}

/// The wire form depends on the expansion of seeds, the choice of primes and the order of transforms:
/// a change of any of them needs a new format version.
#[test]
fn known_bytes() {
    let mut party = fixed();
    let x = party.slots();
    let plaintext = party.encoder.encode(&x, 2, &Scale::power_of_two(40)).unwrap();
    let seeded = party.encryptor.encrypt(&plaintext, &party.secret, &mut party.rng).unwrap();
    let generator = KeyGenerator::new(&party.parameters);
    let requirements = requirements(&party.parameters);
    let keys = generator.evaluation_keys(&party.secret, &requirements, &mut party.rng).unwrap();
    let public = generator.public_key(&party.secret, &mut party.rng).unwrap();
    let expanded = seeded.expand(&party.parameters).unwrap();
    let digests = [
        to_bytes(&seeded).unwrap(),
        to_bytes(&PackedCiphertext::from(&expanded)).unwrap(),
        to_bytes(&keys).unwrap(),
        to_bytes(&public).unwrap(),
    ]
    .map(|bytes| {
        let digest = Sha256::digest(&bytes);
        digest[..8].iter().fold(0u64, |word, &byte| word << 8 | u64::from(byte))
    });
    assert_eq!(digests, KNOWN, "{digests:#x?}");
}

const KNOWN: [u64; 4] =
    [0x1974_3642_bf0c_1041, 0xdddf_53f4_109b_c17c, 0x788d_3c91_23be_06c2, 0x07db_9751_4fc9_2d91];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn altered_and_truncated_bytes_are_refused(at: prop::sample::Index, bit in 0u8..8) {
        let mut party = fixed();
        let x = party.slots();
        let ciphertext = party.encrypt(&x);
        let mut bytes = to_bytes(&PackedCiphertext::from(&ciphertext)).unwrap();
        let at = at.index(bytes.len());
        let read = |bytes: &[u8]| from_bytes::<PackedCiphertext<Slots>, _>(bytes, LIMIT, &party.parameters);
        prop_assert!(read(&bytes[..at]).is_err());
        bytes[at] ^= 1 << bit;
        prop_assert!(read(&bytes).is_err());
    }
}
