//! Changes that happen as a whole, or not at all.
//!
//! T1. One process at a time changes a heap: it has the lock.
//! T2. The old value of a word is in the notes, and NOTED counts it, before the word changes; but for words of blocks that were free when
//!     the transaction began, behind those that link free blocks: nobody looks at these.
//! T3. A transaction ends with NOTED = 0: that store is the commit.
//! T4. Whoever takes the lock and finds NOTED > 0 puts the old values back, the last one first, and then has NOTED = 0. Killed within,
//!     it leaves the same to do.
//! T5. Blocks that a transaction frees are free at its end: what it allocates was free when it began (T2).
//!
//! Orderings: between living owners the lock orders. A killed one leaves a prefix of what it did in program order, as in `word/undo.rs`;
//! the fences here also keep the compiler from changing that order.

use std::ops::Deref;

use super::At;
use super::body::{Heap, NOTES, control};
use super::view::View;
use crate::error::{Error, Kind, Result};
use crate::fault::crash_point;
use crate::segment::Ownership;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
    fence,
};

pub(crate) struct Transaction<'h> {
    heap: &'h Heap,
    view: View<'h>,
    turn: Ownership<'h>,
    /// Old values in the notes; `None` before the first change.
    noted: Option<usize>,
    /// Blocks that are free at the end.
    freed: Vec<At>,
    /// What makes room may use what is kept back for that.
    uses_reserve: bool,
}

/// How much is done towards taking garbage apart behind each transaction that leaves some. A guess.
const CHORES: usize = 64;

impl Heap {
    /// Does `work` as a whole, or not at all: if it fails, or panics, or this process is killed in the midst. If there is no room, what
    /// nobody needs is freed, and it is tried once more.
    pub(crate) fn transact<R>(&self, mut work: impl FnMut(&mut Transaction<'_>) -> Result<R>) -> Result<R> {
        match self.transact_once(&mut work) {
            Err(Error::NoSpace { .. }) => self.transact_once(work),
            result => result,
        }
    }

    /// As [`transact`](Self::transact); what there is no room for is not tried again.
    pub(crate) fn transact_once<R>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<R>) -> Result<R> {
        let mut transaction = Transaction::new(self)?;
        let result = work(&mut transaction).and_then(|result| transaction.end().map(|()| result));
        match result {
            Ok(_) => drop(transaction.tidy()),
            Err(Error::NoSpace { .. }) => {
                drop(transaction);
                self.make_room();
            }
            Err(_) => {}
        }
        result
    }

    /// Frees what nobody needs, all of it.
    fn make_room(&self) {
        let tidy = || while Transaction::new(self).is_ok_and(|mut transaction| transaction.tidy()) {};
        tidy();
        if self.sweep().is_ok() {
            tidy();
        }
    }

    /// Puts back what a killed process was at. Only with the lock.
    fn recover(&self) {
        let noted = self.control(control::NOTED).load(Relaxed);
        let sequence = self.control(control::SEQUENCE).load(Relaxed);
        if noted == 0 && sequence.is_multiple_of(2) {
            return;
        }
        if noted > 0 {
            self.put_back(noted);
        }
        self.control(control::SEQUENCE).store((sequence | 1).wrapping_add(1), Release); // V1
    }

    /// T4.
    fn put_back(&self, noted: u64) {
        let noted = usize::try_from(noted).unwrap_or(NOTES).min(NOTES);
        for note in self.notes()[..2 * noted].rchunks(2) {
            // An address where nothing is, is nothing that was changed.
            if let (Ok(word), old) = (self.word(note[0].load(Relaxed)), note[1].load(Relaxed)) {
                put(word, old);
            }
        }
        put(self.control(control::NOTED), 0);
    }
}

/// Every change of shared memory by a transaction.
#[inline]
fn put(word: &AtomicU64, value: u64) {
    #[cfg(test)]
    super::tests::count_down();
    word.store(value, Relaxed);
    fence(Release);
}

impl<'h> Transaction<'h> {
    fn new(heap: &'h Heap) -> Result<Self> {
        let turn = heap.acquire()?;
        heap.recover();
        Ok(Transaction { heap, view: View::locked(heap), turn, noted: None, freed: Vec::new(), uses_reserve: false })
    }

    /// Says that there will be changes (V1); how many words have been noted.
    fn begin(&mut self) -> Result<usize> {
        if !self.turn.is_ours() {
            return Err(Error::ForkedCopy { object: Kind::Manager });
        }
        match self.noted {
            Some(noted) => Ok(noted),
            None => {
                let sequence = self.heap.control(control::SEQUENCE);
                put(sequence, sequence.load(Relaxed).wrapping_add(1));
                crash_point!("heap.begun");
                self.noted = Some(0);
                Ok(0)
            }
        }
    }

    /// Changes a word.
    pub(crate) fn store(&mut self, at: At, value: u64) -> Result<()> {
        let (heap, noted) = (self.heap, self.begin()?);
        let word = heap.word(at)?;
        let Some(note) = heap.notes().get(2 * noted..2 * noted + 2) else {
            return Err(Error::TooManyChanges { asked: NOTES + 1, fit: NOTES });
        };
        put(&note[0], at);
        put(&note[1], word.load(Relaxed));
        put(heap.control(control::NOTED), noted as u64 + 1); // T2
        self.noted = Some(noted + 1);
        crash_point!("heap.noted");
        put(word, value);
        Ok(())
    }

    /// Fills a word of a block that this transaction has allocated.
    pub(crate) fn fill(&mut self, at: At, value: u64) -> Result<()> {
        self.begin()?;
        put(self.heap.word(at)?, value);
        Ok(())
    }

    /// From now on it may use what is kept back for making room.
    pub(super) fn use_reserve(&mut self) {
        self.uses_reserve = true;
    }

    pub(super) fn uses_reserve(&self) -> bool {
        self.uses_reserve
    }

    /// Has the block of this payload free at the end (T5).
    pub(crate) fn free(&mut self, payload: At) {
        self.freed.push(payload);
    }

    /// Makes what was changed so far final (T3). What follows is another transaction.
    pub(super) fn end(&mut self) -> Result<()> {
        while let Some(payload) = self.freed.pop() {
            self.release(payload)?;
        }
        if self.noted.is_some() {
            self.begin()?;
            self.noted = None;
            crash_point!("heap.ending");
            let heap = self.heap;
            put(heap.control(control::NOTED), 0);
            crash_point!("heap.ended");
            self.make_even();
        }
        Ok(())
    }

    /// Takes some garbage apart, in transactions of their own; whether there may be more.
    fn tidy(&mut self) -> bool {
        for _ in 0..CHORES {
            if self.heap.control(control::GARBAGE).load(Relaxed) == 0 {
                return false;
            }
            // What cannot be taken apart stays where it is.
            if self.take_apart().and_then(|()| self.end()).is_err() {
                self.undo();
                return false;
            }
        }
        true
    }

    /// Puts back what was changed since the last end. In a forked copy of the process that changed it, nothing.
    pub(super) fn undo(&mut self) {
        self.freed.clear();
        if let Some(noted) = self.noted.take()
            && self.turn.is_ours()
        {
            self.heap.put_back(noted as u64);
            self.make_even();
        }
    }

    fn make_even(&self) {
        let sequence = self.heap.control(control::SEQUENCE);
        sequence.store((sequence.load(Relaxed) | 1).wrapping_add(1), Release); // V1
    }
}

impl<'h> Deref for Transaction<'h> {
    type Target = View<'h>;

    fn deref(&self) -> &View<'h> {
        &self.view
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        #[cfg(test)]
        if super::tests::is_dead() {
            return;
        }
        self.undo();
    }
}
