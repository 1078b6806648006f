//! The secret of one model of either kind, on its owner's machine.

use super::AgentError;
use super::error::check_key;
use crate::client::Client;
use crate::model_id::ModelId;
use crate::polynomial::protected::Owner;
use crate::polynomial::protected::owner::SECRET_BYTES;
use crate::store::Store;
use crate::store::seal::Passphrase;
use bellerophon_bridge as bridge;
use bellerophon_schemes::ckks;
use bellerophon_schemes::key_id::KeyId;
use zeroize::Zeroizing;

/// The secret of a model whose keys are in a store, checked against their id.
pub(super) fn client(
    store: &Store,
    model: &ModelId,
    parameters: bridge::Parameters,
    passphrase: &Passphrase,
) -> Result<Client, AgentError> {
    let secret = store.secret(model, passphrase)?;
    let client = Client::import_secrets(parameters, &secret)?;
    check(store, model, client.key())?;
    Ok(client)
}

/// As [`client`], for a network in slots.
pub(super) fn owner(
    store: &Store,
    model: &ModelId,
    parameters: &ckks::Parameters,
    passphrase: &Passphrase,
) -> Result<Owner, AgentError> {
    let stored = store.secret(model, passphrase)?;
    let mut seed = Zeroizing::new([0; SECRET_BYTES]);
    match stored.len() == SECRET_BYTES {
        true => seed.copy_from_slice(&stored),
        false => return Err(AgentError::Kind { model: model.clone() }),
    }
    let owner = Owner::from_secret(parameters, seed)?;
    check(store, model, owner.key())?;
    Ok(owner)
}

fn check(store: &Store, model: &ModelId, found: KeyId) -> Result<(), AgentError> {
    check_key("secret", model, store.key(model)?, found)
}
