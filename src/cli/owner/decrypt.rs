//! `owner decrypt`: what the edge's results say.

use super::StoreArgument;
use crate::cli::output::{self, Table};
use crate::cli::statistics::largest;
use crate::cli::{Failure, files, passphrase};
use bellerophon::agents::DecryptionAgent;
use bellerophon::inference::INFERENCE_LIMIT;
use bellerophon::model_id::ModelId;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Opens encrypted results with the key of the model that made each; refuses others
#[derive(Debug, Args)]
pub struct Arguments {
    /// Result files, from edge acquire
    #[arg(value_name = "RESULT", required = true)]
    results: Vec<PathBuf>,
    #[command(flatten)]
    store: StoreArgument,
    #[command(flatten)]
    passphrase: passphrase::Arguments,
}

/// One result. Its values carry noise that depends on the secret: who passes them on should round
/// them first.
#[derive(Debug, Serialize)]
pub struct Opened {
    file: PathBuf,
    model: ModelId,
    prediction: usize,
    values: Vec<f64>,
}

/// All results that could be opened.
#[derive(Debug, Serialize)]
pub struct Results {
    results: Vec<Opened>,
}

/// Opens all; where one is refused, nothing of any is shown.
pub fn run(arguments: &Arguments) -> Result<Results, Failure> {
    let mut store = arguments.store.open()?;
    let passphrase = arguments.passphrase.read(false)?;
    let mut agent = DecryptionAgent::new(&mut store, &passphrase, files::LEVEL);
    let spinner = output::spinner("opening results");
    let open = |path: &PathBuf| -> Result<Opened, Failure> {
        let bytes = files::read(path, "result", INFERENCE_LIMIT)?;
        let opened = agent.decrypt(&bytes);
        let opened = opened.map_err(|error| format!("{}: {error}", path.display()))?;
        let prediction = largest(&opened.values);
        let (file, values) = (path.clone(), opened.values);
        Ok(Opened { file, model: opened.model, prediction, values })
    };
    let results = arguments.results.iter().map(open).collect::<Result<Vec<_>, Failure>>();
    spinner.finish_and_clear();
    Ok(Results { results: results? })
}

impl Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["result", "model", "prediction", "its value"]);
        for Opened { file, model, prediction, values } in &self.results {
            let value = values.get(*prediction).map_or_else(String::new, |v| format!("{v:.4}"));
            let (file, model) = (file.display().to_string(), model.to_string());
            table.push(vec![file, model, prediction.to_string(), value]);
        }
        write!(f, "{table}")
    }
}
