//! Arithmetic on values: polynomials of one value, affine maps per channel, and sums of several
//! values.
//!
//! Sums, products and powers of one value and of numbers are gathered in a [`Term`], and become one
//! node when a layer reads them: a polynomial, or an affine map where the degree is at most one.
//! Constants that differ from channel to channel make an affine map per channel; values of different
//! nodes can be added and subtracted.

use ndarray::Array1;

use super::Importer;
use super::error::{OnnxError, label};
use super::layer::Layer;
use super::tensor::Tensor;
use super::value::{Axis, Factor, Value, length};
use crate::model::graph::GraphError;
use crate::model::operator::{BatchNormalization, MAX_DEGREE, Operator, Polynomial};

/// A polynomial in a computed value.
#[derive(Clone)]
pub(super) struct Term {
    base: Value,
    /// By ascending power, at least one.
    coefficients: Vec<f64>,
}

/// What an arithmetic operator reads.
enum Operand<'a> {
    Computed(&'a str, Term),
    Constant(Tensor<f64>),
}

impl Term {
    fn identity(base: Value) -> Self {
        Self { base, coefficients: vec![0.0, 1.0] }
    }

    /// The same number for all elements.
    fn number(&self, value: f64) -> Self {
        Self { base: self.base.clone(), coefficients: vec![value] }
    }

    fn is_identity(&self) -> bool {
        self.coefficients == [0.0, 1.0]
    }

    /// The node that computes it from a value with this many channels.
    fn operator(&self, channels: usize) -> Operator {
        let highest = self.coefficients.iter().rposition(|&c| c != 0.0).unwrap_or(0);
        match self.coefficients[..=highest] {
            [shift] => affine(channels, 0.0, shift),
            [shift, scale] => affine(channels, scale, shift),
            ref coefficients => {
                Operator::Polynomial(Polynomial { coefficients: coefficients.to_vec() })
            }
        }
    }

    /// One over each coefficient, for a number.
    fn reciprocal(mut self) -> Self {
        self.coefficients.iter_mut().for_each(|c| *c = c.recip());
        self
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
        Ok(Self { base: self.base.clone(), coefficients })
    }

    /// `Add`, `Sum`, `Sub` or `Mul` of two terms with one base.
    fn combine(self, layer: &Layer, other: &Self) -> Result<Self, OnnxError> {
        let misfit = |source| OnnxError::Graph { node: layer.name().to_owned(), source };
        match layer.operator() {
            "Add" | "Sum" => Ok(self.add(other, 1.0)),
            "Sub" => Ok(self.add(other, -1.0)),
            "Mul" => self.multiply(other).map_err(misfit),
            _ => Err(layer.unsupported("divisor", "a computed value", "a constant")),
        }
    }

    /// `Pow` with a whole exponent.
    fn power(&self, layer: &Layer, exponent: f64) -> Result<Self, OnnxError> {
        if exponent.fract() != 0.0 || !(0.0..=MAX_DEGREE as f64).contains(&exponent) {
            let supported = format!("a whole number from 0 to {MAX_DEGREE}");
            return Err(layer.unsupported("exponent", &exponent.to_string(), &supported));
        }
        let one = self.number(1.0);
        let mut factors = (0..exponent as usize).map(|_| self);
        let power = factors.try_fold(one, |power, factor| power.multiply(factor));
        power.map_err(|source| OnnxError::Graph { node: layer.name().to_owned(), source })
    }
}

fn affine(channels: usize, scale: f64, shift: f64) -> Operator {
    let all = |value| Array1::from_elem(channels, value);
    Operator::BatchNormalization(BatchNormalization { scale: all(scale), shift: all(shift) })
}

impl<'a> Importer<'a> {
    /// A computed value; its node is made here if it is a polynomial without one.
    pub(super) fn value_of(&mut self, reader: &str, name: &'a str) -> Result<Value, OnnxError> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let unknown = || OnnxError::UnknownValue { node: reader.to_owned(), value: label(name) };
        let (term, node) = self.terms.remove(name).ok_or_else(unknown)?;
        let value = if term.is_identity() {
            term.base
        } else {
            let misfit = |source| OnnxError::Graph { node: node.clone(), source };
            let shape = self.graph.node(term.base.node).map_err(misfit)?.shape();
            let operator = term.operator(length(Axis::Channel, shape));
            let pushed = self.graph.push(&node, operator, vec![term.base.node]);
            term.base.moved(pushed.map_err(misfit)?)
        };
        self.name_value(name, value.clone())?;
        Ok(value)
    }

    /// `Add`, `Sum`, `Sub`, `Mul`, `Div`, `Pow`.
    pub(super) fn arithmetic(&mut self, layer: &Layer<'a>) -> Result<(), OnnxError> {
        if layer.operator() == "Sum" && layer.inputs().count() != 2 {
            return self.long_sum(layer);
        }
        layer.check(2..=2, &[])?;
        match (self.operand(layer, 0)?, self.operand(layer, 1)?) {
            (Operand::Constant(_), Operand::Constant(_)) => {
                Err(layer.unsupported("inputs", "constants only", "a computed value among them"))
            }
            (Operand::Computed(_, term), Operand::Constant(exponent))
                if layer.operator() == "Pow" =>
            {
                let term = term.power(layer, exponent.single()?)?;
                self.name_term(layer, term)
            }
            (_, Operand::Computed(..)) if layer.operator() == "Pow" => {
                Err(layer.unsupported("exponent", "a computed value", "a constant"))
            }
            (Operand::Computed(name, term), Operand::Constant(constant)) => {
                self.with_constant(layer, (name, term), constant, false)
            }
            (Operand::Constant(constant), Operand::Computed(name, term)) => {
                self.with_constant(layer, (name, term), constant, true)
            }
            (Operand::Computed(_, a), Operand::Computed(_, b)) if a.base == b.base => {
                let term = a.combine(layer, &b)?;
                self.name_term(layer, term)
            }
            (Operand::Computed(a, _), Operand::Computed(b, _)) => self.with_value(layer, [a, b]),
        }
    }

    /// A value and a constant, which comes first if `swapped`.
    fn with_constant(
        &mut self,
        layer: &Layer<'a>,
        (name, term): (&'a str, Term),
        constant: Tensor<f64>,
        swapped: bool,
    ) -> Result<(), OnnxError> {
        if swapped && layer.operator() == "Div" {
            return Err(layer.unsupported("divisor", "a computed value", "a constant"));
        }
        let constant = match self.factor(layer, constant, &term.base)? {
            Factor::Number(number) => {
                let number = term.number(number);
                let combined = match layer.operator() {
                    "Div" => term.multiply(&number.reciprocal()).map_err(|s| self.misfit(layer, s)),
                    _ if swapped => number.combine(layer, &term),
                    _ => term.combine(layer, &number),
                };
                return self.name_term(layer, combined?);
            }
            Factor::Channels(constant) => constant,
        };
        let value = self.value_of(layer.name(), name)?;
        let all = |value| Array1::from_elem(constant.len(), value);
        let (scale, shift) = match (layer.operator(), swapped) {
            ("Mul", _) => (constant.clone(), all(0.0)),
            ("Div", _) => (constant.mapv(f64::recip), all(0.0)),
            ("Sub", false) => (all(1.0), -&constant),
            ("Sub", true) => (all(-1.0), constant.clone()),
            _ => (all(1.0), constant.clone()),
        };
        let value = self.affine(layer, &value, scale, shift)?;
        self.name_value(layer.output()?, value)
    }

    /// A sum or difference of two values.
    fn with_value(&mut self, layer: &Layer<'a>, names: [&'a str; 2]) -> Result<(), OnnxError> {
        let negative = match layer.operator() {
            "Add" | "Sum" => false,
            "Sub" => true,
            _ => {
                let supported = "a value with itself, with what is arithmetic of it, or a constant";
                return Err(layer.unsupported("inputs", "values of two nodes", supported));
            }
        };
        let [first, mut second] =
            [self.value_of(layer.name(), names[0])?, self.value_of(layer.name(), names[1])?];
        if negative {
            let operator = affine(length(Axis::Channel, self.shape(layer, &second)?), -1.0, 0.0);
            let name = format!("{} (negated)", layer.name());
            second = second.moved(self.push_named(layer, name, operator, vec![second.node])?);
        }
        self.sum(layer, &[first, second])
    }

    /// A `Sum` of any number of values but two.
    fn long_sum(&mut self, layer: &Layer<'a>) -> Result<(), OnnxError> {
        layer.check(1..=64, &[])?;
        let names = layer.inputs().map(|name| self.value_of(layer.name(), name));
        let values: Vec<Value> = names.collect::<Result<_, _>>()?;
        match values.as_slice() {
            [value] => self.name_value(layer.output()?, value.clone()),
            values => self.sum(layer, values),
        }
    }

    fn sum(&mut self, layer: &Layer<'a>, values: &[Value]) -> Result<(), OnnxError> {
        let Some((first, rest)) = values.split_first() else { return Ok(()) };
        for other in rest {
            let aligned = (&other.axes, &other.order) == (&first.axes, &first.order);
            if !aligned {
                return Err(self.layout(layer, other, "axes in the order of the first value"));
            }
        }
        let nodes = values.iter().map(|value| value.node).collect();
        let node = self.push(layer, Operator::Sum, nodes)?;
        self.name_value(layer.output()?, first.moved(node))
    }

    fn name_term(&mut self, layer: &Layer<'a>, term: Term) -> Result<(), OnnxError> {
        let name = layer.output()?;
        self.check_new(name)?;
        self.terms.insert(name, (term, layer.name().to_owned()));
        Ok(())
    }

    /// What an input of an arithmetic operator is.
    fn operand(&self, layer: &Layer<'a>, index: usize) -> Result<Operand<'a>, OnnxError> {
        let name = layer.needed_input(index)?;
        if let Some((term, _)) = self.terms.get(name) {
            return Ok(Operand::Computed(name, term.clone()));
        }
        match (self.values.get(name), self.constants.get(name)) {
            (Some(value), _) => Ok(Operand::Computed(name, Term::identity(value.clone()))),
            (None, Some(tensor)) => Ok(Operand::Constant(Tensor::numeric(tensor)?)),
            (None, None) => {
                Err(OnnxError::UnknownValue { node: layer.name().to_owned(), value: label(name) })
            }
        }
    }
}
