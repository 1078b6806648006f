//! The protected-model store: one `SQLite` file on the owner's machine.
//!
//! It holds each model by name and version, with its public and evaluation keys and its encrypted
//! parameters as chunks, its secret key sealed under a passphrase ([`seal`]), the owner's signing
//! key sealed likewise, and an append-only record ([`journal`]). Any number of processes may use it
//! at once: writers wait for one another, and what a process was writing when it was killed is as if
//! it had never begun (write-ahead log, one transaction for each operation).

pub mod chunks;
mod error;
pub mod journal;
mod schema;
pub mod seal;
#[cfg(test)]
mod tests;

use crate::bundle::{OwnerKey, Part};
use crate::hexadecimal;
use crate::model_id::ModelId;
use bellerophon_schemes::key_id::KeyId;
use chunks::{PartReader, Stored};
use ed25519_dalek::SigningKey;
use journal::{Entry, Event, now};
use rand::CryptoRng;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use seal::{Cost, Passphrase, Sealed};
use serde::Serialize;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

pub use error::StoreError;
pub use schema::VERSION;

/// The store, opened. One process may open it several times.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

/// Keys of a model that are to be stored.
#[derive(Clone, Copy)]
pub struct NewKeys<'a> {
    /// The id of the secret.
    pub key: KeyId,
    /// The secret as it is exported; it is sealed before it is written.
    pub secret: &'a [u8],
    /// The public key.
    pub public_key: &'a [u8],
    /// The evaluation keys.
    pub evaluation_keys: &'a [u8],
    /// The keys of polynomials in slots, where the model has such.
    pub slot_keys: Option<&'a [u8]>,
}

impl<'a> NewKeys<'a> {
    fn parts(&self) -> impl Iterator<Item = (Part, &'a [u8])> {
        let slots = self.slot_keys.map(|keys| (Part::SlotKeys, keys));
        [(Part::PublicKey, self.public_key), (Part::EvaluationKeys, self.evaluation_keys)]
            .into_iter()
            .chain(slots)
    }
}

/// What is known of a stored model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Name and version.
    pub model: ModelId,
    /// The id of its secret.
    pub key: KeyId,
    /// When its keys were made, in seconds since 1970.
    pub created: i64,
    /// Bytes of each part that there is.
    pub parts: Vec<(Part, u64)>,
}

/// A row of `models`.
struct Row {
    id: i64,
    key: KeyId,
    sealed: i64,
}

impl Store {
    /// Opens a store that is there.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotAStore`], [`StoreError::Version`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: schema::open(path)? })
    }

    /// Opens a store whose passphrase this is, or makes one with a fresh signing key.
    ///
    /// # Errors
    /// As [`Store::open`], and [`StoreError::Seal`] for another passphrase than the store's.
    pub fn create(
        path: &Path,
        passphrase: &Passphrase,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, StoreError> {
        let mut store = Self { connection: schema::create(path)? };
        if owner_row(&store.connection)?.is_none() {
            store.make_owner(passphrase, cost, rng)?;
        }
        store.signing_key(passphrase)?;
        Ok(store)
    }

    fn make_owner(
        &mut self,
        passphrase: &Passphrase,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        let owner = OwnerKey::from(SigningKey::from_bytes(&secret).verifying_key());
        let sealed = Sealed::new(&*secret, &owner_context(owner), passphrase, cost, rng)?;
        let transaction = self.begin()?;
        let there: i64 =
            transaction.query_row("SELECT count(*) FROM owner", [], |row| row.get(0))?;
        if there == 0 {
            let sealed = insert_sealed(&transaction, &sealed)?;
            let insert = "INSERT INTO owner (id, verifying_key, sealed) VALUES (1, ?1, ?2)";
            transaction.execute(insert, params![owner.to_bytes(), sealed])?;
        }
        Ok(transaction.commit()?)
    }

    /// Writers take turns from the beginning of a transaction on, so that none fails at its end.
    fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// The key that machines pin.
    ///
    /// # Errors
    /// [`StoreError::Content`] for a store without one.
    pub fn owner_key(&self) -> Result<OwnerKey, StoreError> {
        Ok(owner(&self.connection)?.0)
    }

    /// What bundles are signed with.
    ///
    /// # Errors
    /// [`StoreError::Seal`] for another passphrase than the store's.
    pub fn signing_key(&self, passphrase: &Passphrase) -> Result<SigningKey, StoreError> {
        let (owner, id) = owner(&self.connection)?;
        let secret = sealed(&self.connection, id)?.open(&owner_context(owner), passphrase)?;
        let secret: &[u8; 32] = secret.as_slice().try_into().map_err(|_| damaged_secret())?;
        let key = SigningKey::from_bytes(secret);
        match OwnerKey::from(key.verifying_key()) == owner {
            true => Ok(key),
            false => Err(damaged_secret()),
        }
    }

    /// The version that a next model of this name gets.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn next_version(&self, name: &str) -> Result<u32, StoreError> {
        let query = "SELECT coalesce(max(version), 0) + 1 FROM models WHERE name = ?1";
        Ok(self.connection.query_row(query, [name], |row| row.get(0))?)
    }

    /// Stores the keys of a new model, all or nothing; the secret is sealed at the store's cost.
    ///
    /// # Errors
    /// [`StoreError::Exists`] for a name and version that are taken, [`StoreError::Seal`] for
    /// another passphrase than the store's.
    pub fn add_keys(
        &mut self,
        model: &ModelId,
        keys: &NewKeys<'_>,
        passphrase: &Passphrase,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        self.signing_key(passphrase)?;
        let cost = sealed(&self.connection, owner(&self.connection)?.1)?.cost;
        let context = secret_context(model, keys.key);
        let sealed = Sealed::new(keys.secret, &context, passphrase, cost, rng)?;
        let transaction = self.begin()?;
        if find(&transaction, model)?.is_some() {
            return Err(StoreError::Exists { model: model.clone(), what: "keys".to_owned() });
        }
        let sealed = insert_sealed(&transaction, &sealed)?;
        let insert = "INSERT INTO models (name, version, key_id, created, sealed)
                      VALUES (?1, ?2, ?3, ?4, ?5)";
        let key = keys.key.to_string();
        transaction.execute(insert, params![model.name(), model.version(), key, now(), sealed])?;
        let row = transaction.last_insert_rowid();
        for (part, bytes) in keys.parts() {
            chunks::write(&transaction, row, part, &mut &*bytes)?;
        }
        journal::append(&transaction, Event::Keygen, model, &format!("key {key}"))?;
        Ok(transaction.commit()?)
    }

    /// Stores the encrypted parameters of a model whose keys are there, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::NoModel`], [`StoreError::Exists`], [`StoreError::Io`] of `source`.
    pub fn add_model(&mut self, model: &ModelId, source: &mut dyn Read) -> Result<u64, StoreError> {
        let transaction = self.begin()?;
        let row = require(&transaction, model)?;
        if chunks::find(&transaction, row.id, Part::Model)?.is_some() {
            let what = Part::Model.name().to_owned();
            return Err(StoreError::Exists { model: model.clone(), what });
        }
        let length = chunks::write(&transaction, row.id, Part::Model, source)?;
        let stored = require_part(&transaction, model, row.id, Part::Model)?;
        let detail = format!("{length} bytes, sha256 {}", hexadecimal::encode(&stored.digest));
        journal::append(&transaction, Event::Protect, model, &detail)?;
        transaction.commit()?;
        Ok(length)
    }

    /// The id of a model's secret.
    ///
    /// # Errors
    /// [`StoreError::NoModel`].
    pub fn key(&self, model: &ModelId) -> Result<KeyId, StoreError> {
        Ok(require(&self.connection, model)?.key)
    }

    /// A model's secret. Nothing else gives one out.
    ///
    /// # Errors
    /// [`StoreError::NoModel`]; [`StoreError::Seal`] for another passphrase, and for a sealed
    /// secret that belongs to another model.
    pub fn secret(
        &self,
        model: &ModelId,
        passphrase: &Passphrase,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let row = require(&self.connection, model)?;
        Ok(sealed(&self.connection, row.sealed)?
            .open(&secret_context(model, row.key), passphrase)?)
    }

    /// Seals the signing key and all secrets anew, under another passphrase; all or nothing. Copies
    /// of the file that were made before still open with the old one.
    ///
    /// # Errors
    /// [`StoreError::Seal`] for another passphrase than the store's.
    pub fn change_passphrase(
        &mut self,
        old: &Passphrase,
        new: &Passphrase,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        let (owner, id) = owner(&transaction)?;
        reseal(&transaction, id, &owner_context(owner), old, (new, cost), rng)?;
        for listed in models(&transaction)? {
            let row = require(&transaction, &listed.model)?;
            let context = secret_context(&listed.model, row.key);
            reseal(&transaction, row.sealed, &context, old, (new, cost), rng)?;
            journal::append(&transaction, Event::Reseal, &listed.model, "another passphrase")?;
        }
        Ok(transaction.commit()?)
    }

    /// Reads a part of a model piece by piece.
    ///
    /// # Errors
    /// [`StoreError::NoModel`], [`StoreError::NoPart`].
    pub fn part(&self, model: &ModelId, part: Part) -> Result<PartReader<'_>, StoreError> {
        let row = require(&self.connection, model)?;
        let stored = require_part(&self.connection, model, row.id, part)?;
        Ok(PartReader::new(&self.connection, model.clone(), part, stored))
    }

    /// All models, by name and version.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Content`].
    pub fn models(&self) -> Result<Vec<Listed>, StoreError> {
        models(&self.connection)
    }

    /// Adds an entry to the record.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn record(
        &mut self,
        event: Event,
        model: &ModelId,
        detail: &str,
    ) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        journal::append(&transaction, event, model, detail)?;
        Ok(transaction.commit()?)
    }

    /// The whole record.
    ///
    /// # Errors
    /// [`StoreError::Journal`] where an entry does not follow from those before.
    pub fn journal(&self) -> Result<Vec<Entry>, StoreError> {
        journal::read(&self.connection)
    }
}

fn owner_row(connection: &Connection) -> Result<Option<(OwnerKey, i64)>, StoreError> {
    let query = "SELECT verifying_key, sealed FROM owner";
    let row = connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((bytes, sealed)) = row.optional()? else { return Ok(None) };
    let key = OwnerKey::from_bytes(&bytes);
    Ok(Some((key.map_err(|error| StoreError::Content(error.to_string()))?, sealed)))
}

fn owner(connection: &Connection) -> Result<(OwnerKey, i64), StoreError> {
    owner_row(connection)?.ok_or_else(|| StoreError::Content("it has no owner".to_owned()))
}

fn sealed(connection: &Connection, id: i64) -> Result<Sealed, StoreError> {
    let query = "SELECT memory_kib, passes, lanes, salt, nonce, bytes FROM sealed WHERE id = ?";
    let (cost, salt, nonce, bytes) = connection.query_row(query, [id], |row| {
        let cost: [u32; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        Ok((cost, row.get(3)?, row.get(4)?, row.get(5)?))
    })?;
    let cost = Cost::new(cost[0], cost[1], cost[2])?;
    Ok(Sealed { cost, salt, nonce, bytes })
}

fn reseal(
    transaction: &Transaction<'_>,
    id: i64,
    context: &[u8],
    old: &Passphrase,
    (new, cost): (&Passphrase, Cost),
    rng: &mut impl CryptoRng,
) -> Result<(), StoreError> {
    let secret = sealed(transaction, id)?.open(context, old)?;
    let Sealed { salt, nonce, bytes, .. } = Sealed::new(&secret, context, new, cost, rng)?;
    let [memory, passes, lanes] = cost.parts();
    let update =
        "UPDATE sealed SET memory_kib = ?2, passes = ?3, lanes = ?4, salt = ?5, nonce = ?6,
                  bytes = ?7 WHERE id = ?1";
    transaction.execute(update, params![id, memory, passes, lanes, salt, nonce, bytes])?;
    Ok(())
}

fn models(connection: &Connection) -> Result<Vec<Listed>, StoreError> {
    let query = "SELECT id, name, version, key_id, created FROM models ORDER BY name, version";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, name, version): (i64, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (key, created): (String, i64) = (row.get(3)?, row.get(4)?);
        let stored = |part| Ok((part, chunks::find(connection, id, part)?));
        let parts = Part::ALL.into_iter().map(stored).collect::<Result<Vec<_>, StoreError>>()?;
        let parts = parts.into_iter().filter_map(|(part, stored)| Some((part, stored?.length)));
        let model = ModelId::new(name, version)?;
        listed.push(Listed { model, key: key_id(&key)?, created, parts: parts.collect() });
    }
    Ok(listed)
}

fn damaged_secret() -> StoreError {
    StoreError::Content("a secret is not what was sealed".to_owned())
}

fn owner_context(owner: OwnerKey) -> Vec<u8> {
    [b"owner", &owner.to_bytes()[..]].concat()
}

/// Binds a secret to name, version and key; a name holds no `@`, so that this is unambiguous.
fn secret_context(model: &ModelId, key: KeyId) -> Vec<u8> {
    format!("model {model} key {key}").into_bytes()
}

/// Ids are stored as they are shown, in hexadecimal digits.
fn key_id(text: &str) -> Result<KeyId, StoreError> {
    let damaged = || StoreError::Content(format!("{text:?} is no key id"));
    let word = u64::from_str_radix(text, 16).map_err(|_| damaged())?;
    serde_json::from_value(word.into()).map_err(|_| damaged())
}

fn insert_sealed(transaction: &Transaction<'_>, sealed: &Sealed) -> Result<i64, StoreError> {
    let [memory, passes, lanes] = sealed.cost.parts();
    let insert = "INSERT INTO sealed (memory_kib, passes, lanes, salt, nonce, bytes)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let Sealed { salt, nonce, bytes, .. } = sealed;
    transaction.execute(insert, params![memory, passes, lanes, salt, nonce, bytes])?;
    Ok(transaction.last_insert_rowid())
}

fn find(connection: &Connection, model: &ModelId) -> Result<Option<Row>, StoreError> {
    let query = "SELECT id, key_id, sealed FROM models WHERE name = ?1 AND version = ?2";
    let found = connection.query_row(query, params![model.name(), model.version()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let Some((id, key, sealed)) = found.optional()? else { return Ok(None) };
    let key: String = key;
    Ok(Some(Row { id, key: key_id(&key)?, sealed }))
}

fn require(connection: &Connection, model: &ModelId) -> Result<Row, StoreError> {
    find(connection, model)?.ok_or_else(|| StoreError::NoModel(model.clone()))
}

fn require_part(
    connection: &Connection,
    model: &ModelId,
    row: i64,
    part: Part,
) -> Result<Stored, StoreError> {
    let hint = match part {
        Part::Model => "owner protect makes it",
        _ => "owner keygen makes it",
    };
    let none = || StoreError::NoPart { model: model.clone(), part, hint };
    chunks::find(connection, row, part)?.ok_or_else(none)
}
