//! `show`: the steps of a program.

use super::forecast::{Forecast, Parameters};
use super::{Failure, files, stages};
use bellerophon::compile::{LinearMap, Operation, Program, Step, Table};
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::path::PathBuf;

/// Prints a program, step by step
#[derive(Debug, Args)]
pub struct Arguments {
    /// The program file
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
}

/// A program as it is printed.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub program: PathBuf,
    pub input_elements: usize,
    pub input_ciphertexts: usize,
    pub outputs: usize,
    pub forecast: Forecast,
    pub parameters: Parameters,
    /// The printed form, line by line.
    pub lines: Vec<String>,
}

/// Reads the program.
pub fn run(arguments: &Arguments) -> Result<Shown, Failure> {
    let (program, parameters) = files::program(&arguments.program)?;
    Ok(Shown {
        program: arguments.program.clone(),
        input_elements: program.input_elements,
        input_ciphertexts: program.input_ciphertexts(),
        outputs: program.output.len(),
        forecast: Forecast::new(&program, &parameters),
        parameters: Parameters::new(&parameters),
        lines: lines(&program, &Parameters::new(&parameters))?,
    })
}

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "forecast    {}", self.forecast)
    }
}

/// The printed form of a program: two that print alike are the same but for a collision of
/// fingerprints.
pub fn lines(program: &Program, parameters: &Parameters) -> Result<Vec<String>, Failure> {
    let mut lines: Vec<String> = parameters.to_string().lines().map(str::to_owned).collect();
    if let Some(slots) = &program.slots {
        lines.push(format!("slots       {slots:?}"));
    }
    lines.push(format!(
        "input       {} values in {} ciphertexts at {:e} turns per unit, places {}",
        program.input_elements,
        program.input_ciphertexts(),
        program.input_amplitude,
        fingerprint(&program.input)?
    ));
    for (index, step) in program.steps.iter().enumerate() {
        lines.push(line(index, step)?);
    }
    let (outputs, places) = (program.output.len(), fingerprint(&program.output)?);
    lines.push(format!("output      {outputs} values, places {places}"));
    Ok(lines)
}

fn line(index: usize, step: &Step) -> Result<String, Failure> {
    let inputs: Vec<String> =
        step.inputs.iter().map(|register| format!("r{}", register.0)).collect();
    let mut line = format!("{index:>4} {}: r{} = ", step.stage, step.output.0);
    let detail = match &step.operation {
        Operation::Linear(map) | Operation::Combine(map) => linear(map),
        Operation::ToLwe { places, key } => {
            format!("to_lwe({}) of {} samples for key {key}", inputs.join(", "), places.len())
        }
        Operation::Lut { tables, key } => {
            let tables: Vec<String> = tables.iter().map(|(count, t)| table(*count, t)).collect();
            format!("look_up({}) with key {key}: {}", inputs.join(", "), shortened(&tables))
        }
        Operation::ToCkks { placements, ciphertexts, zeroed } => {
            let rest = if *zeroed { "zeros" } else { "junk" };
            let count = placements.len();
            format!(
                "to_ckks({}) to {count} places of {ciphertexts} ciphertexts, {rest} between",
                inputs.join(", ")
            )
        }
        Operation::Add => format!("add({})", inputs.join(", ")),
        Operation::Slots(function) => {
            let (degree, width) = (function.polynomial.degree(), function.width);
            format!("slots({}): degree {degree} up to {width} turns", inputs.join(", "))
        }
        Operation::Extract { places } => {
            format!("extract({}) of {} samples", inputs.join(", "), places.len())
        }
    };
    match &step.operation {
        Operation::Linear(_) => write!(line, "linear({}) ", inputs.join(", "))?,
        Operation::Combine(_) => write!(line, "combine({}) ", inputs.join(", "))?,
        _ => {}
    }
    let bootstrappings = stages::bootstrappings(step);
    write!(line, "{detail}; {:e} turns per unit", step.amplitude)?;
    if bootstrappings > 0 {
        write!(line, ", {bootstrappings} bootstrappings")?;
    }
    write!(line, " [{}]", fingerprint(&step.operation)?)?;
    Ok(line)
}

fn linear(map: &LinearMap) -> String {
    let terms = map.outputs.iter().flat_map(|output| &output.terms);
    let weights: usize = terms.clone().map(|term| term.weights.len()).sum();
    let values: usize = map.outputs.iter().map(|output| output.coefficients.len()).sum();
    format!(
        "to {values} values in {} ciphertexts by {} products of {weights} weights",
        map.outputs.len(),
        terms.count()
    )
}

fn table(count: usize, table: &Table) -> String {
    format!(
        "{count} through {:?} from {:.6} turns on, {:e} to {:e} turns per unit",
        table.function, table.start, table.input, table.output
    )
}

/// The first of a list and how many follow.
fn shortened(items: &[String]) -> String {
    match items {
        [] => "no table".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first}, and {} more tables", rest.len()),
    }
}

/// A name for content, from its JSON (FNV-1a, 64 bits): against mistakes, not against forgery.
fn fingerprint(content: &impl Serialize) -> Result<String, Failure> {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    serde_json::to_writer(&mut hash, content)?;
    Ok(format!("{:016x}", hash.0))
}

struct Fnv(u64);

impl Write for Fnv {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, step);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published test values of FNV-1a.
    #[test]
    fn fingerprints_are_fnv() {
        for (text, expected) in [("", 0xcbf2_9ce4_8422_2325u64), ("a", 0xaf63_dc4c_8601_ec8c)] {
            let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
            hash.write_all(text.as_bytes()).unwrap();
            assert_eq!(hash.0, expected, "{text}");
        }
    }
}
