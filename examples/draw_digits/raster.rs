//! From inked strokes to grey pixels.

use crate::curve::Vec2;
use crate::hand::Mark;

/// Side of an image in pixels.
pub const SIDE: usize = 28;
/// Side of the box, in pixels, that holds a digit.
pub const BOX: usize = 20;
/// Samples per pixel and axis.
const FINE: usize = 5;
/// Side of the sampled image.
const FINE_SIDE: usize = SIDE * FINE;

/// Scales the strokes so that their ink, with its edge ramp of `blur` pixels, just
/// fits a box of `side` pixels in the middle of the image; the pen's width stays.
pub fn fit(strokes: &mut [Vec<Mark>], side: f64, blur: f64) {
    let mut low = Vec2::new(f64::MAX, f64::MAX);
    let mut high = Vec2::new(f64::MIN, f64::MIN);
    let mut widest = 0.0_f64;
    for mark in strokes.iter().flatten() {
        low = Vec2::new(low.x.min(mark.at.x), low.y.min(mark.at.y));
        high = Vec2::new(high.x.max(mark.at.x), high.y.max(mark.at.y));
        widest = widest.max(mark.radius);
    }
    let extent = (high.x - low.x).max(high.y - low.y).max(1e-6);
    let scale = (side - 2.0 * widest - blur) / extent;
    let middle = Vec2::new(0.5, 0.5) * SIDE as f64;
    for mark in strokes.iter_mut().flatten() {
        mark.at = middle + (mark.at - low.toward(high, 0.5)) * scale;
    }
}

/// The grey image of strokes given in pixels: white ink on black, row by row, with
/// its centre of mass in the middle. `gain` above 1 saturates the strokes' cores.
pub fn paint(strokes: &[Vec<Mark>], blur: f64, gain: f64) -> Vec<u8> {
    let mut fine = vec![0.0; FINE_SIDE * FINE_SIDE];
    for pair in strokes.iter().flat_map(|marks| marks.windows(2)) {
        if let [a, b] = *pair {
            ink_piece(&mut fine, a, b, blur);
        }
    }
    centred(&to_grey(&downsample(&fine), gain))
}

/// Inks the piece of a stroke between two marks, keeping the darker ink where
/// strokes cross.
fn ink_piece(fine: &mut [f64], a: Mark, b: Mark, blur: f64) {
    let reach = a.radius.max(b.radius) + blur;
    let first = |p: f64, q: f64| ((p.min(q) - reach) * FINE as f64).max(0.0) as usize;
    let last = |p: f64, q: f64| ((p.max(q) + reach) * FINE as f64).max(0.0) as usize;
    let (top, bottom) = (first(a.at.y, b.at.y), last(a.at.y, b.at.y));
    let (left, right) = (first(a.at.x, b.at.x), last(a.at.x, b.at.x));
    let rows = fine.chunks_exact_mut(FINE_SIDE).enumerate().take(bottom + 1).skip(top);
    for (row, samples) in rows {
        for (column, sample) in samples.iter_mut().enumerate().take(right + 1).skip(left) {
            let here =
                (Vec2::new(column as f64, row as f64) + Vec2::new(0.5, 0.5)) * (1.0 / FINE as f64);
            *sample = sample.max(ink_at(here, a, b, blur));
        }
    }
}

/// Ink at a point from the piece between two marks: full inside, none outside, a
/// linear ramp of `blur` pixels over the edge.
fn ink_at(here: Vec2, a: Mark, b: Mark, blur: f64) -> f64 {
    let along = b.at - a.at;
    let t = ((here - a.at).dot(along) / along.dot(along).max(1e-12)).clamp(0.0, 1.0);
    let outside = here.distance(a.at.toward(b.at, t)) - (a.radius + (b.radius - a.radius) * t);
    (0.5 - outside / blur).clamp(0.0, 1.0) * (a.ink + (b.ink - a.ink) * t)
}

/// Mean of the samples of each pixel.
fn downsample(fine: &[f64]) -> Vec<f64> {
    let mut pixels = vec![0.0; SIDE * SIDE];
    for (row, line) in fine.chunks_exact(FINE_SIDE).enumerate() {
        let target = pixels.iter_mut().skip(row / FINE * SIDE);
        for (pixel, samples) in target.zip(line.chunks_exact(FINE)) {
            *pixel += samples.iter().sum::<f64>() / (FINE * FINE) as f64;
        }
    }
    pixels
}

/// Grey levels with the strongest stroke at 255.
fn to_grey(pixels: &[f64], gain: f64) -> Vec<u8> {
    let peak = pixels.iter().fold(1e-9_f64, |peak, &v| peak.max(v));
    pixels.iter().map(|v| (255.0 * (v * gain / peak).min(1.0)).round() as u8).collect()
}

/// The image moved by whole pixels so that its centre of mass is within half a
/// pixel of the middle, as far as the margin around the box allows.
fn centred(image: &[u8]) -> Vec<u8> {
    let (mut mass, mut moment) = (1e-9, Vec2::default());
    for (i, &grey) in image.iter().enumerate() {
        let ink = f64::from(grey);
        mass += ink;
        moment = moment + Vec2::new((i % SIDE) as f64 + 0.5, (i / SIDE) as f64 + 0.5) * ink;
    }
    let margin = ((SIDE - BOX) / 2) as f64;
    let steps =
        |moment: f64| (SIDE as f64 / 2.0 - moment / mass).round().clamp(-margin, margin) as isize;
    let offset = steps(moment.y) * SIDE as isize + steps(moment.x);
    // The margin is black, so what wraps from one row to the next is black too.
    let source = |i: usize| i.checked_add_signed(-offset).and_then(|k| image.get(k));
    (0..image.len()).map(|i| source(i).copied().unwrap_or(0)).collect()
}
