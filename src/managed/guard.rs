//! Several things with a dictionary in one step: what was looked at, and what is to be changed.

use std::collections::HashMap;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Dict;
use super::codec;
use super::held::Held;
use super::kept::{Buffer, Kept, Stored};
use super::travel::Keeper;
use crate::error::Result;
use crate::message::Sends;

impl<K, V> Dict<K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// Does several things in one step, which nobody sees half done, and which a kill undoes: what `work` does to the dictionary that it
    /// is given. If it returns an error, or panics, nothing has happened.
    ///
    /// `work` runs without the lock: what it changes is noted, and done at its end, if everything that it has looked at is still so. If
    /// not, it runs again; so it should do nothing but that, and may not expect that what it looks at in a run that will not count is all of
    /// one instant.
    ///
    /// # Contention
    ///
    /// It runs again as often as somebody else has been faster, without a limit. So of all who are at it somebody always comes to an end, but one
    /// whose `work` takes long may have to let many others go first. What it looks at counts, and nothing else: others may change other
    /// entries, unless it has asked for [`keys`](DictGuard::keys). Where many want the same entries, a [`Lock`](super::Lock) around it
    /// costs less than the repetitions.
    ///
    /// # Errors
    ///
    /// [`TooManyChanges`](crate::Error::TooManyChanges) if it changes more than fits into one step, however often it ran: some thousand entries; at
    /// a server 100,000.
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
    pub fn with<R>(&self, mut work: impl FnMut(&mut DictGuard<'_, K, V>) -> Result<R>) -> Result<R> {
        loop {
            let mut guard = DictGuard {
                held: &self.held,
                looks: Looks::default(),
                changes: Vec::new(),
                latest: HashMap::new(),
                bytes: 0,
                handles: Vec::new(),
                types: PhantomData,
            };
            let result = work(&mut guard);
            // What it makes of things that were never there together counts as little as what it would change for them.
            let changes = if result.is_ok() { &guard.changes[..] } else { &[] };
            if self.held.exchange_many(&guard.looks, changes)? {
                return result;
            }
        }
    }
}

/// What has been looked at of a table: encoded keys, and their values.
#[derive(Default)]
pub(super) struct Looks {
    pub(super) entries: HashMap<Vec<u8>, Option<Kept>>,
    /// All keys, if they have been looked at.
    pub(super) keys: Option<Vec<Vec<u8>>>,
}

/// An encoded key, and the value that it is to have, or none.
pub(super) type Change = (Vec<u8>, Option<Stored>);

/// A [`Dict`] in the midst of [`with`](Dict::with).
pub struct DictGuard<'d, K, V> {
    held: &'d Held,
    looks: Looks,
    /// In the order in which they were made.
    changes: Vec<Change>,
    /// Which of them was the last of a key.
    latest: HashMap<Vec<u8>, usize>,
    /// Of all values that were to be changed.
    bytes: usize,
    /// Keeps what the changes refer to.
    handles: Vec<Keeper>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V> DictGuard<'_, K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// As [`Dict::get`].
    ///
    /// # Examples
    ///
    /// See [`Dict::with`].
    pub fn get(&mut self, key: impl Sends<K>) -> Result<Option<V>> {
        let key = codec::key(&key)?;
        let held = self.held;
        if let Some(changed) = self.changed(&key) {
            return changed.map(|new| codec::stored(held, new)).transpose();
        }
        self.look(key)?.map(|kept| kept.decode_copy(held)).transpose()
    }

    /// Gives a key a value; whether it had one.
    ///
    /// # Examples
    ///
    /// See [`Dict::with`].
    pub fn insert(&mut self, key: impl Sends<K>, value: impl Sends<V>) -> Result<bool> {
        let key = codec::key(&key)?;
        let (value, handles) = codec::value_with(&self.held.engine(), &value)?;
        let bytes = self.bytes.saturating_add(value.bytes.len());
        self.held.check_size(self.changes.len() + 1, bytes)?;
        let had = self.has(&key)?;
        self.handles.extend(handles);
        self.bytes = bytes;
        match self.latest.get(&key) {
            // It keeps its place.
            Some(&place) if had => self.changes[place].1 = Some(value),
            _ => self.note(key, Some(value)),
        }
        Ok(had)
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
        let key = codec::key(&key)?;
        self.held.check_size(self.changes.len() + 1, self.bytes)?;
        let had = self.has(&key)?;
        if had {
            self.note(key, None);
        }
        Ok(had)
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
    pub fn keys(&mut self) -> Result<Vec<K>> {
        if self.looks.keys.is_none() {
            self.looks.keys = Some(self.held.keys()?);
        }
        let looked = self.looks.keys.iter().flatten();
        let mut keys: Vec<Option<&[u8]>> = looked.map(|key| Some(&key[..])).collect();
        let mut places: HashMap<&[u8], usize> = keys.iter().flatten().zip(0..).map(|(key, at)| (*key, at)).collect();
        for (key, value) in &self.changes {
            match (places.get(&key[..]), value) {
                (None, Some(_)) => {
                    places.insert(key, keys.len());
                    keys.push(Some(key));
                }
                (Some(&place), None) => {
                    places.remove(&key[..]);
                    keys[place] = None;
                }
                _ => {}
            }
        }
        keys.into_iter().flatten().map(codec::decode_key).collect()
    }

    /// What it is to have in the end, if that has been said.
    fn changed(&self, key: &[u8]) -> Option<Option<&Stored>> {
        self.latest.get(key).map(|&place| self.changes[place].1.as_ref())
    }

    fn has(&mut self, key: &[u8]) -> Result<bool> {
        match self.changed(key) {
            Some(changed) => Ok(changed.is_some()),
            None => Ok(self.look(key.to_vec())?.is_some()),
        }
    }

    /// What was there when it was first looked at.
    fn look(&mut self, key: Vec<u8>) -> Result<Option<&Kept>> {
        if !self.looks.entries.contains_key(&key) {
            let mut buffer = Buffer::new();
            let seen = self.held.get(&key, &mut buffer)?;
            self.looks.entries.insert(key.clone(), seen.map(|seen| seen.keep(&buffer)));
        }
        Ok(self.looks.entries.get(&key).and_then(Option::as_ref))
    }

    fn note(&mut self, key: Vec<u8>, value: Option<Stored>) {
        self.latest.insert(key.clone(), self.changes.len());
        self.changes.push((key, value));
    }
}
