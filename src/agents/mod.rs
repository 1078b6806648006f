//! The agents of a system for protected models (figures 6 to 9 of the paper on encrypted models,
//! sections 4.1 to 4.4), each a type that holds what its role allows and nothing else.
//!
//! | agent | where | holds | does |
//! |---|---|---|---|
//! | [`KeyGenerator`] | owner | the store | makes a model's keys, seals the secret |
//! | [`ProtectionAgent`] | owner | one model's secret | encrypts its parameters |
//! | [`DeploymentAgent`] | owner | the signing key | signs bundles of what is public |
//! | [`ProcessingAgent`] | edge | evaluation keys, encrypted parameters | runs the model on encrypted inputs |
//! | [`AcquisitionAgent`] | edge | a public key | encrypts images, submits them, collects results |
//! | [`DecryptionAgent`] | owner | secrets of models, one at a time | opens results of models in the store |
//!
//! A model is of one of two kinds, and each agent serves both: a compiled program whose activations
//! are exact ([`crate::protect`]), at 128 bits of security, or a network of polynomials in slots
//! ([`crate::polynomial::protected`]), at 128, 192 or 256.
//!
//! No type of the edge can be built from a secret, or names one; a test of the project sees to that.

mod acquisition;
mod decryption;
mod deployed_model;
mod deployment;
mod error;
mod input_encryptor;
mod key_generator;
mod plain;
mod processing;
mod protection;
mod secret;
#[cfg(test)]
mod tests;

pub use acquisition::{Acquired, AcquisitionAgent};
pub use decryption::{DecryptionAgent, Inference};
pub use deployment::{DeploymentAgent, Written};
pub use error::AgentError;
pub use key_generator::{KeyGenerator, MadeKeys};
pub use plain::PlainModel;
pub use processing::ProcessingAgent;
pub use protection::{Protected, ProtectionAgent};
