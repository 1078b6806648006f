//! Two samples of one distribution?

/// The two-sample statistic of Kolmogorov and Smirnov: the largest distance between the empirical
/// distribution functions.
pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    let below = |values: &[f64], x: f64| {
        values.partition_point(|value| *value <= x) as f64 / values.len() as f64
    };
    let distances = a.iter().chain(&b).map(|&x| (below(&a, x) - below(&b, x)).abs());
    distances.fold(0.0, f64::max)
}

/// What the distance between samples of one distribution exceeds with probability `level` only:
/// `sqrt(-ln(level / 2) / 2) sqrt((n + m) / (n m))`, the first term of Smirnov's asymptotic series
/// (Smirnov, Annals of Mathematical Statistics 19, 1948).
pub(super) fn critical_distance(n: usize, m: usize, level: f64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    (-(level / 2.0).ln() / 2.0).sqrt() * ((n + m) / (n * m)).sqrt()
}

#[test]
fn distances_of_small_samples() {
    assert_eq!(distance(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
    assert_eq!(distance(&[1.0, 2.0], &[3.0, 4.0, 5.0]), 1.0);
    assert_eq!(distance(&[1.0, 3.0], &[2.0, 4.0]), 0.5);
    // 1.628 sqrt(2 / n) at one in a hundred, as tables have it
    let found = critical_distance(100, 100, 0.01);
    assert!((found - 1.628 * (2.0f64 / 100.0).sqrt()).abs() < 1e-3, "{found}");
}

/// Of many pairs of samples of one distribution, about one in a hundred is told apart.
#[test]
fn the_level_is_kept() {
    use rand::RngExt;
    let mut rng = crate::tiny::rng(1);
    let mut sample =
        |count: usize| -> Vec<f64> { (0..count).map(|_| rng.random_range(0.0..1.0)).collect() };
    let rejected = (0..2000).filter(|_| {
        let (a, b) = (sample(150), sample(230));
        distance(&a, &b) > critical_distance(150, 230, 0.01)
    });
    let rejected = rejected.count();
    assert!((4..=40).contains(&rejected), "{rejected} of 2000");
}
