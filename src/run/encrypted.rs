//! The program on ciphertexts, with evaluation keys alone.

use super::backend::Backend;
use crate::compile::program::{LinearOutput, Term};
use crate::compile::{LinearMap, PhaseFunction, Place, Placement, Table};
use bellerophon_bridge::{Amplitude, BridgeError, EvaluationKeys, SlotKeys};
use bellerophon_schemes::math::Poly;
use bellerophon_schemes::rlwe::{
    Ciphertext, Coeffs, Encoder, Evaluator, Plaintext, RlweError, Scale,
};
use bellerophon_schemes::tfhe::{LookupTable, LweBatch, SwitchedLweBatch, TfheError};
use rayon::prelude::*;
use std::marker::PhantomData;
use thiserror::Error;

/// Why an encrypted step failed.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// On the bridge or in one of the schemes.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The program evaluates a polynomial in slots, but no keys for that were given.
    #[error("the program has polynomials in slots, which need keys of their own: give them too")]
    MissingSlotKeys,
    /// The program reads a ciphertext that its register does not have.
    #[error("ciphertext {index} does not exist in a register of {count}")]
    MissingCiphertext {
        /// The index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

impl From<RlweError> for RunError {
    fn from(error: RlweError) -> Self {
        Self::Bridge(error.into())
    }
}

impl From<TfheError> for RunError {
    fn from(error: TfheError) -> Self {
        Self::Bridge(error.into())
    }
}

/// Told how many bootstrappings have just finished, from any thread.
pub type Progress<'a> = &'a (dyn Fn(usize) + Sync);

/// A linear layer in a form that runs on ciphertexts.
pub trait LinearLayer: Sync {
    /// The layer's output ciphertexts, at `amplitude`, from the ciphertexts of several registers.
    ///
    /// # Errors
    /// [`RunError`] where the ciphertexts are not those that the layer reads.
    fn apply(
        &self,
        evaluator: &Evaluator,
        encoder: &Encoder,
        inputs: &[&[Ciphertext<Coeffs>]],
        amplitude: f64,
    ) -> Result<Vec<Ciphertext<Coeffs>>, RunError>;
}

/// The encrypted backend, for programs whose linear layers are of kind `L`.
pub struct Encrypted<'a, L = LinearMap> {
    keys: &'a EvaluationKeys,
    slots: Option<&'a SlotKeys>,
    evaluator: Evaluator,
    encoder: &'a Encoder,
    progress: Progress<'a>,
    linear: PhantomData<fn(&L)>,
}

impl<'a, L: LinearLayer> Encrypted<'a, L> {
    /// A backend with these keys.
    #[must_use]
    pub fn new(keys: &'a EvaluationKeys, encoder: &'a Encoder, progress: Progress<'a>) -> Self {
        let evaluator = Evaluator::new(keys.parameters().ring());
        Self { keys, slots: None, evaluator, encoder, progress, linear: PhantomData }
    }

    /// The backend with keys for polynomials in slots.
    #[must_use]
    pub fn with_slots(self, slots: Option<&'a SlotKeys>) -> Self {
        Self { slots, ..self }
    }

    /// What holds padding alone.
    fn zero(&self, amplitude: Amplitude) -> Result<Ciphertext<Coeffs>, RunError> {
        let ring = self.keys.parameters().ring();
        let (c0, c1) = (Poly::zero(ring), Poly::zero(ring));
        let scale = amplitude.to_scale(ring.modulus())?;
        Ok(Ciphertext::from_parts(c0, c1, scale, self.keys.ring_key())?)
    }
}

impl LinearLayer for LinearMap {
    fn apply(
        &self,
        evaluator: &Evaluator,
        encoder: &Encoder,
        inputs: &[&[Ciphertext<Coeffs>]],
        amplitude: f64,
    ) -> Result<Vec<Ciphertext<Coeffs>>, RunError> {
        let outputs = self.outputs.par_iter();
        outputs.map(|output| linear_output(output, evaluator, encoder, inputs, amplitude)).collect()
    }
}

fn linear_output(
    output: &LinearOutput,
    evaluator: &Evaluator,
    encoder: &Encoder,
    inputs: &[&[Ciphertext<Coeffs>]],
    amplitude: f64,
) -> Result<Ciphertext<Coeffs>, RunError> {
    let ring = evaluator.ring();
    let scale = Amplitude::new(amplitude).to_scale(ring.modulus())?.value();
    let plaintext = |term: &Term| {
        let input = term_input(term, inputs)?;
        let scale = Scale::new(scale / input.scale().value())?;
        Ok((input, Plaintext::from_terms(ring, &term.weights, scale)?))
    };
    let plaintexts = output.terms.iter().map(plaintext).collect::<Result<Vec<_>, RunError>>()?;
    let terms: Vec<_> = plaintexts.iter().map(|(c, p)| (*c, p)).collect();
    let mut sum = evaluator.linear_combination(&terms)?;
    let biases = encode_biases(output, encoder, ring.dimension(), sum.scale(), amplitude)?;
    evaluator.add_plain_assign(&mut sum, &biases)?;
    Ok(sum)
}

/// The biases of an output in its coefficients.
pub(crate) fn encode_biases<W>(
    output: &LinearOutput<W>,
    encoder: &Encoder,
    dimension: usize,
    scale: Scale,
    amplitude: f64,
) -> Result<Plaintext<Coeffs>, RlweError> {
    let mut biases = vec![0.0; dimension];
    for (&coefficient, &bias) in output.coefficients.iter().zip(&output.biases) {
        if let Some(slot) = biases.get_mut(coefficient) {
            *slot = (bias - bias.round()) / amplitude; // turns to units, within one turn
        }
    }
    encoder.encode_coefficients(&biases, scale)
}

/// The ciphertext that a term reads.
pub(crate) fn term_input<'a, W>(
    term: &Term<W>,
    inputs: &[&'a [Ciphertext<Coeffs>]],
) -> Result<&'a Ciphertext<Coeffs>, RunError> {
    ciphertext(inputs.get(term.register).copied().unwrap_or_default(), term.ciphertext)
}

fn ciphertext(
    inputs: &[Ciphertext<Coeffs>],
    index: usize,
) -> Result<&Ciphertext<Coeffs>, RunError> {
    inputs.get(index).ok_or(RunError::MissingCiphertext { index, count: inputs.len() })
}

/// The coefficients of the places in each ciphertext; places are sorted by ciphertext.
fn by_ciphertext(places: &[Place]) -> Vec<(usize, Vec<usize>)> {
    places
        .chunk_by(|a, b| a.ciphertext == b.ciphertext)
        .map(|chunk| (chunk[0].ciphertext, chunk.iter().map(|p| p.coefficient).collect()))
        .collect()
}

impl<L: LinearLayer> Backend for Encrypted<'_, L> {
    type Ring = Ciphertext<Coeffs>;
    type Switched = SwitchedLweBatch;
    type Samples = LweBatch;
    type Linear = L;
    type Error = RunError;

    fn linear(
        &self,
        map: &L,
        inputs: &[&[Self::Ring]],
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, RunError> {
        map.apply(&self.evaluator, self.encoder, inputs, amplitude)
    }

    fn combine(
        &self,
        map: &LinearMap,
        inputs: &[&[Self::Ring]],
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, RunError> {
        map.apply(&self.evaluator, self.encoder, inputs, amplitude)
    }

    fn to_lwe(
        &self,
        inputs: &[Self::Ring],
        places: &[Place],
        key: usize,
    ) -> Result<SwitchedLweBatch, RunError> {
        let bootstrap = self.keys.parameters().bootstrap(key)?;
        let log2_modulus = bootstrap.log2_input_modulus();
        let (n, grouping_factor) = (bootstrap.lwe_dimension(), bootstrap.grouping_factor());
        let batches = by_ciphertext(places)
            .par_iter()
            .map(|(index, coefficients)| {
                let input = ciphertext(inputs, *index)?;
                Ok(self.keys.to_lwe(input, coefficients, log2_modulus, grouping_factor)?)
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let words = batches.iter().flat_map(|batch| batch.words().iter().copied()).collect();
        let id = self.keys.bootstrap(key)?.input();
        Ok(SwitchedLweBatch::new(n, grouping_factor, log2_modulus, words, id)?)
    }

    fn look_up(
        &self,
        inputs: &SwitchedLweBatch,
        tables: &[(usize, Table)],
        key: usize,
    ) -> Result<LweBatch, RunError> {
        let bootstrap = self.keys.bootstrap(key)?;
        let size = bootstrap.parameters().polynomial_size();
        let look_up = |inputs: &SwitchedLweBatch, table: &Table| {
            let table = LookupTable::new(size, table.start, |phase| table.inside_window(phase))?;
            bootstrap.bootstrap(inputs, &table, self.progress)
        };
        if let [(_, table)] = tables {
            return Ok(look_up(inputs, table)?);
        }
        let (mut start, mut words) = (0, Vec::new());
        for (count, table) in tables {
            let part = inputs.slice(start..start.saturating_add(*count))?;
            words.extend_from_slice(look_up(&part, table)?.words());
            start += count; // the batch holds them
        }
        Ok(LweBatch::new(self.keys.parameters().ring().dimension(), words, bootstrap.output())?)
    }

    fn to_ckks(
        &self,
        inputs: &LweBatch,
        placements: &[Placement],
        ciphertexts: usize,
        zeroed: bool,
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, RunError> {
        let mut leaves: Vec<Vec<(usize, usize)>> = vec![Vec::new(); ciphertexts];
        for Placement { element, place } in placements {
            let missing =
                RunError::MissingCiphertext { index: place.ciphertext, count: ciphertexts };
            let leaves = leaves.get_mut(place.ciphertext).ok_or(missing)?;
            leaves.push((place.coefficient, *element));
        }
        let amplitude = Amplitude::new(amplitude);
        let pack = |leaves: &Vec<(usize, usize)>| match leaves.as_slice() {
            [] => self.zero(amplitude),
            leaves => Ok(self.keys.to_ckks(inputs, leaves, zeroed, amplitude)?),
        };
        leaves.par_iter().map(pack).collect()
    }

    fn slots(
        &self,
        inputs: &[Self::Ring],
        function: &PhaseFunction,
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, RunError> {
        let keys = self.slots.ok_or(RunError::MissingSlotKeys)?;
        let PhaseFunction { polynomial, width, tolerance, .. } = function;
        let parameters = keys.parameters();
        let polynomial = parameters.polynomial(polynomial, *width, *tolerance);
        let polynomial = polynomial.map_err(BridgeError::from)?;
        let go_on = |_| std::ops::ControlFlow::Continue(());
        Ok(keys.evaluate(inputs, &polynomial, Amplitude::new(amplitude), &go_on)?)
    }

    fn extract(&self, inputs: &[Self::Ring], places: &[Place]) -> Result<LweBatch, RunError> {
        let batches = by_ciphertext(places)
            .par_iter()
            .map(|(index, coefficients)| {
                Ok(self.keys.extract_samples(ciphertext(inputs, *index)?, coefficients)?)
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let words = batches.iter().flat_map(|batch| batch.words().iter().copied()).collect();
        let key = self.keys.ring_key();
        Ok(LweBatch::new(self.keys.parameters().ring().dimension(), words, key)?)
    }

    fn add(
        &self,
        left: &[Self::Ring],
        right: &[Self::Ring],
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, RunError> {
        let scale = Amplitude::new(amplitude).to_scale(self.keys.parameters().ring().modulus())?;
        let sum = |(left, right): (&Self::Ring, &Self::Ring)| {
            let mut sum = left.clone();
            self.evaluator.add_assign(&mut sum, right)?;
            Ok(sum.with_scale(scale))
        };
        left.iter().zip(right).map(sum).collect()
    }
}
