//! Images as pictures within a page.

use base64::Engine;
use ndarray::ArrayD;

/// A PNG picture as a `data:` address: grey or colour, of values in [0, 1]. A vector is shown where it
/// fills a square.
pub(super) fn address(image: &ArrayD<f64>) -> Option<String> {
    let (channels, height, width) = match *image.shape() {
        [channels @ (1 | 3), height, width] => (channels, height, width),
        [length] if length.isqrt().pow(2) == length => (1, length.isqrt(), length.isqrt()),
        _ => return None,
    };
    let values: Vec<f64> = image.iter().copied().collect();
    let size = height * width;
    let pixel = |at: usize| (0..channels).map(move |channel| channel * size + at);
    let bytes = (0..size).flat_map(pixel);
    let byte = |at: usize| (values[at].clamp(0.0, 1.0) * 255.0).round() as u8;
    let bytes: Vec<u8> = bytes.map(byte).collect();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width as u32, height as u32);
    encoder.set_color(if channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&bytes).ok()?;
    writer.finish().ok()?;
    Some(format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn pictures_hold_the_pixels() {
        let values = vec![0.0, 1.0, 0.5, 0.25, 0.75, 2.0];
        let image = ArrayD::from_shape_vec(IxDyn(&[1, 2, 3]), values).unwrap();
        let text = address(&image).unwrap();
        let bytes = text.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; 6];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [0, 255, 128, 64, 191, 255]);
        assert!(address(&ArrayD::zeros(IxDyn(&[3, 4, 4]))).is_some());
        assert!(address(&ArrayD::zeros(IxDyn(&[16]))).is_some());
        for shape in [vec![2, 4, 4], vec![15]] {
            assert!(address(&ArrayD::zeros(IxDyn(&shape))).is_none());
        }
    }
}
