//! Images for a network, kept as they are stored and converted one by one.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};

use super::fitted::Fitted;
use super::{DataError, LabelledImages};
use crate::model::Shape;
use crate::model::graph::MAX_ELEMENTS;

/// The channels that an image may have for the last axis to be taken for them.
const COLOURS: [usize; 2] = [1, 3];

/// Images of one shape for a network, with labels where the source has them.
///
/// An image is C x H x W values, or a vector. Pixels of 8 bits are kept as bytes and read as
/// pixel / 255, in [0, 1]; floats are read as they are. There is at least one image.
///
/// ```
/// use bellerophon::data::Samples;
/// use bellerophon::model::Shape;
/// use ndarray::{ArrayD, IxDyn};
///
/// let pixels = ArrayD::from_elem(IxDyn(&[5, 28, 28]), 255_u8);
/// let samples = Samples::from_pixels(pixels, Some(vec![3, 1, 4, 1, 5]))?;
/// assert_eq!(samples.shape(), Shape::image(1, 28, 28));
///
/// let fitted = samples.fitted(Shape::image(1, 32, 32))?;
/// let image = fitted.get(0)?;
/// assert_eq!((image[[0, 0, 0]], image[[0, 16, 16]]), (0.0, 1.0));
/// # Ok::<(), bellerophon::data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    values: Values,
    labels: Option<Vec<usize>>,
}

/// All images as they are stored, the first axis counting them: N x C x H x W or N x n.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Bytes(ArrayD<u8>),
    Single(ArrayD<f32>),
    Double(ArrayD<f64>),
}

/// Calls `$function(array, conversion to f64, ...)` for the array that there is.
macro_rules! with_values {
    ($values:expr, $function:ident $(, $argument:expr)*) => {
        match $values {
            Values::Bytes(array) => $function(array, |&pixel| pixel_value(pixel) $(, $argument)*),
            Values::Single(array) => $function(array, |&value| f64::from(value) $(, $argument)*),
            Values::Double(array) => $function(array, |&value| value $(, $argument)*),
        }
    };
}

impl Samples {
    /// Images of 8-bit pixels. The array is N x C x H x W, N x H x W (one channel), or N x n
    /// (vectors); a last axis of 1 or 3 where the second axis is neither is taken for the
    /// channels, as N x H x W x C.
    ///
    /// # Errors
    /// [`DataError`] if the array has another rank, no image, images of more than
    /// [`MAX_ELEMENTS`] values or not one label for each.
    pub fn from_pixels(images: ArrayD<u8>, labels: Option<Vec<usize>>) -> Result<Self, DataError> {
        Self::new(Values::Bytes(images), labels)
    }

    /// Images of floats, read as they are; axes as in [`Samples::from_pixels`].
    ///
    /// # Errors
    /// Those of [`Samples::from_pixels`], and [`DataError::NotFinite`] for a value that is
    /// infinite or not a number.
    pub fn from_floats(images: ArrayD<f64>, labels: Option<Vec<usize>>) -> Result<Self, DataError> {
        Self::new(Values::Double(images), labels)
    }

    pub(super) fn new(values: Values, labels: Option<Vec<usize>>) -> Result<Self, DataError> {
        let values = match values {
            Values::Bytes(array) => Values::Bytes(arranged(array)?),
            Values::Single(array) => Values::Single(arranged(array)?),
            Values::Double(array) => Values::Double(arranged(array)?),
        };
        let samples = Self { values, labels };
        if let Some(index) = with_values!(&samples.values, not_finite) {
            return Err(DataError::NotFinite { index });
        }
        let (images, labels) = (samples.len(), samples.labels().map(<[usize]>::len));
        match labels.filter(|&labels| labels != images) {
            Some(labels) => Err(DataError::CountMismatch { images, labels }),
            None => Ok(samples),
        }
    }

    /// The number of images, at least 1.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.dimensions()[0]
    }

    /// The shape of every image.
    pub fn shape(&self) -> Shape {
        image_shape(&self.dimensions()[1..])
    }

    fn dimensions(&self) -> &[usize] {
        match &self.values {
            Values::Bytes(array) => array.shape(),
            Values::Single(array) => array.shape(),
            Values::Double(array) => array.shape(),
        }
    }

    /// The label of each image, if the source has labels.
    pub fn labels(&self) -> Option<&[usize]> {
        self.labels.as_deref()
    }

    /// Whether the images are pixels of 8 bits, and so multiples of 1/255 in [0, 1].
    pub fn is_pixels(&self) -> bool {
        self.pixel_bits().is_some()
    }

    /// The bits of each value of the source: 8 for pixels, none for floats.
    pub fn pixel_bits(&self) -> Option<u32> {
        match self.values {
            Values::Bytes(_) => Some(u8::BITS),
            Values::Single(_) | Values::Double(_) => None,
        }
    }

    /// One image, C x H x W or a vector.
    ///
    /// # Errors
    /// [`DataError::PastEnd`] if there are not that many.
    pub fn get(&self, index: usize) -> Result<ArrayD<f64>, DataError> {
        self.checked(index)?;
        Ok(self.placed(index, &self.dimensions()[1..]))
    }

    /// Checks that there is an image of this number.
    pub(super) fn checked(&self, index: usize) -> Result<(), DataError> {
        within(index, 1, self.len()).map(|_| ())
    }

    /// The images `first..first + count`, and their labels.
    ///
    /// # Errors
    /// [`DataError::NoneWanted`] for a count of zero, [`DataError::PastEnd`] if there are not
    /// that many images.
    pub fn take(self, first: usize, count: usize) -> Result<Self, DataError> {
        let range = within(first, count, self.len())?;
        let slice = Slice::from(range.clone());
        let values = match self.values {
            Values::Bytes(array) => Values::Bytes(array.slice_axis(Axis(0), slice).to_owned()),
            Values::Single(array) => Values::Single(array.slice_axis(Axis(0), slice).to_owned()),
            Values::Double(array) => Values::Double(array.slice_axis(Axis(0), slice).to_owned()),
        };
        let labels = self.labels.map(|labels| labels[range].to_vec());
        Ok(Self { values, labels })
    }

    /// Every image in the shape that a model reads: smaller images of as many channels in the
    /// middle of zeros (28x28 in 32x32; an odd row or column of zeros goes below or right), and
    /// images of n values in the order C, H, W where the model reads a vector of n.
    ///
    /// # Errors
    /// [`DataError::Shape`] for any other difference.
    pub fn fitted(&self, shape: Shape) -> Result<Fitted<'_>, DataError> {
        Fitted::new(self, shape)
    }

    /// One image in the middle of zeros of these dimensions, as many and no smaller.
    pub(super) fn placed(&self, index: usize, dimensions: &[usize]) -> ArrayD<f64> {
        with_values!(&self.values, placed_one, index, dimensions)
    }
}

impl From<LabelledImages> for Samples {
    fn from(data: LabelledImages) -> Self {
        let (images, labels) = data.into_parts();
        let labels = labels.into_iter().map(usize::from).collect();
        let values = Values::Bytes(images.insert_axis(Axis(1)).into_dyn());
        Self { values, labels: Some(labels) }
    }
}

/// The value of an 8-bit pixel, in [0, 1].
pub(super) fn pixel_value(pixel: u8) -> f64 {
    f64::from(pixel) / 255.0
}

/// Checks `count` images from `first` on of `available`.
pub(super) fn within(
    first: usize,
    count: usize,
    available: usize,
) -> Result<std::ops::Range<usize>, DataError> {
    if count == 0 {
        return Err(DataError::NoneWanted { available });
    }
    let end = first.checked_add(count).filter(|&end| end <= available);
    end.map(|end| first..end).ok_or(DataError::PastEnd { first, count, available })
}

/// One image in the middle of zeros of these dimensions, as many and no smaller.
pub(super) fn placed<T>(
    image: ArrayViewD<T>,
    dimensions: &[usize],
    value: impl Fn(&T) -> f64,
) -> ArrayD<f64> {
    let mut whole = ArrayD::zeros(IxDyn(dimensions));
    let mut middle = whole.slice_each_axis_mut(|axis| {
        let length = image.len_of(axis.axis);
        let start = (axis.len - length) / 2;
        Slice::from(start..start + length)
    });
    middle.zip_mut_with(&image, |to, from| *to = value(from));
    whole
}

fn placed_one<T>(
    images: &ArrayD<T>,
    value: impl Fn(&T) -> f64,
    index: usize,
    dimensions: &[usize],
) -> ArrayD<f64> {
    placed(images.index_axis(Axis(0), index), dimensions, value)
}

/// The first image with a value that is infinite or not a number.
fn not_finite<T>(images: &ArrayD<T>, value: impl Fn(&T) -> f64) -> Option<usize> {
    let finite = |image: ArrayViewD<T>| image.iter().all(|element| value(element).is_finite());
    images.axis_iter(Axis(0)).position(|image| !finite(image))
}

/// The same images as N x C x H x W or N x n.
fn arranged<T>(images: ArrayD<T>) -> Result<ArrayD<T>, DataError> {
    let arranged = match *images.shape() {
        [_, _, _] => images.insert_axis(Axis(1)),
        [_, second, _, last] if !COLOURS.contains(&second) && COLOURS.contains(&last) => {
            images.permuted_axes(IxDyn(&[0, 3, 1, 2]))
        }
        [_, _] | [_, _, _, _] => images,
        ref shape => return Err(DataError::ImageRank { shape: shape.to_vec() }),
    };
    let elements = image_shape(&arranged.shape()[1..]).elements();
    match arranged.len() {
        0 => Err(DataError::NoImages),
        _ if elements > MAX_ELEMENTS => Err(DataError::ImageTooLarge { elements }),
        _ => Ok(arranged),
    }
}

/// The shape of an image of three dimensions or a vector of one.
pub(super) fn image_shape(dimensions: &[usize]) -> Shape {
    match *dimensions {
        [channels, height, width] => Shape::image(channels, height, width),
        _ => Shape::Vector(dimensions.iter().product()),
    }
}

#[cfg(test)]
mod tests;
