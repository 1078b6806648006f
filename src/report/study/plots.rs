//! The plots: one drawing each, as SVG files, within the page (where colours follow light and dark), and as
//! PNG.

use super::table::{Context, accuracy, best};
use crate::study::cell::{BINS, LOWEST};
use crate::study::{Finding, Group, StudyError};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::sync::Once;

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

/// Pixels of a PNG picture for each of a plot.
const PNG_SCALE: u32 = 2;
/// Each of those pixels is the mean of so many squared: the renderer smooths no edges.
const SAMPLES: u32 = 3;

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Where a plot is drawn, and how many pixels there are for each of its own.
struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: u32,
}

impl<DB: DrawingBackend> Canvas<'_, DB> {
    fn px(&self, length: i32) -> i32 {
        length * self.scale as i32
    }

    fn font(&self, size: i32) -> TextStyle<'static> {
        ("sans-serif", self.px(size)).into_font().color(&MUTED)
    }

    fn heading(&self, size: i32) -> TextStyle<'static> {
        ("sans-serif", self.px(size)).into_font().color(&INK)
    }

    fn dot(&self, at: (i32, i32), colour: RGBColor) -> Circle<(i32, i32), i32> {
        Circle::new(at, self.px(4), colour.filled())
    }
}

/// A plot from what draws it on any canvas: compiled once for each kind.
macro_rules! plot {
    ($name:expr, $title:expr, $size:expr, |$canvas:ident| $body:block) => {{
        register_fonts();
        let svg = svg($size, |$canvas: &Canvas<'_, SVGBackend<'_>>| -> Drawn { $body });
        let png = png($size, |$canvas: &Canvas<'_, BitMapBackend<'_>>| -> Drawn { $body });
        Plot::new($name, $title, svg, png)
    }};
}

/// One plot.
pub(super) struct Plot {
    /// The name of its files.
    pub name: String,
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// With colours for paper.
    pub svg: String,
    /// The same as a picture, larger.
    pub png: Vec<u8>,
}

/// The font of plots: that of this crate, whatever the machine has.
fn register_fonts() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // a font that cannot be read is an error where it is drawn with
        let _ = plotters::style::register_font(
            "sans-serif",
            FontStyle::Normal,
            dejavu::sans::regular(),
        );
    });
}

impl Plot {
    fn new(
        name: &str,
        title: &str,
        svg: Result<String, Box<dyn std::error::Error>>,
        png: Result<Vec<u8>, Box<dyn std::error::Error>>,
    ) -> Result<Self, StudyError> {
        let failed = |error: Box<dyn std::error::Error>| StudyError::Plot {
            name: name.to_owned(),
            reason: error.to_string(),
        };
        let (svg, png) = (svg.map_err(failed)?, png.map_err(failed)?);
        Ok(Self { name: name.to_owned(), title: title.to_owned(), svg, png })
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
}

fn svg(
    size: (u32, u32),
    draw: impl Fn(&Canvas<'_, SVGBackend<'_>>) -> Drawn,
) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&PAPER)?;
        draw(&Canvas { area: &area, scale: 1 })?;
        area.present()?;
    }
    Ok(svg)
}

fn png(
    (width, height): (u32, u32),
    draw: impl Fn(&Canvas<'_, BitMapBackend<'_>>) -> Drawn,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let scale = PNG_SCALE * SAMPLES;
    let large = (width * scale, height * scale);
    let mut pixels = vec![0; (large.0 * large.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, large).into_drawing_area();
        area.fill(&PAPER)?;
        draw(&Canvas { area: &area, scale })?;
        area.present()?;
    }
    let (width, height) = (width * PNG_SCALE, height * PNG_SCALE);
    let mean = |x: u32, y: u32, channel: u32| {
        let square =
            (0..SAMPLES * SAMPLES).map(|i| (x * SAMPLES + i % SAMPLES, y * SAMPLES + i / SAMPLES));
        let bytes =
            square.map(|(x, y)| u32::from(pixels[((y * large.0 + x) * 3 + channel) as usize]));
        (bytes.sum::<u32>() / (SAMPLES * SAMPLES)) as u8
    };
    let small: Vec<u8> =
        (0..width * height * 3).map(|at| mean(at / 3 % width, at / 3 / width, at % 3)).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&small)?;
    writer.finish()?;
    Ok(bytes)
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
            .margin_top(canvas.px(64))
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
    plot!("accuracy-degree", title, (900, 620), |canvas| {
        keys(canvas, &entries, 200)?;
        let (_, below) = canvas.area.split_vertically(canvas.px(34));
        for (panel, group) in below.split_evenly((2, 2)).iter().zip(panels) {
            let name = group.name().replace("replaced, ", "").replace(" (hybrid mix)", "");
            let mut chart = ChartBuilder::on(panel)
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
            for degree in crate::study::rows::DEGREES {
                let at = chart.backend_coord(&((degree as f64).log2(), 0.0));
                let style = canvas.font(12).pos(Pos::new(HPos::Center, VPos::Top));
                let origin = panel.get_base_pixel();
                let place = (at.0 - origin.0, at.1 - origin.1 + canvas.px(5));
                panel.draw(&Text::new(degree.to_string(), place, style))?;
            }
            for (family, colour) in families.iter().zip(SERIES) {
                let points = line(group, family);
                chart.draw_series(LineSeries::new(
                    points.clone(),
                    colour.stroke_width(2 * canvas.scale),
                ))?;
                let marks = points
                    .into_iter()
                    .map(|point| Circle::new(point, canvas.px(4), colour.filled()));
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
        for (index, name) in names.iter().enumerate() {
            let at = chart.backend_coord(&(index as f64, axis.range().start));
            let style = canvas.font(13).pos(Pos::new(HPos::Center, VPos::Top));
            canvas.area.draw(&Text::new(name.clone(), (at.0, at.1 + canvas.px(6)), style))?;
        }
        for (finding, colour) in &rows {
            let points = line(finding);
            chart.draw_series(LineSeries::new(
                points.clone(),
                colour.stroke_width(2 * canvas.scale),
            ))?;
            let marks =
                points.into_iter().map(|point| Circle::new(point, canvas.px(4), colour.filled()));
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

/// Which class each row takes for which label.
pub(super) fn confusion(
    finding: &Finding,
    context: &Context<'_>,
) -> Option<Result<Plot, StudyError>> {
    const SIDE: i32 = 30;
    const EDGE: (i32, i32) = (54, 62);
    let classes = best(finding)?;
    let count = context.inputs.graph.output_shape().elements();
    if !(2..=20).contains(&count) {
        return None;
    }
    let mut counts = vec![vec![0_u32; count]; count];
    for (&label, &class) in context.inputs.labels.iter().zip(classes) {
        let cell =
            counts.get_mut(usize::from(label)).and_then(|row| row.get_mut(usize::from(class)));
        *cell? += 1;
    }
    let title = format!("Confusion matrix of {}", finding.row.name());
    let side = count as i32 * SIDE + EDGE.0 + 16;
    let name = format!("confusion-{}", finding.row.id());
    let size = (side as u32, side as u32 + 8);
    Some(plot!(&name, &title, size, |canvas| {
        let centre = Pos::new(HPos::Center, VPos::Center);
        let write = |text: String, (x, y): (i32, i32), style: TextStyle<'static>| {
            canvas.area.draw(&Text::new(text, (canvas.px(x), canvas.px(y)), style.pos(centre)))
        };
        let middle = count as i32 * SIDE / 2;
        write(short(finding), (side / 2, 14), canvas.heading(13))?;
        write("class taken".to_owned(), (EDGE.0 + middle, 36), canvas.font(11))?;
        let turned = canvas.font(11).transform(FontTransform::Rotate270);
        write("label".to_owned(), (16, EDGE.1 + middle), turned)?;
        for (label, row) in counts.iter().enumerate() {
            let down = EDGE.1 + label as i32 * SIDE;
            let across = EDGE.0 + label as i32 * SIDE + SIDE / 2;
            write(label.to_string(), (EDGE.0 - 12, down + SIDE / 2), canvas.font(12))?;
            write(label.to_string(), (across, EDGE.1 - 11), canvas.font(12))?;
            let all = f64::from(row.iter().sum::<u32>().max(1));
            for (class, &count) in row.iter().enumerate() {
                let x = EDGE.0 + class as i32 * SIDE;
                let (near, far) = ((x + 1, down + 1), (x + SIDE - 1, down + SIDE - 1));
                let corners = [near, far].map(|(x, y)| (canvas.px(x), canvas.px(y)));
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
                write(count.to_string(), (x + SIDE / 2, down + SIDE / 2), style)?;
            }
        }
        Ok(())
    }))
}
