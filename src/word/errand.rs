//! The word of a task in a queue: whose it is.
//!
//! Promise: a task is started at most once, however often its message is delivered; when a worker has died, the word says whether
//! it was that worker's; and a kill that is meant for one task hits no other.
//!
//! The message names the word and the generation in which it is the task's.
//!
//! | state           | next, by                                                                                           |
//! |-----------------|----------------------------------------------------------------------------------------------------|
//! | free(g, w or 0) | the pool: `QUEUED(g + 1)`, then the message                                                        |
//! | queued(g)       | a worker: CAS to `STARTED(g, worker)`; the pool, which takes it back: CAS to `FREE(g)`             |
//! | started(g, w)   | the worker, when all is sent: CAS to `FREE(g, w)`; the pool: CAS to `CONDEMNED(g, w)`, then a kill |
//! | condemned(g, w) | the pool, after the worker's death                                                                 |
//!
//! C1. A worker holds the message until the word is its own, so that the queue gives the message to another one if it dies
//!     before. Whoever gets a message whose word is not `QUEUED` in its generation drops it.
//! C2. A worker that has died owns what its word says, but for the results that it has sent.
//! C3. A worker whose word is condemned never starts another task: it ends itself where it finds that, if it was not killed before.
//! C4. The pool gives a word to another task, under the next generation, once it has all results: it need not wait for `FREE`.
//! C5. `FREE` remembers the worker, which has sent all results: one that the pool has not got when it has taken in all that a dead
//!     worker has sent was destroyed on its way, and nothing will come.
//!
//! Orderings: what belongs to a task is in its message, and results go through a channel; each has orderings of its own. So the
//! word needs none, but for the time of the start: the pool that finds a task started finds the time, too (Release in
//! [`start`], Acquire in [`starter`]).

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// | bits  | name       | meaning                                        |
/// |-------|------------|------------------------------------------------|
/// | 0-1   | STATE      | 0 free, 1 queued, 2 started, 3 condemned       |
/// | 2-29  | WORKER     | who has started it, or ended it; 0 nobody      |
/// | 30-63 | GENERATION | how often the word has been given to a task    |
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

/// So many workers have numbers of their own, one after the other.
pub(crate) const MOST_WORKERS: u32 = (1 << 28) - 1;

impl Word {
    const FREE: u64 = 0;
    const QUEUED: u64 = 1;
    const STARTED: u64 = 2;
    const CONDEMNED: u64 = 3;

    fn new(state: u64, worker: u32, generation: u64) -> Self {
        Word(state | u64::from(worker & MOST_WORKERS) << 2 | generation << 30)
    }

    fn has_starter(self) -> bool {
        matches!(self.0 & 3, Self::STARTED | Self::CONDEMNED)
    }

    /// By a worker (C5).
    fn is_ended(self) -> bool {
        self.0 & 3 == Self::FREE && self.worker() > 0
    }

    fn worker(self) -> u32 {
        (self.0 >> 2) as u32 & MOST_WORKERS
    }

    fn generation(self) -> u64 {
        self.0 >> 30
    }
}

/// Makes the word the next task's. A read-modify-write, as all changes are: so none is written over by one that did not see it.
pub(crate) fn queue(word: &AtomicU64, generation: u64) {
    word.swap(Word::new(Word::QUEUED, 0, generation).0, Relaxed);
}

/// Takes a task back that nobody has started; whether it could.
pub(crate) fn withdraw(word: &AtomicU64, generation: u64) -> bool {
    let (queued, free) = (Word::new(Word::QUEUED, 0, generation), Word::new(Word::FREE, 0, generation));
    word.compare_exchange(queued.0, free.0, Relaxed, Relaxed).is_ok()
}

/// Makes a queued task this worker's; whether it is (C1).
pub(crate) fn start(word: &AtomicU64, generation: u64, worker: u32) -> bool {
    let (queued, started) = (Word::new(Word::QUEUED, 0, generation), Word::new(Word::STARTED, worker, generation));
    // Release: publishes the time of the start to `starter`.
    word.compare_exchange(queued.0, started.0, Release, Relaxed).is_ok()
}

/// Ends it; whether the worker may go on (C3).
pub(crate) fn end(word: &AtomicU64, generation: u64, worker: u32) -> bool {
    let (started, free) = (Word::new(Word::STARTED, worker, generation), Word::new(Word::FREE, worker, generation));
    match word.compare_exchange(started.0, free.0, Relaxed, Relaxed) {
        Ok(_) => true,
        // Another generation: the pool has all results, and has gone on (C4).
        Err(found) => found != Word::new(Word::CONDEMNED, worker, generation).0,
    }
}

/// Who has started the task and not ended it.
pub(crate) fn starter(word: &AtomicU64, generation: u64) -> Option<u32> {
    let word = Word(word.load(Acquire)); // pairs with the Release in `start`
    (word.has_starter() && word.generation() == generation).then(|| word.worker())
}

/// Who has ended the task (C5). Relaxed: who asks about a dead worker has its death from the kernel, and all that it did before.
pub(crate) fn ender(word: &AtomicU64, generation: u64) -> Option<u32> {
    let word = Word(word.load(Relaxed));
    (word.is_ended() && word.generation() == generation).then(|| word.worker())
}

/// Whether nobody has started the task.
pub(crate) fn is_queued(word: &AtomicU64, generation: u64) -> bool {
    word.load(Relaxed) == Word::new(Word::QUEUED, 0, generation).0
}

/// Whether the word is that of a task which the pool has queued in this generation and not taken back; another one was written by
/// somebody who does not keep to the table.
pub(crate) fn is_sound(word: &AtomicU64, generation: u64) -> bool {
    let word = Word(word.load(Relaxed));
    word.generation() == generation && (word.0 & 3 == Word::QUEUED) == (word.worker() == 0)
}

/// Forbids a worker to go on after this task; whether it is still at it.
pub(crate) fn condemn(word: &AtomicU64, generation: u64, worker: u32) -> bool {
    let (started, condemned) =
        (Word::new(Word::STARTED, worker, generation), Word::new(Word::CONDEMNED, worker, generation));
    word.compare_exchange(started.0, condemned.0, Relaxed, Relaxed).is_ok()
}
