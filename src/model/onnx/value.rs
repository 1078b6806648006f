//! Computed values: a node of the graph, and how the file arranges its elements.
//!
//! A graph's images are always channels x rows x columns. Files that move the channels last, or drop
//! axes of length one, are followed by names for the axes of each value, so that no node is needed
//! for it.

use std::sync::Arc;

use ndarray::Array1;

use super::Importer;
use super::error::OnnxError;
use super::layer::Layer;
use super::tensor::Tensor;
use crate::model::graph::{NodeId, Shape};
use crate::model::operator::Operator;

/// What an axis of a value in the file is in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Axis {
    Batch,
    /// The channels of an image, or the elements of a vector.
    Channel,
    Row,
    Column,
    /// Of length one, and in no other shape.
    One,
}

/// A computed value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) node: NodeId,
    /// The axes in the file's order.
    pub(super) axes: Vec<Axis>,
    /// For each element of a vector in the file, its place in the node's value, where they differ.
    pub(super) order: Option<Arc<[usize]>>,
}

impl Value {
    /// A value in the graph's own order.
    pub(super) fn new(node: NodeId, shape: Shape) -> Self {
        let axes = match shape {
            Shape::Image { .. } => vec![Axis::Batch, Axis::Channel, Axis::Row, Axis::Column],
            Shape::Vector(_) => vec![Axis::Batch, Axis::Channel],
        };
        Self { node, axes, order: None }
    }

    /// An image with its channels last.
    pub(super) fn channels_last(node: NodeId) -> Self {
        let axes = vec![Axis::Batch, Axis::Row, Axis::Column, Axis::Channel];
        Self { node, axes, order: None }
    }

    /// What another node of the same shape makes of it.
    pub(super) fn moved(&self, node: NodeId) -> Self {
        Self { node, ..self.clone() }
    }

    /// Whether its elements are in the order of a node's value of this shape.
    pub(super) fn in_order(&self, shape: Shape) -> bool {
        let long = self.axes.iter().filter(|&&axis| length(axis, shape) > 1);
        self.order.is_none() && long.is_sorted()
    }

    /// For each element in the file's order, its place in a node's value of this shape.
    pub(super) fn places(&self, shape: Shape) -> Vec<usize> {
        let [_, rows, columns] = extents(shape);
        let step = |axis: Axis| match axis {
            Axis::Channel => rows * columns,
            Axis::Row => columns,
            Axis::Column => 1,
            Axis::Batch | Axis::One => 0,
        };
        let mut places = vec![0];
        for &axis in &self.axes {
            let along = 0..length(axis, shape);
            let next = |place: &usize| along.clone().map(move |i| i * step(axis) + place).collect();
            places = places.iter().flat_map(|place| -> Vec<usize> { next(place) }).collect();
        }
        places
    }

    /// A number for each channel in the graph's order.
    pub(super) fn channels(&self, values: Array1<f64>) -> Array1<f64> {
        let Some(order) = self.order.as_deref().filter(|order| order.len() == values.len()) else {
            return values;
        };
        let mut moved = Array1::zeros(values.len());
        order.iter().zip(values).for_each(|(&place, value)| moved[place] = value);
        moved
    }
}

/// Channels, rows and columns.
fn extents(shape: Shape) -> [usize; 3] {
    match shape {
        Shape::Image { channels, height, width } => [channels, height, width],
        Shape::Vector(length) => [length, 1, 1],
    }
}

/// The length of an axis of a value with a node of this shape.
pub(super) fn length(axis: Axis, shape: Shape) -> usize {
    let [channels, rows, columns] = extents(shape);
    match axis {
        Axis::Batch | Axis::One => 1,
        Axis::Channel => channels,
        Axis::Row => rows,
        Axis::Column => columns,
    }
}

/// A constant that is combined with each element of a value.
pub(super) enum Factor {
    Number(f64),
    /// One for each channel, in the graph's order.
    Channels(Array1<f64>),
}

impl<'a> Importer<'a> {
    pub(super) fn shape(&self, layer: &Layer, value: &Value) -> Result<Shape, OnnxError> {
        let node = self.graph.node(value.node);
        node.map(|node| node.shape()).map_err(|source| self.misfit(layer, source))
    }

    /// The lengths of a value's axes in the file, the batch being one.
    pub(super) fn lengths(&self, layer: &Layer, value: &Value) -> Result<Vec<usize>, OnnxError> {
        let shape = self.shape(layer, value)?;
        Ok(value.axes.iter().map(|&axis| length(axis, shape)).collect())
    }

    /// The layer's first input, an image with its channels first, and its channels, rows, columns.
    pub(super) fn image(&mut self, layer: &Layer<'a>) -> Result<(Value, [usize; 3]), OnnxError> {
        let value = self.value(layer, 0)?;
        let lengths = self.lengths(layer, &value)?;
        let shape = self.shape(layer, &value)?;
        match (shape, lengths.as_slice()) {
            (Shape::Image { channels, height, width }, &[1, a, b, c])
                if [a, b, c] == [channels, height, width] && value.in_order(shape) =>
            {
                Ok((Value::new(value.node, shape), [a, b, c]))
            }
            _ => Err(self.layout(layer, &value, "batch x channels x rows x columns")),
        }
    }

    /// The layer's first input, a vector: an image of one element per channel may become one here.
    pub(super) fn vector(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        let value = self.value(layer, 0)?;
        if value.axes.len() != 2 || value.axes.first() != Some(&Axis::Batch) {
            return Err(self.layout(layer, &value, "batch x length (put a Flatten before it)"));
        }
        match self.shape(layer, &value)? {
            Shape::Vector(_) => Ok(value),
            Shape::Image { .. } => {
                let name = format!("{} (flattened)", layer.name());
                self.flattened(layer, &value, name)
            }
        }
    }

    /// A flatten node, and the order of its elements in the file.
    pub(super) fn flattened(
        &mut self,
        layer: &Layer,
        value: &Value,
        name: String,
    ) -> Result<Value, OnnxError> {
        let shape = self.shape(layer, value)?;
        let moved = !value.in_order(shape);
        let order = moved.then(|| value.places(shape).into());
        let node = self.push_named(layer, name, Operator::Flatten, vec![value.node])?;
        Ok(Value { order, ..Value::new(node, Shape::Vector(shape.elements())) })
    }

    /// A constant as it is combined with each element of a value: its axes are matched from the last.
    pub(super) fn factor(
        &self,
        layer: &Layer,
        tensor: Tensor<f64>,
        value: &Value,
    ) -> Result<Factor, OnnxError> {
        let channels = length(Axis::Channel, self.shape(layer, value)?);
        let expected = format!("a number, or one for each of {channels} channels, is needed");
        let (rank, most) = (tensor.dimensions().len(), value.axes.len());
        let Some(missing) = most.checked_sub(rank) else {
            return Err(tensor.wrong_rank(&expected));
        };
        let axes = tensor.dimensions().iter().zip(&value.axes[missing..]);
        let mut long = axes.filter(|(length, _)| **length != 1);
        match (long.next(), long.next()) {
            (None, _) => Ok(Factor::Number(tensor.single()?)),
            (Some((&length, Axis::Channel)), None) if length == channels => {
                Ok(Factor::Channels(value.channels(Array1::from_vec(tensor.values().to_vec()))))
            }
            _ => Err(tensor.wrong_rank(&expected)),
        }
    }

    pub(super) fn layout(
        &self,
        layer: &Layer,
        value: &Value,
        supported: &'static str,
    ) -> OnnxError {
        let lengths = self.lengths(layer, value).unwrap_or_default();
        let word = |(axis, length): (&Axis, usize)| match axis {
            Axis::Batch => "batch".to_owned(),
            Axis::Channel => format!("{length} channels"),
            Axis::Row => format!("{length} rows"),
            Axis::Column => format!("{length} columns"),
            Axis::One => "1".to_owned(),
        };
        let words: Vec<String> = value.axes.iter().zip(lengths).map(word).collect();
        OnnxError::Layout {
            node: layer.name().to_owned(),
            operator: layer.full_operator(),
            found: words.join(" x "),
            supported,
        }
    }
}
