//! Processes that are killed at any moment: nothing that was accepted is lost.

use super::*;
use bellerophon::bundle::Part;
use rusqlite::Connection as Database;
use std::net::TcpListener;

/// A port that is free now.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Kills the service so often while clients use it; every image must get its one, right result.
fn kill_the_service(kills: usize, clients: usize, images: usize) {
    let seed: u64 = rand::rng().random();
    eprintln!("seed {seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let (at, address) = (folder.path(), format!("127.0.0.1:{}", port()));
    let mut edge = Edge::at(at, &address, "--log text --attempts 1000");
    let share = images / clients;
    let mut processes: Vec<(PathBuf, usize, Child)> = (0..clients)
        .map(|client| {
            let (out, first) = (at.join(format!("out-{client}")), client * share);
            let line = format!(
                "edge acquire --bundle small.bundle --owner owner.pub --url http://{address} \
                 --token-file token-{client} --images images.npy --first {first} --count {share} \
                 --patience 300 --out {}",
                out.display()
            );
            let mut command = command(WORLD.path(), &line);
            let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
            (out, first, command.spawn().unwrap())
        })
        .collect();
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..600)));
        edge.kill();
        edge = Edge::at(at, &address, "--log text --attempts 1000");
    }
    let (_folder, mut store) = WORLD.store();
    let passphrase = passphrase();
    let mut agent = DecryptionAgent::new(&mut store, &passphrase, LEVEL);
    for (out, first, process) in processes.drain(..) {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for index in first..first + share {
            let result = fs::read(out.join(format!("images.npy-{index:06}.result"))).unwrap();
            WORLD.assert_right(&mut agent, &result, index);
        }
    }
    assert_eq!(edge.stop(), Some(0));
    let database = Database::open(at.join("state/jobs.sqlite")).unwrap();
    let count = |condition: &str| -> i64 {
        let query = format!("SELECT count(*) FROM jobs WHERE {condition}");
        database.query_row(&query, [], |row| row.get(0)).unwrap()
    };
    // each accepted job came to its end, and no image was accepted twice
    assert_eq!(count("state NOT IN ('collected', 'done')"), 0);
    assert_eq!(count("1"), (share * clients) as i64);
}

/// Kills the owner's commands so often while they write the store.
fn kill_the_owner(kills: usize) {
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let (folder, store) = WORLD.store();
    let at = folder.path();
    fs::copy(WORLD.file("small.program"), at.join("small.program")).unwrap();
    let before = store.part(&small(), Part::Model).unwrap().read_whole().unwrap();
    drop(store);
    let keygen = "owner keygen --store models.store --program small.program --model";
    let begun = Instant::now();
    succeed(at, &format!("{keygen} measured"));
    let usual = begun.elapsed().as_millis() as u64;
    for _ in 0..kills {
        let mut child = command(at, &format!("{keygen} small"));
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(rng.random_range(0..usual + usual / 4)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let store = Store::open(&at.join("models.store")).unwrap();
    assert_eq!(store.part(&small(), Part::Model).unwrap().read_whole().unwrap(), before);
    let models = store.models().unwrap();
    let made = store.journal().unwrap().iter().filter(|e| e.event.name() == "keygen").count();
    assert_eq!(models.len(), made, "a model without its entry, or an entry without its model");
    for listed in &models {
        store.secret(&listed.model, &passphrase()).unwrap();
        for part in [Part::PublicKey, Part::EvaluationKeys] {
            store.part(&listed.model, part).unwrap().read_whole().unwrap();
        }
    }
    drop(store);
    succeed(at, &format!("{keygen} small"));
}

#[test]
fn a_killed_service_loses_no_job() {
    kill_the_service(8, 2, 60);
}

#[test]
fn a_killed_owner_loses_no_model() {
    kill_the_owner(4);
}

#[test]
#[ignore = "takes minutes: the service is killed at 50 random moments, and the owner at 25"]
fn fifty_kills() {
    kill_the_service(50, 4, IMAGES);
    kill_the_owner(25);
}
