//! What the tests of all forms share, and the real data sets.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use ::png::{BitDepth, ColorType, Encoder};
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, result::ZipResult};

use super::*;

/// A `.npy` file as NumPy writes it.
pub(super) fn npy(descr: &str, fortran_order: bool, shape: &[usize], numbers: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({sizes}), }}");
    npy_with_header(&header, numbers)
}

pub(super) fn npy_with_header(header: &str, numbers: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len() + 1).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), b"\n", numbers].concat()
}

/// A zip archive of these files.
pub(super) fn archive(files: &[(&str, Vec<u8>)], packed: bool) -> Vec<u8> {
    let method = if packed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let options = SimpleFileOptions::default().compression_method(method);
    let write = || -> ZipResult<Vec<u8>> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, options)?;
            writer.write_all(bytes)?;
        }
        Ok(writer.finish()?.into_inner())
    };
    write().unwrap()
}

pub(super) fn picture(
    colour: ColorType,
    depth: BitDepth,
    size: (u32, u32),
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A record of CIFAR-10 whose pixels count from `label` on.
pub(super) fn record(label: u8) -> Vec<u8> {
    let pixels = (0..3072_u32).map(|pixel| (pixel + u32::from(label)) as u8);
    [label].into_iter().chain(pixels).collect()
}

/// A folder of its own, removed at the end.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn open(&self) -> Result<Samples, DataError> {
        said_in_one_line(Samples::open(self.path(), Split::Test))
    }
}

fn said_in_one_line<T>(result: Result<T, DataError>) -> Result<T, DataError> {
    result.inspect_err(|error| assert!(!error.to_string().contains('\n'), "{error}"))
}

/// What is read from one file of this name and content.
pub(super) fn open(name: &str, bytes: &[u8]) -> Result<Samples, DataError> {
    let folder = Folder::new();
    said_in_one_line(Samples::open(folder.write(name, bytes), Split::Test))
}

/// Cuts a file at every length and alters every byte; nothing may panic, and no cut may be read.
pub(super) fn survives_damage(name: &str, bytes: &[u8]) {
    let folder = Folder::new();
    let read = |bytes: &[u8]| Samples::open(folder.write(name, bytes), Split::Test);
    assert!(read(bytes).is_ok(), "{name} is not right to begin with");
    for length in 0..bytes.len() {
        assert!(said_in_one_line(read(&bytes[..length])).is_err(), "{name} cut at {length}");
    }
    let mut altered = bytes.to_vec();
    for index in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            altered[index] ^= mask;
            if let Ok(samples) = said_in_one_line(read(&altered)) {
                assert!(samples.get(samples.len() - 1).is_ok());
            }
            altered[index] ^= mask;
        }
    }
}

#[test]
fn mnist_is_the_same_as_labelled_images_and_as_samples() {
    let Ok(folder) = std::env::var("BELLEROPHON_DATA") else {
        eprintln!(
            "SKIPPED mnist_is_the_same_as_labelled_images_and_as_samples: BELLEROPHON_DATA is not set"
        );
        return;
    };
    let expected = LabelledImages::load(&folder, Split::Test).unwrap();
    let samples = Samples::open(&folder, Split::Test).unwrap();
    assert_eq!(samples, Samples::from(expected.clone()));
    assert_eq!((samples.len(), samples.pixel_bits()), (10_000, Some(8)));
    let labels: Vec<usize> = expected.labels().iter().copied().map(usize::from).collect();
    assert_eq!(samples.labels(), Some(&labels[..]));
    let fitted = samples.fitted(crate::model::Shape::image(1, 32, 32)).unwrap();
    let padded = expected.slice(0, 100).unwrap().padded(32).unwrap();
    assert!(fitted.iter().zip(padded).all(|(image, expected)| image == expected));
    let file = Path::new(&folder).join("t10k-images-idx3-ubyte");
    let file = idx::existing(&file).unwrap();
    assert_eq!(Samples::open(file, Split::Train).unwrap(), samples, "labels are beside it");
    assert_eq!(Samples::open(&folder, Split::Train).unwrap().len(), 60_000);
}

#[test]
fn cifar_is_read_as_published() {
    let Ok(folder) = std::env::var("BELLEROPHON_CIFAR") else {
        eprintln!("SKIPPED cifar_is_read_as_published: BELLEROPHON_CIFAR is not set");
        return;
    };
    for (split, count, first) in [
        (Split::Test, 10_000, [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]),
        (Split::Train, 50_000, [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]),
    ] {
        let samples = Samples::open(&folder, split).unwrap();
        assert_eq!((samples.len(), samples.pixel_bits()), (count, Some(8)));
        assert_eq!(samples.shape(), crate::model::Shape::image(3, 32, 32));
        let labels = samples.labels().unwrap();
        assert_eq!(labels[..10], first);
        let frequent = |class| labels.iter().filter(|&&label| label == class).count();
        assert!((0..10).all(|class| frequent(class) == count / 10), "classes are of one size");
    }
}
