//! The page: one file, nothing is fetched.

use super::canvas::Plot;
use super::table::{COLUMNS, Context, Value, accuracy, best};
use super::{Report, sections, times};
use crate::study::statistics::Share;
use crate::study::{Finding, Group};
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Text within HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text of a table, with powers as people write them.
pub(super) fn shown(text: &str) -> String {
    escape(&text.replace("x^2", "x²"))
}

/// The whole page.
pub(super) fn page(report: &Report<'_>, plots: &[Plot]) -> String {
    let context = report.context();
    let title = escape(&report.title());
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src \
         'unsafe-inline'\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    header(&mut page, report, &context);
    page += &results(report, &context);
    page += &charts(plots);
    page += &encrypted(report, &context);
    page += &layers(report);
    page += &ranges(report);
    page += &confusions(plots);
    page += &sections::disagreements(report, &context);
    page += &sections::papers(report, &context);
    page += &sections::method(report);
    page += &times::block(report);
    let _ = write!(page, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

fn header(page: &mut String, report: &Report<'_>, context: &Context<'_>) {
    let count = report.inputs.images.len();
    let _ = write!(
        page,
        "<h1>{}</h1>\n<p class=\"lead\">{} ways of evaluating the activations and max-pools of {}, on {count} \
         images each: in the clear, in simulation with the noise of the encrypted run, and some of them \
         encrypted.</p>\n",
        escape(&report.title()),
        report.study.findings.len(),
        escape(&report.model_name()),
    );
    let links = [
        ("results", "Results"),
        ("plots", "Plots"),
        ("encrypted", "Encrypted runs"),
        ("layers", "Layers"),
        ("confusion", "Confusion"),
        ("images", "Images"),
        ("papers", "Two papers"),
        ("method", "Method"),
        ("times", "Times"),
    ];
    page.push_str("<nav aria-label=\"Sections\">");
    for (id, name) in links {
        let _ = write!(page, "<a href=\"#{id}\">{name}</a>");
    }
    page.push_str("</nav>\n<ul class=\"findings\">\n");
    for (figure, text) in findings(report, context) {
        let _ = writeln!(page, "<li><strong>{figure}</strong><span>{text}</span></li>");
    }
    page.push_str("</ul>\n");
}

/// The row of a group that is the best or the worst.
fn extreme<'a>(
    report: &'a Report<'_>,
    context: &Context<'_>,
    groups: &[Group],
    worst: bool,
) -> Option<(&'a Finding, f64)> {
    let rows = report.study.findings.iter().filter(|f| groups.contains(&f.row.group()));
    let rows = rows.filter_map(|f| Some((f, accuracy(best(f), context)?)));
    let sign = if worst { -1.0 } else { 1.0 };
    // of equals the first
    rows.reduce(|a, b| if sign * b.1 > sign * a.1 { b } else { a })
}

/// What the study comes to, in a few figures.
fn findings(report: &Report<'_>, context: &Context<'_>) -> Vec<(String, String)> {
    const ALL: [Group; 3] = [Group::CompositeSign, Group::Mean, Group::Sum];
    let mut all = vec![(
        format!("{:.2} %", context.plain_accuracy),
        "right by the plain network, in f64".to_owned(),
    )];
    if let Some((finding, worst)) = extreme(report, context, &[Group::Exact], true) {
        let lost = (context.plain_accuracy - worst).max(0.0);
        let name = shown(&finding.row.activation());
        let text = format!("lost at most with exact activations and max-pools, encrypted ({name})");
        all.push((format!("{lost:.2} points"), text));
    }
    if let Some((finding, worst)) = extreme(report, context, &ALL, true) {
        let text = format!("after training, at worst: {}", shown(&finding.row.name()));
        all.push((format!("{worst:.2} %"), text));
    }
    let middle = median(report, context);
    if let Some(middle) = middle {
        let text = "median over all replacements after training without exact max-pool";
        all.push((format!("{middle:.2} %"), text.to_owned()));
    }
    if let Some((finding, found)) = extreme(report, context, &ALL, false) {
        let text = format!("after training, at best: {}", shown(&finding.row.name()));
        all.push((format!("{found:.2} %"), text));
    }
    if let Some((finding, found)) = extreme(report, context, &[Group::Trained], false) {
        let text = format!("trained with the polynomial: {}", shown(&finding.row.name()));
        all.push((format!("{found:.2} %"), text));
    }
    all
}

/// The median accuracy of what is replaced after training with approximate pools.
fn median(report: &Report<'_>, context: &Context<'_>) -> Option<f64> {
    let groups = [Group::CompositeSign, Group::Mean, Group::Sum];
    let rows = report.study.findings.iter().filter(|f| groups.contains(&f.row.group()));
    let mut all: Vec<f64> = rows.filter_map(|f| accuracy(best(f), context)).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

fn head(headings: &[Heading<'_>]) -> String {
    let mut text = "<thead><tr>".to_owned();
    for (heading, title, numeric) in headings {
        let class = if *numeric { " class=\"n\"" } else { "" };
        let title =
            if title.is_empty() { String::new() } else { format!(" title=\"{}\"", escape(title)) };
        let _ = write!(
            text,
            "<th scope=\"col\"{class}{title}><button type=\"button\">{}</button></th>",
            escape(heading)
        );
    }
    text + "</tr></thead>\n"
}

/// A cell; the first of a row names it.
fn cell(value: &Value, numeric: bool, first: bool) -> String {
    let key = value.key().map_or_else(String::new, |key| format!(" data-key=\"{key}\""));
    let text = shown(&value.text());
    let class = match (numeric, text.chars().count() > 44) {
        (true, _) => " class=\"n\"",
        (false, true) => " class=\"w\"",
        (false, false) => "",
    };
    match first {
        true => format!("<th scope=\"row\">{text}</th>"),
        false => format!("<td{class}{key}>{text}</td>"),
    }
}

/// A heading, what it means, and whether its column is of numbers.
pub(super) type Heading<'a> = (&'a str, &'a str, bool);

/// A sortable table within a box that scrolls; rows with their attributes.
pub(super) fn table(
    label: &str,
    headings: &[Heading<'_>],
    rows: &[(String, Vec<Value>)],
) -> String {
    let mut text = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table \
         class=\"sortable\">\n{1}<tbody>\n",
        escape(label),
        head(headings)
    );
    for (attributes, cells) in rows {
        let _ = write!(text, "<tr{attributes}>");
        for (index, (value, (_, _, numeric))) in cells.iter().zip(headings).enumerate() {
            text += &cell(value, *numeric, index == 0);
        }
        text += "</tr>\n";
    }
    text + "</tbody></table></div>\n"
}

fn results(report: &Report<'_>, context: &Context<'_>) -> String {
    let mut text = "<h2 id=\"results\">Results</h2>\n<p>Every row is a choice of the same compilers. \
        <em>Accuracy</em> and <em>agreement</em> are of the simulation with the noise model; where a row \
        has no program (the note says why) they are of the network in the clear. Headings sort; hover \
        over them for what they mean. Costs are predicted.</p>\n\
        <fieldset class=\"chips\"><legend>Rows shown</legend>"
        .to_owned();
    let mut groups: Vec<Group> = Vec::new();
    for finding in &report.study.findings {
        if !groups.contains(&finding.row.group()) {
            groups.push(finding.row.group());
        }
    }
    for group in &groups {
        let _ = write!(
            text,
            "<label><input type=\"checkbox\" checked data-group=\"{}\">{}</label>",
            slug(*group),
            escape(group.name())
        );
    }
    text += "</fieldset>\n";
    // the group has its boxes
    let columns: Vec<_> = COLUMNS.iter().filter(|column| column.name != "group").collect();
    let headings: Vec<_> =
        columns.iter().map(|column| (column.heading, column.title, column.numeric)).collect();
    let rows = report.study.findings.iter().map(|finding| {
        let cells = columns.iter().map(|column| (column.value)(finding, context)).collect();
        let attributes = format!(
            " id=\"row-{}\" data-group=\"{}\"",
            finding.row.id(),
            slug(finding.row.group())
        );
        (attributes, cells)
    });
    let rows: Vec<_> = rows.collect();
    text + &table("Results, a row for each method", &headings, &rows)
}

fn slug(group: Group) -> String {
    serde_json::to_value(group).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn figure(plot: &Plot, caption: &str) -> String {
    let name = &plot.name;
    format!(
        "<figure>{}<figcaption>{caption} (<code>plots/{name}.svg</code>, \
         <code>.png</code>)</figcaption></figure>\n",
        plot.inline()
    )
}

fn charts(plots: &[Plot]) -> String {
    let mut text = "<h2 id=\"plots\">Plots</h2>\n".to_owned();
    let captions = [
        ("accuracy-time", "Accuracy against time. Each point is a row that has a program."),
        (
            "accuracy-degree",
            "Accuracy in the clear against the degree of the polynomial: a higher \
          degree helps until values leave the range that it was fitted on.",
        ),
        (
            "error-layer",
            "How far the values behind each layer are from the plain network's, relative to \
          their size.",
        ),
        (
            "logit-errors",
            "Logits by the binary logarithm of their difference from the plain network's.",
        ),
    ];
    for (name, caption) in captions {
        if let Some(plot) = plots.iter().find(|plot| plot.name == name) {
            text += &figure(plot, caption);
        }
    }
    text
}

fn encrypted(report: &Report<'_>, context: &Context<'_>) -> String {
    let mut text = "<h2 id=\"encrypted\">Encrypted runs</h2>\n<p>Client and server, with serialized \
        keys and ciphertexts between them, on the first images of the set. In brackets: 95 % Wilson \
        intervals. <em>As in the clear</em> compares with the same network, as replaced, in f64.</p>\n"
        .to_owned();
    let rows = report.study.findings.iter().filter_map(|finding| {
        let encrypted = finding.encrypted.as_ref()?;
        let share = |reference: &[u16]| {
            let share = Share::same(&encrypted.classes, reference);
            Value::Interval(share.percent(), share.wilson())
        };
        let cells = vec![
            Value::Text(finding.row.name()),
            Value::Number(encrypted.classes.len() as f64, 0),
            share(&context.inputs.labels),
            share(context.plain),
            share(&finding.cell.clear),
            Value::Number(encrypted.errors.rms, 5),
            Value::Number(encrypted.errors.worst, 5),
            Value::Number(encrypted.keys[0] as f64 / 1e6, 0),
            Value::Number(encrypted.keys[1] as f64 / 1e6, 0),
            Value::Number(encrypted.messages[0] as f64 / 1e3, 1),
            Value::Number(encrypted.messages[1] as f64 / 1e3, 1),
        ];
        Some((String::new(), cells))
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return text + "<p class=\"note\">None were asked for.</p>\n";
    }
    let headings = [
        ("method", "", false),
        ("images", "", true),
        ("accuracy %", "Right by the labels", true),
        ("agrees %", "The plain network's class", true),
        ("as in the clear %", "The class of the same network in f64", true),
        ("logit rms", "Root mean square difference from the same network in f64", true),
        ("worst", "Largest difference", true),
        ("keys MB", "In the server's memory", true),
        ("on the wire MB", "As they travel", true),
        ("in kB", "An encrypted image", true),
        ("out kB", "An encrypted result", true),
    ];
    text += &table("Encrypted runs", &headings, &rows);
    text
}

fn layers(report: &Report<'_>) -> String {
    let mut text = format!(
        "<h2 id=\"layers\">Layer by layer</h2>\n<p>On the first {} images. A layer is a linear layer with \
         all that follows it up to the next. <em>Added</em> is the error that the layer makes by itself of \
         the plain network's values (exact rows: the noise of its steps alone; the rounding of weights is in \
         the total); <em>total</em> is the difference from the plain network's values behind it, with all \
         that came before. A comparison is <em>turned</em> where noise or approximation gave it the other \
         sign; how far apart the two values were is in the network's units.</p>\n",
        report.study.options.traced.min(report.inputs.images.len())
    );
    let mut rows = Vec::new();
    for finding in &report.study.findings {
        for (index, layer) in finding.cell.layers.iter().enumerate() {
            let relative = |error: f64| 100.0 * error / layer.reference.max(f64::MIN_POSITIVE);
            let mut cells = vec![
                Value::Text(finding.row.name()),
                Value::Text(format!("{} {}", index + 1, layer.name)),
                Value::Number(layer.values as f64, 0),
                Value::Number(layer.reference, 4),
                Value::Number(relative(layer.added), 3),
                Value::Number(relative(layer.total), 3),
            ];
            match layer.comparisons {
                None => cells.extend([Value::None, Value::None, Value::None, Value::None]),
                Some(c) => cells.extend([
                    Value::Number(c.count as f64, 0),
                    Value::Number(100.0 * c.flipped as f64 / (c.count as f64).max(1.0), 4),
                    Value::Number(c.mean, 4),
                    Value::Number(c.worst, 4),
                ]),
            }
            rows.push((format!(" data-group=\"{}\"", slug(finding.row.group())), cells));
        }
    }
    let headings = [
        ("method", "", false),
        ("layer", "", false),
        ("values", "Of its result", true),
        ("their rms", "In the plain network", true),
        ("added %", "Error that it adds, of the values' rms", true),
        ("total %", "Error behind it, of the values' rms", true),
        ("comparisons", "On all of those images", true),
        ("turned %", "That went the other way", true),
        ("by, mean", "How far apart the values were", true),
        ("by, at most", "How far apart the values were", true),
    ];
    text += &table("Errors layer by layer", &headings, &rows);
    text
}

fn ranges(report: &Report<'_>) -> String {
    let mut text =
        "<h3 id=\"ranges\">Ranges</h3>\n<p>What each activation's approximation or table holds \
        for, taken from other images, and what it read.</p>\n"
            .to_owned();
    let images = report.inputs.images.len().max(1) as f64;
    let mut rows = Vec::new();
    for finding in &report.study.findings {
        for range in &finding.cell.ranges {
            let cells = vec![
                Value::Text(finding.row.name()),
                Value::Text(range.layer.clone()),
                Value::Number(range.interval[0], 3),
                Value::Number(range.interval[1], 3),
                Value::Number(range.seen[0], 3),
                Value::Number(range.seen[1], 3),
                Value::Number(100.0 * range.outside as f64 / (range.values as f64).max(1.0), 5),
                Value::Number(100.0 * range.images as f64 / images, 2),
            ];
            rows.push((format!(" data-group=\"{}\"", slug(finding.row.group())), cells));
        }
    }
    let headings = [
        ("method", "", false),
        ("activation", "", false),
        ("from", "The lower end of its range", true),
        ("to", "The upper end of its range", true),
        ("least read", "", true),
        ("most read", "", true),
        ("outside %", "Of the values it read", true),
        ("images %", "With a value outside", true),
    ];
    text += &table("Ranges of activations", &headings, &rows);
    text
}

fn confusions(plots: &[Plot]) -> String {
    let mut text =
        "<h2 id=\"confusion\">Confusion matrices</h2>\n<p>Rows are labels, columns the class \
        taken; numbers are images.</p>\n<div class=\"pair\">\n"
            .to_owned();
    for plot in plots.iter().filter(|plot| plot.name.starts_with("confusion-")) {
        text += &figure(plot, &shown(&plot.title));
    }
    text + "</div>\n"
}
