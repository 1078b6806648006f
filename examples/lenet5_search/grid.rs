//! The settings that the search tries.

use bellerophon::compile::{Preset, Settings};
use bellerophon_bridge::BootstrapLiteral;

/// GLWE dimension and polynomial size, for pools and for activations.
const SHAPES: [[(usize, usize); 2]; 5] = [
    [(4, 512), (4, 512)],
    [(2, 1024), (4, 512)],
    [(2, 1024), (2, 1024)],
    [(1, 2048), (2, 1024)],
    [(1, 2048), (1, 2048)],
];
/// Multiples of 6, which grouping factors divide.
const DIMENSIONS: [usize; 7] = [594, 624, 660, 690, 720, 756, 792];
/// Bits of the decomposition base and levels.
const POOL_GADGETS: [(usize, usize); 3] = [(22, 1), (24, 1), (25, 1)];
const ACTIVATION_GADGETS: [(usize, usize); 4] = [(25, 1), (15, 2), (17, 2), (12, 3)];

/// One change at a time around the balanced preset, then every shape at every dimension.
pub fn candidates() -> Vec<(String, Settings)> {
    let base = Preset::Balanced.settings();
    let mut all = vec![("balanced".to_owned(), base.clone())];
    for weight_bits in [6, 7, 9, 10] {
        all.push((format!("{weight_bits}-bit weights"), Settings { weight_bits, ..base.clone() }));
    }
    for pool_margin in [0.7, 0.8, 0.9, 1.0, 1.1] {
        let settings = Settings { pool_margin, ..base.clone() };
        all.push((format!("pool margin {pool_margin}"), settings));
    }
    for activation_margin in [1.0, 1.05, 1.2] {
        let settings = Settings { activation_margin, ..base.clone() };
        all.push((format!("activation margin {activation_margin}"), settings));
    }
    for grouping_factor in [1, 3] {
        let settings = base.clone().with_grouping_factor(grouping_factor);
        all.push((format!("grouping factor {grouping_factor}"), settings));
    }
    let gadgets = POOL_GADGETS.map(|gadget| (base.pool_key, "pool", gadget));
    let gadgets = gadgets
        .into_iter()
        .chain(ACTIVATION_GADGETS.map(|gadget| (base.activation_key, "activation", gadget)));
    for (key, stage, (base_log, levels)) in gadgets {
        let name = format!("{stage} gadget 2^{base_log}, {levels} levels");
        all.push((name, with_gadget(&base, key, base_log, levels)));
    }
    for shapes in SHAPES {
        for lwe_dimension in DIMENSIONS {
            let name = format!("n {lwe_dimension}, (k, N) {:?} and {:?}", shapes[0], shapes[1]);
            all.push((name, shaped(&base, lwe_dimension, shapes)));
        }
    }
    all
}

fn with_gadget(base: &Settings, key: usize, base_log: usize, levels: usize) -> Settings {
    let mut settings = base.clone();
    if let Some(bootstrap) = settings.parameters.bootstraps.get_mut(key) {
        *bootstrap = BootstrapLiteral { base_log, levels, ..*bootstrap };
    }
    settings
}

fn shaped(base: &Settings, lwe_dimension: usize, shapes: [(usize, usize); 2]) -> Settings {
    let mut settings = base.clone();
    settings.parameters.lwe_dimension = lwe_dimension;
    for (key, (glwe_dimension, polynomial_size)) in
        [settings.pool_key, settings.activation_key].into_iter().zip(shapes)
    {
        if let Some(bootstrap) = settings.parameters.bootstraps.get_mut(key) {
            *bootstrap = BootstrapLiteral { glwe_dimension, polynomial_size, ..*bootstrap };
        }
    }
    settings
}
