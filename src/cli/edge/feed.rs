//! Where images come from: files, a folder that is watched, or a stream of frames.

use crate::cli::Failure;
use crate::cli::images::{Images, Part, shape_of};
use bellerophon::data::Samples;
use bellerophon::model::Shape;
use clap::Args;
use ndarray::{ArrayD, IxDyn};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::SystemTime;

/// What is encrypted.
#[derive(Debug, Args)]
#[group(id = "feed", required = true, multiple = true)]
pub struct Arguments {
    /// Images: a .npy, .npz, IDX, PNG or CIFAR-10 file, or a folder of such
    #[arg(long, value_name = "DATA", conflicts_with_all = ["watch", "stream"])]
    images: Option<PathBuf>,
    /// A folder in which files of images appear; each is read once it no longer changes, those that
    /// begin with a dot or end in .partial or .tmp are not
    #[arg(long, value_name = "FOLDER", conflicts_with = "stream")]
    watch: Option<PathBuf>,
    /// Frames on stdin, one behind the other, as CxHxW bytes: 1x28x28
    #[arg(long, value_name = "CxHxW", value_parser = frame)]
    stream: Option<[usize; 3]>,
    /// Which part of a data set that has several
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// The first image
    #[arg(long, value_name = "K", default_value_t = 0, requires = "images")]
    first: usize,
    /// How many images; default: all
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

fn frame(text: &str) -> Result<[usize; 3], String> {
    let sides: Option<Vec<usize>> = text.split('x').map(|side| side.parse().ok()).collect();
    match sides.as_deref() {
        Some(&[c, h, w]) if [c, h, w].iter().all(|side| (1..=1 << 12).contains(side)) => {
            Ok([c, h, w])
        }
        _ => Err("write channels x height x width, as 1x28x28".to_owned()),
    }
}

/// One image, in the network's units.
pub struct Image {
    pub name: String,
    pub values: Vec<f64>,
}

/// Images, one after the other.
pub struct Feed {
    source: Source,
    elements: usize,
    ready: VecDeque<Image>,
    left: usize,
    done: bool,
}

enum Source {
    Files {
        images: Images,
        next: usize,
        stem: String,
        first: usize,
    },
    Watched {
        folder: PathBuf,
        part: Part,
        seen: HashSet<PathBuf>,
        changing: HashMap<PathBuf, Mark>,
    },
    Frames {
        frames: Receiver<Result<Vec<u8>, String>>,
        sides: [usize; 3],
        next: usize,
    },
}

/// A file that still changes has another one when it is looked at again.
type Mark = (u64, Option<SystemTime>);

impl Arguments {
    /// Opens what is there, for a model that reads so many values.
    pub fn open(&self, elements: usize) -> Result<Feed, Failure> {
        let left = self.count.unwrap_or(usize::MAX);
        let source = if let Some(path) = &self.images {
            self.files(path, elements)?
        } else if let Some(folder) = &self.watch {
            if !folder.is_dir() {
                return Err(format!("--watch: there is no folder {}", folder.display()).into());
            }
            let (seen, changing) = (HashSet::new(), HashMap::new());
            Source::Watched { folder: folder.clone(), part: self.split, seen, changing }
        } else {
            let sides = self.stream.ok_or("name --images, --watch or --stream")?;
            shape_of(elements, Shape::image(sides[0], sides[1], sides[2]))?;
            Source::Frames { frames: frames(sides.iter().product()), sides, next: 0 }
        };
        Ok(Feed { source, elements, ready: VecDeque::new(), left, done: false })
    }

    fn files(&self, path: &Path, elements: usize) -> Result<Source, Failure> {
        let samples = Samples::open(path, self.split.into())?;
        let count = self.count.unwrap_or(samples.len().saturating_sub(self.first));
        let samples = samples.take(self.first, count)?;
        let shape = shape_of(elements, samples.shape())?;
        let images = Images::new(samples, shape)?;
        Ok(Source::Files { images, next: 0, stem: stem(path), first: self.first })
    }

    /// Whether a feed that never ends has given enough.
    pub fn is_enough(&self, results: usize) -> bool {
        self.count.is_some_and(|count| results >= count)
    }
}

impl Feed {
    /// How many images there will be, where that is known.
    pub fn count(&self) -> Option<usize> {
        match &self.source {
            Source::Files { images, .. } => Some(images.len()),
            _ => Some(self.left).filter(|&left| left < usize::MAX),
        }
    }

    /// Whether no more will come.
    pub fn is_done(&self) -> bool {
        self.ready.is_empty() && (self.done || self.left == 0)
    }

    /// The next image, if there is one now.
    pub fn next(&mut self) -> Result<Option<Image>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.ready.is_empty() {
            self.fill()?;
        }
        let image = self.ready.pop_front();
        self.left -= usize::from(image.is_some());
        Ok(image)
    }

    fn fill(&mut self) -> Result<(), Failure> {
        let Self { source, elements, ready, done, .. } = self;
        match source {
            Source::Files { images, next, stem, first } => {
                if *next < images.len() {
                    let name = format!("{stem}-{:06}", *first + *next);
                    let values = images.get(*next)?.into_iter().collect();
                    ready.push_back(Image { name, values });
                    *next += 1;
                }
                *done = *next == images.len();
            }
            Source::Watched { folder, part, seen, changing } => {
                for path in settled(folder, seen, changing)? {
                    ready.extend(read(&path, *part, *elements)?);
                    seen.insert(path);
                }
            }
            Source::Frames { frames, sides, next } => match frames.try_recv() {
                Ok(frame) => {
                    let name = format!("frame-{:06}", *next);
                    ready.push_back(from_frame(name, frame?, *sides, *elements)?);
                    *next += 1;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => *done = true,
            },
        }
        Ok(())
    }
}

/// A file's name, with what cannot be in a name of an image left out.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = name.chars().map(plain).take(150).collect();
    match name.trim_start_matches('.') {
        "" => "image".to_owned(),
        name => name.to_owned(),
    }
}

/// New files that are the same as when they were last looked at, in the order of their names.
fn settled(
    folder: &Path,
    seen: &HashSet<PathBuf>,
    changing: &mut HashMap<PathBuf, Mark>,
) -> Result<Vec<PathBuf>, Failure> {
    let mut settled = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = [".partial", ".tmp"].iter().any(|end| name.ends_with(end));
        if name.starts_with('.') || unfinished || seen.contains(&path) {
            continue;
        }
        // one that vanishes meanwhile is not there
        let Ok(about) = path.metadata() else { continue };
        let mark = (about.len(), about.modified().ok());
        if about.is_file() && changing.insert(path.clone(), mark) == Some(mark) {
            changing.remove(&path);
            settled.push(path);
        }
    }
    settled.sort();
    Ok(settled)
}

fn read(path: &Path, part: Part, elements: usize) -> Result<Vec<Image>, Failure> {
    let samples = Samples::open(path, part.into())?;
    let shape = shape_of(elements, samples.shape())?;
    let images = Images::new(samples, shape)?;
    let stem = stem(path);
    let image = |index| -> Result<Image, Failure> {
        let values = images.get(index)?.into_iter().collect();
        Ok(Image { name: format!("{stem}-{index:06}"), values })
    };
    (0..images.len()).map(image).collect()
}

/// Reads frames on a thread of its own, so that results are collected while none comes.
fn frames(bytes: usize) -> Receiver<Result<Vec<u8>, String>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut frame = Vec::with_capacity(bytes);
            let read = stdin.by_ref().take(bytes as u64).read_to_end(&mut frame);
            let frame = match read {
                Ok(0) => break,
                Ok(count) if count == bytes => Ok(frame),
                Ok(count) => Err(format!("the last frame has {count} bytes instead of {bytes}")),
                Err(error) => Err(format!("cannot read frames: {error}")),
            };
            let ended = frame.is_err();
            if sender.send(frame).is_err() || ended {
                break;
            }
        }
    });
    receiver
}

fn from_frame(
    name: String,
    frame: Vec<u8>,
    [c, h, w]: [usize; 3],
    elements: usize,
) -> Result<Image, Failure> {
    let pixels = ArrayD::from_shape_vec(IxDyn(&[1, c, h, w]), frame)?;
    let samples = Samples::from_pixels(pixels, None)?;
    let shape = shape_of(elements, samples.shape())?;
    let values = Images::new(samples, shape)?.get(0)?.into_iter().collect();
    Ok(Image { name, values })
}
