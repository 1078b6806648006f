//! The roles of the rows whose activations are exact: weights encrypted as gadget ciphertexts of
//! coefficients, activations and max-pools by bootstrapping ([`crate::protect`]).

use super::roles::{Example, precision, read, read_json, rng, timed, write};
use super::{Classifier, EvaluationError, Figures, Job, Part};
use crate::client::Client;
use crate::compile::{Model, Options};
use crate::protect::{Architecture, Encryptor, ProtectedModel};
use crate::server::Server;
use std::time::Instant;

pub(super) fn protect(job: &Job) -> Result<Figures, EvaluationError> {
    let begun = Instant::now();
    let samples = if job.part == Part::WholeNetwork { 8 } else { 32 };
    let Classifier { graph, inputs } =
        Classifier::new(job.dataset, job.part, &job.source, samples)?;
    let model = Model::from_graph(graph)?.calibrate(inputs.iter().cloned())?;
    let options = Options { security: job.security, ..Options::default() };
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
    if let Some(input) = inputs.first() {
        let values = input.iter().copied().collect();
        let expected = model.graph().evaluate(input)?.into_iter().collect();
        write(job, "example.json", &serde_json::to_vec(&Example { values, expected })?)?;
    }
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
fn model(job: &Job) -> Result<(ProtectedModel, bellerophon_bridge::Parameters), EvaluationError> {
    Ok(ProtectedModel::open(&read(job, "network.bin")?, job.security)?)
}

pub(super) fn encrypt(job: &Job) -> Result<Figures, EvaluationError> {
    let (model, parameters) = model(job)?;
    let encryptor = Encryptor::new(&parameters, model.input_layout(), &read(job, "public.bin")?)?;
    let Example { values, .. } = read_json(job, "example.json")?;
    let mut rng = rng();
    let (input, figures) = timed(job.repeats, || Ok(encryptor.encrypt(&values, &mut rng)?))?;
    write(job, "input.bin", &input)?;
    Ok(Figures { bytes: input.len() as u64, ..figures })
}

pub(super) fn evaluate(job: &Job) -> Result<Figures, EvaluationError> {
    let begun = Instant::now();
    let (model, parameters) = model(job)?;
    let server = Server::protected(&parameters, &model, &read(job, "keys.bin")?, None)?;
    drop(model);
    let preparation_seconds = begun.elapsed().as_secs_f64();
    let input = read(job, "input.bin")?;
    let (evaluation, figures) = timed(1, || Ok(server.evaluate(&input, false, &|_| ())?))?;
    write(job, "result.bin", &evaluation.output)?;
    Ok(Figures { preparation_seconds, bytes: evaluation.output.len() as u64, ..figures })
}

pub(super) fn decrypt(job: &Job) -> Result<Figures, EvaluationError> {
    let (model, parameters) = model(job)?;
    let architecture: Architecture = model.architecture();
    drop(model);
    let client = Client::import_secrets(parameters, &read(job, "secret.bin")?)?;
    let (result, example) = (read(job, "result.bin")?, read_json(job, "example.json")?);
    let Example { expected, .. } = example;
    let (found, figures) = timed(job.repeats, || Ok(client.decrypt(&architecture, &result)?))?;
    Ok(Figures { precision: precision(&found, &expected), ..figures })
}
