//! Which activations are exact, by tables in TFHE, and which are polynomials, in slots of CKKS.

use super::stage::Stage;
use super::{CompileError, Function, unsupported};
use crate::model::{Graph, Operator, Polynomial, Range};
use crate::polynomial::{Activation, Approximation};
use ndarray::ArrayD;
use rayon::prelude::*;
use std::fmt;
use std::str::FromStr;

/// How an activation is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// By a table, up to noise.
    Exact,
    /// As a polynomial; [`Activation::Trained`] takes the one that the network was trained with.
    Polynomial(Activation),
}

impl FromStr for Scheme {
    type Err = CompileError;

    fn from_str(text: &str) -> Result<Self, CompileError> {
        if text == "exact" {
            return Ok(Self::Exact);
        }
        let unknown = |error: crate::polynomial::PolynomialError| CompileError::Scheme {
            found: text.to_owned(),
            reason: format!("exact, or a polynomial: {error}"),
        };
        text.parse().map(Self::Polynomial).map_err(unknown)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Polynomial(activation) => write!(f, "{activation}"),
        }
    }
}

/// Schemes by name: that of an activation, of the linear layer before it (or a part of the name, as
/// `fc1` of `/fc1/Gemm`), or `all`. The last that
/// names an activation counts; those that nothing names are exact.
///
/// ```
/// use bellerophon::compile::Schemes;
///
/// let schemes: Schemes = "conv1=exact,fc1=chebyshev:7".parse()?;
/// assert_eq!(schemes.to_string(), "conv1=exact,fc1=chebyshev:7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schemes(Vec<(String, Scheme)>);

impl FromStr for Schemes {
    type Err = CompileError;

    fn from_str(text: &str) -> Result<Self, CompileError> {
        let one = |part: &str| {
            let (name, scheme) = part.split_once('=').ok_or_else(|| CompileError::Scheme {
                found: part.to_owned(),
                reason: "NAME=SCHEME, as in conv1=exact,fc1=chebyshev:7".to_owned(),
            })?;
            Ok((name.trim().to_owned(), scheme.trim().parse()?))
        };
        text.split(',')
            .filter(|part| !part.trim().is_empty())
            .map(one)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.0.iter().map(|(name, scheme)| format!("{name}={scheme}")).collect();
        f.write_str(&parts.join(","))
    }
}

impl Schemes {
    /// The scheme of a stage's activation.
    #[must_use]
    pub fn of(&self, stage: &Stage) -> Scheme {
        let named = |(name, _): &&(String, Scheme)| name == "all" || names(stage, name);
        self.0.iter().rev().find(named).map_or(Scheme::Exact, |(_, scheme)| *scheme)
    }

    /// # Errors
    /// [`CompileError::Scheme`] for a name that no activation has.
    pub fn check(&self, stages: &[Stage]) -> Result<(), CompileError> {
        let known = |name: &str| name == "all" || stages.iter().any(|stage| names(stage, name));
        let Some((name, _)) = self.0.iter().find(|(name, _)| !known(name)) else { return Ok(()) };
        let all: Vec<&str> =
            stages.iter().filter(|s| s.activation.is_some()).map(|s| s.name.as_str()).collect();
        let reason = format!("all, or one of the layers {}", all.join(", "));
        Err(CompileError::Scheme { found: name.clone(), reason })
    }

    /// Whether every activation is exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.0.iter().all(|(_, scheme)| *scheme == Scheme::Exact)
    }
}

/// Whether a layer goes by this name: the whole of it, or a part, as `fc1` of `/fc1/Gemm`.
fn names(stage: &Stage, name: &str) -> bool {
    let is = |full: &str| full == name || full.split('/').any(|part| part == name);
    stage.activation.as_ref().is_some_and(|activation| is(&activation.name) || is(&stage.name))
}

/// Replaces activations by polynomials in a simplified graph, in order: each on the range that the
/// samples reach in the network as replaced so far, widened by `margin`.
///
/// # Errors
/// [`CompileError::Scheme`] for a name that no activation has or a polynomial that does not exist,
/// [`CompileError::Unsupported`] for an activation of several functions.
pub fn replace(
    graph: &Graph,
    stages: &[Stage],
    schemes: &Schemes,
    samples: &[ArrayD<f64>],
    margin: f64,
) -> Result<Graph, CompileError> {
    schemes.check(stages)?;
    let mut graph = graph.clone();
    for stage in stages {
        let Scheme::Polynomial(choice) = schemes.of(stage) else { continue };
        let Some(activation) = &stage.activation else { continue };
        let function = match activation.functions.as_slice() {
            [Function::Activation(function)] => *function,
            [Function::Polynomial(coefficients)] if choice.allows_trained(coefficients) => continue,
            _ => return Err(unsupported(&activation.name, "it has no single function to replace")),
        };
        let range = range(&graph, stage, samples)?;
        let interval = super::amplitude::window(range, margin);
        let approximation = choice.approximate_function(function, interval);
        let refused = |reason: String| CompileError::Scheme { found: choice.to_string(), reason };
        let polynomial = match approximation.map_err(|error| refused(error.to_string()))? {
            Approximation::Polynomial(polynomial) => polynomial,
            Approximation::Rectifier { .. } => {
                return Err(refused("compositions need a program in CKKS alone".to_owned()));
            }
        };
        let monomial = polynomial.to_monomial().map_err(|error| refused(error.to_string()))?;
        let coefficients = monomial.coefficients().to_vec();
        graph = with_operator(&graph, stage, Operator::Polynomial(Polynomial { coefficients }))?;
    }
    Ok(graph)
}

/// The range of what a stage's activation reads.
fn range(graph: &Graph, stage: &Stage, samples: &[ArrayD<f64>]) -> Result<Range, CompileError> {
    let seen = samples
        .par_iter()
        .map(|sample| Ok(Range::of(&graph.values(sample)?[stage.reading.index()])));
    let merged = seen.try_reduce_with(|a, b| Ok::<_, CompileError>(a.merge(b)));
    merged.ok_or(CompileError::NoSamples)?
}

/// The graph with another operator where the stage's activation is.
fn with_operator(graph: &Graph, stage: &Stage, operator: Operator) -> Result<Graph, CompileError> {
    let mut replaced = Graph::new(graph.node(graph.input())?.name(), graph.input_shape())?;
    for (id, node) in graph.iter().skip(1) {
        let operator = if id == stage.result { operator.clone() } else { node.operator().clone() };
        replaced.push(node.name(), operator, node.inputs().to_vec())?;
    }
    replaced.set_output(graph.output())?;
    Ok(replaced)
}

/// Marks the activations that are evaluated in slots.
pub fn mark(stages: &mut [Stage], schemes: &Schemes) {
    for stage in stages {
        let polynomial = matches!(schemes.of(stage), Scheme::Polynomial(_));
        if let Some(activation) = stage.activation.as_mut().filter(|_| polynomial) {
            activation.slots = matches!(activation.functions.as_slice(), [Function::Polynomial(_)]);
        }
    }
}
