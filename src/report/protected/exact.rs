//! The roles of the rows whose activations are exact: weights encrypted as gadget ciphertexts of
//! coefficients, activations and max-pools by bootstrapping ([`crate::protect`]).

use super::roles::{each_example, each_result, numbered, read, rng, timed, write, write_examples};
use super::{Classifier, EvaluationError, Figures, Job, Part};
use crate::client::Client;
use crate::compile::{Model, Options, Program, Target};
use crate::model::Graph;
use crate::protect::{Architecture, Encryptor, ProtectedModel};
use crate::run::simulated::{NoiseModel, simulate};
use crate::server::Server;
use bellerophon_bridge as bridge;
use bellerophon_schemes::security::SecurityLevel;
use ndarray::ArrayD;
use rayon::prelude::*;
use std::time::Instant;

/// A classifier compiled for exact activations, to read many images.
pub(super) struct Exact {
    program: Program,
    parameters: bridge::Parameters,
}

impl Exact {
    pub fn new(
        classifier: Graph,
        samples: &[ArrayD<f64>],
        security: SecurityLevel,
    ) -> Result<Self, EvaluationError> {
        let model = Model::from_graph(classifier)?.calibrate(samples.iter().cloned())?;
        let compiled = model.compile(&Options { security, ..Options::default() })?;
        Ok(Self { program: compiled.program, parameters: compiled.parameters })
    }

    /// With the noise of encrypted weights and inputs.
    pub fn simulated(
        &self,
        inputs: &[ArrayD<f64>],
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Vec<f64>>, EvaluationError> {
        let noise = NoiseModel::new(&self.parameters)?.protected().with_public_inputs();
        let read = |(seed, input): (usize, &ArrayD<f64>)| {
            let values: Vec<f64> = input.iter().copied().collect();
            let found = simulate(&self.program, &noise, &values, seed as u64)?;
            done(1);
            Ok(found)
        };
        inputs.par_iter().enumerate().map(read).collect()
    }

    /// Weights and inputs encrypted.
    pub fn encrypted(
        &self,
        inputs: &[ArrayD<f64>],
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Vec<f64>>, EvaluationError> {
        let mut rng = rng();
        let client = Client::new(self.parameters.clone(), &mut rng)?;
        let model = client.protect(&self.program, &mut rng)?;
        let keys = client.publish_keys(&mut rng)?.bytes;
        let server = Server::protected(&self.parameters, &model, &keys, None)?;
        let key = client.publish_encryption_key(&mut rng)?;
        let encryptor = Encryptor::new(&self.parameters, model.input_layout(), &key)?;
        let mut read = |input: &ArrayD<f64>| {
            let values: Vec<f64> = input.iter().copied().collect();
            let input = encryptor.encrypt(&values, &mut rng)?;
            let output = server.evaluate(&input, false, &|_| ())?.output;
            done(1);
            Ok(client.decrypt(&self.program, &output)?)
        };
        inputs.iter().map(&mut read).collect()
    }
}

pub(super) fn protect(job: &Job) -> Result<Figures, EvaluationError> {
    let begun = Instant::now();
    let samples = if job.part == Part::WholeNetwork { 8 } else { 32 };
    let Classifier { graph, inputs } =
        Classifier::new(job.dataset, job.part, &job.source, samples)?;
    let model = Model::from_graph(graph)?.calibrate(inputs.iter().cloned())?;
    let mut options = Options { security: job.security, ..Options::default() };
    if let Some(agreement) = job.agreement {
        options.target = Target::Agreement(agreement);
    }
    let compiled = model.compile(&options)?;
    let preparation_seconds = begun.elapsed().as_secs_f64();
    let mut rng = rng();
    let client = Client::new(compiled.parameters.clone(), &mut rng)?;
    let mut ciphertexts = 0;
    let (protected, timed) = timed(job.repeats, || {
        let model = client.protect(&compiled.program, &mut rng)?;
        ciphertexts = model.ciphertexts().into_iter().sum();
        Ok(model.to_bytes()?)
    })?;
    write(job, "network.bin", &protected)?;
    let keys = client.publish_keys(&mut self::rng())?.bytes;
    write(job, "keys.bin", &keys)?;
    write(job, "public.bin", &client.publish_encryption_key(&mut self::rng())?)?;
    write(job, "secret.bin", &client.export_secrets()?)?;
    // one: each is evaluated for seconds
    let evaluate = |input: &ArrayD<f64>| Ok(model.graph().evaluate(input)?.into_iter().collect());
    write_examples(job, &inputs[..inputs.len().min(1)], &evaluate)?;
    let ring = compiled.parameters.ring();
    Ok(Figures {
        preparation_seconds,
        bytes: protected.len() as u64,
        key_bytes: keys.len() as u64,
        ciphertexts,
        log_dimension: ring.dimension().ilog2(),
        log2_qp: ring.modulus().log2(),
        remaining_bits: ring.modulus().log2(), // nothing is rescaled on this path
        ..timed
    })
}

/// The model and its parameters, as an edge reads them.
fn model(job: &Job) -> Result<(ProtectedModel, bridge::Parameters), EvaluationError> {
    Ok(ProtectedModel::open(&read(job, "network.bin")?, job.security)?)
}

pub(super) fn encrypt(job: &Job) -> Result<Figures, EvaluationError> {
    let (model, parameters) = model(job)?;
    let encryptor = Encryptor::new(&parameters, model.input_layout(), &read(job, "public.bin")?)?;
    let mut rng = rng();
    each_example(job, job.repeats, "input", &mut |example, _| {
        Ok(encryptor.encrypt(&example.values, &mut rng)?)
    })
}

pub(super) fn evaluate(job: &Job) -> Result<Figures, EvaluationError> {
    let begun = Instant::now();
    let (model, parameters) = model(job)?;
    let server = Server::protected(&parameters, &model, &read(job, "keys.bin")?, None)?;
    drop(model);
    let preparation_seconds = begun.elapsed().as_secs_f64();
    let figures = each_example(job, 1, "result", &mut |_, index| {
        let input = read(job, &numbered("input", index))?;
        Ok(server.evaluate(&input, false, &|_| ())?.output)
    })?;
    Ok(Figures { preparation_seconds, ..figures })
}

pub(super) fn decrypt(job: &Job) -> Result<Figures, EvaluationError> {
    let (model, parameters) = model(job)?;
    let architecture: Architecture = model.architecture();
    drop(model);
    let client = Client::import_secrets(parameters, &read(job, "secret.bin")?)?;
    each_result(job, &|result| Ok(client.decrypt(&architecture, result)?))
}
