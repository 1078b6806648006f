//! What each layer does to the values, on some of the images: a layer is a linear layer and all that
//! follows it up to the next.

use super::cell::{Comparisons, Layer};
use super::network::{Hybrid, Network, compares};
use super::{Inputs, Options, StudyError};
use crate::compile::{Function, Model, Operation, Program, Stage};
use crate::flat::LANES;
use crate::model::{Graph, Node};
use crate::polynomial::maximum::Flips;
use crate::polynomial::network::{Kind, Stage as PolynomialStage};
use crate::polynomial::{Approximation, PolynomialNetwork};
use ndarray::{ArrayD, IxDyn};
use rayon::prelude::*;

/// Sums over images for one layer.
#[derive(Clone, Debug, Default)]
struct Sums {
    values: usize,
    count: f64,
    reference: f64,
    added: f64,
    total: f64,
    flips: Option<Flips>,
}

impl Sums {
    fn merge(self, other: Self) -> Self {
        Self {
            values: self.values.max(other.values),
            count: self.count + other.count,
            reference: self.reference + other.reference,
            added: self.added + other.added,
            total: self.total + other.total,
            flips: match (self.flips, other.flips) {
                (Some(a), Some(b)) => Some(a.merge(b)),
                (a, b) => a.or(b),
            },
        }
    }

    fn layer(&self, name: String) -> Layer {
        let root = |sum: f64| (sum / self.count.max(1.0)).sqrt().min(f64::MAX);
        let comparisons = self.flips.map(|flips| Comparisons {
            count: flips.comparisons as u64,
            flipped: flips.flipped as u64,
            mean: flips.margins / (flips.flipped as f64).max(1.0),
            worst: flips.worst,
        });
        Layer {
            name,
            values: self.values,
            reference: root(self.reference),
            added: root(self.added),
            total: root(self.total),
            comparisons,
        }
    }
}

fn squares<'a>(a: impl IntoIterator<Item = &'a f64>, b: impl IntoIterator<Item = &'a f64>) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The layers of a network, measured on the first images.
pub(super) fn layers(
    network: &Network,
    inputs: &Inputs,
    options: &Options,
) -> Result<Vec<Layer>, StudyError> {
    match network {
        Network::Plain | Network::ClientAided(_) => Ok(Vec::new()),
        Network::Hybrid(hybrid) => hybrid_layers(hybrid, inputs, options),
        Network::Slots(network, _) => slots_layers(network, inputs, options),
    }
}

/// Names with sums over images, which come in order.
fn finish(names: Vec<String>, sums: Vec<Vec<Sums>>) -> Vec<Layer> {
    let all =
        sums.into_iter().reduce(|a, b| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect());
    names.into_iter().zip(all.unwrap_or_default()).map(|(name, sums)| sums.layer(name)).collect()
}

/// A linear layer and what follows it.
type Block<'a> = &'a [PolynomialStage];

fn blocks(network: &PolynomialNetwork) -> Vec<Block<'_>> {
    let (mut blocks, mut rest) = (Vec::new(), network.stages());
    while !rest.is_empty() {
        let next = rest.iter().skip(1).position(|stage| *stage.kind() == Kind::Affine);
        let (block, others) = rest.split_at(next.map_or(rest.len(), |next| next + 1));
        blocks.push(block);
        rest = others;
    }
    blocks
}

fn slots_layers(
    network: &PolynomialNetwork,
    inputs: &Inputs,
    options: &Options,
) -> Result<Vec<Layer>, StudyError> {
    // the plain network with the same layers in the same order: as trained, or pooling first
    let plain = Model::from_graph(inputs.graph.clone())?;
    let names = |graph: &&Graph| {
        let names = graph.nodes().iter().skip(1).map(Node::name);
        names.eq(network.stages().iter().map(PolynomialStage::name))
    };
    let Some(graph) = [&inputs.folded, plain.simplified()].into_iter().find(names) else {
        return Ok(Vec::new());
    };
    let blocks = blocks(network);
    let images = &inputs.images[..inputs.images.len().min(options.traced)];
    let sums = images.par_iter().map(|image| slots_image(&blocks, graph, image));
    let sums: Vec<Vec<Sums>> = sums.collect::<Result<_, StudyError>>()?;
    let name = |block: &Block<'_>| block.first().map_or("", PolynomialStage::name).to_owned();
    Ok(finish(blocks.iter().map(name).collect(), sums))
}

/// Each block of the values that it reads, and of those that the plain network's reads.
fn slots_image(
    blocks: &[Block<'_>],
    graph: &Graph,
    image: &ArrayD<f64>,
) -> Result<Vec<Sums>, StudyError> {
    let plain = graph.values(image)?;
    let (mut own, mut before) = (image.clone(), image.clone());
    let (mut end, mut sums) = (0, Vec::with_capacity(blocks.len()));
    for block in blocks {
        end += block.len();
        let expected = &plain[end];
        let mut flips = None;
        let added = run_block(block, before, &mut None)?;
        own = run_block(block, own, &mut Some(&mut flips))?;
        sums.push(Sums {
            values: expected.len(),
            count: expected.len() as f64,
            reference: expected.iter().map(|x| x * x).sum(),
            added: squares(&added, expected),
            total: squares(&own, expected),
            flips,
        });
        let dimensions = IxDyn(&graph.nodes()[end].shape().dimensions());
        before = ArrayD::from_shape_vec(dimensions, expected.clone()).unwrap_or(added);
    }
    Ok(sums)
}

/// A block's result; comparisons that go the other way are counted.
fn run_block(
    block: &[PolynomialStage],
    input: ArrayD<f64>,
    counted: &mut Option<&mut Option<Flips>>,
) -> Result<ArrayD<f64>, StudyError> {
    let mut value = input;
    for stage in block {
        let (next, flips) = match stage.kind() {
            Kind::Maximum { pool, comparison: Some(comparison) } => {
                let (pooled, flips) = comparison.pool_counted(pool, &value, stage.output());
                (pooled, Some(flips))
            }
            Kind::Activation(Approximation::Rectifier { sign, bound }) => {
                let mut flips = Flips::default();
                for &x in &value {
                    flips.count(x, sign.evaluate(x / bound) * x < 0.0);
                }
                (stage.evaluate(&value)?, Some(flips))
            }
            _ => (stage.evaluate(&value)?, None),
        };
        if let (Some(counted), Some(flips)) = (counted.as_mut(), flips) {
            **counted = Some(counted.unwrap_or_default().merge(flips));
        }
        value = next;
    }
    Ok(value)
}

/// A layer of a hybrid program: its steps, and the step that ends it.
struct Part {
    steps: std::ops::Range<usize>,
    /// Of samples; the last layer's results are read from the output.
    end: Option<usize>,
}

/// The program's steps by stages, each of which ends with the table, or the polynomial, of its
/// activation.
fn parts(program: &Program, stages: &[Stage]) -> Option<Vec<Part>> {
    let ends = program.steps.iter().enumerate().filter(|(_, step)| match &step.operation {
        Operation::Lut { tables, .. } => {
            tables.first().is_some_and(|(_, table)| table.function != Function::Absolute)
        }
        Operation::Extract { .. } => true,
        _ => false,
    });
    let mut ends = ends.map(|(index, _)| index);
    let (mut start, mut parts) = (0, Vec::with_capacity(stages.len()));
    for stage in stages {
        let end = match &stage.activation {
            Some(_) => Some(ends.next()?),
            None => None,
        };
        let stop = end.map_or(program.steps.len(), |end| end + 1);
        parts.push(Part { steps: start..stop, end });
        start = stop;
    }
    (ends.next().is_none() && start == program.steps.len()).then_some(parts)
}

fn hybrid_layers(
    hybrid: &Hybrid,
    inputs: &Inputs,
    options: &Options,
) -> Result<Vec<Layer>, StudyError> {
    let stages = &hybrid.compiled.stages;
    let Some(parts) = parts(&hybrid.compiled.program, stages) else { return Ok(Vec::new()) };
    let plain = Model::from_graph(inputs.graph.clone())?;
    let plain = plain.simplified();
    let images = &inputs.images[..inputs.images.len().min(options.traced)];
    let batches: Vec<(usize, &[ArrayD<f64>])> = images.chunks(LANES).enumerate().collect();
    let sums = batches.into_par_iter().map(|(index, images)| {
        let values = images.iter().map(|image| plain.values(image));
        let values: Vec<Vec<Vec<f64>>> = values.collect::<Result<_, _>>()?;
        let seed = options.seed.wrapping_add((index * LANES) as u64);
        Ok(hybrid_batch(hybrid, &parts, images, &values, seed))
    });
    let sums: Vec<Vec<Sums>> = sums.collect::<Result<_, StudyError>>()?;
    let names = stages.iter().map(|stage| stage.name.clone()).collect();
    let layers = finish(names, sums);
    // a layer whose values do not all reach the result is not compared value by value
    Ok(layers.into_iter().filter(|layer| layer.values > 0).collect())
}

fn hybrid_batch(
    hybrid: &Hybrid,
    parts: &[Part],
    images: &[ArrayD<f64>],
    plain: &[Vec<Vec<f64>>],
    seed: u64,
) -> Vec<Sums> {
    let (flat, program) = (&hybrid.flat, &hybrid.compiled.program);
    let flattened: Vec<Vec<f64>> =
        images.iter().map(|image| image.iter().copied().collect()).collect();
    let images: Vec<&[f64]> = flattened.iter().map(Vec::as_slice).collect();
    let seeds: Vec<u64> = (0..images.len() as u64).map(|lane| seed.wrapping_add(lane)).collect();
    let clear = flat.run(&images);
    let noisy = flat.simulate(&images, &seeds, &|_| true);
    let results = |values: &crate::flat::Values, part: &Part, lane: usize| -> Vec<f64> {
        match part.end {
            Some(end) => {
                let amplitude = program.steps[end].amplitude;
                flat.made(values, end).iter().map(|lanes| lanes[lane] / amplitude).collect()
            }
            None => flat.results(values).swap_remove(lane),
        }
    };
    let layer = |(part, stage): (&Part, &Stage)| {
        let own = flat.simulate(&images, &seeds, &|step| part.steps.contains(&step));
        let mut sums =
            Sums { flips: flips(hybrid, part, [&clear, &noisy], images.len()), ..Sums::default() };
        for (lane, plain) in plain.iter().enumerate() {
            let expected = &plain[stage.result.index()];
            let found = results(&noisy, part, lane);
            if found.len() != expected.len() {
                continue;
            }
            sums.values = expected.len();
            sums.count += expected.len() as f64;
            sums.reference += expected.iter().map(|x| x * x).sum::<f64>();
            sums.total += squares(&found, expected);
            sums.added += squares(&results(&own, part, lane), &results(&clear, part, lane));
            sums.added += approximation(stage, &plain[stage.reading.index()], expected);
        }
        sums
    };
    parts.iter().zip(&hybrid.compiled.stages).map(layer).collect()
}

/// The squared error of a polynomial in the place of a stage's activation.
fn approximation(stage: &Stage, reading: &[f64], expected: &[f64]) -> f64 {
    let Some(activation) = stage.activation.as_ref().filter(|activation| activation.slots) else {
        return 0.0;
    };
    let Some(function) = activation.functions.first() else { return 0.0 };
    let found: Vec<f64> = reading.iter().map(|&x| function.evaluate(x)).collect();
    squares(&found, expected)
}

/// Comparisons of a layer's tables that noise has turned.
fn flips(
    hybrid: &Hybrid,
    part: &Part,
    [clear, noisy]: [&crate::flat::Values; 2],
    images: usize,
) -> Option<Flips> {
    let (flat, program) = (&hybrid.flat, &hybrid.compiled.program);
    let mut all = None;
    for step in &program.steps[part.steps.clone()] {
        let Operation::Lut { tables, .. } = &step.operation else { continue };
        let source = step.inputs.first().map(|register| register.0);
        let made = program.steps.iter().position(|step| Some(step.output.0) == source);
        let Some(made) = made else { continue };
        let (clear, noisy) = (flat.made(clear, made), flat.made(noisy, made));
        let each = tables.iter().flat_map(|(count, table)| std::iter::repeat_n(table, *count));
        let flips = all.get_or_insert_with(Flips::default);
        for ((exact, found), table) in clear.iter().zip(noisy).zip(each) {
            if compares(&table.function) {
                for lane in 0..images {
                    let turned = exact[lane] * found[lane] < 0.0;
                    flips.count(exact[lane] / table.input, turned);
                }
            }
        }
    }
    all
}
