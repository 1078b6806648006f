//! The columns of a study, once: for HTML, CSV, JSON and Markdown.

use crate::study::cell::Costs;
use crate::study::statistics::Share;
use crate::study::{Finding, Group, Inputs};
use serde_json::{Map, Value as Json};

/// One cell of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Text(String),
    /// With the decimals it is shown with.
    Number(f64, usize),
    /// A percentage and its 95 % interval.
    Interval(f64, [f64; 2]),
    /// A number of something: `17 levels` of `level`.
    Counted(f64, &'static str),
}

impl Value {
    /// As people read it.
    pub fn text(&self) -> String {
        match self {
            Self::None => "–".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Number(value, decimals) => number(*value, *decimals),
            Self::Interval(value, [low, high]) => format!("{value:.1} [{low:.1}, {high:.1}]"),
            Self::Counted(value, unit) => {
                format!("{value} {unit}{}", if *value == 1.0 { "" } else { "s" })
            }
        }
    }

    /// What rows are sorted by.
    pub fn key(&self) -> Option<f64> {
        match self {
            Self::None | Self::Text(_) => None,
            Self::Number(value, _) | Self::Interval(value, _) | Self::Counted(value, _) => {
                Some(*value)
            }
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::None => Json::Null,
            Self::Text(text) => Json::from(text.clone()),
            Self::Number(value, _) | Self::Counted(value, _) => Json::from(*value),
            Self::Interval(value, [low, high]) => Json::from(vec![*value, *low, *high]),
        }
    }
}

/// A number with decimals; very large and very small ones by powers of ten.
pub(super) fn number(value: f64, decimals: usize) -> String {
    match value.abs() {
        size if size >= 1e6 || (size > 0.0 && size < 1e-4) => format!("{value:.1e}"),
        _ => format!("{value:.decimals$}"),
    }
}

/// What a column's values come from.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub inputs: &'a Inputs,
    pub plain: &'a [u16],
    pub plain_accuracy: f64,
}

/// One column.
pub(super) struct Column {
    /// In CSV and JSON.
    pub name: &'static str,
    /// In the table.
    pub heading: &'static str,
    /// What it means.
    pub title: &'static str,
    /// Whether it is of numbers.
    pub numeric: bool,
    pub value: fn(&Finding, &Context<'_>) -> Value,
}

const fn column(
    [name, heading, title]: [&'static str; 3],
    numeric: bool,
    value: fn(&Finding, &Context<'_>) -> Value,
) -> Column {
    Column { name, heading, title, numeric, value }
}

/// The accuracy of a row: simulated where it has a program, in the clear where not.
pub(super) fn best(finding: &Finding) -> Option<&[u16]> {
    let classes = finding.cell.simulated.as_deref().unwrap_or(&finding.cell.clear);
    (!classes.is_empty()).then_some(classes)
}

/// Right by the labels, in percent.
pub(super) fn accuracy(classes: Option<&[u16]>, context: &Context<'_>) -> Option<f64> {
    classes
        .filter(|classes| !classes.is_empty())
        .map(|classes| Share::same(classes, &context.inputs.labels).percent())
}

fn percent(value: Option<f64>) -> Value {
    value.map_or(Value::None, |value| Value::Number(value, 2))
}

fn cost(finding: &Finding, decimals: usize, of: fn(&Costs) -> f64) -> Value {
    finding.cell.costs.as_ref().map_or(Value::None, |costs| Value::Number(of(costs), decimals))
}

fn depth(finding: &Finding) -> Value {
    match &finding.cell.costs {
        Some(costs) if costs.tables > 0 => Value::Counted(costs.tables as f64, "table"),
        Some(costs) => Value::Counted(costs.levels as f64, "level"),
        None => Value::None,
    }
}

fn outside(finding: &Finding, images: bool, context: &Context<'_>) -> Value {
    let ranges = &finding.cell.ranges;
    if ranges.is_empty() {
        return Value::None;
    }
    if images {
        let most = ranges.iter().map(|range| range.images).max().unwrap_or(0);
        let share = 100.0 * most as f64 / context.inputs.images.len().max(1) as f64;
        return Value::Number(share, 2);
    }
    let sum = |of: fn(&crate::study::cell::Range) -> u64| ranges.iter().map(of).sum::<u64>() as f64;
    Value::Number(100.0 * sum(|range| range.outside) / sum(|range| range.values).max(1.0), 4)
}

fn encrypted(finding: &Finding, reference: &[u16]) -> Value {
    finding.encrypted.as_ref().map_or(Value::None, |encrypted| {
        let share = Share::same(&encrypted.classes, reference);
        Value::Interval(share.percent(), share.wilson())
    })
}

fn error(finding: &Finding, value: f64) -> Value {
    match finding.cell.clear.is_empty() || finding.row.group() == Group::Plain {
        true => Value::None,
        false => Value::Number(value, 4),
    }
}

/// All columns, in order.
pub(super) const COLUMNS: [Column; 23] = [
    column(["activation", "activation", "In the place of ReLU"], false, |f, _| {
        Value::Text(f.row.activation())
    }),
    column(["max_pool", "max-pool", "In the place of max-pool"], false, |f, _| {
        Value::Text(f.row.pooling())
    }),
    column(["group", "group", "How it runs"], false, |f, _| {
        Value::Text(f.row.group().name().to_owned())
    }),
    column(
        [
            "accuracy_percent",
            "accuracy %",
            "Right by the labels, in simulation with the noise model; \
          in the clear where there is no program",
        ],
        true,
        |f, c| percent(accuracy(best(f), c)),
    ),
    column(
        ["accuracy_clear_percent", "in the clear %", "Right by the labels, in f64 without noise"],
        true,
        |f, c| percent(accuracy(Some(&f.cell.clear), c)),
    ),
    column(["loss_points", "lost", "Points of accuracy below the plain network"], true, |f, c| {
        percent(accuracy(best(f), c).map(|own| c.plain_accuracy - own))
    }),
    column(["agreement_percent", "agrees %", "The plain network's class"], true, |f, c| {
        percent(best(f).map(|classes| Share::same(classes, c.plain).percent()))
    }),
    column(
        [
            "logit_error_rms",
            "logit rms",
            "Root mean square difference of logits from the plain \
          network's (trained rows: from their own network's in the clear)",
        ],
        true,
        |f, _| error(f, f.cell.errors.rms),
    ),
    column(["logit_error_worst", "worst", "Largest difference of a logit"], true, |f, _| {
        error(f, f.cell.errors.worst)
    }),
    column(
        [
            "outside_values_percent",
            "outside %",
            "Inputs of activations outside the range of their \
          approximation or table",
        ],
        true,
        |f, c| outside(f, false, c),
    ),
    column(
        ["outside_images_percent", "images %", "Images with such an input, in the layer with most"],
        true,
        |f, c| outside(f, true, c),
    ),
    column(["encrypted_images", "encrypted", "Images run encrypted"], true, |f, _| {
        f.encrypted.as_ref().map_or(Value::None, |e| Value::Number(e.classes.len() as f64, 0))
    }),
    column(
        [
            "encrypted_accuracy_percent",
            "its accuracy %",
            "Of encrypted runs, with its 95 % Wilson \
          interval",
        ],
        true,
        |f, c| encrypted(f, &c.inputs.labels),
    ),
    column(
        [
            "encrypted_agreement_percent",
            "its agreement %",
            "Encrypted runs with the plain network's \
          class, with its 95 % Wilson interval",
        ],
        true,
        |f, c| encrypted(f, c.plain),
    ),
    column(["seconds_predicted", "seconds", "Predicted seconds of one image"], true, |f, _| {
        cost(f, 2, |costs| costs.seconds)
    }),
    column(["bootstrappings", "bootstrappings", "In TFHE, of one image"], true, |f, _| {
        cost(f, 0, |costs| costs.bootstrappings as f64)
    }),
    column(
        ["depth", "depth", "Levels of CKKS, or tables of TFHE one behind the other"],
        true,
        |f, _| depth(f),
    ),
    column(
        ["memory_gigabytes", "memory GB", "Predicted peak memory of the server"],
        true,
        |f, _| cost(f, 2, |costs| costs.memory / 1e9),
    ),
    column(["keys_gigabytes", "keys GB", "Evaluation keys in memory"], true, |f, _| {
        cost(f, 3, |costs| costs.keys / 1e9)
    }),
    column(["input_kilobytes", "in kB", "An encrypted image"], true, |f, _| {
        cost(f, 0, |costs| costs.messages[0] / 1e3)
    }),
    column(["output_kilobytes", "out kB", "An encrypted result"], true, |f, _| {
        cost(f, 0, |costs| costs.messages[1] / 1e3)
    }),
    column(["security_bits", "security", "Bits by the published estimates"], true, |f, _| {
        cost(f, 0, |costs| f64::from(costs.security))
    }),
    column(["note", "note", "Why it cannot run, or what to know of it"], false, |f, _| {
        let notes = [&f.cell.refusal, &f.cell.note, &f.not_encrypted];
        let mut notes: Vec<&str> = notes.into_iter().flatten().map(String::as_str).collect();
        notes.dedup();
        if notes.is_empty() { Value::None } else { Value::Text(notes.join("; ")) }
    }),
];

/// The index of the first column of numbers that the paper's table has, with those it has.
const PAPER: [&str; 10] = [
    "activation",
    "max_pool",
    "accuracy_percent",
    "loss_points",
    "agreement_percent",
    "logit_error_rms",
    "seconds_predicted",
    "bootstrappings",
    "depth",
    "memory_gigabytes",
];

/// The table for a paper, in Markdown.
pub(super) fn markdown(findings: &[Finding], context: &Context<'_>) -> String {
    let columns: Vec<&Column> =
        PAPER.iter().filter_map(|name| COLUMNS.iter().find(|c| c.name == *name)).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(columns.iter().map(|column| column.heading.to_owned()).collect());
    let rule = columns.iter().map(|column| if column.numeric { "--:" } else { "---" });
    text += &format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
    for finding in findings {
        let cells = columns.iter().map(|column| {
            (column.value)(finding, context).text().replace('|', "\\|").replace("x^2", "x²")
        });
        text += &line(cells.collect());
    }
    text
}

/// A field of a CSV file (RFC 4180).
pub(super) fn field(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// All columns as CSV, numbers in full.
pub(super) fn csv(findings: &[Finding], context: &Context<'_>) -> String {
    let mut text = format!("id,{}\n", COLUMNS.map(|column| column.name.to_owned()).join(","));
    for finding in findings {
        let cells = COLUMNS.map(|column| match (column.value)(finding, context) {
            Value::None => String::new(),
            Value::Text(text) => field(&text),
            Value::Number(value, _) | Value::Interval(value, _) => value.to_string(),
            value @ Value::Counted(..) => value.text(),
        });
        text += &format!("{},{}\n", finding.row.id(), cells.join(","));
    }
    text
}

/// One row as JSON, by the columns' names.
pub(super) fn object(finding: &Finding, context: &Context<'_>) -> Map<String, Json> {
    let mut object = Map::new();
    object.insert("id".to_owned(), finding.row.id().into());
    for column in &COLUMNS {
        object.insert(column.name.to_owned(), (column.value)(finding, context).json());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_people_and_machines() {
        assert_eq!(Value::Number(98.765, 2).text(), "98.77");
        assert_eq!(
            (number(3.2e9, 2), number(1.5e-7, 4), number(0.0, 1)),
            ("3.2e9".into(), "1.5e-7".into(), "0.0".into())
        );
        let interval = Value::Interval(90.0, [59.6, 98.2]);
        assert_eq!((interval.text(), interval.key()), ("90.0 [59.6, 98.2]".to_owned(), Some(90.0)));
        assert_eq!(Value::Counted(17.0, "level").text(), "17 levels");
        assert_eq!(Value::Counted(1.0, "level").text(), "1 level");
        assert_eq!(field("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(Value::None.json(), Json::Null);
        let names = COLUMNS.map(|column| column.name);
        assert!(PAPER.iter().all(|name| names.contains(name)));
    }
}
