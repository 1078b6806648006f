//! `run`: everything here, from keys to results.

use super::forecast::Forecast;
use super::images;
use super::output::{self, Table};
use super::simulate::{accuracy, clipped_warning, is_clipped};
use super::statistics::{Errors, Share, largest};
use super::{Failure, files};
use bellerophon::client::Client;
use bellerophon::compile::{Model, Program};
use bellerophon::run::clear;
use bellerophon::server::{Evaluation, Event, Server};
use bellerophon_bridge as bridge;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Makes keys, encrypts images, evaluates a program on them and decrypts, all here
#[derive(Debug, Args)]
pub struct Arguments {
    /// The program file
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    #[command(flatten)]
    images: images::Arguments,
    /// How many images
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: usize,
    /// Makes keys and noise reproducible, and therefore not secret: for tests
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub forecast: Forecast,
    pub threads: usize,
    pub reference: &'static str,
    pub key_seconds: f64,
    pub key_bytes: usize,
    pub key_file_bytes: usize,
    pub images: Vec<Image>,
    pub accuracy: Option<Share>,
    pub agreement: Share,
    pub errors: Errors,
    /// Mean over images, by layer.
    pub layers: Vec<Layer>,
    /// Mean over images.
    pub seconds: f64,
    pub input_bytes: usize,
    pub output_bytes: usize,
    pub peak_memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub struct Image {
    pub index: usize,
    pub label: Option<usize>,
    pub prediction: usize,
    pub reference: usize,
    pub values: Vec<f64>,
    pub reference_values: Vec<f64>,
    pub seconds: f64,
    pub clipped: bool,
}

#[derive(Debug, Serialize)]
pub struct Layer {
    pub name: String,
    pub seconds: f64,
}

/// A generator of the system's randomness, or of a seed.
pub fn generator(seed: Option<u64>) -> ChaCha20Rng {
    match seed {
        Some(seed) => {
            output::warn("--seed makes keys reproducible: they are not secret");
            ChaCha20Rng::seed_from_u64(seed)
        }
        None => ChaCha20Rng::from_rng(&mut rand::rng()),
    }
}

/// Client and server in one process; what passes between them are serialized bytes.
struct Session {
    program: Program,
    model: Option<Model>,
    client: Client,
    server: Server,
    rng: ChaCha20Rng,
    durations: Vec<Duration>,
    message_bytes: [usize; 2],
}

/// Runs all images.
pub fn run(arguments: &Arguments) -> Result<Report, Failure> {
    let (program, parameters) = files::program(&arguments.program)?;
    let (images, model) = arguments.images.open(&program, arguments.count)?;
    let forecast = Forecast::new(&program, &parameters);
    eprintln!("forecast: {forecast}");
    let mut rng = generator(arguments.seed);
    let spinner = output::spinner("making keys");
    let begun = Instant::now();
    let keys = keys(&program, &parameters, &mut rng);
    spinner.finish_and_clear();
    let (client, server, key_file_bytes) = keys?;
    let key_seconds = begun.elapsed().as_secs_f64();
    let durations = vec![Duration::ZERO; program.steps.len()];
    let mut session =
        Session { program, model, client, server, rng, durations, message_bytes: [0; 2] };
    let mut found = Vec::with_capacity(images.len());
    for index in 0..images.len() {
        let number = arguments.images.first + index;
        found.push(session.image(number, &images.get(index)?, images.label(index))?);
    }
    let predictions: Vec<usize> = found.iter().map(|image| image.prediction).collect();
    let accuracy = accuracy(&images, &predictions);
    let clipped = found.iter().filter(|image| image.clipped).count();
    if clipped > 0 {
        output::warn(&clipped_warning(clipped));
    }
    let report = session.report(forecast, found);
    Ok(Report { key_seconds, key_file_bytes, accuracy, ..report })
}

/// A client, a server with its keys, and the bytes of those on their way.
fn keys(
    program: &Program,
    parameters: &bridge::Parameters,
    rng: &mut ChaCha20Rng,
) -> Result<(Client, Server, usize), Failure> {
    let client = Client::new(parameters.clone(), rng)?;
    let keys = client.publish_keys(rng)?.bytes;
    let server = Server::new(parameters, program.clone(), &keys)?;
    let bytes = keys.len();
    drop(keys);
    match client.publish_slot_keys(program, files::LEVEL, rng)? {
        None => Ok((client, server, bytes)),
        Some(keys) => {
            let server = server.with_slot_keys(files::LEVEL, &keys)?;
            Ok((client, server, bytes + keys.len()))
        }
    }
}

impl Session {
    fn image(
        &mut self,
        index: usize,
        image: &ndarray::ArrayD<f64>,
        label: Option<usize>,
    ) -> Result<Image, Failure> {
        let values: Vec<f64> = image.iter().copied().collect();
        let reference_values = match &self.model {
            Some(model) => model.graph().evaluate(image)?.into_iter().collect(),
            None => clear::evaluate(&self.program, &values)?,
        };
        let input = self.client.encrypt(&self.program, &values, &mut self.rng)?;
        let begun = Instant::now();
        let evaluation = evaluate(&self.server, &self.program, &input)?;
        let seconds = begun.elapsed().as_secs_f64();
        let values = self.client.decrypt(&self.program, &evaluation.output)?;
        self.message_bytes = [input.len(), evaluation.output.len()];
        for (sum, duration) in self.durations.iter_mut().zip(&evaluation.durations) {
            *sum += *duration;
        }
        let image = Image {
            index,
            label,
            prediction: largest(&values),
            reference: largest(&reference_values),
            clipped: is_clipped(&self.program, &values),
            values,
            reference_values,
            seconds,
        };
        eprintln!("{image}");
        Ok(image)
    }

    fn report(self, forecast: Forecast, images: Vec<Image>) -> Report {
        let count = images.len().max(1) as f64;
        let pairs = images.iter().map(|i| (i.values.as_slice(), i.reference_values.as_slice()));
        let [input_bytes, output_bytes] = self.message_bytes;
        Report {
            forecast,
            threads: rayon::current_num_threads(),
            reference: if self.model.is_some() { "plain model" } else { "program without noise" },
            key_seconds: 0.0,
            key_bytes: self.server.key_bytes(),
            key_file_bytes: 0,
            accuracy: None,
            agreement: Share::of(images.iter().map(|image| image.prediction == image.reference)),
            errors: Errors::of(pairs),
            layers: layers(&self.program, &self.durations, count),
            seconds: images.iter().map(|image| image.seconds).sum::<f64>() / count,
            input_bytes,
            output_bytes,
            peak_memory_bytes: output::peak_memory(),
            images,
        }
    }
}

/// Evaluates with a bar over all bootstrappings and the layer's name.
pub fn evaluate(server: &Server, program: &Program, input: &[u8]) -> Result<Evaluation, Failure> {
    let bar = output::bar(program.bootstraps(), "bootstrappings");
    let evaluation = server.evaluate(input, false, &|event| match event {
        Event::Step { stage } => bar.set_message(stage.to_owned()),
        Event::Bootstrapped(count) => bar.inc(count as u64),
    });
    bar.finish_and_clear();
    Ok(evaluation?)
}

/// Seconds of the steps of one name in a row.
fn layers(program: &Program, durations: &[Duration], images: f64) -> Vec<Layer> {
    let mut durations = durations.iter();
    let groups = program.steps.chunk_by(|a, b| a.stage == b.stage);
    groups
        .map(|steps| {
            let total: Duration = durations.by_ref().take(steps.len()).sum();
            let name = steps.first().map_or_else(String::new, |step| step.stage.clone());
            Layer { name, seconds: total.as_secs_f64() / images }
        })
        .collect()
}

impl Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, prediction, reference, seconds, .. } = self;
        let verdict = if prediction == reference { "agrees" } else { "DISAGREES" };
        let label = self.label.map_or_else(String::new, |label| format!("labelled {label}, "));
        write!(f, "image {index}: {label}predicted {prediction}, {verdict}, {seconds:.2} s")
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["image", "label", "encrypted", self.reference, "seconds"]);
        for image in &self.images {
            table.push(vec![
                image.index.to_string(),
                image.label.map_or_else(|| "-".to_owned(), |label| label.to_string()),
                image.prediction.to_string(),
                image.reference.to_string(),
                format!("{:.2}", image.seconds),
            ]);
        }
        writeln!(f, "{table}")?;
        let mut table = Table::new(&["layer", "seconds"]);
        for layer in &self.layers {
            table.push(vec![layer.name.clone(), format!("{:.3}", layer.seconds)]);
        }
        writeln!(f, "{table}")?;
        if let Some(accuracy) = &self.accuracy {
            writeln!(f, "right by the label   {accuracy}")?;
        }
        writeln!(f, "same prediction      {} as the {}", self.agreement, self.reference)?;
        let Errors { mean, deviation, worst } = self.errors;
        writeln!(
            f,
            "error of a result    mean {mean:.5}, deviation {deviation:.5}, worst {worst:.4}"
        )?;
        let (seconds, predicted) = (self.seconds, self.forecast.seconds);
        writeln!(
            f,
            "seconds per image    {seconds:.2} on {} threads, {predicted:.2} predicted",
            self.threads
        )?;
        let (memory, file) =
            (output::bytes(self.key_bytes as f64), output::bytes(self.key_file_bytes as f64));
        writeln!(
            f,
            "keys                 {:.1} s, {memory} in memory, {file} as a file",
            self.key_seconds
        )?;
        writeln!(
            f,
            "messages             {} in, {} out (bytes)",
            self.input_bytes, self.output_bytes
        )?;
        let peak = self.peak_memory_bytes.map(|bytes| output::bytes(bytes as f64));
        let peak = peak.unwrap_or_else(|| "not told by this system".to_owned());
        let predicted = output::bytes(self.forecast.memory_bytes);
        writeln!(f, "peak memory          {peak}, {predicted} predicted")
    }
}
