use super::*;
use crate::data::tests::{Folder, open, record};
use crate::model::Shape;

fn check(samples: &Samples, labels: &[u8]) {
    assert_eq!(samples.shape(), Shape::image(3, 32, 32));
    assert_eq!(samples.pixel_bits(), Some(8));
    let found = samples.labels().unwrap().iter().copied();
    assert!(found.eq(labels.iter().map(|&label| usize::from(label))));
    for (index, &label) in labels.iter().enumerate() {
        let image = samples.get(index).unwrap();
        for ((channel, row, column), pixel) in
            [((0, 0, 0), 0), ((1, 2, 3), 1091), ((2, 31, 31), 3071)]
        {
            let expected = f64::from((pixel + u32::from(label)) as u8) / 255.0;
            assert_eq!(image[[channel, row, column]], expected);
        }
    }
}

#[test]
fn records_are_read() {
    let bytes = [record(3), record(9), record(0)].concat();
    check(&open("some.bin", &bytes).unwrap(), &[3, 9, 0]);
}

#[test]
fn a_folder_has_both_splits() {
    let folder = Folder::new();
    folder.write("data_batch_2.bin", &[record(4), record(5)].concat());
    folder.write("data_batch_1.bin", &record(1));
    folder.write("batches.meta.txt", b"airplane\n");
    let test = folder.open().unwrap_err();
    assert!(matches!(test, DataError::NoSplit { split: "test", .. }), "{test}");
    folder.write("test_batch.bin", &record(8));
    check(&folder.open().unwrap(), &[8]);
    check(&Samples::open(folder.path(), Split::Train).unwrap(), &[1, 4, 5]);
    let digits = Samples::open(folder.path(), Split::Digits).unwrap_err();
    assert!(matches!(digits, DataError::NoSplit { split: "digits", .. }), "{digits}");
}

#[test]
fn incomplete_records_are_refused() {
    let bytes = [record(1), record(2)].concat();
    for length in [0, 1, 3072, 3074, 6000, 6145] {
        let error = open("some.bin", &bytes[..length]).unwrap_err();
        let expected = (length / 3073 + 1) as u64 * 3073;
        assert!(
            matches!(error, DataError::Truncated { expected: e, found, .. }
                if e == expected && found == length as u64),
            "{error}"
        );
    }
}

#[test]
fn labels_past_nine_are_refused() {
    let bytes = [record(9), record(10)].concat();
    let error = open("some.bin", &bytes).unwrap_err();
    assert!(matches!(error, DataError::CifarLabel { index: 1, label: 10, .. }), "{error}");
    // CIFAR-100 has a byte more in each record.
    let hundred: Vec<u8> =
        (0..3073).flat_map(|_| [vec![11, 17], vec![200; 3072]].concat()).collect();
    assert!(matches!(open("train.bin", &hundred), Err(DataError::CifarLabel { .. })));
}
