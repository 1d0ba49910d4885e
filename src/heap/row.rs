//! Items by their place.
//!
//! | own word of the object | meaning                                               |
//! |------------------------|-------------------------------------------------------|
//! | 0                      | the places: a block, or 0                             |
//! | 1                      | the first place that counts                           |
//! | 2                      | items                                                 |
//!
//! A place: the address of an item. An item: 0 its length in bytes, 1 the objects that it refers to, then its bytes.

use std::ops::Range;

use super::body::{CONTROL, Heap, corrupted};
use super::bytes::{Buffer, Content, SHORTEST, Seen, Short, words_of};
use super::object::{self, Object, Shape};
use super::view::View;
use super::{At, Transaction, buddy};
use crate::error::{Error, Result};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};

mod own {
    pub(super) const PLACES: u64 = 0;
    pub(super) const START: u64 = 1;
    pub(super) const ITEMS: u64 = 2;
}

mod item {
    pub(super) const LENGTH: u64 = 0;
    pub(super) const OBJECTS: u64 = 1;
    pub(super) const BYTES: u64 = 2;
}

/// Longer items are written to another block, rather than over the old one. A guess.
const SHORT: usize = 16;

/// Places that are moved one by one: more are copied to another block. A guess.
const FEW: u64 = 64;

/// Where the items are: the address of the first place, and how many.
#[inline]
fn places(view: &View<'_>, row: Object) -> Result<(At, u64)> {
    view.check(row, Shape::Row)?;
    let (places, start) = (view.load(row.own(own::PLACES))?, view.load(row.own(own::START))?);
    let (first, count) = (places.wrapping_add(start), view.load(row.own(own::ITEMS))?);
    // No more than there are words for, whatever is done with so many.
    view.words(first, usize::try_from(count).unwrap_or(usize::MAX))?;
    Ok((first, count))
}

#[inline]
fn see(view: &View<'_>, item: At, buffer: &mut Buffer) -> Result<Seen> {
    let length = view.load(item.wrapping_add(item::LENGTH))?;
    let length = usize::try_from(length).map_err(|_| corrupted(item, length))?;
    view.seen(item.wrapping_add(item::BYTES), length, view.load(item.wrapping_add(item::OBJECTS))?, buffer)
}

fn content(view: &View<'_>, item: At) -> Result<Content> {
    let mut buffer = Buffer::new();
    see(view, item, &mut buffer).map(|seen| buffer.content(seen))
}

/// The first words from an address on.
#[inline]
fn words_at<const N: usize>(all: &[AtomicU64], at: At) -> Option<&[AtomicU64; N]> {
    all.get((at as usize).wrapping_sub(CONTROL)..)?.first_chunk()
}

const _: () = assert!(item::LENGTH == 0 && item::OBJECTS == 1 && item::BYTES == 2 && SHORTEST == 16);

fn out_of_range(index: u64, length: u64) -> Error {
    Error::OutOfRange { index: index as usize, length: length as usize }
}

impl View<'_> {
    /// The item at a place.
    pub(crate) fn item(&self, row: Object, index: u64) -> Result<Content> {
        let (first, count) = places(self, row)?;
        if index >= count {
            return Err(out_of_range(index, count));
        }
        content(self, self.load(first.wrapping_add(index))?)
    }

    /// The items in a range, as far as there are any.
    pub(crate) fn items(&self, row: Object, range: Range<u64>) -> Result<Vec<Content>> {
        let (first, count) = places(self, row)?;
        let range = range.start.min(count)..range.end.min(count);
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        for place in self.words(first.wrapping_add(range.start), length)? {
            self.step(1)?;
            items.push(content(self, place.load(Relaxed))?);
        }
        Ok(items)
    }

    pub(crate) fn items_count(&self, row: Object) -> Result<u64> {
        places(self, row).map(|(_, count)| count)
    }
}

impl Heap {
    /// The item at a place, if it refers to nothing, is of a few bytes, and nobody is changing anything: otherwise `None`, as for all
    /// that is to be an error. As [`read`](Self::read), in one go, and with as few looks as there can be.
    #[inline]
    pub(crate) fn short_item(&self, row: Object, index: u64) -> Option<Short> {
        let sequence = self.begin_reading()?;
        let all = self.known_words();
        let words: &[_; object::WORDS] = words_at(all, row.at)?;
        let word = |place: u64| words[place as usize].load(Relaxed);
        if word(object::NUMBER) != row.number || word(0) != Shape::Row as u64 || index >= word(object::OWN + own::ITEMS)
        {
            return None;
        }
        let place = word(object::OWN + own::PLACES).wrapping_add(word(object::OWN + own::START)).wrapping_add(index);
        let [item] = words_at(all, place)?;
        // Behind a shorter one comes what nobody looks at.
        let [length, objects, first, second] = words_at(all, item.load(Relaxed))?;
        let (length, objects) = (length.load(Relaxed) as usize, objects.load(Relaxed));
        let bytes = [first.load(Relaxed), second.load(Relaxed)];
        (length <= SHORTEST && objects == 0 && self.was_whole(sequence)).then_some(Short { bytes, length })
    }

    #[inline]
    pub(crate) fn item(&self, row: Object, index: u64, buffer: &mut Buffer) -> Result<Seen> {
        self.read(|view| {
            let (first, count) = places(view, row)?;
            if index >= count {
                return Err(out_of_range(index, count));
            }
            see(view, view.load(first.wrapping_add(index))?, buffer)
        })
    }
}

impl Transaction<'_> {
    fn make_item(&mut self, content: &Content) -> Result<At> {
        let objects = self.keep_objects(&content.objects)?;
        let item = self.allocate(item::BYTES as usize + words_of(content.bytes.len()))?;
        self.fill(item + item::LENGTH, content.bytes.len() as u64)?;
        self.fill(item + item::OBJECTS, objects)?;
        self.fill_bytes(item + item::BYTES, &content.bytes)?;
        Ok(item)
    }

    fn drop_item(&mut self, item: At) -> Result<()> {
        let objects = self.load(item.wrapping_add(item::OBJECTS))?;
        self.free(item);
        self.drop_objects(objects)
    }

    /// Replaces the item at a place.
    pub(crate) fn set_item(&mut self, row: Object, index: u64, content: &Content) -> Result<()> {
        let (first, count) = places(self, row)?;
        if index >= count {
            return Err(out_of_range(index, count));
        }
        let place = first.wrapping_add(index);
        let item = self.load(place)?;
        let words = words_of(content.bytes.len());
        if words <= SHORT && buddy::fits(item::BYTES as usize + words, buddy::room(self, item)?) {
            let old = self.load(item + item::OBJECTS)?;
            let objects = self.keep_objects(&content.objects)?;
            if objects != old {
                self.store(item + item::OBJECTS, objects)?;
            }
            if self.load(item + item::LENGTH)? != content.bytes.len() as u64 {
                self.store(item + item::LENGTH, content.bytes.len() as u64)?;
            }
            self.store_bytes(item + item::BYTES, &content.bytes)?;
            return self.drop_objects(old);
        }
        let new = self.make_item(content)?;
        self.store(place, new)?;
        self.drop_item(item)
    }

    /// Puts items before the one at `index`, or behind the last one.
    pub(crate) fn insert_items(&mut self, row: Object, index: u64, contents: &[Content]) -> Result<()> {
        let (first, count) = places(self, row)?;
        if index > count {
            return Err(out_of_range(index, count));
        }
        let more = contents.len() as u64;
        let (block, start) = (self.load(row.own(own::PLACES))?, self.load(row.own(own::START))?);
        let room = if block == 0 { 0 } else { buddy::room(self, block)? as u64 };
        let behind = count - index;
        if start.saturating_add(count).saturating_add(more) > room || behind > FEW {
            return self.copy_with(row, index, contents);
        }
        // From the last one on: none is overwritten before it has been moved.
        for place in (index..count).rev() {
            let item = self.load(first.wrapping_add(place))?;
            self.store(first.wrapping_add(place + more), item)?;
        }
        for (place, content) in (first.wrapping_add(index)..).zip(contents) {
            let item = self.make_item(content)?;
            self.store(place, item)?;
        }
        self.store(row.own(own::ITEMS), count + more)
    }

    /// Makes places anew, with further items before the one at `index`.
    fn copy_with(&mut self, row: Object, index: u64, contents: &[Content]) -> Result<()> {
        let (first, count) = places(self, row)?;
        let total = usize::try_from(count).unwrap_or(usize::MAX).saturating_add(contents.len());
        let block = self.allocate(total.saturating_add(total / 2).max(7))?;
        let mut place = block;
        for old in self.words(first, index as usize)? {
            self.fill(place, old.load(Relaxed))?;
            place += 1;
        }
        for content in contents {
            let item = self.make_item(content)?;
            self.fill(place, item)?;
            place += 1;
        }
        for old in self.words(first.wrapping_add(index), (count - index) as usize)? {
            self.fill(place, old.load(Relaxed))?;
            place += 1;
        }
        self.replace_places(row, block, 0, total as u64)
    }

    fn replace_places(&mut self, row: Object, block: At, start: u64, count: u64) -> Result<()> {
        let old = self.load(row.own(own::PLACES))?;
        for (word, value) in [(own::PLACES, block), (own::START, start), (own::ITEMS, count)] {
            self.store(row.own(word), value)?;
        }
        if old != 0 {
            self.free(old);
        }
        Ok(())
    }

    /// Takes out the item at a place; the caller has to hold its objects if it wants them.
    pub(crate) fn remove_item(&mut self, row: Object, index: u64) -> Result<Content> {
        self.use_reserve();
        let (first, count) = places(self, row)?;
        if index >= count {
            return Err(out_of_range(index, count));
        }
        let item = self.load(first.wrapping_add(index))?;
        let content = content(self, item)?;
        let behind = count - index - 1;
        if index == 0 {
            let start = self.load(row.own(own::START))?;
            self.store(row.own(own::START), start.wrapping_add(1))?;
        } else if behind <= FEW {
            for place in index..count - 1 {
                let next = self.load(first.wrapping_add(place + 1))?;
                self.store(first.wrapping_add(place), next)?;
            }
        } else {
            let block = self.allocate(count as usize)?;
            let places = self.words(first, count as usize)?;
            let kept = places[..index as usize].iter().chain(&places[index as usize + 1..]);
            for (place, old) in (block..).zip(kept) {
                self.fill(place, old.load(Relaxed))?;
            }
            self.drop_item(item)?;
            self.replace_places(row, block, 0, count - 1)?;
            return Ok(content);
        }
        self.store(row.own(own::ITEMS), count - 1)?;
        self.drop_item(item)?;
        Ok(content)
    }

    /// Puts items in another order: at place `i` the one that was at `order[i]`. There are as many.
    pub(crate) fn reorder(&mut self, row: Object, order: &[u64]) -> Result<()> {
        let (first, count) = places(self, row)?;
        if order.len() as u64 != count {
            return Err(out_of_range(order.len() as u64, count));
        }
        if count == 0 {
            return Ok(());
        }
        let block = self.allocate(order.len())?;
        for (place, from) in (block..).zip(order) {
            let item = self.load(first.wrapping_add(*from))?;
            self.fill(place, item)?;
        }
        self.replace_places(row, block, 0, count)
    }

    /// Takes all items out.
    pub(crate) fn clear_row(&mut self, row: Object) -> Result<()> {
        self.use_reserve();
        self.check(row, Shape::Row)?;
        match self.throw_away_words(row, Shape::Row) {
            // No room for what would be taken apart later: it is done here, as far as one step can.
            Err(Error::NoSpace { .. }) => {
                while !take_apart(self, row)? {}
                self.forget_words(row)
            }
            thrown => thrown,
        }
    }
}

/// Takes an item of a row apart that is garbage; whether there is nothing left of it.
pub(super) fn take_apart(transaction: &mut Transaction<'_>, row: Object) -> Result<bool> {
    let (block, start) = (transaction.load(row.own(own::PLACES))?, transaction.load(row.own(own::START))?);
    let count = transaction.load(row.own(own::ITEMS))?;
    if count > 0 {
        let item = transaction.load(block.wrapping_add(start).wrapping_add(count - 1))?;
        transaction.drop_item(item)?;
        transaction.store(row.own(own::ITEMS), count - 1)?;
        return Ok(false);
    }
    if block != 0 {
        transaction.free(block);
    }
    Ok(true)
}
