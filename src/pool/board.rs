//! What a pool and its workers share: whose each task is, and how many there are.
//!
//! A task (a chunk of one or more calls) that has been put into the queue has a *cell*: a word that says whose it is
//! ([`errand`]), and when it was started. The message in the queue names the cell and its generation.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::cell::RawArray;
use crate::error::Result;
use crate::word::errand;

/// How many tasks may be in the queue or with workers. A guess: many enough that workers do not wait for the pool.
pub(super) const CELLS: usize = 256;

/// Where the counts are, before a word for each worker and two for each cell.
const SUBMITTED: usize = 0;
const DONE: usize = 1;
const FAILED: usize = 2;
const COUNTS: usize = 3;

/// A handle, which travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Board {
    #[serde(deserialize_with = "whole")]
    words: RawArray<AtomicU64>,
}

/// Whoever has written the array says how long it is: one without all that is here, of a single worker at least, is none.
fn whole<'de, D: Deserializer<'de>>(decoder: D) -> Result<RawArray<AtomicU64>, D::Error> {
    let words = RawArray::<AtomicU64>::deserialize(decoder)?;
    if words.len() > COUNTS + 2 * CELLS {
        return Ok(words);
    }
    Err(D::Error::custom(format!("the counts of a pool in {} words", words.len())))
}

impl Board {
    pub(super) fn new(workers: usize) -> Result<Self> {
        Ok(Board { words: RawArray::new(COUNTS + workers + 2 * CELLS)? })
    }

    fn workers(&self) -> usize {
        self.words.len() - COUNTS - 2 * CELLS
    }

    fn cell(&self, cell: usize) -> &AtomicU64 {
        &self.words[COUNTS + self.workers() + 2 * (cell % CELLS)]
    }

    fn start(&self, cell: usize) -> &AtomicU64 {
        &self.words[COUNTS + self.workers() + 2 * (cell % CELLS) + 1]
    }

    /// As [`errand::queue`].
    pub(super) fn queue(&self, cell: usize, generation: u64) {
        errand::queue(self.cell(cell), generation);
    }

    /// As [`errand::withdraw`].
    pub(super) fn withdraw(&self, cell: usize, generation: u64) -> bool {
        errand::withdraw(self.cell(cell), generation)
    }

    /// As [`errand::start`]. `at`: when, for who limits the time.
    pub(super) fn start_task(&self, cell: usize, generation: u64, worker: u32, at: u64) -> bool {
        // Another worker that has the same message may write here, too: then it is a moment earlier or later.
        self.start(cell).store(at, Relaxed);
        errand::start(self.cell(cell), generation, worker)
    }

    /// As [`errand::end`].
    pub(super) fn end_task(&self, cell: usize, generation: u64, worker: u32) -> bool {
        errand::end(self.cell(cell), generation, worker)
    }

    /// As [`errand::starter`], and when.
    pub(super) fn starter(&self, cell: usize, generation: u64) -> Option<(u32, u64)> {
        let worker = errand::starter(self.cell(cell), generation)?;
        Some((worker, self.start(cell).load(Relaxed)))
    }

    /// As [`errand::ender`].
    pub(super) fn ender(&self, cell: usize, generation: u64) -> Option<u32> {
        errand::ender(self.cell(cell), generation)
    }

    /// As [`errand::condemn`].
    pub(super) fn condemn(&self, cell: usize, generation: u64, worker: u32) -> bool {
        errand::condemn(self.cell(cell), generation, worker)
    }

    /// How many calls a worker has in hand, by its place in the pool.
    pub(super) fn set_running(&self, place: usize, calls: u64) {
        self.words[COUNTS + place % self.workers()].store(calls, Relaxed);
    }

    pub(super) fn running(&self) -> u64 {
        self.words[COUNTS..COUNTS + self.workers()].iter().map(|word| word.load(Relaxed)).fold(0, u64::saturating_add)
    }

    pub(super) fn count_submitted(&self, calls: u64) {
        self.words[SUBMITTED].fetch_add(calls, Relaxed);
    }

    /// Calls that are not run, and not wanted any more.
    pub(super) fn count_dropped(&self, calls: u64) {
        self.words[SUBMITTED].fetch_sub(calls, Relaxed);
    }

    pub(super) fn count_done(&self, calls: u64) {
        self.words[DONE].fetch_add(calls, Relaxed);
    }

    pub(super) fn count_failed(&self, calls: u64) {
        self.words[FAILED].fetch_add(calls, Relaxed);
    }

    /// Submitted, done, failed.
    pub(super) fn counts(&self) -> [u64; 3] {
        [SUBMITTED, DONE, FAILED].map(|index| self.words[index].load(Relaxed))
    }
}
