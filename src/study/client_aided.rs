//! The first paper's own setting: convolutions on encrypted images with encrypted weights, in the slots
//! of CKKS; batch normalization is part of them. After each, the client decrypts, computes activations
//! and pooling in the clear, and encrypts again. Dense layers are in the clear, too.
//!
//! A feature map fills the slots of a ciphertext, each weight those of one of its own. For every output
//! channel the rotated maps are multiplied with the weights' ciphertexts, summed, relinearized and
//! rescaled once.

use super::cell::Costs;
use super::{Inputs, StudyError};
use crate::model::{Convolution, Node, Operator};
use crate::polynomial::parameters::{self, Choice};
use crate::polynomial::{Settings, Sizes};
use bellerophon_schemes::ckks::{Parameters, noise};
use bellerophon_schemes::security::SecurityLevel;
use ndarray::Axis;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};

/// `log2` of the ring dimension: 4,096 slots, enough for a map of 64 x 64.
const LOG_DIMENSION: u32 = 13;
/// Bits of slots above 1.
const HEADROOM: u32 = 8;

/// The setting for one network.
#[derive(Debug)]
pub struct ClientAided {
    parameters: Parameters,
    choice: Choice,
    /// For each node of the network that is a convolution, the standard deviation of the noise of each
    /// channel of its result, in the network's units.
    noise: Vec<Option<Vec<f64>>>,
    rotations: usize,
    rotation_keys: usize,
    products: usize,
    outputs: usize,
    rounds: usize,
}

impl ClientAided {
    /// Predicts the noise of each convolution; the power of its input is that on the samples.
    ///
    /// # Errors
    /// [`StudyError::Polynomial`] where no parameters fit.
    pub fn new(inputs: &Inputs) -> Result<Self, StudyError> {
        let settings = Settings::default();
        let choice = parameters::choose(1, HEADROOM, LOG_DIMENSION, &settings).ok_or(
            crate::polynomial::PolynomialError::NothingFits {
                levels: 1,
                log_dimension: LOG_DIMENSION,
                security: settings.security.bits(),
            },
        )?;
        let parameters = Parameters::new(choice.literal.clone(), SecurityLevel::Bits128)?;
        let mut aided = Self {
            parameters,
            choice,
            noise: vec![None; inputs.folded.nodes().len()],
            rotations: 0,
            rotation_keys: 0,
            products: 0,
            outputs: 0,
            rounds: 0,
        };
        let squares = mean_squares(inputs)?;
        for (id, node) in inputs.folded.iter().skip(1) {
            if let Operator::Convolution(layer) = node.operator() {
                let square = squares[node.inputs()[0].index()];
                aided.noise[id.index()] = Some(aided.channels(layer, square)?);
                aided.count(layer, node, inputs);
            }
        }
        Ok(aided)
    }

    fn count(&mut self, layer: &Convolution, node: &Node, inputs: &Inputs) {
        let (outputs, group, rows, columns) = layer.weights.dim();
        let channels =
            inputs.folded.node(node.inputs()[0]).map_or(0, |node| node.shape().channels());
        let taps = (rows * columns).saturating_sub(1);
        self.rotations += channels * taps;
        self.rotation_keys += taps; // maps of another width have their rows elsewhere
        self.products += outputs * group * rows * columns;
        self.outputs += outputs;
        self.rounds += 1;
    }

    /// The standard deviation of each channel of a convolution's result.
    fn channels(&self, layer: &Convolution, square: f64) -> Result<Vec<f64>, StudyError> {
        let scale = f64::from(self.choice.log_scale).exp2();
        let fresh = noise::fresh_secret() + noise::encoding();
        let power = |square: f64| noise::power(&self.parameters, square, scale);
        let switch = noise::key_switch(&self.parameters, 1);
        let result_scale = scale * scale / self.parameters.modulus(1)?.value() as f64;
        let deviation = |weights: ndarray::ArrayView3<f64>| {
            let products = weights.iter().map(|weight| {
                let powers = [power(square), power(weight * weight)];
                noise::tensor(&self.parameters, [fresh + switch, fresh], powers)
            });
            let sum = products.sum::<f64>() + switch;
            let variance = noise::rescale(&self.parameters, 1, sum);
            (self.parameters.dimension() as f64 * variance / 2.0).sqrt() / result_scale
        };
        Ok(layer.weights.axis_iter(Axis(0)).map(deviation).collect())
    }

    /// The network's result for one image, with noise drawn from a seed.
    ///
    /// # Errors
    /// [`StudyError::Graph`] for an image of another shape.
    pub fn simulate(
        &self,
        inputs: &Inputs,
        image: &ndarray::ArrayD<f64>,
        seed: u64,
    ) -> Result<Vec<f64>, StudyError> {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut values = inputs.folded.values_with(image, &mut |id, values| {
            let Some(Some(channels)) = self.noise.get(id.index()) else { return };
            let size = (values.len() / channels.len().max(1)).max(1);
            for (map, deviation) in values.chunks_mut(size).zip(channels) {
                for value in map {
                    let sample: f64 = StandardNormal.sample(&mut rng);
                    *value += deviation * sample;
                }
            }
        })?;
        Ok(values.swap_remove(inputs.folded.output().index()))
    }

    /// What the server spends on one image.
    #[must_use]
    pub fn costs(&self, costs: &crate::compile::Costs) -> Costs {
        let Choice { literal, sizes, .. } = &self.choice;
        let limbs = literal.modulus_bits.len() as f64;
        let dimension = self.parameters.dimension() as f64;
        // four products of limbs for each limb, at the cost of a rescaling's two
        let product = 2.0 * sizes.rescale();
        let seconds = self.rotations as f64 * sizes.key_switch()
            + self.products as f64 * product
            + self.outputs as f64 * sizes.multiply();
        let weights = self.products as f64 * 2.0 * limbs * dimension * 8.0;
        let bits: u32 = literal.modulus_bits.iter().sum();
        let ciphertext = f64::from(bits) * dimension / 8.0;
        let keys = Sizes { limbs: literal.modulus_bits.len(), ..*sizes }.key_bytes();
        let kinds = self.rotation_keys as f64 + 1.0;
        Costs {
            seconds: seconds / costs.speedup,
            threads: costs.threads,
            levels: 1,
            log_dimension: literal.log_dimension,
            memory: 1e8 + weights + kinds * keys,
            keys: kinds * keys,
            messages: [ciphertext, 2.0 * self.outputs as f64 * ciphertext / limbs],
            security: self.parameters.instance().estimate().bits,
            ..Costs::default()
        }
    }

    /// Times that the client decrypts and encrypts again.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rounds
    }
}

/// The mean square of each node's value on the samples.
fn mean_squares(inputs: &Inputs) -> Result<Vec<f64>, StudyError> {
    let mut sums = vec![0.0; inputs.folded.nodes().len()];
    let samples = inputs.samples();
    let samples = &samples[..samples.len().min(64)];
    for sample in samples {
        for (sum, values) in sums.iter_mut().zip(inputs.folded.values(sample)?) {
            let squares: f64 = values.iter().map(|value| value * value).sum();
            *sum += squares / values.len().max(1) as f64 / samples.len() as f64;
        }
    }
    Ok(sums)
}
