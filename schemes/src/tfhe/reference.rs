//! The `tfhe` crate's own batched blind rotation.

use super::bootstrap::BlindRotation;
use super::{BootstrapParameters, LookupTable};
use tfhe::core_crypto::fft_impl::fft64::crypto::bootstrap::batch_blind_rotate_assign_scratch;
use tfhe::core_crypto::prelude::{
    CiphertextCount, CiphertextModulus, CiphertextModulusLog, ComputationBuffers,
    ContiguousEntityContainer, Fft, FourierLweBootstrapKeyOwned, GlweCiphertextList,
    LweBootstrapKeyOwned, LweCiphertext, LweDimension, ModulusSwitchedLweCiphertext,
    MonomialDegree, extract_lwe_sample_from_glwe_ciphertext,
    par_convert_standard_lwe_bootstrap_key_to_fourier,
};

/// A key in the crate's Fourier layout.
pub(super) struct Reference {
    parameters: BootstrapParameters,
    key: FourierLweBootstrapKeyOwned,
    fft: Fft,
}

impl Reference {
    pub(super) fn new(
        parameters: BootstrapParameters,
        standard: &LweBootstrapKeyOwned<u64>,
    ) -> Self {
        let (base_log, levels) = parameters.decomposition();
        let mut key = FourierLweBootstrapKeyOwned::new(
            LweDimension(parameters.lwe_dimension()),
            standard.glwe_size(),
            parameters.size(),
            base_log,
            levels,
        );
        par_convert_standard_lwe_bootstrap_key_to_fourier(standard, &mut key);
        Self { parameters, key, fft: Fft::new(parameters.size()) }
    }

    /// `count` noiseless encryptions of the table: `k` zero polynomials and the table itself.
    fn trivial_accumulators(&self, table: &LookupTable, count: usize) -> Vec<u64> {
        let mut one = vec![0; self.parameters.output_dimension()];
        one.extend_from_slice(table.polynomial());
        one.repeat(count)
    }
}

impl BlindRotation for Reference {
    fn bootstrap(&self, input: &[u32], table: &LookupTable, output: &mut [u64]) {
        let samples: Vec<SwitchedSample> = input
            .chunks_exact(self.parameters.lwe_dimension() + 1)
            .map(|words| SwitchedSample {
                words,
                log2_modulus: self.parameters.log2_input_modulus() as usize,
            })
            .collect();
        let glwe_size = self.key.glwe_size();
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
        self.key.as_view().batch_blind_rotate_assign(
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
