//! What is done to single values.

use super::{LANES, Lanes};
use crate::compile::{PhaseFunction, Table};
use bellerophon_schemes::math::approximation::Polynomial;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};

/// A function of one value.
#[derive(Clone, Debug)]
pub(super) enum Function {
    /// Of a phase, by a table.
    Table(Table),
    /// Of a phase, in slots.
    Phase(PhaseFunction),
    /// Of a slot.
    Square,
    /// Of a slot, with its noise.
    Bend(Bend),
    /// `x (1 + sign x) / 2` of a slot: the components of `(1 + sign x) / 2`, with their noise.
    Rectify(Vec<Bend>),
}

/// A polynomial of a slot in [-1, 1], and the noise that it adds.
#[derive(Clone, Debug)]
pub(super) struct Bend {
    pub polynomial: Polynomial,
    /// Standard deviations at evenly spaced points of [-1, 1].
    pub curve: Vec<f64>,
}

/// The larger of two slots, by the components of `(1 + sign x) / 2` of half their difference.
#[derive(Clone, Debug)]
pub(super) struct Selection(pub Vec<Bend>);

type Generators = [ChaCha12Rng; LANES];

impl Function {
    pub fn run(&self, from: Lanes, generators: Option<&mut Generators>) -> Lanes {
        match self {
            Self::Table(table) => from.map(|x| table.evaluate(x)),
            Self::Phase(function) => from.map(|x| function.evaluate(x)),
            Self::Square => from.map(|x| x * x),
            Self::Bend(bend) => bend.run(from, generators),
            Self::Rectify(bends) => {
                let steps = compose(bends, from, generators);
                std::array::from_fn(|lane| from[lane] * steps[lane])
            }
        }
    }
}

impl Bend {
    fn run(&self, from: Lanes, generators: Option<&mut Generators>) -> Lanes {
        let bent = from.map(|x| self.polynomial.evaluate(x));
        match generators {
            None => bent,
            Some(generators) => std::array::from_fn(|lane| {
                let sample: f64 = StandardNormal.sample(&mut generators[lane]);
                bent[lane] + self.deviation(from[lane]) * sample
            }),
        }
    }

    /// Between the points of the curve it is interpolated.
    fn deviation(&self, x: f64) -> f64 {
        let last = self.curve.len().saturating_sub(1);
        let at = ((x + 1.0) / 2.0).clamp(0.0, 1.0) * last as f64;
        let below = (at.floor() as usize).min(last.saturating_sub(1));
        let share = at - below as f64;
        let point = |index: usize| self.curve.get(index).copied().unwrap_or_default();
        point(below) * (1.0 - share) + point(below + 1) * share
    }
}

impl Selection {
    pub fn run(&self, [a, b]: [Lanes; 2], generators: Option<&mut Generators>) -> Lanes {
        let halves = std::array::from_fn(|lane| (a[lane] - b[lane]) / 2.0);
        let steps = compose(&self.0, halves, generators);
        std::array::from_fn(|lane| steps[lane] * (a[lane] - b[lane]) + b[lane])
    }
}

fn compose(bends: &[Bend], from: Lanes, mut generators: Option<&mut Generators>) -> Lanes {
    bends.iter().fold(from, |lanes, bend| bend.run(lanes, generators.as_deref_mut()))
}
