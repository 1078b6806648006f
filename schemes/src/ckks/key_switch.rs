//! Hybrid key switching (Han and Ki, ePrint 2019/688, section 3): digits of several primes, and
//! special primes whose product `P` divides the noise.
//!
//! A polynomial `c` modulo `q_0 ... q_l` is cut into digits `d_r`, the centred residues modulo groups
//! of primes. The key holds, modulo `q_0 ... q_L P`, encryptions of `P g_r s'` with `g_r` 1 modulo the
//! primes of group `r` and 0 modulo all others: then `sum_r d_r key_r` encrypts `P c s'`.

use super::ciphertext::{check_words, pack, uniform, unpack};
use super::parameters::SIGMA;
use super::{CkksError, Parameters};
use crate::key_id::KeyId;
use crate::math::ntt::ROWS_AT_ONCE;
use crate::math::rns::Lifted;
use crate::math::sampling::{self, Seed};
use crate::math::{Buffer, Ntt, Permutation, Poly, Ring, RnsPoly};
use crate::wire::{Conformant, PackedWords};
use rand::CryptoRng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The wire form of a [`SwitchingKey`]: the uniform halves are a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededSwitchingKey {
    level: usize,
    key: KeyId,
    seed: Seed,
    bodies: Vec<Vec<PackedWords>>,
}

impl SeededSwitchingKey {
    /// Encrypts `P g_r source` under `target` for each digit `r` of a polynomial at `level`; both are
    /// given modulo all primes, and `key` is the id of the target.
    pub(super) fn generate(
        parameters: &Parameters,
        source: &RnsPoly<Ntt>,
        target: &RnsPoly<Ntt>,
        (key, level): (KeyId, usize),
        rng: &mut impl CryptoRng,
    ) -> Result<Self, CkksError> {
        parameters.check_level("generating a switching key", level)?;
        let rings = parameters.extended_rings(level);
        let target = parameters.at_level(target, level)?;
        let seed = Seed::random(rng);
        let mut masks = seed.expand();
        let mut bodies = Vec::new();
        for digit in parameters.digit_ranges(level) {
            let mut product = uniform(&rings, &mut masks)?;
            product.mul_assign(&target)?;
            let noise = sampling::gaussian_integers(parameters.dimension(), SIGMA, rng);
            let mut body = RnsPoly::from_signed(&rings, &noise)?.into_ntt();
            body.sub_assign(&product)?;
            for limb in digit {
                let mut message = source.limbs()[limb].clone();
                parameters.times_special(limb, &mut message);
                body.limbs_mut()[limb].add_assign(&message)?;
            }
            bodies.push(pack(&body));
        }
        Ok(Self { level, key, seed, bodies })
    }

    /// The highest level of the polynomials that it switches.
    pub(super) fn level(&self) -> usize {
        self.level
    }

    /// The secret it switches to.
    pub(super) fn key(&self) -> KeyId {
        self.key
    }

    /// The key, ready for use.
    pub(super) fn expand(&self, parameters: &Parameters) -> Result<SwitchingKey, CkksError> {
        parameters.check_level("reading a switching key", self.level)?;
        let rings = parameters.extended_rings(self.level);
        let mut masks = self.seed.expand();
        let rows = self.bodies.iter().map(|body| {
            let mut row = [unpack(body, &rings)?, uniform(&rings, &mut masks)?];
            row[0].check_limbs(&row[1])?;
            for part in &mut row {
                part.limbs_mut().par_iter_mut().for_each(Poly::prepare);
            }
            Ok(row)
        });
        let rows = rows.collect::<Result<_, CkksError>>()?;
        Ok(SwitchingKey { level: self.level, key: self.key, rows })
    }
}

impl Conformant<Parameters> for SeededSwitchingKey {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        let level = parameters.check_level("reading a switching key", self.level);
        level.map_err(|error| error.to_string())?;
        let expected = parameters.digit_ranges(self.level).len();
        if self.bodies.len() != expected {
            return Err(format!("{} digits where {expected} belong", self.bodies.len()));
        }
        let rings = parameters.extended_rings(self.level);
        self.bodies.iter().try_for_each(|body| check_words(body, &rings))
    }
}

/// A polynomial modulo `q_0 ... q_l P`, in the transformed domain.
#[derive(Debug, Clone)]
pub(super) struct Extended(pub(super) RnsPoly<Ntt>);

impl Extended {
    pub(super) fn zero(parameters: &Parameters, level: usize) -> Self {
        Self(RnsPoly::zero(&parameters.extended_rings(level)))
    }

    /// `self += P poly`.
    pub(super) fn add_lifted(
        &mut self,
        parameters: &Parameters,
        poly: &RnsPoly<Ntt>,
    ) -> Result<(), CkksError> {
        for (index, (limb, term)) in self.0.limbs_mut().iter_mut().zip(poly.limbs()).enumerate() {
            let mut term = term.clone();
            parameters.times_special(index, &mut term);
            limb.add_assign(&term)?;
        }
        Ok(())
    }

    /// `round(self / P)`.
    pub(super) fn divide(self, parameters: &Parameters) -> RnsPoly<Ntt> {
        let mut kept = self.0.into_limbs();
        let dropped = kept.split_off(kept.len() - parameters.special_rings().len());
        let dropped: Vec<&Poly<Ntt>> = dropped.iter().collect();
        parameters.special_division().divide(kept, &dropped)
    }

    /// `round(self / (P q_l))`, at the level below, which must exist.
    pub(super) fn divide_and_rescale(self, parameters: &Parameters) -> RnsPoly<Ntt> {
        let mut kept = self.0.into_limbs();
        let mut dropped = kept.split_off(kept.len() - parameters.special_rings().len());
        dropped.extend(kept.pop());
        let division = parameters.special_rescale_division(kept.len());
        division.divide(kept, &dropped.iter().collect::<Vec<_>>())
    }
}

/// The digits of a polynomial.
struct Digits<'a> {
    parameters: &'a Parameters,
    poly: &'a RnsPoly<Ntt>,
    rings: Vec<Ring>,
    ranges: Vec<std::ops::RangeInclusive<usize>>,
    lifted: Vec<Lifted>,
}

impl<'a> Digits<'a> {
    fn new(parameters: &'a Parameters, poly: &'a RnsPoly<Ntt>) -> Self {
        let level = poly.limbs().len() - 1;
        let ranges = parameters.digit_ranges(level);
        let lift = |range: &std::ops::RangeInclusive<usize>| {
            let limbs: Vec<&Poly<Ntt>> = poly.limbs()[range.clone()].iter().collect();
            parameters.digit_conversion(*range.end()).lift(&limbs)
        };
        let lifted = ranges.par_iter().map(lift).collect();
        Self { parameters, poly, rings: parameters.extended_rings(level), ranges, lifted }
    }

    /// All digits modulo one prime, in the transformed domain.
    fn limb(&self, index: usize) -> Vec<Buffer> {
        let (ring, level) = (&self.rings[index], self.poly.limbs().len() - 1);
        let place =
            if index <= level { index } else { self.parameters.max_level() + index - level };
        let digits = self.ranges.iter().zip(&self.lifted).map(|(range, lifted)| {
            if range.contains(&index) {
                return Buffer::copy_of(self.poly.limbs()[index].values());
            }
            let mut row = Buffer::stale(ring.dimension());
            let conversion = self.parameters.digit_conversion(*range.end());
            conversion.convert(lifted, place, ring, &mut row);
            ring.forward(&mut row);
            row
        });
        digits.collect()
    }
}

/// Turns products with one secret into products with another: rows `(b, a)`, for each digit, with
/// `b + a t = P g_r s + e`.
#[derive(Debug, Clone)]
pub struct SwitchingKey {
    level: usize,
    key: KeyId,
    /// In the transformed domain, prepared for sums of products.
    rows: Vec<[RnsPoly<Ntt>; 2]>,
}

impl SwitchingKey {
    /// The highest level of the polynomials that it switches.
    #[must_use]
    pub fn level(&self) -> usize {
        self.level
    }

    /// The secret it switches to.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let parts = self.rows.iter().flatten();
        parts.map(|part| part.limbs().len() * part.dimension() * 8).sum()
    }

    /// An encryption of `P poly s` under the target.
    pub(super) fn product(
        &self,
        parameters: &Parameters,
        poly: &RnsPoly<Ntt>,
    ) -> Result<[Extended; 2], CkksError> {
        let mut products = products(parameters, poly, &[self])?;
        products.pop().ok_or(CkksError::MissingRelinearizationKey { level: self.level })
    }

    fn limb(&self, ring: &Ring, index: usize, level: usize, digits: &[Buffer]) -> [Poly<Ntt>; 2] {
        let place = if index <= level { index } else { self.level + index - level };
        let rows: Vec<&[u64]> = digits.iter().map(|digit| &digit[..]).collect();
        let keys: Vec<[&[u64]; 2]> = self
            .rows
            .iter()
            .map(|row| row.each_ref().map(|part| part.limbs()[place].values()))
            .collect();
        sum_of_products(ring, &rows, &keys)
    }
}

/// `sum_r left_r right_(r, k)` for the two `k`, of any number of rows; the right ones prepared.
pub(super) fn sum_of_products(
    ring: &Ring,
    left: &[&[u64]],
    right: &[[&[u64]; 2]],
) -> [Poly<Ntt>; 2] {
    let mut sums = [Poly::stale(ring), Poly::stale(ring)];
    let chunks = left.chunks(ROWS_AT_ONCE).zip(right.chunks(ROWS_AT_ONCE));
    for (index, (left, right)) in chunks.enumerate() {
        let [sum0, sum1] = &mut sums;
        let right = &right[..left.len().min(right.len())];
        ring.accumulate_rows([sum0.values_mut(), sum1.values_mut()], index == 0, left, right);
    }
    sums
}

/// [`SwitchingKey::product`] by each of these keys, with one decomposition into digits for all
/// (*hoisting*: Halevi and Shoup, ePrint 2018/244).
pub(super) fn products(
    parameters: &Parameters,
    poly: &RnsPoly<Ntt>,
    keys: &[&SwitchingKey],
) -> Result<Vec<[Extended; 2]>, CkksError> {
    let digits = Digits::new(parameters, poly);
    let level = poly.limbs().len() - 1;
    // the digits modulo one prime stay in the cache for all keys
    let limbs = digits.rings.par_iter().enumerate().map(|(index, ring)| {
        let digits = digits.limb(index);
        keys.iter().map(|key| key.limb(ring, index, level, &digits)).collect()
    });
    let limbs: Vec<Vec<[Poly<Ntt>; 2]>> = limbs.collect();
    let mut parts = vec![[Vec::new(), Vec::new()]; keys.len()];
    for limb in limbs {
        for ([first, second], [a, b]) in parts.iter_mut().zip(limb) {
            first.push(a);
            second.push(b);
        }
    }
    let extended = |[first, second]: [Vec<Poly<Ntt>>; 2]| {
        Ok([Extended(RnsPoly::from_limbs(first)?), Extended(RnsPoly::from_limbs(second)?)])
    };
    parts.into_iter().map(extended).collect()
}

/// Brings products of three parts back to two: it switches from `s^2`.
#[derive(Debug, Clone)]
pub struct RelinearizationKey(pub(super) SwitchingKey);

/// Applies one automorphism: it switches from `s` to the preimage of `s`, so that the automorphism
/// comes last and digits are shared by all automorphisms of a polynomial (Bossuat et al.,
/// ePrint 2020/1203, section 4.2).
#[derive(Debug, Clone)]
pub struct GaloisKey {
    element: usize,
    pub(super) key: SwitchingKey,
    pub(super) permutation: Permutation,
}

impl GaloisKey {
    pub(super) fn new(
        element: usize,
        key: SwitchingKey,
        parameters: &Parameters,
    ) -> Result<Self, CkksError> {
        let permutation = Permutation::new(element, parameters.dimension())?;
        Ok(Self { element, key, permutation })
    }

    /// The exponent of the automorphism.
    #[must_use]
    pub fn element(&self) -> usize {
        self.element
    }
}
