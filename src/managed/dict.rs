use std::collections::HashMap;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::Add;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::STEP;
use super::codec::{self, Kept, Taken};
use super::entry::Entry;
use super::held::Held;
use super::impls::impl_managed;
use crate::error::{Error, Result};
use crate::heap::bytes::{Buffer, Content};
use crate::heap::object::{Object, Shape};
use crate::heap::{Heap, Transaction};
use crate::message::Sends;

/// A dictionary that processes share: of any keys and values that serde knows, in the order in which the keys came.
///
/// [`Manager::dict`](crate::Manager::dict) makes one. It travels to other processes, and may itself be a value: of another dictionary,
/// or an item of a list, of the same manager; what is got from there is the same dictionary, not a copy.
///
/// # Concurrency
///
/// Each call is one step: others see all of it or nothing. Reading takes no lock, unless somebody changes something of the manager just
/// then: after a few attempts it waits for its turn, as writers do; so does reading values with handles in them, which are held.
/// [`update`](Self::update), [`entry`](Self::entry), [`fetch_add`](Self::fetch_add) and [`compare_exchange`](Self::compare_exchange) are
/// single steps, too; [`with`](Self::with) makes one of several. A value is encoded and decoded outside of the lock. A process that is
/// *stopped* in the midst of a change is waited for.
///
/// # Death
///
/// What a process was changing when it was killed is undone by the next one to come, so that every call happens as a whole or not at
/// all, and nobody has to be told.
///
/// # Errors
///
/// Of all methods: [`Encode`](Error::Encode), and [`Decode`](Error::Decode), which does not undo what was done: what
/// [`remove`](Self::remove) takes out, and [`insert`](Self::insert) replaces, is gone even if it does not decode; [`NoSpace`](Error::NoSpace) when the manager is full, which
/// changes nothing; [`Corrupted`](Error::Corrupted) if somebody has written there who does not keep to the protocol;
/// [`AlreadyHeld`](Error::AlreadyHeld) inside [`with`](Self::with) of the same manager.
///
/// # Examples
///
/// ```
/// use crossproc::managed::Dict;
/// use crossproc::{Manager, Process};
///
/// fn work(results: Dict<String, Vec<u32>>, n: u32) -> crossproc::Result<()> {
///     results.entry("squares")?.or_insert(Vec::new())?;
///     results.update("squares", |mut squares| {
///         squares.push(n * n);
///         squares
///     })?;
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let manager = Manager::start()?;
/// let results = manager.dict()?;
/// let workers: Vec<_> = (0..4).map(|n| Process::spawn(work, (&results, n))).collect::<Result<_, _>>()?;
/// for worker in workers {
///     worker.join()??;
/// }
/// let mut squares = results.get("squares")?.unwrap_or_default();
/// squares.sort();
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok(())
/// # }
/// ```
pub struct Dict<K, V> {
    pub(super) held: Arc<Held>,
    types: PhantomData<fn(K, V)>,
}

impl_managed!(Dict<K, V>, Shape::Table);

impl<K, V> Dict<K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// A copy of the value of a key.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.insert("a", 1)?;
    /// assert_eq!((dict.get("a")?, dict.get("b")?), (Some(1), None));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get(&self, key: impl Sends<K>) -> Result<Option<V>> {
        let key = codec::key(&key)?;
        let mut buffer = Buffer::new();
        match self.heap().get(self.object(), &key, &mut buffer)? {
            None => Ok(None),
            Some(seen) => match Taken::decode_seen(&seen, &buffer) {
                Some(value) => value.map(Some),
                None => self.take(|dict| dict.look_up(&key)),
            },
        }
    }

    /// Gives a key a value; the one it had.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// assert_eq!(dict.insert("a", 1)?, None);
    /// assert_eq!(dict.insert("a", 2)?, Some(1));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn insert(&self, key: impl Sends<K>, value: impl Sends<V>) -> Result<Option<V>> {
        let (key, value) = (codec::key(&key)?, codec::value(self.heap(), &value)?);
        self.take(|dict| {
            let old = dict.look_up(&key)?;
            dict.transaction.insert(dict.object, &key, &value)?;
            Ok(old)
        })
    }

    /// Takes an entry out; its value.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.insert("a", 1)?;
    /// assert_eq!((dict.remove("a")?, dict.remove("a")?), (Some(1), None));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn remove(&self, key: impl Sends<K>) -> Result<Option<V>> {
        let key = codec::key(&key)?;
        self.take(|dict| {
            let old = dict.look_up(&key)?;
            dict.transaction.remove(dict.object, &key)?;
            Ok(old)
        })
    }

    /// Takes out the entry whose key came last.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.extend([("a", 1), ("b", 2)])?;
    /// assert_eq!(dict.pop()?, Some(("b".to_string(), 2)));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn pop(&self) -> Result<Option<(K, V)>> {
        let taken = self.heap().transact(|transaction| {
            let Some(key) = transaction.last_key(self.object())? else { return Ok(None) };
            let mut dict = Raw { transaction, object: self.object() };
            let value = dict.look_up(&key)?;
            dict.transaction.remove(dict.object, &key)?;
            Ok(value.map(|value| (key, value)))
        })?;
        let kept = taken.map(|(key, value)| (key, value.keep(self.heap())));
        kept.map(|(key, value)| Ok((codec::decode_key(&key)?, value.decode()?))).transpose()
    }

    /// Whether there is an entry for a key.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<u8, ()>()?;
    /// dict.insert(1, ())?;
    /// assert!(dict.contains_key(1)? && !dict.contains_key(2)?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn contains_key(&self, key: impl Sends<K>) -> Result<bool> {
        self.heap().has_key(self.object(), &codec::key(&key)?)
    }

    /// The number of entries.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<u8, u8>()?;
    /// dict.insert(1, 1)?;
    /// assert_eq!(dict.len()?, 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn len(&self) -> Result<usize> {
        self.heap().count(self.object())
    }

    /// Whether there are no entries.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc::Manager::start()?.dict::<u8, u8>()?.is_empty()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|length| length == 0)
    }

    /// Copies of all keys, in the order in which they came.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.extend([("b", 2), ("a", 1)])?;
    /// assert_eq!(dict.keys()?, ["b", "a"]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn keys(&self) -> Result<Vec<K>> {
        let entries = self.heap().read(|view| view.entries(self.object(), false))?;
        entries.into_iter().map(|(key, _)| codec::decode_key(&key)).collect()
    }

    /// Copies of all values, in the order of the keys.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.extend([("b", 2), ("a", 1)])?;
    /// assert_eq!(dict.values()?, [2, 1]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn values(&self) -> Result<Vec<V>> {
        Ok(self.items()?.into_iter().map(|(_, value)| value).collect())
    }

    /// Copies of all entries, of one instant, in the order of the keys.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.insert("a", 1)?;
    /// assert_eq!(dict.items()?, [("a".to_string(), 1)]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn items(&self) -> Result<Vec<(K, V)>> {
        let entries = self.heap().read(|view| view.entries(self.object(), true))?;
        let taken: Vec<_> = if entries.iter().all(|(_, value)| value.objects.is_empty()) {
            entries.into_iter().filter_map(|(key, value)| Some((key, Taken::plain(value)?))).collect()
        } else {
            self.heap().transact(|transaction| {
                let entries = transaction.entries(self.object(), true)?;
                entries
                    .into_iter()
                    .map(|(key, value)| Ok((key, Taken::hold(transaction, value)?)))
                    .collect::<Result<_>>()
            })?
        };
        let kept: Vec<_> = taken.into_iter().map(|(key, value): (_, Taken)| (key, value.keep(self.heap()))).collect();
        kept.into_iter().map(|(key, value)| Ok((codec::decode_key(&key)?, value.decode()?))).collect()
    }

    /// A copy of everything.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.insert("a", 1)?;
    /// assert_eq!(dict.to_map()?["a"], 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn to_map(&self) -> Result<HashMap<K, V>>
    where
        K: Eq + Hash,
    {
        Ok(self.items()?.into_iter().collect())
    }

    /// Takes all entries out.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<u8, u8>()?;
    /// dict.insert(1, 1)?;
    /// dict.clear()?;
    /// assert!(dict.is_empty()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn clear(&self) -> Result<()> {
        self.heap().transact(|transaction| transaction.clear_table(self.object()))
    }

    /// Gives many keys their values: a thousand in one step.
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// dict.extend([("a", 1), ("b", 2)])?;
    /// assert_eq!(dict.len()?, 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn extend<P: Sends<K>, S: Sends<V>>(&self, entries: impl IntoIterator<Item = (P, S)>) -> Result<()> {
        // Handles among them have to live until their objects are referred to.
        let given: Vec<_> = entries.into_iter().collect();
        let encode = |(key, value): &(P, S)| Ok((codec::key(key)?, codec::value(self.heap(), value)?));
        let entries: Vec<_> = given.iter().map(encode).collect::<Result<_>>()?;
        entries.chunks(STEP).try_for_each(|entries| {
            self.heap().transact(|transaction| {
                entries.iter().try_for_each(|(key, value)| transaction.insert(self.object(), key, value).map(drop))
            })
        })
    }

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

    fn take<R: DeserializeOwned>(
        &self,
        mut work: impl FnMut(&mut Raw<'_, '_>) -> Result<Option<Taken>>,
    ) -> Result<Option<R>> {
        let taken = self.heap().transact(|transaction| work(&mut Raw { transaction, object: self.object() }))?;
        taken.map(|taken| taken.keep(self.heap()).decode()).transpose()
    }
}

/// A dictionary within a transaction.
struct Raw<'t, 'h> {
    transaction: &'t mut Transaction<'h>,
    object: Object,
}

impl Raw<'_, '_> {
    fn look_up(&mut self, key: &[u8]) -> Result<Option<Taken>> {
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
