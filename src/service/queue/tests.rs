use super::*;
use crate::service::processor::{InputError, Processor};
use bellerophon_schemes::key_id::KeyId;
use std::collections::HashSet;
use std::sync::Arc;
use tempfile::TempDir;

#[derive(Debug)]
struct Idle;

impl Processor for Idle {
    fn input_limit(&self) -> u64 {
        1 << 20
    }
    fn check(&self, _: &[u8]) -> Result<(), InputError> {
        Ok(())
    }
    fn process(&self, input: &[u8]) -> Result<Vec<u8>, InputError> {
        Ok(input.to_vec())
    }
}

fn deployed(name: &str, bundle: u8) -> Deployed {
    Deployed {
        model: ModelId::new(name, 1).unwrap(),
        bundle: [bundle; 32],
        key: KeyId::random(&mut crate::tiny::rng(1)),
        processor: Box::new(Idle),
    }
}

fn limits() -> Limits {
    Limits { queued: 6, queued_per_client: 4, results: 3, attempts: 2 }
}

fn open(folder: &TempDir, models: &[Deployed]) -> Queue {
    Queue::open(folder.path(), limits(), models).unwrap()
}

fn submit(queue: &Queue, client: &str, model: &Deployed, input: &[u8]) -> Job {
    match queue.submit(client, model, input).unwrap() {
        Submission::Accepted(job) => job,
        Submission::Known(job) => panic!("{job:?}"),
    }
}

#[test]
fn a_job_goes_from_queued_to_collected() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1)]);
    let queue = open(&folder, &models);
    let job = submit(&queue, "camera", &models[0], b"input");
    assert_eq!((job.state, job.attempts, job.error.clone()), (State::Queued, 0, None));
    assert!(matches!(queue.result("camera", job.id), Err(QueueError::NoJob)));
    assert!(matches!(queue.collect("camera", job.id), Err(QueueError::Pending)));

    let taken = queue.take(&models).unwrap().unwrap();
    assert!(taken.id == job.id && taken.input == b"input" && taken.model == models[0].model);
    assert!(queue.take(&models).unwrap().is_none());
    assert_eq!(queue.job("camera", job.id).unwrap().state, State::Running);
    assert!(matches!(queue.collect("camera", job.id), Err(QueueError::Pending)));

    queue.finish(job.id, Ok(b"output")).unwrap();
    let done = queue.job("camera", job.id).unwrap();
    assert_eq!((done.state, done.result_bytes), (State::Done, Some(6)));
    assert_eq!(queue.result("camera", job.id).unwrap(), b"output");
    assert_eq!(queue.result("camera", job.id).unwrap(), b"output", "until it is collected");
    for _ in 0..2 {
        queue.collect("camera", job.id).unwrap();
        assert_eq!(queue.job("camera", job.id).unwrap().state, State::Collected);
    }
    assert!(matches!(queue.result("camera", job.id), Err(QueueError::NoJob)));
}

#[test]
fn a_job_is_answered_once() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1)]);
    let queue = open(&folder, &models);
    let job = submit(&queue, "camera", &models[0], b"input");
    assert!(matches!(queue.finish(job.id, Ok(b"too early")), Err(QueueError::Answered)));
    queue.take(&models).unwrap().unwrap();
    queue.finish(job.id, Ok(b"first")).unwrap();
    assert!(matches!(queue.finish(job.id, Ok(b"second")), Err(QueueError::Answered)));
    assert!(matches!(queue.finish(job.id, Err("failed")), Err(QueueError::Answered)));
    assert_eq!(queue.result("camera", job.id).unwrap(), b"first");
    // not even by hand
    let connection = queue.connection();
    for statement in ["UPDATE jobs SET state = 'queued', input = x'00'", "DELETE FROM jobs"] {
        assert!(connection.execute(statement, []).is_err(), "{statement}");
    }
}

#[test]
fn the_same_bytes_are_the_same_job_and_nobody_elses() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1), deployed("b", 2)]);
    let queue = open(&folder, &models);
    let job = submit(&queue, "camera", &models[0], b"input");
    let again = queue.submit("camera", &models[0], b"input").unwrap();
    assert_eq!(again, Submission::Known(job.clone()));
    let replayed = |client, model: &Deployed| {
        matches!(queue.submit(client, model, b"input"), Err(QueueError::Replayed))
    };
    assert!(replayed("other", &models[0]) && replayed("camera", &models[1]));
    queue.take(&models).unwrap().unwrap();
    queue.finish(job.id, Ok(b"output")).unwrap();
    queue.collect("camera", job.id).unwrap();
    assert!(replayed("other", &models[0]), "after it was collected");
    let Submission::Known(known) = queue.submit("camera", &models[0], b"input").unwrap() else {
        panic!("a second job")
    };
    assert_eq!((known.id, known.state), (job.id, State::Collected));
}

#[test]
fn jobs_of_others_do_not_exist() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1)]);
    let queue = open(&folder, &models);
    let job = submit(&queue, "camera", &models[0], b"input");
    queue.take(&models).unwrap().unwrap();
    queue.finish(job.id, Ok(b"output")).unwrap();
    assert!(matches!(queue.job("other", job.id), Err(QueueError::NoJob)));
    assert!(matches!(queue.result("other", job.id), Err(QueueError::NoJob)));
    assert!(matches!(queue.collect("other", job.id), Err(QueueError::NoJob)));
    assert_eq!(queue.result("camera", job.id).unwrap(), b"output");
}

#[test]
fn every_limit_refuses_and_gives_way() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1)]);
    let queue = open(&folder, &models);
    for index in 0..4 {
        submit(&queue, "one", &models[0], &[1, index]);
    }
    let error = queue.submit("one", &models[0], b"more").unwrap_err();
    assert!(matches!(error, QueueError::ClientFull { limit: 4 }));
    submit(&queue, "two", &models[0], &[2, 0]);
    submit(&queue, "two", &models[0], &[2, 1]);
    let error = queue.submit("three", &models[0], b"more").unwrap_err();
    assert!(matches!(error, QueueError::Full { limit: 6 }));
    // what is known is told whatever the limits are
    assert!(matches!(queue.submit("one", &models[0], &[1, 0]), Ok(Submission::Known(_))));
    let mut done = Vec::new();
    for _ in 0..3 {
        let taken = queue.take(&models).unwrap().unwrap();
        queue.finish(taken.id, Ok(b"output")).unwrap();
        done.push(taken.id);
    }
    let error = queue.submit("three", &models[0], b"more").unwrap_err();
    assert!(matches!(error, QueueError::ResultsFull { limit: 3 }));
    queue.collect("one", done[0]).unwrap();
    submit(&queue, "three", &models[0], b"more");
    let counts = Counts { queued: 4, running: 0, done: 2, failed: 0 };
    assert_eq!(queue.counts().unwrap(), counts);
}

#[test]
fn results_expire_and_stay_known() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1)]);
    let queue = open(&folder, &models);
    let job = submit(&queue, "camera", &models[0], b"input");
    queue.take(&models).unwrap().unwrap();
    queue.finish(job.id, Ok(b"output")).unwrap();
    assert_eq!(queue.expire(60).unwrap(), 0);
    queue.connection().execute("UPDATE jobs SET finished = finished - 61", []).unwrap();
    assert_eq!(queue.expire(60).unwrap(), 1);
    assert_eq!(queue.job("camera", job.id).unwrap().state, State::Collected);
    assert!(matches!(queue.submit("camera", &models[0], b"input"), Ok(Submission::Known(_))));
}

#[test]
fn jobs_survive_a_restart_and_those_that_ran_come_last() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1)]);
    let queue = open(&folder, &models);
    let first = submit(&queue, "camera", &models[0], b"1").id;
    let second = submit(&queue, "camera", &models[0], b"2").id;
    assert_eq!(queue.take(&models).unwrap().unwrap().id, first);
    drop(queue);
    let queue = open(&folder, &models);
    let job = queue.job("camera", first).unwrap();
    assert_eq!((job.state, job.attempts), (State::Queued, 1));
    assert_eq!(queue.take(&models).unwrap().unwrap().id, second);
    queue.finish(second, Ok(b"output")).unwrap();
    assert_eq!(queue.take(&models).unwrap().unwrap().id, first);
    drop(queue);
    // the second time that it was running: the limit of attempts
    let queue = open(&folder, &models);
    let job = queue.job("camera", first).unwrap();
    assert_eq!(job.state, State::Failed);
    assert!(job.error.unwrap().contains("the process ended"));
    assert_eq!(queue.result("camera", second).unwrap(), b"output");
}

#[test]
fn a_process_that_ends_in_order_counts_as_no_attempt() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1)]);
    let id = submit(&open(&folder, &models), "camera", &models[0], b"1").id;
    for _ in 0..4 {
        let queue = open(&folder, &models);
        assert_eq!(queue.take(&models).unwrap().unwrap().id, id);
        assert_eq!(queue.release().unwrap(), 1);
    }
    assert_eq!(open(&folder, &models).job("camera", id).unwrap().attempts, 0);
}

#[test]
fn jobs_for_a_model_that_was_replaced_fail_and_others_wait() {
    let folder = TempDir::new().unwrap();
    let models = [deployed("a", 1), deployed("b", 2)];
    let queue = open(&folder, &models);
    let replaced = submit(&queue, "camera", &models[0], b"1").id;
    let removed = submit(&queue, "camera", &models[1], b"2").id;
    drop(queue);
    let queue = open(&folder, &[deployed("a", 9)]);
    let job = queue.job("camera", replaced).unwrap();
    assert_eq!(job.state, State::Failed);
    assert!(job.error.unwrap().contains("deployed anew"));
    assert_eq!(queue.job("camera", removed).unwrap().state, State::Queued);
    assert!(queue.take(&[deployed("a", 9)]).unwrap().is_none());
    drop(queue);
    assert_eq!(open(&folder, &models).take(&models).unwrap().unwrap().id, removed);
}

#[test]
fn two_services_never_share_a_folder() {
    let (folder, models) = (TempDir::new().unwrap(), [deployed("a", 1)]);
    let _queue = open(&folder, &models);
    let error = Queue::open(folder.path(), limits(), &models).unwrap_err();
    assert!(matches!(error, QueueError::Locked { .. }));
}

#[test]
fn other_versions_are_refused() {
    let folder = TempDir::new().unwrap();
    let queue = open(&folder, &[]);
    queue.connection().pragma_update(None, "user_version", 7).unwrap();
    drop(queue);
    let error = Queue::open(folder.path(), limits(), &[]).unwrap_err();
    assert!(matches!(error, QueueError::Version { found: 7 }));
}

#[test]
fn workers_never_take_the_same_job() {
    let folder = TempDir::new().unwrap();
    let models = Arc::new([deployed("a", 1)]);
    let limits = Limits { queued: 100, queued_per_client: 100, ..limits() };
    let queue = Arc::new(Queue::open(folder.path(), limits, &*models).unwrap());
    for index in 0..60u8 {
        submit(&queue, "camera", &models[0], &[index]);
    }
    let work = |_| {
        let (queue, models) = (queue.clone(), models.clone());
        std::thread::spawn(move || {
            let mut taken = Vec::new();
            while let Some(job) = queue.take(&*models).unwrap() {
                taken.push(job.id);
            }
            taken
        })
    };
    let threads: Vec<_> = (0..4).map(work).collect();
    let all: Vec<JobId> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (60, 60));
}

#[test]
fn ids_are_32_digits() {
    let id = JobId::from_bytes([0xab; 16]);
    assert_eq!(id.to_string(), "ab".repeat(16));
    assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
    for wrong in ["", "ab", &"AB".repeat(16), &"g".repeat(32), &"+".repeat(32), &"a".repeat(33)] {
        assert!(matches!(wrong.parse::<JobId>(), Err(QueueError::Id(_))), "{wrong}");
    }
}
