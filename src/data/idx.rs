//! The IDX format of MNIST (<http://yann.lecun.com/exdb/mnist/>): big-endian
//! header, then unsigned bytes; gzipped or not.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ndarray::{Array3, ArrayD, ArrayView2, Axis, Slice};

use super::samples::{pixel_value, placed, within};
use super::source::Source;
use super::{DataError, MAX_BYTES};

/// How every IDX file of unsigned bytes starts.
pub(super) const MAGIC: [u8; 3] = [0, 0, 8];
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

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
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::Digits => "digits",
        }
    }

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
        Self::new(images.images()?, labels.values)
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
        let range = within(first, count, self.len())?;
        let images = self.images.slice_axis(Axis(0), Slice::from(range.clone()));
        Ok(Self { images: images.to_owned(), labels: self.labels[range].to_vec() })
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
        let pad = |image: ArrayView2<u8>| {
            let image = image.insert_axis(Axis(0)).into_dyn();
            placed(image, &[1, size, size], |&pixel| pixel_value(pixel))
        };
        Ok(self.images.outer_iter().map(pad).collect())
    }

    pub(super) fn into_parts(self) -> (Array3<u8>, Vec<u8>) {
        (self.images, self.labels)
    }
}

/// The content of one file; sizes beyond its dimensions are 1.
#[derive(Debug)]
struct Idx {
    sizes: (usize, usize, usize),
    values: Vec<u8>,
}

/// Reads the images of one file.
pub(super) fn read_images(path: &Path) -> Result<Array3<u8>, DataError> {
    read_path(path, Content::Images)?.images()
}

/// Reads the labels of one file.
pub(super) fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    Ok(read_path(path, Content::Labels)?.values)
}

/// Whether a folder has IDX images of any split.
pub(super) fn has_images(folder: &Path) -> bool {
    let splits = [Split::Train, Split::Test, Split::Digits];
    splits.iter().any(|split| existing(&folder.join(split.file_name(Content::Images))).is_some())
}

/// The plain file, or the one with `.gz` behind its name.
pub(super) fn existing(plain: &Path) -> Option<PathBuf> {
    let mut zipped = plain.as_os_str().to_owned();
    zipped.push(".gz");
    [plain.to_owned(), zipped.into()].into_iter().find(|path| path.exists())
}

fn read_file(folder: &Path, split: Split, content: Content) -> Result<Idx, DataError> {
    let plain = folder.join(split.file_name(content));
    match existing(&plain) {
        Some(path) => read_path(&path, content),
        None => Err(DataError::Missing { path: plain }),
    }
}

fn read_path(path: &Path, content: Content) -> Result<Idx, DataError> {
    read_idx(Source::open(path)?.into_reader(), path, content)
}

/// Reads IDX data, unpacking it first if it starts as gzip does.
fn read_idx(mut reader: impl Read, path: &Path, content: Content) -> Result<Idx, DataError> {
    let mut start = Vec::new();
    let opened = reader.by_ref().take(2).read_to_end(&mut start);
    opened.map_err(|source| DataError::Read { path: path.into(), source })?;
    let whole = io::Cursor::new(start.clone()).chain(reader);
    if start == GZIP_MAGIC {
        Idx::read(Source::new(MultiGzDecoder::new(whole), path), content)
    } else {
        Idx::read(Source::new(whole, path), content)
    }
}

impl Idx {
    fn read(mut source: Source<'_, impl Read>, content: Content) -> Result<Self, DataError> {
        let (found, expected) = (u32::from_be_bytes(source.word()?), content.magic());
        if found != expected {
            let (path, content) = (source.path().into(), content.name());
            return Err(DataError::Magic { path, content, expected, found });
        }
        let mut sizes = [1; 3];
        for size in sizes.iter_mut().take(content.rank()) {
            // A size that does not fit is too large, as is any product with it.
            *size = usize::try_from(u32::from_be_bytes(source.word()?)).unwrap_or(usize::MAX);
        }
        let [count, rows, columns] = sizes;
        let length = count.checked_mul(rows).and_then(|length| length.checked_mul(columns));
        let length = length.ok_or_else(|| source.too_large())?;
        let values = source.values(length)?;
        source.end(values.len() as u64)?;
        Ok(Self { sizes: (count, rows, columns), values })
    }

    fn images(self) -> Result<Array3<u8>, DataError> {
        Array3::from_shape_vec(self.sizes, self.values).map_err(|_| DataError::NoImages)
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

#[cfg(test)]
mod tests;
