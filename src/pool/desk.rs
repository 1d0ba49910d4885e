//! Results that a worker has not sent yet, where its death does not take them away.
//!
//! A record for each result would cost more than most calls do, and results that are kept until there are many would die with the
//! worker, and be late. So it writes them down here, in memory that nobody else writes to as long as it lives, and sends them
//! together. The pool reads the desk of a dead worker, behind what it has sent, and that of one for whose results somebody waits.
//!
//! D1. `PROGRESS` says how many bytes of results there are; it grows after they are there.
//! D2. `FIRST` is the number of the call of the first result. Bytes that are there change only after `PROGRESS` has become zero, and
//!     `FIRST` or `TASK` has changed; and it becomes zero only after what was here has been sent. So each result is in a record or
//!     here, or in both: the pool knows by the number. What it finds here while results before it are on their way in a record, it
//!     leaves for the next look.
//!
//! Orderings: the Release of `PROGRESS` publishes the bytes to who reads it with Acquire (D1). Who reads the desk of a worker that
//! lives looks twice at all three words: a copy in which bytes of the next results are mixed sees them changed, by the fences
//! (Release) before those bytes are written and (Acquire) after the copy (D2).
//!
//! | words  | name     | meaning                                                          |
//! |--------|----------|------------------------------------------------------------------|
//! | 0      | TASK     | the cell in bits 0-15, its generation above                      |
//! | 1      | FIRST    | the number of the first call whose result is here                |
//! | 2      | PROGRESS | bytes of results                                                 |
//! | 8-     |          | each result: its length, as in `results.rs`, and the result      |
//!
//! Source: Boehm, "Can Seqlocks Get Along with Programming Language Memory Models?" (MSPC 2012), for the second look.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::cell::RawArray;
use crate::error::Result;
use crate::fault::crash_point;
use crate::segment::Region;

/// Bytes of results. A guess: some thousand short ones.
const BYTES: usize = 16 << 10;

const TASK: usize = 0;
const FIRST: usize = 1;
const PROGRESS: usize = 2;
const HEAD: usize = 8;
const WORDS: usize = HEAD + BYTES / 8;

/// Desks for so many workers.
pub(super) fn make(workers: usize) -> Result<RawArray<AtomicU64>> {
    RawArray::new(workers * WORDS)
}

/// Those that have come from the pool, one at least: whoever has written the array says how long it is.
pub(super) fn some<'de, D: Deserializer<'de>>(decoder: D) -> Result<RawArray<AtomicU64>, D::Error> {
    let desks = RawArray::<AtomicU64>::deserialize(decoder)?;
    if desks.len() >= WORDS {
        return Ok(desks);
    }
    Err(D::Error::custom(format!("the desks of a pool in {} words", desks.len())))
}

/// The desk at one place.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    words: &'a [AtomicU64],
}

/// What is on it.
pub(super) struct Found {
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
        self.words[FIRST].store(first, Relaxed);
        fence(Release); // pairs with the fence in `look`
    }

    /// Puts the next result behind so many bytes of others; false if there is no room.
    #[inline]
    pub(super) fn put(self, used: usize, result: &[u8]) -> bool {
        if used + result.len() > BYTES {
            return false;
        }
        self.bytes().part(used, result.len()).write(result);
        crash_point!("pool.written");
        self.words[PROGRESS].store((used + result.len()) as u64, Release); // D1; pairs with `look`
        crash_point!("pool.put");
        true
    }

    /// All has been sent; `first` is the next call.
    pub(super) fn clear(self, first: u64) {
        self.words[PROGRESS].store(0, Relaxed);
        crash_point!("pool.cleared");
        self.words[FIRST].store(first, Relaxed);
        fence(Release); // pairs with the fence in `look`
    }

    /// What is there; `None` if the worker has changed it meanwhile.
    pub(super) fn look(self) -> Option<Found> {
        let words = || [TASK, FIRST].map(|word| self.words[word].load(Relaxed));
        let [task, first] = words();
        let used = self.words[PROGRESS].load(Acquire); // pairs with the Release in `put`
        let mut results = Vec::new();
        self.bytes().part(0, (used as usize).min(BYTES)).append_to(&mut results).ok()?;
        fence(Acquire); // pairs with the fences in `begin` and `clear`
        let is_same = words() == [task, first] && self.words[PROGRESS].load(Relaxed) >= used;
        is_same.then_some(Found { cell: (task & 0xffff) as usize, generation: task >> 16, first, results })
    }

    /// The worker is dead, and all has been taken.
    pub(super) fn clear_up(self) {
        self.words[PROGRESS].store(0, Relaxed);
    }
}
