//! Figures 11 and 12 of the paper: how well a CNN reads images with another activation in its
//! classifier, in the clear, simulated with the noise of encryption, and encrypted.

use super::classifier::{behind, classified, up_to};
use super::exact::Exact;
use super::{Classifier, Dataset, EvaluationError, Part};
use crate::data::{Samples, Split};
use crate::model::{Graph, Shape, onnx};
use crate::polynomial::protected::{
    Edge, InputEncryptor, NoiseModel, Owner, Plan, Settings, Start,
};
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;

/// Images from which ranges are taken: the first of the training images, where there are any.
const SAMPLES: usize = 64;
/// As many for tables, whose parameters follow from how often predictions agree.
const EXACT_SAMPLES: usize = 1000;

/// How many of how many images were read as something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Images.
    pub images: usize,
    /// Read as their label says.
    pub correct: usize,
    /// Read as by the model in the clear.
    pub agreeing: usize,
}

/// Accuracy of one model.
#[derive(Clone, Debug, Serialize)]
pub struct Accuracy {
    /// The CNN's size.
    pub dataset: Dataset,
    /// Its classifier.
    pub part: Part,
    /// In the clear.
    pub plain: Reading,
    /// With simulated noise, on the same images.
    pub simulated: Option<Reading>,
    /// With weights and inputs encrypted, on the first images.
    pub encrypted: Option<Reading>,
    /// Predicted bits of precision.
    pub predicted_precision: Option<f64>,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Images in the clear and simulated.
    pub images: usize,
    /// Of these, images whose features are encrypted.
    pub encrypted: usize,
}

/// Reads test images with a trained CNN whose classifier is protected; `done` is told of each stage's
/// share, in images.
///
/// # Errors
/// [`EvaluationError`] where model or images cannot be read or do not fit.
pub fn read_images(
    model: &Path,
    data: &Path,
    count: Count,
    settings: &Settings,
    done: &(dyn Fn(usize) + Sync),
) -> Result<Accuracy, EvaluationError> {
    let graph = onnx::import(model)?;
    let (dataset, cut, part) = classified(&graph, model)?;
    let (extractor, classifier) = (up_to(&graph, cut)?, behind(&graph, cut)?);
    let features =
        |split, count| features(data, split, count, (&extractor, graph.input_shape()), done);
    let (inputs, labels) = features(Split::Test, count.images)?;
    let plain = inputs.par_iter().map(|x| Ok(largest(classifier.evaluate(x)?.iter())));
    let plain: Vec<usize> = plain.collect::<Result<_, EvaluationError>>()?;
    let reading = |found: &[usize]| reading(found, &plain, &labels);
    let mut accuracy = Accuracy {
        dataset,
        part,
        plain: reading(&plain),
        simulated: None,
        encrypted: None,
        predicted_precision: None,
    };
    let first = &inputs[..count.encrypted.min(inputs.len())];
    if part.is_exact() {
        let (samples, _) = features(Split::Train, EXACT_SAMPLES)?;
        let exact = Exact::new(classifier, &samples, settings.security)?;
        accuracy.simulated = Some(reading(&largest_each(exact.simulated(&inputs, done)?)));
        accuracy.encrypted = Some(reading(&largest_each(exact.encrypted(first, done)?)));
        return Ok(accuracy);
    }
    let (samples, _) = features(Split::Train, SAMPLES)?;
    let replacement = Classifier::replacement(&classifier);
    let plan = Plan::new(&classifier, &replacement, settings, &samples)?;
    accuracy.predicted_precision = Some(plan.precision());
    accuracy.simulated = Some(reading(&largest_each(simulated(&plan, &inputs, done)?)));
    accuracy.encrypted = Some(reading(&largest_each(encrypted(&plan, first, done)?)));
    Ok(accuracy)
}

/// What the extractor makes of the first images, which have this shape, and their labels.
fn features(
    data: &Path,
    split: Split,
    count: usize,
    (extractor, shape): (&Graph, Shape),
    done: &(dyn Fn(usize) + Sync),
) -> Result<(Vec<ArrayD<f64>>, Vec<usize>), EvaluationError> {
    let samples = Samples::open(data, split)?;
    let count = count.min(samples.len());
    let samples = samples.take(0, count)?;
    let labels = samples.labels().map(<[usize]>::to_vec).unwrap_or_default();
    let images = samples.fitted(shape)?;
    let features = images.par_iter().map(|image| {
        done(1);
        Ok(extractor.evaluate(&image)?)
    });
    Ok((features.collect::<Result<_, EvaluationError>>()?, labels))
}

fn largest<'a>(values: impl Iterator<Item = &'a f64>) -> usize {
    let values = values.enumerate();
    values.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index)
}

fn largest_each(results: Vec<Vec<f64>>) -> Vec<usize> {
    results.iter().map(|values| largest(values.iter())).collect()
}

fn reading(found: &[usize], plain: &[usize], labels: &[usize]) -> Reading {
    let same = |other: &[usize]| found.iter().zip(other).filter(|(a, b)| a == b).count();
    Reading { images: found.len(), correct: same(labels), agreeing: same(plain) }
}

fn simulated(
    plan: &Plan,
    inputs: &[ArrayD<f64>],
    done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Vec<f64>>, EvaluationError> {
    let parameters = plan.architecture().secure_parameters()?;
    let model = NoiseModel::new(plan.architecture(), &parameters)?;
    let read = |(seed, input): (usize, &ArrayD<f64>)| {
        let values: Vec<f64> = input.iter().copied().collect();
        let found = plan.simulate(&model, &values, Start::Encrypted, seed as u64)?;
        done(1);
        Ok(found)
    };
    inputs.par_iter().enumerate().map(read).collect()
}

fn encrypted(
    plan: &Plan,
    inputs: &[ArrayD<f64>],
    done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Vec<f64>>, EvaluationError> {
    let architecture = plan.architecture();
    let parameters = architecture.secure_parameters()?;
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let owner = Owner::new(&parameters, &mut rng)?;
    let network = owner.protect(plan.plain(), &mut rng, &|| ())?;
    let keys = owner.publish_keys(architecture, &mut rng)?;
    let edge = Edge::new(&parameters, network, &keys.evaluation)?;
    let encryptor = InputEncryptor::new(&parameters, architecture, &keys.public)?;
    let mut read = |input: &ArrayD<f64>| {
        let values: Vec<f64> = input.iter().copied().collect();
        let input = encryptor.encrypt(&values, &mut rng)?;
        let result = edge.evaluate(&input, &|_| ())?.result;
        done(1);
        Ok(owner.decrypt(architecture, &result)?)
    };
    inputs.iter().map(&mut read).collect()
}
