//! Networks whose weights are encrypted too, in slots: a machine that is not trusted multiplies
//! encrypted weights with encrypted inputs (or with inputs in the clear), and only the owner of the
//! network opens the results. The system is that of Gomez, Ibarrondo, Wilhelm, Marquez and Duverger,
//! *Security for Distributed Machine Learning based Software*, sections 3 and 4.
//!
//! | module | what it does |
//! |---|---|
//! | `calibrated` | the network in the clear: polynomials in the place of activations, on calibrated ranges |
//! | `tiling`, `lower` | layers as products of rotated ciphertexts with encrypted diagonals |
//! | [`plan`] | architecture, parameters and predicted costs, before anything is encrypted |
//! | `plain` | the planned network, as its owner keeps it |
//! | [`architecture`] | what everyone may see |
//! | [`owner`] | holds the secret: encrypts weights, publishes keys, opens results |
//! | [`edge`] | holds public keys alone: encrypts inputs, evaluates |
//! | [`message`] | what passes between them |
//! | [`slots`], `encrypted` | the steps in f64, with or without noise; on ciphertexts |
//!
//! # What is hidden, and what is not
//!
//! Hidden by encryption: every weight and bias, with what was folded into them (batch normalization,
//! the ranges of values, the scale of the results up to a power of two), and which of them are zero;
//! inputs, where they are encrypted; results. Shown: how many layers there are, their names, kinds,
//! shapes, strides and paddings; the polynomial of each activation of degree above 2, on a range rounded
//! up to a power of two; the parameters of the scheme.
//!
//! Not protected against: a machine that returns another result than the network's, since nothing
//! proves the computation; an owner who publishes what he decrypts for inputs that others choose, which
//! reveals the network as any oracle does, and noise that depends on the secret (Li and Micciancio,
//! ePrint 2020/1533); traffic analysis.
//!
//! # Levels and keys
//!
//! A linear layer takes one level, a square one, a polynomial `ceil(log2(degree + 1))`. Weights are
//! encrypted with the secret key at the level of their layer, so that one polynomial and a seed of
//! each is stored, with as many limbs as that level has. All products of a giant step are summed
//! before they are relinearized. Assumption beyond ring LWE: circular security of the evaluation keys.

pub mod architecture;
mod calibrated;
pub mod edge;
mod encrypted;
mod execute;
mod lower;
pub mod message;
pub mod owner;
mod plain;
pub mod plan;
pub mod slots;
mod tiling;

pub use architecture::Architecture;
pub use edge::{Edge, EdgeError, Evaluation, InputEncryptor};
pub use message::{ProtectedInput, ProtectedNetwork, ProtectedResult};
pub use owner::{Owner, OwnerError, PublishedKeys};
pub use plain::{PLAIN_LIMIT, PlainNetwork};
pub use plan::{Costs, Plan, PlanError, Settings};
pub use slots::{NoiseModel, Start};
pub use tiling::Tiling;

#[cfg(test)]
mod tests;
