//! Plane curves: the path of a pen through nodes.

use std::ops::{Add, Mul, Sub};

/// Spline samples between two nodes.
const STEPS: usize = 16;

/// A vector of the plane.
#[derive(Clone, Copy, Default)]
pub struct Vec2 {
    pub x: f64,
    pub y: f64,
}

impl Vec2 {
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y
    }

    pub fn distance(self, other: Self) -> f64 {
        let d = self - other;
        d.dot(d).sqrt()
    }

    /// The point at fraction `t` of the way to `other`.
    pub fn toward(self, other: Self, t: f64) -> Self {
        self + (other - self) * t
    }
}

impl Add for Vec2 {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Vec2 {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f64> for Vec2 {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self::new(self.x * factor, self.y * factor)
    }
}

/// Velocity at `b` on the way from `a` to `c`, for the spline that spends on
/// each piece a time equal to its length (Catmull-Rom with chord knots).
fn velocity(a: Vec2, b: Vec2, c: Vec2) -> Vec2 {
    let (before, after) = (a.distance(b).max(1e-6), b.distance(c).max(1e-6));
    let incoming = (b - a) * (1.0 / before);
    let outgoing = (c - b) * (1.0 / after);
    incoming.toward(outgoing, before / (before + after))
}

/// The cubic spline through the nodes as a dense polyline; the pen stops and
/// turns at the nodes marked as corners.
pub fn spline(nodes: &[(Vec2, bool)]) -> Vec<Vec2> {
    let mut path = Vec::new();
    for (i, pair) in nodes.windows(2).enumerate() {
        let [(a, a_corner), (b, b_corner)] = *pair else {
            continue;
        };
        let before = i.checked_sub(1).and_then(|k| nodes.get(k)).filter(|_| !a_corner);
        let after = nodes.get(i + 2).filter(|_| !b_corner);
        let start = before.map(|node| velocity(node.0, a, b));
        let end = after.map(|node| velocity(a, b, node.0));
        let length = a.distance(b).max(1e-6);
        let straight = (b - a) * (1.0 / length);
        // A free end continues the bend of the other end.
        let free = |other: Option<Vec2>| other.map_or(straight, |v| straight * 1.5 - v * 0.5);
        let from = (a, start.unwrap_or(free(end)) * length);
        let to = (b, end.unwrap_or(free(start)) * length);
        path.extend((0..STEPS).map(|k| hermite(from, to, k as f64 / STEPS as f64)));
    }
    path.extend(nodes.last().map(|node| node.0));
    path
}

/// Cubic Hermite piece between two points, each with its velocity per unit of `t`.
fn hermite((a, v0): (Vec2, Vec2), (b, v1): (Vec2, Vec2), t: f64) -> Vec2 {
    let (t2, t3) = (t * t, t * t * t);
    let ends = a * (2.0 * t3 - 3.0 * t2 + 1.0) + b * (3.0 * t2 - 2.0 * t3);
    ends + v0 * (t3 - 2.0 * t2 + t) + v1 * (t3 - t2)
}

/// The same path in equal steps of length `step`, its end kept.
pub fn resample(path: &[Vec2], step: f64) -> Vec<Vec2> {
    let mut even: Vec<Vec2> = path.first().copied().into_iter().collect();
    let mut carried = 0.0;
    for pair in path.windows(2) {
        let [a, b] = *pair else { continue };
        let length = a.distance(b);
        let mut along = step - carried;
        while along <= length && length > 0.0 {
            even.push(a.toward(b, along / length));
            along += step;
        }
        carried = length - (along - step);
    }
    even.extend(path.last());
    even
}

/// Rounds the path as a hand's inertia does: `passes` of a 1-2-1 mean, with the
/// ends held.
pub fn smooth(path: &mut [Vec2], passes: usize) {
    for _ in 0..passes {
        let old = path.to_vec();
        for (slot, around) in path.iter_mut().skip(1).zip(old.windows(3)) {
            let [a, b, c] = *around else { continue };
            *slot = (a + b * 2.0 + c) * 0.25;
        }
    }
}
