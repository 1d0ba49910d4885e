use std::marker::PhantomData;
use std::ops::Add;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec;
use super::held::Held;
use super::impls::impl_managed;
use super::kept::Kept;
use super::list::read;
use super::local::Shape;
use super::spot::Spot;
use crate::error::{Error, Kind, Result};
use crate::message::Sends;

/// A value that processes share, of any type that serde knows.
///
/// [`Manager::value`](crate::Manager::value) makes one. For plain data of fixed size, [`crate::Value`] is faster.
///
/// # Concurrency, death, errors
///
/// As of a [`Dict`](super::Dict): each call is one step, and what a killed process was at is undone.
///
/// # Examples
///
/// ```
/// use crossproc::managed::Value;
/// use crossproc::{Manager, Process};
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let state = Manager::start()?.value("idle".to_string())?;
/// Process::spawn(|state: Value<String>| state.set("busy"), (&state,))?.join()??;
/// assert_eq!(state.get()?, "busy");
/// # Ok(())
/// # }
/// ```
pub struct Value<T> {
    pub(super) held: Arc<Held>,
    types: PhantomData<fn(T)>,
}

// A row of one item.
impl_managed!(Value<T>, Shape::Row);

impl<T: Serialize + DeserializeOwned> Value<T> {
    /// A copy of the value.
    ///
    /// # Examples
    ///
    /// See [`Value`].
    #[inline]
    pub fn get(&self) -> Result<T> {
        read(&self.held, 0)
    }

    /// Replaces the value.
    ///
    /// # Examples
    ///
    /// See [`Value`].
    pub fn set(&self, value: impl Sends<T>) -> Result<()> {
        self.held.set_item(0, &codec::value(&self.held, &value)?)
    }

    /// Replaces the value by what `f` makes of it; the new one. `f` runs without the lock, and again if somebody else has changed the
    /// value meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Manager::start()?.value(vec![1])?;
    /// let doubled = value.update(|mut list| {
    ///     list.extend_from_within(..);
    ///     list
    /// })?;
    /// assert_eq!(doubled, [1, 1]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update(&self, f: impl FnMut(T) -> T) -> Result<T> {
        self.spot().update(f, gone)
    }

    /// Adds to the value; what was there before.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Manager::start()?.value(40)?;
    /// assert_eq!((value.fetch_add(2)?, value.get()?), (40, 42));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn fetch_add(&self, more: T) -> Result<T>
    where
        T: Add<Output = T> + Clone,
    {
        self.spot().change(|old: Option<T>, sight| {
            let old = old.ok_or_else(gone)?;
            Ok(sight.put(&(old.clone() + more.clone()))?.then_some(old))
        })
    }

    /// Makes the value `new` if it is `current`; otherwise what it is. Values are the same if they are encoded in the same way.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Manager::start()?.value(1)?;
    /// assert_eq!(value.compare_exchange(&1, &2)?, Ok(()));
    /// assert_eq!(value.compare_exchange(&1, &3)?, Err(2));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn compare_exchange(&self, current: &T, new: &T) -> Result<Result<(), T>> {
        let (current, new) = (codec::value(&self.held, current)?, codec::value(&self.held, new)?);
        match self.held.exchange_item(0, &current.bytes, &new)? {
            Ok(()) => Ok(Ok(())),
            Err(mut found) => found.as_mut().map_or_else(|| Err(gone()), Kept::decode).map(Err),
        }
    }

    fn spot(&self) -> Spot<'_> {
        Spot::Item(&self.held, 0)
    }
}

/// There is always a value.
fn gone() -> Error {
    Error::Gone { object: Kind::Manager }
}
