//! A dictionary in the midst of a transaction.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Dict;
use super::codec::{self, Taken};
use crate::error::Result;
use crate::heap::object::Object;
use crate::heap::{Heap, Transaction};
use crate::message::Sends;

impl<K, V> Dict<K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// Does several things in one step, which nobody sees half done, and which a kill undoes: what `work` does to the dictionary that it
    /// is given. If it returns an error, or panics, nothing has happened.
    ///
    /// All others who want to change anything of the manager wait meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Error;
    ///
    /// let accounts = crossproc::Manager::start()?.dict::<String, i64>()?;
    /// accounts.extend([("ada", 100), ("bob", 0)])?;
    /// accounts.with(|accounts| {
    ///     let (ada, bob) = (accounts.get("ada")?.unwrap_or(0), accounts.get("bob")?.unwrap_or(0));
    ///     accounts.insert("ada", ada - 30)?;
    ///     accounts.insert("bob", bob + 30)
    /// })?;
    /// assert_eq!(accounts.values()?, [70, 30]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn with<R>(&self, work: impl FnOnce(&mut DictGuard<'_, '_, K, V>) -> Result<R>) -> Result<R> {
        self.heap().transact_once(|transaction| {
            let raw = Raw { transaction, object: self.object() };
            work(&mut DictGuard { raw, heap: self.heap(), types: PhantomData })
        })
    }
}

/// A dictionary within a transaction.
pub(super) struct Raw<'t, 'h> {
    pub(super) transaction: &'t mut Transaction<'h>,
    pub(super) object: Object,
}

impl Raw<'_, '_> {
    pub(super) fn look_up(&mut self, key: &[u8]) -> Result<Option<Taken>> {
        let found = self.transaction.look_up(self.object, key)?;
        found.map(|found| Taken::hold(self.transaction, found)).transpose()
    }
}

/// A [`Dict`] in the midst of [`with`](Dict::with).
pub struct DictGuard<'t, 'h, K, V> {
    raw: Raw<'t, 'h>,
    heap: &'t Arc<Heap>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V> DictGuard<'_, '_, K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// As [`Dict::get`]; but a value with handles in it does not decode.
    ///
    /// # Examples
    ///
    /// See [`Dict::with`].
    pub fn get(&mut self, key: impl Sends<K>) -> Result<Option<V>> {
        let found = self.raw.transaction.look_up(self.raw.object, &codec::key(&key)?)?;
        found.map(|found| Taken::decode_in_midst(self.heap, &found)).transpose()
    }

    /// Gives a key a value; whether it had one.
    ///
    /// # Examples
    ///
    /// See [`Dict::with`].
    pub fn insert(&mut self, key: impl Sends<K>, value: impl Sends<V>) -> Result<bool> {
        let (key, value) = (codec::key(&key)?, codec::value(self.heap, &value)?);
        let object = self.raw.object;
        self.raw.transaction.one_of_several(|transaction| transaction.insert(object, &key, &value))
    }

    /// Takes an entry out; whether there was one.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<u8, u8>()?;
    /// dict.insert(1, 1)?;
    /// assert!(dict.with(|dict| dict.remove(1))?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn remove(&mut self, key: impl Sends<K>) -> Result<bool> {
        let (key, object) = (codec::key(&key)?, self.raw.object);
        let removed = self.raw.transaction.one_of_several(|transaction| transaction.remove(object, &key))?;
        Ok(removed.is_some())
    }

    /// As [`Dict::keys`].
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<u8, u8>()?;
    /// dict.extend([(1, 1), (2, 2)])?;
    /// dict.with(|dict| {
    ///     for key in dict.keys()? {
    ///         dict.insert(key, 0)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(dict.values()?, [0, 0]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn keys(&self) -> Result<Vec<K>> {
        let entries = self.raw.transaction.entries(self.raw.object, false)?;
        entries.into_iter().map(|(key, _)| codec::decode_key(&key)).collect()
    }
}
