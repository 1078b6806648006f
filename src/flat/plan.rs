//! From steps that say what each value reads to the flat list: backwards, which values matter; then
//! forwards, where they are.

use super::{Flat, FlatError, Function, Noise, Operation, Reading, Rows, Selection, Step};

/// What one value is: a sum of values of a register, by their numbers in it.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The register, the number in it, and the weight.
    pub entries: Vec<(usize, usize, f64)>,
    pub bias: f64,
}

impl Row {
    /// A copy of one value.
    pub fn copy(register: usize, number: usize) -> Self {
        Self { entries: vec![(register, number, 1.0)], bias: 0.0 }
    }

    /// A value without sources.
    pub fn constant(bias: f64) -> Self {
        Self { entries: Vec::new(), bias }
    }
}

type OfNumber<'a, T> = Box<dyn Fn(usize) -> T + 'a>;

pub(super) enum PlannedOperation<'a> {
    /// The sum that the value of this number is.
    Rows(OfNumber<'a, Row>),
    /// A function of the value of the same number of a register; runs of numbers share one, the
    /// first argument is the number of the run that a value belongs to.
    Apply { register: usize, run: OfNumber<'a, usize>, functions: Vec<Function> },
    /// The larger of the values of the same number of two registers.
    Select([usize; 2], Selection),
}

/// A step as it is followed: it makes one register.
pub(super) struct Planned<'a> {
    /// The program's step that it comes from.
    pub origin: usize,
    pub register: usize,
    pub operation: PlannedOperation<'a>,
    /// The standard deviation of what is added to the value of this number.
    pub noise: OfNumber<'a, f64>,
}

/// Where the elements of the input are, and where the results.
pub(super) struct Ends<'a> {
    /// The element that a value of register 0 holds, and what it is multiplied by.
    pub input: OfNumber<'a, (Option<usize>, f64)>,
    pub input_noise: f64,
    /// Registers, numbers, factors and offsets of the results.
    pub output: Vec<(usize, usize, f64, f64)>,
    pub turns: bool,
}

/// Which numbers of a register matter, and where their values are in the list.
#[derive(Clone, Debug, Default)]
struct Live {
    numbers: Vec<bool>,
    places: Vec<u32>,
}

impl Live {
    fn mark(&mut self, number: usize) {
        if self.numbers.len() <= number {
            self.numbers.resize(number + 1, false);
        }
        self.numbers[number] = true;
    }

    fn numbers(&self) -> Vec<usize> {
        (0..self.numbers.len()).filter(|&number| self.numbers[number]).collect()
    }

    /// Gives the values places from `start` on.
    fn place(&mut self, start: usize) -> Result<std::ops::Range<usize>, FlatError> {
        self.places = vec![u32::MAX; self.numbers.len()];
        let numbers = self.numbers();
        for (index, number) in numbers.iter().enumerate() {
            let place = u32::try_from(start + index).map_err(|_| FlatError::TooLarge)?;
            self.places[*number] = place;
        }
        Ok(start..start + numbers.len())
    }
}

/// Follows the steps. Registers are numbered from 0, the input, in the order of the steps.
pub(super) fn flatten(ends: &Ends<'_>, planned: &[Planned<'_>]) -> Result<Flat, FlatError> {
    let registers = planned.iter().map(|step| step.register + 1).max().unwrap_or(1);
    let mut live = vec![Live::default(); registers];
    let missing = |step: usize| FlatError::Dangling { step };
    for &(register, number, ..) in &ends.output {
        live.get_mut(register).ok_or(missing(planned.len()))?.mark(number);
    }
    for step in planned.iter().rev() {
        for (register, number) in reads(step, &live[step.register].numbers()) {
            live.get_mut(register).ok_or(missing(step.origin))?.mark(number);
        }
    }
    let input = live[0].place(0)?;
    let mut flat = Flat {
        input: live[0].numbers().into_iter().map(&ends.input).collect(),
        input_noise: ends.input_noise,
        steps: Vec::with_capacity(planned.len()),
        values: input.end,
        output: Vec::new(),
        turns: ends.turns,
    };
    for step in planned {
        let target = live[step.register].place(flat.values)?;
        flat.values = target.end;
        flat.steps.push(emit(step, target, &live).ok_or(missing(step.origin))?);
    }
    for &(register, number, factor, offset) in &ends.output {
        let place = place(&live, register, number).ok_or(missing(planned.len()))? as usize;
        flat.output.push(Reading { place, factor, offset });
    }
    Ok(flat)
}

/// Registers and numbers that the values of these numbers read.
fn reads(step: &Planned<'_>, numbers: &[usize]) -> Vec<(usize, usize)> {
    match &step.operation {
        PlannedOperation::Rows(row) => {
            let entries = numbers.iter().flat_map(|&number| row(number).entries);
            entries.map(|(register, number, _)| (register, number)).collect()
        }
        PlannedOperation::Apply { register, .. } => {
            numbers.iter().map(|&number| (*register, number)).collect()
        }
        PlannedOperation::Select(registers, _) => {
            let both = |&number: &usize| registers.map(|register| (register, number));
            numbers.iter().flat_map(both).collect()
        }
    }
}

fn place(live: &[Live], register: usize, number: usize) -> Option<u32> {
    let place = live.get(register)?.places.get(number).copied();
    place.filter(|&place| place != u32::MAX)
}

fn emit(step: &Planned<'_>, target: std::ops::Range<usize>, live: &[Live]) -> Option<Step> {
    let numbers = live[step.register].numbers();
    let operation = match &step.operation {
        PlannedOperation::Rows(row) => Operation::Rows(rows(&numbers, row, live)?),
        PlannedOperation::Apply { register, run, functions } => {
            let runs: Vec<usize> = numbers.iter().map(|&number| run(number)).collect();
            let runs = runs.chunk_by(|a, b| a == b);
            let functions = runs.map(|run| Some((run.len(), functions.get(run[0])?.clone())));
            let places = numbers.iter().map(|&number| place(live, *register, number));
            Operation::Apply(places.collect::<Option<_>>()?, functions.collect::<Option<_>>()?)
        }
        PlannedOperation::Select([first, second], selection) => {
            let pair = |&number: &usize| {
                Some([place(live, *first, number)?, place(live, *second, number)?])
            };
            let pairs = numbers.iter().map(pair).collect::<Option<_>>()?;
            Operation::Select(pairs, selection.clone())
        }
    };
    let deviations: Vec<f64> = numbers.iter().map(|&number| (step.noise)(number)).collect();
    let noise = match deviations.first() {
        Some(&first) if deviations.iter().all(|deviation| *deviation == first) => match first {
            0.0 => Noise::None,
            _ => Noise::All(first),
        },
        Some(_) => Noise::Each(deviations),
        None => Noise::None,
    };
    Some(Step { origin: step.origin, target, operation, noise })
}

fn rows(numbers: &[usize], row: &dyn Fn(usize) -> Row, live: &[Live]) -> Option<Rows> {
    let mut rows = Rows { starts: vec![0], entries: Vec::new(), biases: Vec::new() };
    for &number in numbers {
        let Row { entries, bias } = row(number);
        for (register, number, weight) in entries {
            rows.entries.push((place(live, register, number)?, weight));
        }
        rows.starts.push(u32::try_from(rows.entries.len()).ok()?);
        rows.biases.push(bias);
    }
    Some(rows)
}
