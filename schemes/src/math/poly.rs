//! Polynomials of a [`Ring`], with their domain in the type.
//!
//! `data[i]` is the coefficient of `X^i` ([`Coeff`]) or the i-th value of the transform in its
//! bit-reversed order ([`Ntt`]), reduced modulo `q` in both.

use super::{MathError, Modulus, Ring};
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
    data: Vec<u64>,
    domain: PhantomData<D>,
}

impl<D> Poly<D> {
    fn from_reduced(ring: &Ring, data: Vec<u64>) -> Self {
        debug_assert_eq!(data.len(), ring.dimension());
        Self { ring: ring.clone(), data, domain: PhantomData }
    }

    /// The zero polynomial.
    #[must_use]
    pub fn zero(ring: &Ring) -> Self {
        Self::from_reduced(ring, vec![0; ring.dimension()])
    }

    /// A polynomial from `N` reduced values.
    ///
    /// # Errors
    /// [`MathError::Length`] or [`MathError::NotReduced`].
    pub fn from_values(ring: &Ring, data: Vec<u64>) -> Result<Self, MathError> {
        if data.len() != ring.dimension() {
            return Err(MathError::Length { expected: ring.dimension(), found: data.len() });
        }
        let modulus = ring.modulus().value();
        match data.iter().position(|&value| value >= modulus) {
            Some(index) => Err(MathError::NotReduced { index, modulus }),
            None => Ok(Self::from_reduced(ring, data)),
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

    fn combine(
        &mut self,
        other: &Self,
        operation: impl Fn(Modulus, u64, u64) -> u64,
    ) -> Result<(), MathError> {
        self.ring.check_same(&other.ring)?;
        let q = self.modulus();
        for (left, &right) in self.data.iter_mut().zip(&other.data) {
            *left = operation(q, *left, right);
        }
        Ok(())
    }

    /// `self = -self`.
    pub fn negate(&mut self) {
        let q = self.modulus();
        for value in &mut self.data {
            *value = q.neg(*value);
        }
    }

    /// `self *= scalar`, an integer reduced modulo `q`.
    pub fn scale(&mut self, scalar: i64) {
        let q = self.modulus();
        let constant = q.shoup(q.from_signed(scalar));
        for value in &mut self.data {
            *value = q.mul_shoup(*value, constant);
        }
    }
}

impl Poly<Coeff> {
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
        let mut product = Vec::with_capacity(n);
        let wrapped = self.data[n - shift..].iter();
        let kept = self.data[..n - shift].iter();
        if negative {
            product.extend(wrapped);
            product.extend(kept.map(|&value| q.neg(value)));
        } else {
            product.extend(wrapped.map(|&value| q.neg(value)));
            product.extend(kept);
        }
        Self::from_reduced(&self.ring, product)
    }

    /// The automorphism `X -> X^element`.
    ///
    /// # Errors
    /// [`MathError::GaloisElement`] where the element is even or not below `2N`.
    pub fn automorphism(&self, element: usize) -> Result<Self, MathError> {
        let n = self.data.len();
        if element.is_multiple_of(2) || element >= 2 * n {
            return Err(MathError::GaloisElement { element, dimension: n });
        }
        let q = self.modulus();
        let mut image = Self::zero(&self.ring);
        let mut target = 0; // i * element modulo 2N
        for &value in &self.data {
            let (index, negative) = (target & (n - 1), target >= n);
            image.data[index] = if negative { q.neg(value) } else { value };
            target = (target + element) & (2 * n - 1);
        }
        Ok(image)
    }
}

impl Poly<Ntt> {
    /// Back into the coefficient domain.
    #[must_use]
    pub fn into_coeff(mut self) -> Poly<Coeff> {
        self.ring.inverse(&mut self.data);
        Poly { ring: self.ring, data: self.data, domain: PhantomData }
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
            prop_assert_eq!(product.into_coeff().data, naive_product(&ring, &a.data, &b.data));
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
                a.mul_monomial(exponent).data,
                naive_product(&ring, &a.data, &power.data)
            );
            let element = 2 * half + 1;
            let mut image = Poly::<Coeff>::zero(&ring);
            for (i, &value) in a.data.iter().enumerate() {
                let mut term = monomial(&ring, i * element);
                term.scale(ring.modulus().to_signed(value));
                image.add_assign(&term).unwrap();
            }
            prop_assert_eq!(a.automorphism(element).unwrap(), image);
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
        assert!(zero.automorphism(4).is_err());
        assert!(zero.automorphism(2 * N + 1).is_err());
        let other = Ring::new(N, largest_ntt_prime(40, N).unwrap()).unwrap();
        let mut left = zero;
        assert!(matches!(
            left.add_assign(&Poly::zero(&other)),
            Err(MathError::RingMismatch { .. })
        ));
    }
}
