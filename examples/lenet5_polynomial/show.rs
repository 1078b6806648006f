//! The terminal.

use crate::digits::Network;
use crate::result::Outcome;
use bellerophon::polynomial::predict::Prediction;
use bellerophon_schemes::ckks::Parameters;
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::ArrayView2;
use std::time::Duration;

/// What is about to happen, and what it will cost.
pub fn heading(
    outcome: &Outcome,
    network: &Network,
    parameters: &Parameters,
    prediction: &Prediction,
    seeded: bool,
) {
    println!("LeNet5 on encrypted digits, with polynomial activations, all in CKKS");
    println!(
        "  network   {}, {} parameters; activation {}, {}-pool",
        network.name, network.parameters, outcome.activation, outcome.pooling
    );
    println!(
        "  scheme    N = {}, {} levels, scale 2^{}, log2 QP = {:.1} ({} special primes, {} digits)",
        parameters.dimension(),
        outcome.levels,
        outcome.log_scale,
        parameters.log2_qp(),
        outcome.special_bits.len(),
        outcome.digits
    );
    println!(
        "  images    {} from {} on, of {}; {} threads",
        outcome.count, outcome.first, outcome.source, outcome.threads
    );
    if seeded {
        println!("  note      --seed makes the keys reproducible: they are not secret");
    }
    println!(
        "  cost      about {:.2} s of one core per image ({} key switches), {} keys of {}, \
         diagonals of {}",
        prediction.seconds.iter().sum::<f64>(),
        prediction.key_switches,
        prediction.keys,
        mebibytes(prediction.key_bytes),
        mebibytes(prediction.plaintext_bytes)
    );
}

/// What the keys weigh and what they are worth.
pub fn keys(outcome: &Outcome) {
    println!(
        "  keys      made in {:.1} s, read by the server (with its diagonals) in {:.1} s; {} in \
         memory, {} on the wire",
        outcome.keygen_seconds,
        outcome.expand_seconds,
        mebibytes(outcome.evaluation_key_bytes as f64),
        mebibytes(outcome.evaluation_key_wire_bytes as f64)
    );
    println!("\n  {:<36} {:>5} {:>8} {:>9} {:>5}", "key", "n", "log2 q", "log2 std", "bits");
    for key in &outcome.keys {
        println!(
            "  {:<36} {:>5} {:>8.1} {:>9.2} {:>5}  {}",
            key.key, key.dimension, key.log2_modulus, key.log2_noise, key.bits, key.source
        );
    }
}

/// A spinner for work whose length is not known.
pub fn spinner(message: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// A bar over all steps of an image, with the current layer's name.
pub fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let template = "  {bar:32} {pos:>3}/{len} steps  {elapsed}  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// The digit, two rows of pixels to a line.
pub fn digit(index: usize, label: u8, pixels: &ArrayView2<'_, u8>) {
    println!("\nimage {index}, labelled {label}");
    let shades = [' ', '.', ':', 'o', '#', '@'];
    let (rows, columns) = pixels.dim();
    for row in (0..rows).step_by(2) {
        let line: String = (0..columns)
            .map(|column| {
                let below = pixels.get([row + 1, column]).copied().unwrap_or(0);
                let mean = (usize::from(pixels[[row, column]]) + usize::from(below)) / 2;
                shades[mean * shades.len() / 256]
            })
            .collect();
        if !line.trim().is_empty() {
            println!("    {}", line.trim_end());
        }
    }
}

/// Encrypted and plain logits of one image, side by side.
pub fn image(outcome: &Outcome, index: usize) {
    let titles = ["encrypted", "polynomial", "as trained", "difference"];
    println!(
        "  {:>5} {:>12} {:>12} {:>12} {:>12}",
        "digit", titles[0], titles[1], titles[2], titles[3]
    );
    let plain = outcome.polynomial_logits[index].iter().zip(&outcome.plain_logits[index]);
    for (digit, (logit, (polynomial, plain))) in outcome.logits[index].iter().zip(plain).enumerate()
    {
        let mark = if digit == outcome.predictions[index] { " <" } else { "" };
        let difference = logit - polynomial;
        println!(
            "  {digit:>5} {logit:>12.5} {polynomial:>12.5} {plain:>12.5} {difference:>12.1e}{mark}"
        );
    }
    println!(
        "  encrypted says {}, the polynomial network says {}, the network as trained {}; largest \
         difference 2^{:.1} of the logits' range; {:.2} s",
        outcome.predictions[index],
        outcome.polynomial_predictions[index],
        outcome.plain_predictions[index],
        outcome.logit_relative_error[index].log2(),
        outcome.seconds[index]
    );
}

/// The table of layers.
pub fn stages(outcome: &Outcome) {
    println!("\n  predicted seconds are of one thread of a quiet machine");
    println!(
        "  {:<28} {:>5} {:>9} {:>9} {:>9} {:>11}",
        "layer", "level", "seconds", "predicted", "diagonals", "ciphertexts"
    );
    for stage in &outcome.stages {
        let seconds = stage.seconds.iter().sum::<f64>() / stage.seconds.len().max(1) as f64;
        println!(
            "  {:<28} {:>5} {:>9.4} {:>9.4} {:>9} {:>11}",
            stage.name,
            stage.level,
            seconds,
            stage.predicted_seconds,
            stage.diagonals,
            stage.ciphertexts
        );
    }
}

/// The last lines.
pub fn summary(outcome: &Outcome) {
    let count = outcome.predictions.len();
    let holding = |agree: &[bool]| agree.iter().filter(|&&agree| agree).count();
    let labels = outcome.predictions.iter().zip(&outcome.labels);
    let right = labels.filter(|&(prediction, label)| *prediction == usize::from(*label)).count();
    let seconds = outcome.seconds.iter().sum::<f64>() / count.max(1) as f64;
    let worst = outcome.logit_relative_error.iter().copied().fold(0.0, f64::max);
    let agree = (holding(&outcome.agree_polynomial), holding(&outcome.agree));
    println!();
    println!("  agreement with the polynomial network  {} of {count}", agree.0);
    println!("  agreement with the network as trained  {} of {count}", agree.1);
    println!("  right by the label                     {right} of {count}");
    println!("  largest difference of a logit          2^{:.1} of their range", worst.log2());
    println!(
        "  seconds per image                      {seconds:.2} on {} threads",
        outcome.threads
    );
    println!("  levels                                 {}", outcome.levels);
    println!("  security of every key                  at least {} bits", outcome.security_bits);
    let memory = mebibytes(outcome.evaluation_key_bytes as f64);
    println!("  evaluation keys                        {} keys, {memory}", outcome.key_count);
    println!(
        "  plaintext diagonals                    {}",
        mebibytes(outcome.plaintext_bytes as f64)
    );
    println!("  input ciphertext                       {} bytes", outcome.input_ciphertext_bytes);
    println!("  output ciphertext                      {} bytes", outcome.output_ciphertext_bytes);
    match outcome.peak_rss_bytes {
        Some(bytes) => {
            println!("  peak memory                            {}", mebibytes(bytes as f64))
        }
        None => println!("  peak memory                            not told by this system"),
    }
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}
