//! The plots, drawn once: as SVG files, within the page (where colours follow light and dark), and as PNG.

use super::table::{Context, accuracy, best};
use crate::study::cell::{BINS, LOWEST};
use crate::study::{Finding, Group, StudyError};
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::sync::Arc;

const INK: RGBColor = RGBColor(27, 29, 32);
const MUTED: RGBColor = RGBColor(93, 99, 107);
const GRID: RGBColor = RGBColor(230, 230, 225);
const PAPER: RGBColor = RGBColor(253, 253, 252);
const SERIES: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(196, 78, 0),
    RGBColor(0, 128, 96),
    RGBColor(168, 87, 138),
    RGBColor(138, 109, 0),
    RGBColor(86, 112, 138),
];
/// The names of those colours in the page's style.
const NAMES: [(&str, &str); 10] = [
    ("#1B1D20", "--ink"),
    ("#5D636B", "--muted"),
    ("#E6E6E1", "--grid"),
    ("#FDFDFC", "--paper"),
    ("#0072B2", "--s1"),
    ("#C44E00", "--s2"),
    ("#008060", "--s3"),
    ("#A8578A", "--s4"),
    ("#8A6D00", "--s5"),
    ("#56708A", "--s6"),
];

/// One plot.
pub(super) struct Plot {
    /// The name of its files.
    pub name: String,
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// With colours for paper.
    pub svg: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Plot {
    fn new(
        name: &str,
        title: &str,
        size: (u32, u32),
        draw: impl Fn(&Area<'_>) -> Drawn,
    ) -> Result<Self, StudyError> {
        let mut svg = String::new();
        let drawn = {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let filled = area.fill(&PAPER).map_err(|error| error.to_string());
            filled.and_then(|()| draw(&area).map_err(|error| error.to_string()))
                .and_then(|()| area.present().map_err(|error| error.to_string()))
        };
        drawn.map_err(|reason| StudyError::Plot { name: name.to_owned(), reason })?;
        Ok(Self { name: name.to_owned(), title: title.to_owned(), svg })
    }

    /// For a page: with a title, without a size of its own, in the page's colours.
    pub fn inline(&self) -> String {
        let body = self.svg.split_once('>').map_or("", |(_, body)| body);
        let size = |name: &str| {
            let (_, rest) = self.svg.split_once(&format!("{name}=\"")).unwrap_or_default();
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        let mut body = body.to_owned();
        for (colour, name) in NAMES {
            body = body.replace(colour, &format!("var({name})"));
        }
        let (id, title) = (&self.name, super::page::escape(&self.title));
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"plot-{id}\" \
             xmlns=\"http://www.w3.org/2000/svg\"><title id=\"plot-{id}\">{title}</title>{body}",
            size("width"),
            size("height")
        )
    }

    /// As a PNG picture, twice as large.
    pub fn png(&self, fonts: &Fonts) -> Result<Vec<u8>, StudyError> {
        let failed = |reason: String| StudyError::Plot { name: self.name.clone(), reason };
        let options = resvg::usvg::Options { fontdb: Arc::clone(&fonts.0), ..Default::default() };
        let tree = resvg::usvg::Tree::from_str(&self.svg, &options);
        let tree = tree.map_err(|error| failed(error.to_string()))?;
        let size = tree.size().to_int_size().scale_by(2.0);
        let size = size.ok_or_else(|| failed("it has no size".to_owned()))?;
        let pixels = resvg::tiny_skia::Pixmap::new(size.width(), size.height());
        let mut pixels = pixels.ok_or_else(|| failed("it is too large".to_owned()))?;
        let twice = resvg::tiny_skia::Transform::from_scale(2.0, 2.0);
        resvg::render(&tree, twice, &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| failed(error.to_string()))
    }
}

/// The font of pictures: that of this crate, whatever the machine has.
pub(super) struct Fonts(Arc<resvg::usvg::fontdb::Database>);

impl Fonts {
    pub fn new() -> Self {
        let mut fonts = resvg::usvg::fontdb::Database::new();
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        fonts.load_font_data(dejavu::sans::bold().to_vec());
        fonts.set_sans_serif_family("DejaVu Sans");
        Self(Arc::new(fonts))
    }
}

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&MUTED)
}

fn heading(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// A logarithmic axis of powers of ten.
#[derive(Clone)]
struct Powers([i32; 2]);

impl Ranged for Powers {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let [from, to] = self.0.map(f64::from);
        let share = (value.max(f64::MIN_POSITIVE).log10() - from) / (to - from).max(1.0);
        let share = share.clamp(-0.02, 1.02);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let [from, to] = self.0;
        let most = hint.max_num_points().max(2) as i32;
        let step = ((to - from) / most + 1).max(1) as usize;
        (from..=to).step_by(step).map(|power| 10f64.powi(power)).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        10f64.powi(self.0[0])..10f64.powi(self.0[1])
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Powers {
    fn format(value: &f64) -> String {
        power(*value)
    }
}

fn power(value: f64) -> String {
    let exponent = value.log10().round() as i32;
    match exponent {
        -3..=4 => format!("{value}"),
        _ => {
            let digits = exponent.abs().to_string();
            let raised: String = digits.chars().map(superscript).collect();
            format!("10{}{raised}", if exponent < 0 { "⁻" } else { "" })
        }
    }
}

fn superscript(digit: char) -> char {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    digit.to_digit(10).and_then(|digit| RAISED.get(digit as usize)).copied().unwrap_or(digit)
}

/// The powers of ten around these values.
fn powers(values: impl Iterator<Item = f64>) -> Powers {
    let positive = values.filter(|value| *value > 0.0 && value.is_finite());
    let ends = positive.fold([f64::MAX, f64::MIN], |[a, b], v| [a.min(v), b.max(v)]);
    if ends[0] > ends[1] {
        return Powers([0, 1]);
    }
    let (from, to) = (ends[0].log10().floor() as i32, ends[1].log10().ceil() as i32);
    Powers([from, to.max(from + 1)])
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
fn keys(area: &Area<'_>, entries: &[(RGBColor, String)], top: i32, step: i32) -> Drawn {
    let columns = 3;
    for (index, (colour, name)) in entries.iter().enumerate() {
        let (x, y) = (64 + (index as i32 % columns) * step, top + (index as i32 / columns) * 18);
        area.draw(&Circle::new((x, y), 4, colour.filled()))?;
        let style = font(13).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(name.clone(), (x + 10, y), style))?;
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
    Plot::new("accuracy-time", title, (900, 520), |area| {
        keys(area, &entries, 18, 280)?;
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .margin_top(64)
            .x_label_area_size(46)
            .y_label_area_size(50)
            .build_cartesian_2d(axis.clone(), 0.0..100.0)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(font(13))
            .axis_desc_style(font(13))
            .x_desc("seconds of one image, predicted")
            .y_desc("accuracy %")
            .draw()?;
        let marks = points.iter().map(|(x, y, (colour, _))| {
            Circle::new((*x, *y), 5, colour.mix(0.85).filled())
        });
        chart.draw_series(marks)?;
        Ok(())
    })
}

/// Accuracy against the degree of the polynomial, a panel for each pooling.
pub(super) fn accuracy_against_degree(
    findings: &[Finding],
    context: &Context<'_>,
) -> Result<Plot, StudyError> {
    let panels = [Group::Mix, Group::CompositeSign, Group::Mean, Group::Sum];
    let families = ["Taylor", "least squares", "Chebyshev"];
    let entries: Vec<(RGBColor, String)> =
        families.iter().zip(SERIES).map(|(name, colour)| (colour, (*name).to_owned())).collect();
    let line = |group: Group, family: &str| -> Vec<(f64, f64)> {
        let rows = findings.iter().filter(|finding| finding.row.group() == group);
        let points = rows.filter_map(|finding| {
            let (found, degree) = finding.row.degree()?;
            let percent = accuracy(Some(&finding.cell.clear), context)?;
            (found == family).then_some(((degree as f64).log2(), percent))
        });
        points.collect()
    };
    let title = "Accuracy against the degree of the polynomial, for each way of pooling";
    Plot::new("accuracy-degree", title, (900, 620), |area| {
        keys(area, &entries, 18, 200)?;
        let (_, below) = area.split_vertically(34);
        for (panel, group) in below.split_evenly((2, 2)).iter().zip(panels) {
            let name = group.name().replace("replaced, ", "").replace(" (hybrid mix)", "");
            let mut chart = ChartBuilder::on(panel)
                .margin(12)
                .caption(name, heading(15))
                .x_label_area_size(42)
                .y_label_area_size(46)
                .build_cartesian_2d(0.9..4.9, 0.0..100.0)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(GRID)
                .label_style(font(12))
                .axis_desc_style(font(12))
                .x_labels(0)
                .x_desc("degree")
                .y_desc("accuracy %")
                .y_labels(5)
                .draw()?;
            for degree in crate::study::rows::DEGREES {
                let at = chart.backend_coord(&((degree as f64).log2(), 0.0));
                let style = font(12).pos(Pos::new(HPos::Center, VPos::Top));
                let origin = panel.get_base_pixel();
                let place = (at.0 - origin.0, at.1 - origin.1 + 5);
                panel.draw(&Text::new(degree.to_string(), place, style))?;
            }
            for (family, colour) in families.iter().zip(SERIES) {
                let points = line(group, family);
                chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
                let marks = points.into_iter().map(|point| Circle::new(point, 4, colour.filled()));
                chart.draw_series(marks)?;
            }
        }
        Ok(())
    })
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
    let rows: Vec<_> = shown(findings)
        .into_iter()
        .filter(|(finding, _)| !finding.cell.layers.is_empty())
        .collect();
    let entries: Vec<(RGBColor, String)> =
        rows.iter().map(|(finding, colour)| (*colour, short(finding))).collect();
    let line = |finding: &Finding| -> Vec<(f64, f64)> {
        let layers = finding.cell.layers.iter().enumerate();
        let relative = |(index, layer): (usize, &crate::study::cell::Layer)| {
            (index as f64, layer.total / layer.reference.max(f64::MIN_POSITIVE))
        };
        layers.map(relative).collect()
    };
    let axis = powers(rows.iter().flat_map(|(finding, _)| line(finding)).map(|(_, y)| y));
    let names: Vec<String> = rows.first().map_or_else(Vec::new, |(finding, _)| {
        finding.cell.layers.iter().map(|layer| layer.name.trim_matches('/').to_owned()).collect()
    });
    let last = names.len().max(2) as f64 - 1.0;
    let title = "Error behind each layer relative to the plain network's values";
    Plot::new("error-layer", title, (900, 480), |area| {
        keys(area, &entries, 18, 280)?;
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .margin_top(64)
            .margin_right(40)
            .x_label_area_size(46)
            .y_label_area_size(64)
            .build_cartesian_2d(-0.15..last + 0.15, axis.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(font(13))
            .axis_desc_style(font(13))
            .x_labels(0)
            .y_desc("error / value (rms)")
            .y_label_formatter(&|value| power(*value))
            .draw()?;
        for (index, name) in names.iter().enumerate() {
            let at = chart.backend_coord(&(index as f64, axis.range().start));
            let style = font(13).pos(Pos::new(HPos::Center, VPos::Top));
            area.draw(&Text::new(name.clone(), (at.0, at.1 + 6), style))?;
        }
        for (finding, colour) in &rows {
            let points = line(finding);
            chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
            let marks = points.into_iter().map(|point| Circle::new(point, 4, colour.filled()));
            chart.draw_series(marks)?;
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
    Plot::new("logit-errors", title, (900, 560), |area| {
        for (panel, (finding, colour)) in area.split_evenly((2, 3)).iter().zip(&rows) {
            let counts = &finding.cell.errors.histogram;
            let all = counts.iter().sum::<u64>().max(1) as f64;
            let most = counts.iter().copied().max().unwrap_or(1) as f64 / all * 100.0;
            let mut chart = ChartBuilder::on(panel)
                .margin(10)
                .caption(short(finding), heading(13))
                .x_label_area_size(40)
                .y_label_area_size(38)
                .build_cartesian_2d(ends[0]..ends[1], 0.0..(most * 1.08).max(1.0))?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(GRID)
                .label_style(font(11))
                .axis_desc_style(font(11))
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

/// Which class each row takes for which label.
pub(super) fn confusion(finding: &Finding, context: &Context<'_>) -> Option<Result<Plot, StudyError>> {
    const SIDE: i32 = 30;
    const EDGE: (i32, i32) = (54, 62);
    let classes = best(finding)?;
    let count = context.inputs.graph.output_shape().elements();
    if !(2..=20).contains(&count) {
        return None;
    }
    let mut counts = vec![vec![0_u32; count]; count];
    for (&label, &class) in context.inputs.labels.iter().zip(classes) {
        let cell = counts.get_mut(usize::from(label)).and_then(|row| row.get_mut(usize::from(class)));
        *cell? += 1;
    }
    let title = format!("Confusion matrix of {}", finding.row.name());
    let side = (count as i32 * SIDE + EDGE.0 + 16) as u32;
    let draw = |area: &Area<'_>| -> Drawn {
        let centred = |size| font(size).pos(Pos::new(HPos::Center, VPos::Center));
        let middle = EDGE.0 + count as i32 * SIDE / 2;
        let style = heading(13).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(short(finding), (side as i32 / 2, 14), style))?;
        area.draw(&Text::new("class taken".to_owned(), (middle, 36), centred(11)))?;
        let turned = centred(11).transform(FontTransform::Rotate270);
        let down = EDGE.1 + count as i32 * SIDE / 2;
        area.draw(&Text::new("label".to_owned(), (16, down), turned))?;
        for (label, row) in counts.iter().enumerate() {
            let y = EDGE.1 + label as i32 * SIDE;
            area.draw(&Text::new(label.to_string(), (EDGE.0 - 12, y + SIDE / 2), centred(12)))?;
            let x = EDGE.0 + label as i32 * SIDE + SIDE / 2;
            area.draw(&Text::new(label.to_string(), (x, EDGE.1 - 11), centred(12)))?;
            let all = row.iter().sum::<u32>().max(1) as f64;
            for (class, &count) in row.iter().enumerate() {
                let x = EDGE.0 + class as i32 * SIDE;
                let share = f64::from(count) / all;
                let corners = [(x + 1, y + 1), (x + SIDE - 1, y + SIDE - 1)];
                let colour = if label == class { SERIES[0] } else { SERIES[1] };
                area.draw(&Rectangle::new(corners, GRID.mix(0.5).filled()))?;
                if count > 0 {
                    let strength = if label == class { share * 0.85 } else { 0.15 + share * 0.7 };
                    area.draw(&Rectangle::new(corners, colour.mix(strength).filled()))?;
                    let ink = if strength > 0.5 { &PAPER } else { &INK };
                    let style = ("sans-serif", 10).into_font().color(ink);
                    let style = style.pos(Pos::new(HPos::Center, VPos::Center));
                    area.draw(&Text::new(count.to_string(), (x + SIDE / 2, y + SIDE / 2), style))?;
                }
            }
        }
        Ok(())
    };
    let name = format!("confusion-{}", finding.row.id());
    Some(Plot::new(&name, &title, (side, side + 8), draw))
}
