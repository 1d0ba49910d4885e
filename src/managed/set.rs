use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::STEP;
use super::codec;
use super::held::Held;
use super::impls::impl_managed;
use super::kept::Stored;
use super::local::Shape;
use crate::error::Result;
use crate::message::Sends;

/// A set that processes share, of members of any type that serde knows, in the order in which they came (at a server,
/// in none).
///
/// [`Manager::set`](crate::Manager::set) makes one. Two members are the same if they are encoded in the same way.
///
/// # Concurrency, death, errors
///
/// As of a [`Dict`](super::Dict).
///
/// # Examples
///
/// ```
/// let seen = crossproc::Manager::start()?.set(["a".to_string()])?;
/// assert!(seen.insert("b")? && !seen.insert("a")?);
/// assert_eq!(seen.to_vec()?, ["a", "b"]);
/// # Ok::<(), crossproc::Error>(())
/// ```
pub struct Set<T> {
    pub(super) held: Arc<Held>,
    types: PhantomData<fn(T)>,
}

impl_managed!(Set<T>, Shape::Table);

impl<T: Serialize + DeserializeOwned> Set<T> {
    /// Adds a member; false if it was one.
    ///
    /// # Examples
    ///
    /// See [`Set`].
    pub fn insert(&self, member: impl Sends<T>) -> Result<bool> {
        // A member that was there keeps its place.
        Ok(!self.held.insert(&codec::key(&member)?, &Stored::default())?)
    }

    /// Adds many: a thousand in one step.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = crossproc::Manager::start()?.set([1])?;
    /// set.extend([1, 2, 3])?;
    /// assert_eq!(set.len()?, 3);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn extend<S: Sends<T>>(&self, members: impl IntoIterator<Item = S>) -> Result<()> {
        let encode = |member: S| Ok((codec::key(&member)?, Stored::default()));
        let members = members.into_iter().map(encode).collect::<Result<Vec<_>>>()?;
        members.chunks(STEP).try_for_each(|members| self.held.extend(members))
    }

    /// Takes a member out; false if it was none.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = crossproc::Manager::start()?.set([1])?;
    /// assert!(set.remove(1)? && !set.remove(1)?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn remove(&self, member: impl Sends<T>) -> Result<bool> {
        self.held.remove(&codec::key(&member)?)
    }

    /// Whether this is a member.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc::Manager::start()?.set([1, 2])?.contains(2)?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn contains(&self, member: impl Sends<T>) -> Result<bool> {
        self.held.contains(&codec::key(&member)?)
    }

    /// The number of members.
    ///
    /// # Examples
    ///
    /// See [`extend`](Self::extend).
    pub fn len(&self) -> Result<usize> {
        self.held.entries_count()
    }

    /// Whether there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc::Manager::start()?.set::<u8>([])?.is_empty()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|length| length == 0)
    }

    /// Copies of all members, of one instant, in the order in which they came (at a server, in none).
    ///
    /// # Examples
    ///
    /// See [`Set`].
    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.held.keys()?.iter().map(|member| codec::decode_key(member)).collect()
    }

    /// Takes all members out.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = crossproc::Manager::start()?.set([1])?;
    /// set.clear()?;
    /// assert!(set.is_empty()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn clear(&self) -> Result<()> {
        self.held.clear_table()
    }
}
