//! Networks whose activations are polynomials and whose poolings are means or sums, run entirely in
//! CKKS: a tensor lives in the slots of ciphertexts, and every linear layer is a sum of rotated
//! ciphertexts times plaintext diagonals.
//!
//! | module | what it does |
//! |---|---|
//! | [`choice`] | names what takes the place of ReLU and max-pool |
//! | [`network`] | replaces them layer by layer, on calibrated ranges; evaluates in the clear |
//! | `layout`, `affine`, `arrange` | tensors in slots, and any linear layer as rotations |
//! | [`predict`], [`parameters`] | predicted time and memory; primes and ring dimension |
//! | [`maximum`] | max-pools by approximate comparisons |
//! | [`lower`], [`program`] | from stages to a flat list of steps |
//! | [`backend`] | the loop over the steps |
//! | [`clear`], [`simulated`], [`encrypted`] | in f64; with the noise model; on ciphertexts |
//! | [`keys`] | what keys a program needs |
//! | [`client`] | holds the secret: makes keys, encrypts images, opens results |
//! | [`server`] | holds evaluation keys alone: runs a program on encrypted images |
//! | [`message`] | what passes between the two |
//! | [`protected`] | all of this with encrypted weights |

mod affine;
mod arrange;
pub mod backend;
pub mod choice;
pub mod clear;
pub mod client;
mod cost;
pub mod encrypted;
mod error;
pub mod keys;
mod layout;
pub mod lower;
pub mod maximum;
pub mod message;
pub mod network;
pub mod parameters;
pub mod predict;
pub mod program;
pub mod protected;
pub mod server;
pub mod simulated;

pub use choice::{Activation, Approximation, Pooling};
pub use cost::Sizes;
pub use error::PolynomialError;
pub use layout::Place;
pub use lower::compile;
pub use network::{PolynomialNetwork, Replacement};
pub use parameters::Settings;
pub use program::{Operation, Program, Step};
