//! Parameter sets found by measurement, for LeNet5.

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
    /// Bits of a weight, sign included.
    pub weight_bits: u32,
    /// Bits of a weight of the first layer, whose input is fresh and leaves more room.
    pub first_weight_bits: u32,
    /// The largest difference seen in a max-pool, times this, fills the torus; below 1 the rarest
    /// differences are folded back.
    pub pool_margin: f64,
    /// The range seen before an activation, times this, fills half the torus; values beyond are
    /// wrong.
    pub activation_margin: f64,
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

    /// The settings.
    #[must_use]
    pub fn settings(self) -> Settings {
        let glwe = |glwe_dimension, polynomial_size, base_log, levels| BootstrapLiteral {
            glwe_dimension,
            polynomial_size,
            base_log,
            levels,
        };
        let (lwe_dimension, bootstraps, weight_bits) = match self {
            Self::Fast => (700, [glwe(2, 1024, 23, 1), glwe(2, 1024, 16, 2)], 7),
            Self::Balanced => (750, [glwe(2, 1024, 23, 1), glwe(1, 2048, 16, 2)], 8),
            Self::Precise => (800, [glwe(1, 2048, 23, 1), glwe(1, 2048, 16, 2)], 9),
        };
        Settings {
            parameters: ParametersLiteral {
                assumptions: Assumptions::Compact,
                log_dimension: 11,
                modulus_bits: 50,
                lwe_dimension,
                down_gadget: (5, 3),
                up_gadget: (8, 6),
                bootstraps: bootstraps.to_vec(),
            },
            pool_key: 0,
            activation_key: 1,
            weight_bits,
            first_weight_bits: 12,
            pool_margin: 0.9,
            activation_margin: 1.1,
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
