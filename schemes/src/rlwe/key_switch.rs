//! Switching keys and Galois keys: seeded (wire form) and expanded (in transform order).

use super::ciphertext::{check_words, pack, unpack};
use super::{Ciphertext, Gadget, Packing, Parameters, RlweError, SecretKey};
use crate::key_id::KeyId;
use crate::math::ntt::ROWS_AT_ONCE;
use crate::math::sampling::{self, Seed};
use crate::math::{Buffer, Coeff, MathError, Ntt, Poly, Ring};
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
    /// [`RlweError::Math`] where the two secrets are of different rings.
    pub fn generate(
        source: &SecretKey,
        target: &SecretKey,
        gadget: Gadget,
        sigma: f64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, RlweError> {
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
    ) -> Result<Self, RlweError> {
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
    /// [`RlweError::Math`] or [`RlweError::ResidueWidth`] where the key is of another ring.
    pub fn expand(&self, ring: &Ring) -> Result<SwitchingKey, RlweError> {
        let mut masks = self.seed.expand();
        let rows = self
            .bodies
            .iter()
            .map(|body| {
                let mask = sampling::uniform::<Coeff>(ring, &mut masks);
                Ok([unpack(body, ring)?.into_ntt(), mask.into_ntt()])
            })
            .collect::<Result<_, RlweError>>()?;
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

/// Buffers that one key switch after the other uses, in one ring and one thread.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// First the polynomial to be switched, then its digits.
    digits: Buffer,
    /// Rows of digits as residues, then their transforms, one after the other.
    rows: Buffer,
    /// What is added to `c0` and `c1`.
    sums: [Buffer; 2],
}

impl Workspace {
    /// Buffers for `ring`.
    #[must_use]
    pub fn new(ring: &Ring) -> Self {
        let buffer = |polys: usize| Buffer::zeroed(polys * ring.dimension());
        Self { digits: buffer(1), rows: buffer(ROWS_AT_ONCE), sums: [buffer(1), buffer(1)] }
    }

    fn check(&self, ring: &Ring) -> Result<(), MathError> {
        let (expected, found) = (ring.dimension(), self.digits.len());
        if expected == found { Ok(()) } else { Err(MathError::Length { expected, found }) }
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
    /// [`RlweError::Key`] where the ciphertext is under another secret, [`RlweError::Math`] in
    /// another ring.
    pub fn switch<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
    ) -> Result<Ciphertext<P>, RlweError> {
        self.source.check(ciphertext.key)?;
        self.ring.check_same(ciphertext.ring())?;
        let mut workspace = Workspace::new(&self.ring);
        workspace.digits.copy_from_slice(ciphertext.c1.values());
        let mut c0 = ciphertext.c0.clone();
        let mut c1 = Poly::zero(&self.ring);
        self.add_product([&mut c0, &mut c1], &mut workspace);
        Ciphertext::from_parts(c0, c1, ciphertext.scale, self.target)
    }

    /// `target += sum_r d_r (body_r, mask_r)` with the `d_r` of the polynomial in `digits`: an
    /// encryption of it times the source, under the target.
    fn add_product(&self, target: [&mut Poly<Coeff>; 2], workspace: &mut Workspace) {
        let Workspace { digits, rows, sums } = workspace;
        let modulus = self.ring.modulus();
        self.gadget.pack_digits(digits, modulus);
        let n = self.ring.dimension();
        for (chunk, parts) in self.rows.chunks(ROWS_AT_ONCE).enumerate() {
            for (index, row) in rows.chunks_exact_mut(n).take(parts.len()).enumerate() {
                self.gadget.write_row(digits, chunk * ROWS_AT_ONCE + index, modulus, row);
                self.ring.forward(row);
            }
            let parts: Vec<[&[u64]; 2]> =
                parts.iter().map(|parts| parts.each_ref().map(Poly::values)).collect();
            let rows: Vec<&[u64]> = rows.chunks_exact(n).take(parts.len()).collect();
            let [sum0, sum1] = &mut *sums;
            self.ring.accumulate_rows([sum0, sum1], chunk == 0, &rows, &parts);
        }
        for (part, sum) in target.into_iter().zip(sums) {
            self.ring.add_inverse(part.values_mut(), sum);
        }
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
    /// [`RlweError::Math`] where the element is no automorphism of the ring.
    pub fn generate(
        secret: &SecretKey,
        element: usize,
        gadget: Gadget,
        sigma: f64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, RlweError> {
        let message = Poly::from_signed(secret.ring(), secret.coefficients())?;
        let image = message.automorphism(element)?;
        let key = SeededSwitchingKey::of_message(&image, secret.id(), secret, gadget, sigma, rng)?;
        Ok(Self { element, key })
    }

    /// The key in transform order, ready for use.
    ///
    /// # Errors
    /// [`RlweError::Math`] or [`RlweError::ResidueWidth`] where the key is of another ring.
    pub fn expand(&self, ring: &Ring) -> Result<GaloisKey, RlweError> {
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
    /// [`RlweError::Key`] under another secret, [`RlweError::Math`] in another ring.
    pub fn apply<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
    ) -> Result<Ciphertext<P>, RlweError> {
        let zero = || Poly::zero(ciphertext.ring());
        let mut image = Ciphertext::from_parts(zero(), zero(), ciphertext.scale, ciphertext.key)?;
        let mut workspace = Workspace::new(&self.key.ring);
        self.add_image(&mut image, ciphertext, 0, &mut workspace)?;
        Ok(image)
    }

    /// `sum += X^exponent * ` [`GaloisKey::apply`]` (ciphertext)`: same scale; noise
    /// [`super::noise::key_switch`] added.
    ///
    /// # Errors
    /// As [`GaloisKey::apply`]; [`RlweError::ScaleMismatch`]; [`RlweError::Math`] for a workspace of
    /// another ring.
    pub fn add_image<P: Packing>(
        &self,
        sum: &mut Ciphertext<P>,
        ciphertext: &Ciphertext<P>,
        exponent: usize,
        workspace: &mut Workspace,
    ) -> Result<(), RlweError> {
        self.check_operands(sum, ciphertext)?;
        workspace.check(&self.key.ring)?;
        ciphertext.c1.write_automorphism(self.element, exponent, &mut workspace.digits)?;
        sum.c0.add_automorphism(&ciphertext.c0, self.element, exponent)?;
        self.key.add_product([&mut sum.c0, &mut sum.c1], workspace);
        Ok(())
    }

    fn check_operands<P: Packing>(
        &self,
        sum: &Ciphertext<P>,
        ciphertext: &Ciphertext<P>,
    ) -> Result<(), RlweError> {
        self.key.source.check(ciphertext.key)?;
        self.key.target.check(sum.key)?;
        sum.scale.check_same(ciphertext.scale)?;
        self.key.ring.check_same(sum.ring())?;
        Ok(self.key.ring.check_same(ciphertext.ring())?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::primes::largest_ntt_prime;
    use crate::rlwe::{Coeffs, Scale};
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use std::marker::PhantomData;

    /// Dimensions and moduli that the kernels for `q < 2^50` fit, and others.
    fn rings() -> impl Strategy<Value = Ring> {
        prop::sample::select(vec![(16, 50), (32, 50), (64, 40), (64, 55)])
            .prop_map(|(n, bits)| Ring::new(n, largest_ntt_prime(bits, n).unwrap()).unwrap())
    }

    /// A gadget, its digits tabulated or not, of up to 24 rows.
    fn gadgets() -> impl Strategy<Value = (u32, u32, bool)> {
        prop_oneof![
            (1u32..=8, 1u32..=5, Just(false)),
            Just((2, 20, false)),
            (1u32..=4, 1u32..=3, Just(true)),
        ]
    }

    /// A key of uniform rows: what is tested holds whatever they are.
    fn uniform_key(ring: &Ring, choice: (u32, u32, bool), rng: &mut ChaCha20Rng) -> SwitchingKey {
        let (base_log, levels, tabulated) = choice;
        let make = if tabulated { Gadget::tabulated } else { Gadget::digits };
        let gadget = make(base_log, levels, ring.modulus()).unwrap();
        let row = |_| [sampling::uniform(ring, rng), sampling::uniform(ring, rng)];
        let rows = (0..gadget.rows()).map(row).collect();
        let id = KeyId::random(rng);
        SwitchingKey { gadget, source: id, target: id, ring: ring.clone(), rows }
    }

    fn uniform_ciphertext(key: &SwitchingKey, rng: &mut ChaCha20Rng) -> Ciphertext<Coeffs> {
        Ciphertext {
            c0: sampling::uniform(&key.ring, rng),
            c1: sampling::uniform(&key.ring, rng),
            scale: Scale::new(1e6).unwrap(),
            key: key.source,
            packing: PhantomData,
        }
    }

    /// `(c0, 0) + sum_r d_r(c1) (body_r, mask_r)`, operation by operation.
    fn naive_switch(key: &SwitchingKey, c0: &Poly<Coeff>, c1: &Poly<Coeff>) -> [Poly<Coeff>; 2] {
        let mut sums = [Poly::<Ntt>::zero(&key.ring), Poly::zero(&key.ring)];
        let mut rows = key.rows.iter();
        key.gadget.decompose(c1, |digits| {
            let digits = digits.into_ntt();
            for (sum, part) in sums.iter_mut().zip(rows.next().unwrap()) {
                sum.add_product(&digits, part).unwrap();
            }
        });
        let [mut first, second] = sums.map(Poly::into_coeff);
        first.add_assign(c0).unwrap();
        [first, second]
    }

    proptest! {
        #[test]
        fn a_switch_is_its_formula(ring in rings(), choice in gadgets(), seed: u64) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let key = uniform_key(&ring, choice, &mut rng);
            let ciphertext = uniform_ciphertext(&key, &mut rng);
            let switched = key.switch(&ciphertext).unwrap();
            let expected = naive_switch(&key, &ciphertext.c0, &ciphertext.c1);
            prop_assert_eq!([switched.c0, switched.c1], expected);
        }

        #[test]
        fn an_added_image_is_its_formula(
            ring in rings(),
            choice in gadgets(),
            half in 0usize..64,
            exponent in 0usize..500,
            seed: u64,
        ) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let element = 2 * (half % ring.dimension()) + 1;
            let galois = GaloisKey { element, key: uniform_key(&ring, choice, &mut rng) };
            let mut workspace = Workspace::new(&ring);
            // twice, to find what the first leaves in the workspace
            for _ in 0..2 {
                let ciphertext = uniform_ciphertext(&galois.key, &mut rng);
                let mut sum = uniform_ciphertext(&galois.key, &mut rng);
                let moved = [&ciphertext.c0, &ciphertext.c1]
                    .map(|part| part.automorphism(element).unwrap().mul_monomial(exponent));
                let [mut c0, mut c1] = naive_switch(&galois.key, &moved[0], &moved[1]);
                c0.add_assign(&sum.c0).unwrap();
                c1.add_assign(&sum.c1).unwrap();
                galois.add_image(&mut sum, &ciphertext, exponent, &mut workspace).unwrap();
                prop_assert_eq!([sum.c0, sum.c1], [c0, c1]);
            }
        }
    }

    #[test]
    fn operands_that_do_not_belong_together_are_refused() {
        let [ring, other] =
            [64, 32].map(|n| Ring::new(n, largest_ntt_prime(50, n).unwrap()).unwrap());
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = uniform_key(&ring, (8, 5, false), &mut rng);
        let foreign = uniform_key(&other, (8, 5, false), &mut rng);
        let galois = GaloisKey { element: 3, key };
        let good = uniform_ciphertext(&galois.key, &mut rng);
        let stranger = Ciphertext { key: foreign.source, ..good.clone() };
        let finer = Ciphertext { scale: Scale::new(2e6).unwrap(), ..good.clone() };
        let elsewhere =
            Ciphertext { key: galois.key.source, ..uniform_ciphertext(&foreign, &mut rng) };
        let [mut workspace, mut small] = [&ring, &other].map(Workspace::new);
        let mut add = |sum: &Ciphertext<Coeffs>, term: &Ciphertext<Coeffs>| {
            galois.add_image(&mut sum.clone(), term, 0, &mut workspace)
        };
        assert!(add(&good, &good).is_ok());
        for result in [add(&stranger, &good), add(&good, &stranger)] {
            assert!(matches!(result, Err(RlweError::Key(_))));
        }
        assert!(matches!(add(&good, &finer), Err(RlweError::ScaleMismatch { .. })));
        for result in [add(&elsewhere, &good), add(&good, &elsewhere)] {
            assert!(matches!(result, Err(RlweError::Math(MathError::RingMismatch { .. }))));
        }
        let result = galois.add_image(&mut good.clone(), &good, 0, &mut small);
        assert!(matches!(result, Err(RlweError::Math(MathError::Length { .. }))));
    }
}
