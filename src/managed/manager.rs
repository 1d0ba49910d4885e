use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::Engine;
use super::{Array, Dict, List, Namespace, Set, Value, codec, local};
use crate::error::Result;
use crate::segment::place::Home;

/// Memory in which processes keep containers together: dictionaries, lists and sets of any values that serde knows.
///
/// There is no process behind it that could be killed, or has to be asked: the containers lie in shared memory, of as much as there are
/// values, and all their users change them themselves. The kernel frees it with the last of them.
///
/// A container goes when nobody has a handle of it and no value refers to it. One that refers to itself, or several in a circle, never do: they
/// stay until the manager goes, and at a server for ever, unless somebody [clears](crate::managed::List::clear) one of them before.
///
/// # Concurrency
///
/// Whoever changes a container takes the manager's lock, for as long as it takes to write. Who reads takes none, unless somebody is at it
/// just then: after a few attempts it waits for its turn, as writers do.
///
/// In a forked copy of a process, handles work on as long as the parent has them, or some value refers to their objects: the copy holds
/// nothing.
///
/// # Death
///
/// Every call happens as a whole or not at all, whenever a process is killed. What only a killed process referred to is freed when the
/// next containers are made.
///
/// # At a server
///
/// [`connect`](Self::connect) leads to containers on other machines, and all above is different there but that every call happens as a whole
/// or not at all. A call is a round trip, and waits for the server as long as the address says (`timeout_ms`). A process is alive as long as it is
/// heard: what it held is let go when it has not been for `lease_ms`, and locks that it had say `OwnerDied` to the next. One that was only stopped for
/// longer goes on: with containers that others still refer to; other handles say [`Gone`](crate::Error::Gone), and its locks are lost, which it is told when it
/// gives them back. The same after another process of the server has taken over, which may remember an older state. A forked copy is a process of its
/// own. The drop of the last handle waits a second at most until the server knows.
///
/// Further errors of all methods: [`Unreachable`](crate::Error::Unreachable), [`Unanswered`](crate::Error::Unanswered) (it has happened, or not),
/// [`ServerFull`](crate::Error::ServerFull), [`Refused`](crate::Error::Refused), [`Gone`](crate::Error::Gone). Two addresses that differ in anything are two
/// managers, also at one server.
///
/// # Examples
///
/// ```
/// use crossproc::managed::{Dict, List};
/// use crossproc::{Manager, Process};
///
/// fn adopt(pets: Dict<String, List<String>>) -> crossproc::Result<()> {
///     // What is got from a dictionary is the list itself.
///     if let Some(cats) = pets.get("cats")? {
///         cats.push("Tom")?;
///     }
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let manager = Manager::start()?;
/// let (pets, cats) = (manager.dict()?, manager.list(["Felix".to_string()])?);
/// pets.insert("cats", &cats)?;
/// Process::spawn(adopt, (&pets,))?.join()??;
/// assert_eq!(cats.to_vec()?, ["Felix", "Tom"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Manager {
    pub(super) engine: Engine,
}

impl Manager {
    /// A new manager, in memory of its own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory or addresses, [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`Manager`].
    pub fn start() -> Result<Self> {
        local::Engine::start(Home::Own).map(Self::of)
    }

    /// As [`start`](Self::start); it may have so many bytes, rather than 16 GiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Manager};
    ///
    /// let small = Manager::with_capacity(1 << 20)?;
    /// let texts = small.list::<String>([])?;
    /// assert!(matches!(texts.push("x".repeat(2 << 20)), Err(Error::NoSpace { .. })));
    /// assert!(texts.is_empty()?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn with_capacity(bytes: u64) -> Result<Self> {
        local::Engine::with_capacity(Home::Own, bytes).map(Self::of)
    }

    /// A new dictionary, empty.
    ///
    /// # Errors
    ///
    /// Those of a [`Dict`].
    ///
    /// # Examples
    ///
    /// See [`Dict`].
    pub fn dict<K, V>(&self) -> Result<Dict<K, V>>
    where
        K: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        Dict::make(&self.engine, None)
    }

    /// A new value.
    ///
    /// # Errors
    ///
    /// Those of a [`Value`].
    ///
    /// # Examples
    ///
    /// See [`Value`].
    pub fn value<T: Serialize + DeserializeOwned>(&self, value: T) -> Result<Value<T>> {
        let (start, _handles) = codec::value_with(&self.engine, &value)?;
        Value::make(&self.engine, Some(&start))
    }

    /// A new array of these items.
    ///
    /// # Errors
    ///
    /// Those of a [`List`].
    ///
    /// # Examples
    ///
    /// See [`Array`].
    pub fn array<T: Serialize + DeserializeOwned>(&self, items: impl IntoIterator<Item = T>) -> Result<Array<T>> {
        Array::of(self.list(items)?)
    }

    /// A new namespace, empty.
    ///
    /// # Errors
    ///
    /// Those of a [`Namespace`].
    ///
    /// # Examples
    ///
    /// See [`Namespace`].
    pub fn namespace(&self) -> Result<Namespace> {
        Namespace::make(&self.engine, None)
    }

    /// A new list of these items.
    ///
    /// # Errors
    ///
    /// Those of a [`List`].
    ///
    /// # Examples
    ///
    /// See [`List`].
    pub fn list<T: Serialize + DeserializeOwned>(&self, items: impl IntoIterator<Item = T>) -> Result<List<T>> {
        let list = List::make(&self.engine, None)?;
        list.extend(items)?;
        Ok(list)
    }

    /// A new set of these members.
    ///
    /// # Errors
    ///
    /// Those of a [`Set`].
    ///
    /// # Examples
    ///
    /// See [`Set`].
    pub fn set<T: Serialize + DeserializeOwned>(&self, members: impl IntoIterator<Item = T>) -> Result<Set<T>> {
        let set = Set::make(&self.engine, None)?;
        set.extend(members)?;
        Ok(set)
    }
}
