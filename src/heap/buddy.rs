//! Blocks: pieces of the heap whose sizes are powers of two, which are halved and put together again.
//!
//! | word | of a block in use                 | of a free one            |
//! |------|-----------------------------------|--------------------------|
//! | 0    | [`USED`] and its order            | [`FREE`] and its order   |
//! | 1    | payload                           | the next free one, or 0  |
//! | 2    | payload                           | the one before, or 0     |
//!
//! B1. A block of order n has 2^n words and begins at a multiple of that, counted from the first block.
//! B2. The other half of what a block was once part of is a block of the same order, or begins with a smaller one: what stands in
//!     its first word is the head of a block.
//!
//! Source: Knowlton, "A Fast Storage Allocator" (1965).

use super::body::{CONTROL, RESERVE, control};
use super::view::View;
use super::{At, Transaction};
use crate::error::{Error, Result};

/// The smallest block: a head and three words.
const LEAST: u32 = 2;
/// The largest, of 2^42 bytes.
const MOST: u32 = 39;
/// A heap grows by no less than that, as long as it can: 64 KiB. A guess.
const GROWTH: u32 = 13;

const USED: u64 = 0x6465_7375_0000_0000;
const FREE: u64 = 0x6565_7266_0000_0000;

const _: () = assert!(control::FREE as usize + (MOST as usize) < CONTROL);

fn list(order: u32) -> At {
    control::FREE + u64::from(order)
}

/// The order of a block with room for so many words.
fn order_of(words: usize) -> Option<u32> {
    let order = words.checked_add(1)?.checked_next_power_of_two()?.trailing_zeros();
    (order <= MOST).then(|| order.max(LEAST))
}

/// How many words there is room for in the block of a payload.
pub(super) fn room(view: &View<'_>, payload: At) -> Result<usize> {
    let order = used_order(view, payload)?;
    Ok((1 << order) - 1)
}

/// Whether so many words should stay in a block with this room, rather than go to one of their own.
pub(super) fn fits(words: usize, room: usize) -> bool {
    words <= room && room <= 4 * words.max(1 << LEAST)
}

fn used_order(view: &View<'_>, payload: At) -> Result<u32> {
    let block = payload.wrapping_sub(1);
    let head = view.load(block)?;
    let order = (head ^ USED) as u32;
    let is_block = head ^ USED == u64::from(order) && (LEAST..=MOST).contains(&order);
    let is_place = block.checked_sub(CONTROL as u64).is_some_and(|place| place.is_multiple_of(1 << order.min(MOST)));
    if is_block && is_place { Ok(order) } else { Err(view.heap().corrupted(block, head)) }
}

impl Transaction<'_> {
    /// A block with room for so many words, whose contents are anything; the address of the first.
    pub(crate) fn allocate(&mut self, words: usize) -> Result<At> {
        let too_much = || Error::NoSpace { needed: (words as u64).saturating_mul(8), available: 8 << MOST };
        let order = order_of(words).ok_or_else(too_much)?;
        let mut found = order;
        while self.load(list(found))? == 0 {
            found += 1;
            if found > MOST {
                self.grow(order)?;
                found = order;
            }
        }
        let block = self.load(list(found))?;
        self.unlink(block, found)?;
        while found > order {
            found -= 1;
            self.link(block + (1 << found), found)?;
        }
        self.store(block, USED | u64::from(order))?;
        Ok(block + 1)
    }

    /// Makes a free block of at least this order behind all others; no larger than it has to be, where there is no room.
    fn grow(&mut self, order: u32) -> Result<()> {
        let old = self.load(control::END)?;
        let end = |order: u32| old.checked_next_multiple_of(1 << order)?.checked_add(1 << order);
        let most = self.heap().capacity() / 8 + if self.uses_reserve() { RESERVE } else { 0 };
        let is_possible = |end: &u64| *end <= most;
        let end = end(order.max(GROWTH)).filter(is_possible).or_else(|| end(order).filter(is_possible));
        let no_space =
            || Error::NoSpace { needed: 8 * (old.saturating_add(1 << order)), available: self.heap().capacity() };
        let end = end.ok_or_else(no_space)?;
        self.heap().back(old, end)?;
        // What lies before it is blocks, too: each the largest that may begin there (B1).
        let mut place = old;
        while place < end {
            let fits = (end - place).ilog2().min(if place == 0 { MOST } else { place.trailing_zeros() }).min(MOST);
            if fits >= LEAST {
                self.link(CONTROL as u64 + place, fits)?;
            }
            place += 1 << fits;
        }
        self.store(control::END, end)
    }

    /// Makes the block of a payload a free one, together with those beside it that are free.
    pub(super) fn release(&mut self, payload: At) -> Result<()> {
        let mut order = used_order(self, payload)?;
        let mut place = payload - 1 - CONTROL as u64;
        let end = self.load(control::END)?;
        while order < MOST {
            let other = place ^ (1 << order);
            if other.saturating_add(1 << order) > end || self.load(CONTROL as u64 + other)? != FREE | u64::from(order) {
                break;
            }
            self.unlink(CONTROL as u64 + other, order)?;
            // The head that is no longer one must not be taken for one (B2).
            self.store(CONTROL as u64 + place.max(other), 0)?;
            place = place.min(other);
            order += 1;
        }
        self.link(CONTROL as u64 + place, order)
    }

    /// Puts a block before the free ones of its order.
    fn link(&mut self, block: At, order: u32) -> Result<()> {
        let next = self.load(list(order))?;
        self.store(block, FREE | u64::from(order))?;
        self.store(block + 1, next)?;
        self.store(block + 2, 0)?;
        if next != 0 {
            self.store(next.wrapping_add(2), block)?;
        }
        self.store(list(order), block)
    }

    fn unlink(&mut self, block: At, order: u32) -> Result<()> {
        let head = self.load(block)?;
        if head != FREE | u64::from(order) {
            return Err(self.heap().corrupted(block, head));
        }
        let (next, before) = (self.load(block + 1)?, self.load(block + 2)?);
        if next != 0 {
            self.store(next.wrapping_add(2), before)?;
        }
        self.store(if before == 0 { list(order) } else { before.wrapping_add(1) }, next)?;
        // Whoever gets the block fills it without notes (T2): these two are to be had again.
        self.store(block + 1, 0)?;
        self.store(block + 2, 0)
    }
}
