//! A network as its owner keeps it: what everyone may see, and the numbers that nobody else may.

use super::architecture::{Architecture, Linear};
use bellerophon_schemes::ckks::{Parameters, c64};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::{self, Conformant, Wire, WireError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::Zeroize;

/// The largest one accepted, in bytes.
pub const PLAIN_LIMIT: u64 = 1 << 36;

/// The numbers of one layer that are encrypted: each diagonal and bias, slot by slot. They are wiped
/// from memory when dropped, and not printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Weights {
    /// One for each of the layer's terms, in their order, not rotated.
    #[serde(serialize_with = "write_diagonals", deserialize_with = "read_diagonals")]
    pub(super) diagonals: Vec<Vec<c64>>,
    /// One for each ciphertext of the result, added last.
    pub(super) biases: Vec<Vec<f64>>,
}

fn write_diagonals<S: Serializer>(diagonals: &[Vec<c64>], out: S) -> Result<S::Ok, S::Error> {
    let pairs = |slots: &Vec<c64>| slots.iter().map(|slot| [slot.re, slot.im]).collect();
    out.collect_seq(diagonals.iter().map(|slots| -> Vec<[f64; 2]> { pairs(slots) }))
}

fn read_diagonals<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<c64>>, D::Error> {
    let diagonals = Vec::<Vec<[f64; 2]>>::deserialize(from)?;
    let slot = |[re, im]: [f64; 2]| c64 { re, im };
    Ok(diagonals.into_iter().map(|slots| slots.into_iter().map(slot).collect()).collect())
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights").field("diagonals", &self.diagonals.len()).finish_non_exhaustive()
    }
}

impl Drop for Weights {
    fn drop(&mut self) {
        for value in self.diagonals.iter_mut().flatten() {
            value.re.zeroize();
            value.im.zeroize();
        }
        self.biases.iter_mut().flatten().for_each(Zeroize::zeroize);
    }
}

impl Weights {
    fn check(&self, linear: &Linear, slots: usize) -> Result<(), String> {
        let counts = [self.diagonals.len(), self.biases.len()];
        if counts != [linear.terms.len(), linear.outputs] {
            return Err(format!("a layer has {counts:?} diagonals and biases"));
        }
        let mut lengths =
            self.diagonals.iter().map(Vec::len).chain(self.biases.iter().map(Vec::len));
        if let Some(length) = lengths.find(|length| *length > slots) {
            return Err(format!("{length} values where a ciphertext has {slots} slots"));
        }
        let finite = |slot: &c64| slot.re.is_finite() && slot.im.is_finite();
        let biases = self.biases.iter().flatten().all(|value| value.is_finite());
        match biases && self.diagonals.iter().flatten().all(finite) {
            true => Ok(()),
            false => Err("a weight or bias is not finite".to_owned()),
        }
    }
}

/// A network laid out in slots, its weights in the clear: what [`super::Owner::protect`] encrypts. It
/// stays with its owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlainNetwork {
    pub(super) architecture: Architecture,
    pub(super) weights: Vec<Weights>,
}

impl PlainNetwork {
    /// What everyone may see of it.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Reads a network and the parameters that it is for, which must reach the security that it
    /// claims, and that `level`.
    ///
    /// # Errors
    /// [`WireError`] for bytes that are no such network.
    pub fn open(bytes: &[u8], level: SecurityLevel) -> Result<(Self, Parameters), WireError> {
        let network: Self = wire::from_bytes(bytes, PLAIN_LIMIT, &level)?;
        let unfit = |reason| WireError::NotConformant { kind: Self::NAME, reason };
        let parameters = network.architecture.reaching(level).map_err(unfit)?;
        Ok((network, parameters))
    }
}

impl Wire for PlainNetwork {
    const KIND: u16 = 47;
    const NAME: &'static str = "network in slots, its weights in the clear";
}

/// Checked against its own parameters, which must reach this level.
impl Conformant<SecurityLevel> for PlainNetwork {
    fn conforms(&self, level: &SecurityLevel) -> Result<(), String> {
        let Self { architecture, weights } = self;
        architecture.reaching(*level)?;
        architecture.check()?;
        let (found, expected) = (weights.len(), architecture.linear().count());
        if found != expected {
            return Err(format!("weights of {found} layers where {expected} belong"));
        }
        let mut layers = architecture.linear().zip(weights);
        layers.try_for_each(|((_, linear), weights)| weights.check(linear, architecture.slots()))
    }
}
