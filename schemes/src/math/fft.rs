//! The canonical embedding of `R[X]/(X^N + 1)` into `C^(N/2)`.
//!
//! Slot `j` is the value of the polynomial at `zeta^(5^j)`, `zeta = exp(i pi / N)` (Cheon, Kim, Kim,
//! Song, ePrint 2016/421, section 3.2). One complex transform of size `N` (`tfhe-fft`) evaluates at
//! all odd powers of `zeta`; the powers of 5 pick one of each conjugate pair.

use concrete_fft::c64;
use concrete_fft::ordered::FftAlgo;
use concrete_fft::unordered::{Method, Plan};
use dyn_stack::{PodBuffer, PodStack};
use std::f64::consts::PI;

/// Sizes up to this run as one ordered transform inside `tfhe-fft`.
const LARGEST_BASE: usize = 512;

/// The embedding of one ring dimension, both ways.
#[derive(Debug, Clone)]
pub struct CanonicalEmbedding {
    plan: Plan,
    /// `twist[i] = zeta^-i`.
    twist: Vec<c64>,
    /// `[index of the slot, index of its conjugate]` in the transform's output, for each slot.
    indices: Vec<[usize; 2]>,
}

impl CanonicalEmbedding {
    /// Prepares dimension `N`, a power of two from 4 on.
    #[must_use]
    pub fn new(dimension: usize) -> Self {
        debug_assert!(dimension.is_power_of_two() && dimension >= 4);
        let base_n = dimension.min(LARGEST_BASE);
        let plan = Plan::new(dimension, Method::UserProvided { base_algo: FftAlgo::Dif4, base_n });
        let twist = (0..dimension)
            .map(|i| c64::from_polar(1.0, -PI * i as f64 / dimension as f64))
            .collect();
        let place = output_order(&plan);
        let mut power = 1;
        let indices = (0..dimension / 2)
            .map(|_| {
                let t = (power - 1) / 2; // the slot's point is zeta^(2t + 1)
                power = power * 5 % (2 * dimension);
                [place[t], place[dimension - 1 - t]]
            })
            .collect();
        Self { plan, twist, indices }
    }

    /// The number of slots, `N/2`.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.indices.len()
    }

    /// The `N/2` slots of the polynomial with these `N` real coefficients.
    #[must_use]
    pub fn slots_of(&self, coefficients: &[f64]) -> Vec<c64> {
        let mut values: Vec<c64> =
            self.twist.iter().zip(coefficients).map(|(w, &c)| w * c).collect();
        self.run(&mut values, Plan::fwd); // value t is the polynomial at zeta^-(2t + 1)
        self.indices.iter().map(|&[slot, _]| values[slot].conj()).collect()
    }

    /// The `N` real coefficients whose slots are these `N/2` values.
    #[must_use]
    pub fn coefficients_of(&self, slots: &[c64]) -> Vec<f64> {
        let n = self.twist.len();
        let mut values = vec![c64::default(); n];
        for (&[place, conjugate], slot) in self.indices.iter().zip(slots) {
            values[place] = slot.conj();
            values[conjugate] = *slot;
        }
        self.run(&mut values, Plan::inv);
        values.iter().zip(&self.twist).map(|(v, w)| (v * w.conj()).re / n as f64).collect()
    }

    fn run(&self, values: &mut [c64], transform: impl Fn(&Plan, &mut [c64], &mut PodStack)) {
        let mut memory = PodBuffer::new(self.plan.fft_scratch());
        transform(&self.plan, values, PodStack::new(&mut memory));
    }
}

/// Where each frequency stands in the output of the transform, whose order is its own: read off the
/// transform of `X`, whose value at frequency `t` is `exp(-2 pi i t / N)`.
fn output_order(plan: &Plan) -> Vec<usize> {
    let n = plan.fft_size();
    let mut monomial = vec![c64::default(); n];
    plan.fwd_monomial(1, &mut monomial);
    let mut place = vec![0; n];
    for (index, value) in monomial.iter().enumerate() {
        let turns = -value.arg() / (2.0 * PI) * n as f64;
        place[turns.round().rem_euclid(n as f64) as usize % n] = index;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slots_are_values_at_powers_of_five(
            c in (2u32..8).prop_flat_map(|log| prop::collection::vec(-1.0f64..1.0, 1 << log)),
        ) {
            let n = c.len();
            let embedding = CanonicalEmbedding::new(n);
            let slots = embedding.slots_of(&c);
            let mut power = 1usize;
            for slot in &slots {
                let value: c64 = c
                    .iter()
                    .enumerate()
                    .map(|(i, &x)| c64::from_polar(x, PI * (i * power) as f64 / n as f64))
                    .sum();
                prop_assert!((value - slot).norm() < 1e-11);
                power = power * 5 % (2 * n);
            }
            for (a, b) in embedding.coefficients_of(&slots).iter().zip(&c) {
                prop_assert!((a - b).abs() < 1e-11);
            }
        }
    }

    #[test]
    fn large_rings_round_trip() {
        for log in [11, 14] {
            let n = 1usize << log;
            let embedding = CanonicalEmbedding::new(n);
            let c: Vec<f64> = (0..n).map(|i| ((i * 7919) % 1009) as f64 / 1009.0).collect();
            let back = embedding.coefficients_of(&embedding.slots_of(&c));
            assert!(back.iter().zip(&c).all(|(a, b)| (a - b).abs() < 1e-10));
        }
    }
}
