//! Results that a worker has not sent yet, where its death does not take them away.
//!
//! A record for each result would cost more than most calls do, and results that are kept until there are many would die with the
//! worker. So it writes them down here, in memory that nobody else touches as long as it lives, and sends them together. The pool
//! reads a dead worker's desk, behind what it has sent.
//!
//! D1. `PROGRESS` says how many results there are and how long they are; it grows after their bytes are there.
//! D2. `FIRST` is the number of the call of the first result. It changes only while `PROGRESS` is zero, and that is zero only after
//!     what was here has been sent. So each result is in a record or here, or in both: the pool knows by the number.
//!
//! | words  | name     | meaning                                                                     |
//! |--------|----------|-----------------------------------------------------------------------------|
//! | 0      | TASK     | the cell in bits 0-15, its generation above                                 |
//! | 1      | FIRST    | the number of the first call whose result is here                           |
//! | 2      | PROGRESS | bytes of results in bits 0-31, their number above                           |
//! | 3      | WANTED   | not 0: somebody would like to have results that are finished                |
//! | 8-     |          | each result: its length in four bytes, and the encoded result               |

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::cell::RawArray;
use crate::error::Result;
use crate::segment::Region;

/// Bytes of results. A guess: some thousand short ones.
const BYTES: usize = 16 << 10;

const TASK: usize = 0;
const FIRST: usize = 1;
const PROGRESS: usize = 2;
const WANTED: usize = 3;
const HEAD: usize = 8;
const WORDS: usize = HEAD + BYTES / 8;

/// Desks for so many workers.
pub(super) fn make(workers: usize) -> Result<RawArray<AtomicU64>> {
    RawArray::new(workers * WORDS)
}

/// The desk at one place.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    words: &'a [AtomicU64],
}

/// What was on it.
pub(super) struct Left {
    pub(super) cell: usize,
    pub(super) generation: u64,
    pub(super) first: u64,
    pub(super) results: Vec<u8>,
}

impl<'a> Desk<'a> {
    pub(super) fn of(desks: &'a RawArray<AtomicU64>, place: usize) -> Self {
        let place = place % (desks.len() / WORDS);
        Desk { words: &desks[place * WORDS..(place + 1) * WORDS] }
    }

    fn bytes(self) -> Region<'a> {
        Region::of(&self.words[HEAD..])
    }

    /// Makes it ready for a task.
    pub(super) fn begin(self, cell: usize, generation: u64, first: u64) {
        self.words[PROGRESS].store(0, Relaxed); // all has been sent (D2)
        self.words[TASK].store(cell as u64 | generation << 16, Relaxed);
        self.words[FIRST].store(first, Release); // behind PROGRESS, for who reads it after a death
    }

    /// Puts the next result behind so many bytes of `count` others; false if there is no room.
    #[inline]
    pub(super) fn put(self, used: usize, result: &[u8], count: u64) -> bool {
        if used + result.len() > BYTES {
            return false;
        }
        self.bytes().part(used, result.len()).write(result);
        self.words[PROGRESS].store((used + result.len()) as u64 | (count + 1) << 32, Release); // D1
        true
    }

    /// All has been sent; `first` is the next call.
    pub(super) fn clear(self, first: u64) {
        self.words[PROGRESS].store(0, Relaxed);
        self.words[FIRST].store(first, Release);
    }

    /// Asks for what is finished.
    pub(super) fn want(self) {
        self.words[WANTED].store(1, Relaxed);
    }

    /// Whether somebody has asked since the last time.
    #[inline]
    pub(super) fn is_wanted(self) -> bool {
        let is_wanted = self.words[WANTED].load(Relaxed) != 0;
        if is_wanted {
            self.words[WANTED].store(0, Relaxed);
        }
        is_wanted
    }

    /// What a dead worker has left; the desk is free for the next.
    pub(super) fn clear_up(self) -> Left {
        let task = self.words[TASK].load(Acquire);
        let first = self.words[FIRST].load(Acquire);
        let used = (self.words[PROGRESS].load(Acquire) as u32 as usize).min(BYTES);
        let mut results = Vec::new();
        // Without memory for it, the calls are lost with the worker.
        let _ = self.bytes().part(0, used).append_to(&mut results);
        self.words[PROGRESS].store(0, Relaxed);
        self.words[WANTED].store(0, Relaxed);
        Left { cell: (task & 0xffff) as usize, generation: task >> 16, first, results }
    }
}
