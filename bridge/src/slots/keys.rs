//! The keys of the way through the slots, and the way itself.

use super::{SlotParameters, rings};
use crate::keys::{same, same_instance};
use crate::{Amplitude, BridgeError};
use bellerophon_schemes::ckks::{
    self, Encoder, Evaluator, FunctionalBootstrapper, PhasePolynomial, Scale as CkksScale, Slots,
};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::math::{Coeff, Poly, RnsPoly};
use bellerophon_schemes::rlwe::{
    Ciphertext, Coeffs, Scale, SecretKey, SeededSwitchingKey, SwitchingKey,
};
use bellerophon_schemes::security::{LweInstance, SecretDistribution};
use bellerophon_schemes::wire::{Conformant, Wire};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use zeroize::Zeroizing;

/// The wire form of [`SlotKeys`]: nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededSlotKeys {
    /// From the small ring's secret to the CKKS secret.
    pub(super) enter: SeededSwitchingKey,
    /// And back.
    pub(super) leave: SeededSwitchingKey,
    pub(super) evaluation: ckks::SeededEvaluationKeys,
}

impl SeededSlotKeys {
    /// Makes all keys for ciphertexts under `secret`, with a CKKS secret that is forgotten at the end.
    ///
    /// # Errors
    /// [`BridgeError::Math`] where `secret` is not of the small ring of `parameters`.
    pub fn generate(
        parameters: &SlotParameters,
        secret: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, BridgeError> {
        parameters.small().ring().check_same(secret.ring())?;
        let generator = ckks::KeyGenerator::new(parameters.ckks());
        let full = generator.secret_key(rng)?;
        let evaluation =
            generator.evaluation_keys(&full, &parameters.plan().requirements(), rng)?;
        let (base, gadget) = (parameters.base(), parameters.gadget());
        let n = base.ring().dimension();
        let coefficients = Zeroizing::new(full.coefficients().to_vec());
        let ternary = SecretDistribution::Ternary;
        let full = SecretKey::from_coefficients(base.ring(), coefficients, ternary, n, full.id())?;
        let small = in_subring(parameters, secret)?;
        let (sigma, leave_sigma) = (base.sigma(), parameters.leave_sigma());
        let enter = SeededSwitchingKey::generate(&small, &full, gadget, sigma, rng)?;
        let leave = SeededSwitchingKey::generate(&full, &small, gadget, leave_sigma, rng)?;
        Ok(Self { enter, leave, evaluation })
    }

    /// The keys ready for use, with the matrices of the bootstrapping.
    ///
    /// # Errors
    /// [`BridgeError`] where the keys do not belong to `parameters`.
    pub fn expand(&self, parameters: &SlotParameters) -> Result<SlotKeys, BridgeError> {
        let (ring, ckks) = (parameters.base().ring(), parameters.ckks());
        let bootstrapper = FunctionalBootstrapper::new(parameters.plan(), &Encoder::new(ckks))?;
        Ok(SlotKeys {
            parameters: parameters.clone(),
            enter: self.enter.expand(ring)?,
            leave: self.leave.expand(ring)?,
            evaluation: self.evaluation.expand(ckks)?,
            source: self.enter.source(),
            full: self.enter.target(),
            evaluator: Evaluator::new(ckks),
            bootstrapper,
        })
    }

    /// The name and LWE instance of every kind of key.
    #[must_use]
    pub fn instances(&self, parameters: &SlotParameters) -> Vec<(String, LweInstance)> {
        vec![
            ("ring switch to the CKKS secret".to_owned(), self.enter.instance()),
            ("ring switch from the CKKS secret".to_owned(), self.leave.instance()),
            ("CKKS evaluation keys".to_owned(), parameters.ckks().instance()),
        ]
    }
}

/// `secret(X^(N/d))` in the ring of dimension `N`, with as many unknowns as before.
fn in_subring(parameters: &SlotParameters, secret: &SecretKey) -> Result<SecretKey, BridgeError> {
    let ring = parameters.base().ring();
    let mut coefficients = Zeroizing::new(vec![0; ring.dimension()]);
    let step = ring.dimension() / parameters.small().ring().dimension();
    let targets = coefficients.iter_mut().step_by(step);
    for (target, &coefficient) in targets.zip(secret.coefficients()) {
        *target = coefficient;
    }
    let unknowns = parameters.small().ring().dimension();
    let (distribution, id) = (secret.distribution(), secret.id());
    Ok(SecretKey::from_coefficients(ring, coefficients, distribution, unknowns, id)?)
}

impl Wire for SeededSlotKeys {
    const KIND: u16 = 12;
    const NAME: &'static str = "key set for polynomials in slots";
}

impl Conformant<SlotParameters> for SeededSlotKeys {
    fn conforms(&self, parameters: &SlotParameters) -> Result<(), String> {
        let (base, gadget) = (parameters.base(), parameters.gadget());
        let instances =
            [(&self.enter, base.instance()), (&self.leave, parameters.leave_instance())];
        for (key, instance) in instances {
            key.conforms(base)?;
            same("gadget of a ring switch", key.gadget(), gadget)?;
            same_instance("ring switch", key.instance(), instance)?;
        }
        same("target of the switch back", self.leave.target(), self.enter.source())?;
        same("source of the switch back", self.leave.source(), self.enter.target())?;
        self.evaluation.conforms(parameters.ckks())?;
        let (found, needed) = (self.evaluation.requirements(), parameters.plan().requirements());
        same("CKKS evaluation keys", found, needed)?;
        let key = self.evaluation.check_key(self.enter.target());
        key.map_err(|error| error.to_string())
    }
}

/// A step of an evaluation that has just been finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The ciphertexts are one, under the CKKS secret.
    Packed,
    /// The coefficients are in slots.
    InSlots,
    /// The sines of a ciphertext of them are computed, of which there are two where they fill the ring.
    Sine,
    /// The polynomials of a ciphertext of them are computed.
    Polynomial,
    /// They are back in the coefficients.
    InCoefficients,
    /// They are in the small ring, under its secret.
    Split,
}

/// Told each step; what it breaks off ends with [`BridgeError::Interrupted`].
pub type Progress<'a> = &'a (dyn Fn(Step) -> ControlFlow<()> + Sync);

/// All keys of the way through the slots, ready for use; public.
#[derive(Debug)]
pub struct SlotKeys {
    parameters: SlotParameters,
    enter: SwitchingKey,
    leave: SwitchingKey,
    evaluation: ckks::EvaluationKeys,
    source: KeyId,
    full: KeyId,
    evaluator: Evaluator,
    bootstrapper: FunctionalBootstrapper,
}

impl SlotKeys {
    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &SlotParameters {
        &self.parameters
    }

    /// The secret of the ciphertexts that enter and leave.
    #[must_use]
    pub fn ring_key(&self) -> KeyId {
        self.source
    }

    /// Bytes in memory of keys and matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let switches = self.enter.bytes() + self.leave.bytes();
        switches + self.evaluation.bytes() + self.bootstrapper.bytes()
    }

    /// `polynomial` of the phase of every coefficient of any number of ciphertexts, as many at once
    /// as [`SlotParameters::capacity`] says. The results are read at `amplitude`, their turns per
    /// unit; the scale of the inputs does not matter. Coefficients whose phase is beyond the width
    /// come out as junk and do no harm to others. The noise is [`SlotParameters::variance`].
    ///
    /// # Errors
    /// [`BridgeError::Rlwe`] for ciphertexts under another secret or of another ring,
    /// [`BridgeError::Ckks`] for a polynomial of too many levels or missing keys,
    /// [`BridgeError::Interrupted`] where `progress` says so.
    pub fn evaluate(
        &self,
        inputs: &[Ciphertext<Coeffs>],
        polynomial: &PhasePolynomial,
        amplitude: Amplitude,
        progress: Progress,
    ) -> Result<Vec<Ciphertext<Coeffs>>, BridgeError> {
        let mut outputs = Vec::with_capacity(inputs.len());
        for inputs in inputs.chunks(self.parameters.capacity()) {
            let packed = self.pack(inputs)?;
            report(progress, Step::Packed)?;
            let result = self.bootstrap(&packed, polynomial, progress)?;
            outputs.extend(self.split(&result, inputs.len(), amplitude)?);
            report(progress, Step::Split)?;
        }
        Ok(outputs)
    }

    /// One ciphertext of level 0 under the CKKS secret; its scale is `q_0`, a turn.
    fn pack(&self, inputs: &[Ciphertext<Coeffs>]) -> Result<ckks::Ciphertext<Coeffs>, BridgeError> {
        let ring = self.parameters.base().ring();
        for input in inputs {
            self.source.check(input.key())?;
            self.parameters.small().ring().check_same(input.ring())?;
        }
        let part = |of: fn(&Ciphertext<Coeffs>) -> &Poly<Coeff>| {
            let parts: Vec<&Poly<Coeff>> = inputs.iter().map(of).collect();
            rings::pack(&parts, ring, self.parameters.gap())
        };
        let turn = ring.modulus();
        let [c0, c1] = [part(Ciphertext::c0)?, part(Ciphertext::c1)?];
        let scale = Scale::new(turn.value() as f64)?;
        let packed = Ciphertext::<Coeffs>::from_parts(c0, c1, scale, self.source)?;
        let switched = self.enter.switch(&packed)?;
        let limb = |part: &Poly<Coeff>| RnsPoly::from_limbs(vec![part.clone().into_ntt()]);
        let [c0, c1] = [limb(switched.c0())?, limb(switched.c1())?];
        Ok(ckks::Ciphertext::from_parts(c0, c1, CkksScale::of_modulus(turn), switched.key())?)
    }

    fn bootstrap(
        &self,
        packed: &ckks::Ciphertext<Coeffs>,
        polynomial: &PhasePolynomial,
        progress: Progress,
    ) -> Result<ckks::Ciphertext<Coeffs>, BridgeError> {
        let (evaluator, keys) = (&self.evaluator, &self.evaluation);
        let value = |part: ckks::Ciphertext<Slots>| {
            let sine = self.bootstrapper.sine(evaluator, &part, keys)?;
            drop(part);
            report(progress, Step::Sine)?;
            let value = self.bootstrapper.evaluate(evaluator, &sine, polynomial, keys)?;
            report(progress, Step::Polynomial)?;
            Ok::<_, BridgeError>(value)
        };
        let parts = self.bootstrapper.to_slots(evaluator, packed, keys)?;
        report(progress, Step::InSlots)?;
        let values = parts.into_iter().map(value).collect::<Result<Vec<_>, _>>()?;
        let result = self.bootstrapper.to_coefficients(evaluator, &values, keys)?;
        report(progress, Step::InCoefficients)?;
        Ok(result)
    }

    /// The first `count` ciphertexts of the small ring in one of level 0.
    fn split(
        &self,
        result: &ckks::Ciphertext<Coeffs>,
        count: usize,
        amplitude: Amplitude,
    ) -> Result<Vec<Ciphertext<Coeffs>>, BridgeError> {
        let (ring, small) = (self.parameters.base().ring(), self.parameters.small().ring());
        let part = |part: &RnsPoly<_>| {
            let limb: Option<&Poly<_>> = part.limbs().first();
            limb.map_or_else(|| Poly::zero(ring), |limb| limb.clone().into_coeff())
        };
        let [c0, c1] = [part(result.c0()), part(result.c1())];
        let turn = Scale::new(ring.modulus().value() as f64)?;
        let whole = Ciphertext::<Coeffs>::from_parts(c0, c1, turn, self.full)?;
        let whole = self.leave.switch(&whole)?;
        let gap = self.parameters.gap();
        let [c0, c1] = [whole.c0(), whole.c1()].map(|part| rings::split(part, small, gap, count));
        let scale = amplitude.to_scale(small.modulus())?;
        let parts = c0?.into_iter().zip(c1?);
        let each = parts.map(|(c0, c1)| Ciphertext::from_parts(c0, c1, scale, self.source));
        Ok(each.collect::<Result<_, _>>()?)
    }
}

fn report(progress: Progress, step: Step) -> Result<(), BridgeError> {
    match progress(step) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(BridgeError::Interrupted),
    }
}
