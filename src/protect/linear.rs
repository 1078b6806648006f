//! Linear layers with encrypted weights and biases.

use crate::compile::LinearMap;
use crate::compile::program::{LinearOutput, Term};
use crate::run::encrypted::{LinearLayer, RunError, term_input};
use bellerophon_bridge::{self as bridge};
use bellerophon_schemes::rlwe::{
    Ciphertext, Coeffs, DecomposedCiphertext, Encoder, Evaluator, GadgetCiphertext, Plaintext,
    RlweError, Scale,
};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A linear layer whose weights and biases are encrypted, ready for use.
pub type EncryptedLinear = LinearMap<GadgetCiphertext, Ciphertext<Coeffs>>;

/// The digits of each ciphertext that a layer reads, by register and ciphertext.
type Decomposed = BTreeMap<(usize, usize), DecomposedCiphertext>;

impl LinearLayer for EncryptedLinear {
    fn apply(
        &self,
        evaluator: &Evaluator,
        _: &Encoder,
        inputs: &[&[Ciphertext<Coeffs>]],
        _: f64,
    ) -> Result<Vec<Ciphertext<Coeffs>>, RunError> {
        let digits = decompose(self, evaluator, inputs)?;
        let outputs = self.outputs.par_iter();
        outputs.map(|output| Ok(encrypted_output(output, evaluator, &digits)?)).collect()
    }
}

/// Writes each ciphertext as digits, once for all outputs that read it.
fn decompose(
    map: &EncryptedLinear,
    evaluator: &Evaluator,
    inputs: &[&[Ciphertext<Coeffs>]],
) -> Result<Decomposed, RunError> {
    let mut read = BTreeMap::new();
    for term in map.outputs.iter().flat_map(|output| &output.terms) {
        read.entry((term.register, term.ciphertext)).or_insert(term);
    }
    let digits = |(place, term): ((usize, usize), &Term<GadgetCiphertext>)| {
        let input = term_input(term, inputs)?;
        Ok((place, evaluator.decompose(input, term.weights.gadget())?))
    };
    read.into_par_iter().map(digits).collect()
}

fn encrypted_output(
    output: &LinearOutput<GadgetCiphertext, Ciphertext<Coeffs>>,
    evaluator: &Evaluator,
    digits: &Decomposed,
) -> Result<Ciphertext<Coeffs>, RlweError> {
    let term = |term: &'_ Term<GadgetCiphertext>| digits.get(&(term.register, term.ciphertext));
    let terms = output.terms.iter().filter_map(|t| Some((term(t)?, &t.weights)));
    let terms: Vec<_> = terms.collect();
    let mut sum = output.biases.clone();
    evaluator.add_external_products(&mut sum, &terms)?;
    Ok(sum)
}

/// The variance, in turns squared, that encrypted weights and biases add to an output of a linear
/// layer: an external product for each term, and the fresh noise of the bias.
#[must_use]
pub fn noise(parameters: &bridge::Parameters, output: &LinearOutput) -> f64 {
    let (ring, gadget) = (parameters.ring(), super::gadget(parameters.ring().modulus()));
    let each = |term: &Term| {
        let scale = Scale::new(1.0)?;
        let factor = Plaintext::from_terms(ring, &term.weights, scale)?;
        Ok(bridge::noise::external_product(parameters, gadget.clone()?, factor.poly()))
    };
    let terms: Result<f64, RlweError> = output.terms.iter().map(each).sum();
    terms.unwrap_or(f64::NAN) + bridge::noise::fresh(parameters)
}
