//! Products of ciphertexts with encrypted polynomials.
//!
//! A *gadget ciphertext* (RGSW: Gentry, Sahai, Waters, ePrint 2013/340, over rings) of a small integer
//! polynomial `w` encrypts `w g_r` and `w s g_r` for every row `r` of a [`Gadget`]. The *external
//! product* (Chillotti, Gama, Georgieva, Izabachène, ePrint 2018/421, section 3) writes both halves of
//! a ciphertext as digits and sums
//!
//! ```text
//! sum_r d_r(c0) Enc(w g_r) + sum_r d_r(c1) Enc(w s g_r) = Enc(w (c0 + c1 s)) = Enc(w m)
//! ```
//!
//! Digits and their transforms belong to the ciphertext ([`DecomposedCiphertext`]), so that they are
//! shared by all factors; what is left for each factor are sums of products, value by value, and one
//! inverse transform for each sum of products.
//!
//! `Enc(w s g_r)` is distributed as an encryption of zero with `w g_r` added to its mask: it needs no
//! assumption of circular security.

use super::{
    Ciphertext, Coeffs, Encryptor, Evaluator, Gadget, Packing, Parameters, Plaintext, RlweError,
    Scale, SecretKey, SeededSwitchingKey,
};
use crate::key_id::KeyId;
use crate::math::ntt::ROWS_AT_ONCE;
use crate::math::{Buffer, Coeff, Ntt, Poly, Ring};
use crate::security::LweInstance;
use crate::wire::{Conformant, Wire};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// The wire form of a [`GadgetCiphertext`]: the uniform halves are seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededGadgetCiphertext {
    scale: Scale,
    /// The rows of `w` and those of `w s`: both are keys that switch from a message to the secret.
    halves: [SeededSwitchingKey; 2],
}

impl Encryptor {
    /// The gadget ciphertext of an integer polynomial: `2 rows` encryptions with fresh noise.
    ///
    /// # Errors
    /// [`RlweError::Math`] where plaintext, key and parameters are of different rings,
    /// [`RlweError::Gadget`] for a gadget of another modulus.
    pub fn encrypt_gadget(
        &self,
        plaintext: &Plaintext<Coeffs>,
        gadget: Gadget,
        key: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<SeededGadgetCiphertext, RlweError> {
        self.parameters().ring().check_same(key.ring())?;
        key.ring().check_same(plaintext.poly.ring())?;
        let sigma = self.parameters().sigma();
        let mut half = |message: &Poly<Coeff>| {
            SeededSwitchingKey::of_message(message, key.id(), key, gadget, sigma, rng)
        };
        let first = half(&plaintext.poly)?;
        let mut times_secret = key.times(&plaintext.poly)?;
        let second = half(&times_secret);
        times_secret.zeroize();
        Ok(SeededGadgetCiphertext { scale: plaintext.scale, halves: [first, second?] })
    }
}

impl SeededGadgetCiphertext {
    /// The gadget ciphertext in transform order, ready for use.
    ///
    /// # Errors
    /// [`RlweError::Math`] or [`RlweError::ResidueWidth`] where it is of another ring.
    pub fn expand(&self, ring: &Ring) -> Result<GadgetCiphertext, RlweError> {
        let mut rows = Vec::new();
        for half in &self.halves {
            rows.extend(half.expand(ring)?.rows);
        }
        let [half, _] = &self.halves;
        let (gadget, key) = (half.gadget(), half.target());
        Ok(GadgetCiphertext { gadget, scale: self.scale, key, ring: ring.clone(), rows })
    }

    /// The gadget.
    #[must_use]
    pub fn gadget(&self) -> Gadget {
        self.halves[0].gadget()
    }

    /// The scale of the encrypted polynomial.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// The secret it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.halves[0].target()
    }

    #[cfg(test)]
    pub(super) fn with_second_half_of(&self, other: &Self) -> Self {
        let [first, second] = [&self.halves[0], &other.halves[1]];
        Self { scale: self.scale, halves: [first.clone(), second.clone()] }
    }

    /// The LWE instance that each row is.
    #[must_use]
    pub fn instance(&self) -> LweInstance {
        self.halves[0].instance()
    }
}

impl Wire for SeededGadgetCiphertext {
    const KIND: u16 = 50;
    const NAME: &'static str = "gadget ciphertext";
}

impl Conformant<Parameters> for SeededGadgetCiphertext {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        Scale::new(self.scale.value()).map_err(|error| error.to_string())?;
        let (gadget, key) = (self.gadget(), self.key());
        for half in &self.halves {
            half.conforms(parameters)?;
            if half.gadget() != gadget || half.source() != key || half.target() != key {
                return Err("the halves of a gadget ciphertext do not belong together".to_owned());
            }
        }
        Ok(())
    }
}

/// An encrypted polynomial that ciphertexts can be multiplied by.
#[derive(Debug, Clone)]
pub struct GadgetCiphertext {
    gadget: Gadget,
    scale: Scale,
    key: KeyId,
    ring: Ring,
    /// `[row][body, mask]`, the rows for digits of `c0` before those for digits of `c1`.
    pub(super) rows: Vec<[Poly<Ntt>; 2]>,
}

impl GadgetCiphertext {
    /// The gadget.
    #[must_use]
    pub fn gadget(&self) -> Gadget {
        self.gadget
    }

    /// The scale of the encrypted polynomial.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// The secret it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.len() * 2 * 8 * self.ring.dimension()
    }
}

/// A ciphertext as the transforms of its digits: what [`Evaluator::add_external_products`] reads.
#[derive(Debug, Clone)]
pub struct DecomposedCiphertext {
    gadget: Gadget,
    scale: Scale,
    key: KeyId,
    ring: Ring,
    /// Those of `c0`, then those of `c1`.
    digits: Vec<Poly<Ntt>>,
}

impl DecomposedCiphertext {
    /// The scale of the ciphertext.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.scale
    }

    fn check_factor(&self, factor: &GadgetCiphertext) -> Result<(), RlweError> {
        factor.key.check(self.key)?;
        factor.ring.check_same(&self.ring)?;
        if self.gadget == factor.gadget {
            return Ok(());
        }
        Err(RlweError::GadgetMismatch { expected: factor.gadget, found: self.gadget })
    }
}

impl Evaluator {
    /// Writes a ciphertext as digits, for products with gadget ciphertexts of the same gadget:
    /// `2 rows` forward transforms.
    ///
    /// # Errors
    /// [`RlweError::Math`] in another ring, [`RlweError::Gadget`] for a gadget of another modulus.
    pub fn decompose<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        gadget: Gadget,
    ) -> Result<DecomposedCiphertext, RlweError> {
        let (ring, modulus) = (self.ring(), self.ring().modulus());
        ring.check_same(ciphertext.ring())?;
        gadget.check(modulus)?;
        let mut digits = Vec::with_capacity(2 * gadget.rows());
        for part in [&ciphertext.c0, &ciphertext.c1] {
            let mut packed = Buffer::copy_of(part.values());
            gadget.pack_digits(&mut packed, modulus);
            for index in 0..gadget.rows() {
                let mut row = Poly::<Coeff>::stale(ring);
                gadget.write_row(&packed, index, modulus, row.values_mut());
                digits.push(row.into_ntt());
            }
        }
        let (scale, key) = (ciphertext.scale, ciphertext.key);
        Ok(DecomposedCiphertext { gadget, scale, key, ring: ring.clone(), digits })
    }

    /// `sum += sum_i ciphertext_i * factor_i`, with one inverse transform for the whole sum. Scales
    /// multiply, and every product must have that of `sum`; each adds the noise
    /// [`super::noise::external_product`].
    ///
    /// # Errors
    /// [`RlweError::Key`], [`RlweError::ScaleMismatch`], [`RlweError::GadgetMismatch`] or
    /// [`RlweError::Math`] where the operands do not belong together.
    pub fn add_external_products<P: Packing>(
        &self,
        sum: &mut Ciphertext<P>,
        terms: &[(&DecomposedCiphertext, &GadgetCiphertext)],
    ) -> Result<(), RlweError> {
        let ring = self.ring();
        ring.check_same(sum.ring())?;
        for (ciphertext, factor) in terms {
            ring.check_same(&ciphertext.ring)?;
            ciphertext.check_factor(factor)?;
            sum.key.check(factor.key)?;
            sum.scale.check_same(ciphertext.scale.times(factor.scale)?)?;
        }
        if terms.is_empty() {
            return Ok(());
        }
        let rows = terms.iter().flat_map(|(ciphertext, factor)| {
            let digits = ciphertext.digits.iter().map(Poly::values);
            digits.zip(factor.rows.iter().map(|row| row.each_ref().map(Poly::values)))
        });
        let (digits, rows): (Vec<&[u64]>, Vec<[&[u64]; 2]>) = rows.unzip();
        let mut lazy = [(); 2].map(|()| Buffer::stale(ring.dimension()));
        let chunks = digits.chunks(ROWS_AT_ONCE).zip(rows.chunks(ROWS_AT_ONCE));
        for (index, (digits, rows)) in chunks.enumerate() {
            let [first, second] = &mut lazy;
            ring.accumulate_rows([first, second], index == 0, digits, rows);
        }
        for (part, lazy) in [&mut sum.c0, &mut sum.c1].into_iter().zip(&mut lazy) {
            ring.add_inverse(part.values_mut(), lazy);
        }
        Ok(())
    }

    /// The product with an encrypted polynomial: scales multiply, the noise's variance grows by the
    /// sum of the polynomial's squared coefficients ([`super::noise::mul_plain`]), and
    /// [`super::noise::external_product`] is added.
    ///
    /// # Errors
    /// As [`Evaluator::decompose`] and [`Evaluator::add_external_products`].
    pub fn external_product<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        factor: &GadgetCiphertext,
    ) -> Result<Ciphertext<P>, RlweError> {
        let [c0, c1] = [(); 2].map(|()| Poly::zero(self.ring()));
        let scale = ciphertext.scale.times(factor.scale)?;
        let mut product = Ciphertext::from_parts(c0, c1, scale, ciphertext.key)?;
        let decomposed = self.decompose(ciphertext, factor.gadget)?;
        self.add_external_products(&mut product, &[(&decomposed, factor)])?;
        Ok(product)
    }
}
