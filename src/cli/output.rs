//! What is printed: results on stdout, all else on stderr.

use super::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt::{self, Display};
use std::io::{ErrorKind, Write};
use std::time::Duration;

/// Prints a result, as text or as JSON.
///
/// # Errors
/// Where stdout cannot be written; one that was closed early is no error.
pub fn emit(json: bool, result: &(impl Serialize + Display)) -> Result<(), Failure> {
    let mut text = match json {
        true => serde_json::to_string_pretty(result)?,
        false => result.to_string(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to stdout: {error}").into())
        }
        _ => Ok(()),
    }
}

/// Something that the user should know, on stderr.
pub fn warn(message: &str) {
    eprintln!("warning: {message}");
}

/// Columns that line up: the first to the left, the others to the right.
#[derive(Debug, Default)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// With its headings.
    pub fn new(headings: &[&str]) -> Self {
        Self(vec![headings.iter().map(|&heading| heading.to_owned()).collect()])
    }

    /// Adds a row of as many cells.
    pub fn push(&mut self, row: Vec<String>) {
        self.0.push(row);
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.0.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        for row in &self.0 {
            let cell = |(column, cell): (usize, &String)| match column {
                0 => format!("{cell:<width$}", width = widths[0]),
                _ => format!("  {cell:>width$}", width = widths[column]),
            };
            let line: String = row.iter().enumerate().map(cell).collect();
            writeln!(f, "  {}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Bytes for people.
pub fn bytes(count: f64) -> String {
    match count {
        _ if count >= 1e9 => format!("{:.2} GB", count / 1e9),
        _ if count >= 1e6 => format!("{:.1} MB", count / 1e6),
        _ if count >= 1e3 => format!("{:.1} kB", count / 1e3),
        _ => format!("{count} bytes"),
    }
}

/// A spinner for work whose length is not known.
pub fn spinner(message: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// A bar over so many `units`.
pub fn bar(count: usize, units: &str) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    let template = format!(
        "  {{bar:32}} {{pos:>6}}/{{len}} {units}  {{elapsed}} (about {{eta}} left)  {{msg}}"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// A bar over bytes.
pub fn bytes_bar(count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count);
    let template = "  {bar:32} {bytes:>10}/{total_bytes}  {elapsed} (about {eta} left)  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// The largest resident memory of this process so far in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["name", "n"]);
        table.push(vec!["a".to_owned(), "100".to_owned()]);
        assert_eq!(table.to_string(), "  name    n\n  a     100\n");
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes(999.0), "999 bytes");
        assert_eq!(bytes(2_500_000.0), "2.5 MB");
        assert_eq!(bytes(3e9), "3.00 GB");
    }
}
