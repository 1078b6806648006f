//! Times the operations of CKKS on the calling thread and measures the precision of a product, one
//! JSON object per line: the side of `benches/peers` that is ours.

use bellerophon_schemes::ckks::{
    Ciphertext, Decryptor, Encoder, Encryptor, EvaluationKeys, Evaluator, KeyGenerator,
    KeyRequirements, Parameters, ParametersLiteral, Plaintext, PublicKey, Scale,
};
use bellerophon_schemes::packing::Slots;
use bellerophon_schemes::security::SecurityLevel;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::hint::black_box;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Products of fresh pairs of vectors whose precision is measured; the median is reported.
const PRECISION_TRIALS: usize = 9;
/// Rotations of one ciphertext.
const ROTATIONS: [i64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const LEAST_REPETITIONS: usize = 5;

fn main() -> Outcome<()> {
    // The calling thread is the whole pool: nothing waits for another to wake up.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let arguments = Arguments::from_command_line()?;
    let literal = arguments.literal()?;
    let report = Report::new(&literal, arguments.number("--seconds")?);
    let setting = Setting::new(literal)?;
    setting.time_encryption(&report)?;
    setting.time_evaluation(&report)?;
    setting.measure_precision(&report)
}

/// `--name value` pairs.
struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn from_command_line() -> Outcome<Self> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let pairs = words.chunks(2).map(|pair| match pair {
            [name, value] => Ok((name.clone(), value.clone())),
            _ => Err(format!("{} needs a value", pair.concat())),
        });
        Ok(Self(pairs.collect::<Result<_, _>>()?))
    }

    fn text(&self, name: &str) -> Outcome<&str> {
        Ok(self.0.get(name).ok_or_else(|| format!("{name} is missing"))?)
    }

    fn number<T: FromStr<Err: Error + 'static>>(&self, name: &str) -> Outcome<T> {
        Ok(self.text(name)?.parse()?)
    }

    fn bits(&self, name: &str) -> Outcome<Vec<u32>> {
        Ok(self.text(name)?.split(',').map(str::parse).collect::<Result<_, _>>()?)
    }

    fn literal(&self) -> Outcome<ParametersLiteral> {
        Ok(ParametersLiteral {
            log_dimension: self.number("--log-dimension")?,
            modulus_bits: self.bits("--modulus-bits")?,
            special_bits: self.bits("--special-bits")?,
            digits: self.number("--digits")?,
        })
    }
}

/// Prints one JSON object per figure.
struct Report {
    /// The members that all objects have.
    common: String,
    seconds: f64,
}

impl Report {
    fn new(literal: &ParametersLiteral, seconds: f64) -> Self {
        let log_qp: u32 = literal.modulus_bits.iter().chain(&literal.special_bits).sum();
        let (log_dimension, digits) = (literal.log_dimension, literal.digits);
        let common = format!(
            r#""library": "ours", "log_dimension": {log_dimension}, "log_qp": {log_qp}, "digits": {digits}"#
        );
        Self { common, seconds }
    }

    /// The median and the least time of `operation`, its result dropped within.
    fn time<T>(&self, name: &str, mut operation: impl FnMut() -> Outcome<T>) -> Outcome<()> {
        black_box(operation()?);
        let begun = Instant::now();
        let mut samples = Vec::new();
        while begun.elapsed().as_secs_f64() < self.seconds || samples.len() < LEAST_REPETITIONS {
            let begun = Instant::now();
            black_box(operation()?);
            samples.push(begun.elapsed().as_secs_f64());
        }
        let repetitions = samples.len();
        let fastest = samples.iter().copied().fold(f64::INFINITY, f64::min);
        let figures = [("seconds", median(samples)), ("fastest", fastest)];
        self.print(name, &figures, repetitions);
        Ok(())
    }

    fn print(&self, name: &str, figures: &[(&str, f64)], repetitions: impl Display) {
        let figures: Vec<String> =
            figures.iter().map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
        let (common, figures) = (&self.common, figures.join(", "));
        println!(r#"{{{common}, "operation": "{name}", {figures}, "repetitions": {repetitions}}}"#);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let (lower, upper) = (values[(values.len() - 1) / 2], values[middle]);
    f64::midpoint(lower, upper)
}

/// Keys of one parameter set; operands are at its highest level.
struct Setting {
    parameters: Parameters,
    scale: Scale,
    encoder: Encoder,
    encryptor: Encryptor,
    evaluator: Evaluator,
    decryptor: Decryptor,
    public: PublicKey,
    keys: EvaluationKeys,
}

impl Setting {
    fn new(literal: ParametersLiteral) -> Outcome<Self> {
        let scale_bits = literal.modulus_bits.last().copied().unwrap_or_default();
        let scale = Scale::power_of_two(i32::try_from(scale_bits)?);
        let parameters = Parameters::new(literal, SecurityLevel::Bits128)?;
        let generator = KeyGenerator::new(&parameters);
        let mut rng = generator_of_randomness();
        let secret = Arc::new(generator.secret_key(&mut rng)?);
        let public = generator.public_key(&secret, &mut rng)?.expand(&parameters)?;
        let level = parameters.max_level();
        let requirements = KeyRequirements::relinearization(level)
            .union(KeyRequirements::rotations(&parameters, ROTATIONS, level));
        let keys = generator.evaluation_keys(&secret, &requirements, &mut rng)?;
        Ok(Self {
            scale,
            encoder: Encoder::new(&parameters),
            encryptor: Encryptor::new(&parameters),
            evaluator: Evaluator::new(&parameters),
            decryptor: Decryptor::new(secret),
            public,
            keys: keys.expand(&parameters)?,
            parameters,
        })
    }

    fn random_vector(&self) -> Vec<f64> {
        let mut rng = generator_of_randomness();
        (0..self.parameters.slots()).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    fn encode(&self, values: &[f64]) -> Outcome<Plaintext<Slots>> {
        Ok(self.encoder.encode_real(values, self.parameters.max_level(), &self.scale)?)
    }

    fn encrypt(
        &self,
        plaintext: &Plaintext<Slots>,
        rng: &mut ChaCha20Rng,
    ) -> Outcome<Ciphertext<Slots>> {
        Ok(self.encryptor.encrypt_public(plaintext, &self.public, rng)?)
    }

    fn encrypted(&self, values: &[f64]) -> Outcome<Ciphertext<Slots>> {
        self.encrypt(&self.encode(values)?, &mut generator_of_randomness())
    }

    fn time_encryption(&self, report: &Report) -> Outcome<()> {
        let values = self.random_vector();
        let plaintext = self.encode(&values)?;
        let mut rng = generator_of_randomness();
        report.time("encode", || self.encode(&values))?;
        report.time("encrypt", || self.encrypt(&plaintext, &mut rng))
    }

    fn time_evaluation(&self, report: &Report) -> Outcome<()> {
        let plaintext = self.encode(&self.random_vector())?;
        let left = self.encrypted(&self.random_vector())?;
        let right = self.encrypted(&self.random_vector())?;
        let (evaluator, keys) = (&self.evaluator, &self.keys);
        report.time("add", || Ok(evaluator.add(&left, &right)?))?;
        report.time("multiply_plain", || Ok(evaluator.mul_plain(&left, &plaintext)?))?;
        report.time("multiply", || Ok(evaluator.mul_rescale(&left, &right, keys)?))?;
        report.time("rotate", || Ok(evaluator.rotate(&left, 1, keys)?))?;
        report.time("rotate_8", || self.rotate_each(&left))?;
        report.time("rotate_8_hoisted", || Ok(evaluator.rotate_many(&left, &ROTATIONS, keys)?))
    }

    fn rotate_each(&self, operand: &Ciphertext<Slots>) -> Outcome<Vec<Ciphertext<Slots>>> {
        let rotate = |&steps| Ok(self.evaluator.rotate(operand, steps, &self.keys)?);
        ROTATIONS.iter().map(rotate).collect()
    }

    fn measure_precision(&self, report: &Report) -> Outcome<()> {
        let (mut worst, mut mean) = (Vec::new(), Vec::new());
        for _ in 0..PRECISION_TRIALS {
            let errors = self.product_errors()?;
            worst.push(-errors.iter().copied().fold(0.0, f64::max).log2());
            mean.push(-(errors.iter().sum::<f64>() / errors.len() as f64).log2());
        }
        let figures = [("worst_bits", median(worst)), ("mean_bits", median(mean))];
        report.print("precision", &figures, PRECISION_TRIALS);
        Ok(())
    }

    /// The error in each slot of an encrypted product.
    fn product_errors(&self) -> Outcome<Vec<f64>> {
        let (left, right) = (self.random_vector(), self.random_vector());
        let factors = [self.encrypted(&left)?, self.encrypted(&right)?];
        let product = self.evaluator.mul_rescale(&factors[0], &factors[1], &self.keys)?;
        let decrypted = self.encoder.decode(&self.decryptor.decrypt(&product)?);
        let expected = left.iter().zip(&right).map(|(x, y)| x * y);
        Ok(decrypted
            .iter()
            .zip(expected)
            .map(|(found, product)| (found.re - product).abs())
            .collect())
    }
}

/// Seeded from the system.
fn generator_of_randomness() -> ChaCha20Rng {
    ChaCha20Rng::from_rng(&mut rand::rng())
}
