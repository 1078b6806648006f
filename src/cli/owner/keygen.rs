//! `owner keygen`: the keys of a model that is to be protected.

use super::StoreArgument;
use crate::cli::keygen::Key;
use crate::cli::output::{self, bytes};
use crate::cli::{Failure, files, passphrase};
use bellerophon::agents::KeyGenerator;
use bellerophon::model_id::{ModelId, check_name};
use bellerophon::store::Store;
use bellerophon::store::seal::Cost;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Instant;

/// Makes the keys of a new model, and the store where there is none
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreArgument,
    /// The model: a name, which gets the next version, or name@version
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// What the model will run: a program from compile, or a network from owner plan
    #[arg(long, value_name = "PROGRAM")]
    program: PathBuf,
    #[command(flatten)]
    passphrase: passphrase::Arguments,
}

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made {
    model: ModelId,
    key: String,
    owner: String,
    public_key_bytes: usize,
    evaluation_key_bytes: usize,
    slot_key_bytes: usize,
    keys: Vec<Key>,
    /// The least of all keys.
    security_bits: u32,
    seconds: f64,
}

/// Makes and stores.
pub fn run(arguments: &Arguments) -> Result<Made, Failure> {
    let name = arguments.model.split('@').next().unwrap_or_default();
    check_name(name)?;
    let path = &arguments.store.store;
    files::check_target(path, files::Access::Default)?;
    let plain = files::plain_model(&arguments.program)?;
    let passphrase = arguments.passphrase.read(!path.exists())?;
    // never from a seed: whoever knows it could open everything
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let mut store = Store::create(path, &passphrase, Cost::default(), &mut rng)?;
    let model = match arguments.model.contains('@') {
        true => arguments.model.parse()?,
        false => ModelId::new(name, store.next_version(name)?)?,
    };
    let owner = store.owner_key()?.to_string();
    let spinner = output::spinner("making keys");
    let begun = Instant::now();
    let mut generator = KeyGenerator::new(&mut store, &passphrase);
    let made = generator.generate(&model, &plain, files::LEVEL, &mut rng);
    spinner.finish_and_clear();
    let made = made?;
    let keys: Vec<Key> = made.instances.into_iter().map(Key::new).collect();
    Ok(Made {
        model,
        key: made.key.to_string(),
        owner,
        public_key_bytes: made.public_key_bytes,
        evaluation_key_bytes: made.evaluation_key_bytes,
        slot_key_bytes: made.slot_key_bytes,
        security_bits: keys.iter().map(|key| key.security_bits).min().unwrap_or(0),
        keys,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

impl Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {}, key {}", self.model, self.key)?;
        writeln!(f, "  public key       {}", bytes(self.public_key_bytes as f64))?;
        writeln!(f, "  evaluation keys  {}", bytes(self.evaluation_key_bytes as f64))?;
        if self.slot_key_bytes > 0 {
            writeln!(f, "  slot keys        {}", bytes(self.slot_key_bytes as f64))?;
        }
        writeln!(f, "  every key has at least {} bits of security", self.security_bits)?;
        writeln!(f, "  the secret is sealed in the store; made in {:.1} s", self.seconds)?;
        write!(f, "machines know this store's bundles by {}", self.owner)
    }
}
