//! The owner's commands, as a person runs them, and what they refuse.

use super::*;
use crate::network::largest;
use bellerophon::inference::{EncryptedInference, INFERENCE_LIMIT};
use bellerophon_schemes::wire;

/// Results of an image, from the model that each is named after.
fn results(folder: &Path) -> [PathBuf; 2] {
    let edge = Edge::new(folder, "--log text");
    ["small", "other"].map(|model| {
        let mut connection = WORLD.connection(&edge, 0);
        let id = ModelId::new(model, 1).unwrap();
        let job = connection.submit(&id, &WORLD.encrypted(model, 5)).unwrap();
        let path = folder.join(format!("{model}.result"));
        fs::write(&path, wait(&mut connection, job.id)).unwrap();
        path
    })
}

/// Changes what a result says of itself.
fn changed(path: &Path, change: impl Fn(&mut EncryptedInference)) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut inference: EncryptedInference = wire::from_bytes(&bytes, INFERENCE_LIMIT, &()).unwrap();
    change(&mut inference);
    wire::to_bytes(&inference).unwrap()
}

#[test]
fn results_open_with_the_key_of_their_model_alone() {
    let (folder, store) = WORLD.store();
    drop(store);
    let at = folder.path();
    let [small, other] = results(at);
    let json = succeed(at, "owner decrypt small.result other.result --store models.store --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (index, model) in ["small", "other"].into_iter().enumerate() {
        let result = &json["results"][index];
        assert_eq!(result["model"]["name"], model);
        let values: Vec<f64> = serde_json::from_value(result["values"].clone()).unwrap();
        WORLD.assert_near(&values, 5);
        assert_eq!(result["prediction"], largest(&values));
    }
    let text = succeed(at, "owner decrypt small.result --store models.store");
    assert!(text.contains("small@1") && text.contains("prediction"), "{text}");

    let decrypt = "owner decrypt wrong.result --store models.store";
    let wrong = |bytes: &[u8], words: &[&str]| {
        fs::write(at.join("wrong.result"), bytes).unwrap();
        refused(at, decrypt, &[&["wrong.result"], words].concat());
    };
    // a result that says to be of a model that did not make it, with and without its key
    let model = ModelId::new("small", 1).unwrap();
    let named = changed(&other, |inference| inference.model = model.clone());
    wrong(&named, &["not of model small@1", "key"]);
    let (_folder, store) = WORLD.store();
    let key = store.key(&model).unwrap();
    let lying = changed(&other, |inference| {
        inference.model = model.clone();
        inference.key = key;
    });
    wrong(&lying, &["key", "is needed here"]);
    let unknown = changed(&small, |i| i.model = ModelId::new("unknown", 1).unwrap());
    wrong(&unknown, &["no model unknown@1"]);
    // damage
    let bytes = fs::read(&small).unwrap();
    wrong(&bytes[..bytes.len() / 2], &["truncated"]);
    for at in [0, 5, 7, 20, 60, bytes.len() / 2, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        wrong(&flipped, &[]);
    }
    wrong(&fs::read(WORLD.file("small.bundle")).unwrap(), &[]);
    // all of it is recorded: two and one opened, two refused
    let record = succeed(at, "owner journal --store models.store --json");
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let events = record["entries"].as_array().unwrap().iter().map(|entry| &entry["event"]);
    let count = |name: &str| events.clone().filter(|event| *event == name).count();
    assert_eq!((count("decrypt"), count("refuse"), count("keygen")), (3, 2, 2));
}

#[test]
fn a_stranger_opens_nothing() {
    let (folder, store) = WORLD.store();
    drop(store);
    let at = folder.path();
    results(at);
    let program = WORLD.file("small.program");
    let keygen = format!("owner keygen --program {} --model", program.display());
    // an owner of a model of the same name
    succeed(at, &format!("{keygen} small@1 --store stranger.store"));
    let protect =
        format!("owner protect {} --store stranger.store --model small@1", program.display());
    succeed(at, &protect);
    refused(at, "owner decrypt small.result --store stranger.store", &["not of model small@1"]);
    let mut wrong = command(at, "owner decrypt small.result --store models.store");
    let output = wrong.env("BELLEROPHON_PASSPHRASE", "another passphrase").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("the passphrase is wrong"), "{message}");
    assert!(!message.contains("another passphrase"));
}

#[test]
fn what_owners_cannot_do() {
    let (folder, store) = WORLD.store();
    drop(store);
    let at = folder.path();
    fs::copy(WORLD.file("small.program"), at.join("small.program")).unwrap();
    let keygen = "owner keygen --store models.store --program small.program --model";
    refused(at, &format!("{keygen} small@1"), &["already holds keys of small@1", "new version"]);
    refused(at, &format!("{keygen} ../x"), &["cannot name a model"]);
    refused(at, &format!("{keygen} small@0"), &["versions count 1, 2, 3"]);
    assert!(succeed(at, &format!("{keygen} small")).contains("small@2"));
    let deploy = "owner deploy --store models.store --out b --model";
    refused(at, &format!("{deploy} small@2"), &["no encrypted model of small@2", "owner protect"]);
    refused(at, &format!("{deploy} none@1"), &["no model none@1"]);
    assert!(!at.join("b").exists());
    let protect = "owner protect small.program --store models.store --model";
    refused(at, &format!("{protect} small@1"), &["already holds encrypted model of small@1"]);
    refused(at, &format!("{protect} small"), &["small", "version"]);
    refused(at, "owner list --store none.store", &["no store", "owner keygen makes one"]);
    refused(at, "owner list --store small.program", &["is no store"]);
    let table = succeed(at, "owner list --store models.store");
    assert!(table.contains("small@1") && table.contains("small@2"), "{table}");
    // passphrases are never arguments, and a short one is none
    refused(at, &format!("{keygen} more --passphrase secret"), &["--passphrase"]);
    fs::write(at.join("short"), "1234567\n").unwrap();
    let short = format!("{keygen} more --passphrase-file short");
    refused(at, &short, &["too short", "at least 8"]);
    let mut unasked = command(at, &format!("{keygen} more"));
    let output = unasked.env_remove("BELLEROPHON_PASSPHRASE").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("no passphrase"), "{message}");
}

#[test]
fn bundles_that_are_not_the_owners_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["small.bundle", "owner.pub", "tokens"] {
        fs::copy(WORLD.file(name), at.join(name)).unwrap();
    }
    let serve = "edge serve --owner owner.pub --tokens tokens --state state --listen 127.0.0.1:0";
    let bytes = fs::read(at.join("small.bundle")).unwrap();
    let wrong = |bytes: &[u8], words: &[&str]| {
        fs::write(at.join("wrong.bundle"), bytes).unwrap();
        refused(
            at,
            &format!("{serve} --bundle wrong.bundle"),
            &[&["wrong.bundle"], words].concat(),
        );
    };
    let flipped = |position: usize| {
        let mut copy = bytes.clone();
        copy[position] ^= 1;
        copy
    };
    wrong(&flipped(20), &["not signed by the owner's key"]);
    wrong(&flipped(200), &["not signed by the owner's key"]);
    wrong(&flipped(4), &["format version"]);
    wrong(&flipped(0), &["no bundle"]);
    wrong(&flipped(bytes.len() / 3), &["was altered", "digest"]);
    wrong(&flipped(bytes.len() - 1), &["was altered", "digest"]);
    wrong(&bytes[..bytes.len() - 1], &["truncated"]);
    wrong(&[&bytes[..], b"x"].concat(), &["1 bytes follow"]);
    // signed, but by somebody else
    let other = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
    let other = OwnerKey::from(other);
    let serve = serve.replace("owner.pub", &other.to_string());
    let message = refused(at, &format!("{serve} --bundle small.bundle"), &["not signed by"]);
    assert!(message.contains(&other.to_string()));
    assert!(!at.join("state").exists(), "something was begun");
}

#[test]
fn services_that_would_be_open_do_not_start() {
    let at = WORLD.path();
    let serve = "edge serve --bundle small.bundle --owner owner.pub --state never";
    refused(at, serve, &["nobody could use the service", "--tokens or --client-ca"]);
    let everywhere = format!("{serve} --tokens tokens --listen 0.0.0.0:0");
    refused(at, &everywhere, &["tokens in the clear", "--certificate"]);
    let little = format!("{serve} --tokens tokens --memory 16 --listen 127.0.0.1:0");
    refused(at, &little, &["the limit is 16777216", "a third more"]);
    refused(at, &format!("{serve} --tokens owner.pub"), &["line 1 of the tokens"]);
    refused(at, "edge token client-0 --tokens tokens --out again", &["has a token"]);
    assert!(!at.join("never").exists() && !at.join("again").exists());
}
