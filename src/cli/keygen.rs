//! `keygen`: secrets for the client and evaluation keys for the server.

use super::files::{self, Access};
use super::run::generator;
use super::{Failure, output};
use bellerophon::client::{Client, PublishedKeys};
use bellerophon::compile::Program;
use bellerophon_bridge as bridge;
use bellerophon_schemes::security::LweInstance;
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Instant;

/// Makes the secrets and the evaluation keys of a program's parameters
#[derive(Debug, Args)]
pub struct Arguments {
    /// The program file
    #[arg(long, value_name = "PROGRAM")]
    program: PathBuf,
    /// The file for the secrets, which only its owner may read; never replaced
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// The file for the evaluation keys, which are public
    #[arg(long, value_name = "FILE")]
    evaluation: PathBuf,
    /// The file for the keys of polynomials in slots, which are public; for programs that have such
    #[arg(long, value_name = "FILE")]
    slots: Option<PathBuf>,
    /// Makes the keys reproducible, and therefore not secret: for tests
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made {
    pub secret: PathBuf,
    pub evaluation: PathBuf,
    pub secret_bytes: usize,
    pub evaluation_bytes: usize,
    pub slots: Option<PathBuf>,
    pub slots_bytes: usize,
    pub keys: Vec<Key>,
    /// The least of all keys.
    pub security_bits: u32,
    pub seconds: f64,
}

#[derive(Debug, Serialize)]
pub struct Key {
    pub name: String,
    pub dimension: usize,
    pub log2_modulus: f64,
    pub log2_noise: f64,
    pub security_bits: u32,
    pub source: &'static str,
}

/// Makes and writes both.
pub fn run(arguments: &Arguments) -> Result<Made, Failure> {
    let (program, parameters) = arguments.check()?;
    let mut rng = generator(arguments.seed);
    let spinner = output::spinner("making keys");
    let begun = Instant::now();
    let client = Client::new(parameters, &mut rng)?;
    let PublishedKeys { bytes, instances } = client.publish_keys(&mut rng)?;
    let slots = client.publish_slot_keys(&program, files::LEVEL, &mut rng)?.unwrap_or_default();
    let seconds = begun.elapsed().as_secs_f64();
    spinner.finish_and_clear();
    let secrets = client.export_secrets()?;
    arguments.write(&secrets, &bytes, &slots)?;
    let keys: Vec<Key> = instances.into_iter().map(Key::new).collect();
    Ok(Made {
        secret: arguments.secret.clone(),
        evaluation: arguments.evaluation.clone(),
        secret_bytes: secrets.len(),
        evaluation_bytes: bytes.len(),
        slots: arguments.slots.clone(),
        slots_bytes: slots.len(),
        security_bits: keys.iter().map(|key| key.security_bits).min().unwrap_or(0),
        keys,
        seconds,
    })
}

impl Arguments {
    fn check(&self) -> Result<(Program, bridge::Parameters), Failure> {
        let all = [Some(&self.secret), Some(&self.evaluation), self.slots.as_ref()];
        let all: Vec<&PathBuf> = all.into_iter().flatten().collect();
        if all.iter().enumerate().any(|(index, path)| all[..index].contains(path)) {
            return Err("two kinds of keys are to be written to the same file".into());
        }
        for path in &all {
            let access = if *path == &self.secret { Access::Owner } else { Access::Default };
            files::check_target(path, access)?;
        }
        let (program, parameters) = files::program(&self.program)?;
        files::check_slots(&program, self.slots.as_deref())?;
        Ok((program, parameters))
    }

    /// Writes all or nothing.
    fn write(&self, secrets: &[u8], evaluation: &[u8], slots: &[u8]) -> Result<(), Failure> {
        files::write(&self.secret, secrets, Access::Owner)?;
        let public = [(Some(&self.evaluation), evaluation), (self.slots.as_ref(), slots)];
        let public = public.into_iter().filter_map(|(path, bytes)| Some((path?, bytes)));
        let mut written = vec![&self.secret];
        for (path, bytes) in public {
            if let Err(failure) = files::write(path, bytes, Access::Default) {
                written.iter().for_each(|path| drop(std::fs::remove_file(path)));
                return Err(failure);
            }
            written.push(path);
        }
        Ok(())
    }
}

impl Key {
    pub fn new((name, instance): (String, LweInstance)) -> Self {
        let estimate = instance.estimate();
        Self {
            name,
            dimension: instance.dimension,
            log2_modulus: instance.log2_modulus,
            log2_noise: instance.log2_std,
            security_bits: estimate.bits,
            source: estimate.source,
        }
    }
}

impl Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = output::Table::new(&["key", "n", "log2 q", "log2 std", "bits", "source"]);
        for key in &self.keys {
            table.push(vec![
                key.name.clone(),
                key.dimension.to_string(),
                format!("{:.1}", key.log2_modulus),
                format!("{:.2}", key.log2_noise),
                key.security_bits.to_string(),
                key.source.to_owned(),
            ]);
        }
        writeln!(f, "{table}")?;
        let (secret, evaluation) = (self.secret.display(), self.evaluation.display());
        let size = output::bytes(self.evaluation_bytes as f64);
        if let Some(slots) = &self.slots {
            writeln!(f, "wrote {} ({})", slots.display(), output::bytes(self.slots_bytes as f64))?;
        }
        writeln!(f, "wrote {secret} (secret) and {evaluation} ({size}) in {:.1} s", self.seconds)
    }
}
