//! From the simplified graph to steps: layouts, integer weights, amplitudes and tables.
//!
//! Amplitudes are decided from the back. A linear layer's output has the amplitude that lets the
//! table behind it use its whole window; with integer weights of `S` per unit, its input must come
//! with `1/S` of that, which is the output amplitude of the table before it. Only tables shrink an
//! amplitude; there is no rescaling on this path.

use super::program::{
    Function, LinearMap, LinearOutput, Operation, Place, Program, Register, Step, Table, Term,
};
use super::quantize::weight_scale;
use super::{CompileError, Layout, Settings, unsupported};
use crate::model::{
    Activation, Calibration, Convolution, Dense, Graph, MaxPool, Node, NodeId, Operator, PoolRange,
    Range, Shape,
};

/// How much a comparison may enlarge differences: nothing is gained where they are this small.
const LARGEST_MULTIPLIER: f64 = 1024.0;

/// Lowers a graph that [`super::simplify`] has prepared.
///
/// # Errors
/// [`CompileError::Unsupported`] for a layer that this path cannot run, [`CompileError::TooLarge`]
/// where it does not fit the ring, [`CompileError::Calibration`] for ranges of another graph.
pub fn lower(
    graph: &Graph,
    calibration: &Calibration,
    settings: &Settings,
) -> Result<Program, CompileError> {
    settings.check()?;
    let stages = chain(graph, calibration)?;
    let dimension = 1usize << settings.parameters.log_dimension;
    let layout = input_layout(graph.input_shape(), stages.first(), dimension)?;
    let scales = weight_scales(&stages, settings);
    let amplitudes = input_amplitudes(&stages, &scales, settings)?;
    let input = layout.places();
    let mut lowering = Lowering {
        settings,
        dimension,
        steps: Vec::new(),
        register: Register(0),
        registers: 1,
        layout,
        amplitude: amplitudes.first().copied().unwrap_or(1.0),
    };
    let input_amplitude = lowering.amplitude;
    for (index, stage) in stages.iter().enumerate() {
        let next = stages.get(index + 1).zip(amplitudes.get(index + 1));
        lowering.stage(stage, scales[index], next)?;
    }
    Ok(Program {
        parameters: settings.parameters.clone(),
        input,
        input_amplitude,
        output: lowering.layout.places(),
        steps: lowering.steps,
    })
}

/// A linear layer with what follows it up to the next.
struct Stage<'a> {
    node: &'a Node,
    pools: Vec<(&'a Node, PoolRange)>,
    /// The activation and the range of its input.
    activation: Option<(&'a Node, Range)>,
    /// The range of the stage's output.
    output: Range,
}

/// Cuts a chain of layers into stages.
fn chain<'a>(graph: &'a Graph, calibration: &Calibration) -> Result<Vec<Stage<'a>>, CompileError> {
    let mut stages: Vec<Stage<'a>> = Vec::new();
    for (id, node) in graph.iter().skip(1) {
        check_chain(graph, id, node)?;
        let range = known_range(graph, calibration, id)?;
        let operator = node.operator();
        match operator {
            Operator::Convolution(_) | Operator::Dense(_) => {
                stages.push(Stage { node, pools: Vec::new(), activation: None, output: range });
                continue;
            }
            Operator::Flatten => continue, // layouts keep the order of elements
            _ => {}
        }
        let name = node.name();
        let Some(stage) = stages.last_mut() else {
            return Err(unsupported(
                name,
                "the first layer must be a convolution or a dense layer",
            ));
        };
        match operator {
            Operator::MaxPool(pool) => {
                stage.push_pool(node, pool, calibration.pool(id))?;
                stage.output = range;
            }
            Operator::Activation(Activation::Relu) if stage.activation.is_none() => {
                stage.activation = Some((node, stage.output));
                stage.output = range;
            }
            Operator::Polynomial(_) | Operator::MeanPool(_) => {
                return Err(unsupported(name, polynomial_layer(operator)));
            }
            other => return Err(unsupported(name, format!("{} cannot stand here", other.name()))),
        }
    }
    if stages.is_empty() {
        return Err(unsupported("input", "the network has no linear layer"));
    }
    Ok(stages)
}

fn polynomial_layer(operator: &Operator) -> String {
    let name = operator.name();
    format!("{name} is not run with TFHE tables, which take Relu and MaxPool: run it in CKKS alone")
}

fn check_chain(graph: &Graph, id: NodeId, node: &Node) -> Result<(), CompileError> {
    let previous = node.inputs().first().map(|input| input.index());
    if previous == Some(id.index() - 1) && graph.output().index() >= id.index() {
        return Ok(());
    }
    Err(unsupported(node.name(), "only networks without branches are supported"))
}

fn known_range(
    graph: &Graph,
    calibration: &Calibration,
    id: NodeId,
) -> Result<Range, CompileError> {
    let (expected, found) = (graph.nodes().len(), calibration.nodes());
    let range = calibration.range(id).filter(|_| expected == found);
    range.ok_or(CompileError::Calibration { expected, found })
}

impl<'a> Stage<'a> {
    fn push_pool(
        &mut self,
        node: &'a Node,
        pool: &MaxPool,
        range: Option<PoolRange>,
    ) -> Result<(), CompileError> {
        let Some(range) = range.filter(|_| pool.kernel == [2, 2] && pool.strides == [2, 2]) else {
            return Err(unsupported(node.name(), "only 2x2 max-pools of stride 2 are supported"));
        };
        if self.activation.is_some() {
            return Err(unsupported(node.name(), "a max-pool must stand before the activation"));
        }
        self.pools.push((node, range));
        Ok(())
    }

    /// The largest amplitude of the linear layer's output at which everything up to the next stage
    /// fits the torus.
    fn amplitude(&self, settings: &Settings) -> f64 {
        // each comparison computes 2 max(a, b), so a 2x2 pool quadruples
        let gain = 4f64.powi(self.pools.len() as i32);
        let end = match &self.activation {
            Some((_, range)) => 0.5 / (window(*range) * settings.activation_margin * gain),
            None => 0.5 / (self.output.magnitude() * settings.activation_margin * gain),
        };
        let mut amplitude = end;
        let mut doubled = 1.0;
        for (_, range) in &self.pools {
            for difference in [range.horizontal, range.vertical] {
                let fits = 0.5 / (difference * settings.pool_margin * doubled);
                amplitude = amplitude.min(fits);
                doubled *= 2.0;
            }
        }
        amplitude
    }
}

/// The width of the range with zero in it.
fn window(range: Range) -> f64 {
    range.max.max(0.0) - range.min.min(0.0)
}

/// Integer weights per unit, for each stage.
fn weight_scales(stages: &[Stage<'_>], settings: &Settings) -> Vec<f64> {
    let scale = |(index, stage): (usize, &Stage<'_>)| {
        let bits = if index == 0 { settings.first_weight_bits } else { settings.weight_bits };
        match stage.node.operator() {
            Operator::Convolution(layer) => weight_scale(layer.weights.iter(), bits),
            Operator::Dense(layer) => weight_scale(layer.weights.iter(), bits),
            _ => 1.0,
        }
    };
    stages.iter().enumerate().map(scale).collect()
}

/// The amplitude with which each stage needs its input, in turns per unit.
fn input_amplitudes(
    stages: &[Stage<'_>],
    scales: &[f64],
    settings: &Settings,
) -> Result<Vec<f64>, CompileError> {
    let amplitude = |(stage, scale): (&Stage<'_>, &f64)| {
        let amplitude = stage.amplitude(settings) / scale;
        if amplitude.is_finite() && amplitude > 0.0 {
            return Ok(amplitude);
        }
        let (name, allowed) = ("range of a layer", "finite values that are not all zero");
        Err(CompileError::Setting { name, value: stage.output.magnitude(), allowed })
    };
    stages.iter().zip(scales).map(amplitude).collect()
}

/// The state of lowering: the steps so far, and where and at what amplitude the current value is.
struct Lowering<'a> {
    settings: &'a Settings,
    dimension: usize,
    steps: Vec<Step>,
    register: Register,
    registers: usize,
    layout: Layout,
    amplitude: f64,
}

impl Lowering<'_> {
    fn stage(
        &mut self,
        stage: &Stage<'_>,
        scale: f64,
        next: Option<(&Stage<'_>, &f64)>,
    ) -> Result<(), CompileError> {
        let name = stage.node.name();
        match stage.node.operator() {
            Operator::Convolution(layer) => self.convolution(name, layer, scale)?,
            Operator::Dense(layer) => self.dense(name, layer, scale)?,
            other => return Err(unsupported(name, format!("{} is not linear", other.name()))),
        }
        for (pool, range) in &stage.pools {
            self.max_pool(pool.name(), *range)?;
        }
        match (&stage.activation, next) {
            (Some((node, range)), Some(next)) => self.activation(node, *range, next),
            (Some((node, _)), None) => {
                Err(unsupported(node.name(), "the network must end with a linear layer"))
            }
            (None, Some(_)) => Err(unsupported(name, "an activation must follow this layer")),
            (None, None) => Ok(()),
        }
    }

    fn push(&mut self, stage: &str, operation: Operation, inputs: Vec<Register>) -> Register {
        let output = Register(self.registers);
        self.registers += 1;
        let amplitude = self.amplitude;
        self.steps.push(Step { stage: stage.to_owned(), operation, inputs, output, amplitude });
        output
    }

    fn convolution(
        &mut self,
        name: &str,
        layer: &Convolution,
        scale: f64,
    ) -> Result<(), CompileError> {
        let Layout::Maps { bases, height, width, row, column } = self.layout.clone() else {
            return Err(unsupported(name, "a convolution needs feature maps"));
        };
        if layer.pads != [0; 4] {
            return Err(unsupported(name, "padding is not supported yet: pad the input"));
        }
        let (outputs, _, kernel_rows, kernel_columns) = layer.weights.dim();
        let reach = (kernel_rows - 1) * layer.dilations[0] * row
            + (kernel_columns - 1) * layer.dilations[1] * column;
        let last = bases.iter().map(|base| base.coefficient).max().unwrap_or(0);
        let origin = last + reach; // where output (0, 0) lands
        let exponent = |c: usize, a: usize, b: usize| {
            let offset = a * layer.dilations[0] * row + b * layer.dilations[1] * column;
            origin - bases[c].coefficient - offset
        };
        let windows = |length: usize, kernel: usize, axis: usize| {
            (length - (kernel - 1) * layer.dilations[axis] - 1) / layer.strides[axis] + 1
        };
        let base = |ciphertext| Place { ciphertext, coefficient: origin };
        self.layout = Layout::Maps {
            bases: (0..outputs).map(base).collect(),
            height: windows(height, kernel_rows, 0),
            width: windows(width, kernel_columns, 1),
            row: row * layer.strides[0],
            column: column * layer.strides[1],
        };
        self.amplitude *= scale;
        let coefficients = self.coefficients_of_first(name)?;
        let map = (0..outputs)
            .map(|k| {
                let weights = layer.weights.index_axis(ndarray::Axis(0), k);
                let taps = weights.indexed_iter().map(|((c, a, b), &w)| {
                    (bases[c].ciphertext, exponent(c, a, b), (w * scale).round() as i64)
                });
                LinearOutput {
                    terms: terms(taps),
                    biases: vec![layer.bias[k] * self.amplitude; coefficients.len()],
                    coefficients: coefficients.clone(),
                }
            })
            .collect();
        let map = LinearMap { outputs: map, scale };
        self.register = self.push(name, Operation::Linear(map), vec![self.register]);
        Ok(())
    }

    /// The coefficients of the layout's first ciphertext, all of which must exist.
    fn coefficients_of_first(&self, name: &str) -> Result<Vec<usize>, CompileError> {
        let places = self.layout.places();
        let first = places.iter().filter(|place| place.ciphertext == 0);
        let coefficients: Vec<usize> = first.map(|place| place.coefficient).collect();
        match coefficients.iter().max() {
            Some(&last) if last >= self.dimension => Err(unsupported(
                name,
                format!("it needs a ring of dimension above {last}: split the channels"),
            )),
            _ => Ok(coefficients),
        }
    }

    /// As many rows of the matrix in one polynomial as the distance between elements: row `r` is
    /// read off `r` coefficients further on, where the other rows meet zeros.
    fn dense(&mut self, name: &str, layer: &Dense, scale: f64) -> Result<(), CompileError> {
        let Layout::Spread { length, stride } = self.layout else {
            return Err(unsupported(name, "an activation must stand before a dense layer"));
        };
        let (outputs, _) = layer.weights.dim();
        let last = (length - 1) * stride;
        let target =
            |row: usize| Place { ciphertext: row / stride, coefficient: last + row % stride };
        self.amplitude *= scale;
        let rows: Vec<usize> = (0..outputs).collect();
        let map = rows
            .chunks(stride)
            .map(|rows| {
                let taps = rows.iter().flat_map(|&row| {
                    let weights = layer.weights.row(row).to_vec().into_iter().enumerate();
                    weights.map(move |(j, weight)| {
                        let exponent = target(row).coefficient - j * stride;
                        (0, exponent, (weight * scale).round() as i64)
                    })
                });
                LinearOutput {
                    terms: terms(taps),
                    coefficients: rows.iter().map(|&row| target(row).coefficient).collect(),
                    biases: rows.iter().map(|&row| layer.bias[row] * self.amplitude).collect(),
                }
            })
            .collect();
        self.layout = Layout::Scattered(rows.iter().map(|&row| target(row)).collect());
        let map = LinearMap { outputs: map, scale };
        self.register = self.push(name, Operation::Linear(map), vec![self.register]);
        Ok(())
    }

    fn max_pool(&mut self, name: &str, range: PoolRange) -> Result<(), CompileError> {
        let Layout::Maps { row, column, .. } = self.layout else {
            return Err(unsupported(name, "a max-pool needs feature maps"));
        };
        self.maximum(&format!("{name} across"), column, [1, 2], range.horizontal)?;
        self.maximum(&format!("{name} down"), row, [2, 1], range.vertical)
    }

    /// `2 max(a, b) = (a + b) + |a - b|` of each value and the one `shift` coefficients on; the map
    /// keeps every `strides`-th row and column.
    fn maximum(
        &mut self,
        name: &str,
        shift: usize,
        strides: [usize; 2],
        largest: f64,
    ) -> Result<(), CompileError> {
        let Layout::Maps { bases, height, width, row, column } = self.layout.clone() else {
            return Err(unsupported(name, "a max-pool needs feature maps"));
        };
        let ciphertexts = bases.len();
        let (height, width) = (height / strides[0], width / strides[1]);
        let (row, column) = (row * strides[0], column * strides[1]);
        self.layout = Layout::Maps { bases, height, width, row, column };
        let coefficients = self.coefficients_of_first(name)?;
        let source = self.register;
        let amplitude = self.amplitude;
        // as many turns as the largest difference can fill
        let fill = 0.5 / (largest * self.settings.pool_margin * amplitude);
        let multiplier = fill.clamp(1.0, LARGEST_MULTIPLIER) as i64;
        let table = Table {
            function: Function::Absolute,
            start: -0.25,
            input: amplitude * multiplier as f64,
            output: amplitude,
        };
        let pair = |weights: [i64; 2], bias: f64| {
            // X^-shift = -X^(N - shift): exponents count modulo 2N
            let weights = vec![(0, weights[0]), (2 * self.dimension - shift, weights[1])];
            let output = |input| LinearOutput {
                terms: vec![Term { input, weights: weights.clone() }],
                coefficients: coefficients.clone(),
                biases: vec![bias; coefficients.len()],
            };
            (0..ciphertexts).map(output).collect()
        };
        let difference =
            LinearMap { outputs: pair([multiplier, -multiplier], 0.0), scale: multiplier as f64 };
        let sum = LinearMap { outputs: pair([1, 1], table.offset()), scale: 1.0 };
        self.amplitude = table.input;
        let difference = self.push(name, Operation::Linear(difference), vec![source]);
        let (places, key) = (self.layout.places(), self.settings.pool_key);
        let packed = self.table_steps(name, difference, places, table, key);
        let sum = self.push(name, Operation::Linear(sum), vec![source]);
        self.amplitude = 2.0 * amplitude; // the sum is twice the maximum
        self.register = self.push(name, Operation::Add, vec![sum, packed]);
        Ok(())
    }

    fn activation(
        &mut self,
        node: &Node,
        range: Range,
        (next, output): (&Stage<'_>, &f64),
    ) -> Result<(), CompileError> {
        let input = self.amplitude;
        // the spare part of the half turn goes to both ends alike
        let spare = 0.5 - window(range) * input;
        let table = Table {
            function: Function::Relu,
            start: range.min.min(0.0) * input - spare / 2.0,
            input,
            output: *output,
        };
        let layout = input_layout(node.shape(), Some(next), self.dimension)?;
        if matches!(layout, Layout::Spread { length: 1, .. }) {
            return Err(unsupported(node.name(), "a layer behind a single value: fold it in"));
        }
        let from = self.layout.places();
        self.layout = layout;
        let key = self.settings.activation_key;
        self.register = self.table_steps(node.name(), self.register, from, table, key);
        Ok(())
    }

    /// From `places` through a table to the current layout.
    fn table_steps(
        &mut self,
        name: &str,
        register: Register,
        places: Vec<Place>,
        table: Table,
        key: usize,
    ) -> Register {
        let extracted = self.push(name, Operation::ToLwe { places, key }, vec![register]);
        self.amplitude = table.output;
        let looked_up = self.push(name, Operation::Lut { table, key }, vec![extracted]);
        let places = self.layout.places();
        let ciphertexts = super::program::ciphertexts(&places);
        let zeroed = matches!(self.layout, Layout::Spread { .. });
        let packing = Operation::ToCkks { places, ciphertexts, zeroed };
        self.push(name, packing, vec![looked_up])
    }
}

/// The layout in which a linear layer reads a value of this shape.
fn input_layout(
    shape: Shape,
    layer: Option<&Stage<'_>>,
    dimension: usize,
) -> Result<Layout, CompileError> {
    match (shape, layer.map(|stage| stage.node.operator())) {
        (Shape::Image { channels, height, width }, Some(Operator::Convolution(_))) => {
            Layout::contiguous((channels, height, width), dimension)
        }
        _ => Layout::spread(shape.elements(), dimension),
    }
}

/// Groups `(input ciphertext, exponent, weight)` by ciphertext, without zero weights.
fn terms(taps: impl Iterator<Item = (usize, usize, i64)>) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    for (input, exponent, weight) in taps.filter(|(_, _, weight)| *weight != 0) {
        match terms.iter_mut().find(|term| term.input == input) {
            Some(term) => term.weights.push((exponent, weight)),
            None => terms.push(Term { input, weights: vec![(exponent, weight)] }),
        }
    }
    if terms.is_empty() {
        terms.push(Term { input: 0, weights: Vec::new() }); // only the bias is left
    }
    terms
}
