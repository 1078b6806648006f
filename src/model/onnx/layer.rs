//! One node of an ONNX file and its attributes, read with their types checked.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use super::error::{OnnxError, label};

/// A node to be imported.
pub(super) struct Layer<'a> {
    proto: &'a NodeProto,
    name: String,
}

impl<'a> Layer<'a> {
    pub(super) fn new(proto: &'a NodeProto) -> Self {
        let output = proto.output.first();
        let named = Some(&proto.name).filter(|name| !name.is_empty());
        let name = named.or(output).map_or_else(String::new, |name| label(name));
        Self { proto, name }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn operator(&self) -> &'a str {
        &self.proto.op_type
    }

    /// The operator as a message names it: with its domain, if not ONNX's own.
    pub(super) fn full_operator(&self) -> String {
        if self.is_standard() {
            label(&self.proto.op_type)
        } else {
            label(&format!("{}.{}", self.proto.domain, self.proto.op_type))
        }
    }

    pub(super) fn is_standard(&self) -> bool {
        matches!(self.proto.domain.as_str(), "" | "ai.onnx")
    }

    /// The name of an input; `None` where an optional one is left out.
    pub(super) fn input(&self, index: usize) -> Option<&'a str> {
        let name = self.proto.input.get(index)?;
        Some(name.as_str()).filter(|name| !name.is_empty())
    }

    /// The names of all inputs.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &'a str> {
        self.proto.input.iter().map(String::as_str)
    }

    /// The name of a needed input, once [`Layer::check`] has passed.
    pub(super) fn needed_input(&self, index: usize) -> Result<&'a str, OnnxError> {
        self.input(index)
            .ok_or_else(|| self.arity("input", format!("at least {}", index + 1), index))
    }

    /// The name of the first output.
    pub(super) fn output(&self) -> Result<&'a str, OnnxError> {
        let name = self.proto.output.first().filter(|name| !name.is_empty());
        name.map(String::as_str).ok_or_else(|| self.arity("output", "1".into(), 0))
    }

    /// Refuses a wrong number of inputs, and attributes whose meaning is not
    /// known: ignoring one could silently change the model.
    pub(super) fn check(
        &self,
        inputs: RangeInclusive<usize>,
        attributes: &[&str],
    ) -> Result<(), OnnxError> {
        let found = self.proto.input.len();
        if !inputs.contains(&found) {
            let expected = format!("{} to {}", inputs.start(), inputs.end());
            return Err(self.arity("input", expected, found));
        }
        let unknown = |attribute: &&AttributeProto| !attributes.contains(&attribute.name.as_str());
        match self.proto.attribute.iter().find(unknown) {
            None => Ok(()),
            Some(attribute) => {
                let known = format!("no attributes but [{}]", attributes.join(", "));
                Err(self.unsupported(&attribute.name, "(any value)", &known))
            }
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.proto.attribute.iter().any(|attribute| attribute.name == name)
    }

    pub(super) fn integer(&self, name: &str, default: i64) -> Result<i64, OnnxError> {
        let found = self.attribute(name, AttributeType::Int)?;
        Ok(found.map_or(default, |attribute| attribute.i))
    }

    pub(super) fn real(&self, name: &str, default: f64) -> Result<f64, OnnxError> {
        let found = self.attribute(name, AttributeType::Float)?;
        Ok(found.map_or(default, |attribute| f64::from(attribute.f)))
    }

    pub(super) fn integers(&self, name: &str) -> Result<Option<&'a [i64]>, OnnxError> {
        let found = self.attribute(name, AttributeType::Ints)?;
        Ok(found.map(|attribute| attribute.ints.as_slice()))
    }

    pub(super) fn reals(&self, name: &str) -> Result<Option<&'a [f32]>, OnnxError> {
        let found = self.attribute(name, AttributeType::Floats)?;
        Ok(found.map(|attribute| attribute.floats.as_slice()))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, OnnxError> {
        let found = self.attribute(name, AttributeType::String)?;
        Ok(found.map(|attribute| String::from_utf8_lossy(&attribute.s)))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, OnnxError> {
        let found = self.attribute(name, AttributeType::Tensor)?;
        Ok(found.and_then(|attribute| attribute.t.as_ref()))
    }

    /// A fixed number of sizes, such as strides or pads.
    pub(super) fn sizes<const N: usize>(
        &self,
        name: &str,
    ) -> Result<Option<[usize; N]>, OnnxError> {
        let Some(attribute) = self.attribute(name, AttributeType::Ints)? else {
            return Ok(None);
        };
        let sizes = attribute.ints.iter().map(|&size| usize::try_from(size).ok());
        let sizes: Option<Vec<usize>> = sizes.collect();
        let sizes = sizes.and_then(|sizes| <[usize; N]>::try_from(sizes).ok());
        let error = || {
            let value = format!("{:?}", attribute.ints);
            self.unsupported(name, &value, &format!("{N} non-negative integers"))
        };
        sizes.map(Some).ok_or_else(error)
    }

    /// Refuses any value of an integer attribute but one.
    pub(super) fn require(
        &self,
        name: &str,
        default: i64,
        supported: i64,
    ) -> Result<(), OnnxError> {
        let found = self.integer(name, default)?;
        if found == supported {
            return Ok(());
        }
        Err(self.unsupported(name, &found.to_string(), &supported.to_string()))
    }

    pub(super) fn unsupported(&self, attribute: &str, value: &str, supported: &str) -> OnnxError {
        OnnxError::UnsupportedAttribute {
            node: self.name.clone(),
            operator: self.full_operator(),
            attribute: label(attribute),
            value: label(value),
            supported: supported.to_owned(),
        }
    }

    fn attribute(
        &self,
        name: &str,
        kind: AttributeType,
    ) -> Result<Option<&'a AttributeProto>, OnnxError> {
        let mut found = self.proto.attribute.iter().filter(|a| a.name == name);
        let attribute = found.next();
        if found.next().is_some() {
            return Err(self.unsupported(name, "(given twice)", "one value"));
        }
        match attribute {
            Some(attribute) if attribute.r#type != kind as i32 => {
                let expected = format!("a value of type {}", kind.as_str_name());
                let value = match AttributeType::try_from(attribute.r#type) {
                    Ok(other) => format!("(a value of type {})", other.as_str_name()),
                    Err(_) => format!("(a value of type number {})", attribute.r#type),
                };
                Err(self.unsupported(name, &value, &expected))
            }
            other => Ok(other),
        }
    }

    fn arity(&self, what: &'static str, expected: String, found: usize) -> OnnxError {
        OnnxError::NodeArity {
            node: self.name.clone(),
            operator: self.full_operator(),
            what,
            expected,
            found,
        }
    }
}
