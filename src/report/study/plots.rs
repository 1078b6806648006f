//! The plots: one drawing each, for every kind of canvas.

use super::canvas::{
    Canvas, Drawn, GRID, INK, PAPER, Plot, SERIES, png, power, powers, register_fonts, svg,
};
use super::table::{Context, accuracy, best};
use crate::study::cell::{BINS, LOWEST, Layer};
use crate::study::rows::DEGREES;
use crate::study::{Finding, Group, StudyError};
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A plot from what draws it on any canvas: compiled once for each kind.
macro_rules! plot {
    ($name:expr, $title:expr, $size:expr, |$canvas:ident| $body:block) => {{
        register_fonts();
        let svg = svg($size, |$canvas: &Canvas<'_, SVGBackend<'_>>| -> Drawn { $body });
        let png = png($size, |$canvas: &Canvas<'_, BitMapBackend<'_>>| -> Drawn { $body });
        Plot::new($name, $title, svg, png)
    }};
}

/// The colour and the name of a group's points.
fn legend(group: Group) -> (RGBColor, &'static str) {
    match group {
        Group::Exact => (SERIES[0], "exact (hybrid)"),
        Group::Mix => (SERIES[5], "replaced, exact max-pool"),
        Group::CompositeSign => (SERIES[4], "replaced, composite sign"),
        Group::Mean => (SERIES[1], "replaced, mean-pool"),
        Group::Sum => (SERIES[3], "replaced, sum-pool"),
        Group::Trained => (SERIES[2], "trained with a polynomial"),
        Group::Plain | Group::ClientAided => (INK, "convolutions alone (client-aided)"),
    }
}

/// Keys of a legend along the top.
fn keys<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    entries: &[(RGBColor, String)],
    step: i32,
) -> Drawn
where
    DB::ErrorType: 'static,
{
    for (index, (colour, name)) in (0..).zip(entries) {
        let (x, y) = (canvas.px(64 + index % 3 * step), canvas.px(18 + index / 3 * 18));
        canvas.area.draw(&canvas.dot((x, y), *colour))?;
        let style = canvas.font(13).pos(Pos::new(HPos::Left, VPos::Center));
        canvas.area.draw(&Text::new(name.clone(), (x + canvas.px(10), y), style))?;
    }
    Ok(())
}

/// Accuracy against predicted time.
pub(super) fn accuracy_against_time(
    findings: &[Finding],
    context: &Context<'_>,
) -> Result<Plot, StudyError> {
    let point = |finding: &Finding| {
        let seconds = finding.cell.costs.as_ref()?.seconds;
        Some((seconds, accuracy(best(finding), context)?, legend(finding.row.group())))
    };
    let points: Vec<_> = findings.iter().filter_map(point).collect();
    let mut entries: Vec<(RGBColor, String)> = Vec::new();
    for (_, _, (colour, name)) in &points {
        if !entries.iter().any(|(_, known)| known == name) {
            entries.push((*colour, (*name).to_owned()));
        }
    }
    let axis = powers(points.iter().map(|point| point.0));
    let title = "Accuracy against predicted seconds of one image, by method";
    plot!("accuracy-time", title, (900, 520), |canvas| {
        keys(canvas, &entries, 280)?;
        let mut chart = ChartBuilder::on(canvas.area)
            .margin(canvas.px(14))
            .margin_top(canvas.px(76))
            .x_label_area_size(canvas.px(46))
            .y_label_area_size(canvas.px(50))
            .build_cartesian_2d(axis.clone(), 0.0..100.0)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(canvas.scale))
            .axis_style(GRID.stroke_width(canvas.scale))
            .set_all_tick_mark_size(canvas.px(4))
            .label_style(canvas.font(13))
            .axis_desc_style(canvas.font(13))
            .x_desc("seconds of one image, predicted")
            .y_desc("accuracy %")
            .draw()?;
        let marks = points.iter().map(|(x, y, (colour, _))| {
            Circle::new((*x, *y), canvas.px(5), colour.mix(0.85).filled())
        });
        chart.draw_series(marks)?;
        Ok(())
    })
}

/// The families of polynomials that have degrees.
const FAMILIES: [&str; 3] = ["Taylor", "least squares", "Chebyshev"];

/// Accuracy against the degree of the polynomial, a panel for each pooling.
pub(super) fn accuracy_against_degree(
    findings: &[Finding],
    context: &Context<'_>,
) -> Result<Plot, StudyError> {
    let panels = [Group::Mix, Group::CompositeSign, Group::Mean, Group::Sum];
    let entries: Vec<(RGBColor, String)> =
        FAMILIES.iter().zip(SERIES).map(|(name, colour)| (colour, (*name).to_owned())).collect();
    let lines = |group: Group| FAMILIES.map(|family| by_degree(findings, context, group, family));
    let title = "Accuracy against the degree of the polynomial, for each way of pooling";
    plot!("accuracy-degree", title, (900, 620), |canvas| {
        keys(canvas, &entries, 200)?;
        let (_, below) = canvas.area.split_vertically(canvas.px(34));
        for (area, group) in below.split_evenly((2, 2)).iter().zip(panels) {
            let name = group.name().replace("replaced, ", "").replace(" (hybrid mix)", "");
            degree_panel(&Canvas { area, scale: canvas.scale }, &name, &lines(group))?;
        }
        Ok(())
    })
}

/// Binary logarithms of degrees, and accuracies in the clear.
fn by_degree(
    findings: &[Finding],
    context: &Context<'_>,
    group: Group,
    family: &str,
) -> Vec<(f64, f64)> {
    let rows = findings.iter().filter(|finding| finding.row.group() == group);
    let points = rows.filter_map(|finding| {
        let (found, degree) = finding.row.degree()?;
        let percent = accuracy(Some(&finding.cell.clear), context)?;
        (found == family).then_some(((degree as f64).log2(), percent))
    });
    points.collect()
}

/// A line for each family.
fn degree_panel<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    name: &str,
    lines: &[Vec<(f64, f64)>],
) -> Drawn
where
    DB::ErrorType: 'static,
{
    let mut chart = ChartBuilder::on(canvas.area)
        .margin(canvas.px(12))
        .caption(name, canvas.heading(15))
        .x_label_area_size(canvas.px(42))
        .y_label_area_size(canvas.px(46))
        .build_cartesian_2d(0.9..4.9, 0.0..100.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(canvas.scale))
        .axis_style(GRID.stroke_width(canvas.scale))
        .set_all_tick_mark_size(canvas.px(4))
        .label_style(canvas.font(12))
        .axis_desc_style(canvas.font(12))
        .x_labels(0)
        .x_desc("degree")
        .y_desc("accuracy %")
        .y_labels(5)
        .draw()?;
    let below: Vec<(f64, String)> =
        DEGREES.iter().map(|degree| ((*degree as f64).log2(), degree.to_string())).collect();
    let at = |x: f64| chart.backend_coord(&(x, 0.0));
    names_below(canvas, &below, at)?;
    for (points, colour) in lines.iter().zip(SERIES) {
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2 * canvas.scale)))?;
        let mark = |point: &(f64, f64)| Circle::new(*point, canvas.px(4), colour.filled());
        chart.draw_series(points.iter().map(mark))?;
    }
    Ok(())
}

/// Names of places of an axis, below it.
fn names_below<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    names: &[(f64, String)],
    at: impl Fn(f64) -> (i32, i32),
) -> Drawn
where
    DB::ErrorType: 'static,
{
    let origin = canvas.area.get_base_pixel();
    for (x, name) in names {
        let (x, y) = at(*x);
        let style = canvas.font(12).pos(Pos::new(HPos::Center, VPos::Top));
        let place = (x - origin.0, y - origin.1 + canvas.px(6));
        canvas.area.draw(&Text::new(name.clone(), place, style))?;
    }
    Ok(())
}

/// Rows that plots of single rows show.
pub(super) const SHOWN: [&str; 6] = [
    "exact-balanced",
    "exact-precise",
    "chebyshev-7-max",
    "chebyshev-7-mean",
    "least-squares-7-sum",
    "minimax-7-mean",
];

fn shown(findings: &[Finding]) -> Vec<(&Finding, RGBColor)> {
    let rows = SHOWN.iter().filter_map(|id| findings.iter().find(|f| f.row.id() == *id));
    rows.zip(SERIES).collect()
}

/// The error behind each layer, relative to the plain network's values.
pub(super) fn error_by_layer(findings: &[Finding]) -> Result<Plot, StudyError> {
    let mut rows = shown(findings);
    rows.retain(|(finding, _)| !finding.cell.layers.is_empty());
    let entries: Vec<(RGBColor, String)> =
        rows.iter().map(|(finding, colour)| (*colour, short(finding))).collect();
    let line = |finding: &Finding| -> Vec<(f64, f64)> {
        let relative = |layer: &Layer| layer.total / layer.reference.max(f64::MIN_POSITIVE);
        (0..).map(f64::from).zip(finding.cell.layers.iter().map(relative)).collect()
    };
    let lines: Vec<_> = rows.iter().map(|(finding, colour)| (line(finding), *colour)).collect();
    let axis = powers(lines.iter().flat_map(|(line, _)| line).map(|point| point.1));
    let layers = rows.first().map_or(&[][..], |(finding, _)| &finding.cell.layers);
    let names: Vec<(f64, String)> = (0..)
        .map(f64::from)
        .zip(layers.iter().map(|layer| layer.name.trim_matches('/').to_owned()))
        .collect();
    let last = names.len().max(2) as f64 - 1.0;
    let title = "Error behind each layer relative to the plain network's values";
    plot!("error-layer", title, (900, 480), |canvas| {
        keys(canvas, &entries, 280)?;
        let mut chart = ChartBuilder::on(canvas.area)
            .margin(canvas.px(14))
            .margin_top(canvas.px(64))
            .margin_right(canvas.px(40))
            .x_label_area_size(canvas.px(46))
            .y_label_area_size(canvas.px(64))
            .build_cartesian_2d(-0.15..last + 0.15, axis.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(canvas.scale))
            .axis_style(GRID.stroke_width(canvas.scale))
            .set_all_tick_mark_size(canvas.px(4))
            .label_style(canvas.font(13))
            .axis_desc_style(canvas.font(13))
            .x_labels(0)
            .y_desc("error / value (rms)")
            .y_label_formatter(&|value| power(*value))
            .draw()?;
        let at = |x: f64| chart.backend_coord(&(x, axis.range().start));
        names_below(canvas, &names, at)?;
        for (points, colour) in &lines {
            let style = colour.stroke_width(2 * canvas.scale);
            chart.draw_series(LineSeries::new(points.clone(), style))?;
            let mark = |point: &(f64, f64)| Circle::new(*point, canvas.px(4), colour.filled());
            chart.draw_series(points.iter().map(mark))?;
        }
        Ok(())
    })
}

fn short(finding: &Finding) -> String {
    let (activation, pooling) = (finding.row.activation(), finding.row.pooling());
    match finding.row.group() {
        Group::Exact => activation,
        _ => format!("{}; {pooling}", activation.replace(", degree", "")),
    }
}

/// Histograms of logit errors.
pub(super) fn histograms(findings: &[Finding]) -> Result<Plot, StudyError> {
    let rows: Vec<_> = shown(findings)
        .into_iter()
        .filter(|(finding, _)| !finding.cell.errors.histogram.is_empty())
        .collect();
    let title = "Logits by the magnitude of their difference from the plain network's";
    let ends = [f64::from(LOWEST) - 1.0, f64::from(LOWEST) + BINS as f64 - 1.0];
    plot!("logit-errors", title, (900, 560), |canvas| {
        for (panel, (finding, colour)) in canvas.area.split_evenly((2, 3)).iter().zip(&rows) {
            let counts = &finding.cell.errors.histogram;
            let all = counts.iter().sum::<u64>().max(1) as f64;
            let most = counts.iter().copied().max().unwrap_or(1) as f64 / all * 100.0;
            let mut chart = ChartBuilder::on(panel)
                .margin(canvas.px(10))
                .caption(short(finding), canvas.heading(13))
                .x_label_area_size(canvas.px(40))
                .y_label_area_size(canvas.px(38))
                .build_cartesian_2d(ends[0]..ends[1], 0.0..(most * 1.08).max(1.0))?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID.stroke_width(canvas.scale))
                .axis_style(GRID.stroke_width(canvas.scale))
                .set_all_tick_mark_size(canvas.px(4))
                .label_style(canvas.font(11))
                .axis_desc_style(canvas.font(11))
                .x_labels(5)
                .y_labels(4)
                .x_label_formatter(&|value| format!("{value:.0}"))
                .y_label_formatter(&|value| format!("{value:.0}"))
                .x_desc("log2 of the difference")
                .y_desc("% of logits")
                .draw()?;
            let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let bars = bars.map(|(bin, &count)| {
                let left = ends[0] + bin as f64;
                let corners = [(left + 0.06, 0.0), (left + 0.94, count as f64 / all * 100.0)];
                Rectangle::new(corners, colour.filled())
            });
            chart.draw_series(bars)?;
        }
        Ok(())
    })
}

/// The side of a cell of a confusion matrix, and where the first is.
const SIDE: i32 = 30;
const EDGE: (i32, i32) = (54, 62);

/// Which class a row takes for which label; nothing for too many classes to be seen.
pub(super) fn confusion(
    finding: &Finding,
    context: &Context<'_>,
) -> Option<Result<Plot, StudyError>> {
    let classes = best(finding)?;
    let count = context.inputs.graph.output_shape().elements();
    if !(2..=20).contains(&count) {
        return None;
    }
    let mut counts = vec![vec![0_u32; count]; count];
    for (&label, &class) in context.inputs.labels.iter().zip(classes) {
        let row = counts.get_mut(usize::from(label));
        *row.and_then(|row| row.get_mut(usize::from(class)))? += 1;
    }
    let title = format!("Confusion matrix of {}", finding.row.name());
    let name = format!("confusion-{}", finding.row.id());
    let (side, heading) = (count as i32 * SIDE + EDGE.0 + 16, short(finding));
    let size = (side as u32, side as u32 + 8);
    Some(plot!(&name, &title, size, |canvas| {
        let middle = count as i32 * SIDE / 2;
        write(canvas, heading.clone(), (side / 2, 14), canvas.heading(13))?;
        write(canvas, "class taken".to_owned(), (EDGE.0 + middle, 36), canvas.font(11))?;
        let turned = canvas.font(11).transform(FontTransform::Rotate270);
        write(canvas, "label".to_owned(), (16, EDGE.1 + middle), turned)?;
        for (label, row) in counts.iter().enumerate() {
            confusion_row(canvas, label, row)?;
        }
        Ok(())
    }))
}

/// Text about a point.
fn write<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    text: String,
    (x, y): (i32, i32),
    style: TextStyle<'static>,
) -> Drawn
where
    DB::ErrorType: 'static,
{
    let style = style.pos(Pos::new(HPos::Center, VPos::Center));
    Ok(canvas.area.draw(&Text::new(text, (canvas.px(x), canvas.px(y)), style))?)
}

fn confusion_row<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, label: usize, counts: &[u32]) -> Drawn
where
    DB::ErrorType: 'static,
{
    let down = EDGE.1 + label as i32 * SIDE;
    let across = EDGE.0 + label as i32 * SIDE + SIDE / 2;
    write(canvas, label.to_string(), (EDGE.0 - 12, down + SIDE / 2), canvas.font(12))?;
    write(canvas, label.to_string(), (across, EDGE.1 - 11), canvas.font(12))?;
    let all = f64::from(counts.iter().sum::<u32>().max(1));
    for (class, &count) in counts.iter().enumerate() {
        let x = EDGE.0 + class as i32 * SIDE;
        let corners = [(x + 1, down + 1), (x + SIDE - 1, down + SIDE - 1)];
        let corners = corners.map(|(x, y)| (canvas.px(x), canvas.px(y)));
        canvas.area.draw(&Rectangle::new(corners, GRID.mix(0.5).filled()))?;
        if count == 0 {
            continue;
        }
        let share = f64::from(count) / all;
        let (colour, strength) = match label == class {
            true => (SERIES[0], share * 0.85),
            false => (SERIES[1], 0.15 + share * 0.7),
        };
        canvas.area.draw(&Rectangle::new(corners, colour.mix(strength).filled()))?;
        let ink = if strength > 0.5 { &PAPER } else { &INK };
        let style = ("sans-serif", canvas.px(10)).into_font().color(ink);
        write(canvas, count.to_string(), (x + SIDE / 2, down + SIDE / 2), style)?;
    }
    Ok(())
}
