//! What another run does not repeat: dates, measured times, memory as the system saw it. All of it is in
//! one marked place of the page, and in files of its own.

use super::table::{Value, field};
use super::{Report, page};
use serde::Serialize;

/// Where the marked place begins and ends.
pub const MARKS: [&str; 2] = ["<!-- begin times -->", "<!-- end times -->"];

/// One row's times.
#[derive(Serialize)]
pub(super) struct RowTimes {
    id: String,
    name: String,
    images: usize,
    threads: usize,
    seconds_mean: f64,
    seconds_least: f64,
    seconds_most: f64,
    seconds_predicted: Option<f64>,
    key_seconds: f64,
    peak_memory_bytes: Option<u64>,
    memory_bytes_predicted: Option<f64>,
}

/// The times of all encrypted runs.
pub(super) fn rows(report: &Report<'_>) -> Vec<RowTimes> {
    let row = |finding: &crate::study::Finding| {
        let times = &finding.encrypted.as_ref()?.times;
        let seconds = times.images.iter().copied();
        let costs = finding.cell.costs.as_ref();
        Some(RowTimes {
            id: finding.row.id(),
            name: finding.row.name(),
            images: times.images.len(),
            threads: times.threads,
            seconds_mean: seconds.clone().sum::<f64>() / times.images.len().max(1) as f64,
            seconds_least: seconds.clone().fold(f64::MAX, f64::min),
            seconds_most: seconds.fold(0.0, f64::max),
            seconds_predicted: costs.map(|costs| costs.seconds),
            key_seconds: times.keys,
            peak_memory_bytes: times.peak_memory,
            memory_bytes_predicted: costs.map(|costs| costs.memory),
        })
    };
    report.study.findings.iter().filter_map(row).collect()
}

/// The marked place of the page.
pub(super) fn block(report: &Report<'_>) -> String {
    let optional = |value: Option<f64>, decimals| {
        value.map_or(Value::None, |value| Value::Number(value, decimals))
    };
    let rows = rows(report).into_iter().map(|row| {
        let peak = row.peak_memory_bytes.map(|bytes| bytes as f64 / 1e9);
        let cells = vec![
            Value::Text(row.name),
            Value::Number(row.images as f64, 0),
            Value::Number(row.seconds_mean, 3),
            Value::Number(row.seconds_least, 3),
            Value::Number(row.seconds_most, 3),
            optional(row.seconds_predicted, 3),
            Value::Number(row.threads as f64, 0),
            Value::Number(row.key_seconds, 1),
            optional(peak, 2),
            optional(row.memory_bytes_predicted.map(|bytes| bytes / 1e9), 2),
        ];
        (String::new(), cells)
    });
    let headings = [
        ("method", "", false),
        ("images", "", true),
        ("seconds, mean", "Of one image", true),
        ("least", "Of one image", true),
        ("most", "Of one image", true),
        ("predicted", "On the machine that predictions are for", true),
        ("threads", "", true),
        ("keys, seconds", "Making them, and reading them at the server", true),
        ("peak GB", "Largest resident memory of client and server in one process", true),
        ("predicted GB", "Of the server", true),
    ];
    let table = page::table("Measured times", &headings, &rows.collect::<Vec<_>>());
    format!(
        "{}\n<h2 id=\"times\">Times</h2>\n<p>Measured here: what another run does not repeat. Report made {} \
         on {}.</p>\n{table}{}\n",
        MARKS[0],
        page::escape(&report.machine.date),
        page::escape(&report.machine.here),
        MARKS[1]
    )
}

/// The same as CSV.
pub(super) fn csv(report: &Report<'_>) -> String {
    let mut text =
        "id,name,images,threads,seconds_mean,seconds_least,seconds_most,seconds_predicted,\
                    key_seconds,peak_memory_bytes,memory_bytes_predicted\n"
            .to_owned();
    for row in rows(report) {
        let optional =
            |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let fields = [
            row.id,
            field(&row.name),
            row.images.to_string(),
            row.threads.to_string(),
            row.seconds_mean.to_string(),
            row.seconds_least.to_string(),
            row.seconds_most.to_string(),
            optional(row.seconds_predicted),
            row.key_seconds.to_string(),
            row.peak_memory_bytes.map_or_else(String::new, |bytes| bytes.to_string()),
            optional(row.memory_bytes_predicted),
        ];
        text += &(fields.join(",") + "\n");
    }
    text
}
