//! `tune`: what operations cost on this machine, kept in the user's cache directory.

use super::{Failure, files, output};
use bellerophon::compile::Costs;
use bellerophon::tune;
use clap::Args;
use serde::Serialize;
use std::env;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// The largest file of costs accepted, in bytes.
const COSTS_LIMIT: u64 = 1 << 20;

/// Measures what operations cost on this machine, for predictions and the selection of parameters
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to keep the costs; default: in the user's cache directory, where all commands look
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Tuned {
    pub path: PathBuf,
    pub costs: Costs,
}

/// Measures and keeps.
pub fn run(arguments: &Arguments) -> Result<Tuned, Failure> {
    let path = match &arguments.out {
        Some(path) => path.clone(),
        None => kept().ok_or("there is no cache directory: name a file with --out")?,
    };
    if arguments.out.is_none() {
        let folder = path.parent().unwrap_or(Path::new("."));
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    }
    files::check_target(&path, files::Access::Default)?;
    let spinner = output::spinner("");
    let costs = tune::measure(&machine(), &|what| spinner.set_message(what.to_owned()));
    spinner.finish_and_clear();
    let costs = costs?;
    let text = serde_json::to_string_pretty(&costs)? + "\n";
    files::write(&path, text.as_bytes(), files::Access::Default)?;
    Ok(Tuned { path, costs })
}

/// The processor's name, where the system tells.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// The costs that were measured on this machine, or else those of the machine of the README; on as
/// many threads as this process has.
pub fn costs() -> Costs {
    let costs = match kept().filter(|path| path.exists()) {
        None => Costs::default(),
        Some(path) => read(&path).unwrap_or_else(|failure| {
            output::warn(&format!("{failure}; the default costs are used: run bellerophon tune"));
            Costs::default()
        }),
    };
    on_threads(costs, rayon::current_num_threads())
}

/// Each thread beyond the first adds what each of those that were measured did.
fn on_threads(costs: Costs, threads: usize) -> Costs {
    let each = match costs.threads {
        0 | 1 => 1.0,
        measured => (costs.speedup - 1.0) / (measured - 1) as f64,
    };
    let speedup = 1.0 + each * threads.saturating_sub(1) as f64;
    Costs { threads, speedup: speedup.max(1.0), ..costs }
}

fn read(path: &Path) -> Result<Costs, Failure> {
    let bytes = files::read(path, "costs", COSTS_LIMIT)?;
    let costs = serde_json::from_slice(&bytes);
    costs.map_err(|error| format!("{} holds no costs: {error}", path.display()).into())
}

/// Where costs are kept.
fn kept() -> Option<PathBuf> {
    Some(cache_folder()?.join("bellerophon").join("costs.json"))
}

/// The user's cache directory: of the XDG base directory specification, or the system's own.
fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    let home = absolute("HOME");
    match cfg!(target_os = "macos") {
        true => Some(home?.join("Library").join("Caches")),
        false => absolute("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache"))),
    }
}

impl Display for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let costs = &self.costs;
        writeln!(
            f,
            "{}: {} threads, together {:.2} times as fast as one",
            costs.machine, costs.threads, costs.speedup
        )?;
        let mut table = output::Table::new(&["bootstrapping key", "microseconds per dimension"]);
        for (shape, seconds) in &costs.bootstraps {
            let key = format!(
                "k = {}, N_t = {}, {} level(s), {} key bit(s) a step",
                shape.glwe_dimension, shape.polynomial_size, shape.levels, shape.grouping_factor
            );
            table.push(vec![key, format!("{:.2}", 1e6 * seconds)]);
        }
        writeln!(f, "{table}kept in {}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let costs = Costs { threads: 3, speedup: 2.6, ..Costs::default() };
        for (threads, speedup) in [(1, 1.0), (2, 1.8), (3, 2.6), (4, 3.4)] {
            let found = on_threads(costs.clone(), threads);
            assert!((found.speedup - speedup).abs() < 1e-12, "{threads}");
            assert_eq!(found.threads, threads);
        }
    }
}
