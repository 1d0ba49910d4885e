//! Changes of a dictionary that depend on what is there: one step, by looking and trying again.

use std::ops::Add;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{self, Kept, Taken};
use super::{Dict, Entry};
use crate::error::{Error, Result};
use crate::heap::bytes::{Buffer, Content};
use crate::message::Sends;

impl<K, V> Dict<K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// Replaces the value of a key by what `f` makes of it; the new one.
    ///
    /// `f` runs without the lock, and again if somebody else has changed the value meanwhile.
    ///
    /// # Errors
    ///
    /// [`NoSuchKey`](Error::NoSuchKey) if there is no entry: see [`entry`](Self::entry).
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.insert("a", 1)?;
    /// assert_eq!(dict.update("a", |n| n * 10)?, 10);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update(&self, key: impl Sends<K>, mut f: impl FnMut(V) -> V) -> Result<V> {
        let key = codec::key(&key)?;
        loop {
            let old = self.content(&key)?;
            let Some(old) = old else { return Err(Error::NoSuchKey { key }) };
            let Some(value) = self.decode_if_same(&key, &old)? else { continue };
            let value = f(value);
            if self.exchange(&key, Some(&old.bytes), Some(&value))?.is_ok() {
                return Ok(value);
            }
        }
    }

    /// What is there for an encoded key.
    fn content(&self, key: &[u8]) -> Result<Option<Content>> {
        let mut buffer = Buffer::new();
        let seen = self.heap().get(self.object(), key, &mut buffer)?;
        Ok(seen.map(|seen| buffer.content(seen)))
    }

    /// The value that was seen; `None` if it refers to something that may be no more.
    fn decode_if_same(&self, key: &[u8], seen: &Content) -> Result<Option<V>> {
        if let Some(plain) = Taken::plain(seen.clone()) {
            return plain.keep(self.heap()).decode().map(Some);
        }
        let held = self.heap().transact(|transaction| {
            let found = transaction.look_up(self.object(), key)?.filter(|found| found == seen);
            found.map(|found| Taken::hold(transaction, found)).transpose()
        })?;
        held.map(|taken| taken.keep(self.heap()).decode()).transpose()
    }

    /// Puts `new` where the encoded `current` is; what is there instead, if that is something else.
    fn exchange(&self, key: &[u8], current: Option<&[u8]>, new: Option<&V>) -> Result<Result<(), Option<Kept<'_>>>> {
        let new = new.map(|new| codec::value(self.heap(), new)).transpose()?;
        let exchanged = self.heap().transact(|transaction| {
            let found = transaction.look_up(self.object(), key)?;
            if found.as_ref().map(|found| &found.bytes[..]) != current {
                return Ok(Err(found.map(|found| Taken::hold(transaction, found)).transpose()?));
            }
            match &new {
                Some(new) => transaction.insert(self.object(), key, new).map(drop)?,
                None => transaction.remove(self.object(), key).map(drop)?,
            }
            Ok(Ok(()))
        })?;
        Ok(exchanged.map_err(|found| found.map(|found| found.keep(self.heap()))))
    }

    /// Gives a key the value `new`, or none, if it has the value `current`, or none; otherwise what it has.
    ///
    /// Values are the same if they are encoded in the same way.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// assert_eq!(dict.compare_exchange("a", None, Some(&1))?, Ok(()));
    /// assert_eq!(dict.compare_exchange("a", None, Some(&2))?, Err(Some(1)));
    /// assert_eq!(dict.compare_exchange("a", Some(&1), None)?, Ok(()));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn compare_exchange(
        &self,
        key: impl Sends<K>,
        current: Option<&V>,
        new: Option<&V>,
    ) -> Result<Result<(), Option<V>>> {
        let key = codec::key(&key)?;
        let current = current.map(|current| codec::value(self.heap(), current)).transpose()?;
        match self.exchange(&key, current.as_ref().map(|current| &current.bytes[..]), new)? {
            Ok(()) => Ok(Ok(())),
            Err(found) => Ok(Err(found.map(Kept::decode).transpose()?)),
        }
    }

    /// Adds to the value of a key, or to the default of its type if there is no entry; what was there before.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// assert_eq!((dict.fetch_add("a", 5)?, dict.fetch_add("a", 1)?), (0, 5));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn fetch_add(&self, key: impl Sends<K>, more: V) -> Result<V>
    where
        V: Add<Output = V> + Default + Clone,
    {
        let key = codec::key(&key)?;
        loop {
            let old = self.content(&key)?;
            let value = match &old {
                None => V::default(),
                Some(old) => match self.decode_if_same(&key, old)? {
                    Some(value) => value,
                    None => continue,
                },
            };
            let sum = value.clone() + more.clone();
            if self.exchange(&key, old.as_ref().map(|old| &old.bytes[..]), Some(&sum))?.is_ok() {
                return Ok(value);
            }
        }
    }

    /// The place of a key, whether there is an entry or not.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, Vec<u32>>()?;
    /// dict.entry("a")?.or_insert(vec![])?;
    /// let list = dict.entry("a")?.and_modify(|list| list.push(1)).or_insert(vec![])?;
    /// assert_eq!(list, [1]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn entry(&self, key: impl Sends<K>) -> Result<Entry<'_, K, V>> {
        Ok(Entry::new(self, codec::key(&key)?))
    }

    /// Whether the entry of an encoded key was what was seen, and is `new` now.
    pub(super) fn settle(&self, key: &[u8], seen: Option<&Content>, new: &V) -> Result<bool> {
        Ok(self.exchange(key, seen.map(|seen| &seen.bytes[..]), Some(new))?.is_ok())
    }

    /// What is there for an encoded key: as bytes, and decoded.
    pub(super) fn see(&self, key: &[u8]) -> Result<Option<(Content, V)>> {
        loop {
            let Some(seen) = self.content(key)? else { return Ok(None) };
            if let Some(value) = self.decode_if_same(key, &seen)? {
                return Ok(Some((seen, value)));
            }
        }
    }
}
