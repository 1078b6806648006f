//! The owner's process: all that needs a secret.

use crate::{Failure, LEVEL, digits};
use bellerophon::agents::{
    DecryptionAgent, DeploymentAgent, KeyGenerator, PlainModel, ProtectionAgent,
};
use bellerophon::compile::{Model, Options, Preset};
use bellerophon::model::onnx;
use bellerophon::model_id::ModelId;
use bellerophon::service::auth::new_token;
use bellerophon::store::Store;
use bellerophon::store::seal::{Cost, Passphrase};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use zeroize::Zeroizing;

const MODEL: &[u8] = include_bytes!("../../models/lenet5.onnx");
const CALIBRATION: &str = include_str!("../../models/lenet5.calibration.json");

/// A folder that goes away with the process.
struct Folder(PathBuf);

impl Folder {
    fn new(rng: &mut ChaCha20Rng) -> Result<Self, Failure> {
        let name = format!("protected_lenet5-{:016x}", rng.random::<u64>());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The whole sequence.
pub fn run(count: u16, preset: Preset) -> Result<(), Failure> {
    let network = Model::from_graph(onnx::import_bytes(MODEL)?)?;
    let network = network.with_calibration(serde_json::from_str(CALIBRATION)?)?;
    let options = Options { target: preset.target(), ..Options::default() };
    let compiled = network.compile(&options)?;
    println!(
        "A protected LeNet5: its weights, the digits and the results are encrypted on the edge"
    );
    println!(
        "  network   {} parameters, {} bootstrappings per image",
        network.graph().parameter_count(),
        compiled.program.bootstraps()
    );
    println!(
        "  cost      up to half a minute for keys, then up to a minute of two cores per image"
    );
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let folder = Folder::new(&mut rng)?;
    let at = folder.0.as_path();
    // nobody needs to know it longer than this process lives
    let passphrase = format!("{:032x}", rng.random::<u128>());
    let passphrase = Passphrase::new(Zeroizing::new(passphrase))?;
    let path = at.join("models.store");
    let mut store = Store::create(&path, &passphrase, Cost::default(), &mut rng)?;
    let model = ModelId::new("lenet5", 1)?;
    let plain = PlainModel::Program(Box::new(compiled.program), compiled.parameters);
    protect(&mut store, &passphrase, &model, &plain, &mut rng)?;
    deploy(&mut store, &passphrase, &model, &at.join("bundle"))?;
    let (token, line) = new_token("camera", &mut rng)?;
    fs::write(at.join("tokens"), line)?;
    fs::write(at.join("token"), token.as_bytes())?;
    edge(at, &store, count)?;
    decrypt(&mut store, &passphrase, at, &network, count.into())
}

/// Key generator and trained-DNN protection agent.
fn protect(
    store: &mut Store,
    passphrase: &Passphrase,
    model: &ModelId,
    plain: &PlainModel,
    rng: &mut ChaCha20Rng,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut generator = KeyGenerator::new(store, passphrase);
    let made = generator.generate(model, plain, LEVEL, rng)?;
    println!(
        "  owner     keys {} in {:.1} s: public {}, evaluation {}; the secret is sealed",
        made.key,
        begun.elapsed().as_secs_f64(),
        mebibytes(made.public_key_bytes),
        mebibytes(made.evaluation_key_bytes)
    );
    let begun = Instant::now();
    let mut agent = ProtectionAgent::open(store, model.clone(), plain, passphrase)?;
    let protected = agent.protect(rng)?;
    println!(
        "  owner     encrypted {} weight polynomials and {} biases in {:.1} s: {}",
        protected.ciphertexts[0],
        protected.ciphertexts[1],
        begun.elapsed().as_secs_f64(),
        mebibytes(protected.bytes)
    );
    Ok(())
}

/// Trained-DNN deployment agent.
fn deploy(
    store: &mut Store,
    passphrase: &Passphrase,
    model: &ModelId,
    path: &Path,
) -> Result<(), Failure> {
    let mut agent = DeploymentAgent::new(store, passphrase)?;
    let written = agent.write(model, &mut File::create(path)?)?;
    agent.record(&written)?;
    let bytes = path.metadata()?.len() as usize;
    println!("  owner     signed the bundle of {model}: {}", mebibytes(bytes));
    Ok(())
}

/// Starts the other process with what it may know, and waits for it.
fn edge(at: &Path, store: &Store, count: u16) -> Result<(), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("edge").arg("--owner").arg(store.owner_key()?.to_string());
    command.arg("--folder").arg(at.join("edge")).arg("--bundle").arg(at.join("bundle"));
    command.arg("--tokens").arg(at.join("tokens")).arg("--token-file").arg(at.join("token"));
    let status = command.arg("--images").arg(count.to_string()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("the edge's process ended with {status}").into()),
    }
}

/// Decryption agent.
fn decrypt(
    store: &mut Store,
    passphrase: &Passphrase,
    at: &Path,
    network: &Model,
    count: usize,
) -> Result<(), Failure> {
    let (labels, inputs) = digits(count)?;
    let mut agent = DecryptionAgent::new(store, passphrase, LEVEL);
    let (mut agree, mut right) = (0, 0);
    for (index, (label, input)) in labels.iter().zip(&inputs).enumerate() {
        let result = at.join("edge/results").join(format!("digit-{index:06}.result"));
        let inference = agent.decrypt(&fs::read(result)?)?;
        let plain: Vec<f64> = network.graph().evaluate(input)?.iter().copied().collect();
        let errors = inference.values.iter().zip(&plain).map(|(a, b)| (a - b).abs());
        let (found, expected) = (largest(&inference.values), largest(&plain));
        println!(
            "  owner     digit {index}, labelled {label}: encrypted says {found}, plain says \
             {expected}; largest difference of a logit {:.4}",
            errors.fold(0.0, f64::max)
        );
        agree += usize::from(found == expected);
        right += usize::from(found == usize::from(*label));
    }
    println!("\n  agreement with the plain model   {agree} of {count}");
    println!("  right by the label               {right} of {count}");
    println!("\n  the store's record:");
    for entry in store.journal()? {
        println!(
            "    {} {:8} {} {}",
            entry.sequence,
            entry.event.name(),
            entry.model,
            entry.detail
        );
    }
    Ok(())
}

fn largest(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
