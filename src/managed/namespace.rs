use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec;
use super::held::Held;
use super::impls::impl_managed;
use super::kept::Buffer;
use super::local::Shape;
use crate::error::{Error, Result};
use crate::segment::type_stamp;

/// Values of any types under names, that processes share.
///
/// [`Manager::namespace`](crate::Manager::namespace) makes one.
///
/// # Concurrency, death, errors
///
/// As of a [`Dict`](super::Dict). Each value has the type that it was set with; to get it as another is
/// [`Decode`](Error::Decode).
///
/// # Examples
///
/// ```
/// let settings = crossproc::Manager::start()?.namespace()?;
/// settings.set("threads", &4_u32)?;
/// settings.set("name", &"Ada".to_string())?;
/// assert_eq!(settings.get("threads")?, Some(4_u32));
/// assert!(settings.get::<u64>("name").is_err());
/// # Ok::<(), crossproc::Error>(())
/// ```
pub struct Namespace {
    pub(super) held: Arc<Held>,
    types: PhantomData<()>,
}

impl_managed!(Namespace, Shape::Table);

impl Namespace {
    /// A copy of the value of a name.
    ///
    /// # Examples
    ///
    /// See [`Namespace`].
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let key = codec::key(name)?;
        let mut buffer = Buffer::new();
        let Some(seen) = self.held.get(&key, &mut buffer)? else { return Ok(None) };
        let mut kept = seen.keep(&buffer);
        let expected = type_stamp::<T>();
        let found: (String, u64) = kept.head()?;
        if found.1 != expected.hash {
            let reason = format!("it is a {}, not a {}", found.0, expected.name);
            return Err(Error::Decode { what: format!("{name:?} in a namespace").into(), reason });
        }
        kept.decode::<((String, u64), T)>().map(|(_, value)| Some(value))
    }

    /// Gives a name a value.
    ///
    /// # Examples
    ///
    /// See [`Namespace`].
    pub fn set<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let stamp = type_stamp::<T>();
        let (key, content) = (codec::key(name)?, codec::value(&self.held, &((stamp.name, stamp.hash), value))?);
        self.held.insert(&key, &content).map(drop)
    }

    /// Takes a name out; false if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// let settings = crossproc::Manager::start()?.namespace()?;
    /// settings.set("a", &1)?;
    /// assert!(settings.remove("a")? && !settings.remove("a")?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn remove(&self, name: &str) -> Result<bool> {
        self.held.remove(&codec::key(name)?)
    }

    /// All names, in the order in which they came (at a server, in none).
    ///
    /// # Examples
    ///
    /// ```
    /// let settings = crossproc::Manager::start()?.namespace()?;
    /// settings.set("a", &1)?;
    /// assert_eq!(settings.names()?, ["a"]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn names(&self) -> Result<Vec<String>> {
        self.held.keys()?.iter().map(|name| codec::decode_key(name)).collect()
    }
}
