//! Many jobs of many clients.

use super::*;
use rusqlite::Connection as Database;
use std::collections::HashSet;

const CLIENTS: usize = 8;

/// A client that acquires its share of the images, as a process.
fn acquire(edge: &Edge, client: usize, out: &Path, more: &str) -> Command {
    let line = format!(
        "edge acquire --bundle small.bundle --owner owner.pub --url {} --token-file token-{client} \
         --out {} {more}",
        edge.url,
        out.display()
    );
    command(WORLD.path(), &line)
}

/// Every image has one result, which is right.
fn assert_all_right(folders: &[(PathBuf, usize, usize)]) {
    let (_folder, mut store) = WORLD.store();
    let passphrase = passphrase();
    let mut agent = DecryptionAgent::new(&mut store, &passphrase, LEVEL);
    for (folder, first, count) in folders {
        for index in *first..first + count {
            let path = folder.join(format!("images.npy-{index:06}.result"));
            WORLD.assert_right(&mut agent, &fs::read(path).unwrap(), index);
        }
        let files = fs::read_dir(folder).unwrap().count();
        assert_eq!(files, *count, "nothing but results is left in {folder:?}");
    }
}

/// What the service's own record says: so many jobs, each answered once and collected.
fn assert_answered_once(state: &Path, jobs: usize) {
    let database = Database::open(state.join("jobs.sqlite")).unwrap();
    let mut statement = database.prepare("SELECT id, state, digest FROM jobs").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows: Vec<(String, String, Vec<u8>)> =
        statement.query_map([], row).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), jobs);
    assert!(rows.iter().all(|(_, state, _)| state == "collected"), "{rows:?}");
    let inputs: HashSet<&Vec<u8>> = rows.iter().map(|(_, _, digest)| digest).collect();
    assert_eq!(inputs.len(), jobs);
}

#[test]
fn two_hundred_jobs_of_eight_clients() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::new(folder.path(), "--log text");
    let share = IMAGES / CLIENTS;
    let mut folders = Vec::new();
    let mut processes = Vec::new();
    for client in 0..CLIENTS {
        let (out, first) = (folder.path().join(format!("out-{client}")), client * share);
        let more = format!("--images images.npy --first {first} --count {share}");
        let mut process = acquire(&edge, client, &out, &more);
        processes.push(process.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
        folders.push((out, first, share));
    }
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_all_right(&folders);
    assert_eq!(edge.stop(), Some(0));
    assert_answered_once(&folder.path().join("state"), IMAGES);
    // done again, nothing is submitted
    let edge = Edge::new(folder.path(), "--log text");
    let more = format!("--images images.npy --count {share}");
    assert!(acquire(&edge, 0, &folders[0].0, &more).output().unwrap().status.success());
    assert_answered_once(&folder.path().join("state"), IMAGES);
}

#[test]
fn a_folder_that_is_watched_and_a_stream_of_frames() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::new(folder.path(), "--log text");
    let (watched, out) = (folder.path().join("watched"), folder.path().join("out"));
    fs::create_dir(&watched).unwrap();
    let more = format!("--watch {} --count 2", watched.display());
    let process = acquire(&edge, 0, &out, &more).stdout(Stdio::piped()).spawn().unwrap();
    let pixels = pixels();
    let image = |index: usize| &pixels[index * SIZES[0]..(index + 1) * SIZES[0]];
    fs::write(watched.join("half.npy.partial"), b"not yet").unwrap();
    fs::write(watched.join("one.npy"), npy(image(1))).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    fs::write(watched.join("half.npy.partial"), npy(image(2))).unwrap();
    fs::rename(watched.join("half.npy.partial"), watched.join("two.npy")).unwrap();
    assert!(process.wait_with_output().unwrap().status.success());

    let mut process = acquire(&edge, 1, &out, "--stream 1x8x8");
    let mut process = process.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &[image(3), image(4)].concat()).unwrap();
    drop(stdin);
    assert!(process.wait().unwrap().success());

    let (_folder, mut store) = WORLD.store();
    let passphrase = passphrase();
    let mut agent = DecryptionAgent::new(&mut store, &passphrase, LEVEL);
    let names = ["one.npy-000000", "two.npy-000000", "frame-000000", "frame-000001"];
    for (index, name) in (1..).zip(names) {
        let result = fs::read(out.join(format!("{name}.result"))).unwrap();
        WORLD.assert_right(&mut agent, &result, index);
    }
}

#[test]
fn health_metrics_and_the_same_job_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut edge = Edge::new(folder.path(), "");
    let mut connection = WORLD.connection(&edge, 0);
    let get = |connection: &mut Connection, path: &str| {
        let (status, body) = connection.request(http_get(), path, &[]).unwrap();
        assert_eq!(status.as_u16(), 200);
        String::from_utf8(body).unwrap()
    };
    assert_eq!(get(&mut connection, "/healthz"), "ok\n");
    assert_eq!(get(&mut connection, "/readyz"), "ready\n");
    let models = get(&mut connection, "/v1/models");
    assert!(models.contains("small") && models.contains("other"), "{models}");
    let input = WORLD.encrypted("small", 0);
    let job = connection.submit(&small(), &input).unwrap();
    let result = wait(&mut connection, job.id);
    assert_eq!(connection.submit(&small(), &input).unwrap().id, job.id);
    assert_eq!(wait(&mut connection, job.id), result);
    // A result can be had a moment before it is counted.
    for line in [
        "bellerophon_jobs_finished_total{outcome=\"done\"} 1",
        "bellerophon_jobs_accepted_total 1",
        "bellerophon_jobs{state=\"done\"} 1",
    ] {
        let begun = Instant::now();
        while !get(&mut connection, "/metrics").lines().any(|found| found == line) {
            assert!(begun.elapsed() < Duration::from_secs(10), "no {line}");
        }
    }
    assert_eq!(edge.stop(), Some(0));
    for line in edge.logged().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["level"].is_string() && entry["message"].is_string(), "{line}");
    }
}

fn http_get() -> hyper::Method {
    hyper::Method::GET
}
