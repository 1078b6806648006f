//! Where the values of a tensor sit in the slots of ciphertexts.

use super::PolynomialError;
use crate::model::Shape;
use serde::{Deserialize, Serialize};

/// One slot of one ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The ciphertext.
    pub ciphertext: usize,
    /// The slot within it.
    pub slot: usize,
}

/// The places of all elements of a tensor, channel by channel, row by row. Slots that hold no
/// element hold junk.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Slots of one ciphertext, a power of two.
    pub slots: usize,
    /// Every slot `s` holds what slot `s + period` holds; `slots` where nothing repeats.
    pub period: usize,
    /// Distance between rows of a feature map.
    pub row: usize,
    /// Distance between columns of a feature map.
    pub column: usize,
    /// For each axis, the bits of a slot's number in which its elements differ.
    pub axes: Vec<usize>,
    /// The elements' places.
    pub places: Vec<Place>,
}

/// Masks of the runs of adjacent bits of `mask`.
pub(super) fn runs(mask: usize) -> Vec<usize> {
    let mut runs: Vec<usize> = Vec::new();
    for bit in bits(mask) {
        match runs.last_mut() {
            Some(run) if *run >> (bit.max(1) - 1) & 1 == 1 && bit > 0 => *run |= 1 << bit,
            _ => runs.push(1 << bit),
        }
    }
    runs
}

/// The numbers of the bits that are set, lowest first.
pub(super) fn bits(mask: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS as usize).filter(move |bit| mask >> bit & 1 == 1)
}

/// Number of bits that tell `count` things apart.
pub(super) fn bit_count(count: usize) -> usize {
    count.max(1).next_power_of_two().ilog2() as usize
}

/// A mask of `count` bits from bit `first` on.
pub(super) fn mask(first: usize, count: usize) -> usize {
    ((1 << count) - 1) << first
}

impl Layout {
    /// The input: rows, columns and channels at distances that are powers of two, and everything
    /// repeated over the whole ciphertext, as many ciphertexts as the channels need.
    ///
    /// # Errors
    /// [`PolynomialError::TooLarge`] where one channel does not fit.
    pub fn input(shape: Shape, slots: usize) -> Result<Self, PolynomialError> {
        let (channels, height, width) = match shape {
            Shape::Image { channels, height, width } => (channels, height, width),
            Shape::Vector(length) => (1, 1, length),
        };
        let (across, down) = (bit_count(width), bit_count(height));
        let size = 1 << (across + down);
        if size > slots {
            return Err(PolynomialError::TooLarge { elements: height * width, slots });
        }
        let capacity = slots / size;
        let base = |c| Place { ciphertext: c / capacity, slot: c % capacity * size };
        let bases: Vec<Place> = (0..channels).map(base).collect();
        let grid = Grid { height, width, row: 1 << across, column: 1 };
        let used = bit_count(channels.min(capacity));
        Ok(Self {
            slots,
            period: if channels > capacity { slots } else { size << used },
            row: grid.row,
            column: grid.column,
            axes: axes([mask(0, across), mask(across, down), mask(across + down, used)]),
            places: grid.places(&bases),
        })
    }

    /// The number of ciphertexts.
    #[must_use]
    pub fn ciphertexts(&self) -> usize {
        self.places.iter().map(|place| place.ciphertext + 1).max().unwrap_or(0)
    }

    /// The elements that a pooling keeps: every `strides[0]`-th row and `strides[1]`-th column of
    /// the maps of shape `from`, as many as `to` has.
    #[must_use]
    pub fn strided(&self, from: Shape, to: Shape, strides: [usize; 2]) -> Self {
        let (Shape::Image { height, width, .. }, Shape::Image { height: rows, width: columns, .. }) =
            (from, to)
        else {
            return self.clone();
        };
        let kept = |map: &[Place]| -> Vec<Place> {
            let position =
                |at: usize| at / columns * strides[0] * width + at % columns * strides[1];
            (0..rows * columns).filter_map(|at| map.get(position(at)).copied()).collect()
        };
        let places: Vec<Place> = self.places.chunks(height * width).flat_map(kept).collect();
        let used = places.iter().fold(0, |used, place| used | place.slot);
        Self {
            row: self.row * strides[0],
            column: self.column * strides[1],
            axes: axes(self.axes.iter().map(|axis| axis & used)),
            places,
            ..self.clone()
        }
    }
}

/// Without the empty ones.
pub(super) fn axes(masks: impl IntoIterator<Item = usize>) -> Vec<usize> {
    masks.into_iter().filter(|mask| *mask != 0).collect()
}

/// The distances within a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub height: usize,
    pub width: usize,
    pub row: usize,
    pub column: usize,
}

impl Grid {
    /// The offsets of a map's elements, row by row.
    pub fn offsets(&self) -> impl Iterator<Item = usize> {
        let Self { height, width, row, column } = *self;
        (0..height).flat_map(move |i| (0..width).map(move |j| i * row + j * column))
    }

    /// All bits of the offsets.
    pub fn mask(&self) -> usize {
        self.offsets().fold(0, |mask, offset| mask | offset)
    }

    /// Whether every element has a slot of its own.
    pub fn is_injective(&self, slots: usize) -> bool {
        let mut taken = vec![false; slots];
        self.offsets().all(|offset| {
            taken.get_mut(offset).is_some_and(|taken| !std::mem::replace(taken, true))
        })
    }

    /// The elements of one map after the other.
    pub fn places(&self, bases: &[Place]) -> Vec<Place> {
        let map = |base: &Place| {
            let Place { ciphertext, slot } = *base;
            self.offsets().map(move |offset| Place { ciphertext, slot: slot + offset })
        };
        bases.iter().flat_map(map).collect()
    }
}
