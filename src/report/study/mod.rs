//! The report of a study: one page that works from disk, its plots, and all numbers as CSV and JSON.
//!
//! The same study gives the same files to the byte. What a clock says is in `times.csv`, `times.json` and
//! one marked place of the page ([`MARKS`]).

mod canvas;
mod page;
mod pictures;
mod plots;
mod sections;
mod table;
mod times;

pub use times::MARKS;

use crate::study::{Finding, Inputs, Store, Study, StudyError, cell};
use canvas::Plot;
use serde::Serialize;
use serde_json::json;
use table::{Context, accuracy};

/// Rows whose confusion matrices are shown beside those that plots show.
const CONFUSED: [&str; 3] = ["plain", "square-mean", "trained-square"];

/// The machine, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What predictions are for.
    pub predicted: String,
    /// What this ran on.
    pub here: String,
    /// The date and the time.
    pub date: String,
}

impl Machine {
    /// This machine, now, with predictions for those of `costs`.
    #[must_use]
    pub fn here(costs: &crate::compile::Costs) -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = info.lines().find(|line| line.starts_with("model name"));
        let name = name.and_then(|line| line.split(": ").nth(1)).unwrap_or("an unknown processor");
        let threads = rayon::current_num_threads();
        let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            predicted: format!("{}, {} threads", costs.machine, costs.threads),
            here: format!("{name}, {threads} threads, {}", std::env::consts::OS),
            date: date(seconds.map_or(0, |since| since.as_secs())),
        }
    }
}

/// Date and time of day (UTC) of seconds since 1970, by the civil calendar (H. Hinnant,
/// "chrono-compatible low-level date algorithms").
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

/// A study with what a report says beside it.
#[derive(Debug)]
pub struct Report<'a> {
    /// What was found out.
    pub study: &'a Study,
    /// What it is of.
    pub inputs: &'a Inputs,
    /// The command that reproduces it.
    pub command: String,
    /// Where and when.
    pub machine: Machine,
    /// The name of the data set.
    pub data: String,
}

impl Report<'_> {
    fn model_name(&self) -> String {
        self.inputs.model.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn source(&self) -> String {
        match self.inputs.shipped {
            true => "the digits that ship with the project".to_owned(),
            false => format!("test images of {}", self.data),
        }
    }

    fn title(&self) -> String {
        let quick = if self.study.options.quick { ", short version" } else { "" };
        let on = match self.inputs.shipped {
            true => "the project's own digits (no data set given)".to_owned(),
            false => format!("{} images of {}", self.inputs.images.len(), self.data),
        };
        format!("Polynomial against exact activations: {} on {on}{quick}", self.model_name())
    }

    fn context(&self) -> Context<'_> {
        let plain = self.study.findings.first().map_or(&[][..], |plain| &plain.cell.clear);
        let mut context = Context { inputs: self.inputs, plain, plain_accuracy: 0.0 };
        context.plain_accuracy = accuracy(Some(plain), &context).unwrap_or_default();
        context
    }

    fn plots(&self) -> Result<Vec<Plot>, StudyError> {
        let (findings, context) = (&self.study.findings, self.context());
        let mut plots = vec![
            plots::accuracy_against_time(findings, &context)?,
            plots::accuracy_against_degree(findings, &context)?,
            plots::error_by_layer(findings)?,
            plots::histograms(findings)?,
        ];
        let shown = CONFUSED.iter().chain(&plots::SHOWN);
        let shown = shown.filter_map(|id| findings.iter().find(|f| f.row.id() == *id));
        for finding in shown {
            plots.extend(plots::confusion(finding, &context).transpose()?);
        }
        Ok(plots)
    }

    /// Writes all files into the study's folder and returns the name of the page.
    ///
    /// # Errors
    /// [`StudyError::Write`], [`StudyError::Plot`].
    pub fn write(&self, store: &Store) -> Result<&'static str, StudyError> {
        const PAGE: &str = "report.html";
        let (plots, context) = (self.plots()?, self.context());
        for plot in &plots {
            store.write(&format!("plots/{}.svg", plot.name), plot.svg.as_bytes())?;
            store.write(&format!("plots/{}.png", plot.name), &plot.png)?;
        }
        let findings = &self.study.findings;
        store.write("table.md", table::markdown(findings, &context).as_bytes())?;
        store.write("study.csv", table::csv(findings, &context).as_bytes())?;
        store.write("layers.csv", layers(findings).as_bytes())?;
        store.write("study.json", &text(&self.json(&context)))?;
        store.write("times.csv", times::csv(self).as_bytes())?;
        let (date, here) = (&self.machine.date, &self.machine.here);
        let times = json!({ "date": date, "machine": here, "rows": times::rows(self) });
        store.write("times.json", &text(&times))?;
        store.write(PAGE, page::page(self, &plots).as_bytes())?;
        Ok(PAGE)
    }

    /// Everything but the times.
    fn json(&self, context: &Context<'_>) -> serde_json::Value {
        let rows = self.study.findings.iter().map(|finding| {
            let mut row = table::object(finding, context);
            let cell = &finding.cell;
            let encrypted = finding.encrypted.as_ref().map(|encrypted| {
                json!({
                    "classes": encrypted.classes,
                    "errors": encrypted.errors,
                    "key_bytes": encrypted.keys,
                    "message_bytes": encrypted.messages,
                })
            });
            let parts = json!({
                "classes_clear": cell.clear,
                "classes_simulated": cell.simulated,
                "logit_errors": cell.errors,
                "costs": cell.costs,
                "ranges": cell.ranges,
                "layers": cell.layers,
                "encrypted": encrypted,
            });
            if let serde_json::Value::Object(parts) = parts {
                row.extend(parts);
            }
            row
        });
        let options = &self.study.options;
        json!({
            "title": self.title(),
            "version": env!("CARGO_PKG_VERSION"),
            "command": self.command,
            "model": self.model_name(),
            "source": self.source(),
            "sha256": { "model": self.inputs.digests[0], "images": self.inputs.digests[1], "samples": self.inputs.digests[2] },
            "images": self.inputs.images.len(),
            "samples": self.inputs.samples().len(),
            "traced": options.traced,
            "seed": options.seed,
            "predictions_for": self.machine.predicted,
            "labels": self.inputs.labels,
            "histogram_log2_from": cell::LOWEST - 1,
            "rows": rows.collect::<Vec<_>>(),
            "papers": { "papers": crate::study::papers::PAPERS, "figures": crate::study::papers::figures() },
        })
    }
}

fn text(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Layers and ranges as CSV.
fn layers(findings: &[Finding]) -> String {
    let mut text =
        "id,layer,values,reference_rms,added_rms,total_rms,comparisons,turned,turned_mean,\
                    turned_most\n"
            .to_owned();
    for finding in findings {
        for layer in &finding.cell.layers {
            let comparisons = layer.comparisons.map_or_else(
                || ",,,".to_owned(),
                |c| format!("{},{},{},{}", c.count, c.flipped, c.mean, c.worst),
            );
            text += &format!(
                "{},{},{},{},{},{},{comparisons}\n",
                finding.row.id(),
                table::field(&layer.name),
                layer.values,
                layer.reference,
                layer.added,
                layer.total
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date(951_868_800), "2000-03-01 00:00 UTC");
        assert_eq!(date(4_102_444_800), "2100-01-01 00:00 UTC");
    }
}
