//! Polynomials of a [`Ring`], with their domain in the type.
//!
//! `data[i]` is the coefficient of `X^i` ([`Coeff`]) or the i-th value of the transform in its
//! bit-reversed order ([`Ntt`]), reduced modulo `q` in both.

use super::modulus::Halvings;
use super::{Buffer, MathError, Modulus, Permutation, Ring};
use std::marker::PhantomData;
use zeroize::Zeroize;

/// The coefficient domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coeff {}
/// The domain of the number-theoretic transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ntt {}

/// A polynomial of `Z_q[X]/(X^N + 1)` in domain `D`.
#[derive(Debug, Clone, PartialEq)]
pub struct Poly<D> {
    ring: Ring,
    data: Buffer,
    domain: PhantomData<D>,
}

impl<D> Poly<D> {
    fn from_reduced(ring: &Ring, data: Buffer) -> Self {
        debug_assert_eq!(data.len(), ring.dimension());
        Self { ring: ring.clone(), data, domain: PhantomData }
    }

    /// The zero polynomial.
    #[must_use]
    pub fn zero(ring: &Ring) -> Self {
        Self::from_reduced(ring, Buffer::zeroed(ring.dimension()))
    }

    /// A polynomial with arbitrary values, for results that are written in full.
    pub(crate) fn stale(ring: &Ring) -> Self {
        Self::from_reduced(ring, Buffer::stale(ring.dimension()))
    }

    /// A polynomial from `N` reduced values.
    ///
    /// # Errors
    /// [`MathError::Length`] or [`MathError::NotReduced`].
    pub fn from_values(ring: &Ring, data: Vec<u64>) -> Result<Self, MathError> {
        if data.len() != ring.dimension() {
            return Err(MathError::Length { expected: ring.dimension(), found: data.len() });
        }
        Self::fill(ring, |values| values.copy_from_slice(&data))
    }

    /// A polynomial whose `N` values, zero before, `write` writes.
    ///
    /// # Errors
    /// [`MathError::NotReduced`].
    pub fn fill(ring: &Ring, write: impl FnOnce(&mut [u64])) -> Result<Self, MathError> {
        let mut poly = Self::zero(ring);
        let data = poly.values_mut();
        write(data);
        let modulus = ring.modulus().value();
        let largest = data.iter().fold(0, |largest, &value| largest.max(value));
        let unreduced = || data.iter().position(|&value| value >= modulus);
        match (largest >= modulus).then(unreduced).flatten() {
            Some(index) => Err(MathError::NotReduced { index, modulus }),
            None => Ok(poly),
        }
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The modulus `q`.
    #[must_use]
    pub fn modulus(&self) -> Modulus {
        self.ring.modulus()
    }

    /// The `N` values.
    #[must_use]
    pub fn values(&self) -> &[u64] {
        &self.data
    }

    pub(crate) fn values_mut(&mut self) -> &mut [u64] {
        &mut self.data
    }

    /// `self += other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`].
    pub fn add_assign(&mut self, other: &Self) -> Result<(), MathError> {
        self.combine(other, Modulus::add)
    }

    /// `self -= other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`].
    pub fn sub_assign(&mut self, other: &Self) -> Result<(), MathError> {
        self.combine(other, Modulus::sub)
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`].
    pub fn plus(&self, other: &Self) -> Result<Self, MathError> {
        self.combined(other, Modulus::add)
    }

    /// `self - other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`].
    pub fn minus(&self, other: &Self) -> Result<Self, MathError> {
        self.combined(other, Modulus::sub)
    }

    /// One pass through memory where a copy and [`Poly::combine`] are two.
    fn combined(
        &self,
        other: &Self,
        operation: impl Fn(Modulus, u64, u64) -> u64,
    ) -> Result<Self, MathError> {
        self.ring.check_same(&other.ring)?;
        let q = self.modulus();
        let mut result = Self::stale(&self.ring);
        let operands = self.data.iter().zip(other.data.iter());
        for (value, (&left, &right)) in result.data.iter_mut().zip(operands) {
            *value = operation(q, left, right);
        }
        Ok(result)
    }

    fn combine(
        &mut self,
        other: &Self,
        operation: impl Fn(Modulus, u64, u64) -> u64,
    ) -> Result<(), MathError> {
        self.ring.check_same(&other.ring)?;
        let q = self.modulus();
        for (left, &right) in self.data.iter_mut().zip(other.data.iter()) {
            *left = operation(q, *left, right);
        }
        Ok(())
    }

    /// `self = -self`.
    pub fn negate(&mut self) {
        let q = self.modulus();
        for value in self.data.iter_mut() {
            *value = q.neg(*value);
        }
    }

    /// `self *= scalar`, an integer reduced modulo `q`.
    pub fn scale(&mut self, scalar: i64) {
        let q = self.modulus();
        let constant = q.shoup(q.from_signed(scalar));
        for value in self.data.iter_mut() {
            *value = q.mul_shoup(*value, constant);
        }
    }
}

impl Poly<Coeff> {
    /// `self /= 2^times`, modulo `q`.
    pub fn halve(&mut self, halvings: Halvings) {
        let q = self.modulus();
        for value in self.data.iter_mut() {
            *value = q.halve(*value, halvings);
        }
    }

    /// The polynomial with these signed coefficients, reduced modulo `q`.
    ///
    /// # Errors
    /// [`MathError::Length`].
    pub fn from_signed(ring: &Ring, coefficients: &[i64]) -> Result<Self, MathError> {
        let q = ring.modulus();
        Self::from_values(ring, coefficients.iter().map(|&c| q.from_signed(c)).collect())
    }

    /// The coefficients as integers in `[-q/2, q/2)`.
    #[must_use]
    pub fn to_signed(&self) -> Vec<i64> {
        let q = self.modulus();
        self.data.iter().map(|&value| q.to_signed(value)).collect()
    }

    /// Into the transformed domain.
    #[must_use]
    pub fn into_ntt(mut self) -> Poly<Ntt> {
        self.ring.forward(&mut self.data);
        Poly { ring: self.ring, data: self.data, domain: PhantomData }
    }

    /// `X^exponent * self`; the exponent counts modulo `2N`, so that negative powers are
    /// `2N - exponent`.
    #[must_use]
    pub fn mul_monomial(&self, exponent: usize) -> Self {
        let n = self.data.len();
        let q = self.modulus();
        let (shift, negative) = (exponent % n, exponent / n % 2 == 1);
        let mut product = Self::zero(&self.ring);
        let (low, high) = product.data.split_at_mut(shift);
        let (kept, wrapped) = self.data.split_at(n - shift);
        low.copy_from_slice(wrapped);
        high.copy_from_slice(kept);
        for value in if negative { high } else { low } {
            *value = q.neg(*value);
        }
        product
    }

    /// The automorphism `X -> X^element`.
    ///
    /// # Errors
    /// [`MathError::GaloisElement`] where the element is even or not below `2N`.
    pub fn automorphism(&self, element: usize) -> Result<Self, MathError> {
        let mut image = Self::zero(&self.ring);
        image.add_automorphism(self, element, 0)?;
        Ok(image)
    }

    /// `image = X^exponent * self(X^element)`, as `N` coefficients in `[0, q]`.
    ///
    /// # Errors
    /// [`MathError::GaloisElement`] where the element is even or not below `2N`.
    pub(crate) fn write_automorphism(
        &self,
        element: usize,
        exponent: usize,
        image: &mut [u64],
    ) -> Result<(), MathError> {
        self.map_automorphism(element, exponent, image, |slot, value| *slot = value)
    }

    /// `self += X^exponent * other(X^element)`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`]; [`MathError::GaloisElement`] where the element is even or not
    /// below `2N`.
    pub(crate) fn add_automorphism(
        &mut self,
        other: &Self,
        element: usize,
        exponent: usize,
    ) -> Result<(), MathError> {
        self.ring.check_same(&other.ring)?;
        let q = self.modulus().value();
        other.map_automorphism(element, exponent, &mut self.data, |slot, value| {
            let sum = *slot + value; // in [0, 2q)
            *slot = sum.min(sum.wrapping_sub(q));
        })
    }

    /// Calls `place` with the slot in `image` and the value, in `[0, q]`, of each coefficient of
    /// `X^exponent * self(X^element)`.
    fn map_automorphism(
        &self,
        element: usize,
        exponent: usize,
        image: &mut [u64],
        place: impl Fn(&mut u64, u64),
    ) -> Result<(), MathError> {
        let n = self.data.len();
        if element.is_multiple_of(2) || element >= 2 * n {
            return Err(MathError::GaloisElement { element, dimension: n });
        }
        let (q, image) = (self.modulus().value(), &mut image[..n]);
        let (mut values, mut target) = (self.data.iter(), exponent % (2 * n));
        loop {
            // a run of coefficients between two wraps by `X^N = -1`
            let (negative, mut index) = (target >= n, target % n);
            while index < n {
                let Some(&value) = values.next() else { return Ok(()) };
                place(&mut image[index], if negative { q - value } else { value });
                index += element;
            }
            target = (index + if negative { n } else { 0 }) % (2 * n);
        }
    }

    /// `(self, other) = (self + other, self - other)`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`].
    pub(crate) fn butterfly(&mut self, other: &mut Self) -> Result<(), MathError> {
        self.ring.check_same(&other.ring)?;
        let q = self.modulus();
        for (left, right) in self.data.iter_mut().zip(other.data.iter_mut()) {
            (*left, *right) = (q.add(*left, *right), q.sub(*left, *right));
        }
        Ok(())
    }
}

impl Poly<Ntt> {
    /// Back into the coefficient domain.
    #[must_use]
    pub fn into_coeff(mut self) -> Poly<Coeff> {
        self.ring.inverse(&mut self.data);
        Poly { ring: self.ring, data: self.data, domain: PhantomData }
    }

    /// `self * other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`].
    pub fn times(&self, other: &Self) -> Result<Self, MathError> {
        self.ring.check_same(&other.ring)?;
        let mut product = Self::stale(&self.ring);
        self.ring.multiply(&mut product.data, &self.data, &other.data);
        Ok(product)
    }

    /// `self *= other`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`].
    pub fn mul_assign(&mut self, other: &Self) -> Result<(), MathError> {
        self.ring.check_same(&other.ring)?;
        self.ring.multiply_assign(&mut self.data, &other.data);
        Ok(())
    }

    /// Brings the values into the form of constant operands: [`Ring::prepare`].
    pub(crate) fn prepare(&mut self) {
        self.ring.prepare(&mut self.data);
    }

    /// The image under an automorphism of the ring.
    #[must_use]
    pub(crate) fn permuted(&self, permutation: &Permutation) -> Self {
        let mut image = Self::stale(&self.ring);
        self.ring.permute(&mut image.data, &self.data, permutation);
        image
    }

    /// `self += left * right`.
    ///
    /// # Errors
    /// [`MathError::RingMismatch`].
    pub fn add_product(&mut self, left: &Self, right: &Self) -> Result<(), MathError> {
        self.ring.check_same(&left.ring)?;
        self.ring.check_same(&right.ring)?;
        self.ring.multiply_accumulate(&mut self.data, &left.data, &right.data);
        Ok(())
    }
}

impl<D> Zeroize for Poly<D> {
    fn zeroize(&mut self) {
        self.data.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::primes::largest_ntt_prime;
    use proptest::prelude::*;

    const N: usize = 32;

    fn ring() -> Ring {
        Ring::new(N, largest_ntt_prime(50, N).unwrap()).unwrap()
    }

    fn naive_product(ring: &Ring, a: &[u64], b: &[u64]) -> Vec<u64> {
        let q = ring.modulus();
        let mut product = vec![0; N];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let term = q.mul(x, y);
                let k = (i + j) % N;
                product[k] =
                    if i + j < N { q.add(product[k], term) } else { q.sub(product[k], term) };
            }
        }
        product
    }

    fn monomial(ring: &Ring, exponent: usize) -> Poly<Coeff> {
        let mut one = vec![0; N];
        one[exponent % N] = if exponent / N % 2 == 1 { ring.modulus().value() - 1 } else { 1 };
        Poly::from_values(ring, one).unwrap()
    }

    proptest! {
        #[test]
        fn transforms_multiply_and_round_trip(
            a in prop::collection::vec(any::<u64>(), N),
            b in prop::collection::vec(any::<u64>(), N),
        ) {
            let ring = ring();
            let reduce = |v: Vec<u64>| v.into_iter().map(|x| x % ring.modulus().value()).collect();
            let a = Poly::<Coeff>::from_values(&ring, reduce(a)).unwrap();
            let b = Poly::<Coeff>::from_values(&ring, reduce(b)).unwrap();
            prop_assert_eq!(&a.clone().into_ntt().into_coeff(), &a);
            let mut product = Poly::<Ntt>::zero(&ring);
            product.add_product(&a.clone().into_ntt(), &b.clone().into_ntt()).unwrap();
            prop_assert_eq!(product.into_coeff().values().to_vec(), naive_product(&ring, &a.data, &b.data));
        }

        #[test]
        fn monomials_and_automorphisms_match_products(
            a in prop::collection::vec(-1000i64..1000, N),
            exponent in 0usize..2 * N,
            half in 0usize..N,
        ) {
            let ring = ring();
            let a = Poly::from_signed(&ring, &a).unwrap();
            prop_assert_eq!(a.to_signed().len(), N);
            let power = monomial(&ring, exponent);
            prop_assert_eq!(
                a.mul_monomial(exponent).values().to_vec(),
                naive_product(&ring, &a.data, &power.data)
            );
            let element = 2 * half + 1;
            let mut image = Poly::<Coeff>::zero(&ring);
            for (i, &value) in a.data.iter().enumerate() {
                let mut term = monomial(&ring, i * element);
                term.scale(ring.modulus().to_signed(value));
                image.add_assign(&term).unwrap();
            }
            prop_assert_eq!(&a.automorphism(element).unwrap(), &image);

            let (mut sum, moved) = (a.clone(), image.mul_monomial(exponent));
            sum.add_automorphism(&a, element, exponent).unwrap();
            let mut difference = a.clone();
            difference.add_assign(&moved).unwrap();
            prop_assert_eq!(&sum, &difference);
            let q = ring.modulus().value();
            let mut written = vec![u64::MAX; N];
            a.write_automorphism(element, exponent, &mut written).unwrap();
            prop_assert!(written.iter().zip(moved.values()).all(|(w, &m)| w % q == m && *w <= q));

            let (mut left, mut right) = (a.clone(), image.clone());
            left.butterfly(&mut right).unwrap();
            sum = a.clone();
            sum.add_assign(&image).unwrap();
            difference = a;
            difference.sub_assign(&image).unwrap();
            prop_assert_eq!((left, right), (sum, difference));
        }
    }

    #[test]
    fn refuses_what_is_no_polynomial() {
        let ring = ring();
        let q = ring.modulus().value();
        assert!(matches!(
            Poly::<Coeff>::from_values(&ring, vec![0; 31]),
            Err(MathError::Length { expected: 32, found: 31 })
        ));
        let mut values = vec![0; N];
        values[7] = q;
        assert!(matches!(
            Poly::<Ntt>::from_values(&ring, values),
            Err(MathError::NotReduced { index: 7, .. })
        ));
        let zero = Poly::<Coeff>::zero(&ring);
        assert!(matches!(
            Poly::<Coeff>::fill(&ring, |values| values[3] = q),
            Err(MathError::NotReduced { index: 3, .. })
        ));
        assert!(zero.automorphism(4).is_err());
        assert!(zero.clone().add_automorphism(&zero, 2 * N + 1, 0).is_err());
        assert!(zero.automorphism(2 * N + 1).is_err());
        let other = Ring::new(N, largest_ntt_prime(40, N).unwrap()).unwrap();
        let mut left = zero;
        assert!(matches!(
            left.add_assign(&Poly::zero(&other)),
            Err(MathError::RingMismatch { .. })
        ));
        assert!(left.butterfly(&mut Poly::zero(&other)).is_err());
        assert!(left.add_automorphism(&Poly::zero(&other), 3, 0).is_err());
    }
}
