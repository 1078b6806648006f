//! The ranges of every value over sample images, from which table ranges and
//! amplitudes are chosen.

use ndarray::ArrayD;
use rayon::iter::{ParallelBridge, ParallelIterator};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::graph::{Graph, GraphError, NodeId, Shape};
use super::operator::{MaxPool, Operator};

/// The smallest and largest value seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Range {
    /// The range of no values; merging it with another gives the other.
    pub const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// The range of the given values.
    pub fn of(values: &[f64]) -> Self {
        let widen = |range: Self, &value: &f64| range.merge(Self { min: value, max: value });
        values.iter().fold(Self::EMPTY, widen)
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// The largest |value|.
    pub fn magnitude(&self) -> f64 {
        self.min.abs().max(self.max.abs())
    }
}

/// The largest differences a 2x2 max-pool compares, for a pool done as
/// max(a, b) = (a + b + |a - b|) / 2 first along rows, then along columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolRange {
    /// Largest |a - b| over the pairs of columns (2j, 2j + 1) of every pooled row.
    pub horizontal: f64,
    /// Largest |p - r| over the pairs of rows (2i, 2i + 1), p and r being
    /// maxima of the horizontal pairs.
    pub vertical: f64,
}

impl PoolRange {
    fn merge(self, other: Self) -> Self {
        Self {
            horizontal: self.horizontal.max(other.horizontal),
            vertical: self.vertical.max(other.vertical),
        }
    }
}

/// What was seen at each node over the samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    samples: usize,
    ranges: Vec<Range>,
    pools: Vec<Option<PoolRange>>,
}

impl Calibration {
    /// The number of samples evaluated.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The number of nodes of the graph it was made with.
    pub fn nodes(&self) -> usize {
        self.ranges.len()
    }

    /// The range of a node's values; `None` if the graph had no such node.
    pub fn range(&self, id: NodeId) -> Option<Range> {
        self.ranges.get(id.index()).copied()
    }

    /// The differences a max-pool compares; `None` if the node is not a max-pool
    /// of 2x2 windows with stride 2.
    pub fn pool(&self, id: NodeId) -> Option<PoolRange> {
        self.pools.get(id.index()).copied().flatten()
    }

    fn of_sample(graph: &Graph, sample: &ArrayD<f64>) -> Result<Self, CalibrationError> {
        let values = graph.values(sample)?;
        for ((id, node), values) in graph.iter().zip(&values) {
            if !values.iter().all(|value| value.is_finite()) {
                let node = node.name().to_owned();
                return Err(CalibrationError::NotFinite { id, node });
            }
        }
        Ok(Self {
            samples: 1,
            ranges: values.iter().map(|values| Range::of(values)).collect(),
            pools: graph.iter().map(|(id, _)| pool_range(graph, id, &values)).collect(),
        })
    }

    fn merge(self, other: Self) -> Self {
        let ranges = self.ranges.into_iter().zip(other.ranges);
        let pools = self.pools.into_iter().zip(other.pools);
        Self {
            samples: self.samples + other.samples,
            ranges: ranges.map(|(a, b)| a.merge(b)).collect(),
            pools: pools.map(|(a, b)| Some(a?.merge(b?))).collect(),
        }
    }
}

/// Evaluates the graph on every sample, in parallel, and records the range of
/// every node's values and the differences every 2x2 max-pool compares.
///
/// # Errors
/// [`CalibrationError`] if there is no sample, a sample has another shape than
/// the graph's input, or a value is not finite.
pub fn calibrate<S>(graph: &Graph, samples: S) -> Result<Calibration, CalibrationError>
where
    S: IntoIterator<Item = ArrayD<f64>>,
    S::IntoIter: Send,
{
    let seen = samples.into_iter().par_bridge();
    let seen = seen.map(|sample| Calibration::of_sample(graph, &sample));
    let merged = seen.try_reduce_with(|a, b| Ok(a.merge(b)));
    merged.unwrap_or(Err(CalibrationError::NoSamples))
}

fn pool_range(graph: &Graph, id: NodeId, values: &[Vec<f64>]) -> Option<PoolRange> {
    const HALVING: MaxPool = MaxPool { kernel: [2, 2], strides: [2, 2] };
    let node = graph.node(id).ok()?;
    let source = *node.inputs().first()?;
    let Shape::Image { height, width, .. } = graph.node(source).ok()?.shape() else {
        return None;
    };
    if !matches!(node.operator(), Operator::MaxPool(pool) if *pool == HALVING) {
        return None;
    }
    let maps = values[source.index()].chunks(height * width);
    let ranges = maps.map(|map| map_differences(map, width));
    Some(ranges.fold(PoolRange::default(), PoolRange::merge))
}

/// The differences compared in one map; an odd last row or column is not pooled.
fn map_differences(map: &[f64], width: usize) -> PoolRange {
    let mut range = PoolRange::default();
    for rows in map.chunks_exact(2 * width) {
        let (upper, lower) = rows.split_at(width);
        let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for (upper, lower) in pairs {
            range = range.merge(window_differences(upper, lower));
        }
    }
    range
}

fn window_differences(upper: &[f64], lower: &[f64]) -> PoolRange {
    let difference = |pair: &[f64]| (pair[0] - pair[1]).abs();
    let maximum = |pair: &[f64]| pair[0].max(pair[1]);
    PoolRange {
        horizontal: difference(upper).max(difference(lower)),
        vertical: (maximum(upper) - maximum(lower)).abs(),
    }
}

/// Why a graph cannot be calibrated.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum CalibrationError {
    /// No sample was given.
    #[error("calibration got no sample images; give at least one")]
    NoSamples,
    /// A value is infinite or not a number.
    #[error("the value of node {id} ({node}) is not finite on a sample; check the sample's pixels")]
    NotFinite {
        /// The first such node.
        id: NodeId,
        /// Its name.
        node: String,
    },
    /// A sample does not suit the graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

#[cfg(test)]
mod tests {
    use super::super::strategies::values;
    use super::*;
    use ndarray::{Ix3, IxDyn, array};
    use proptest::prelude::*;

    fn pooling(shape: Shape, kernel: usize) -> Graph {
        let mut graph = Graph::new("input", shape).unwrap();
        let pool = MaxPool { kernel: [kernel; 2], strides: [2, 2] };
        let relu = graph.push("relu", Operator::RELU, vec![graph.input()]).unwrap();
        graph.push("pool", Operator::MaxPool(pool), vec![relu]).unwrap();
        graph
    }

    fn samples() -> impl Strategy<Value = (Shape, Vec<ArrayD<f64>>)> {
        (1_usize..3, 2_usize..8, 2_usize..8, 1_usize..5).prop_flat_map(|(c, h, w, count)| {
            let shape = Shape::image(c, h, w);
            (Just(shape), proptest::collection::vec(values(shape), count))
        })
    }

    proptest! {
        #[test]
        fn ranges_and_differences_are_the_largest_seen((shape, samples) in samples()) {
            let graph = pooling(shape, 2);
            let found = calibrate(&graph, samples.clone()).unwrap();
            prop_assert_eq!(found.samples(), samples.len());
            let all: Vec<f64> = samples.iter().flatten().copied().collect();
            let (min, max) = all.iter().fold((f64::MAX, f64::MIN), |(low, high), &x| {
                (low.min(x), high.max(x))
            });
            let range = found.range(graph.input()).unwrap();
            prop_assert_eq!((range.min, range.max), (min, max));
            prop_assert_eq!(range.magnitude(), min.abs().max(max));

            let mut pool = PoolRange::default();
            for sample in &samples {
                let x = sample.mapv(|x| x.max(0.0)).into_dimensionality::<Ix3>().unwrap();
                let (channels, height, width) = x.dim();
                for c in 0..channels {
                    for i in 0..height / 2 {
                        for j in 0..width / 2 {
                            let at = |row: usize, column: usize| x[[c, 2 * i + row, 2 * j + column]];
                            for row in 0..2 {
                                let difference = (at(row, 0) - at(row, 1)).abs();
                                pool.horizontal = pool.horizontal.max(difference);
                            }
                            let (p, r) = (at(0, 0).max(at(0, 1)), at(1, 0).max(at(1, 1)));
                            pool.vertical = pool.vertical.max((p - r).abs());
                        }
                    }
                }
            }
            prop_assert_eq!(found.pool(graph.output()), Some(pool));
        }
    }

    #[test]
    fn only_halving_pools_have_differences() {
        let shape = Shape::image(1, 4, 4);
        let sample = ArrayD::ones(IxDyn(&[1, 4, 4]));
        let graph = pooling(shape, 3);
        let found = calibrate(&graph, [sample]).unwrap();
        assert!(graph.iter().all(|(id, _)| found.pool(id).is_none()));
    }

    #[test]
    fn survives_a_file() {
        let graph = pooling(Shape::image(1, 2, 2), 2);
        let sample = array![[[1.0, -2.0], [0.1, 0.25]]].into_dyn();
        let found = calibrate(&graph, [sample]).unwrap();
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), found);
    }

    #[test]
    fn unusable_samples_are_refused() {
        let graph = pooling(Shape::image(1, 2, 2), 2);
        let none = calibrate(&graph, std::iter::empty());
        assert_eq!(none, Err(CalibrationError::NoSamples));
        let wide = calibrate(&graph, [ArrayD::zeros(IxDyn(&[1, 2, 3]))]);
        assert!(matches!(wide, Err(CalibrationError::Graph(GraphError::InputShape { .. }))));
        let nan = calibrate(&graph, [ArrayD::from_elem(IxDyn(&[1, 2, 2]), f64::NAN)]);
        assert!(matches!(nan, Err(CalibrationError::NotFinite { .. })));
    }
}
