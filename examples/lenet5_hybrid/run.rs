//! The run: client, server, and the comparison with the plain network.

use crate::Failure;
use crate::arguments::Arguments;
use crate::digits::{self, Digits};
use crate::report;
use crate::result::{KeySecurity, Outcome, Stage};
use crate::show;
use bellerophon::client::{Client, PublishedKeys};
use bellerophon::compile::{Compiled, Model, Operation, Options, Program};
use bellerophon::report::noise::{
    NoiseSums, clear_phases, simulated_phases, stage_noise, traced_phases,
};
use bellerophon::run::simulated::NoiseModel;
use bellerophon::server::{Event, Server};
use bellerophon_bridge::{self as bridge, Assumptions};
use bellerophon_schemes::tfhe::Kernel;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::time::Instant;

/// Simulated runs per image from which noise is predicted.
const SIMULATIONS: u64 = 8;

/// Runs what the command line asks for.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.json {
        report::check_writable(path)?;
    }
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let digits = digits::digits(arguments)?;
    let network = digits::network(arguments, &digits.inputs)?;
    let kernel = arguments.kernel.unwrap_or(Kernel::best(1));
    let Compiled { program, parameters, .. } = network.compile(&options(arguments, kernel))?;
    for bootstrap in parameters.bootstraps() {
        kernel.check(bootstrap.grouping_factor())?;
    }
    show::heading(arguments, &network, &program, kernel, &digits);

    let mut rng = match arguments.seed {
        Some(seed) => ChaCha20Rng::seed_from_u64(seed),
        None => ChaCha20Rng::from_rng(&mut rand::rng()),
    };
    let mut outcome = opening(arguments, &digits, &program);
    outcome.kernel = kernel.to_string();
    let (client, server) = keys(&parameters, &program, kernel, &mut rng, &mut outcome)?;
    show::keys(&outcome);
    let mut session = Session {
        client,
        server,
        noise: NoiseModel::new(&parameters)?,
        program,
        network,
        simulated: NoiseSums::default(),
        encrypted: NoiseSums::default(),
    };
    for index in 0..digits.inputs.len() {
        session.image(index, &digits, &mut rng, &mut outcome)?;
    }
    session.finish(&mut outcome);
    show::stages(&outcome);
    show::summary(&outcome);
    if let Some(path) = &arguments.json {
        report::write(path, &outcome)?;
        println!("written to {}", path.display());
    }
    Ok(())
}

/// What the command line asks of the compiler.
fn options(arguments: &Arguments, kernel: Kernel) -> Options {
    let assumptions = match arguments.conservative {
        true => Assumptions::Conservative,
        false => Assumptions::Compact,
    };
    Options {
        security: arguments.security,
        assumptions,
        target: arguments.preset.target(),
        grouping_factor: (kernel == Kernel::Tfhe).then_some(1),
        ..Options::default()
    }
}

fn opening(arguments: &Arguments, digits: &Digits, program: &Program) -> Outcome {
    let stages = program.steps.chunk_by(|a, b| a.stage == b.stage).map(|steps| {
        let bootstraps = steps.iter().map(|step| match &step.operation {
            Operation::ToLwe { places, .. } => places.len(),
            _ => 0,
        });
        let ciphertexts = steps.iter().rev().find_map(|step| match &step.operation {
            Operation::Linear(map) | Operation::Combine(map) => Some(map.outputs.len()),
            Operation::ToCkks { ciphertexts, .. } => Some(*ciphertexts),
            _ => None,
        });
        Stage {
            name: steps[0].stage.clone(),
            seconds: Vec::new(),
            bootstraps: bootstraps.sum(),
            ciphertexts: ciphertexts.unwrap_or(0),
            predicted_noise_log2: None,
            measured_noise_log2: None,
        }
    });
    Outcome {
        version: env!("CARGO_PKG_VERSION"),
        preset: arguments.preset.to_string(),
        source: digits.source.clone(),
        first: arguments.first,
        count: arguments.count,
        threads: rayon::current_num_threads(),
        labels: digits.pictures.labels().to_vec(),
        pbs_count: program.bootstraps(),
        stages: stages.collect(),
        ..Outcome::default()
    }
}

/// The client makes its keys; the server is built from the bytes it publishes.
fn keys(
    parameters: &bridge::Parameters,
    program: &Program,
    kernel: Kernel,
    rng: &mut ChaCha20Rng,
    outcome: &mut Outcome,
) -> Result<(Client, Server), Failure> {
    let spinner = show::spinner("client: making keys");
    let begun = Instant::now();
    let client = Client::new(parameters.clone(), rng)?;
    let PublishedKeys { bytes, instances } = client.publish_keys(rng)?;
    outcome.keygen_seconds = begun.elapsed().as_secs_f64();
    spinner.set_message("server: reading keys");
    let begun = Instant::now();
    let server = Server::with_kernel(parameters, program.clone(), &bytes, Some(kernel))?;
    outcome.expand_seconds = begun.elapsed().as_secs_f64();
    spinner.finish_and_clear();
    outcome.evaluation_key_bytes = server.key_bytes();
    outcome.evaluation_key_wire_bytes = bytes.len();
    outcome.keys = instances
        .into_iter()
        .map(|(key, instance)| {
            let estimate = instance.estimate();
            KeySecurity {
                key,
                dimension: instance.dimension,
                log2_modulus: instance.log2_modulus,
                log2_noise: instance.log2_std,
                bits: estimate.bits,
                source: estimate.source,
            }
        })
        .collect();
    outcome.security_bits = outcome.keys.iter().map(|key| key.bits).min().unwrap_or(0);
    Ok((client, server))
}

struct Session {
    client: Client,
    server: Server,
    noise: NoiseModel,
    program: Program,
    network: Model,
    simulated: NoiseSums,
    encrypted: NoiseSums,
}

impl Session {
    fn image(
        &mut self,
        index: usize,
        digits: &Digits,
        rng: &mut ChaCha20Rng,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let pixels = digits.pictures.images().index_axis(ndarray::Axis(0), index);
        show::digit(outcome.first + index, outcome.labels[index], &pixels);
        let input = &digits.inputs[index];
        let image: Vec<f64> = input.iter().copied().collect();
        let plain: Vec<f64> = self.network.graph().evaluate(input)?.iter().copied().collect();

        let message = self.client.encrypt(&self.program, &image, rng)?;
        let bar = show::progress(self.program.bootstraps());
        let begun = Instant::now();
        let evaluation = self.server.evaluate(&message, true, &|event| match event {
            Event::Step { stage } => bar.set_message(stage.to_owned()),
            Event::Bootstrapped(count) => bar.inc(count as u64),
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        bar.finish_and_clear();
        let logits = self.client.decrypt(&self.program, &evaluation.output)?;

        let mut durations = evaluation.durations.iter();
        let groups = self.program.steps.chunk_by(|a, b| a.stage == b.stage);
        for (stage, steps) in outcome.stages.iter_mut().zip(groups) {
            let time: f64 = durations.by_ref().take(steps.len()).map(|d| d.as_secs_f64()).sum();
            stage.seconds.push(time);
        }
        self.compare_noise(&image, index as u64, evaluation.trace.as_deref())?;
        outcome.input_ciphertext_bytes = message.len();
        outcome.output_ciphertext_bytes = evaluation.output.len();
        record(outcome, seconds, logits, plain);
        show::image(outcome, index);
        Ok(())
    }

    fn compare_noise(
        &mut self,
        image: &[f64],
        index: u64,
        trace: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let Some(trace) = trace else { return Ok(()) };
        let clear = clear_phases(&self.program, image)?;
        let opened = self.client.open_trace(&self.program, trace)?;
        self.encrypted.add(&traced_phases(&self.program, opened), &clear);
        for draw in 0..SIMULATIONS {
            let seed = index * SIMULATIONS + draw;
            let run = simulated_phases(&self.program, &self.noise, image, seed)?;
            self.simulated.add(&run, &clear);
        }
        Ok(())
    }

    fn finish(&self, outcome: &mut Outcome) {
        let noise = stage_noise(&self.program, &self.simulated, &self.encrypted);
        for stage in &mut outcome.stages {
            if let Some(noise) = noise.iter().find(|noise| noise.stage == stage.name) {
                stage.set_noise(noise);
            }
        }
        outcome.peak_rss_bytes = report::peak_rss_bytes();
    }
}

fn record(outcome: &mut Outcome, seconds: f64, logits: Vec<f64>, plain: Vec<f64>) {
    let (prediction, expected) = (largest(&logits), largest(&plain));
    let errors = logits.iter().zip(&plain).map(|(a, b)| (a - b).abs());
    outcome.logit_max_abs_error.push(errors.fold(0.0, f64::max));
    outcome.predictions.push(prediction);
    outcome.plain_predictions.push(expected);
    outcome.agree.push(prediction == expected);
    outcome.seconds.push(seconds);
    outcome.logits.push(logits);
    outcome.plain_logits.push(plain);
}

fn largest(values: &[f64]) -> usize {
    let indices = 0..values.len();
    indices.max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}
