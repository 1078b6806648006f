//! What is found out about one row.

use serde::{Deserialize, Serialize};

/// Bins of the histogram of logit errors.
pub const BINS: usize = 41;
/// `log2` of the lower end of the histogram's lowest bin but one, which holds all that is less.
pub const LOWEST: i32 = -20;

/// A row on all images: in the clear, and in simulation with the noise model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The class of each image by the network in f64, as replaced.
    pub clear: Vec<u16>,
    /// The class of each image in simulation, where the network has a program.
    pub simulated: Option<Vec<u16>>,
    /// Why it cannot run encrypted, where it cannot.
    pub refusal: Option<String>,
    /// What is to be known of it.
    pub note: Option<String>,
    /// Of the simulated logits (those in the clear where there are none).
    pub errors: LogitErrors,
    /// What an encrypted run costs, by prediction.
    pub costs: Option<Costs>,
    /// Each activation's range.
    pub ranges: Vec<Range>,
    /// Each layer's error.
    pub layers: Vec<Layer>,
}

/// Differences between logits and the reference's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogitErrors {
    /// Root mean square, in the network's units.
    pub rms: f64,
    /// The largest magnitude.
    pub worst: f64,
    /// Root mean square of the reference's logits.
    pub reference: f64,
    /// Logits by the binary logarithm of their error's magnitude.
    pub histogram: Vec<u64>,
}

/// Costs of one image on a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Predicted seconds on `threads` threads.
    pub seconds: f64,
    /// See `seconds`.
    pub threads: usize,
    /// Bootstrappings in TFHE.
    pub bootstrappings: usize,
    /// Polynomials that go through the bootstrapping of CKKS.
    pub slot_bootstrappings: usize,
    /// Levels of CKKS.
    pub levels: usize,
    /// Tables one behind the other.
    pub tables: usize,
    /// `log2` of the ring dimension.
    pub log_dimension: u32,
    /// Predicted bytes in memory.
    pub memory: f64,
    /// Bytes of evaluation keys in memory.
    pub keys: f64,
    /// Bytes of an encrypted image and an encrypted result.
    pub messages: [f64; 2],
    /// Bits of security by the published estimates.
    pub security: u32,
}

/// The range that an activation holds for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Its layer.
    pub layer: String,
    /// What it holds for, in the network's units.
    pub interval: [f64; 2],
    /// The smallest and the largest of the values it read.
    pub seen: [f64; 2],
    /// The values it read.
    pub values: u64,
    /// Those outside.
    pub outside: u64,
    /// The images with a value outside.
    pub images: u64,
}

/// What one layer, from a linear layer to the next, does to the values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// The name of its linear layer.
    pub name: String,
    /// Values of its result.
    pub values: usize,
    /// Root mean square of its result in the plain network.
    pub reference: f64,
    /// Root mean square of the error that this layer alone adds.
    pub added: f64,
    /// Root mean square of the difference from the plain network's.
    pub total: f64,
    /// Comparisons, where it has some that can fail.
    pub comparisons: Option<Comparisons>,
}

/// Comparisons of a layer, activations included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparisons {
    /// How many.
    pub count: u64,
    /// Those that went the other way than without noise or approximation.
    pub flipped: u64,
    /// The mean difference of what those compared, in the network's units.
    pub mean: f64,
    /// The largest.
    pub worst: f64,
}

/// A row on some images, encrypted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Encrypted {
    /// The class of each of the first images.
    pub classes: Vec<u16>,
    /// Differences of the logits from those of the network in the clear, as replaced.
    pub errors: LogitErrors,
    /// Bytes of the evaluation keys in memory and on their way.
    pub keys: [u64; 2],
    /// Bytes of an encrypted image and an encrypted result.
    pub messages: [u64; 2],
    /// Everything that another run does not repeat.
    pub times: Times,
}

/// What a clock or the system says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Of making the keys.
    pub keys: f64,
    /// Of each image, on `threads` threads.
    pub images: Vec<f64>,
    /// See `images`.
    pub threads: usize,
    /// The largest resident memory in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

impl LogitErrors {
    /// Of results with what they should be.
    #[must_use]
    pub fn of<'a>(pairs: impl Iterator<Item = (&'a [f64], &'a [f64])>) -> Self {
        let (mut squares, mut reference, mut count) = (0.0, 0.0, 0.0);
        let mut errors = Self { histogram: vec![0; BINS], ..Self::default() };
        for (found, exact) in pairs {
            for (found, exact) in found.iter().zip(exact) {
                let error = (found - exact).abs();
                squares += error * error;
                reference += exact * exact;
                count += 1.0;
                errors.worst = if error.is_nan() { f64::INFINITY } else { errors.worst.max(error) };
                errors.histogram[bin(error)] += 1;
            }
        }
        let root = |sum: f64| (sum / f64::max(count, 1.0)).sqrt();
        // JSON has no infinity
        errors.rms = root(squares).min(f64::MAX);
        errors.worst = errors.worst.min(f64::MAX);
        errors.reference = root(reference);
        errors
    }
}

fn bin(error: f64) -> usize {
    let bin = error.log2().floor() - f64::from(LOWEST) + 1.0;
    if error.is_nan() { BINS - 1 } else { bin.clamp(0.0, BINS as f64 - 1.0) as usize }
}

/// The index of the largest value; of none that is a number, the first.
#[must_use]
pub fn class(values: &[f64]) -> u16 {
    let number = |&index: &usize| !values[index].is_nan();
    let largest = (0..values.len()).filter(number).max_by(|&a, &b| values[a].total_cmp(&values[b]));
    u16::try_from(largest.unwrap_or(0)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_known_differences() {
        let pairs = [([1.0, 3.0], [0.0, 0.0]), ([0.0, -2.0], [0.0, 0.0])];
        let errors = LogitErrors::of(pairs.iter().map(|(a, b)| (a.as_slice(), b.as_slice())));
        assert!((errors.rms - 3.5_f64.sqrt()).abs() < 1e-12 && errors.worst == 3.0);
        assert_eq!(errors.histogram.iter().sum::<u64>(), 4);
        assert_eq!((bin(0.0), bin(2f64.powi(LOWEST)), bin(f64::INFINITY)), (0, 1, BINS - 1));
        let none = LogitErrors::of(std::iter::empty());
        assert_eq!((none.rms, none.worst), (0.0, 0.0));
        let lost = LogitErrors::of([(&[f64::NAN][..], &[1.0][..])].into_iter());
        assert_eq!((lost.rms, lost.worst), (f64::MAX, f64::MAX));
        let text = serde_json::to_string(&lost).unwrap();
        assert_eq!(serde_json::from_str::<LogitErrors>(&text).unwrap(), lost);
    }

    #[test]
    fn classes_are_of_the_largest_number() {
        assert_eq!(class(&[f64::NAN, 1.0, 3.0, f64::NAN]), 2);
        assert_eq!((class(&[]), class(&[f64::NAN])), (0, 0));
    }
}
