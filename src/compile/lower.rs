//! From stages to steps: layouts, integer weights and tables.

use super::affine::{Term as Source, input_channels};
use super::amplitude::{self, Amplitudes};
use super::calibrate::{Calibration, StageCalibration};
use super::layout::{self, Grid, Spread, Windows};
use super::program::{
    Function, LinearMap, LinearOutput, Operation, Place, Placement, Program, Register, Step, Table,
    Term,
};
use super::stage::{Activation, Stage};
use super::{CompileError, Settings};
use bellerophon_bridge::SlotParametersLiteral;
use std::collections::{BTreeMap, HashMap};

mod pool;
mod slots;

/// Lowers the stages of a simplified graph.
///
/// # Errors
/// [`CompileError::TooLarge`] where a row of windows does not fit the ring,
/// [`CompileError::Calibration`] for ranges of another network, [`CompileError::Setting`].
pub fn lower(
    stages: &[Stage],
    calibration: &Calibration,
    settings: &Settings,
) -> Result<Program, CompileError> {
    settings.check()?;
    calibration.check(stages)?;
    let amplitudes = amplitude::amplitudes(stages, calibration, settings)?;
    let dimension = 1usize << settings.parameters.log_dimension;
    let mut lowering = Lowering::new(settings, dimension, &amplitudes);
    for (index, stage) in stages.iter().enumerate() {
        lowering.stage(index, stage, &calibration.stages[index])?;
    }
    let output = lowering.output(stages);
    Ok(Program {
        parameters: settings.parameters.clone(),
        slots: lowering.log_slots.map(SlotParametersLiteral::deep),
        input_elements: input_elements(stages),
        input: lowering.input,
        input_amplitude: amplitudes.values[0],
        steps: lowering.steps,
        output,
    })
}

/// The number of elements of the network's input.
fn input_elements(stages: &[Stage]) -> usize {
    let mut terms = stages.iter().flat_map(|stage| &stage.affine.terms);
    terms.find(|term| term.source == 0).map_or(0, |term| term.from.iter().product())
}

/// How a value has been laid out.
#[derive(Clone, Debug, PartialEq)]
enum Layout {
    Windows(Windows),
    Spread(Spread),
}

impl Layout {
    fn serves(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Windows(own), Self::Windows(other)) => own.serves(other),
            (Self::Spread(own), Self::Spread(other)) => own == other,
            _ => false,
        }
    }

    fn placements(&self, dimension: usize) -> Vec<Placement> {
        match self {
            Self::Windows(windows) => windows.placements(dimension),
            Self::Spread(spread) => spread.placements(),
        }
    }

    fn zeroed(&self) -> bool {
        match self {
            Self::Windows(windows) => windows.zeroed,
            Self::Spread(spread) => spread.stride > 1,
        }
    }
}

/// A value packed into ciphertexts: the register, and the first ciphertext there.
#[derive(Clone, Debug)]
struct Packed {
    layout: Layout,
    register: Register,
    first: usize,
    /// Whether each ciphertext of the layout holds more than padding.
    filled: Vec<bool>,
}

/// The places of a linear result.
enum Places {
    Grid(Grid),
    List(Vec<Place>),
}

impl Places {
    fn all(&self) -> Vec<Place> {
        match self {
            Self::Grid(grid) => grid.places(),
            Self::List(places) => places.clone(),
        }
    }
}

/// The state of lowering.
struct Lowering<'a> {
    settings: &'a Settings,
    dimension: usize,
    amplitudes: &'a Amplitudes,
    input: Vec<Placement>,
    /// `log2` of the slots that polynomials need.
    log_slots: Option<u32>,
    steps: Vec<Step>,
    /// The samples of each stage's result.
    samples: Vec<Option<Register>>,
    /// The layouts of each value, so far.
    packed: HashMap<usize, Vec<Packed>>,
    /// The last linear result.
    places: Places,
    register: Register,
    amplitude: f64,
}

impl<'a> Lowering<'a> {
    fn new(settings: &'a Settings, dimension: usize, amplitudes: &'a Amplitudes) -> Self {
        Self {
            settings,
            dimension,
            amplitudes,
            input: Vec::new(),
            log_slots: None,
            steps: Vec::new(),
            samples: vec![None],
            packed: HashMap::new(),
            places: Places::List(Vec::new()),
            register: Register(0),
            amplitude: 1.0,
        }
    }

    fn push(&mut self, stage: &str, operation: Operation, inputs: Vec<Register>) -> Register {
        let output = Register(self.steps.len() + 1);
        let amplitude = self.amplitude;
        self.steps.push(Step { stage: stage.to_owned(), operation, inputs, output, amplitude });
        output
    }

    fn stage(
        &mut self,
        index: usize,
        stage: &Stage,
        seen: &StageCalibration,
    ) -> Result<(), CompileError> {
        let [_, rows, columns] = stage.affine.dims;
        let biases = biases(stage, seen);
        if (rows, columns) == (1, 1) {
            self.dense(index, stage, &biases);
        } else {
            self.convolution(index, stage, &biases)?;
        }
        for (pool, differences) in stage.pools.iter().zip(&seen.pools) {
            self.max_pool(pool, differences);
        }
        match &stage.activation {
            Some(activation) if activation.slots => {
                self.in_slots(index, activation, slots::reach(stage, seen))?
            }
            Some(activation) => self.activation(index, activation, seen),
            None => self.samples.push(None),
        }
        Ok(())
    }

    /// The value of a term in a layout that serves, packed where it is not yet.
    fn packed(&mut self, name: &str, source: usize, layout: Layout) -> Packed {
        let known = self.packed.entry(source).or_default();
        if let Some(packed) = known.iter().find(|packed| packed.layout.serves(&layout)) {
            return packed.clone();
        }
        let placements = layout.placements(self.dimension);
        let mut filled = vec![false; super::program::count_ciphertexts(&placements)];
        placements.iter().for_each(|placement| filled[placement.place.ciphertext] = true);
        let packed = match self.samples[source] {
            None => {
                let first = super::program::count_ciphertexts(&self.input);
                let shifted = placements.into_iter().map(|mut placement| {
                    placement.place.ciphertext += first;
                    placement
                });
                self.input.extend(shifted);
                Packed { layout, register: Register(0), first, filled }
            }
            Some(samples) => {
                let ciphertexts = filled.len().max(1);
                let zeroed = layout.zeroed();
                let operation = Operation::ToCkks { placements, ciphertexts, zeroed };
                self.amplitude = self.amplitudes.values[source];
                let register = self.pack(name, operation, samples);
                Packed { layout, register, first: 0, filled }
            }
        };
        self.packed.entry(source).or_default().push(packed.clone());
        packed
    }

    /// Packs samples; right behind their tables that is a part of the tables' stage.
    fn pack(&mut self, name: &str, packing: Operation, samples: Register) -> Register {
        let tables = self.steps.last().filter(|step| step.output == samples);
        let name = tables.map_or_else(|| name.to_owned(), |step| step.stage.clone());
        self.push(&name, packing, vec![samples])
    }

    fn linear(&mut self, index: usize, name: &str, packed: &[Packed], outputs: Vec<LinearOutput>) {
        let registers = packed.iter().map(|value| value.register).collect();
        self.amplitude = self.amplitudes.linear[index];
        self.register = self.push(name, Operation::Linear(LinearMap { outputs }), registers);
    }

    /// Integers per unit of a term's weights.
    fn scale(&self, index: usize, term: &Source) -> f64 {
        self.amplitudes.linear[index] / self.amplitudes.values[term.source]
    }

    /// As many rows of the matrix in one polynomial as the distance between elements: row `r` is
    /// read off coefficient `r`, where the other rows meet zeros.
    fn dense(&mut self, index: usize, stage: &Stage, biases: &[f64]) {
        let terms = &stage.affine.terms;
        let spread = |term: &Source| Spread::new(term.from.iter().product(), self.dimension);
        let spreads: Vec<Spread> = terms.iter().map(spread).collect();
        let each = spreads.iter().map(|spread| spread.stride).min().unwrap_or(1);
        let amplitude = self.amplitudes.linear[index];
        let rows: Vec<usize> = (0..stage.affine.dims[0]).collect();
        let packed: Vec<Packed> = terms
            .iter()
            .zip(&spreads)
            .map(|(term, spread)| self.packed(&stage.name, term.source, Layout::Spread(*spread)))
            .collect();
        let output = |rows: &[usize]| {
            let mut taps = Taps::default();
            for (number, (term, spread)) in terms.iter().zip(&spreads).enumerate() {
                let scale = self.scale(index, term);
                for (at, &row) in rows.iter().enumerate() {
                    for (element, weight) in dense_row(term, row) {
                        let place = spread.place(element);
                        let exponent =
                            (at + 2 * self.dimension - place.coefficient) % (2 * self.dimension);
                        let ciphertext = packed[number].first + place.ciphertext;
                        taps.add((number, ciphertext), exponent, weight * scale);
                    }
                }
            }
            LinearOutput {
                terms: taps.terms(),
                coefficients: (0..rows.len()).collect(),
                biases: rows.iter().map(|&row| biases[row] * amplitude).collect(),
            }
        };
        let outputs = rows.chunks(each).map(output).collect();
        let place = |row: &usize| Place { ciphertext: row / each, coefficient: row % each };
        self.places = Places::List(rows.iter().map(place).collect());
        self.linear(index, &stage.name, &packed, outputs);
    }

    fn convolution(
        &mut self,
        index: usize,
        stage: &Stage,
        biases: &[f64],
    ) -> Result<(), CompileError> {
        let grid = self.grid(stage)?;
        let [channels, rows, columns] = stage.affine.dims;
        let layout = |term: &Source| {
            let windows = Windows::new(term, [rows, columns], grid.row, &grid.tiles);
            (Layout::Windows(windows), term.source)
        };
        let layouts: Vec<_> = stage.affine.terms.iter().map(layout).collect();
        let packed: Vec<Packed> = layouts
            .into_iter()
            .map(|(layout, source)| self.packed(&stage.name, source, layout))
            .collect();
        let amplitude = self.amplitudes.linear[index];
        let mut outputs = Vec::with_capacity(channels * grid.tiles.len());
        for (tile, range) in grid.tiles.iter().enumerate() {
            let coefficients = grid.coefficients(tile);
            let taps = self.convolution_taps(index, stage, &packed, tile);
            for (channel, mut taps) in taps.into_iter().enumerate() {
                let first = (channel * rows + range.start) * columns;
                let biases = &biases[first..first + range.len() * columns];
                outputs.push(LinearOutput {
                    terms: taps.terms(),
                    coefficients: coefficients.clone(),
                    biases: biases.iter().map(|bias| bias * amplitude).collect(),
                });
            }
        }
        self.places = Places::Grid(grid);
        self.linear(index, &stage.name, &packed, outputs);
        Ok(())
    }

    /// The weights of every output channel in a tile.
    fn convolution_taps(
        &self,
        index: usize,
        stage: &Stage,
        packed: &[Packed],
        tile: usize,
    ) -> Vec<Taps> {
        let mut taps = vec![Taps::default(); stage.affine.dims[0]];
        for (number, (term, packed)) in stage.affine.terms.iter().zip(packed).enumerate() {
            let Layout::Windows(windows) = &packed.layout else { continue };
            let (scale, tap) = (self.scale(index, term), windows.taps(term, tile, self.dimension));
            for (channel, taps) in taps.iter_mut().enumerate() {
                let inputs = input_channels(&term.kernel, channel);
                let weights = term.kernel.weights.index_axis(ndarray::Axis(0), channel);
                for ((input, a, b), weight) in weights.indexed_iter() {
                    let (ciphertext, exponent) = tap([inputs.start + input, a, b]);
                    if packed.filled.get(ciphertext) == Some(&true) {
                        taps.add((number, packed.first + ciphertext), exponent, weight * scale);
                    }
                }
            }
        }
        taps
    }

    /// The grid of a convolution's result: the distance between rows of a layout that exists, where
    /// it serves, so that values are packed once.
    fn grid(&self, stage: &Stage) -> Result<Grid, CompileError> {
        let [channels, rows, columns] = stage.affine.dims;
        let terms = &stage.affine.terms;
        let needed =
            terms.iter().map(|term| layout::row_distance(term, columns)).max().unwrap_or(1);
        let mut known: Vec<usize> =
            terms.iter().flat_map(|term| self.row_distances(term)).collect();
        known.retain(|row| (needed..needed + needed / 4 + 2).contains(row));
        let row = known.into_iter().min().unwrap_or(needed);
        let windows = stage.pools.iter().rev().fold([1, 1], |[extent, step], pool| {
            [(extent - 1) * pool.strides[0] + pool.kernel[0], step * pool.strides[0]]
        });
        let tiles = layout::tiles(terms, rows, row, windows, self.dimension);
        let tiles = tiles.ok_or(CompileError::TooLarge {
            elements: terms
                .iter()
                .map(|term| layout::pitch(term, windows[0], row))
                .max()
                .unwrap_or(0),
            dimension: self.dimension,
        })?;
        Ok(Grid { channels, columns, tiles, row, column: 1 })
    }

    fn row_distances(&self, term: &Source) -> Vec<usize> {
        let packed = self.packed.get(&term.source).into_iter().flatten();
        let row = |packed: &Packed| match &packed.layout {
            Layout::Windows(windows) => Some(windows.row()),
            Layout::Spread(_) => None,
        };
        packed.filter_map(row).collect()
    }

    /// From `places` through tables, one for all or one for each of equal parts.
    fn look_up(
        &mut self,
        name: &str,
        register: Register,
        places: Vec<Place>,
        tables: Vec<Table>,
        key: usize,
    ) -> Register {
        let each = places.len() / tables.len().max(1);
        let extracted = self.push(name, Operation::ToLwe { places, key }, vec![register]);
        self.amplitude = tables.first().map_or(self.amplitude, |table| table.output);
        let tables = tables.into_iter().map(|table| (each, table)).collect();
        self.push(name, Operation::Lut { tables, key }, vec![extracted])
    }

    fn activation(&mut self, index: usize, activation: &Activation, seen: &StageCalibration) {
        let input = self.amplitude;
        let output = self.amplitudes.values[index + 1];
        // the spare part of the half turn goes to both ends alike
        let expected = seen.expected();
        let spare = 0.5 - (expected.max - expected.min) * input;
        let start = expected.min * input - spare / 2.0;
        let table =
            |function: &Function| Table { function: function.clone(), start, input, output };
        let tables = activation.functions.iter().map(table).collect();
        let (places, key) = (self.places.all(), self.settings.activation_key);
        let samples = self.look_up(&activation.name, self.register, places, tables, key);
        self.samples.push(Some(samples));
    }

    /// The places of the output; samples are packed first.
    fn output(&mut self, stages: &[Stage]) -> Vec<Place> {
        let Some(samples) = self.samples.last().copied().flatten() else {
            return self.places.all();
        };
        let spread = Spread::new(stages.last().map_or(0, Stage::elements), self.dimension);
        let placements = spread.placements();
        let places = placements.iter().map(|placement| placement.place).collect();
        let ciphertexts = super::program::count_ciphertexts(&placements);
        let packing = Operation::ToCkks { placements, ciphertexts, zeroed: false };
        self.register = self.pack("output", packing, samples);
        places
    }
}

/// Weights of one output ciphertext, by the register and ciphertext they multiply.
#[derive(Clone, Debug, Default)]
struct Taps(BTreeMap<(usize, usize), Vec<(usize, i64)>>);

impl Taps {
    fn add(&mut self, input: (usize, usize), exponent: usize, weight: f64) {
        let weight = weight.round() as i64;
        // which products there are depends on the layer's shape alone, not on its weights
        let weights = self.0.entry(input).or_default();
        if weight != 0 {
            weights.push((exponent, weight));
        }
    }

    fn terms(&mut self) -> Vec<Term> {
        if self.0.is_empty() {
            self.0.insert((0, 0), Vec::new()); // only the bias is left
        }
        let term = |((register, ciphertext), weights)| Term { register, ciphertext, weights };
        std::mem::take(&mut self.0).into_iter().map(term).collect()
    }
}

/// The bias of each element; a max-pool's padding gets the least value seen.
fn biases(stage: &Stage, seen: &StageCalibration) -> Vec<f64> {
    let pairs = stage.affine.bias.iter().zip(&stage.border);
    pairs.map(|(&bias, &border)| if border { seen.linear.min } else { bias }).collect()
}

/// The elements and weights that output channel `row` of a convolution to 1x1 maps reads.
fn dense_row(term: &Source, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
    let [_, height, width] = term.from;
    let kernel = &term.kernel;
    let inputs = input_channels(kernel, row);
    let at = |tap: usize, axis: usize, length: usize| {
        let position = (tap * kernel.dilations[axis]).checked_sub(kernel.pads[axis])?;
        (position < length).then_some(position)
    };
    let weights = kernel.weights.index_axis(ndarray::Axis(0), row).to_owned();
    let taps: Vec<(usize, f64)> = weights
        .indexed_iter()
        .filter_map(|((input, a, b), &weight)| {
            let (i, j) = (at(a, 0, height)?, at(b, 1, width)?);
            Some((((inputs.start + input) * height + i) * width + j, weight))
        })
        .collect();
    taps.into_iter()
}
