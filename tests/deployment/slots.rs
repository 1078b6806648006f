//! Networks of polynomials in slots: the same commands, at every level of security.

use super::*;

const SECURITY: [u32; 3] = [128, 192, 256];

/// Plans, protects and deploys one network at every level.
fn owner(at: &Path) -> Model {
    fs::write(at.join("square.onnx"), network("Mul", &["hidden", "hidden"])).unwrap();
    for name in ["images.npy", "tokens", "token-0"] {
        fs::copy(WORLD.file(name), at.join(name)).unwrap();
    }
    for bits in SECURITY {
        let plan = "owner plan square.onnx --calibration images.npy";
        let planned = succeed(at, &format!("{plan} --security {bits} --out {bits}.plan"));
        assert!(planned.contains(&format!("{bits} bits of security")), "{planned}");
        let model = format!("--store models.store --model square-{bits}@1");
        let made = succeed(at, &format!("owner keygen --program {bits}.plan {model}"));
        let (_, least) = made.split_once("every key has at least ").unwrap();
        let least: u32 = least.split(' ').next().unwrap().parse().unwrap();
        assert!(least >= bits, "{made}");
        succeed(at, &format!("owner protect {bits}.plan {model}"));
        succeed(at, &format!("owner deploy {model} --out {bits}.bundle"));
    }
    succeed(at, "owner identity --store models.store --out owner.pub");
    Model::from_onnx(at.join("square.onnx")).unwrap()
}

#[test]
fn networks_in_slots_are_protected_served_and_opened() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let model = owner(at);
    let bundles: Vec<String> =
        SECURITY.iter().map(|bits| format!("--bundle {bits}.bundle")).collect();
    let service = tempfile::tempdir().unwrap();
    let edge = Edge::serving(at, service.path(), "127.0.0.1:0", &bundles.join(" "));
    for bits in SECURITY {
        let acquire = format!(
            "edge acquire --bundle {bits}.bundle --owner owner.pub --url {} --token-file token-0 \
             --images images.npy --count 3 --out {}",
            edge.url,
            service.path().join(format!("out-{bits}")).display()
        );
        succeed(at, &acquire);
        let results: Vec<String> = (0..3)
            .map(|index| service.path().join(format!("out-{bits}/images.npy-{index:06}.result")))
            .map(|path| path.display().to_string())
            .collect();
        let decrypt = format!("owner decrypt {} --store models.store --json", results.join(" "));
        let opened: serde_json::Value = serde_json::from_str(&succeed(at, &decrypt)).unwrap();
        for index in 0..3 {
            let values = opened["results"][index]["values"].clone();
            let found: Vec<f64> = serde_json::from_value(values).unwrap();
            let expected = WORLD.expected(&model, index);
            let range = expected.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            assert_eq!(found.len(), expected.len());
            // 14 bits of precision are planned
            let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < range / 1000.0);
            assert!(near, "{bits} bits: {found:?} where {expected:?} is expected");
        }
    }
    refuses_what_is_not_its_own(&edge, at);
    assert_no_secret(at, service.path());
}

/// Inputs for another model, damaged ones, and replays.
fn refuses_what_is_not_its_own(edge: &Edge, at: &Path) {
    let id = |bits: u32| ModelId::new(format!("square-{bits}"), 1).unwrap();
    let owner: OwnerKey = fs::read_to_string(at.join("owner.pub")).unwrap().parse().unwrap();
    let mut connection = WORLD.connection(edge, 0);
    let bundle = &mut Bundle::open(&at.join("192.bundle"), &owner).unwrap();
    let input = WORLD.encrypted_for(bundle, 7);
    refusal(connection.submit(&id(256), &input), 422, "");
    refusal(connection.submit(&id(192), &input[..input.len() - 1]), 400, "truncated");
    let mut flipped = input.clone();
    flipped[input.len() / 2] ^= 1;
    refusal(connection.submit(&id(192), &flipped), 400, "checksum");
    let job = connection.submit(&id(192), &input).unwrap();
    wait(&mut connection, job.id);
    refusal(WORLD.connection(edge, 1).submit(&id(192), &input), 409, "submitted before");
}

/// Neither in what the edge was given, nor in what it wrote.
fn assert_no_secret(at: &Path, service: &Path) {
    let store = Store::open(&at.join("models.store")).unwrap();
    let mut files = Vec::new();
    secrets::contents(service, &mut files);
    for bits in SECURITY {
        let path = at.join(format!("{bits}.bundle"));
        files.push((path.clone(), fs::read(path).unwrap()));
    }
    for bits in SECURITY {
        let id = ModelId::new(format!("square-{bits}"), 1).unwrap();
        let seed = store.secret(&id, &passphrase()).unwrap();
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms = [
            ("the seed".to_owned(), seed.to_vec()),
            ("half of the seed".to_owned(), seed[8..24].to_vec()),
            ("the seed in digits".to_owned(), hex.into_bytes()),
        ];
        assert!(!secrets::found(&seed, &forms).is_empty());
        for (path, bytes) in &files {
            assert_eq!(secrets::found(bytes, &forms), [""; 0], "{path:?}");
        }
    }
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["small.onnx", "images.npy", "small.program"] {
        fs::copy(WORLD.file(name), at.join(name)).unwrap();
    }
    let plan = "owner plan small.onnx --calibration images.npy --out small.plan";
    refused(at, &format!("{plan} --security 100"), &["128, 192 or 256"]);
    refused(at, &format!("{plan} --activation square --precision 60"), &["precision", "30"]);
    refused(at, plan, &["trained"]);
    assert!(!at.join("small.plan").exists());
    succeed(at, &format!("{plan} --activation square"));
    // keys of one kind do not fit a model of the other
    succeed(at, "owner keygen --program small.plan --store models.store --model small@1");
    let protect = "owner protect small.program --store models.store --model small@1";
    refused(at, protect, &["secret"]);
    fs::write(at.join("broken"), &fs::read(at.join("small.plan")).unwrap()[..1000]).unwrap();
    refused(at, "owner protect broken --store models.store --model small@1", &["truncated"]);
}
