use super::*;
use crate::tiny;
use bellerophon_schemes::wire::WireError;
use proptest::prelude::*;
use std::sync::LazyLock;
use tempfile::TempDir;

const CONTENTS: [(Part, &[u8]); 3] = [
    (Part::PublicKey, b"a public key"),
    (Part::Model, b"parameters that are encrypted"),
    (Part::EvaluationKeys, b"evaluation keys"),
];

fn content(part: Part) -> &'static [u8] {
    CONTENTS.iter().find(|(known, _)| *known == part).unwrap().1
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn owner(seed: u8) -> OwnerKey {
    signing_key(seed).verifying_key().into()
}

fn manifest() -> Manifest {
    let entry = |&(part, bytes): &(Part, &[u8])| PartEntry {
        part,
        length: bytes.len() as u64,
        sha256: Sha256::digest(bytes).into(),
    };
    Manifest {
        model: ModelId::new("lenet5", 3).unwrap(),
        key: KeyId::random(&mut tiny::rng(1)),
        created: 1_700_000_000,
        parts: CONTENTS.iter().map(entry).collect(),
    }
}

fn bytes_of(manifest: &Manifest) -> Vec<u8> {
    let mut out = Vec::new();
    write::<_, BundleError>(&mut out, manifest, &signing_key(7), |part| Ok(content(part))).unwrap();
    out
}

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| bytes_of(&manifest()));

/// Opens these bytes as a file, for the owner of [`BYTES`].
fn open(bytes: &[u8]) -> Result<Bundle, BundleError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("bundle");
    std::fs::write(&path, bytes).unwrap();
    Bundle::open(&path, &owner(7))
}

/// All parts, so that whatever is wrong shows.
fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, BundleError> {
    let mut bundle = open(bytes)?;
    CONTENTS.iter().map(|(part, _)| bundle.read(*part)).collect()
}

#[test]
fn what_is_signed_is_read() {
    let mut bundle = open(&BYTES).unwrap();
    assert_eq!(bundle.manifest(), &manifest());
    for (part, _) in CONTENTS {
        assert_eq!(bundle.read(part).unwrap(), content(part));
        assert_eq!(bundle.read(part).unwrap(), content(part), "a second time");
    }
    let mut other = manifest();
    other.created += 1;
    assert_ne!(open(&bytes_of(&other)).unwrap().id(), bundle.id());
}

#[test]
fn known_first_bytes() {
    assert_eq!(BYTES[..8], *b"BLRB\x01\x00\x00\x00");
    let length = u32::from_le_bytes(BYTES[8..12].try_into().unwrap()) as usize;
    assert_eq!(BYTES[76..80], *b"BLRN");
    let parts: usize = CONTENTS.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(BYTES.len(), 76 + length + parts);
}

#[test]
fn bundles_of_others_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("bundle");
    std::fs::write(&path, &*BYTES).unwrap();
    let error = Bundle::open(&path, &owner(8)).unwrap_err();
    assert!(matches!(error, BundleError::Signature { .. }));
    assert!(error.to_string().contains(&owner(8).to_string()), "{error}");
}

#[test]
fn every_flipped_bit_is_refused() {
    for at in 0..BYTES.len() {
        let mut copy = BYTES.clone();
        copy[at] ^= 1 << (at % 8);
        assert!(read(&copy).is_err(), "byte {at}");
    }
    let altered = |at: usize, value: u8| {
        let mut copy = BYTES.clone();
        copy[at] ^= value;
        read(&copy).unwrap_err()
    };
    assert!(matches!(altered(0, 1), BundleError::Magic));
    assert!(matches!(altered(4, 2), BundleError::Version { found: 3 }));
    assert!(matches!(altered(6, 1), BundleError::Magic));
    assert!(matches!(altered(11, 1), BundleError::TooLong { .. }));
    assert!(matches!(altered(12, 1), BundleError::Signature { .. }));
    assert!(matches!(altered(76, 1), BundleError::Signature { .. }));
    let last = BYTES.len() - 1;
    assert!(matches!(altered(last, 1), BundleError::Digest { part: Part::EvaluationKeys }));
}

#[test]
fn every_other_length_is_refused() {
    for length in 0..BYTES.len() {
        let error = read(&BYTES[..length]).unwrap_err();
        assert!(matches!(error, BundleError::Truncated { .. }), "{length}: {error}");
    }
    let error = read(&[&BYTES[..], &[0, 0]].concat()).unwrap_err();
    assert!(matches!(error, BundleError::Trailing { extra: 2 }), "{error}");
}

#[test]
fn manifests_that_lack_or_repeat_a_part_are_refused() {
    let refused = |manifest: &Manifest| match open(&bytes_of(manifest)).unwrap_err() {
        BundleError::Manifest(WireError::NotConformant { reason, .. }) => reason,
        other => panic!("{other}"),
    };
    let mut lacking = manifest();
    lacking.parts.remove(2);
    assert_eq!(refused(&lacking), "it has no evaluation keys");
    let mut twice = manifest();
    twice.parts.push(twice.parts[0].clone());
    assert_eq!(refused(&twice), "it has the public key twice");
}

#[test]
fn parts_that_are_not_announced_so_are_not_written() {
    let mut out = Vec::new();
    let wrong = |_| Ok::<_, BundleError>(&b"something else"[..]);
    let error = write(&mut out, &manifest(), &signing_key(7), wrong).unwrap_err();
    assert!(matches!(error, BundleError::Digest { .. }));
}

#[test]
fn owner_keys_are_written_and_read() {
    let key = owner(7);
    let text = key.to_string();
    assert_eq!(text.parse::<OwnerKey>().unwrap(), key);
    assert_eq!(format!("{text}\n").parse::<OwnerKey>().unwrap(), key);
    let zeros = format!("ed25519:{}", "0".repeat(64)); // a point of small order
    for wrong in ["", "ed25519:", &text[8..], &text[..71], &text.to_uppercase(), &zeros] {
        assert_eq!(wrong.parse::<OwnerKey>(), Err(OwnerKeyError), "{wrong}");
    }
}

proptest! {
    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&noise).is_err());
        prop_assert!(read(&[&b"BLRB\x01\x00\x00\x00"[..], &noise].concat()).is_err());
    }
}
