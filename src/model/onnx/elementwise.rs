//! Activations, and affine maps per channel.

use super::Importer;
use super::error::OnnxError;
use super::layer::Layer;
use super::tensor::Tensor;
use super::value::{Axis, Factor, Value};
use crate::model::Activation;
use crate::model::graph::GraphError;
use crate::model::operator::{BatchNormalization, Operator, ParametricRelu};
use ndarray::Array1;

impl<'a> Importer<'a> {
    pub(super) fn activation(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        let function = match layer.operator() {
            "Clip" => self.clip(layer)?,
            _ => function(layer)?,
        };
        let value = self.value(layer, 0)?;
        let node = self.push(layer, Operator::Activation(function), vec![value.node])?;
        Ok(value.moved(node))
    }

    /// Bounds are attributes up to operator set 10, and inputs since; each may be left out.
    fn clip(&self, layer: &Layer<'a>) -> Result<Activation, OnnxError> {
        layer.check(1..=3, &["min", "max"])?;
        let limits = [f64::from(f32::MIN), f64::from(f32::MAX)];
        let bound = |index: usize, name: &str| match layer.input(index) {
            Some(_) => self.constant(layer, index).and_then(|tensor| Tensor::bound(&tensor)),
            None => Ok(layer.real(name, limits[index - 1])?.clamp(limits[0], limits[1])),
        };
        let (min, max) = (bound(1, "min")?, bound(2, "max")?);
        let relu = min == 0.0 && max == limits[1];
        Ok(if relu { Activation::Relu } else { Activation::Clip { min, max } })
    }

    pub(super) fn parametric_relu(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(2..=2, &[])?;
        let value = self.value(layer, 0)?;
        let slopes = self.real(layer, 1)?;
        let operator = match self.factor(layer, slopes, &value)? {
            Factor::Number(slope) => Operator::Activation(Activation::LeakyRelu { slope }),
            Factor::Channels(slopes) => Operator::ParametricRelu(ParametricRelu { slopes }),
        };
        let node = self.push(layer, operator, vec![value.node])?;
        Ok(value.moved(node))
    }

    /// A softmax at the end: it keeps the order of the results, which is left to whoever reads them.
    pub(super) fn softmax(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=1, &["axis"])?;
        let name = layer.output()?;
        if !self.is_result(name) {
            let supported = "the end of the model, where it is left out";
            return Err(layer.unsupported("place", "the middle of the model", supported));
        }
        let value = self.vector(layer)?;
        let axis = layer.integer("axis", -1)?;
        if axis != -1 && axis != 1 {
            return Err(layer.unsupported("axis", &axis.to_string(), "-1 or 1"));
        }
        let (node, operator) = (layer.name(), layer.operator());
        let kept = "the results are what it reads, in the same order of size";
        self.graph.note(format!("the final {operator} ({node:?}) is left out: {kept}"));
        Ok(value)
    }

    pub(super) fn batch_normalization(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(5..=5, &["epsilon", "momentum", "training_mode", "spatial"])?;
        layer.require("training_mode", 0, 0)?;
        layer.require("spatial", 1, 1)?;
        let epsilon = layer.real("epsilon", f64::from(1e-5_f32))?;
        let value = self.value(layer, 0)?;
        let vector = |index| self.real(layer, index)?.vector();
        let (gamma, beta, mean, variance) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
        let lengths = [beta.len(), mean.len(), variance.len()];
        if let Some(&found) = lengths.iter().find(|&&length| length != gamma.len()) {
            let expected = gamma.len();
            return Err(self.misfit(
                layer,
                GraphError::Mismatch {
                    operator: "BatchNormalization",
                    what: "channels",
                    expected,
                    found,
                },
            ));
        }
        if value.axes.get(1) != Some(&Axis::Channel) {
            return Err(self.layout(layer, &value, "batch x channels and more"));
        }
        let scale = gamma / variance.mapv(|variance| (variance + epsilon).sqrt());
        let shift = beta - mean * &scale;
        self.affine(layer, &value, value.channels(scale), value.channels(shift))
    }

    /// `scale[c]·x + shift[c]`.
    pub(super) fn affine(
        &mut self,
        layer: &Layer,
        value: &Value,
        scale: Array1<f64>,
        shift: Array1<f64>,
    ) -> Result<Value, OnnxError> {
        let operator = Operator::BatchNormalization(BatchNormalization { scale, shift });
        let node = self.push(layer, operator, vec![value.node])?;
        Ok(value.moved(node))
    }
}

/// Those whose parameters are attributes, with ONNX's defaults.
fn function(layer: &Layer) -> Result<Activation, OnnxError> {
    let known: &[&str] = match layer.operator() {
        "LeakyRelu" | "Elu" => &["alpha"],
        "Selu" => &["alpha", "gamma"],
        "HardSigmoid" => &["alpha", "beta"],
        _ => &[],
    };
    layer.check(1..=1, known)?;
    let real = |name: &str, default: f32| layer.real(name, f64::from(default));
    Ok(match layer.operator() {
        "LeakyRelu" => Activation::LeakyRelu { slope: real("alpha", 0.01)? },
        "Elu" => Activation::Elu { alpha: real("alpha", 1.0)? },
        "Selu" => Activation::Selu {
            alpha: real("alpha", 1.673_263_2)?,
            gamma: real("gamma", 1.050_701)?,
        },
        "HardSigmoid" => {
            Activation::HardSigmoid { alpha: real("alpha", 0.2)?, beta: real("beta", 0.5)? }
        }
        "Softplus" => Activation::Softplus,
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        _ => Activation::Relu,
    })
}
