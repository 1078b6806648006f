//! Images in the shape that a model reads.

use ndarray::{Array1, ArrayD};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::{DataError, Samples};
use crate::model::Shape;
use crate::model::graph::MAX_ELEMENTS;

/// [`Samples`] in the shape that a model reads, converted as they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Fitted<'a> {
    samples: &'a Samples,
    shape: Shape,
}

impl<'a> Fitted<'a> {
    pub(super) fn new(samples: &'a Samples, shape: Shape) -> Result<Self, DataError> {
        let found = samples.shape();
        match shape.elements() {
            _ if !fits(found, shape) => Err(DataError::Shape { found, wanted: shape }),
            elements if elements > MAX_ELEMENTS => Err(DataError::ImageTooLarge { elements }),
            _ => Ok(Self { samples, shape }),
        }
    }

    /// The number of images, at least 1.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// The shape of every image.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// One image, in row-major order.
    ///
    /// # Errors
    /// [`DataError::PastEnd`] if there are not that many.
    pub fn get(&self, index: usize) -> Result<ArrayD<f64>, DataError> {
        self.samples.checked(index)?;
        Ok(self.image(index))
    }

    /// All images in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ArrayD<f64>> + use<'a> {
        let fitted = *self;
        (0..self.len()).map(move |index| fitted.image(index))
    }

    /// All images, shared among threads.
    pub fn par_iter(&self) -> impl IndexedParallelIterator<Item = ArrayD<f64>> + use<'a> {
        let fitted = *self;
        (0..self.len()).into_par_iter().map(move |index| fitted.image(index))
    }

    fn image(&self, index: usize) -> ArrayD<f64> {
        match (self.samples.shape(), self.shape) {
            (image @ Shape::Image { .. }, Shape::Vector(_)) => {
                let image = self.samples.placed(index, &image.dimensions());
                Array1::from_iter(image).into_dyn()
            }
            (_, shape) => self.samples.placed(index, &shape.dimensions()),
        }
    }
}

fn fits(found: Shape, wanted: Shape) -> bool {
    use Shape::{Image, Vector};
    match (found, wanted) {
        (
            Image { channels, height, width },
            Image { channels: wanted_channels, height: rows, width: columns },
        ) => channels == wanted_channels && height <= rows && width <= columns,
        (_, Vector(length)) => found.elements() == length,
        (Vector(_), Image { .. }) => false,
    }
}

#[cfg(test)]
mod tests;
