//! Classifiers with encrypted weights, tables 2 to 5 of the paper that proposed them, with random
//! weights of the same shapes: `cargo bench --bench protected_models`. The last line is JSON.
//!
//! `bellerophon bench protected --model FILE` measures the same for trained models. Every step runs
//! in a process of its own, which is this program with `--job`.

use bellerophon::report::protected::{
    Dataset, EvaluationError, Job, Method, Part, evaluate, perform,
};
use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, job] = &arguments[..]
        && flag == "--job"
    {
        let job: Job = serde_json::from_str(job)?;
        println!("{}", serde_json::to_string(&perform(&job)?)?);
        return Ok(());
    }
    let method = Method {
        models: Vec::new(),
        data: [None, None],
        datasets: Dataset::ALL.to_vec(),
        parts: Part::CLASSIFIERS.to_vec(),
        precision: 14.0,
        agreement: None,
        repeats: 5,
    };
    let program = std::env::current_exe()?;
    let launch = |job: &Job| {
        let role = job.role.name();
        let failed = |reason: String| EvaluationError::Process { role, reason };
        let job = serde_json::to_string(job)?;
        let finished = Command::new(&program).args(["--job", &job]).output();
        let finished = finished.map_err(|error| failed(error.to_string()))?;
        if !finished.status.success() {
            return Err(failed(String::from_utf8_lossy(&finished.stderr).into_owned()));
        }
        String::from_utf8(finished.stdout).map_err(|error| failed(error.to_string()))
    };
    let folder = tempfile::tempdir()?;
    let begin =
        |index: usize, count: usize, name: &str| eprintln!("{} of {count}: {name}", index + 1);
    let evaluation = evaluate(method, folder.path(), &launch, &begin)?;
    println!("{evaluation}");
    println!("{}", serde_json::to_string(&evaluation)?);
    Ok(())
}
