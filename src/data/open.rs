//! Which form the images at a path have.

use std::path::{Path, PathBuf};

use ndarray::Axis;

use super::idx::existing;
use super::samples::Values;
use super::source::{Source, entries};
use super::{DataError, LabelledImages, Samples, Split, cifar, idx, npy, npz, png};

/// The forms of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Idx,
    Npy,
    Npz,
    Png,
    Cifar,
}

impl Samples {
    /// Reads images, and labels if there are some, from a file or a folder. What it is shows in
    /// its content, and in the names of CIFAR-10's files:
    ///
    /// | path | images | labels |
    /// |---|---|---|
    /// | `.npy` file | u8, f32 or f64, little-endian, axes as in [`Samples::from_pixels`] | file beside it |
    /// | `.npz` file | array `x_train` or `x_test` (by the split), `x`, `images`, `data`, or the only one of two axes or more | `y_train` or `y_test`, `y`, `labels` |
    /// | IDX file of images, gzipped or not | grey pixels | file beside it |
    /// | folder with MNIST's IDX files | those of the split | those of the split |
    /// | `.bin` file of CIFAR-10 | all its records | in the records |
    /// | folder with CIFAR-10's `data_batch_*.bin` or `test_batch.bin` | those of the split | in the records |
    /// | PNG file | one image | none |
    /// | folder of PNG files, all of one shape | in the order of their names | `LABEL_*.png` or `*_LABEL.png` if all are like that |
    /// | folder of folders of PNG files | in the order of their names | name of the folder |
    ///
    /// The file beside one whose name has `images` is that with `labels` instead (and `idx1`
    /// instead of `idx3`), gzipped or not, if it is there. Folders' names are labels themselves
    /// where all are numbers, else the labels count them from 0 in the order of their names. A
    /// label in a file's name has no leading zeros: the 7 in `00042_7.png`. A folder with a
    /// folder named as the split, `train` or `test`, stands for that folder. PNG files are grey or
    /// coloured, of at most 8 bits, without transparency.
    ///
    /// # Errors
    /// [`DataError`] if there is no such path, if it has none of these forms, if a file is
    /// unreadable, damaged or holds more than [`MAX_BYTES`](super::MAX_BYTES), if an image holds
    /// more than [`MAX_ELEMENTS`](crate::model::graph::MAX_ELEMENTS) values, or if images and
    /// labels do not belong together.
    pub fn open(path: impl AsRef<Path>, split: Split) -> Result<Self, DataError> {
        let path = path.as_ref();
        match path.is_dir() {
            true => open_folder(path, split),
            false => open_file(path, split),
        }
    }
}

fn open_folder(folder: &Path, split: Split) -> Result<Samples, DataError> {
    let paths = entries(folder)?;
    let of_split = folder.join(split.name());
    if idx::has_images(folder) {
        LabelledImages::load(folder, split).map(Samples::from)
    } else if cifar::has_records(&paths) {
        cifar::read_folder(folder, split)
    } else if of_split.is_dir() {
        open_folder(&of_split, split)
    } else {
        png::read_folder(folder)
    }
}

fn open_file(path: &Path, split: Split) -> Result<Samples, DataError> {
    match form_of(path)? {
        Form::Npz => npz::read(path, split),
        Form::Png => png::read_file(path),
        Form::Cifar => cifar::read_file(path),
        Form::Npy => Samples::new(read_npy(path, npy::read_images)?, labels_beside(path)?),
        Form::Idx => {
            let images = idx::read_images(path)?.insert_axis(Axis(1)).into_dyn();
            Samples::new(Values::Bytes(images), labels_beside(path)?)
        }
    }
}

fn form_of(path: &Path) -> Result<Form, DataError> {
    if path.extension().is_some_and(|extension| extension == "bin") {
        return Ok(Form::Cifar);
    }
    let start = Source::open(path)?.up_to(8)?;
    let forms: [(&[u8], Form); 5] = [
        (&npy::MAGIC, Form::Npy),
        (&npz::MAGIC, Form::Npz),
        (&png::MAGIC, Form::Png),
        (&idx::GZIP_MAGIC, Form::Idx),
        (&idx::MAGIC, Form::Idx),
    ];
    let form = forms.into_iter().find(|(magic, _)| start.starts_with(magic));
    form.map(|(_, form)| form).ok_or_else(|| DataError::Unrecognised { path: path.into() })
}

fn read_npy<T>(
    path: &Path,
    read: impl FnOnce(std::io::BufReader<std::fs::File>, &Path) -> Result<T, DataError>,
) -> Result<T, DataError> {
    read(Source::open(path)?.into_reader(), path)
}

/// The labels in the file that belongs to a file of images, if it is there.
fn labels_beside(path: &Path) -> Result<Option<Vec<usize>>, DataError> {
    let Some(path) = label_path(path) else { return Ok(None) };
    let labels = match form_of(&path)? {
        Form::Npy => read_npy(&path, npy::read_labels)?,
        _ => idx::read_labels(&path)?.into_iter().map(usize::from).collect(),
    };
    Ok(Some(labels))
}

fn label_path(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    if !name.contains("images") {
        return None;
    }
    let name = name.replace("images", "labels").replace("idx3", "idx1");
    existing(&images.with_file_name(name))
}

#[cfg(test)]
mod tests;
