//! Parameters of the way through the slots, and what it adds to the noise.

use crate::BridgeError;
use bellerophon_schemes::ckks::{
    self, BootstrapLiteral, CkksError, FunctionalPlan, PhasePolynomial,
};
use bellerophon_schemes::math::approximation::Polynomial;
use bellerophon_schemes::rlwe::{self, Gadget};
use bellerophon_schemes::security::{
    LweInstance, SecretDistribution, SecurityLevel, minimal_log2_std,
};
use serde::{Deserialize, Serialize};

/// What a user chooses; unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotParametersLiteral {
    /// The ring of dimension `N` and its primes. `q_0` must have 50 or 61 bits.
    pub ckks: ckks::ParametersLiteral,
    /// The functional bootstrapping.
    pub bootstrap: BootstrapLiteral,
    /// Bits per digit and number of digits of the gadget of both ring key switches.
    pub gadget: (u32, u32),
}

impl SlotParametersLiteral {
    /// 128 bits at `N = 2^16`: [`BootstrapLiteral::functional_deep`], polynomials of up to degree 31 of
    /// the sine of the phase, for `2^(log_slots + 1)` coefficients at once. From a ring of dimension
    /// 2048, these are 32 ciphertexts at the most, where `log_slots` is 15, and one at 10.
    #[must_use]
    pub fn deep(log_slots: u32) -> Self {
        let (ckks, bootstrap) = BootstrapLiteral::functional_deep(log_slots);
        Self { ckks, bootstrap, gadget: (4, 12) }
    }
}

/// The noise of ternary encryptions, as in ePrint 2024/463.
const TERNARY_SIGMA: f64 = 3.2;

/// A checked parameter set; cheap to clone.
#[derive(Debug, Clone)]
pub struct SlotParameters {
    literal: SlotParametersLiteral,
    small: rlwe::Parameters,
    base: rlwe::Parameters,
    plan: FunctionalPlan,
    gadget: Gadget,
    leave_sigma: f64,
}

impl SlotParameters {
    /// For ciphertexts of `small` parameters; checks that the rings fit together and that everything
    /// that is encrypted under either secret reaches `level`.
    ///
    /// # Errors
    /// [`BridgeError::Security`] (or within [`BridgeError::Rlwe`] and [`BridgeError::Ckks`]) below
    /// `level`, [`BridgeError::Dimension`] where rings or primes do not fit, else what the parts
    /// refuse.
    pub fn new(
        small: &rlwe::Parameters,
        literal: SlotParametersLiteral,
        level: SecurityLevel,
    ) -> Result<Self, BridgeError> {
        let ckks = ckks::Parameters::new(literal.ckks.clone(), level)?;
        let base = rlwe::Parameters::new(base_literal(&literal), level)?;
        let log2 = base.ring().modulus().log2();
        let sigma = match small.distribution() {
            SecretDistribution::Binary => {
                (minimal_log2_std(small.ring().dimension(), log2) + log2).exp2()
            }
            SecretDistribution::Ternary => TERNARY_SIGMA,
        };
        let parameters = Self::assemble(small, literal, ckks, base, sigma)?;
        parameters.leave_instance().require(level)?;
        Ok(parameters)
    }

    /// Without any check of security, and with the noise of `small` (as a fraction of the modulus)
    /// in the key back to its secret: for tests only.
    ///
    /// # Errors
    /// As [`SlotParameters::new`], without those of security.
    pub fn insecure_unchecked(
        small: &rlwe::Parameters,
        literal: SlotParametersLiteral,
    ) -> Result<Self, BridgeError> {
        let ckks = ckks::Parameters::insecure_unchecked(literal.ckks.clone())?;
        let base = rlwe::Parameters::insecure_unchecked(base_literal(&literal))?;
        let [from, to] = [small, &base].map(|p| p.ring().modulus().value() as f64);
        let sigma = small.sigma() / from * to;
        Self::assemble(small, literal, ckks, base, sigma)
    }

    fn assemble(
        small: &rlwe::Parameters,
        literal: SlotParametersLiteral,
        ckks: ckks::Parameters,
        base: rlwe::Parameters,
        leave_sigma: f64,
    ) -> Result<Self, BridgeError> {
        let (expected, found) = (base.ring().modulus().value(), ckks.modulus(0)?.value());
        let differs = |name, expected, found| Err(BridgeError::Dimension { name, expected, found });
        if expected != found {
            return differs("prime q_0 of the slots", expected as usize, found as usize);
        }
        let gadget = Gadget::digits(literal.gadget.0, literal.gadget.1, base.ring().modulus())?;
        let plan = FunctionalPlan::new(&ckks, &literal.bootstrap)?;
        let (most, found) = (2 * plan.slots(), small.ring().dimension());
        if found > most {
            return differs("ring dimension, at most twice the slots,", most, found);
        }
        Ok(Self { literal, small: small.clone(), base, plan, gadget, leave_sigma })
    }

    /// The literal that these parameters were built from.
    #[must_use]
    pub fn literal(&self) -> &SlotParametersLiteral {
        &self.literal
    }

    /// The parameters of the ciphertexts that enter and leave.
    #[must_use]
    pub fn small(&self) -> &rlwe::Parameters {
        &self.small
    }

    /// The ring of dimension `N` modulo `q_0`.
    #[must_use]
    pub fn base(&self) -> &rlwe::Parameters {
        &self.base
    }

    /// The chain of primes.
    #[must_use]
    pub fn ckks(&self) -> &ckks::Parameters {
        self.plan.parameters()
    }

    /// The functional bootstrapping.
    #[must_use]
    pub fn plan(&self) -> &FunctionalPlan {
        &self.plan
    }

    /// The gadget of both ring key switches.
    #[must_use]
    pub fn gadget(&self) -> Gadget {
        self.gadget
    }

    /// Standard deviation of the key back to the small ring's secret, in units of 1 modulo `q_0`.
    #[must_use]
    pub fn leave_sigma(&self) -> f64 {
        self.leave_sigma
    }

    /// How many ciphertexts one evaluation takes, twice the slots over their dimension.
    #[must_use]
    pub fn capacity(&self) -> usize {
        2 * self.plan.slots() / self.small.ring().dimension()
    }

    /// Bytes in memory of the [`SlotKeys`](super::SlotKeys), their matrices included; while they are
    /// expanded, their wire form takes as much as half of the keys besides.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let switches = 2 * self.gadget.rows() * 2 * 8 * self.base.ring().dimension();
        switches + self.plan.bytes().iter().sum::<usize>()
    }

    /// How far apart the coefficients that are used are in the ring of dimension `N`.
    pub(super) fn gap(&self) -> usize {
        self.base.ring().dimension() / (2 * self.plan.slots())
    }

    pub(crate) fn leave_instance(&self) -> LweInstance {
        let log2_modulus = self.base.ring().modulus().log2();
        LweInstance {
            dimension: self.small.ring().dimension(),
            log2_modulus,
            log2_std: self.leave_sigma.log2() - log2_modulus,
            distribution: self.small.distribution(),
        }
    }

    /// Prepares `function`, from turns to turns, for phases of at most `width` turns: within
    /// `tolerance` turns of it.
    ///
    /// # Errors
    /// As [`PhasePolynomial::new`].
    pub fn polynomial(
        &self,
        function: &Polynomial,
        width: f64,
        tolerance: f64,
    ) -> Result<PhasePolynomial, CkksError> {
        PhasePolynomial::new(function, width, tolerance, self.plan.polynomial_depth())
    }

    /// The variance, in turns squared, that the way there adds to a phase: rounding to `q_0`, and the
    /// ring key switch.
    #[must_use]
    pub fn enter_variance(&self) -> f64 {
        let (ring, distribution) = (self.base.ring(), self.small.distribution());
        let d = self.small.ring().dimension();
        let sigma = self.base.sigma();
        let switch = rlwe::noise::key_switch(ring, self.gadget, sigma, distribution, d);
        (switch + self.rounding()) / square(ring.modulus().value())
    }

    /// The variance, in turns squared, that the way back adds: the ring key switch, and rounding to `q`.
    #[must_use]
    pub fn leave_variance(&self) -> f64 {
        let ring = self.base.ring();
        let (n, ternary) = (ring.dimension(), SecretDistribution::Ternary);
        let switch = rlwe::noise::key_switch(ring, self.gadget, self.leave_sigma, ternary, n);
        let rounding = self.rounding() / square(self.small.ring().modulus().value());
        switch / square(ring.modulus().value()) + rounding
    }

    /// Rounding both parts of a ciphertext of the small ring, in units of 1.
    fn rounding(&self) -> f64 {
        let d = self.small.ring().dimension() as f64;
        (1.0 + d * self.small.distribution().second_moment()) / 12.0
    }

    /// The variance, in turns squared, of the result for a phase that is `phase` turns with the
    /// variance `operand`; [`PhasePolynomial::error`] comes on top.
    ///
    /// # Errors
    /// [`BridgeError::Ckks`] for a polynomial of too many levels.
    pub fn variance(
        &self,
        polynomial: &PhasePolynomial,
        phase: f64,
        operand: f64,
    ) -> Result<f64, BridgeError> {
        let slope = polynomial.slope(phase);
        let bootstrap = self.plan.variance(polynomial, phase)?;
        let operand = operand + self.enter_variance();
        Ok(slope * slope * operand + bootstrap + self.leave_variance())
    }
}

fn square(q: u64) -> f64 {
    (q as f64).powi(2)
}

fn base_literal(literal: &SlotParametersLiteral) -> rlwe::ParametersLiteral {
    rlwe::ParametersLiteral {
        log_dimension: literal.ckks.log_dimension,
        modulus_bits: literal.ckks.modulus_bits.first().copied().unwrap_or(0),
        distribution: SecretDistribution::Ternary,
        sigma: TERNARY_SIGMA,
    }
}
