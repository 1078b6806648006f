//! Files as they should be, and every way they can be broken.

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::Axis;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellerophon-idx-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, content: Content) -> PathBuf {
        self.0.join(Split::Test.file_name(content))
    }

    fn alter(&self, content: Content, alter: impl Fn(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.path(content)).unwrap();
        alter(&mut bytes);
        std::fs::write(self.path(content), bytes).unwrap();
    }

    fn zip(&self, content: Content) {
        let bytes = std::fs::read(self.path(content)).unwrap();
        let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
        zipped.write_all(&bytes).unwrap();
        let path = format!("{}.gz", self.path(content).display());
        std::fs::write(path, zipped.finish().unwrap()).unwrap();
        std::fs::remove_file(self.path(content)).unwrap();
    }

    fn error(&self) -> DataError {
        let error = LabelledImages::load(&self.0, Split::Test).unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        error
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn labelled() -> impl Strategy<Value = LabelledImages> {
    (1_usize..6, 1_usize..8, 1_usize..8).prop_flat_map(|(count, rows, columns)| {
        let pixels = proptest::collection::vec(any::<u8>(), count * rows * columns);
        let labels = proptest::collection::vec(any::<u8>(), count);
        (pixels, labels).prop_map(move |(pixels, labels)| {
            let images = Array3::from_shape_vec((count, rows, columns), pixels).unwrap();
            LabelledImages::new(images, labels).unwrap()
        })
    })
}

fn seven() -> LabelledImages {
    let images = Array3::from_shape_fn((7, 3, 4), |(i, y, x)| (i * 12 + y * 4 + x) as u8);
    LabelledImages::new(images, vec![0, 1, 2, 3, 4, 5, 6]).unwrap()
}

fn saved() -> Folder {
    let folder = Folder::new();
    seven().save(&folder.0, Split::Test).unwrap();
    folder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_saved_is_loaded(data in labelled(), zip_images in any::<bool>(), zip_labels in any::<bool>()) {
        let folder = Folder::new();
        data.save(&folder.0, Split::Test).unwrap();
        if zip_images {
            folder.zip(Content::Images);
        }
        if zip_labels {
            folder.zip(Content::Labels);
        }
        prop_assert_eq!(LabelledImages::load(&folder.0, Split::Test).unwrap(), data);
    }

    #[test]
    fn padding_centres_and_scales(data in labelled(), more in 0_usize..5) {
        let (_, rows, columns) = data.images().dim();
        let size = rows.max(columns) + more;
        for (image, padded) in data.images().outer_iter().zip(data.padded(size).unwrap()) {
            prop_assert_eq!(padded.shape(), [1, size, size]);
            let (top, left) = ((size - rows) / 2, (size - columns) / 2);
            for ((y, x), &pixel) in image.indexed_iter() {
                prop_assert_eq!(padded[[0, top + y, left + x]], f64::from(pixel) / 255.0);
            }
            let sum: f64 = image.iter().map(|&pixel| f64::from(pixel) / 255.0).sum();
            prop_assert!((padded.sum() - sum).abs() < 1e-9, "something is not zero around it");
        }
        let small = data.padded(rows.max(columns) - 1);
        prop_assert!(matches!(small, Err(DataError::Padding { .. })), "too small");
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for start in [&[0, 0, 8, 3][..], &GZIP_MAGIC, &[]] {
            let bytes: Vec<u8> = start.iter().chain(&bytes).copied().collect();
            for content in [Content::Images, Content::Labels] {
                if let Err(error) = read_idx(&bytes[..], Path::new("file"), content) {
                    prop_assert!(!error.to_string().contains('\n'));
                }
            }
        }
    }
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let folder = saved();
    for content in [Content::Images, Content::Labels] {
        let bytes = std::fs::read(folder.path(content)).unwrap();
        for length in 0..bytes.len() {
            let error = read_idx(&bytes[..length], Path::new("file"), content).unwrap_err();
            assert!(matches!(error, DataError::Truncated { .. }), "{error}");
        }
    }
    folder.alter(Content::Images, |bytes| bytes.truncate(90));
    let message = folder.error().to_string();
    assert!(message.contains("74 of 84 bytes"), "{message}");
}

#[test]
fn a_truncated_gzip_file_is_refused() {
    let folder = saved();
    folder.zip(Content::Images);
    let path = folder.0.join("t10k-images-idx3-ubyte.gz");
    let bytes = std::fs::read(&path).unwrap();
    for length in 2..bytes.len() {
        let error = read_idx(&bytes[..length], &path, Content::Images).unwrap_err();
        assert!(matches!(error, DataError::Truncated { .. }), "{length}: {error}");
    }
    let mut garbage = bytes.clone();
    garbage.extend(b"more");
    assert!(read_idx(&garbage[..], &path, Content::Images).is_err());
}

#[test]
fn a_longer_file_is_refused() {
    let folder = saved();
    folder.alter(Content::Labels, |bytes| bytes.push(9));
    let error = folder.error();
    assert!(matches!(error, DataError::Trailing { expected: 7, .. }), "{error}");
}

#[test]
fn sizes_past_the_limit_are_refused_before_reading() {
    let folder = saved();
    folder.alter(Content::Images, |bytes| bytes[4..16].fill(0xff));
    assert!(matches!(folder.error(), DataError::TooLarge { .. }));
}

#[test]
fn an_unpacked_file_may_not_be_larger_than_it_says() {
    // A gzip bomb: a small file that unpacks to more than its header says.
    let mut zipped = GzEncoder::new(Vec::new(), Compression::best());
    zipped.write_all(&[0, 0, 8, 1, 0, 0, 0, 4]).unwrap();
    zipped.write_all(&vec![0; 1 << 22]).unwrap();
    let bytes = zipped.finish().unwrap();
    let error = read_idx(&bytes[..], Path::new("file"), Content::Labels).unwrap_err();
    assert!(matches!(error, DataError::Trailing { expected: 4, .. }), "{error}");
}

#[test]
fn a_wrong_magic_number_is_refused() {
    let folder = saved();
    folder.alter(Content::Images, |bytes| bytes[3] = 1);
    let message = folder.error().to_string();
    let words = "starts with 0x00000801, but 0x00000803 is right";
    assert!(message.contains(words), "{message}");
}

#[test]
fn missing_files_are_refused() {
    let folder = saved();
    std::fs::remove_file(folder.path(Content::Labels)).unwrap();
    let message = folder.error().to_string();
    assert!(message.contains("t10k-labels-idx1-ubyte"), "{message}");
    let nowhere = LabelledImages::load("no/such/folder", Split::Train).unwrap_err();
    assert!(matches!(nowhere, DataError::Missing { .. }));
}

#[test]
fn images_and_labels_must_belong_together() {
    let folder = saved();
    folder.alter(Content::Labels, |bytes| {
        bytes.truncate(8 + 5);
        bytes[7] = 5;
    });
    let error = folder.error();
    let expected = matches!(error, DataError::CountMismatch { images: 7, labels: 5 });
    assert!(expected, "{error}");
}

#[test]
fn files_without_pixels_are_refused() {
    let folder = saved();
    folder.alter(Content::Images, |bytes| {
        bytes.truncate(16);
        bytes[11] = 0;
    });
    assert!(matches!(folder.error(), DataError::NoImages));
    let none = LabelledImages::new(Array3::zeros((0, 2, 2)), vec![]);
    assert!(matches!(none, Err(DataError::NoImages)));
}

#[test]
fn slices_hold_what_was_asked_for() {
    let data = seven();
    let middle = data.slice(2, 3).unwrap();
    assert_eq!(middle.labels(), [2, 3, 4]);
    let expected = data.images().index_axis(Axis(0), 4);
    assert_eq!(middle.images().index_axis(Axis(0), 2), expected);
    assert_eq!(data.slice(0, 7).unwrap(), data);
}

#[test]
fn slices_past_the_end_or_empty_are_refused() {
    let data = seven();
    let none = data.slice(2, 0).unwrap_err().to_string();
    assert_eq!(none, "0 images were asked for; ask for 1 to 7");
    for (first, count) in [(7, 1), (0, 8), (5, 3), (usize::MAX, 1), (1, usize::MAX)] {
        let error = data.slice(first, count).unwrap_err();
        assert!(matches!(error, DataError::PastEnd { available: 7, .. }), "{error}");
    }
    let message = data.slice(7, 1).unwrap_err().to_string();
    assert!(message.ends_with("there are 7, numbered 0 to 6"), "{message}");
}

#[test]
fn mnist_is_read_as_published() {
    let Ok(folder) = std::env::var("BELLEROPHON_DATA") else {
        eprintln!("SKIPPED mnist_is_read_as_published: BELLEROPHON_DATA is not set");
        return;
    };
    let test = LabelledImages::load(&folder, Split::Test).unwrap();
    assert_eq!(test.images().dim(), (10_000, 28, 28));
    assert_eq!(test.labels()[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    let train = LabelledImages::load(&folder, Split::Train).unwrap();
    assert_eq!(train.len(), 60_000);
}

#[test]
fn shipped_digits_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits");
    let digits = LabelledImages::load(folder, Split::Digits).unwrap();
    assert!(digits.len() >= 50);
    assert_eq!(digits.images().dim(), (digits.len(), 28, 28));
    for digit in 0..10 {
        let count = digits.labels().iter().filter(|&&label| label == digit);
        assert!(count.count() >= 5, "too few of {digit}");
    }
}
