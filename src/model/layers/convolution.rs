//! Convolutions in the clear.
//!
//! The padded maps are split into phases, one for each place in a stride, so that the inputs under
//! one kernel tap lie one behind the other; a tap is then one weight times one contiguous run, added
//! to another. Runs go over the ends of rows: what is computed there is not read.

use super::map_size;
use crate::model::graph::Shape;
use crate::model::operator::Convolution;

impl Convolution {
    pub(super) fn evaluate(&self, input: &[f64], from: Shape, to: Shape) -> Vec<f64> {
        let (from, to) = (map_size(from), map_size(to));
        let phases = Phases::new(self, from, to);
        let maps: Vec<f64> =
            input.chunks(from.0 * from.1).flat_map(|map| phases.split(map, from)).collect();
        let (_, inputs, rows, columns) = self.weights.dim();
        let group = inputs * phases.size();
        let per_group = self.bias.len() / self.groups;
        let weights = self.weights.as_standard_layout();
        let kernels = weights.as_slice().unwrap_or_default().chunks(inputs * rows * columns);
        let offsets = phases.taps(self);
        let mut output = Vec::with_capacity(self.bias.len() * to.0 * to.1);
        let mut sums = vec![0.0; phases.run(to)];
        for (channel, (kernel, bias)) in kernels.zip(&self.bias).enumerate() {
            sums.fill(*bias);
            let maps = maps[channel / per_group * group..][..group].chunks(phases.size());
            for (kernel, map) in kernel.chunks(rows * columns).zip(maps) {
                for (&weight, &offset) in kernel.iter().zip(&offsets) {
                    add(weight, &map[offset..], &mut sums);
                }
            }
            output.extend(sums.chunks(phases.width).flat_map(|row| &row[..to.1]));
        }
        output
    }
}

/// Adds `weight` times `source` to `target`.
fn add(weight: f64, source: &[f64], target: &mut [f64]) {
    target.iter_mut().zip(source).for_each(|(sum, x)| *sum += weight * x);
}

/// A padded map, split by the remainders of row and column by the strides.
struct Phases {
    strides: [usize; 2],
    corner: (usize, usize),
    height: usize,
    width: usize,
}

impl Phases {
    fn new(layer: &Convolution, from: (usize, usize), to: (usize, usize)) -> Self {
        let [top, left, bottom, right] = layer.pads;
        let padded = [top + from.0 + bottom, left + from.1 + right];
        // With one output along an axis, its stride does not matter, and could be huge.
        let stride = |axis: usize, outputs| if outputs == 1 { 1 } else { layer.strides[axis] };
        let strides = [stride(0, to.0), stride(1, to.1)];
        Self {
            strides,
            corner: (top, left),
            height: padded[0].div_ceil(strides[0]),
            width: padded[1].div_ceil(strides[1]),
        }
    }

    /// The number of values of all phases of one map.
    fn size(&self) -> usize {
        self.strides[0] * self.strides[1] * self.height * self.width
    }

    /// The number of values from the first output to the last in rows of a phase.
    fn run(&self, to: (usize, usize)) -> usize {
        (to.0 - 1) * self.width + to.1
    }

    /// Where an element of the padded map is found.
    fn place(&self, row: usize, column: usize) -> usize {
        let [down, across] = self.strides;
        let phase = row % down * across + column % across;
        (phase * self.height + row / down) * self.width + column / across
    }

    fn split(&self, map: &[f64], (_, columns): (usize, usize)) -> Vec<f64> {
        let mut phases = vec![0.0; self.size()];
        for (row, values) in map.chunks(columns).enumerate() {
            for (column, &value) in values.iter().enumerate() {
                phases[self.place(row + self.corner.0, column + self.corner.1)] = value;
            }
        }
        phases
    }

    /// Where each kernel tap finds the first output's input.
    fn taps(&self, layer: &Convolution) -> Vec<usize> {
        let (_, _, rows, columns) = layer.weights.dim();
        let [down, across] = layer.dilations;
        let row =
            |row: usize| (0..columns).map(move |column| self.place(row * down, column * across));
        (0..rows).flat_map(row).collect()
    }
}
