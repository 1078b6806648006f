//! The transform against its definition, on every instruction set.

use super::complex::Complex;
use super::lanes::{Kernel, Lanes};
use super::profile::Every;
use super::transform::Transform;
use proptest::prelude::*;
use std::f64::consts::PI;

/// Transforms `input`, and that back.
struct There<'a, S, const L: usize> {
    lanes: S,
    transform: &'a Transform<L>,
    input: &'a Complex,
}

impl<S: Lanes<L>, const L: usize> Kernel for There<'_, S, L> {
    type Output = (Complex, Complex);

    #[inline(always)]
    fn run(self) -> (Complex, Complex) {
        let Self { lanes, transform, input } = self;
        let points = input.re.len();
        let mut scratch = transform.scratch();
        let [mut there, mut back] = [Complex::zeros(points), Complex::zeros(points)];
        transform.forward(
            lanes,
            &mut scratch,
            Every { lanes, values: &mut input.clone(), between: 1 },
            Every { lanes, values: &mut there, between: L },
        );
        transform.inverse(
            lanes,
            &mut scratch,
            Every { lanes, values: &mut there, between: L },
            Every { lanes, values: &mut back, between: 1 },
        );
        for (j, w) in transform.untwist().re.iter().zip(transform.untwist().im.iter()).enumerate() {
            let (re, im) = (back.re[j], back.im[j]);
            (back.re[j], back.im[j]) = (re * w.0 - im * w.1, re * w.1 + im * w.0);
        }
        (there, back)
    }
}

/// The value at `e^(i pi (4 frequency + 1) / N)`.
fn value(input: &Complex, frequency: usize) -> [f64; 2] {
    let points = input.re.len();
    let terms = input.re.iter().zip(input.im.iter()).enumerate().map(|(j, (re, im))| {
        let turns = (j * (4 * frequency + 1)) % (4 * points);
        let (sin, cos) = (turns as f64 * PI / (2 * points) as f64).sin_cos();
        [re * cos - im * sin, re * sin + im * cos]
    });
    terms.fold([0.0; 2], |sum, term| [sum[0] + term[0], sum[1] + term[1]])
}

fn check<S: Lanes<L>, const L: usize>(lanes: S, points: usize, seed: u64) {
    let transform = Transform::<L>::new(points);
    let mut input = Complex::zeros(points);
    let mut state = seed | 1;
    for value in input.re.iter_mut().chain(input.im.iter_mut()) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *value = (state >> 40) as f64 / 1024.0 - 8192.0;
    }
    let (there, back) = lanes.run(There { lanes, transform: &transform, input: &input });
    let (first, others) = transform.frequencies();
    let size = points as f64 * 8192.0;
    for vector in (0..points / L).step_by((points / L / 16).max(1)) {
        for (lane, other) in others.iter().enumerate() {
            let expected = value(&input, first[vector] + other);
            let place = vector * L + lane;
            for (found, expected) in [there.re[place], there.im[place]].iter().zip(expected) {
                assert!((found - expected).abs() < 1e-13 * size, "{found} for {expected}");
            }
        }
    }
    let parts = [(&back.re, &input.re), (&back.im, &input.im)];
    for (back, input) in parts.into_iter().flat_map(|(b, i)| b.iter().zip(i.iter())) {
        assert!((back - input).abs() < 1e-9, "{back} for {input}");
    }
}

fn check_all(points: usize, seed: u64) {
    check::<_, 1>(pulp::Scalar, points, seed);
    #[cfg(target_arch = "x86_64")]
    {
        match pulp::x86::V3::try_new() {
            Some(lanes) => check::<_, 4>(lanes, points, seed),
            None => eprintln!("SKIPPED: this processor has no AVX2"),
        }
        match pulp::x86::V4::try_new() {
            Some(lanes) => check::<_, 8>(lanes, points, seed),
            None => eprintln!("SKIPPED: this processor has no AVX-512"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn the_transform_evaluates_and_its_inverse_returns(seed: u64) {
        for log_points in 7..=13 {
            check_all(1 << log_points, seed);
        }
    }
}

#[test]
fn matrices_are_transposed() {
    fn check<S: Lanes<L>, const L: usize>(lanes: S) {
        let numbers: Vec<f64> = (0..L * L).map(|i| i as f64).collect();
        let mut columns = vec![0.0; L * L];
        struct Transpose<'a, S>(S, &'a [f64], &'a mut [f64]);
        impl<S: Lanes<L>, const L: usize> Kernel for (Transpose<'_, S>, [(); L]) {
            type Output = ();
            #[inline(always)]
            fn run(self) {
                let Transpose(lanes, numbers, columns) = self.0;
                // SAFETY: L vectors of L numbers
                unsafe {
                    let rows = std::array::from_fn(|r| lanes.load(numbers, r * L));
                    for (c, column) in lanes.transpose(rows).into_iter().enumerate() {
                        lanes.store(columns, c * L, column);
                    }
                }
            }
        }
        lanes.run((Transpose(lanes, &numbers, &mut columns), [(); L]));
        for (i, number) in columns.into_iter().enumerate() {
            assert_eq!(number, (i % L * L + i / L) as f64);
        }
    }
    check::<_, 1>(pulp::Scalar);
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(lanes) = pulp::x86::V3::try_new() {
            check::<_, 4>(lanes);
        }
        if let Some(lanes) = pulp::x86::V4::try_new() {
            check::<_, 8>(lanes);
        }
    }
}
