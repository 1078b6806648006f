//! What takes the place of ReLU and max-pool.

use super::PolynomialError;
use bellerophon_schemes::math::approximation::{
    Activation as Function, ApproximationError, CompositeSign, Polynomial, composite_sign_for,
    derivative_then_integrate, interpolate, least_squares, taylor,
};
use std::fmt;
use std::str::FromStr;

/// The polynomial in the place of each activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activation {
    /// `x^2`.
    Square,
    /// `x^2 + 2x`.
    Square2x,
    /// Least squares on the calibrated range, of this degree.
    LeastSquares(usize),
    /// Interpolation in Chebyshev nodes of the calibrated range, of this degree.
    Chebyshev(usize),
    /// Taylor series about zero (of softplus, which has one), of this degree.
    Taylor(usize),
    /// Least squares for the derivative, integrated; of this degree.
    Derivative(usize),
    /// `x (1 + sign x) / 2` with a composition of minimax polynomials for the sign, to this many
    /// bits.
    Minimax(u32),
    /// What the network was trained with.
    Trained,
}

/// The pooling in the place of max-pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The mean of each window.
    #[default]
    Mean,
    /// The sum of each window.
    Sum,
    /// The largest of each window, by comparisons with a composite sign to this many bits.
    Minimax(u32),
    /// The largest of each window, exactly: in the clear alone. Under encryption it takes tables,
    /// which programs of [`crate::compile`] have.
    Max,
}

/// An activation on its calibrated range.
#[derive(Clone, Debug, PartialEq)]
pub enum Approximation {
    /// One polynomial.
    Polynomial(Polynomial),
    /// `x (1 + sign(x / bound)) / 2`.
    Rectifier {
        /// The sign on [-1, 1].
        sign: CompositeSign,
        /// The largest magnitude it is used at.
        bound: f64,
    },
}

impl Approximation {
    /// The value at `x`.
    #[must_use]
    pub fn evaluate(&self, x: f64) -> f64 {
        match self {
            Self::Polynomial(polynomial) => polynomial.evaluate(x),
            Self::Rectifier { sign, bound } => bound * sign.relu(x / bound),
        }
    }
}

impl Activation {
    /// ReLU's stand-in on an interval.
    ///
    /// # Errors
    /// [`PolynomialError::Approximation`] for a degree or precision out of range,
    /// [`PolynomialError::NotTrained`] for [`Activation::Trained`], which is for networks that have
    /// no ReLU.
    pub fn approximate(&self, interval: [f64; 2]) -> Result<Approximation, PolynomialError> {
        self.approximate_function(Function::Relu, interval)
    }

    /// A function's stand-in on an interval.
    ///
    /// # Errors
    /// As [`Activation::approximate`]; [`PolynomialError::Choice`] for [`Activation::Minimax`] of
    /// anything but ReLU.
    pub fn approximate_function(
        &self,
        function: Function,
        interval: [f64; 2],
    ) -> Result<Approximation, PolynomialError> {
        let value = |x| function.evaluate(x);
        let kinks = &function.break_points();
        let polynomial = match *self {
            Self::Square | Self::Square2x => self.fixed(interval)?,
            Self::LeastSquares(degree) => least_squares(value, kinks, interval, degree)?,
            Self::Chebyshev(degree) => interpolate(value, interval, degree)?,
            Self::Taylor(degree) => taylor(function, interval, degree)?,
            Self::Derivative(degree) => {
                let slope = |x| function.derivative(x);
                derivative_then_integrate(value, slope, kinks, interval, degree)?
            }
            Self::Minimax(_) if function != Function::Relu => {
                let (found, allowed) =
                    (format!("{self} of {}", function.name()), "minimax of relu");
                return Err(PolynomialError::Choice { found, allowed });
            }
            Self::Minimax(bits) => {
                let bound = interval[0].abs().max(interval[1].abs());
                return Ok(Approximation::Rectifier { sign: composite_sign_for(bits)?, bound });
            }
            Self::Trained => return Err(PolynomialError::NotTrained { found: "ReLU" }),
        };
        Ok(Approximation::Polynomial(polynomial))
    }

    fn fixed(&self, interval: [f64; 2]) -> Result<Polynomial, ApproximationError> {
        let linear = if *self == Self::Square2x { 2.0 } else { 0.0 };
        let basis = bellerophon_schemes::math::approximation::Basis::Monomial;
        Polynomial::new(basis, interval, vec![0.0, linear, 1.0])
    }

    /// Whether a network trained with the polynomial of these coefficients is what was asked for.
    #[must_use]
    pub fn allows_trained(&self, coefficients: &[f64]) -> bool {
        match self {
            Self::Trained => true,
            Self::Square => coefficients == [0.0, 0.0, 1.0],
            Self::Square2x => coefficients == [0.0, 2.0, 1.0],
            _ => false,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Square => f.write_str("square"),
            Self::Square2x => f.write_str("square2x"),
            Self::LeastSquares(degree) => write!(f, "least-squares:{degree}"),
            Self::Chebyshev(degree) => write!(f, "chebyshev:{degree}"),
            Self::Taylor(degree) => write!(f, "taylor:{degree}"),
            Self::Derivative(degree) => write!(f, "derivative:{degree}"),
            Self::Minimax(bits) => write!(f, "minimax:{bits}"),
            Self::Trained => f.write_str("trained"),
        }
    }
}

impl FromStr for Activation {
    type Err = PolynomialError;

    fn from_str(text: &str) -> Result<Self, PolynomialError> {
        let unknown = || PolynomialError::Choice {
            found: text.to_owned(),
            allowed: "square, square2x, trained, minimax:BITS, or one of chebyshev, least-squares, \
                      taylor and derivative with its degree, as in chebyshev:7",
        };
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number.parse::<u32>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let degree = number.map(|number| number as usize);
        match (name, degree, number) {
            ("square", None, _) => Ok(Self::Square),
            ("square2x", None, _) => Ok(Self::Square2x),
            ("trained", None, _) => Ok(Self::Trained),
            ("least-squares", Some(degree), _) => Ok(Self::LeastSquares(degree)),
            ("chebyshev", Some(degree), _) => Ok(Self::Chebyshev(degree)),
            ("taylor", Some(degree), _) => Ok(Self::Taylor(degree)),
            ("derivative", Some(degree), _) => Ok(Self::Derivative(degree)),
            ("minimax", _, Some(bits)) => Ok(Self::Minimax(bits)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Sum => "sum",
            Self::Max => "max",
            Self::Minimax(bits) => return write!(f, "minimax:{bits}"),
        })
    }
}

impl FromStr for Pooling {
    type Err = PolynomialError;

    fn from_str(text: &str) -> Result<Self, PolynomialError> {
        let unknown = || PolynomialError::Choice {
            found: text.to_owned(),
            allowed: "mean, sum, minimax:BITS, or max in the clear",
        };
        match (text, text.strip_prefix("minimax:")) {
            ("mean", _) => Ok(Self::Mean),
            ("sum", _) => Ok(Self::Sum),
            ("max", _) => Ok(Self::Max),
            (_, Some(bits)) => bits.parse().map(Self::Minimax).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_survive_their_names() {
        for text in [
            "square",
            "square2x",
            "trained",
            "least-squares:4",
            "chebyshev:7",
            "taylor:3",
            "derivative:5",
            "minimax:8",
        ] {
            assert_eq!(text.parse::<Activation>().unwrap().to_string(), text);
        }
        for text in ["mean", "sum", "max", "minimax:5"] {
            assert_eq!(text.parse::<Pooling>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["", "relu", "square:2", "chebyshev", "chebyshev:", "taylor:-1", "minimax:x"] {
            let error = text.parse::<Activation>().unwrap_err();
            assert!(matches!(&error, PolynomialError::Choice { found, .. } if found == text));
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        for text in ["", "median", "minimax", "minimax:", "minimax:-1"] {
            assert!(text.parse::<Pooling>().is_err(), "{text}");
        }
    }

    #[test]
    fn approximations_are_near_relu_on_their_interval() {
        for (text, near) in [
            ("chebyshev:15", 0.25),
            ("least-squares:8", 0.3),
            ("derivative:9", 0.4),
            ("minimax:8", 0.02),
        ] {
            let activation: Activation = text.parse().unwrap();
            let found = activation.approximate([-3.0, 4.0]).unwrap();
            for step in 0..=100 {
                let x = -3.0 + 0.07 * f64::from(step);
                assert!((found.evaluate(x) - x.max(0.0)).abs() < near, "{text} at {x}");
            }
        }
    }

    #[test]
    fn what_cannot_be_approximated_is_refused() {
        let interval = [-1.0, 1.0];
        let trained = Activation::Trained.approximate(interval);
        assert!(matches!(trained, Err(PolynomialError::NotTrained { .. })));
        for activation in [Activation::Minimax(99), Activation::Chebyshev(1 << 20)] {
            let error = activation.approximate(interval).unwrap_err();
            assert!(matches!(error, PolynomialError::Approximation(_)), "{error}");
        }
    }
}
