//! A lock that the thread which holds it may lock again.
//!
//! Promise: that of `lock.rs`; and the lock is free when the thread that holds it has unlocked as often as it has locked.
//!
//! | state          | next, by                                                                                  |
//! |----------------|-------------------------------------------------------------------------------------------|
//! | free           | anyone: the lock's word (`lock.rs`), then depth = 1                                        |
//! | owned          | its owner: depth + 1; depth - 1; with a depth of 1, the lock's word to free                |
//! |                | its owner, for a while: depth = 1, free; owned again, and the depth that it was           |
//! | owned by a dead peer | anyone, as if it were free                                                           |
//!
//! I1. Who holds the lock is said by one word, process and thread: nobody takes another's lock for its own, whatever the depth
//!     says, and whoever acquires sets it. So a dead owner's depth means nothing.
//! I2. Only the owner writes the depth; a depth that cannot be is an error, and counts as 1 when the lock is given back.
//! I3. DIRTY stays in the word while the lock is held, as it concerns all levels: each is told until one of them repairs.
//!
//! Orderings: the depth is its owner's own; between owners the lock's word orders. So every access is Relaxed.

use std::mem::offset_of;

use super::lock::{Acquired, Claim, LockWord, Refused};
use crate::fault::crash_point;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;

/// All zero: free and clean.
///
/// | offset | size | field | meaning                                     |
/// |--------|------|-------|---------------------------------------------|
/// | 0      | 8    | word  | `word/lock.rs`                              |
/// | 8      | 8    | depth | how often its owner has locked it; if owned |
#[repr(C)]
pub(crate) struct RLockWords {
    word: LockWord,
    depth: AtomicU64,
}

/// Why the lock was not got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotLocked {
    /// Somebody else has it.
    Held,
    /// This thread has it, at a depth that cannot be.
    Corrupted(u64),
}

#[cfg(all(test, loom))]
impl RLockWords {
    pub(crate) fn new() -> Self {
        RLockWords { word: LockWord::from(AtomicU64::new(0)), depth: AtomicU64::new(0) }
    }
}

impl RLockWords {
    /// Offset of the depth.
    pub(crate) const DEPTH: u64 = offset_of!(RLockWords, depth) as u64;

    /// Takes the lock if nobody else alive holds it.
    #[inline]
    pub(crate) fn try_acquire(&self, claim: Claim, liveness: &Liveness) -> Result<Acquired, NotLocked> {
        if self.word.is_held_by(claim) {
            return self.deepen();
        }
        self.begin(self.word.try_acquire(claim, liveness), 1)
    }

    /// Waits until it has the lock, or until the deadline.
    #[inline]
    pub(crate) fn acquire(
        &self,
        claim: Claim,
        liveness: &Liveness,
        deadline: Deadline,
        spin: &Spin,
    ) -> Result<Acquired, NotLocked> {
        if self.word.is_held_by(claim) {
            return self.deepen();
        }
        self.begin(self.word.acquire(claim, liveness, deadline, spin), 1)
    }

    /// Gives back all levels, for the claim's thread; how many they were.
    pub(crate) fn release_all(&self, claim: Claim) -> u64 {
        let depth = self.depth.load(Relaxed);
        self.depth.store(1, Relaxed);
        self.release(claim);
        depth
    }

    /// As [`acquire`](Self::acquire), with all levels that [`release_all`](Self::release_all) has given back.
    pub(crate) fn acquire_all(
        &self,
        claim: Claim,
        liveness: &Liveness,
        deadline: Deadline,
        spin: &Spin,
        depth: u64,
    ) -> Result<Acquired, NotLocked> {
        self.begin(self.word.acquire(claim, liveness, deadline, spin), depth)
    }

    #[inline]
    fn begin(&self, acquired: Result<Acquired, Refused>, depth: u64) -> Result<Acquired, NotLocked> {
        // AlreadyHeld: a peer that does not follow the protocol has put this thread into the word just now.
        let acquired = acquired.map_err(|_| NotLocked::Held)?;
        self.depth.store(depth, Relaxed);
        crash_point!("rlock.begun");
        Ok(acquired)
    }

    /// One level more; the lock is ours.
    #[inline]
    fn deepen(&self) -> Result<Acquired, NotLocked> {
        let depth = self.depth.load(Relaxed);
        match depth.checked_add(1) {
            Some(deeper) if depth > 0 => self.depth.store(deeper, Relaxed),
            _ => return Err(NotLocked::Corrupted(depth)),
        }
        crash_point!("rlock.deepened");
        Ok(self.word.acquired())
    }

    /// One level less, for the claim's thread; with the last one the lock is free.
    #[inline]
    pub(crate) fn release(&self, claim: Claim) {
        // Somebody has written a depth that was too small, and the lock was given back before; or the lock could not be had again
        // after it was lent, as a peer that does not follow the protocol had put this thread into the word.
        if !self.word.is_held_by(claim) {
            return;
        }
        let depth = self.depth.load(Relaxed);
        if depth > 1 {
            self.depth.store(depth - 1, Relaxed);
            crash_point!("rlock.raised");
        } else {
            self.word.release(self.word.acquired() == Acquired::Dirty);
        }
    }

    /// Says that nothing is half done any more; for all levels.
    pub(crate) fn repair(&self, claim: Claim) {
        if self.word.is_held_by(claim) {
            self.word.repair();
        }
    }
}
