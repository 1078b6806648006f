//! What can be wrong with files of images.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::MAX_BYTES;
use crate::model::Shape;
use crate::model::graph::MAX_ELEMENTS;

/// Why images or labels cannot be read, written, chosen or fitted to a model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is nothing at a path.
    #[error("there is no file or folder {path:?}; give one that holds images")]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// Neither the plain nor the gzipped file exists.
    #[error("there is no {path:?}, with or without .gz; give the folder that holds the IDX files")]
    Missing {
        /// The plain file.
        path: PathBuf,
    },
    /// Something is there, but not in a form that can be read.
    #[error(
        "{path:?} holds no images that can be read; give a .npy, .npz, IDX, PNG or CIFAR-10 .bin \
         file, or a folder of IDX, PNG or CIFAR-10 .bin files"
    )]
    Unrecognised {
        /// The file or folder.
        path: PathBuf,
    },
    /// A folder of CIFAR-10 holds other images than those asked for.
    #[error("{path:?} has no CIFAR-10 file of the {split} images; ask for others or add the file")]
    NoSplit {
        /// The folder.
        path: PathBuf,
        /// `train`, `test` or `digits`.
        split: &'static str,
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
    /// The file ends before its header says, or within a record.
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
        /// The file or folder.
        path: PathBuf,
    },
    /// The header of a NumPy array makes no sense.
    #[error("{path:?} does not start as NumPy arrays do; save the array again with numpy.save")]
    NpyHeader {
        /// The file, or the archive and the array in it.
        path: PathBuf,
    },
    /// A NumPy array holds another type of number.
    #[error(
        "{path:?} holds numbers of type {found:?}, but {wanted} is needed; convert the array with \
         astype"
    )]
    NpyType {
        /// The file, or the archive and the array in it.
        path: PathBuf,
        /// The type as NumPy writes it.
        found: String,
        /// The types that can be read.
        wanted: &'static str,
    },
    /// It is not clear which array of an archive holds the images.
    #[error(
        "{path:?} has the arrays {names:?}, and none of them is surely the images; \
         name one x, images or data"
    )]
    NoImageArray {
        /// The archive.
        path: PathBuf,
        /// The arrays in it.
        names: Vec<String>,
    },
    /// An array has too many or too few dimensions for images.
    #[error(
        "an array of shape {shape:?} is no list of images; give N x C x H x W, N x H x W, \
         N x H x W x C with 1 or 3 channels, or N x n"
    )]
    ImageRank {
        /// The dimensions of the array.
        shape: Vec<usize>,
    },
    /// An array of labels is not a list.
    #[error("the labels in {path:?} have shape {shape:?}; give one whole number per image")]
    LabelRank {
        /// The file, or the archive and the array in it.
        path: PathBuf,
        /// The dimensions of the array.
        shape: Vec<usize>,
    },
    /// A label is negative or larger than any number of classes.
    #[error("label number {index} in {path:?} is no class; labels count from 0")]
    Label {
        /// The file, or the archive and the array in it.
        path: PathBuf,
        /// The position of the label.
        index: usize,
    },
    /// A record cannot be one of CIFAR-10.
    #[error(
        "image {index} in {path:?} has label {label}, but CIFAR-10 has 0 to 9; give the binary \
         version of CIFAR-10, 3073 bytes for each image"
    )]
    CifarLabel {
        /// The file.
        path: PathBuf,
        /// The position of the image.
        index: usize,
        /// Its label.
        label: u8,
    },
    /// A PNG file cannot be decoded.
    #[error("cannot decode {path:?}: {source}; save the picture as PNG again")]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A PNG file is in a form that cannot be read without losing something.
    #[error("{path:?} has {found}; save it with {wanted}")]
    PngForm {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: &'static str,
        /// What can be read.
        wanted: &'static str,
    },
    /// The images in one folder do not have one shape.
    #[error("{path:?} is {found}, but the images before it are {first}; give images of one shape")]
    MixedShapes {
        /// The first image of another shape.
        path: PathBuf,
        /// Its shape.
        found: Shape,
        /// The shape of those before.
        first: Shape,
    },
    /// File names start and end in a number, so that either may be the label.
    #[error(
        "the files in {path:?} have a number in front and one at the end; it is not clear which is \
         the label: put the images of each label into a folder of that name"
    )]
    AmbiguousLabels {
        /// The folder.
        path: PathBuf,
    },
    /// There are no images, or they have no pixels.
    #[error("the image file holds no pixels; at least one image is needed")]
    NoImages,
    /// Images are too large for any model.
    #[error("each image has {elements} values; at most {MAX_ELEMENTS} are read")]
    ImageTooLarge {
        /// The values of each image.
        elements: usize,
    },
    /// A value is infinite or not a number.
    #[error("image {index} has a value that is infinite or not a number; remove it")]
    NotFinite {
        /// The position of the image.
        index: usize,
    },
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
    /// The images cannot be brought to the shape that the model reads.
    #[error(
        "the images are {found}, but the model reads {wanted}; give images of as many channels and \
         no more rows or columns, or of as many values for a vector"
    )]
    Shape {
        /// The shape of the images.
        found: Shape,
        /// The shape that the model reads.
        wanted: Shape,
    },
}
