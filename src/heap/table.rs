//! Entries by their keys, in the order in which they came.
//!
//! | own word of the object | meaning                                               |
//! |------------------------|-------------------------------------------------------|
//! | 0                      | the slots: a block, or 0                              |
//! | 1                      | how many slots                                        |
//! | 2                      | entries                                               |
//! | 3                      | slots that are not empty                              |
//! | 4, 5                   | the first and the last entry, or 0                    |
//!
//! An entry: 0 the hash of its key, 1 the lengths of key (low half) and value, 2 and 3 the entries behind and before it, 4 the objects
//! that the value refers to, then key and value. A slot: 0 empty, 1 was an entry, otherwise the entry's address, and above that the upper
//! bits of its hash. An entry is in the first slot from that of its hash on that was free when it came.

use super::body::Heap;
use super::bytes::{Buffer, Content, Seen, words_of};
use super::object::{Object, Shape};
use super::view::View;
use super::{At, Transaction, buddy};
use crate::error::{Error, Result};

mod own {
    pub(super) const SLOTS: u64 = 0;
    pub(super) const COUNT: u64 = 1;
    pub(super) const ENTRIES: u64 = 2;
    pub(super) const USED: u64 = 3;
    pub(super) const FIRST: u64 = 4;
    pub(super) const LAST: u64 = 5;
}

mod entry {
    pub(super) const HASH: u64 = 0;
    pub(super) const LENGTHS: u64 = 1;
    pub(super) const NEXT: u64 = 2;
    pub(super) const BEFORE: u64 = 3;
    pub(super) const OBJECTS: u64 = 4;
    pub(super) const KEY: u64 = 5;
}

const EMPTY: u64 = 0;
const WAS: u64 = 1;
/// Bits of a slot that are an address.
const ADDRESS: u32 = 48;

/// Values that are longer are written to another block, rather than over the old one. A guess.
const SHORT: usize = 16;

/// Where an entry is.
#[derive(Clone, Copy)]
struct Found {
    slot: At,
    entry: At,
}

fn lengths(key: usize, value: usize) -> Result<u64> {
    match (u32::try_from(key), u32::try_from(value)) {
        (Ok(key), Ok(value)) => Ok(u64::from(key) | u64::from(value) << 32),
        _ => Err(Error::NoSpace { needed: key.max(value) as u64, available: u32::MAX.into() }),
    }
}

/// Of a key and of its value.
fn lengths_of(view: &View<'_>, entry: At) -> Result<(usize, usize)> {
    let lengths = view.load(entry.wrapping_add(entry::LENGTHS))?;
    Ok((lengths as u32 as usize, (lengths >> 32) as usize))
}

fn see(view: &View<'_>, entry: At, buffer: &mut Buffer) -> Result<Seen> {
    let (key, value) = lengths_of(view, entry)?;
    let objects = view.load(entry.wrapping_add(entry::OBJECTS))?;
    view.seen(entry.wrapping_add(entry::KEY + words_of(key) as u64), value, objects, buffer)
}

fn value_of(view: &View<'_>, entry: At) -> Result<Content> {
    let mut buffer = Buffer::new();
    see(view, entry, &mut buffer).map(|seen| buffer.content(seen))
}

fn key_of(view: &View<'_>, entry: At) -> Result<Vec<u8>> {
    let (key, _) = lengths_of(view, entry)?;
    view.bytes(entry.wrapping_add(entry::KEY), key)
}

/// Where the search for a hash begins, of so many slots.
fn start(hash: u64, count: u64) -> u64 {
    ((u128::from(hash) * u128::from(count)) >> 64) as u64
}

fn slot_of(hash: u64, entry: At) -> u64 {
    entry | hash << ADDRESS
}

fn address(slot: u64) -> At {
    slot & ((1 << ADDRESS) - 1)
}

fn find(view: &View<'_>, table: Object, hash: u64, key: &[u8]) -> Result<Option<Found>> {
    let (slots, count) = (view.load(table.own(own::SLOTS))?, view.load(table.own(own::COUNT))?);
    let mut index = start(hash, count);
    view.begin_search();
    for _ in 0..count {
        view.step(1)?;
        let at = slots.wrapping_add(index);
        let slot = view.load(at)?;
        if slot == EMPTY {
            break;
        }
        if slot != WAS && slot >> ADDRESS == hash & 0xffff {
            let entry = address(slot);
            if view.load(entry.wrapping_add(entry::HASH))? == hash
                && lengths_of(view, entry)?.0 == key.len()
                && view.has_bytes(entry.wrapping_add(entry::KEY), key)?
            {
                return Ok(Some(Found { slot: at, entry }));
            }
        }
        index = if index + 1 == count { 0 } else { index + 1 };
    }
    Ok(None)
}

impl Heap {
    /// The value of a key.
    pub(crate) fn get(&self, table: Object, key: &[u8], buffer: &mut Buffer) -> Result<Option<Seen>> {
        let hash = self.hash(key);
        self.read(|view| {
            view.check(table, Shape::Table)?;
            find(view, table, hash, key)?.map(|found| see(view, found.entry, buffer)).transpose()
        })
    }

    pub(crate) fn has_key(&self, table: Object, key: &[u8]) -> Result<bool> {
        let hash = self.hash(key);
        self.read(|view| {
            view.check(table, Shape::Table)?;
            Ok(find(view, table, hash, key)?.is_some())
        })
    }

    pub(crate) fn count(&self, table: Object) -> Result<usize> {
        self.read(|view| {
            view.check(table, Shape::Table)?;
            Ok(view.load(table.own(own::ENTRIES))? as usize)
        })
    }
}

impl View<'_> {
    /// The keys of all entries, in their order, and their values if those are wanted.
    pub(crate) fn entries(&self, table: Object, values: bool) -> Result<Vec<(Vec<u8>, Content)>> {
        self.check(table, Shape::Table)?;
        let mut entries = Vec::new();
        self.begin_search();
        let mut entry = self.load(table.own(own::FIRST))?;
        while entry != 0 {
            self.step(1)?;
            let value = if values { value_of(self, entry)? } else { Content::default() };
            entries.push((key_of(self, entry)?, value));
            entry = self.load(entry.wrapping_add(entry::NEXT))?;
        }
        Ok(entries)
    }

    /// The value of a key.
    pub(crate) fn look_up(&self, table: Object, key: &[u8]) -> Result<Option<Content>> {
        self.check(table, Shape::Table)?;
        find(self, table, self.heap().hash(key), key)?.map(|found| value_of(self, found.entry)).transpose()
    }

    /// The key of the entry that came last.
    pub(crate) fn last_key(&self, table: Object) -> Result<Option<Vec<u8>>> {
        self.check(table, Shape::Table)?;
        let last = self.load(table.own(own::LAST))?;
        if last == 0 { Ok(None) } else { key_of(self, last).map(Some) }
    }
}

impl Transaction<'_> {
    /// Gives a key a value; whether it had one.
    pub(crate) fn insert(&mut self, table: Object, key: &[u8], value: &Content) -> Result<bool> {
        self.check(table, Shape::Table)?;
        let hash = self.heap().hash(key);
        match find(self, table, hash, key)? {
            Some(found) => self.replace(table, found, key, value).map(|()| true),
            None => self.add(table, hash, key, value).map(|()| false),
        }
    }

    fn add(&mut self, table: Object, hash: u64, key: &[u8], value: &Content) -> Result<()> {
        let (used, count) = (self.load(table.own(own::USED))?, self.load(table.own(own::COUNT))?);
        if used >= count - count / 4 {
            self.rebuild(table)?;
        }
        let last = self.load(table.own(own::LAST))?;
        let entry = self.make_entry(hash, key, value, 0, last)?;
        let end = if last == 0 { table.own(own::FIRST) } else { last.wrapping_add(entry::NEXT) };
        self.store(end, entry)?;
        self.store(table.own(own::LAST), entry)?;
        let slot = self.free_slot(table, hash)?;
        if self.load(slot)? == EMPTY {
            let used = self.load(table.own(own::USED))?;
            self.store(table.own(own::USED), used.wrapping_add(1))?;
        }
        self.store(slot, slot_of(hash, entry))?;
        let entries = self.load(table.own(own::ENTRIES))?;
        self.store(table.own(own::ENTRIES), entries.wrapping_add(1))
    }

    /// An entry that is in no table yet.
    fn make_entry(&mut self, hash: u64, key: &[u8], value: &Content, next: At, before: At) -> Result<At> {
        let lengths = lengths(key.len(), value.bytes.len())?;
        let objects = self.keep_objects(&value.objects)?;
        let words = words_of(key.len());
        let entry = self.allocate(entry::KEY as usize + words + words_of(value.bytes.len()))?;
        for (place, word) in (entry..).zip([hash, lengths, next, before, objects]) {
            self.fill(place, word)?;
        }
        self.fill_bytes(entry + entry::KEY, key)?;
        self.fill_bytes(entry + entry::KEY + words as u64, &value.bytes)?;
        Ok(entry)
    }

    /// The first slot for this hash that no entry is in.
    fn free_slot(&self, table: Object, hash: u64) -> Result<At> {
        let (slots, count) = (self.load(table.own(own::SLOTS))?, self.load(table.own(own::COUNT))?);
        let mut index = start(hash, count);
        self.begin_search();
        for _ in 0..count {
            self.step(1)?;
            let at = slots.wrapping_add(index);
            if self.load(at)? <= WAS {
                return Ok(at);
            }
            index = if index + 1 == count { 0 } else { index + 1 };
        }
        Err(self.heap().corrupted(table.at, count))
    }

    /// Makes slots anew, for twice as many entries as there are.
    fn rebuild(&mut self, table: Object) -> Result<()> {
        let (old, entries) = (self.load(table.own(own::SLOTS))?, self.load(table.own(own::ENTRIES))?);
        if entries > self.heap().known() as u64 {
            return Err(self.heap().corrupted(table.own(own::ENTRIES), entries));
        }
        let slots = self.allocate(usize::try_from(entries).unwrap_or(usize::MAX).saturating_mul(2).max(7))?;
        let count = buddy::room(self, slots)? as u64;
        for place in 0..count {
            self.fill(slots + place, EMPTY)?;
        }
        let mut entry = self.load(table.own(own::FIRST))?;
        let mut used = 0;
        self.begin_search();
        while entry != 0 {
            self.step(1)?;
            let hash = self.load(entry.wrapping_add(entry::HASH))?;
            let mut index = start(hash, count);
            while self.load(slots + index)? != EMPTY {
                self.step(1)?;
                index = if index + 1 == count { 0 } else { index + 1 };
            }
            self.fill(slots + index, slot_of(hash, entry))?;
            used += 1;
            entry = self.load(entry.wrapping_add(entry::NEXT))?;
        }
        for (word, value) in [(own::SLOTS, slots), (own::COUNT, count), (own::USED, used)] {
            self.store(table.own(word), value)?;
        }
        if old != 0 {
            self.free(old);
        }
        Ok(())
    }

    fn replace(&mut self, table: Object, found: Found, key: &[u8], value: &Content) -> Result<()> {
        let Found { slot, entry } = found;
        let (words, room) = (words_of(value.bytes.len()), buddy::room(self, entry)?);
        let start = entry::KEY as usize + words_of(key.len());
        let old = self.load(entry + entry::OBJECTS)?;
        if words <= SHORT && buddy::fits(start + words, room) {
            let objects = self.keep_objects(&value.objects)?;
            if objects != old {
                self.store(entry + entry::OBJECTS, objects)?;
            }
            let lengths = lengths(key.len(), value.bytes.len())?;
            if lengths != self.load(entry + entry::LENGTHS)? {
                self.store(entry + entry::LENGTHS, lengths)?;
            }
            self.store_bytes(entry + start as u64, &value.bytes)?;
            return self.drop_objects(old);
        }
        let hash = self.load(entry + entry::HASH)?;
        let (next, before) = (self.load(entry + entry::NEXT)?, self.load(entry + entry::BEFORE)?);
        let new = self.make_entry(hash, key, value, next, before)?;
        self.join(table, before, new)?;
        let behind = if next == 0 { table.own(own::LAST) } else { next.wrapping_add(entry::BEFORE) };
        self.store(behind, new)?;
        self.store(slot, slot_of(hash, new))?;
        self.free(entry);
        self.drop_objects(old)
    }

    /// Has an entry, or nothing, follow this one, or come first.
    fn join(&mut self, table: Object, before: At, entry: At) -> Result<()> {
        let word = if before == 0 { table.own(own::FIRST) } else { before.wrapping_add(entry::NEXT) };
        self.store(word, entry)
    }

    /// Takes an entry out; its value, whose objects the caller has to hold if it wants them.
    pub(crate) fn remove(&mut self, table: Object, key: &[u8]) -> Result<Option<Content>> {
        self.use_reserve();
        self.check(table, Shape::Table)?;
        let hash = self.heap().hash(key);
        let Some(Found { slot, entry }) = find(self, table, hash, key)? else { return Ok(None) };
        let value = value_of(self, entry)?;
        self.store(slot, WAS)?;
        self.take_out(table, entry)?;
        Ok(Some(value))
    }

    /// Takes an entry that is in no slot out of the order, and frees it.
    fn take_out(&mut self, table: Object, entry: At) -> Result<()> {
        let (next, before) = (self.load(entry.wrapping_add(entry::NEXT))?, self.load(entry + entry::BEFORE)?);
        self.join(table, before, next)?;
        let behind = if next == 0 { table.own(own::LAST) } else { next.wrapping_add(entry::BEFORE) };
        self.store(behind, before)?;
        let entries = self.load(table.own(own::ENTRIES))?;
        self.store(table.own(own::ENTRIES), entries.saturating_sub(1))?;
        let objects = self.load(entry + entry::OBJECTS)?;
        self.free(entry);
        self.drop_objects(objects)
    }

    /// Takes all entries out.
    pub(crate) fn clear_table(&mut self, table: Object) -> Result<()> {
        self.use_reserve();
        self.check(table, Shape::Table)?;
        match self.throw_away_words(table, Shape::Table) {
            // No room for what would be taken apart later: it is done here, as far as one step can.
            Err(Error::NoSpace { .. }) => {
                while !take_apart(self, table)? {}
                self.forget_words(table)
            }
            thrown => thrown,
        }
    }
}

/// Takes an entry of a table apart that is garbage; whether there is nothing left of it.
pub(super) fn take_apart(transaction: &mut Transaction<'_>, table: Object) -> Result<bool> {
    let first = transaction.load(table.own(own::FIRST))?;
    if first != 0 {
        transaction.take_out(table, first)?;
        return Ok(false);
    }
    let slots = transaction.load(table.own(own::SLOTS))?;
    if slots != 0 {
        transaction.free(slots);
    }
    Ok(true)
}
