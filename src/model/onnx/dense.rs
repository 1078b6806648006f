//! Fully connected layers: `Gemm` and `MatMul`.

use ndarray::{Array1, Array2, Axis as Dimension};

use super::Importer;
use super::error::OnnxError;
use super::layer::Layer;
use super::tensor::Tensor;
use super::value::Value;
use crate::model::graph::Shape;
use crate::model::operator::{Dense, Operator};

impl<'a> Importer<'a> {
    pub(super) fn gemm(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(2..=3, &["alpha", "beta", "transA", "transB"])?;
        layer.require("transA", 0, 0)?;
        let (alpha, beta) = (layer.real("alpha", 1.0)?, layer.real("beta", 1.0)?);
        let weights = self.real(layer, 1)?.matrix()?;
        let weights = match layer.integer("transB", 0)? {
            0 => weights.reversed_axes(),
            1 => weights,
            other => return Err(layer.unsupported("transB", &other.to_string(), "0 or 1")),
        };
        let outputs = weights.nrows();
        let bias = match layer.input(2) {
            Some(_) => self.real(layer, 2)?.vector()?,
            None => Array1::zeros(outputs),
        };
        // A single value stands for all outputs.
        let bias = match bias.as_slice() {
            Some(&[value]) => Array1::from_elem(outputs, value),
            _ => bias,
        };
        let value = self.vector(layer)?;
        self.dense(layer, &value, Dense { weights: weights * alpha, bias: bias * beta })
    }

    /// Where nothing reads the product but the sum with a bias, they become one layer.
    pub(super) fn matrix_product(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(2..=2, &[])?;
        let weights = self.real(layer, 1)?.matrix()?.reversed_axes();
        let value = self.vector(layer)?;
        let found = self.bias_of(layer.output()?, weights.nrows())?;
        let (bias, sum) = match found {
            Some((bias, sum)) => (bias, Some(sum)),
            None => (Array1::zeros(weights.nrows()), None),
        };
        let value = self.dense(layer, &value, Dense { weights, bias })?;
        if let Some(sum) = sum {
            self.name_value(sum, value.clone())?;
            self.absorbed.insert(sum);
        }
        Ok(value)
    }

    /// The bias that the only reader of a product adds to it, and the name of the sum.
    fn bias_of(
        &self,
        product: &str,
        outputs: usize,
    ) -> Result<Option<(Array1<f64>, &'a str)>, OnnxError> {
        let Some(&[node]) = self.readers.get(product).map(Vec::as_slice) else { return Ok(None) };
        let layer = Layer::new(node);
        let mut others = layer.inputs().filter(|name| *name != product);
        let constant = match (others.next(), others.next()) {
            (Some(name), None) => self.constants.get(name),
            _ => None,
        };
        let addition = layer.is_standard() && layer.operator() == "Add";
        let Some(tensor) = constant.filter(|_| addition && !self.is_output(product)) else {
            return Ok(None);
        };
        let tensor = Tensor::real(tensor)?;
        let fits = match *tensor.dimensions() {
            [length] | [1, length] => length == outputs,
            _ => false,
        };
        Ok(match fits && layer.inputs().count() == 2 {
            true => Some((tensor.vector()?, layer.output()?)),
            false => None,
        })
    }

    fn dense(
        &mut self,
        layer: &Layer,
        value: &Value,
        mut dense: Dense,
    ) -> Result<Value, OnnxError> {
        let weights = match value.order.as_deref().filter(|o| o.len() == dense.weights.ncols()) {
            Some(order) => moved(&dense.weights, order),
            None => dense.weights.as_standard_layout().into_owned(),
        };
        dense.weights = weights;
        let outputs = dense.weights.nrows();
        let node = self.push(layer, Operator::Dense(dense), vec![value.node])?;
        Ok(Value::new(node, Shape::Vector(outputs)))
    }
}

/// Weights for a value whose element `order[i]` was element `i` in the file.
fn moved(weights: &Array2<f64>, order: &[usize]) -> Array2<f64> {
    let mut moved = Array2::zeros(weights.dim());
    for (column, &place) in weights.axis_iter(Dimension(1)).zip(order) {
        moved.column_mut(place).assign(&column);
    }
    moved
}
