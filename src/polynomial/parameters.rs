//! Levels of a program, and the smallest secure parameters that hold them.

use super::PolynomialError;
use super::cost::Sizes;
use super::program::Operation;
use bellerophon_schemes::ckks::ParametersLiteral;
use bellerophon_schemes::security::{LweInstance, SecretDistribution, SecurityLevel};

/// `log2` of the ring dimensions that are tried.
const LOG_DIMENSIONS: std::ops::RangeInclusive<u32> = 13..=16;
/// `log2` of the scales that are tried: below, noise spoils results; above, nothing is gained.
const LOG_SCALES: std::ops::RangeInclusive<u32> = 33..=40;
/// Limbs of one digit of a key switch, at most.
const WIDEST_DIGIT: usize = 16;
/// Bits of the largest prime.
const WIDEST_PRIME: u32 = 50;
/// Standard deviation of the noise of a fresh encryption.
const SIGMA: f64 = 3.2;

/// How programs are compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Bits of security.
    pub security: SecurityLevel,
    /// `log2` of the ring dimension; the smallest that fits where not given.
    pub log_dimension: Option<u32>,
    /// `log2` of the scale; where not given, that of the fastest parameters.
    pub log_scale: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { security: SecurityLevel::Bits128, log_dimension: None, log_scale: None }
    }
}

/// The primes of a program and its scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// For the scheme.
    pub literal: ParametersLiteral,
    /// `log2` of the scale.
    pub log_scale: u32,
    /// What costs depend on, at the highest level.
    pub sizes: Sizes,
}

/// Levels that one operation takes.
#[must_use]
pub fn levels(operation: &Operation) -> usize {
    match operation {
        Operation::Sum(_) => 0,
        Operation::Linear(_) | Operation::Square => 1,
        Operation::Polynomial(polynomial) => polynomial_levels(polynomial.degree()),
        Operation::Rectify(sign) | Operation::Maximum { sign, .. } => sign.depth() as usize + 1,
    }
}

/// Levels of a polynomial by Paterson and Stockmeyer's method: `ceil(log2(degree + 1))`.
pub(super) fn polynomial_levels(degree: usize) -> usize {
    (degree + 1).next_power_of_two().ilog2() as usize
}

/// The parameters for this ring dimension of least predicted key-switching time, if any is secure.
/// Slots of the result stay below `2^(headroom - 1)`.
#[must_use]
pub fn choose(
    levels: usize,
    headroom: u32,
    log_dimension: u32,
    settings: &Settings,
) -> Option<Choice> {
    let scales = match settings.log_scale {
        Some(log_scale) => log_scale..=log_scale,
        None => LOG_SCALES,
    };
    let shapes = scales.flat_map(|scale| (1..=WIDEST_DIGIT).map(move |width| (scale, width)));
    let candidates = shapes.filter_map(|(log_scale, width)| {
        let choice = shape(levels, headroom, log_dimension, log_scale, width)?;
        is_secure(&choice.literal, settings.security).then_some(choice)
    });
    // every bit of scale is a bit of precision: worth two hundredths of the time
    let missing = |choice: &Choice| f64::from(*LOG_SCALES.end()) - f64::from(choice.log_scale);
    let price = |choice: &Choice| choice.sizes.key_switch() * (1.0 + 0.02 * missing(choice));
    candidates.min_by(|a, b| price(a).total_cmp(&price(b)))
}

pub(super) fn shape(
    levels: usize,
    headroom: u32,
    log_dimension: u32,
    log_scale: u32,
    width: usize,
) -> Option<Choice> {
    let base = log_scale + headroom;
    // the special primes must be larger than the largest digit, that of the base prime
    let digit = base + log_scale * (width.min(levels + 1) as u32 - 1);
    let special = digit.div_ceil(width as u32) + 1;
    if base > WIDEST_PRIME || special > WIDEST_PRIME || width > levels + 1 {
        return None;
    }
    let chain = std::iter::once(base).chain(std::iter::repeat_n(log_scale, levels));
    let literal = ParametersLiteral {
        log_dimension,
        modulus_bits: chain.collect(),
        special_bits: vec![special; width],
        digits: (levels + 1).div_ceil(width),
    };
    let sizes = Sizes {
        dimension: 1 << log_dimension,
        limbs: levels + 1,
        special: width,
        per_digit: width,
    };
    Some(Choice { literal, log_scale, sizes })
}

pub(super) fn is_secure(literal: &ParametersLiteral, level: SecurityLevel) -> bool {
    let bits: u32 = literal.modulus_bits.iter().chain(&literal.special_bits).sum();
    // primes are near their powers of two, on either side
    let log2_modulus = f64::from(bits) + 0.01;
    let instance = LweInstance {
        dimension: 1 << literal.log_dimension,
        log2_modulus,
        log2_std: SIGMA.log2() - log2_modulus,
        distribution: SecretDistribution::Ternary,
    };
    instance.require(level).is_ok()
}

/// The ring dimensions to try, smallest first.
///
/// # Errors
/// [`PolynomialError::Setting`] for a dimension or scale out of range.
pub fn dimensions(settings: &Settings) -> Result<Vec<u32>, PolynomialError> {
    let check = |name, value: Option<u32>, allowed: std::ops::RangeInclusive<u32>| match value {
        Some(value) if !allowed.contains(&value) => Err(PolynomialError::Setting {
            name,
            value,
            lowest: *allowed.start(),
            highest: *allowed.end(),
        }),
        _ => Ok(()),
    };
    check("log2 of the ring dimension", settings.log_dimension, LOG_DIMENSIONS)?;
    check("log2 of the scale", settings.log_scale, 25..=45)?;
    Ok(match settings.log_dimension {
        Some(log_dimension) => vec![log_dimension],
        None => LOG_DIMENSIONS.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_levels_fit_sixteen_thousand_coefficients() {
        let settings = Settings::default();
        assert_eq!(choose(9, 6, 13, &settings), None);
        let choice = choose(9, 6, 14, &settings).unwrap();
        let bits: u32 =
            choice.literal.modulus_bits.iter().chain(&choice.literal.special_bits).sum();
        assert!(bits <= 430, "{bits}");
        assert_eq!(choice.literal.modulus_bits.len(), 10);
        let special: u32 = choice.literal.special_bits.iter().sum();
        let width = choice.literal.special_bits.len();
        let digit: u32 = choice.literal.modulus_bits[..width].iter().sum();
        assert!(special > digit);
    }

    #[test]
    fn more_security_takes_a_larger_ring() {
        let settings = Settings { security: SecurityLevel::Bits192, ..Settings::default() };
        assert_eq!(choose(9, 6, 14, &settings), None);
        assert!(choose(9, 6, 15, &settings).is_some());
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let large = Settings { log_dimension: Some(17), ..Settings::default() };
        assert!(matches!(dimensions(&large), Err(PolynomialError::Setting { value: 17, .. })));
        let fine = Settings { log_scale: Some(60), ..Settings::default() };
        assert!(matches!(dimensions(&fine), Err(PolynomialError::Setting { value: 60, .. })));
        assert_eq!(dimensions(&Settings::default()).unwrap(), [13, 14, 15, 16]);
    }
}
