//! The terminal.

use crate::arguments::Arguments;
use crate::digits::Digits;
use crate::result::Outcome;
use bellerophon::compile::{Model, Program};
use bellerophon_schemes::tfhe::Kernel;
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::ArrayView2;
use std::time::Duration;

/// What is about to happen, and what it will cost.
pub fn heading(
    arguments: &Arguments,
    network: &Model,
    program: &Program,
    kernel: Kernel,
    digits: &Digits,
) {
    let parameters = &program.parameters;
    println!("LeNet5 on encrypted digits, with exact ReLU and max-pool");
    println!(
        "  network   {} parameters, {} bootstrappings per image",
        network.graph().parameter_count(),
        program.bootstraps()
    );
    println!(
        "  preset    {}: n = {}, N = {}, q < 2^{}, {:?} assumptions",
        arguments.preset,
        parameters.lwe_dimension,
        1usize << parameters.log_dimension,
        parameters.modulus_bits,
        parameters.assumptions,
    );
    for (index, b) in parameters.bootstraps.iter().enumerate() {
        println!(
            "            tables {index}: k = {}, N_t = {}, base 2^{}, {} level(s), {} key bit(s) a step, {} bootstrappings",
            b.glwe_dimension,
            b.polynomial_size,
            b.base_log,
            b.levels,
            b.grouping_factor,
            program.bootstraps_with(index)
        );
    }
    println!(
        "  images    {} from {} on, of {}; {} threads, kernel {kernel}",
        arguments.count,
        arguments.first,
        digits.source,
        rayon::current_num_threads()
    );
    if arguments.seed.is_some() {
        println!("  note      --seed makes the keys reproducible: they are not secret");
    }
    println!(
        "  cost      up to 10 s for the keys, then up to half a minute of two cores per image (longer\n            without AVX-512, and with --kernel tfhe)"
    );
}

/// What the keys weigh and what they are worth.
pub fn keys(outcome: &Outcome) {
    println!(
        "  keys      made in {:.1} s, read by the server in {:.1} s; {} in memory, {} on the wire",
        outcome.keygen_seconds,
        outcome.expand_seconds,
        mebibytes(outcome.evaluation_key_bytes),
        mebibytes(outcome.evaluation_key_wire_bytes)
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

/// A bar over all bootstrappings of an image, with the current layer's name.
pub fn progress(bootstraps: usize) -> ProgressBar {
    let bar = ProgressBar::new(bootstraps as u64);
    let template = "  {bar:32} {pos:>5}/{len} bootstrappings  {elapsed} (about {eta} left)  {msg}";
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
    println!("  {:>5} {:>12} {:>12} {:>12}", "digit", "encrypted", "plain", "difference");
    let pairs = outcome.logits[index].iter().zip(&outcome.plain_logits[index]);
    for (digit, (logit, plain)) in pairs.enumerate() {
        let mark = if digit == outcome.predictions[index] { " <" } else { "" };
        println!("  {digit:>5} {logit:>12.4} {plain:>12.4} {:>12.4}{mark}", logit - plain);
    }
    let verdict = if outcome.agree[index] { "they agree" } else { "they DISAGREE" };
    println!(
        "  encrypted says {}, plain says {}: {verdict}; largest difference {:.4}; {:.1} s",
        outcome.predictions[index],
        outcome.plain_predictions[index],
        outcome.logit_max_abs_error[index],
        outcome.seconds[index]
    );
}

/// The table of stages.
pub fn stages(outcome: &Outcome) {
    println!("\n  noise is in turns of the torus, since the input, against the noiseless program");
    println!(
        "  {:<28} {:>9} {:>8} {:>12} {:>10} {:>10}",
        "stage", "seconds", "tables", "ciphertexts", "predicted", "measured"
    );
    for stage in &outcome.stages {
        let seconds = stage.seconds.iter().sum::<f64>() / stage.seconds.len().max(1) as f64;
        println!(
            "  {:<28} {:>9.3} {:>8} {:>12} {:>10} {:>10}",
            stage.name,
            seconds,
            stage.bootstraps,
            stage.ciphertexts,
            power(stage.predicted_noise_log2),
            power(stage.measured_noise_log2)
        );
    }
}

fn power(log2: Option<f64>) -> String {
    log2.map_or_else(|| "-".to_owned(), |log2| format!("2^{log2:.2}"))
}

/// The last lines.
pub fn summary(outcome: &Outcome) {
    let count = outcome.predictions.len();
    let agree = outcome.agree.iter().filter(|&&agree| agree).count();
    let labels = outcome.predictions.iter().zip(&outcome.labels);
    let right = labels.filter(|&(prediction, label)| *prediction == usize::from(*label)).count();
    let seconds = outcome.seconds.iter().sum::<f64>() / count.max(1) as f64;
    let worst = outcome.logit_max_abs_error.iter().copied().fold(0.0, f64::max);
    println!();
    println!("  agreement with the plain model   {agree} of {count}");
    println!("  right by the label               {right} of {count}");
    println!("  largest difference of a logit    {worst:.4}");
    println!("  seconds per image                {seconds:.1} on {} threads", outcome.threads);
    println!("  bootstrappings per image         {}", outcome.pbs_count);
    println!("  security of every key            at least {} bits", outcome.security_bits);
    println!("  input ciphertext                 {} bytes", outcome.input_ciphertext_bytes);
    println!("  output ciphertext                {} bytes", outcome.output_ciphertext_bytes);
    match outcome.peak_rss_bytes {
        Some(bytes) => println!("  peak memory                      {}", mebibytes(bytes as usize)),
        None => println!("  peak memory                      not told by this system"),
    }
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
