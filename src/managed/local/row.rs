//! Operations on lists, arrays and values.

use std::ops::Range;

use super::super::kept::{Exchanged, Kept, Seen, Stored};
use super::taken::{Taken, all_plain};
use super::{Buffer, Held, Short};
use crate::error::Result;
use crate::heap::Transaction;
use crate::heap::bytes::Seen as Found;
use crate::heap::object::gone;

impl Held {
    #[inline]
    pub(crate) fn short_item(&self, index: u64) -> Option<Short> {
        self.heap.short_item(self.object, index)
    }

    pub(crate) fn item(&self, index: u64, buffer: &mut Buffer) -> Result<Seen> {
        match self.heap.item(self.object, index, buffer)? {
            Found::Short(length) => Ok(Seen::Short(length)),
            Found::Long(content) if content.objects.is_empty() => Ok(Seen::Long(Kept::plain(content.bytes))),
            Found::Long(_) => {
                let taken = self.take_out(|transaction| transaction.item(self.object, index).map(Some))?;
                taken.map(Seen::Long).ok_or_else(gone)
            }
        }
    }

    pub(crate) fn items_count(&self) -> Result<u64> {
        self.heap.read(|view| view.items_count(self.object))
    }

    pub(crate) fn set_item(&self, index: u64, item: &Stored) -> Result<()> {
        self.heap.transact(|transaction| transaction.set_item(self.object, index, item))
    }

    pub(crate) fn add_items(&self, index: Option<u64>, items: &[Stored]) -> Result<()> {
        self.heap.transact(|transaction| {
            let index = index.map_or_else(|| transaction.items_count(self.object), Ok)?;
            transaction.insert_items(self.object, index, items)
        })
    }

    pub(crate) fn take_last_item(&self) -> Result<Option<Kept>> {
        let taken = self.heap.transact(|transaction| match transaction.items_count(self.object)? {
            0 => Ok(None),
            count => self.remove_item(transaction, count - 1).map(Some),
        })?;
        Ok(taken.map(|taken| taken.keep(&self.heap)))
    }

    pub(crate) fn take_item(&self, index: u64) -> Result<Kept> {
        Ok(self.heap.transact(|transaction| self.remove_item(transaction, index))?.keep(&self.heap))
    }

    fn remove_item(&self, transaction: &mut Transaction<'_>, index: u64) -> Result<Taken> {
        let content = transaction.item(self.object, index)?;
        let taken = Taken::hold(transaction, content)?;
        transaction.remove_item(self.object, index)?;
        Ok(taken)
    }

    pub(crate) fn items(&self, range: Range<u64>) -> Result<Vec<Kept>> {
        if let Some(items) = all_plain(self.heap.read(|view| view.items(self.object, range.clone()))?) {
            return Ok(items);
        }
        let taken: Vec<_> = self.heap.transact(|transaction| {
            let items = transaction.items(self.object, range.clone())?.into_iter();
            items.map(|item| Taken::hold(transaction, item)).collect::<Result<_>>()
        })?;
        Ok(taken.into_iter().map(|item| item.keep(&self.heap)).collect())
    }

    pub(crate) fn index_of(&self, item: &[u8]) -> Result<Option<u64>> {
        let items = self.heap.read(|view| view.items(self.object, 0..u64::MAX))?;
        Ok(items.iter().position(|found| found.bytes == item).map(|index| index as u64))
    }

    pub(crate) fn count_of(&self, item: &[u8]) -> Result<usize> {
        let items = self.heap.read(|view| view.items(self.object, 0..u64::MAX))?;
        Ok(items.iter().filter(|found| found.bytes == item).count())
    }

    pub(crate) fn clear_row(&self) -> Result<()> {
        self.heap.transact(|transaction| transaction.clear_row(self.object))
    }

    pub(crate) fn exchange_item(&self, index: u64, current: &[u8], new: &Stored) -> Result<Exchanged> {
        let exchanged = self.heap.transact(|transaction| {
            let found = transaction.item(self.object, index)?;
            if found.bytes != current {
                return Ok(Err(Taken::hold(transaction, found)?));
            }
            transaction.set_item(self.object, index, new).map(Ok)
        })?;
        Ok(exchanged.map_err(|found| Some(found.keep(&self.heap))))
    }

    pub(crate) fn reverse(&self) -> Result<()> {
        self.heap.transact(|transaction| {
            let order: Vec<u64> = (0..transaction.items_count(self.object)?).rev().collect();
            transaction.reorder(self.object, &order)
        })
    }

    pub(crate) fn reorder(&self, seen: &[Kept], order: &[u64]) -> Result<bool> {
        self.heap.transact(|transaction| {
            let items = transaction.items(self.object, 0..u64::MAX)?;
            let is_same = |(item, seen): (&Stored, &Kept)| item.bytes == seen.bytes();
            if items.len() != seen.len() || !items.iter().zip(seen).all(is_same) {
                return Ok(false);
            }
            transaction.reorder(self.object, order).map(|()| true)
        })
    }
}
