//! Minimax approximation on a union of intervals: the exchange algorithm of Remez.
//!
//! The trial polynomials are kept in the Chebyshev basis, for which the linear system that levels
//! the error is solved with a small residual whatever its condition; the reference is exchanged at
//! all points at once among the local extrema of the error over several intervals (J.-W. Lee,
//! E. Lee, Y. Lee, Y.-S. Kim and J.-S. No, "High-Precision Bootstrapping of RNS-CKKS Homomorphic
//! Encryption Using Optimal Minimax Polynomial Approximation and Inverse Sine Function", EUROCRYPT
//! 2021).

use std::f64::consts::PI;

use super::interpolation::finite;
use super::polynomial::{check_interval, to_unit};
use super::{ApproximationError, Parity, Polynomial};

/// The highest degree that [`minimax`] goes to.
pub const MAX_MINIMAX_DEGREE: usize = 63;

/// Relative distance between the levelled error and the largest one at which exchanges stop.
const TARGET: f64 = 1e-13;
/// The same, when rounding keeps the exchanges from coming closer.
const TOLERANCE: f64 = 1e-6;
/// Errors this small relative to the function are rounding.
const ROUNDING: f64 = 1e-13;
/// Most exchanges.
const EXCHANGES: usize = 60;
/// Samples of the error between two points of the reference.
const SAMPLES: usize = 14;
/// Where intervals that touch zero begin for odd polynomials, relative to the largest point.
const ODD_START: f64 = 1.0 / (1_u64 << 40) as f64;

/// The polynomial of at most this degree and of this parity with the least largest error over the
/// union of the intervals, in the Chebyshev basis of their hull, and that error.
///
/// With [`Parity::Even`] or [`Parity::Odd`], `f` must have that parity; it is then looked at on the
/// absolute values of the intervals alone, and the hull is made symmetric. In the gaps between
/// intervals the polynomial is whatever it comes to be.
///
/// The error returned is that of the returned coefficients. By the theorem of de la Vallée Poussin
/// the levelled error bounds the least possible one from below: the two are within a millionth of
/// each other, or the difference is rounding error. Where a lower degree is as good as double
/// precision allows, the polynomial returned has it: higher ones are undetermined in the gaps.
///
/// # Errors
/// [`ApproximationError::NoIntervals`], [`ApproximationError::Interval`],
/// [`ApproximationError::Degree`] above [`MAX_MINIMAX_DEGREE`] or below 1 for odd polynomials,
/// [`ApproximationError::FunctionNotFinite`], [`ApproximationError::NotConverged`].
pub fn minimax(
    f: impl Fn(f64) -> f64,
    intervals: &[[f64; 2]],
    degree: usize,
    parity: Parity,
) -> Result<(Polynomial, f64), ApproximationError> {
    let mut problem = Problem::new(&f, intervals, degree, parity)?;
    let failed = match problem.solve() {
        Ok(trial) => return Ok((trial.polynomial, trial.worst)),
        Err(error @ ApproximationError::NotConverged { .. }) => error,
        Err(error) => return Err(error),
    };
    while problem.terms > 1 {
        problem.terms -= 1;
        if let Ok(trial) = problem.solve()
            && trial.worst <= ROUNDING * trial.scale
        {
            return Ok((trial.polynomial, trial.worst));
        }
    }
    Err(failed)
}

/// A point and the error there.
#[derive(Debug, Clone, Copy)]
struct Extremum {
    x: f64,
    error: f64,
}

/// A function to approximate and where.
struct Problem<'a, F> {
    function: &'a F,
    /// Disjoint, ascending; not negative if the parity is even or odd.
    pieces: Vec<[f64; 2]>,
    parity: Parity,
    /// Free coefficients.
    terms: usize,
}

/// A polynomial whose error alternates between `±level` on a reference.
struct Trial {
    polynomial: Polynomial,
    level: f64,
    /// The largest error anywhere.
    worst: f64,
    /// The largest value of the function on the reference.
    scale: f64,
}

impl Trial {
    /// How far the largest error is above the levelled one.
    fn unlevel(&self) -> f64 {
        self.worst - self.level.abs()
    }
}

impl<'a, F: Fn(f64) -> f64> Problem<'a, F> {
    fn new(
        function: &'a F,
        intervals: &[[f64; 2]],
        degree: usize,
        parity: Parity,
    ) -> Result<Self, ApproximationError> {
        let lowest = usize::from(parity == Parity::Odd);
        if !(lowest..=MAX_MINIMAX_DEGREE).contains(&degree) {
            let highest = MAX_MINIMAX_DEGREE;
            return Err(ApproximationError::Degree { degree, lowest, highest });
        }
        intervals.iter().try_for_each(|&interval| check_interval(interval))?;
        let terms = match parity {
            Parity::None => degree + 1,
            Parity::Even => degree / 2 + 1,
            Parity::Odd => degree.div_ceil(2),
        };
        let pieces = merged(intervals, parity);
        if pieces.is_empty() {
            return Err(ApproximationError::NoIntervals);
        }
        Ok(Self { function, pieces, parity, terms })
    }

    fn f(&self, x: f64) -> Result<f64, ApproximationError> {
        finite(self.function, x)
    }

    /// Index in the Chebyshev basis of each free coefficient.
    fn index(&self, term: usize) -> usize {
        match self.parity {
            Parity::None => term,
            Parity::Even => 2 * term,
            Parity::Odd => 2 * term + 1,
        }
    }

    fn hull(&self) -> [f64; 2] {
        let upper = self.pieces[self.pieces.len() - 1][1];
        match self.parity {
            Parity::None => [self.pieces[0][0], upper],
            Parity::Even | Parity::Odd => [-upper, upper],
        }
    }

    /// Exchanges references until the error is level.
    fn solve(&self) -> Result<Trial, ApproximationError> {
        let mut points = self.first_reference();
        let mut best: Option<Trial> = None;
        for _ in 0..EXCHANGES {
            let mut trial = match self.level(&points) {
                // Extrema of mere rounding errors may lie too close together.
                Err(ApproximationError::NotConverged { .. }) => break,
                trial => trial?,
            };
            let extrema = self.extrema(&points, &trial.polynomial)?;
            trial.worst = extrema.iter().map(|e| e.error.abs()).fold(0.0, f64::max);
            let level = trial.unlevel() <= TARGET * trial.worst + 4.0 * f64::EPSILON * trial.scale;
            if best.as_ref().is_none_or(|best| trial.worst < best.worst) {
                best = Some(trial);
            }
            match alternating(extrema, self.terms + 1) {
                Some(next) if !level => points = next,
                _ => break,
            }
        }
        match best {
            Some(best) if best.unlevel() <= TOLERANCE * best.worst + ROUNDING * best.scale => {
                Ok(best)
            }
            Some(best) => Err(not_converged(best.unlevel() / best.worst)),
            None => Err(not_converged(f64::INFINITY)),
        }
    }

    /// Extrema of the Chebyshev polynomial that would be the error on one interval, stretched over
    /// the pieces put together; in `x²` for even and odd polynomials. Without parity they are not
    /// quite symmetric, for on a symmetric reference of even size the levelled error of an even
    /// function is zero, and no exchange leads on from there.
    fn first_reference(&self) -> Vec<f64> {
        let terms = self.terms as f64;
        let even = |j: usize| (1.0 - (PI * j as f64 / terms).cos()) / 2.0;
        let at_zero = self.pieces[0][0] <= ODD_START * self.pieces[0][1];
        let share = |j: usize| match self.parity {
            Parity::None => even(j) + 0.1 * even(j) * (1.0 - even(j)),
            Parity::Odd if at_zero => (PI * (terms - j as f64) / (2.0 * terms + 1.0)).cos().powi(2),
            Parity::Even | Parity::Odd => even(j),
        };
        (0..=self.terms).map(|j| self.along(share(j))).collect()
    }

    /// The point below which this share of the pieces lies, gaps not counted.
    fn along(&self, share: f64) -> f64 {
        let squared = self.parity != Parity::None;
        let measured = |x: f64| if squared { x * x } else { x };
        let lengths = self.pieces.iter().map(|[a, b]| measured(*b) - measured(*a));
        let mut left = share * lengths.sum::<f64>();
        for &[lower, upper] in &self.pieces {
            let (from, to) = (measured(lower), measured(upper));
            if left <= to - from {
                let at = from + left;
                return if squared { at.sqrt() } else { at }.clamp(lower, upper);
            }
            left -= to - from;
        }
        self.pieces[self.pieces.len() - 1][1]
    }

    /// The polynomial whose error is level on the reference: coefficients and level from
    /// `sum_k c_k T_k(t_j) + (-1)^j level = f(x_j)`.
    fn level(&self, points: &[f64]) -> Result<Trial, ApproximationError> {
        let hull = self.hull();
        let highest = self.index(self.terms - 1);
        let (mut rows, mut scale) = (Vec::with_capacity(points.len()), 0.0_f64);
        for (j, &x) in points.iter().enumerate() {
            let all = chebyshev_values(to_unit(hull, x), highest);
            let mut row: Vec<f64> = (0..self.terms).map(|term| all[self.index(term)]).collect();
            let value = self.f(x)?;
            scale = scale.max(value.abs());
            row.extend([if j % 2 == 0 { 1.0 } else { -1.0 }, value]);
            rows.push(row);
        }
        let unknowns = solve_linear(rows);
        // Pieces too short for so many points: a lower degree is as good there.
        if unknowns.iter().any(|value| !value.is_finite()) {
            return Err(not_converged(f64::INFINITY));
        }
        let mut coefficients = vec![0.0; highest + 1];
        for (term, &c) in unknowns.iter().take(self.terms).enumerate() {
            coefficients[self.index(term)] = c;
        }
        let polynomial = Polynomial::chebyshev(hull, coefficients)?;
        Ok(Trial { polynomial, level: unknowns[self.terms], worst: f64::INFINITY, scale })
    }

    /// Local extrema of the error over all pieces, sampled densely where the reference is dense.
    fn extrema(
        &self,
        reference: &[f64],
        polynomial: &Polynomial,
    ) -> Result<Vec<Extremum>, ApproximationError> {
        let error = |x: f64| Ok(Extremum { x, error: self.f(x)? - polynomial.evaluate(x) });
        let mut found = Vec::new();
        for &[lower, upper] in &self.pieces {
            let samples = grid(lower, upper, reference)
                .into_iter()
                .map(&error)
                .collect::<Result<Vec<Extremum>, _>>()?;
            for (i, &start) in samples.iter().enumerate() {
                let around =
                    [samples[i.saturating_sub(1)], samples[(i + 1).min(samples.len() - 1)]];
                let sign = start.error.signum();
                if around.iter().all(|side| sign * start.error >= sign * side.error) {
                    found.push(refine(&error, around.map(|side| side.x), start)?);
                }
            }
        }
        Ok(found)
    }
}

fn not_converged(residual: f64) -> ApproximationError {
    let method = "exchange of Remez";
    ApproximationError::NotConverged { method, residual, tolerance: TOLERANCE }
}

/// The union of the intervals, or of their absolute values, as disjoint ascending pieces.
fn merged(intervals: &[[f64; 2]], parity: Parity) -> Vec<[f64; 2]> {
    let absolute = |&[lower, upper]: &[f64; 2]| match parity {
        Parity::None => [lower, upper],
        _ if lower >= 0.0 => [lower, upper],
        _ if upper <= 0.0 => [-upper, -lower],
        _ => [0.0, upper.max(-lower)],
    };
    let mut sorted: Vec<[f64; 2]> = intervals.iter().map(absolute).collect();
    sorted.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut pieces: Vec<[f64; 2]> = Vec::new();
    for [lower, upper] in sorted {
        match pieces.last_mut() {
            Some(last) if lower <= last[1] => last[1] = last[1].max(upper),
            _ => pieces.push([lower, upper]),
        }
    }
    // Odd polynomials are zero at zero whatever their coefficients: no error can be levelled there.
    if let (Parity::Odd, Some(first)) = (parity, pieces.first_mut()) {
        first[0] = first[0].max(ODD_START * first[1]);
    }
    pieces
}

/// `T_0(t), ..., T_n(t)`.
fn chebyshev_values(t: f64, highest: usize) -> Vec<f64> {
    let mut values = vec![1.0, t];
    for k in 2..=highest {
        values.push((2.0 * t).mul_add(values[k - 1], -values[k - 2]));
    }
    values
}

/// Gaussian elimination with partial pivoting on rows that end in the right-hand side.
fn solve_linear(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let size = rows.len();
    for k in 0..size {
        let larger = |&i: &usize, &j: &usize| rows[i][k].abs().total_cmp(&rows[j][k].abs());
        let pivot = (k..size).max_by(larger).unwrap_or(k);
        rows.swap(k, pivot);
        let (above, below) = rows.split_at_mut(k + 1);
        let pivot = &above[k];
        for row in below {
            let factor = row[k] / pivot[k];
            for (entry, &p) in row.iter_mut().zip(pivot).skip(k) {
                *entry -= factor * p;
            }
        }
    }
    let mut solution = vec![0.0; size];
    for k in (0..size).rev() {
        let known: f64 = (k + 1..size).map(|i| rows[k][i] * solution[i]).sum();
        solution[k] = (rows[k][size] - known) / rows[k][k];
    }
    solution
}

/// The ends, the reference points between them, and samples evenly between those.
fn grid(lower: f64, upper: f64, reference: &[f64]) -> Vec<f64> {
    let mut fixed: Vec<f64> =
        reference.iter().copied().filter(|&x| lower < x && x < upper).collect();
    fixed.insert(0, lower);
    fixed.push(upper);
    let step = |pair: &[f64], i: usize| {
        let share = i as f64 / SAMPLES as f64;
        pair[0] * (1.0 - share) + pair[1] * share
    };
    let mut samples: Vec<f64> =
        fixed.windows(2).flat_map(|pair| (0..SAMPLES).map(move |i| step(pair, i))).collect();
    samples.push(upper);
    samples.dedup();
    samples
}

/// The largest `|error|` of the starting sign between two samples, by golden sections.
fn refine(
    error: &impl Fn(f64) -> Result<Extremum, ApproximationError>,
    [mut lower, mut upper]: [f64; 2],
    start: Extremum,
) -> Result<Extremum, ApproximationError> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let size = |extremum: &Extremum| start.error.signum() * extremum.error;
    let mut inner =
        [error(upper - GOLDEN * (upper - lower))?, error(lower + GOLDEN * (upper - lower))?];
    let mut best = start;
    for _ in 0..40 {
        if size(&inner[0]) >= size(&inner[1]) {
            upper = inner[1].x;
            inner = [error(upper - GOLDEN * (upper - lower))?, inner[0]];
        } else {
            lower = inner[0].x;
            inner = [inner[1], error(lower + GOLDEN * (upper - lower))?];
        }
        for candidate in inner.iter().filter(|&candidate| size(candidate) > size(&start)) {
            best = if size(candidate) > size(&best) { *candidate } else { best };
        }
    }
    Ok(best)
}

/// Among the extrema, `count` with alternating signs and the largest of all among them; `None` if
/// there are fewer.
fn alternating(extrema: Vec<Extremum>, count: usize) -> Option<Vec<f64>> {
    let mut kept: Vec<Extremum> = Vec::new();
    for extremum in extrema {
        match kept.last_mut() {
            Some(last) if last.error.signum() == extremum.error.signum() => {
                if extremum.error.abs() > last.error.abs() {
                    *last = extremum;
                }
            }
            _ => kept.push(extremum),
        }
    }
    while kept.len() > count {
        drop_least(&mut kept, count);
    }
    (kept.len() == count).then(|| kept.iter().map(|e| e.x).collect())
}

/// Drops an end, or the least extremum with the smaller of its neighbours: signs keep alternating.
fn drop_least(kept: &mut Vec<Extremum>, count: usize) {
    let size = |i: usize| kept[i].error.abs();
    let last = kept.len() - 1;
    let least = (0..=last).min_by(|&i, &j| size(i).total_cmp(&size(j))).unwrap_or(0);
    if least == 0 || least == last {
        kept.remove(least);
    } else if kept.len() == count + 1 {
        kept.remove(if size(0) < size(last) { 0 } else { last });
    } else {
        let first = if size(least - 1) < size(least + 1) { least - 1 } else { least };
        kept.drain(first..first + 2);
    }
}
