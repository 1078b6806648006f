//! A hand: how a person bends, slants and inks the strokes of a digit.

use crate::curve::{Vec2, resample, smooth, spline};
use crate::dice::Dice;
use crate::skeletons::Node;

/// Distance between marks, in heights of a digit.
const STEP: f64 = 0.012;
/// Marks over which the pen lands or lifts.
const TAPER_STEPS: f64 = 12.0;

/// Where the pen is, how wide its mark is there, and how dark.
#[derive(Clone, Copy)]
pub struct Mark {
    pub at: Vec2,
    pub radius: f64,
    pub ink: f64,
}

/// Moves one stroke and each of its nodes by about `care`, and its ends along the
/// stroke: the over- and undershoot of loops and bars.
fn loosen(nodes: &[Node], care: f64, dice: &mut Dice) -> Vec<(Vec2, bool)> {
    let mut nudge = || Vec2::new(dice.normal(care), dice.normal(care));
    let shift = nudge();
    let mut loose: Vec<(Vec2, bool)> = nodes
        .iter()
        .map(|n| (Vec2::new(n.x.into(), n.y.into()) * 0.01 + shift + nudge(), n.corner))
        .collect();
    if let [first, second, ..] = loose.as_mut_slice() {
        first.0 = second.0.toward(first.0, 1.0 + dice.normal(0.12));
    }
    if let [.., second, last] = loose.as_mut_slice() {
        last.0 = second.0.toward(last.0, 1.0 + dice.normal(0.15));
    }
    loose
}

/// How one person writes one digit; lengths are in heights of a digit unless said.
pub struct Hand {
    /// Factor on widths.
    aspect: f64,
    /// Tangents of the angles of slant and of rotation.
    slant: f64,
    turn: f64,
    /// Coefficients of a quadratic bend of the page.
    bend: [f64; 6],
    /// How far nodes stray, and how far the pen trembles.
    care: f64,
    wobble: f64,
    /// Smoothing passes over the path: how round the corners get.
    rounding: usize,
    /// Half the pen's width in pixels, how unevenly it writes, and how much thinner
    /// its strokes end.
    radius: f64,
    unevenness: f64,
    taper: f64,
    /// Share of the box that is used.
    pub size: f64,
    /// Width of the ink's edge in pixels, and its saturation.
    pub blur: f64,
    pub gain: f64,
}

impl Hand {
    pub fn new(dice: &mut Dice) -> Self {
        Self {
            aspect: dice.uniform(0.78, 1.35),
            slant: 0.13 + dice.normal(0.17),
            turn: dice.normal(0.06),
            bend: std::array::from_fn(|_| dice.normal(0.07)),
            care: dice.uniform(0.012, 0.036),
            wobble: dice.uniform(0.002, 0.012),
            rounding: dice.uniform(2.0, 26.0) as usize,
            radius: dice.uniform(0.95, 1.65),
            unevenness: dice.uniform(0.04, 0.14),
            taper: dice.uniform(0.0, 0.45),
            size: dice.uniform(0.94, 1.0),
            blur: dice.uniform(0.7, 1.6),
            gain: dice.uniform(1.02, 1.25),
        }
    }

    /// Bends, stretches, slants and turns a point of the page.
    fn place(&self, at: Vec2) -> Vec2 {
        let (x, y) = (at.x - 0.3, at.y - 0.5);
        let [a, b, c, d, e, f] = self.bend;
        let bent_x = x + a * (2.5 * y * y - 0.2) + b * 2.0 * x * y + c * (2.0 * x * x - 0.1);
        let bent_y = y + d * 2.0 * x * y + e * (2.0 * x * x - 0.1) + f * (y * y - 0.1);
        let leaning = Vec2::new(bent_x * self.aspect - self.slant * bent_y, bent_y);
        let across = Vec2::new(-leaning.y, leaning.x);
        (leaning + across * self.turn) * (1.0 / (1.0 + self.turn * self.turn).sqrt())
    }

    /// The pen's path through the nodes of one stroke, in heights of a digit.
    fn path(&self, nodes: &[Node], dice: &mut Dice) -> Vec<Vec2> {
        let mut path = resample(&spline(&loosen(nodes, self.care, dice)), STEP);
        smooth(&mut path, self.rounding);
        let dx = dice.drift(path.len(), 14, self.wobble);
        let dy = dice.drift(path.len(), 14, self.wobble);
        for (at, (&x, &y)) in path.iter_mut().zip(dx.iter().zip(&dy)) {
            *at = self.place(*at + Vec2::new(x, y));
        }
        smooth(&mut path, 8);
        path
    }

    /// Writes one stroke. Width and pressure drift along it, its edge is a little
    /// rough, and it is thinner where the pen lands and lifts.
    pub fn write(&self, nodes: &[Node], dice: &mut Dice) -> Vec<Mark> {
        let path = self.path(nodes, dice);
        let width = dice.drift(path.len(), 20, self.unevenness);
        let roughness = dice.drift(path.len(), 4, 0.05);
        let pressure = dice.drift(path.len(), 24, 0.06);
        let landing = dice.uniform(0.0, self.taper);
        let lifting = dice.uniform(0.0, self.taper);
        let far = |steps: usize| (steps as f64 / TAPER_STEPS).min(1.0);
        let mut marks = Vec::with_capacity(path.len());
        for (i, &at) in path.iter().enumerate() {
            let curve = |values: &[f64]| values.get(i).copied().unwrap_or_default();
            let ends = landing * (1.0 - far(i)) + lifting * (1.0 - far(path.len() - 1 - i));
            let radius = self.radius * (1.0 + curve(&width) + curve(&roughness)) * (1.0 - ends);
            let ink = (0.95 + curve(&pressure)).clamp(0.75, 1.0);
            marks.push(Mark { at, radius, ink });
        }
        marks
    }
}
