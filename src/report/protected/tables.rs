//! Rows of the tables, and how they are printed.

use super::{Classifier, Dataset, EvaluationError, Figures, Job, Part, Published, Role, Source};
use bellerophon_schemes::security::SecurityLevel;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// The levels of security of the tables.
const SECURITY: [SecurityLevel; 3] =
    [SecurityLevel::Bits128, SecurityLevel::Bits192, SecurityLevel::Bits256];

/// What is evaluated.
#[derive(Clone, Debug, Serialize)]
pub struct Method {
    /// Trained CNNs; each is used for the data set and the part that it is made for.
    pub models: Vec<PathBuf>,
    /// Images of CIFAR-10 and of MNIST, whose features are the inputs.
    pub data: [Option<PathBuf>; 2],
    /// The data sets.
    pub datasets: Vec<Dataset>,
    /// What is encrypted, of each.
    pub parts: Vec<Part>,
    /// Bits of precision asked for.
    pub precision: f64,
    /// Of rows with exact activations: the share of images with the plain model's prediction that
    /// parameters are selected for; the balanced preset's where none is given.
    pub agreement: Option<f64>,
    /// How often each step is done.
    pub repeats: u32,
}

/// One column of the paper's tables, with ours.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The CNN's size.
    pub dataset: Dataset,
    /// What is encrypted.
    pub part: Part,
    /// Bits of security.
    pub security: u32,
    /// Whether the weights are those of a trained model.
    pub trained: bool,
    /// Whether the inputs are features of images.
    pub images: bool,
    /// Encrypting the model: table 2.
    pub protect: Figures,
    /// Encrypting an input.
    pub encrypt: Figures,
    /// Evaluating with a clear input, where there is such a way: table 3.
    pub clear: Option<Figures>,
    /// Evaluating with an encrypted input: table 4.
    pub encrypted: Figures,
    /// Decrypting: table 5.
    pub decrypt: Figures,
    /// What the paper has.
    pub published: Option<Published>,
}

/// All rows.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// How they were made.
    pub method: Method,
    /// Threads of each process.
    pub threads: usize,
    /// The rows.
    pub rows: Vec<Row>,
}

/// Runs a job in a process of its own and returns what it printed.
pub type Launch<'a> = &'a dyn Fn(&Job) -> Result<String, EvaluationError>;

/// Measures all rows; `begin` is told of each before it starts. Files are left in `folder` from one
/// role to the next.
///
/// # Errors
/// That of the first role that fails.
pub fn evaluate(
    method: Method,
    folder: &Path,
    launch: Launch<'_>,
    begin: &dyn Fn(usize, usize, &str),
) -> Result<Evaluation, EvaluationError> {
    let mut kinds = Vec::new();
    for path in &method.models {
        kinds.push((path.clone(), Classifier::kind(path)?));
    }
    let columns = columns(&method);
    let mut rows = Vec::new();
    for (index, &(dataset, part, security)) in columns.iter().enumerate() {
        let name = format!("{}, {}, {} bits", dataset.name(), part.name(), security.bits());
        begin(index, columns.len(), &name);
        let suits = |kind: &(Dataset, Part)| match part {
            Part::LastLayer => kind.0 == dataset,
            Part::WholeNetwork => *kind == (dataset, Part::Relu),
            part => *kind == (dataset, part),
        };
        let model = kinds.iter().find(|(_, kind)| suits(kind)).map(|(path, _)| path.clone());
        let data = model.as_ref().and(method.data[dataset as usize].clone());
        let source = Source { model, data };
        let Method { precision, agreement, repeats, .. } = method;
        let folder = folder.to_path_buf();
        let role = Role::Protect;
        let job =
            Job { role, dataset, part, security, source, precision, agreement, repeats, folder };
        rows.push(row(&job, launch)?);
    }
    let threads = rayon::current_num_threads();
    Ok(Evaluation { method, threads, rows })
}

/// Data set, part and security of each row.
fn columns(method: &Method) -> Vec<(Dataset, Part, SecurityLevel)> {
    let mut columns = Vec::new();
    for &dataset in &method.datasets {
        for &part in &method.parts {
            // no curve for the exact path at 192 and 256 bits is published
            let exists = |security: &SecurityLevel| !part.is_exact() || security.bits() == 128;
            let levels = SECURITY.into_iter().filter(exists);
            columns.extend(levels.map(|security| (dataset, part, security)));
        }
    }
    columns
}

fn row(job: &Job, launch: Launch<'_>) -> Result<Row, EvaluationError> {
    let run = |role| -> Result<Figures, EvaluationError> {
        let printed = launch(&Job { role, ..job.clone() })?;
        Ok(serde_json::from_str(&printed)?)
    };
    let [protect, encrypt] = [run(Role::Protect)?, run(Role::Encrypt)?];
    let clear = match job.part.is_exact() {
        true => None, // its inputs are always encrypted
        false => {
            let clear = run(Role::EvaluateClear)?;
            Some(Figures { precision: run(Role::Decrypt)?.precision, ..clear })
        }
    };
    let mut encrypted = run(Role::Evaluate)?;
    let decrypt = run(Role::Decrypt)?;
    encrypted.precision = decrypt.precision;
    Ok(Row {
        dataset: job.dataset,
        part: job.part,
        security: job.security.bits(),
        trained: job.source.model.is_some(),
        images: job.source.data.is_some(),
        published: Published::of(job.part, job.security)
            .filter(|_| job.dataset == Dataset::Cifar10),
        protect,
        encrypt,
        clear,
        encrypted,
        decrypt,
    })
}

impl Row {
    fn label(&self) -> String {
        let weights = if self.trained { "" } else { ", random weights" };
        format!("{}, {}{weights} | {}", self.dataset.name(), self.part.name(), self.security)
    }

    /// How many times less of each than the paper: seconds of evaluation with an encrypted input,
    /// and bytes of the model.
    #[must_use]
    pub fn gains(&self) -> Option<(f64, f64)> {
        let Published { encryption, encrypted, .. } = self.published?;
        Some((encrypted.0 / self.encrypted.seconds, encryption.1 / self.protect.bytes as f64))
    }
}

/// Ours, then theirs where they have one.
fn beside(ours: String, theirs: Option<String>) -> String {
    theirs.map_or_else(|| ours.clone(), |theirs| format!("{ours} / {theirs}"))
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1}", bytes / 1e6)
}

fn memory(figures: &Figures) -> String {
    figures.memory_bytes.map_or_else(|| "?".to_owned(), |bytes| megabytes(bytes as f64))
}

fn seconds(value: f64) -> String {
    let digits = if value < 0.1 { 4 } else { 2 };
    format!("{value:.digits$}")
}

impl Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Ours / the paper's (CIFAR-10). Each step in a process of its own, {} threads;",
            self.threads
        )?;
        writeln!(
            f,
            "memory: growth of its resident set to the peak; times: means of {}.\n",
            self.method.repeats
        )?;
        self.encryption(f)?;
        self.evaluation(
            f,
            "Table 3: evaluation, input in the clear",
            |row| row.clear.as_ref(),
            |p| p.clear,
        )?;
        self.evaluation(
            f,
            "Table 4: evaluation, input encrypted",
            |row| Some(&row.encrypted),
            |p| p.encrypted,
        )?;
        self.decryption(f)
    }
}

impl Evaluation {
    fn encryption(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Table 2: encryption of the model\n")?;
        writeln!(
            f,
            "| classifier | bits | seconds | model MB | memory MB | keys MB | log2 N, QP, scale |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let Figures { bytes, key_bytes, log_dimension, log2_qp, log_scale, .. } = row.protect;
            let theirs = row.published.map(|p| p.encryption);
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {log_dimension}, {log2_qp:.0}, {log_scale} |",
                row.label(),
                beside(seconds(row.protect.seconds), theirs.map(|t| seconds(t.0))),
                beside(megabytes(bytes as f64), theirs.map(|t| megabytes(t.1))),
                beside(memory(&row.protect), theirs.map(|t| t.2.to_string())),
                megabytes(key_bytes as f64),
            )?;
        }
        writeln!(f)
    }

    fn evaluation(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        figures: impl Fn(&Row) -> Option<&Figures>,
        published: impl Fn(Published) -> (f64, f64, f64),
    ) -> fmt::Result {
        writeln!(f, "{title}\n")?;
        writeln!(
            f,
            "| classifier | bits | seconds | times less | processor s | loading s | memory MB | modulus \
             bits left / noise budget | bits of precision, predicted, measured |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let Some(ours) = figures(row) else { continue };
            let theirs = row.published.map(&published);
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {}, {:.1} |",
                row.label(),
                beside(seconds(ours.seconds), theirs.map(|t| seconds(t.0))),
                theirs.map_or_else(String::new, |t| format!("{:.0}", t.0 / ours.seconds)),
                seconds(ours.processor_seconds),
                seconds(ours.preparation_seconds),
                beside(memory(ours), theirs.map(|t| t.1.to_string())),
                beside(
                    format!("{:.0}", row.protect.remaining_bits),
                    theirs.map(|t| t.2.to_string())
                ),
                row.protect
                    .predicted_precision
                    .map_or_else(|| "-".to_owned(), |p| format!("{p:.1}")),
                ours.precision,
            )?;
        }
        writeln!(f)
    }

    fn decryption(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Table 5: decryption; and what is sent\n")?;
        writeln!(
            f,
            "| classifier | bits | seconds | memory MB | input MB | encrypting it s | result KB |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let theirs = row.published.map(|p| p.decryption);
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {:.1} |",
                row.label(),
                beside(seconds(row.decrypt.seconds), theirs.map(|t| seconds(t.0))),
                beside(memory(&row.decrypt), theirs.map(|t| t.1.to_string())),
                megabytes(row.encrypt.bytes as f64),
                seconds(row.encrypt.seconds),
                row.encrypted.bytes as f64 / 1e3,
            )?;
        }
        Ok(())
    }
}
