//! Polynomials modulo a product of primes, a residue polynomial for each, and the exact conversion of
//! small residues from one basis of primes to another.

use super::ntt::Factor;
use super::{Buffer, Coeff, MathError, Ntt, Permutation, Poly, Ring};
use rayon::prelude::*;
use zeroize::Zeroize;

/// A polynomial modulo `q_0 q_1 ...`: its residue modulo each prime, its *limbs*, in domain `D`.
#[derive(Debug, Clone, PartialEq)]
pub struct RnsPoly<D> {
    limbs: Vec<Poly<D>>,
}

impl<D: Send + Sync> RnsPoly<D> {
    /// The zero polynomial.
    #[must_use]
    pub fn zero(rings: &[Ring]) -> Self {
        Self { limbs: rings.iter().map(Poly::zero).collect() }
    }

    /// A polynomial from its limbs, all of one dimension.
    ///
    /// # Errors
    /// [`MathError::Length`] where the dimensions differ or there is no limb.
    pub fn from_limbs(limbs: Vec<Poly<D>>) -> Result<Self, MathError> {
        let expected = limbs.first().map_or(0, |limb| limb.ring().dimension());
        let other = limbs.iter().map(|limb| limb.ring().dimension()).find(|&n| n != expected);
        match other {
            None if expected > 0 => Ok(Self { limbs }),
            found => Err(MathError::Length { expected, found: found.unwrap_or(0) }),
        }
    }

    /// The limbs.
    #[must_use]
    pub fn limbs(&self) -> &[Poly<D>] {
        &self.limbs
    }

    pub(crate) fn limbs_mut(&mut self) -> &mut [Poly<D>] {
        &mut self.limbs
    }

    pub(crate) fn into_limbs(self) -> Vec<Poly<D>> {
        self.limbs
    }

    /// The ring dimension.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.limbs.first().map_or(0, |limb| limb.ring().dimension())
    }

    /// Forgets all limbs from the `count`-th on.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.limbs.truncate(count);
    }

    /// `self += other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`], [`MathError::Limbs`].
    pub fn add_assign(&mut self, other: &Self) -> Result<(), MathError> {
        self.pairs(other)?.try_for_each(|(left, right)| left.add_assign(right))
    }

    /// `self -= other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`], [`MathError::Limbs`].
    pub fn sub_assign(&mut self, other: &Self) -> Result<(), MathError> {
        self.pairs(other)?.try_for_each(|(left, right)| left.sub_assign(right))
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`], [`MathError::Limbs`].
    pub fn plus(&self, other: &Self) -> Result<Self, MathError> {
        self.combined(other, Poly::plus)
    }

    /// `self - other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`], [`MathError::Limbs`].
    pub fn minus(&self, other: &Self) -> Result<Self, MathError> {
        self.combined(other, Poly::minus)
    }

    fn combined(
        &self,
        other: &Self,
        operation: impl Fn(&Poly<D>, &Poly<D>) -> Result<Poly<D>, MathError>,
    ) -> Result<Self, MathError> {
        self.check_limbs(other)?;
        let limbs = self.limbs.iter().zip(&other.limbs);
        let limbs = limbs.map(|(left, right)| operation(left, right)).collect::<Result<_, _>>()?;
        Ok(Self { limbs })
    }

    /// `self = -self`.
    pub fn negate(&mut self) {
        self.limbs.iter_mut().for_each(Poly::negate);
    }

    /// `self *= scalar`.
    pub fn scale(&mut self, scalar: i64) {
        for limb in &mut self.limbs {
            let ring = limb.ring().clone();
            let factor = ring.factor(ring.modulus().from_signed(scalar));
            ring.scale(limb.values_mut(), factor);
        }
    }

    fn pairs<'a, E>(
        &'a mut self,
        other: &'a RnsPoly<E>,
    ) -> Result<impl Iterator<Item = (&'a mut Poly<D>, &'a Poly<E>)>, MathError> {
        self.check_limbs(other)?;
        Ok(self.limbs.iter_mut().zip(&other.limbs))
    }

    /// # Errors
    /// [`MathError::Limbs`] where the two have different numbers of limbs.
    pub(crate) fn check_limbs<E>(&self, other: &RnsPoly<E>) -> Result<(), MathError> {
        let (left, right) = (self.limbs.len(), other.limbs.len());
        if left == right { Ok(()) } else { Err(MathError::Limbs { left, right }) }
    }
}

impl RnsPoly<Coeff> {
    /// The polynomial with these signed coefficients.
    ///
    /// # Errors
    /// [`MathError::Length`].
    pub fn from_signed(rings: &[Ring], coefficients: &[i64]) -> Result<Self, MathError> {
        let limbs = rings.iter().map(|ring| Poly::from_signed(ring, coefficients));
        Ok(Self { limbs: limbs.collect::<Result<_, _>>()? })
    }

    /// Into the transformed domain.
    #[must_use]
    pub fn into_ntt(self) -> RnsPoly<Ntt> {
        RnsPoly { limbs: self.limbs.into_par_iter().map(Poly::into_ntt).collect() }
    }
}

impl RnsPoly<Ntt> {
    /// Back into the coefficient domain.
    #[must_use]
    pub fn into_coeff(self) -> RnsPoly<Coeff> {
        RnsPoly { limbs: self.limbs.into_par_iter().map(Poly::into_coeff).collect() }
    }

    /// `self * other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`], [`MathError::Limbs`].
    pub fn times(&self, other: &Self) -> Result<Self, MathError> {
        self.combined(other, Poly::times)
    }

    /// `self *= other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`], [`MathError::Limbs`].
    pub fn mul_assign(&mut self, other: &Self) -> Result<(), MathError> {
        self.pairs(other)?.try_for_each(|(left, right)| left.mul_assign(right))
    }

    /// `self += left * right`, of which as many limbs are used as `self` has.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`]; [`MathError::Limbs`] where an operand has fewer.
    pub fn add_product(&mut self, left: &Self, right: &Self) -> Result<(), MathError> {
        let (count, found) = (self.limbs.len(), left.limbs.len().min(right.limbs.len()));
        if found < count {
            return Err(MathError::Limbs { left: count, right: found });
        }
        let operands = left.limbs.iter().zip(&right.limbs);
        self.limbs.iter_mut().zip(operands).try_for_each(|(sum, (a, b))| sum.add_product(a, b))
    }

    /// The image under an automorphism.
    #[must_use]
    pub(crate) fn permuted(&self, permutation: &Permutation) -> Self {
        Self { limbs: self.limbs.iter().map(|limb| limb.permuted(permutation)).collect() }
    }
}

impl<D> Zeroize for RnsPoly<D> {
    fn zeroize(&mut self) {
        self.limbs.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Residues lifted out of a basis: `x = sum_i y_i Q/q_i - v Q`, the representative in
/// `[-Q/2, Q/2)` (to within the rounding of `v` in `f64`).
#[derive(Debug, Clone)]
pub(crate) struct Lifted {
    /// The `y_i`, each below `q_i`, then `v`.
    words: Vec<Buffer>,
}

/// Converts centred residues modulo `Q = q_1 ... q_k` to other primes, exactly: Halevi, Polyakov and
/// Shoup, ePrint 2018/117, section 2.2.
#[derive(Debug, Clone)]
pub(crate) struct BasisConversion {
    sources: Vec<Ring>,
    /// `(Q/q_i)^-1 / N` modulo `q_i`.
    inverses: Vec<Factor>,
    /// For each target, `Q/q_i` for each source, then `-Q`.
    factors: Vec<Vec<Factor>>,
    /// Whether all words to convert are below `2^50`.
    narrow: bool,
}

impl BasisConversion {
    /// Prepares the conversion from `sources` to `targets`.
    pub(crate) fn new(sources: &[Ring], targets: &[Ring]) -> Self {
        let others = |index: usize| {
            let others = sources.iter().enumerate().filter(move |(other, _)| *other != index);
            others.map(|(_, ring)| ring.modulus().value())
        };
        let inverses = sources.iter().enumerate().map(|(index, ring)| {
            let q = ring.modulus();
            let product = product(ring, others(index));
            let divisor = q.mul(product, ring.dimension() as u64 % q.value());
            ring.factor(q.inverse_of_prime(divisor))
        });
        let factors = targets.iter().map(|ring| {
            let cofactors = (0..sources.len()).map(|index| product(ring, others(index)));
            let whole = product(ring, sources.iter().map(|ring| ring.modulus().value()));
            let all = cofactors.chain([ring.modulus().neg(whole)]);
            all.map(|value| ring.factor(value)).collect()
        });
        let (inverses, factors) = (inverses.collect(), factors.collect());
        let narrow = sources.iter().all(|ring| ring.modulus().value() < 1 << 50);
        Self { sources: sources.to_vec(), inverses, factors, narrow }
    }

    /// Lifts the polynomial whose limbs, in the order of the sources, are these.
    pub(crate) fn lift(&self, limbs: &[&Poly<Ntt>]) -> Lifted {
        let inverse = |((limb, ring), &factor): ((&&Poly<Ntt>, &Ring), &Factor)| {
            let mut words = Buffer::copy_of(limb.values());
            ring.inverse_unscaled(&mut words);
            ring.scale(&mut words, factor);
            words
        };
        let sources = limbs.par_iter().zip(&self.sources).zip(&self.inverses);
        let mut words: Vec<Buffer> = sources.map(inverse).collect();
        words.push(self.quotients(&words));
        Lifted { words }
    }

    /// `v = round(sum_i y_i / q_i)`.
    fn quotients(&self, words: &[Buffer]) -> Buffer {
        const CHUNK: usize = 256;
        let mut quotients = Buffer::stale(words.first().map_or(0, |words| words.len()));
        for (chunk, quotients) in quotients.chunks_mut(CHUNK).enumerate() {
            let mut sums = [0.5f64; CHUNK];
            for (words, ring) in words.iter().zip(&self.sources) {
                let reciprocal = 1.0 / ring.modulus().value() as f64;
                for (sum, &word) in sums.iter_mut().zip(&words[chunk * CHUNK..]) {
                    *sum += word as f64 * reciprocal;
                }
            }
            for (quotient, &sum) in quotients.iter_mut().zip(&sums) {
                *quotient = sum as u64;
            }
        }
        quotients
    }

    /// Writes the residues of the lifted polynomial, its coefficients, modulo target `index`, which
    /// is `ring`.
    pub(crate) fn convert(&self, lifted: &Lifted, index: usize, ring: &Ring, target: &mut [u64]) {
        let words: Vec<&[u64]> = lifted.words.iter().map(|words| &words[..]).collect();
        ring.convert(target, &words, &self.factors[index], self.narrow);
    }
}

/// The product of integers modulo the ring's prime.
pub(crate) fn product(ring: &Ring, integers: impl IntoIterator<Item = u64>) -> u64 {
    let q = ring.modulus();
    integers.into_iter().fold(1 % q.value(), |product, integer| q.mul(product, integer % q.value()))
}

/// Divides by the product of some primes, rounding to the nearest: [`BasisConversion`] of the
/// remainder, which is then subtracted.
#[derive(Debug, Clone)]
pub(crate) struct Division {
    conversion: BasisConversion,
    /// The divisor's inverse modulo each remaining prime.
    inverses: Vec<Factor>,
}

impl Division {
    /// Prepares division by the product of the primes of `dropped`, for polynomials with limbs
    /// modulo those of `kept` too.
    pub(crate) fn new(dropped: &[Ring], kept: &[Ring]) -> Self {
        let inverse = |ring: &Ring| {
            let divisor = product(ring, dropped.iter().map(|ring| ring.modulus().value()));
            ring.factor(ring.modulus().inverse_of_prime(divisor))
        };
        let inverses = kept.iter().map(inverse).collect();
        Self { conversion: BasisConversion::new(dropped, kept), inverses }
    }

    /// The rounded quotient of the polynomial with limbs `kept`, a prefix of the kept ones, and
    /// `dropped`.
    pub(crate) fn divide(&self, kept: Vec<Poly<Ntt>>, dropped: &[&Poly<Ntt>]) -> RnsPoly<Ntt> {
        let lifted = self.conversion.lift(dropped);
        let limbs = kept.into_par_iter().enumerate().map(|(index, mut limb)| {
            let ring = limb.ring().clone();
            let mut remainder = Buffer::stale(ring.dimension());
            self.conversion.convert(&lifted, index, &ring, &mut remainder);
            ring.forward(&mut remainder);
            ring.sub_scale(limb.values_mut(), &remainder, self.inverses[index]);
            limb
        });
        RnsPoly { limbs: limbs.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::primes::nearest_ntt_prime;
    use proptest::prelude::*;

    const N: usize = 32;

    fn rings(bits: &[u32]) -> Vec<Ring> {
        let mut moduli = Vec::new();
        for &bits in bits {
            moduli.push(nearest_ntt_prime(bits, N, &moduli).unwrap());
        }
        moduli.into_iter().map(|q| Ring::new(N, q).unwrap()).collect()
    }

    fn primes() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(prop::sample::select(vec![30u32, 40, 49, 50, 58, 61]), 1..5)
    }

    fn small(integers: &[i64], rings: &[Ring]) -> RnsPoly<Ntt> {
        RnsPoly::from_signed(rings, integers).unwrap().into_ntt()
    }

    proptest! {
        /// Integers that one prime of the basis holds, so that they are their own representatives.
        #[test]
        fn conversions_keep_centred_integers(
            (sources, targets) in (primes(), primes()),
            integers in prop::collection::vec(-(1i64 << 27)..1 << 27, N),
        ) {
            let all = rings(&[sources.clone(), targets].concat());
            let (sources, targets) = all.split_at(sources.len());
            let conversion = BasisConversion::new(sources, targets);
            let poly = small(&integers, sources);
            let lifted = conversion.lift(&poly.limbs().iter().collect::<Vec<_>>());
            for (index, ring) in targets.iter().enumerate() {
                let mut found = vec![0; N];
                conversion.convert(&lifted, index, ring, &mut found);
                let expected = Poly::from_signed(ring, &integers).unwrap();
                prop_assert_eq!(&found[..], expected.values());
            }
        }

        #[test]
        fn division_rounds_to_the_nearest(
            integers in prop::collection::vec(-(1i64 << 48)..1 << 48, N),
        ) {
            let all = rings(&[50, 50, 20, 21]);
            let (kept, dropped) = all.split_at(2);
            let divisor: i64 = dropped.iter().map(|ring| ring.modulus().value() as i64).product();
            let division = Division::new(dropped, kept);
            let mut limbs = small(&integers, &all).into_limbs();
            let rest = limbs.split_off(2);
            let quotient = division.divide(limbs, &rest.iter().collect::<Vec<_>>());
            let nearest = |&x: &i64| (x as f64 / divisor as f64).round() as i64;
            let expected: Vec<i64> = integers.iter().map(nearest).collect();
            prop_assert_eq!(quotient, small(&expected, kept));
        }

        #[test]
        fn permutations_are_automorphisms(
            integers in prop::collection::vec(-1000i64..1000, N),
            half in 0..N,
        ) {
            // all kernels order their values alike
            for ring in rings(&[30, 40, 50, 58, 61]) {
                let poly = Poly::from_signed(&ring, &integers).unwrap();
                let image = poly.automorphism(2 * half + 1).unwrap().into_ntt();
                let order = Permutation::new(2 * half + 1, N).unwrap();
                prop_assert_eq!(poly.into_ntt().permuted(&order), image);
            }
        }

        #[test]
        fn limbs_are_independent(
            a in prop::collection::vec(-1000i64..1000, N),
            b in prop::collection::vec(-1000i64..1000, N),
        ) {
            let rings = rings(&[40, 50]);
            let [x, y] = [&a, &b].map(|integers| small(integers, &rings));
            let sum: Vec<i64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
            prop_assert_eq!(x.plus(&y).unwrap(), small(&sum, &rings));
            prop_assert_eq!(x.plus(&y).unwrap().minus(&y).unwrap(), x.clone());
            let mut product = x.clone();
            product.mul_assign(&y).unwrap();
            prop_assert_eq!(&product, &x.times(&y).unwrap());
            let mut other = RnsPoly::zero(&rings);
            other.add_product(&x, &y).unwrap();
            prop_assert_eq!(product.into_coeff(), other.into_coeff());
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let rings = rings(&[40, 50]);
        let mut poly: RnsPoly<Ntt> = RnsPoly::zero(&rings);
        let short = RnsPoly::zero(&rings[..1]);
        let limbs = MathError::Limbs { left: 2, right: 1 };
        assert_eq!(poly.add_assign(&short), Err(limbs.clone()));
        assert_eq!(poly.plus(&short), Err(limbs.clone()));
        assert_eq!(poly.add_product(&poly.clone(), &short), Err(limbs));
        let swapped = RnsPoly::zero(&[rings[1].clone(), rings[0].clone()]);
        assert!(matches!(poly.mul_assign(&swapped), Err(MathError::RingMismatch { .. })));
        assert!(RnsPoly::<Ntt>::from_limbs(Vec::new()).is_err());
        for element in [0, 2, 2 * N + 1] {
            assert!(matches!(Permutation::new(element, N), Err(MathError::GaloisElement { .. })));
        }
    }
}
