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
    /// `gamma x` above zero, `gamma alpha (e^x - 1)` below.
    Selu {
        /// Minus the limit at minus infinity, over `gamma`.
        alpha: f64,
        /// The slope above zero.
        gamma: f64,
    },
    /// `ln(1 + e^x)`.
    Softplus,
    /// `1/(1 + e^-x)`.
    Sigmoid,
    /// `alpha x + beta`, but at least 0 and at most 1.
    HardSigmoid {
        /// The slope between the two bounds.
        alpha: f64,
        /// The value at zero, before it is bounded.
        beta: f64,
    },
    /// The hyperbolic tangent.
    Tanh,
    /// `x`, but at least `min` and at most `max` (`max` wins if they cross).
    Clip {
        /// The lower bound.
        min: f64,
        /// The upper bound.
        max: f64,
    },
}

impl Activation {
    /// The ONNX operator that computes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Relu => "Relu",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Elu { .. } => "Elu",
            Self::Selu { .. } => "Selu",
            Self::Softplus => "Softplus",
            Self::Sigmoid => "Sigmoid",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::Tanh => "Tanh",
            Self::Clip { .. } => "Clip",
        }
    }

    /// Whether its parameters are finite numbers.
    pub fn is_finite(&self) -> bool {
        match *self {
            Self::Relu | Self::Softplus | Self::Sigmoid | Self::Tanh => true,
            Self::LeakyRelu { slope: a } | Self::Elu { alpha: a } => a.is_finite(),
            Self::Selu { alpha: a, gamma: b }
            | Self::HardSigmoid { alpha: a, beta: b }
            | Self::Clip { min: a, max: b } => a.is_finite() && b.is_finite(),
        }
    }

    /// The value at `x`.
    pub fn evaluate(&self, x: f64) -> f64 {
        match *self {
            Self::Relu => x.max(0.0),
            Self::LeakyRelu { slope } => x.max(0.0) + slope * x.min(0.0),
            Self::Elu { alpha } => x.max(0.0) + alpha * x.min(0.0).exp_m1(),
            Self::Selu { alpha, gamma } => gamma * Self::Elu { alpha }.evaluate(x),
            // The exponential of a positive number could overflow.
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Self::Tanh => x.tanh(),
            Self::Clip { min, max } => x.max(min).min(max),
        }
    }

    /// The derivative at `x`; at a kink, the mean of the one-sided derivatives.
    pub fn derivative(&self, x: f64) -> f64 {
        let positive = step(x);
        match *self {
            Self::Relu => positive,
            Self::LeakyRelu { slope } => positive + slope * (1.0 - positive),
            Self::Elu { alpha } => positive + alpha * (1.0 - positive) * x.min(0.0).exp(),
            Self::Selu { alpha, gamma } => gamma * Self::Elu { alpha }.derivative(x),
            Self::Softplus => Self::Sigmoid.evaluate(x),
            // Products rather than differences from one, which lose all digits far from zero.
            Self::Sigmoid => self.evaluate(x) * self.evaluate(-x),
            Self::HardSigmoid { alpha, beta } => {
                let value = alpha * x + beta;
                alpha * step(value) * step(1.0 - value)
            }
            Self::Tanh => x.cosh().powi(2).recip(),
            Self::Clip { min, max } if min < max => step(x - min) * step(max - x),
            Self::Clip { .. } => 0.0,
        }
    }

    /// Where the function or one of its derivatives jumps, as [`super::least_squares`] needs it.
    pub fn break_points(&self) -> Vec<f64> {
        match *self {
            Self::Relu | Self::LeakyRelu { .. } | Self::Elu { .. } | Self::Selu { .. } => vec![0.0],
            Self::HardSigmoid { alpha: 0.0, .. } => Vec::new(),
            Self::HardSigmoid { alpha, beta } => vec![-beta / alpha, (1.0 - beta) / alpha],
            Self::Clip { min, max } => vec![min, max],
            Self::Softplus | Self::Sigmoid | Self::Tanh => Vec::new(),
        }
    }
}

/// 0 below zero, 1 above, the mean of both at zero.
fn step(x: f64) -> f64 {
    if x == 0.0 { 0.5 } else { f64::from(x > 0.0) }
}
