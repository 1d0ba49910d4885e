use std::collections::HashMap;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::STEP;
use super::codec;
use super::held::Held;
use super::impls::impl_managed;
use super::kept::{Buffer, Kept};
use super::local::Shape;
use crate::error::Result;
use crate::message::Sends;

/// A dictionary that processes share: of any keys and values that serde knows, in the order in which the keys came (at a
/// server, in none).
///
/// [`Manager::dict`](crate::Manager::dict) makes one. It travels to other processes, and may itself be a value: of another dictionary,
/// or an item of a list, of the same manager; what is got from there is the same dictionary, not a copy. One that contains itself is never
/// [freed](crate::Manager).
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
/// Of all methods: [`Encode`](crate::Error::Encode), and [`Decode`](crate::Error::Decode), which does not undo what was done: what
/// [`remove`](Self::remove) takes out, and [`insert`](Self::insert) replaces, is gone even if it does not decode; [`NoSpace`](crate::Error::NoSpace) when the manager is full, which
/// changes nothing; [`Corrupted`](crate::Error::Corrupted) if somebody has written there who does not keep to the protocol. At a
/// server: those of [`Manager`](crate::Manager#at-a-server).
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
        self.held.get(&key, &mut buffer)?.map(|seen| seen.decode(&buffer)).transpose()
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
        let (key, value) = (codec::key(&key)?, codec::value(&self.held, &value)?);
        self.held.swap(&key, &value)?.as_mut().map(Kept::decode).transpose()
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
        self.held.take(&key)?.as_mut().map(Kept::decode).transpose()
    }

    /// Takes out the entry whose key came last; at a server, any.
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
        let taken = self.held.take_last()?;
        taken.map(|(key, mut value)| Ok((codec::decode_key(&key)?, value.decode()?))).transpose()
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
        self.held.contains(&codec::key(&key)?)
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
        self.held.entries_count()
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

    /// Copies of all keys, in the order in which they came (at a server, in none).
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
        self.held.keys()?.iter().map(|key| codec::decode_key(key)).collect()
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

    /// Copies of all entries, of one instant, in the order of the keys. Handles in them are held in one step, of which some thousand
    /// are too many ([`TooManyChanges`](crate::Error::TooManyChanges)): then [`keys`](Self::keys) and [`get`](Self::get).
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
        let entries = self.held.entries()?;
        entries.into_iter().map(|(key, mut value)| Ok((codec::decode_key(&key)?, value.decode()?))).collect()
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
        self.held.clear_table()
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
        let encode = |(key, value): &(P, S)| Ok((codec::key(key)?, codec::value(&self.held, value)?));
        let entries: Vec<_> = given.iter().map(encode).collect::<Result<_>>()?;
        entries.chunks(STEP).try_for_each(|entries| self.held.extend(entries))
    }
}
