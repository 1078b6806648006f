//! The secrets on both sides, and the public keys that carry ciphertexts between them.

use crate::{Assumptions, BridgeError, Parameters};
use bellerophon_schemes::key_id::KeyId;
use bellerophon_schemes::rlwe::{
    GaloisKey, KeyGenerator, SecretKey, SeededGaloisKey, SeededSwitchingKey, SwitchingKey,
};
use bellerophon_schemes::security::{LweInstance, SecretDistribution};
use bellerophon_schemes::tfhe::{BootstrapKey, Kernel, LweSecretKey, SeededBootstrapKey};
use bellerophon_schemes::wire::{Conformant, Wire};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The client's secrets: the CKKS ring secret `s`, the flattened GLWE secret `z` and the small LWE
/// secret `t`. Under [`Assumptions::Compact`] the first two are the same secret with one id.
#[derive(Debug)]
pub struct SecretKeys {
    ring: Arc<SecretKey>,
    glwe: LweSecretKey,
    lwe: LweSecretKey,
}

impl SecretKeys {
    /// Fresh secrets.
    ///
    /// # Errors
    /// [`BridgeError::Rlwe`], which cannot occur for parameters that were built.
    pub fn generate(
        parameters: &Parameters,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, BridgeError> {
        let dimension = parameters.ring().dimension();
        let glwe = LweSecretKey::generate(dimension, rng);
        let lwe = LweSecretKey::generate(parameters.lwe_dimension(), rng);
        let ring = match parameters.assumptions() {
            Assumptions::Compact => embed(parameters, &glwe, 1, dimension)?,
            Assumptions::Conservative => SecretKey::generate(parameters.rlwe(), rng)?,
        };
        Ok(Self { ring: Arc::new(ring), glwe, lwe })
    }

    /// The CKKS secret `s`.
    #[must_use]
    pub fn ring(&self) -> &Arc<SecretKey> {
        &self.ring
    }

    /// The flattened GLWE secret `z`.
    #[must_use]
    pub fn glwe(&self) -> &LweSecretKey {
        &self.glwe
    }

    /// The small LWE secret `t`.
    #[must_use]
    pub fn lwe(&self) -> &LweSecretKey {
        &self.lwe
    }
}

/// The ring secret `sum_i secret_i X^(i stride)` with the id of `secret`.
pub(crate) fn embed(
    parameters: &Parameters,
    secret: &LweSecretKey,
    stride: usize,
    unknowns: usize,
) -> Result<SecretKey, BridgeError> {
    let mut coefficients = Zeroizing::new(vec![0; parameters.ring().dimension()]);
    for (target, &bit) in coefficients.iter_mut().step_by(stride).zip(secret.bits()) {
        *target = bit as i64;
    }
    let (ring, id) = (parameters.ring(), secret.id());
    let binary = SecretDistribution::Binary;
    Ok(SecretKey::from_coefficients(ring, coefficients, binary, unknowns, id)?)
}

/// The wire form of [`EvaluationKeys`]: everything the server needs, and nothing secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeededEvaluationKeys {
    down: SeededSwitchingKey,
    /// From `z` to `s`, where they differ.
    enter: Option<SeededSwitchingKey>,
    /// For `X -> X^(2^l + 1)`, `l = 1 ... log2 N`.
    packing: Vec<SeededGaloisKey>,
    bootstraps: Vec<SeededBootstrapKey>,
}

impl SeededEvaluationKeys {
    /// Makes all evaluation keys.
    ///
    /// # Errors
    /// [`BridgeError`] where the secrets do not belong to `parameters`.
    pub fn generate(
        parameters: &Parameters,
        secrets: &SecretKeys,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, BridgeError> {
        let n = parameters.lwe_dimension();
        let small = embed(parameters, &secrets.lwe, parameters.lwe_stride(), n)?;
        let down = SeededSwitchingKey::generate(
            &secrets.ring,
            &small,
            parameters.down_gadget(),
            parameters.down_sigma(),
            rng,
        )?;
        let generator = KeyGenerator::new(parameters.rlwe());
        let gadget = parameters.up_gadget();
        let enter = match parameters.assumptions() {
            Assumptions::Compact => None,
            Assumptions::Conservative => {
                let dimension = parameters.ring().dimension();
                let large = embed(parameters, &secrets.glwe, 1, dimension)?;
                Some(generator.switching_key(&large, &secrets.ring, gadget, rng)?)
            }
        };
        let packing = packing_elements(parameters)
            .map(|element| generator.galois_key(&secrets.ring, element, gadget, rng))
            .collect::<Result<_, _>>()?;
        let bootstraps = parameters
            .bootstraps()
            .iter()
            .map(|&b| SeededBootstrapKey::generate(b, &secrets.lwe, &secrets.glwe, rng))
            .collect::<Result<_, _>>()?;
        Ok(Self { down, enter, packing, bootstraps })
    }

    /// The keys in their transformed domains, ready for use; bootstrapping keys for `kernel`, or each
    /// for the fastest here.
    ///
    /// # Errors
    /// [`BridgeError`] where the keys do not belong to `parameters`, or the kernel cannot run.
    pub fn expand(
        &self,
        parameters: &Parameters,
        kernel: Option<Kernel>,
    ) -> Result<EvaluationKeys, BridgeError> {
        let ring = parameters.ring();
        let packing = self.packing.iter().map(|key| key.expand(ring)).collect::<Result<_, _>>()?;
        let bootstraps = self.bootstraps.iter().map(|key| {
            key.expand(kernel.unwrap_or(Kernel::best(key.parameters().grouping_factor())))
        });
        Ok(EvaluationKeys {
            parameters: parameters.clone(),
            down: self.down.expand(ring)?,
            enter: self.enter.as_ref().map(|key| key.expand(ring)).transpose()?,
            packing,
            bootstraps: bootstraps.collect::<Result<_, _>>()?,
        })
    }

    /// The name and LWE instance of every key.
    #[must_use]
    pub fn instances(&self) -> Vec<(String, LweInstance)> {
        let mut all = vec![("ring switch to the small secret".to_owned(), self.down.instance())];
        if let Some(enter) = &self.enter {
            all.push(("ring switch from the GLWE secret".to_owned(), enter.instance()));
        }
        for key in &self.packing {
            let name = format!("packing, X -> X^{}", key.element());
            all.push((name, key.switching_key().instance()));
        }
        for (index, key) in self.bootstraps.iter().enumerate() {
            all.push((format!("bootstrapping {index}"), key.parameters().instance()));
        }
        all
    }
}

/// `2^l + 1` for `l = 1 ... log2 N`.
fn packing_elements(parameters: &Parameters) -> impl Iterator<Item = usize> {
    (1..=parameters.ring().dimension().ilog2()).map(|l| (1 << l) + 1)
}

impl Wire for SeededEvaluationKeys {
    const KIND: u16 = 3;
    const NAME: &'static str = "evaluation key set";
}

impl Conformant<Parameters> for SeededEvaluationKeys {
    fn conforms(&self, parameters: &Parameters) -> Result<(), String> {
        let rlwe = parameters.rlwe();
        self.down.conforms(rlwe)?;
        same("gadget of the ring switch", self.down.gadget(), parameters.down_gadget())?;
        same_instance("ring switch", self.down.instance(), parameters.down_instance())?;
        let conservative = parameters.assumptions() == Assumptions::Conservative;
        same("presence of a switch from the GLWE secret", self.enter.is_some(), conservative)?;
        if let Some(key) = &self.enter {
            key.conforms(rlwe)?;
            same("gadget", key.gadget(), parameters.up_gadget())?;
            same_instance("switch from the GLWE secret", key.instance(), rlwe.instance())?;
        }
        let found: Vec<usize> = self.packing.iter().map(SeededGaloisKey::element).collect();
        same("Galois elements", found, packing_elements(parameters).collect())?;
        for key in &self.packing {
            key.conforms(rlwe)?;
            same("gadget", key.switching_key().gadget(), parameters.up_gadget())?;
            same_instance("packing key", key.switching_key().instance(), rlwe.instance())?;
        }
        let count = parameters.bootstraps().len();
        same("number of bootstrapping keys", self.bootstraps.len(), count)?;
        let mut pairs = self.bootstraps.iter().zip(parameters.bootstraps());
        pairs.try_for_each(|(key, expected)| key.conforms(expected))?;
        self.connected()
    }
}

impl SeededEvaluationKeys {
    /// Checks that the keys connect the same secrets.
    fn connected(&self) -> Result<(), String> {
        let ring = self.down.source();
        let glwe = self.enter.as_ref().map_or(ring, SeededSwitchingKey::source);
        for key in &self.packing {
            same("source of a packing key", key.switching_key().source(), ring)?;
            same("target of a packing key", key.switching_key().target(), ring)?;
        }
        if let Some(enter) = &self.enter {
            same("target of the switch from the GLWE secret", enter.target(), ring)?;
        }
        for key in &self.bootstraps {
            same("input of a bootstrapping key", key.input(), self.down.target())?;
            same("output of a bootstrapping key", key.output(), glwe)?;
        }
        Ok(())
    }
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    name: &str,
    found: T,
    expected: T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{name}: {found:?} where {expected:?} is needed"))
}

/// Compares what a key says of its security with what the parameters ask for; the noise was
/// converted between units, which rounds.
pub(crate) fn same_instance(
    name: &str,
    found: LweInstance,
    expected: LweInstance,
) -> Result<(), String> {
    let rounded = (found.log2_std - expected.log2_std).abs() < 1e-9;
    same(name, LweInstance { log2_std: expected.log2_std, ..found }, expected)?;
    if rounded {
        return Ok(());
    }
    same(name, found.log2_std, expected.log2_std)
}

/// All keys that the server needs, ready for use; public.
#[derive(Debug)]
pub struct EvaluationKeys {
    pub(crate) parameters: Parameters,
    pub(crate) down: SwitchingKey,
    pub(crate) enter: Option<SwitchingKey>,
    pub(crate) packing: Vec<GaloisKey>,
    bootstraps: Vec<BootstrapKey>,
}

impl EvaluationKeys {
    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The CKKS secret that they work with.
    #[must_use]
    pub fn ring_key(&self) -> KeyId {
        self.down.source()
    }

    /// Bootstrapping key `index`.
    ///
    /// # Errors
    /// [`BridgeError::MissingBootstrapKey`].
    pub fn bootstrap(&self, index: usize) -> Result<&BootstrapKey, BridgeError> {
        let count = self.bootstraps.len();
        self.bootstraps.get(index).ok_or(BridgeError::MissingBootstrapKey { index, count })
    }

    /// The packing key for `X -> X^element`.
    pub(crate) fn galois(&self, element: usize) -> Result<&GaloisKey, BridgeError> {
        let mut keys = self.packing.iter();
        keys.find(|key| key.element() == element).ok_or(BridgeError::MissingGaloisKey { element })
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.down.bytes()
            + self.enter.as_ref().map_or(0, SwitchingKey::bytes)
            + self.packing.iter().map(GaloisKey::bytes).sum::<usize>()
            + self.bootstraps.iter().map(BootstrapKey::bytes).sum::<usize>()
    }
}
