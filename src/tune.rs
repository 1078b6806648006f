//! What operations cost on this machine, measured: the constants of [`Costs`].
//!
//! Bootstrapping is measured on short secrets, which say nothing of security: its cost is
//! proportional to their length. Everything else is measured at the sizes that programs use.

use crate::compile::Costs;
use crate::compile::cost::{SLOTS, Shape};
use bellerophon_bridge::{
    Amplitude, Assumptions, BootstrapLiteral, BridgeError, EvaluationKeys, Parameters,
    ParametersLiteral, SecretKeys, SeededEvaluationKeys,
};
use bellerophon_schemes::rlwe::{Encoder, Encryptor, Evaluator, Plaintext, Scale};
use bellerophon_schemes::tfhe::{
    BootstrapKey, BootstrapParameters, Kernel, LookupTable, LweBatch, LweSecretKey,
    SeededBootstrapKey, SwitchedLweBatch, TfheError,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPoolBuilder;
use std::time::Instant;
use thiserror::Error;

/// The product of GLWE dimension and polynomial size, and the dimension of the values' ring.
const LOG_DIMENSION: u32 = 11;
/// The dimension of the short secret; all grouping factors divide it.
const SHORT: usize = 132;
/// The shape by which all threads are compared with one.
const REFERENCE: Shape =
    Shape { glwe_dimension: 2, polynomial_size: 1024, levels: 2, grouping_factor: 2 };
/// Samples of a measured batch, on each thread.
const BATCH: usize = 32;
/// Each figure is the least of so many measurements.
const ROUNDS: usize = 3;

/// Why the machine could not be measured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TuneError {
    /// In one of the schemes or between them.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// No pool of threads could be made.
    #[error("threads cannot be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl From<TfheError> for TuneError {
    fn from(error: TfheError) -> Self {
        Self::Bridge(error.into())
    }
}

/// Measures this machine in half a minute or so; `progress` is told what is being measured.
///
/// # Errors
/// [`TuneError`] where the machine cannot run the schemes.
pub fn measure(machine: &str, progress: &dyn Fn(&str)) -> Result<Costs, TuneError> {
    let single = ThreadPoolBuilder::new().num_threads(1).build()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (mut bootstraps, mut speedup) = (Vec::new(), 1.0);
    for shape in Shape::all(1 << LOG_DIMENSION) {
        let Shape { glwe_dimension, polynomial_size, levels, grouping_factor } = shape;
        progress(&format!(
            "bootstrapping: k {glwe_dimension}, N {polynomial_size}, {levels} levels, \
             {grouping_factor} bits a step"
        ));
        let bench = Bootstrapping::new(shape)?;
        let each = pool.install(|| bench.seconds(BATCH * threads))?;
        if shape == REFERENCE {
            speedup = single.install(|| bench.seconds(BATCH))? / each;
        }
        bootstraps.push((shape, each / SHORT as f64));
    }
    bootstraps.iter_mut().for_each(|(_, each)| *each *= speedup);
    progress("the bridge and the ring");
    let bridge = Bridge::new()?;
    single.install(|| {
        Ok(Costs {
            machine: machine.to_owned(),
            threads,
            speedup,
            bootstraps,
            merge: bridge.merge()?,
            extraction: bridge.extraction()?,
            product: bridge.product()?,
            slots: SLOTS,
        })
    })
}

/// The least seconds of a few runs.
fn least<T, E>(mut run: impl FnMut() -> Result<T, E>) -> Result<f64, E> {
    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        std::hint::black_box(run()?);
        least = least.min(begun.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// A bootstrapping key of one shape on a short secret.
struct Bootstrapping {
    key: BootstrapKey,
    table: LookupTable,
    parameters: BootstrapParameters,
    input: LweSecretKey,
}

impl Bootstrapping {
    fn new(shape: Shape) -> Result<Self, TfheError> {
        let Shape { glwe_dimension: k, polynomial_size: size, levels, grouping_factor } = shape;
        let base_log = 24 / levels;
        let parameters =
            BootstrapParameters::insecure_unchecked(SHORT, k, size, base_log, levels, -48.0)?
                .with_grouping_factor(grouping_factor)?;
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let input = LweSecretKey::generate(SHORT, &mut rng);
        let output = LweSecretKey::generate(k * size, &mut rng);
        let key = SeededBootstrapKey::generate(parameters, &input, &output, &mut rng)?;
        let key = key.expand(Kernel::best(grouping_factor))?;
        let table = LookupTable::new(size, -0.25, |x| x.abs() - 0.25)?;
        Ok(Self { key, table, parameters, input })
    }

    /// Of one sample in a batch, on the threads of the current pool.
    fn seconds(&self, count: usize) -> Result<f64, TfheError> {
        let parameters = &self.parameters;
        let words = count * (parameters.steps() * parameters.terms() + 1);
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let words = (0..words).map(|_| rng.next_u32()).collect();
        let (bits, factor) = (parameters.log2_input_modulus(), parameters.grouping_factor());
        let batch = SwitchedLweBatch::new(SHORT, factor, bits, words, self.input.id())?;
        let seconds = least(|| self.key.bootstrap(&batch, &self.table, &|_| ()))?;
        Ok(seconds / count as f64)
    }
}

/// The bridge at the sizes of programs, on a small secret that is not secure.
struct Bridge {
    parameters: Parameters,
    secrets: SecretKeys,
    keys: EvaluationKeys,
}

impl Bridge {
    fn new() -> Result<Self, BridgeError> {
        let literal = ParametersLiteral {
            assumptions: Assumptions::Compact,
            log_dimension: LOG_DIMENSION,
            modulus_bits: 50,
            lwe_dimension: 720,
            down_gadget: (8, 2),
            up_gadget: (8, 6),
            bootstraps: Vec::<BootstrapLiteral>::new(),
        };
        let parameters = Parameters::insecure_unchecked(literal, -20.0, -48.0)?;
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let secrets = SecretKeys::generate(&parameters, &mut rng)?;
        let keys = SeededEvaluationKeys::generate(&parameters, &secrets, &mut rng)?;
        let keys = keys.expand(&parameters, None)?;
        Ok(Self { parameters, secrets, keys })
    }

    fn merge(&self) -> Result<f64, BridgeError> {
        let dimension = self.parameters.ring().dimension();
        let count = dimension / 2;
        let words = vec![1u64 << 40; count * (dimension + 1)];
        let batch = LweBatch::new(dimension, words, self.secrets.glwe().id())?;
        let leaves: Vec<(usize, usize)> = (0..count).map(|index| (index, index)).collect();
        let pack = || self.keys.to_ckks(&batch, &leaves, true, Amplitude::new(0.1));
        Ok(least(pack)? / count as f64)
    }

    fn extraction(&self) -> Result<[f64; 2], BridgeError> {
        let (ciphertext, dimension) = (self.fresh()?, self.parameters.ring().dimension());
        let all: Vec<usize> = (0..dimension).collect();
        let one = least(|| self.keys.to_lwe(&ciphertext, &[0], LOG_DIMENSION, 2))?;
        let many = least(|| self.keys.to_lwe(&ciphertext, &all, LOG_DIMENSION, 2))?;
        Ok([one, (many - one).max(0.0) / (dimension - 1) as f64])
    }

    fn product(&self) -> Result<f64, BridgeError> {
        const TERMS: usize = 64;
        let ring = self.parameters.ring();
        let (ciphertext, evaluator) = (self.fresh()?, Evaluator::new(ring));
        let weights: Vec<(usize, i64)> = (0..64).map(|i| (31 * i, i as i64 - 32)).collect();
        let product = || {
            let plaintext = Plaintext::from_terms(ring, &weights, Scale::new(128.0)?)?;
            evaluator.linear_combination(&vec![(&ciphertext, &plaintext); TERMS])
        };
        Ok(least(product)? / TERMS as f64)
    }

    fn fresh(
        &self,
    ) -> Result<bellerophon_schemes::rlwe::Ciphertext<bellerophon_schemes::rlwe::Coeffs>, BridgeError>
    {
        let parameters = self.parameters.rlwe();
        let values = vec![0.1; self.parameters.ring().dimension()];
        let scale = Amplitude::new(0.5).to_scale(self.parameters.ring().modulus())?;
        let plaintext = Encoder::new(parameters).encode_coefficients(&values, scale)?;
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let encrypted =
            Encryptor::new(parameters).encrypt(&plaintext, self.secrets.ring(), &mut rng)?;
        Ok(encrypted.expand(parameters)?)
    }
}
