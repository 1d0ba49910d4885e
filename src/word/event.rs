//! The word of an event: a flag that processes wait for.
//!
//! Promise: whoever waits, and whoever sleeps, when the flag is set returns, although it may be cleared at once; what the
//! setter did before is seen by them. A setter that is killed has set it or not; those whom it did not wake any more
//! look for themselves, within the detection bound. A killed waiter costs a later setter one wake-up in vain.
//!
//! | state    | next, by                                                                             |
//! |----------|--------------------------------------------------------------------------------------|
//! | unset(n) | anyone sets: SET is added; who is about to sleep: CAS to WAITERS                       |
//! | set(n)   | anyone clears, or takes: CAS to unset(n + 1), without WAITERS                          |
//!
//! V1. A waiter remembers the CLEARS that it began with. It returns once it finds SET, or other CLEARS: nothing is
//!     cleared but what was set meanwhile.
//! V2. Who is about to sleep has added WAITERS to an unset word, and sleeps on the half of the word in which CLEARS begins
//!     and SET stands. So whoever sets it finds WAITERS, and wakes all; or the word is no longer the one to sleep on.
//! V3. WAITERS goes with SET: those whom it stands for wake up for it, or have given up. So an event that nobody waits
//!     for costs no system call, but for one after a waiter that gave up or was killed.
//!     Who waits to take the flag, and finds that somebody else has, adds WAITERS again before it sleeps again.
//! V4. Setting is one unconditional addition and at most one system call: no loop, no lock, no allocation, nothing of this
//!     process's but the address. So a signal handler may set.
//!
//! Orderings: setting is a Release, and finding it set, or that it has been, an Acquire. So is clearing: who clears and then
//! looks for work sees what was done before the setting that it cleared, of which nobody will be told again. All changes are
//! read-modify-writes, which keep the release sequence of each setting going: a clearing in between hides nothing.
//!
//! Source: Reed and Kanodia, "Synchronization with Eventcounts and Sequencers" (CACM 1979): who waits for a count to grow
//! misses nothing that happens between its look and its sleep.

use crate::fault::crash_point;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::futex;
use crate::sys::spin::Spin;

/// How often a clearing is tried. More often than anybody who follows the protocol could be so unlucky (a guess): each failure
/// is somebody's beginning to wait, or a clearing and a setting in between.
const ATTEMPTS: u32 = 10_000;

/// All zero: not set.
#[repr(transparent)]
pub(crate) struct EventWord(AtomicU64);

/// | bits | name    | meaning                                                                   |
/// |------|---------|---------------------------------------------------------------------------|
/// | 0    | SET     | the flag                                                                  |
/// | 1    | WAITERS | somebody sleeps, or is about to, or gave up since the last time it was set |
/// | 2-63 | CLEARS  | how often it was cleared; bits 2-31 are in the futex half                 |
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    const SET: u64 = 1;
    const WAITERS: u64 = 2;
    const ONE_CLEAR: u64 = 4;

    fn is_set(self) -> bool {
        self.0 & Self::SET != 0
    }

    fn has_waiters(self) -> bool {
        self.0 & Self::WAITERS != 0
    }

    fn with_waiters(self) -> Self {
        Word(self.0 | Self::WAITERS)
    }

    /// (V3)
    fn cleared(self) -> Self {
        Word((self.0 & !(Self::SET | Self::WAITERS)).wrapping_add(Self::ONE_CLEAR))
    }

    /// Whether it was set since it was `before`, which was not (V1).
    fn has_been_set_since(self, before: Word) -> bool {
        self.is_set() || self.0 / Self::ONE_CLEAR != before.0 / Self::ONE_CLEAR
    }

    fn futex_half(self) -> u32 {
        self.0 as u32
    }
}

/// Whether a word, read as a number, is that of an event that is set.
#[cfg(not(all(test, loom)))]
pub(crate) fn is_set(word: u64) -> bool {
    Word(word).is_set()
}

#[cfg(all(test, loom))]
impl EventWord {
    pub(crate) fn new() -> Self {
        EventWord(AtomicU64::new(0))
    }
}

impl EventWord {
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.look().is_set()
    }

    /// Makes it one that is not set, whatever stood there before: where nobody uses it yet.
    #[allow(dead_code, reason = "used behind the feature compat-raw-sync")]
    pub(crate) fn reset(&self) {
        // Relaxed: whoever calls it says to others that there is an event now.
        self.0.store(0, Relaxed);
    }

    #[inline]
    fn look(&self) -> Word {
        // Acquire: pairs with the Release in `set`.
        Word(self.0.load(Acquire))
    }

    /// Sets the flag, and wakes all who sleep (V4).
    #[inline]
    pub(crate) fn set(&self) {
        // Release: publishes what the setter has done to the Acquires in `look` and `clear`.
        let before = Word(self.0.fetch_or(Word::SET, Release));
        crash_point!("event.set");
        // Who finds it set leaves the waking to whoever has set it.
        if before.has_waiters() && !before.is_set() {
            futex::wake_all(&self.0);
        }
    }

    pub(crate) fn clear(&self) {
        for _ in 0..ATTEMPTS {
            let word = Word(self.0.load(Relaxed));
            let next = if word.is_set() { word.cleared() } else { word };
            // Also where there is nothing to clear. Acquire: pairs with the Release in `set`, of this setting and of those
            // that somebody else has cleared.
            if self.0.compare_exchange(word.0, next.0, Acquire, Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Waits until the flag is set, or until the deadline; even then there is one more look. Whether it was set.
    #[inline]
    pub(crate) fn wait(&self, deadline: Deadline, spin: &Spin) -> bool {
        let begin = self.look();
        begin.is_set() || self.wait_since(begin, deadline, spin)
    }

    #[cold]
    fn wait_since(&self, begin: Word, deadline: Deadline, spin: &Spin) -> bool {
        let mut sleeper = futex::Sleeper::new();
        loop {
            if spin.until(|| self.look().has_been_set_since(begin).then_some(())).is_some() {
                return true;
            }
            let is_late = deadline.has_passed();
            let word = self.look();
            if is_late || word.has_been_set_since(begin) {
                return word.has_been_set_since(begin);
            }
            if self.announce(word) {
                crash_point!("event.waiting");
                sleeper.sleep(&self.0, word.with_waiters().futex_half(), deadline);
            }
        }
    }

    /// Sleeps until the flag is set, or `is_awake`, which whoever makes it so tells with [`rouse`](Self::rouse). Without spinning.
    #[cfg(not(all(test, loom)))]
    pub(crate) fn sleep_until(&self, is_awake: impl Fn() -> bool) {
        let mut sleeper = futex::Sleeper::new();
        while !is_awake() {
            let word = self.look();
            if word.is_set() {
                return;
            }
            if self.announce(word) {
                sleeper.sleep(&self.0, word.with_waiters().futex_half(), Deadline::NEVER);
            }
        }
    }

    /// Has all who sleep look. One that is just about to does so within the detection bound.
    #[cfg(not(all(test, loom)))]
    pub(crate) fn rouse(&self) {
        futex::wake_all(&self.0);
    }

    /// As [`wait`](Self::wait), but that each setting is for one: it is cleared in the step that finds it.
    #[allow(dead_code, reason = "used behind the feature compat-raw-sync")]
    pub(crate) fn take(&self, deadline: Deadline, spin: &Spin) -> bool {
        let mut sleeper = futex::Sleeper::new();
        loop {
            let is_late = deadline.has_passed();
            if spin.until(|| self.try_take().then_some(())).is_some() {
                return true;
            }
            if is_late {
                return false;
            }
            let word = Word(self.0.load(Relaxed));
            if !word.is_set() && self.announce(word) {
                crash_point!("event.waiting");
                sleeper.sleep(&self.0, word.with_waiters().futex_half(), deadline);
            }
        }
    }

    fn try_take(&self) -> bool {
        let word = Word(self.0.load(Relaxed));
        // Acquire: pairs with the Release in `set`.
        word.is_set() && self.0.compare_exchange(word.0, word.cleared().0, Acquire, Relaxed).is_ok()
    }

    /// Adds WAITERS to a word that is not set (V2); false if the word has changed.
    fn announce(&self, word: Word) -> bool {
        word.has_waiters() || self.0.compare_exchange(word.0, word.with_waiters().0, Relaxed, Relaxed).is_ok()
    }
}
