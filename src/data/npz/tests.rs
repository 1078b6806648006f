use super::*;
use crate::data::tests::{archive, npy, open, survives_damage};

/// What NumPy 2.4 wrote for `numpy.savez_compressed` of `images`, the numbers 0 to 7 as uint8 in
/// Fortran order, 2 x 2 x 2, and `labels`, [[3], [1]].
const WRITTEN: &[u8] = b"\
    PK\x03\x04-\x00\x00\x00\x08\x00\x00\x00!\x00\x07rU\x01\xff\xff\xff\xff\xff\xff\xff\xff\
    \x0a\x00\x14\x00images.npy\x01\x00\x10\x00\x88\x00\x00\x00\x00\x00\x00\x00N\x00\x00\x00\
    \x00\x00\x00\x00\x9b\xec\x17\xea\x1b\x10\xc9\xc8P\xc6P\xad\x9e\x92Z\x9c\x5c\xa4n\xa5\xa0\
    ^Sj\xa8\xae\xa3\xa0\x9e\x96_TR\x94\x98\x17\x9f_\x94\x92\x0a\x12\x0f)*M\x05\x0a\x17g$\x16\
    \xa4\x02\xb9\x1aF:\x0a \xa4\xa9\xa3P\xab@&\xe0b`abcdef\x07\x00PK\x03\x04-\x00\x00\x00\
    \x08\x00\x00\x00!\x00tK\xaf\xf1\xff\xff\xff\xff\xff\xff\xff\xff\x0a\x00\x14\x00labels.np\
    y\x01\x00\x10\x00\x90\x00\x00\x00\x00\x00\x00\x00L\x00\x00\x00\x00\x00\x00\x00\x9b\xec\
    \x17\xea\x1b\x10\xc9\xc8P\xc6P\xad\x9e\x92Z\x9c\x5c\xa4n\xa5\xa0n\x93i\xa1\xae\xa3\xa0\
    \x9e\x96_TR\x94\x98\x17\x9f_\x94\x92\x0a\x12wK\xcc)N\x05\x8a\x17g$\x16\xa4\x02\xf9\x1aF:\
    \x0a\x86\x9a:\x0a\xb5\x0ad\x03.f\x06\x08`\x84\xd2\x00PK\x01\x02-\x03-\x00\x00\x00\x08\
    \x00\x00\x00!\x00\x07rU\x01N\x00\x00\x00\x88\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x80\x01\x00\x00\x00\x00images.npyPK\x01\x02-\x03-\x00\x00\x00\x08\x00\
    \x00\x00!\x00tK\xaf\xf1L\x00\x00\x00\x90\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x80\x01\x8a\x00\x00\x00labels.npyPK\x05\x06\x00\x00\x00\x00\x02\x00\x02\x00\
    p\x00\x00\x00\x12\x01\x00\x00\x00\x00";

/// Two images of one pixel each.
fn images(first: u8) -> Vec<u8> {
    npy("|u1", false, &[2, 1, 1], &[first, first + 1])
}

fn labels(first: u8) -> Vec<u8> {
    npy("|u1", false, &[2], &[first, first + 1])
}

/// The first pixel, and the first label.
fn firsts(samples: &Samples) -> (u8, Option<usize>) {
    let pixel = samples.get(0).unwrap()[[0, 0, 0]] * 255.0;
    (pixel.round() as u8, samples.labels().map(|labels| labels[0]))
}

#[test]
fn what_numpy_writes_is_read() {
    let samples = open("x.npz", WRITTEN).unwrap();
    assert_eq!(samples.labels(), Some(&[3, 1][..]));
    for index in 0..2 {
        let values = (0..4).map(|value| f64::from(4 * index + value) / 255.0);
        assert!(samples.get(index as usize).unwrap().iter().copied().eq(values));
    }
}

#[test]
fn arrays_are_found_by_their_names() {
    for packed in [false, true] {
        for (images_name, labels_name) in [("x", "y"), ("images", "labels"), ("data", "y")] {
            let files = [
                (&*format!("{labels_name}.npy"), labels(5)),
                ("other.npy", images(90)),
                (&*format!("{images_name}.npy"), images(7)),
                ("read.me", vec![1, 2, 3]),
            ];
            let samples = open("a.npz", &archive(&files, packed)).unwrap();
            assert_eq!(firsts(&samples), (7, Some(5)), "{images_name}");
        }
    }
    let only = [("pictures.npy", images(7)), ("scale.npy", npy("<f4", false, &[], &[0; 4]))];
    assert_eq!(firsts(&open("a.npz", &archive(&only, true)).unwrap()), (7, None));
}

#[test]
fn the_split_chooses_among_arrays() {
    let files = [
        ("x.npy", images(1)),
        ("x_train.npy", images(30)),
        ("y_train.npy", labels(3)),
        ("x_test.npy", images(40)),
        ("y_test.npy", labels(4)),
    ];
    let folder = crate::data::tests::Folder::new();
    let path = folder.write("mnist.npz", &archive(&files, true));
    for (split, expected) in
        [(Split::Train, (30, Some(3))), (Split::Test, (40, Some(4))), (Split::Digits, (1, None))]
    {
        assert_eq!(firsts(&Samples::open(&path, split).unwrap()), expected);
    }
}

#[test]
fn unclear_archives_are_refused_with_the_names() {
    let two = [("left.npy", images(1)), ("right.npy", images(2))];
    let none = [("labels.npy", labels(1))];
    for (files, names) in [(&two[..], r#"["left", "right"]"#), (&none, r#"["labels"]"#)] {
        let message = open("a.npz", &archive(files, true)).unwrap_err().to_string();
        assert!(message.contains(names), "{message}");
    }
    let empty = archive(&[], false);
    assert!(matches!(open("a.npz", &empty), Err(DataError::Unrecognised { .. })));
}

#[test]
fn labels_of_another_number_are_refused() {
    let files = [("x.npy", images(1)), ("y.npy", npy("|u1", false, &[3], &[1, 2, 3]))];
    let error = open("a.npz", &archive(&files, true)).unwrap_err();
    assert!(matches!(error, DataError::CountMismatch { images: 2, labels: 3 }), "{error}");
}

#[test]
fn errors_name_the_array() {
    let files = [("x.npy", npy("<i4", false, &[1, 1], &[0; 4]))];
    let message = open("a.npz", &archive(&files, true)).unwrap_err().to_string();
    assert!(message.contains("a.npz/x.npy") && message.contains("<i4"), "{message}");
}

#[test]
fn damaged_files_are_refused() {
    survives_damage("a.npz", WRITTEN);
    let files = [("x.npy", images(1)), ("y.npy", labels(1))];
    let stored = archive(&files, false);
    survives_damage("a.npz", &stored);
    // The pixels of a stored array are in the file as they are, with a checksum.
    let start = stored.windows(3).position(|bytes| bytes == [b'\n', 1, 2]).unwrap();
    let mut altered = stored.clone();
    altered[start + 1] = 9;
    let error = open("a.npz", &altered).unwrap_err();
    assert!(matches!(error, DataError::Read { .. }), "{error}");
}

#[test]
fn an_array_may_not_be_larger_than_it_says() {
    let zeros = npy("|u1", false, &[1, 4], &vec![0; 1 << 22]);
    let bomb = archive(&[("x.npy", zeros)], true);
    assert!(bomb.len() < 1 << 14);
    assert!(matches!(open("a.npz", &bomb), Err(DataError::Trailing { expected: 4, .. })));
}
