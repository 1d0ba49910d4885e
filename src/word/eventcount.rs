//! Sleeping until something happens, and waking whoever sleeps.
//!
//! Promise: whoever waits for a condition that another process brings about and then notifies sleeps no longer than
//! until that notification; one that is lost with a killed process costs the detection bound. Nobody who is not waited for
//! makes a system call, and a killed waiter leaves nothing behind that would have every later notification make one.
//!
//! | bits | name     | meaning                                                          |
//! |------|----------|------------------------------------------------------------------|
//! | 0    | WAITERS  | somebody sleeps, or is about to, or did so before the last clear |
//! | 1-31 | SEQUENCE | grows with every notification that found WAITERS, and every clear |
//!
//! E1. A waiter announces itself (WAITERS is set), passes the heavy half of a fence, looks once more, and sleeps on the
//!     word that it announced itself in. A notifier brings the condition about, passes the light half, and looks for
//!     WAITERS. So the last look sees the condition, or the notifier sees the announcement.
//! E2. Who notifies changes the word before it wakes: a waiter between its last look and its sleep does not fall asleep.
//! E3. After WAITERS is cleared (when all are woken, or a wake-up has found nobody asleep) everybody is woken: who waits on
//!     announces itself anew. So nobody sleeps unannounced.
//! E4. Nobody counts waiters: a dead one would be counted for ever.
//!
//! Orderings: the fence pair of E1 is all there is; the accesses themselves are Relaxed.
//!
//! Source: the eventcount of folly (`EventCount.h`), with a flag in place of its count of waiters.

use crate::fault::crash_point;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::futex::Sleeper;
use crate::sys::{barrier, futex};

const WAITERS: u64 = 1;
const ONE_NOTIFICATION: u64 = 2;

/// The low half is the futex word; the high half takes the carry and means nothing.
#[repr(transparent)]
pub(crate) struct EventCount {
    word: AtomicU64,
}

#[cfg(all(test, loom))]
impl EventCount {
    pub(crate) fn new() -> Self {
        EventCount { word: AtomicU64::new(0) }
    }
}

/// Whether the word of one says that somebody may be waiting.
pub(crate) fn has_waiters(word: u64) -> bool {
    word & WAITERS != 0
}

impl EventCount {
    /// Says that something has happened that one waiter may be waiting for.
    #[inline]
    pub(crate) fn notify_one(&self) {
        barrier::light(); // (E1)
        if self.word.load(Relaxed) & WAITERS != 0 {
            self.wake_one();
        }
    }

    /// As [`notify_one`](Self::notify_one), where what has happened may not be enough for a waiter: `is_enough` is asked if
    /// there is one, and sees what it stored before it waited.
    #[inline]
    pub(crate) fn notify_one_if(&self, is_enough: impl FnOnce() -> bool) {
        barrier::light(); // (E1)
        if self.word.load(Relaxed) & WAITERS != 0 && is_enough() {
            self.wake_one();
        }
    }

    /// Says that something has happened that concerns all who wait.
    pub(crate) fn notify_all(&self) {
        barrier::light(); // (E1)
        if self.word.load(Relaxed) & WAITERS != 0 {
            self.notified();
            self.clear();
        }
    }

    #[cold]
    fn wake_one(&self) {
        self.notified();
        if !futex::wake_one(&self.word) {
            self.clear();
        }
    }

    fn notified(&self) {
        self.word.fetch_add(ONE_NOTIFICATION, Relaxed); // (E2)
        crash_point!("event.notified");
    }

    /// Takes all announcements back, and wakes whoever sleeps on one (E3).
    ///
    /// An addition: WAITERS carries over into SEQUENCE, so that the word cannot become again one in which somebody on the way
    /// to its sleep has announced itself; and nothing is undone of what others notify meanwhile. If somebody else has
    /// just cleared it, this sets it again, which costs a later notification a wake-up in vain.
    fn clear(&self) {
        self.word.fetch_add(WAITERS, Relaxed);
        crash_point!("event.cleared");
        futex::wake_all(&self.word);
    }

    /// Waits until `look` gives something, or until the deadline; even then there is one more look.
    ///
    /// `glance` is a look that costs no system call, and `spin` calls it for as long as that may pay.
    pub(crate) fn wait<R>(
        &self,
        spin: impl Fn(&mut dyn FnMut() -> Option<R>) -> Option<R>,
        deadline: Deadline,
        mut glance: impl FnMut() -> Option<R>,
        mut look: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        // Without the kernel's fence, a notifier may miss us.
        let mut sleeper = if barrier::is_available() { Sleeper::new() } else { Sleeper::watchful() };
        let mut announced = None;
        let mut result = spin(&mut glance);
        loop {
            result = result.or_else(&mut look);
            if result.is_some() || deadline.has_passed() {
                return result;
            }
            let word = self.announce();
            // An announcement that still stands has passed the fence.
            if announced.replace(word) != Some(word) {
                crash_point!("event.announced");
                barrier::heavy(); // (E1)
                result = look();
                if result.is_some() {
                    return result;
                }
            }
            // Not woken: its time was up, a signal came, or the word had changed before it slept. Then what was brought about is there for
            // `look`, and a spin gains nothing.
            let is_woken = sleeper.sleep(&self.word, word as u32, deadline);
            result = if is_woken { spin(&mut glance) } else { None };
        }
    }

    /// Sets WAITERS; the word with it.
    fn announce(&self) -> u64 {
        let mut word = self.word.load(Relaxed);
        while word & WAITERS == 0 {
            match self.word.compare_exchange(word, word | WAITERS, Relaxed, Relaxed) {
                Ok(_) => word |= WAITERS,
                Err(changed) => word = changed,
            }
        }
        word
    }
}
