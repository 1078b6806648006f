use super::journal::Event;
use super::seal::SealError;
use super::*;
use crate::tiny;
use rusqlite::Connection;
use std::io::Read;
use std::path::PathBuf;
use tempfile::TempDir;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("models.store");
        Self { _folder: folder, path }
    }

    fn create(&self) -> Store {
        let cost = Cost::insecure_least();
        let mut rng = tiny::rng(1);
        Store::create(&self.path, &passphrase("correct horse"), cost, &mut rng).unwrap()
    }

    fn raw(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }
}

fn id(version: u32) -> ModelId {
    ModelId::new("lenet5", version).unwrap()
}

fn add(store: &mut Store, version: u32) -> Result<(), StoreError> {
    let keys = NewKeys {
        key: KeyId::random(&mut tiny::rng(version.into())),
        secret: b"the secret seed",
        public_key: b"public",
        evaluation_keys: &[9; 3 * chunks::CHUNK / 2],
        slot_keys: None,
    };
    store.add_keys(&id(version), &keys, &passphrase("correct horse"), &mut tiny::rng(5))
}

#[test]
fn what_is_stored_is_read_again_by_another_process() {
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    let model: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    assert_eq!(store.add_model(&id(1), &mut &model[..]).unwrap(), 3_000_000);
    let (owner, key) = (store.owner_key().unwrap(), store.key(&id(1)).unwrap());
    drop(store);

    let store = Store::open(&place.path).unwrap();
    assert_eq!(store.owner_key().unwrap(), owner);
    assert_eq!(store.next_version("lenet5").unwrap(), 2);
    assert_eq!(store.next_version("other").unwrap(), 1);
    assert_eq!(store.part(&id(1), Part::Model).unwrap().read_whole().unwrap(), model);
    let mut streamed = Vec::new();
    store.part(&id(1), Part::Model).unwrap().read_to_end(&mut streamed).unwrap();
    assert_eq!(streamed, model);
    let secret = store.secret(&id(1), &passphrase("correct horse")).unwrap();
    assert_eq!(secret.as_slice(), b"the secret seed");
    let listed = store.models().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].model, listed[0].key), (&id(1), key));
    assert_eq!(
        listed[0].parts,
        [
            (Part::Model, 3_000_000),
            (Part::PublicKey, 6),
            (Part::EvaluationKeys, 3 * chunks::CHUNK as u64 / 2)
        ]
    );
    let events: Vec<Event> = store.journal().unwrap().iter().map(|entry| entry.event).collect();
    assert_eq!(events, [Event::Keygen, Event::Protect]);
}

#[test]
fn what_is_not_there_is_said() {
    let place = Place::new();
    let missing = Store::open(&place.path).unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }));
    assert!(missing.to_string().contains("owner keygen makes one"));
    let mut store = place.create();
    assert!(matches!(store.key(&id(1)), Err(StoreError::NoModel(_))));
    assert!(matches!(store.add_model(&id(1), &mut &b""[..]), Err(StoreError::NoModel(_))));
    add(&mut store, 1).unwrap();
    let error = store.part(&id(1), Part::Model).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the store holds no encrypted model of lenet5@1: owner protect makes it"
    );
}

#[test]
fn nothing_is_replaced() {
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    assert!(matches!(add(&mut store, 1), Err(StoreError::Exists { .. })));
    store.add_model(&id(1), &mut &b"first"[..]).unwrap();
    let second = store.add_model(&id(1), &mut &b"second"[..]);
    assert!(matches!(second, Err(StoreError::Exists { .. })));
    assert_eq!(store.part(&id(1), Part::Model).unwrap().read_whole().unwrap(), b"first");
    let raw = place.raw();
    for statement in [
        "UPDATE models SET key_id = '0' WHERE id = 1",
        "UPDATE parts SET length = 1",
        "UPDATE chunks SET bytes = zeroblob(9)",
    ] {
        let error = raw.execute(statement, []).unwrap_err();
        assert!(error.to_string().contains("is not changed"), "{error}");
    }
}

#[test]
fn a_source_that_fails_leaves_nothing() {
    struct Failing(u32);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 300 {
                Err(std::io::Error::other("gone"))
            } else {
                Ok(buffer.len().min(8192))
            }
        }
    }
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    let error = store.add_model(&id(1), &mut Failing(0)).unwrap_err();
    assert!(matches!(error, StoreError::Io(_)), "{error}");
    assert!(matches!(store.part(&id(1), Part::Model), Err(StoreError::NoPart { .. })));
    assert_eq!(store.journal().unwrap().len(), 1);
    let chunks: i64 =
        place.raw().query_row("SELECT max(part) FROM chunks", [], |row| row.get(0)).unwrap();
    assert_eq!(chunks, 2);
}

#[test]
fn other_passphrases_and_moved_secrets_are_refused() {
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    add(&mut store, 2).unwrap();
    let refused = |error: StoreError| matches!(error, StoreError::Seal(SealError::Refused));
    let wrong = passphrase("incorrect horse");
    assert!(refused(store.secret(&id(1), &wrong).unwrap_err()));
    assert!(refused(store.signing_key(&wrong).unwrap_err()));
    let cost = Cost::insecure_least();
    let other = Store::create(&place.path, &wrong, cost, &mut tiny::rng(3));
    assert!(refused(other.unwrap_err()));
    // the sealed secret of one model in the place of another's
    let raw = place.raw();
    raw.execute_batch("DROP TRIGGER models_are_fixed; UPDATE models SET sealed = 2").unwrap();
    store.secret(&id(1), &passphrase("correct horse")).unwrap();
    assert!(refused(store.secret(&id(2), &passphrase("correct horse")).unwrap_err()));
    raw.execute_batch("UPDATE models SET version = 9 WHERE version = 1").unwrap();
    assert!(refused(store.secret(&id(9), &passphrase("correct horse")).unwrap_err()));
}

#[test]
fn another_passphrase_seals_all_or_nothing() {
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    add(&mut store, 2).unwrap();
    let (old, new) = (passphrase("correct horse"), passphrase("battery staple"));
    let signing = store.signing_key(&old).unwrap();
    let (cost, mut rng) = (Cost::insecure_least(), tiny::rng(8));
    assert!(store.change_passphrase(&new, &old, cost, &mut rng).is_err());
    store.secret(&id(2), &old).unwrap();
    store.change_passphrase(&old, &new, cost, &mut rng).unwrap();
    for version in [1, 2] {
        assert!(store.secret(&id(version), &old).is_err());
        assert_eq!(store.secret(&id(version), &new).unwrap().as_slice(), b"the secret seed");
    }
    assert!(store.signing_key(&old).is_err());
    assert_eq!(store.signing_key(&new).unwrap(), signing);
    let last = store.journal().unwrap().pop().unwrap();
    assert_eq!((last.event, last.model), (Event::Reseal, id(2)));
}

#[test]
fn secrets_are_in_no_file() {
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    let signing = store.signing_key(&passphrase("correct horse")).unwrap();
    for entry in std::fs::read_dir(place.path.parent().unwrap()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [&b"the secret seed"[..], b"correct horse", signing.as_bytes()] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let _store = place.create();
    for entry in std::fs::read_dir(place.path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.path());
    }
}

#[test]
fn the_record_takes_nothing_but_a_next_entry() {
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    store.record(Event::Deploy, &id(1), "bundle 1").unwrap();
    store.record(Event::Decrypt, &id(1), "result 1").unwrap();
    let before = store.journal().unwrap();
    assert_eq!(before.len(), 3);
    let raw = place.raw();
    let next = "INSERT INTO journal SELECT 4, time, event, model, detail, hash, hash FROM journal";
    for statement in [
        "UPDATE journal SET detail = ''".to_owned(),
        "DELETE FROM journal WHERE sequence = 3".to_owned(),
        "DELETE FROM journal".to_owned(),
        "INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE sequence = 2".to_owned(),
        "REPLACE INTO journal SELECT 3, 0, event, model, detail, previous, hash FROM journal
         WHERE sequence = 3"
            .to_owned(),
        format!("{next} WHERE sequence = 2"), // does not follow the last
        next.replace('4', "5") + " WHERE sequence = 3",
    ] {
        let error = raw.execute(&statement, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
    assert_eq!(store.journal().unwrap(), before);
}

#[test]
fn a_record_that_was_altered_all_the_same_is_noticed() {
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    for index in 0..3 {
        store.record(Event::Decrypt, &id(1), &format!("result {index}")).unwrap();
    }
    let raw = place.raw();
    raw.execute_batch("DROP TRIGGER journal_is_fixed; DROP TRIGGER journal_stays").unwrap();
    raw.execute("UPDATE journal SET detail = 'nothing' WHERE sequence = 3", []).unwrap();
    assert!(matches!(store.journal(), Err(StoreError::Journal { sequence: 3 })));
    raw.execute("UPDATE journal SET detail = 'result 1' WHERE sequence = 3", []).unwrap();
    store.journal().unwrap();
    raw.execute("DELETE FROM journal WHERE sequence = 2", []).unwrap();
    assert!(matches!(store.journal(), Err(StoreError::Journal { sequence: 3 })));
}

#[test]
fn damage_is_noticed() {
    let place = Place::new();
    let mut store = place.create();
    add(&mut store, 1).unwrap();
    let raw = place.raw();
    raw.execute_batch("DROP TRIGGER chunks_are_fixed").unwrap();
    let flip = "UPDATE chunks SET bytes = zeroblob(length(bytes)) WHERE part = 2 AND sequence = 1";
    assert_eq!(raw.execute(flip, []).unwrap(), 1);
    let part = || store.part(&id(1), Part::EvaluationKeys).unwrap();
    let damaged = |error| matches!(error, StoreError::Damaged { .. });
    assert!(damaged(part().read_whole().unwrap_err()));
    assert!(part().read_to_end(&mut Vec::new()).unwrap_err().to_string().contains("digest"));
    raw.execute("DELETE FROM chunks WHERE part = 2 AND sequence = 1", []).unwrap();
    assert!(damaged(part().read_whole().unwrap_err()));
    assert_eq!(store.part(&id(1), Part::PublicKey).unwrap().read_whole().unwrap(), b"public");
}

#[test]
fn other_files_and_versions_are_refused() {
    let place = Place::new();
    std::fs::write(&place.path, "not a database, and longer than a header".repeat(30)).unwrap();
    assert!(matches!(Store::open(&place.path), Err(StoreError::NotAStore { .. })));
    std::fs::remove_file(&place.path).unwrap();
    place.raw().execute_batch("CREATE TABLE other (x)").unwrap();
    assert!(matches!(Store::open(&place.path), Err(StoreError::NotAStore { .. })));

    let place = Place::new();
    drop(place.create());
    place.raw().pragma_update(None, "user_version", VERSION + 1).unwrap();
    let error = Store::open(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::Version { found: 2 }));
    assert_eq!(
        error.to_string(),
        "the store has schema version 2, this program reads version 1: use the program that made it"
    );
}

#[test]
fn several_writers_take_turns() {
    let place = Place::new();
    drop(place.create());
    let threads: Vec<_> = (0..4)
        .map(|writer| {
            let path = place.path.clone();
            std::thread::spawn(move || {
                let mut store = Store::open(&path).unwrap();
                for version in 0..5 {
                    let version = 1 + writer + 4 * version;
                    add(&mut store, version).unwrap();
                    let model = vec![version as u8; 100_000];
                    store.add_model(&id(version), &mut &model[..]).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let store = Store::open(&place.path).unwrap();
    assert_eq!(store.models().unwrap().len(), 20);
    assert_eq!(store.journal().unwrap().len(), 40);
    for version in 1..=20 {
        let model = store.part(&id(version), Part::Model).unwrap().read_whole().unwrap();
        assert!(model.len() == 100_000 && model.iter().all(|byte| *byte == version as u8));
    }
}
