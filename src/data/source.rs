//! Bytes of one file, counted, so that no header can make more memory be asked
//! for than the file fills.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{DataError, MAX_BYTES};

/// How many values are converted at a time.
const CHUNK: usize = 1 << 16;

/// A number as files store it, little-endian.
pub(super) trait Scalar: Sized {
    /// Bytes of each number.
    const SIZE: usize;

    /// The numbers in these bytes; an incomplete one at the end is left out.
    fn decode(bytes: &[u8], into: &mut Vec<Self>);
}

macro_rules! scalar {
    ($($number:ty),*) => {$(
        impl Scalar for $number {
            const SIZE: usize = size_of::<$number>();

            fn decode(bytes: &[u8], into: &mut Vec<Self>) {
                let (words, _) = bytes.as_chunks();
                into.extend(words.iter().map(|word| Self::from_le_bytes(*word)));
            }
        }
    )*};
}

scalar!(u8, f32, f64);

/// What is left to read of one file; `path` is for errors.
#[derive(Debug)]
pub(super) struct Source<'a, R> {
    reader: R,
    path: &'a Path,
}

impl<'a> Source<'a, BufReader<File>> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        match File::open(path) {
            Ok(file) => Ok(Self::new(BufReader::new(file), path)),
            Err(source) => Err(unreadable(path, source)),
        }
    }
}

impl<'a, R: Read> Source<'a, R> {
    pub(super) fn new(reader: R, path: &'a Path) -> Self {
        Self { reader, path }
    }

    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    pub(super) fn into_reader(self) -> R {
        self.reader
    }

    /// The next `N` bytes.
    pub(super) fn word<const N: usize>(&mut self) -> Result<[u8; N], DataError> {
        let mut word = [0; N];
        match self.reader.read_exact(&mut word) {
            Ok(()) => Ok(word),
            Err(source) => Err(self.failure(source, N as u64, 0)),
        }
    }

    /// The next `count` numbers.
    pub(super) fn values<T: Scalar>(&mut self, count: usize) -> Result<Vec<T>, DataError> {
        let expected = byte_count(count, T::SIZE).ok_or_else(|| self.too_large())?;
        let mut values = Vec::new();
        while values.len() < count {
            let found = (values.len() * T::SIZE) as u64;
            let length = (count - values.len()).min(CHUNK) * T::SIZE;
            let chunk = self.chunk(length, found, expected)?;
            T::decode(&chunk, &mut values);
        }
        Ok(values)
    }

    /// The next `length` bytes of a part of `expected` bytes, after its first `found`.
    fn chunk(&mut self, length: usize, found: u64, expected: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::with_capacity(length);
        let result = self.reader.by_ref().take(length as u64).read_to_end(&mut bytes);
        let found = found + bytes.len() as u64;
        match result {
            Err(source) => Err(self.failure(source, expected, found)),
            Ok(_) if bytes.len() < length => Err(self.truncated(expected, found)),
            Ok(_) => Ok(bytes),
        }
    }

    /// The next `length` bytes, or all that there are.
    pub(super) fn up_to(&mut self, length: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let result = self.reader.by_ref().take(length).read_to_end(&mut bytes);
        match result {
            Err(source) => Err(DataError::Read { path: self.path.into(), source }),
            Ok(_) => Ok(bytes),
        }
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> Result<Vec<u8>, DataError> {
        let bytes = self.up_to(MAX_BYTES + 1)?;
        match bytes.len() as u64 > MAX_BYTES {
            true => Err(self.too_large()),
            false => Ok(bytes),
        }
    }

    /// Checks that nothing follows the `expected` bytes of data. Reads past
    /// them, which is where checksums are compared.
    pub(super) fn end(&mut self, expected: u64) -> Result<(), DataError> {
        let mut more = Vec::new();
        match self.reader.by_ref().take(1).read_to_end(&mut more) {
            Err(source) => Err(self.failure(source, expected, expected)),
            Ok(0) => Ok(()),
            Ok(_) => Err(DataError::Trailing { path: self.path.into(), expected }),
        }
    }

    fn failure(&self, source: io::Error, expected: u64, found: u64) -> DataError {
        match source.kind() {
            ErrorKind::UnexpectedEof => self.truncated(expected, found),
            _ => DataError::Read { path: self.path.into(), source },
        }
    }

    fn truncated(&self, expected: u64, found: u64) -> DataError {
        DataError::Truncated { path: self.path.into(), expected, found }
    }

    pub(super) fn too_large(&self) -> DataError {
        DataError::TooLarge { path: self.path.into() }
    }
}

/// The bytes of `count` values of `size` bytes each, unless that is more than
/// [`MAX_BYTES`].
pub(super) fn byte_count(count: usize, size: usize) -> Option<u64> {
    let bytes = u64::try_from(count.checked_mul(size)?).ok()?;
    Some(bytes).filter(|&bytes| bytes <= MAX_BYTES)
}

/// The paths in a folder, sorted.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let list = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let listed: io::Result<Vec<PathBuf>> = list();
    let mut paths = listed.map_err(|source| unreadable(folder, source))?;
    paths.sort();
    Ok(paths)
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> DataError {
    match source.kind() {
        ErrorKind::NotFound => DataError::NotFound { path: path.into() },
        _ => DataError::Read { path: path.into(), source },
    }
}
