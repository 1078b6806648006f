//! Layers with a window: convolutions, poolings, and padding.

use super::Importer;
use super::error::OnnxError;
use super::layer::Layer;
use super::value::{Axis, Value, length};
use crate::model::graph::{NodeId, Shape};
use crate::model::operator::{Convolution, MaxPool, MeanPool, Operator};
use ndarray::Array1;

/// The window of a layer along both axes.
struct Window {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
}

impl Window {
    /// Reads strides, dilations and pads; `size` is that of the maps.
    fn read(layer: &Layer, kernel: [usize; 2], size: [usize; 2]) -> Result<Self, OnnxError> {
        let strides = layer.sizes("strides")?.unwrap_or([1, 1]);
        let dilations = layer.sizes("dilations")?.unwrap_or([1, 1]);
        let written = layer.sizes("pads")?.unwrap_or([0; 4]);
        let mut window = Self { kernel, strides, dilations, pads: written };
        let rule = layer.text("auto_pad")?.unwrap_or_default();
        if matches!(&*rule, "NOTSET" | "") {
            return Ok(window);
        }
        if written != [0; 4] {
            let supported = "no pads, where auto_pad gives them";
            return Err(layer.unsupported("pads", &format!("{written:?}"), supported));
        }
        window.pads = match &*rule {
            "VALID" => [0; 4],
            "SAME_UPPER" => window.same(size, false),
            "SAME_LOWER" => window.same(size, true),
            other => {
                let supported = "NOTSET, VALID, SAME_UPPER or SAME_LOWER";
                return Err(layer.unsupported("auto_pad", other, supported));
            }
        };
        Ok(window)
    }

    /// Rows or columns under the window.
    fn extent(&self, axis: usize) -> usize {
        self.kernel[axis].saturating_sub(1).saturating_mul(self.dilations[axis]).saturating_add(1)
    }

    /// As many windows as there are strides in the map; where the padding is odd, the larger half
    /// comes last, or first.
    fn same(&self, size: [usize; 2], larger_first: bool) -> [usize; 4] {
        let mut pads = [0; 4];
        for axis in 0..2 {
            // A stride of zero is refused with the layer.
            let windows = size[axis].div_ceil(self.strides[axis].max(1));
            let last = windows.saturating_sub(1).saturating_mul(self.strides[axis]);
            let total = last.saturating_add(self.extent(axis)).saturating_sub(size[axis]);
            let halves = [total / 2, total - total / 2];
            pads[axis] = halves[usize::from(larger_first)];
            pads[axis + 2] = halves[usize::from(!larger_first)];
        }
        pads
    }

    /// More padding below and right, so that a last window which is only in part on the padded map
    /// counts too, if it starts before the padding.
    fn round_up(&mut self, size: [usize; 2]) {
        for (axis, length) in size.into_iter().enumerate() {
            let stride = self.strides[axis].max(1);
            let covered = length.saturating_add(self.pads[axis]);
            let padded = covered.saturating_add(self.pads[axis + 2]);
            let Some(free) = padded.checked_sub(self.extent(axis)) else { continue };
            let mut last = free.div_ceil(stride).saturating_mul(stride);
            if last >= covered {
                last = last.saturating_sub(stride);
            }
            let end = last.saturating_add(self.extent(axis));
            self.pads[axis + 2] = end.saturating_sub(covered);
        }
    }
}

impl<'a> Importer<'a> {
    pub(super) fn convolution(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        let known = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
        layer.check(2..=3, &known)?;
        let (value, [_, height, width]) = self.image(layer)?;
        let weights = self.real(layer, 1)?.kernel()?;
        let (outputs, _, rows, columns) = weights.dim();
        if let Some(found) = layer.sizes("kernel_shape")?.filter(|k| *k != [rows, columns]) {
            let supported = format!("[{rows}, {columns}], the size of the weights");
            return Err(layer.unsupported("kernel_shape", &format!("{found:?}"), &supported));
        }
        let bias = match layer.input(2) {
            Some(_) => self.real(layer, 2)?.vector()?,
            None => Array1::zeros(outputs),
        };
        let group = layer.integer("group", 1)?;
        let positive = || layer.unsupported("group", &group.to_string(), "a positive integer");
        let groups = usize::try_from(group).ok().filter(|&g| g > 0).ok_or_else(positive)?;
        let Window { strides, dilations, pads, .. } =
            Window::read(layer, [rows, columns], [height, width])?;
        let convolution = Convolution { weights, bias, strides, pads, dilations, groups };
        self.image_layer(layer, Operator::Convolution(convolution), value.node)
    }

    pub(super) fn max_pool(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        let (value, Window { kernel, strides, pads, .. }, _) =
            self.pooling(layer, "storage_order")?;
        let pool = MaxPool { kernel, strides, pads };
        self.image_layer(layer, Operator::MaxPool(pool), value.node)
    }

    pub(super) fn mean_pool(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        let (value, Window { kernel, strides, pads, .. }, written) =
            self.pooling(layer, "count_include_pad")?;
        let counted = layer.integer("count_include_pad", 0)? != 0 && written != [0; 4];
        if counted && (0..2).any(|axis| pads[axis + 2] > written[axis + 2]) {
            let supported = "0, where padding counts and the last window is not all on it";
            return Err(layer.unsupported("ceil_mode", "1", supported));
        }
        let pool = MeanPool { kernel, strides, pads, include_padding: counted };
        self.image_layer(layer, Operator::MeanPool(pool), value.node)
    }

    /// The window of a pooling, which may have one attribute of its own, and its pads before they
    /// are rounded up.
    fn pooling(
        &mut self,
        layer: &Layer<'a>,
        own: &str,
    ) -> Result<(Value, Window, [usize; 4]), OnnxError> {
        let known = ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides", own];
        layer.check(1..=1, &known)?;
        let absent = || layer.unsupported("kernel_shape", "(left out)", "two positive integers");
        let kernel = layer.sizes("kernel_shape")?.ok_or_else(absent)?;
        let (value, [_, height, width]) = self.image(layer)?;
        let mut window = Window::read(layer, kernel, [height, width])?;
        let written = window.pads;
        if window.dilations != [1, 1] {
            let found = format!("{:?}", window.dilations);
            return Err(layer.unsupported("dilations", &found, "[1, 1]"));
        }
        match layer.integer("ceil_mode", 0)? {
            0 => {}
            1 => window.round_up([height, width]),
            other => return Err(layer.unsupported("ceil_mode", &other.to_string(), "0 or 1")),
        }
        Ok((value, window, written))
    }

    /// A pooling of the whole map.
    pub(super) fn global_pool(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=1, &[])?;
        let (value, [_, height, width]) = self.image(layer)?;
        let operator = match layer.operator() {
            "GlobalMaxPool" => Operator::MaxPool(MaxPool::new([height, width], [1, 1])),
            _ => Operator::MeanPool(MeanPool::new([height, width], [1, 1])),
        };
        self.image_layer(layer, operator, value.node)
    }

    /// `ReduceMean` over rows and columns is a pooling of the whole map.
    pub(super) fn reduce_mean(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=2, &["axes", "keepdims", "noop_with_empty_axes"])?;
        let value = self.value(layer, 0)?;
        let reduced = self.axes(layer, &value)?;
        let shape = self.shape(layer, &value)?;
        let is_reduced = |axis: Axis| reduced.iter().any(|&at| value.axes[at] == axis);
        let whole = |axis: Axis| length(axis, shape) == 1 || is_reduced(axis);
        let kept = length(Axis::Channel, shape) == 1 || !is_reduced(Axis::Channel);
        let Shape::Image { height, width, .. } = shape else {
            return Err(self.layout(layer, &value, "an image"));
        };
        if !(whole(Axis::Row) && whole(Axis::Column) && kept) || is_reduced(Axis::Batch) {
            let supported = "rows and columns";
            return Err(layer.unsupported("axes", &format!("{reduced:?}"), supported));
        }
        let pool = Operator::MeanPool(MeanPool::new([height, width], [1, 1]));
        let mut value = value.moved(self.push(layer, pool, vec![value.node])?);
        if layer.integer("keepdims", 1)? == 0 {
            value.drop_axes(&reduced);
        }
        Ok(value)
    }

    /// Zeros around the maps of an image.
    pub(super) fn pad(&mut self, layer: &Layer<'a>) -> Result<Value, OnnxError> {
        layer.check(1..=3, &["mode", "pads", "value"])?;
        let mode = layer.text("mode")?.unwrap_or("constant".into());
        if mode != "constant" {
            return Err(layer.unsupported("mode", &mode, "constant"));
        }
        let filling = match layer.input(2) {
            Some(_) => self.real(layer, 2)?.single()?,
            None => layer.real("value", 0.0)?,
        };
        if filling != 0.0 {
            return Err(layer.unsupported("value", &filling.to_string(), "0"));
        }
        let value = self.value(layer, 0)?;
        let found = match layer.integers("pads")? {
            Some(found) => found.to_vec(),
            None => self.integers(layer, 1)?.values().to_vec(),
        };
        let pads = padding(&value.axes, &found);
        let supported = "non-negative, and zero but for rows and columns";
        let error = || layer.unsupported("pads", &format!("{found:?}"), supported);
        let pads = pads.ok_or_else(error)?;
        if pads == [0; 4] {
            return Ok(value);
        }
        let node = self.push(layer, Operator::Pad(pads), vec![value.node])?;
        Ok(value.moved(node))
    }

    fn image_layer(
        &mut self,
        layer: &Layer,
        operator: Operator,
        input: NodeId,
    ) -> Result<Value, OnnxError> {
        let node = self.push(layer, operator, vec![input])?;
        let shape = self.graph.node(node).map_err(|source| self.misfit(layer, source))?.shape();
        Ok(Value::new(node, shape))
    }
}

/// Top, left, bottom, right, from the zeros before and then behind each axis.
fn padding(axes: &[Axis], found: &[i64]) -> Option<[usize; 4]> {
    if found.len() != 2 * axes.len() {
        return None;
    }
    let mut pads = [0; 4];
    for (index, &count) in found.iter().enumerate() {
        let side = 2 * (index / axes.len());
        let count = usize::try_from(count).ok()?;
        match axes[index % axes.len()] {
            Axis::Row => pads[side] = count,
            Axis::Column => pads[side + 1] = count,
            _ if count == 0 => {}
            _ => return None,
        }
    }
    Some(pads)
}
