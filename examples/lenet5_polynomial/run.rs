//! The run: client, server, and the comparison with the plain networks.

use crate::Failure;
use crate::arguments::Arguments;
use crate::digits::{self, Digits, Network};
use crate::report;
use crate::result::{KeySecurity, Outcome, Stage};
use crate::show;
use bellerophon::polynomial::client::Client;
use bellerophon::polynomial::predict::{self, Prediction};
use bellerophon::polynomial::server::Server;
use bellerophon::polynomial::{self, Operation, Program, Settings};
use bellerophon_schemes::ckks::Parameters;
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::time::Instant;

/// Runs what the command line asks for.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.json {
        report::check_writable(path)?;
    }
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let digits = digits::digits(arguments)?;
    let network = digits::network(arguments, &digits.samples)?;
    let settings = Settings {
        security: arguments.security,
        log_dimension: arguments.log_dimension,
        ..Settings::default()
    };
    let program = polynomial::compile(&network.polynomial, &settings, &digits.samples)?;
    let parameters = Parameters::new(program.parameters.clone(), arguments.security)?;
    let prediction = predict::predict(&program, &parameters)?;
    let mut outcome = opening(arguments, &digits, &network, &program, &prediction);
    show::heading(&outcome, &network, &parameters, &prediction, arguments.seed.is_some());
    check_memory(&prediction)?;

    let mut rng = match arguments.seed {
        Some(seed) => ChaCha20Rng::seed_from_u64(seed),
        None => ChaCha20Rng::from_rng(&mut rand::rng()),
    };
    let (client, server) = keys(&parameters, program, &mut rng, &mut outcome)?;
    show::keys(&outcome);
    let mut session = Session { client, server, network, rng };
    for index in 0..digits.inputs.len() {
        session.image(index, &digits, &mut outcome)?;
    }
    outcome.peak_rss_bytes = report::peak_rss_bytes();
    show::stages(&outcome);
    show::summary(&outcome);
    if let Some(path) = &arguments.json {
        report::write(path, &outcome)?;
        println!("written to {}", path.display());
    }
    Ok(())
}

/// Refuses what this machine cannot hold: keys as they travel and as they are used, and diagonals.
fn check_memory(prediction: &Prediction) -> Result<(), Failure> {
    let gibibytes = |bytes: f64| bytes / f64::from(1 << 30);
    let needed = gibibytes(2.0 * prediction.key_bytes + prediction.plaintext_bytes);
    match available_bytes().map(|bytes| gibibytes(bytes as f64)) {
        Some(available) if needed > available => Err(format!(
            "keys and diagonals take about {needed:.1} GiB, {available:.1} GiB are free: choose an \
             activation of lower degree or precision"
        )
        .into()),
        _ => Ok(()),
    }
}

fn opening(
    arguments: &Arguments,
    digits: &Digits,
    network: &Network,
    program: &Program,
    prediction: &Prediction,
) -> Outcome {
    let (activation, pooling) = (arguments.activation.to_string(), arguments.pool.to_string());
    let literal = &program.parameters;
    Outcome {
        version: env!("CARGO_PKG_VERSION"),
        preset: format!("{activation}, {pooling}-pool"),
        activation,
        pooling,
        model: network.name.clone(),
        source: digits.source.to_owned(),
        first: arguments.first,
        count: arguments.count,
        threads: rayon::current_num_threads(),
        log_dimension: literal.log_dimension,
        modulus_bits: literal.modulus_bits.clone(),
        special_bits: literal.special_bits.clone(),
        digits: literal.digits,
        log_scale: program.log_scale,
        levels: literal.modulus_bits.len() - 1,
        labels: digits.pictures.labels().to_vec(),
        key_switches: prediction.key_switches,
        stages: stages(program, prediction),
        ..Outcome::default()
    }
}

fn stages(program: &Program, prediction: &Prediction) -> Vec<Stage> {
    let mut seconds = prediction.seconds.iter();
    let mut ciphertexts = program.input_ciphertexts();
    let stages = predict::layers(program).map(|steps| {
        let mut diagonals = 0;
        for step in steps {
            if let Operation::Linear(map) = &step.operation {
                ciphertexts = map.outputs.len();
                diagonals += map.diagonals();
            }
        }
        Stage {
            name: steps[0].stage.clone(),
            seconds: Vec::new(),
            predicted_seconds: seconds.by_ref().take(steps.len()).sum(),
            bootstraps: 0,
            ciphertexts,
            level: steps[0].level,
            diagonals,
        }
    });
    stages.collect()
}

/// The client makes its keys; the server is built from the bytes it publishes.
fn keys(
    parameters: &Parameters,
    program: Program,
    rng: &mut ChaCha20Rng,
    outcome: &mut Outcome,
) -> Result<(Client, Server), Failure> {
    let spinner = show::spinner("client: making keys");
    let begun = Instant::now();
    let client = Client::new(parameters.clone(), rng)?;
    let bytes = client.publish_keys(&program, rng)?;
    outcome.keygen_seconds = begun.elapsed().as_secs_f64();
    spinner.set_message("server: reading keys, encoding diagonals");
    let begun = Instant::now();
    let server = Server::new(parameters, program, &bytes)?;
    outcome.expand_seconds = begun.elapsed().as_secs_f64();
    spinner.finish_and_clear();
    outcome.evaluation_key_bytes = server.key_bytes();
    outcome.evaluation_key_wire_bytes = bytes.len();
    outcome.key_count = server.key_count();
    outcome.plaintext_bytes = server.plaintext_bytes();
    let instance = parameters.instance();
    let estimate = instance.estimate();
    outcome.keys = vec![KeySecurity {
        key: "evaluation keys and ciphertexts".to_owned(),
        dimension: instance.dimension,
        log2_modulus: instance.log2_modulus,
        log2_noise: instance.log2_std,
        bits: estimate.bits,
        source: estimate.source,
    }];
    outcome.security_bits = estimate.bits;
    Ok((client, server))
}

struct Session {
    client: Client,
    server: Server,
    network: Network,
    rng: ChaCha20Rng,
}

impl Session {
    fn image(
        &mut self,
        index: usize,
        digits: &Digits,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let pixels = digits.pictures.images().index_axis(ndarray::Axis(0), index);
        show::digit(outcome.first + index, outcome.labels[index], &pixels);
        let input = &digits.inputs[index];
        let image = values(input.clone());
        let plain = values(self.network.graph.evaluate(input)?);
        let polynomial = values(self.network.polynomial.evaluate(input)?);

        let program = self.server.program();
        let message = self.client.encrypt(program, &image, &mut self.rng)?;
        let bar = show::progress(program.steps.len());
        let begun = Instant::now();
        let evaluation = self.server.evaluate(&message, &|stage| {
            bar.set_message(stage.to_owned());
            bar.inc(1);
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        bar.finish_and_clear();
        let logits = self.client.decrypt(program, &evaluation.results)?;

        let mut durations = evaluation.durations.iter();
        for (stage, steps) in outcome.stages.iter_mut().zip(predict::layers(program)) {
            let time: f64 = durations.by_ref().take(steps.len()).map(|d| d.as_secs_f64()).sum();
            stage.seconds.push(time);
        }
        outcome.input_ciphertext_bytes = message.len();
        outcome.output_ciphertext_bytes = evaluation.results.len();
        record(outcome, seconds, logits, polynomial, plain);
        show::image(outcome, index);
        Ok(())
    }
}

fn values(array: ArrayD<f64>) -> Vec<f64> {
    array.into_iter().collect()
}

fn record(
    outcome: &mut Outcome,
    seconds: f64,
    logits: Vec<f64>,
    polynomial: Vec<f64>,
    plain: Vec<f64>,
) {
    let errors = logits.iter().zip(&polynomial).map(|(a, b)| (a - b).abs());
    let error = errors.fold(0.0, f64::max);
    let highest = polynomial.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = polynomial.iter().copied().fold(f64::INFINITY, f64::min);
    outcome.logit_max_abs_error.push(error);
    outcome.logit_relative_error.push(error / (highest - lowest));
    outcome.predictions.push(largest(&logits));
    outcome.polynomial_predictions.push(largest(&polynomial));
    outcome.plain_predictions.push(largest(&plain));
    outcome.agree.push(largest(&logits) == largest(&plain));
    outcome.agree_polynomial.push(largest(&logits) == largest(&polynomial));
    outcome.seconds.push(seconds);
    outcome.logits.push(logits);
    outcome.polynomial_logits.push(polynomial);
    outcome.plain_logits.push(plain);
}

fn largest(values: &[f64]) -> usize {
    let indices = 0..values.len();
    indices.max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

/// The memory that is free for new work, where the system tells.
fn available_bytes() -> Option<u64> {
    report::kibibytes("/proc/meminfo", "MemAvailable:")
}
