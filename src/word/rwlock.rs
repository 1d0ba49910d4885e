//! The words of a readers-writer lock that survives all who have it.
//!
//! Promise: one live writer or any number of live readers at a time; whoever is killed at any instruction keeps others waiting
//! no longer than it takes them to find out; what a writer was killed at is reported to everybody until a writer repairs;
//! what a reader, or a writer that still waited for readers, was killed at is nobody's concern. Neither writers nor
//! readers wait for ever while the others come and go (I4, I5).
//!
//! | the writer's word | meaning                            | next, by                                                  |
//! |-------------------|------------------------------------|-----------------------------------------------------------|
//! | free              | readers may come in                | a writer: CAS to owned, WHOLE                              |
//! | owned, WHOLE      | PENDING: a writer waits for readers | its owner: HELD, once it has seen none; free, if it gives up |
//! | owned             | HELD                               | its owner: free, DIRTY unless repaired                     |
//! | owned by a dead peer | as it was                       | a writer: PENDING. A reader: the same, counts itself, and gives the word back |
//!
//! It is a lock's word (`lock.rs`), which says what becomes of a dead owner and of DIRTY, and who of several writers is next.
//! Each peer has a word of its own that counts its readers:
//!
//! | bits  | name  | meaning                                                                              |
//! |-------|-------|--------------------------------------------------------------------------------------|
//! | 0-31  | COUNT | how many readers there are, or are about to look at the writer's word                 |
//! | 32-62 | ID    | of the process that counts; another one than the place's present owner is dead        |
//!
//! I1. A process counts in the word of its place alone, by additions; over what a dead owner of the place has left it
//!     writes itself, by a compare-exchange.
//! I2. A reader counts itself, passes a fence, and looks at the writer's word: free, and it has the lock; else it takes its count back.
//!     A writer owns the writer's word, passes a fence, and looks at all counts. So the writer sees the count, or the
//!     reader the writer. A word whose readers are seen gone has none as long as the writer's word is owned: who counts there, takes it back.
//! I3. A word that a writer waits for is written off only after the kernel has said that its process can no longer run, and
//!     by a compare-exchange from the very word that was judged.
//! I4. No reader comes in while a writer is PENDING: it waits only for those who were there before.
//! I5. Of readers that wait, one comes in after at most `MOST_IN_A_ROW` writers: then those that do not just try let readers
//!     go first, until one has come in, but for the detection bound at most, as the reader may be dead, or stopped.
//!     That rests on a count of writers (`overtaken.rs`), which protects nothing.
//!
//! Orderings: what a writer has written reaches a reader by the Release and Acquire of the writer's word, and the next writer
//! likewise. What a reader has read is over before a writer goes on: Release in `leave`, Acquire in `drain`; additions and
//! compare-exchanges in between continue the release sequence. The fences of I2 are whole ones, each behind a
//! read-modify-write. Who sleeps, and who wakes it, is the eventcount's business (`eventcount.rs`, E1).
//!
//! Source: the reader indicators per thread of Calciu et al., "NUMA-Aware Reader-Writer Locks" (PPoPP 2013), section 3, with
//! the owner in each word.

use std::cell::Cell;
use std::mem::offset_of;

use super::PeerId;
use super::eventcount::EventCount;
use super::lock::{Acquired, Claim, LockWord, Refused};
use super::overtaken::Overtaken;
use crate::fault::crash_point;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::barrier;
use crate::sys::clock::Deadline;
use crate::sys::futex::BOUND;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;

/// The most readers of one process: as many again may come in between a look at the count and the addition.
const MOST_READERS: u64 = 1 << 31;

/// How often a process writes itself over what others have left in its place. A guess: the other threads of the process
/// could be so often faster only if they were not of this process.
const ATTEMPTS: u32 = 100;

/// What all share, but for the readers' words. All zero: free and clean.
///
/// | offset | size | field     | meaning                                                            |
/// |--------|------|-----------|--------------------------------------------------------------------|
/// | 0      | 8    | writer    | who writes, or is about to: `word/lock.rs`                         |
/// | 8      | 8    | gone      | readers that wait for a writer to go sleep here: `word/eventcount.rs` |
/// | 16     | 8    | left      | the writer that waits for readers sleeps here                      |
/// | 24     | 8    | overtaken | how long readers have been waiting: `word/overtaken.rs`             |
/// | 32     | 8    | yielded   | writers that let readers go first sleep here                       |
#[repr(C)]
pub(crate) struct RwWords {
    writer: LockWord,
    gone: EventCount,
    left: EventCount,
    overtaken: Overtaken,
    yielded: EventCount,
}

impl RwWords {
    /// Offset of the writer's word.
    pub(crate) const WRITER: u64 = offset_of!(RwWords, writer) as u64;
}

#[cfg(all(test, loom))]
impl RwWords {
    /// With a reader that has been overtaken so often.
    pub(crate) fn overtaken(times: u64) -> Self {
        RwWords {
            writer: LockWord::from(AtomicU64::new(0)),
            gone: EventCount::new(),
            left: EventCount::new(),
            overtaken: Overtaken::from(AtomicU64::new(times)),
            yielded: EventCount::new(),
        }
    }
}

/// A peer's word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Readers(u64);

impl Readers {
    const COUNT: u64 = (1 << 32) - 1;
    const ONE: u64 = 1;

    /// The first reader of a process.
    fn first(id: PeerId) -> Self {
        Readers(u64::from(id.get()) << 32 | Self::ONE)
    }

    fn count(self) -> u64 {
        self.0 & Self::COUNT
    }

    fn id(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Why a reader did not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRead {
    /// As for a writer.
    Refused(Refused),
    /// The word of this process's place, as nobody who follows the protocol leaves it.
    Corrupted(u64),
}

/// How many words precede each other's neighbours in the table: the first so many peers have cache lines of their own.
const SPREAD: usize = 32;

/// How many words there are for so many peers.
pub(crate) const fn words_for(peers: u32) -> usize {
    (peers as usize).next_multiple_of(SPREAD)
}

/// How many readers a peer's word counts, for people. Dead ones count until somebody waits for them.
pub(crate) fn readers_in(word: u64) -> u64 {
    Readers(word).count()
}

/// The lock, as one process sees it.
#[derive(Clone, Copy)]
pub(crate) struct Rw<'a> {
    pub(crate) words: &'a RwWords,
    /// One for each peer (I1): [`words_for`] their number.
    pub(crate) readers: &'a [AtomicU64],
    pub(crate) liveness: &'a Liveness,
}

impl Rw<'_> {
    /// Comes in as a reader, unless a writer is there or waits.
    #[inline]
    pub(crate) fn try_read(self, id: PeerId) -> Result<Acquired, NotRead> {
        match self.enter(id)? {
            Some(acquired) => Ok(acquired),
            None => self.succeed(id).unwrap_or(Err(NotRead::Refused(Refused::Held))),
        }
    }

    /// Waits until it may come in as a reader, or until the deadline.
    #[inline]
    pub(crate) fn read(self, id: PeerId, deadline: Deadline, spin: &Spin) -> Result<Acquired, NotRead> {
        match self.enter(id)? {
            Some(acquired) => Ok(acquired),
            None => self.read_slow(id, deadline, spin),
        }
    }

    #[cold]
    fn read_slow(self, id: PeerId, deadline: Deadline, spin: &Spin) -> Result<Acquired, NotRead> {
        let RwWords { gone, overtaken, yielded, .. } = self.words;
        let mut says_so = false;
        let glance = || self.enter(id).transpose();
        let look = || {
            let result = glance().or_else(|| self.succeed(id));
            if result.is_none() {
                says_so |= overtaken.begin();
            }
            result
        };
        let result = gone.wait(|glance| spin.until(glance), deadline, glance, look);
        if matches!(result, Some(Ok(_))) {
            overtaken.end();
        } else if says_so {
            overtaken.give_up();
        }
        crash_point!("rwlock.no_longer_overtaken");
        yielded.notify_all();
        result.unwrap_or(Err(NotRead::Refused(Refused::Held)))
    }

    /// Goes as a reader.
    #[inline]
    pub(crate) fn leave(self, id: PeerId) {
        // Release: pairs with the Acquire in `drain`; what was read has been read.
        let before = Readers(self.word_of(id).fetch_add(Readers::ONE.wrapping_neg(), Release));
        crash_point!("rwlock.left");
        if before.count() == 1 {
            self.words.left.notify_one();
        }
    }

    /// One attempt to come in (I2).
    #[inline]
    fn enter(self, id: PeerId) -> Result<Option<Acquired>, NotRead> {
        if !self.words.writer.is_free() {
            return Ok(None); // no count that a writer would wait for
        }
        self.count(id)?;
        crash_point!("rwlock.counted");
        barrier::after_change(); // (I2)
        let acquired = self.words.writer.if_free();
        if acquired.is_none() {
            self.leave(id);
        }
        Ok(acquired)
    }

    /// Comes in by way of the writer's word, if its owner is dead.
    #[cold]
    fn succeed(self, id: PeerId) -> Option<Result<Acquired, NotRead>> {
        match self.words.writer.inherit(Claim::whole(id), self.liveness) {
            Ok(acquired) => {
                crash_point!("rwlock.inherited");
                let counted = self.count(id);
                self.give_back(acquired == Acquired::Dirty);
                Some(counted.map(|()| acquired))
            }
            Err(Refused::AlreadyHeld) => Some(Err(NotRead::Refused(Refused::AlreadyHeld))),
            Err(Refused::Held) => None,
        }
    }

    /// Counts this reader (I1).
    #[inline]
    fn count(self, id: PeerId) -> Result<(), NotRead> {
        let word = self.word_of(id);
        let mut found = Readers(word.load(Relaxed));
        for _ in 0..ATTEMPTS {
            if found.id() == id.get() {
                if found.count() >= MOST_READERS {
                    break;
                }
                word.fetch_add(Readers::ONE, Relaxed);
                return Ok(());
            }
            match word.compare_exchange(found.0, Readers::first(id).0, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(changed) => found = Readers(changed),
            }
        }
        Err(NotRead::Corrupted(found.0))
    }

    /// Comes in as a writer, if nobody is there.
    #[inline]
    pub(crate) fn try_write(self, id: PeerId) -> Result<Acquired, Refused> {
        let acquired = self.words.writer.try_acquire(Claim::whole(id), self.liveness)?;
        self.hold(acquired, None)
    }

    /// Waits until it may come in as a writer, or until the deadline; even then it comes in if nobody is there.
    #[inline]
    pub(crate) fn write(self, id: PeerId, deadline: Deadline, spin: &Spin) -> Result<Acquired, Refused> {
        let RwWords { writer, overtaken, .. } = self.words;
        let mut acquired = writer.acquire(Claim::whole(id), self.liveness, deadline, spin)?;
        if overtaken.is_too_often() {
            self.give_back(acquired == Acquired::Dirty);
            self.let_readers_go_first(deadline, spin);
            acquired = writer.acquire(Claim::whole(id), self.liveness, deadline, spin)?;
        }
        self.hold(acquired, Some((deadline, spin)))
    }

    /// Goes as a writer. `dirty`: it was got dirty, and its owner has not repaired.
    #[inline]
    pub(crate) fn unwrite(self, dirty: bool) {
        self.words.overtaken.count();
        self.give_back(dirty);
    }

    /// Frees the writer's word, which is ours, and wakes whom that kept waiting.
    #[inline]
    fn give_back(self, dirty: bool) {
        self.words.writer.release(dirty);
        self.words.gone.notify_all();
    }

    /// From PENDING to HELD, if there are no readers, or there is time to wait for their end.
    #[inline]
    fn hold(self, acquired: Acquired, patience: Option<(Deadline, &Spin)>) -> Result<Acquired, Refused> {
        crash_point!("rwlock.pending");
        barrier::after_change(); // (I2)
        let next = Cell::new(0);
        let drained = self.drain(&next, |_, _| true).or_else(|| match patience {
            None => self.drain(&next, |word, found| self.is_alive(word, found)),
            Some((deadline, spin)) => self.await_readers(&next, deadline, spin),
        });
        if drained.is_none() {
            self.give_back(acquired == Acquired::Dirty);
            return Err(Refused::Held);
        }
        self.words.writer.expose();
        crash_point!("rwlock.held");
        Ok(acquired)
    }

    #[cold]
    fn await_readers(self, next: &Cell<usize>, deadline: Deadline, spin: &Spin) -> Option<()> {
        let glance = || self.drain(next, |_, _| true);
        let look = || self.drain(next, |word, found| self.is_alive(word, found));
        self.words.left.wait(|glance| spin.until(glance), deadline, glance, look)
    }

    /// Goes on from the word `next` to the first one with readers; past all of them, if there is none. `has_readers`: whether a
    /// word that counts some has any that live.
    #[inline]
    fn drain(self, next: &Cell<usize>, has_readers: impl Fn(&AtomicU64, Readers) -> bool) -> Option<()> {
        let rest = self.readers.get(next.get()..).unwrap_or_default();
        for (passed, word) in rest.iter().enumerate() {
            let found = Readers(word.load(Acquire)); // pairs with the Release in `leave`
            if found.count() > 0 && has_readers(word, found) {
                next.set(next.get() + passed);
                return None;
            }
        }
        Some(())
    }

    /// Whether the process that counts is alive. The word of a dead one is written off (I3).
    #[cold]
    fn is_alive(self, word: &AtomicU64, found: Readers) -> bool {
        let is_written_off =
            self.liveness.is_dead(found.id()) && word.compare_exchange(found.0, 0, Relaxed, Relaxed).is_ok();
        crash_point!("rwlock.written_off");
        !is_written_off
    }

    /// Waits until one of the readers that wait has come in, but not for long (I5).
    #[cold]
    fn let_readers_go_first(self, deadline: Deadline, spin: &Spin) {
        let RwWords { overtaken, yielded, .. } = self.words;
        let look = || (!overtaken.is_too_often()).then_some(());
        if yielded.wait(|glance| spin.until(glance), deadline.within(BOUND), look, look).is_none() {
            overtaken.end();
        }
    }

    #[inline]
    fn word_of(&self, id: PeerId) -> &AtomicU64 {
        let stride = self.readers.len().div_ceil(SPREAD);
        &self.readers[id.slot() % SPREAD * stride + id.slot() / SPREAD]
    }
}
