#![allow(unsafe_code)]

use std::alloc::Layout;
use std::hash::{BuildHasher, RandomState};
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::At;
use crate::error::{AttachError, Error, Kind, Result};
use crate::segment::place::{Body, Home, Placed, WordsBehind};
use crate::segment::{Facts, Failure, Ownership, Section, Segment, Wait, stamp, type_stamp};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::spin::Spin;
use crate::word::lock::LockWord;

/// | offset | size | field   | meaning                                                                       |
/// |--------|------|---------|-------------------------------------------------------------------------------|
/// | 0      | 8    | lock    | whose turn it is to change anything: `word/lock.rs`                           |
/// | 8      | 1016 | control | 1-9: see [`control`]; 16-: the first free block of each order, `buddy.rs`     |
/// | 1024   |      |         | the old values of words that are being changed: `transaction.rs`              |
///
/// Behind the object, in memory on demand: the blocks.
#[repr(C, align(64))]
pub(super) struct HeapBody {
    lock: LockWord,
    control: [AtomicU64; CONTROL - 1],
}

/// How many words come before the blocks.
pub(super) const CONTROL: usize = 128;

const _: () = assert!(size_of::<HeapBody>() == 8 * CONTROL && offset_of!(HeapBody, control) == 8);

/// Addresses of control words.
pub(super) mod control {
    use super::At;

    /// Even: nobody is changing anything. Grows with each transaction.
    pub(in crate::heap) const SEQUENCE: At = 1;
    /// Old values that have been noted, since the transaction began.
    pub(in crate::heap) const NOTED: At = 2;
    /// Words of the heap that blocks have been made of.
    pub(in crate::heap) const END: At = 3;
    /// The number of the object that was made last.
    pub(in crate::heap) const OBJECTS: At = 4;
    /// The first object in use.
    pub(in crate::heap) const FIRST: At = 5;
    /// The first object that nobody refers to any more, and that is being taken apart.
    pub(in crate::heap) const GARBAGE: At = 6;
    /// The object that names others, or 0.
    pub(in crate::heap) const ROOT: At = 7;
    /// What keys are hashed with.
    pub(in crate::heap) const SEED: At = 8;
    /// With how many objects made somebody looks for holders that have died.
    pub(in crate::heap) const NEXT_SWEEP: At = 9;
    /// The first free block of order 0; those of the others behind it.
    pub(in crate::heap) const FREE: At = 16;
}

/// The most words that one transaction may change. A guess: a megabyte of notes.
pub(crate) const NOTES: usize = 1 << 16;

// SAFETY: `repr(C)`, atomics only and no padding; zero is a free lock, and a heap without blocks.
unsafe impl Body for HeapBody {
    const KIND: Kind = Kind::Manager;
    const STAMP: u64 = stamp(&[size_of::<HeapBody>(), offset_of!(HeapBody, control), NOTES, FORMAT]);
}

/// Words that are kept back for emptying what is full. A guess: room for thousands of holds.
pub(super) const RESERVE: u64 = 1 << 14;

/// To be raised when blocks, objects, tables or rows are laid out otherwise.
const FORMAT: usize = 1;

/// A heap, attached.
pub(crate) struct Heap {
    placed: Placed<HeapBody>,
    spin: Spin,
    blocks: WordsBehind,
    /// How many of them have memory behind them, as far as this process knows.
    known: AtomicUsize,
}

impl Heap {
    /// An empty one that may grow to so many bytes.
    pub(crate) fn make(home: Home<'_>, capacity: u64) -> Result<Arc<Self>> {
        let too_much = || Error::NoSpace { needed: capacity, available: isize::MAX as u64 };
        let words = usize::try_from(capacity / 8).ok().filter(|&words| words <= isize::MAX as usize / 8);
        let words = words.and_then(|words| words.checked_add(RESERVE as usize)).ok_or_else(too_much)?;
        let bytes = 8 * words as u64;
        let placed = Placed::<HeapBody>::create_with(
            bytes,
            home,
            type_stamp::<()>(),
            words as u64,
            Self::notes_layout(),
            |placed: &Placed<HeapBody>| {
                let seed = &placed.body().control[control::SEED as usize - 1];
                seed.store(RandomState::new().hash_one(()), Relaxed);
            },
        )?;
        Ok(Self::of(placed))
    }

    pub(crate) fn attach(segment: Arc<Segment>, offset: u64) -> Result<Arc<Self>> {
        let placed = Placed::<HeapBody>::attach(segment, offset, &type_stamp::<()>(), |_| Self::notes_layout())?;
        let (start, length) = (placed.segment().solid(), placed.segment().length());
        let bytes = (placed.length() as u64).saturating_mul(8);
        if start.checked_add(bytes).is_none_or(|end| end > length) || !start.is_multiple_of(8) {
            return Err(AttachError::OutOfBounds { offset: start, bytes, segment: length }.into());
        }
        Ok(Self::of(placed))
    }

    /// Its blocks lie behind the object, as has been laid out or checked.
    fn of(placed: Placed<HeapBody>) -> Arc<Self> {
        let blocks = WordsBehind::new(placed.segment(), placed.segment().solid(), placed.length());
        Arc::new(Heap { placed, spin: Spin::new(), blocks, known: AtomicUsize::new(0) })
    }

    fn notes_layout() -> Option<Layout> {
        Layout::array::<AtomicU64>(2 * NOTES).ok()
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        self.blocks.segment()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.placed.offset()
    }

    /// Bytes that it may grow to.
    pub(crate) fn capacity(&self) -> u64 {
        8 * (self.blocks.all().len() as u64).saturating_sub(RESERVE)
    }

    /// Bytes that blocks have been made of.
    #[cfg(test)]
    pub(crate) fn size(&self) -> u64 {
        8 * self.control(control::END).load(Relaxed)
    }

    /// The turn to change something. What it is held for can be undone at every instruction.
    pub(super) fn acquire(&self) -> Result<Ownership<'_>> {
        let lock = &self.placed.body().lock;
        let turn = Ownership::acquire(self.segment(), lock, &self.spin, Section::Whole, Wait::FOR_EVER);
        turn.map_err(|failure: Failure| failure.into_error(Kind::Manager))
    }

    #[inline]
    pub(super) fn control(&self, at: At) -> &AtomicU64 {
        &self.placed.body().control[at as usize - 1]
    }

    /// Two words for each word that is being changed: where it is, and what it was.
    #[inline]
    pub(super) fn notes(&self) -> &[AtomicU64] {
        self.placed.tail_of(2 * NOTES)
    }

    /// The word at an address; an error if there is none.
    #[inline]
    pub(super) fn word(&self, at: At) -> Result<&AtomicU64> {
        let place = (at as usize).wrapping_sub(CONTROL);
        if place < self.known() {
            return self.blocks.all().get(place).ok_or_else(|| corrupted(at, 0));
        }
        match self.placed.body().control.get((at as usize).wrapping_sub(1)) {
            Some(word) => Ok(word),
            None => self.words(at, 1).map(|words| &words[0]),
        }
    }

    /// The words from an address on.
    #[inline]
    pub(super) fn words(&self, at: At, count: usize) -> Result<&[AtomicU64]> {
        if count == 0 {
            return Ok(&[]);
        }
        let first = usize::try_from(at).ok().and_then(|at| at.checked_sub(CONTROL));
        let end = first.and_then(|first| first.checked_add(count));
        match (first, end) {
            (Some(first), Some(end)) if end <= self.known() || self.reaches(end)? => Ok(&self.blocks.all()[first..end]),
            _ => Err(corrupted(at, count as u64)),
        }
    }

    /// The words of all blocks, as far as this process knows that they have memory behind them.
    #[inline]
    pub(super) fn known_words(&self) -> &[AtomicU64] {
        let all = self.blocks.all();
        &all[..self.known().min(all.len())]
    }

    /// How many words have memory behind them, as far as this process knows.
    #[inline]
    pub(super) fn known(&self) -> usize {
        self.known.load(Relaxed)
    }

    /// Whether there are blocks up to there by now. Memory that somebody has only said is there would be a signal when it is touched: it
    /// is had first.
    #[cold]
    fn reaches(&self, end: usize) -> Result<bool> {
        let (known, said) = (self.known(), self.control(control::END).load(Relaxed));
        let said = usize::try_from(said).unwrap_or(usize::MAX).min(self.blocks.all().len());
        if end > said {
            return Ok(false);
        }
        self.back(known as u64, said as u64)?;
        Ok(true)
    }

    /// Has memory behind the words up to there.
    pub(super) fn back(&self, first: u64, end: u64) -> Result<()> {
        if end > self.blocks.all().len() as u64 {
            return Err(Error::NoSpace { needed: 8 * end, available: self.capacity() });
        }
        self.segment().back(self.segment().solid() + 8 * first, 8 * (end - first))?;
        self.known.fetch_max(end as usize, Relaxed);
        Ok(())
    }
}

/// Who changes it, and how large it is.
pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<HeapBody>()?;
    facts.say_lock(body + offset_of!(HeapBody, lock) as u64)?;
    let control = |at: At| facts.image.word(body + 8 * at);
    let (bytes, objects) = (control(control::END)?.saturating_mul(8), control(control::OBJECTS)?);
    facts.say("bytes used", bytes);
    facts.say("objects so far", objects);
    Ok(())
}

/// What is there cannot be.
#[cold]
pub(super) fn corrupted(position: At, found: u64) -> Error {
    Error::Corrupted { object: Kind::Manager, position, found }
}
