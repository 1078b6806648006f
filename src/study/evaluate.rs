//! One row on all images.

use super::cell::{Cell, LogitErrors, Range, class};
use super::layers::layers;
use super::network::{Hybrid, Network, Prepared, prepare};
use super::rows::{Kind, Row};
use super::{Inputs, Options, StudyError};
use crate::compile::{Function, Operation, Program};
use crate::flat::{Flat, LANES};
use crate::polynomial::network::Kind as Layer;
use crate::polynomial::{Approximation, PolynomialNetwork};
use ndarray::ArrayD;
use rayon::prelude::*;

/// What an activation read on one image.
#[derive(Clone, Copy, Debug)]
struct Seen {
    least: f64,
    most: f64,
    values: u64,
    outside: u64,
}

/// One image: in the clear and in simulation.
struct Outcome {
    clear: Vec<f64>,
    simulated: Option<Vec<f64>>,
    seen: Vec<Seen>,
}

/// An activation's layer and what it holds for.
type Window = (String, [f64; 2]);

/// Evaluates a row; `advance` is told of images.
pub(super) fn evaluate(
    row: &Row,
    inputs: &Inputs,
    options: &Options,
    advance: &(dyn Fn(usize) + Sync),
) -> Result<Cell, StudyError> {
    let Prepared { network, costs, refusal, note } = prepare(row, inputs, options)?;
    let Some(network) = network else {
        advance(inputs.images.len());
        return Ok(Cell { refusal, note, ..Cell::default() });
    };
    let windows = windows(&network);
    let batches: Vec<usize> = (0..inputs.images.len()).step_by(LANES).collect();
    let outcomes = batches.into_par_iter().map(|first| {
        let last = (first + LANES).min(inputs.images.len());
        let outcomes = batch(&network, &windows, inputs, first..last, options.seed);
        advance(last - first);
        outcomes
    });
    let outcomes: Vec<Vec<Outcome>> = outcomes.collect::<Result<_, StudyError>>()?;
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    let own = matches!(row.kind, Kind::Trained { .. });
    let pairs = outcomes.iter().enumerate().map(|(index, outcome)| {
        let reference = if own { &outcome.clear } else { &inputs.plain[index] };
        (outcome.simulated.as_ref().unwrap_or(&outcome.clear).as_slice(), reference.as_slice())
    });
    let simulated = outcomes.iter().map(|outcome| outcome.simulated.as_deref().map(class));
    Ok(Cell {
        clear: outcomes.iter().map(|outcome| class(&outcome.clear)).collect(),
        errors: LogitErrors::of(pairs),
        simulated: simulated.collect(),
        ranges: ranges(&windows, &outcomes),
        layers: if own { Vec::new() } else { layers(&network, inputs, options)? },
        refusal,
        note,
        costs,
    })
}

fn batch(
    network: &Network,
    windows: &[Window],
    inputs: &Inputs,
    range: std::ops::Range<usize>,
    seed: u64,
) -> Result<Vec<Outcome>, StudyError> {
    let seeds: Vec<u64> = range.clone().map(|index| seed.wrapping_add(index as u64)).collect();
    let images = &inputs.images[range.clone()];
    let simulated = match network {
        Network::Plain => None,
        Network::Hybrid(hybrid) => Some(simulate(&hybrid.flat, images, &seeds)),
        Network::Slots(_, program) => {
            program.as_ref().map(|program| simulate(&program.flat, images, &seeds))
        }
        Network::ClientAided(aided) => {
            let pairs = images.iter().zip(&seeds);
            let runs = pairs.map(|(image, &seed)| aided.simulate(inputs, image, seed));
            Some(runs.collect::<Result<_, _>>()?)
        }
    };
    let mut simulated = simulated.map(Vec::into_iter);
    images
        .iter()
        .zip(range)
        .map(|(image, index)| {
            let (clear, seen) = match network {
                Network::Plain | Network::ClientAided(_) => {
                    (inputs.plain[index].clone(), Vec::new())
                }
                Network::Hybrid(hybrid) => hybrid_clear(hybrid, windows, image)?,
                Network::Slots(network, _) => slots_clear(network, windows, image)?,
            };
            Ok(Outcome { clear, seen, simulated: simulated.as_mut().and_then(Iterator::next) })
        })
        .collect()
}

fn simulate(flat: &Flat, images: &[ArrayD<f64>], seeds: &[u64]) -> Vec<Vec<f64>> {
    let images: Vec<Vec<f64>> =
        images.iter().map(|image| image.iter().copied().collect()).collect();
    let images: Vec<&[f64]> = images.iter().map(Vec::as_slice).collect();
    flat.results(&flat.simulate(&images, seeds, &|_| true))
}

fn look(values: &[f64], [lowest, highest]: [f64; 2]) -> Seen {
    let mut seen =
        Seen { least: f64::MAX, most: f64::MIN, values: values.len() as u64, outside: 0 };
    for &value in values {
        seen.least = seen.least.min(value);
        seen.most = seen.most.max(value);
        seen.outside += u64::from(!(lowest..=highest).contains(&value));
    }
    seen
}

fn hybrid_clear(
    hybrid: &Hybrid,
    windows: &[Window],
    image: &ArrayD<f64>,
) -> Result<(Vec<f64>, Vec<Seen>), StudyError> {
    let graph = hybrid.model.simplified();
    let mut values = graph.values(image)?;
    let stages = hybrid.compiled.stages.iter().filter(|stage| stage.activation.is_some());
    let seen = stages
        .zip(windows)
        .map(|(stage, (_, interval))| look(&values[stage.reading.index()], *interval));
    let seen = seen.collect();
    Ok((values.swap_remove(graph.output().index()), seen))
}

fn slots_clear(
    network: &PolynomialNetwork,
    windows: &[Window],
    image: &ArrayD<f64>,
) -> Result<(Vec<f64>, Vec<Seen>), StudyError> {
    let (mut value, mut seen) = (image.clone(), Vec::with_capacity(windows.len()));
    for stage in network.stages() {
        if let (Layer::Activation(_), Some((_, interval))) = (stage.kind(), windows.get(seen.len()))
        {
            let values: Vec<f64> = value.iter().copied().collect();
            seen.push(look(&values, *interval));
        }
        value = stage.evaluate(&value)?;
    }
    Ok((value.into_iter().collect(), seen))
}

/// What each activation holds for, in order.
fn windows(network: &Network) -> Vec<Window> {
    match network {
        Network::Plain | Network::ClientAided(_) => Vec::new(),
        Network::Hybrid(hybrid) => {
            let names = hybrid.compiled.stages.iter().filter_map(|stage| {
                stage.activation.as_ref().map(|activation| activation.name.clone())
            });
            names.zip(program_windows(&hybrid.compiled.program)).collect()
        }
        Network::Slots(network, _) => {
            let window = |stage: &crate::polynomial::network::Stage| match stage.kind() {
                Layer::Activation(Approximation::Polynomial(polynomial)) => {
                    Some((stage.name().to_owned(), polynomial.interval()))
                }
                Layer::Activation(Approximation::Rectifier { bound, .. }) => {
                    Some((stage.name().to_owned(), [-bound, *bound]))
                }
                _ => None,
            };
            network.stages().iter().filter_map(window).collect()
        }
    }
}

/// The windows of a program's activations, in the network's units.
fn program_windows(program: &Program) -> Vec<[f64; 2]> {
    let amplitude = |register: usize| {
        let made = program.steps.iter().find(|step| step.output.0 == register);
        made.map_or(program.input_amplitude, |step| step.amplitude)
    };
    let window = |step: &crate::compile::Step| match &step.operation {
        Operation::Slots(function) => {
            let width = function.width / amplitude(step.inputs.first()?.0);
            Some([-width, width])
        }
        Operation::Lut { tables, .. } => match tables.first()? {
            (_, table) if table.function == Function::Absolute => None,
            (_, table) => Some([table.start / table.input, (table.start + 0.5) / table.input]),
        },
        _ => None,
    };
    program.steps.iter().filter_map(window).collect()
}

fn ranges(windows: &[Window], outcomes: &[Outcome]) -> Vec<Range> {
    let range = |(index, (layer, interval)): (usize, &Window)| {
        let mut range = Range {
            layer: layer.clone(),
            interval: *interval,
            seen: [f64::MAX, f64::MIN],
            ..Range::default()
        };
        for seen in outcomes.iter().filter_map(|outcome| outcome.seen.get(index)) {
            range.seen = [range.seen[0].min(seen.least), range.seen[1].max(seen.most)];
            range.values += seen.values;
            range.outside += seen.outside;
            range.images += u64::from(seen.outside > 0);
        }
        range
    };
    windows.iter().enumerate().map(range).collect()
}
