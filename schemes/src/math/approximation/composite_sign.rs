//! The sign function as a composition of minimax polynomials.

use serde::{Deserialize, Serialize};

use super::{ApproximationError, Parity, Polynomial, minimax};

/// The lowest and the highest precision that [`composite_sign_for`] plans for, in bits.
const PRECISIONS: [u32; 2] = [2, 30];
/// The degrees of components: odd, from the least that helps to the highest that pays.
const DEGREES: [usize; 2] = [3, 31];
/// Gaps this wide leave nothing but rounding errors to approximate.
const NEAREST: f64 = 1.0 - 1e-13;
/// Points on each side of the gap's end at which errors are measured.
const SAMPLES: u32 = 4096;

/// `sign(x)` on `[-1, -epsilon] ∪ [epsilon, 1]` as odd polynomials applied one after the other.
///
/// Every component is in the Chebyshev basis of `[-1, 1]` and sends `[-1, 1]` back into it, or in
/// the last into `[-1 - error, 1 + error]`: no scaling is needed between them. Multiplicative depth
/// is [`CompositeSign::depth`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct CompositeSign {
    polynomials: Vec<Polynomial>,
    epsilon: f64,
    /// Measured anew wherever the components arrive.
    #[serde(skip_serializing)]
    error: f64,
}

/// The fields of a [`CompositeSign`] as they arrive.
#[derive(Deserialize)]
struct Unchecked {
    polynomials: Vec<Polynomial>,
    epsilon: f64,
}

impl TryFrom<Unchecked> for CompositeSign {
    type Error = ApproximationError;

    fn try_from(fields: Unchecked) -> Result<Self, ApproximationError> {
        Self::new(fields.polynomials, fields.epsilon)
    }
}

impl CompositeSign {
    /// These components, the first applied first, for `|x|` in `[epsilon, 1]`.
    ///
    /// # Errors
    /// [`ApproximationError::NoComponents`], [`ApproximationError::Epsilon`].
    pub fn new(polynomials: Vec<Polynomial>, epsilon: f64) -> Result<Self, ApproximationError> {
        check_epsilon(epsilon)?;
        if polynomials.is_empty() {
            return Err(ApproximationError::NoComponents);
        }
        let error = measured_error(&polynomials, epsilon);
        Ok(Self { polynomials, epsilon, error })
    }

    /// The components, the first applied first.
    pub fn polynomials(&self) -> &[Polynomial] {
        &self.polynomials
    }

    /// Half of the width of the gap around zero in which the sign is not approximated.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The largest `|sign(x) - p(x)|` for `|x|` in `[epsilon, 1]`.
    pub fn error(&self) -> f64 {
        self.error
    }

    /// Multiplicative depth of the composition: the sum of `ceil(log2(degree + 1))`.
    pub fn depth(&self) -> u32 {
        self.polynomials.iter().map(|p| depth(p.degree())).sum()
    }

    /// The degrees of the components.
    pub fn degrees(&self) -> Vec<usize> {
        self.polynomials.iter().map(Polynomial::degree).collect()
    }

    /// The approximate sign of `x`, for `|x| <= 1`.
    pub fn evaluate(&self, x: f64) -> f64 {
        compose(&self.polynomials, x)
    }

    /// `x (1 + sign(x))/2`, for `|x| <= 1`: one level more than the sign.
    pub fn relu(&self, x: f64) -> f64 {
        x * (1.0 + self.evaluate(x)) / 2.0
    }

    /// `(a + b + (a - b) sign(a - b))/2`, for `|a - b| <= 1`: one level more than the sign.
    pub fn max(&self, a: f64, b: f64) -> f64 {
        (a + b + (a - b) * self.evaluate(a - b)) / 2.0
    }

    /// The largest error of [`CompositeSign::relu`] on `[-1, 1]`, and of [`CompositeSign::max`] for
    /// `|a - b| <= 1`: of `|x| |sign(x) - p(x)|/2`, within the gap as well.
    pub fn relu_error(&self) -> f64 {
        let error = |x: f64| x * (1.0 - self.evaluate(x)).abs() / 2.0;
        let gap = (0..=SAMPLES).map(|i| self.epsilon * f64::from(i) / f64::from(SAMPLES));
        gap.chain(ladder(self.epsilon)).map(error).fold(0.0, f64::max)
    }
}

/// Minimax composition with components of these odd degrees, the first applied first.
///
/// The first component is the minimax approximation of the sign on `[epsilon, 1]` and its mirror
/// image. It leaves values in `[1 - e, 1 + e]`, `e` its error; divided by `1 + e`, they are
/// what the second has to be the minimax approximation of the sign on; and so on. For given degrees
/// no composition of odd polynomials has a smaller error (E. Lee, J.-W. Lee, J.-S. No and
/// Y.-S. Kim, "Minimax Approximation of Sign Function by Composite Polynomial for Homomorphic
/// Comparison", IEEE TDSC 2022, ePrint 2020/834, theorem on minimax composite polynomials).
///
/// # Errors
/// [`ApproximationError::NoComponents`], [`ApproximationError::Epsilon`], and those of
/// [`minimax`].
pub fn composite_sign(
    degrees: &[usize],
    epsilon: f64,
) -> Result<CompositeSign, ApproximationError> {
    check_epsilon(epsilon)?;
    let mut polynomials = Vec::with_capacity(degrees.len());
    let mut gap = epsilon;
    for (i, &degree) in degrees.iter().enumerate() {
        let component = Component::new(degree, gap)?;
        let scale = if i + 1 == degrees.len() { 1.0 } else { 1.0 / (1.0 + component.error) };
        polynomials.push(component.polynomial.affine(scale, 0.0)?);
        gap = component.gap();
    }
    CompositeSign::new(polynomials, epsilon)
}

/// The composition of least depth with `|sign(x) - p(x)| <= 2^-bits` for `2^-bits <= |x| <= 1`.
///
/// For ReLU and maximum to `2^-bits`, `bits - 1` are enough: [`CompositeSign::relu_error`].
///
/// # Errors
/// [`ApproximationError::Precision`] outside 2 to 30 bits, and those of [`minimax`].
pub fn composite_sign_for(bits: u32) -> Result<CompositeSign, ApproximationError> {
    let [lowest, highest] = PRECISIONS;
    if !(lowest..=highest).contains(&bits) {
        return Err(ApproximationError::Precision { bits, lowest, highest });
    }
    let bound = (-f64::from(bits)).exp2();
    composite_sign_within(bound, bound)
}

/// The composition of least depth with `|sign(x) - p(x)| <= error` for `epsilon <= |x| <= 1`.
///
/// For each depth in turn the widest gap that can be reached is computed from those of lower
/// depths: the wider the gap that a component starts from, the smaller its error, so that the best
/// composition ends in a component applied to a best one (the dynamic programme of E. Lee et al.,
/// ePrint 2020/834, with degrees to 31). Depth alone would always take the highest degree that a
/// depth allows; once it is known, degrees are lowered by two, always where the error grows the
/// least, for as long as it allows. Takes milliseconds at 6 bits and about a second at 28.
///
/// # Errors
/// [`ApproximationError::Epsilon`] and [`ApproximationError::SignError`] below `2^-30`, and those
/// of [`minimax`].
pub fn composite_sign_within(
    epsilon: f64,
    error: f64,
) -> Result<CompositeSign, ApproximationError> {
    let lowest = (-f64::from(PRECISIONS[1])).exp2();
    if !(lowest..1.0).contains(&epsilon) {
        return Err(ApproximationError::Epsilon { epsilon });
    }
    if !(lowest..1.0).contains(&error) {
        return Err(ApproximationError::SignError { error });
    }
    let mut degrees = shallowest(epsilon, error)?;
    while let Some(lowered) = lower_one(&degrees, epsilon, error)? {
        degrees = lowered;
    }
    composite_sign(&degrees, epsilon)
}

/// Levels that evaluating an odd polynomial of this degree takes.
fn depth(degree: usize) -> u32 {
    (degree + 1).next_power_of_two().ilog2()
}

fn check_epsilon(epsilon: f64) -> Result<(), ApproximationError> {
    if epsilon > 0.0 && epsilon < 1.0 {
        Ok(())
    } else {
        Err(ApproximationError::Epsilon { epsilon })
    }
}

fn compose(polynomials: &[Polynomial], x: f64) -> f64 {
    polynomials.iter().fold(x, |value, p| p.evaluate(value))
}

/// Points from `epsilon` to 1, evenly spaced in their logarithms.
fn ladder(epsilon: f64) -> impl Iterator<Item = f64> {
    (0..=SAMPLES).map(move |i| epsilon.powf(1.0 - f64::from(i) / f64::from(SAMPLES)))
}

/// The largest error on both sides. That of a minimax composition is found exactly: each of its
/// components is furthest from 1 at the end of its gap, hence all of them together are at `epsilon`.
fn measured_error(polynomials: &[Polynomial], epsilon: f64) -> f64 {
    let error = |x: f64| (1.0 - compose(polynomials, x)).abs();
    let mirrored = |x: f64| (-1.0 - compose(polynomials, -x)).abs();
    ladder(epsilon).map(|x| error(x).max(mirrored(x))).fold(0.0, f64::max)
}

/// One component: the minimax approximation of the sign on `[gap, 1]` and its mirror image.
struct Component {
    polynomial: Polynomial,
    error: f64,
}

impl Component {
    fn new(degree: usize, gap: f64) -> Result<Self, ApproximationError> {
        let start = gap.min(NEAREST);
        let (polynomial, error) = minimax(f64::signum, &[[start, 1.0]], degree, Parity::Odd)?;
        Ok(Self { polynomial, error })
    }

    /// Where the values that it leaves begin, relative to the largest.
    fn gap(&self) -> f64 {
        (1.0 - self.error) / (1.0 + self.error)
    }
}

/// Degrees of a composition of least depth.
fn shallowest(epsilon: f64, target: f64) -> Result<Vec<usize>, ApproximationError> {
    // At index `d`: the widest gap that depth `d` reaches, and how.
    let mut reached: Vec<Option<(f64, Vec<usize>)>> = vec![Some((epsilon, Vec::new()))];
    loop {
        let mut best: Option<(f64, f64, Vec<usize>)> = None;
        for levels in depth(DEGREES[0])..=depth(DEGREES[1]) {
            let before =
                reached.len().checked_sub(levels as usize).and_then(|i| reached[i].as_ref());
            let Some((gap, degrees)) = before else { continue };
            let degree = (1 << levels) - 1;
            let component = Component::new(degree, *gap)?;
            if best.as_ref().is_none_or(|(error, ..)| component.error < *error) {
                let degrees = degrees.iter().copied().chain([degree]).collect();
                best = Some((component.error, component.gap(), degrees));
            }
        }
        match best {
            Some((error, _, degrees)) if error <= target => return Ok(degrees),
            best => reached.push(best.map(|(_, gap, degrees)| (gap, degrees))),
        }
    }
}

/// The error of a composition of these degrees.
fn composite_error(degrees: &[usize], epsilon: f64) -> Result<f64, ApproximationError> {
    let (mut gap, mut error) = (epsilon, 1.0);
    for &degree in degrees {
        let component = Component::new(degree, gap)?;
        (gap, error) = (component.gap(), component.error);
    }
    Ok(error)
}

/// The degrees with one lowered by two, the one that costs the least error, if `target` allows it.
fn lower_one(
    degrees: &[usize],
    epsilon: f64,
    target: f64,
) -> Result<Option<Vec<usize>>, ApproximationError> {
    let mut best: Option<(f64, Vec<usize>)> = None;
    for i in 0..degrees.len() {
        let mut lowered = degrees.to_vec();
        if lowered[i] <= DEGREES[0] {
            continue;
        }
        lowered[i] -= 2;
        let error = composite_error(&lowered, epsilon)?;
        if error <= best.as_ref().map_or(target, |(least, _)| *least) {
            best = Some((error, lowered));
        }
    }
    Ok(best.map(|(_, degrees)| degrees))
}
