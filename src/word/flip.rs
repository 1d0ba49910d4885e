//! Two copies and a sequence number: a value that is never seen half written.
//!
//! Promise: a reader gets the value of some commit, whole, without waiting for a writer; a writer that is killed at any
//! instruction leaves the value of the last commit. Writers take turns by other means (a lock).
//!
//! I1. Copy `sequence % 2` holds the value of the last commit. A writer writes the other one, then stores
//!     `sequence + 1`: that store is the commit.
//! I2. A reader copies the active half and looks at the sequence again. The half it copied is written to only for
//!     commit `sequence + 2`, so not before `sequence + 1` was stored: an unchanged sequence means a whole copy.
//! I3. The sequence has 64 bits and does not come round.
//!
//! Readers that meet a commit at every attempt would read for ever; between attempts a reader may take the writers' lock
//! if it is free, behind which nothing moves. `read` makes one attempt and leaves that to its caller.
//!
//! Orderings: a commit's Release publishes the words to the reader's first Acquire. The other direction is Boehm, "Can
//! Seqlocks Get Along With Programming Language Memory Models?" (2012), section 4: a reader that has seen a word of
//! commit n + 2 must see the sequence n + 1 in its second look. The writer's fence(Release) before its first word and
//! the reader's fence(Acquire) after its last make that so. The words themselves are Relaxed.

use crate::fault::crash_point;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// The number of commits so far. All zero: no commit, and copy 0 is active.
#[repr(transparent)]
pub(crate) struct Sequence(AtomicU64);

#[cfg(all(test, loom))]
impl From<AtomicU64> for Sequence {
    fn from(word: AtomicU64) -> Self {
        Sequence(word)
    }
}

impl Sequence {
    /// Copies the value into `out`; false if a writer came between, and `out` then holds anything.
    ///
    /// `words`: both copies, one after the other.
    #[inline]
    pub(crate) fn read(&self, words: &[AtomicU64], out: &mut [u8]) -> bool {
        let before = self.0.load(Acquire); // pairs with the Release in `write`
        load(half(words, before), out);
        fence(Acquire); // pairs with the fence in `write` (I2)
        self.0.load(Relaxed) == before
    }

    /// Writes the next value and commits it. Only one writer at a time, which has seen the commit before.
    #[inline]
    pub(crate) fn write(&self, words: &[AtomicU64], value: &[u8]) {
        let last = self.0.load(Relaxed);
        let next = last.wrapping_add(1);
        fence(Release); // pairs with the fence in `read` (I2)
        crash_point!("value.writing");
        store(half(words, next), value);
        crash_point!("value.written");
        self.0.store(next, Release); // publishes the words to the Acquire in `read`
        crash_point!("value.committed");
    }
}

/// The copy that is active at `sequence`.
#[inline]
fn half(words: &[AtomicU64], sequence: u64) -> &[AtomicU64] {
    let (even, odd) = words.split_at(words.len() / 2);
    if sequence.is_multiple_of(2) { even } else { odd }
}

/// Words to bytes; the last word may be used in part.
#[inline]
fn load(words: &[AtomicU64], out: &mut [u8]) {
    let (whole, rest) = out.as_chunks_mut::<8>();
    for (bytes, word) in whole.iter_mut().zip(words) {
        *bytes = word.load(Relaxed).to_ne_bytes();
    }
    if let Some(word) = words.get(whole.len()) {
        rest.copy_from_slice(&word.load(Relaxed).to_ne_bytes()[..rest.len()]);
    }
}

/// Bytes to words; what is left of the last word is zero.
#[inline]
fn store(words: &[AtomicU64], value: &[u8]) {
    let (whole, rest) = value.as_chunks::<8>();
    for (bytes, word) in whole.iter().zip(words) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
    if let Some(word) = words.get(whole.len()) {
        let mut bytes = [0; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_ne_bytes(bytes), Relaxed);
    }
}
