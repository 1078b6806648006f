//! Parameters of both schemes and the bridge between them, checked together.

use crate::BridgeError;
use bellerophon_schemes::math::Ring;
use bellerophon_schemes::rlwe::{self, Gadget};
use bellerophon_schemes::security::{
    LweInstance, SecretDistribution, SecurityLevel, minimal_log2_std,
};
use bellerophon_schemes::tfhe::BootstrapParameters;
use serde::{Deserialize, Serialize};

/// What the security of the bridge rests on, beyond LWE, ring LWE and circular security.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assumptions {
    /// The CKKS secret is the flattened GLWE secret (*shared*), and the small secret sits in the
    /// first `n` coefficients of a ring secret that is zero elsewhere (*partial*; both Bergerat et
    /// al., ePrint 2023/979). No third key switch, and any `n`.
    Compact,
    /// An independent ternary CKKS secret, and a small secret that fills a subring: standard
    /// assumptions only. `n` must be half the ring dimension.
    Conservative,
}

/// What a user chooses for one bootstrapping key; unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapLiteral {
    /// GLWE dimension `k`.
    pub glwe_dimension: usize,
    /// Polynomial size; `k` times it must be the ring dimension.
    pub polynomial_size: usize,
    /// Bits of the decomposition base.
    pub base_log: usize,
    /// Decomposition levels.
    pub levels: usize,
    /// Bits of the small secret in each step of the blind rotation: 1, 2 or 3.
    pub grouping_factor: usize,
}

/// What a user chooses; unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParametersLiteral {
    /// The assumptions to rest on.
    pub assumptions: Assumptions,
    /// `log2` of the CKKS ring dimension `N`.
    pub log_dimension: u32,
    /// Bits of the CKKS modulus `q`.
    pub modulus_bits: u32,
    /// Dimension `n` of the small LWE secret.
    pub lwe_dimension: usize,
    /// Bits per digit and number of digits of the tabulated gadget on the way down.
    pub down_gadget: (u32, u32),
    /// Bits per digit and number of digits of the gadget for packing.
    pub up_gadget: (u32, u32),
    /// The bootstrapping keys, chosen among by index.
    pub bootstraps: Vec<BootstrapLiteral>,
}

/// The noise of fresh ternary encryptions, as in ePrint 2024/463.
const TERNARY_SIGMA: f64 = 3.2;

/// A checked parameter set.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    literal: ParametersLiteral,
    rlwe: rlwe::Parameters,
    down_gadget: Gadget,
    up_gadget: Gadget,
    lwe_log2_std: f64,
    bootstraps: Vec<BootstrapParameters>,
}

impl Parameters {
    /// Checks that the dimensions fit together and that everything encrypted under any of the
    /// secrets reaches `level`.
    ///
    /// # Errors
    /// [`BridgeError::Security`] (or within [`BridgeError::Rlwe`] and [`BridgeError::Tfhe`]) below
    /// `level`, [`BridgeError::Dimension`] where the schemes do not fit, else what the parts refuse.
    pub fn new(literal: ParametersLiteral, level: SecurityLevel) -> Result<Self, BridgeError> {
        let n = literal.lwe_dimension;
        let lwe_log2_std = minimal_log2_std(n, f64::from(literal.modulus_bits));
        let glwe = |b: &BootstrapLiteral| {
            let BootstrapLiteral { glwe_dimension, polynomial_size, base_log, levels, .. } = *b;
            BootstrapParameters::new(n, glwe_dimension, polynomial_size, base_log, levels, level)?
                .with_grouping_factor(b.grouping_factor)
        };
        let bootstraps = literal.bootstraps.iter().map(glwe).collect::<Result<_, _>>()?;
        let rlwe = rlwe::Parameters::new(rlwe_literal(&literal, None), level)?;
        let parameters = Self::assemble(literal, rlwe, lwe_log2_std, bootstraps)?;
        parameters.down_instance().require(level)?;
        Ok(parameters)
    }

    /// Small parameters with chosen noise (`log2` of the standard deviation, torus units) for the
    /// small secret and for the large one, without any check of security: for tests only.
    ///
    /// # Errors
    /// As [`Parameters::new`], without those of security.
    pub fn insecure_unchecked(
        literal: ParametersLiteral,
        lwe_log2_std: f64,
        glwe_log2_std: f64,
    ) -> Result<Self, BridgeError> {
        let n = literal.lwe_dimension;
        let glwe = |b: &BootstrapLiteral| {
            let BootstrapLiteral { glwe_dimension, polynomial_size, base_log, levels, .. } = *b;
            BootstrapParameters::insecure_unchecked(
                n,
                glwe_dimension,
                polynomial_size,
                base_log,
                levels,
                glwe_log2_std,
            )?
            .with_grouping_factor(b.grouping_factor)
        };
        let bootstraps = literal.bootstraps.iter().map(glwe).collect::<Result<_, _>>()?;
        let rlwe =
            rlwe::Parameters::insecure_unchecked(rlwe_literal(&literal, Some(glwe_log2_std)))?;
        Self::assemble(literal, rlwe, lwe_log2_std, bootstraps)
    }

    fn assemble(
        literal: ParametersLiteral,
        rlwe: rlwe::Parameters,
        lwe_log2_std: f64,
        bootstraps: Vec<BootstrapParameters>,
    ) -> Result<Self, BridgeError> {
        let modulus = rlwe.ring().modulus();
        let down_gadget = Gadget::tabulated(literal.down_gadget.0, literal.down_gadget.1, modulus)?;
        let up_gadget = Gadget::digits(literal.up_gadget.0, literal.up_gadget.1, modulus)?;
        let parameters = Self { literal, rlwe, down_gadget, up_gadget, lwe_log2_std, bootstraps };
        parameters.check_dimensions()?;
        Ok(parameters)
    }

    fn check_dimensions(&self) -> Result<(), BridgeError> {
        let dimension = self.ring().dimension();
        let found = self.lwe_dimension();
        let (fits, expected) = match self.assumptions() {
            Assumptions::Compact => ((1..=dimension).contains(&found), dimension),
            Assumptions::Conservative => (found == dimension / 2, dimension / 2),
        };
        if !fits {
            return Err(BridgeError::Dimension { name: "LWE dimension", expected, found });
        }
        match self.bootstraps.iter().find(|b| b.output_dimension() != dimension) {
            None => Ok(()),
            Some(bootstrap) => Err(BridgeError::Dimension {
                name: "GLWE dimension times polynomial size",
                expected: dimension,
                found: bootstrap.output_dimension(),
            }),
        }
    }

    /// The literal that these parameters were built from.
    #[must_use]
    pub fn literal(&self) -> &ParametersLiteral {
        &self.literal
    }

    /// The CKKS side.
    #[must_use]
    pub fn rlwe(&self) -> &rlwe::Parameters {
        &self.rlwe
    }

    /// The CKKS ring.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        self.rlwe.ring()
    }

    /// What the security rests on.
    #[must_use]
    pub fn assumptions(&self) -> Assumptions {
        self.literal.assumptions
    }

    /// Dimension `n` of the small secret.
    #[must_use]
    pub fn lwe_dimension(&self) -> usize {
        self.literal.lwe_dimension
    }

    /// How the small secret sits in a ring secret: its coefficients are this far apart.
    #[must_use]
    pub fn lwe_stride(&self) -> usize {
        match self.assumptions() {
            Assumptions::Compact => 1,
            Assumptions::Conservative => 2,
        }
    }

    /// Standard deviation of the key on the way down, in units of 1 modulo `q`.
    #[must_use]
    pub fn down_sigma(&self) -> f64 {
        self.lwe_log2_std.exp2() * self.ring().modulus().value() as f64
    }

    /// The gadget on the way down.
    #[must_use]
    pub fn down_gadget(&self) -> Gadget {
        self.down_gadget
    }

    /// The gadget for packing.
    #[must_use]
    pub fn up_gadget(&self) -> Gadget {
        self.up_gadget
    }

    /// The bootstrapping keys.
    #[must_use]
    pub fn bootstraps(&self) -> &[BootstrapParameters] {
        &self.bootstraps
    }

    /// Parameters of bootstrapping key `index`.
    ///
    /// # Errors
    /// [`BridgeError::MissingBootstrapKey`].
    pub fn bootstrap(&self, index: usize) -> Result<&BootstrapParameters, BridgeError> {
        let count = self.bootstraps.len();
        self.bootstraps.get(index).ok_or(BridgeError::MissingBootstrapKey { index, count })
    }

    pub(crate) fn down_instance(&self) -> LweInstance {
        LweInstance {
            dimension: self.lwe_dimension(),
            log2_modulus: self.ring().modulus().log2(),
            log2_std: self.lwe_log2_std,
            distribution: SecretDistribution::Binary,
        }
    }
}

fn rlwe_literal(
    literal: &ParametersLiteral,
    insecure_log2_std: Option<f64>,
) -> rlwe::ParametersLiteral {
    let bits = f64::from(literal.modulus_bits);
    let dimension = 1usize.checked_shl(literal.log_dimension).unwrap_or(0);
    let (distribution, sigma) = match literal.assumptions {
        Assumptions::Compact => {
            let log2_std = insecure_log2_std.unwrap_or(minimal_log2_std(dimension, bits));
            (SecretDistribution::Binary, (log2_std + bits).exp2())
        }
        Assumptions::Conservative => (SecretDistribution::Ternary, TERNARY_SIGMA),
    };
    rlwe::ParametersLiteral {
        log_dimension: literal.log_dimension,
        modulus_bits: literal.modulus_bits,
        distribution,
        sigma,
    }
}
