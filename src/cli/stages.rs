//! What each stage of a compiled model is and costs.

use super::output::Table;
use bellerophon::compile::{Calibration, Compiled, LinearMap, Operation, Stage, Step};
use serde::Serialize;
use std::collections::BTreeSet;

/// One stage of a plan.
#[derive(Debug, Serialize)]
pub struct Planned {
    pub name: String,
    pub pools: Vec<String>,
    pub activation: Option<String>,
    /// What evaluates it.
    pub scheme: &'static str,
    /// Channels, rows and columns of the linear form, and behind the pools.
    pub dimensions: [[usize; 3]; 2],
    pub input_ciphertexts: usize,
    pub output_ciphertexts: usize,
    pub bootstrappings: usize,
    /// What the activation reads, over the calibration's images.
    pub range: Option<[f64; 2]>,
    /// The width of the table's window over that of the range.
    pub margin: f64,
    /// Predicted standard deviation of what the activation reads, over the width of the range.
    pub relative_noise: f64,
    /// The part of its variance that rounded weights make.
    pub rounding: f64,
    /// The probability that an image's values leave the window.
    pub overflow_probability: f64,
    pub seconds: f64,
}

/// The stages of a compiled model.
pub fn planned(compiled: &Compiled, calibration: Option<&Calibration>) -> Vec<Planned> {
    let lengths = lengths(&compiled.stages, &compiled.program.steps);
    let mut begin = 0;
    let stages = compiled.stages.iter().zip(&compiled.errors).zip(lengths).enumerate();
    let stage = |(index, ((stage, error), length)): (usize, _)| {
        let (stage, error): (&Stage, &bellerophon::compile::noise::StageError) = (stage, error);
        let steps = begin..begin + length;
        begin += length;
        let seen = calibration.and_then(|calibration| calibration.stages.get(index));
        let range = seen.map(|seen| [seen.reading.min, seen.reading.max]);
        let seconds = compiled.seconds.get(steps.clone()).unwrap_or_default().iter().sum();
        let steps = compiled.program.steps.get(steps).unwrap_or_default();
        let [inputs, outputs] = ciphertexts(steps);
        Planned {
            name: stage.name.clone(),
            pools: stage.pools.iter().map(|pool| pool.name.clone()).collect(),
            activation: stage.activation.as_ref().map(|activation| activation.name.clone()),
            scheme: scheme(steps),
            dimensions: [stage.affine.dims, stage.pooled_dims()],
            input_ciphertexts: inputs,
            output_ciphertexts: outputs,
            bootstrappings: steps.iter().map(bootstrappings).sum(),
            range,
            margin: error.margin,
            relative_noise: error.relative,
            rounding: error.rounding,
            overflow_probability: error.overflow,
            seconds,
        }
    };
    stages.map(stage).collect()
}

/// The number of steps of each stage: one with an activation ends with the samples of that, the last
/// with the program.
fn lengths(stages: &[Stage], steps: &[Step]) -> Vec<usize> {
    let mut lengths = Vec::with_capacity(stages.len());
    let mut begin = 0;
    for (index, stage) in stages.iter().enumerate() {
        let rest = steps.get(begin..).unwrap_or_default();
        let name = stage.activation.as_ref().map(|activation| &activation.name);
        let ends = |step: &Step| {
            let makes_samples =
                matches!(step.operation, Operation::Lut { .. } | Operation::Extract { .. });
            makes_samples && Some(&step.stage) == name
        };
        let end = match index + 1 == stages.len() {
            true => None,
            false => rest.iter().position(ends),
        };
        let length = end.map_or(rest.len(), |end| end + 1);
        lengths.push(length);
        begin += length;
    }
    lengths
}

/// The ciphertexts that the linear form reads and makes.
fn ciphertexts(steps: &[Step]) -> [usize; 2] {
    let linear = steps.iter().find_map(|step| match &step.operation {
        Operation::Linear(map) => Some((step, map)),
        _ => None,
    });
    let read = |(step, map): (&Step, &LinearMap)| {
        let terms = map.outputs.iter().flat_map(|output| &output.terms);
        let sources =
            terms.map(|term| (step.inputs.get(term.register).map(|r| r.0), term.ciphertext));
        sources.collect::<BTreeSet<_>>().len()
    };
    linear.map_or([0; 2], |(step, map)| [read((step, map)), map.outputs.len()])
}

fn scheme(steps: &[Step]) -> &'static str {
    let any = |of: fn(&Operation) -> bool| steps.iter().any(|step| of(&step.operation));
    let tables = any(|operation| matches!(operation, Operation::Lut { .. }));
    let slots = any(|operation| matches!(operation, Operation::Slots(_)));
    match (tables, slots) {
        (true, true) => "CKKS, TFHE, slots",
        (true, false) => "CKKS, TFHE",
        (false, true) => "CKKS, slots",
        (false, false) => "CKKS",
    }
}

/// Samples that a step takes to a table.
pub fn bootstrappings(step: &Step) -> usize {
    match &step.operation {
        Operation::ToLwe { places, .. } => places.len(),
        _ => 0,
    }
}

/// Stages as lines.
pub fn table(stages: &[Planned]) -> Table {
    let headings = [
        "stage",
        "scheme",
        "form",
        "pooled",
        "ciphertexts",
        "tables",
        "range",
        "margin",
        "noise",
        "overflow",
        "seconds",
    ];
    let mut table = Table::new(&headings);
    for stage in stages {
        let [form, pooled] = stage.dimensions.map(|[c, h, w]| format!("{c}x{h}x{w}"));
        let range = stage.range.map(|[low, high]| format!("{low:.3} to {high:.3}"));
        let name = match &stage.activation {
            Some(activation) => format!("{} > {activation}", stage.name),
            None => stage.name.clone(),
        };
        table.push(vec![
            name,
            stage.scheme.to_owned(),
            form,
            if stage.pools.is_empty() { "-".to_owned() } else { pooled },
            format!("{} > {}", stage.input_ciphertexts, stage.output_ciphertexts),
            stage.bootstrappings.to_string(),
            range.unwrap_or_else(|| "-".to_owned()),
            format!("{:.3}", stage.margin),
            format!("{:.3} %", 100.0 * stage.relative_noise),
            format!("{:.1e}", stage.overflow_probability),
            format!("{:.3}", stage.seconds),
        ]);
    }
    table
}
