//! The activation functions to approximate, exactly as networks define them.

use serde::{Deserialize, Serialize};

/// An activation function of a network, applied to each value by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Activation {
    /// `max(0, x)`.
    Relu,
    /// `x` above zero, `slope * x` below.
    LeakyRelu {
        /// The slope below zero.
        slope: f64,
    },
    /// `x` above zero, `alpha (e^x - 1)` below.
    Elu {
        /// Minus the limit at minus infinity.
        alpha: f64,
    },
    /// `ln(1 + e^x)`.
    Softplus,
    /// `1/(1 + e^-x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Its usual name, in lower case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky-relu",
            Self::Elu { .. } => "elu",
            Self::Softplus => "softplus",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
        }
    }

    /// The value at `x`.
    pub fn evaluate(&self, x: f64) -> f64 {
        match *self {
            Self::Relu => x.max(0.0),
            Self::LeakyRelu { slope } => x.max(0.0) + slope * x.min(0.0),
            Self::Elu { alpha } => x.max(0.0) + alpha * x.min(0.0).exp_m1(),
            // The exponential of a positive number could overflow.
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
        }
    }

    /// The derivative at `x`; at a kink, the mean of the one-sided derivatives.
    pub fn derivative(&self, x: f64) -> f64 {
        let step = if x == 0.0 { 0.5 } else { f64::from(x > 0.0) };
        match *self {
            Self::Relu => step,
            Self::LeakyRelu { slope } => step + slope * (1.0 - step),
            Self::Elu { alpha } => step + alpha * (1.0 - step) * x.min(0.0).exp(),
            Self::Softplus => Self::Sigmoid.evaluate(x),
            // Products rather than differences from one, which lose all digits far from zero.
            Self::Sigmoid => self.evaluate(x) * self.evaluate(-x),
            Self::Tanh => x.cosh().powi(2).recip(),
        }
    }

    /// Where the function or one of its derivatives jumps, as [`super::least_squares`] needs it.
    pub fn break_points(&self) -> &'static [f64] {
        match self {
            Self::Relu | Self::LeakyRelu { .. } | Self::Elu { .. } => &[0.0],
            Self::Softplus | Self::Sigmoid | Self::Tanh => &[],
        }
    }
}
