//! What a pool and its workers share: whose each task is, and how many there are.
//!
//! A task (a chunk of one or more calls) that has been put into the queue has a *cell*: a word that says whose it is
//! ([`errand`]). The message in the queue names the cell and its generation. When a task was started stands at its worker's place, where
//! nobody else writes: several may have a cell's message at a time, and one of them that is late would write there of another task.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::cell::RawArray;
use crate::error::Result;
use crate::word::errand;

/// How many tasks may be in the queue or with workers; the docs of `queue_bound` say it. A guess: many enough that workers do not wait
/// for the pool.
pub(super) const CELLS: usize = 256;

/// Where the counts are, before two words for each worker and one for each cell.
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
    if words.len() > COUNTS + CELLS && (words.len() - COUNTS - CELLS).is_multiple_of(2) {
        return Ok(words);
    }
    Err(D::Error::custom(format!("the counts of a pool in {} words", words.len())))
}

impl Board {
    pub(super) fn new(workers: usize) -> Result<Self> {
        Ok(Board { words: RawArray::new(COUNTS + 2 * workers + CELLS)? })
    }

    fn workers(&self) -> usize {
        (self.words.len() - COUNTS - CELLS) / 2
    }

    fn running_at(&self, place: usize) -> &AtomicU64 {
        &self.words[COUNTS + place % self.workers()]
    }

    fn start_at(&self, place: usize) -> &AtomicU64 {
        &self.words[COUNTS + self.workers() + place % self.workers()]
    }

    fn cell(&self, cell: usize) -> &AtomicU64 {
        &self.words[COUNTS + 2 * self.workers() + cell % CELLS]
    }

    /// As [`errand::queue`].
    pub(super) fn queue(&self, cell: usize, generation: u64) {
        errand::queue(self.cell(cell), generation);
    }

    /// As [`errand::withdraw`].
    pub(super) fn withdraw(&self, cell: usize, generation: u64) -> bool {
        errand::withdraw(self.cell(cell), generation)
    }

    /// As [`errand::start`], by the worker of this number at this place. `at`: when, for who limits the time.
    pub(super) fn start_task(&self, cell: usize, generation: u64, (worker, place): (u32, usize), at: u64) -> bool {
        self.start_at(place).store(at, Relaxed);
        errand::start(self.cell(cell), generation, worker)
    }

    /// As [`errand::end`].
    pub(super) fn end_task(&self, cell: usize, generation: u64, worker: u32) -> bool {
        errand::end(self.cell(cell), generation, worker)
    }

    /// As [`errand::starter`].
    pub(super) fn starter(&self, cell: usize, generation: u64) -> Option<u32> {
        errand::starter(self.cell(cell), generation)
    }

    /// When the worker at this place began what it is at, as [`starter`](Self::starter) says; or a later time, as it may be at its next task by
    /// now.
    pub(super) fn start(&self, place: usize) -> u64 {
        self.start_at(place).load(Relaxed)
    }

    /// As [`errand::ender`].
    pub(super) fn ender(&self, cell: usize, generation: u64) -> Option<u32> {
        errand::ender(self.cell(cell), generation)
    }

    /// As [`errand::is_queued`].
    pub(super) fn is_queued(&self, cell: usize, generation: u64) -> bool {
        errand::is_queued(self.cell(cell), generation)
    }

    /// As [`errand::is_sound`].
    pub(super) fn is_sound(&self, cell: usize, generation: u64) -> bool {
        errand::is_sound(self.cell(cell), generation)
    }

    /// As [`errand::condemn`].
    pub(super) fn condemn(&self, cell: usize, generation: u64, worker: u32) -> bool {
        errand::condemn(self.cell(cell), generation, worker)
    }

    /// How many calls a worker has in hand, by its place in the pool.
    pub(super) fn set_running(&self, place: usize, calls: u64) {
        self.running_at(place).store(calls, Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that has read the clock, and been stopped, finds that its message is an old one.
    #[test]
    fn who_comes_too_late_for_a_task_does_not_change_when_the_next_one_began() {
        let board = Board::new(2).unwrap();
        let (late, next) = ((7, 0), (8, 1));
        board.queue(3, 1);
        assert!(board.withdraw(3, 1));
        board.queue(3, 2);
        assert!(board.start_task(3, 2, next, 500));
        assert!(!board.start_task(3, 1, late, 20));
        assert_eq!((board.starter(3, 2), board.start(next.1)), (Some(next.0), 500));
    }

    #[test]
    fn words_that_nobody_may_have_written_are_told_from_all_others() {
        let board = Board::new(1).unwrap();
        let are = || (board.is_queued(0, 5), board.is_sound(0, 5), board.is_sound(0, 4));
        assert_eq!(are(), (false, false, false));
        board.queue(0, 5);
        assert_eq!(are(), (true, true, false));
        assert!(board.start_task(0, 5, (7, 0), 0));
        assert_eq!(are(), (false, true, false));
        assert!(board.condemn(0, 5, 7));
        assert_eq!(are(), (false, true, false));
        board.queue(0, 5);
        assert!(board.start_task(0, 5, (7, 0), 0) && board.end_task(0, 5, 7));
        assert_eq!(are(), (false, true, false));
        // A worker of no number; free or started by nobody; of other generations.
        for word in [5 << 30 | 1 | 7 << 2, 5 << 30, 5 << 30 | 2, 6 << 30 | 1, u64::MAX, 0] {
            board.cell(0).store(word, Relaxed);
            assert!(!board.is_queued(0, 5) && !board.is_sound(0, 5), "{word:x}");
        }
    }

    #[test]
    fn no_word_has_two_meanings() {
        let board = Board::new(3).unwrap();
        (0..3).for_each(|place| board.set_running(place, 5));
        (0..3).for_each(|place| assert!(!board.start_task(CELLS - 1, 9, (1, place), 40 + place as u64)));
        (0..CELLS).for_each(|cell| board.queue(cell, 6));
        board.count_submitted(1);
        board.count_done(2);
        board.count_failed(3);
        assert_eq!((board.counts(), board.running()), ([1, 2, 3], 15));
        assert!((0..3).all(|place| board.start(place) == 40 + place as u64));
        assert!((0..CELLS).all(|cell| board.withdraw(cell, 6)));
        assert_eq!(board.words.len(), COUNTS + 2 * 3 + CELLS);
    }
}
