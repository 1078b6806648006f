//! Bootstraps one ciphertext at 128 bits of security and prints the time of each step, the
//! precision and the sizes: `cargo run -p bellerophon-schemes --example ckks_bootstrap -- [deep|compact] [log2 of
//! the slots]`. The keys of `deep` take 10 GB and as much again while they are made.

use bellerophon_schemes::ckks::bootstrap::{BootstrapLiteral, Bootstrapper};
use bellerophon_schemes::ckks::{
    Ciphertext, Decryptor, Encoder, Encryptor, EvaluationKeys, Evaluator, KeyGenerator, Parameters,
    Scale, SecretKey, Slots, c64,
};
use bellerophon_schemes::security::SecurityLevel;
use rand::rngs::SysRng;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

struct Party {
    parameters: Parameters,
    encoder: Encoder,
    secret: Arc<SecretKey>,
    rng: ChaCha20Rng,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let compact = arguments.next().is_some_and(|set| set == "compact");
    let (literal, mut bootstrap) =
        if compact { BootstrapLiteral::compact() } else { BootstrapLiteral::deep() };
    if let Some(log_slots) = arguments.next() {
        bootstrap.log_slots = log_slots.parse()?;
    }
    let parameters = Parameters::new(literal, SecurityLevel::Bits128)?;
    println!(
        "N = {}, log2 QP = {:.1}, {} levels, {} digits",
        parameters.dimension(),
        parameters.log2_qp(),
        parameters.max_level(),
        parameters.literal().digits
    );
    let encoder = Encoder::new(&parameters);
    let bootstrapper = timed("matrices", || Bootstrapper::new(&parameters, &encoder, &bootstrap))?;
    let mut rng = ChaCha20Rng::try_from_rng(&mut SysRng)?;
    let secret = Arc::new(KeyGenerator::new(&parameters).secret_key(&mut rng)?);
    let mut party = Party { parameters, encoder, secret, rng };
    let keys = party.keys(&bootstrapper)?;
    let values: Vec<c64> = (0..1usize << bootstrap.log_slots).map(|_| party.value()).collect();
    let operand = party.encrypt(&values)?;
    let result = run(&party, &bootstrapper, &operand, &keys)?;
    party.report(&result, &values)?;
    let predicted = bootstrapper.standard_error(operand.scale(), 1.0 / 3.0)?;
    println!("predicted {:.2} bits", -predicted.log2());
    Ok(())
}

impl Party {
    fn keys(&mut self, bootstrapper: &Bootstrapper) -> Result<EvaluationKeys, Box<dyn Error>> {
        let generator = KeyGenerator::new(&self.parameters);
        let requirements = bootstrapper.requirements();
        let seeded = timed("keys", || {
            generator.evaluation_keys(&self.secret, &requirements, &mut self.rng)
        })?;
        let keys = timed("expanding keys", || seeded.expand(&self.parameters))?;
        println!("{} keys, {:.2} GB", keys.len(), keys.bytes() as f64 / 1e9);
        println!("matrices {:.2} GB", bootstrapper.bytes() as f64 / 1e9);
        Ok(keys)
    }

    fn value(&mut self) -> c64 {
        let mut part = || self.rng.random_range(-1.0..1.0) * std::f64::consts::FRAC_1_SQRT_2;
        c64::new(part(), part())
    }

    fn encrypt(&mut self, values: &[c64]) -> Result<Ciphertext<Slots>, Box<dyn Error>> {
        let plaintext = self.encoder.encode_sparse(values, 0, &Scale::power_of_two(39))?;
        let encryptor = Encryptor::new(&self.parameters);
        let seeded = encryptor.encrypt(&plaintext, &self.secret, &mut self.rng)?;
        Ok(seeded.expand(&self.parameters)?)
    }

    fn report(&self, result: &Ciphertext<Slots>, values: &[c64]) -> Result<(), Box<dyn Error>> {
        let plaintext = Decryptor::new(self.secret.clone()).decrypt(result)?;
        let found = self.encoder.decode(&plaintext);
        let errors = found.iter().zip(values.iter().cycle()).map(|(a, b)| (a - b).norm());
        let (squares, largest) =
            errors.fold((0.0, 0.0f64), |(sum, largest), e| (sum + e * e, largest.max(e)));
        println!(
            "level {}, precision {:.2} bits (root mean square), {:.2} bits (worst slot)",
            result.level(),
            -(squares / found.len() as f64).sqrt().log2(),
            -largest.log2()
        );
        Ok(())
    }
}

fn run(
    party: &Party,
    bootstrapper: &Bootstrapper,
    operand: &Ciphertext<Slots>,
    keys: &EvaluationKeys,
) -> Result<Ciphertext<Slots>, Box<dyn Error>> {
    let evaluator = Evaluator::new(&party.parameters);
    let start = Instant::now();
    let raised = timed("raise", || bootstrapper.raise(&evaluator, operand, keys))?;
    let coefficients =
        timed("coefficients to slots", || bootstrapper.to_coefficients(&evaluator, &raised, keys))?;
    let reduced =
        timed("modular reduction", || bootstrapper.reduce(&evaluator, &coefficients, keys))?;
    let slots =
        timed("slots to coefficients", || bootstrapper.to_slots(&evaluator, &reduced, keys))?;
    let seconds = start.elapsed().as_secs_f64();
    let count = bootstrapper.slots();
    println!("{seconds:.2} s, {:.3} ms per slot", seconds * 1e3 / count as f64);
    Ok(slots.with_scale(operand.scale().clone()))
}

fn timed<T>(what: &str, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = step();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    result
}
