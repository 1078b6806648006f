//! The binary version of CIFAR-10 (<https://www.cs.toronto.edu/~kriz/cifar.html>): records of one
//! label and 3 x 32 x 32 pixels, red, green, blue.

use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};

use super::samples::Values;
use super::source::{Source, entries};
use super::{DataError, MAX_BYTES, Samples, Split};

const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;
const CLASSES: u8 = 10;

/// The images read so far.
#[derive(Debug, Default)]
struct Records {
    pixels: Vec<u8>,
    labels: Vec<usize>,
}

/// Reads one file of records.
pub(super) fn read_file(path: &Path) -> Result<Samples, DataError> {
    let mut records = Records::default();
    records.append(path)?;
    records.samples()
}

/// Reads the files of one split in the order of their names.
pub(super) fn read_folder(folder: &Path, split: Split) -> Result<Samples, DataError> {
    let mut records = Records::default();
    for path in entries(folder)?.iter().filter(|path| split_of(path) == Some(split)) {
        records.append(path)?;
        if records.pixels.len() as u64 > MAX_BYTES {
            return Err(DataError::TooLarge { path: folder.into() });
        }
    }
    match records.labels.is_empty() {
        true => Err(DataError::NoSplit { path: folder.into(), split: split.name() }),
        false => records.samples(),
    }
}

/// Whether there is a file of either split among these.
pub(super) fn has_records(paths: &[PathBuf]) -> bool {
    paths.iter().any(|path| split_of(path).is_some())
}

fn split_of(path: &Path) -> Option<Split> {
    let name = path.file_name()?.to_str()?.strip_suffix(".bin")?;
    match name {
        "test_batch" => Some(Split::Test),
        _ => name.starts_with("data_batch_").then_some(Split::Train),
    }
}

impl Records {
    fn append(&mut self, path: &Path) -> Result<(), DataError> {
        let bytes = Source::open(path)?.rest()?;
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if records.is_empty() || !rest.is_empty() {
            let expected = ((records.len() + 1) * RECORD) as u64;
            return Err(DataError::Truncated {
                path: path.into(),
                expected,
                found: bytes.len() as u64,
            });
        }
        for (index, [label, pixels @ ..]) in records.iter().enumerate() {
            if *label >= CLASSES {
                return Err(DataError::CifarLabel { path: path.into(), index, label: *label });
            }
            self.labels.push(usize::from(*label));
            self.pixels.extend(pixels);
        }
        Ok(())
    }

    fn samples(self) -> Result<Samples, DataError> {
        let shape = IxDyn(&[self.labels.len(), 3, 32, 32]);
        let images = ArrayD::from_shape_vec(shape, self.pixels).map_err(|_| DataError::NoImages)?;
        Samples::new(Values::Bytes(images), Some(self.labels))
    }
}

#[cfg(test)]
mod tests;
