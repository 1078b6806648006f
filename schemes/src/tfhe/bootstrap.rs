//! Programmable bootstrapping of batches, on rayon.

use super::{
    BootstrapParameters, LookupTable, LweBatch, LweSecretKey, SwitchedLweBatch, TfheError,
};
use crate::key_id::KeyId;
use crate::wire::{Conformant, PackedWords};
use rand::{CryptoRng, RngExt};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use tfhe::core_crypto::commons::generators::DeterministicSeeder;
use tfhe::core_crypto::commons::math::random::{CompressionSeed, Seed};
use tfhe::core_crypto::fft_impl::fft64::crypto::bootstrap::batch_blind_rotate_assign_scratch;
use tfhe::core_crypto::prelude::{
    CiphertextCount, CiphertextModulus, CiphertextModulusLog, ComputationBuffers,
    ContiguousEntityContainer, DefaultRandomGenerator, Fft, FourierLweBootstrapKeyOwned, Gaussian,
    GlweCiphertextList, GlweSecretKey, LweBootstrapKeyOwned, LweCiphertext, LweDimension,
    ModulusSwitchedLweCiphertext, MonomialDegree, SeededLweBootstrapKey, StandardDev,
    extract_lwe_sample_from_glwe_ciphertext, par_convert_standard_lwe_bootstrap_key_to_fourier,
    par_generate_seeded_lwe_bootstrap_key,
};

/// Bits of each word that travel: the 12 dropped ones are 2^-53 of the torus, far below the key's
/// noise of 2^-48.
const WIRE_BITS: u32 = 52;
/// Samples per task: enough that the key is read from memory once for many of them, few enough that
/// their accumulators stay in the cache (*measured*: 8 to 128 are equally fast).
const LARGEST_TASK: usize = 24;

/// The wire form of a [`BootstrapKey`]: the uniform parts are a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededBootstrapKey {
    parameters: BootstrapParameters,
    input: KeyId,
    output: KeyId,
    seed: u128,
    bodies: PackedWords,
}

impl SeededBootstrapKey {
    /// Encrypts the bits of `input` under `output` (a flattened GLWE secret), with the crate's key
    /// generation seeded from `rng`.
    ///
    /// # Errors
    /// [`TfheError::Dimension`] where a secret has another dimension than the parameters.
    pub fn generate(
        parameters: BootstrapParameters,
        input: &LweSecretKey,
        output: &LweSecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, TfheError> {
        check("LWE dimension", parameters.lwe_dimension(), input.dimension())?;
        check("output dimension", parameters.output_dimension(), output.dimension())?;
        let seed = rng.random();
        let mut key = empty_seeded_key(&parameters, seed, vec![0; parameters.seeded_words()]);
        par_generate_seeded_lwe_bootstrap_key(
            &tfhe::core_crypto::prelude::LweSecretKey::from_container(input.bits()),
            &GlweSecretKey::from_container(output.bits(), parameters.size()),
            &mut key,
            Gaussian::from_dispersion_parameter(StandardDev(parameters.log2_std().exp2()), 0.0),
            &mut DeterministicSeeder::<DefaultRandomGenerator>::new(Seed(rng.random())),
        );
        let dropped = 64 - WIRE_BITS;
        let words: Vec<u64> = key
            .into_container()
            .into_iter()
            .map(|word| word.wrapping_add(1 << (dropped - 1)) >> dropped)
            .collect();
        let bodies = PackedWords::pack(&words, WIRE_BITS);
        Ok(Self { parameters, input: input.id(), output: output.id(), seed, bodies })
    }

    /// The key in the Fourier domain, ready for use.
    #[must_use]
    pub fn expand(&self) -> BootstrapKey {
        let parameters = self.parameters;
        let standard = self.standard();
        let (base_log, levels) = parameters.decomposition();
        let mut fourier = FourierLweBootstrapKeyOwned::new(
            LweDimension(parameters.lwe_dimension()),
            standard.glwe_size(),
            parameters.size(),
            base_log,
            levels,
        );
        par_convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut fourier);
        let fft = Fft::new(parameters.size());
        BootstrapKey { parameters, input: self.input, output: self.output, fourier, fft }
    }

    /// The key before its transformation: one GGSW ciphertext per bit of the input's secret.
    pub(super) fn standard(&self) -> LweBootstrapKeyOwned<u64> {
        let bodies = self.bodies.unpack().into_iter().map(|word| word << (64 - WIRE_BITS));
        empty_seeded_key(&self.parameters, self.seed, bodies.collect())
            .par_decompress_into_lwe_bootstrap_key()
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &BootstrapParameters {
        &self.parameters
    }

    /// The secret of its inputs.
    #[must_use]
    pub fn input(&self) -> KeyId {
        self.input
    }

    /// The secret of its outputs.
    #[must_use]
    pub fn output(&self) -> KeyId {
        self.output
    }
}

impl Conformant<BootstrapParameters> for SeededBootstrapKey {
    fn conforms(&self, parameters: &BootstrapParameters) -> Result<(), String> {
        if self.parameters != *parameters {
            return Err("the bootstrapping key has other parameters".to_owned());
        }
        self.bodies.check(parameters.seeded_words(), WIRE_BITS)
    }
}

fn empty_seeded_key(
    parameters: &BootstrapParameters,
    seed: u128,
    container: Vec<u64>,
) -> SeededLweBootstrapKey<Vec<u64>> {
    let (base_log, levels) = parameters.decomposition();
    SeededLweBootstrapKey::from_container(
        container,
        tfhe::core_crypto::prelude::GlweDimension(parameters.glwe_dimension()).to_glwe_size(),
        parameters.size(),
        base_log,
        levels,
        CompressionSeed::from(Seed(seed)),
        CiphertextModulus::new_native(),
    )
}

fn check(name: &'static str, expected: usize, found: usize) -> Result<(), TfheError> {
    if expected == found { Ok(()) } else { Err(TfheError::Dimension { name, expected, found }) }
}

/// Evaluates look-up tables on encrypted numbers; public.
pub struct BootstrapKey {
    parameters: BootstrapParameters,
    input: KeyId,
    output: KeyId,
    fourier: FourierLweBootstrapKeyOwned,
    fft: Fft,
}

impl BootstrapKey {
    /// Applies `table` to each sample: fresh samples modulo `2^64` under [`BootstrapKey::output`],
    /// with noise [`super::noise::bootstrap`]. `finished` is told the number of samples of each
    /// finished task, from any thread.
    ///
    /// # Errors
    /// [`TfheError::EmptyBatch`], [`TfheError::Key`] for samples under another secret,
    /// [`TfheError::Dimension`] for samples or a table of another size.
    pub fn bootstrap(
        &self,
        inputs: &SwitchedLweBatch,
        table: &LookupTable,
        finished: &(dyn Fn(usize) + Sync),
    ) -> Result<LweBatch, TfheError> {
        self.check_operands(inputs, table)?;
        let count = inputs.count();
        let stride = self.parameters.output_dimension() + 1;
        let mut words = vec![0; count * stride];
        let task = task_size(count, rayon::current_num_threads());
        words
            .par_chunks_mut(task * stride)
            .zip(inputs.words().par_chunks(task * (inputs.dimension() + 1)))
            .for_each(|(output, input)| {
                self.bootstrap_task(input, table, output);
                finished(output.len() / stride);
            });
        LweBatch::new(stride - 1, words, self.output)
    }

    fn check_operands(
        &self,
        inputs: &SwitchedLweBatch,
        table: &LookupTable,
    ) -> Result<(), TfheError> {
        if inputs.count() == 0 {
            return Err(TfheError::EmptyBatch);
        }
        self.input.check(inputs.key())?;
        check("LWE dimension", self.parameters.lwe_dimension(), inputs.dimension())?;
        check("polynomial size", self.parameters.polynomial_size(), table.polynomial_size())?;
        let bits = self.parameters.log2_input_modulus() as usize;
        check("bits of the input modulus", bits, inputs.log2_modulus() as usize)
    }

    /// One batch on one thread: blind rotation with the key in the outer loop, then extraction of
    /// the constant coefficient.
    fn bootstrap_task(&self, input: &[u32], table: &LookupTable, output: &mut [u64]) {
        let samples: Vec<SwitchedSample> = input
            .chunks_exact(self.parameters.lwe_dimension() + 1)
            .map(|words| SwitchedSample {
                words,
                log2_modulus: self.parameters.log2_input_modulus() as usize,
            })
            .collect();
        let glwe_size = self.fourier.glwe_size();
        let mut accumulators = GlweCiphertextList::from_container(
            self.trivial_accumulators(table, samples.len()),
            glwe_size,
            self.parameters.size(),
            CiphertextModulus::new_native(),
        );
        let fft = self.fft.as_view();
        let count = CiphertextCount(samples.len());
        let mut buffers = ComputationBuffers::new();
        let needed =
            batch_blind_rotate_assign_scratch::<u64>(glwe_size, self.parameters.size(), count, fft);
        buffers.resize(needed.unaligned_bytes_required());
        self.fourier.as_view().batch_blind_rotate_assign(
            accumulators.as_mut_view(),
            &samples,
            fft,
            buffers.stack(),
        );
        let stride = self.parameters.output_dimension() + 1;
        for (accumulator, sample) in accumulators.iter().zip(output.chunks_exact_mut(stride)) {
            extract_lwe_sample_from_glwe_ciphertext(
                &accumulator,
                &mut LweCiphertext::from_container(sample, CiphertextModulus::new_native()),
                MonomialDegree(0),
            );
        }
    }

    /// `count` noiseless encryptions of the table: `k` zero polynomials and the table itself.
    fn trivial_accumulators(&self, table: &LookupTable, count: usize) -> Vec<u64> {
        let mut one = vec![0; self.parameters.output_dimension()];
        one.extend_from_slice(table.polynomial());
        one.repeat(count)
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &BootstrapParameters {
        &self.parameters
    }

    /// The secret of its inputs.
    #[must_use]
    pub fn input(&self) -> KeyId {
        self.input
    }

    /// The secret of its outputs.
    #[must_use]
    pub fn output(&self) -> KeyId {
        self.output
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parameters.fourier_bytes()
    }
}

impl fmt::Debug for BootstrapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootstrapKey")
            .field("parameters", &self.parameters)
            .field("input", &self.input)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

/// The largest task below [`LARGEST_TASK`] that gives each thread the same number of tasks.
fn task_size(count: usize, threads: usize) -> usize {
    let rounds = count.div_ceil(LARGEST_TASK * threads).max(1);
    count.div_ceil(rounds * threads)
}

/// One sample as the crate's blind rotation reads it.
struct SwitchedSample<'a> {
    words: &'a [u32],
    log2_modulus: usize,
}

impl ModulusSwitchedLweCiphertext<usize> for SwitchedSample<'_> {
    fn log_modulus(&self) -> CiphertextModulusLog {
        CiphertextModulusLog(self.log2_modulus)
    }

    fn lwe_dimension(&self) -> LweDimension {
        LweDimension(self.words.len() - 1)
    }

    fn body(&self) -> usize {
        self.words.last().map_or(0, |&word| word as usize)
    }

    fn mask(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.words[..self.words.len() - 1].iter().map(|&word| word as usize)
    }
}
