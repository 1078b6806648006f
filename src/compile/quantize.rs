//! Real weights as integers.

/// A weight this close to a multiple of the grid's step, in steps, was trained to be one.
const GRID_TOLERANCE: f64 = 1e-3;

/// Integers per unit for these weights: the step of their own grid where they lie on a binary one
/// that `bits` bits (sign included) hold, so that rounding is exact and the noise grows as little as
/// it can; else the largest weight becomes `2^(bits - 1) - 1`.
pub(super) fn weight_scale<'a>(weights: impl Iterator<Item = &'a f64> + Clone, bits: u32) -> f64 {
    let largest = weights.clone().fold(0.0, |m: f64, v| m.max(v.abs()));
    let most = f64::from(bits - 1).exp2() - 1.0;
    if largest == 0.0 {
        return most;
    }
    let on_grid = |scale: &f64| {
        let steps = |weight: &f64| weight * scale;
        weights.clone().map(steps).all(|w| (w - w.round()).abs() < GRID_TOLERANCE)
    };
    let held = |scale: &f64| (1.0..=most).contains(&(scale * largest).round());
    let mut grids = (0..24).map(|log| f64::from(log).exp2()).filter(held);
    grids.find(on_grid).unwrap_or(most / largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_grid_is_found_at_its_own_step() {
        assert_eq!(weight_scale([0.5, -1.0, 0.25].iter(), 8), 4.0);
        assert_eq!(weight_scale([3.0, -7.0].iter(), 4), 1.0);
        assert_eq!(weight_scale([0.5, 0.0].iter(), 8), 2.0);
        // nine steps of a quarter do not fit four bits
        assert_eq!(weight_scale([2.25, -0.25].iter(), 4), 7.0 / 2.25);
        assert_eq!(weight_scale([0.0, 0.0].iter(), 8), 127.0);
    }

    #[test]
    fn weights_off_every_grid_use_all_bits() {
        assert_eq!(weight_scale([0.3, -0.7].iter(), 8), 127.0 / 0.7);
        // small weights are no grid of zeros
        assert_eq!(weight_scale([3e-4, -7e-4].iter(), 8), 127.0 / 7e-4);
    }

    proptest! {
        #[test]
        fn the_largest_weight_fits_and_no_weight_is_lost(
            weights in prop::collection::vec(-1.0..1.0_f64, 1..20),
            log in -20..20_i32,
            grid in prop::option::of(0..6_i32),
            bits in 2..=24_u32,
        ) {
            let unit = f64::from(log).exp2();
            let step = |w: f64| grid.map_or(w, |g| (w * f64::from(g).exp2()).round());
            let weights: Vec<f64> = weights.into_iter().map(|w| step(w) * unit).collect();
            let largest = weights.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
            let scale = weight_scale(weights.iter(), bits);
            let most = (largest * scale).round();
            prop_assert!(scale.is_finite() && most < f64::from(bits - 1).exp2());
            prop_assert!(largest == 0.0 || most >= 1.0);
        }
    }
}
