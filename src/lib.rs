//! Bellerophon runs a trained CNN on encrypted images with **exact** ReLU and max-pool.
//!
//! Arithmetic runs in CKKS, comparisons in TFHE, and a CHIMERA-style bridge carries values between
//! them (crates `bellerophon-schemes` and `bellerophon-bridge`). This crate brings in the network:
//!
//! | module | what it does |
//! |---|---|
//! | [`model`] | reads a network from ONNX and evaluates it in the clear |
//! | [`compile`] | calibrates it, selects parameters, and makes a flat [`compile::Program`] of steps |
//! | [`run`] | walks the steps on ciphertexts, in simulation with noise, or in the clear |
//! | [`polynomial`] | all of this without TFHE, for networks of polynomials: slots of CKKS ciphertexts |
//! | [`client`] | holds the secrets: makes keys, encrypts images, opens results |
//! | [`server`] | holds evaluation keys alone: runs a program on encrypted images |
//! | [`protect`] | encrypted models: the server learns no weight and no bias either |
//! | [`input`] | how inputs are laid out in ciphertexts |
//! | [`message`] | what passes between the two |
//! | [`opening`] | what a result must be, what of it is shown, and how often |
//! | [`agents`] | owner and edge of a protected model, by role: [`store`], signed [`bundle`], HTTP [`service`] |
//! | [`flat`] | programs cut down to the values that matter: simulation of many images |
//! | [`study`] | polynomial against exact activations: every method on all images |
//! | [`report`] | predicted and measured noise; the study's report; the evaluation of protected networks |
//! | [`data`] | images from files |
//! | [`tune`] | measures what operations cost on this machine |
//!
//! Assumptions of security, beyond LWE and ring LWE at 128 bits: circular security of the key cycle
//! between the schemes and, unless [`bellerophon_bridge::Assumptions::Conservative`] is chosen, the
//! partial and the shared secret. Decrypted results carry noise that depends on the secret: who
//! passes them on should round them first (Li and Micciancio, ePrint 2020/1533).

pub mod agents;
pub mod bundle;
pub mod client;
pub mod compile;
pub mod data;
pub mod flat;
mod hexadecimal;
pub mod inference;
pub mod input;
pub mod message;
pub mod model;
pub mod model_id;
pub mod opening;
pub mod polynomial;
pub mod protect;
pub mod report;
pub mod run;
pub mod server;
pub mod service;
pub mod store;
pub mod study;
#[cfg(test)]
mod tiny;
pub mod tune;
mod whole_file;
