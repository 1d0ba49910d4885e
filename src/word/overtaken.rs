//! How long readers have been waiting for writers.
//!
//! Promise: a reader that waits, and says so with each of its looks, has writers let readers go first after
//! [`MOST_IN_A_ROW`] of them, however many other readers come and give up meanwhile; and writers wait for no reader that has
//! given up.
//!
//! | state           | next, by                                                                             |
//! |-----------------|--------------------------------------------------------------------------------------|
//! | 0               | a reader that waits: 1                                                               |
//! | n               | a writer that goes: n + 1, as far as is too often; a reader that comes in: 0         |
//! |                 | the reader that has begun to count, or gone on with it, gives up: n, GIVEN_UP        |
//! |                 | a writer that has let readers go first in vain, as they are dead, or stopped: 0      |
//! | n, GIVEN_UP     | another reader that waits: n. It does not begin anew, or those who give up would keep it waiting |
//!
//! It guards nothing and orders nothing: plain loads and stores, all Relaxed, whose losses cost a turn.

use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};

/// So many writers may go before a reader that waits. A guess: few enough that a reader's wait is a handful of turns, and
/// enough that writers do not stand still for the time of a wake-up with each turn.
pub(crate) const MOST_IN_A_ROW: u64 = 8;

/// All zero: no reader waits.
///
/// | bits | name     | meaning                                                    |
/// |------|----------|------------------------------------------------------------|
/// | 0-62 | WRITERS  | 0, or 1 + the writers that have gone since a reader waits   |
/// | 63   | GIVEN_UP | that reader waits no more, and no other has said that it does |
#[repr(transparent)]
pub(crate) struct Overtaken(AtomicU64);

#[cfg(all(test, loom))]
impl From<AtomicU64> for Overtaken {
    fn from(word: AtomicU64) -> Self {
        Overtaken(word)
    }
}

impl Overtaken {
    pub(crate) const GIVEN_UP: u64 = 1 << 63;

    /// A reader waits; whether it is the one that says so.
    pub(crate) fn begin(&self) -> bool {
        let word = self.0.load(Relaxed);
        let says_so = word == 0 || word & Self::GIVEN_UP != 0;
        if says_so {
            self.0.store((word & !Self::GIVEN_UP).max(1), Relaxed);
        }
        says_so
    }

    /// The reader that has said that it waits does so no more.
    pub(crate) fn give_up(&self) {
        self.0.store(self.0.load(Relaxed) | Self::GIVEN_UP, Relaxed);
    }

    /// A reader has come in, or none that lives and is not stopped waits. Others that wait say so with their next look.
    pub(crate) fn end(&self) {
        self.0.store(0, Relaxed);
    }

    /// A writer goes.
    #[inline]
    pub(crate) fn count(&self) {
        let word = self.0.load(Relaxed);
        if (1..=MOST_IN_A_ROW).contains(&word) {
            self.0.store(word + 1, Relaxed);
        }
    }

    /// Whether a reader is to go first.
    #[inline]
    pub(crate) fn is_too_often(&self) -> bool {
        (MOST_IN_A_ROW + 1..Self::GIVEN_UP).contains(&self.0.load(Relaxed))
    }
}
