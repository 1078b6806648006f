//! The settings that the search tries.

use bellerophon::compile::{Preset, Settings};
use bellerophon_bridge::BootstrapLiteral;

/// GLWE dimension and polynomial size, for one level (pools) and two levels (activations).
const SHAPES: [[(usize, usize); 2]; 4] =
    [[(4, 512), (2, 1024)], [(2, 1024), (2, 1024)], [(2, 1024), (1, 2048)], [(1, 2048), (1, 2048)]];

/// One change at a time around the balanced preset, then every shape at every dimension.
pub fn candidates() -> Vec<(String, Settings)> {
    let base = Preset::Balanced.settings();
    let mut all = vec![("balanced".to_owned(), base.clone())];
    for weight_bits in [6, 7, 9, 10] {
        all.push((format!("{weight_bits}-bit weights"), Settings { weight_bits, ..base.clone() }));
    }
    for pool_margin in [0.7, 0.8, 1.0, 1.1] {
        let settings = Settings { pool_margin, ..base.clone() };
        all.push((format!("pool margin {pool_margin}"), settings));
    }
    for activation_margin in [1.0, 1.05, 1.2] {
        let settings = Settings { activation_margin, ..base.clone() };
        all.push((format!("activation margin {activation_margin}"), settings));
    }
    for shapes in SHAPES {
        for lwe_dimension in [620, 660, 700, 740, 780, 820] {
            let name = format!("n {lwe_dimension}, (k, N) {:?} and {:?}", shapes[0], shapes[1]);
            all.push((name, shaped(&base, lwe_dimension, shapes)));
        }
    }
    all
}

fn shaped(base: &Settings, lwe_dimension: usize, shapes: [(usize, usize); 2]) -> Settings {
    let mut settings = base.clone();
    settings.parameters.lwe_dimension = lwe_dimension;
    settings.parameters.bootstraps = shapes
        .into_iter()
        .zip([(23, 1), (16, 2)])
        .map(|((glwe_dimension, polynomial_size), (base_log, levels))| BootstrapLiteral {
            glwe_dimension,
            polynomial_size,
            base_log,
            levels,
            grouping_factor: 2,
        })
        .collect();
    settings
}
