//! Arithmetic in `Z_q[X]/(X^N + 1)`: moduli, transforms, polynomials and samplers.

pub mod approximation;
mod buffer;
pub mod error;
pub mod fft;
pub mod modulus;
pub mod ntt;
mod permutation;
pub mod poly;
pub mod primes;
pub mod rns;
pub mod sampling;

pub(crate) use buffer::Buffer;
pub use error::MathError;
pub use modulus::Modulus;
pub use ntt::Ring;
pub(crate) use permutation::Permutation;
pub use poly::{Coeff, Ntt, Poly};
pub use rns::RnsPoly;
