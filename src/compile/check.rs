//! Whether a program fits together: that every step finds what it reads.
//!
//! A program that was lowered does. One that comes from elsewhere is checked before it runs, so that
//! nothing that it says can make the executor fail or take memory without bound.

use super::program::{LinearOutput, Term};
use super::{
    Function, LinearMap, Operation, PhaseFunction, Place, Placement, Program, Register, Step, Table,
};
use crate::input::MOST_CIPHERTEXTS;
use bellerophon_bridge as bridge;

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    /// So many ciphertexts of the ring.
    Ring(usize),
    /// So many samples for a table key.
    Switched(usize, usize),
    /// So many samples from a table.
    Samples(usize),
}

impl<W, B> Program<LinearMap<W, B>> {
    /// Checks that the steps fit together and the parameters: registers hold what is read from them,
    /// places exist, tables are functions of finite numbers. Weights and biases of linear layers are
    /// not looked at.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn fits(&self, parameters: &bridge::Parameters) -> Result<(), String> {
        let check = Check { dimension: parameters.ring().dimension(), parameters };
        require(positive(self.input_amplitude), || "the input has no amplitude".to_owned())?;
        check.placements(&self.input, self.input_elements, MOST_CIPHERTEXTS)?;
        let mut registers = vec![Held::Ring(self.input_ciphertexts())];
        for (index, step) in self.steps.iter().enumerate() {
            let held = check.step(step, &registers, self.slots.is_some());
            registers.push(held.map_err(|reason| format!("step {index}: {reason}"))?);
        }
        match registers.last() {
            Some(Held::Ring(count)) => check.places(&self.output, *count),
            _ => Err("the program ends without an output".to_owned()),
        }
    }
}

fn require(holds: bool, reason: impl Fn() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason()) }
}

fn positive(amplitude: f64) -> bool {
    amplitude.is_finite() && amplitude > 0.0
}

struct Check<'a> {
    dimension: usize,
    parameters: &'a bridge::Parameters,
}

impl Check<'_> {
    /// What the step makes of what the registers before it hold.
    fn step<W, B>(
        &self,
        step: &Step<LinearMap<W, B>>,
        registers: &[Held],
        slots: bool,
    ) -> Result<Held, String> {
        require(step.output == Register(registers.len()), || {
            format!("it writes register {}", step.output.0)
        })?;
        require(positive(step.amplitude), || "it has no amplitude".to_owned())?;
        let held = |register: &Register| registers.get(register.0).copied();
        let inputs: Option<Vec<Held>> = step.inputs.iter().map(held).collect();
        let inputs = inputs.ok_or("it reads a register that nothing was written to")?;
        match (&step.operation, inputs.as_slice()) {
            (Operation::Linear(map), inputs) => self.linear(map, inputs),
            (Operation::Combine(map), inputs) => {
                map.outputs.iter().try_for_each(|output| self.weights(output))?;
                self.linear(map, inputs)
            }
            (Operation::ToLwe { places, key }, [Held::Ring(count)]) => {
                self.key(*key)?;
                self.places(places, *count)?;
                Ok(Held::Switched(places.len(), *key))
            }
            (Operation::Lut { tables, key }, [Held::Switched(count, switched)]) => {
                require(key == switched, || format!("samples for key {switched}, not {key}"))?;
                self.tables(tables, *count)?;
                Ok(Held::Samples(*count))
            }
            (Operation::ToCkks { placements, ciphertexts, .. }, [Held::Samples(samples)]) => {
                require(*ciphertexts <= MOST_CIPHERTEXTS, || format!("{ciphertexts} ciphertexts"))?;
                self.placements(placements, *samples, *ciphertexts)?;
                Ok(Held::Ring(*ciphertexts))
            }
            (Operation::Add, [Held::Ring(left), Held::Ring(right)]) if left == right => {
                Ok(Held::Ring(*left))
            }
            (Operation::Slots(function), [Held::Ring(count)]) if slots => {
                self.function(function)?;
                Ok(Held::Ring(*count))
            }
            (Operation::Extract { places }, [Held::Ring(count)]) => {
                self.places(places, *count)?;
                Ok(Held::Samples(places.len()))
            }
            _ => Err("it reads registers that do not hold what it needs".to_owned()),
        }
    }

    fn linear<W, B>(&self, map: &LinearMap<W, B>, inputs: &[Held]) -> Result<Held, String> {
        let count = map.outputs.len();
        require(count <= MOST_CIPHERTEXTS, || format!("it makes {count} ciphertexts"))?;
        for output in &map.outputs {
            require(!output.terms.is_empty(), || "an output is a sum of nothing".to_owned())?;
            output.terms.iter().try_for_each(|term| check_term(term, inputs))?;
            self.coefficients(output.coefficients.iter().copied())?;
        }
        Ok(Held::Ring(count))
    }

    /// Weights and biases that are not encrypted.
    fn weights(&self, output: &LinearOutput) -> Result<(), String> {
        let [found, expected] = [output.biases.len(), output.coefficients.len()];
        require(found == expected, || format!("{found} biases for {expected} values"))?;
        require(output.biases.iter().all(|bias| bias.abs() <= 1.0), || {
            "a bias is more than a turn".to_owned()
        })?;
        let weights = output.terms.iter().flat_map(|term| &term.weights);
        let exponents = weights.map(|(exponent, _)| *exponent);
        let outside = exponents.max().filter(|most| *most >= 2 * self.dimension);
        outside.map_or(Ok(()), |exponent| Err(format!("X^{exponent} is outside the ring")))
    }

    fn key(&self, key: usize) -> Result<(), String> {
        self.parameters.bootstrap(key).map(drop).map_err(|error| error.to_string())
    }

    fn coefficients(&self, coefficients: impl Iterator<Item = usize>) -> Result<(), String> {
        let outside = coefficients.max().filter(|most| *most >= self.dimension);
        outside.map_or(Ok(()), |coefficient| {
            let dimension = self.dimension;
            Err(format!("coefficient {coefficient} is outside the ring of dimension {dimension}"))
        })
    }

    fn places(&self, places: &[Place], ciphertexts: usize) -> Result<(), String> {
        let outside = places.iter().find(|place| place.ciphertext >= ciphertexts);
        if let Some(place) = outside {
            return Err(format!("ciphertext {} of {ciphertexts} is read", place.ciphertext));
        }
        self.coefficients(places.iter().map(|place| place.coefficient))
    }

    fn placements(
        &self,
        placements: &[Placement],
        elements: usize,
        ciphertexts: usize,
    ) -> Result<(), String> {
        let missing = placements.iter().find(|placement| placement.element >= elements);
        if let Some(placement) = missing {
            return Err(format!("element {} does not exist", placement.element));
        }
        let places: Vec<Place> = placements.iter().map(|placement| placement.place).collect();
        self.places(&places, ciphertexts)?;
        let mut sorted = places;
        sorted.sort_unstable();
        let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]);
        twice.map_or(Ok(()), |pair| Err(format!("{:?} is written twice", pair[0])))
    }

    fn tables(&self, tables: &[(usize, Table)], samples: usize) -> Result<(), String> {
        let counted = tables.iter().try_fold(0usize, |sum, (count, _)| sum.checked_add(*count));
        require(counted == Some(samples), || format!("tables are not for {samples} samples"))?;
        tables.iter().try_for_each(|(_, table)| check_table(table))
    }

    fn function(&self, function: &PhaseFunction) -> Result<(), String> {
        let PhaseFunction { width, tolerance, deviation, .. } = function;
        let fits = (0.0..0.25).contains(width) && positive(*tolerance) && deviation.is_finite();
        require(fits, || format!("a polynomial up to {width} turns to within {tolerance}"))
    }
}

fn check_term<W>(term: &Term<W>, inputs: &[Held]) -> Result<(), String> {
    let Term { register, ciphertext, .. } = *term;
    match inputs.get(register) {
        Some(Held::Ring(count)) if ciphertext < *count => Ok(()),
        _ => Err(format!("a term reads ciphertext {ciphertext} of input {register}")),
    }
}

fn check_table(table: &Table) -> Result<(), String> {
    let Table { function, start, input, output } = table;
    let finite = match function {
        Function::Polynomial(coefficients) => coefficients.iter().all(|c| c.is_finite()),
        _ => true,
    };
    let fits = positive(*input) && positive(*output) && start.abs() <= 1.0 && finite;
    require(fits, || format!("a table from {start} turns on, {input} to {output} turns per unit"))
}
