//! Decryption.

use super::{Ciphertext, CkksError, Plaintext, SecretKey};
use crate::math::sampling;
use crate::math::{Ring, RnsPoly};
use crate::packing::Packing;
use rand::CryptoRng;
use std::sync::Arc;

/// Opens ciphertexts under one secret.
///
/// What [`Decryptor::decrypt`] returns carries the encryption's noise. Whoever gives decrypted values to
/// others gives them information on the secret (Li and Micciancio, ePrint 2020/1533): that is what
/// [`Decryptor::decrypt_flooded`] is for.
#[derive(Debug, Clone)]
pub struct Decryptor {
    key: Arc<SecretKey>,
}

impl Decryptor {
    /// A decryptor for `key`.
    #[must_use]
    pub fn new(key: Arc<SecretKey>) -> Self {
        Self { key }
    }

    /// The phase `c0 + c1 s`.
    ///
    /// # Errors
    /// [`CkksError::Key`] under another secret, [`CkksError::Math`] for other parameters.
    pub fn decrypt<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
    ) -> Result<Plaintext<P>, CkksError> {
        self.key.id().check(ciphertext.key)?;
        let mut phase = ciphertext.c0.clone();
        phase.add_product(&ciphertext.c1, self.key.ntt())?;
        Ok(Plaintext::new(phase, ciphertext.scale.clone()))
    }

    /// The phase with Gaussian noise of standard deviation `sigma` added to each coefficient, in units
    /// of 1: for results that others will see (Li, Micciancio, Schultz, Sorrell, ePrint 2022/816).
    /// To hide noise of standard deviation `e` in `k` results to `s` bits, `sigma` is at least
    /// `e 2^(s/2) sqrt(12 k N)`; each slot loses `sigma sqrt(N)` over the scale in precision.
    ///
    /// # Errors
    /// As [`Decryptor::decrypt`]; [`CkksError::Parameter`] where `sigma` is not between 1 and `2^60`.
    pub fn decrypt_flooded<P: Packing>(
        &self,
        ciphertext: &Ciphertext<P>,
        sigma: f64,
        rng: &mut impl CryptoRng,
    ) -> Result<Plaintext<P>, CkksError> {
        if !(1.0..=60f64.exp2()).contains(&sigma) {
            let (what, allowed) = ("the flooding noise", "from 1 to 2^60");
            return Err(CkksError::Parameter { what, value: sigma as usize, allowed });
        }
        let mut plaintext = self.decrypt(ciphertext)?;
        let limbs = plaintext.poly.limbs().iter();
        let rings: Vec<Ring> = limbs.map(|limb| limb.ring().clone()).collect();
        let noise = sampling::gaussian_integers(plaintext.poly.dimension(), sigma, rng);
        plaintext.poly.add_assign(&RnsPoly::from_signed(&rings, &noise)?.into_ntt())?;
        Ok(plaintext)
    }
}
