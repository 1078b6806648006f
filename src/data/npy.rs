//! NumPy's `.npy` format: a magic number, a version, a dictionary written as
//! Python writes it, then the numbers
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use std::io::Read;
use std::path::Path;

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use super::DataError;
use super::samples::Values;
use super::source::{Scalar, Source, byte_count};

pub(super) const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// The longest dictionary that is read; those of plain arrays have some hundred bytes.
const MAX_HEADER: usize = 1 << 16;

/// What the dictionary says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// The type of the numbers as NumPy writes it, such as `<f4`.
    descr: String,
    /// Whether the first axis runs fastest.
    fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

/// Reads an array of images, u8, f32 or f64.
pub(super) fn read_images(reader: impl Read, path: &Path) -> Result<Values, DataError> {
    let mut source = Source::new(reader, path);
    let header = read_header(&mut source)?;
    match header.descr.as_str() {
        "|u1" | "<u1" | ">u1" => read_array(source, &header).map(Values::Bytes),
        "<f4" => read_array(source, &header).map(Values::Single),
        "<f8" => read_array(source, &header).map(Values::Double),
        _ => Err(DataError::NpyType {
            path: path.into(),
            found: header.descr,
            wanted: "uint8, float32 or float64, little-endian,",
        }),
    }
}

fn read_array<T: Scalar>(
    mut source: Source<'_, impl Read>,
    header: &Header,
) -> Result<ArrayD<T>, DataError> {
    let count = header.count().ok_or_else(|| source.too_large())?;
    let values = source.values(count)?;
    source.end((count * T::SIZE) as u64)?;
    let shape = IxDyn(&header.shape).set_f(header.fortran_order);
    // Refused for sizes beside a zero whose product overflows.
    ArrayD::from_shape_vec(shape, values).map_err(|_| DataError::NoImages)
}

/// Reads an array of whole numbers, N or N x 1.
pub(super) fn read_labels(reader: impl Read, path: &Path) -> Result<Vec<usize>, DataError> {
    let mut source = Source::new(reader, path);
    let header = read_header(&mut source)?;
    let Some((size, signed)) = integer(&header.descr) else {
        let wanted = "an integer type, little-endian,";
        return Err(DataError::NpyType { path: path.into(), found: header.descr, wanted });
    };
    let ([count] | [count, 1]) = header.shape[..] else {
        return Err(DataError::LabelRank { path: path.into(), shape: header.shape });
    };
    let length = byte_count(count, size).ok_or_else(|| source.too_large())?;
    let bytes: Vec<u8> = source.values(count * size)?;
    source.end(length)?;
    let words = bytes.chunks_exact(size).enumerate();
    let wrong = |index| DataError::Label { path: path.into(), index };
    words.map(|(index, word)| label(word, signed).ok_or_else(|| wrong(index))).collect()
}

/// The bytes of an integer type, and whether it has a sign.
fn integer(descr: &str) -> Option<(usize, bool)> {
    match descr {
        "|u1" | "<u1" | ">u1" => Some((1, false)),
        "|i1" | "<i1" | ">i1" => Some((1, true)),
        "<u2" => Some((2, false)),
        "<i2" => Some((2, true)),
        "<u4" => Some((4, false)),
        "<i4" => Some((4, true)),
        "<u8" => Some((8, false)),
        "<i8" => Some((8, true)),
        _ => None,
    }
}

/// One label of at most eight bytes, unless it is negative or larger than any class.
fn label(word: &[u8], signed: bool) -> Option<usize> {
    let negative = signed && word.last().is_some_and(|&top| top >> 7 == 1);
    let value = word.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
    let class = u32::try_from(value).ok().filter(|_| !negative)?;
    usize::try_from(class).ok()
}

impl Header {
    /// The number of values.
    fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |total, &size| total.checked_mul(size))
    }
}

/// Reads all that is before the numbers.
pub(super) fn read_header(source: &mut Source<'_, impl Read>) -> Result<Header, DataError> {
    let wrong = DataError::NpyHeader { path: source.path().into() };
    let [magic @ .., major, _minor]: [u8; 8] = source.word()?;
    if magic != MAGIC {
        return Err(wrong);
    }
    let length = match major {
        1 => u32::from(u16::from_le_bytes(source.word()?)),
        2 | 3 => u32::from_le_bytes(source.word()?),
        _ => return Err(wrong),
    };
    let length = usize::try_from(length).ok().filter(|&length| length <= MAX_HEADER);
    let Some(length) = length else { return Err(wrong) };
    let text = source.values(length)?;
    let header = std::str::from_utf8(&text).ok().and_then(|text| Dictionary(text).header());
    header.ok_or(wrong)
}

/// What is left of a dictionary as Python writes it.
struct Dictionary<'a>(&'a str);

impl<'a> Dictionary<'a> {
    fn header(mut self) -> Option<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.symbol('{')?;
        while self.symbol('}').is_none() {
            let key = self.string()?;
            self.symbol(':')?;
            match key {
                "descr" => descr = Some(self.descr()?),
                "fortran_order" => fortran_order = Some(self.boolean()?),
                "shape" => shape = Some(self.tuple()?),
                _ => return None,
            }
            if self.symbol(',').is_none() {
                self.symbol('}')?;
                break;
            }
        }
        Some(Header { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }

    /// Skips spaces, and then the symbol if it is next.
    fn symbol(&mut self, symbol: char) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(symbol)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = ['\'', '"'].into_iter().find(|&quote| self.symbol(quote).is_some())?;
        let (string, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    /// The type of the numbers; that of records is a list, of which only the start is kept.
    fn descr(&mut self) -> Option<String> {
        if self.symbol('[').is_none() {
            return self.string().map(str::to_owned);
        }
        let (_, rest) = self.0.rsplit_once(']')?;
        self.0 = rest;
        Some("record".to_owned())
    }

    fn boolean(&mut self) -> Option<bool> {
        let text = self.0.trim_start();
        let (value, rest) = match text.strip_prefix("True") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("False")?),
        };
        self.0 = rest;
        Some(value)
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.symbol('(')?;
        let mut sizes = Vec::new();
        while self.symbol(')').is_none() {
            sizes.push(self.number()?);
            if self.symbol(',').is_none() {
                self.symbol(')')?;
                break;
            }
        }
        Some(sizes)
    }

    /// A whole number; Python 2 writes an L behind large ones.
    fn number(&mut self) -> Option<usize> {
        let text = self.0.trim_start();
        let length = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = text.split_at_checked(length)?;
        self.0 = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests;
