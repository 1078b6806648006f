//! What sample images say of a network: the ranges that tables must hold, how far new images may
//! reach beyond them, and how much noise before each activation moves the result.

use super::CompileError;
use super::stage::{Pool, Stage};
use crate::model::{Graph, NodeId, Range};
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The effect of noise is measured on this many images: those of the smallest margins, which alone
/// can change sides and are not like the others.
const PROBED: usize = 32;
/// The probability with which a new image may leave each end of the expected range.
const RARE: f64 = 2e-3;
/// Images are evaluated so many at a time.
const CHUNK: usize = 32;
/// Margins are kept as this many quantiles at most.
const MOST_MARGINS: usize = 2048;
/// The noise whose effect is measured, relative to the width of the range.
const PROBE: f64 = 1.0 / 512.0;

/// Mean and variance of the largest value of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extreme {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Extreme {
    fn of(value: f64) -> Self {
        Self { count: 1.0, mean: value, squares: 0.0 }
    }

    fn merge(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let difference = other.mean - self.mean;
        let squares = difference * difference * self.count * other.count / count;
        Self {
            count,
            mean: self.mean + difference * other.count / count,
            squares: self.squares + other.squares + squares,
        }
    }

    /// The probability that an image's largest value is beyond `bound`, after a Gumbel distribution
    /// (the limit of maxima of many values with light tails) of the same mean and variance.
    #[must_use]
    pub fn beyond(&self, bound: f64) -> f64 {
        let (mode, scale) = self.gumbel();
        if scale == 0.0 {
            return f64::from(u8::from(self.mean > bound));
        }
        -(-(-(bound - mode) / scale).exp()).exp_m1()
    }

    /// The bound that an image's largest value is beyond with this probability.
    #[must_use]
    pub fn bound(&self, probability: f64) -> f64 {
        let (mode, scale) = self.gumbel();
        mode - scale * (-(-probability).ln_1p()).ln()
    }

    /// Mode and scale.
    fn gumbel(&self) -> (f64, f64) {
        const EULER: f64 = 0.577_215_664_901_532_9;
        let deviation = (self.squares / (self.count - 1.0).max(1.0)).sqrt();
        let scale = deviation * 6f64.sqrt() / std::f64::consts::PI;
        (self.mean - EULER * scale, scale)
    }
}

/// What was seen in one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageCalibration {
    /// The linear form.
    pub linear: Range,
    /// For each max-pool, the largest differences that its comparisons see: `kernel - 1` along
    /// columns, then as many along rows.
    pub pools: Vec<Vec<f64>>,
    /// What the activation reads.
    pub reading: Range,
    /// The largest value of an image that the activation reads.
    pub highest: Extreme,
    /// Minus the smallest.
    pub lowest: Extreme,
    /// The stage's result.
    pub result: Range,
    /// The mean square of the result.
    pub result_power: f64,
    /// Independent noise of variance 1 on each value that the activation reads adds this variance to
    /// each result of the network.
    pub output_gain: f64,
    /// And this, in images of small margins, to the difference between the largest result and the
    /// next.
    pub margin_gain: f64,
}

/// What was seen in a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The number of images.
    pub samples: usize,
    /// The input.
    pub input: Range,
    /// The mean square of the input.
    pub input_power: f64,
    /// By stage.
    pub stages: Vec<StageCalibration>,
    /// The differences between the largest result and the next: evenly spaced quantiles over the
    /// images, smallest first; of a single result the largest number there is.
    pub margins: Vec<f64>,
}

impl Calibration {
    /// The mean square of a value: 0 for the input, `i + 1` for the result of stage `i`.
    #[must_use]
    pub fn power(&self, value: usize) -> f64 {
        let stage = value.checked_sub(1).and_then(|index| self.stages.get(index));
        stage.map_or(self.input_power, |stage| stage.result_power)
    }

    /// # Errors
    /// [`CompileError::Calibration`] where it is of another network.
    pub fn check(&self, stages: &[Stage]) -> Result<(), CompileError> {
        let pools = |(stage, seen): (&Stage, &StageCalibration)| {
            let expected = stage.pools.iter().map(comparisons);
            expected.eq(seen.pools.iter().map(Vec::len))
        };
        let fits = stages.len() == self.stages.len();
        if fits && stages.iter().zip(&self.stages).all(pools) {
            return Ok(());
        }
        Err(CompileError::Calibration { expected: stages.len(), found: self.stages.len() })
    }
}

/// The number of comparisons of a max-pool one after the other.
#[must_use]
pub fn comparisons(pool: &Pool) -> usize {
    pool.kernel[0] + pool.kernel[1] - 2
}

/// Evaluates a simplified graph on every image, in parallel.
///
/// # Errors
/// [`CompileError::NoSamples`] without images, [`CompileError::NotFinite`] for a value that is none,
/// [`CompileError::Graph`] for an image of another shape.
pub fn calibrate<S>(
    graph: &Graph,
    stages: &[Stage],
    samples: S,
) -> Result<Calibration, CompileError>
where
    S: IntoIterator<Item = ArrayD<f64>>,
    S::IntoIter: Send,
{
    let (mut merged, mut probes): (Option<Calibration>, Vec<Probe>) = (None, Vec::new());
    let mut samples = samples.into_iter().peekable();
    // merged in order, so that the same images give the same calibration to the last bit
    while samples.peek().is_some() {
        let chunk: Vec<ArrayD<f64>> = samples.by_ref().take(CHUNK).collect();
        let seen = chunk.par_iter().map(|sample| Calibration::of_sample(graph, stages, sample));
        for (calibration, values) in seen.collect::<Result<Vec<_>, _>>()? {
            keep_smallest(&mut probes, Probe { margin: calibration.margins[0], values });
            merged = Some(match merged {
                Some(merged) => merged.merge(calibration),
                None => calibration,
            });
        }
    }
    let mut calibration = merged.ok_or(CompileError::NoSamples)?.finish(stages);
    let gains = probes
        .par_iter()
        .enumerate()
        .map(|(seed, probe)| probe.gains(graph, stages, &calibration, seed as u64));
    let gains: Vec<Vec<[f64; 2]>> = gains.collect();
    for (index, stage) in calibration.stages.iter_mut().enumerate() {
        let mean = |gain: usize| {
            gains.iter().map(|gains| gains[index][gain]).sum::<f64>() / gains.len() as f64
        };
        (stage.output_gain, stage.margin_gain) = (mean(0), mean(1));
    }
    Ok(calibration)
}

/// The values of an image on which the effect of noise is measured.
struct Probe {
    margin: f64,
    values: Vec<Vec<f64>>,
}

fn keep_smallest(probes: &mut Vec<Probe>, probe: Probe) {
    let position = probes.partition_point(|known| known.margin <= probe.margin);
    probes.insert(position, probe);
    probes.truncate(PROBED);
}

impl Probe {
    /// For each stage, the mean square of the change of a result, and that of the difference between
    /// the two largest, for noise of variance 1 on what the stage's activation reads.
    fn gains(
        &self,
        graph: &Graph,
        stages: &[Stage],
        calibration: &Calibration,
        seed: u64,
    ) -> Vec<[f64; 2]> {
        let exact = &self.values[graph.output().index()];
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut gain = |(stage, seen): (&Stage, &StageCalibration)| {
            let reading = &self.values[stage.reading.index()];
            let step = PROBE * (seen.reading.max - seen.reading.min).max(f64::MIN_POSITIVE);
            let noisy = reading.iter().map(|value| {
                let sample: f64 = StandardNormal.sample(&mut rng);
                value + step * sample
            });
            let output = graph.evaluate_with(&self.values, stage.reading, noisy.collect());
            let change = |index: usize| (output[index] - exact[index]) / step;
            let squares = (0..exact.len()).map(|index| change(index).powi(2)).sum::<f64>();
            let difference = margin(exact).map_or(0.0, |(a, b, _)| change(a) - change(b));
            [squares / exact.len().max(1) as f64, difference.powi(2)]
        };
        stages.iter().zip(&calibration.stages).map(&mut gain).collect()
    }
}

impl Calibration {
    fn of_sample(
        graph: &Graph,
        stages: &[Stage],
        sample: &ArrayD<f64>,
    ) -> Result<(Self, Vec<Vec<f64>>), CompileError> {
        let values = graph.values(sample)?;
        for ((_, node), values) in graph.iter().zip(&values) {
            if !values.iter().all(|value| value.is_finite()) {
                return Err(CompileError::NotFinite { layer: node.name().to_owned() });
            }
        }
        let at = |id: NodeId| values[id.index()].as_slice();
        let calibration = Self {
            samples: 1,
            input: Range::of(at(graph.input())),
            input_power: power(at(graph.input())),
            stages: stages.iter().map(|stage| StageCalibration::new(stage, &at)).collect(),
            margins: vec![margin(at(graph.output())).map_or(f64::MAX, |(_, _, margin)| margin)],
        };
        Ok((calibration, values))
    }

    fn merge(mut self, other: Self) -> Self {
        self.samples += other.samples;
        self.input = self.input.merge(other.input);
        self.input_power += other.input_power;
        self.margins.extend(other.margins);
        self.stages.iter_mut().zip(other.stages).for_each(|(own, other)| own.merge(other));
        self
    }

    fn finish(mut self, stages: &[Stage]) -> Self {
        let count = self.samples as f64;
        self.input_power /= count;
        self.margins.sort_by(f64::total_cmp);
        let step = self.margins.len().div_ceil(MOST_MARGINS).max(1);
        self.margins = self.margins.into_iter().skip(step / 2).step_by(step).collect();
        for (seen, stage) in self.stages.iter_mut().zip(stages) {
            seen.result_power /= count;
            if stage.border.contains(&true) {
                // padding is the least value of all images, which may be far from those of one
                let widest = seen.linear.max - seen.linear.min;
                seen.pools.iter_mut().flatten().for_each(|difference| *difference = widest);
            }
        }
        self
    }
}

fn power(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>() / values.len().max(1) as f64
}

/// The indices of the two largest values and their difference.
fn margin(values: &[f64]) -> Option<(usize, usize, f64)> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let (&first, &second) = (order.first()?, order.get(1)?);
    Some((first, second, values[first] - values[second]))
}

impl StageCalibration {
    /// What the activation is expected to read of new images: the calibrated range, or wider where
    /// few images were seen.
    #[must_use]
    pub fn expected(&self) -> Range {
        let high = self.highest.bound(RARE).max(self.reading.max);
        let low = (-self.lowest.bound(RARE)).min(self.reading.min);
        Range { min: low, max: high }
    }

    fn new<'a>(stage: &Stage, at: &impl Fn(NodeId) -> &'a [f64]) -> Self {
        let linear = Range::of(at(stage.linear));
        let reading = Range::of(at(stage.reading));
        let mut values = bordered(stage, at(stage.linear), linear.min);
        let mut dims = stage.affine.dims;
        let mut pools = Vec::new();
        for pool in &stage.pools {
            let mut differences = Vec::new();
            for (axis, kernel, stride) in [(2, 1, 1), (1, 0, 0)] {
                let window = [pool.kernel[kernel], pool.strides[stride]];
                (values, dims) = maxima(&values, dims, axis, window, &mut differences);
            }
            pools.push(differences);
        }
        Self {
            linear,
            pools,
            reading,
            highest: Extreme::of(reading.max),
            lowest: Extreme::of(-reading.min),
            result: Range::of(at(stage.result)),
            result_power: power(at(stage.result)),
            output_gain: 0.0,
            margin_gain: 0.0,
        }
    }

    fn merge(&mut self, other: Self) {
        self.linear = self.linear.merge(other.linear);
        self.reading = self.reading.merge(other.reading);
        self.result = self.result.merge(other.result);
        let pairs = self.pools.iter_mut().flatten().zip(other.pools.iter().flatten());
        pairs.for_each(|(own, other)| *own = own.max(*other));
        self.highest = self.highest.merge(other.highest);
        self.lowest = self.lowest.merge(other.lowest);
        self.result_power += other.result_power;
    }
}

/// The linear form's values, with `floor` for a max-pool's padding.
fn bordered(stage: &Stage, values: &[f64], floor: f64) -> Vec<f64> {
    let mut values = values.iter();
    let element = |&border: &bool| match border {
        true => floor,
        false => values.next().copied().unwrap_or(floor),
    };
    stage.border.iter().map(element).collect()
}

/// Maxima of windows along one axis of maps, comparison by comparison; the largest difference of
/// each is added to `differences`.
fn maxima(
    values: &[f64],
    mut dims: [usize; 3],
    axis: usize,
    [kernel, stride]: [usize; 2],
    differences: &mut Vec<f64>,
) -> (Vec<f64>, [usize; 3]) {
    let from = dims;
    dims[axis] = dims[axis].saturating_sub(kernel) / stride + 1;
    let at = |index: usize, step: usize| {
        let (column, rest) = (index % dims[2], index / dims[2]);
        let (row, channel) = (rest % dims[1], rest / dims[1]);
        let (row, column) = match axis {
            1 => (row * stride + step, column),
            _ => (row, column * stride + step),
        };
        values.get((channel * from[1] + row) * from[2] + column).copied().unwrap_or(0.0)
    };
    let count = dims.iter().product();
    let mut found: Vec<f64> = (0..count).map(|index| at(index, 0)).collect();
    for step in 1..kernel {
        let mut largest = 0f64;
        for (index, value) in found.iter_mut().enumerate() {
            let other = at(index, step);
            largest = largest.max((*value - other).abs());
            *value = value.max(other);
        }
        differences.push(largest);
    }
    (found, dims)
}
