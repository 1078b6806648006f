use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::data::tests::{Folder, open, picture, survives_damage};
use crate::model::Shape;

fn grey(pixel: u8) -> Vec<u8> {
    picture(ColorType::Grayscale, BitDepth::Eight, (2, 1), &[pixel, pixel])
}

/// The first pixel of every image.
fn pixels(samples: &Samples) -> Vec<u8> {
    let pixel = |index| (samples.get(index).unwrap()[[0, 0, 0]] * 255.0).round() as u8;
    (0..samples.len()).map(pixel).collect()
}

fn named(names: &[&str]) -> Result<Samples, DataError> {
    let folder = Folder::new();
    for (index, name) in names.iter().enumerate() {
        folder.write(name, &grey(index as u8));
    }
    folder.open()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pictures_are_read(w in 1_usize..7, h in 1_usize..7, channels in 1_usize..5, bytes in vec(any::<u8>(), 144)) {
        let colour = [ColorType::Grayscale, ColorType::GrayscaleAlpha, ColorType::Rgb, ColorType::Rgba][channels - 1];
        let alpha = channels % 2 == 0;
        let mut data = bytes[..w * h * channels].to_vec();
        if alpha {
            data.chunks_exact_mut(channels).for_each(|pixel| pixel[channels - 1] = 255);
        }
        let file = picture(colour, BitDepth::Eight, (w as u32, h as u32), &data);
        let samples = open("a.png", &file).unwrap();
        let shown = channels - usize::from(alpha);
        prop_assert_eq!((samples.len(), samples.shape()), (1, Shape::image(shown, h, w)));
        prop_assert!(samples.is_pixels() && samples.labels().is_none());
        for ((c, y, x), &value) in samples.get(0).unwrap().into_dimensionality::<ndarray::Ix3>().unwrap().indexed_iter() {
            prop_assert_eq!(value, f64::from(data[(y * w + x) * channels + c]) / 255.0);
        }
        if alpha {
            data[channels - 1] = 254;
            let file = picture(colour, BitDepth::Eight, (w as u32, h as u32), &data);
            let message = open("a.png", &file).unwrap_err().to_string();
            prop_assert!(message.contains("transparent"), "{}", message);
        }
    }
}

#[test]
fn fewer_bits_and_palettes_are_spread_to_eight() {
    let bits = picture(ColorType::Grayscale, BitDepth::One, (4, 1), &[0b1010_0000]);
    let row = |bytes: &[u8]| open("a.png", bytes).unwrap().get(0).unwrap();
    assert!(row(&bits).iter().eq(&[1.0, 0.0, 1.0, 0.0]));
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(ColorType::Indexed);
    encoder.set_palette(vec![255, 0, 51, 0, 102, 255]);
    encoder.write_header().unwrap().write_image_data(&[1, 0]).unwrap();
    assert!(row(&bytes).iter().eq(&[0.0, 1.0, 0.4, 0.0, 1.0, 0.2]));
}

#[test]
fn sixteen_bits_are_refused() {
    let file = picture(ColorType::Grayscale, BitDepth::Sixteen, (1, 1), &[1, 2]);
    let message = open("a.png", &file).unwrap_err().to_string();
    assert!(message.contains("16 bits") && message.ends_with("save it with 8"), "{message}");
}

#[test]
fn names_hold_labels() {
    let front = named(&["3_a.png", "0_b_c.png", "12_0007.PNG"]).unwrap();
    // In the order of names: 0_b_c, 12_0007, 3_a.
    assert_eq!((pixels(&front), front.labels()), (vec![1, 2, 0], Some(&[0, 12, 3][..])));
    let back = named(&["00000_6.png", "00001_9.png", "test_2_9.png"]).unwrap();
    assert_eq!(back.labels(), Some(&[6, 9, 9][..]));
    for names in [&["a.png", "3_b.png"][..], &["a.png"], &["01_a.png"], &["x_-1.png"], &["7.png"]] {
        assert_eq!(named(names).unwrap().labels(), None, "{names:?}");
    }
    assert_eq!(named(&["5_5.png"]).unwrap().labels(), Some(&[5][..]));
    let unclear = named(&["1_2.png", "2_2.png"]).unwrap_err();
    assert!(matches!(unclear, DataError::AmbiguousLabels { .. }), "{unclear}");
}

#[test]
fn folders_are_labels() {
    let numbers = named(&["10/a.png", "2/a.png", "2/b.png"]).unwrap();
    assert_eq!((pixels(&numbers), numbers.labels()), (vec![0, 1, 2], Some(&[10, 2, 2][..])));
    let words = named(&["dog/a.png", "cat/1_a.png", "cat/2_a.png", "7/x.png"]).unwrap();
    assert_eq!((pixels(&words), words.labels()), (vec![3, 1, 2, 0], Some(&[0, 1, 1, 2][..])));
    let folder = Folder::new();
    folder.write("4/a.png", &grey(1));
    folder.write("notes/read.me", b"no picture");
    folder.write("8/deeper/b.png", &grey(2));
    assert_eq!(folder.open().unwrap().labels(), Some(&[4][..]));
    folder.write("own.png", &grey(3));
    let own = folder.open().unwrap();
    assert_eq!((pixels(&own), own.labels()), (vec![3], None));
}

#[test]
fn pictures_of_other_shapes_are_refused() {
    let folder = Folder::new();
    folder.write("a.png", &grey(1));
    folder.write("b.png", &picture(ColorType::Rgb, BitDepth::Eight, (2, 1), &[1; 6]));
    let message = folder.open().unwrap_err().to_string();
    assert!(message.contains("b.png\" is 3x1x2, but the images before it are 1x1x2"), "{message}");
}

#[test]
fn damaged_files_are_refused() {
    let data: Vec<u8> = (0..48).collect();
    let file = picture(ColorType::Rgb, BitDepth::Eight, (4, 4), &data);
    survives_damage("a.png", &file);
}

#[test]
fn huge_pictures_are_refused_before_reading() {
    let mut file = grey(1);
    for side in [1 << 14, i32::MAX as u32] {
        file[16..20].copy_from_slice(&side.to_be_bytes());
        file[20..24].copy_from_slice(&side.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&file[12..29]);
        file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let error = open("a.png", &file).unwrap_err();
        let refused = matches!(error, DataError::ImageTooLarge { .. } | DataError::Decode { .. });
        assert!(refused, "{error}");
    }
}
