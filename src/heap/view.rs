//! Looking at a heap, with its lock or without.
//!
//! V1. A transaction makes SEQUENCE odd before it changes anything, and even again, and larger, when it has changed everything. So what
//!     was copied between two looks at the same even number was there at once.
//! V2. What is copied before the second look may be anything: no address is trusted, and no search goes on for ever.
//!
//! Orderings: as in `word/flip.rs`. The Release of the even number publishes the words to the reader's first Acquire; who has seen a
//! word of a later transaction sees, by the fence (Release) behind the odd number and the fence (Acquire) before the second look, that
//! the number has changed.

use std::cell::Cell;

use super::At;
use super::body::{Heap, control, corrupted};
use crate::error::{Error, Kind, Result};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed},
    fence,
};

/// Words of a heap, as somebody sees them.
pub(crate) struct View<'h> {
    heap: &'h Heap,
    /// `None` for who has the lock.
    sequence: Option<u64>,
    steps: Cell<u64>,
}

/// How often a reader without the lock tries, before it takes its turn. A guess.
const ATTEMPTS: u32 = 16;

/// After so many words it looks whether what it sees is still there. A guess.
const STEPS: u64 = 256;

impl<'h> View<'h> {
    /// For who has the lock.
    pub(super) fn locked(heap: &'h Heap) -> Self {
        View { heap, sequence: None, steps: Cell::new(0) }
    }

    pub(crate) fn heap(&self) -> &'h Heap {
        self.heap
    }

    #[inline]
    pub(crate) fn load(&self, at: At) -> Result<u64> {
        Ok(self.heap.word(at)?.load(Relaxed))
    }

    #[inline]
    pub(super) fn words(&self, at: At, count: usize) -> Result<&'h [AtomicU64]> {
        self.heap.words(at, count)
    }

    /// A search begins, or a copy of many things.
    pub(super) fn begin_search(&self) {
        self.steps.set(0);
    }

    /// It has looked at so many words more; an error if it is in vain, or goes round.
    #[inline]
    pub(super) fn step(&self, words: usize) -> Result<()> {
        let (before, after) = (self.steps.get(), self.steps.get().saturating_add(words as u64));
        self.steps.set(after);
        if before / STEPS == after / STEPS {
            return Ok(());
        }
        // Nothing is looked at twice, but for heads of what is copied.
        if after > 2 * self.heap.known() as u64 {
            return Err(corrupted(0, after));
        }
        if self.is_whole() { Ok(()) } else { Err(Error::Held { object: Kind::Manager }) }
    }

    /// Whether all that was copied so far was there at once (V1).
    #[inline]
    fn is_whole(&self) -> bool {
        self.sequence.is_none_or(|sequence| self.heap.was_whole(sequence))
    }
}

impl Heap {
    /// The number to look at again when what is there has been copied (V1); `None` if somebody is changing something.
    #[inline]
    pub(super) fn begin_reading(&self) -> Option<u64> {
        let sequence = self.control(control::SEQUENCE).load(Acquire); // pairs with the Release in `make_even`
        sequence.is_multiple_of(2).then_some(sequence)
    }

    /// Whether all that was copied since then was there at once (V1).
    #[inline]
    pub(super) fn was_whole(&self, sequence: u64) -> bool {
        fence(Acquire); // pairs with the fence in `put`
        self.control(control::SEQUENCE).load(Relaxed) == sequence
    }

    /// What `look` finds, all of one instant. It may be called several times, and what it finds may be wrong each time but the last.
    #[inline]
    pub(crate) fn read<R>(&self, mut look: impl FnMut(&View<'_>) -> Result<R>) -> Result<R> {
        for _ in 0..ATTEMPTS {
            let Some(sequence) = self.begin_reading() else {
                std::hint::spin_loop();
                continue;
            };
            let view = View { heap: self, sequence: Some(sequence), steps: Cell::new(0) };
            let found = look(&view);
            if view.is_whole() {
                return found;
            }
        }
        self.transact(|transaction| look(transaction))
    }
}
