use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::STEP;
use super::codec;
use super::held::Held;
use super::impls::impl_managed;
use super::kept::{Buffer, Kept};
use super::local::Shape;
use super::spot::Spot;
use crate::error::{Error, Result};
use crate::message::Sends;

/// A list that processes share, of items of any type that serde knows.
///
/// [`Manager::list`](crate::Manager::list) makes one. It travels to other processes, and may itself be an item of another list, or a
/// value of a dictionary, of the same manager. One that contains itself is never [freed](crate::Manager).
///
/// # Concurrency, death, errors
///
/// As of a [`Dict`](super::Dict): each call is one step, and what a killed process was at is undone. An index that
/// is too large is [`OutOfRange`](Error::OutOfRange).
///
/// # Examples
///
/// ```
/// use crossproc::managed::List;
/// use crossproc::{Manager, Process};
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let manager = Manager::start()?;
/// let list = manager.list(0..10)?;
/// Process::spawn(|list: List<i32>| list.push(10), (&list,))?.join()??;
/// assert_eq!(list.to_vec()?, Vec::from_iter(0..=10));
/// # Ok(())
/// # }
/// ```
pub struct List<T> {
    pub(super) held: Arc<Held>,
    types: PhantomData<fn(T)>,
}

impl_managed!(List<T>, Shape::Row);

/// How many items [`List::iter`] copies at once. A guess.
const CHUNK: u64 = 256;

impl<T: Serialize + DeserializeOwned> List<T> {
    /// A copy of the item at a place.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Error;
    ///
    /// let list = crossproc::Manager::start()?.list(["a".to_string(), "b".to_string()])?;
    /// assert_eq!(list.get(1)?, "b");
    /// assert_eq!(list.get(2), Err(Error::OutOfRange { index: 2, length: 2 }));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn get(&self, index: usize) -> Result<T> {
        read(&self.held, index as u64)
    }

    /// Replaces the item at a place.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([1, 2])?;
    /// list.set(0, 5)?;
    /// assert_eq!(list.to_vec()?, [5, 2]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn set(&self, index: usize, item: impl Sends<T>) -> Result<()> {
        let item = codec::value(&self.held, &item)?;
        self.held.set_item(index as u64, &item)
    }

    /// Puts an item behind the others.
    ///
    /// # Examples
    ///
    /// See [`List`].
    pub fn push(&self, item: impl Sends<T>) -> Result<()> {
        let item = codec::value(&self.held, &item)?;
        self.held.add_items(None, &[item])
    }

    /// Puts an item before the one at `index`, or behind the last one.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([1, 2])?;
    /// list.insert(0, 0)?;
    /// assert_eq!(list.to_vec()?, [0, 1, 2]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn insert(&self, index: usize, item: impl Sends<T>) -> Result<()> {
        let item = codec::value(&self.held, &item)?;
        self.held.add_items(Some(index as u64), &[item])
    }

    /// Puts many items behind the others: a thousand in one step.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([1])?;
    /// list.extend([2, 3])?;
    /// assert_eq!(list.len()?, 3);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn extend<S: Sends<T>>(&self, items: impl IntoIterator<Item = S>) -> Result<()> {
        // Handles among them have to live until their objects are referred to.
        let given: Vec<_> = items.into_iter().collect();
        let items = given.iter().map(|item| codec::value(&self.held, item)).collect::<Result<Vec<_>>>()?;
        items.chunks(STEP).try_for_each(|items| self.held.add_items(None, items))
    }

    /// Takes the last item out.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([1])?;
    /// assert_eq!((list.pop()?, list.pop()?), (Some(1), None));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn pop(&self) -> Result<Option<T>> {
        self.held.take_last_item()?.as_mut().map(Kept::decode).transpose()
    }

    /// Takes an item out; those behind it move up.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([1, 2, 3])?;
    /// assert_eq!(list.remove(1)?, 2);
    /// assert_eq!(list.to_vec()?, [1, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn remove(&self, index: usize) -> Result<T> {
        self.held.take_item(index as u64)?.decode()
    }

    /// The number of items.
    ///
    /// # Examples
    ///
    /// See [`extend`](Self::extend).
    pub fn len(&self) -> Result<usize> {
        self.held.items_count().map(|count| count as usize)
    }

    /// Whether there are no items.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc::Manager::start()?.list::<u8>([])?.is_empty()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|length| length == 0)
    }

    /// Copies of all items, of one instant. Handles in them are held in one step, of which some thousand are too many
    /// ([`TooManyChanges`](Error::TooManyChanges)): then [`iter`](Self::iter).
    ///
    /// # Examples
    ///
    /// See [`List`].
    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.slice(0..usize::MAX)
    }

    /// Copies of the items in a range, of one instant, as far as there are any.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list(0..10)?;
    /// assert_eq!(list.slice(7..20)?, [7, 8, 9]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn slice(&self, range: Range<usize>) -> Result<Vec<T>> {
        let items = self.held.items(range.start as u64..range.end as u64)?;
        items.into_iter().map(|mut item| item.decode()).collect()
    }

    /// Copies of all items, some at a time: those of each time are of one instant.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list(0..1000)?;
    /// let sum: i32 = list.iter().sum::<Result<_, _>>()?;
    /// assert_eq!(sum, 499_500);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Result<T>> + '_ {
        let mut next = 0;
        let mut is_over = false;
        let chunks = std::iter::from_fn(move || {
            let chunk = (!is_over).then(|| self.slice(next..next + CHUNK as usize))?;
            next += CHUNK as usize;
            is_over = chunk.as_ref().map_or(true, |chunk| chunk.len() < CHUNK as usize);
            Some(chunk)
        });
        chunks.flat_map(|chunk| match chunk {
            Ok(items) => items.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Takes all items out.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list(0..10)?;
    /// list.clear()?;
    /// assert!(list.is_empty()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn clear(&self) -> Result<()> {
        self.held.clear_row()
    }

    /// Replaces an item by what `f` makes of it; the new one. `f` runs without the lock, and again if somebody else has changed the item
    /// meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([1, 2])?;
    /// assert_eq!(list.update(1, |n| n * 10)?, 20);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update(&self, index: usize, f: impl FnMut(T) -> T) -> Result<T> {
        let missing = || Error::OutOfRange { index, length: 0 };
        Spot::Item(&self.held, index as u64).update(f, missing)
    }

    /// The place of the first item that is encoded as this one.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list(["a".to_string(), "b".to_string()])?;
    /// assert_eq!((list.index("b")?, list.index("c")?), (Some(1), None));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn index(&self, item: impl Sends<T>) -> Result<Option<usize>> {
        let item = codec::value(&self.held, &item)?;
        Ok(self.held.index_of(&item.bytes)?.map(|index| index as usize))
    }

    /// How many items are encoded as this one.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([1, 2, 1])?;
    /// assert_eq!(list.count(1)?, 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn count(&self, item: impl Sends<T>) -> Result<usize> {
        self.held.count_of(&codec::value(&self.held, &item)?.bytes)
    }

    /// Sorts the items: stable, and in one step. They are compared without the lock; if somebody changes the list meanwhile, again.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([3, 1, 2])?;
    /// list.sort()?;
    /// assert_eq!(list.to_vec()?, [1, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn sort(&self) -> Result<()>
    where
        T: Ord,
    {
        loop {
            let mut seen = self.held.items(0..u64::MAX)?;
            let items = seen.iter_mut().map(Kept::decode).collect::<Result<Vec<T>>>()?;
            let mut order: Vec<u64> = (0..items.len() as u64).collect();
            order.sort_by(|a, b| items[*a as usize].cmp(&items[*b as usize]));
            if self.held.reorder(&seen, &order)? {
                return Ok(());
            }
        }
    }

    /// Puts the items in the opposite order.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::Manager::start()?.list([1, 2, 3])?;
    /// list.reverse()?;
    /// assert_eq!(list.to_vec()?, [3, 2, 1]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn reverse(&self) -> Result<()> {
        self.held.reverse()
    }
}

/// A copy of an item.
#[inline]
pub(super) fn read<T: DeserializeOwned>(held: &Held, index: u64) -> Result<T> {
    match held.short_item(index) {
        Some(short) => short.with(codec::plain),
        None => read_any(held, index),
    }
}

#[inline(never)]
fn read_any<T: DeserializeOwned>(held: &Held, index: u64) -> Result<T> {
    let mut buffer = Buffer::new();
    held.item(index, &mut buffer)?.decode(&buffer)
}
