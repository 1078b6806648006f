//! `owner plan`: a network of polynomials, laid out in slots for its owner to protect.

use crate::cli::images::{Images, Part};
use crate::cli::output::{self, bytes};
use crate::cli::selection::ckks_security_level;
use crate::cli::{Failure, files};
use bellerophon::model::onnx;
use bellerophon::polynomial::protected::{Costs, Plan, Settings};
use bellerophon::polynomial::{Activation, Pooling, Replacement};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Images from which ranges are taken where no count is given.
const IMAGES: usize = 64;

/// Lays out a network whose activations are polynomials, to be protected in CKKS alone: faster than
/// a compiled program, and at 128, 192 or 256 bits
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network, as ONNX
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Images to take ranges from: a .npy, .npz, IDX, PNG or CIFAR-10 file, or a folder of such
    #[arg(long, value_name = "DATA")]
    calibration: PathBuf,
    /// How many of them; default: 64, or all if there are fewer
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Which part of a data set that has several
    #[arg(long, value_enum, default_value_t = Part::Train)]
    split: Part,
    /// trained: the polynomials that the network has; or in the place of other activations square,
    /// square2x, least-squares:D, chebyshev:D, taylor:D, derivative:D of degree D, minimax:B
    #[arg(long, default_value = "trained")]
    activation: Activation,
    /// mean or sum, in the place of max-pool
    #[arg(long, default_value = "mean")]
    pool: Pooling,
    /// Ranges seen before activations are widened by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1.5)]
    margin: f64,
    /// Bits of security: 128, 192 or 256
    #[arg(long, value_name = "BITS", default_value = "128", value_parser = ckks_security_level)]
    security: SecurityLevel,
    /// Bits of precision of the results, predicted
    #[arg(long, value_name = "BITS", default_value_t = Settings::default().precision)]
    precision: f64,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What was written, and what it will cost.
#[derive(Debug, Serialize)]
pub struct Planned {
    out: PathBuf,
    security_bits: u32,
    log_dimension: u32,
    log2_qp: f64,
    levels: usize,
    precision: f64,
    #[serde(flatten)]
    costs: Costs,
}

/// Plans and writes.
pub fn run(arguments: &Arguments) -> Result<Planned, Failure> {
    let Arguments { out, security, precision, activation, margin, .. } = arguments;
    files::check_target(out, files::Access::Default)?;
    let graph = onnx::import(&arguments.model)?;
    let Arguments { calibration, split, count, .. } = arguments;
    let images = Images::open(calibration, *split, *count, IMAGES, graph.input_shape())?;
    let samples: Vec<_> = images.fitted()?.iter().collect();
    let (activation, pooling, margin) = (*activation, arguments.pool, *margin);
    let replacement = Replacement { activation, pooling, margin };
    let settings = Settings { security: *security, precision: *precision, ..Settings::default() };
    let spinner = output::spinner("choosing layouts and parameters");
    let plan = Plan::new(&graph, &replacement, &settings, &samples);
    spinner.finish_and_clear();
    let plan = plan?;
    files::write(out, &wire::to_bytes(plan.plain())?, files::Access::Default)?;
    let architecture = plan.architecture();
    let parameters = architecture.secure_parameters()?;
    Ok(Planned {
        out: out.clone(),
        security_bits: security.bits(),
        log_dimension: architecture.parameters.log_dimension,
        log2_qp: parameters.log2_qp(),
        levels: architecture.input_level(),
        precision: plan.precision(),
        costs: plan.costs(&parameters)?,
    })
}

impl Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { out, security_bits, log_dimension, log2_qp, levels, precision, costs } = self;
        writeln!(
            f,
            "wrote {}: weights in the clear, for owner keygen and owner protect",
            out.display()
        )?;
        writeln!(
            f,
            "  N = 2^{log_dimension}, log2 QP {log2_qp:.0}, {levels} levels: {security_bits} bits of \
             security, {precision:.1} bits of precision predicted"
        )?;
        let [model, memory, input] = [costs.model_bytes, costs.memory_bytes, costs.input_bytes];
        writeln!(
            f,
            "  encrypted model    {} in {} ciphertexts, {} in memory",
            bytes(model),
            costs.ciphertexts,
            bytes(memory)
        )?;
        writeln!(f, "  encrypted input    {}", bytes(input))?;
        write!(f, "  evaluation keys    {}, {} in memory", costs.keys, bytes(costs.key_bytes))
    }
}
