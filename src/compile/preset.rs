//! Parameter sets found by measurement, for LeNet5.

use super::CompileError;
use bellerophon_bridge::{Assumptions, BootstrapLiteral, ParametersLiteral};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Everything that compiling needs to know besides the graph and its ranges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Both schemes and the bridge.
    pub parameters: ParametersLiteral,
    /// The bootstrapping key for comparisons within a max-pool.
    pub pool_key: usize,
    /// The bootstrapping key for activations.
    pub activation_key: usize,
    /// Bits of a weight, sign included; fewer are used where the weights lie on a coarser grid.
    pub weight_bits: u32,
    /// Bits of a weight of the first layer, whose input is fresh and leaves more room.
    pub first_weight_bits: u32,
    /// Bits that a layer's weights may lose where several layers read one value, whose amplitude they
    /// share; fewer let the noise of the value's table weigh more.
    pub shared_bits: u32,
    /// The largest difference seen in a max-pool, times this, fills the torus; below 1 the rarest
    /// differences are folded back.
    pub pool_margin: f64,
    /// The range seen before an activation, times this, fills half the torus; values beyond are
    /// wrong.
    pub activation_margin: f64,
}

impl Settings {
    /// # Errors
    /// [`CompileError::Setting`] for the first setting that cannot be used.
    pub fn check(&self) -> Result<(), CompileError> {
        let require = |fits, name, value, allowed| match fits {
            true => Ok(()),
            false => Err(CompileError::Setting { name, value, allowed }),
        };
        let log_dimension = self.parameters.log_dimension;
        let fits = (4..=16).contains(&log_dimension);
        require(fits, "log2 of the ring dimension", f64::from(log_dimension), "4 to 16")?;
        let bits =
            [("first weight bits", self.first_weight_bits), ("weight bits", self.weight_bits)];
        for (name, bits) in bits {
            require((2..=24).contains(&bits), name, f64::from(bits), "2 to 24")?;
        }
        let shared = self.shared_bits;
        require(shared <= 8, "shared bits", f64::from(shared), "0 to 8")?;
        let margins =
            [("pool margin", self.pool_margin), ("activation margin", self.activation_margin)];
        for (name, margin) in margins {
            require((0.1..=10.0).contains(&margin), name, margin, "0.1 to 10")?;
        }
        let keys = [("pool key", self.pool_key), ("activation key", self.activation_key)];
        for (name, key) in keys {
            let fits = key < self.parameters.bootstraps.len();
            require(fits, name, key as f64, "the index of one of the bootstrapping keys")?;
        }
        Ok(())
    }
}

impl Settings {
    /// The same settings on standard assumptions only: neither a partial nor a shared secret (see
    /// [`Assumptions::Conservative`]), at a third more time or so.
    #[must_use]
    pub fn conservative(mut self) -> Self {
        self.parameters.assumptions = Assumptions::Conservative;
        self.parameters.lwe_dimension = 1 << self.parameters.log_dimension.saturating_sub(1);
        self
    }
}

impl Settings {
    /// The same settings with this many key bits in each step of every blind rotation; one is what
    /// the `tfhe` crate's kernel takes.
    #[must_use]
    pub fn with_grouping_factor(mut self, grouping_factor: usize) -> Self {
        for bootstrap in &mut self.parameters.bootstraps {
            bootstrap.grouping_factor = grouping_factor;
        }
        self
    }
}

/// A named choice of [`Settings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Keeps the accuracy.
    Fast,
    /// The default.
    Balanced,
    /// Agreement with the plain model first.
    Precise,
}

impl Preset {
    /// All presets, fastest first.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Balanced, Self::Precise];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Precise => "precise",
        }
    }

    /// What parameters are selected for: for LeNet5 what the sets found by hand reach by prediction.
    #[must_use]
    pub fn target(self) -> super::Target {
        let (most, times) = match self {
            Self::Fast => (0.0012, 3.0),
            Self::Balanced => (0.0004, 2.0),
            Self::Precise => (0.00032, 1.1),
        };
        super::Target::Loss { most, times }
    }

    /// The settings.
    #[must_use]
    pub fn settings(self) -> Settings {
        let key = |shape: [usize; 2], gadget: [usize; 2], grouping_factor| {
            let ([glwe_dimension, polynomial_size], [base_log, levels]) = (shape, gadget);
            BootstrapLiteral { glwe_dimension, polynomial_size, base_log, levels, grouping_factor }
        };
        let (pool, activation) = ([23, 1], [15, 2]);
        let (small, large) = ([2, 1024], [1, 2048]);
        let (lwe_dimension, bootstraps, weight_bits) = match self {
            Self::Fast => (640, [key(small, pool, 2), key(small, activation, 2)], 8),
            Self::Balanced => (720, [key(small, pool, 2), key(small, activation, 2)], 8),
            // one key bit a step: the key on the wire stays below 64 MiB
            Self::Precise => (780, [key(large, pool, 2), key(small, activation, 1)], 9),
        };
        Settings {
            parameters: ParametersLiteral {
                assumptions: Assumptions::Compact,
                log_dimension: 11,
                modulus_bits: 50,
                lwe_dimension,
                down_gadget: (8, 2),
                up_gadget: (8, 6),
                bootstraps: bootstraps.to_vec(),
            },
            pool_key: 0,
            activation_key: 1,
            weight_bits,
            first_weight_bits: 12,
            shared_bits: 2,
            pool_margin: 0.95,
            activation_margin: 1.04,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let unknown = || format!("\"{name}\" is no preset: use fast, balanced or precise");
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or_else(unknown)
    }
}
