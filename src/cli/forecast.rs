//! What a program is predicted to cost, and the parameters that it runs under.

use super::{costs, output};
use bellerophon::compile::{Costs, Program};
use bellerophon_bridge as bridge;
use serde::Serialize;
use std::fmt::{self, Display};

/// Predicted costs of one image.
#[derive(Debug, Serialize)]
pub struct Forecast {
    /// On `threads` threads.
    pub seconds: f64,
    pub threads: usize,
    pub memory_bytes: f64,
    /// Of the bootstrapping keys in memory.
    pub key_bytes: f64,
    pub bootstrappings: usize,
    /// The machine that costs were measured on.
    pub machine: String,
}

impl Forecast {
    /// Of a program under its parameters.
    pub fn new(program: &Program, parameters: &bridge::Parameters) -> Self {
        let costs = costs();
        Self {
            seconds: costs.steps(program, parameters).iter().sum(),
            memory_bytes: Costs::memory(program, parameters),
            key_bytes: bellerophon::compile::cost::key_bytes(parameters),
            bootstrappings: program.bootstraps(),
            threads: costs.threads,
            machine: costs.machine,
        }
    }
}

impl Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} s per image on {} threads ({}), {} of memory, {} of bootstrapping keys, \
             {} bootstrappings",
            self.seconds,
            self.threads,
            self.machine,
            output::bytes(self.memory_bytes),
            output::bytes(self.key_bytes),
            self.bootstrappings
        )
    }
}

/// The parameters in words, and what they are worth.
#[derive(Debug, Serialize)]
pub struct Parameters {
    #[serde(flatten)]
    pub literal: bridge::ParametersLiteral,
    /// Of the ring's ciphertexts and of every bootstrapping key, the least.
    pub security_bits: u32,
}

impl Parameters {
    /// Of a checked set.
    pub fn new(parameters: &bridge::Parameters) -> Self {
        let instances = parameters.bootstraps().iter().map(|key| key.instance());
        let bits = std::iter::once(parameters.rlwe().instance()).chain(instances);
        let bits = bits.map(|instance| instance.estimate().bits).min();
        Self { literal: parameters.literal().clone(), security_bits: bits.unwrap_or(0) }
    }
}

impl Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let literal = &self.literal;
        writeln!(
            f,
            "parameters  n = {}, N = {}, q < 2^{}, {:?} assumptions, gadgets {}^{} down and {}^{} up",
            literal.lwe_dimension,
            1u64.checked_shl(literal.log_dimension).unwrap_or(0),
            literal.modulus_bits,
            literal.assumptions,
            literal.down_gadget.0,
            literal.down_gadget.1,
            literal.up_gadget.0,
            literal.up_gadget.1
        )?;
        for (index, key) in literal.bootstraps.iter().enumerate() {
            writeln!(
                f,
                "key {index}       k = {}, N_t = {}, base 2^{}, {} level(s), {} key bit(s) a step",
                key.glwe_dimension,
                key.polynomial_size,
                key.base_log,
                key.levels,
                key.grouping_factor
            )?;
        }
        writeln!(f, "security    at least {} bits by the published estimates", self.security_bits)
    }
}
