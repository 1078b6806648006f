//! What the agents refuse, under the small insecure parameters of tests. That they work is tested with
//! real ones, as processes, in the tests of the project.

use super::*;
use crate::bundle::{Bundle, Part};
use crate::client::ClientError;
use crate::inference::EncryptedInference;
use crate::model_id::ModelId;
use crate::polynomial::protected::{Plan, Settings};
use crate::report::protected::{Classifier, Dataset, Part as ReportPart, Source};
use crate::service::connection::{Connection, Endpoint};
use crate::store::journal::Event;
use crate::store::seal::{Cost, Passphrase};
use crate::store::{Store, StoreError};
use crate::tiny::{self, ELSEWHERE, WORLD};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::{self, WireError};
use std::path::PathBuf;
use tempfile::TempDir;
use zeroize::Zeroizing;

const LEVEL: SecurityLevel = SecurityLevel::Bits128;

/// A store with one protected model.
struct Owned {
    folder: TempDir,
    store: Store,
    passphrase: Passphrase,
}

fn id() -> ModelId {
    ModelId::new("tiny", 1).unwrap()
}

fn plain(world: &tiny::World) -> PlainModel {
    PlainModel::Program(Box::new(world.program.clone()), world.parameters.clone())
}

impl Owned {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let passphrase = Passphrase::new(Zeroizing::new("correct horse".to_owned())).unwrap();
        let (path, mut rng) = (folder.path().join("models.store"), tiny::rng(1));
        let mut store =
            Store::create(&path, &passphrase, Cost::insecure_least(), &mut rng).unwrap();
        let mut generator = KeyGenerator::new(&mut store, &passphrase);
        let made = generator.generate(&id(), &plain(&WORLD), LEVEL, &mut rng).unwrap();
        assert_eq!((made.slot_key_bytes, made.key), (0, store.key(&id()).unwrap()));
        Self { folder, store, passphrase }
    }

    fn protect(&mut self) -> Protected {
        let plain = plain(&WORLD);
        let mut agent =
            ProtectionAgent::open(&mut self.store, id(), &plain, &self.passphrase).unwrap();
        agent.protect(&mut tiny::rng(2)).unwrap()
    }

    fn bundle(&mut self) -> (PathBuf, Bundle) {
        let path = self.folder.path().join("bundle");
        let owner = self.store.owner_key().unwrap();
        let mut agent = DeploymentAgent::new(&mut self.store, &self.passphrase).unwrap();
        let mut file = std::fs::File::create(&path).unwrap();
        let written = agent.write(&id(), &mut file).unwrap();
        agent.record(&written).unwrap();
        let bundle = Bundle::open(&path, &owner).unwrap();
        assert_eq!((bundle.id(), bundle.manifest()), (written.id, &written.manifest));
        (path, bundle)
    }
}

#[test]
fn a_bundle_holds_what_is_public() {
    let mut owned = Owned::new();
    let protected = owned.protect();
    let (path, mut bundle) = owned.bundle();
    assert_eq!(bundle.read(Part::Model).unwrap().len(), protected.bytes);
    assert!(!bundle.has(Part::SlotKeys) && bundle.read(Part::SlotKeys).is_err());
    let secret = owned.store.secret(&id(), &owned.passphrase).unwrap();
    let bytes = std::fs::read(path).unwrap();
    assert!(!bytes.windows(16).any(|window| window == &secret[48..64]));
    let events: Vec<Event> = owned.store.journal().unwrap().iter().map(|e| e.event).collect();
    assert_eq!(events, [Event::Keygen, Event::Protect, Event::Deploy]);
}

#[test]
fn models_of_insecure_parameters_are_neither_run_nor_opened() {
    let mut owned = Owned::new();
    owned.protect();
    let (_, mut bundle) = owned.bundle();
    let insecure =
        |error: AgentError| matches!(error, AgentError::Wire(WireError::NotConformant { .. }));
    assert!(insecure(ProcessingAgent::deploy(&mut bundle, LEVEL).unwrap_err()));
    let endpoint = Endpoint { url: "http://localhost".to_owned(), token: None, tls: None };
    let connection = Connection::new(endpoint).unwrap();
    let folder = owned.folder.path().join("results");
    let agent = AcquisitionAgent::new(&mut bundle, LEVEL, connection, folder);
    assert!(insecure(agent.unwrap_err()));
    let key = owned.store.key(&id()).unwrap();
    let result =
        EncryptedInference { model: id(), bundle: [0; 32], key, input: [0; 32], output: vec![1] };
    let bytes = wire::to_bytes(&result).unwrap();
    let mut agent = DecryptionAgent::new(&mut owned.store, &owned.passphrase, LEVEL);
    assert!(insecure(agent.decrypt(&bytes).unwrap_err()));
}

#[test]
fn secrets_are_not_used_with_other_parameters() {
    let mut owned = Owned::new();
    let other = plain(&ELSEWHERE);
    let opened = ProtectionAgent::open(&mut owned.store, id(), &other, &owned.passphrase);
    assert!(matches!(opened.unwrap_err(), AgentError::Client(ClientError::Wire(_))));
    let program = Box::new(ELSEWHERE.program.clone());
    let mixed = PlainModel::Program(program, WORLD.parameters.clone());
    let mut agent =
        ProtectionAgent::open(&mut owned.store, id(), &mixed, &owned.passphrase).unwrap();
    let other = agent.protect(&mut tiny::rng(3));
    assert!(matches!(other.unwrap_err(), AgentError::Protect(_)));
}

/// The last layer of the published classifier, in slots.
fn in_slots(security: SecurityLevel) -> PlainModel {
    let classifier = Classifier::new(Dataset::Mnist, ReportPart::LastLayer, &Source::default(), 2);
    let Classifier { graph, inputs } = classifier.unwrap();
    let settings = Settings { security, ..Settings::default() };
    let plan = Plan::new(&graph, &Classifier::replacement(&graph), &settings, &inputs).unwrap();
    PlainModel::from_bytes(&wire::to_bytes(plan.plain()).unwrap(), security).unwrap()
}

#[test]
fn secrets_are_not_used_for_models_of_the_other_kind() {
    let mut owned = Owned::new();
    let (slots, other) = (in_slots(LEVEL), in_slots(SecurityLevel::Bits192));
    let opened = ProtectionAgent::open(&mut owned.store, id(), &slots, &owned.passphrase);
    assert!(matches!(opened.unwrap_err(), AgentError::Kind { .. }));
    let two = ModelId::new("tiny", 2).unwrap();
    let mut generator = KeyGenerator::new(&mut owned.store, &owned.passphrase);
    let made = generator.generate(&two, &slots, LEVEL, &mut tiny::rng(4)).unwrap();
    assert!(made.instances.iter().all(|(_, instance)| instance.estimate().bits >= 128));
    let program = plain(&WORLD);
    let opened = ProtectionAgent::open(&mut owned.store, two.clone(), &program, &owned.passphrase);
    assert!(matches!(opened.unwrap_err(), AgentError::Client(ClientError::Wire(_))));
    let opened = ProtectionAgent::open(&mut owned.store, two.clone(), &other, &owned.passphrase);
    assert!(matches!(opened.unwrap_err(), AgentError::Key { what: "secret", .. }));
    let mut agent =
        ProtectionAgent::open(&mut owned.store, two, &slots, &owned.passphrase).unwrap();
    assert!(agent.protect(&mut tiny::rng(5)).unwrap().ciphertexts[0] > 0);
}

#[test]
fn nothing_is_deployed_before_it_is_protected() {
    let mut owned = Owned::new();
    let agent = DeploymentAgent::new(&mut owned.store, &owned.passphrase).unwrap();
    let error = agent.write(&id(), &mut Vec::new()).unwrap_err();
    let missing = matches!(error, AgentError::Store(StoreError::NoPart { part: Part::Model, .. }));
    assert!(missing, "{error}");
    let wrong = Passphrase::new(Zeroizing::new("incorrect horse".to_owned())).unwrap();
    let agent = DeploymentAgent::new(&mut owned.store, &wrong);
    assert!(matches!(agent.unwrap_err(), AgentError::Store(StoreError::Seal(_))));
}

#[test]
fn results_that_are_none_are_refused() {
    let mut owned = Owned::new();
    let mut agent = DecryptionAgent::new(&mut owned.store, &owned.passphrase, LEVEL);
    assert!(matches!(agent.decrypt(b"no result"), Err(AgentError::Wire(_))));
    let key = WORLD.client.key();
    let empty =
        EncryptedInference { model: id(), bundle: [0; 32], key, input: [0; 32], output: vec![] };
    let empty = agent.decrypt(&wire::to_bytes(&empty).unwrap());
    assert!(matches!(empty, Err(AgentError::Wire(WireError::NotConformant { .. }))));
}

#[test]
fn secrets_are_never_shown() {
    let mut owned = Owned::new();
    let secret = owned.store.secret(&id(), &owned.passphrase).unwrap();
    let plain = plain(&WORLD);
    let agent = ProtectionAgent::open(&mut owned.store, id(), &plain, &owned.passphrase).unwrap();
    let shown = format!("{agent:?}");
    let seed = format!("{:?}", &secret[48..52]);
    assert!(!shown.contains(seed.trim_matches(['[', ']'])), "{shown}");
    let agent = DeploymentAgent::new(&mut owned.store, &owned.passphrase).unwrap();
    assert!(!format!("{agent:?}").contains("secret"));
}
