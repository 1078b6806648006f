//! Where the values of a tensor sit in the coefficients of ciphertexts.
//!
//! Feature maps keep one distance between rows and one between columns, and a base per channel, so
//! that a convolution is a polynomial product (the packing of Cheetah, USENIX Security 2022) and a
//! pooled map is the same map with doubled distances. Vectors for dense layers are spread out with
//! zeros between their elements, so that one product computes as many rows as the zeros leave room
//! for, and packing, whose merges branch on the low bits, zeroes the rest with a handful of key
//! switches.

use super::CompileError;
use super::program::Place;

/// The layout of one value of the graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Layout {
    /// Feature maps: element `(c, i, j)` is at `bases[c]` plus `i row + j column`.
    Maps {
        /// Coefficient of element `(c, 0, 0)`.
        bases: Vec<Place>,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Distance between rows.
        row: usize,
        /// Distance between columns.
        column: usize,
    },
    /// A vector in one ciphertext: element `j` at `j stride`, zeros everywhere else.
    Spread {
        /// Number of elements.
        length: usize,
        /// Distance between elements, a power of two.
        stride: usize,
    },
    /// A vector, element by element, with junk elsewhere.
    Scattered(Vec<Place>),
}

impl Layout {
    /// Feature maps one after the other, as many whole ones to a ciphertext as fit.
    ///
    /// # Errors
    /// [`CompileError::TooLarge`] where one map does not fit the ring.
    pub fn contiguous(
        (channels, height, width): (usize, usize, usize),
        dimension: usize,
    ) -> Result<Self, CompileError> {
        let size = height * width;
        let per_ciphertext = dimension / size.max(1);
        if per_ciphertext == 0 {
            return Err(CompileError::TooLarge { elements: size, dimension });
        }
        let base =
            |c| Place { ciphertext: c / per_ciphertext, coefficient: c % per_ciphertext * size };
        let bases = (0..channels).map(base).collect();
        Ok(Self::Maps { bases, height, width, row: width, column: 1 })
    }

    /// A vector, spread over the whole ring.
    ///
    /// # Errors
    /// [`CompileError::TooLarge`] where it does not fit the ring.
    pub fn spread(length: usize, dimension: usize) -> Result<Self, CompileError> {
        match dimension / length.next_power_of_two().max(1) {
            0 => Err(CompileError::TooLarge { elements: length, dimension }),
            stride => Ok(Self::Spread { length, stride }),
        }
    }

    /// The places of all elements, channel by channel, row by row.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        match self {
            Self::Scattered(places) => places.clone(),
            Self::Spread { length, stride } => {
                let place = |j| Place { ciphertext: 0, coefficient: j * stride };
                (0..*length).map(place).collect()
            }
            Self::Maps { bases, height, width, row, column } => {
                let offsets = (0..*height).flat_map(|i| (0..*width).map(move |j| (i, j)));
                let offsets: Vec<usize> = offsets.map(|(i, j)| i * row + j * column).collect();
                let shifted = |base: &Place, offset: &usize| Place {
                    coefficient: base.coefficient + offset,
                    ..*base
                };
                bases.iter().flat_map(|b| offsets.iter().map(move |o| shifted(b, o))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contiguous_fills_ciphertexts_by_whole_channels() {
        let layout = Layout::contiguous((5, 3, 4), 32).unwrap();
        let places = layout.places();
        assert_eq!(places.len(), 60);
        assert_eq!(places[0], Place { ciphertext: 0, coefficient: 0 });
        assert_eq!(places[23], Place { ciphertext: 0, coefficient: 23 });
        assert_eq!(places[24], Place { ciphertext: 1, coefficient: 0 });
        assert_eq!(places[59], Place { ciphertext: 2, coefficient: 11 });
        let mut unique = places.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), 60);
        assert!(matches!(
            Layout::contiguous((1, 8, 8), 32),
            Err(CompileError::TooLarge { elements: 64, dimension: 32 })
        ));
    }

    #[test]
    fn spread_vectors_tell_all_bits_apart() {
        for (length, stride) in [(400, 4), (120, 16), (84, 16), (2048, 1), (1, 2048)] {
            let layout = Layout::spread(length, 2048).unwrap();
            assert_eq!(layout, Layout::Spread { length, stride });
            assert_eq!(layout.places().len(), length);
        }
        assert!(Layout::spread(2049, 2048).is_err());
    }
}
