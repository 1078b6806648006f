//! Draws the handwritten digits that ship with the project and writes them as
//! IDX files, the format of MNIST.
//!
//! Every digit is a pen path: one of several hand-made skeletons per class,
//! whose nodes are moved, joined by cubic splines, bent, slanted and wobbled,
//! then inked with a pen of changing width and pressure, blurred, and placed as
//! MNIST places its digits (inside a 20x20 box, centre of mass in the middle of
//! 28x28). Nothing is taken from a data set and no image is chosen or dropped:
//! the set is a function of the seed alone.
//!
//! Only `+ - * /` and `sqrt` touch floating point, all exactly rounded by
//! IEEE 754, so a seed gives the same bytes on every platform.
//!
//! ```text
//! cargo run --example draw_digits -- --out models/digits --seed 1
//! ```

mod curve;
mod dice;
mod hand;
mod raster;
mod skeletons;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use dice::Dice;
use hand::Hand;
use raster::{BOX, SIDE, fit, paint};
use skeletons::WAYS;

/// Names of the files that are written.
const IMAGES: &str = "digits-images-idx3-ubyte";
const LABELS: &str = "digits-labels-idx1-ubyte";
/// Most images per class, so that a mistyped number does not fill the disk.
const MAX_PER_CLASS: u32 = 1000;

/// Draws handwritten digits into IDX files of 28x28 grey images.
#[derive(Parser)]
#[command(about, long_about = None)]
struct Args {
    /// Folder that receives digits-images-idx3-ubyte and digits-labels-idx1-ubyte
    #[arg(long, value_name = "DIR", default_value = "models/digits")]
    out: PathBuf,
    /// Seed of the drawing; the set in the repository is seed 1
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Images per digit class, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 10)]
    per_class: u32,
}

/// Draws one 28x28 image of `digit`, row by row, white on black.
fn draw(digit: usize, dice: &mut Dice) -> Vec<u8> {
    let hand = Hand::new(dice);
    let skeleton = dice.way(WAYS.get(digit).copied().unwrap_or_default());
    let mut strokes: Vec<_> = skeleton.iter().map(|nodes| hand.write(nodes, dice)).collect();
    fit(&mut strokes, BOX as f64 * hand.size, hand.blur);
    paint(&strokes, hand.blur, hand.gain)
}

/// Header of an IDX file of unsigned bytes with these dimensions.
fn idx_header(dimensions: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x08, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|d| d.to_be_bytes()));
    bytes
}

/// The image file and the label file: image `i` shows digit `i % 10`.
fn draw_set(seed: u64, per_class: u32) -> (Vec<u8>, Vec<u8>) {
    let count = per_class * 10;
    let mut images = idx_header(&[count, SIDE as u32, SIDE as u32]);
    let mut labels = idx_header(&[count]);
    for index in 0..count {
        let digit = (index % 10) as u8;
        images.extend(draw(usize::from(digit), &mut Dice::new(seed, u64::from(index))));
        labels.push(digit);
    }
    (images, labels)
}

/// Writes all files beside their final names, then renames them, so that no
/// half-written file is left under a final name.
fn write_all(files: &[(PathBuf, Vec<u8>)]) -> io::Result<()> {
    let parts: Vec<PathBuf> = files.iter().map(|(path, _)| path.with_extension("part")).collect();
    let written =
        files.iter().zip(&parts).try_for_each(|((_, bytes), part)| fs::write(part, bytes));
    let renamed = written.and_then(|()| {
        files.iter().zip(&parts).try_for_each(|((path, _), part)| fs::rename(part, path))
    });
    if renamed.is_err() {
        for part in &parts {
            // The first error is the one to report; a missing part is fine.
            let _ = fs::remove_file(part);
        }
    }
    renamed
}

/// Checks the arguments, draws, writes; the error is one line for the user.
fn run(args: &Args) -> Result<(), String> {
    if !(1..=MAX_PER_CLASS).contains(&args.per_class) {
        return Err(format!(
            "--per-class {} is out of range: give 1 to {MAX_PER_CLASS}",
            args.per_class
        ));
    }
    let out: &Path = &args.out;
    let unusable = |e: io::Error| {
        format!("--out {}: {e}: give a folder that can be made and written", out.display())
    };
    fs::create_dir_all(out).map_err(unusable)?;
    let (images, labels) = draw_set(args.seed, args.per_class);
    let files = [(out.join(IMAGES), images), (out.join(LABELS), labels)];
    write_all(&files).map_err(unusable)?;
    println!("{} images of seed {} in {}", args.per_class * 10, args.seed, out.display());
    Ok(())
}

fn main() -> ExitCode {
    let outcome = match Args::try_parse() {
        Ok(args) => run(&args),
        Err(e) if e.use_stderr() => {
            Err(e.to_string().lines().next().unwrap_or_default().replacen("error: ", "", 1))
        }
        Err(help) => {
            print!("{help}");
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes before the first image and before the first label.
    const IMAGE_HEADER: usize = 16;
    const LABEL_HEADER: usize = 8;

    fn images(seed: u64, per_class: u32) -> Vec<Vec<u8>> {
        let (bytes, _) = draw_set(seed, per_class);
        let pixels = &bytes[IMAGE_HEADER..];
        pixels.chunks(SIDE * SIDE).map(<[u8]>::to_vec).collect()
    }

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("draw_digits-{name}-{}", std::process::id()))
    }

    #[test]
    fn seed_one_is_the_set_in_the_repository() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits");
        let (images, labels) = draw_set(1, 10);
        assert!(fs::read(folder.join(IMAGES)).unwrap() == images, "{IMAGES} differs");
        assert!(fs::read(folder.join(LABELS)).unwrap() == labels, "{LABELS} differs");
    }

    #[test]
    fn headers_and_labels_follow_idx() {
        let (images, labels) = draw_set(5, 2);
        assert_eq!(images[..IMAGE_HEADER], [0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 28, 0, 0, 0, 28]);
        assert_eq!(images.len(), IMAGE_HEADER + 20 * 28 * 28);
        assert_eq!(labels[..LABEL_HEADER], [0, 0, 8, 1, 0, 0, 0, 20]);
        assert_eq!(
            labels[LABEL_HEADER..],
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        );
    }

    #[test]
    fn images_differ_and_a_longer_set_starts_with_the_shorter() {
        let (short, long) = (images(3, 1), images(3, 4));
        assert_eq!(short[..], long[..10]);
        assert!((0..30).all(|i| long[i] != long[i + 10]));
        assert!(images(4, 1).iter().zip(&short).all(|(a, b)| a != b));
    }

    #[test]
    fn every_digit_is_boxed_centred_and_bright() {
        for image in (1..=3).flat_map(|seed| images(seed, 10)) {
            let inked: Vec<usize> = (0..image.len()).filter(|&i| image[i] > 0).collect();
            let mass: f64 = image.iter().map(|&v| f64::from(v)).sum();
            for axis in [|i: usize| i % SIDE, |i: usize| i / SIDE] {
                let low = inked.iter().map(|&i| axis(i)).min().unwrap();
                let high = inked.iter().map(|&i| axis(i)).max().unwrap();
                assert!(high - low < BOX, "ink from {low} to {high}");
                let moment: f64 =
                    (0..image.len()).map(|i| (axis(i) as f64 + 0.5) * f64::from(image[i])).sum();
                let off = moment / mass - SIDE as f64 / 2.0;
                assert!(off.abs() <= 0.5 + 1e-9, "centre of mass {off} off the middle");
            }
            assert_eq!(image.iter().max(), Some(&255));
            let share = mass / 255.0 / image.len() as f64;
            assert!((0.02..0.3).contains(&share), "ink on {share} of the image");
        }
    }

    #[test]
    fn bad_arguments_are_refused_in_one_line_and_nothing_is_written() {
        let out = scratch("refused");
        for per_class in [0, MAX_PER_CLASS + 1, u32::MAX] {
            let message = run(&Args { out: out.clone(), seed: 1, per_class }).unwrap_err();
            assert!(message.contains("give 1 to 1000") && !message.contains('\n'), "{message}");
            assert!(!out.exists());
        }
    }

    #[test]
    fn a_file_in_the_folders_place_is_named_and_kept() {
        let out = scratch("occupied");
        fs::write(&out, b"mine").unwrap();
        let message = run(&Args { out: out.clone(), seed: 1, per_class: 1 }).unwrap_err();
        assert!(
            message.contains(&out.display().to_string()) && !message.contains('\n'),
            "{message}"
        );
        assert_eq!(fs::read(&out).unwrap(), b"mine");
        fs::remove_file(&out).unwrap();
    }

    #[test]
    fn a_failed_rename_leaves_no_part_behind() {
        let out = scratch("rename");
        // A folder under the final name makes the rename fail.
        fs::create_dir_all(out.join(IMAGES).join("inside")).unwrap();
        run(&Args { out: out.clone(), seed: 1, per_class: 1 }).unwrap_err();
        let left: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, [IMAGES]);
        fs::remove_dir_all(&out).unwrap();
    }
}
