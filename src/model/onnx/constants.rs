//! The arithmetic of shapes: lists of integers that PyTorch works out in the graph, from the shape of
//! a value or from nothing but constants.

use std::borrow::Cow;

use ndarray::{ArrayD, Axis, IxDyn, concatenate};

use super::Importer;
use super::error::OnnxError;
use super::layer::Layer;
use super::shape::{normalized, resolve};
use super::tensor::{self, Tensor};

/// The most integers of one constant that is worked out.
const MOST: usize = 1 << 12;

/// The operators that are worked out where the first input is a constant.
pub(super) const FOLDED: [&str; 7] =
    ["Cast", "Gather", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"];

impl<'a> Importer<'a> {
    pub(super) fn fold(&mut self, layer: &Layer<'a>) -> Result<(), OnnxError> {
        let name = layer.output()?;
        let found = match layer.operator() {
            "Shape" => self.shape_of(layer)?,
            "ConstantOfShape" => self.filled(layer)?,
            "Concat" => self.concatenated(layer)?,
            "Gather" => self.gathered(layer)?,
            "Reshape" => self.reshaped(layer)?,
            "Slice" => self.sliced(layer)?,
            "Transpose" => self.transposed(layer)?,
            "Cast" => self.cast_integers(layer)?,
            _ => self.with_axes(layer)?,
        };
        if found.len() > MOST {
            return Err(unfitting(layer));
        }
        let values = found.iter().copied().collect();
        let tensor = tensor::integers(name, found.shape(), values);
        self.name_constant(name, Cow::Owned(tensor))
    }

    fn list(&self, layer: &Layer<'a>, index: usize) -> Result<ArrayD<i64>, OnnxError> {
        self.integers(layer, index)?.dynamic()
    }

    fn shape_of(&mut self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(1..=1, &[])?;
        let value = self.value(layer, 0)?;
        let lengths = self.lengths(layer, &value)?;
        let lengths = lengths.into_iter().map(|length| length as i64);
        Ok(lengths.collect::<ndarray::Array1<i64>>().into_dyn())
    }

    fn filled(&self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(1..=1, &["value"])?;
        let absent = || layer.unsupported("value", "(left out)", "an INT64 tensor");
        let value = Tensor::integer(layer.tensor("value")?.ok_or_else(absent)?)?.single()?;
        let lengths = self.list(layer, 0)?;
        let lengths = lengths.iter().map(|&length| usize::try_from(length).ok());
        let lengths: Option<Vec<usize>> = lengths.collect();
        let lengths = lengths.filter(|lengths| {
            let count = lengths.iter().try_fold(1, |all: usize, &length| all.checked_mul(length));
            lengths.len() <= 8 && count.is_some_and(|count| count <= MOST)
        });
        let lengths = lengths.ok_or_else(|| unfitting(layer))?;
        Ok(ArrayD::from_elem(IxDyn(&lengths), value))
    }

    fn concatenated(&self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(1..=64, &["axis"])?;
        let parts = (0..layer.inputs().count()).map(|index| self.list(layer, index));
        let parts: Vec<ArrayD<i64>> = parts.collect::<Result<_, _>>()?;
        let axis = one_axis(layer, parts.first().map_or(0, ArrayD::ndim))?;
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        concatenate(Axis(axis), &views).map_err(|_| unfitting(layer))
    }

    fn gathered(&self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(2..=2, &["axis"])?;
        let (list, places) = (self.list(layer, 0)?, self.list(layer, 1)?);
        if list.ndim() != 1 || one_axis(layer, 1)? != 0 {
            return Err(unfitting(layer));
        }
        let entry = |&place: &i64| {
            let place = normalized(layer, &[place], list.len())?;
            Ok(list.iter().nth(place[0]).copied().unwrap_or_default())
        };
        let values: Vec<i64> = places.iter().map(entry).collect::<Result<_, OnnxError>>()?;
        ArrayD::from_shape_vec(places.raw_dim(), values).map_err(|_| unfitting(layer))
    }

    fn reshaped(&self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(2..=2, &["allowzero"])?;
        layer.require("allowzero", 0, 0)?;
        let list = self.list(layer, 0)?;
        let target: Vec<i64> = self.list(layer, 1)?.into_iter().collect();
        let lengths = resolve(&target, list.shape()).ok_or_else(|| unfitting(layer))?;
        let values: Vec<i64> = list.into_iter().collect();
        ArrayD::from_shape_vec(IxDyn(&lengths), values).map_err(|_| unfitting(layer))
    }

    /// `Slice` with its bounds as inputs: starts, ends, axes, steps.
    fn sliced(&self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(3..=5, &[])?;
        let mut list = self.list(layer, 0)?;
        let bounds = |index| -> Result<Vec<i64>, OnnxError> {
            Ok(self.list(layer, index)?.into_iter().collect())
        };
        let (starts, ends) = (bounds(1)?, bounds(2)?);
        let all = (0..starts.len()).map(|axis| axis as i64).collect();
        let axes = if layer.input(3).is_some() { bounds(3)? } else { all };
        let steps = if layer.input(4).is_some() { bounds(4)? } else { vec![1; starts.len()] };
        let axes = normalized(layer, &axes, list.ndim())?;
        if [ends.len(), axes.len(), steps.len()].iter().any(|&count| count != starts.len()) {
            return Err(unfitting(layer));
        }
        for (at, &axis) in axes.iter().enumerate() {
            let length = list.len_of(Axis(axis));
            let places = places(starts[at], ends[at], steps[at], length);
            list = list.select(Axis(axis), &places.ok_or_else(|| unfitting(layer))?);
        }
        Ok(list)
    }

    fn transposed(&self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(1..=1, &["perm"])?;
        let list = self.list(layer, 0)?;
        let Some(perm) = layer.integers("perm")? else { return Ok(list.reversed_axes()) };
        let order = normalized(layer, perm, list.ndim())?;
        match order.len() == list.ndim() {
            true => Ok(list.permuted_axes(IxDyn(&order))),
            false => Err(unfitting(layer)),
        }
    }

    /// To an integer type, of which there is one here.
    fn cast_integers(&self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(1..=1, &["to"])?;
        match layer.integer("to", 0)? {
            6 | 7 => self.list(layer, 0),
            to => Err(layer.unsupported("to", &to.to_string(), "6 or 7, INT32 or INT64")),
        }
    }

    /// `Squeeze` and `Unsqueeze`.
    fn with_axes(&self, layer: &Layer<'a>) -> Result<ArrayD<i64>, OnnxError> {
        layer.check(1..=2, &["axes"])?;
        let list = self.list(layer, 0)?;
        let found = self.written_axes(layer)?;
        let mut lengths = list.shape().to_vec();
        if layer.operator() == "Unsqueeze" {
            let mut places = normalized(layer, &found, lengths.len() + found.len())?;
            places.sort_unstable();
            places.iter().for_each(|&place| lengths.insert(place.min(lengths.len()), 1));
        } else {
            let places = normalized(layer, &found, lengths.len())?;
            if places.iter().any(|&place| lengths[place] != 1) {
                return Err(unfitting(layer));
            }
            let mut place = 0..;
            lengths.retain(|_| !place.next().is_some_and(|place| places.contains(&place)));
        }
        let values: Vec<i64> = list.into_iter().collect();
        ArrayD::from_shape_vec(IxDyn(&lengths), values).map_err(|_| unfitting(layer))
    }
}

/// The attribute `axis` among `rank` axes.
fn one_axis(layer: &Layer, rank: usize) -> Result<usize, OnnxError> {
    let found = normalized(layer, &[layer.integer("axis", 0)?], rank)?;
    Ok(found[0])
}

/// What a slice takes of an axis; `None` for a step of zero.
fn places(start: i64, end: i64, step: i64, length: usize) -> Option<Vec<usize>> {
    let length = i64::try_from(length).ok()?;
    let from_end = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
    let (start, end) = (from_end(start), from_end(end));
    let forward = step > 0;
    let stop = if forward { end.min(length) } else { end.max(-1) };
    let mut place = if forward { start.max(0) } else { start.min(length - 1) };
    let mut places = Vec::new();
    while step != 0 && if forward { place < stop } else { place > stop } {
        places.push(usize::try_from(place).ok()?);
        place = place.saturating_add(step);
    }
    (step != 0).then_some(places)
}

fn unfitting(layer: &Layer) -> OnnxError {
    let supported = format!("at most {MOST} integers, of shapes that fit");
    layer.unsupported("inputs", "constants that do not fit", &supported)
}
