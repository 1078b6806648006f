use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::Array3;

use super::*;
use crate::data::tests::{Folder, npy, open, picture, record, survives_damage};
use crate::model::Shape;

fn labelled() -> LabelledImages {
    let images = Array3::from_shape_fn((3, 2, 2), |(i, y, x)| (i * 4 + y * 2 + x) as u8);
    LabelledImages::new(images, vec![2, 0, 9]).unwrap()
}

fn mnist() -> Folder {
    let folder = Folder::new();
    labelled().save(folder.path(), Split::Test).unwrap();
    folder
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(bytes).unwrap();
    zipped.finish().unwrap()
}

const IMAGES: &str = "t10k-images-idx3-ubyte";
const LABELS: &str = "t10k-labels-idx1-ubyte";

#[test]
fn a_folder_of_idx_files_is_read() {
    let folder = mnist();
    let samples = folder.open().unwrap();
    assert_eq!(samples, Samples::from(labelled()));
    assert_eq!((samples.labels(), samples.pixel_bits()), (Some(&[2, 0, 9][..]), Some(8)));
    assert_eq!(samples.shape(), Shape::image(1, 2, 2));
    let train = Samples::open(folder.path(), Split::Train).unwrap_err();
    assert!(matches!(train, DataError::Missing { .. }), "{train}");
}

#[test]
fn one_idx_file_finds_its_labels() {
    let folder = mnist();
    let images = std::fs::read(folder.path().join(IMAGES)).unwrap();
    let zipped = folder.write("zipped-images.idx3-ubyte.gz", &zip(&images));
    let labels = std::fs::read(folder.path().join(LABELS)).unwrap();
    let open = |path: &Path| Samples::open(path, Split::Train).unwrap();
    assert_eq!(open(&folder.path().join(IMAGES)), Samples::from(labelled()));
    assert_eq!(open(&zipped).labels(), None);
    folder.write("zipped-labels.idx1-ubyte", &labels);
    assert_eq!(open(&zipped), Samples::from(labelled()));
    let other = Samples::open(folder.path().join(LABELS), Split::Test).unwrap_err();
    assert!(matches!(other, DataError::Magic { content: "images", .. }), "{other}");
}

#[test]
fn a_npy_file_finds_its_labels() {
    let folder = Folder::new();
    let path = folder.write("test_images.npy", &npy("|u1", false, &[2, 3], &[0; 6]));
    assert_eq!(Samples::open(&path, Split::Test).unwrap().labels(), None);
    folder.write("test_labels.npy", &npy("<i4", false, &[2], &[7, 0, 0, 0, 1, 0, 0, 0]));
    assert_eq!(Samples::open(&path, Split::Test).unwrap().labels(), Some(&[7, 1][..]));
    folder.write("test_labels.npy", &npy("|u1", false, &[1], &[7]));
    let error = Samples::open(&path, Split::Test).unwrap_err();
    assert!(matches!(error, DataError::CountMismatch { images: 2, labels: 1 }), "{error}");
}

#[test]
fn the_content_decides_but_for_cifar() {
    let array = npy("|u1", false, &[2, 3], &[0; 6]);
    assert_eq!(open("named.png", &array).unwrap().shape(), Shape::Vector(3));
    assert!(matches!(open("named.bin", &array), Err(DataError::Truncated { .. })));
    assert!(matches!(open("named.npy", &record(0)), Err(DataError::Unrecognised { .. })));
}

#[test]
fn a_folder_of_splits_is_entered() {
    let folder = Folder::new();
    let grey = |pixel| {
        let (colour, depth) = (::png::ColorType::Grayscale, ::png::BitDepth::Eight);
        picture(colour, depth, (1, 1), &[pixel])
    };
    folder.write("train/cat/a.png", &grey(1));
    folder.write("test/cat/a.png", &grey(255));
    folder.write("test/dog/b.png", &grey(255));
    let test = folder.open().unwrap();
    assert_eq!((test.len(), test.labels()), (2, Some(&[0, 1][..])));
    assert_eq!(test.get(1).unwrap()[[0, 0, 0]], 1.0);
    assert_eq!(Samples::open(folder.path(), Split::Train).unwrap().len(), 1);
}

#[test]
fn what_is_not_there_or_no_images_is_refused() {
    let nowhere = Samples::open("no/such/file.npy", Split::Test).unwrap_err();
    assert!(matches!(nowhere, DataError::NotFound { .. }), "{nowhere}");
    let nowhere = Samples::open("no/such/file.bin", Split::Test).unwrap_err();
    assert!(matches!(nowhere, DataError::NotFound { .. }), "{nowhere}");
    let empty = Folder::new();
    assert!(matches!(empty.open(), Err(DataError::Unrecognised { .. })));
    empty.write("read.me", b"nothing here");
    let message = empty.open().unwrap_err().to_string();
    assert!(message.contains("give a .npy, .npz, IDX, PNG or CIFAR-10 .bin file"), "{message}");
    for bytes in [&b""[..], b"text", b"\xff\xd8\xff\xe0"] {
        assert!(matches!(open("file", bytes), Err(DataError::Unrecognised { .. })));
    }
}

#[test]
fn damaged_files_are_refused() {
    let folder = mnist();
    let bytes = std::fs::read(folder.path().join(IMAGES)).unwrap();
    survives_damage("some-idx3", &bytes);
    survives_damage("some-idx3.gz", &zip(&bytes));
    let mut sizes = bytes.clone();
    sizes[4..16].fill(0xff);
    assert!(matches!(open("some-idx3", &sizes), Err(DataError::TooLarge { .. })));
    let none = [&bytes[..4], &[0; 12]].concat();
    assert!(matches!(open("some-idx3", &none), Err(DataError::NoImages)));
}
