//! Reading and replacing items.

use std::time::Duration;

use super::item::HEAD;
use super::{ShareableItem, ShareableList};
use crate::error::{Error, Kind, Result};
use crate::segment::{Failure, Wait};
use crate::sys::atomic::AtomicU64;
use crate::word::flip::Sequence;

impl ShareableList {
    /// A copy of one item. Never waits for a writer, and never sees one half done; reads again while commits overtake it.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](Error::OutOfRange) with index and length. [`Corrupted`](Error::Corrupted), and for a text that is not
    /// UTF-8 [`Decode`](Error::Decode), if somebody has written there who does not keep to the protocol.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, ShareableItem, ShareableList};
    ///
    /// let list = ShareableList::new(["howdy".into(), 100.into()])?;
    /// if let ShareableItem::Text(text) = list.get(0)? {
    ///     assert_eq!(text, "howdy");
    /// }
    /// assert_eq!(list.get(2), Err(Error::OutOfRange { index: 2, length: 2 }));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn get(&self, index: usize) -> Result<ShareableItem> {
        /// What is not longer is copied to the stack. A guess.
        const SMALL: usize = 64;

        let (sequence, copies) = self.item(index)?;
        let length = 8 * (copies.len() / 2);
        if length <= SMALL {
            let bytes = &mut [0; SMALL][..length];
            self.copy(sequence, copies, bytes);
            ShareableItem::decode(index, bytes)
        } else {
            let mut bytes = vec![0; length];
            self.copy(sequence, copies, &mut bytes);
            ShareableItem::decode(index, &bytes)
        }
    }

    fn copy(&self, sequence: &Sequence, copies: &[AtomicU64], bytes: &mut [u8]) {
        if sequence.read(copies, bytes) {
            return;
        }
        while self.spin.until(|| sequence.read(copies, bytes).then_some(())).is_none() {
            // Behind the writers' lock nothing moves, if it can be had, or is ours: a writer that holds it may be stopped.
            let turn = self.acquire(Wait::No);
            if matches!(turn, Ok(_) | Err(Failure::AlreadyHeld)) {
                // If it moves even so, somebody does not follow the protocol, and a torn copy is as good as what he writes.
                sequence.read(copies, bytes);
                return;
            }
        }
    }

    /// Replaces one item, entirely or not at all. Waits for its turn among the writers.
    ///
    /// # Errors
    ///
    /// [`ExceedsSpace`](Error::ExceedsSpace) if it is longer than the item that was first in this place, rounded up to a
    /// multiple of 8; nothing changes then. [`OutOfRange`](Error::OutOfRange) with index and length;
    /// [`AlreadyHeld`](Error::AlreadyHeld) if this thread is in an [`update`](Self::update).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, ShareableList};
    ///
    /// let list = ShareableList::new(["howdy".into(), 100.into()])?;
    /// list.set(0, "encodés")?; // exactly 8 bytes
    /// assert_eq!(list.set(0, "encodées"), Err(Error::ExceedsSpace { index: 0, needed: 9, space: 8 }));
    /// list.set(0, 1.5)?;
    /// assert_eq!(list.to_vec()?, [1.5.into(), 100.into()]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set(&self, index: usize, item: impl Into<ShareableItem>) -> Result<()> {
        self.replace(index, Wait::FOR_EVER, || Ok(item.into())).map(drop)
    }

    /// [`set`](Self::set), if it is nobody else's turn.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), and [`Held`](Error::Held) if another thread or process is writing.
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc::ShareableList::new([1.into()])?.try_set(0, 2)?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_set(&self, index: usize, item: impl Into<ShareableItem>) -> Result<()> {
        self.replace(index, Wait::No, || Ok(item.into())).map(drop)
    }

    /// [`set`](Self::set), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_set`](Self::try_set), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc::ShareableList::new([1.into()])?.set_timeout(0, 2, std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn set_timeout(&self, index: usize, item: impl Into<ShareableItem>, timeout: Duration) -> Result<()> {
        self.replace(index, Wait::at_most(timeout), || Ok(item.into())).map(drop)
    }

    /// Replaces one item by what `change` makes of it, with nobody between, and gives the new one.
    ///
    /// `change` runs while other writers wait, so it should be short; if it panics, the item stays as it was.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`set`](Self::set); [`ForkedCopy`](Error::ForkedCopy) in a copy of the process if `change` forks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{ShareableItem, ShareableList};
    ///
    /// let list = ShareableList::new(["a".into(), 20.into()])?;
    /// let add = |item| if let ShareableItem::Int(n) = item { (n + 1).into() } else { item };
    /// assert_eq!(list.update(1, add)?, 21.into());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update(&self, index: usize, change: impl FnOnce(ShareableItem) -> ShareableItem) -> Result<ShareableItem> {
        self.replace(index, Wait::FOR_EVER, || self.get(index).map(change))
    }

    /// [`update`](Self::update), if it is nobody else's turn.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), and [`Held`](Error::Held) if another thread or process is writing.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::ShareableList::new([1.into()])?;
    /// assert_eq!(list.try_update(0, |_| 2.into())?, 2.into());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_update(
        &self,
        index: usize,
        change: impl FnOnce(ShareableItem) -> ShareableItem,
    ) -> Result<ShareableItem> {
        self.replace(index, Wait::No, || self.get(index).map(change))
    }

    /// [`update`](Self::update), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_update`](Self::try_update), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::ShareableList::new([1.into()])?;
    /// list.update_timeout(0, |_| 2.into(), std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update_timeout(
        &self,
        index: usize,
        change: impl FnOnce(ShareableItem) -> ShareableItem,
        timeout: Duration,
    ) -> Result<ShareableItem> {
        self.replace(index, Wait::at_most(timeout), || self.get(index).map(change))
    }

    fn replace(&self, index: usize, wait: Wait, make: impl FnOnce() -> Result<ShareableItem>) -> Result<ShareableItem> {
        let (sequence, copies) = self.item(index)?;
        let turn = self.acquire(wait).map_err(|failure| failure.into_error(Kind::ShareableList))?;
        let item = make()?;
        // `make` may have forked, and this may be the copy.
        if !turn.is_ours() {
            return Err(Error::ForkedCopy { object: Kind::ShareableList });
        }
        let (bytes, room) = (item.encode(), 8 * (copies.len() / 2));
        if bytes.len() > room {
            return Err(Error::ExceedsSpace { index, needed: bytes.len() - HEAD, space: room - HEAD });
        }
        sequence.write(copies, &bytes);
        Ok(item)
    }

    /// All items, each as [`get`](Self::get) gives it, one after the other. Others may write meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{ShareableItem, ShareableList};
    ///
    /// let list = ShareableList::new(["a".into(), 1.into(), "b".into()])?;
    /// let is_text = |item: &crossproc::Result<_>| matches!(item, Ok(ShareableItem::Text(_)));
    /// assert_eq!(list.iter().filter(is_text).count(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<ShareableItem>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Copies of all items, of no one instant if others write meanwhile.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// See [`set`](Self::set).
    pub fn to_vec(&self) -> Result<Vec<ShareableItem>> {
        self.iter().collect()
    }

    /// How many items are equal to this one. One that cannot be read is equal to none.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::ShareableList::new([42.into(), "a".into(), 42.into()])?;
    /// assert_eq!((list.count(42), list.count("b")), (2, 0));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn count(&self, item: impl Into<ShareableItem>) -> usize {
        let wanted = Ok(item.into());
        self.iter().filter(|item| *item == wanted).count()
    }

    /// Which is the first item that is equal to this one. One that cannot be read is equal to none.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::ShareableList::new([42.into(), "a".into(), 42.into()])?;
    /// assert_eq!((list.index("a"), list.index(42), list.index("b")), (Some(1), Some(0), None));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn index(&self, item: impl Into<ShareableItem>) -> Option<usize> {
        let wanted = Ok(item.into());
        self.iter().position(|item| item == wanted)
    }
}
