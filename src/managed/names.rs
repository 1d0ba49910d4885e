use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec;
use super::held::Held;
use super::kept::Stored;
use super::local::Shape;
use super::{Dict, List, Manager, Namespace, Set, Value};
use crate::error::Result;
use crate::segment::type_stamp;

/// A name inside a [`Manager`], from [`Manager::at`]: where processes meet that have no handle from each other.
///
/// The container of a name lives as long as the manager, or until [`Manager::remove`].
///
/// # Errors
///
/// Of all methods: [`Attach`](crate::Error::Attach) with [`WrongType`](crate::AttachError::WrongType) if there is something of another type under
/// the name; and those of a [`Dict`].
///
/// # Examples
///
/// ```
/// use crossproc::Manager;
///
/// # let unique = format!("example/manager-{}", std::process::id());
/// # let name = unique.as_str();
/// let here = Manager::create(name)?; // or "app/state"
/// here.at("jobs").dict::<u32, String>()?.insert(1, "sweep")?;
///
/// let there = Manager::open(name)?; // in another program of the same user
/// assert_eq!(there.at("jobs").dict::<u32, String>()?.get(1)?.as_deref(), Some("sweep"));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[must_use = "says where, and does nothing"]
pub struct Place<'m> {
    pub(super) manager: &'m Manager,
    pub(super) name: &'m str,
}

impl Manager {
    /// The container of a name, or a new one.
    ///
    /// # Examples
    ///
    /// See [`Place`](crate::managed::Place).
    pub fn at<'m>(&'m self, name: &'m str) -> Place<'m> {
        Place { manager: self, name }
    }

    /// Takes a name out; false if there is none. Handles of its container stay good.
    ///
    /// # Errors
    ///
    /// Those of a [`Dict`].
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// manager.at("jobs").list::<u32>()?;
    /// assert!(manager.remove("jobs")? && !manager.remove("jobs")?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn remove(&self, name: &str) -> Result<bool> {
        self.engine.forget(name)
    }

    /// All names, in the order in which they came (at a server, in none).
    ///
    /// # Errors
    ///
    /// Those of a [`Dict`].
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// manager.at("jobs").list::<u32>()?;
    /// assert_eq!(manager.names()?, ["jobs"]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn names(&self) -> Result<Vec<String>> {
        self.engine.names()
    }
}

impl Place<'_> {
    /// The dictionary of this name, or a new one, empty.
    ///
    /// # Examples
    ///
    /// See [`Place`].
    pub fn dict<K, V>(self) -> Result<Dict<K, V>>
    where
        K: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        self.find::<Dict<K, V>>(Shape::Table, None).map(Dict::of)
    }

    /// The list of this name, or a new one, empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// manager.at("log").list()?.push(1)?;
    /// assert_eq!(manager.at("log").list::<i32>()?.to_vec()?, [1]);
    /// let refused = manager.at("log").list::<u8>().unwrap_err();
    /// assert!(refused.to_string().starts_with("cannot attach: \"log\" has type List<i32>"));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn list<T: Serialize + DeserializeOwned>(self) -> Result<List<T>> {
        self.find::<List<T>>(Shape::Row, None).map(List::of)
    }

    /// The set of this name, or a new one, empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// assert!(manager.at("seen").set()?.insert(1)?);
    /// assert!(!manager.at("seen").set()?.insert(1)?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn set<T: Serialize + DeserializeOwned>(self) -> Result<Set<T>> {
        self.find::<Set<T>>(Shape::Table, None).map(Set::of)
    }

    /// The value of this name, or a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// manager.at("runs").value(0)?.fetch_add(1)?;
    /// assert_eq!(manager.at("runs").value(0)?.get()?, 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn value<T: Serialize + DeserializeOwned>(self, start: T) -> Result<Value<T>> {
        let (start, _handles) = codec::value_with(&self.manager.engine, &start)?;
        self.find::<Value<T>>(Shape::Row, Some(&start)).map(Value::of)
    }

    /// The namespace of this name, or a new one, empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// manager.at("settings").namespace()?.set("threads", &4)?;
    /// assert_eq!(manager.at("settings").namespace()?.get("threads")?, Some(4));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn namespace(self) -> Result<Namespace> {
        self.find::<Namespace>(Shape::Table, None).map(Namespace::of)
    }

    /// The object of this name, which is an `H`, or a new one; `start`: its first item.
    fn find<H>(self, shape: Shape, start: Option<&Stored>) -> Result<Arc<Held>> {
        self.manager.engine.find(self.name, shape, &type_stamp::<H>(), start).map_err(|error| error.at(self.name))
    }
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("name", &self.name).finish_non_exhaustive()
    }
}
