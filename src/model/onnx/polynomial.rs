//! Arithmetic on one value and numbers, read as one polynomial.
//!
//! ONNX has no operator for a polynomial; `x² + 2x` comes as `Add(Mul(x, x), Mul(x, 2))`, as
//! `Mul(x, Add(x, 2))`, or in other ways. [`Term`] holds what has been worked out so far of one
//! node's value x, and sums and products of terms in the same x are terms again.

use super::error::{OnnxError, label};
use super::layer::Layer;
use super::tensor::Tensor;
use super::{Importer, insert};
use crate::model::graph::{GraphError, NodeId};
use crate::model::operator::{MAX_DEGREE, Operator, Polynomial};

/// A polynomial in the value of one node, or a number.
#[derive(Clone, Debug)]
pub(super) struct Term {
    /// The node; `None` for a number.
    base: Option<NodeId>,
    /// By ascending power, at least one.
    coefficients: Vec<f64>,
}

impl Term {
    fn number(value: f64) -> Self {
        Self { base: None, coefficients: vec![value] }
    }

    fn identity(base: NodeId) -> Self {
        Self { base: Some(base), coefficients: vec![0.0, 1.0] }
    }

    fn constant(&self) -> Option<f64> {
        self.coefficients.first().copied().filter(|_| self.base.is_none())
    }

    fn polynomial(&self) -> Polynomial {
        Polynomial { coefficients: self.coefficients.clone() }
    }

    /// `self + factor·other`.
    fn add(mut self, other: &Self, factor: f64) -> Self {
        let length = self.coefficients.len().max(other.coefficients.len());
        self.coefficients.resize(length, 0.0);
        for (sum, c) in self.coefficients.iter_mut().zip(&other.coefficients) {
            *sum += factor * c;
        }
        self
    }

    fn multiply(&self, other: &Self) -> Result<Self, GraphError> {
        let length = self.coefficients.len() + other.coefficients.len() - 1;
        if length > MAX_DEGREE + 1 {
            return Err(GraphError::CoefficientCount { found: length });
        }
        let mut coefficients = vec![0.0; length];
        for (i, a) in self.coefficients.iter().enumerate() {
            for (sum, b) in coefficients[i..].iter_mut().zip(&other.coefficients) {
                *sum += a * b;
            }
        }
        Ok(Self { base: self.base, coefficients })
    }

    /// `Add`, `Sub` or `Mul` of two terms.
    fn combine(layer: &Layer, a: Self, b: Self) -> Result<Self, OnnxError> {
        let base = match (a.base, b.base) {
            (Some(a), Some(b)) if a != b => {
                let supported = "polynomials in the value of one node";
                return Err(layer.unsupported("inputs", "values of two nodes", supported));
            }
            (a, b) => a.or(b),
        };
        let combined = match layer.operator() {
            "Add" => Ok(a.add(&b, 1.0)),
            "Sub" => Ok(a.add(&b, -1.0)),
            _ => a.multiply(&b),
        };
        let misfit = |source| OnnxError::Graph { node: layer.name().to_owned(), source };
        Ok(Self { base, ..combined.map_err(misfit)? })
    }

    /// `Pow` with a whole exponent.
    fn power(&self, layer: &Layer, exponent: f64) -> Result<Self, OnnxError> {
        if exponent.fract() != 0.0 || !(0.0..=MAX_DEGREE as f64).contains(&exponent) {
            let supported = format!("a whole number from 0 to {MAX_DEGREE}");
            return Err(layer.unsupported("exponent", &exponent.to_string(), &supported));
        }
        let one = Self { base: self.base, coefficients: vec![1.0] };
        let mut factors = (0..exponent as usize).map(|_| self);
        let power = factors.try_fold(one, |power, factor| power.multiply(factor));
        power.map_err(|source| OnnxError::Graph { node: layer.name().to_owned(), source })
    }
}

impl<'a> Importer<'a> {
    /// The node of a named value, made here if the value is a polynomial without one.
    pub(super) fn node_of(&mut self, reader: &str, name: &'a str) -> Result<NodeId, OnnxError> {
        if let Some(&id) = self.values.get(name) {
            return Ok(id);
        }
        let unknown = || OnnxError::UnknownValue { node: reader.to_owned(), value: label(name) };
        let (term, node) = self.terms.remove(name).ok_or_else(unknown)?;
        let inputs = vec![term.base.ok_or_else(unknown)?];
        let pushed = self.graph.push(&node, Operator::Polynomial(term.polynomial()), inputs);
        let id = pushed.map_err(|source| OnnxError::Graph { node, source })?;
        self.name_value(name, id)?;
        Ok(id)
    }

    /// `Add`, `Sub`, `Mul`, `Pow`: arithmetic on one node's value and numbers.
    pub(super) fn arithmetic(&mut self, layer: &Layer<'a>) -> Result<(), OnnxError> {
        layer.check(2..=2, &[])?;
        let (a, b) = (self.term(layer, 0)?, self.term(layer, 1)?);
        let term = match (layer.operator(), b.constant()) {
            ("Pow", Some(exponent)) => a.power(layer, exponent)?,
            ("Pow", None) => {
                return Err(layer.unsupported("exponent", "a computed value", "a constant"));
            }
            _ => Term::combine(layer, a, b)?,
        };
        if term.base.is_none() {
            let supported = "polynomials in the value of one node";
            return Err(layer.unsupported("inputs", "constants only", supported));
        }
        let name = layer.output()?;
        if self.constants.contains_key(name) || self.values.contains_key(name) {
            return Err(OnnxError::DuplicateValue { value: label(name) });
        }
        insert(&mut self.terms, name, (term, layer.name().to_owned()))
    }

    /// What an input of an arithmetic operator is.
    fn term(&self, layer: &Layer, index: usize) -> Result<Term, OnnxError> {
        let name = layer.needed_input(index)?;
        if let Some((term, _)) = self.terms.get(name) {
            return Ok(term.clone());
        }
        match (self.values.get(name), self.constants.get(name)) {
            (Some(&id), _) => Ok(Term::identity(id)),
            (None, Some(tensor)) => Ok(Term::number(Tensor::number(tensor)?)),
            (None, None) => {
                Err(OnnxError::UnknownValue { node: layer.name().to_owned(), value: label(name) })
            }
        }
    }
}
