use std::marker::PhantomData;
use std::ops::Add;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{self, Taken};
use super::held::Held;
use super::impls::impl_managed;
use crate::error::Result;
use crate::heap::bytes::{Buffer, Content};
use crate::heap::object::Shape;
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
    pub(super) fn start(&self, value: &T) -> Result<()> {
        let content = codec::value(self.heap(), value)?;
        self.heap().transact(|transaction| transaction.insert_items(self.object(), 0, std::slice::from_ref(&content)))
    }

    /// A copy of the value.
    ///
    /// # Examples
    ///
    /// See [`Value`].
    #[inline]
    pub fn get(&self) -> Result<T> {
        let mut buffer = Buffer::new();
        let seen = self.heap().item(self.object(), 0, &mut buffer)?;
        Taken::decode_seen(&seen, &buffer).unwrap_or_else(|| self.decode(buffer.content(seen)))
    }

    fn decode(&self, seen: Content) -> Result<T> {
        match Taken::plain(seen) {
            Some(plain) => plain.keep(self.heap()).decode(),
            None => {
                let taken = self.heap().transact(|transaction| {
                    let content = transaction.item(self.object(), 0)?;
                    Taken::hold(transaction, content)
                })?;
                taken.keep(self.heap()).decode()
            }
        }
    }

    /// Replaces the value.
    ///
    /// # Examples
    ///
    /// See [`Value`].
    pub fn set(&self, value: impl Sends<T>) -> Result<()> {
        let content = codec::value(self.heap(), &value)?;
        self.heap().transact(|transaction| transaction.set_item(self.object(), 0, &content))
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
    pub fn update(&self, mut f: impl FnMut(T) -> T) -> Result<T> {
        loop {
            let seen = self.heap().read(|view| view.item(self.object(), 0))?;
            let Some(old) = self.decode_if_same(&seen)? else { continue };
            let new = f(old);
            if self.exchange(&seen, &new)? {
                return Ok(new);
            }
        }
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
        loop {
            let seen = self.heap().read(|view| view.item(self.object(), 0))?;
            let Some(old) = self.decode_if_same(&seen)? else { continue };
            if self.exchange(&seen, &(old.clone() + more.clone()))? {
                return Ok(old);
            }
        }
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
        let current = codec::value(self.heap(), current)?;
        loop {
            if self.exchange(&current, new)? {
                return Ok(Ok(()));
            }
            let seen = self.heap().read(|view| view.item(self.object(), 0))?;
            if seen != current {
                return self.decode(seen).map(Err);
            }
        }
    }

    /// The value that was seen; `None` if it refers to something that may be no more.
    fn decode_if_same(&self, seen: &Content) -> Result<Option<T>> {
        if let Some(plain) = Taken::plain(seen.clone()) {
            return plain.keep(self.heap()).decode().map(Some);
        }
        let taken = self.heap().transact(|transaction| match transaction.item(self.object(), 0)? {
            found if found == *seen => Taken::hold(transaction, found).map(Some),
            _ => Ok(None),
        })?;
        taken.map(|taken| taken.keep(self.heap()).decode()).transpose()
    }

    fn exchange(&self, seen: &Content, new: &T) -> Result<bool> {
        let new = codec::value(self.heap(), new)?;
        self.heap().transact(|transaction| {
            if transaction.item(self.object(), 0)? != *seen {
                return Ok(false);
            }
            transaction.set_item(self.object(), 0, &new).map(|()| true)
        })
    }
}
