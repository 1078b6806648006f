//! Programmable bootstrapping of batches, on rayon.

use super::reference::Reference;
use super::{
    BootstrapParameters, Kernel, LookupTable, LweBatch, LweSecretKey, SwitchedLweBatch, TfheError,
    fused,
};
use crate::key_id::KeyId;
use crate::wire::{Conformant, PackedWords};
use rand::{CryptoRng, RngExt};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use tfhe::core_crypto::commons::generators::DeterministicSeeder;
use tfhe::core_crypto::commons::math::random::{CompressionSeed, Seed};
use tfhe::core_crypto::prelude::{
    CiphertextModulus, DefaultRandomGenerator, Gaussian, GlweSecretKey, LweBootstrapKeyOwned,
    SeededLweBootstrapKey, StandardDev, par_generate_seeded_lwe_bootstrap_key,
};
use zeroize::Zeroizing;

/// Bits of each word that travel: rounding to them adds less than 1 % to the variance of the key's
/// noise, which is 2^-48 of the torus.
const WIRE_BITS: u32 = 50;
/// Samples per task: enough that the key is read from memory once for many of them, few enough that
/// their accumulators stay in the second level cache.
const LARGEST_TASK: usize = 32;

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
    /// generation seeded from `rng`. Where several bits go into one step, what is encrypted is
    /// whether they are exactly this combination, for each but all zeros (Zhou et al.,
    /// *Faster bootstrapping with multiple addends*, IEEE Access 2018; Bourse et al., ePrint 2017/1114).
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
            &tfhe::core_crypto::prelude::LweSecretKey::from_container(
                combinations(input.bits(), parameters.grouping_factor()).as_slice(),
            ),
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

    /// The key in the Fourier domain, ready for use by `kernel`.
    ///
    /// # Errors
    /// [`TfheError::Kernel`] where the kernel cannot run here or not with this key.
    pub fn expand(&self, kernel: Kernel) -> Result<BootstrapKey, TfheError> {
        let parameters = self.parameters;
        kernel.check(parameters.grouping_factor())?;
        let standard = self.standard();
        let rotation: Box<dyn BlindRotation> = match kernel {
            Kernel::Tfhe => Box::new(Reference::new(parameters, &standard)),
            Kernel::Fused(instructions) => fused::prepare(instructions, &parameters, &standard)
                .ok_or(TfheError::Kernel { kernel, reason: "it was not built in" })?,
        };
        Ok(BootstrapKey { parameters, kernel, input: self.input, output: self.output, rotation })
    }

    /// The key before its transformation: one GGSW ciphertext per bit of the input's secret, or per
    /// combination of bits.
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

/// For each group of `grouping_factor` bits and each combination from 1 to `2^g - 1` (first bit
/// lowest), whether the bits are that combination.
fn combinations(bits: &[u64], grouping_factor: usize) -> Zeroizing<Vec<u64>> {
    let mut all = Zeroizing::new(Vec::with_capacity(bits.len() << grouping_factor));
    for group in bits.chunks_exact(grouping_factor) {
        let own = group.iter().rev().fold(0, |own, bit| 2 * own + bit);
        all.extend((1..1 << grouping_factor).map(|combination| u64::from(combination == own)));
    }
    all
}

/// A key in the layout of a kernel.
pub(super) trait BlindRotation: Send + Sync {
    /// Bootstraps one batch on one thread: the switched samples `input`, one after the other, give
    /// the samples `output`.
    fn bootstrap(&self, input: &[u32], table: &LookupTable, output: &mut [u64]);
}

/// Evaluates look-up tables on encrypted numbers; public.
pub struct BootstrapKey {
    parameters: BootstrapParameters,
    kernel: Kernel,
    input: KeyId,
    output: KeyId,
    rotation: Box<dyn BlindRotation>,
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
            .zip(inputs.words().par_chunks(task * inputs.stride()))
            .for_each(|(output, input)| {
                self.rotation.bootstrap(input, table, output);
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
        check("bits of the input modulus", bits, inputs.log2_modulus() as usize)?;
        check("grouping factor", self.parameters.grouping_factor(), inputs.grouping_factor())
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

    /// The kernel that it runs on.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
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
            .field("kernel", &self.kernel)
            .field("input", &self.input)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

/// What a task takes beside its samples, in the time of samples: it reads the whole key.
const KEY_PASS: usize = 4;

/// The size of task, a whole number of tiles, with which the busiest thread has the least to do.
fn task_size(count: usize, threads: usize) -> usize {
    let busiest = |size: &usize| count.div_ceil(*size).div_ceil(threads) * (size + KEY_PASS);
    let sizes = (1..=LARGEST_TASK / fused::TILE).rev().map(|tiles| tiles * fused::TILE);
    sizes.min_by_key(busiest).unwrap_or(LARGEST_TASK)
}

/// The number of bootstrappings on the busiest of `threads` threads, of a batch of `count`.
#[must_use]
pub fn busiest_share(count: usize, threads: usize) -> usize {
    let size = task_size(count, threads.max(1));
    (count.div_ceil(size).div_ceil(threads.max(1)) * size).min(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_say_which_one_it_is() {
        assert_eq!(*combinations(&[1, 0, 1], 1), [1, 0, 1]);
        assert_eq!(
            *combinations(&[1, 0, 0, 1, 1, 1, 0, 0], 2),
            [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        );
        assert_eq!(*combinations(&[0, 1, 1], 3), [0, 0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn threads_have_equal_shares() {
        assert_eq!(task_size(1, 2), fused::TILE);
        assert_eq!(task_size(1176, 2), 28);
        assert_eq!(task_size(64, 2), 32);
        // more, smaller tasks would read the key more often than they are evener
        assert_eq!(task_size(84, 2), 24);
        assert_eq!(busiest_share(84, 2), 48);
        assert_eq!(busiest_share(3, 2), 3);
        assert_eq!(busiest_share(0, 0), 0);
        for count in 1..500 {
            let size = task_size(count, 2);
            assert!(size.is_multiple_of(fused::TILE) && size <= LARGEST_TASK);
            assert!(count.div_ceil(size).div_ceil(2) * size < count.div_ceil(2) + LARGEST_TASK);
        }
    }
}
