//! Changes of a dictionary that depend on what is there: one step, by looking and trying again.

use std::ops::Add;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kept::Kept;
use super::spot::Spot;
use super::{Dict, Entry, codec};
use crate::error::{Error, Result};
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
    pub fn update(&self, key: impl Sends<K>, f: impl FnMut(V) -> V) -> Result<V> {
        let key = codec::key(&key)?;
        Spot::Entry(&self.held, &key).update(f, || Error::NoSuchKey { key: key.clone() })
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
        let encode = |value: Option<&V>| value.map(|value| codec::value(&self.held, value)).transpose();
        let (current, new) = (encode(current)?, encode(new)?);
        match self.held.exchange(&key, current.as_ref().map(|current| &current.bytes[..]), new.as_ref())? {
            Ok(()) => Ok(Ok(())),
            Err(mut found) => Ok(Err(found.as_mut().map(Kept::decode).transpose()?)),
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
        Spot::Entry(&self.held, &key).change(|old: Option<V>, sight| {
            let old = old.unwrap_or_default();
            Ok(sight.put(&(old.clone() + more.clone()))?.then_some(old))
        })
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
}
