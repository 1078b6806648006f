//! What plots are drawn on: the same drawing as SVG, in a page's colours, and as a PNG picture.

use crate::study::StudyError;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::FontStyle;
use std::sync::Once;

pub(super) const INK: RGBColor = RGBColor(27, 29, 32);
const MUTED: RGBColor = RGBColor(93, 99, 107);
pub(super) const GRID: RGBColor = RGBColor(230, 230, 225);
pub(super) const PAPER: RGBColor = RGBColor(253, 253, 252);
pub(super) const SERIES: [RGBColor; 6] = [
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

pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Where a plot is drawn, and how many pixels there are for each of its own.
pub(super) struct Canvas<'a, DB: DrawingBackend> {
    pub area: &'a DrawingArea<DB, Shift>,
    pub scale: u32,
}

impl<DB: DrawingBackend> Canvas<'_, DB> {
    pub fn px(&self, length: i32) -> i32 {
        length * self.scale as i32
    }

    pub fn font(&self, size: i32) -> TextStyle<'static> {
        ("sans-serif", self.px(size)).into_font().color(&MUTED)
    }

    pub fn heading(&self, size: i32) -> TextStyle<'static> {
        ("sans-serif", self.px(size)).into_font().color(&INK)
    }

    pub fn dot(&self, at: (i32, i32), colour: RGBColor) -> Circle<(i32, i32), i32> {
        Circle::new(at, self.px(4), colour.filled())
    }
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
pub(super) fn register_fonts() {
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
    pub fn new(
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

pub(super) fn svg(
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

pub(super) fn png(
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
pub(super) struct Powers([i32; 2]);

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

pub(super) fn power(value: f64) -> String {
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
pub(super) fn powers(values: impl Iterator<Item = f64>) -> Powers {
    let positive = values.filter(|value| *value > 0.0 && value.is_finite());
    let ends = positive.fold([f64::MAX, f64::MIN], |[a, b], v| [a.min(v), b.max(v)]);
    if ends[0] > ends[1] {
        return Powers([0, 1]);
    }
    let (from, to) = (ends[0].log10().floor() as i32, ends[1].log10().ceil() as i32);
    Powers([from, to.max(from + 1)])
}
