use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::data::Samples;
use crate::data::tests::{npy, npy_with_header, open, survives_damage};

/// What NumPy 2.4 wrote for `numpy.arange(8, dtype="<f4").reshape(2, 2, 2)`.
const WRITTEN: &[u8] = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, \
    'shape': (2, 2, 2), }                                                       \n\
    \x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@\x00\x00\xa0@\
    \x00\x00\xc0@\x00\x00\xe0@";

fn labels(descr: &str, shape: &[usize], numbers: &[u8]) -> Result<Vec<usize>, DataError> {
    read_labels(&npy(descr, false, shape, numbers)[..], Path::new("labels.npy"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn arrays_are_read_in_either_order(count in 1_usize..4, h in 1_usize..5, w in 1_usize..5, fortran in any::<bool>(), kind in 0..3) {
        let value = |i: usize, y: usize, x: usize| (100 * i + 10 * y + x) as f64 / 4.0 - 9.0;
        let pixel = |value: f64| (value.abs() * 4.0) as u8;
        let (n0, n2) = if fortran { (w, count) } else { (count, w) };
        let at = |a: usize, y: usize, b: usize| if fortran { (b, y, a) } else { (a, y, b) };
        let mut numbers = Vec::new();
        for (a, y, b) in triples(n0, h, n2) {
            let (i, y, x) = at(a, y, b);
            match kind {
                0 => numbers.push(pixel(value(i, y, x))),
                1 => numbers.extend((value(i, y, x) as f32).to_le_bytes()),
                _ => numbers.extend(value(i, y, x).to_le_bytes()),
            }
        }
        let descr = ["|u1", "<f4", "<f8"][kind as usize];
        let samples = open("x.npy", &npy(descr, fortran, &[count, h, w], &numbers)).unwrap();
        prop_assert_eq!((samples.len(), samples.is_pixels()), (count, kind == 0));
        for (i, y, x) in triples(count, h, w) {
            let expected = match kind {
                0 => f64::from(pixel(value(i, y, x))) / 255.0,
                _ => value(i, y, x),
            };
            prop_assert_eq!(samples.get(i).unwrap()[[0, y, x]], expected);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in "[{}\\[\\]()',: 0-9LTFa-z<|]{0,60}", rest in vec(any::<u8>(), 0..40)) {
        for bytes in [npy_with_header(&text, &rest), [&MAGIC[..], &rest].concat()] {
            let _ = read_images(&bytes[..], Path::new("x.npy"));
            let _ = read_labels(&bytes[..], Path::new("x.npy"));
        }
    }

    #[test]
    fn labels_are_read_from_every_integer_type(classes in vec(0_usize..128, 1..9), column in any::<bool>()) {
        let shape = if column { vec![classes.len(), 1] } else { vec![classes.len()] };
        for (descr, size) in [("|u1", 1), ("|i1", 1), ("<u2", 2), ("<i2", 2), ("<u4", 4), ("<i4", 4), ("<u8", 8), ("<i8", 8)] {
            let word = |&class: &usize| (class as u64).to_le_bytes()[..size].to_vec();
            let numbers = classes.iter().map(word).collect::<Vec<_>>().concat();
            prop_assert_eq!(labels(descr, &shape, &numbers).unwrap(), classes.clone());
        }
    }
}

/// All triples below three sizes, in row-major order.
fn triples(a: usize, b: usize, c: usize) -> Vec<(usize, usize, usize)> {
    (0..a * b * c).map(|i| (i / (b * c), i / c % b, i % c)).collect()
}

#[test]
fn what_numpy_writes_is_read() {
    let samples = open("x.npy", WRITTEN).unwrap();
    let expected = ndarray::Array::from_iter((0..8).map(f64::from));
    let expected = expected.into_shape_with_order(IxDyn(&[2, 2, 2])).unwrap();
    assert_eq!(samples, Samples::new(Values::Single(expected.mapv(|x| x as f32)), None).unwrap());
}

#[test]
fn damaged_files_are_refused() {
    survives_damage("x.npy", WRITTEN);
    survives_damage("x.npy", &npy("|u1", true, &[2, 3], &[1, 2, 3, 4, 5, 6]));
    let longer = [WRITTEN, &[0]].concat();
    assert!(matches!(open("x.npy", &longer), Err(DataError::Trailing { expected: 32, .. })));
    let message = open("x.npy", &WRITTEN[..WRITTEN.len() - 5]).unwrap_err().to_string();
    assert!(message.contains("27 of 32 bytes"), "{message}");
}

#[test]
fn headers_may_be_written_in_other_ways() {
    let read = |header: &str| open("x.npy", &npy_with_header(header, &[0, 51]));
    for header in [
        "{'descr':'|u1','fortran_order':False,'shape':(1,2)}",
        "{\"shape\": (1L, 2L), \"fortran_order\": True, \"descr\": \"|u1\"}",
        " { 'shape' : ( 1 , 2 , ) , 'descr' : '|u1' , 'fortran_order' : False , } ",
    ] {
        assert_eq!(read(header).unwrap().get(0).unwrap()[[1]], 0.2, "{header}");
    }
    let second = npy_with_header("{'descr':'|u1','fortran_order':False,'shape':(1,2)}", &[0, 51]);
    let second = [b"\x93NUMPY\x02\x00", &second[8..10], &[0, 0], &second[10..]].concat();
    assert_eq!(open("x.npy", &second).unwrap().len(), 1);
}

#[test]
fn headers_that_make_no_sense_are_refused() {
    for header in [
        "",
        "{}",
        "{'descr': '|u1', 'fortran_order': False}",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (1, 2)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1, -2)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 99999999999999999999)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2",
        "{'descr': '|u1, 'fortran_order': False, 'shape': (1, 2)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2), 'more': 1}",
        "{'descr': [, 'fortran_order': False, 'shape': (1, 2)}",
    ] {
        let error = open("x.npy", &npy_with_header(header, &[1, 2])).unwrap_err();
        assert!(matches!(error, DataError::NpyHeader { .. }), "{header}: {error}");
    }
    let long = [b"\x93NUMPY\x02\x00\xff\xff\xff\xff", &[b' '; 100][..]].concat();
    assert!(matches!(open("x.npy", &long), Err(DataError::NpyHeader { .. })), "4 GiB of header");
    let version = [b"\x93NUMPY\x09\x00", &WRITTEN[8..]].concat();
    assert!(matches!(open("x.npy", &version), Err(DataError::NpyHeader { .. })));
}

#[test]
fn sizes_past_the_limit_are_refused_before_reading() {
    for (descr, shape) in [
        ("|u1", &[1 << 33, 1][..]),
        ("<f8", &[1 << 30, 1]),
        ("<f4", &[1 << 40, 1 << 40]),
        ("|u1", &[usize::MAX, usize::MAX, 2, 2]),
    ] {
        let error = open("x.npy", &npy(descr, false, shape, &[])).unwrap_err();
        assert!(matches!(error, DataError::TooLarge { .. }), "{shape:?}: {error}");
    }
    let wide = npy("|u1", false, &[0, usize::MAX, usize::MAX], &[]);
    assert!(matches!(open("x.npy", &wide), Err(DataError::TooLarge { .. } | DataError::NoImages)));
    let error = open("x.npy", &npy("|u1", false, &[1 << 32, 1], &[7; 100])).unwrap_err();
    assert!(matches!(error, DataError::Truncated { found: 100, .. }), "{error}");
    let many = labels("<i8", &[1 << 60], &[]).unwrap_err();
    assert!(matches!(many, DataError::TooLarge { .. }), "{many}");
}

#[test]
fn other_types_are_refused_by_name() {
    for descr in [">f4", ">f8", "<f2", "<i8", "|b1", "|O", "<U3", "<c8", ""] {
        let message = open("x.npy", &npy(descr, false, &[1, 2], &[0; 16])).unwrap_err().to_string();
        assert!(message.contains(&format!("type {descr:?}")), "{message}");
        assert!(message.contains("uint8, float32 or float64"), "{message}");
    }
    let record =
        "{'descr': [('a', '<f4'), ('b', '|u1', (2,))], 'fortran_order': False, 'shape': (2,), }";
    let error = open("x.npy", &npy_with_header(record, &[0; 12])).unwrap_err();
    assert!(matches!(error, DataError::NpyType { .. }), "{error}");
}

#[test]
fn labels_that_are_no_classes_are_refused() {
    let negative = [1_i64, -1].map(i64::to_le_bytes).concat();
    for (descr, numbers) in [("<i8", &negative[..]), ("<u8", &negative), ("|i1", &[5, 0x80])] {
        let error = labels(descr, &[2], numbers).unwrap_err();
        assert!(matches!(error, DataError::Label { index: 1, .. }), "{descr}: {error}");
    }
    assert_eq!(labels("|u1", &[2], &[5, 0x80]).unwrap(), [5, 128]);
    let float = labels("<f4", &[1], &[0; 4]).unwrap_err();
    assert!(matches!(float, DataError::NpyType { .. }), "{float}");
    for shape in [&[][..], &[1, 10], &[1, 1, 1]] {
        let error = labels("|u1", shape, &[0; 10]).unwrap_err();
        assert!(matches!(error, DataError::LabelRank { .. }), "{error}");
    }
    let longer = labels("|u1", &[2], &[1, 2, 3]).unwrap_err();
    assert!(matches!(longer, DataError::Trailing { expected: 2, .. }), "{longer}");
}
