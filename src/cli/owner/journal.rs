//! `owner journal`: what was done with the models of a store.

use super::StoreArgument;
use crate::cli::Failure;
use crate::cli::output::Table;
use bellerophon::store::journal::Entry;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};

/// Shows the append-only record of a store, and checks that it was not altered
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreArgument,
}

/// All entries. The hash of the last one stands for all of them: who keeps it elsewhere notices when
/// the record is replaced as a whole.
#[derive(Debug, Serialize)]
pub struct Record {
    entries: Vec<Entry>,
}

/// Reads and checks; needs no passphrase.
pub fn run(arguments: &Arguments) -> Result<Record, Failure> {
    Ok(Record { entries: arguments.store.open()?.journal()? })
}

impl Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["entry", "time", "event", "model", "detail"]);
        for Entry { sequence, time, event, model, detail, .. } in &self.entries {
            let event = event.name().to_owned();
            let row = [sequence.to_string(), time.to_string(), event, model.to_string()];
            table.push([&row[..], std::slice::from_ref(detail)].concat());
        }
        write!(f, "{table}")?;
        match self.entries.last() {
            Some(last) => write!(f, "hash of the last entry {}", last.hash),
            None => f.write_str("no entries"),
        }
    }
}
