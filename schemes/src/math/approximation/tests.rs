//! Against closed forms, naive sums and each other.

use std::f64::consts::FRAC_PI_2;

use proptest::prelude::*;

use super::*;

const ACTIVATIONS: [Activation; 9] = [
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.1 },
    Activation::Elu { alpha: 1.5 },
    Activation::Selu { alpha: 1.6, gamma: 1.05 },
    Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Activation::Clip { min: -1.0, max: 6.0 },
    Activation::Softplus,
    Activation::Sigmoid,
    Activation::Tanh,
];

/// Bernstein's constant, the limit of `n E_n(|x|)` on `[-1, 1]` (Varga and Carpenter, 1985).
const BERNSTEIN: f64 = 0.280_169_499_023_869_1;

fn assert_close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found:e} is not {expected:e}");
}

/// `count` points from end to end.
fn points([lower, upper]: [f64; 2], count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| lower + (upper - lower) * i as f64 / (count - 1) as f64)
}

fn size(polynomial: &Polynomial) -> f64 {
    polynomial.coefficients().iter().map(|c| c.abs()).sum()
}

/// How much `p` moves, relative to its coefficients, where its argument is rounded: by Markov's
/// inequality its slope in the interval's own variable is at most `degree^2`.
fn conditioning(p: &Polynomial, [lower, upper]: [f64; 2]) -> f64 {
    let argument = (lower.abs() + upper.abs()) / (upper - lower);
    (p.degree() as f64).powi(2) * argument * f64::EPSILON
}

/// The mean over the interval, of what has the break points of `activation`.
fn mean(f: impl Fn(f64) -> f64, activation: Activation, interval: [f64; 2]) -> f64 {
    least_squares(f, &activation.break_points(), interval, 0).unwrap().coefficients()[0]
}

fn coefficients(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0..1.0_f64, count)
}

fn intervals() -> impl Strategy<Value = [f64; 2]> {
    (-10.0..10.0_f64, 0.5..20.0_f64).prop_map(|(lower, width)| [lower, lower + width])
}

proptest! {
    #[test]
    fn clenshaw_is_the_cosine_sum(c in coefficients(1..300), interval in intervals(), s in 0.0..=1.0_f64) {
        let p = Polynomial::chebyshev(interval, c.clone()).unwrap();
        let x = interval[0] + (interval[1] - interval[0]) * s;
        let angle = p.variable(x).clamp(-1.0, 1.0).acos();
        let naive: f64 = c.iter().enumerate().map(|(k, c)| c * (k as f64 * angle).cos()).sum();
        assert_close(p.evaluate(x), naive, 1e-11 * (1.0 + size(&p)));
    }

    #[test]
    fn horner_is_the_sum_of_powers(c in coefficients(1..20), x in -2.0..2.0_f64) {
        let naive: f64 = c.iter().enumerate().map(|(k, c)| c * x.powi(k as i32)).sum();
        assert_close(Polynomial::monomial(c).unwrap().evaluate(x), naive, 1e-9);
    }

    #[test]
    fn interpolation_reproduces_polynomials(
        c in coefficients(1..64), interval in intervals(), more in 0..40_usize,
    ) {
        let p = Polynomial::chebyshev(interval, c).unwrap();
        let found = interpolate(|x| p.evaluate(x), interval, p.degree() + more).unwrap();
        let relative = 1e-12 + conditioning(&p, interval);
        prop_assert!(found.worst_error(|x| p.evaluate(x), interval, 200) < relative * (1.0 + size(&p)));
    }

    #[test]
    fn least_squares_reproduces_polynomials(
        c in coefficients(1..32), interval in intervals(), more in 0..20_usize,
    ) {
        let p = Polynomial::chebyshev(interval, c).unwrap();
        let found = least_squares(|x| p.evaluate(x), &[], interval, p.degree() + more).unwrap();
        prop_assert!(found.worst_error(|x| p.evaluate(x), interval, 200) < 1e-11 * (1.0 + size(&p)));
    }

    #[test]
    fn minimax_reproduces_polynomials(c in coefficients(1..12), interval in intervals()) {
        let p = Polynomial::chebyshev(interval, c).unwrap();
        let (found, error) =
            minimax(|x| p.evaluate(x), &[interval], p.degree(), Parity::None).unwrap();
        prop_assert!(error < 1e-12 * (1.0 + size(&p)));
        prop_assert!(found.worst_error(|x| p.evaluate(x), interval, 200) <= error + 1e-13 * (1.0 + size(&p)));
    }

    #[test]
    fn integrals_have_the_polynomial_as_their_slope(
        c in coefficients(1..24), interval in intervals(), chebyshev: bool,
    ) {
        let basis = if chebyshev { Basis::Chebyshev } else { Basis::Monomial };
        let interval = if chebyshev { interval } else { [-1.0, 1.0] };
        let p = Polynomial::new(basis, interval, c).unwrap();
        let integral = p.integrate().unwrap();
        let [lower, upper] = interval;
        let middle = if chebyshev { lower.midpoint(upper) } else { 0.0 };
        assert_close(integral.evaluate(middle), 0.0, 1e-12 * (upper - lower));
        // The mean by quadrature: the least-squares polynomial of degree 0.
        let mean = least_squares(|x| p.evaluate(x), &[], interval, 0).unwrap().coefficients()[0];
        let area = integral.evaluate(upper) - integral.evaluate(lower);
        assert_close(area, mean * (upper - lower), 1e-11 * (upper - lower));
    }

    #[test]
    fn powers_of_x_have_the_same_values(c in coefficients(1..12), radius in 0.5..4.0_f64) {
        let interval = [-radius, radius];
        let p = Polynomial::chebyshev(interval, c).unwrap();
        let powers = p.to_monomial().unwrap();
        prop_assert_eq!(powers.basis(), Basis::Monomial);
        prop_assert!(powers.worst_error(|x| p.evaluate(x), interval, 100) < 1e-10);
        // Interpolation leads back.
        let again = interpolate(|x| powers.evaluate(x), interval, p.degree()).unwrap();
        prop_assert!(again.worst_error(|x| p.evaluate(x), interval, 100) < 1e-10);
    }

    #[test]
    fn serialization_round_trips(c in coefficients(1..30), interval in intervals()) {
        let p = Polynomial::chebyshev(interval, c).unwrap();
        let bytes = bincode::serialize(&p).unwrap();
        prop_assert_eq!(bincode::deserialize::<Polynomial>(&bytes).unwrap(), p);
        prop_assert!(bincode::deserialize::<Polynomial>(&bytes[..bytes.len() - 1]).is_err());
    }

    /// No other polynomial near it has a smaller mean square error: the residual is orthogonal to
    /// all polynomials of the degree.
    #[test]
    fn least_squares_leaves_an_orthogonal_residual(
        which in 0..ACTIVATIONS.len(), interval in intervals(), degree in 0..24_usize,
        direction in coefficients(24..25),
    ) {
        let f = ACTIVATIONS[which];
        let p = least_squares(|x| f.evaluate(x), &f.break_points(), interval, degree).unwrap();
        let q = Polynomial::chebyshev(interval, direction[..=degree.min(23)].to_vec()).unwrap();
        let inner = mean(|x| f.evaluate(x) * q.evaluate(x), f, interval);
        assert_close(mean(|x| p.evaluate(x) * q.evaluate(x), f, interval), inner, 1e-11 * (1.0 + size(&p)) * (1.0 + size(&q)));
    }

    #[test]
    fn derivative_way_has_no_mean_error(
        which in 0..ACTIVATIONS.len(), interval in intervals(), degree in 1..24_usize,
    ) {
        let f = ACTIVATIONS[which];
        let p = derivative_then_integrate(
            |x| f.evaluate(x), |x| f.derivative(x), &f.break_points(), interval, degree,
        ).unwrap();
        let means = [mean(|x| f.evaluate(x), f, interval), mean(|x| p.evaluate(x), f, interval)];
        assert_close(means[0], means[1], 1e-11);
        let slope = least_squares(|x| f.derivative(x), &f.break_points(), interval, degree - 1);
        let integral = slope.unwrap().integrate().unwrap();
        for x in points(interval, 20) {
            let rise = p.evaluate(x) - p.evaluate(interval[0]);
            assert_close(rise, integral.evaluate(x) - integral.evaluate(interval[0]), 1e-11);
        }
    }

    #[test]
    fn derivatives_are_difference_quotients(which in 0..ACTIVATIONS.len(), x in -20.0..20.0_f64) {
        let f = ACTIVATIONS[which];
        prop_assume!(x.abs() > 1e-4 && f.break_points().iter().all(|kink| (x - kink).abs() > 1e-4));
        let step = 1e-5;
        let quotient = (f.evaluate(x + step) - f.evaluate(x - step)) / (2.0 * step);
        assert_close(f.derivative(x), quotient, 1e-8);
    }

    /// The theorem of Chebyshev: the error is at its largest, in alternating directions, once more
    /// often than there are free coefficients.
    #[test]
    fn minimax_error_alternates(
        which in 0..ACTIVATIONS.len(), lower in -6.0..-0.5_f64, upper in 0.5..6.0_f64,
        gap in 0.0..0.4_f64, degree in 0..12_usize,
    ) {
        // An extremum at a kink within a piece would lie between the points that are looked at.
        prop_assume!(ACTIVATIONS[which].break_points().iter().all(|&kink| kink == 0.0));
        let f = |x: f64| ACTIVATIONS[which].evaluate(x);
        let pieces = [[lower, -gap], [gap.max(0.01), upper]];
        let (p, error) = minimax(f, &pieces, degree, Parity::None).unwrap();
        prop_assume!(error > 1e-9);
        prop_assert!(alternations(&f, &p, &pieces, error) >= degree + 2);
    }

    #[test]
    fn minimax_sign_alternates(gap in -12.0..-0.2_f64, degree in 1..32_usize) {
        let gap = gap.exp2();
        let (p, error) = minimax(f64::signum, &[[-1.0, -gap], [gap, 1.0]], degree, Parity::Odd).unwrap();
        prop_assume!(error > 1e-10);
        prop_assert_eq!(p.parity(), Parity::Odd);
        prop_assert!(p.degree() <= degree);
        // Dense where the extrema are: near the gap, whatever its width, and near 1.
        let shares = || (0..=10_000).map(|i| f64::from(i) / 1e4);
        let arc = shares().map(|s| gap + (1.0 - gap) * (FRAC_PI_2 * s).sin());
        let mut ladder: Vec<f64> = shares().map(|s| gap.powf(1.0 - s)).chain(arc).collect();
        ladder.sort_by(f64::total_cmp);
        let found = alternations_on(&f64::signum, &p, error, ladder.into_iter());
        prop_assert!(found > degree.div_ceil(2), "{found}");
    }

    #[test]
    fn compositions_err_no_more_than_they_say(
        degrees in prop::collection::vec(1..8_usize, 1..4), bits in 1.0..10.0_f64, s in 0.0..=1.0_f64,
    ) {
        let degrees: Vec<usize> = degrees.iter().map(|d| 2 * d + 1).collect();
        let epsilon = (-bits).exp2();
        let sign = composite_sign(&degrees, epsilon).unwrap();
        let x = epsilon.powf(s);
        prop_assert!((1.0 - sign.evaluate(x)).abs() <= sign.error() + 1e-13);
        prop_assert_eq!(sign.evaluate(-x), -sign.evaluate(x));
        assert_close(1.0 - sign.evaluate(epsilon), sign.error(), 1e-12);
        let (a, b) = (0.7 * s - 0.2, 0.4 - 0.5 * s);
        prop_assert!((sign.max(a, b) - a.max(b)).abs() <= sign.relu_error() + 1e-6);
        prop_assert!((sign.relu(a) - a.max(0.0)).abs() <= sign.relu_error() + 1e-6);
        let bytes = bincode::serialize(&sign).unwrap();
        prop_assert_eq!(bincode::deserialize::<CompositeSign>(&bytes).unwrap(), sign);
    }
}

/// How often the error comes within a thousandth of `error`, each time on the other side.
fn alternations(f: &impl Fn(f64) -> f64, p: &Polynomial, pieces: &[[f64; 2]], error: f64) -> usize {
    alternations_on(f, p, error, pieces.iter().flat_map(|&piece| points(piece, 20_000)))
}

fn alternations_on(
    f: &impl Fn(f64) -> f64,
    p: &Polynomial,
    error: f64,
    points: impl Iterator<Item = f64>,
) -> usize {
    let (mut count, mut last) = (0, 0.0);
    for x in points {
        let residual = f(x) - p.evaluate(x);
        assert!(residual.abs() <= error * (1.0 + 1e-6) + 1e-13, "{residual} above {error} at {x}");
        if residual.abs() >= 0.999 * error && residual.signum() != last {
            (count, last) = (count + 1, residual.signum());
        }
    }
    count
}

#[test]
fn high_degrees_stay_accurate() {
    let interval = [-3.0, 5.0];
    let wave = |x: f64| (300.0 * x).sin();
    let p = interpolate(wave, interval, MAX_DEGREE).unwrap();
    assert!(p.worst_error(wave, interval, 3000) < 1e-9);
    let p = least_squares(wave, &[], interval, MAX_DEGREE).unwrap();
    assert!(p.worst_error(wave, interval, 3000) < 1e-8);
}

#[test]
fn parity_of_the_function_is_that_of_the_fit() {
    let interval = [-2.5, 2.5];
    let cube = |x: f64| x * x * x - x.sin();
    for (f, parity) in [(f64::abs as fn(f64) -> f64, Parity::Even), (cube, Parity::Odd)] {
        assert_eq!(interpolate(f, interval, 20).unwrap().parity(), parity);
        assert_eq!(least_squares(f, &[0.0], interval, 20).unwrap().parity(), parity);
        assert_eq!(minimax(f, &[interval], 9, parity).unwrap().0.parity(), parity);
    }
    assert_eq!(interpolate(f64::exp, interval, 20).unwrap().parity(), Parity::None);
}

#[test]
fn bounded_functions_are_known() {
    let hard = Activation::HardSigmoid { alpha: 0.2, beta: 0.5 };
    let values = [-3.0, -2.5, 0.0, 1.0, 2.5, 3.0].map(|x| hard.evaluate(x));
    for (found, expected) in values.iter().zip([0.0, 0.0, 0.5, 0.7, 1.0, 1.0]) {
        assert_close(*found, expected, 1e-15);
    }
    assert_eq!(hard.break_points(), [-2.5, 2.5]);
    assert_eq!([-3.0, -2.5, 0.0, 2.5, 3.0].map(|x| hard.derivative(x)), [0.0, 0.1, 0.2, 0.1, 0.0]);
    assert!(Activation::HardSigmoid { alpha: 0.0, beta: 0.5 }.break_points().is_empty());
    let clip = Activation::Clip { min: 0.0, max: 6.0 };
    assert_eq!([-1.0, 0.0, 2.0, 6.0, 7.0].map(|x| clip.evaluate(x)), [0.0, 0.0, 2.0, 6.0, 6.0]);
    assert_eq!([-1.0, 0.0, 2.0, 6.0, 7.0].map(|x| clip.derivative(x)), [0.0, 0.5, 1.0, 0.5, 0.0]);
    let crossed = Activation::Clip { min: 2.0, max: 1.0 };
    assert_eq!(
        [0.0, 1.5, 3.0].map(|x| (crossed.evaluate(x), crossed.derivative(x))),
        [(1.0, 0.0); 3]
    );
    let selu = Activation::Selu { alpha: 1.5, gamma: 2.0 };
    assert_close(selu.evaluate(-1.0), 3.0 * ((-1.0_f64).exp() - 1.0), 1e-15);
    assert_eq!((selu.evaluate(2.0), selu.derivative(2.0)), (4.0, 2.0));
    assert!(ACTIVATIONS.iter().all(Activation::is_finite));
    assert!(!Activation::Clip { min: f64::NEG_INFINITY, max: 1.0 }.is_finite());
    assert!(!Activation::LeakyRelu { slope: f64::NAN }.is_finite());
}

/// The degree-2 projection of ReLU on `[-1, 1]` is `3/32 + x/2 + 15 x²/32`.
#[test]
fn least_squares_of_relu_is_known() {
    let relu = Activation::Relu;
    let p = least_squares(|x| relu.evaluate(x), &relu.break_points(), [-1.0, 1.0], 2).unwrap();
    for (found, expected) in
        p.to_monomial().unwrap().coefficients().iter().zip([3.0 / 32.0, 0.5, 15.0 / 32.0])
    {
        assert_close(*found, expected, 1e-14);
    }
}

#[test]
fn minimax_errors_are_known() {
    let whole = [[-1.0, 1.0]];
    let error = |f: fn(f64) -> f64, degree| minimax(f, &whole, degree, Parity::None).unwrap().1;
    // x² + 1/8, the Chebyshev polynomial of degree 3 for |x|.
    assert_close(error(f64::abs, 2), 0.125, 1e-9);
    // x^n less its best approximation of degree n-1 is T_n/2^(n-1).
    assert_close(error(|x| x.powi(8), 7), 1.0 / 128.0, 1e-12);
    // S. N. Bernstein: (a - sqrt(a² - 1))^n/(a² - 1) for 1/(x - a).
    assert_close(error(|x| 1.0 / (x - 2.0), 10), (2.0 - 3.0_f64.sqrt()).powi(10) / 3.0, 1e-12);
    // |x|: 2n E_2n tends to a constant with an error of order 1/n², which two of them remove.
    let scaled =
        |n: usize| 2.0 * n as f64 * minimax(f64::abs, &whole, 2 * n, Parity::Even).unwrap().1;
    assert_close((4.0 * scaled(20) - scaled(10)) / 3.0, BERNSTEIN, 2e-6);
    // One coefficient: the sign is 2x/(1 + gap) at best.
    for gap in [0.5, 0.01, 1e-6, 1e-9] {
        let (p, error) = minimax(f64::signum, &[[gap, 1.0]], 1, Parity::Odd).unwrap();
        assert_close(error, (1.0 - gap) / (1.0 + gap), 1e-14);
        assert_close(p.evaluate(1.0), 2.0 / (1.0 + gap), 1e-14);
    }
}

#[test]
fn even_functions_need_no_parity_asked_for() {
    for degree in 0..=31 {
        let free = minimax(f64::abs, &[[-1.0, 1.0]], degree, Parity::None).unwrap().1;
        let even = minimax(f64::abs, &[[-1.0, 1.0]], degree, Parity::Even).unwrap().1;
        assert_close(free, even, 1e-6 * even);
    }
}

/// Degrees to 63 and gaps of every width: converged, or down to rounding.
#[test]
fn minimax_sign_falls_with_the_degree() {
    for gap in [0.9, 0.5, 0.1, 1e-3, 1e-6, 1e-9] {
        let mut last = 1.0;
        for degree in (1..=63).step_by(2) {
            let error = minimax(f64::signum, &[[gap, 1.0]], degree, Parity::Odd).unwrap().1;
            assert!(error < last || error < 1e-13, "{gap} {degree}: {error} after {last}");
            last = error;
        }
    }
}

/// Taylor polynomials differ from the function by the next term, near zero.
#[test]
fn taylor_series_converge_near_zero() {
    for f in [Activation::Softplus, Activation::Sigmoid, Activation::Tanh] {
        let p = taylor(f, [-0.5, 0.5], 40).unwrap();
        assert!(p.worst_error(|x| f.evaluate(x), [-0.5, 0.5], 100) < 1e-15);
        assert_eq!(p.basis(), Basis::Monomial);
    }
    let known = [0.5, 0.25, 0.0, -1.0 / 48.0, 0.0, 1.0 / 480.0, 0.0, -17.0 / 80640.0];
    let sigmoid = taylor(Activation::Sigmoid, [-1.0, 1.0], 7).unwrap();
    for (found, expected) in sigmoid.coefficients().iter().zip(known) {
        assert_close(*found, expected, 1e-17);
    }
    let surrogate = taylor(Activation::Relu, [-1.0, 1.0], 9).unwrap();
    assert_eq!(surrogate, taylor(Activation::Softplus, [-1.0, 1.0], 9).unwrap());
    let leaky = taylor(Activation::LeakyRelu { slope: 0.25 }, [-1.0, 1.0], 9).unwrap();
    assert_close(leaky.evaluate(0.3), 0.75 * surrogate.evaluate(0.3) + 0.25 * 0.3, 1e-15);
    let elu = taylor(Activation::Elu { alpha: 1.0 }, [-1.0, 1.0], 9);
    assert_eq!(elu, Err(ApproximationError::NotAnalytic { activation: "Elu" }));
}

/// The second of two components starts from what the first leaves, whatever their scale.
#[test]
fn composition_follows_the_ranges() {
    let gap = 1.0 / 64.0;
    let (first, error) = minimax(f64::signum, &[[gap, 1.0]], 7, Parity::Odd).unwrap();
    let range = [1.0 - error, 1.0 + error];
    let (second, error) = minimax(f64::signum, &[range], 7, Parity::Odd).unwrap();
    let sign = composite_sign(&[7, 7], gap).unwrap();
    assert_eq!((sign.depth(), sign.degrees(), sign.epsilon()), (6, vec![7, 7], gap));
    assert_close(sign.error(), error, 1e-12);
    for x in points([-1.0, 1.0], 500) {
        assert_close(sign.evaluate(x), second.evaluate(first.evaluate(x)), 1e-11);
        assert!(sign.polynomials()[0].evaluate(x).abs() <= 1.0 + 1e-14);
    }
    assert!(composite_sign(&[7, 7, 7], gap).unwrap().error() < error);
}

/// Comparison to `alpha` bits, `comp(a, b) = (p(a - b) + 1)/2` to `2^-alpha` for
/// `|a - b| >= 2^-alpha`: of all sequences of highest degrees, none less deep is good enough.
#[test]
fn composition_depths_are_the_least() {
    for alpha in [4, 6, 8, 10, 12] {
        let epsilon = (-f64::from(alpha)).exp2();
        let sign = composite_sign_within(epsilon, 2.0 * epsilon).unwrap();
        assert!(sign.error() <= 2.0 * epsilon);
        println!("alpha {alpha}: degrees {:?}, depth {}", sign.degrees(), sign.depth());
        let mut sequences = vec![(0, Vec::new())];
        while let Some((depth, degrees)) = sequences.pop() {
            for levels in (2..=5_u32).filter(|levels| depth + levels < sign.depth()) {
                let longer: Vec<usize> =
                    degrees.iter().copied().chain([(1 << levels) - 1]).collect();
                assert!(composite_sign(&longer, epsilon).unwrap().error() > 2.0 * epsilon);
                sequences.push((depth + levels, longer));
            }
        }
    }
}

#[test]
fn every_precision_is_reached() {
    for bits in [2, 5, 8, 12, 15, 20, 24, 28, 30] {
        let sign = composite_sign_for(bits).unwrap();
        let bound = (-f64::from(bits)).exp2();
        println!("{bits} bits: degrees {:?}, depth {}", sign.degrees(), sign.depth());
        assert!(sign.error() <= bound, "{bits}: {}", sign.error());
        assert!(sign.relu_error() <= bound / 2.0 * 1.001, "{bits}: {}", sign.relu_error());
        assert!(sign.polynomials().iter().all(|p| p.parity() == Parity::Odd));
    }
}

#[test]
fn wrong_requests_are_refused() {
    use ApproximationError as E;
    let f = f64::exp;
    assert_eq!(Polynomial::monomial(vec![]), Err(E::NoCoefficients));
    assert_eq!(
        Polynomial::monomial(vec![0.0, f64::NAN]),
        Err(E::CoefficientNotFinite { index: 1 })
    );
    let reversed = E::Interval { lower: 1.0, upper: -1.0 };
    assert_eq!(Polynomial::chebyshev([1.0, -1.0], vec![1.0]), Err(reversed.clone()));
    assert_eq!(interpolate(f, [1.0, -1.0], 3), Err(reversed.clone()));
    assert_eq!(least_squares(f, &[], [1.0, -1.0], 3), Err(reversed.clone()));
    assert_eq!(minimax(f, &[[1.0, -1.0]], 3, Parity::None), Err(reversed));
    assert_eq!(minimax(f, &[], 3, Parity::None), Err(E::NoIntervals));
    let degree = E::Degree { degree: 2048, lowest: 0, highest: 2047 };
    assert_eq!(interpolate(f, [0.0, 1.0], 2048), Err(degree.clone()));
    assert_eq!(taylor(Activation::Tanh, [0.0, 1.0], 2048), Err(degree));
    let degree = E::Degree { degree: 0, lowest: 1, highest: 63 };
    assert_eq!(minimax(f, &[[0.5, 1.0]], 0, Parity::Odd), Err(degree));
    let pole = |x: f64| 1.0 / x;
    assert_eq!(interpolate(pole, [-1.0, 1.0], 2), Err(E::FunctionNotFinite { x: 0.0 }));
    let kink = |x: f64| (x - 0.1).abs();
    assert!(matches!(least_squares(kink, &[], [-1.0, 1.0], 3), Err(E::NotConverged { .. })));
    assert!(least_squares(kink, &[0.1], [-1.0, 1.0], 3).is_ok());
    let steep = Polynomial::chebyshev([-1.0, 1.0], vec![1.0; 40]).unwrap();
    assert!(matches!(steep.to_monomial(), Err(E::IllConditioned { degree: 39, .. })));
    assert_eq!(composite_sign(&[], 0.5), Err(E::NoComponents));
    assert_eq!(composite_sign(&[3], 1.5), Err(E::Epsilon { epsilon: 1.5 }));
    assert_eq!(composite_sign_within(0.5, 0.0), Err(E::SignError { error: 0.0 }));
    let precision = E::Precision { bits: 31, lowest: 2, highest: 30 };
    assert_eq!(composite_sign_for(31), Err(precision));
    let bytes = bincode::serialize(&(Basis::Chebyshev, [1.0, -1.0], vec![1.0])).unwrap();
    assert!(bincode::deserialize::<Polynomial>(&bytes).is_err());
}

#[test]
fn zeros_at_the_end_are_no_degree() {
    let p = Polynomial::monomial(vec![1.0, 2.0, 0.0, 0.0]).unwrap();
    assert_eq!((p.degree(), p.coefficients().len()), (1, 2));
    let zero = Polynomial::monomial(vec![0.0, 0.0]).unwrap();
    assert_eq!((zero.degree(), zero.evaluate(3.0), zero.parity()), (0, 0.0, Parity::Even));
}
