use ndarray::{ArrayD, IxDyn, s};
use proptest::prelude::*;

use super::*;

fn samples(shape: &[usize]) -> Samples {
    let mut next = 0.5;
    let array = ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        next += 1.0;
        next
    });
    Samples::from_floats(array, None).unwrap()
}

proptest! {
    #[test]
    fn smaller_images_are_centred(c in 1_usize..4, h in 1_usize..6, w in 1_usize..6, more_h in 0_usize..4, more_w in 0_usize..4) {
        prop_assume!(c != 2 || w == 2 || w > 3);
        let samples = samples(&[3, c, h, w]);
        let shape = Shape::image(c, h + more_h, w + more_w);
        let fitted = samples.fitted(shape).unwrap();
        let (top, left) = (more_h / 2, more_w / 2);
        for index in 0..3 {
            let (image, whole) = (samples.get(index).unwrap(), fitted.get(index).unwrap());
            prop_assert_eq!(whole.shape(), shape.dimensions());
            let middle = whole.slice(s![.., top..top + h, left..left + w]);
            prop_assert_eq!(middle.into_dyn(), image.view());
            prop_assert!((whole.sum() - image.sum()).abs() < 1e-9, "something is not zero around it");
        }
    }

    #[test]
    fn images_become_vectors(c in prop_oneof![Just(1), Just(3)], h in 1_usize..6, w in 1_usize..6) {
        let samples = samples(&[2, c, h, w]);
        let fitted = samples.fitted(Shape::Vector(c * h * w)).unwrap();
        let (image, vector) = (samples.get(1).unwrap(), fitted.get(1).unwrap());
        prop_assert_eq!(vector.shape(), [c * h * w]);
        prop_assert!(vector.iter().eq(image.iter()));
    }
}

#[test]
fn channels_last_become_vectors_channel_by_channel() {
    let last =
        ArrayD::from_shape_fn(IxDyn(&[1, 5, 4, 3]), |at| (at[3] * 20 + at[1] * 4 + at[2]) as f64);
    let samples = Samples::from_floats(last, None).unwrap();
    let vector = samples.fitted(Shape::Vector(60)).unwrap().get(0).unwrap();
    assert!(vector.iter().copied().eq((0..60).map(f64::from)));
}

#[test]
fn all_ways_to_walk_agree() {
    let samples = samples(&[6, 4, 5]);
    let fitted = samples.fitted(Shape::image(1, 6, 6)).unwrap();
    assert_eq!((fitted.len(), fitted.shape()), (6, Shape::image(1, 6, 6)));
    let expected: Vec<_> = (0..6).map(|index| fitted.get(index).unwrap()).collect();
    assert_eq!(fitted.iter().collect::<Vec<_>>(), expected);
    assert_eq!(fitted.par_iter().collect::<Vec<_>>(), expected);
    assert!(matches!(fitted.get(6), Err(DataError::PastEnd { available: 6, .. })));
}

#[test]
fn other_shapes_are_refused_with_both() {
    let image = [2, 3, 8, 9];
    for (shape, wanted) in [
        (&image[..], Shape::image(1, 8, 9)),
        (&image, Shape::image(3, 7, 9)),
        (&image, Shape::image(3, 8, 8)),
        (&image, Shape::image(3, 0, 0)),
        (&image, Shape::Vector(3 * 8 * 9 - 1)),
        (&image, Shape::Vector(usize::MAX)),
        (&[2, 12], Shape::image(1, 3, 4)),
        (&[2, 12], Shape::Vector(13)),
    ] {
        let samples = samples(shape);
        let message = samples.fitted(wanted).unwrap_err().to_string();
        let both = format!("the images are {}, but the model reads {wanted};", samples.shape());
        assert!(message.starts_with(&both), "{message}");
    }
}

#[test]
fn shapes_that_no_model_has_are_refused() {
    let samples = samples(&[1, 3, 8, 9]);
    for side in [1 << 20, usize::MAX] {
        let error = samples.fitted(Shape::image(3, side, side)).unwrap_err();
        assert!(matches!(error, DataError::ImageTooLarge { .. }), "{error}");
    }
}
