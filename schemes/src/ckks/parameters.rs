//! Parameters: a ring dimension and a chain of primes, checked for security when built.

use super::CkksError;
use crate::math::ntt::Factor;
use crate::math::rns::{self, BasisConversion, Division};
use crate::math::{Modulus, Ntt, Poly, Ring, RnsPoly, primes};
use crate::security::{LweInstance, SecretDistribution, SecurityLevel};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Standard deviation of fresh noise, in units of 1; that of the security tables.
pub const SIGMA: f64 = 3.2;

/// What a user chooses; unchecked. Secrets are uniform in {-1, 0, 1}.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParametersLiteral {
    /// `log2` of the ring dimension `N`: 11 to 16, and from 4 on for insecure parameters.
    pub log_dimension: u32,
    /// Bits of `q_0`, then of the prime of each level: at most 61, and below `2^50` (50 bits or less)
    /// where the fastest kernels are wanted.
    pub modulus_bits: Vec<u32>,
    /// Bits of the special primes, whose product `P` divides the noise of key switches.
    pub special_bits: Vec<u32>,
    /// The number of digits in a key switch at the highest level (`dnum`): more digits cost time and
    /// key size, fewer ask for a larger `P`.
    pub digits: usize,
}

/// A checked parameter set; cheap to clone.
#[derive(Debug, Clone)]
pub struct Parameters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    literal: ParametersLiteral,
    /// Modulo `q_0, ..., q_L`, then modulo the special primes.
    rings: Vec<Ring>,
    levels: usize,
    digit_length: usize,
    /// `[level]`: from the digit that ends at this level to all primes.
    digits: Vec<BasisConversion>,
    /// `P` modulo each prime of the chain.
    special_product: Vec<Factor>,
    /// Division by `P`.
    special: Division,
    /// `[level - 1]`: division by `q_level`.
    rescale: Vec<Division>,
    /// `[level - 1]`: division by `q_level P`.
    special_rescale: Vec<Division>,
}

impl Inner {
    fn new(literal: ParametersLiteral, rings: Vec<Ring>) -> Self {
        let levels = literal.modulus_bits.len();
        let digit_length = levels.div_ceil(literal.digits);
        let (chain, special) = rings.split_at(levels);
        let digit = |level: usize| {
            let begin = level - level % digit_length;
            BasisConversion::new(&chain[begin..=level], &rings)
        };
        let special_product = |ring: &Ring| {
            let primes = special.iter().map(|ring| ring.modulus().value());
            ring.factor(rns::product(ring, primes))
        };
        let both = |level: usize| [special, &chain[level..=level]].concat();
        Self {
            levels,
            digit_length,
            digits: (0..levels).map(digit).collect(),
            special_product: chain.iter().map(special_product).collect(),
            special: Division::new(special, chain),
            rescale: (1..levels)
                .map(|level| Division::new(&chain[level..=level], &chain[..level]))
                .collect(),
            special_rescale: (1..levels)
                .map(|level| Division::new(&both(level), &chain[..level]))
                .collect(),
            literal,
            rings,
        }
    }
}

impl Parameters {
    /// Finds the primes and checks that fresh ciphertexts and all keys reach `level`: log2 of
    /// `q_0 ... q_L P` is compared with the published limit.
    ///
    /// # Errors
    /// [`CkksError::Security`] below `level`, [`CkksError::Math`] where a prime does not exist,
    /// [`CkksError::Parameter`] for empty or impossible lists.
    pub fn new(literal: ParametersLiteral, level: SecurityLevel) -> Result<Self, CkksError> {
        let parameters = Self::insecure_unchecked(literal)?;
        parameters.instance().require(level)?;
        Ok(parameters)
    }

    /// Finds the primes without any check of security: for tests only.
    ///
    /// # Errors
    /// As [`Parameters::new`], without [`CkksError::Security`].
    pub fn insecure_unchecked(literal: ParametersLiteral) -> Result<Self, CkksError> {
        check(&literal)?;
        let dimension = 1 << literal.log_dimension;
        let mut moduli: Vec<Modulus> = Vec::new();
        for &bits in literal.modulus_bits.iter().chain(&literal.special_bits) {
            moduli.push(primes::nearest_ntt_prime(bits, dimension, &moduli)?);
        }
        let rings =
            moduli.into_iter().map(|q| Ring::new(dimension, q)).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner::new(literal, rings))))
    }

    /// The literal that these parameters were built from.
    #[must_use]
    pub fn literal(&self) -> &ParametersLiteral {
        &self.0.literal
    }

    /// The ring dimension `N`.
    #[must_use]
    pub fn dimension(&self) -> usize {
        1 << self.0.literal.log_dimension
    }

    /// The number of slots, `N/2`.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.dimension() / 2
    }

    /// The highest level `L`: how many rescalings a fresh ciphertext allows.
    #[must_use]
    pub fn max_level(&self) -> usize {
        self.0.levels - 1
    }

    /// The rings modulo `q_0, ..., q_L`.
    #[must_use]
    pub fn rings(&self) -> &[Ring] {
        &self.0.rings[..self.0.levels]
    }

    /// The rings modulo the special primes.
    #[must_use]
    pub fn special_rings(&self) -> &[Ring] {
        &self.0.rings[self.0.levels..]
    }

    /// The rings modulo `q_0, ..., q_level` and the special primes.
    pub(super) fn extended_rings(&self, level: usize) -> Vec<Ring> {
        [&self.rings()[..=level], self.special_rings()].concat()
    }

    /// The prime of a level.
    ///
    /// # Errors
    /// [`CkksError::Level`] above the highest.
    pub fn modulus(&self, level: usize) -> Result<Modulus, CkksError> {
        self.check_level("reading a prime", level)?;
        Ok(self.0.rings[level].modulus())
    }

    /// Levels in one digit of a key switch.
    #[must_use]
    pub fn digit_length(&self) -> usize {
        self.0.digit_length
    }

    /// The levels of each digit of a polynomial at `level`.
    pub(super) fn digit_ranges(&self, level: usize) -> Vec<std::ops::RangeInclusive<usize>> {
        let length = self.0.digit_length;
        (0..=level).step_by(length).map(|begin| begin..=(begin + length - 1).min(level)).collect()
    }

    /// The conversion out of the digit whose last level this is.
    pub(super) fn digit_conversion(&self, last: usize) -> &BasisConversion {
        &self.0.digits[last]
    }

    /// `limb *= P`, modulo the prime of level `index`.
    pub(super) fn times_special(&self, index: usize, limb: &mut Poly<Ntt>) {
        let ring = &self.0.rings[index];
        ring.scale(limb.values_mut(), self.0.special_product[index]);
    }

    /// Of a polynomial modulo all primes, what is modulo those of `level` and the special ones.
    pub(super) fn at_level(
        &self,
        poly: &RnsPoly<Ntt>,
        level: usize,
    ) -> Result<RnsPoly<Ntt>, CkksError> {
        let (chain, special) = poly.limbs().split_at(self.0.levels);
        Ok(RnsPoly::from_limbs([&chain[..=level], special].concat())?)
    }

    pub(super) fn special_division(&self) -> &Division {
        &self.0.special
    }

    /// Division by the prime of `level`, which is at least 1.
    pub(super) fn rescale_division(&self, level: usize) -> &Division {
        &self.0.rescale[level - 1]
    }

    /// Division by the prime of `level`, which is at least 1, and by `P`.
    pub(super) fn special_rescale_division(&self, level: usize) -> &Division {
        &self.0.special_rescale[level - 1]
    }

    /// `log2(q_0 ... q_level)`.
    #[must_use]
    pub fn log2_modulus(&self, level: usize) -> f64 {
        self.rings().iter().take(level + 1).map(|ring| ring.modulus().log2()).sum()
    }

    /// `log2 P`.
    #[must_use]
    pub fn log2_special(&self) -> f64 {
        self.special_rings().iter().map(|ring| ring.modulus().log2()).sum()
    }

    /// `log2(q_0 ... q_L P)`, on which security depends.
    #[must_use]
    pub fn log2_qp(&self) -> f64 {
        self.log2_modulus(self.max_level()) + self.log2_special()
    }

    /// The LWE instance of the evaluation keys, the weakest that anyone sees.
    #[must_use]
    pub fn instance(&self) -> LweInstance {
        LweInstance {
            dimension: self.dimension(),
            log2_modulus: self.log2_qp(),
            log2_std: SIGMA.log2() - self.log2_qp(),
            distribution: SecretDistribution::Ternary,
        }
    }

    /// The Galois element of a rotation: slot `j` of the image is slot `j + steps`.
    #[must_use]
    pub fn rotation_element(&self, steps: i64) -> usize {
        let order = self.slots() as i64;
        let period = 2 * self.dimension();
        let mut square = 5 % period;
        let mut exponent = steps.rem_euclid(order);
        let mut element = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                element = element * square % period;
            }
            square = square * square % period;
            exponent >>= 1;
        }
        element
    }

    /// The Galois element of complex conjugation.
    #[must_use]
    pub fn conjugation_element(&self) -> usize {
        2 * self.dimension() - 1
    }

    pub(super) fn check_level(
        &self,
        operation: &'static str,
        level: usize,
    ) -> Result<(), CkksError> {
        if level <= self.max_level() {
            return Ok(());
        }
        Err(CkksError::Level { operation, needed: level, found: self.max_level() })
    }
}

impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.literal == other.0.literal
    }
}

fn check(literal: &ParametersLiteral) -> Result<(), CkksError> {
    let refuse = |what, value, allowed| Err(CkksError::Parameter { what, value, allowed });
    let levels = literal.modulus_bits.len();
    if !(4..=16).contains(&literal.log_dimension) {
        return refuse("log_dimension", literal.log_dimension as usize, "4 to 16");
    }
    if !(1..=128).contains(&levels) {
        return refuse("the number of primes", levels, "1 to 128");
    }
    if !(1..=16).contains(&literal.special_bits.len()) {
        return refuse("the number of special primes", literal.special_bits.len(), "1 to 16");
    }
    if !(1..=levels).contains(&literal.digits) {
        return refuse("digits", literal.digits, "1 to the number of primes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal() -> ParametersLiteral {
        ParametersLiteral {
            log_dimension: 13,
            modulus_bits: vec![49, 40, 40],
            special_bits: vec![43, 42],
            digits: 2,
        }
    }

    #[test]
    fn accepts_the_published_limit_and_refuses_beyond() {
        let parameters = Parameters::new(literal(), SecurityLevel::Bits128).unwrap();
        assert!((parameters.log2_qp() - 214.0).abs() < 0.01);
        let mut wide = literal();
        wide.modulus_bits[2] = 41; // one bit above
        assert!(matches!(
            Parameters::new(wide, SecurityLevel::Bits128),
            Err(CkksError::Security(_))
        ));
        assert!(Parameters::new(literal(), SecurityLevel::Bits192).is_err());
    }

    #[test]
    fn chooses_distinct_primes_near_their_sizes() {
        let mut literal = literal();
        literal.modulus_bits = vec![50, 40, 40, 40, 40, 40, 40, 61, 30];
        let parameters = Parameters::insecure_unchecked(literal.clone()).unwrap();
        let rings = [parameters.rings(), parameters.special_rings()].concat();
        let mut moduli: Vec<u64> = rings.iter().map(|ring| ring.modulus().value()).collect();
        assert!(moduli[0] < 1 << 50);
        let bits = literal.modulus_bits.iter().chain(&literal.special_bits);
        for (&q, &bits) in moduli.iter().zip(bits) {
            let ratio = q as f64 / f64::from(bits).exp2();
            assert!(tfhe_ntt::prime::is_prime64(q) && (ratio - 1.0).abs() < 1e-2, "{q} {bits}");
        }
        moduli.sort_unstable();
        moduli.dedup();
        assert_eq!(moduli.len(), rings.len());
    }

    #[test]
    fn refuses_what_is_no_chain() {
        let refused = |change: &dyn Fn(&mut ParametersLiteral)| {
            let mut literal = literal();
            change(&mut literal);
            Parameters::insecure_unchecked(literal).unwrap_err()
        };
        for error in [
            refused(&|literal| literal.log_dimension = 17),
            refused(&|literal| literal.modulus_bits.clear()),
            refused(&|literal| literal.special_bits.clear()),
            refused(&|literal| literal.digits = 0),
            refused(&|literal| literal.digits = 4),
        ] {
            assert!(matches!(error, CkksError::Parameter { .. }), "{error}");
        }
        assert!(matches!(refused(&|literal| literal.modulus_bits[1] = 62), CkksError::Math(_)));
        assert!(matches!(refused(&|literal| literal.modulus_bits[1] = 9), CkksError::Math(_)));
    }

    #[test]
    fn rotations_compose() {
        let parameters = Parameters::insecure_unchecked(literal()).unwrap();
        let period = 2 * parameters.dimension();
        let element = |steps| parameters.rotation_element(steps);
        assert_eq!((element(0), element(1), element(2)), (1, 5, 25));
        assert_eq!(element(-1) * 5 % period, 1);
        assert_eq!(element(100) * element(-37) % period, element(63));
        assert_eq!(element(parameters.slots() as i64), 1);
    }
}
