//! Operations on dictionaries, sets and namespaces.

use super::super::guard::{Change, Looks};
use super::super::kept::{Exchanged, Kept, Seen, Stored};
use super::taken::Taken;
use super::{Buffer, Content, Held};
use crate::error::{Error, Result};
use crate::heap::bytes::Seen as Found;
use crate::heap::{NOTES, Transaction, View};

impl Held {
    #[inline]
    pub(crate) fn get(&self, key: &[u8], buffer: &mut Buffer) -> Result<Option<Seen>> {
        match self.heap.get(self.object, key, buffer)? {
            None => Ok(None),
            Some(Found::Short(length)) => Ok(Some(Seen::Short(length))),
            Some(Found::Long(content)) => self.long_value(key, content),
        }
    }

    #[inline(never)]
    fn long_value(&self, key: &[u8], found: Content) -> Result<Option<Seen>> {
        if found.objects.is_empty() {
            return Ok(Some(Seen::Long(Kept::plain(found.bytes))));
        }
        Ok(self.take_out(|transaction| transaction.look_up(self.object, key))?.map(Seen::Long))
    }

    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool> {
        self.heap.has_key(self.object, key)
    }

    pub(crate) fn entries_count(&self) -> Result<usize> {
        self.heap.count(self.object)
    }

    pub(crate) fn insert(&self, key: &[u8], value: &Stored) -> Result<bool> {
        self.heap.transact(|transaction| transaction.insert(self.object, key, value))
    }

    pub(crate) fn extend(&self, entries: &[(Vec<u8>, Stored)]) -> Result<()> {
        self.heap.transact(|transaction| {
            entries.iter().try_for_each(|(key, value)| transaction.insert(self.object, key, value).map(drop))
        })
    }

    pub(crate) fn swap(&self, key: &[u8], value: &Stored) -> Result<Option<Kept>> {
        let taken = self.heap.transact(|transaction| {
            let old = self.hold_value(transaction, key)?;
            transaction.insert(self.object, key, value)?;
            Ok(old)
        })?;
        Ok(taken.map(|taken| taken.keep(&self.heap)))
    }

    pub(crate) fn remove(&self, key: &[u8]) -> Result<bool> {
        self.heap.transact(|transaction| Ok(transaction.remove(self.object, key)?.is_some()))
    }

    pub(crate) fn take(&self, key: &[u8]) -> Result<Option<Kept>> {
        let taken = self.heap.transact(|transaction| {
            let old = self.hold_value(transaction, key)?;
            transaction.remove(self.object, key)?;
            Ok(old)
        })?;
        Ok(taken.map(|taken| taken.keep(&self.heap)))
    }

    pub(crate) fn take_last(&self) -> Result<Option<(Vec<u8>, Kept)>> {
        let taken = self.heap.transact(|transaction| {
            let Some(key) = transaction.last_key(self.object)? else { return Ok(None) };
            let value = self.hold_value(transaction, &key)?;
            transaction.remove(self.object, &key)?;
            Ok(value.map(|value| (key, value)))
        })?;
        Ok(taken.map(|(key, value)| (key, value.keep(&self.heap))))
    }

    fn hold_value(&self, transaction: &mut Transaction<'_>, key: &[u8]) -> Result<Option<Taken>> {
        let found = transaction.look_up(self.object, key)?;
        found.map(|found| Taken::hold(transaction, found)).transpose()
    }

    pub(crate) fn keys(&self) -> Result<Vec<Vec<u8>>> {
        let entries = self.heap.read(|view| view.entries(self.object, false))?;
        Ok(entries.into_iter().map(|(key, _)| key).collect())
    }

    pub(crate) fn entries(&self) -> Result<Vec<(Vec<u8>, Kept)>> {
        let entries = self.heap.read(|view| view.entries(self.object, true))?;
        if entries.iter().all(|(_, value)| value.objects.is_empty()) {
            return Ok(entries.into_iter().map(|(key, value)| (key, Kept::plain(value.bytes))).collect());
        }
        let taken: Vec<_> = self.heap.transact(|transaction| {
            let entries = transaction.entries(self.object, true)?.into_iter();
            entries.map(|(key, value)| Ok((key, Taken::hold(transaction, value)?))).collect::<Result<_>>()
        })?;
        Ok(taken.into_iter().map(|(key, value)| (key, value.keep(&self.heap))).collect())
    }

    pub(crate) fn clear_table(&self) -> Result<()> {
        self.heap.transact(|transaction| transaction.clear_table(self.object))
    }

    pub(crate) fn exchange(&self, key: &[u8], current: Option<&[u8]>, new: Option<&Stored>) -> Result<Exchanged> {
        let exchanged = self.heap.transact(|transaction| {
            let found = transaction.look_up(self.object, key)?;
            if found.as_ref().map(|found| &found.bytes[..]) != current {
                return Ok(Err(found.map(|found| Taken::hold(transaction, found)).transpose()?));
            }
            self.put(transaction, key, new).map(Ok)
        })?;
        Ok(exchanged.map_err(|found| found.map(|found| found.keep(&self.heap))))
    }

    pub(crate) fn check_size(&self, changes: usize, bytes: usize) -> Result<()> {
        // Each change is of one word at least.
        if changes > NOTES {
            return Err(Error::TooManyChanges { asked: changes, fit: NOTES });
        }
        let (needed, available) = (bytes as u64, self.heap.capacity());
        if needed > available { Err(Error::NoSpace { needed, available }) } else { Ok(()) }
    }

    pub(crate) fn exchange_many(&self, looks: &Looks, changes: &[Change]) -> Result<bool> {
        if changes.is_empty() {
            return self.heap.read(|view| self.are_true(looks, view));
        }
        let mut made = 0;
        let exchanged = self.heap.transact(|transaction| {
            if !self.are_true(looks, transaction)? {
                return Ok(false);
            }
            made = 0;
            for (key, value) in changes {
                self.put(transaction, key, value.as_ref())?;
                made += 1;
            }
            Ok(true)
        });
        match exchanged {
            Err(Error::TooManyChanges { .. }) => {
                Err(Error::TooManyChanges { asked: changes.len(), fit: made.min(changes.len() - 1) })
            }
            exchanged => exchanged,
        }
    }

    /// Whether all that was looked at is still so.
    fn are_true(&self, looks: &Looks, view: &View<'_>) -> Result<bool> {
        if let Some(keys) = &looks.keys
            && !view.entries(self.object, false)?.iter().map(|(key, _)| key).eq(keys)
        {
            return Ok(false);
        }
        for (key, seen) in &looks.entries {
            if view.look_up(self.object, key)?.as_ref().map(|found| &found.bytes[..]) != seen.as_ref().map(Kept::bytes)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put(&self, transaction: &mut Transaction<'_>, key: &[u8], new: Option<&Stored>) -> Result<()> {
        match new {
            Some(new) => transaction.insert(self.object, key, new).map(drop),
            None => transaction.remove(self.object, key).map(drop),
        }
    }
}
