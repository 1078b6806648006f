//! PNG files: one, or a folder of images of one shape.
//!
//! Grey pictures have one channel, coloured ones three. A label is the name of the subfolder, or
//! a number in front of the first `_` of the file's name or behind the last. A label in a file's
//! name has no leading zeros, which tells it from the image's number in names like `00042_7.png`.

use std::io::{BufRead, Seek};
use std::path::{Path, PathBuf};

use ::png::{BitDepth, ColorType, Decoder, Limits, Transformations};
use ndarray::{ArrayD, IxDyn};

use super::samples::{Values, image_shape};
use super::source::{Source, entries};
use super::{DataError, MAX_BYTES, Samples};
use crate::model::graph::MAX_ELEMENTS;

pub(super) const MAGIC: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Reads one picture, without a label.
pub(super) fn read_file(path: &Path) -> Result<Samples, DataError> {
    let mut pictures = Pictures::default();
    pictures.append(path)?;
    pictures.samples(None)
}

/// Reads the PNG files of a folder, or those of its subfolders if it has none itself.
pub(super) fn read_folder(folder: &Path) -> Result<Samples, DataError> {
    let paths = pictures_in(folder)?;
    match paths.is_empty() {
        true => read_classes(folder),
        false => read_all(&paths, labels_of_names(folder, &paths)?),
    }
}

/// Reads a folder of folders, one for each class.
fn read_classes(folder: &Path) -> Result<Samples, DataError> {
    let mut classes = Vec::new();
    for class in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let paths = pictures_in(&class)?;
        if !paths.is_empty() {
            classes.push((class, paths));
        }
    }
    if classes.is_empty() {
        return Err(DataError::Unrecognised { path: folder.into() });
    }
    let numbers: Option<Vec<usize>> =
        classes.iter().map(|(class, _)| class.file_name()?.to_str()?.parse().ok()).collect();
    let numbers = numbers.unwrap_or_else(|| (0..classes.len()).collect());
    let counted = classes.iter().zip(numbers);
    let labels = counted.flat_map(|((_, paths), label)| paths.iter().map(move |_| label)).collect();
    let paths: Vec<PathBuf> = classes.into_iter().flat_map(|(_, paths)| paths).collect();
    read_all(&paths, Some(labels))
}

fn read_all(paths: &[PathBuf], labels: Option<Vec<usize>>) -> Result<Samples, DataError> {
    let mut pictures = Pictures::default();
    for path in paths {
        pictures.append(path)?;
    }
    pictures.samples(labels)
}

fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_png = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
    };
    Ok(entries(folder)?.into_iter().filter(|path| is_png(path) && path.is_file()).collect())
}

/// The labels in the names of files, if every one has a label in the same place.
fn labels_of_names(folder: &Path, paths: &[PathBuf]) -> Result<Option<Vec<usize>>, DataError> {
    let all = |part: fn(&str) -> Option<&str>| -> Option<Vec<usize>> {
        let label = |path: &PathBuf| class_number(part(path.file_stem()?.to_str()?)?);
        paths.iter().map(label).collect()
    };
    let front = all(|name| name.split_once('_').map(|(front, _)| front));
    let back = all(|name| name.rsplit_once('_').map(|(_, back)| back));
    match (front, back) {
        (Some(front), Some(back)) if front != back => {
            Err(DataError::AmbiguousLabels { path: folder.into() })
        }
        (front, back) => Ok(front.or(back)),
    }
}

/// A whole number without leading zeros.
fn class_number(text: &str) -> Option<usize> {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    canonical.then(|| text.parse().ok()).flatten()
}

/// The pictures read so far.
#[derive(Debug, Default)]
struct Pictures {
    /// Channel by channel, row by row.
    pixels: Vec<u8>,
    count: usize,
    /// C, H and W of every picture, once there is one.
    shape: Option<[usize; 3]>,
}

impl Pictures {
    fn append(&mut self, path: &Path) -> Result<(), DataError> {
        let picture = Picture::read(Source::open(path)?.into_reader(), path)?;
        let first = *self.shape.get_or_insert(picture.shape);
        if picture.shape != first {
            let (found, first) = (image_shape(&picture.shape), image_shape(&first));
            return Err(DataError::MixedShapes { path: path.into(), found, first });
        }
        self.pixels.extend(picture.pixels);
        self.count += 1;
        match self.pixels.len() as u64 > MAX_BYTES {
            true => Err(DataError::TooLarge { path: path.into() }),
            false => Ok(()),
        }
    }

    fn samples(self, labels: Option<Vec<usize>>) -> Result<Samples, DataError> {
        let [channels, height, width] = self.shape.unwrap_or_default();
        let shape = IxDyn(&[self.count, channels, height, width]);
        let images = ArrayD::from_shape_vec(shape, self.pixels).map_err(|_| DataError::NoImages)?;
        Samples::new(Values::Bytes(images), labels)
    }
}

/// One decoded picture.
#[derive(Debug, PartialEq)]
struct Picture {
    shape: [usize; 3],
    pixels: Vec<u8>,
}

impl Picture {
    fn read(reader: impl BufRead + Seek, path: &Path) -> Result<Self, DataError> {
        let wrong = |source| DataError::Decode { path: path.into(), source: Box::new(source) };
        let mut decoder = Decoder::new_with_limits(reader, Limits { bytes: MAX_ELEMENTS });
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.set_transformations(Transformations::EXPAND);
        let mut reader = decoder.read_info().map_err(wrong)?;
        let (colour, depth) = reader.output_color_type();
        if depth != BitDepth::Eight {
            let (found, wanted) = ("16 bits for each value", "8");
            return Err(DataError::PngForm { path: path.into(), found, wanted });
        }
        let length = reader.output_buffer_size().unwrap_or(usize::MAX);
        if length > MAX_ELEMENTS {
            return Err(DataError::ImageTooLarge { elements: length });
        }
        let mut samples = vec![0; length];
        let frame = reader.next_frame(&mut samples).map_err(wrong)?;
        // The checksums of the pixels and the mark of the end come behind the last row.
        reader.finish().map_err(wrong)?;
        samples.truncate(frame.buffer_size());
        let (width, height) = (frame.width as usize, frame.height as usize);
        Self::new(&samples, colour, [height, width]).ok_or_else(|| DataError::PngForm {
            path: path.into(),
            found: "transparent pixels",
            wanted: "none",
        })
    }

    /// Pixels that are stored side by side, channel by channel; none if one is transparent.
    fn new(samples: &[u8], colour: ColorType, [height, width]: [usize; 2]) -> Option<Self> {
        let (stored, transparency) = (colour.samples(), has_transparency(colour));
        let channels = stored - usize::from(transparency);
        let opaque = |pixel: &[u8]| !transparency || pixel.last() == Some(&u8::MAX);
        if !samples.chunks_exact(stored).all(opaque) {
            return None;
        }
        let plane = |channel| samples.iter().skip(channel).step_by(stored).copied();
        let pixels = (0..channels).flat_map(plane).collect();
        Some(Self { shape: [channels, height, width], pixels })
    }
}

fn has_transparency(colour: ColorType) -> bool {
    matches!(colour, ColorType::GrayscaleAlpha | ColorType::Rgba)
}

#[cfg(test)]
mod tests;
