//! Polynomial against exact activations: what each way of evaluating ReLU and max-pool costs in accuracy,
//! time and memory.
//!
//! Each row of the study is a choice of the compilers that everything else here uses; each is evaluated on
//! all images in the clear and in simulation with the noise model, and some on some images under
//! encryption. Finished cells are kept on disk ([`Store`]), so that a study that was interrupted goes on
//! where it stopped. [`crate::report::study`] makes the report.
//!
//! | module | what it does |
//! |---|---|
//! | [`mod@rows`] | what is compared |
//! | [`cell`] | what is found out about a row |
//! | [`papers`] | what two papers report |
//! | [`statistics`] | shares and their confidence intervals |
//! | [`Store`] | finished cells on disk |
//! | [`run()`] | all rows |

pub mod cell;
mod client_aided;
mod encrypted;
mod error;
mod evaluate;
mod inputs;
mod layers;
mod network;
pub mod papers;
pub mod rows;
pub mod statistics;
mod store;
#[cfg(test)]
mod tests;

pub use cell::{Cell, Encrypted};
pub use client_aided::ClientAided;
pub use error::StudyError;
pub use inputs::{Inputs, Source};
pub use rows::{Group, Kind, Row, rows};
pub use store::{Store, digest};

use crate::compile::{Costs, Preset};
use crate::polynomial::{Activation, Pooling};

/// Enters the key of every cell: cells of another form are computed anew.
const FORM: u32 = 1;
/// Seconds on one thread that an image takes in simulation, for estimates of the time left.
const SIMULATED: f64 = 1.2e-3;
/// Seconds on one thread that preparing a row takes.
const PREPARED: f64 = 4.0;

/// How a study is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Images to compare on, at most.
    pub images: usize,
    /// Images that ranges are taken from, at most; ten times as many calibrate exact programs.
    pub samples: usize,
    /// Images on which layers are looked at.
    pub traced: usize,
    /// Images that are run encrypted: by hybrid programs, and in CKKS alone.
    pub encrypted: [usize; 2],
    /// Whether programs that mix exact max-pools with polynomials are run encrypted: 14 GB of memory.
    pub mixes: bool,
    /// Whether this is the short version.
    pub quick: bool,
    /// The rows: their ids or how those begin, as `exact` or `chebyshev-7`; all where there are none.
    pub rows: Vec<String>,
    /// Noise and the keys of encrypted runs are drawn from this.
    pub seed: u64,
    /// What operations cost on the machine that predictions are for.
    pub costs: Costs,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            images: 10_000,
            samples: 1000,
            traced: 400,
            encrypted: [10, 50],
            mixes: false,
            quick: false,
            rows: Vec::new(),
            seed: 0,
            costs: Costs::default(),
        }
    }
}

impl Options {
    /// The version of five minutes.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            images: 1000,
            samples: 200,
            traced: 64,
            encrypted: [2, 10],
            quick: true,
            ..Self::default()
        }
    }

    /// The rows asked for, the plain network first.
    ///
    /// # Errors
    /// [`StudyError::Row`] for a name that no row has.
    pub fn selected(&self) -> Result<Vec<Row>, StudyError> {
        let names = |row: &Row, name: &str| {
            let id = row.id();
            id.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let all = rows();
        let known = |name: &&String| all.iter().any(|row| names(row, name));
        if let Some(found) = self.rows.iter().find(|name| !known(name)) {
            return Err(StudyError::Row { found: found.clone() });
        }
        let wanted = |row: &Row| {
            self.rows.is_empty()
                || row.kind == Kind::Plain
                || self.rows.iter().any(|name| names(row, name))
        };
        Ok(all.into_iter().filter(wanted).collect())
    }

    /// The images of a row that are run encrypted.
    #[must_use]
    pub fn encrypted_images(&self, row: &Row) -> usize {
        let [hybrid, slots] = self.encrypted;
        match &row.kind {
            Kind::Exact(_) => hybrid,
            Kind::Trained { .. } => slots,
            Kind::Replaced { activation, pooling } if !self.quick => match (activation, pooling) {
                (Activation::Chebyshev(7), Pooling::Max) if self.mixes => hybrid.min(2),
                (Activation::Chebyshev(7), Pooling::Mean)
                | (Activation::LeastSquares(7), Pooling::Sum)
                | (Activation::Square, Pooling::Mean) => slots.min(hybrid),
                _ => 0,
            },
            _ => 0,
        }
    }
}

/// What a study is doing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The seconds that all of it are expected to take, by prediction, of which some are done already.
    Planned {
        /// In milliseconds.
        total: u64,
        /// In milliseconds.
        done: u64,
        /// Cells that are still to be computed.
        cells: usize,
    },
    /// A cell begins.
    Cell {
        /// The row.
        row: &'a Row,
        /// Whether it is an encrypted run.
        encrypted: bool,
    },
    /// So many of the milliseconds are done.
    Advanced(u64),
}

/// Told of events as they happen.
pub type Watch<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// One row with what was found out.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The row.
    pub row: Row,
    /// On all images.
    pub cell: Cell,
    /// On some of them, encrypted.
    pub encrypted: Option<Encrypted>,
    /// Why there are no encrypted runs where some were asked for.
    pub not_encrypted: Option<String>,
}

/// A finished study.
#[derive(Clone, Debug)]
pub struct Study {
    /// All rows in order; the first is the plain network.
    pub findings: Vec<Finding>,
    /// How it was made.
    pub options: Options,
}

/// Computes every cell that is not in the store yet, and keeps each as soon as it is finished.
///
/// # Errors
/// [`StudyError`]; what is finished by then is kept.
pub fn run(
    inputs: &Inputs,
    options: &Options,
    store: &Store,
    watch: Watch<'_>,
) -> Result<Study, StudyError> {
    let rows = options.selected()?.into_iter();
    let mut cells: Vec<Planned> = rows.map(|row| Planned::new(row, inputs, options)).collect();
    for cell in &mut cells {
        cell.load(store)?;
    }
    let total: u64 = cells.iter().map(|cell| cell.weights[0] + cell.weights[1]).sum();
    let left: u64 = cells.iter().map(Planned::left).sum();
    let count = cells.iter().map(Planned::missing).sum();
    watch(Event::Planned { total, done: total - left, cells: count });
    for cell in &mut cells {
        cell.evaluate(inputs, options, store, watch)?;
    }
    for cell in &mut cells {
        cell.encrypt(inputs, options, store, watch)?;
    }
    let findings = cells.into_iter().map(Planned::finding).collect();
    Ok(Study { findings, options: options.clone() })
}

/// A row on its way.
struct Planned {
    row: Row,
    keys: [String; 2],
    /// Milliseconds of evaluation and of encrypted runs, as expected.
    weights: [u64; 2],
    images: usize,
    cell: Option<Cell>,
    encrypted: Option<Encrypted>,
    not_encrypted: Option<String>,
}

impl Planned {
    fn new(row: Row, inputs: &Inputs, options: &Options) -> Self {
        let images = options.encrypted_images(&row).min(inputs.images.len());
        let simulated = SIMULATED * inputs.images.len() as f64;
        let each = match &row.kind {
            Kind::Exact(Preset::Precise) => 14.0,
            Kind::Exact(_) => 9.0,
            Kind::Replaced { pooling: Pooling::Max, .. } => 13.0,
            _ => 0.6,
        };
        let encrypted = match images {
            0 => 0.0,
            images => each * images as f64 + if each < 1.0 { 20.0 } else { 4.0 },
        };
        let threads = rayon::current_num_threads() as f64;
        let weights = [(PREPARED + simulated) / threads, encrypted].map(|s| (1e3 * s) as u64);
        let (cell, encrypted, not_encrypted) = (None, None, None);
        let keys = keys(&row, inputs, options, images);
        Self { row, keys, weights, images, cell, encrypted, not_encrypted }
    }

    fn load(&mut self, store: &Store) -> Result<(), StudyError> {
        self.cell = store.load(&self.row.id(), &self.keys[0])?;
        if self.images > 0 {
            self.encrypted = store.load(&encrypted_name(&self.row), &self.keys[1])?;
        }
        Ok(())
    }

    fn left(&self) -> u64 {
        let evaluate = if self.cell.is_some() { 0 } else { self.weights[0] };
        let encrypt = if self.encrypted.is_some() { 0 } else { self.weights[1] };
        evaluate + encrypt
    }

    fn missing(&self) -> usize {
        usize::from(self.cell.is_none()) + usize::from(self.images > 0 && self.encrypted.is_none())
    }

    fn evaluate(
        &mut self,
        inputs: &Inputs,
        options: &Options,
        store: &Store,
        watch: Watch<'_>,
    ) -> Result<(), StudyError> {
        if self.cell.is_some() {
            return Ok(());
        }
        watch(Event::Cell { row: &self.row, encrypted: false });
        let each = self.weights[0] as f64 / inputs.images.len().max(1) as f64;
        let advance = |images: usize| watch(Event::Advanced((each * images as f64) as u64));
        let cell = evaluate::evaluate(&self.row, inputs, options, &advance)?;
        store.save(&self.row.id(), &self.keys[0], &cell)?;
        self.cell = Some(cell);
        Ok(())
    }

    fn encrypt(
        &mut self,
        inputs: &Inputs,
        options: &Options,
        store: &Store,
        watch: Watch<'_>,
    ) -> Result<(), StudyError> {
        if self.images == 0 || self.encrypted.is_some() {
            return Ok(());
        }
        self.not_encrypted = self.refusal();
        if self.not_encrypted.is_some() {
            watch(Event::Advanced(self.weights[1]));
            return Ok(());
        }
        watch(Event::Cell { row: &self.row, encrypted: true });
        let each = self.weights[1] / (self.images as u64 + 1);
        let advance = |_: usize| watch(Event::Advanced(each));
        let run = encrypted::encrypted(&self.row, inputs, options, self.images, &advance)?;
        if let Some(run) = &run {
            store.save(&encrypted_name(&self.row), &self.keys[1], run)?;
        }
        self.encrypted = run;
        Ok(())
    }

    /// Why the row cannot run encrypted here.
    fn refusal(&self) -> Option<String> {
        let cell = self.cell.as_ref()?;
        let Some(costs) = &cell.costs else {
            return cell.refusal.clone().or_else(|| Some("it has no program".to_owned()));
        };
        let free = encrypted::free_memory()?;
        let gigabytes = |bytes: f64| bytes / 1e9;
        (costs.memory > free as f64).then(|| {
            let (needed, free) = (gigabytes(costs.memory), gigabytes(free as f64));
            format!("it takes {needed:.1} GB of memory, {free:.1} GB were free")
        })
    }

    fn finding(self) -> Finding {
        let Self { row, cell, encrypted, not_encrypted, .. } = self;
        Finding { row, cell: cell.unwrap_or_default(), encrypted, not_encrypted }
    }
}

fn encrypted_name(row: &Row) -> String {
    format!("{}.encrypted", row.id())
}

/// The keys of a row's cells: digests of all that they depend on.
fn keys(row: &Row, inputs: &Inputs, options: &Options, images: usize) -> [String; 2] {
    let file = match &row.kind {
        Kind::Trained { suffix, .. } => {
            std::fs::read(inputs.relative(suffix)).map_or_else(|_| String::new(), |b| digest(&b))
        }
        _ => String::new(),
    };
    let costs = serde_json::to_string(&options.costs).unwrap_or_default();
    let common = format!(
        "{FORM} {} {} {file} {:?} {} {} {costs}",
        env!("CARGO_PKG_VERSION"),
        row.id(),
        inputs.digests,
        inputs.samples().len(),
        options.seed
    );
    let cell = digest(format!("{common} {}", options.traced).as_bytes());
    [cell, digest(format!("{common} encrypted {images}").as_bytes())]
}
