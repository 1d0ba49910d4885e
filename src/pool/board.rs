//! What a pool and its workers share: whose each task is, and how many there are.
//!
//! A task (a chunk of one or more calls) that has been put into the queue has a *cell*, a word that says whose it is. The
//! message in the queue names the cell and its generation.
//!
//! | state             | next, by                                                                            |
//! |-------------------|-------------------------------------------------------------------------------------|
//! | free(g)           | the pool: `QUEUED(g + 1)`, then the message                                           |
//! | queued(g)         | a worker: CAS to `STARTED(g, worker)`; the pool, which cancels: CAS to `FREE(g)`        |
//! | started(g, w)     | the worker: CAS to `FREE(g)` when all results are sent; the pool: CAS to `CONDEMNED(g, w)` |
//! | condemned(g, w)   | the pool, after the worker's death                                                   |
//!
//! C1. A worker holds the message until the cell is its own, so that the queue gives the message to another one if it dies
//!     before. Whoever gets a message whose cell is not `QUEUED` in its generation drops it: a task is started once.
//! C2. A worker that has died owns what its cell says, but for the results that it has sent.
//! C3. A worker whose cell is condemned never starts another task: it waits to be killed. So a kill that is meant for one task
//!     hits no other.
//! C4. The pool gives a cell to another task, under the next generation, once it has all results: it need not wait for `FREE`.
//!
//! Orderings: starting is an Acquire of what the pool stored before it queued the task, and a Release of the time of the start.
//! Results go through a channel, which has orderings of its own.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use serde::{Deserialize, Serialize};

use crate::cell::RawArray;
use crate::error::Result;

/// How many tasks may be in the queue or with workers. A guess: many enough that workers do not wait for the pool.
pub(super) const CELLS: usize = 256;

/// | bits  | name       | meaning                                        |
/// |-------|------------|------------------------------------------------|
/// | 0-1   | STATE      | 0 free, 1 queued, 2 started, 3 condemned       |
/// | 2-29  | WORKER     | who has started it                             |
/// | 30-63 | GENERATION | how often the cell has been given to a task    |
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

const FREE: u64 = 0;
const QUEUED: u64 = 1;
const STARTED: u64 = 2;
const CONDEMNED: u64 = 3;

impl Word {
    fn new(state: u64, worker: u32, generation: u64) -> Self {
        Word(state | u64::from(worker & MOST_WORKERS) << 2 | generation << 30)
    }
}

/// So many workers have numbers of their own, one after the other.
pub(super) const MOST_WORKERS: u32 = (1 << 28) - 1;

/// Where the counts are, before a word for each worker and two for each cell.
const SUBMITTED: usize = 0;
const DONE: usize = 1;
const FAILED: usize = 2;
const COUNTS: usize = 3;

/// A handle, which travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Board {
    words: RawArray<AtomicU64>,
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

    /// Makes a cell the next task's.
    pub(super) fn queue(&self, cell: usize, generation: u64) {
        self.cell(cell).store(Word::new(QUEUED, 0, generation).0, Release); // pairs with `start_task`
    }

    /// Takes a task that nobody has started back; whether it could.
    pub(super) fn withdraw(&self, cell: usize, generation: u64) -> bool {
        let (queued, free) = (Word::new(QUEUED, 0, generation), Word::new(FREE, 0, generation));
        self.cell(cell).compare_exchange(queued.0, free.0, Relaxed, Relaxed).is_ok()
    }

    /// Makes a queued task this worker's; whether it is (C1). `at`: when, for who limits the time.
    pub(super) fn start_task(&self, cell: usize, generation: u64, worker: u32, at: impl FnOnce() -> u64) -> bool {
        let (queued, started) = (Word::new(QUEUED, 0, generation), Word::new(STARTED, worker, generation));
        if self.cell(cell).load(Relaxed) != queued.0 {
            return false;
        }
        // Another worker that has the same message may write here, too: then it is a moment earlier or later.
        self.start(cell).store(at(), Relaxed);
        self.cell(cell).compare_exchange(queued.0, started.0, AcqRel, Relaxed).is_ok()
    }

    /// Ends it; whether the worker may go on (C3).
    pub(super) fn end_task(&self, cell: usize, generation: u64, worker: u32) -> bool {
        let (started, free) = (Word::new(STARTED, worker, generation), Word::new(FREE, 0, generation));
        match self.cell(cell).compare_exchange(started.0, free.0, Relaxed, Relaxed) {
            Ok(_) => true,
            Err(found) => found != Word::new(CONDEMNED, worker, generation).0,
        }
    }

    /// Who has started a task, if it is neither done nor queued, and when.
    pub(super) fn starter(&self, cell: usize, generation: u64) -> Option<(u32, u64)> {
        let word = self.cell(cell).load(Acquire);
        let is_started = matches!(word & 3, STARTED | CONDEMNED) && word >> 30 == generation;
        is_started.then(|| ((word >> 2) as u32 & MOST_WORKERS, self.start(cell).load(Relaxed)))
    }

    /// Forbids a worker to go on after this task; whether it is still at work on it.
    pub(super) fn condemn(&self, cell: usize, generation: u64, worker: u32) -> bool {
        let (started, condemned) = (Word::new(STARTED, worker, generation), Word::new(CONDEMNED, worker, generation));
        self.cell(cell).compare_exchange(started.0, condemned.0, Relaxed, Relaxed).is_ok()
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
