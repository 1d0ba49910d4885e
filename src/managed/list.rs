use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::STEP;
use super::codec::{self, Kept, Taken};
use super::held::Held;
use super::impls::impl_managed;
use crate::error::{Error, Result};
use crate::heap::Transaction;
use crate::heap::bytes::{Buffer, Content};
use crate::heap::object::Shape;
use crate::message::Sends;

/// A list that processes share, of items of any type that serde knows.
///
/// [`Manager::list`](crate::Manager::list) makes one. It travels to other processes, and may itself be an item of another list, or a
/// value of a dictionary, of the same manager.
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
        let mut buffer = Buffer::new();
        match Taken::decode_seen(&self.heap().item(self.object(), index as u64, &mut buffer)?, &buffer) {
            Some(item) => item,
            None => self.take(|transaction| transaction.item(self.object(), index as u64)),
        }
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
        let item = codec::value(self.heap(), &item)?;
        self.heap().transact(|transaction| transaction.set_item(self.object(), index as u64, &item))
    }

    /// Puts an item behind the others.
    ///
    /// # Examples
    ///
    /// See [`List`].
    pub fn push(&self, item: impl Sends<T>) -> Result<()> {
        let item = codec::value(self.heap(), &item)?;
        self.add(None, &[item])
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
        let item = codec::value(self.heap(), &item)?;
        self.add(Some(index as u64), &[item])
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
        let items = given.iter().map(|item| codec::value(self.heap(), item)).collect::<Result<Vec<_>>>()?;
        items.chunks(STEP).try_for_each(|items| self.add(None, items))
    }

    fn add(&self, index: Option<u64>, items: &[Content]) -> Result<()> {
        self.heap().transact(|transaction| {
            let index = index.map_or_else(|| transaction.items_count(self.object()), Ok)?;
            transaction.insert_items(self.object(), index, items)
        })
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
        let taken = self.heap().transact(|transaction| match transaction.items_count(self.object())? {
            0 => Ok(None),
            count => self.take_out(transaction, count - 1).map(Some),
        })?;
        taken.map(|taken| taken.keep(self.heap()).decode()).transpose()
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
        self.heap().transact(|transaction| self.take_out(transaction, index as u64))?.keep(self.heap()).decode()
    }

    fn take_out(&self, transaction: &mut Transaction<'_>, index: u64) -> Result<Taken> {
        let content = transaction.item(self.object(), index)?;
        let taken = Taken::hold(transaction, content)?;
        transaction.remove_item(self.object(), index)?;
        Ok(taken)
    }

    /// The number of items.
    ///
    /// # Examples
    ///
    /// See [`extend`](Self::extend).
    pub fn len(&self) -> Result<usize> {
        self.heap().read(|view| view.items_count(self.object())).map(|count| count as usize)
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
    /// ([`NoSpace`](Error::NoSpace)): then [`iter`](Self::iter).
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
        let range = range.start as u64..range.end as u64;
        let items = self.heap().read(|view| view.items(self.object(), range.clone()))?;
        let taken: Vec<_> = if items.iter().all(|item| item.objects.is_empty()) {
            items.into_iter().filter_map(Taken::plain).collect()
        } else {
            self.heap().transact(|transaction| {
                let items = transaction.items(self.object(), range.clone())?;
                items.into_iter().map(|item| Taken::hold(transaction, item)).collect::<Result<_>>()
            })?
        };
        let kept: Vec<_> = taken.into_iter().map(|item: Taken| item.keep(self.heap())).collect();
        kept.into_iter().map(Kept::decode).collect()
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
        self.heap().transact(|transaction| transaction.clear_row(self.object()))
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
    pub fn update(&self, index: usize, mut f: impl FnMut(T) -> T) -> Result<T> {
        let index = index as u64;
        loop {
            let seen = self.heap().read(|view| view.item(self.object(), index))?;
            let old = self.heap().transact(|transaction| match transaction.item(self.object(), index)? {
                found if found == seen => Taken::hold(transaction, found).map(Some),
                _ => Ok(None),
            })?;
            let Some(old) = old else { continue };
            let new = f(old.keep(self.heap()).decode()?);
            let content = codec::value(self.heap(), &new)?;
            let is_done = self.heap().transact(|transaction| {
                if transaction.item(self.object(), index)? != seen {
                    return Ok(false);
                }
                transaction.set_item(self.object(), index, &content).map(|()| true)
            })?;
            if is_done {
                return Ok(new);
            }
        }
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
        let item = codec::value(self.heap(), &item)?;
        let items = self.heap().read(|view| view.items(self.object(), 0..u64::MAX))?;
        Ok(items.iter().position(|found| *found == item))
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
        let item = codec::value(self.heap(), &item)?;
        let items = self.heap().read(|view| view.items(self.object(), 0..u64::MAX))?;
        Ok(items.iter().filter(|found| **found == item).count())
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
            let seen = self.heap().read(|view| view.items(self.object(), 0..u64::MAX))?;
            let plain = seen.iter().map(|item| Taken::plain(item.clone()).ok_or(Error::HandleOutsideTransfer));
            let items = plain.map(|item| item?.keep(self.heap()).decode()).collect::<Result<Vec<T>>>()?;
            let mut order: Vec<u64> = (0..items.len() as u64).collect();
            order.sort_by(|a, b| items[*a as usize].cmp(&items[*b as usize]));
            if self.reorder(&order, Some(&seen))? {
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
        loop {
            let order: Vec<u64> = (0..self.len()? as u64).rev().collect();
            if self.reorder(&order, None)? {
                return Ok(());
            }
        }
    }

    /// Whether the items, as many as were seen and if need be the same, are in this order now.
    fn reorder(&self, order: &[u64], seen: Option<&[Content]>) -> Result<bool> {
        self.heap().transact(|transaction| {
            if transaction.items_count(self.object())? != order.len() as u64
                || seen.is_some() && transaction.items(self.object(), 0..u64::MAX)? != seen.unwrap_or_default()
            {
                return Ok(false);
            }
            transaction.reorder(self.object(), order).map(|()| true)
        })
    }

    fn take(&self, look: impl Fn(&Transaction<'_>) -> Result<Content>) -> Result<T> {
        let taken = self.heap().transact(|transaction| {
            let content = look(transaction)?;
            Taken::hold(transaction, content)
        })?;
        taken.keep(self.heap()).decode()
    }
}
