//! Tests of the project as a whole.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // everything here is a test

mod bad_input;
mod browser;
mod cli;
mod deployment;
mod layering;
mod lenet5;
mod network;
mod polynomial;
mod protected_slots;
mod security;
mod study;
