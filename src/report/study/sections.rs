//! Sections of the page beside tables of rows: images, papers, method.

use super::page::{Heading, escape, shown, table};
use super::plots::SHOWN;
use super::table::{Context, Value, accuracy, best, number};
use super::{Report, pictures};
use crate::study::papers::{Figure, PAPERS, figures};
use crate::study::{Finding, Group};
use std::fmt::Write as _;

/// Images on which methods disagree that are drawn, at most.
const PICTURES: usize = 36;

/// Images that a row takes for something else than the plain network does: those first on which rows with
/// exact activations do, then those on which the fewest rows do.
pub(super) fn disagreements(report: &Report<'_>, context: &Context<'_>) -> String {
    let find = |id: &str| report.study.findings.iter().find(|f| f.row.id() == id);
    let ids = SHOWN.iter().chain(&["trained-square", "trained-square2x"]);
    let rows: Vec<&Finding> = ids.filter_map(|id| find(id)).filter(|f| best(f).is_some()).collect();
    let mut images: Vec<(usize, usize, usize)> = (0..context.plain.len())
        .map(|index| {
            let differ = rows.iter().filter(|finding| differs(finding, context, index));
            let exact = differ.clone().filter(|finding| finding.row.group() == Group::Exact);
            (usize::MAX - exact.count(), differ.count(), index)
        })
        .filter(|(_, all, _)| *all > 0)
        .collect();
    images.sort_unstable();
    let mut text = format!(
        "<h2 id=\"images\">Images on which methods disagree</h2>\n<p>Of {} images on which at least one of \
         {} rows takes another class than the plain network, {}: first those on which exact rows do, then \
         those on which the fewest do.</p>\n<ul class=\"pictures\">\n",
        images.len(),
        rows.len(),
        images.len().min(PICTURES)
    );
    for &(_, _, index) in images.iter().take(PICTURES) {
        text += &picture(&rows, context, index);
    }
    text + "</ul>\n"
}

fn differs(finding: &Finding, context: &Context<'_>, index: usize) -> bool {
    best(finding).is_some_and(|classes| classes.get(index) != context.plain.get(index))
}

/// An image with the classes that differ.
fn picture(rows: &[&Finding], context: &Context<'_>, index: usize) -> String {
    let (label, plain) = (context.inputs.labels[index], context.plain[index]);
    let picture = pictures::address(&context.inputs.images[index]).unwrap_or_default();
    let mut text = format!(
        "<li><img src=\"{picture}\" alt=\"image {index}, labelled {label}\" width=\"64\" \
         height=\"64\"><div><b>image {index}: {label}</b><span class=\"on\">plain: {plain}</span>"
    );
    for finding in rows.iter().filter(|finding| differs(finding, context, index)) {
        let class = best(finding).and_then(|classes| classes.get(index)).copied();
        let name = match finding.row.group() {
            Group::Exact => finding.row.activation(),
            _ => format!("{}, {}", finding.row.activation(), finding.row.pooling()),
        };
        let name = shown(&name.replace(", degree", ""));
        let _ =
            write!(text, "<br><span class=\"off\">{name}: {}</span>", class.unwrap_or_default());
    }
    text + "</div></li>\n"
}

/// Figures of two papers, with ours.
pub(super) fn papers(report: &Report<'_>, context: &Context<'_>) -> String {
    let mut text =
        "<h2 id=\"papers\">Beside two papers</h2>\n<p>Their figures, on their hardware and their \
        networks; not measured here.</p>\n<dl>"
            .to_owned();
    for (index, paper) in PAPERS.iter().enumerate() {
        let (title, setting) = (escape(paper.title), shown(paper.setting));
        let hardware = escape(paper.hardware);
        let number = index + 1;
        let _ = write!(
            text,
            "<dt>paper {number}</dt><dd>{title}. {setting}. Hardware: {hardware}.</dd>"
        );
    }
    text += "</dl>\n";
    let theirs = figures().into_iter().map(|figure| theirs(&figure));
    let ids = ["plain", "client-aided", "exact-balanced", "trained-square2x"];
    let rows = ids.iter().filter_map(|id| report.study.findings.iter().find(|f| f.row.id() == *id));
    let rows: Vec<_> = theirs.chain(rows.flat_map(|finding| ours(finding, context))).collect();
    let headings: [Heading<'_>; 5] = [
        ("source", "", false),
        ("of", "", false),
        ("what", "", false),
        ("value", "", false),
        ("security", "Bits", true),
    ];
    text + &table("Figures of two papers beside ours", &headings, &rows)
}

fn bits(security: Option<u32>) -> Value {
    security.map_or(Value::None, |bits| Value::Number(f64::from(bits), 0))
}

fn theirs(figure: &Figure) -> (String, Vec<Value>) {
    let stage = match (figure.paper, figure.table) {
        (1, 2) => "model encryption: ",
        (1, 3) => "processing, input in the clear: ",
        (1, 4) => "processing, input encrypted: ",
        (1, 5) => "decryption: ",
        _ => "",
    };
    let cells = vec![
        Value::Text(format!("theirs: paper {}, table {}", figure.paper + 1, figure.table)),
        Value::Text(format!("{stage}{}", figure.of)),
        Value::Text(figure.what.to_owned()),
        Value::Text(figure.value.to_owned()),
        bits(figure.security),
    ];
    (String::new(), cells)
}

fn ours(finding: &Finding, context: &Context<'_>) -> Vec<(String, Vec<Value>)> {
    let costs = finding.cell.costs.as_ref();
    let accuracy = accuracy(best(finding), context).map(|percent| format!("{percent:.2} %"));
    let values = [
        ("accuracy", accuracy),
        ("seconds, predicted", costs.map(|costs| number(costs.seconds, 2))),
        ("memory, MB, predicted", costs.map(|costs| number(costs.memory / 1e6, 0))),
    ];
    let row = |(what, value): (&str, Option<String>)| {
        let cells = vec![
            Value::Text("ours".to_owned()),
            Value::Text(finding.row.name()),
            Value::Text(what.to_owned()),
            Value::Text(value?),
            bits(costs.map(|costs| costs.security)),
        ];
        Some((String::new(), cells))
    };
    values.into_iter().filter_map(row).collect()
}

/// How it was done, on what, and how to do it again.
pub(super) fn method(report: &Report<'_>) -> String {
    let mut text = "<h2 id=\"method\">Method and machine</h2>\n<dl>".to_owned();
    for (name, value) in facts(report) {
        let _ = write!(text, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    let command = escape(&report.command);
    let _ =
        write!(text, "</dl>\n{METHOD}<p>To reproduce:</p>\n<pre><code>{command}</code></pre>\n");
    text
}

fn facts(report: &Report<'_>) -> [(&'static str, String); 6] {
    let inputs = report.inputs;
    let [model, images, samples] = &inputs.digests;
    let (name, parameters) = (report.model_name(), inputs.graph.parameter_count());
    let (count, source) = (inputs.images.len(), report.source());
    let others = if inputs.shipped { "of the same images" } else { "other images" };
    [
        ("program", format!("bellerophon {}", env!("CARGO_PKG_VERSION"))),
        ("model", format!("{name}, {parameters} parameters, SHA-256 {model}")),
        ("images", format!("{count} ({source}), SHA-256 of values and labels {images}")),
        (
            "ranges from",
            format!(
                "{} {others}; exact programs are calibrated with {}, SHA-256 of these {samples}",
                inputs.samples().len(),
                inputs.calibration.len()
            ),
        ),
        ("seed", report.study.options.seed.to_string()),
        ("predictions for", report.machine.predicted.clone()),
    ]
}

const METHOD: &str = "<p><strong>In the clear</strong> a row's network runs in f64. <strong>In \
    simulation</strong> its compiled program runs in f64, cut down to the values that reach the result, with \
    noise drawn from the noise formula of every step. <strong>Exact</strong> rows are hybrid programs: \
    linear layers in CKKS, comparisons by bootstrapping in TFHE. <strong>Replaced</strong> rows take each \
    activation's polynomial on the range that the calibration images reach in the network as replaced so \
    far, with a margin; with exact max-pools they are hybrid programs with polynomials in slots, else \
    programs in CKKS alone at the smallest ring that is secure at 128 bits. Hybrid programs pool first: \
    there a polynomial of a pooled value stands for the pooled value of polynomials. \
    <strong>Client-aided</strong> is the first paper's setting: convolutions on encrypted images with \
    encrypted weights in slots, one ciphertext for each weight; the client decrypts, computes activations, \
    pooling and dense layers in the clear, and encrypts again. It is simulated. Encrypted runs use keys \
    made from the seed: reproducible, and therefore not secret.</p>\n";
