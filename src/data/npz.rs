//! NumPy's `.npz` format: a zip archive of `.npy` files, packed or not.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::source::Source;
use super::{DataError, Samples, Split, npy};

pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";

/// Reads the images and labels of an archive.
pub(super) fn read(path: &Path, split: Split) -> Result<Samples, DataError> {
    let mut archive = Npz::open(path)?;
    let images = archive.image_name(split)?;
    let values = archive.array(&images, |reader, path| npy::read_images(reader, path))?;
    let Some(labels) = archive.named("y", split, &["y", "labels"]) else {
        return Samples::new(values, None);
    };
    let labels = archive.array(&labels, |reader, path| npy::read_labels(reader, path))?;
    Samples::new(values, Some(labels))
}

/// An opened archive.
struct Npz<'a> {
    path: &'a Path,
    archive: ZipArchive<BufReader<File>>,
    /// The arrays in it, without `.npy`.
    names: Vec<String>,
}

impl<'a> Npz<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let reader = Source::open(path)?.into_reader();
        let archive = ZipArchive::new(reader).map_err(|error| unreadable(path, error))?;
        let names = archive.file_names().filter_map(Result::ok);
        let names = names.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned)).collect();
        Ok(Self { path, archive, names })
    }

    /// The array of images, by its name or because no other can be it.
    fn image_name(&mut self, split: Split) -> Result<String, DataError> {
        if let Some(name) = self.named("x", split, &["x", "images", "data"]) {
            return Ok(name);
        }
        let mut large = Vec::new();
        for name in self.names.clone() {
            if self.rank(&name)? >= 2 {
                large.push(name);
            }
        }
        match &large[..] {
            [only] => Ok(only.clone()),
            _ => Err(DataError::NoImageArray { path: self.path.into(), names: self.names.clone() }),
        }
    }

    /// `x_train` or `x_test` as the split says, or else the first of `others` that is there.
    fn named(&self, letter: &str, split: Split, others: &[&str]) -> Option<String> {
        let of_split = format!("{letter}_{}", split.name());
        let names = [of_split.as_str()].into_iter().chain(others.iter().copied());
        names.map(str::to_owned).find(|name| self.names.contains(name))
    }

    fn rank(&mut self, name: &str) -> Result<usize, DataError> {
        self.array(name, |reader, path| {
            npy::read_header(&mut Source::new(reader, path)).map(|header| header.shape.len())
        })
    }

    /// What `read` makes of one array; its path is for errors.
    fn array<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read, &Path) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let name = format!("{name}.npy");
        let path = self.path.join(&name);
        match self.archive.by_name(&name) {
            Ok(mut file) => read(&mut file, &path),
            Err(error) => Err(unreadable(&path, error)),
        }
    }
}

fn unreadable(path: &Path, error: ZipError) -> DataError {
    DataError::Read { path: path.into(), source: error.into() }
}

#[cfg(test)]
mod tests;
