//! `owner list`: the models in a store.

use super::StoreArgument;
use crate::cli::Failure;
use crate::cli::output::{Table, bytes};
use bellerophon::bundle::Part;
use bellerophon::store::Listed;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};

/// Lists the models of a store
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreArgument,
}

/// All models.
#[derive(Debug, Serialize)]
pub struct Models {
    models: Vec<Listed>,
}

/// Reads the store; needs no passphrase.
pub fn run(arguments: &Arguments) -> Result<Models, Failure> {
    Ok(Models { models: arguments.store.open()?.models()? })
}

impl Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = Part::ALL.map(Part::name);
        let mut table = Table::new(&[&["model", "key"], &headings[..]].concat());
        for Listed { model, key, parts, .. } in &self.models {
            let size = |part: Part| {
                let found = parts.iter().find(|(known, _)| *known == part);
                found.map_or_else(|| "-".to_owned(), |(_, length)| bytes(*length as f64))
            };
            let mut row = vec![model.to_string(), key.to_string()];
            row.extend(Part::ALL.map(size));
            table.push(row);
        }
        write!(f, "{table}")
    }
}
