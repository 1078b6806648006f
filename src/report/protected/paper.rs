//! The published figures: tables 2 to 5 of the paper, measured with SEAL 3.1 (BGV) on a DGX-1
//! (encrypting the model, decrypting) and a Jetson TX2 (evaluating).

use super::Part;
use bellerophon_schemes::security::SecurityLevel;
use serde::Serialize;

/// The figures of one column of the four tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Published {
    /// Table 2: seconds, bytes of the encrypted model, megabytes of memory.
    pub encryption: (f64, f64, f64),
    /// Table 3: seconds, megabytes, bits of noise budget left; input in the clear.
    pub clear: (f64, f64, f64),
    /// Table 4: the same, input encrypted.
    pub encrypted: (f64, f64, f64),
    /// Table 5: seconds, megabytes.
    pub decryption: (f64, f64),
}

const GIGABYTE: f64 = 1e9;
const MEGABYTE: f64 = 1e6;

impl Published {
    /// The column for this part of the classifier at this security.
    #[must_use]
    pub fn of(part: Part, security: SecurityLevel) -> Option<Self> {
        let column = match security.bits() {
            128 => 0,
            192 => 1,
            256 => 2,
            _ => return None,
        };
        let table: &[Self; 3] = match part {
            Part::Square2x => &SQUARE2X,
            Part::NoActivation => &NO_ACTIVATION,
            Part::LastLayer => &LAST_LAYER,
            Part::Relu | Part::WholeNetwork => return None,
        };
        table.get(column).copied()
    }
}

const SQUARE2X: [Published; 3] = [
    Published {
        encryption: (256.7, 11.0 * GIGABYTE, 2257.9),
        clear: (287.2, 4683.1, 221.6),
        encrypted: (2902.6, 5047.8, 206.0),
        decryption: (2.9, 963.8),
    },
    Published {
        encryption: (191.5, 6.4 * GIGABYTE, 1112.4),
        clear: (174.6, 2924.3, 80.2),
        encrypted: (1048.6, 5809.0, 65.0),
        decryption: (1.7, 397.4),
    },
    Published {
        encryption: (212.6, 11.0 * GIGABYTE, 2389.5),
        clear: (1221.3, 4899.2, 88.8),
        encrypted: (5627.0, 4906.0, 76.0),
        decryption: (3.2, 2062.5),
    },
];

const NO_ACTIVATION: [Published; 3] = [
    Published {
        encryption: (86.9, 2.5 * GIGABYTE, 557.9),
        clear: (43.7, 1162.5, 91.4),
        encrypted: (367.1, 2314.8, 79.0),
        decryption: (0.6, 123.4),
    },
    Published {
        encryption: (78.0, 4.4 * GIGABYTE, 459.2),
        clear: (32.9, 869.2, 23.8),
        encrypted: (272.2, 1733.7, 11.0),
        decryption: (0.6, 73.4),
    },
    Published {
        encryption: (96.0, 2.5 * GIGABYTE, 566.1),
        clear: (90.2, 2342.3, 16.2),
        encrypted: (835.9, 4644.5, 3.0),
        decryption: (1.0, 267.1),
    },
];

const LAST_LAYER: [Published; 3] = [
    Published {
        encryption: (3.4, 79.0 * MEGABYTE, 300.6),
        clear: (2.1, 53.9, 58.8),
        encrypted: (19.2, 119.5, 45.0),
        decryption: (0.2, 17.8),
    },
    Published {
        encryption: (3.4, 79.0 * MEGABYTE, 301.4),
        clear: (2.1, 54.0, 20.2),
        encrypted: (19.2, 118.5, 10.0),
        decryption: (0.1, 17.8),
    },
    Published {
        encryption: (7.3, 158.0 * MEGABYTE, 324.2),
        clear: (4.5, 117.7, 60.2),
        encrypted: (40.2, 253.0, 52.0),
        decryption: (0.2, 38.7),
    },
];
