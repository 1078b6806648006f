//! Operators that rearrange values.

use super::Importer;
use super::error::OnnxError;
use super::layer::Layer;
use super::tensor::Tensor;
use super::value::{Axis, Value, length};

impl Value {
    /// Leaves out axes (of length one) at these places.
    pub(super) fn drop_axes(&mut self, places: &[usize]) {
        let mut place = 0..;
        self.axes.retain(|_| !place.next().is_some_and(|place| places.contains(&place)));
    }
}

impl<'a> Importer<'a> {
    pub(super) fn flatten(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=1, &["axis"])?;
        let value = self.value(layer, 0)?;
        // Counted from the end, the batch axis included.
        let rank = i64::try_from(value.axes.len()).unwrap_or(i64::MAX);
        let axis = layer.integer("axis", 1)?;
        if axis != 1 && axis != 1 - rank {
            let supported = "1: everything but the batch becomes one vector";
            return Err(layer.unsupported("axis", &axis.to_string(), supported));
        }
        self.vector_of(layer, &value)
    }

    fn vector_of(&mut self, layer: &Layer<'a>, value: &Value) -> Result<Value, OnnxError> {
        if value.axes.first() != Some(&Axis::Batch) {
            return Err(self.layout(layer, value, "the batch first"));
        }
        if value.order.is_some() {
            return Ok(Value { axes: vec![Axis::Batch, Axis::Channel], ..value.clone() });
        }
        self.flattened(layer, value, layer.name().to_owned())
    }

    /// To a vector, or with axes of length one more or less.
    pub(super) fn reshape(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(2..=2, &["allowzero"])?;
        layer.require("allowzero", 0, 0)?;
        let value = self.value(layer, 0)?;
        let target = self.integers(layer, 1)?;
        let lengths = self.lengths(layer, &value)?;
        let elements: usize = lengths.iter().product();
        match resolve(target.values(), &lengths).as_deref() {
            Some(&[1, length]) if length == elements => self.vector_of(layer, &value),
            Some([1, rest @ ..]) if value.axes.first() == Some(&Axis::Batch) => {
                let shape = self.shape(layer, &value)?;
                let mut long = value.axes.iter().copied().filter(|&axis| length(axis, shape) > 1);
                let mut axes = vec![Axis::Batch];
                for &wanted in rest {
                    let axis = if wanted == 1 { Some(Axis::One) } else { long.next() };
                    let axis = axis.filter(|&axis| wanted == 1 || length(axis, shape) == wanted);
                    axes.push(axis.ok_or_else(|| reshape_error(layer, &target, elements))?);
                }
                match long.next() {
                    Some(_) => Err(reshape_error(layer, &target, elements)),
                    None => Ok(Value { axes, ..value.clone() }),
                }
            }
            _ => Err(reshape_error(layer, &target, elements)),
        }
    }

    pub(super) fn transpose(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=1, &["perm"])?;
        let mut value = self.value(layer, 0)?;
        let found = layer.integers("perm")?.unwrap_or_default();
        let places: Option<Vec<usize>> = found.iter().map(|&i| usize::try_from(i).ok()).collect();
        let places = places.unwrap_or_default();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..value.axes.len()) {
            let supported = format!("the numbers from 0 to {}", value.axes.len() - 1);
            return Err(layer.unsupported("perm", &format!("{found:?}"), &supported));
        }
        value.axes = places.iter().map(|&place| value.axes[place]).collect();
        Ok(value)
    }

    pub(super) fn squeeze(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=2, &["axes"])?;
        let mut value = self.value(layer, 0)?;
        let places = self.axes(layer, &value)?;
        let lengths = self.lengths(layer, &value)?;
        if places.iter().any(|&place| lengths[place] != 1 || value.axes[place] == Axis::Batch) {
            let supported = "axes of length one, but not the batch";
            return Err(layer.unsupported("axes", &format!("{places:?}"), supported));
        }
        value.drop_axes(&places);
        Ok(value)
    }

    pub(super) fn unsqueeze(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=2, &["axes"])?;
        let mut value = self.value(layer, 0)?;
        let found = self.written_axes(layer)?;
        let rank = value.axes.len() + found.len();
        let mut places = normalized(layer, &found, rank)?;
        places.sort_unstable();
        for place in places {
            value.axes.insert(place.min(value.axes.len()), Axis::One);
        }
        Ok(value)
    }

    /// The axes that an operator names, as places among the axes of the value it reads.
    pub(super) fn axes(&self, layer: &Layer<'a>, value: &Value) -> Result<Vec<usize>, OnnxError> {
        normalized(layer, &self.written_axes(layer)?, value.axes.len())
    }

    /// Axes are an attribute in older operator sets, and an input since.
    pub(super) fn written_axes(&self, layer: &Layer<'a>) -> Result<Vec<i64>, OnnxError> {
        let found = match layer.input(1) {
            Some(_) => self.integers(layer, 1)?.values().to_vec(),
            None => layer.integers("axes")?.unwrap_or_default().to_vec(),
        };
        match found.is_empty() {
            true => Err(layer.unsupported("axes", "(left out)", "a list of axes")),
            false => Ok(found),
        }
    }
}

/// Axes as places among `rank`, negative ones being counted from the end, each at most once.
pub(super) fn normalized(
    layer: &Layer,
    found: &[i64],
    rank: usize,
) -> Result<Vec<usize>, OnnxError> {
    let count = i64::try_from(rank).unwrap_or(i64::MAX);
    let place = |&axis: &i64| {
        let axis = if axis < 0 { axis.checked_add(count)? } else { axis };
        usize::try_from(axis).ok().filter(|&axis| axis < rank)
    };
    let places: Option<Vec<usize>> = found.iter().map(place).collect();
    let error = || {
        let supported = format!("different ones of {rank}");
        layer.unsupported("axes", &format!("{found:?}"), &supported)
    };
    let places = places.ok_or_else(error)?;
    let repeated = |(i, place): (usize, &usize)| places[..i].contains(place);
    if places.iter().enumerate().any(repeated) { Err(error()) } else { Ok(places) }
}

fn reshape_error(layer: &Layer, target: &Tensor<i64>, elements: usize) -> OnnxError {
    let found = format!("{:?}", target.values());
    let supported = format!("[1, {elements}], [0, -1] or the like, a flatten");
    layer.unsupported("shape", &found, &supported)
}

/// The lengths that a `Reshape` asks for: 0 keeps a length, and -1 stands for what is left.
pub(super) fn resolve(target: &[i64], lengths: &[usize]) -> Option<Vec<usize>> {
    let elements: usize = lengths.iter().product();
    let wanted = target.iter().enumerate().map(|(at, &length)| match length {
        0 => lengths.get(at).copied().map(Some),
        -1 => Some(None),
        length => usize::try_from(length).ok().map(Some),
    });
    let wanted: Vec<Option<usize>> = wanted.collect::<Option<_>>()?;
    let known = wanted.iter().flatten();
    let known = known.copied().try_fold(1, usize::checked_mul).filter(|&known| known > 0)?;
    let left = elements.checked_div(known)?;
    let free = wanted.iter().filter(|length| length.is_none()).count();
    let fits = if free == 0 { known == elements } else { free == 1 && left * known == elements };
    fits.then(|| wanted.into_iter().map(|length| length.unwrap_or(left)).collect())
}
