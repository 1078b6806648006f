//! Slots: a polynomial of every coefficient, by way of CKKS with levels.
//!
//! ```text
//!  up to N/d ciphertexts of the bridge's ring, dimension d, modulo q, secret s
//!    | modulus switch q -> q_0, ring packing into dimension N: secret s(X^(N/d))
//!    | ring key switch to a CKKS secret
//!    v
//!  CKKS at level 0 --- functional bootstrapping: raise, slots, sine, polynomial, coefficients ---+
//!                                                                                                v
//!  as many ciphertexts  <--- ring key switch to s(X^(N/d)), splitting, modulus switch q_0 -> q
//! ```
//!
//! Ring packing and switching are those of Gentry, Halevi, Peikert and Smart (ePrint 2012/240): with
//! `Y = X^(N/d)`, the ring of dimension `d` in `Y` lies in that of dimension `N`, whose elements are
//! `sum_i c_i(Y) X^i`; few ciphertexts lie in a subring of that one in turn, where the way through the
//! slots is shorter. Functional bootstrapping is
//! [`FunctionalBootstrapper`](bellerophon_schemes::ckks::FunctionalBootstrapper). A polynomial of the
//! phase comes out in every coefficient, for a fraction of the time of as many tables.
//!
//! [`SlotParametersLiteral::deep`] at 128 bits, `N = 2^16`, `d = 2048`, seconds of one thread on an Intel
//! Xeon (Sapphire Rapids) virtual machine with other load; errors of a polynomial of slope 1/2 and width
//! 1/8, root mean square, in bits of a turn:
//!
//! | `log_slots` | ciphertexts at once | seconds | keys and matrices | keys on the wire | peak while expanded | error | predicted |
//! |---|---|---|---|---|---|---|---|
//! | 15 | 32 | 7.8 | 8.9 GB | 1.9 GB | 11.5 GB | 27.7 bits | 27.7 bits |
//! | 10 | 1 | 4.6 | 4.5 GB | 1.2 GB | 6.8 GB | 29.7 bits | 29.7 bits |
//!
//! # Security
//!
//! Nothing but the keys is under the CKKS secret, which exists while they are made only. The key to
//! it is an encryption of `s`, at dimension `N`; the key back is one of the CKKS secret under `s`, at
//! dimension `d` modulo `q_0`, with as much noise as that dimension asks for. Together with the
//! evaluation keys this is a cycle: circular security is assumed, as for all of the bridge.

mod keys;
mod parameters;
mod rings;

pub use keys::{Progress, SeededSlotKeys, SlotKeys, Step};
pub use parameters::{SlotParameters, SlotParametersLiteral};

#[cfg(test)]
mod tests;
