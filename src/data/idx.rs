//! The IDX format of MNIST (<http://yann.lecun.com/exdb/mnist/>): big-endian
//! header, then unsigned bytes; gzipped or not.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ndarray::{Array3, ArrayD, ArrayView2, Axis, IxDyn, Slice, s};
use thiserror::Error;

/// The most bytes of pixels or labels that are read from one file: 256 MiB.
pub const MAX_BYTES: u64 = 256 << 20;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Which images, by the names of their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Split {
    /// MNIST's `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`.
    Train,
    /// MNIST's `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`.
    Test,
    /// `digits-images-idx3-ubyte` and `digits-labels-idx1-ubyte`, the digits
    /// that ship with this crate.
    Digits,
}

impl Split {
    fn file_name(self, content: Content) -> String {
        let split = match self {
            Self::Train => "train",
            Self::Test => "t10k",
            Self::Digits => "digits",
        };
        let rank = content.rank();
        format!("{split}-{}-idx{rank}-ubyte", content.name())
    }
}

/// What an IDX file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Images,
    Labels,
}

impl Content {
    fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Labels => "labels",
        }
    }

    fn rank(self) -> usize {
        match self {
            Self::Images => 3,
            Self::Labels => 1,
        }
    }

    /// Two zero bytes, 8 for unsigned bytes, and the number of dimensions.
    fn magic(self) -> u32 {
        match self {
            Self::Images => 0x0803,
            Self::Labels => 0x0801,
        }
    }
}

/// Grey images of one size with a label each.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledImages {
    images: Array3<u8>,
    labels: Vec<u8>,
}

impl LabelledImages {
    /// Images `[index, row, column]` with one label each.
    ///
    /// # Errors
    /// [`DataError::NoImages`] if there is none, [`DataError::CountMismatch`]
    /// if there are not as many labels as images.
    pub fn new(images: Array3<u8>, labels: Vec<u8>) -> Result<Self, DataError> {
        let found = labels.len();
        match images.len_of(Axis(0)) {
            count if count != found => {
                Err(DataError::CountMismatch { images: count, labels: found })
            }
            _ if images.is_empty() => Err(DataError::NoImages),
            _ => Ok(Self { images, labels }),
        }
    }

    /// Reads the images and labels of one split from a folder, each from the
    /// plain file or the one with `.gz` behind its name.
    ///
    /// # Errors
    /// [`DataError`] if a file is missing, unreadable, truncated, longer than
    /// its header says or than [`MAX_BYTES`], or not of this format, or if the
    /// two files do not belong together.
    pub fn load(folder: impl AsRef<Path>, split: Split) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let images = read_file(folder, split, Content::Images)?;
        let labels = read_file(folder, split, Content::Labels)?;
        let pixels = Array3::from_shape_vec(images.sizes, images.values);
        Self::new(pixels.map_err(|_| DataError::NoImages)?, labels.values)
    }

    /// Writes both files of one split into a folder, not gzipped.
    ///
    /// # Errors
    /// [`DataError::Write`] if a file cannot be written, [`DataError::TooLarge`]
    /// if it would be longer than [`MAX_BYTES`].
    pub fn save(&self, folder: impl AsRef<Path>, split: Split) -> Result<(), DataError> {
        let (count, rows, columns) = self.images.dim();
        let image_path = folder.as_ref().join(split.file_name(Content::Images));
        let label_path = folder.as_ref().join(split.file_name(Content::Labels));
        let pixels: Vec<u8> = self.images.iter().copied().collect();
        write_file(&image_path, Content::Images, &[count, rows, columns], &pixels)?;
        write_file(&label_path, Content::Labels, &[count], &self.labels)
    }

    /// The number of images, at least 1.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The pixels, `[index, row, column]`.
    pub fn images(&self) -> &Array3<u8> {
        &self.images
    }

    /// The label of each image.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The images `first..first + count`.
    ///
    /// # Errors
    /// [`DataError::NoneWanted`] for a count of zero, [`DataError::PastEnd`] if
    /// there are not that many images.
    pub fn slice(&self, first: usize, count: usize) -> Result<Self, DataError> {
        let available = self.len();
        if count == 0 {
            return Err(DataError::NoneWanted { available });
        }
        let end = first.checked_add(count).filter(|&end| end <= available);
        let Some(end) = end else {
            return Err(DataError::PastEnd { first, count, available });
        };
        let images = self.images.slice_axis(Axis(0), Slice::from(first..end));
        Ok(Self { images: images.to_owned(), labels: self.labels[first..end].to_vec() })
    }

    /// Every image as 1 x `size` x `size` values in [0, 1] (pixel / 255), with
    /// zeros around it; an odd row or column of zeros goes below or right.
    ///
    /// # Errors
    /// [`DataError::Padding`] if the images are larger than that.
    pub fn padded(&self, size: usize) -> Result<Vec<ArrayD<f64>>, DataError> {
        let (_, rows, columns) = self.images.dim();
        if rows > size || columns > size {
            return Err(DataError::Padding { rows, columns, size });
        }
        let images = self.images.outer_iter();
        Ok(images.map(|image| pad_to(image, size)).collect())
    }
}

/// One image, no larger than `size` x `size`, in the middle of zeros.
fn pad_to(image: ArrayView2<u8>, size: usize) -> ArrayD<f64> {
    let (rows, columns) = image.dim();
    let (top, left) = ((size - rows) / 2, (size - columns) / 2);
    let mut padded = ArrayD::zeros(IxDyn(&[1, size, size]));
    let mut middle = padded.slice_mut(s![0, top..top + rows, left..left + columns]);
    middle.zip_mut_with(&image, |to, &pixel| *to = f64::from(pixel) / 255.0);
    padded
}

/// The content of one file; sizes beyond its dimensions are 1.
#[derive(Debug)]
struct Idx {
    sizes: (usize, usize, usize),
    values: Vec<u8>,
}

fn read_file(folder: &Path, split: Split, content: Content) -> Result<Idx, DataError> {
    let name = split.file_name(content);
    let plain = folder.join(&name);
    let zipped = folder.join(name + ".gz");
    let path = if plain.exists() { &plain } else { &zipped };
    match File::open(path) {
        Ok(file) => read_idx(BufReader::new(file), path, content),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(DataError::Missing { path: plain })
        }
        Err(source) => Err(DataError::Read { path: path.clone(), source }),
    }
}

/// Reads IDX data, unpacking it first if it starts as gzip does.
fn read_idx(mut reader: impl Read, path: &Path, content: Content) -> Result<Idx, DataError> {
    let mut start = Vec::new();
    let opened = reader.by_ref().take(2).read_to_end(&mut start);
    opened.map_err(|source| DataError::Read { path: path.into(), source })?;
    let whole = io::Cursor::new(start.clone()).chain(reader);
    if start == GZIP_MAGIC {
        IdxReader::new(MultiGzDecoder::new(whole), path, content).read()
    } else {
        IdxReader::new(whole, path, content).read()
    }
}

struct IdxReader<'a, R> {
    reader: R,
    path: &'a Path,
    content: Content,
}

impl<'a, R: Read> IdxReader<'a, R> {
    fn new(reader: R, path: &'a Path, content: Content) -> Self {
        Self { reader, path, content }
    }

    fn read(mut self) -> Result<Idx, DataError> {
        let found = self.word()?;
        if found != self.content.magic() {
            return Err(DataError::Magic {
                path: self.path.into(),
                content: self.content.name(),
                expected: self.content.magic(),
                found,
            });
        }
        let mut sizes = [1; 3];
        for size in sizes.iter_mut().take(self.content.rank()) {
            *size = u64::from(self.word()?);
        }
        let bytes = sizes.iter().try_fold(1_u64, |total, &size| total.checked_mul(size));
        let length = bytes.filter(|&bytes| bytes <= MAX_BYTES).ok_or_else(|| self.too_large())?;
        let values = self.exactly(length)?;
        // Sizes whose product is at most MAX_BYTES, unless one is zero.
        let [count, rows, columns] = sizes.map(|size| usize::try_from(size).unwrap_or(0));
        Ok(Idx { sizes: (count, rows, columns), values })
    }

    fn word(&mut self) -> Result<u32, DataError> {
        let mut word = [0; 4];
        match self.reader.read_exact(&mut word) {
            Ok(()) => Ok(u32::from_be_bytes(word)),
            Err(source) => Err(self.failure(source, 4, 0)),
        }
    }

    /// The rest of the file, which must have this many bytes.
    fn exactly(&mut self, expected: u64) -> Result<Vec<u8>, DataError> {
        let mut values = Vec::new();
        // One more byte than needed shows that there are too many.
        let result = self.reader.by_ref().take(expected + 1).read_to_end(&mut values);
        let found = values.len() as u64;
        match result {
            Err(source) => Err(self.failure(source, expected, found)),
            Ok(_) if found < expected => Err(self.truncated(expected, found)),
            Ok(_) if found > expected => {
                Err(DataError::Trailing { path: self.path.into(), expected })
            }
            Ok(_) => Ok(values),
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

    fn too_large(&self) -> DataError {
        DataError::TooLarge { path: self.path.into() }
    }
}

fn write_file(
    path: &Path,
    content: Content,
    sizes: &[usize],
    values: &[u8],
) -> Result<(), DataError> {
    let too_large = || DataError::TooLarge { path: path.into() };
    if values.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    let mut header = content.magic().to_be_bytes().to_vec();
    for &size in sizes {
        let size = u32::try_from(size).map_err(|_| too_large())?;
        header.extend(size.to_be_bytes());
    }
    let write = || {
        let mut writer = BufWriter::new(File::create(path)?);
        writer.write_all(&header)?;
        writer.write_all(values)?;
        writer.flush()
    };
    write().map_err(|source| DataError::Write { path: path.into(), source })
}

/// Why labelled images cannot be read, written or chosen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// Neither the plain nor the gzipped file exists.
    #[error("there is no {path:?}, with or without .gz; give the folder that holds the IDX files")]
    Missing {
        /// The plain file.
        path: PathBuf,
    },
    /// A file cannot be read or unpacked.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path:?}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not start as IDX files of its kind do.
    #[error(
        "{path:?} is not an IDX file of {content}: it starts with {found:#010x}, \
         but {expected:#010x} is right"
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// `images` or `labels`.
        content: &'static str,
        /// The number that would be right.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// The file ends before its header says.
    #[error("{path:?} is truncated: {found} of {expected} bytes are there; fetch the file again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The bytes that the part being read should have.
        expected: u64,
        /// The bytes there are.
        found: u64,
    },
    /// The file goes on after its last value.
    #[error("{path:?} is too long: its header says {expected} bytes of data, but more follow")]
    Trailing {
        /// The file.
        path: PathBuf,
        /// The bytes of data that would be right.
        expected: u64,
    },
    /// The file holds more than is read.
    #[error("{path:?} holds too much: at most {MAX_BYTES} bytes of data are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There are no images, or they have no pixels.
    #[error("the image file holds no pixels; at least one image is needed")]
    NoImages,
    /// Images and labels do not belong together.
    #[error("there are {images} images but {labels} labels; each image needs one label")]
    CountMismatch {
        /// The number of images.
        images: usize,
        /// The number of labels.
        labels: usize,
    },
    /// No image was asked for.
    #[error("0 images were asked for; ask for 1 to {available}")]
    NoneWanted {
        /// The number of images there are.
        available: usize,
    },
    /// More images were asked for than there are.
    #[error(
        "{count} image(s) from number {first} were asked for, but there are {available}, \
         numbered 0 to {}", available.saturating_sub(1)
    )]
    PastEnd {
        /// The first image asked for.
        first: usize,
        /// How many were asked for.
        count: usize,
        /// The number of images there are.
        available: usize,
    },
    /// The images are larger than the model's input.
    #[error("the images have {rows}x{columns} pixels; the model reads at most {size}x{size}")]
    Padding {
        /// Rows of each image.
        rows: usize,
        /// Columns of each image.
        columns: usize,
        /// The side of the model's input.
        size: usize,
    },
}

#[cfg(test)]
mod tests;
