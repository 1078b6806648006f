//! Switching keys and Galois keys: seeded (wire form) and expanded (in transform order).

use super::ciphertext::{check_words, pack, unpack};
use super::{Ciphertext, CkksError, Gadget, Packing, Parameters, SecretKey};
use crate::key_id::KeyId;
use crate::math::sampling::{self, Seed};
use crate::math::{Coeff, Ntt, Poly, Ring};
use crate::security::LweInstance;
use crate::wire::{Conformant, PackedWords};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};

/// The wire form of a [`SwitchingKey`]: the uniform halves are a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededSwitchingKey {
    gadget: Gadget,
    source: KeyId,
    target: KeyId,
    instance: LweInstance,
    seed: Seed,
    bodies: Vec<PackedWords>,
}

impl SeededSwitchingKey {
    /// Encrypts `g_r source(X)` under `target` for each row of the gadget, with noise of standard
    /// deviation `sigma` (units of 1).
    ///
    /// # Errors
    /// [`CkksError::Math`] where the two secrets are of different rings.
    pub fn generate(
        source: &SecretKey,
        target: &SecretKey,
        gadget: Gadget,
        sigma: f64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, CkksError> {
        let secret = Poly::from_signed(source.ring(), source.coefficients())?;
        Self::of_message(&secret, source.id(), target, gadget, sigma, rng)
    }

    /// As [`SeededSwitchingKey::generate`], with the source given as a polynomial.
    pub(super) fn of_message(
        message: &Poly<Coeff>,
        source: KeyId,
        target: &SecretKey,
        gadget: Gadget,
        sigma: f64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, CkksError> {
        let ring = target.ring();
        super::parameters::check_sigma(sigma, ring)?;
        gadget.check(ring.modulus())?;
        let seed = Seed::random(rng);
        let mut masks = seed.expand();
        let mut bodies = Vec::with_capacity(gadget.rows());
        for constant in gadget.constants(ring.modulus()) {
            let mut body = message.clone();
            body.scale(ring.modulus().to_signed(constant));
            body.add_assign(&sampling::gaussian(ring, sigma, rng))?;
            body.sub_assign(&target.times(&sampling::uniform(ring, &mut masks))?)?;
            bodies.push(pack(&body));
        }
        let instance = target.instance(sigma);
        Ok(Self { gadget, source, target: target.id(), instance, seed, bodies })
    }

    /// The key in transform order, ready for use.
    ///
    /// # Errors
    /// [`CkksError::Math`] or [`CkksError::ResidueWidth`] where the key is of another ring.
    pub fn expand(&self, ring: &Ring) -> Result<SwitchingKey, CkksError> {
        let mut masks = self.seed.expand();
        let rows = self
            .bodies
            .iter()
            .map(|body| {
                let mask = sampling::uniform::<Coeff>(ring, &mut masks);
                Ok([unpack(body, ring)?.into_ntt(), mask.into_ntt()])
            })
            .collect::<Result<_, CkksError>>()?;
        Ok(SwitchingKey {
            gadget: self.gadget,
            source: self.source,
            target: self.target,
            ring: ring.clone(),
            rows,
        })
    }

    /// The LWE instance that each row is.
    #[must_use]
    pub fn instance(&self) -> LweInstance {
        self.instance
    }

    /// The secret it switches from.
    #[must_use]
    pub fn source(&self) -> KeyId {
        self.source
    }

    /// The secret it switches to.
    #[must_use]
    pub fn target(&self) -> KeyId {
        self.target
    }

    /// The gadget.
    #[must_use]
    pub fn gadget(&self) -> Gadget {
        self.gadget
    }
}

impl Conformant<Parameters> for SeededSwitchingKey {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        let ring = parameters.ring();
        self.gadget.check(ring.modulus()).map_err(|error| error.to_string())?;
        let expected = self.gadget.rows();
        if self.bodies.len() != expected {
            return Err(format!("{} rows where {expected} belong", self.bodies.len()));
        }
        self.bodies.iter().try_for_each(|body| check_words(body, ring))
    }
}

/// Re-encrypts ciphertexts from the secret `source` to the secret `target`.
#[derive(Debug, Clone)]
pub struct SwitchingKey {
    gadget: Gadget,
    source: KeyId,
    target: KeyId,
    ring: Ring,
    /// `[row][body, mask]` with `body + mask t = g_r s + e`.
    pub(super) rows: Vec<[Poly<Ntt>; 2]>,
}

impl SwitchingKey {
    /// Switches a ciphertext from [`SwitchingKey::source`] to [`SwitchingKey::target`]: same level
    /// and scale, noise [`super::noise::key_switch`] added.
    ///
    /// # Errors
    /// [`CkksError::Key`] where the ciphertext is under another secret, [`CkksError::Math`] in
    /// another ring.
    pub fn switch<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
    ) -> Result<Ciphertext<P>, CkksError> {
        self.source.check(ciphertext.key)?;
        let [mut c0, c1] = self.product(&ciphertext.c1)?;
        c0.add_assign(&ciphertext.c0)?;
        Ciphertext::from_parts(c0, c1, ciphertext.scale, self.target)
    }

    /// `sum_r d_r(poly) (body_r, mask_r)`, an encryption of `poly * source` under the target.
    fn product(&self, poly: &Poly<Coeff>) -> Result<[Poly<Coeff>; 2], CkksError> {
        self.ring.check_same(poly.ring())?;
        let mut sums = [Poly::<Ntt>::zero(&self.ring), Poly::<Ntt>::zero(&self.ring)];
        let mut rows = self.rows.iter();
        let mut outcome = Ok(());
        self.gadget.decompose(poly, |digits| {
            let digits = digits.into_ntt();
            for (sum, part) in sums.iter_mut().zip(rows.next().into_iter().flatten()) {
                let added = sum.add_product(&digits, part);
                outcome = std::mem::replace(&mut outcome, Ok(())).and(added);
            }
        });
        outcome?;
        Ok(sums.map(Poly::into_coeff))
    }

    /// The secret it switches from.
    #[must_use]
    pub fn source(&self) -> KeyId {
        self.source
    }

    /// The secret it switches to.
    #[must_use]
    pub fn target(&self) -> KeyId {
        self.target
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.len() * 2 * 8 * self.ring.dimension()
    }
}

/// The wire form of a [`GaloisKey`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededGaloisKey {
    element: usize,
    key: SeededSwitchingKey,
}

impl SeededGaloisKey {
    /// The key for `X -> X^element`: it switches from `s(X^element)` back to `s(X)`.
    ///
    /// # Errors
    /// [`CkksError::Math`] where the element is no automorphism of the ring.
    pub fn generate(
        secret: &SecretKey,
        element: usize,
        gadget: Gadget,
        sigma: f64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, CkksError> {
        let message = Poly::from_signed(secret.ring(), secret.coefficients())?;
        let image = message.automorphism(element)?;
        let key = SeededSwitchingKey::of_message(&image, secret.id(), secret, gadget, sigma, rng)?;
        Ok(Self { element, key })
    }

    /// The key in transform order, ready for use.
    ///
    /// # Errors
    /// [`CkksError::Math`] or [`CkksError::ResidueWidth`] where the key is of another ring.
    pub fn expand(&self, ring: &Ring) -> Result<GaloisKey, CkksError> {
        Ok(GaloisKey { element: self.element, key: self.key.expand(ring)? })
    }

    /// The exponent of the automorphism.
    #[must_use]
    pub fn element(&self) -> usize {
        self.element
    }

    /// The switching key within.
    #[must_use]
    pub fn switching_key(&self) -> &SeededSwitchingKey {
        &self.key
    }
}

impl Conformant<Parameters> for SeededGaloisKey {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        if self.element.is_multiple_of(2) || self.element >= 2 * parameters.ring().dimension() {
            return Err(format!("{} is no Galois element of the ring", self.element));
        }
        self.key.conforms(parameters)
    }
}

/// Applies one automorphism of the ring to a ciphertext.
#[derive(Debug, Clone)]
pub struct GaloisKey {
    element: usize,
    key: SwitchingKey,
}

impl GaloisKey {
    /// The ciphertext of `m(X^element)`: same level and scale, noise
    /// [`super::noise::key_switch`] added.
    ///
    /// # Errors
    /// [`CkksError::Key`] under another secret, [`CkksError::Math`] in another ring.
    pub fn apply<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
    ) -> Result<Ciphertext<P>, CkksError> {
        let image = Ciphertext::from_parts(
            ciphertext.c0.automorphism(self.element)?,
            ciphertext.c1.automorphism(self.element)?,
            ciphertext.scale,
            ciphertext.key,
        )?;
        self.key.switch(&image)
    }

    /// The exponent of the automorphism.
    #[must_use]
    pub fn element(&self) -> usize {
        self.element
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key.bytes()
    }
}
