use std::ops::Range;

use ndarray::{Array, Dimension};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Whole numbers from 0 to 255 that count up in row-major order.
fn counting(shape: &[usize]) -> ArrayD<u8> {
    let mut next = 0_u8;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        next = next.wrapping_add(1);
        next
    })
}

fn pixels(shape: &[usize]) -> Result<Samples, DataError> {
    Samples::from_pixels(counting(shape), None)
}

/// Dimensions of rank 2 to 4 that are not taken for N x H x W x C.
fn shapes() -> impl Strategy<Value = Vec<usize>> {
    let sizes = |rank: Range<usize>| vec(1_usize..6, rank);
    sizes(2..5).prop_filter("channels last", |shape| match shape[..] {
        [_, second, _, last] => COLOURS.contains(&second) || !COLOURS.contains(&last),
        _ => true,
    })
}

proptest! {
    #[test]
    fn every_image_is_read(shape in shapes(), seed in any::<u8>()) {
        let array = counting(&shape).mapv(|pixel| pixel ^ seed);
        let samples = Samples::from_pixels(array.clone(), None).unwrap();
        prop_assert_eq!(samples.len(), shape[0]);
        for (index, image) in array.outer_iter().enumerate() {
            let found = samples.get(index).unwrap();
            let expected = image.mapv(|pixel| f64::from(pixel) / 255.0);
            prop_assert_eq!(found.shape(), samples.shape().dimensions());
            prop_assert!(found.is_standard_layout());
            prop_assert!(found.iter().eq(expected.iter()));
        }
    }

    #[test]
    fn channels_may_be_last(count in 1_usize..4, c in prop_oneof![Just(1), Just(3)], h in 4_usize..7, w in 1_usize..7) {
        let first = counting(&[count, c, h, w]);
        let mut last = first.view();
        last.swap_axes(1, 3);
        last.swap_axes(1, 2);
        prop_assert_eq!(last.shape(), [count, h, w, c]);
        let read = |array: ArrayD<u8>| Samples::from_pixels(array, None).unwrap();
        let (expected, copied, strided) = (read(first.clone()), read(last.as_standard_layout().into_owned()), read(last.to_owned()));
        prop_assert_eq!(&copied, &expected);
        prop_assert_eq!(&strided, &expected);
        prop_assert!(copied.get(0).unwrap().is_standard_layout());
    }

    #[test]
    fn taken_images_keep_their_labels(first in 0_usize..8, count in 0_usize..10) {
        let all = Samples::from_pixels(counting(&[7, 2, 3]), Some((10..17).collect())).unwrap();
        match all.clone().take(first, count) {
            Ok(taken) => {
                prop_assert!(first + count <= 7 && taken.len() == count);
                for index in 0..count {
                    prop_assert_eq!(taken.get(index).unwrap(), all.get(first + index).unwrap());
                    prop_assert_eq!(taken.labels().unwrap()[index], 10 + first + index);
                }
            }
            Err(DataError::NoneWanted { available }) => prop_assert_eq!((count, available), (0, 7)),
            Err(DataError::PastEnd { .. }) => prop_assert!(first + count > 7),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

#[test]
fn floats_are_read_as_they_are() {
    let values = [-3.5, 0.0, 1e300, 2.0_f64.powi(-1074)];
    let array = Array::from_iter(values).into_shape_with_order(IxDyn(&[2, 2])).unwrap();
    let samples = Samples::from_floats(array, None).unwrap();
    assert_eq!(samples.get(1).unwrap().as_slice().unwrap(), &values[2..]);
    assert_eq!((samples.is_pixels(), samples.pixel_bits()), (false, None));
    assert_eq!((samples.shape(), samples.labels()), (Shape::Vector(2), None));
}

#[test]
fn values_that_are_no_numbers_are_refused() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut array = ArrayD::zeros(IxDyn(&[4, 2, 2]));
        array[[2, 1, 0]] = value;
        let error = Samples::from_floats(array, None).unwrap_err();
        assert!(matches!(error, DataError::NotFinite { index: 2 }), "{error}");
    }
}

#[test]
fn arrays_that_are_no_images_are_refused() {
    for shape in [&[][..], &[4], &[1, 2, 3, 4, 5]] {
        let error = pixels(shape).unwrap_err();
        assert!(
            matches!(&error, DataError::ImageRank { shape: found } if found == shape),
            "{error}"
        );
    }
    for shape in [&[0, 4][..], &[3, 0], &[2, 0, 2], &[2, 1, 2, 0]] {
        assert!(matches!(pixels(shape), Err(DataError::NoImages)), "{shape:?}");
    }
    let error = pixels(&[1, MAX_ELEMENTS + 1]).unwrap_err();
    assert!(matches!(error, DataError::ImageTooLarge { elements } if elements == MAX_ELEMENTS + 1));
}

#[test]
fn each_image_needs_one_label() {
    for count in [0, 2, 4] {
        let error = Samples::from_pixels(counting(&[3, 2]), Some(vec![1; count])).unwrap_err();
        assert!(matches!(error, DataError::CountMismatch { images: 3, labels } if labels == count));
    }
}

#[test]
fn images_past_the_end_are_refused() {
    let samples = pixels(&[3, 2]).unwrap();
    for index in [3, usize::MAX] {
        let error = samples.get(index).unwrap_err();
        assert!(matches!(error, DataError::PastEnd { available: 3, .. }), "{error}");
    }
    let past = samples.take(usize::MAX, usize::MAX);
    assert!(matches!(past, Err(DataError::PastEnd { .. })));
}

#[test]
fn labelled_images_become_samples() {
    let images = counting(&[2, 3, 4]);
    let grey = images.clone().into_shape_with_order((2, 3, 4)).unwrap();
    assert_eq!(grey.raw_dim().ndim(), 3);
    let data = LabelledImages::new(grey, vec![7, 9]).unwrap();
    let expected = Samples::from_pixels(images, Some(vec![7, 9])).unwrap();
    assert_eq!(Samples::from(data), expected);
}
